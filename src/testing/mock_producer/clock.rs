//! The clock of a mock producer: the system's, except that it skips waits that cannot succeed.

use std::time::Duration;

use crate::clock::{Clock, Instant, SystemClock, Timestamp};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The longest sleep of a thread before it reads the clock again. The clock may have skipped time meanwhile.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// The system's clock plus the time that was skipped.
#[derive(Debug, Default)]
pub(super) struct MockedClock {
    system: SystemClock,
    /// Total time skipped, in nanoseconds.
    skipped: AtomicU64,
    /// Nanoseconds that threads may skip instead of sleeping.
    to_skip: AtomicU64,
}

impl MockedClock {
    /// Lets threads skip this much of their next waits.
    pub(super) fn skip_next_wait(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2);
        self.to_skip.store(nanos, Ordering::SeqCst);
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

    fn real_time(&self, left: Duration) -> Duration {
        let left_nanos = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        let take = |to_skip: u64| (to_skip > 0).then(|| to_skip.saturating_sub(left_nanos));
        match self
            .to_skip
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
        {
            Ok(before) => {
                self.skipped
                    .fetch_add(before.min(left_nanos), Ordering::SeqCst);
                Duration::ZERO
            }
            Err(_) => left.min(CHECK_INTERVAL),
        }
    }
}
