//! A record in the history of a mock producer.

use std::fmt;

use crate::record::Headers;
use crate::testing::stored::{ReadableBytes, ReadableHeaders, StoredRecord};
use crate::types::{PartitionId, TopicPartition};

/// A sent record, as brokers would have received it. `Debug` prints a key, a value or the value of a header as text, if
/// it is text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MockRecord {
    /// The topic.
    pub topic: String,
    /// The chosen partition.
    pub partition: PartitionId,
    /// The offset that the record gets when it completes. A record that fails uses up an offset too.
    pub offset: i64,
    /// Milliseconds since 1970: the record's own timestamp, or the time of the send.
    pub timestamp: i64,
    /// The serialized key; `None` for null.
    pub key: Option<Vec<u8>>,
    /// The serialized value; `None` for null.
    pub value: Option<Vec<u8>>,
    /// The headers, in order, including those that interceptors and serializers have added.
    pub headers: Headers,
}

impl MockRecord {
    pub(super) fn new(partition: &TopicPartition, stored: StoredRecord) -> Self {
        Self {
            topic: partition.topic().to_owned(),
            partition: partition.partition(),
            offset: stored.offset,
            timestamp: stored.timestamp,
            key: stored.key,
            value: stored.value,
            headers: stored.headers,
        }
    }

    /// The key as text; `None` if it is null, or not UTF-8.
    pub fn key_str(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }

    /// The value as text; `None` if it is null, or not UTF-8.
    pub fn value_str(&self) -> Option<&str> {
        std::str::from_utf8(self.value.as_deref()?).ok()
    }
}

impl fmt::Debug for MockRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &ReadableBytes(self.key.as_deref()))
            .field("value", &ReadableBytes(self.value.as_deref()))
            .field("headers", &ReadableHeaders(&self.headers))
            .finish()
    }
}
