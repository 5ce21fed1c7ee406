//! Standard output that cannot be written: the exit code says so, and the tools stop.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use kafka_producer::testing::TestCluster;

use crate::command_lines::TOOLS;
use crate::support::{Ended, RunningTool, TempFile, tool};

/// An output whose reader has left.
fn without_reader() -> Stdio {
    let (ours, _) = UnixStream::pair().unwrap();
    Stdio::from(OwnedFd::from(ours))
}

/// A full disk.
#[cfg(target_os = "linux")]
fn full() -> Stdio {
    Stdio::from(
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap(),
    )
}

fn run(program: &str, arguments: &[&str], stdout: Stdio) -> Ended {
    RunningTool::of(tool(program).args(arguments), stdout).wait()
}

/// Runs a tool with an output whose reader has left, and with a full one, and checks the exit codes.
#[track_caller]
fn assert_stops(program: &str, arguments: &[&str]) {
    let ended = run(program, arguments, without_reader());
    assert_eq!(
        (ended.code, &*ended.stderr),
        (Some(141), ""),
        "{arguments:?}"
    );
    #[cfg(target_os = "linux")]
    {
        let ended = run(program, arguments, full());
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        let words = "error: standard output cannot be written: ";
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
}

fn cluster() -> TestCluster {
    TestCluster::builder().topic("t", 1).start().unwrap()
}

#[test]
fn help_that_is_lost_is_a_failure() {
    for (program, _) in TOOLS {
        assert_stops(program, &["--help"]);
    }
}

#[test]
fn the_check_ends_at_the_first_step_that_cannot_be_printed() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let program = env!("CARGO_BIN_EXE_kafka-check");
    assert_stops(program, &["--bootstrap-server", &servers]);
    assert_eq!(cluster.connections_accepted(), 0);
    assert_stops(program, &["--bootstrap-server", &servers, "--json"]);
}

/// Without a limit of messages the tool runs until it notices.
#[test]
fn the_verifiable_producer_stops_when_its_lines_are_lost() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let program = env!("CARGO_BIN_EXE_kafka-verifiable-producer");
    let arguments = ["--topic", "t", "--broker-list", &servers];
    let paced = [&arguments[..], &["--throughput", "500"]].concat();
    assert_stops(program, &paced);
    let tool = RunningTool::start(program, &paced);
    let mut lines = BufReader::new(tool.take_stdout()).lines();
    for _ in 0..20 {
        lines.next().unwrap().unwrap();
    }
    drop(lines);
    let ended = tool.wait();
    assert_eq!((ended.code, &*ended.stderr), (Some(141), ""));
}

/// The first line is printed before the run.
#[test]
fn the_performance_test_stops_when_its_lines_are_lost() {
    let cluster = cluster();
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let file = TempFile::new("lost-output.txt", b"one\ntwo\n");
    assert_stops(
        env!("CARGO_BIN_EXE_kafka-producer-perf-test"),
        &[
            "--topic",
            "t",
            "--num-records",
            "1000000",
            "--throughput",
            "100",
            "--payload-file",
            file.name(),
            "--producer-props",
            &servers,
        ],
    );
    assert_eq!(cluster.record_count("t"), 0);
}

/// The lines of a console producer are its input; it prints none.
#[test]
fn lines_are_sent_whatever_standard_output_is() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--bootstrap-server", &servers];
    let program = env!("CARGO_BIN_EXE_kafka-console-producer");
    let tool = RunningTool::of(tool(program).args(arguments), without_reader());
    writeln!(tool.take_stdin(), "one").unwrap();
    let ended = tool.wait();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(cluster.record_count("t"), 1);
}
