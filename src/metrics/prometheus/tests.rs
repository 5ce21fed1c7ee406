use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Instant, SystemClock};
use crate::config::RecordingLevel;
use crate::metrics::definition::SensorSet;
use crate::metrics::tables::{AppInfo, FAMILIES, MemoryGauge, SenderSensor, TopicSensor};
use crate::metrics::{Metrics, MetricsOptions, MetricsRegistry, ReadGauge, Windows};

fn registry(client_id: &str) -> Arc<MetricsRegistry> {
    Arc::new(MetricsRegistry::new(MetricsOptions {
        client_id: client_id.into(),
        windows: Windows::new(2, Duration::from_secs(30)),
        level: RecordingLevel::Info,
        clock: Arc::new(MockClock::new()),
    }))
}

fn gauges<const N: usize>(values: [MetricValue; N]) -> Vec<ReadGauge> {
    let gauge = |value: MetricValue| Box::new(move |_| value.clone()) as ReadGauge;
    values.into_iter().map(gauge).collect()
}

/// The lines of one metric, including its header.
fn lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let is_of = |line: &&str| {
        let sample = line.split(['{', ' ']).next() == Some(name);
        sample || line.starts_with('#') && line.split(' ').nth(2) == Some(name)
    };
    text.lines().filter(is_of).collect()
}

/// Exit code and output of `promtool check metrics`; `None` if promtool is not installed.
fn promtool(text: &str) -> Option<(Option<i32>, String)> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
        assert!(
            std::env::var_os("PROMETHEUS_TESTS").is_none(),
            "PROMETHEUS_TESTS is set, and promtool is not installed"
        );
        eprintln!("not checked: promtool is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let output_text = [output.stdout, output.stderr].concat();
    Some((
        output.status.code(),
        String::from_utf8_lossy(&output_text).into_owned(),
    ))
}

#[test]
fn names_are_unique_and_equal_those_of_the_jmx_exporter() {
    let mut names = BTreeSet::new();
    for family in FAMILIES {
        for (_, definition) in family.metrics() {
            let name = name(family, definition);
            let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(is_valid), "{name}");
            assert!(names.insert(name.clone()), "{name} is defined twice");
        }
    }
    for name in [
        "kafka_producer_producer_metrics_record_send_rate",
        "kafka_producer_producer_topic_metrics_byte_total",
        "kafka_producer_producer_node_metrics_request_latency_avg",
        "kafka_producer_app_info_start_time_ms",
        "kafka_producer_kafka_metrics_count_count",
    ] {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn samples_of_a_name_are_adjacent_below_one_header() {
    let registry = registry("billing");
    let orders = registry.add::<TopicSensor>(&["orders"]);
    registry.add::<SenderSensor>(&[]);
    registry.add::<TopicSensor>(&["other"]);
    orders.record(TopicSensor::Records, 3.0, Instant::ORIGIN);
    let text = Metrics::new(registry).prometheus_text();
    let name = "kafka_producer_producer_topic_metrics_record_send_total";
    assert_eq!(
        lines(&text, name),
        [
            format!("# HELP {name} Records sent to the topic, retries included."),
            format!("# TYPE {name} counter"),
            format!("{name}{{client_id=\"billing\",topic=\"orders\"}} 3"),
            format!("{name}{{client_id=\"billing\",topic=\"other\"}} 0"),
        ]
    );
    let mut at = text.lines().enumerate().filter(|(_, l)| l.contains(name));
    let first = at.next().unwrap().0;
    assert_eq!(at.last().unwrap().0, first + 3);
    let average = lines(&text, "kafka_producer_producer_metrics_request_latency_avg");
    assert!(average[1].ends_with(" gauge") && average[2].ends_with(" NaN"));
}

#[test]
fn text_values_are_labels_of_an_info_metric_with_the_value_one() {
    let registry = registry("me");
    let text = |words: &str| MetricValue::Text(words.into());
    let values = [text("1.0"), text("a\"b"), MetricValue::Number(1.5e12)];
    registry.add_gauges(AppInfo::FAMILY, &[], gauges(values));
    let text = Metrics::new(registry).prometheus_text();
    let samples: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(
        samples,
        [
            "kafka_producer_app_info_start_time_ms{client_id=\"me\"} 1500000000000",
            "kafka_producer_app_info{client_id=\"me\",version=\"1.0\",commit_id=\"a\\\"b\"} 1",
        ]
    );
}

#[test]
fn infinities_and_nan_are_written_as_prometheus_parses_them() {
    let registry = registry("me");
    let values = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(MetricValue::Number);
    registry.add_gauges(MemoryGauge::FAMILY, &[], gauges(values));
    let text = Metrics::new(registry).prometheus_text();
    let samples = text.lines().filter(|l| !l.starts_with('#'));
    let ends: Vec<&str> = samples.filter_map(|l| l.split(' ').nth(1)).collect();
    assert_eq!(ends, ["+Inf", "-Inf", "NaN"]);
}

#[test]
fn a_metric_of_several_producers_has_one_header() {
    let [one, other] = ["one", "other"].map(|client_id| {
        let registry = registry(client_id);
        registry.add::<SenderSensor>(&[]);
        Metrics::new(registry)
    });
    let text = Metrics::prometheus_text_of([&one, &other]);
    let name = "kafka_producer_producer_metrics_batch_size_avg";
    let lines = lines(&text, name);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3], format!("{name}{{client_id=\"other\"}} NaN"));
    assert_eq!(Metrics::prometheus_text_of([]), "");
}

