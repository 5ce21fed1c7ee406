//! Shutdown flags between application threads and the sender: close, forced close, failure.

use crate::error::ProducerFailure;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const RUNNING: u8 = 0;
const CLOSING: u8 = 1;
const FORCED: u8 = 2;

/// The sender's lifecycle. The phase only goes forward: running, closing, forced.
///
/// # Kafka
/// `Sender#initiateClose`, `#forceClose`.
#[derive(Debug, Default)]
pub(crate) struct SenderControl {
    phase: AtomicU8,
    failure: OnceLock<ProducerFailure>,
    /// The number of records aborted by a forced close.
    undelivered: AtomicU64,
    /// Set if the sender ended with a transaction that the coordinator may still have open.
    left_transaction: OnceLock<()>,
}

impl SenderControl {
    pub(crate) fn is_running(&self) -> bool {
        self.phase.load(Ordering::Acquire) == RUNNING
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.phase.load(Ordering::Acquire) == FORCED
    }

    /// Graceful close: the sender delivers the remaining batches, then ends. The caller must wake the sender.
    pub(crate) fn close(&self) {
        // `fetch_max`, not a store: a late `close` must not undo `force`.
        self.phase.fetch_max(CLOSING, Ordering::AcqRel);
    }

    /// Forced close: the sender aborts the remaining batches and ends. The caller must wake the sender.
    pub(crate) fn force(&self) {
        self.phase.fetch_max(FORCED, Ordering::AcqRel);
    }

    /// Records a fatal failure of the sender, and forces the close.
    pub(crate) fn fail(&self, failure: ProducerFailure) {
        let _ = self.failure.set(failure);
        // Forced after the failure is set: a thread that sees the forced close finds the reason.
        self.force();
    }

    /// Why the sender failed, if it did.
    pub(crate) fn failure(&self) -> Option<&ProducerFailure> {
        self.failure.get()
    }

    pub(crate) fn leave_transaction(&self) {
        let _ = self.left_transaction.set(());
    }

    pub(crate) fn has_left_transaction(&self) -> bool {
        self.left_transaction.get().is_some()
    }

    pub(crate) fn add_undelivered(&self, records: u32) {
        self.undelivered
            .fetch_add(u64::from(records), Ordering::AcqRel);
    }

    pub(crate) fn undelivered(&self) -> u64 {
        self.undelivered.load(Ordering::Acquire)
    }
}
