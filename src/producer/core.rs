//! State of a `KafkaProducer` on the application side: [`Core`], independent of the types of keys and values, and the
//! [`Plugins`].

use std::sync::Arc;

use super::accumulator::{Choice, RecordAccumulator};
#[cfg(feature = "testing")]
use super::call_errors::{CallErrors, Set};
use super::counters::Counters;
use super::instance::Instance;
use super::interceptor::ProducerInterceptors;
use super::metadata::ProducerMetadata;
use super::metrics_reporters::MetricsReporters;
use super::partitioner::{RandomSource, Strategy};
use super::record::RecordData;
use super::sender::SenderControl;
use super::sensors::ProducerSensors;
use super::serializer::{PreparedSerializer, Serialized};
use super::transaction::Transactions;
use super::user_code::{Fence, UserCode, drop_contained};
use super::waiting::Driver;
use super::wake::SenderWaker;
use crate::clock::Clock;
use crate::compress::CompressionType;
use crate::config::ProducerConfig;
use crate::error::{BoxError, PluginKind, SendError};
use crate::metrics::tables::CallSensor;
use crate::metrics::{MetricGroup, MetricsRegistry};
use crate::planted::planted;
use crate::record::builder::{RecordParts, batch_size_upper_bound};
use crate::record::legacy::LegacyMagic;
#[cfg(feature = "tls-no-provider")]
use crate::security::tls::TlsClient;
use crate::types::{PartitionId, UsableMagic};
use crate::util::log::warn;
use crate::util::process::RecentlyAsked;

/// The non-generic part of a producer: the state that its calls share with each other and with the sender.
pub(crate) struct Core {
    pub(crate) accumulator: Arc<RecordAccumulator>,
    pub(crate) metadata: Arc<ProducerMetadata>,
    pub(crate) waker: Arc<SenderWaker>,
    pub(crate) control: Arc<SenderControl>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) metrics: Arc<MetricsRegistry>,
    pub(crate) sensors: Arc<ProducerSensors>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) random: RandomSource,
    pub(crate) instance: Instance,
    pub(crate) fork_asked: RecentlyAsked,
    /// `None` without a `transactional.id`.
    pub(crate) transactions: Option<Arc<Transactions>>,
    /// The TLS client of the producer's connections; `None` if `security.protocol` does not use TLS.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<TlsClient>,
    /// `None` unless this is a mock producer.
    #[cfg(feature = "testing")]
    pub(crate) call_errors: Option<Arc<CallErrors>>,
    pub(crate) config: ProducerConfig,
}

/// The plug-ins: serializers, partitioner, interceptors, metrics reporters.
pub(crate) struct Plugins<K: ?Sized + RecordData, V: ?Sized + RecordData> {
    pub(crate) key_serializer: PreparedSerializer<K>,
    pub(crate) value_serializer: PreparedSerializer<V>,
    pub(crate) strategy: Strategy<K, V>,
    pub(crate) interceptors: Arc<ProducerInterceptors<K, V>>,
    /// The producer's metrics registry.
    pub(crate) metrics: Arc<MetricsRegistry>,
    /// Observers of the registry.
    pub(crate) reporters: Arc<MetricsReporters>,
    /// The `app-info` metrics, from the end of the construction until the reporters are closed.
    pub(crate) app_info: Option<Arc<MetricGroup>>,
    /// Identifies the producer in the [`Fence`] of its plug-ins.
    pub(crate) instance: Instance,
}

/// A record's excess over a size limit of the configuration. Sizes are in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Excess {
    pub(crate) size: usize,
    pub(crate) limit: usize,
    /// The configuration's key that sets the limit.
    pub(crate) key: &'static str,
}

/// A record's key and value as bytes.
#[derive(Debug)]
pub(crate) struct SerializedRecord<B> {
    pub(crate) key: Option<B>,
    pub(crate) value: Option<B>,
}

