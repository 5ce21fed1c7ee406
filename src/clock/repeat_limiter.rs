//! Log rate limit per event: a repeated event is logged at once, and then at long intervals with the number of
//! repetitions.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Deadline, Instant};

/// Interval between log lines of the same kind.
pub(crate) const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Rate limiter of one kind of event, such as one state of one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct RepeatLimiter {
    last_logged: Option<Instant>,
    suppressed: u64,
}

impl RepeatLimiter {
    /// Notes that the event has happened. Returns `Some` if it is to be logged now, with the number of suppressed
    /// repetitions.
    pub(crate) fn happened(&mut self, now: Instant) -> Option<Suppressed> {
        let may_log = self
            .last_logged
            .is_none_or(|at| Deadline::after(at, LOG_INTERVAL).is_over(now));
        if may_log {
            self.last_logged = Some(now);
            return Some(Suppressed(std::mem::take(&mut self.suppressed)));
        }
        self.suppressed = self.suppressed.saturating_add(1);
        None
    }
}

/// Number of repetitions suppressed since the last log line; printed at the end of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suppressed(pub(crate) u64);

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and once more since this was last logged)"),
            count => write!(f, " (and {count} times more since this was last logged)"),
        }
    }
}

/// Most distinct lines that are remembered. Further ones are suppressed until older ones expire.
const LINES_AT_MOST: usize = 200;

/// Rate limiter of many kinds of events, identified by their log lines.
#[derive(Debug, Default)]
pub(crate) struct LineRepeatLimiter(BTreeMap<String, Instant>);

impl LineRepeatLimiter {
    /// True if this line is to be logged: it was not logged within [`LOG_INTERVAL`], and fewer than [`LINES_AT_MOST`]
    /// other lines were.
    pub(crate) fn may_log(&mut self, line: &str, now: Instant) -> bool {
        self.0
            .retain(|_, at| !Deadline::after(*at, LOG_INTERVAL).is_over(now));
        if self.0.len() >= LINES_AT_MOST || self.0.contains_key(line) {
            return false;
        }
        self.0.insert(line.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_event_is_logged_at_once_and_then_at_intervals_with_its_count() {
        let mut event = RepeatLimiter::default();
        let mut now = Instant::ORIGIN;
        let mut logged = Vec::new();
        for _ in 0..=6_000 {
            logged.extend(event.happened(now).map(|suppressed| suppressed.to_string()));
            now = now.saturating_add(Duration::from_millis(10));
        }
        let again = " (and 2999 times more since this was last logged)";
        assert_eq!(logged, ["", again, again]);
    }

    #[test]
    fn a_repeated_line_is_logged_once_per_interval_and_distinct_lines_are_limited() {
        let mut lines = LineRepeatLimiter::default();
        let mut now = Instant::ORIGIN;
        let mut logged = 0;
        for second in 0..60 {
            for line in 0..1_000 {
                logged += usize::from(lines.may_log(&line.to_string(), now));
            }
            assert!(!lines.may_log("0", now), "second {second}");
            now = now.saturating_add(Duration::from_secs(1));
        }
        assert_eq!(logged, 2 * LINES_AT_MOST);
    }
}
