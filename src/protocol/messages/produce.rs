//! Produce: writes record batches to partitions. The request is sent to the partitions' leader.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, EncodeError, Reader, Writer};

/// Request: batches for partitions whose leader is the receiving broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProduceRequest {
    pub(crate) transactional_id: Option<Arc<str>>,
    /// Acknowledgements to wait for: 1 the leader's, -1 all in-sync replicas'; with 0 the broker sends no response.
    pub(crate) acks: i16,
    /// How long the broker waits for the acknowledgements: `request.timeout.ms`.
    pub(crate) timeout_ms: i32,
    pub(crate) topics: Vec<TopicProduceData>,
}

/// The batches of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicProduceData {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<PartitionProduceData>,
}

/// The batch of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionProduceData {
    pub(crate) index: i32,
    pub(crate) records: Option<MemoryRecords>,
}

/// A batch in two parts: its header, which is copied into the frame, and its body, which is shared. Message sets and
/// decoded batches have an empty header, and all bytes in the body.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MemoryRecords {
    pub(crate) head: BatchHead,
    pub(crate) body: Bytes,
}

impl MemoryRecords {
    /// Records without a separate header: a message set, or bytes that are passed on.
    pub(crate) fn headless(body: Bytes) -> Self {
        Self {
            head: BatchHead::EMPTY,
            body,
        }
    }

    /// Size of both parts in bytes.
    #[allow(
        clippy::len_without_is_empty,
        reason = "a batch without bytes is no case of its own"
    )]
    pub(crate) fn len(&self) -> usize {
        self.head.as_slice().len() + self.body.len()
    }
}

impl fmt::Debug for MemoryRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({} bytes)", self.len())
    }
}

/// The header of a record batch (magic 2); empty for message sets, which have none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHead {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl BatchHead {
    const CAPACITY: usize = 61;

    /// No header.
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; Self::CAPACITY],
        len: 0,
    };

    /// The bytes of the header.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl From<[u8; Self::CAPACITY]> for BatchHead {
    fn from(bytes: [u8; Self::CAPACITY]) -> Self {
        Self {
            bytes,
            len: Self::CAPACITY as u8,
        }
    }
}

impl fmt::Debug for BatchHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchHead({} bytes)", self.len)
    }
}

impl ProduceRequest {
    /// Number of partitions of all topics.
    pub(super) fn partition_count(&self) -> usize {
        self.topics.iter().map(|topic| topic.partitions.len()).sum()
    }
}

impl RequestBody for ProduceRequest {
    fn size_hint(&self) -> usize {
        // Lengths, index and tags of a partition: 4 + 5 + 1, and of a topic: 5 + 5 + 1.
        let partition = BatchHead::CAPACITY + 10;
        let topics = self.topics.iter();
        let topics = topics.map(|topic| topic.name.len() + 11 + topic.partitions.len() * partition);
        self.transactional_id.as_ref().map_or(0, |id| id.len()) + 16 + topics.sum::<usize>()
    }

    fn encode(&self, w: &mut Writer, version: i16) {
        if version >= 3 {
            w.put_nullable_str(self.transactional_id.as_deref(), "transactional.id");
        } else if self.transactional_id.is_some() {
            w.fail(EncodeError::UnsupportedField {
                what: "transactional.id",
                version,
            });
        }
        w.put_i16(self.acks);
        w.put_i32(self.timeout_ms);
        w.put_array(&self.topics, "the topics", |w, topic| {
            w.put_str(&topic.name, "the topic's name");
            w.put_array(&topic.partitions, "the partitions", |w, partition| {
                w.put_i32(partition.index);
                w.put_length(
                    partition.records.as_ref().map(MemoryRecords::len),
                    "the records",
                );
                if let Some(records) = &partition.records {
                    w.put_raw(records.head.as_slice());
                    w.put_shared(records.body.clone());
                }
                w.put_no_tags();
            });
            w.put_no_tags();
        });
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let transactional_id = if version >= 3 {
            r.nullable_string("the transactional id")?
        } else {
            None
        };
        let acks = r.i16("acks")?;
        let timeout_ms = r.i32("the timeout")?;
        let topics = r.array("the topics", 2, |r| {
            let name = r.string("a topic's name")?;
            let partitions = r.array("a topic's partitions", 5, |r| {
                let index = r.i32("a partition's index")?;
                let records = r.nullable_bytes("a partition's records")?;
                r.skip_tags()?;
                let records = records.map(MemoryRecords::headless);
                Ok(PartitionProduceData { index, records })
            })?;
            r.skip_tags()?;
            Ok(TopicProduceData { name, partitions })
        })?;
        r.skip_tags()?;
        Ok(Self {
            transactional_id,
            acks,
            timeout_ms,
            topics,
        })
    }
}

