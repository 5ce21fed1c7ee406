//! State shared by a mock producer's client and its controller: the records sent, and their results.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::cluster::MockedCluster;
use super::record::MockRecord;
use crate::client::kafka_client::ClientResponse;
use crate::error::ProduceErrorKind;
use crate::producer::batch::BatchId;
use crate::producer::sender::{BatchEnd, Completion, Produced};
use crate::protocol::{PartitionProduceData, ProduceRequest, TxnOffsetCommitRequest};
use crate::record::batch::RecordBatch;
use crate::testing::stored::StoredBatch;
use crate::types::{OffsetAndMetadata, TopicPartition};

/// Committed offsets by consumer group.
pub type GroupOffsets = BTreeMap<String, BTreeMap<TopicPartition, OffsetAndMetadata>>;

/// Records, results and offsets, behind one lock.
#[derive(Debug)]
pub(super) struct MockState {
    pub(super) auto_complete: bool,
    pub(super) cluster: MockedCluster,
    /// Incomplete batches, oldest first: batch ids ascend.
    waiting: BTreeMap<BatchId, Waiting>,
    /// Batches with their result, to be passed to the sender.
    decided: VecDeque<(Produced, BatchEnd)>,
    /// Responses to transactional requests.
    pub(super) answers: Vec<ClientResponse<Completion>>,
    next_offsets: BTreeMap<TopicPartition, i64>,
    pub(super) history: Vec<MockRecord>,
    pub(super) uncommitted: Vec<MockRecord>,
    pub(super) committed_offsets: Vec<GroupOffsets>,
    pub(super) uncommitted_offsets: GroupOffsets,
    /// The number (from 1) of the last transaction in which offsets were sent.
    pub(super) offsets_sent_in: Option<u64>,
    /// `fence_producer` was called; the sender has not been fenced yet.
    pub(super) is_to_be_fenced: bool,
    /// `fail_producer` was called with this message of a panic; the sender has not failed yet.
    pub(super) fails_with: Option<String>,
    pub(super) patience: Patience,
}

/// Detects that the producer repeats a metadata request although nothing new was in the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Answers,
    /// The last response contained nothing new.
    HasRepeated,
    /// Requests are not answered until the producer is used again.
    Silent,
}

#[derive(Debug)]
struct Waiting {
    produced: Produced,
    /// -1 for a producer with acks=0.
    base_offset: i64,
}

impl MockState {
    pub(super) fn new(auto_complete: bool, cluster: MockedCluster) -> Self {
        Self {
            auto_complete,
            cluster,
            waiting: BTreeMap::new(),
            decided: VecDeque::new(),
            answers: Vec::new(),
            next_offsets: BTreeMap::new(),
            history: Vec::new(),
            uncommitted: Vec::new(),
            committed_offsets: Vec::new(),
            uncommitted_offsets: GroupOffsets::new(),
            offsets_sent_in: None,
            is_to_be_fenced: false,
            fails_with: None,
            patience: Patience::Answers,
        }
    }

    /// Stores the batches of a Produce request, and their records in the history in the order in which they were sent.
    pub(super) fn take(&mut self, request: ProduceRequest, batches: Vec<Produced>) {
        let is_transactional = request.transactional_id.is_some();
        let is_reported = request.acks != 0;
        let topics = request.topics.into_iter();
        let partitions = topics.flat_map(|topic| {
            let name = topic.name;
            let partitions = topic.partitions.into_iter();
            partitions.map(move |data| (TopicPartition::new(Arc::clone(&name), data.index), data))
        });
        let mut taken: Vec<_> = batches.into_iter().zip(partitions).collect();
        taken.sort_by_key(|(produced, _)| produced.id);
        for (produced, (partition, data)) in taken {
            let next = self.next_offsets.entry(partition.clone()).or_default();
            let base_offset = *next;
            let records = records_of(&partition, data, base_offset);
            *next += records.len() as i64;
            if is_transactional {
                self.uncommitted.extend(records);
            } else {
                self.history.extend(records);
            }
            let base_offset = if is_reported { base_offset } else { -1 };
            let waiting = Waiting {
                produced,
                base_offset,
            };
            self.waiting.insert(produced.id, waiting);
        }
    }

    /// Sets the result of the oldest incomplete batch. Returns false if there is none.
    pub(super) fn decide_next(&mut self, failure: Option<ProduceErrorKind>) -> bool {
        let Some((_, waiting)) = self.waiting.pop_first() else {
            return false;
        };
        let end = match failure {
            Some(kind) => BatchEnd::Failed(kind),
            None => BatchEnd::Written {
                base_offset: waiting.base_offset,
            },
        };
        self.decided.push_back((waiting.produced, end));
        true
    }

    /// Completes all incomplete batches, if `auto_complete` is set or a call waits for them.
    pub(super) fn decide_all(&mut self, is_awaited: bool) {
        if self.auto_complete || is_awaited {
            while self.decide_next(None) {}
        }
    }

    pub(super) fn take_decided(&mut self) -> VecDeque<(Produced, BatchEnd)> {
        std::mem::take(&mut self.decided)
    }

    pub(super) fn has_decided(&self) -> bool {
        !self.decided.is_empty()
    }

    /// Whether every record that was sent is complete.
    pub(super) fn is_flushed(&self) -> bool {
        self.waiting.is_empty() && self.decided.is_empty()
    }

    pub(super) fn take_offsets(&mut self, request: &TxnOffsetCommitRequest, transaction: u64) {
        self.offsets_sent_in = Some(transaction);
        let group = self.uncommitted_offsets.entry(request.group_id.to_string());
        let group = group.or_default();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let name = TopicPartition::new(Arc::clone(&topic.name), partition.index);
                let mut offset = OffsetAndMetadata::new(partition.offset);
                if partition.leader_epoch >= 0 {
                    offset = offset.leader_epoch(partition.leader_epoch);
                }
                if let Some(metadata) = &partition.metadata {
                    offset = offset.metadata(Arc::clone(metadata));
                }
                group.insert(name, offset);
            }
        }
    }

    /// Ends the transaction: moves its records and offsets into the history.
    pub(super) fn end_transaction(&mut self, commits: bool) {
        let records = std::mem::take(&mut self.uncommitted);
        let offsets = std::mem::take(&mut self.uncommitted_offsets);
        if commits {
            self.history.extend(records);
            if !offsets.is_empty() {
                self.committed_offsets.push(offsets);
            }
        }
    }

    /// Clears the history. Incomplete batches stay incomplete.
    pub(super) fn clear(&mut self) {
        self.history.clear();
        self.uncommitted.clear();
        self.committed_offsets.clear();
        self.uncommitted_offsets.clear();
        self.offsets_sent_in = None;
    }

    /// The sender has ended: it has failed all incomplete batches.
    pub(super) fn end(&mut self) {
        self.waiting.clear();
        self.decided.clear();
        self.answers.clear();
    }
}

fn records_of(
    partition: &TopicPartition,
    data: PartitionProduceData,
    base_offset: i64,
) -> Vec<MockRecord> {
    let Some(records) = data.records else {
        return Vec::new();
    };
    let mut bytes = Bytes::from([records.head.as_slice(), &records.body].concat());
    let batch = RecordBatch::take(&mut bytes);
    debug_assert!(batch.is_ok(), "the producer's own batch: {batch:?}");
    let Ok(batch) = batch else {
        return Vec::new();
    };
    let batch = StoredBatch::new(batch, None, base_offset, 0, None);
    let records = batch.records();
    records
        .map(|record| MockRecord::new(partition, record.to_record()))
        .collect()
}
