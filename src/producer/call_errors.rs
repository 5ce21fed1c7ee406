//! Error injection of the mock producer: errors that its calls return.

use crate::error::{CloseError, FlushError, MetadataError, SendError, TransactionError};
use crate::sync::{Mutex, Rank};

/// Injected errors. Each call returns its injected error before it does anything else, until a test clears the error.
/// Only a mock producer has injected errors.
pub(crate) struct CallErrors(Mutex<Set>);

/// One injected error for each call.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) send: Option<SendError>,
    pub(crate) flush: Option<FlushError>,
    pub(crate) close: Option<CloseError>,
    pub(crate) partitions_for: Option<MetadataError>,
    pub(crate) init_transactions: Option<TransactionError>,
    pub(crate) begin_transaction: Option<TransactionError>,
    pub(crate) send_offsets_to_transaction: Option<TransactionError>,
    pub(crate) commit_transaction: Option<TransactionError>,
    pub(crate) abort_transaction: Option<TransactionError>,
}

impl CallErrors {
    pub(crate) fn none() -> Self {
        Self(Mutex::new(Rank::LEAF, Set::default()))
    }

    /// Fails with the injected error of a call, if there is one.
    pub(crate) fn check<E: Clone>(&self, of: impl FnOnce(&Set) -> &Option<E>) -> Result<(), E> {
        match of(&self.0.lock()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Sets or clears the error of a call.
    pub(crate) fn set<E>(&self, of: impl FnOnce(&mut Set) -> &mut Option<E>, error: Option<E>) {
        let before = std::mem::replace(of(&mut self.0.lock()), error);
        // Dropped after the lock was released: the old error may contain a user's error, whose destructor is user code.
        drop(before);
    }
}
