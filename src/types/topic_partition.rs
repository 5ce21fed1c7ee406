//! Topic name and partition id.

use std::fmt;
use std::sync::Arc;

/// A partition's id within its topic, from 0.
pub type PartitionId = i32;

/// A partition of a topic.
///
/// Cheap to clone: the name is shared.
///
/// ```
/// use kafka_producer::TopicPartition;
///
/// let partition = TopicPartition::new("orders", 3);
/// assert_eq!(partition.to_string(), "orders-3");
/// ```
///
/// # Kafka
/// `org.apache.kafka.common.TopicPartition`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    topic: Arc<str>,
    partition: PartitionId,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: PartitionId) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's id.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    pub(crate) fn shared_topic(&self) -> &Arc<str> {
        &self.topic
    }
}

/// `topic-partition`, as Kafka's logs write it.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// As `{"topic": "orders", "partition": 3}`.
#[cfg(feature = "serde")]
mod with_serde {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{PartitionId, TopicPartition};

    /// The serialized form of a [`TopicPartition`].
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "TopicPartition")]
    struct TopicPartitionForm<T> {
        topic: T,
        partition: PartitionId,
    }

    impl Serialize for TopicPartition {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let (topic, partition) = (&*self.topic, self.partition);
            TopicPartitionForm { topic, partition }.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for TopicPartition {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let form = TopicPartitionForm::<String>::deserialize(deserializer)?;
            Ok(Self::new(form.topic, form.partition))
        }
    }
}