impl<'a> From<SerializedRecord<&'a [u8]>> for SerializedRecord<Serialized<'a>> {
    fn from(borrowed: SerializedRecord<&'a [u8]>) -> Self {
        Self {
            key: borrowed.key.map(Into::into),
            value: borrowed.value.map(Into::into),
        }
    }
}

impl Core {
    /// Checks a record against `max.request.size` and `buffer.memory`. Both sizes are upper bounds, in bytes, for a
    /// batch with only this record: `sent` in a request, `staged` in the accumulator (KP-19).
    #[inline]
    pub(crate) fn check_size(&self, sent: usize, staged: usize) -> Result<(), Excess> {
        let request = self.config.max_request_size();
        // Not read from the pool: its total is on a cache line that the sender writes whenever a batch's memory is
        // returned.
        let memory = self.config.buffer_memory();
        // `max.request.size` first, as in `ensureValidRecordSize`.
        let (size, limit, key) = if sent > request {
            (sent, request, "max.request.size")
        } else if staged > memory {
            (staged, memory, "buffer.memory")
        } else {
            return Ok(());
        };
        Err(Excess { size, limit, key })
    }

    /// Upper bound of the size of a batch with only this record, in the newest format that all brokers support.
    ///
    /// # Kafka
    /// `AbstractRecords#estimateSizeInBytesUpperBound`.
    pub(crate) fn size_upper_bound(&self, record: &RecordParts<'_>, payload_len: usize) -> usize {
        let Some(magic) = LegacyMagic::of(self.usable_magic.load()) else {
            return batch_size_upper_bound(payload_len);
        };
        let is_compressed = self.accumulator.codec() != CompressionType::None;
        // Headers do not count: formats before v2 have none, and such a record is refused.
        let [key, value] = [record.key, record.value].map(|field| field.map_or(0, <[u8]>::len));
        magic.set_size_upper_bound(is_compressed, key, value)
    }

    /// The error of calls to a closed producer.
    #[cold]
    pub(crate) fn closed(&self) -> SendError {
        // A failed sender also closes the producer; its error says more than `Closed`.
        match self.control.failure() {
            Some(failure) => SendError::ProducerFailed(failure.clone()),
            None => SendError::Closed,
        }
    }

    /// Returns the injected error of a call, if there is one.
    #[cfg(feature = "testing")]
    pub(super) fn check_call<E: Clone>(
        &self,
        of: impl FnOnce(&Set) -> &Option<E>,
    ) -> Result<(), E> {
        match &self.call_errors {
            Some(errors) => errors.check(of),
            None => Ok(()),
        }
    }

