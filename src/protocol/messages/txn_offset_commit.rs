//! TxnOffsetCommit: commits a consumer group's offsets as part of a transaction.

use std::sync::Arc;

use super::topic_result::TopicResult;
use super::{RequestBody, ResponseBody};
use crate::protocol::wire::{DecodeError, EncodeError, Reader, Writer};

/// Request: offsets of a group, which take effect when the transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) group_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// Generation of the group, which fences a consumer that is no longer a member after a rebalance (KIP-447); -1 if
    /// unknown. From version 3.
    pub(crate) generation_id: i32,
    /// Member id of the consumer; empty if unknown. From version 3.
    pub(crate) member_id: Arc<str>,
    /// `group.instance.id` of the consumer, if it has one. From version 3.
    pub(crate) group_instance_id: Option<Arc<str>>,
    pub(crate) topics: Vec<TxnOffsetCommitTopic>,
}

/// Offsets of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<TxnOffsetCommitPartition>,
}

/// Offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitPartition {
    pub(crate) index: i32,
    /// Offset of the next record to read.
    pub(crate) offset: i64,
    /// Leader epoch of the last record read; -1 if unknown. From version 2.
    pub(crate) leader_epoch: i32,
    /// Metadata of the consumer, stored with the offset.
    pub(crate) metadata: Option<Arc<str>>,
}

impl TxnOffsetCommitRequest {
    fn names_a_member(&self) -> bool {
        self.generation_id != -1 || !self.member_id.is_empty() || self.group_instance_id.is_some()
    }
}

impl RequestBody for TxnOffsetCommitRequest {
    fn size_hint(&self) -> usize {
        // Lengths of four texts, numbers, count and tags: 12 + 14 + 5 + 1.
        let instance = self.group_instance_id.as_ref().map_or(0, |id| id.len());
        let texts = self.transactional_id.len() + self.group_id.len() + self.member_id.len();
        // Lengths and tags of a topic: 3 + 5 + 1.
        let topics = self.topics.iter().map(|topic| topic.name.len() + 9);
        // Numbers, length and tags of a partition: 16 + 3 + 1.
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        let partitions = partitions.map(|partition| {
            let metadata = partition.metadata.as_ref();
            metadata.map_or(0, |metadata| metadata.len()) + 20
        });
        32 + texts + instance + topics.chain(partitions).sum::<usize>()
    }

    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_str(&self.transactional_id, "transactional.id");
        w.put_str(&self.group_id, "the group's name");
        w.put_i64(self.producer_id);
        w.put_i16(self.producer_epoch);
        if version >= 3 {
            w.put_i32(self.generation_id);
            w.put_str(&self.member_id, "the member's id");
            w.put_nullable_str(self.group_instance_id.as_deref(), "the member's name");
        } else if self.names_a_member() {
            w.fail(EncodeError::UnsupportedField {
                what: "the member of a group",
                version,
            });
        }
        w.put_array(&self.topics, "the topics", |w, topic| {
            w.put_str(&topic.name, "the topic's name");
            w.put_array(&topic.partitions, "the partitions", |w, partition| {
                partition.encode(w, version);
            });
            w.put_no_tags();
        });
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let transactional_id = r.string("the transactional id")?;
        let group_id = r.string("the group's name")?;
        let producer_id = r.i64("the producer id")?;
        let producer_epoch = r.i16("the producer epoch")?;
        let (generation_id, member_id, group_instance_id) = if version >= 3 {
            (
                r.i32("the generation")?,
                r.string("the member's id")?,
                r.nullable_string("the member's name")?,
            )
        } else {
            (-1, "".into(), None)
        };
        let topics = r.array("the topics", 3, |r| {
            let name = r.string("a topic's name")?;
            let partitions = r.array("a topic's partitions", 14, |r| {
                TxnOffsetCommitPartition::decode(r, version)
            })?;
            r.skip_tags()?;
            Ok(TxnOffsetCommitTopic { name, partitions })
        })?;
        r.skip_tags()?;
        Ok(Self {
            transactional_id,
            group_id,
            producer_id,
            producer_epoch,
            generation_id,
            member_id,
            group_instance_id,
            topics,
        })
    }
}

impl TxnOffsetCommitPartition {
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_i32(self.index);
        w.put_i64(self.offset);
        if version >= 2 {
            w.put_i32(self.leader_epoch);
        }
        w.put_nullable_str(self.metadata.as_deref(), "the offset's metadata");
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let index = r.i32("a partition's index")?;
        let offset = r.i64("a partition's offset")?;
        let leader_epoch = if version >= 2 {
            r.i32("a leader epoch")?
        } else {
            -1
        };
        let metadata = r.nullable_string("an offset's metadata")?;
        r.skip_tags()?;
        Ok(Self {
            index,
            offset,
            leader_epoch,
            metadata,
        })
    }
}

/// Response: an error code per partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) topics: Vec<TopicResult>,
}

impl ResponseBody for TxnOffsetCommitResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_i32(self.throttle_time_ms);
        TopicResult::encode_all(&self.topics, w);
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let throttle_time_ms = r.i32("the throttle time")?;
        let topics = TopicResult::decode_all(r)?;
        r.skip_tags()?;
        Ok(Self {
            throttle_time_ms,
            topics,
        })
    }
}
