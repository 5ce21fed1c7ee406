//! Statistics of the records: updated in callbacks, printed every five seconds and at the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use kafka_producer::ProduceError;

use crate::clock::RunClock;
use crate::console::Console;
use crate::failures::Failures;
use crate::report::{Tally, total_line, window_line};
use crate::summary::RunSummary;
use crate::timeline::{LONGEST_US, Timeline};

/// Interval of the lines that are printed during the run, in nanoseconds.
const WINDOW: u64 = 5_000_000_000;
/// Interval of the progress bar, in nanoseconds.
const PROGRESS_INTERVAL: u64 = 100_000_000;
/// Significant digits of the histogram: percentiles are printed in whole milliseconds.
const DIGITS: u8 = 3;

/// The statistics of a run. They are leaked, so that a callback holds a plain reference. With an `Arc`, two threads
/// would change its reference count for each record.
#[derive(Debug)]
pub(crate) struct Stats {
    clock: RunClock,
    console: Console,
    // Hardly contended: callbacks run on the sender thread, except those of records that fail in `send`.
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    /// The records of earlier windows, without the current one.
    total: Tally,
    window: Tally,
    /// In nanoseconds of the clock.
    window_began: u64,
    latencies: Histogram<u64>,
    failures: Failures,
    /// The windows of the charts; `None` if no page is written.
    timeline: Option<Timeline>,
    /// The figures at the end of the run. Records that complete later are not in them.
    final_summary: Option<Arc<RunSummary>>,
    is_total_printed: bool,
    /// The time, in nanoseconds of the clock, from which a completed record ends the window or draws the progress bar.
    next_update: u64,
}

/// The output that is due when a record completes.
#[derive(Debug, Default)]
struct Output {
    window: Option<String>,
    /// The number of completed records, for the progress bar.
    progress: Option<u64>,
    failure: Option<String>,
}

impl Output {
    #[cold]
    fn print(&self, console: &Console) {
        if let Some(line) = &self.window {
            console.out(line);
        }
        if let Some(records) = self.progress {
            console.progress(records);
        }
        if let Some(line) = &self.failure {
            console.err(line);
        }
    }
}

impl Stats {
    pub(crate) fn new(
        clock: RunClock,
        console: Console,
        timeline: Option<Timeline>,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let latencies = Histogram::new_with_max(LONGEST_US, DIGITS)?;
        let began = clock.now();
        Ok(Self {
            clock,
            console,
            counts: Mutex::new(Counts {
                total: Tally::default(),
                window: Tally::default(),
                window_began: began,
                latencies,
                failures: Failures::default(),
                timeline,
                final_summary: None,
                is_total_printed: false,
                next_update: began,
            }),
        })
    }

    /// Counts a completed record. Failed records count too, as in Kafka's tool.
    #[inline]
    pub(crate) fn completed(&self, sent_at: u64, bytes: usize, error: Option<&ProduceError>) {
        if let Some(output) = self.count(sent_at, bytes, error) {
            output.print(&self.console);
        }
    }

    /// Returns the output that is due. The caller prints it without the lock: standard output may be a full pipe or a
    /// stopped terminal, and the page needs the counts then, too.
    #[inline]
    fn count(&self, sent_at: u64, bytes: usize, error: Option<&ProduceError>) -> Option<Output> {
        let now = self.clock.now();
        let latency_us = now.saturating_sub(sent_at) / 1000;
        let mut counts = self.lock();
        counts.window.add(bytes, latency_us);
        counts.latencies.saturating_record(latency_us);
        if let Some(timeline) = &mut counts.timeline {
            timeline.record(now, bytes, latency_us, error.is_some());
        }
        let is_due = now >= counts.next_update;
        (is_due || error.is_some()).then(|| self.output(&mut counts, now, error))
    }

    #[cold]
    fn output(&self, counts: &mut Counts, now: u64, error: Option<&ProduceError>) -> Output {
        let mut output = Output::default();
        if now >= counts.next_update {
            self.update_output(counts, now, &mut output);
        }
        let failure = error.and_then(|error| counts.failures.note(error));
        output.failure = failure.filter(|_| counts.final_summary.is_none());
        output
    }

    fn update_output(&self, counts: &mut Counts, now: u64, output: &mut Output) {
        let elapsed = now - counts.window_began;
        if elapsed >= WINDOW {
            output.window = Some(window_line(&counts.window, elapsed));
            let window = std::mem::take(&mut counts.window);
            counts.total.merge(&window);
            counts.window_began = now;
        }
        counts.next_update = counts.window_began + WINDOW;
        if self.console.has_progress() {
            output.progress = Some(counts.total.records + counts.window.records);
            counts.next_update = counts.next_update.min(now + PROGRESS_INTERVAL);
        }
    }

