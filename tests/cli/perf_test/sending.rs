//! Sent records, and the printed lines.

use std::time::Duration;

use kafka_producer::testing::TestCluster;

use super::{cluster, perf_test, send, values};
use crate::lines::{TOTAL, WINDOW, numbers, parse_total, shape};
use crate::support::TempFile;

#[test]
fn random_records_of_the_given_size_are_sent_and_summed_up_in_one_line() {
    let cluster = cluster();
    let ended = send(
        &cluster,
        "2000",
        &["--record-size", "100", "--throughput", "-1"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.lines();
    assert_eq!(lines.len(), 1, "{ended:?}");
    assert_eq!(shape(lines[0]), TOTAL);
    let total = parse_total(lines[0]).unwrap();
    assert_eq!(total.records, 2000);
    assert!(total.latency_avg_ms <= total.latency_max_ms, "{total:?}");
    assert!(total.percentiles_ms.is_sorted(), "{total:?}");
    assert!(total.percentiles_ms[3] <= total.latency_max_ms, "{total:?}");
    // No progress is printed, because standard error is not a terminal.
    assert_eq!(ended.stderr, "");
    let values = values(&cluster);
    assert_eq!(values.len(), 2000);
    for value in &values {
        assert_eq!(value.len(), 100);
        assert!(value.iter().all(u8::is_ascii_uppercase));
    }
    assert_ne!(values[0], values[1], "written anew for each record");
}

#[test]
fn payloads_of_a_file_are_split_at_the_delimiter_and_chosen_at_random() {
    let cluster = cluster();
    let file = TempFile::new("payloads.txt", "one;;two;drei \u{e4};".as_bytes());
    let ended = send(
        &cluster,
        "300",
        &[
            "--payload-file",
            file.name(),
            "--payload-delimiter",
            ";+",
            "--throughput",
            "-1",
        ],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.lines();
    let reading = format!("Reading payloads from: {}", file.path().display());
    assert_eq!(lines[..2], [reading.as_str(), "Number of messages read: 3"]);
    assert_eq!(shape(lines[2]), TOTAL);
    let values = values(&cluster);
    assert_eq!(values.len(), 300);
    let mut sum = 0;
    for payload in ["one", "two", "drei \u{e4}"] {
        let share = values.iter().filter(|value| *value == payload.as_bytes());
        let share = share.count();
        assert!(share > 50, "{payload}: {share}");
        sum += share;
    }
    assert_eq!(sum, 300);
}

#[test]
fn the_rate_is_not_exceeded() {
    let cluster = cluster();
    let ended = send(
        &cluster,
        "150",
        &["--record-size", "10", "--throughput", "100"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let total = parse_total(ended.lines()[0]).unwrap();
    // The last record is due at 1.49 s; on a busy machine it may be late.
    assert!(total.records_per_second <= 101.0, "{total:?}");
    assert!(ended.took >= Duration::from_millis(1490), "{ended:?}");
    let mut timestamps: Vec<i64> = (0..3)
        .flat_map(|partition| cluster.records("t", partition))
        .map(|record| record.timestamp)
        .collect();
    timestamps.sort_unstable();
    let second_half = timestamps[149] - timestamps[75];
    assert!(
        second_half >= 100,
        "half of the records within {second_half} ms is a burst"
    );
}

#[test]
fn a_line_with_the_figures_of_the_window_is_printed_every_five_seconds() {
    let cluster = cluster();
    let ended = send(
        &cluster,
        "540",
        &["--record-size", "10", "--throughput", "100"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.lines();
    let (total, windows) = lines.split_last().unwrap();
    assert_eq!(shape(total), TOTAL);
    assert!(!windows.is_empty(), "{ended:?}");
    for window in windows {
        assert_eq!(shape(window), WINDOW);
    }
    let in_window = numbers(windows[0])[0];
    assert!(in_window < 540.0, "{ended:?}");
    assert_eq!(parse_total(total).unwrap().records, 540);
}

#[test]
fn monotonic_payloads_are_the_numbers_of_the_records() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let ended = send(
        &cluster,
        "120",
        &["--payload-monotonic", "--throughput", "-1"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let values = cluster.records("t", 0).into_iter();
    let values: Vec<_> = values.map(|record| record.value.unwrap()).collect();
    let wanted: Vec<_> = (0..120)
        .map(|number: u32| number.to_string().into_bytes())
        .collect();
    assert_eq!(values, wanted);
}

/// Kafka's tool prints a stack trace for each failed record, counts it as sent, and exits with 0.
#[test]
fn failed_records_are_printed_once_and_counted_and_the_run_exits_with_0_without_fail_on_error() {
    let cluster = cluster();
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let arguments = [
        "--topic",
        "nowhere",
        "--num-records",
        "3",
        "--throughput",
        "-1",
        "--record-size",
        "1",
        "--producer-props",
        &servers,
        "max.block.ms=150",
    ];
    for further in [&[][..], &["--fail-on-error"]] {
        let ended = perf_test(&[&arguments[..], further].concat());
        assert_eq!(ended.code, Some(further.len() as i32), "{ended:?}");
        assert_eq!(parse_total(ended.lines()[0]).unwrap().records, 3);
        let lines: Vec<&str> = ended
            .stderr
            .lines()
            .filter(|line| !line.starts_with("WARN"))
            .collect();
        assert_eq!(lines.len(), 2 + further.len(), "{ended:?}");
        assert!(lines[0].starts_with("a record failed: ") && lines[0].contains("nowhere"));
        assert!(lines[1].starts_with("3 records failed like this one: "));
        let last = "kafka-producer-perf-test: error: 3 of 3 records failed";
        assert!(lines[2..].iter().all(|line| *line == last), "{ended:?}");
    }
}

#[test]
fn a_run_without_failures_exits_with_0() {
    let cluster = cluster();
    let further = [
        "--record-size",
        "1",
        "--throughput",
        "-1",
        "--fail-on-error",
    ];
    let ended = send(&cluster, "10", &further);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
}

#[test]
fn metrics_are_shown_as_a_table_in_alphabetical_order() {
    let cluster = cluster();
    let ended = send(
        &cluster,
        "10",
        &[
            "client.id=me",
            "--record-size",
            "1",
            "--throughput",
            "-1",
            "--print-metrics",
        ],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.lines();
    assert_eq!(shape(lines[0]), TOTAL);
    assert_eq!(lines[1], "");
    let heading: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(heading, ["Metric", "Name", "Value"]);
    let rows: Vec<(&str, &str)> = lines[3..]
        .iter()
        .map(|line| line.split_once(" : ").unwrap())
        .collect();
    assert!(rows.is_sorted_by_key(|(name, _)| name.trim_end()));
    // Names are padded to the length of the longest.
    let width = rows[0].0.len();
    assert!(rows.iter().all(|(name, _)| name.len() == width));
    assert!(rows.iter().any(|(name, _)| !name.ends_with(' ')));
    let find = |group: &str, name: &str, tags: &str| {
        let whole = format!("{group}:{name}:{{client-id=me{tags}}}");
        let row = rows.iter().find(|(name, _)| name.trim_end() == whole);
        row.unwrap_or_else(|| panic!("{whole} is none of {rows:#?}"))
            .1
    };
    let of_producer = |name| find("producer-metrics", name, "");
    assert_eq!(of_producer("record-send-total"), "10.000");
    assert_eq!(of_producer("record-error-total"), "0.000");
    assert_eq!(of_producer("buffer-total-bytes"), "33554432.000");
    assert_eq!(of_producer("reauthentication-latency-avg"), "NaN");
    assert_ne!(of_producer("request-latency-avg"), "NaN");
    let of_topic = |name| find("producer-topic-metrics", name, ", topic=t");
    assert_eq!(of_topic("record-send-total"), "10.000");
    find("producer-node-metrics", "request-rate", ", node-id=node--1");
    let version = find("app-info", "version", "");
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let started = find("app-info", "start-time-ms", "");
    assert!(started.parse::<u64>().is_ok(), "{started}");
    find("kafka-metrics-count", "count", "");
    assert_eq!(ended.stderr, "");
}

#[test]
fn resources_are_printed_with_the_tools_own_share_listed_separately() {
    let cluster = TestCluster::builder().sink().topic("t", 3).start().unwrap();
    let ended = send(
        &cluster,
        "20000",
        &[
            "--record-size",
            "100",
            "--throughput",
            "-1",
            "--print-resources",
        ],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.lines();
    assert_eq!(shape(lines[0]), TOTAL);
    let shapes: Vec<String> = lines[1..].iter().map(|line| shape(line)).collect();
    assert_eq!(
        shapes,
        [
            "CPU time: N.2 s (N.2 user, N.2 system), N.3 us per record",
            "  sending thread: N.3 us per record, of which the tool's loop N.3",
            "  producer's thread: N.3 us per record, of which the tool's callback N.3",
            "  without the tool: N.3 us per record",
            "Peak memory: N.1 MiB (buffer.memory: N.1 MiB)",
        ]
    );
    let (all, sending, producer) = (numbers(lines[1])[3], numbers(lines[2]), numbers(lines[3]));
    assert!(sending[0] > 0.0 && producer[0] > 0.0, "{ended:?}");
    assert!(all + 0.002 >= sending[0] + producer[0], "{ended:?}");
    assert!(numbers(lines[5])[0] > 1.0, "{ended:?}");
    assert_eq!(cluster.record_count("t"), 20_000);
}
