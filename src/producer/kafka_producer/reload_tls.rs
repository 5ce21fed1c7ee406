//! `reload_tls`: reading the files of TLS again.

use super::KafkaProducer;
use crate::error::{Misuse, ReloadTlsError};
use crate::producer::callback_scope;
use crate::producer::core::Core;
use crate::producer::lifecycle_state::LifecycleState;
use crate::producer::record::RecordData;
use crate::security::TlsReload;

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Reads the files of `ssl.keystore.location` and `ssl.truststore.location` again. If one has changed, new
    /// connections use its new content, without sessions of the old one. A file that cannot be used changes nothing;
    /// the other file is used all the same.
    ///
    /// Open connections stay as they are, as long as they are used. A connection without requests is closed after
    /// `connections.max.idle.ms`, or earlier by the broker.
    ///
    /// To have the files read at an interval instead, set
    /// [`ssl_reload_interval`](crate::ProducerConfigBuilder::ssl_reload_interval) (`ssl.reload.interval.ms`).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use kafka_producer::testing::MockProducer;
    /// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
    /// // After a renewal, when the service gets a signal for instance.
    /// match producer.reload_tls() {
    ///     Ok(reload) if reload.is_changed() => println!("new connections use the new certificates"),
    ///     Ok(_) => println!("the certificates are the same as before"),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The file must be complete: write the new content to another file in the same folder and rename that, or swap a
    /// symbolic link, as Kubernetes does. A private key that does not belong to its certificate, as in a file that is
    /// half written, is refused.
    ///
    /// With a `security.protocol` without TLS nothing is read, and nothing has changed. The same holds for stores in
    /// the configuration itself (`ssl.keystore.key`, `ssl.truststore.certificates`), and for the system's trust store.
    ///
    /// # Errors
    /// [`Refused`](ReloadTlsError::Refused) if a file cannot be used: it cannot be read, is damaged or needs another
    /// password, its key does not belong to its certificate, or its certificate has expired or is not valid yet and the
    /// one in use is valid. The error has the change of the other file. [`Closed`](ReloadTlsError::Closed) if the
    /// producer is closed. [`Misuse`](ReloadTlsError::Misuse) inside a callback of the same producer, since reading
    /// files would hold up the sender thread, and after a fork.
    ///
    /// # Blocking
    /// Reads and parses the files; one that changes meanwhile is read again, and parsed at most three times. Parsing a
    /// store with a password takes milliseconds with the key derivations of keytool and OpenSSL, and some seconds at
    /// most. Reading has no time-out: a network file system that does not respond blocks the call.
    ///
    /// # Threads
    /// May be called from several threads, and while the files are checked at an interval.
    ///
    /// # Kafka
    /// No counterpart: Java's producer has to be built again.
    pub fn reload_tls(&self) -> Result<TlsReload, ReloadTlsError> {
        if callback_scope::is_inside(self.core.instance.id()) {
            return Err(ReloadTlsError::Misuse(Misuse::InsideCallback));
        }
        match self.state() {
            LifecycleState::Closed => Err(ReloadTlsError::Closed),
            LifecycleState::Forked => Err(ReloadTlsError::Misuse(Misuse::Forked)),
            _ => self.core.reload_tls(),
        }
    }
}

impl Core {
    #[cfg(feature = "tls-no-provider")]
    fn reload_tls(&self) -> Result<TlsReload, ReloadTlsError> {
        let Some(tls) = &self.tls else {
            return Ok(TlsReload::default());
        };
        match tls.reload() {
            (reload, None) => Ok(reload),
            (reload, Some(error)) => Err(ReloadTlsError::Refused {
                error,
                key_store_changed: reload.key_store_changed(),
                trust_store_changed: reload.trust_store_changed(),
            }),
        }
    }

    #[cfg(not(feature = "tls-no-provider"))]
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with TLS it may fail, and uses `self`"
    )]
    fn reload_tls(&self) -> Result<TlsReload, ReloadTlsError> {
        Ok(TlsReload::default())
    }
}