/// Response: the result of each partition's batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProduceResponse {
    pub(crate) topics: Vec<TopicProduceResponse>,
    pub(crate) throttle_time_ms: i32,
}

/// Results of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicProduceResponse {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<PartitionProduceResponse>,
}

/// Result of one partition's batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionProduceResponse {
    pub(crate) index: i32,
    pub(crate) error: ErrorCode,
    /// The offset of the batch's first record.
    pub(crate) base_offset: i64,
    /// Log append time, if the topic has `message.timestamp.type=LogAppendTime`; else -1.
    pub(crate) log_append_time_ms: i64,
    /// First offset of the partition's log; -1 in versions without it.
    pub(crate) log_start_offset: i64,
    /// The records that caused the batch to be rejected (KIP-467).
    pub(crate) record_errors: Vec<BatchIndexAndErrorMessage>,
    /// The broker's error message.
    pub(crate) error_message: Option<Arc<str>>,
}

/// A record that caused its batch to be rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchIndexAndErrorMessage {
    /// Index of the record in the batch, from 0.
    pub(crate) batch_index: i32,
    pub(crate) message: Option<Arc<str>>,
}

impl ResponseBody for ProduceResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_array(&self.topics, "the topics", |w, topic| {
            w.put_str(&topic.name, "the topic's name");
            w.put_array(&topic.partitions, "the partitions", |w, partition| {
                partition.encode(w, version);
            });
            w.put_no_tags();
        });
        if version >= 1 {
            w.put_i32(self.throttle_time_ms);
        }
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let topics = r.array("the topics", 2, |r| {
            let name = r.string("a topic's name")?;
            let partitions = r.array("a topic's partitions", 14, |r| {
                PartitionProduceResponse::decode(r, version)
            })?;
            r.skip_tags()?;
            Ok(TopicProduceResponse { name, partitions })
        })?;
        let throttle_time_ms = if version >= 1 {
            r.i32("the throttle time")?
        } else {
            0
        };
        r.skip_tags()?;
        Ok(Self {
            topics,
            throttle_time_ms,
        })
    }
}

impl PartitionProduceResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_i32(self.index);
        w.put_i16(self.error.code());
        w.put_i64(self.base_offset);
        if version >= 2 {
            w.put_i64(self.log_append_time_ms);
        }
        if version >= 5 {
            w.put_i64(self.log_start_offset);
        }
        if version >= 8 {
            w.put_array(&self.record_errors, "the record errors", |w, record| {
                w.put_i32(record.batch_index);
                w.put_nullable_str(record.message.as_deref(), "a record's error message");
                w.put_no_tags();
            });
            w.put_nullable_str(self.error_message.as_deref(), "the error message");
        }
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let index = r.i32("a partition's index")?;
        let error = r.error_code("a partition's error")?;
        let base_offset = r.i64("a partition's base offset")?;
        let log_append_time_ms = if version >= 2 {
            r.i64("a log append time")?
        } else {
            -1
        };
        let log_start_offset = if version >= 5 {
            r.i64("a log start offset")?
        } else {
            -1
        };
        let (record_errors, error_message) = if version >= 8 {
            let record_errors = r.array("the record errors", 5, |r| {
                let batch_index = r.i32("a record's index")?;
                let message = r.error_text("a record's error message")?;
                r.skip_tags()?;
                Ok(BatchIndexAndErrorMessage {
                    batch_index,
                    message,
                })
            })?;
            (record_errors, r.error_text("a partition's error message")?)
        } else {
            (Vec::new(), None)
        };
        r.skip_tags()?;
        Ok(Self {
            index,
            error,
            base_offset,
            log_append_time_ms,
            log_start_offset,
            record_errors,
            error_message,
        })
    }
}
