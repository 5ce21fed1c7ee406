//! `AddPartitionsToTxn`, `AddOffsetsToTxn` and `EndTxn`: requests to the transaction coordinator.

use std::sync::Arc;

use super::SimCluster;
use crate::clock::Timestamp;
use crate::error::ErrorCode;
use crate::protocol::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse, PartitionResult, Response,
    TopicResult,
};
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::journal::Coordinated;
use crate::testing::sim::script::Decision;
use crate::testing::sim::topics::is_internal;
use crate::testing::sim::transactional_ids::Participant;
use crate::types::{NodeId, PartitionId, ProducerIdAndEpoch, TopicPartition};

/// The first version whose clients know `ProducerFenced`.
const FIRST_VERSION_WITH_FENCED: i16 = 2;

/// Replaces `ProducerFenced` for clients that do not know it.
pub(super) fn known_to<T>(
    outcome: Result<T, ErrorCode>,
    version: i16,
    first_with_fenced: i16,
) -> Result<T, ErrorCode> {
    outcome.map_err(|error| match error {
        ErrorCode::ProducerFenced if version < first_with_fenced => ErrorCode::InvalidProducerEpoch,
        other => other,
    })
}

/// The error code of a response.
fn code(outcome: Result<(), ErrorCode>) -> ErrorCode {
    outcome.err().unwrap_or(ErrorCode::NoError)
}

impl SimCluster {
    /// Adds all partitions or none: if one has an error, the others are not attempted.
    ///
    /// # Kafka
    /// `KafkaApis#handleAddPartitionToTxnRequest`.
    pub(super) fn add_partitions_to_txn(
        &mut self,
        node: NodeId,
        request: &AddPartitionsToTxnRequest,
        version: i16,
        decision: &Decision,
    ) -> Response {
        let named = || {
            let topics = request.topics.iter();
            topics.flat_map(|topic| topic.partitions.iter().map(|index| (&topic.name, *index)))
        };
        let scripted = |topic: &Arc<str>, index| decision.refused(Some(topic), Some(index));
        let is_refused = named().any(|(topic, index)| {
            let scripted = scripted(topic, index).is_some_and(|refused| !refused.after_applying);
            scripted || self.may_be_added(topic, index).is_err()
        });
        let outcome = if is_refused {
            Err(ErrorCode::OperationNotAttempted)
        } else {
            let partitions = named()
                .map(|(topic, index)| TopicPartition::new(Arc::clone(topic), index))
                .map(Participant::Partition);
            let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
            let added =
                self.add_to_transaction(node, &request.transactional_id, producer, partitions);
            known_to(added, version, FIRST_VERSION_WITH_FENCED)
        };
        let result = |topic: &Arc<str>, index: PartitionId| PartitionResult {
            index,
            error: match scripted(topic, index) {
                Some(refused) => refused.refusal.code,
                None => code(self.may_be_added(topic, index).and(outcome)),
            },
        };
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            TopicResult {
                name: Arc::clone(&topic.name),
                partitions: partitions
                    .map(|index| result(&topic.name, *index))
                    .collect(),
            }
        });
        Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
            throttle_time_ms: 0,
            topics: topics.collect(),
        })
    }

    /// Checks that a partition exists, and that a client may write to it.
    fn may_be_added(&self, topic: &str, index: PartitionId) -> Result<(), ErrorCode> {
        if is_internal(topic) {
            return Err(ErrorCode::TopicAuthorizationFailed);
        }
        let found = self.partition(topic, index);
        found.map_or(Err(ErrorCode::UnknownTopicOrPartition), |_| Ok(()))
    }

    /// # Kafka
    /// `KafkaApis#handleAddOffsetsToTxnRequest`.
    pub(super) fn add_offsets_to_txn(
        &mut self,
        node: NodeId,
        request: &AddOffsetsToTxnRequest,
        version: i16,
        decision: &Decision,
    ) -> Response {
        let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
        let added = decision.around(|| {
            let group = Participant::Group(Arc::clone(&request.group_id));
            self.add_to_transaction(node, &request.transactional_id, producer, [group])
        });
        let added = known_to(added, version, FIRST_VERSION_WITH_FENCED);
        Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
            throttle_time_ms: 0,
            error: code(added),
        })
    }

    fn add_to_transaction(
        &mut self,
        node: NodeId,
        name: &Arc<str>,
        producer: ProducerIdAndEpoch,
        participants: impl IntoIterator<Item = Participant>,
    ) -> Result<(), ErrorCode> {
        self.check_transaction_coordinator(node, name)?;
        let transactions = &mut self.transactions;
        let time = transactions.time.get();
        let was_open = transactions.ids.is_open(name);
        transactions.ids.add(name, producer, participants, time)?;
        if !was_open {
            self.note(name, Coordinated::Opened);
        }
        Ok(())
    }

    /// # Kafka
    /// `KafkaApis#handleEndTxnRequest`.
    pub(super) fn end_txn(
        &mut self,
        node: NodeId,
        request: &EndTxnRequest,
        version: i16,
        decision: &Decision,
        now: Timestamp,
    ) -> Response {
        let ended = decision.around(|| {
            let name = &request.transactional_id;
            self.check_transaction_coordinator(node, name)?;
            let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
            let transactions = &mut self.transactions;
            let time = transactions.time.get();
            let was_open = transactions.ids.is_open(name);
            let ended = transactions
                .ids
                .end(name, producer, request.committed, time);
            if ended.is_ok() && was_open {
                self.note(
                    name,
                    if request.committed {
                        Coordinated::Committed
                    } else {
                        Coordinated::Aborted
                    },
                );
            }
            self.write_markers(now);
            ended
        });
        let ended = known_to(ended, version, FIRST_VERSION_WITH_FENCED);
        Response::EndTxn(EndTxnResponse {
            throttle_time_ms: 0,
            error: code(ended),
        })
    }

    /// Checks that a node is the coordinator of a transactional id.
    pub(super) fn check_transaction_coordinator(
        &mut self,
        node: NodeId,
        name: &Arc<str>,
    ) -> Result<(), ErrorCode> {
        if name.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.check_coordinator(CoordinatorKind::Transaction, name, node)
    }
}
