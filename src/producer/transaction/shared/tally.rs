//! The tally of a producer's transactions, for the simulator.

use super::TransactionManagerState;

/// The number of a producer's transactions so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TransactionTally {
    pub(crate) is_initialized: bool,
    pub(crate) begun: u64,
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
    /// True if the transaction that ended last was committed.
    pub(crate) last_was_committed: bool,
}

impl TransactionTally {
    pub(super) fn count(&mut self, before: TransactionManagerState, next: TransactionManagerState) {
        match (before, next) {
            (_, TransactionManagerState::InTransaction) => self.begun += 1,
            (
                TransactionManagerState::Committing,
                TransactionManagerState::Ready | TransactionManagerState::Initializing,
            ) => {
                self.committed += 1;
                self.last_was_committed = true;
            }
            (
                TransactionManagerState::Aborting,
                TransactionManagerState::Ready | TransactionManagerState::Initializing,
            ) => {
                self.aborted += 1;
                self.last_was_committed = false;
            }
            _ => {}
        }
        self.is_initialized |= next == TransactionManagerState::Ready;
    }

    /// Whether a transaction was begun that has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.begun > self.committed + self.aborted
    }
}
