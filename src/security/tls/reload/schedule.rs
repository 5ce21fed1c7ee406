//! The times of the checks.

use std::time::Duration;

use crate::clock::{Deadline, Instant};

/// A check that takes longer than this, and than the interval, is reported.
const LONG_CHECK: Duration = Duration::from_secs(60);

/// The action that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DueAction {
    /// Nothing before this deadline.
    Nothing(Deadline),
    /// A check is to be started; it is marked as running.
    StartCheck,
    /// The running check takes too long, which is to be logged. Due once for each check.
    ReportCheck,
}

/// The times of the checks.
pub(super) struct CheckSchedule {
    /// The interval; `None` if there are no checks.
    interval: Option<Duration>,
    /// The start of the next check, if none is running.
    next: Deadline,
    /// While a check is running: when to report it. `Never` if it has been reported.
    report: Option<Deadline>,
    /// Whether the log has the warning that no helper thread could be started.
    has_warned: bool,
}

impl CheckSchedule {
    pub(super) fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self {
            interval,
            next: interval.map_or(Deadline::Never, |interval| Deadline::after(now, interval)),
            report: None,
            has_warned: false,
        }
    }

    /// The action that is due now.
    pub(super) fn due(&mut self, now: Instant) -> DueAction {
        match self.report {
            Some(report) if report.is_over(now) => {
                self.report = Some(Deadline::Never);
                DueAction::ReportCheck
            }
            None if self.next.is_over(now) => {
                let longest = self.interval.unwrap_or_default().max(LONG_CHECK);
                self.report = Some(Deadline::after(now, longest));
                DueAction::StartCheck
            }
            _ => DueAction::Nothing(self.deadline()),
        }
    }

    /// The time of the next action. The end of a check is none: it wakes the poller.
    pub(super) fn deadline(&self) -> Deadline {
        self.report.unwrap_or(self.next)
    }

    /// Ends the running check. The next one starts after `pause`.
    pub(super) fn end(&mut self, now: Instant, pause: Duration) {
        self.report = None;
        self.next = Deadline::after(now, pause);
    }

    /// Returns true at the first call: a missing helper thread is logged once.
    pub(super) fn is_first_without_thread(&mut self) -> bool {
        !std::mem::replace(&mut self.has_warned, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::clock::mock::MockClock;

    #[test]
    fn a_check_that_does_not_end_is_reported_once() {
        for (interval, longest) in [(1, 60), (90, 90)] {
            let clock = MockClock::new();
            let (interval, longest) = (Duration::from_secs(interval), Duration::from_secs(longest));
            let mut schedule = CheckSchedule::new(Some(interval), clock.now());
            let next = Deadline::after(clock.now(), interval);
            assert_eq!(schedule.due(clock.now()), DueAction::Nothing(next));
            for _ in 0..2 {
                clock.advance(interval);
                assert_eq!(schedule.due(clock.now()), DueAction::StartCheck);
                let report = Deadline::after(clock.now(), longest);
                assert_eq!(schedule.due(clock.now()), DueAction::Nothing(report));
                clock.advance(longest);
                assert_eq!(schedule.due(clock.now()), DueAction::ReportCheck);
                clock.advance(longest);
                let never = DueAction::Nothing(Deadline::Never);
                assert_eq!(schedule.due(clock.now()), never);
                schedule.end(clock.now(), interval);
            }
        }
    }
}
