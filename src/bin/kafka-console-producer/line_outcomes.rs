//! The outcomes of lines: counted, and reported if they are failures.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka_producer::ProduceError;

use crate::console;
use crate::usage::NAME;

/// Counts lines by outcome. Callbacks call [`completed`](Self::completed) on the producer's thread.
#[derive(Debug, Default)]
pub(crate) struct LineOutcomes {
    /// The number of the last line that was sent, from 1. Later lines may have been read.
    last: AtomicU64,
    acknowledged: AtomicU64,
    /// Lines that are certainly not written.
    failed: AtomicU64,
    /// Lines that may be written although they were not acknowledged.
    unknown: AtomicU64,
}

impl LineOutcomes {
    /// The line with this number is about to be sent.
    pub(crate) fn begin(&self, number: u64) {
        self.last.store(number, Ordering::Relaxed);
    }

    /// The record of a line has a result; `None` if it was acknowledged.
    pub(crate) fn completed(&self, number: u64, error: Option<&ProduceError>) {
        let Some(error) = error else {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let count = if error.may_be_written() {
            &self.unknown
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        report_line(number, error);
    }

    /// A line was refused before it became a record in a batch.
    pub(crate) fn refused(&self, number: u64, error: &dyn Display) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        report_line(number, error);
    }

    /// Reports how many lines were not acknowledged, after all have a result. Returns true if all were.
    pub(crate) fn report_total(&self) -> bool {
        let Some(total) = self.total() else {
            return true;
        };
        console::report(&format!("{NAME}: {total}"));
        false
    }

    /// `None` if all lines were acknowledged.
    fn total(&self) -> Option<String> {
        let failed = self.failed.load(Ordering::Relaxed);
        let unknown = self.unknown.load(Ordering::Relaxed);
        match (failed, unknown) {
            (0, 0) => None,
            (1, 0) => Some("1 line failed".to_owned()),
            (count, 0) => Some(format!("{count} lines failed")),
            _ => Some(counts(
                self.acknowledged.load(Ordering::Relaxed),
                failed,
                unknown,
            )),
        }
    }

    /// Reports the last line that was sent, and how many lines have which outcome. `unfinished` is the number of bytes
    /// of the next line, whose end has not been read; 0 if there are none.
    pub(crate) fn report_position(&self, unfinished: u64) {
        for line in self.position(unfinished) {
            console::report(&format!("{NAME}: {line}"));
        }
    }

    fn position(&self, unfinished: u64) -> Vec<String> {
        // The sum of the counts is not above `last`, which is read after them.
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed);
        let unknown = last.saturating_sub(acknowledged + failed);
        let mut lines = Vec::new();
        lines.push(match last {
            0 => "stopped before the first line".to_owned(),
            last => {
                let counts = counts(acknowledged, failed, unknown);
                format!("stopped after line {last}: {counts}")
            }
        });
        if unfinished > 0 {
            let next = last + 1;
            lines.push(format!(
                "line {next} is not sent: only its first {unfinished} bytes were read, and not its end"
            ));
        }
        lines
    }
}

fn counts(acknowledged: u64, failed: u64, unknown: u64) -> String {
    format!("{acknowledged} acknowledged, {failed} failed, {unknown} unknown (may be written)")
}

fn report_line(number: u64, error: &dyn Display) {
    console::report(&format!("{NAME}: line {number}: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_may_be_written_are_not_counted_as_failed() {
        let outcomes = LineOutcomes::default();
        assert_eq!(outcomes.total(), None);
        outcomes.refused(1, &"no");
        assert_eq!(outcomes.total().as_deref(), Some("1 line failed"));
        outcomes.unknown.fetch_add(2, Ordering::Relaxed);
        assert_eq!(
            outcomes.total().as_deref(),
            Some("0 acknowledged, 1 failed, 2 unknown (may be written)")
        );
    }

    #[test]
    fn lines_without_a_result_are_unknown() {
        let outcomes = LineOutcomes::default();
        assert_eq!(outcomes.position(0), ["stopped before the first line"]);
        for number in 1..=4 {
            outcomes.begin(number);
        }
        outcomes.completed(1, None);
        outcomes.refused(2, &"no");
        assert_eq!(
            outcomes.position(5),
            [
                "stopped after line 4: 1 acknowledged, 1 failed, 2 unknown (may be written)",
                "line 5 is not sent: only its first 5 bytes were read, and not its end"
            ]
        );
    }
}
