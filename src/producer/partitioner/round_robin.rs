//! Round-robin partitioner.

use std::sync::atomic::{AtomicU32, Ordering};

use super::topic_map::TopicMap;
use super::{PartitionInput, Partitioner, no_partitions};
use crate::error::BoxError;
use crate::types::{PartitionId, PartitionInfo};

/// The round-robin partitioner: records go to a topic's partitions in turn, whatever their keys. Partitions without a
/// leader are skipped, unless no partition has a leader.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::{KafkaProducer, ProducerConfig, RoundRobinPartitioner};
///
/// let config = ProducerConfig::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let producer = KafkaProducer::<str, str>::builder(config)
///     .stock_serializers()
///     .partitioner(RoundRobinPartitioner::new())
///     .build()?;
/// # drop(producer);
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// `org.apache.kafka.clients.producer.RoundRobinPartitioner`. Differs: a record that opens a new batch takes one turn,
/// although its partition is chosen twice. In 3.0.0 it takes two turns, so half of the partitions may get no records
/// (KAFKA-9965, fixed by KAFKA-17632 in 4.0).
#[derive(Debug)]
pub struct RoundRobinPartitioner {
    /// The number of the next turn of each topic.
    turns: TopicMap<AtomicU32>,
}

impl RoundRobinPartitioner {
    /// The Java class name, by which `partitioner.class` selects this partitioner.
    pub const JAVA_CLASS: &'static str = "org.apache.kafka.clients.producer.RoundRobinPartitioner";

    /// Turns wrap to zero at this number, as in Java, where a turn is an int made positive.
    const TURNS: u32 = 0x8000_0000;

    /// A partitioner that begins with the first partition of each topic.
    pub fn new() -> Self {
        Self {
            turns: TopicMap::new(),
        }
    }

    fn next_turn(&self, topic: &str) -> usize {
        let take = |turns: &AtomicU32| turns.fetch_add(1, Ordering::Relaxed);
        let turn = self
            .turns
            // The common case takes no lock; only a topic's first record inserts its counter.
            .read(topic, take)
            .unwrap_or_else(|| take(&self.turns.get_or_insert(topic, || AtomicU32::new(0))));
        (turn % Self::TURNS) as usize
    }
}

impl Default for RoundRobinPartitioner {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: ?Sized, V: ?Sized> Partitioner<K, V> for RoundRobinPartitioner {
    fn partition(&self, record: &PartitionInput<'_, K, V>) -> Result<PartitionId, BoxError> {
        // The record took its turn at the first choice.
        if let Some(previous) = record.previous() {
            return Ok(previous);
        }
        let (topic, cluster) = (record.topic(), record.cluster());
        let all = cluster.partitions(topic);
        if all.is_empty() {
            return Err(no_partitions(topic));
        }
        let turn = self.next_turn(topic);
        let available = cluster.available_partitions(topic).count();
        let chosen = match available {
            // No partition has a leader: the record waits in its batch until a leader is elected.
            0 => all.get(turn % all.len()),
            _ => cluster.available_partitions(topic).nth(turn % available),
        };
        chosen
            .map(PartitionInfo::partition)
            .ok_or_else(|| no_partitions(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Cluster, Node, TopicPartition};

    /// The counter of round robin (PT-8) continues at 0 after the largest positive 32-bit number.
    #[test]
    fn the_turn_stays_positive_when_it_wraps() {
        let node = Node::new(0, "localhost", 99);
        let partitions = (0..3)
            .map(|n| PartitionInfo::new(TopicPartition::new("t", n), Some(node.clone())))
            .collect();
        let cluster = Cluster::new(vec![node], partitions);
        let partitioner = RoundRobinPartitioner::new();
        partitioner
            .turns
            .get_or_insert("t", || AtomicU32::new(i32::MAX as u32));
        let next = || {
            let input: PartitionInput<'_, str, str> = PartitionInput::new("t", &cluster);
            partitioner.partition(&input).unwrap()
        };
        assert_eq!([next(), next(), next()], [i32::MAX % 3, 0, 1]);
    }
}
