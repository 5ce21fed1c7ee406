//! Producer interceptors: hooks before a record is serialized (`on_send`) and after it was acknowledged or failed
//! (`on_acknowledgement`).

use std::sync::Arc;

use super::instance::Instance;
use super::record::{ProducerRecord, RecordData};
use super::record_metadata::RecordMetadata;
use super::user_code::{Fence, UserCode, UserCodeFailure};
use crate::config::PluginConfig;
use crate::error::{BoxError, PluginKind, ProduceError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::types::{ClusterResourceListener, PartitionId, TopicPartition};
use crate::util::log::warn;

/// Interceptor of records: may change each record before it is serialized, and is notified of its acknowledgement or
/// error.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use kafka_producer::{BoxError, ProduceError, ProducerInterceptor, ProducerRecord, RecordMetadata};
///
/// /// Marks records with their origin, and counts records that were lost.
/// #[derive(Default)]
/// struct Audit {
///     lost: AtomicU64,
/// }
///
/// impl ProducerInterceptor<str, [u8]> for Audit {
///     fn on_send(&self, record: &mut ProducerRecord<'_, str, [u8]>) -> Result<(), BoxError> {
///         record.headers_mut().add("origin", "billing")?;
///         Ok(())
///     }
///
///     fn on_acknowledgement(&self, _metadata: &RecordMetadata, error: Option<&ProduceError>) {
///         if error.is_some() {
///             self.lost.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
///
/// # Threads
/// [`on_send`](Self::on_send) runs on the thread that calls `send`, so it may run on several threads at once.
/// [`on_acknowledgement`](Self::on_acknowledgement) runs on the sender thread, or, for a refused record, on the thread
/// that called `send`. While it runs on the sender thread, nothing is sent.
/// # Kafka
/// `org.apache.kafka.clients.producer.ProducerInterceptor`. Differs: the record is changed in place
/// and not replaced.
pub trait ProducerInterceptor<K: ?Sized + RecordData, V: ?Sized + RecordData>: Send + Sync {
    /// Configures the interceptor from the producer's configuration. Called once, before any other method, for an
    /// interceptor that `interceptor.classes` names.
    ///
    /// # Errors
    /// The configuration is invalid; the producer is not built.
    fn configure(&mut self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// Called before a record is serialized. The record has no partition unless the caller of `send` has set one.
    /// Changes are visible to later interceptors, and are sent.
    ///
    /// # Errors
    /// An error, or a panic, is logged; the record continues as it was before this call.
    fn on_send(&self, record: &mut ProducerRecord<'_, K, V>) -> Result<(), BoxError>;

    /// Called when the cluster has acknowledged a record, or the record has failed with `error`; once for each record
    /// that was passed to [`on_send`](Self::on_send), but not after [`close`](Self::close). The metadata of a failed
    /// record has only the topic, and the partition if one was chosen.
    ///
    /// A panic is logged and has no other effect.
    fn on_acknowledgement(&self, metadata: &RecordMetadata, error: Option<&ProduceError>) {
        let _ = (metadata, error);
    }

    /// Ends the interceptor: the producer is being closed, or could not be built. No method is called afterwards; a
    /// call in progress on another thread goes on.
    ///
    /// By then every record has been acknowledged or has failed, unless the producer's `close` gave up on its own
    /// thread ([`CloseError::ThreadRunning`](crate::CloseError::ThreadRunning)): records that end later are not
    /// reported here, only to their callbacks and futures.
    ///
    /// # Errors
    /// Reported by the producer's `close`; the other interceptors and the producer are closed all the
    /// same.
    fn close(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// A cluster resource listener, if the interceptor is to be notified of the cluster id.
    ///
    /// # Kafka
    /// An interceptor that implements `ClusterResourceListener`.
    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        None
    }

    /// Name in logs; by default the name of the type.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }
}

/// Copies a record, for a chain of interceptors. A function pointer, because only the builder's methods that take
/// interceptors require keys and values that are `Clone`.
pub(crate) type CopyRecord<K, V> =
    for<'a> fn(&ProducerRecord<'a, K, V>) -> ProducerRecord<'a, K, V>;

/// The [`CopyRecord`] of keys and values that are `Clone`.
pub(crate) fn copy_record<'a, K, V>(record: &ProducerRecord<'a, K, V>) -> ProducerRecord<'a, K, V>
where
    K: ?Sized + RecordData<Owned: Clone>,
    V: ?Sized + RecordData<Owned: Clone>,
{
    record.clone()
}

/// The chain of a producer's interceptors, in the order of its configuration. The failure of an interceptor is logged,
/// and affects neither the others nor the producer.
///
/// # Threads
/// Any; must be called without a lock held.
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.ProducerInterceptors`.
pub(crate) struct ProducerInterceptors<K: ?Sized + RecordData, V: ?Sized + RecordData> {
    chain: Vec<Box<dyn ProducerInterceptor<K, V>>>,
    /// `None` only if there are no interceptors.
    copy_record: Option<CopyRecord<K, V>>,
    instance: Instance,
    is_closed: AtomicBool,
}

/// The interceptors as the sender calls them: without the types of keys and values.
pub(crate) trait AcknowledgementListener: Send + Sync {
    /// Calls all interceptors with a record's outcome.
    fn on_acknowledgement(&self, metadata: &RecordMetadata, error: Option<&ProduceError>);
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> ProducerInterceptors<K, V> {
    /// A chain of interceptors that were configured already.
    pub(crate) fn new(
        chain: Vec<Box<dyn ProducerInterceptor<K, V>>>,
        copy_record: Option<CopyRecord<K, V>>,
        instance: Instance,
    ) -> Self {
        // Interceptors may be registered, and none of them configured.
        let copy_record = copy_record.filter(|_| !chain.is_empty());
        debug_assert_eq!(chain.is_empty(), copy_record.is_none());
        Self {
            chain,
            copy_record,
            instance,
            is_closed: AtomicBool::new(false),
        }
    }

    /// No interceptors.
    pub(crate) fn none(instance: Instance) -> Self {
        Self::new(Vec::new(), None, instance)
    }

    /// Whether the chain is empty.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// The cluster resource listeners of the interceptors.
    ///
    /// # Errors
    /// An interceptor panicked.
    pub(crate) fn cluster_listeners(
        &self,
    ) -> Result<Vec<Arc<dyn ClusterResourceListener>>, UserCodeFailure> {
        let mut listeners = Vec::new();
        for interceptor in &self.chain {
            let asked = self.run("cluster_listener", &**interceptor, || {
                Ok(interceptor.cluster_listener())
            });
            listeners.extend(asked?.flatten());
        }
        Ok(listeners)
    }

    /// Passes a record through all interceptors. When one fails, the next gets the record that the
    /// failing one got.
    pub(crate) fn on_send<'a>(
        &self,
        mut record: ProducerRecord<'a, K, V>,
    ) -> ProducerRecord<'a, K, V> {
        let Some(copy) = self.copy_record else {
            return record;
        };
        for interceptor in &self.chain {
            // An interceptor that fails may have changed a part of the record.
            let before = copy(&record);
            let call = || interceptor.on_send(&mut record);
            if let Err(failure) = self.run("on_send", &**interceptor, call) {
                // The log line names the partition only if the caller chose one: the partitioner has not run yet.
                let failure = match before.partition() {
                    Some(partition) => {
                        failure.about(format_args!("{}-{partition}", before.topic()))
                    }
                    None => failure.about(format_args!("topic {}", before.topic())),
                };
                warn!(self.instance.log(), "{failure}");
                record = before;
            }
        }
        record
    }

    /// Passes a copy of a record through all interceptors; `None` if there are none.
    pub(crate) fn on_send_of_copy<'a>(
        &self,
        record: &ProducerRecord<'a, K, V>,
    ) -> Option<ProducerRecord<'a, K, V>> {
        let copy = self.copy_record?;
        Some(self.on_send(copy(record)))
    }

    /// Calls all interceptors with a record's outcome.
    pub(crate) fn on_acknowledgement(
        &self,
        metadata: &RecordMetadata,
        error: Option<&ProduceError>,
    ) {
        for interceptor in &self.chain {
            let called = self.run("on_acknowledgement", &**interceptor, || {
                interceptor.on_acknowledgement(metadata, error);
                Ok(())
            });
            if let Err(failure) = called {
                warn!(self.instance.log(), "{}", failure.about(metadata));
            }
        }
    }

    /// Notifies all interceptors of a record that `send` refused. `partition` is the partition that was chosen, or else
    /// the one that the caller set, if any.
    pub(crate) fn on_send_error(
        &self,
        topic: &str,
        partition: Option<PartitionId>,
        error: &ProduceError,
    ) {
        // The usual case: no placeholder is built, since that would allocate the topic's name.
        if self.chain.is_empty() {
            return;
        }
        let partition = partition.unwrap_or(RecordMetadata::UNKNOWN_PARTITION);
        let metadata = RecordMetadata::placeholder(TopicPartition::new(topic, partition));
        self.on_acknowledgement(&metadata, Some(error));
    }

    /// Closes all interceptors, even if some fail to close.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn close(&self) -> Result<(), UserCodeFailure> {
        // Set before the first `close`, so that no method of an interceptor is called after its `close`.
        self.is_closed.store(true, Ordering::Release);
        let mut first_failure = Ok(());
        for interceptor in &self.chain {
            if let Err(failure) = self.call("close", &**interceptor, || interceptor.close()) {
                warn!(self.instance.log(), "{failure}");
                first_failure = first_failure.and(Err(failure));
            }
        }
        first_failure
    }

    /// Calls an interceptor. Returns `None` if the interceptors are closed, which is checked for each call: `close` may
    /// run on another thread meanwhile.
    fn run<T>(
        &self,
        method: &'static str,
        interceptor: &dyn ProducerInterceptor<K, V>,
        call: impl FnOnce() -> Result<T, BoxError>,
    ) -> Result<Option<T>, UserCodeFailure> {
        if self.is_closed.load(Ordering::Acquire) {
            return Ok(None);
        }
        self.call(method, interceptor, call).map(Some)
    }

    fn call<T>(
        &self,
        method: &'static str,
        interceptor: &dyn ProducerInterceptor<K, V>,
        call: impl FnOnce() -> Result<T, BoxError>,
    ) -> Result<T, UserCodeFailure> {
        // One fence for each interceptor: a panic ends this call, not the chain.
        let called = Fence::of(&self.instance)
            .try_call(UserCode::Plugin(PluginKind::Interceptor, method), call);
        called.map_err(|failure| failure.named(self.name_of(interceptor)))
    }

    #[cold]
    fn name_of(&self, interceptor: &dyn ProducerInterceptor<K, V>) -> String {
        // Called only after a failure. `name` is user code, so its result is copied inside the fence.
        let ask = || interceptor.name().to_owned();
        Fence::of(&self.instance)
            .call(UserCode::Plugin(PluginKind::Interceptor, "name"), ask)
            .unwrap_or_else(|failure| format!("(whose name panicked: {})", failure.into_words()))
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> AcknowledgementListener
    for ProducerInterceptors<K, V>
{
    fn on_acknowledgement(&self, metadata: &RecordMetadata, error: Option<&ProduceError>) {
        self.on_acknowledgement(metadata, error);
    }
}

#[cfg(test)]
mod tests;
