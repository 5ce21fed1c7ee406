//! Command lines and their results. Exit codes are those of Kafka's tool, except for `--help`, with which Kafka's tool
//! exits as after a failure.

use super::{PROGRAM, cluster, perf_test, send};
use crate::command_lines::{Usage, assert_help, assert_refused};
use crate::support::TempFile;

/// The options of Kafka's tool, and our own.
const OPTIONS: &[&str] = &[
    "--topic",
    "--num-records",
    "--record-size",
    "--payload-file",
    "--payload-delimiter",
    "--payload-monotonic",
    "--throughput",
    "--producer-props",
    "--producer.config",
    "--print-metrics",
    "--transactional-id",
    "--transaction-duration-ms",
    "--print-resources",
    "--fail-on-error",
    "--html",
    "--version",
];

#[test]
fn without_arguments_or_with_help_the_options_are_printed() {
    for arguments in [&[][..], &["--help"], &["-h"]] {
        assert_help(PROGRAM, arguments, OPTIONS);
    }
}

#[test]
fn the_version_is_that_of_the_library() {
    let ended = perf_test(&["--version"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let wanted = format!("kafka-producer-perf-test {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((ended.stdout, ended.stderr), (wanted, String::new()));
}

/// Invalid command lines, and a part of the message.
const BAD: &[(&str, &str)] = &[
    (
        "--num-records 1 --throughput -1 --record-size 1 --producer-props a=b",
        "--topic is required",
    ),
    (
        "--topic t --throughput -1 --record-size 1 --producer-props a=b",
        "--num-records is required",
    ),
    (
        "--topic t --num-records 1 --record-size 1 --producer-props a=b",
        "--throughput is required",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --producer-props a=b",
        "--record-size --payload-file",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 1",
        "--producer-props or --producer.config",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 1 --payload-file f --producer-props a=b",
        "not allowed with argument --record-size",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --payload-monotonic --payload-file f --producer-props a=b",
        "not allowed with argument --payload-file",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 1 --producer-props a=b --html -",
        "--html: standard output",
    ),
    (
        "--topic t --num-records x --throughput -1 --record-size 1 --producer-props a=b",
        "'x'",
    ),
    (
        "--topic t --num-records 0 --throughput -1 --record-size 1 --producer-props a=b",
        "below 1",
    ),
    (
        "--topic t --num-records 1 --throughput x --record-size 1 --producer-props a=b",
        "'x'",
    ),
    (
        "--topic t --num-records 1 --throughput 0 --record-size 1 --producer-props a=b",
        "--throughput",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 2147483648 --producer-props a=b",
        "2147483648",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size -1 --producer-props a=b",
        "below 0",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 1 --producer-props ab",
        "invalid property: give KEY=VALUE",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 1 --producer-props",
        "expected at least one",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 1 --producer-props a=b --transaction-duration-ms x",
        "'x'",
    ),
    (
        "--topic t --num-records 1 --throughput -1 --record-size 1 --producer-props a=b --bogus",
        "'--bogus'",
    ),
    ("--topic", "expected one argument"),
];

#[test]
fn a_bad_command_line_prints_the_usage_and_exits_with_1() {
    for (line, words) in BAD {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_refused(PROGRAM, &arguments, (1, Usage::Shown), words);
    }
}

const GOOD: [&str; 8] = [
    "--topic",
    "t",
    "--num-records",
    "1",
    "--throughput",
    "-1",
    "--record-size",
    "1",
];

#[test]
fn errors_beyond_the_command_line_are_printed_without_usage_and_exit_with_1() {
    let servers = "bootstrap.servers=127.0.0.1:1";
    let bad_file = TempFile::new("bad.properties", b"linger.ms=\\u12");
    for (further, words) in [
        (&["--producer-props", servers, "acks=2"][..], "acks"),
        (&["--producer-props", "linger.ms=5"], "bootstrap.servers"),
        (&["--producer.config", "/no/such/file"], "/no/such/file"),
        (&["--producer.config", bad_file.name()], "line 1"),
        (
            &["--producer-props", servers, "transactional.id=x"],
            "--transaction-duration-ms",
        ),
    ] {
        let arguments = [&GOOD[..], further].concat();
        assert_refused(PROGRAM, &arguments, (1, Usage::NotShown), words);
    }
}

#[test]
fn a_payload_file_without_payloads_is_rejected() {
    let (empty, blank) = (
        TempFile::new("empty.txt", b""),
        TempFile::new("blank.txt", b"\n\n"),
    );
    for (file, delimiter, words) in [
        ("/no/such/file", "\\n", "/no/such/file"),
        (empty.name(), "\\n", "is empty"),
        (blank.name(), "\\n", "nothing else"),
        (blank.name(), "(", "regular expression"),
    ] {
        let ended = perf_test(&[
            "--topic",
            "t",
            "--num-records",
            "1",
            "--throughput",
            "-1",
            "--producer-props",
            "bootstrap.servers=127.0.0.1:1",
            "--payload-file",
            file,
            "--payload-delimiter",
            delimiter,
        ]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
        assert!(
            ended.stdout.starts_with("Reading payloads from: /"),
            "{ended:?}"
        );
    }
}

#[test]
fn properties_override_the_file_serializers_are_fixed_and_unknown_keys_are_logged() {
    let cluster = cluster();
    let file = TempFile::new(
        "good.properties",
        b"acks=1\nenable.idempotence=true\nkey.serializer=com.example.Mine\nliger.ms=5\n",
    );
    let ended = send(
        &cluster,
        "5",
        &[
            "--producer.config",
            file.name(),
            "--throughput",
            "-1",
            "--record-size",
            "1",
        ],
    );
    assert_eq!(ended.code, Some(1), "acks=1 is not idempotent: {ended:?}");
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let ended = perf_test(
        &[
            &[
                "--producer-props",
                "acks=all",
                &servers,
                "--producer.config",
                file.name(),
            ],
            &GOOD[..],
        ]
        .concat(),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.starts_with("WARN "), "{ended:?}");
    assert!(ended.stderr.contains("liger.ms"), "{ended:?}");
    assert!(!ended.stderr.contains("serializer"), "{ended:?}");
    assert_eq!(cluster.record_count("t"), 1);
}
