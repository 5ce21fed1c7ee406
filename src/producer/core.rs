//! What the parts of the producer's face share: what does not depend on the types of keys and values, and
//! what the user brought.

use std::sync::Arc;

use super::accumulator::{Choice, RandomSource, RecordAccumulator};
use super::counters::Counters;
use super::instance::Instance;
use super::interceptor::ProducerInterceptors;
use super::metadata::ProducerMetadata;
use super::partitioner::Partitioner;
use super::sender::SenderControl;
use super::serializer::{PreparedSerializer, Serialized};
use super::user_code::{Fence, UserCode, let_go};
use super::waiting::Driver;
use super::wake::SenderWaker;
use crate::clock::Clock;
use crate::compress::CompressionType;
use crate::config::ProducerConfig;
use crate::error::{BoxError, PluginKind, SendError};
use crate::record::builder::{RecordParts, batch_size_upper_bound};
use crate::record::legacy::LegacyMagic;
use crate::types::{PartitionId, UsableMagic};
use crate::util::log::warn;
use crate::util::process::RecentlyAsked;

/// What does not depend on the types of keys and values.
pub(crate) struct Core {
    pub(crate) accumulator: Arc<RecordAccumulator>,
    pub(crate) metadata: Arc<ProducerMetadata>,
    pub(crate) waker: Arc<SenderWaker>,
    pub(crate) control: Arc<SenderControl>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) random: RandomSource,
    pub(crate) instance: Instance,
    pub(crate) fork_asked: RecentlyAsked,
    pub(crate) config: ProducerConfig,
}

/// What the user brought.
pub(crate) struct Plugins<K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    pub(crate) key_serializer: PreparedSerializer<K>,
    pub(crate) value_serializer: PreparedSerializer<V>,
    pub(crate) strategy: Strategy<K, V>,
    pub(crate) interceptors: Arc<ProducerInterceptors<K, V>>,
    /// All of it is run through this.
    pub(crate) instance: Instance,
}

/// How partitions are chosen. The two that stick to a partition read it from the topic's entry, which
/// the append needs anyway.
pub(crate) enum Strategy<K: ?Sized, V: ?Sized> {
    Default,
    UniformSticky,
    Custom(Box<dyn Partitioner<K, V>>),
}

/// A record is larger than the configuration allows.
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
    /// KP-19: `sent` is the most that a batch of the record alone takes in a request, `staged` in memory until then.
    #[inline]
    pub(crate) fn check_size(&self, sent: usize, staged: usize) -> Result<(), Excess> {
        let request = self.config.max_request_size();
        // Not asked of the pool: its total lies beside what the sender writes whenever a batch's memory comes back.
        let memory = self.config.buffer_memory();
        let (size, limit, key) = if sent > request {
            (sent, request, "max.request.size")
        } else if staged > memory {
            (staged, memory, "buffer.memory")
        } else {
            return Ok(());
        };
        Err(Excess { size, limit, key })
    }

    /// The most bytes that a batch of this record alone takes, in the newest format that all brokers
    /// understand.
    ///
    /// # Kafka
    /// `AbstractRecords#estimateSizeInBytesUpperBound`.
    pub(crate) fn size_upper_bound(&self, record: &RecordParts<'_>, payload_len: usize) -> usize {
        let Some(magic) = LegacyMagic::of(self.usable_magic.load()) else {
            return batch_size_upper_bound(payload_len);
        };
        let is_compressed = self.accumulator.codec() != CompressionType::None;
        let [key, value] = [record.key, record.value].map(|field| field.map_or(0, <[u8]>::len));
        magic.set_size_upper_bound(is_compressed, key, value)
    }

    /// Why nothing is taken any more.
    #[cold]
    pub(crate) fn closed(&self) -> SendError {
        match self.control.failure() {
            Some(why) => SendError::ProducerFailed(Arc::clone(why)),
            None => SendError::Closed,
        }
    }

    /// What calls of the application wait with.
    pub(super) fn driver(&self) -> Driver<'_> {
        Driver::new(&*self.clock, self.instance.id())
    }

    /// Takes nothing any more, and lets go of who waits for a topic or for memory.
    pub(super) fn close_doors(&self) {
        self.accumulator.close();
        self.metadata.close();
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> Plugins<K, V> {
    /// The bytes that a record has already, when that is so for both key and value.
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

    /// How the partition is chosen when nobody need be asked: the record has one, or the strategy is a stock
    /// one (KP-17, PT-1).
    #[inline]
    pub(super) fn choice(&self, wanted: Option<PartitionId>, has_key: bool) -> Option<Choice> {
        match (wanted, &self.strategy) {
            (Some(partition), _) => Some(Choice::Given(partition)),
            (None, Strategy::Default) if has_key => Some(Choice::ByKey),
            (None, Strategy::Default | Strategy::UniformSticky) => Some(Choice::Sticky),
            (None, Strategy::Custom(_)) => None,
        }
    }

    /// Closes all, whether or not others fail; the first failure is returned.
    pub(super) fn close(&self) -> Result<(), Arc<str>> {
        let mut first = self.interceptors.close();
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

    /// Drops all.
    pub(super) fn let_go(self) {
        let Self {
            key_serializer,
            value_serializer,
            strategy,
            interceptors,
            instance,
        } = self;
        let dropped = [
            let_go(
                UserCode::Plugin(PluginKind::Interceptor, "drop"),
                interceptors,
            ),
            let_go(
                UserCode::Plugin(PluginKind::KeySerializer, "drop"),
                key_serializer,
            ),
            let_go(
                UserCode::Plugin(PluginKind::ValueSerializer, "drop"),
                value_serializer,
            ),
            let_go(UserCode::Plugin(PluginKind::Partitioner, "drop"), strategy),
        ];
        for failure in dropped.into_iter().filter_map(Result::err) {
            warn!(instance.log(), "{failure}");
        }
    }

    /// Takes the plug-ins out of a producer that is gone; those that are left in their places do nothing.
    pub(super) fn take(&mut self) -> Self {
        Self {
            key_serializer: self.key_serializer.take(),
            value_serializer: self.value_serializer.take(),
            strategy: std::mem::replace(&mut self.strategy, Strategy::Default),
            interceptors: std::mem::replace(
                &mut self.interceptors,
                Arc::new(ProducerInterceptors::new(Vec::new(), self.instance.clone())),
            ),
            instance: self.instance.clone(),
        }
    }
}
