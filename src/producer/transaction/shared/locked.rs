//! The part of the shared state that is behind the lock: transitions, and the checks of calls.

use std::sync::Arc;

use super::pending_operations::PendingOperations;
use super::retry_reasons::RetryReasons;
#[cfg(feature = "testing")]
use super::tally::TransactionTally;
use crate::error::TransactionFailure;
use crate::planted::planted;
use crate::producer::accumulator::{PartitionEntry, TransactionNumber};
use crate::producer::transaction::state::TransactionManagerState;

/// How a transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionEnd {
    Committed,
    Aborted,
}

/// The state behind the lock of [`Transactions`](super::Transactions).
#[derive(Debug)]
pub(super) struct SharedTransactionState {
    pub(super) state: TransactionManagerState,
    /// The newest transaction.
    pub(super) number: TransactionNumber,
    /// The reason of an error state; `None` in any other state.
    pub(super) failure: Option<TransactionFailure>,
    pub(super) pending: PendingOperations,
    /// Why requests are retried, for the errors of calls and records that time out.
    pub(super) retry_reasons: RetryReasons,
    /// Partitions entered into the transaction: their queues accept records.
    pub(super) entered: Vec<Arc<PartitionEntry>>,
    /// The number of entered partitions that the sender has taken.
    pub(super) known: usize,
    /// How the newest transaction has ended; `None` if it has not.
    pub(super) end: Option<TransactionEnd>,
    /// The newest transaction that was committed.
    pub(super) committed: Option<TransactionNumber>,
    /// True if an EndTxn(commit) of the newest transaction was sent, and its result is not known.
    pub(super) commit_in_doubt: bool,
    #[cfg(feature = "testing")]
    pub(super) tally: TransactionTally,
}

impl SharedTransactionState {
    pub(super) fn new() -> Self {
        Self {
            state: TransactionManagerState::Uninitialized,
            number: TransactionNumber::NONE,
            failure: None,
            pending: PendingOperations::default(),
            retry_reasons: RetryReasons::default(),
            entered: Vec::new(),
            known: 0,
            end: None,
            committed: None,
            commit_in_doubt: false,
            #[cfg(feature = "testing")]
            tally: TransactionTally::default(),
        }
    }

    /// Makes a state transition, which the table must allow. `failure` is the reason of an error state.
    pub(super) fn transition(
        &mut self,
        next: TransactionManagerState,
        failure: Option<TransactionFailure>,
    ) {
        debug_assert!(self.state.may_become(next), "{:?} to {next:?}", self.state);
        debug_assert_eq!(
            failure.is_some(),
            matches!(
                next,
                TransactionManagerState::AbortableError | TransactionManagerState::FatalError
            )
        );
        let before = std::mem::replace(&mut self.state, next);
        #[cfg(feature = "testing")]
        self.tally.count(before, next);
        // A retry in the last state does not explain delays in the next state. An exception are records that expire
        // together with the one that has failed the transaction.
        if next != TransactionManagerState::AbortableError {
            self.retry_reasons = RetryReasons::default();
        }
        self.failure = failure;
        match (before, next) {
            (
                TransactionManagerState::Committing,
                TransactionManagerState::Ready | TransactionManagerState::Initializing,
            ) => {
                self.end = Some(TransactionEnd::Committed);
                self.committed = Some(self.number);
                self.commit_in_doubt = false;
            }
            (
                TransactionManagerState::Aborting,
                TransactionManagerState::Ready | TransactionManagerState::Initializing,
            ) => {
                self.end = Some(TransactionEnd::Aborted);
                self.commit_in_doubt = false;
            }
            (_, TransactionManagerState::InTransaction) => self.end = None,
            _ => {}
        }
        // Leaving InTransaction by any way (commit, abort, error) closes the queues: no record is appended after this.
        if before == TransactionManagerState::InTransaction {
            for entry in &self.entered {
                if !planted!(QueuesStayOpen) {
                    entry.leave_transaction();
                }
            }
        }
        // Cleared only now: the sender may take news of the last partitions while the transaction is being committed.
        if next == TransactionManagerState::InTransaction {
            self.entered.clear();
            self.known = 0;
        }
    }

