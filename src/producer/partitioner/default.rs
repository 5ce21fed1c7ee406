//! Default partitioner: by hash of the key, or sticky for records without a key.

use super::sticky::StickyPartitionCache;
use super::{PartitionInput, Partitioner, no_partitions};
use crate::error::BoxError;
use crate::types::{Cluster, PartitionId};
use crate::util::murmur2::{murmur2, to_positive};

/// The default partitioner. A record with a key goes to the partition that a hash of the key's bytes selects. Records
/// without a key go to one sticky partition until its batch is full, then to another.
///
/// The hash is taken modulo the number of all partitions, with or without a leader, so a key's partition changes only
/// when partitions are added to the topic. An empty key is a key, too.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::{DefaultPartitioner, KafkaProducer, ProducerConfig};
///
/// let config = ProducerConfig::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let producer = KafkaProducer::<str, str>::builder(config)
///     .stock_serializers()
///     .partitioner(DefaultPartitioner::with_seed(7))
///     .build()?;
/// # drop(producer);
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.DefaultPartitioner`; every Kafka client that keeps to
/// Java's hash puts the same key into the same partition.
#[derive(Debug)]
pub struct DefaultPartitioner {
    sticky: StickyPartitionCache,
}

impl DefaultPartitioner {
    /// The Java class name, by which `partitioner.class` selects this partitioner.
    pub const JAVA_CLASS: &'static str =
        "org.apache.kafka.clients.producer.internals.DefaultPartitioner";

    /// A partitioner whose sticky choices differ from process to process.
    pub fn new() -> Self {
        Self {
            sticky: StickyPartitionCache::new(),
        }
    }

    /// A partitioner whose sticky choices follow from `seed`: for tests.
    pub fn with_seed(seed: u64) -> Self {
        Self {
            sticky: StickyPartitionCache::with_seed(seed),
        }
    }

    pub(super) fn has_no_seed(&self) -> bool {
        !self.sticky.is_seeded()
    }
}

impl Default for DefaultPartitioner {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: ?Sized, V: ?Sized> Partitioner<K, V> for DefaultPartitioner {
    fn partition(&self, record: &PartitionInput<'_, K, V>) -> Result<PartitionId, BoxError> {
        let (topic, cluster) = (record.topic(), record.cluster());
        let chosen = match record.key_bytes() {
            Some(key) => cluster
                // All partitions, not the available ones: a key must not move when a leader is lost.
                .partition_count(topic)
                .and_then(|count| u32::try_from(count).ok())
                .map(|count| partition_for_key(key, count)),
            None => self.sticky.partition(topic, cluster),
        };
        chosen.ok_or_else(|| no_partitions(topic))
    }

    fn on_new_batch(&self, topic: &str, cluster: &Cluster, previous: PartitionId) {
        self.sticky.next_partition(topic, cluster, previous);
    }
}

/// The partition of a key in a topic of `count` partitions; `count` must not be 0.
#[inline]
pub(crate) fn partition_for_key(key: &[u8], count: u32) -> PartitionId {
    // The remainder fits into 31 bits, since the dividend does.
    (to_positive(murmur2(key)) % count) as PartitionId
}
