//! Telling of what may happen over and over: at once when it begins, and then seldom, with how often.

use std::fmt;
use std::time::Duration;

use super::{Deadline, Instant};

/// As long after a line was logged the next of its kind may follow. No event from outside makes more
/// lines of a kind than that.
pub(crate) const SAID_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What may be said of one thing, say, of one state of one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seldom {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// The thing has happened. Whether it is to be said now, and how often it was not.
    pub(crate) fn happened(&mut self, now: Instant) -> Option<Unsaid> {
        let may_say = self
            .said
            .is_none_or(|at| Deadline::after(at, SAID_AGAIN_AFTER).is_over(now));
        if may_say {
            self.said = Some(now);
            return Some(Unsaid(std::mem::take(&mut self.unsaid)));
        }
        self.unsaid = self.unsaid.saturating_add(1);
        None
    }
}

/// How often a thing happened since it was last said: the end of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsaid(pub(crate) u64);

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and once more since this was last logged)"),
            count => write!(f, " (and {count} times more since this was last logged)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_happening_is_said_at_once_and_then_seldom_with_how_often() {
        let mut thing = Seldom::default();
        let mut now = Instant::ORIGIN;
        let mut said = Vec::new();
        for _ in 0..=6_000 {
            said.extend(thing.happened(now).map(|unsaid| unsaid.to_string()));
            now = now.saturating_add(Duration::from_millis(10));
        }
        let again = " (and 2999 times more since this was last logged)";
        assert_eq!(said, ["", again, again]);
    }
}
