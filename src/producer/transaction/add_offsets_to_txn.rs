//! The AddOffsetsToTxn request: adds a group's offsets partition to the open transaction.

use std::sync::Arc;

use super::TransactionManager;
use super::offsets::OffsetsToCommit;
use super::request::{
    ConcurrentBackoff, CoordinatorKey, Destination, Lane, Priority, RequestFailure, RequestHandler,
    RequestVerdict, RetryReason, describe, may_be_carried_out,
};
use super::shared::TransactionResult;
use super::txn_offset_commit::TxnOffsetCommit;
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::planted::planted;
use crate::protocol::{AddOffsetsToTxnRequest, Request, Response};

/// Adds the offsets partition of a group to the open transaction. Then a TxnOffsetCommit sends the offsets to the
/// group's coordinator; only its response completes the call (TM-20).
///
/// # Kafka
/// `TransactionManager.AddOffsetsToTxnHandler`. Differs: Kafka adds the group again for each call.
#[derive(Debug)]
pub(super) struct AddOffsetsToTxn {
    pub(super) coordinator: CoordinatorKey,
    pub(super) offsets: Arc<OffsetsToCommit>,
    pub(super) result: Arc<TransactionResult>,
    pub(super) concurrent: ConcurrentBackoff,
}

impl AddOffsetsToTxn {
    fn send_offsets(&self, manager: &mut TransactionManager) {
        if planted!(OffsetsToldEarly) {
            self.result.set(Ok(()));
        }
        manager.push_request(Box::new(TxnOffsetCommit::new(
            Arc::clone(&self.offsets),
            Arc::clone(&self.result),
        )));
    }

    fn handle_code(&mut self, code: ErrorCode, manager: &mut TransactionManager) -> RequestVerdict {
        let group = self.offsets.group.group_id();
        match code {
            ErrorCode::NoError => {
                manager.contents.add_group(&self.offsets.group.group_id);
                self.send_offsets(manager);
                return RequestVerdict::Done;
            }
            ErrorCode::GroupAuthorizationFailed => manager.fail_for_group(code, group),
            ErrorCode::ConcurrentTransactions if manager.contents.is_without_partitions() => {
                let wait = self.concurrent.next(manager.retry_backoff());
                let why = RetryReason::refused(group, code);
                return RequestVerdict::Retry { wait, why };
            }
            code => {
                if may_be_carried_out(code) {
                    // The coordinator may have begun the transaction: an abort must then send EndTxn.
                    manager.contents.note_lost_answer();
                }
                let verdict =
                    manager.transactional_error(code, "add to the transaction offsets of", group);
                match verdict {
                    Some(RequestVerdict::Done) => {}
                    Some(again) => return again,
                    None => {
                        let message = format!(
                            "the coordinator did not add the offsets of group {group}: {}",
                            describe(code)
                        );
                        manager.fail_with(code, &message.into());
                    }
                }
            }
        }
        manager.fail_call(&self.result);
        RequestVerdict::Done
    }
}

impl RequestHandler for AddOffsetsToTxn {
    fn destination(&self) -> Destination {
        Destination::Coordinator(self.coordinator.clone())
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

    /// A group is added once: its offsets of later calls are sent at once.
    fn asks_broker(&self, manager: &TransactionManager) -> bool {
        !manager.contents.holds_group(self.offsets.group.group_id())
    }

    fn handle_unneeded(&mut self, manager: &mut TransactionManager, _now: Instant) {
        if self.is_needed(manager) {
            self.send_offsets(manager);
        } else {
            manager.fail_call(&self.result);
        }
    }

    fn is_awaited(&self, manager: &TransactionManager) -> bool {
        self.is_needed(manager)
    }

    fn begins_transaction(&self) -> bool {
        true
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        let (transactional_id, producer) = manager.named_producer();
        Request::AddOffsetsToTxn(Box::new(AddOffsetsToTxnRequest {
            transactional_id,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            group_id: Arc::clone(&self.offsets.group.group_id),
        }))
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        match response {
            Response::AddOffsetsToTxn(response) => self.handle_code(response.error, manager),
            other => {
                manager.contents.note_lost_answer();
                manager.not_an_answer(&other)
            }
        }
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
        let verdict = match failure {
            RequestFailure::Unwritable(why) => {
                manager.fail_for_unwritable(&why, self.offsets.group.group_id());
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
