//! Error codes by topic and partition, as in responses to AddPartitionsToTxn and TxnOffsetCommit.

use std::sync::Arc;

use crate::error::ErrorCode;
#[cfg(any(test, feature = "testing"))]
use crate::protocol::wire::Writer;
use crate::protocol::wire::{DecodeError, Reader};

/// Results of one topic's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicResult {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<PartitionResult>,
}

/// Result of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionResult {
    pub(crate) index: i32,
    pub(crate) error: ErrorCode,
}

impl TopicResult {
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn encode_all(topics: &[Self], w: &mut Writer) {
        w.put_array(topics, "the topics", |w, topic| {
            w.put_str(&topic.name, "the topic's name");
            w.put_array(&topic.partitions, "the partitions", |w, partition| {
                w.put_i32(partition.index);
                w.put_i16(partition.error.code());
                w.put_no_tags();
            });
            w.put_no_tags();
        });
    }

    pub(super) fn decode_all(r: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        r.array("the topics", 3, |r| {
            let name = r.string("a topic's name")?;
            let partitions = r.array("a topic's partitions", 6, |r| {
                let index = r.i32("a partition's index")?;
                let error = r.error_code("a partition's error")?;
                r.skip_tags()?;
                Ok(PartitionResult { index, error })
            })?;
            r.skip_tags()?;
            Ok(Self { name, partitions })
        })
    }
}
