//! The AddPartitionsToTxn request: adds partitions to the open transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::TransactionManager;
use super::contents::Begun;
use super::request::{
    ConcurrentBackoff, CoordinatorKey, Destination, Lane, Priority, RequestFailure, RequestHandler,
    RequestVerdict, RetryReason, may_be_carried_out,
};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::planted::planted;
use crate::protocol::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, Request, Response, TopicResult,
};
use crate::types::TopicPartition;

/// Adds, in one request, all partitions that are to be added when the request is sent (TM-10).
///
/// # Kafka
/// `TransactionManager.AddPartitionsToTxnHandler` (TM-15, TM-18, TM-19). Differs: the first back-off for the end of the
/// previous transaction is shorter.
#[derive(Debug)]
pub(super) struct AddPartitionsToTxn {
    coordinator: CoordinatorKey,
    concurrent: ConcurrentBackoff,
}

/// The maximum number of topics that an error message names.
const MAX_TOPICS_NAMED: usize = 10;

impl AddPartitionsToTxn {
    pub(super) fn new(coordinator: CoordinatorKey) -> Self {
        Self {
            coordinator,
            concurrent: ConcurrentBackoff::default(),
        }
    }
}

impl RequestHandler for AddPartitionsToTxn {
    fn destination(&self) -> Destination {
        Destination::Coordinator(self.coordinator.clone())
    }

    fn priority(&self) -> Priority {
        Priority::AddPartitionsOrOffsets
    }

    fn lane(&self) -> Lane {
        Lane::Partitions
    }

    fn is_needed(&self, manager: &TransactionManager) -> bool {
        manager.adds_to_transaction() && !manager.contents.to_add.is_empty()
    }

    fn handle_unneeded(&mut self, manager: &mut TransactionManager, _now: Instant) {
        manager.contents.is_adding = false;
    }

    fn begins_transaction(&self) -> bool {
        true
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
        let mut partitions: Vec<&TopicPartition> = manager
            .contents
            .to_add
            .iter()
            .map(|(_, name)| name)
            .collect();
        // Sorted, so that the partitions of a topic are adjacent.
        partitions.sort();
        for name in partitions {
            match topics.last_mut() {
                Some(topic) if *topic.name == *name.topic() => {
                    topic.partitions.push(name.partition());
                }
                _ => topics.push(AddPartitionsToTxnTopic {
                    name: Arc::clone(name.shared_topic()),
                    partitions: vec![name.partition()],
                }),
            }
        }
        let (transactional_id, producer) = manager.named_producer();
        Request::AddPartitionsToTxn(Box::new(AddPartitionsToTxnRequest {
            transactional_id,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            topics,
        }))
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        let Response::AddPartitionsToTxn(response) = response else {
            manager.contents.note_lost_answer();
            return manager.not_an_answer(&response);
        };
        let verdict = self.handle_answer(&response.topics, manager);
        if verdict == RequestVerdict::Done {
            manager.contents.is_adding = false;
            // Adds the partitions that came meanwhile.
            manager.add_new_partitions();
        }
        verdict
    }

    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        if let RequestFailure::Disconnected(_) = failure {
            manager.contents.note_lost_answer();
        }
        manager.no_answer(failure)
    }
}

impl AddPartitionsToTxn {
    fn handle_answer(
        &mut self,
        topics: &[TopicResult],
        manager: &mut TransactionManager,
    ) -> RequestVerdict {
        let results = || {
            topics.iter().flat_map(|topic| {
                let name = &topic.name;
                topic.partitions.iter().map(move |it| (name, it))
            })
        };
        // The first error that concerns the request as a whole decides.
        for (name, result) in results() {
            match result.error {
                // Results of single partitions are handled below.
                ErrorCode::NoError
                | ErrorCode::TopicAuthorizationFailed
                | ErrorCode::OperationNotAttempted => {}
                // The coordinator is still writing the markers of the previous transaction. This error is the response
                // to the first request of the next transaction (TM-15).
                ErrorCode::ConcurrentTransactions if manager.contents.is_without_partitions() => {
                    let wait = self.concurrent.next(manager.retry_backoff());
                    let about = format!("{name}-{}", result.index);
                    let why = RetryReason::refused(&about, result.error);
                    return RequestVerdict::Retry { wait, why };
                }
                code => {
                    if may_be_carried_out(code) && !planted!(DisputedAddForgotten) {
                        manager.contents.note_lost_answer();
                    }
                    let about = format!("{name}-{}", result.index);
                    if let Some(verdict) =
                        manager.transactional_error(code, "add to the transaction", &about)
                    {
                        return verdict;
                    }
                }
            }
        }
        let refused: Vec<(&Arc<str>, ErrorCode)> = results()
            .filter(|(_, result)| result.error != ErrorCode::NoError)
            .map(|(name, result)| (name, result.error))
            .collect();
        if refused.is_empty() {
            // Noted even if the transaction has failed meanwhile: it is open at the coordinator.
            if results().next().is_some() && !planted!(LateAddForgotten) {
                manager.contents.begun = Begun::Yes;
            }
            let mut has_added = false;
            for (name, result) in results() {
                let is_it = |partition: &TopicPartition| {
                    partition.partition() == result.index && *partition.topic() == **name
                };
                let to_add = &mut manager.contents.to_add;
                if let Some(at) = to_add.iter().position(|(_, partition)| is_it(partition)) {
                    let (index, _) = to_add.remove(at);
                    manager.contents.add(index);
                    has_added = true;
                }
            }
            if planted!(PartitionsAddedUnasked) {
                for (index, _) in std::mem::take(&mut manager.contents.to_add) {
                    manager.contents.add(index);
                }
            }
            return match manager.contents.to_add.first() {
                // Not one partition that was asked for is in the response. Another request at once might be answered
                // likewise, in a busy loop. If some are, the others, and those that came meanwhile, are asked for at
                // once.
                Some((_, partition)) if !has_added => RequestVerdict::Retry {
                    wait: manager.retry_backoff(),
                    why: RetryReason::new(format!(
                        "the AddPartitionsToTxn response lacks {partition}"
                    )),
                },
                _ => RequestVerdict::Done,
            };
        }
        // One refused topic makes all others OPERATION_NOT_ATTEMPTED: only the topics at fault are named.
        let unauthorized: BTreeSet<&str> = refused
            .iter()
            .filter(|(_, code)| *code == ErrorCode::TopicAuthorizationFailed)
            .map(|(name, _)| &***name)
            .collect();
        let (code, message) = if unauthorized.is_empty() {
            let errors: BTreeSet<String> = refused
                .iter()
                .map(|(topic, code)| format!("{} for topic {topic}", code.name()))
                .collect();
            let errors: Vec<String> = errors.into_iter().take(MAX_TOPICS_NAMED).collect();
            (
                refused[0].1,
                format!(
                    "the coordinator did not add partitions to the transaction: {}",
                    errors.join(", ")
                ),
            )
        } else {
            let topics: Vec<&str> = unauthorized.into_iter().collect();
            (
                ErrorCode::TopicAuthorizationFailed,
                format!(
                    "the client may not write to {}: grant it Write on the topic",
                    topics.join(", ")
                ),
            )
        };
        manager.fail_transaction(Some(code), message);
        RequestVerdict::Done
    }
}
