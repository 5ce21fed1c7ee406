//! The EndTxn request: commits or aborts the open transaction.

use super::TransactionManager;
use super::contents::Begun;
use super::request::{
    Condition, CoordinatorKey, Destination, Priority, RequestFailure, RequestHandler,
    RequestVerdict, describe, may_be_carried_out,
};
use super::state::TransactionManagerState;
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::planted::planted;
use crate::protocol::{EndTxnRequest, Request, Response};

/// Commits or aborts the open transaction, once all its batches have completed. It is not sent if the coordinator
/// cannot have begun the transaction (TM-13).
///
/// # Kafka
/// `TransactionManager.EndTxnHandler`. Differs: every retriable code is retried, and an abort succeeds if the
/// coordinator has lost the producer id, unless it may have committed before; in Java that error is fatal (TM-35).
#[derive(Debug)]
pub(super) struct EndTxn {
    coordinator: CoordinatorKey,
    /// True to commit, false to abort.
    commits: bool,
    /// True if an attempt got no response, or an ambiguous one: the coordinator may have executed it.
    is_in_doubt: bool,
}

impl EndTxn {
    pub(super) fn new(coordinator: CoordinatorKey, commits: bool) -> Self {
        Self {
            coordinator,
            commits,
            is_in_doubt: false,
        }
    }

    fn handle_code(&mut self, code: ErrorCode, manager: &mut TransactionManager) -> RequestVerdict {
        let aborts = !self.commits;
        // After a commit in doubt the coordinator may have ended the transaction by committing it.
        let was_aborted = aborts && !manager.commit_in_doubt;
        match code {
            ErrorCode::NoError => {
                manager.complete_transaction();
                RequestVerdict::Done
            }
            // There is no transaction to end: the request that would have begun it was lost.
            ErrorCode::InvalidTxnState
                if was_aborted && manager.contents.begun == Begun::Perhaps =>
            {
                manager.complete_transaction();
                RequestVerdict::Done
            }
            // The coordinator has lost the producer id. It ends the transaction before it removes the id.
            ErrorCode::UnknownProducerId | ErrorCode::InvalidProducerIdMapping
                if was_aborted && manager.can_bump_epoch() =>
            {
                manager.require_epoch();
                manager.complete_transaction();
                RequestVerdict::Done
            }
            code => {
                // Kept over retries: whatever a later attempt returns, an earlier one may have been carried out.
                self.is_in_doubt |=
                    may_be_carried_out(code) && !planted!(DisputedCommitCalledAborted);
                self.note_doubt(manager);
                let what = if self.commits { "commit" } else { "abort" };
                let verdict = manager.transactional_error(code, what, "the transaction");
                // A refused commit fails the transaction; a refused abort leaves nothing to try, and is fatal to the
                // producer.
                let is_left =
                    aborts && self.is_expected(manager) && !planted!(RefusedAbortForgotten);
                let verdict =
                    verdict.filter(|verdict| *verdict != RequestVerdict::Done || !is_left);
                verdict.unwrap_or_else(|| {
                    let message = format!(
                        "the coordinator did not {what} the transaction: {}",
                        describe(code)
                    );
                    manager.fail_with(code, &message.into());
                    RequestVerdict::Done
                })
            }
        }
    }
}

impl RequestHandler for EndTxn {
    fn destination(&self) -> Destination {
        Destination::Coordinator(self.coordinator.clone())
    }

    fn priority(&self) -> Priority {
        Priority::EndTransaction
    }

    fn condition(&self, _manager: &TransactionManager) -> Condition {
        if planted!(CommitOvertakesBatches) {
            Condition::Nothing
        } else {
            Condition::BatchesEnded
        }
    }

    fn is_needed(&self, manager: &TransactionManager) -> bool {
        self.is_expected(manager)
            && (manager.may_have_begun() || !planted!(UntoldEndOvertakesPacking))
    }

    /// No EndTxn is sent for a transaction that the coordinator cannot have begun (TM-13).
    fn asks_broker(&self, manager: &TransactionManager) -> bool {
        manager.may_have_begun()
    }

    fn handle_unneeded(&mut self, manager: &mut TransactionManager, _now: Instant) {
        if self.is_expected(manager) {
            manager.complete_transaction();
        }
    }

    fn is_awaited(&self, manager: &TransactionManager) -> bool {
        self.is_expected(manager)
    }

    fn commits(&self) -> bool {
        self.commits
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        let (transactional_id, producer) = manager.named_producer();
        Request::EndTxn(EndTxnRequest {
            transactional_id,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            committed: self.commits || planted!(AbortCommits),
        })
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        match response {
            Response::EndTxn(response) => self.handle_code(response.error, manager),
            other => {
                self.is_in_doubt = true;
                self.note_doubt(manager);
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
            self.is_in_doubt = true;
        }
        self.note_doubt(manager);
        manager.no_answer(failure)
    }
}

impl EndTxn {
    /// Notes whether the commit is in doubt. The note stays until the transaction has ended, even if the transaction
    /// must be aborted.
    fn note_doubt(&self, manager: &mut TransactionManager) {
        if self.commits {
            manager.commit_in_doubt = self.is_in_doubt;
        }
    }

    /// Whether the transaction is still in the state that this EndTxn is for: it may have failed since.
    fn is_expected(&self, manager: &TransactionManager) -> bool {
        let expected = if self.commits {
            TransactionManagerState::Committing
        } else {
            TransactionManagerState::Aborting
        };
        manager.state_seen == expected
    }
}
