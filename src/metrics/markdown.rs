//! Generator of `docs/METRICS.md` from the tables of families.

use std::fmt::Write;

use super::definition::{Family, MetricDefinition, Stat};
use super::prometheus;
use super::tables::FAMILIES;

/// The handwritten introduction, a Markdown file beside this one.
const INTRODUCTION: &str = include_str!("markdown/introduction.md");

/// Title and introduction of each family's section, in the order of the tables.
const TITLES: [(&str, &str); FAMILIES.len()] = [
    (
        "The producer: batches and requests",
        "Recorded per batch and per request.",
    ),
    ("The producer: gauges", ""),
    (
        "Buffer memory: waits",
        "Recorded by threads that had to wait in `send`.",
    ),
    ("Buffer memory: gauges", ""),
    (
        "Connections to all brokers",
        "Requests of every kind, metadata and transactional requests included, except those of SASL authentication, as \
         in Kafka.",
    ),
    ("Connections: their number", ""),
    (
        "Connections with TLS",
        "One group for each pair of cipher suite and TLS version in use, at most 100.",
    ),
    (
        "Time spent in calls",
        "Summed over all threads of the application, recorded once per call.",
    ),
    (
        "Each broker",
        "From the first connection on. A bootstrap server is a node of its own with a negative id, \
         `node--1`, in addition to the broker that it is.",
    ),
    (
        "Each topic",
        "From the first batch of the topic until the topic expires from the metadata, see `metadata.max.idle.ms`: \
         keep it above `delivery.timeout.ms`, or retries and errors of the last records are missing here. In Kafka they \
         stay for ever.",
    ),
    (
        "The library",
        "From the end of the producer's construction until it is closed. In Prometheus the texts are labels of \
         `kafka_producer_app_info`, which is always 1.",
    ),
    ("The metrics themselves", ""),
];

/// All metrics, by family, as Markdown.
fn render() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (family, (title, introduction)) in FAMILIES.into_iter().zip(TITLES) {
        write_family(&mut text, family, title, introduction);
    }
    text
}

// Writing to a string cannot fail.
fn write_family(text: &mut String, family: &Family, title: &str, introduction: &str) {
    let _ = write!(
        text,
        "\n### {title}\n\nGroup `{}`, tags `client-id`",
        family.group
    );
    for tag in family.tags {
        let _ = write!(text, ", `{tag}`");
    }
    let _ = writeln!(text, ". {introduction}");
    text.push_str("\n| metric | kind | meaning | Kafka | in Prometheus |\n|---|---|---|---|---|\n");
    for (_, metric) in family.metrics() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | `{}` |",
            metric.name,
            kind(metric),
            metric.description,
            metric.since.unwrap_or("3.0"),
            prometheus::name(family, metric),
        );
    }
}

fn kind(metric: &MetricDefinition) -> &'static str {
    match metric.stat {
        Stat::Average => "average",
        Stat::Max => "maximum",
        Stat::Rate | Stat::CountRate => "rate",
        Stat::TimeRatio => "ratio",
        Stat::Total | Stat::CountTotal => "total",
        Stat::Gauge => "gauge",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProducerConfig;

    #[test]
    fn metrics_doc_is_in_step_with_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
        let rendered = render();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &rendered).unwrap();
        }
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            checked_in == rendered,
            "docs/METRICS.md differs from the tables of metrics; run: UPDATE_DOCS=1 cargo test metrics_doc"
        );
    }

    /// Each word in code style that looks like the name of a metric or of a key must be one.
    #[test]
    fn the_introduction_names_only_metrics_and_keys_that_exist() {
        let is_metric = |word: &str| {
            let mut all = FAMILIES.into_iter().flat_map(Family::metrics);
            all.any(|(_, metric)| metric.name == word)
        };
        let is_of_a_group = |word: &str| {
            let mut all = FAMILIES.into_iter();
            all.any(|family| family.group == word || family.tags.contains(&word))
        };
        let mut names = 0;
        let titles = TITLES.into_iter().map(|(_, text)| text);
        for text in std::iter::once(INTRODUCTION).chain(titles) {
            for word in text.split('`').skip(1).step_by(2) {
                let is_name = word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '.' || c == '-');
                if !is_name || ["-", "_", "client-id"].contains(&word) {
                    continue;
                }
                names += 1;
                let is_known = if word.contains('.') {
                    ProducerConfig::keys().any(|key| key.name() == word)
                } else if word.contains('-') {
                    is_metric(word) || is_of_a_group(word)
                } else {
                    true
                };
                assert!(is_known, "`{word}` is no metric and no key");
            }
        }
        assert!(names > 60, "{names} names were looked at");
    }
}
