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
/// The stock partitioners work for all types of keys and values. A partitioner of your own is usually written for the
/// types that it reads:
///
/// ```
/// use kafka_producer::{BoxError, PartitionId, PartitionInput, Partitioner};
///
/// /// Sends large orders to partition 0, and all others to partition 1.
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
/// [`partition`](Self::partition) and [`on_new_batch`](Self::on_new_batch) are called on the threads that send,
/// possibly on several at the same time. A panic is caught, and the call of `send` fails.
/// # Kafka
/// `org.apache.kafka.clients.producer.Partitioner`. Differs: it has the types of key and value, and
/// sees whether a record is partitioned a second time ([`PartitionInput::previous`]).
pub trait Partitioner<K: ?Sized, V: ?Sized>: Send + Sync {
    /// Configures the partitioner from the producer's configuration. Called once, before any other method, for a
    /// partitioner that `partitioner.class` names.
    ///
    /// # Errors
    /// The configuration is invalid; the producer is not built.
    fn configure(&mut self, config: &PluginConfig) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// Chooses a partition, from 0 to one less than the topic's number of partitions.
    ///
    /// # Errors
    /// No partition can be chosen: the record is not sent, and `send` returns the error as
    /// [`SendError::Partitioner`](crate::SendError::Partitioner).
    fn partition(&self, record: &PartitionInput<'_, K, V>) -> Result<PartitionId, BoxError>;

    /// Called when the record for which `previous` was just chosen would open a new batch. The partitioner may switch
    /// to another partition now: [`partition`](Self::partition) is called for the record once more.
    ///
    /// # Kafka
    /// `Partitioner#onNewBatch`.
    fn on_new_batch(&self, topic: &str, cluster: &Cluster, previous: PartitionId) {
        let _ = (topic, cluster, previous);
    }

    /// Closes the partitioner: the producer is being closed, or could not be built.
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

/// The partitioning strategy. `Default` and `UniformSticky` read the sticky partition from the topic's entry, which the
/// append needs anyway.
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

/// The input of a [`Partitioner`]: a record's key and value, before and after serialization, and the cluster.
///
/// ```
/// // The test of a partitioner.
/// use kafka_producer::{
///     Cluster, DefaultPartitioner, Node, PartitionInfo, PartitionInput, Partitioner, TopicPartition,
/// };
///
/// let leader = Node::new(1, "kafka-1", 9092);
/// let partitions = (0..3).map(|id| PartitionInfo::new(TopicPartition::new("orders", id), Some(leader.clone())));
/// let cluster = Cluster::new(vec![leader.clone()], partitions.collect());
/// let input: PartitionInput<'_, str, str> =
///     PartitionInput::new("orders", &cluster).with_key(Some("7"), Some(b"7"));
/// let chosen = DefaultPartitioner::new().partition(&input)?;
/// assert!((0..3).contains(&chosen));
/// # Ok::<(), kafka_producer::BoxError>(())
/// ```
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
    /// The input for a record of `topic` with neither key nor value.
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

    /// The same input with a key, before and after serialization.
    #[must_use]
    pub fn with_key(mut self, key: Option<&'a K>, bytes: Option<&'a [u8]>) -> Self {
        self.key = key;
        self.key_bytes = bytes;
        self
    }

    /// The same input with a value, before and after serialization.
    #[must_use]
    pub fn with_value(mut self, value: Option<&'a V>, bytes: Option<&'a [u8]>) -> Self {
        self.value = value;
        self.value_bytes = bytes;
        self
    }

    /// The input for the second choice of the same record, which would open a new batch in `previous`, the partition
    /// that was chosen first.
    #[must_use]
    pub fn again(mut self, previous: PartitionId) -> Self {
        self.previous = Some(previous);
        self
    }

    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// The key, as the caller gave it; `None` without a key.
    pub fn key(&self) -> Option<&'a K> {
        self.key
    }

    /// The key as it is sent. The stock partitioners use these bytes.
    pub fn key_bytes(&self) -> Option<&'a [u8]> {
        self.key_bytes
    }

    /// The value, as the caller gave it; `None` without a value.
    pub fn value(&self) -> Option<&'a V> {
        self.value
    }

    /// The value as it is sent; `None` is Kafka's null.
    pub fn value_bytes(&self) -> Option<&'a [u8]> {
        self.value_bytes
    }

    /// The partition that was chosen first for this record; `None` if this is the first choice. A second choice is made
    /// if the record would open a new batch in that partition. A partitioner that counts records must not count the
    /// record twice.
    pub fn previous(&self) -> Option<PartitionId> {
        self.previous
    }

    /// The cluster, in which the topic is known.
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }
}

// Derives would require `K: Clone`, although only references are held.
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

/// The error for a topic without partitions: the cluster snapshot does not contain it.
fn no_partitions(topic: &str) -> BoxError {
    format!("topic {topic} has no partitions in the metadata at hand").into()
}

#[cfg(test)]
mod tests;
