//! Uniform sticky partitioner: sticky for all records, with or without a key.

use super::sticky::StickyPartitionCache;
use super::{PartitionInput, Partitioner, no_partitions};
use crate::error::BoxError;
use crate::types::{Cluster, PartitionId};

/// The uniform sticky partitioner: all records of a topic go to one sticky partition until its batch is full, then to
/// another. Keys are ignored, so records with one key may go to several partitions, and their order is not kept.
///
/// ```
/// use kafka_producer::{KafkaProducer, ProducerConfig, UniformStickyPartitioner};
///
/// let config = ProducerConfig::builder().bootstrap_servers(["127.0.0.1:9092"]).build()?;
/// let producer = KafkaProducer::<str, str>::builder(config)
///     .stock_serializers()
///     .partitioner(UniformStickyPartitioner::new())
///     .build()?;
/// # drop(producer);
/// # Ok::<(), kafka_producer::ConstructError>(())
/// ```
///
/// # Kafka
/// `org.apache.kafka.clients.producer.UniformStickyPartitioner`.
#[derive(Debug)]
pub struct UniformStickyPartitioner {
    sticky: StickyPartitionCache,
}

impl UniformStickyPartitioner {
    /// The Java class name, by which `partitioner.class` selects this partitioner.
    pub const JAVA_CLASS: &'static str =
        "org.apache.kafka.clients.producer.UniformStickyPartitioner";

    /// A partitioner whose choices differ from process to process.
    pub fn new() -> Self {
        Self {
            sticky: StickyPartitionCache::new(),
        }
    }

    /// A partitioner whose choices follow from `seed`: for tests.
    pub fn with_seed(seed: u64) -> Self {
        Self {
            sticky: StickyPartitionCache::with_seed(seed),
        }
    }

    pub(super) fn has_no_seed(&self) -> bool {
        !self.sticky.is_seeded()
    }
}

impl Default for UniformStickyPartitioner {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: ?Sized, V: ?Sized> Partitioner<K, V> for UniformStickyPartitioner {
    fn partition(&self, record: &PartitionInput<'_, K, V>) -> Result<PartitionId, BoxError> {
        let topic = record.topic();
        self.sticky
            .partition(topic, record.cluster())
            .ok_or_else(|| no_partitions(topic))
    }

    fn on_new_batch(&self, topic: &str, cluster: &Cluster, previous: PartitionId) {
        self.sticky.next_partition(topic, cluster, previous);
    }
}
