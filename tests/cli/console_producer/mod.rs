//! `kafka-console-producer`: lines as records, its errors, its options and its exit codes.

#[cfg(target_os = "linux")]
mod lost_input;
#[cfg(unix)]
mod signals;
#[cfg(target_os = "linux")]
mod terminal;

use std::io::Write;

use kafka_producer::testing::TestCluster;

use crate::command_lines::{Usage, assert_help, assert_printable, assert_refused};
#[cfg(unix)]
use crate::support::NamedPipe;
use crate::support::{self, Ended, RunningTool, TempFile};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka-console-producer");

fn cluster() -> TestCluster {
    TestCluster::builder().topic("t", 1).start().unwrap()
}

fn run(cluster: &TestCluster, further: &[&str], input: &[u8]) -> Ended {
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--bootstrap-server", &servers];
    support::run_with_input(PROGRAM, &[&arguments, further].concat(), input)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The records as `key=value`, in which a missing key is `-` and a null value `null`.
fn records(cluster: &TestCluster, topic: &str) -> Vec<String> {
    let records = cluster.records(topic, 0).into_iter();
    records
        .map(|it| {
            let key = it.key.as_deref().map_or_else(|| "-".to_owned(), text);
            let value = it.value.as_deref().map_or_else(|| "null".to_owned(), text);
            format!("{key}={value}")
        })
        .collect()
}

#[test]
fn each_line_of_a_pipe_is_a_record_and_nothing_is_printed() {
    let cluster = cluster();
    let ended = run(&cluster, &[], b"one\ntwo\r\n\n\xff\tx\nno end");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""));
    let values: Vec<_> = cluster
        .records("t", 0)
        .into_iter()
        .map(|it| (it.key, it.value.unwrap()))
        .collect();
    let wanted: [&[u8]; 5] = [b"one", b"two", b"", b"\xff\tx", b"no end"];
    assert_eq!(values, wanted.map(|value| (None, value.to_vec())));
}

#[test]
fn an_empty_input_sends_nothing() {
    let cluster = cluster();
    assert_eq!(run(&cluster, &[], b"").code, Some(0));
    assert!(cluster.records("t", 0).is_empty());
}

#[test]
fn properties_split_lines_into_headers_key_and_value() {
    let cluster = cluster();
    let properties =
        "--property parse.key=true --property parse.headers=true --property null.marker=NULL";
    let properties: Vec<&str> = properties.split(' ').collect();
    let ended = run(
        &cluster,
        &properties,
        b"h:1,i:NULL\tk\tv\nNULL\tk\tNULL\nh:1\tNULL\tv\n",
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(records(&cluster, "t"), ["k=v", "k=null", "-=v"]);
    let first = &cluster.records("t", 0)[0];
    let headers = first.headers.iter();
    let headers: Vec<_> = headers.map(|it| (it.key(), it.value())).collect();
    assert_eq!(headers, [("h", Some(&b"1"[..])), ("i", None)]);
}

#[test]
fn a_line_without_key_ends_the_run_after_the_lines_before_it_are_delivered() {
    let cluster = cluster();
    let ended = run(
        &cluster,
        &["--property", "parse.key=true"],
        b"k\tv\nsecond\nk\tw\n",
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("line 2: the line has no key.separator"),
        "{ended:?}"
    );
    assert_eq!(records(&cluster, "t"), ["k=v"]);
    let ignoring = [
        "--property",
        "parse.key=true",
        "--property",
        "ignore.error=true",
    ];
    let ended = run(&cluster, &ignoring, b"second\nk\tw\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(records(&cluster, "t"), ["k=v", "-=second", "k=w"]);
}

const SMALL: [&str; 2] = ["--producer-property", "max.request.size=1000"];

#[test]
fn a_failed_record_is_reported_with_the_number_of_its_line_and_the_others_are_sent() {
    let cluster = cluster();
    let input = format!("one\n{}\nthree\n", "x".repeat(2000));
    let ended = run(&cluster, &SMALL, input.as_bytes());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:?}");
    assert!(lines[0].starts_with("kafka-console-producer: line 2: t"));
    assert!(lines[0].contains("max.request.size"), "{ended:?}");
    assert_eq!(lines[1], "kafka-console-producer: 1 line failed");
    assert_eq!(records(&cluster, "t"), ["-=one", "-=three"]);
}

#[test]
fn with_sync_no_line_is_sent_after_one_that_failed() {
    let cluster = cluster();
    let input = format!("one\n{}\nthree\n", "x".repeat(2000));
    let further = [&SMALL[..], &["--sync"]].concat();
    let ended = run(&cluster, &further, input.as_bytes());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("stopped at line 2"), "{ended:?}");
    assert_eq!(records(&cluster, "t"), ["-=one"]);
    assert_eq!(run(&cluster, &["--sync"], b"a\nb\n").code, Some(0));
    assert_eq!(records(&cluster, "t"), ["-=one", "-=a", "-=b"]);
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_names_the_setting() {
    let cluster = cluster();
    let mut input = b"one\n".to_vec();
    input.resize(3_000_000, b'x');
    input.extend(b"\nthree\n");
    let ended = run(&cluster, &[], &input);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("line 2: "), "{ended:?}");
    assert!(ended.stderr.contains("max.request.size"), "{ended:?}");
    assert_eq!(records(&cluster, "t"), ["-=one", "-=three"]);
}

