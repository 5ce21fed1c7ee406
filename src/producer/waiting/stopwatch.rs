//! A stopwatch for the time that a call has waited, with a limit.

use std::time::Duration;

use crate::clock::{Clock, Deadline, Instant};
use crate::planted::planted;

/// A stopwatch on the producer's clock, with the call's timeout as its limit. Runs only while the call waits: the time
/// that user code takes in its steps does not count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    /// `None` if there is no timeout.
    limit: Option<Duration>,
    /// The time of all earlier runs.
    spent: Duration,
    /// When the stopwatch was started; `None` while it is stopped.
    running_since: Option<Instant>,
}

impl Stopwatch {
    /// A stopped stopwatch, at zero.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            spent: Duration::ZERO,
            running_since: None,
        }
    }

    /// The limit; `None` if there is no timeout.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Starts the stopwatch; returns false if it is running already.
    pub(crate) fn start(&mut self, clock: &dyn Clock) -> bool {
        let starts = self.running_since.is_none();
        if starts {
            self.running_since = Some(clock.now());
        }
        starts
    }

    /// Stops the stopwatch, if it is running.
    pub(crate) fn stop(&mut self, clock: &dyn Clock) {
        let since = self.running_since.take();
        if let Some(since) = since.filter(|_| !planted!(BlockedTimeForgotten)) {
            self.spent += clock.now() - since;
        }
    }

    /// Whether the limit is reached.
    pub(crate) fn is_over(&self, clock: &dyn Clock) -> bool {
        match (self.deadline(), self.limit) {
            (Deadline::At(at), _) => clock.now() >= at,
            // The stopwatch is stopped, has no limit, or has a limit beyond the range of the clock.
            (Deadline::Never, limit) => limit.is_some_and(|limit| self.spent >= limit),
        }
    }

    /// When the limit will be reached; never while it is stopped.
    pub(crate) fn deadline(&self) -> Deadline {
        match (self.running_since, self.limit) {
            (Some(since), Some(limit)) => Deadline::after(since, limit.saturating_sub(self.spent)),
            _ => Deadline::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::mock::MockClock;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_stopwatch_counts_only_the_time_in_which_it_runs() {
        let clock = MockClock::new();
        let mut watch = Stopwatch::new(Some(MS(10)));
        clock.advance(MS(100));
        assert_eq!(
            (watch.deadline(), watch.is_over(&clock)),
            (Deadline::Never, false)
        );
        assert!(watch.start(&clock));
        clock.advance(MS(6));
        assert!(!watch.start(&clock));
        watch.stop(&clock);
        clock.advance(MS(100));
        assert!(!watch.is_over(&clock));
        watch.start(&clock);
        assert_eq!(watch.deadline(), Deadline::At(clock.now() + MS(4)));
        clock.advance(MS(4));
        assert!(watch.is_over(&clock));
        watch.stop(&clock);
        assert!(watch.is_over(&clock));
    }

    #[test]
    fn a_stopwatch_without_a_limit_or_with_one_beyond_the_clock_is_never_over() {
        let clock = MockClock::new();
        for limit in [None, Some(Duration::MAX)] {
            let mut watch = Stopwatch::new(limit);
            watch.start(&clock);
            clock.advance(MS(1_000_000));
            watch.stop(&clock);
            assert!(!watch.is_over(&clock));
            watch.start(&clock);
            assert_eq!(
                (watch.deadline(), watch.is_over(&clock)),
                (Deadline::Never, false)
            );
        }
    }

    #[test]
    fn a_stopwatch_with_a_limit_of_zero_is_over_at_once() {
        let clock = MockClock::new();
        let mut watch = Stopwatch::new(Some(Duration::ZERO));
        assert!(watch.is_over(&clock));
        watch.start(&clock);
        assert!(watch.is_over(&clock));
    }
}
