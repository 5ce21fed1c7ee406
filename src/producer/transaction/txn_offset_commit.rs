//! The TxnOffsetCommit request: sends the transaction's consumer offsets to the group coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TransactionManager;
use super::offsets::OffsetsToCommit;
use super::request::{
    CoordinatorKey, Destination, Lane, Priority, RequestFailure, RequestHandler, RequestVerdict,
    RetryReason, describe,
};
use super::shared::TransactionResult;
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::planted::planted;
use crate::protocol::{
    CoordinatorType, Request, Response, TopicResult, TxnOffsetCommitPartition,
    TxnOffsetCommitRequest, TxnOffsetCommitTopic,
};
use crate::types::{OffsetAndMetadata, TopicPartition};

/// Commits offsets of a group as part of the open transaction. A retry contains only the offsets that the group's
/// coordinator has not accepted yet.
///
/// # Kafka
/// `TransactionManager.TxnOffsetCommitHandler` (TM-21). Differs: an old epoch means that the producer was fenced
/// (KAFKA-14278), and a missing authorization for a topic fails the transaction, not the producer.
#[derive(Debug)]
pub(super) struct TxnOffsetCommit {
    offsets: Arc<OffsetsToCommit>,
    left: BTreeMap<TopicPartition, OffsetAndMetadata>,
    result: Arc<TransactionResult>,
}

impl TxnOffsetCommit {
    pub(super) fn new(offsets: Arc<OffsetsToCommit>, result: Arc<TransactionResult>) -> Self {
        let left = offsets.partitions.iter().cloned().collect();
        Self {
            offsets,
            left,
            result,
        }
    }

    /// Handles the results of the partitions; `None` if the producer or the transaction has failed.
    fn handle_answer(
        &mut self,
        topics: &[TopicResult],
        manager: &mut TransactionManager,
    ) -> Option<RequestVerdict> {
        let group = Arc::clone(&self.offsets.group.group_id);
        let wait = manager.retry_backoff();
        let mut looks_up = false;
        let mut why = None;
        for topic in topics {
            for result in &topic.partitions {
                let name = TopicPartition::new(Arc::clone(&topic.name), result.index);
                match result.error {
                    ErrorCode::NoError => {
                        // A retry sends only the offsets that are left.
                        self.left.remove(&name);
                    }
                    ErrorCode::CoordinatorNotAvailable
                    | ErrorCode::NotCoordinator
                    | ErrorCode::RequestTimedOut => {
                        let about = format!("group {group}");
                        why = Some(RetryReason::refused(&about, result.error));
                        // The loop goes on: another partition's error may still end the transaction.
                        looks_up = true;
                    }
                    code @ ErrorCode::GroupAuthorizationFailed => {
                        manager.fail_for_group(code, &group);
                        return None;
                    }
                    code @ (ErrorCode::UnknownMemberId
                    | ErrorCode::IllegalGeneration
                    | ErrorCode::FencedInstanceId) => {
                        let message = format!(
                            "the consumer that the offsets are from is no longer a member of group {group}, and its \
                             partitions may be read by others: {}",
                            describe(code)
                        );
                        manager.fail_transaction(Some(code), message);
                        return None;
                    }
                    // The coordinator has accepted no offset of this partition, and discards the offsets of other
                    // partitions when the transaction is aborted.
                    code @ (ErrorCode::OffsetMetadataTooLarge
                    | ErrorCode::InvalidCommitOffsetSize) => {
                        let message = format!(
                            "the metadata of the offset of {name} is larger than the coordinator of group {group} \
                             accepts (offset.metadata.max.bytes of the brokers): {}",
                            describe(code)
                        );
                        manager.fail_transaction(Some(code), message);
                        return None;
                    }
                    code @ ErrorCode::TopicAuthorizationFailed => {
                        let message = format!(
                            "offsets of {name} may not be committed: grant the client Read on the topic"
                        );
                        manager.fail_transaction(Some(code), message);
                        return None;
                    }
                    // The topic may be created later, but a commit would wait for it without end, and could not be
                    // replaced by an abort. Whether another thread still waits for the offsets does not matter.
                    code @ ErrorCode::UnknownTopicOrPartition if manager.is_completing() => {
                        let message = format!(
                            "the offset of {name} for group {group} was not committed: {}",
                            describe(code)
                        );
                        manager.fail_transaction(Some(code), message);
                        return None;
                    }
                    code => {
                        let about = format!("{name} for group {group}");
                        let verdict =
                            manager.transactional_error(code, "commit offsets of", &about);
                        match verdict {
                            Some(RequestVerdict::Done) => return None,
                            // Retried with the same coordinator, until the topic exists or the coordinator has loaded.
                            Some(again) => why = again.retry_reason().cloned(),
                            None => {
                                let message = format!(
                                    "the coordinator of group {group} did not commit the offset of {name}: {}",
                                    describe(code)
                                );
                                manager.fail_with(code, &message.into());
                                return None;
                            }
                        }
                    }
                }
            }
        }
        let unanswered = self.left.keys().next();
        let Some(unanswered) = unanswered.filter(|_| !planted!(RefusedOffsetsTaken)) else {
            return Some(RequestVerdict::Done);
        };
        let why = why.unwrap_or_else(|| {
            RetryReason::new(format!(
                "the response of the coordinator of group {group} lacks the offset of {unanswered}"
            ))
        });
        Some(if looks_up {
            RequestVerdict::FindCoordinator { wait, why }
        } else {
            RequestVerdict::Retry { wait, why }
        })
    }
}

