//! Metadata of an acknowledged record: topic, partition, offset, timestamp, sizes.

use std::fmt;

use crate::clock::{SystemTime, Timestamp};
use crate::record::builder::RecordParts;
use crate::types::{PartitionId, TopicPartition};

/// Per-record part of the metadata: timestamp and sizes. Topic, partition and base offset are those of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordFacts {
    pub(crate) timestamp_ms: i64,
    /// Size in bytes; -1 for null.
    pub(crate) key_size: i32,
    /// Size in bytes; -1 for null.
    pub(crate) value_size: i32,
}

impl RecordFacts {
    #[inline]
    pub(crate) fn new(record: &RecordParts<'_>) -> Self {
        let size_of = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i32);
        Self {
            timestamp_ms: record.timestamp_ms,
            key_size: size_of(record.key),
            value_size: size_of(record.value),
        }
    }

    /// Replaces the timestamp by the broker's log append time, if the topic uses `LogAppendTime` (PB-18).
    /// `log_append_time_ms` is -1 if it does not.
    #[inline]
    pub(crate) fn at(self, log_append_time_ms: i64) -> Self {
        let timestamp_ms = match log_append_time_ms {
            -1 => self.timestamp_ms,
            appended => appended,
        };
        Self {
            timestamp_ms,
            ..self
        }
    }
}

/// Metadata of a record that the cluster acknowledged.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use kafka_producer::testing::MockProducer;
/// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
/// use kafka_producer::ProducerRecord;
///
/// let metadata = producer.send(ProducerRecord::new("orders", "tea").with_partition(2))?.get()?;
/// assert_eq!((metadata.topic(), metadata.partition(), metadata.offset()), ("orders", 2, 0));
/// assert_eq!((metadata.serialized_key_size(), metadata.serialized_value_size()), (None, Some(3)));
/// assert_eq!(metadata.to_string(), "orders-2@0");
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// `org.apache.kafka.clients.producer.RecordMetadata`. Differs: the sizes of a null key or value are
/// `None`, not -1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    topic_partition: TopicPartition,
    offset: i64,
    timestamp: i64,
    /// In bytes; -1 for a null key. Not an `Option<usize>`, which would take more memory.
    serialized_key_size: i32,
    /// In bytes; -1 for a null value.
    serialized_value_size: i32,
}

impl RecordMetadata {
    /// The partition of a record that failed before one was chosen.
    pub const UNKNOWN_PARTITION: PartitionId = -1;
    /// The offset of a record whose offset is not known.
    const UNKNOWN_OFFSET: i64 = -1;
    /// The timestamp of a record that has none.
    const NO_TIMESTAMP: i64 = -1;
    /// The size of a null.
    const NULL_SIZE: i32 = -1;

    /// The `batch_index`-th record of a batch whose first record is at `base_offset`, which is -1 if the broker
    /// returned none.
    pub(crate) fn new(
        topic_partition: TopicPartition,
        base_offset: i64,
        batch_index: u32,
        facts: RecordFacts,
    ) -> Self {
        let mut metadata = Self::placeholder(topic_partition);
        metadata.move_on(base_offset, batch_index, facts);
        metadata
    }

    /// Overwrites the metadata with those of another record of the batch, so that the topic's `Arc` is not cloned for
    /// each callback.
    #[inline]
    pub(crate) fn move_on(&mut self, base_offset: i64, batch_index: u32, facts: RecordFacts) {
        self.offset = match base_offset {
            Self::UNKNOWN_OFFSET => Self::UNKNOWN_OFFSET,
            // A broker may return any offset: the sum must not overflow.
            base => base.saturating_add(i64::from(batch_index)),
        };
        self.timestamp = facts.timestamp_ms;
        self.serialized_key_size = facts.key_size;
        self.serialized_value_size = facts.value_size;
    }

