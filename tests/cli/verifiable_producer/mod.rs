//! `kafka-verifiable-producer`: its options, its lines of JSON and its exit codes.

#[cfg(unix)]
mod signals;

use kafka_producer::testing::TestCluster;
use serde_json::Value;

use crate::command_lines::{Usage, assert_help, assert_refused};
use crate::support::{self, Ended, TempFile};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka-verifiable-producer");

fn cluster() -> TestCluster {
    TestCluster::builder().topic("t", 1).start().unwrap()
}

fn run(cluster: &TestCluster, further: &[&str]) -> Ended {
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--broker-list", &servers];
    support::run(PROGRAM, &[&arguments, further].concat())
}

/// Parses lines. Each one must be a JSON object that begins with its timestamp and has a name.
fn events(lines: &[&str]) -> Vec<Value> {
    let parse = |line: &&str| {
        assert!(line.starts_with("{\"timestamp\":"), "{line}");
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
        event
    };
    lines.iter().map(parse).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect()
}

#[test]
fn each_number_is_sent_and_printed_and_the_last_line_is_a_summary() {
    let cluster = cluster();
    let ended = run(&cluster, &["--max-messages", "3"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "");
    let events = events(&ended.lines());
    let sent = "producer_send_success";
    assert_eq!(
        names(&events),
        [
            "startup_complete",
            sent,
            sent,
            sent,
            "shutdown_complete",
            "tool_data"
        ]
    );
    for (number, event) in events[1..4].iter().enumerate() {
        let (_, rest) = ended.lines()[number + 1].split_once(',').unwrap();
        let wanted = format!(
            "\"name\":\"{sent}\",\"key\":null,\"value\":\"{number}\",\"topic\":\"t\",\"partition\":0,\
             \"offset\":{number}}}"
        );
        assert_eq!(rest, wanted, "{event}");
    }
    let data = &events[5];
    assert_eq!((&data["sent"], &data["acked"]), (&3.into(), &3.into()));
    assert_eq!(data["target_throughput"], -1);
    assert!(data["avg_throughput"].as_f64().unwrap() > 0.0);
    let values: Vec<_> = cluster
        .records("t", 0)
        .into_iter()
        .map(|it| it.value.unwrap())
        .collect();
    assert_eq!(values, [b"0", b"1", b"2"]);
}

#[test]
fn keys_prefixes_and_timestamps_follow_the_options() {
    let cluster = cluster();
    let further = "--max-messages 4 --repeating-keys 3 --value-prefix 7 --message-create-time 5000";
    let further: Vec<&str> = further.split(' ').collect();
    let ended = run(&cluster, &further);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let records = cluster.records("t", 0);
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
    let keys: Vec<_> = records.iter().map(|it| text(&it.key)).collect();
    let values: Vec<_> = records.iter().map(|it| text(&it.value)).collect();
    assert_eq!(keys, ["0", "1", "2", "0"]);
    assert_eq!(values, ["7.0", "7.1", "7.2", "7.3"]);
    let times: Vec<_> = records.iter().map(|it| it.timestamp).collect();
    assert!(
        times.is_sorted() && times[0] >= 5_000 && times[3] < 65_000,
        "{times:?}"
    );
    let events = events(&ended.lines());
    assert_eq!(events[4]["key"], "0");
    assert_eq!(events[4]["value"], "7.3");
}

/// Kafka's system tests enable idempotence by the file, which overrides the tool's own settings.
#[test]
fn the_file_overrides_all_other_settings() {
    let cluster = cluster();
    let text = "max.in.flight.requests.per.connection=5\nretries=1000000\nenable.idempotence=true\nacks=all\n";
    let file = TempFile::new("verifiable.properties", text.as_bytes());
    let further = ["--max-messages", "2", "--acks", "1", "--producer.config"];
    let ended = run(&cluster, &[&further[..], &[file.name()]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(names(&events(&ended.lines()))[2], "producer_send_success");
}

#[test]
fn a_failed_record_is_printed_and_the_run_ends_normally() {
    let cluster = cluster();
    let file = TempFile::new("verifiable-fails.properties", b"max.block.ms=100\n");
    let servers = cluster.bootstrap_servers();
    let ended = support::run(
        PROGRAM,
        &[
            "--topic",
            "no \"topic",
            "--bootstrap-server",
            &servers,
            "--max-messages",
            "1",
            "--producer.config",
            file.name(),
        ],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let events = events(&ended.lines());
    assert_eq!(names(&events)[1], "producer_send_error");
    let failed = &events[1];
    assert_eq!(
        (&failed["key"], &failed["value"]),
        (&Value::Null, &"0".into())
    );
    assert_eq!(failed["topic"], "no \"topic");
    for field in ["exception", "message"] {
        assert!(!failed[field].as_str().unwrap().is_empty(), "{failed}");
    }
    let data = events.last().unwrap();
    assert_eq!((&data["sent"], &data["acked"]), (&1.into(), &0.into()));
}

#[test]
fn without_arguments_the_help_is_printed_and_a_bad_command_line_exits_with_1() {
    for arguments in [&[][..], &["--help"], &["-h"]] {
        let options = [
            "--topic",
            "--bootstrap-server",
            "--broker-list",
            "--max-messages",
            "--throughput",
            "--acks",
            "--producer.config",
            "--message-create-time",
            "--value-prefix",
            "--repeating-keys",
            // How long the end takes after a signal.
            "delivery.timeout.ms",
        ];
        assert_help(PROGRAM, arguments, &options);
    }
    for (line, words, usage) in [
        ("--topic t", "is required", Usage::Shown),
        ("--topic t --broker-list a:1 --acks 7", "'7'", Usage::Shown),
        (
            "--topic t --broker-list a:1 --max-messages -2",
            "-2 is below -1",
            Usage::Shown,
        ),
        (
            "--topic t --broker-list nothing",
            "nothing",
            Usage::NotShown,
        ),
        (
            "--topic t --broker-list 127.0.0.1:1 --producer.config /no/such/file",
            "/no/such/file",
            Usage::NotShown,
        ),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_refused(PROGRAM, &arguments, (1, usage), words);
    }
}
