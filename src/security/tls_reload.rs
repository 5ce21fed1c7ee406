//! The result of reloading the files of TLS.

use crate::clock::{SystemTime, Timestamp};

/// The changes that [`KafkaProducer::reload_tls`](crate::KafkaProducer::reload_tls) has found.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (producer, _mock) = kafka_producer::testing::MockProducer::builder().build::<str, str>()?;
/// let reload = producer.reload_tls()?;
/// if reload.key_store_changed() {
///     println!("the new client certificate is valid until {:?}", reload.certificate_valid_until());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlsReload {
    pub(super) key_store: bool,
    pub(super) trust_store: bool,
    pub(super) valid_until: Option<Timestamp>,
}

impl TlsReload {
    /// True if new connections use another private key, client certificate or trust store than before the call.
    pub fn is_changed(&self) -> bool {
        self.key_store || self.trust_store
    }

    /// True if new connections use another private key or client certificate than before the call.
    pub fn key_store_changed(&self) -> bool {
        self.key_store
    }

    /// True if new connections use another trust store than before the call.
    pub fn trust_store_changed(&self) -> bool {
        self.trust_store
    }

    /// The end of the validity of the client certificate that new connections use, whether it has changed or not;
    /// `None` if there is no client certificate.
    pub fn certificate_valid_until(&self) -> Option<SystemTime> {
        self.valid_until.and_then(Timestamp::to_system_time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_result_has_the_end_of_the_validity_as_a_time() {
        let none = TlsReload::default();
        assert!(!none.is_changed() && none.certificate_valid_until().is_none());
        let changed = TlsReload {
            trust_store: true,
            valid_until: Some(Timestamp::from_millis(7000)),
            ..none
        };
        assert!(changed.is_changed() && !changed.key_store_changed());
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        assert_eq!(changed.certificate_valid_until(), Some(end));
    }
}
