//! The clock of a mock producer: the system's, except that it skips waits that cannot succeed.

use std::time::Duration;

use crate::clock::{Clock, Instant, SystemClock, Timestamp};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The longest sleep of a thread before it reads the clock again. The clock may have skipped time meanwhile.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// The system's clock plus the time that was skipped.
#[derive(Debug, Default)]
pub(super) struct MockedClock {
    system: SystemClock,
    /// Total time skipped, in nanoseconds.
    skipped: AtomicU64,
    /// Whether no response with metadata will come: threads skip their waits for one, and no others.
    is_silent: AtomicBool,
}

impl MockedClock {
    /// Whether threads skip their waits for metadata.
    pub(super) fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::SeqCst);
    }
}

impl Clock for MockedClock {
    fn now(&self) -> Instant {
        let skipped = Duration::from_nanos(self.skipped.load(Ordering::SeqCst));
        self.system.now() + skipped
    }

    fn timestamp(&self) -> Timestamp {
        self.system.timestamp()
    }

    fn real_time(&self, left: Duration, awaits_metadata: bool) -> Duration {
        if !awaits_metadata || !self.is_silent.load(Ordering::SeqCst) {
            return left.min(CHECK_INTERVAL);
        }
        let nanos = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX / 2);
        self.skipped.fetch_add(nanos, Ordering::SeqCst);
        Duration::ZERO
    }
}
