//! The clock of a run.

use std::time::Instant;

/// Reads nanoseconds since the start of the run: a `u64` for each record in flight takes half of an `Instant`.
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
