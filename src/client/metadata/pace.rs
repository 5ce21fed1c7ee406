//! Rate limit of metadata requests.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::util::backoff::SHORTEST_BACKOFF;

/// Maximum number of attempts within [`WINDOW`] without a back-off between them. A burst of new topics at the start
/// need not wait; an application that sends each record to a new topic is slowed down.
pub(super) const MAX_BURST: usize = 50;

/// Length of the sliding window.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// Times of the last attempts to update the metadata.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// At most [`MAX_BURST`], the newest last.
    attempts: VecDeque<Instant>,
}

impl Pace {
    /// Records an attempt that succeeded or failed.
    pub(super) fn record_attempt(&mut self, now: Instant) {
        if self.attempts.len() == MAX_BURST {
            self.attempts.pop_front();
        }
        self.attempts.push_back(now);
    }

    /// Moves the last attempt to `now`, when it was complete.
    pub(super) fn prolong(&mut self, now: Instant) {
        if let Some(last) = self.attempts.back_mut() {
            *last = now;
        }
    }

    /// When the next attempt with a back-off of `pause` is allowed.
    pub(super) fn after(&self, pause: Duration, now: Instant) -> Deadline {
        let last = self.attempts.back();
        last.map_or(Deadline::At(now), |at| Deadline::after(*at, pause))
    }

    /// When the next attempt without back-off is allowed: if the window is full, [`SHORTEST_BACKOFF`] after the last
    /// attempt, else at once.
    pub(super) fn without_backoff(&self, now: Instant) -> Deadline {
        // The window is full if the oldest of `MAX_BURST` attempts still lies in it.
        let is_over = |at: &Instant| now - *at >= WINDOW;
        if self.attempts.len() < MAX_BURST || self.attempts.front().is_none_or(is_over) {
            return Deadline::At(now);
        }
        self.after(SHORTEST_BACKOFF, now)
    }
}
