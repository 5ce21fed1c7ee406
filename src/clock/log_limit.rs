//! How much may be logged of what can happen any number of times.

use std::fmt;
use std::time::Duration;

use super::Instant;

/// The most lines of one [`LogLimit`] within [`WINDOW`].
pub(crate) const LINES_PER_WINDOW: u32 = 10;

/// The span that lines are counted in.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// Lets ten lines a second through, and counts the others for the next line that gets through.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// How many lines were left out before this one: to be written at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeftOut(u64);

impl LogLimit {
    /// Whether a line may be written now.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<LeftOut> {
        let is_over = |began: Instant| now >= began && now - began >= WINDOW;
        if self.began.is_none_or(is_over) {
            self.began = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES_PER_WINDOW {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(LeftOut(std::mem::take(&mut self.left_out)))
    }
}

impl LeftOut {
    /// Whether there were any.
    pub(crate) fn is_any(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} lines of this kind were left out before)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_get_through_and_the_next_tells_how_many_did_not() {
        let mut limit = LogLimit::default();
        let start = Instant::from_nanos(5);
        for millis in 0..100 {
            let admitted = limit.admit(start + Duration::from_millis(millis));
            let expected = (millis < 10).then_some(LeftOut(0));
            assert_eq!(admitted, expected, "{millis}");
        }
        let next = limit.admit(start + WINDOW).expect("a new second");
        assert!(next.to_string().contains("90"), "{next}");
        assert_eq!(limit.admit(start + WINDOW), Some(LeftOut(0)));
        assert_eq!(LeftOut(0).to_string(), "");
    }
}