    /// Notes in the failure of a refused call whether the transaction may be committed. Every refusal passes through
    /// here.
    pub(super) fn refused(
        &self,
        of: Option<TransactionNumber>,
        failure: TransactionFailure,
    ) -> TransactionFailure {
        let may_be_committed = failure.may_be_committed || self.may_be_committed(of);
        failure.in_doubt(may_be_committed)
    }

    fn wrong_state(
        &self,
        of: Option<TransactionNumber>,
        message: impl Into<Arc<str>>,
    ) -> TransactionFailure {
        self.refused(of, TransactionFailure::wrong_state(message))
    }

    /// Whether a transaction may be committed. Without `of`: the newest transaction, as long as no call has returned
    /// the outcome of its commit. With `of`: the transaction of a guard; true even if it is known to be committed.
    fn may_be_committed(&self, of: Option<TransactionNumber>) -> bool {
        if let Some(of) = of {
            if of != self.number || self.end.is_some() {
                // Only the newest commit is remembered: earlier transactions may have been committed, later ones were
                // not.
                return self.committed.is_some_and(|committed| of <= committed);
            }
        }
        let may_commit = self
            .pending
            .commit()
            .is_some_and(|commit| match commit.get() {
                None | Some(Ok(())) => true,
                Some(Err(failure)) => failure.may_be_committed,
            });
        may_commit || self.commit_in_doubt || self.state == TransactionManagerState::Committing
    }

    /// Fails if `of` is not the newest transaction: a late call must not affect the next transaction.
    pub(super) fn check_number(
        &self,
        of: Option<TransactionNumber>,
    ) -> Result<(), TransactionFailure> {
        if of.is_none_or(|of| of == self.number) {
            return Ok(());
        }
        Err(self.wrong_state(
            of,
            "it is for an earlier transaction, which has ended, and another was begun since",
        ))
    }

    /// The check for a record. A record that is sent after a commit belongs to no transaction, so its failure does not
    /// report that commit. If a transaction guard sends the record, the guard adds that report itself.
    ///
    /// `of` is the newest transaction at the time of the call. It may have ended before the call, or there was none.
    pub(super) fn check_record(&self, of: TransactionNumber) -> Result<(), TransactionFailure> {
        if of != self.number {
            return Err(TransactionFailure::wrong_state(
                "another transaction was begun meanwhile, and the record is not part of it",
            ));
        }
        self.check_open(None)
    }

    pub(super) fn check_open(
        &self,
        of: Option<TransactionNumber>,
    ) -> Result<(), TransactionFailure> {
        match (self.state, &self.failure) {
            (TransactionManagerState::InTransaction, _) => Ok(()),
            (_, Some(failure)) => Err(self.refused(of, failure.clone())),
            (state, None) => {
                Err(self.wrong_state(of, format!("it needs an open transaction, and {state}")))
            }
        }
    }

    /// TM-6: in an error state calls fail with that error; after an abortable error, abort is allowed.
    pub(super) fn check_state(
        &self,
        of: Option<TransactionNumber>,
        next: TransactionManagerState,
    ) -> Result<(), TransactionFailure> {
        if self.state.may_become(next) {
            return Ok(());
        }
        let state = self.state;
        Err(match &self.failure {
            Some(failure) => self.refused(of, failure.clone()),
            None => self.wrong_state(
                of,
                match next {
                    TransactionManagerState::Initializing => {
                        format!("it is for once, at the beginning, and {state}")
                    }
                    TransactionManagerState::InTransaction => {
                        format!("it needs a producer without an open transaction, and {state}")
                    }
                    _ => format!("it needs an open transaction, and {state}"),
                },
            ),
        })
    }

    /// Fails if an operation is pending: its call must return its result first. Offset commits are no obstacle.
    pub(super) fn check_pending(
        &self,
        of: Option<TransactionNumber>,
    ) -> Result<(), TransactionFailure> {
        let Some(pending) = self.pending.other_than_offsets() else {
            return Ok(());
        };
        Err(self.wrong_state(
            of,
            format!(
                "{} was called before, and its result is not known yet: wait for it, or call that method again first",
                pending.call()
            ),
        ))
    }
}
