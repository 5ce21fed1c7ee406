//! AddPartitionsToTxn: adds partitions to a transaction, before it writes to them.

use std::sync::Arc;

use super::topic_result::TopicResult;
use super::{RequestBody, ResponseBody};
use crate::protocol::wire::{DecodeError, Reader, Writer};

/// Request: adds partitions to the ongoing transaction, or starts a transaction with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddPartitionsToTxnRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) topics: Vec<AddPartitionsToTxnTopic>,
}

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddPartitionsToTxnTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<i32>,
}

impl RequestBody for AddPartitionsToTxnRequest {
    fn size_hint(&self) -> usize {
        // Length of the id, producer id and epoch, count and tags: 3 + 10 + 5 + 1; of a topic: 3 + 5 + 1.
        let topics = self.topics.iter();
        let topics = topics.map(|topic| topic.name.len() + 9 + topic.partitions.len() * 4);
        self.transactional_id.len() + 19 + topics.sum::<usize>()
    }

    fn encode(&self, w: &mut Writer, _version: i16) {
        w.put_str(&self.transactional_id, "transactional.id");
        w.put_i64(self.producer_id);
        w.put_i16(self.producer_epoch);
        w.put_array(&self.topics, "the topics", |w, topic| {
            w.put_str(&topic.name, "the topic's name");
            w.put_i32_array(&topic.partitions, "the partitions");
            w.put_no_tags();
        });
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let transactional_id = r.string("the transactional id")?;
        let producer_id = r.i64("the producer id")?;
        let producer_epoch = r.i16("the producer epoch")?;
        let topics = r.array("the topics", 3, |r| {
            let name = r.string("a topic's name")?;
            let mut partitions = Vec::new();
            r.i32_array(&mut partitions, "a topic's partitions")?;
            r.skip_tags()?;
            Ok(AddPartitionsToTxnTopic { name, partitions })
        })?;
        r.skip_tags()?;
        Ok(Self {
            transactional_id,
            producer_id,
            producer_epoch,
            topics,
        })
    }
}

/// Response: an error code per partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddPartitionsToTxnResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) topics: Vec<TopicResult>,
}

impl ResponseBody for AddPartitionsToTxnResponse {
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