    /// Prints the counts of errors, and the total line. Does nothing if they are printed already.
    pub(crate) fn print_total(&self) {
        self.console.finish();
        let summary = self.final_summary();
        // Not printed while the lock is held: standard output may be a full pipe.
        if std::mem::replace(&mut self.lock().is_total_printed, true) {
            return;
        }
        for line in summary.failures.lines() {
            self.console.err(&line);
        }
        self.console.out(&total_line(&summary.total()));
    }

    /// The figures up to the first call, so that the total line and the page have the same ones.
    pub(crate) fn final_summary(&self) -> Arc<RunSummary> {
        let mut counts = self.lock();
        if let Some(summary) = &counts.final_summary {
            return Arc::clone(summary);
        }
        let window = std::mem::take(&mut counts.window);
        counts.total.merge(&window);
        // No more windows and progress for records that complete later.
        counts.next_update = u64::MAX;
        let summary = Arc::new(RunSummary {
            tally: counts.total.clone(),
            elapsed: self.clock.now(),
            latencies: counts.latencies.clone(),
            failures: counts.failures.clone(),
            timeline: counts.timeline.take().unwrap_or_else(Timeline::new),
        });
        counts.final_summary = Some(Arc::clone(&summary));
        summary
    }

    pub(crate) fn records(&self) -> u64 {
        let counts = self.lock();
        counts.total.records + counts.window.records
    }

    /// The number of records that failed.
    pub(crate) fn failed_records(&self) -> u64 {
        self.lock().failures.records()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A poisoned lock is used all the same: the counts are valid between any two statements.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Total;

    fn total_of(counts: &Counts, elapsed: u64) -> Total<'_> {
        Total::new(&counts.total, &counts.latencies, elapsed)
    }

    fn stats() -> Stats {
        Stats::new(RunClock::start(), Console::silent(), Some(Timeline::new())).unwrap()
    }

    /// Kafka's tool takes `latencies[(int) (share * count)]` of the sorted latencies.
    #[test]
    fn percentiles_are_those_of_kafkas_tool() {
        for count in [1, 2, 3, 10, 100, 999] {
            let stats = stats();
            let mut counts = stats.lock();
            for latency_ms in 0..count {
                counts.total.add(1, latency_ms * 1000);
                counts.latencies.saturating_record(latency_ms * 1000);
            }
            let total = total_of(&counts, 1);
            let at = |share: f64| (share * count as f64) as u64;
            let wanted = [at(0.5), at(0.95), at(0.99), at(0.999)];
            assert_eq!(total.percentiles_ms, wanted, "{count}");
        }
    }

    #[test]
    fn a_latency_above_the_maximum_of_the_histogram_counts_as_the_maximum() {
        let stats = stats();
        let mut counts = stats.lock();
        counts.total.add(1, u64::MAX / 2);
        counts.latencies.saturating_record(u64::MAX / 2);
        let longest = total_of(&counts, 1).percentiles_ms[0];
        assert!(longest >= LONGEST_US / 1000, "{longest}");
    }

    #[test]
    fn a_window_ends_with_the_first_record_after_five_seconds() {
        let stats = stats();
        let mut counts = stats.lock();
        counts.window.add(100, 1);
        let began = counts.window_began;
        let output = stats.output(&mut counts, began + WINDOW - 1, None);
        assert_eq!(output.window, None);
        assert_eq!((counts.window.records, counts.total.records), (1, 0));
        assert_eq!(counts.next_update, began + WINDOW);
        let output = stats.output(&mut counts, began + WINDOW, None);
        assert!(output.window.unwrap().starts_with("1 records sent"));
        assert_eq!((counts.window.records, counts.total.records), (0, 1));
        assert_eq!(counts.next_update, began + 2 * WINDOW);
    }

    /// Standard output may be a full pipe.
    #[test]
    fn the_figures_of_the_page_do_not_wait_for_output() {
        let stats = stats();
        // The first record is due for output, which is not printed here.
        let output = stats.count(0, 100, None);
        assert!(output.is_some());
        assert_eq!(stats.final_summary().tally.records, 1);
        assert!(stats.count(0, 100, None).is_none());
        drop(output);
    }

    #[test]
    fn records_that_complete_after_the_end_of_the_run_change_no_figure() {
        let stats = stats();
        for _ in 0..10 {
            stats.completed(0, 100, None);
        }
        stats.print_total();
        let summary = stats.final_summary();
        let line = total_line(&summary.total());
        // Two records were in flight.
        stats.completed(0, 100, None);
        stats.print_total();
        stats.completed(0, 100, None);
        let summary = stats.final_summary();
        assert_eq!(total_line(&summary.total()), line);
        assert_eq!((summary.tally.records, summary.tally.bytes), (10, 1000));
        assert_eq!((summary.latencies.len(), stats.records()), (10, 12));
        let spans = summary.timeline.spans(summary.elapsed, 100);
        let records = spans.list.iter().map(|span| span.window.tally.records);
        assert_eq!(records.sum::<u64>(), 10);
    }
}
