//! Consumer group metadata and offsets, for a producer that commits a consumer's offsets in its transaction.

use std::sync::Arc;

/// A consumer group, and the member and generation whose offsets are committed. By these, brokers fence a zombie
/// consumer: one that no longer belongs to the group's current generation.
///
/// Member and generation may be left out (`"my-group".into()`). Then only the transactional id protects from zombies.
///
/// ```
/// use kafka_producer::ConsumerGroupMetadata;
///
/// let group = ConsumerGroupMetadata::new("billing").member("consumer-1-c0ffee", 7);
/// assert_eq!(group.group_id(), "billing");
/// ```
///
/// # Kafka
/// `ConsumerGroupMetadata` (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "they are Kafka's names")]
pub struct ConsumerGroupMetadata {
    pub(crate) group_id: Arc<str>,
    pub(crate) generation_id: i32,
    pub(crate) member_id: Arc<str>,
    pub(crate) group_instance_id: Option<Arc<str>>,
}

impl ConsumerGroupMetadata {
    /// A group without member metadata.
    pub fn new(group_id: impl Into<Arc<str>>) -> Self {
        Self {
            group_id: group_id.into(),
            generation_id: -1,
            member_id: "".into(),
            group_instance_id: None,
        }
    }

    /// Sets member id and generation id. Needs brokers of 2.5 or later.
    #[must_use]
    pub fn member(mut self, member_id: impl Into<Arc<str>>, generation_id: i32) -> Self {
        self.member_id = member_id.into();
        self.generation_id = generation_id;
        self
    }

    /// Sets the member's `group.instance.id`.
    #[must_use]
    pub fn group_instance_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.group_instance_id = Some(id.into());
        self
    }

    /// The group id.
    pub fn group_id(&self) -> &str {
        &self.group_id
    }

    /// Whether there is member metadata, which brokers before 2.5 cannot check.
    pub(crate) fn names_member(&self) -> bool {
        self.generation_id != -1 || !self.member_id.is_empty() || self.group_instance_id.is_some()
    }

    /// True if the metadata is consistent: a generation above 0 needs a member id.
    pub(crate) fn is_consistent(&self) -> bool {
        self.generation_id <= 0 || !self.member_id.is_empty()
    }
}

impl From<&str> for ConsumerGroupMetadata {
    fn from(group_id: &str) -> Self {
        Self::new(group_id)
    }
}

impl From<String> for ConsumerGroupMetadata {
    fn from(group_id: String) -> Self {
        Self::new(group_id)
    }
}

impl From<&Self> for ConsumerGroupMetadata {
    fn from(group: &Self) -> Self {
        group.clone()
    }
}

/// A consumer's position in a partition: the offset of the record to read *next*, with optional metadata.
///
/// ```
/// use kafka_producer::{OffsetAndMetadata, TopicPartition};
///
/// let last_read = 41;
/// let position = (TopicPartition::new("orders", 0), OffsetAndMetadata::new(last_read + 1));
/// assert_eq!(position.1.offset(), 42);
/// ```
///
/// # Kafka
/// `OffsetAndMetadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) metadata: Arc<str>,
}

impl OffsetAndMetadata {
    /// A position, given by the offset of the record to read next.
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
            metadata: "".into(),
        }
    }

    /// Sets the leader epoch of the last record that was read.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = Some(epoch);
        self
    }

    /// Sets the metadata, a string that is stored with the offset.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Arc<str>>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// The offset of the record to read next.
    pub fn offset(&self) -> i64 {
        self.offset
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self::new(offset)
    }
}
