//! The lines that are printed, in the shapes of Kafka's tool.

use std::fmt::Write;

use kafka_producer::ProducerSnapshot;

const MB: f64 = 1024.0 * 1024.0;

/// Records and their latencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) latency_sum_us: u64,
    pub(crate) latency_max_us: u64,
}

impl Tally {
    #[inline]
    pub(crate) fn add(&mut self, bytes: usize, latency_us: u64) {
        self.records += 1;
        self.bytes += bytes as u64;
        self.latency_sum_us += latency_us;
        self.latency_max_us = self.latency_max_us.max(latency_us);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.latency_sum_us += other.latency_sum_us;
        self.latency_max_us = self.latency_max_us.max(other.latency_max_us);
    }

    fn average_ms(&self) -> f64 {
        self.latency_sum_us as f64 / 1000.0 / self.records.max(1) as f64
    }

    fn max_ms(&self) -> f64 {
        self.latency_max_us as f64 / 1000.0
    }

    /// Records and megabytes a second.
    fn rates(&self, elapsed: u64) -> (f64, f64) {
        let seconds = elapsed.max(1) as f64 / 1e9;
        (
            self.records as f64 / seconds,
            self.bytes as f64 / seconds / MB,
        )
    }
}

/// All there is to say in the end.
#[derive(Debug)]
pub(crate) struct Total<'a> {
    pub(crate) tally: &'a Tally,
    /// In nanoseconds.
    pub(crate) elapsed: u64,
    /// The 50th, 95th, 99th and 99.9th.
    pub(crate) percentiles_ms: [u64; 4],
}

/// What was acknowledged in the last `elapsed` nanoseconds.
pub(crate) fn window_line(tally: &Tally, elapsed: u64) -> String {
    let (records, megabytes) = tally.rates(elapsed);
    format!(
        "{} records sent, {records:.1} records/sec ({megabytes:.2} MB/sec), {:.1} ms avg latency, \
         {:.1} ms max latency.",
        tally.records,
        tally.average_ms(),
        tally.max_ms()
    )
}

pub(crate) fn total_line(total: &Total<'_>) -> String {
    let tally = total.tally;
    let (records, megabytes) = tally.rates(total.elapsed);
    let [p50, p95, p99, p999] = total.percentiles_ms;
    format!(
        "{} records sent, {records:.6} records/sec ({megabytes:.2} MB/sec), {:.2} ms avg latency, \
         {:.2} ms max latency, {p50} ms 50th, {p95} ms 95th, {p99} ms 99th, {p999} ms 99.9th.",
        tally.records,
        tally.average_ms(),
        tally.max_ms()
    )
}

/// The counters that there are, by the names that Kafka has for them where it has one.
pub(crate) fn metrics(snapshot: &ProducerSnapshot, client_id: &str) -> Vec<(String, f64)> {
    let mut rows: Vec<(String, f64)> = [
        ("producer-metrics:batch-split-total", snapshot.batches_split),
        (
            "producer-metrics:buffer-available-bytes",
            snapshot.memory_free_bytes,
        ),
        (
            "producer-metrics:buffer-total-bytes",
            snapshot.memory_total_bytes,
        ),
        (
            "producer-metrics:record-error-total",
            snapshot.records_failed,
        ),
        (
            "producer-metrics:record-retry-total",
            snapshot.records_retried,
        ),
        (
            "producer-metrics:requests-in-flight",
            snapshot.requests_in_flight,
        ),
        (
            "producer-metrics:waiting-threads",
            snapshot.threads_waiting_for_memory,
        ),
        (
            "producer-snapshot:batches-in-flight",
            snapshot.batches_in_flight,
        ),
        ("producer-snapshot:batches-queued", snapshot.batches_queued),
        (
            "producer-snapshot:batches-retried",
            snapshot.batches_retried,
        ),
        (
            "producer-snapshot:produce-requests",
            snapshot.produce_requests,
        ),
        (
            "producer-snapshot:records-acknowledged",
            snapshot.records_acknowledged,
        ),
        ("producer-snapshot:sender-loops", snapshot.sender_loops),
    ]
    .into_iter()
    .map(|(name, value)| (format!("{name}:{{client-id={client_id}}}"), value as f64))
    .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

/// A blank line, a heading, and a line for each.
pub(crate) fn metrics_table(rows: &[(String, f64)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut table = format!("\n{:width$}   Value", "Metric Name");
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = write!(table, "\n{name:width$} : {value:.3}");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        let mut tally = Tally::default();
        tally.add(1 << 20, 1500);
        tally.add(1 << 20, 2750);
        tally
    }

    #[test]
    fn a_window_has_the_shape_of_kafkas() {
        assert_eq!(
            window_line(&tally(), 5_000_000_000),
            "2 records sent, 0.4 records/sec (0.40 MB/sec), 2.1 ms avg latency, 2.8 ms max latency."
        );
    }

    #[test]
    fn the_total_has_the_shape_of_kafkas() {
        let total = Total {
            tally: &tally(),
            elapsed: 500_000_000,
            percentiles_ms: [1, 2, 3, 4],
        };
        assert_eq!(
            total_line(&total),
            "2 records sent, 4.000000 records/sec (4.00 MB/sec), 2.12 ms avg latency, 2.75 ms max \
             latency, 1 ms 50th, 2 ms 95th, 3 ms 99th, 4 ms 99.9th."
        );
    }

    #[test]
    fn nothing_sent_in_no_time_is_told_as_numbers() {
        let total = Total {
            tally: &Tally::default(),
            elapsed: 0,
            percentiles_ms: [0; 4],
        };
        assert!(
            total_line(&total).starts_with("0 records sent, 0.000000 records/sec (0.00 MB/sec)")
        );
    }

    #[test]
    fn merged_tallies_are_one() {
        let mut merged = tally();
        merged.merge(&tally());
        let mut wanted = tally();
        wanted.add(1 << 20, 1500);
        wanted.add(1 << 20, 2750);
        assert_eq!(merged, wanted);
    }

    #[test]
    fn metrics_are_a_table_in_alphabetical_order() {
        let rows = metrics(&ProducerSnapshot::default(), "c");
        assert!(rows.is_sorted_by(|one, other| one.0 < other.0));
        let table = metrics_table(&[("a:b:{client-id=c}".to_owned(), 1.5), ("d".to_owned(), 2.0)]);
        assert_eq!(
            table,
            "\nMetric Name         Value\na:b:{client-id=c} : 1.500\nd                 : 2.000"
        );
    }
}