/// The user may choose any text as the client id, and a broker may send any topic name.
#[test]
fn promtool_accepts_every_name_and_value() {
    let odd = [
        "",
        " ",
        "\"",
        "\\",
        "\n",
        "\r\n\t\0",
        "a\\\"b\\n",
        "}",
        "{x=\"y\"} 1",
        "# TYPE",
        "größe 中 😀",
        "\u{7f}\u{85}\u{2028}",
    ];
    for client_id in odd {
        let registry = registry(client_id);
        registry.add::<SenderSensor>(&[]);
        for topic in odd {
            registry.add::<TopicSensor>(&[topic]);
        }
        let words = [
            MetricValue::Text(client_id.into()),
            MetricValue::Text("c".into()),
            MetricValue::Number(f64::MAX),
        ];
        registry.add_gauges(AppInfo::FAMILY, &[], gauges(words));
        let values = [f64::INFINITY, f64::MIN_POSITIVE, -0.0].map(MetricValue::Number);
        registry.add_gauges(MemoryGauge::FAMILY, &[], gauges(values));
        let text = Metrics::new(registry).prometheus_text();
        // Exit code 3: the text is valid, but has names that promtool warns about.
        match promtool(&text) {
            None => return,
            Some((Some(0 | 3), _)) => {}
            Some((code, output_text)) => panic!("{client_id:?}: {code:?} {output_text}\n{text}"),
        }
    }
}

#[test]
fn promtool_rejects_malformed_text() {
    if let Some((code, output_text)) = promtool("a{b=\"c} 1\n") {
        assert_eq!(code, Some(1), "{output_text}");
    }
}

/// Ten thousand topics are more than a cluster usually has.
#[test]
fn the_text_of_ten_thousand_topics_is_written_within_seconds() {
    let registry = registry("me");
    for number in 0..10_000 {
        let topic = registry.add::<TopicSensor>(&[&format!("topic-{number}")]);
        topic.record(TopicSensor::Bytes, 1234.5, Instant::ORIGIN);
    }
    let metrics = Metrics::new(registry);
    let clock = SystemClock::new();
    let began = clock.now();
    let text = metrics.prometheus_text();
    let took = clock.now() - began;
    eprintln!("10,000 topics: {} bytes in {took:?}", text.len());
    assert_eq!(text.lines().count(), 90_000 + 2 * 9);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// The text format forbids the same series twice.
#[test]
fn a_producer_that_is_passed_twice_is_exported_once() {
    let (one, other) = (registry("one"), registry("other"));
    for registry in [&one, &other] {
        registry.add::<SenderSensor>(&[]);
    }
    let (one, other) = (Metrics::new(one), Metrics::new(other));
    let twice = Metrics::prometheus_text_of([&one, &other, &one.clone(), &one]);
    assert_eq!(twice, Metrics::prometheus_text_of([&one, &other]));
    assert!(twice.len() > one.prometheus_text().len());
}
