//! `kafka-check`: its steps, its advice, its JSON document and its exit codes.

mod configuration;
mod endpoints;
mod many_brokers;
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
mod security;
mod topics;

use std::time::Duration;

use kafka_producer::testing::TestCluster;
use serde_json::Value;

use crate::command_lines::{Usage, assert_help, assert_refused};
use crate::support::{self, Ended};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka-check");

/// Upper limit of a run whose steps have short time limits, also on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn run(arguments: &[&str]) -> Ended {
    let ended = support::run(PROGRAM, arguments);
    assert_fits(&ended);
    ended
}

/// Runs the tool for a cluster.
fn run_on(cluster: &TestCluster, further: &[&str]) -> Ended {
    let servers = cluster.bootstrap_servers();
    run(&[&["--bootstrap-server", &servers], further].concat())
}

/// Runs the tool with `--json`, and returns its exit code and its document.
fn document(arguments: &[&str]) -> (Option<i32>, Value) {
    let ended = support::run(PROGRAM, &[arguments, &["--json"]].concat());
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    let document = serde_json::from_str(&ended.stdout).unwrap();
    (ended.code, document)
}

/// Lines fit into 80 columns, unless one word is longer. They end without blanks.
fn assert_fits(ended: &Ended) {
    for line in ended.lines() {
        let is_one_word = line.trim_start().split(' ').count() == 1;
        assert!(line.chars().count() <= 80 || is_one_word, "{line}");
        assert_eq!(line, line.trim_end());
    }
}

/// The line of a step; its words are separated by single blanks.
fn line_of(ended: &Ended, step: &str) -> String {
    let lines = ended.lines();
    let line = lines.iter().find(|line| line.trim().starts_with(step));
    let line = line.unwrap_or_else(|| panic!("no step {step}: {}", ended.stdout));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Standard output with single blanks instead of line ends and indentation.
fn flowing(ended: &Ended) -> String {
    let words: Vec<&str> = ended.stdout.split_whitespace().collect();
    words.join(" ")
}

#[track_caller]
fn assert_says(ended: &Ended, texts: &[&str]) {
    let flowing = flowing(ended);
    for text in texts {
        assert!(flowing.contains(text), "{text:?} in:\n{}", ended.stdout);
    }
}

#[test]
fn a_healthy_cluster_passes_every_step_and_its_record_is_written() {
    let cluster = TestCluster::builder()
        .nodes(3)
        .replication_factor(3)
        .topic("orders", 6)
        .start()
        .unwrap();
    let ended = run_on(
        &cluster,
        &["--topic", "orders", "--send", "--key", "k", "--value", "v"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "");
    for step in ["configuration", "TCP connection", "metadata", "orders"] {
        assert!(line_of(&ended, step).contains(" ok"), "{}", ended.stdout);
    }
    assert_says(
        &ended,
        &[
            "PLAINTEXT, acks=all",
            "Kafka 3.0",
            &format!("{}, 3 brokers", cluster.cluster_id()),
            "6 partitions, replication factor 3",
            "leads ",
            "offset 0",
            "All is well.",
        ],
    );
    let records: Vec<_> = (0..6)
        .flat_map(|id| cluster.records("orders", id))
        .collect();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(records[0].value.as_deref(), Some(&b"v"[..]));
}

#[test]
fn without_send_nothing_is_written() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let ended = run_on(&cluster, &["--topic", "t"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cluster.record_count("t"), 0);
    assert!(!ended.stdout.contains("records"), "{}", ended.stdout);
}

#[test]
fn the_json_document_has_the_facts_and_the_steps() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 2)
        .start()
        .unwrap();
    let servers = cluster.bootstrap_servers();
    let (code, document) = document(&[
        "--bootstrap-server",
        &servers,
        "--topic",
        "t",
        "--topic",
        "no",
        "--send",
    ]);
    assert_eq!(code, Some(1));
    assert_eq!(document["ok"], false);
    assert_eq!(document["failed_steps"], 1);
    assert_eq!(document["cluster_id"], cluster.cluster_id());
    let brokers = document["brokers"].as_array().unwrap();
    assert_eq!(brokers.len(), 2);
    assert!(brokers.iter().all(|broker| broker["is_reachable"] == true));
    assert_eq!(brokers[0]["kafka"], "3.0");
    let topics = &document["topics"];
    assert_eq!(topics[0]["partitions"].as_array().unwrap().len(), 2);
    assert!(topics[0]["partitions"][0]["leader"].is_number());
    assert_eq!(topics[0]["error"], Value::Null);
    assert_eq!(topics[1]["error"], "UNKNOWN_TOPIC_OR_PARTITION");
    assert_eq!(document["records"][0]["topic"], "t");
    assert_eq!(document["records"][0]["offset"], 0);
    let steps = document["steps"].as_array().unwrap();
    let of = |section: &str, step: &str| {
        let mut steps = steps.iter();
        let found = steps.find(|it| it["section"] == section && it["step"] == step);
        found.unwrap_or_else(|| panic!("{section} {step}"))["result"].clone()
    };
    assert_eq!(of("bootstrap", "TCP connection"), "ok");
    assert_eq!(of("topics", "no"), "failed");
    assert_eq!(of("records", "no"), "skipped");
}

#[test]
fn a_bad_command_line_exits_with_2_and_help_and_version_with_0() {
    for (arguments, words) in [
        (&[][..], "is required"),
        (&["--topic", "t"], "is required"),
        (&["--bootstrap-server", "a:1", "--send"], "requires --topic"),
        (&["--no-such-option"], "unrecognized"),
    ] {
        assert_refused(PROGRAM, arguments, (2, Usage::Shown), words);
    }
    let options = [
        "--bootstrap-server",
        "--producer.config",
        "--producer-property",
        "--from-env",
        "--topic",
        "--send",
        "--key",
        "--value",
        "--registered-class",
        "--timeout-ms",
        "--json",
        "--version",
        "Exit code",
    ];
    assert_help(PROGRAM, &["--help"], &options);
    let version = run(&["--version"]);
    assert_eq!(version.code, Some(0));
    let expected = format!("kafka-check {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.stdout, expected);
}
