//! What others tell the sender thread: to end, soon or at once; and what it tells them: that it failed.

use std::sync::Arc;

use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const RUNNING: u8 = 0;
const CLOSING: u8 = 1;
const FORCED: u8 = 2;

/// The sender's switch. Goes one way only: running, closing, forced.
#[derive(Debug, Default)]
pub(crate) struct SenderControl {
    phase: AtomicU8,
    failure: OnceLock<Arc<str>>,
    /// Records that were given up because the producer was closed by force.
    undelivered: AtomicU64,
}

impl SenderControl {
    pub(crate) fn is_running(&self) -> bool {
        self.phase.load(Ordering::Acquire) == RUNNING
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.phase.load(Ordering::Acquire) == FORCED
    }

    /// Send what is left, then end. The caller wakes the sender.
    pub(crate) fn close(&self) {
        self.phase.fetch_max(CLOSING, Ordering::AcqRel);
    }

    /// End now. The caller wakes the sender.
    pub(crate) fn force(&self) {
        self.phase.fetch_max(FORCED, Ordering::AcqRel);
    }

    /// The sender failed for good.
    pub(crate) fn fail(&self, why: Arc<str>) {
        let _ = self.failure.set(why);
        self.force();
    }

    /// Why the sender failed, if it did.
    pub(crate) fn failure(&self) -> Option<&Arc<str>> {
        self.failure.get()
    }

    pub(crate) fn add_undelivered(&self, records: u32) {
        self.undelivered
            .fetch_add(u64::from(records), Ordering::AcqRel);
    }

    pub(crate) fn undelivered(&self) -> u64 {
        self.undelivered.load(Ordering::Acquire)
    }
}
