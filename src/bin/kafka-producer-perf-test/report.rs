//! The printed lines, in the format of Kafka's tool.

use std::fmt::Write;

use kafka_producer::{MetricValue, Metrics};

const MB: f64 = 1024.0 * 1024.0;

/// Sums of records and their latencies.
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

    pub(crate) fn average_ms(&self) -> f64 {
        self.latency_sum_us as f64 / 1000.0 / self.records.max(1) as f64
    }

    fn max_ms(&self) -> f64 {
        self.latency_max_us as f64 / 1000.0
    }

    /// `elapsed` is in nanoseconds.
    pub(crate) fn records_per_second(&self, elapsed: u64) -> f64 {
        self.records as f64 / (elapsed.max(1) as f64 / 1e9)
    }

    /// `elapsed` is in nanoseconds; a megabyte is 1,048,576 bytes, as in Kafka's tool.
    pub(crate) fn megabytes_per_second(&self, elapsed: u64) -> f64 {
        self.bytes as f64 / (elapsed.max(1) as f64 / 1e9) / MB
    }

    fn rates(&self, elapsed: u64) -> (f64, f64) {
        (
            self.records_per_second(elapsed),
            self.megabytes_per_second(elapsed),
        )
    }
}

/// The data of the total line.
#[derive(Debug)]
pub(crate) struct Total<'a> {
    pub(crate) tally: &'a Tally,
    /// The duration of the run in nanoseconds.
    pub(crate) elapsed: u64,
    /// The 50th, 95th, 99th and 99.9th percentile of the latencies.
    pub(crate) percentiles_ms: [u64; 4],
}

/// The line about the records that were acknowledged or failed in the last `elapsed` nanoseconds.
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

/// Metrics that are integers in Kafka.
const WHOLE: [&str; 2] = ["start-time-ms", "connections"];

/// The name and value of each metric, in alphabetical order.
pub(crate) fn metrics(metrics: &Metrics) -> Vec<(String, String)> {
    let metrics = metrics.all().into_iter();
    let mut rows: Vec<(String, String)> = metrics
        .map(|metric| {
            let name = metric.name();
            let value = value(name.name(), &metric.value());
            (name.to_string(), value)
        })
        .collect();
    rows.sort_unstable();
    rows
}

fn value(name: &str, value: &MetricValue) -> String {
    match value {
        MetricValue::Number(number) if WHOLE.contains(&name) => format!("{number:.0}"),
        MetricValue::Number(number) => format!("{number:.3}"),
        other => other.to_string(),
    }
}

/// The table of metrics: a blank line, a heading, and a line for each metric.
pub(crate) fn metrics_table(rows: &[(String, String)]) -> String {
    let widths = rows.iter().map(|(name, _)| name.chars().count());
    let width = widths.max().unwrap_or(0);
    let mut table = format!("\n{:width$}   Value", "Metric Name");
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = write!(table, "\n{name:width$} : {value}");
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
    fn the_window_line_has_the_format_of_kafkas_tool() {
        assert_eq!(
            window_line(&tally(), 5_000_000_000),
            "2 records sent, 0.4 records/sec (0.40 MB/sec), 2.1 ms avg latency, 2.8 ms max latency."
        );
    }

    #[test]
    fn the_total_line_has_the_format_of_kafkas_tool() {
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
    fn an_empty_total_prints_zeros() {
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
    fn merged_tallies_equal_one_tally_of_all_records() {
        let mut merged = tally();
        merged.merge(&tally());
        let mut wanted = tally();
        wanted.add(1 << 20, 1500);
        wanted.add(1 << 20, 2750);
        assert_eq!(merged, wanted);
    }

    #[test]
    fn metrics_are_printed_as_a_table() {
        let rows = [("a:b:{client-id=größe}", "1.500"), ("d", "NaN")];
        let rows = rows.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            metrics_table(&rows),
            "\nMetric Name             Value\na:b:{client-id=größe} : 1.500\nd                     : NaN"
        );
    }

    #[test]
    fn values_have_three_decimals_unless_kafka_has_whole_numbers_or_texts() {
        for (name, metric, text) in [
            ("record-send-rate", MetricValue::Number(1.23456), "1.235"),
            ("record-size-avg", MetricValue::Number(f64::NAN), "NaN"),
            ("count", MetricValue::Number(7.0), "7.000"),
            (
                "start-time-ms",
                MetricValue::Number(1_632_182_400_000.0),
                "1632182400000",
            ),
            ("connections", MetricValue::Number(2.0), "2"),
            ("version", MetricValue::Text("0.1.0".into()), "0.1.0"),
        ] {
            assert_eq!(value(name, &metric), text);
        }
    }
}
