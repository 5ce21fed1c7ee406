//! How soon after the last requests for metadata there may be another.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::util::backoff::SHORTEST_BACKOFF;

/// As many attempts may follow each other at once within [`WINDOW`]: new topics do not wait, and who begins
/// with many of them should not either; but somebody may take a new name for each record.
pub(super) const AT_ONCE: usize = 50;

/// The time that they are counted in.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// The last attempts to get metadata.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// No more than [`AT_ONCE`], the newest last.
    attempts: VecDeque<Instant>,
}

impl Pace {
    /// An attempt has come to its end.
    pub(super) fn attempted(&mut self, now: Instant) {
        if self.attempts.len() == AT_ONCE {
            self.attempts.pop_front();
        }
        self.attempts.push_back(now);
    }

    /// When there may be another that is to wait as long as `pause` after the last.
    pub(super) fn after(&self, pause: Duration, now: Instant) -> Deadline {
        let last = self.attempts.back();
        last.map_or(Deadline::At(now), |at| Deadline::after(*at, pause))
    }

    /// When there may be another that is not to wait: at once, unless there were too many; then after
    /// [`SHORTEST_BACKOFF`].
    pub(super) fn at_once(&self, now: Instant) -> Deadline {
        let is_over = |at: &Instant| now - *at >= WINDOW;
        if self.attempts.len() < AT_ONCE || self.attempts.front().is_none_or(is_over) {
            return Deadline::At(now);
        }
        self.after(SHORTEST_BACKOFF, now)
    }
}