#[test]
fn an_option_overrides_a_property_which_overrides_the_file() {
    let cluster = cluster();
    let file = TempFile::new("console.properties", b"max.request.size=500\nlinger.ms=1\n");
    let long = "x".repeat(800);
    let of_file = ["--producer.config", file.name()];
    assert_eq!(run(&cluster, &of_file, long.as_bytes()).code, Some(1));
    let both = [&SMALL[..], &of_file].concat();
    assert_eq!(run(&cluster, &both, long.as_bytes()).code, Some(0));
    let further = [
        "--producer-property",
        "max.block.ms=30000",
        "--max-block-ms",
        "150",
        "--property",
        "topic=missing",
    ];
    let ended = run(&cluster, &further, b"a");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("missing"), "{ended:?}");
    assert!(ended.took.as_secs() < 20, "{ended:?}");
}

#[test]
fn properties_of_the_reader_may_come_from_a_file() {
    let cluster = cluster();
    let text = b"parse.key=true\nkey.separator=|\ntopic=missing\nparse.heade=true\n";
    let file = TempFile::new("reader.properties", text);
    let of_file = ["--reader-config", file.name()];
    let ended = run(&cluster, &of_file, b"k|v\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warning = "no property parse.heade, so it has no effect; did you mean parse.headers?";
    assert!(ended.stderr.contains(warning), "{ended:?}");
    let other = [&of_file[..], &["--property", "key.separator=:"]].concat();
    assert_eq!(run(&cluster, &other, b"k|l:v\n").code, Some(0));
    assert_eq!(records(&cluster, "t"), ["k=v", "k|l=v"]);
}

/// `--producer.config <(…)` of a shell. With `acks=1`, the tool's default, this configuration is refused.
#[cfg(unix)]
#[test]
fn a_configuration_from_a_pipe_is_read_once() {
    let cluster = cluster();
    let pipe = NamedPipe::new("console.fifo");
    let path = pipe.path().to_owned();
    let config = "enable.idempotence=true\nmax.request.size=1000\n";
    let writer = std::thread::spawn(move || std::fs::write(path, config).unwrap());
    let of_pipe = ["--producer.config", pipe.path().to_str().unwrap()];
    let input = format!("one\n{}\n", "x".repeat(2000));
    let ended = run(&cluster, &of_pipe, input.as_bytes());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("max.request.size"), "{ended:?}");
    assert_eq!(records(&cluster, "t"), ["-=one"]);
    writer.join().unwrap();
}

#[test]
fn a_serializer_that_is_given_as_a_property_has_no_effect_and_is_warned_of() {
    let cluster = cluster();
    let further = ["--producer-property", "value.serializer=com.example.Mine"];
    let ended = run(&cluster, &further, b"one\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warning = "WARN value.serializer has no effect: lines are sent as bytes\n";
    assert_eq!(ended.stderr, warning);
    assert_eq!(records(&cluster, "t"), ["-=one"]);
}

#[test]
fn a_closed_standard_error_changes_nothing() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--bootstrap-server", &servers];
    let tool = RunningTool::start(PROGRAM, &[&arguments[..], &SMALL].concat());
    drop(tool.take_stderr());
    let mut stdin = tool.take_stdin();
    write!(stdin, "one\n{}\nthree\n", "x".repeat(2000)).unwrap();
    drop(stdin);
    let ended = tool.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(records(&cluster, "t"), ["-=one", "-=three"]);
}

#[test]
fn help_goes_to_standard_output_unless_there_are_no_arguments() {
    let options = [
        "--topic",
        "--sync",
        "--property",
        "null.marker",
        "--reader-config",
    ];
    assert_help(PROGRAM, &["--help"], &options);
    let help = support::run(PROGRAM, &["--help"]);
    let nothing = support::run(PROGRAM, &[]);
    assert_eq!((nothing.code, &*nothing.stdout), (Some(1), ""));
    assert_eq!(nothing.stderr, help.stdout);
    let version = support::run(PROGRAM, &["--version"]);
    assert_eq!(version.code, Some(0));
    let wanted = format!("kafka-console-producer {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.stdout, wanted);
}

#[test]
fn a_bad_command_line_or_file_is_named_and_exits_with_1() {
    let servers = "--topic t --bootstrap-server 127.0.0.1:1";
    for (line, words, usage) in [
        ("--topic t", "--bootstrap-server is required", Usage::Shown),
        ("--topics t", "did you mean --topic?", Usage::Shown),
        (
            "--topic t --bootstrap-server nothing",
            "nothing",
            Usage::NotShown,
        ),
        ("--line-reader x.Y", "'x.Y'", Usage::Shown),
        (
            "--property key.separator=",
            "key.separator is empty",
            Usage::NotShown,
        ),
        ("--compression-codec rar", "rar", Usage::NotShown),
        (
            "--producer.config /no/such/file",
            "/no/such/file",
            Usage::NotShown,
        ),
        (
            "--reader-config /no/such/file",
            "/no/such/file",
            Usage::NotShown,
        ),
        (
            "--producer-property transactional.id=x",
            "transactional.id",
            Usage::NotShown,
        ),
    ] {
        let line = if line.starts_with("--topic") {
            line.to_owned()
        } else {
            format!("{servers} {line}")
        };
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_refused(PROGRAM, &arguments, (1, usage), words);
    }
}

#[test]
fn control_characters_of_lines_and_options_are_escaped_in_reports() {
    let cluster = cluster();
    let further = ["--property", "topic=a\u{1b}[31mb", "--max-block-ms", "100"];
    let ended = run(&cluster, &further, b"one\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_printable(&ended);
    let ended = run(&cluster, &["--property", "parse.key=true"], b"o\x1bne\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_printable(&ended);
}
