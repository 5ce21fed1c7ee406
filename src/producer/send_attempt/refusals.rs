//! Refused records: the errors of a send, and who gets them.

use super::SendAttempt;
use crate::compress::CompressionType;
use crate::error::{RecordError, SendError};
use crate::metrics::tables::MemorySensor;
use crate::producer::future::FutureRecordMetadata;
use crate::producer::record::RecordData;
use crate::producer::send_errors::{RefusedRecord, make_transaction_abortable};
use crate::producer::send_refusal::{SendRefusal, not_taken};
use crate::producer::user_code::{Fence, UserCode};
use crate::types::Magic;
use crate::util::log;

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> SendAttempt<'_, '_, K, V> {
    /// Checks that the record may be written in a format before v2 (RA-7, PB-9, PB-11).
    #[cold]
    pub(super) fn check_old_format(&self, magic: Magic) -> Result<(), SendRefusal> {
        if self.core.config.enable_idempotence() {
            return Err(self.errors().idempotence_and_old_brokers());
        }
        if self.core.accumulator.codec() == CompressionType::Zstd {
            return Err(self.errors().zstd_and_old_brokers());
        }
        if !self.headers.is_empty() {
            let magic = magic as u8;
            return Err(SendError::Record(RecordError::HeadersUnsupported { magic }).into());
        }
        Ok(())
    }

    /// The error that is already known for the topic, for `try_send`, which does not wait for newer metadata. The topic
    /// is requested again all the same. `None` if no error is known, or if the topic or partition has appeared since
    /// the lookup.
    pub(crate) fn known_topic_error(&mut self) -> Option<SendRefusal> {
        match self.lookup.error_so_far(&self.record.topic) {
            Err(why) => Some(self.errors().topic_lookup_error(why)),
            Ok(state) => {
                let is_missing = state.is_missing(self.record.partition);
                is_missing.then(|| self.errors().topic_not_found(&state, ""))
            }
        }
    }

    /// Adds a refusal to the `record-error` metrics, if Kafka counts it.
    #[cold]
    pub(crate) fn counted(&self, refusal: SendRefusal) -> SendRefusal {
        if refusal.is_counted() {
            self.core.sensors.record_refused(self.core.clock.now());
        }
        refusal
    }

    pub(super) fn errors(&self) -> RefusedRecord<'_> {
        RefusedRecord {
            core: self.core,
            topic: &self.record.topic,
            wanted: self.record.partition,
            partition: self.partition(),
            limit: self.time.limit(),
        }
    }

    /// Timeout error of the wait for memory (`max.block.ms`); also recorded in the `buffer-exhausted` metrics.
    #[cold]
    pub(super) fn memory_timed_out(&self) -> SendRefusal {
        let memory = &self.core.sensors.memory;
        memory.record(MemorySensor::Exhausted, 1.0, self.core.clock.now());
        self.errors().memory_timeout()
    }

    /// Reports a refused record: to the transaction, the metrics, interceptors and the callback (KP-24 to KP-28).
    #[cold]
    pub(super) fn refused(
        &mut self,
        refusal: SendRefusal,
    ) -> Result<FutureRecordMetadata, SendError> {
        make_transaction_abortable(self.core, self.of, &refusal);
        // Leaves the pool's queue before user code runs, and gives back the memory gathered so far: user code may be
        // slow, and other threads wait for memory as well.
        self.memory = None;
        let (plugins, record) = (self.plugins, self.record);
        let (interceptors, topic) = (&plugins.interceptors, &*record.topic);
        match self.counted(refusal) {
            SendRefusal::Call(error) => {
                if !interceptors.is_empty() {
                    let produce_error = not_taken(topic, &error);
                    // As in `doSend`: `onSendError` is called for errors that the call throws, too.
                    interceptors.on_send_error(topic, self.partition(), &produce_error);
                }
                Err(error)
            }
            SendRefusal::Record(error) => {
                self.core.counters.rejected();
                // The application has not got the future yet: callback and interceptors run on its own thread.
                interceptors.on_send_error(topic, self.partition(), &error);
                if let Some(callback) = self.callback.as_deref_mut() {
                    // Does nothing if a batch has taken the callback.
                    let call = || callback.call(Err(&error));
                    if let Err(failure) =
                        Fence::of(&plugins.instance).call(UserCode::Callback, call)
                    {
                        log::error!(
                            plugins.instance.log(),
                            "{}",
                            failure.about(format_args!("topic {topic}"))
                        );
                    }
                }
                Ok(FutureRecordMetadata::failed(error))
            }
        }
    }
}