    /// The metadata of a failed record, for interceptors and callbacks: only topic and partition. The partition is
    /// [`UNKNOWN_PARTITION`](Self::UNKNOWN_PARTITION) if none was chosen.
    #[inline]
    pub(crate) fn placeholder(topic_partition: TopicPartition) -> Self {
        Self {
            topic_partition,
            offset: Self::UNKNOWN_OFFSET,
            timestamp: Self::NO_TIMESTAMP,
            serialized_key_size: Self::NULL_SIZE,
            serialized_value_size: Self::NULL_SIZE,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.topic_partition.topic()
    }

    /// The partition; [`UNKNOWN_PARTITION`](Self::UNKNOWN_PARTITION) for a record that failed before
    /// one was chosen.
    pub fn partition(&self) -> PartitionId {
        self.topic_partition.partition()
    }

    /// The topic and the partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// Whether the offset is known. It is unknown if the record failed, if `acks` is 0, or if the broker recognized the
    /// record as a duplicate but no longer has its offset.
    pub fn has_offset(&self) -> bool {
        self.offset != Self::UNKNOWN_OFFSET
    }

    /// The record's offset in its partition, or -1 if it is not known.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether there is a timestamp.
    pub fn has_timestamp(&self) -> bool {
        self.timestamp != Self::NO_TIMESTAMP
    }

    /// The record's timestamp in milliseconds since 1970, or -1 if there is none: the time at which the broker appended
    /// the record, if the topic has `message.timestamp.type=LogAppendTime`, else the record's own.
    /// If an idempotent batch was written, its response was lost and the broker answered the retry as a duplicate, it is the
    /// largest timestamp of the batch, as in Java.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The [timestamp](Self::timestamp) as a time; `None` if there is none.
    pub fn system_time(&self) -> Option<SystemTime> {
        Timestamp::from_millis(self.timestamp).to_system_time()
    }

    /// The key's size in bytes, serialized and before compression; `None` for a null key.
    pub fn serialized_key_size(&self) -> Option<usize> {
        usize::try_from(self.serialized_key_size).ok()
    }

    /// The value's size in bytes, serialized and before compression; `None` for a null value.
    pub fn serialized_value_size(&self) -> Option<usize> {
        usize::try_from(self.serialized_value_size).ok()
    }
}

/// `topic-partition@offset`.
impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.topic_partition, self.offset)
    }
}

/// Topic, partition, offset, timestamp and sizes; null for what is not known.
#[cfg(feature = "serde")]
mod with_serde {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::producer::record_metadata::{RecordFacts, RecordMetadata};
    use crate::types::{PartitionId, TopicPartition};

