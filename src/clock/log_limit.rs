//! Log rate limit per time window, for events that can happen any number of times.

use std::fmt;
use std::time::Duration;

use super::Instant;

/// Most lines of one [`LogLimit`] within [`WINDOW`].
pub(crate) const LINES_PER_WINDOW: u32 = 10;

/// Length of the time window.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// Rate limiter of log lines: admits ten per second, and counts the suppressed ones for the next admitted line.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// Number of lines suppressed since the previous admitted line; printed at the end of the next admitted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeftOut(u64);

impl LogLimit {
    /// Admits a line, or suppresses it (`None`).
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
    /// Whether any line was suppressed.
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
    fn ten_lines_a_second_are_admitted_and_the_next_has_the_number_of_suppressed_ones() {
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
