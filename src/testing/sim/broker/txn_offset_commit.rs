//! `TxnOffsetCommit`: stores a group's offsets at its coordinator until the transaction ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SimCluster;
use crate::error::ErrorCode;
use crate::protocol::{
    PartitionResult, Response, TopicResult, TxnOffsetCommitPartition, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::groups::GroupMember;
use crate::testing::sim::script::Decision;
use crate::testing::sim::transactional_ids::Participant;
use crate::testing::transaction::CommittedOffset;
use crate::types::{NodeId, ProducerIdAndEpoch, TopicPartition};

/// Older versions do not know `CoordinatorLoadInProgress` (KAFKA-7296).
const FIRST_VERSION_WITH_LOADING: i16 = 2;

impl SimCluster {
    /// Each partition has a result of its own.
    ///
    /// # Kafka
    /// `KafkaApis#handleTxnOffsetCommitRequest`.
    pub(super) fn txn_offset_commit(
        &mut self,
        node: NodeId,
        request: &TxnOffsetCommitRequest,
        version: i16,
        decision: &Decision,
    ) -> Response {
        let mut errors = BTreeMap::new();
        let mut offsets = Vec::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let place = TopicPartition::new(Arc::clone(&topic.name), partition.index);
                let scripted = decision.refused(Some(&topic.name), Some(partition.index));
                if let Some(refused) = scripted {
                    errors.insert(place.clone(), refused.refusal.code);
                }
                if self.partition(&topic.name, partition.index).is_err() {
                    let unknown = ErrorCode::UnknownTopicOrPartition;
                    errors.entry(place).or_insert(unknown);
                } else if scripted.is_none_or(|refused| refused.after_applying) {
                    offsets.push((place, committed_offset(partition)));
                }
            }
        }
        for (place, outcome) in self.commit_offsets(node, request, offsets) {
            let code = match outcome {
                Ok(()) => ErrorCode::NoError,
                Err(ErrorCode::CoordinatorLoadInProgress)
                    if version < FIRST_VERSION_WITH_LOADING =>
                {
                    ErrorCode::CoordinatorNotAvailable
                }
                Err(code) => code,
            };
            errors.entry(place).or_insert(code);
        }
        let topics = request.topics.iter().map(|topic| {
            let result = |partition: &TxnOffsetCommitPartition| {
                let place = TopicPartition::new(Arc::clone(&topic.name), partition.index);
                PartitionResult {
                    index: partition.index,
                    error: errors.get(&place).copied().unwrap_or(ErrorCode::NoError),
                }
            };
            TopicResult {
                name: Arc::clone(&topic.name),
                partitions: topic.partitions.iter().map(result).collect(),
            }
        });
        Response::TxnOffsetCommit(TxnOffsetCommitResponse {
            throttle_time_ms: 0,
            topics: topics.collect(),
        })
    }

    /// # Kafka
    /// `GroupCoordinator#handleTxnCommitOffsets`.
    fn commit_offsets(
        &mut self,
        node: NodeId,
        request: &TxnOffsetCommitRequest,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
    ) -> Vec<(TopicPartition, Result<(), ErrorCode>)> {
        let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
        if let Err(error) = self.may_commit(node, request, producer) {
            let all = offsets.into_iter();
            return all.map(|(place, _)| (place, Err(error))).collect();
        }
        let member = GroupMember {
            generation: request.generation_id,
            member_id: Arc::clone(&request.member_id),
            instance_id: request.group_instance_id.clone(),
        };
        let groups = &mut self.transactions.groups;
        groups.commit_in_transaction(&request.group_id, producer, &member, offsets)
    }

    fn may_commit(
        &mut self,
        node: NodeId,
        request: &TxnOffsetCommitRequest,
        producer: ProducerIdAndEpoch,
    ) -> Result<(), ErrorCode> {
        let group = &request.group_id;
        if group.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.check_coordinator(CoordinatorKind::Group, group, node)?;
        let transactions = &mut self.transactions;
        if transactions.options.verify {
            let group = Participant::Group(Arc::clone(group));
            let name = &request.transactional_id;
            transactions.ids.verify(name, producer, &group)?;
        }
        Ok(())
    }
}

fn committed_offset(partition: &TxnOffsetCommitPartition) -> CommittedOffset {
    CommittedOffset {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: partition.metadata.clone().unwrap_or_default(),
    }
}
