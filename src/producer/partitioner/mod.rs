//! Partitioners: choose the partition of records that do not name one.

mod default;
mod random;
mod round_robin;
mod sticky;
mod topic_map;
mod uniform_sticky;

use std::any::Any;
use std::fmt;

pub use default::DefaultPartitioner;
pub(crate) use default::partition_for_key;
pub(crate) use random::RandomSource;
pub use round_robin::RoundRobinPartitioner;
#[cfg(test)]
use sticky::StickyPartitionCache;
pub(crate) use sticky::{StickyPartition, another};
pub use uniform_sticky::UniformStickyPartitioner;

use crate::config::PluginConfig;
use crate::error::BoxError;
use crate::types::{Cluster, PartitionId};

/// Chooses the partition of records that do not name one.
///
/// The stock ones work for all types; one of your own is usually written for the types it looks at:
///
/// ```
/// use kafka_producer::{BoxError, PartitionId, PartitionInput, Partitioner};
///
/// /// Large orders have partition 0 to themselves.
/// struct ByAmount;
///
/// impl Partitioner<str, u64> for ByAmount {
///     fn partition(&self, record: &PartitionInput<'_, str, u64>) -> Result<PartitionId, BoxError> {
///         Ok(if record.value().is_some_and(|amount| *amount > 10_000) { 0 } else { 1 })
///     }
/// }
/// ```
///
/// # Threads
/// [`partition`](Self::partition) and [`on_new_batch`](Self::on_new_batch) are called on every thread
/// that sends, at the same time. A panic is contained and fails the call that sends.
/// # Kafka
/// `org.apache.kafka.clients.producer.Partitioner`. Differs: it has the types of key and value, and
/// sees whether a record is partitioned a second time ([`PartitionInput::previous`]).
pub trait Partitioner<K: ?Sized, V: ?Sized>: Send + Sync {
    /// Takes what it needs from the producer's configuration; called once, before anything else.
    ///
    /// # Errors
    /// Whatever is wrong with the configuration; the producer is not built then.
    fn configure(&mut self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// Chooses a partition, from 0 to one less than the number that the topic has.
    ///
    /// # Errors
    /// Any reason not to choose; the record is not sent then, and the caller gets it as
    /// [`SendError::Partitioner`](crate::SendError::Partitioner).
    fn partition(&self, record: &PartitionInput<'_, K, V>) -> Result<PartitionId, BoxError>;

    /// The record that was just put into `previous` is about to be the first of a new batch. This is
    /// the moment to move on to another partition: the record is offered to
    /// [`partition`](Self::partition) once more.
    ///
    /// # Kafka
    /// `Partitioner#onNewBatch`.
    fn on_new_batch(&self, topic: &str, cluster: &Cluster, previous: PartitionId) {
        let _ = (topic, cluster, previous);
    }

    /// The producer is being closed.
    ///
    /// # Errors
    /// Reported by the producer's `close`; the producer is closed all the same.
    fn close(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<K: ?Sized, V: ?Sized, P: Partitioner<K, V> + ?Sized> Partitioner<K, V> for Box<P> {
    fn configure(&mut self, config: &PluginConfig) -> Result<(), BoxError> {
        (**self).configure(config)
    }

    fn partition(&self, record: &PartitionInput<'_, K, V>) -> Result<PartitionId, BoxError> {
        (**self).partition(record)
    }

    fn on_new_batch(&self, topic: &str, cluster: &Cluster, previous: PartitionId) {
        (**self).on_new_batch(topic, cluster, previous);
    }

    fn close(&self) -> Result<(), BoxError> {
        (**self).close()
    }
}

/// How partitions are chosen. The two that stick to a partition read it from the topic's entry, which
/// the append needs anyway.
pub(crate) enum Strategy<K: ?Sized, V: ?Sized> {
    Default,
    UniformSticky,
    Custom(Box<dyn Partitioner<K, V>>),
}

impl<K: ?Sized, V: ?Sized> Strategy<K, V> {
    /// The strategy of a partitioner instance. An instance of a stock partitioner is as fast as one configured by name,
    /// unless it has its own seed.
    pub(crate) fn of(partitioner: impl Partitioner<K, V> + 'static) -> Self {
        // Recognized by type: the strategy then reads the sticky partition from the topic's entry, without a lock.
        let any: &dyn Any = &partitioner;
        if any
            .downcast_ref()
            .is_some_and(DefaultPartitioner::has_no_seed)
        {
            Self::Default
        } else if any
            .downcast_ref()
            .is_some_and(UniformStickyPartitioner::has_no_seed)
        {
            Self::UniformSticky
        } else {
            Self::Custom(Box::new(partitioner))
        }
    }
}

/// A stock partitioner for the Java class that `partitioner.class` names; `None` for any other class.
pub(crate) fn stock_partitioner<K: ?Sized, V: ?Sized>(
    class: &str,
) -> Option<Box<dyn Partitioner<K, V>>> {
    match class {
        DefaultPartitioner::JAVA_CLASS => Some(Box::new(DefaultPartitioner::new())),
        RoundRobinPartitioner::JAVA_CLASS => Some(Box::new(RoundRobinPartitioner::new())),
        UniformStickyPartitioner::JAVA_CLASS => Some(Box::new(UniformStickyPartitioner::new())),
        _ => None,
    }
}

/// What a [`Partitioner`] may look at: a record, serialized and not, and the cluster.
pub struct PartitionInput<'a, K: ?Sized, V: ?Sized> {
    topic: &'a str,
    key: Option<&'a K>,
    key_bytes: Option<&'a [u8]>,
    value: Option<&'a V>,
    value_bytes: Option<&'a [u8]>,
    previous: Option<PartitionId>,
    cluster: &'a Cluster,
}

impl<'a, K: ?Sized, V: ?Sized> PartitionInput<'a, K, V> {
    /// A record for `topic` with neither key nor value.
    pub fn new(topic: &'a str, cluster: &'a Cluster) -> Self {
        Self {
            topic,
            key: None,
            key_bytes: None,
            value: None,
            value_bytes: None,
            previous: None,
            cluster,
        }
    }

    /// The same with a key, before and after it was serialized.
    #[must_use]
    pub fn with_key(mut self, key: Option<&'a K>, bytes: Option<&'a [u8]>) -> Self {
        self.key = key;
        self.key_bytes = bytes;
        self
    }

    /// The same with a value, before and after it was serialized.
    #[must_use]
    pub fn with_value(mut self, value: Option<&'a V>, bytes: Option<&'a [u8]>) -> Self {
        self.value = value;
        self.value_bytes = bytes;
        self
    }

    /// The same record asked about again, because it would have opened a new batch of `previous`,
    /// the partition that was chosen for it first.
    #[must_use]
    pub fn again(mut self, previous: PartitionId) -> Self {
        self.previous = Some(previous);
        self
    }

    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// The key, as the caller gave it.
    pub fn key(&self) -> Option<&'a K> {
        self.key
    }

    /// The key as it is sent; what the stock partitioners look at.
    pub fn key_bytes(&self) -> Option<&'a [u8]> {
        self.key_bytes
    }

    /// The value, as the caller gave it.
    pub fn value(&self) -> Option<&'a V> {
        self.value
    }

    /// The value as it is sent.
    pub fn value_bytes(&self) -> Option<&'a [u8]> {
        self.value_bytes
    }

    /// The partition chosen for this very record a moment ago, when it is asked about a second time
    /// because it would open a new batch there. A partitioner that counts records must not count
    /// this one twice.
    pub fn previous(&self) -> Option<PartitionId> {
        self.previous
    }

    /// The cluster, in which the topic is known.
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }
}

// Derives would ask for `K: Clone`; only references are held.
impl<K: ?Sized, V: ?Sized> Clone for PartitionInput<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: ?Sized, V: ?Sized> Copy for PartitionInput<'_, K, V> {}

impl<K: ?Sized, V: ?Sized> fmt::Debug for PartitionInput<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionInput")
            .field("topic", &self.topic)
            .field("key_bytes", &self.key_bytes)
            .field("value_bytes", &self.value_bytes)
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}

/// The topic has no partition to choose from: the cluster does not know it.
fn no_partitions(topic: &str) -> BoxError {
    format!("topic {topic} has no partitions in the metadata at hand").into()
}

#[cfg(test)]
mod tests;