impl RequestHandler for TxnOffsetCommit {
    fn destination(&self) -> Destination {
        Destination::Coordinator(CoordinatorKey {
            kind: CoordinatorType::GROUP,
            key: Arc::clone(&self.offsets.group.group_id),
        })
    }

    fn priority(&self) -> Priority {
        Priority::AddPartitionsOrOffsets
    }

    fn lane(&self) -> Lane {
        Lane::Offsets
    }

    fn is_needed(&self, manager: &TransactionManager) -> bool {
        manager.adds_to_transaction()
    }

    fn handle_unneeded(&mut self, manager: &mut TransactionManager, _now: Instant) {
        manager.fail_call(&self.result);
    }

    fn is_awaited(&self, manager: &TransactionManager) -> bool {
        self.is_needed(manager)
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        let (transactional_id, producer) = manager.named_producer();
        let group = &self.offsets.group;
        let mut topics: Vec<TxnOffsetCommitTopic> = Vec::new();
        for (name, offset) in &self.left {
            let partition = TxnOffsetCommitPartition {
                index: name.partition(),
                offset: offset.offset,
                leader_epoch: offset.leader_epoch.unwrap_or(-1),
                metadata: Some(Arc::clone(&offset.metadata)),
            };
            // `left` is sorted, so the partitions of a topic are adjacent.
            match topics.last_mut() {
                Some(topic) if *topic.name == *name.topic() => topic.partitions.push(partition),
                _ => topics.push(TxnOffsetCommitTopic {
                    name: Arc::clone(name.shared_topic()),
                    partitions: vec![partition],
                }),
            }
        }
        Request::TxnOffsetCommit(Box::new(TxnOffsetCommitRequest {
            transactional_id,
            group_id: Arc::clone(&group.group_id),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            generation_id: group.generation_id,
            member_id: Arc::clone(&group.member_id),
            group_instance_id: group.group_instance_id.clone(),
            topics,
        }))
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        let Response::TxnOffsetCommit(response) = response else {
            return manager.not_an_answer(&response);
        };
        match self.handle_answer(&response.topics, manager) {
            Some(RequestVerdict::Done) => {
                self.result.set(Ok(()));
                RequestVerdict::Done
            }
            Some(again) => again,
            None => {
                manager.fail_call(&self.result);
                RequestVerdict::Done
            }
        }
    }

    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        let verdict = match failure {
            RequestFailure::NoCoordinator {
                code: code @ ErrorCode::GroupAuthorizationFailed,
                ..
            } => {
                // FindCoordinator for the group was refused: the transaction must be aborted, but the producer goes on.
                manager.fail_for_group(code, self.offsets.group.group_id());
                RequestVerdict::Done
            }
            RequestFailure::Unwritable(why) => {
                manager.fail_for_unwritable(&why, self.offsets.group.group_id());
                RequestVerdict::Done
            }
            RequestFailure::UnsupportedVersion(why) if self.offsets.group.names_member() => {
                let message = format!(
                    "{why}: brokers before 2.5 take offsets of a group only if no member is named \
                     (ConsumerGroupMetadata::new)"
                );
                manager.fail_with(ErrorCode::UnsupportedVersion, &message.into());
                RequestVerdict::Done
            }
            failure => manager.no_answer(failure),
        };
        if verdict == RequestVerdict::Done {
            manager.fail_call(&self.result);
        }
        verdict
    }

    fn give_up(&mut self, _why: &Arc<str>, manager: &mut TransactionManager) {
        manager.fail_call(&self.result);
    }
}
