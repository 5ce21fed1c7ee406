//! Windows of time with their counts and latencies, for charts. The memory is bounded: a run that is too long for the
//! windows makes them wider.

use hdrhistogram::Histogram;

use crate::report::Tally;

/// The longest latency that histograms hold; longer ones count as this value.
pub(crate) const LONGEST_US: u64 = 24 * 3600 * 1_000_000;
/// The width of a window at the start, in nanoseconds.
const FIRST_WIDTH: u64 = 10_000_000;
/// Maximum number of windows. One with records takes 3 to 20 KB, depending on its longest latency.
const MOST_WINDOWS: usize = 1000;
/// How many windows become one when there are too many. By ten, all widths are 10 ms, 100 ms, 1 s and so on.
const MERGED_AT_ONCE: usize = 10;
/// Significant digits of a window's histogram: an error of 1 % is less than a pixel of a chart.
const DIGITS: u8 = 2;

/// Windows of equal width from the start of the run.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    /// In nanoseconds.
    width: u64,
    /// Window `n` begins at `n * width`.
    windows: Vec<TimeWindow>,
}

/// The records that were acknowledged or failed within a window.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimeWindow {
    pub(crate) tally: Tally,
    pub(crate) failed: u64,
    /// In microseconds; `None` in a window without records.
    latencies: Option<Histogram<u32>>,
}

impl TimeWindow {
    /// A percentile of the latencies in microseconds; `None` without records. `share` is between 0 and 1.
    pub(crate) fn latency_us_at(&self, share: f64) -> Option<u64> {
        let latencies = self.latencies.as_ref()?;
        let value = latencies.value_at_quantile(share);
        Some(value.min(self.tally.latency_max_us))
    }

    pub(crate) fn latency_max_us(&self) -> Option<u64> {
        (self.tally.records > 0).then_some(self.tally.latency_max_us)
    }

    fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.failed += other.failed;
        match (&mut self.latencies, &other.latencies) {
            // Histograms that resize themselves have room for any value.
            (Some(own), Some(others)) => drop(own.add(others)),
            (own @ None, Some(others)) => *own = Some(others.clone()),
            (_, None) => {}
        }
    }
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self {
            width: FIRST_WIDTH,
            windows: Vec::new(),
        }
    }

    /// Counts a record that completed at `now`, in nanoseconds since the start of the run.
    #[inline]
    pub(crate) fn record(&mut self, now: u64, bytes: usize, latency_us: u64, failed: bool) {
        let mut index = (now / self.width) as usize;
        if index >= self.windows.len() {
            index = self.extend_to(now);
        }
        let window = &mut self.windows[index];
        window.tally.add(bytes, latency_us);
        window.failed += u64::from(failed);
        if window.latencies.is_none() {
            window.latencies = Histogram::new(DIGITS).ok();
        }
        if let Some(latencies) = &mut window.latencies {
            // Resizes the histogram where it has to, unlike `saturating_record`.
            let _ = latencies.record(latency_us.min(LONGEST_US));
        }
    }

    /// Adds windows up to the one of `now`, and merges windows while there would be too many. Returns its index.
    #[cold]
    fn extend_to(&mut self, now: u64) -> usize {
        while now / self.width >= MOST_WINDOWS as u64 {
            self.windows = merged(&self.windows, MERGED_AT_ONCE);
            self.width = self.width.saturating_mul(MERGED_AT_ONCE as u64);
        }
        let index = (now / self.width) as usize;
        if index >= self.windows.len() {
            self.windows.resize_with(index + 1, TimeWindow::default);
        }
        index
    }

    /// The windows of a run that took `elapsed` nanoseconds: at most `most`, and fewer if they would have few records.
    /// Their width is 1, 2 or 5 times a power of ten, so that it is easy to read.
    pub(crate) fn spans(&self, elapsed: u64, most: u64) -> Spans {
        let mut all = self.clone();
        let last_begins = (all.windows.len() as u64).saturating_sub(1) * all.width;
        let elapsed = elapsed.max(last_begins + 1);
        // The run may have gone on after its last record.
        all.extend_to(elapsed - 1);
        let records: u64 = all.windows.iter().map(|window| window.tally.records).sum();
        let fits = |factor: &u64| {
            let count = elapsed.div_ceil(all.width * *factor);
            count <= FEW_SPANS || (count <= most && records >= count * RECORDS_PER_SPAN)
        };
        let mut factors = [1, 10, 100]
            .into_iter()
            .flat_map(|power| [power, 2 * power, 5 * power]);
        let factor = factors.find(fits).unwrap_or(MOST_WINDOWS as u64);
        let windows = merged(&all.windows, factor as usize);
        Spans::new(windows, all.width * factor, elapsed)
    }
}

/// Joins each `count` consecutive windows into one.
fn merged(windows: &[TimeWindow], count: usize) -> Vec<TimeWindow> {
    let joined = windows.chunks(count).map(|chunk| {
        let mut all = TimeWindow::default();
        for window in chunk {
            all.merge(window);
        }
        all
    });
    joined.collect()
}

/// The number of windows up to which their records are not counted.
const FEW_SPANS: u64 = 20;
/// Average number of records of a window if there are more than `FEW_SPANS`: with fewer, a chart shows noise.
const RECORDS_PER_SPAN: u64 = 10;

/// The windows of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Spans {
    /// In nanoseconds.
    pub(crate) width: u64,
    /// The duration of the run, in nanoseconds.
    pub(crate) elapsed: u64,
    pub(crate) list: Vec<Span>,
}

/// A window with its bounds, in nanoseconds since the start of the run.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) window: TimeWindow,
}

impl Span {
    /// Records per second.
    pub(crate) fn rate(&self) -> f64 {
        self.window.tally.records as f64 * 1e9 / (self.to - self.from).max(1) as f64
    }
}

impl Spans {
    /// The last window ends with the run. If that is less than half of it, it is joined to the one before: the rate of
    /// a short moment says little.
    fn new(mut windows: Vec<TimeWindow>, width: u64, elapsed: u64) -> Self {
        windows.resize_with(elapsed.div_ceil(width) as usize, TimeWindow::default);
        let rest = elapsed % width;
        if rest > 0 && rest < width / 2 && windows.len() > 1 {
            if let (Some(short), Some(last)) = (windows.pop(), windows.last_mut()) {
                last.merge(&short);
            }
        }
        let count = windows.len();
        let span = |(index, window)| Span {
            from: index as u64 * width,
            to: if index + 1 == count {
                elapsed
            } else {
                (index as u64 + 1) * width
            },
            window,
        };
        let list = windows.into_iter().enumerate().map(span).collect();
        Self {
            width,
            elapsed,
            list,
        }
    }
}

#[cfg(test)]
mod tests;
