//! The clock of a run.

use std::time::Instant;

/// Reads the time as nanoseconds since the start of the run. This `u64`, which is kept for each record in flight, is
/// half as large as an `Instant`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunClock(Instant);

impl RunClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[inline]
    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}