    /// Driver of blocking calls.
    pub(super) fn driver(&self) -> Driver<'_> {
        Driver::new(&*self.clock, self.instance.id())
    }

    /// Runs a call, and records its duration.
    pub(super) fn timed<T>(&self, sensor: CallSensor, call: impl FnOnce() -> T) -> T {
        let began = self.clock.now();
        let outcome = call();
        let now = self.clock.now();
        self.sensors.called(sensor, now - began, now);
        outcome
    }

    /// Refuses new records, and wakes all threads that wait for metadata or memory.
    pub(super) fn refuse_new_records(&self) {
        // The accumulator is closed first: a thread that is then woken from its wait can no longer append.
        self.accumulator.close();
        self.metadata.close();
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> Plugins<K, V> {
    /// Zero-copy serialization: key and value as borrowed bytes, if no serializer has to run for them.
    #[inline]
    pub(super) fn borrow_bytes<'r>(
        &self,
        key: Option<&'r K>,
        value: Option<&'r V>,
    ) -> Option<SerializedRecord<&'r [u8]>> {
        let key = self.key_serializer.borrow(key)?;
        let value = self.value_serializer.borrow(value)?;
        Some(SerializedRecord { key, value })
    }

    /// How the partition is chosen, if the record names it or the strategy is built in (KP-17, PT-1). `None` if a
    /// custom partitioner has to choose it.
    #[inline]
    pub(super) fn choice(&self, wanted: Option<PartitionId>, has_key: bool) -> Option<Choice> {
        match (wanted, &self.strategy) {
            (Some(partition), _) => Some(Choice::Given(partition)),
            (None, Strategy::Default) if has_key => Some(Choice::ByKey),
            (None, Strategy::Default | Strategy::UniformSticky) => Some(Choice::Sticky),
            (None, Strategy::Custom(_)) => None,
        }
    }

    /// Closes all plug-ins, even if some fail; returns the first failure.
    pub(super) fn close(&self) -> Result<(), Arc<str>> {
        // Order of `KafkaProducer#close`: interceptors, metrics, serializers, partitioner.
        let interceptors = self.interceptors.close();
        if planted!(ReportersClosedTooEarly) {
            let _ = self.reporters.close();
        }
        // Removed before the reporters are closed, since the removal is reported to them.
        if let Some(app_info) = &self.app_info {
            self.metrics.remove_group(app_info);
        }
        let reporters = self.reporters.close();
        // Failures of interceptors and reporters have been logged already.
        let mut first = interceptors.and(reporters);
        let mut close = |who, call: &dyn Fn() -> Result<(), BoxError>| {
            if let Err(failure) = Fence::of(&self.instance).try_call(who, call) {
                warn!(self.instance.log(), "{failure}");
                if first.is_ok() {
                    first = Err(failure);
                }
            }
        };
        close(
            UserCode::Plugin(PluginKind::KeySerializer, "close"),
            &|| self.key_serializer.as_serializer().close(),
        );
        close(
            UserCode::Plugin(PluginKind::ValueSerializer, "close"),
            &|| self.value_serializer.as_serializer().close(),
        );
        if let Strategy::Custom(partitioner) = &self.strategy {
            close(UserCode::Plugin(PluginKind::Partitioner, "close"), &|| {
                partitioner.close()
            });
        }
        first.map_err(|failure| failure.to_string().into())
    }

    /// Drops all plug-ins, with panics of their destructors contained.
    pub(super) fn drop_contained(self) {
        // Destructured, so that a new plug-in cannot be forgotten here.
        let Self {
            key_serializer,
            value_serializer,
            strategy,
            interceptors,
            metrics: _,
            reporters,
            app_info: _,
            instance,
        } = self;
        // The reporters contain the panics of their own destructors.
        drop(reporters);
        let dropped = [
            drop_contained(
                UserCode::Plugin(PluginKind::Interceptor, "drop"),
                interceptors,
            ),
            drop_contained(
                UserCode::Plugin(PluginKind::KeySerializer, "drop"),
                key_serializer,
            ),
            drop_contained(
                UserCode::Plugin(PluginKind::ValueSerializer, "drop"),
                value_serializer,
            ),
            drop_contained(UserCode::Plugin(PluginKind::Partitioner, "drop"), strategy),
        ];
        for failure in dropped.into_iter().filter_map(Result::err) {
            warn!(instance.log(), "{failure}");
        }
    }

    /// Moves the plug-ins out of a producer that is being dropped, and leaves stubs in their places.
    pub(super) fn take(&mut self) -> Self {
        Self {
            key_serializer: self.key_serializer.take(),
            value_serializer: self.value_serializer.take(),
            strategy: std::mem::replace(&mut self.strategy, Strategy::Default),
            interceptors: std::mem::replace(
                &mut self.interceptors,
                Arc::new(ProducerInterceptors::none(self.instance.clone())),
            ),
            metrics: Arc::clone(&self.metrics),
            reporters: std::mem::replace(
                &mut self.reporters,
                MetricsReporters::none(self.instance.clone()),
            ),
            app_info: self.app_info.take(),
            instance: self.instance.clone(),
        }
    }
}