    /// The serialized form of [`RecordMetadata`].
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "RecordMetadata")]
    struct RecordMetadataForm<T> {
        topic: T,
        partition: PartitionId,
        offset: Option<i64>,
        timestamp: Option<i64>,
        serialized_key_size: Option<i32>,
        serialized_value_size: Option<i32>,
    }

    impl Serialize for RecordMetadata {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let size = |size: i32| (size >= 0).then_some(size);
            let form = RecordMetadataForm {
                topic: self.topic(),
                partition: self.partition(),
                offset: self.has_offset().then_some(self.offset),
                timestamp: self.has_timestamp().then_some(self.timestamp),
                serialized_key_size: size(self.serialized_key_size),
                serialized_value_size: size(self.serialized_value_size),
            };
            form.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for RecordMetadata {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let form = RecordMetadataForm::<String>::deserialize(deserializer)?;
            let facts = RecordFacts {
                timestamp_ms: form.timestamp.unwrap_or(Self::NO_TIMESTAMP),
                key_size: form.serialized_key_size.unwrap_or(Self::NULL_SIZE),
                value_size: form.serialized_value_size.unwrap_or(Self::NULL_SIZE),
            };
            let partition = TopicPartition::new(form.topic, form.partition);
            let offset = form.offset.unwrap_or(Self::UNKNOWN_OFFSET);
            Ok(Self::new(partition, offset, 0, facts))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition::new("foo", 3)
    }

    fn facts(timestamp_ms: i64, key_size: i32, value_size: i32) -> RecordFacts {
        RecordFacts {
            timestamp_ms,
            key_size,
            value_size,
        }
    }

    /// Java: RecordMetadataTest#testConstructionWithRelativeOffset (PB-17)
    #[test]
    fn a_records_offset_is_the_base_offset_of_its_batch_plus_its_index() {
        let metadata = RecordMetadata::new(partition(), 15, 3, facts(2340, 3, 4));
        assert_eq!(metadata.topic(), "foo");
        assert_eq!(metadata.partition(), 3);
        assert_eq!(metadata.topic_partition(), &partition());
        assert!(metadata.has_offset());
        assert_eq!(metadata.offset(), 18);
        assert!(metadata.has_timestamp());
        assert_eq!(metadata.timestamp(), 2340);
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(2340);
        assert_eq!(metadata.system_time(), Some(time));
        assert_eq!(metadata.serialized_key_size(), Some(3));
        assert_eq!(metadata.serialized_value_size(), Some(4));
        assert_eq!(metadata.to_string(), "foo-3@18");
    }

    /// Java: RecordMetadataTest#testConstructionWithMissingBatchIndex (PB-17)
    #[test]
    fn a_records_offset_is_unknown_when_the_base_offset_of_its_batch_is_unknown() {
        let metadata = RecordMetadata::new(partition(), -1, 7, facts(2340, -1, 0));
        assert!(!metadata.has_offset());
        assert_eq!(metadata.offset(), -1);
        assert_eq!(metadata.serialized_key_size(), None);
        assert_eq!(metadata.serialized_value_size(), Some(0));
    }

    #[test]
    fn an_absurd_offset_of_a_broker_does_not_overflow() {
        assert_eq!(
            RecordMetadata::new(partition(), i64::MAX, 1, facts(0, 0, 0)).offset(),
            i64::MAX
        );
    }

    /// For a failed record, interceptors and callbacks get a placeholder: the partition if it is known, and -1 for
    /// offset, timestamp and sizes (KP-30).
    #[test]
    fn a_placeholder_has_only_a_topic_and_a_partition() {
        let unknown = TopicPartition::new("foo", RecordMetadata::UNKNOWN_PARTITION);
        let metadata = RecordMetadata::placeholder(unknown);
        assert_eq!(metadata.partition(), -1);
        assert!(!metadata.has_offset());
        assert!(!metadata.has_timestamp());
        assert_eq!(metadata.timestamp(), -1);
        assert_eq!(metadata.system_time(), None);
        assert_eq!(metadata.serialized_key_size(), None);
        assert_eq!(metadata.serialized_value_size(), None);
        assert_eq!(metadata.to_string(), "foo--1@-1");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn metadata_are_written_as_json_with_null_for_what_is_not_known() {
        let known = RecordMetadata::new(partition(), 15, 3, facts(2340, 3, 4));
        let unknown = RecordMetadata::new(partition(), -1, 7, facts(-1, -1, 0));
        let texts = [
            r#"{"topic":"foo","partition":3,"offset":18,"timestamp":2340,"#.to_owned()
                + r#""serialized_key_size":3,"serialized_value_size":4}"#,
            r#"{"topic":"foo","partition":3,"offset":null,"timestamp":null,"#.to_owned()
                + r#""serialized_key_size":null,"serialized_value_size":0}"#,
        ];
        for (metadata, text) in [known, unknown].into_iter().zip(texts) {
            assert_eq!(serde_json::to_string(&metadata).unwrap(), text);
            assert_eq!(
                serde_json::from_str::<RecordMetadata>(&text).unwrap(),
                metadata
            );
        }
        let text = serde_json::to_string(&partition()).unwrap();
        assert_eq!(text, r#"{"topic":"foo","partition":3}"#);
        assert_eq!(
            serde_json::from_str::<TopicPartition>(&text).unwrap(),
            partition()
        );
    }
}
