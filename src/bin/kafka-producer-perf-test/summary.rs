//! The figures of a run, copied out of its statistics.

use hdrhistogram::Histogram;

use crate::failures::Failures;
use crate::report::{Tally, Total};
use crate::timeline::Timeline;

/// Everything that the page and the total line are made of.
#[derive(Debug, Clone)]
pub(crate) struct RunSummary {
    pub(crate) tally: Tally,
    /// The duration of the run in nanoseconds.
    pub(crate) elapsed: u64,
    /// In microseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) failures: Failures,
    /// Empty unless a page is written.
    pub(crate) timeline: Timeline,
}

impl RunSummary {
    pub(crate) fn total(&self) -> Total<'_> {
        Total::new(&self.tally, &self.latencies, self.elapsed)
    }

    /// A percentile in microseconds; 0 without records. `share` is between 0 and 1.
    pub(crate) fn latency_us_at(&self, share: f64) -> u64 {
        latency_us_at(&self.tally, &self.latencies, share)
    }
}

impl<'a> Total<'a> {
    pub(crate) fn new(tally: &'a Tally, latencies: &Histogram<u64>, elapsed: u64) -> Self {
        let percentile = |share| latency_us_at(tally, latencies, share) / 1000;
        Self {
            tally,
            elapsed,
            percentiles_ms: [0.5, 0.95, 0.99, 0.999].map(percentile),
        }
    }
}

/// A percentile of the latencies in microseconds, as Kafka's tool computes it.
fn latency_us_at(tally: &Tally, latencies: &Histogram<u64>, share: f64) -> u64 {
    let records = tally.records.max(1);
    // The index in the sorted latencies, from 0.
    let place = ((share * records as f64) as u64).min(records - 1);
    let quantile = (place as f64 + 0.5) / records as f64;
    latencies
        .value_at_quantile(quantile)
        .min(tally.latency_max_us)
}
