//! Signals while lines are read.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use kafka_producer::testing::TestCluster;
use nix::sys::signal::Signal;

use super::{PROGRAM, SMALL, cluster, records};
use crate::support::{Ended, RunningTool, tool};

/// Sends two lines, whose records stay queued, and then the signals. Returns the end of the tool and the reports after
/// the signals.
fn ended_by(tool: RunningTool, signals: &[Signal]) -> (Ended, Vec<String>) {
    // Open until the end, so that not the end of the input ends the tool.
    let mut stdin = tool.take_stdin();
    let too_large = "x".repeat(2000);
    write!(stdin, "one\ntwo\n{too_large}\n").unwrap();
    let mut errors = BufReader::new(tool.take_stderr()).lines();
    // The report of the third line shows that the lines before it are queued.
    let report = errors.next().expect("the tool runs").unwrap();
    assert!(report.contains("line 3"), "{report}");
    for signal in signals {
        tool.signal(*signal);
    }
    let ended = tool.wait();
    (ended, errors.map(Result::unwrap).collect())
}

fn arguments(cluster: &TestCluster) -> Vec<String> {
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--bootstrap-server", &servers];
    let further = [&SMALL[..], &["--timeout", "60000"]].concat();
    let all = arguments.iter().chain(&further);
    all.map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_signal_ends_the_run_after_the_lines_that_were_read_are_delivered() {
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGINT, 130),
        (Signal::SIGHUP, 129),
    ] {
        let cluster = cluster();
        let mut command = tool(PROGRAM);
        let command = command.args(arguments(&cluster));
        let (ended, reports) = ended_by(RunningTool::of(command, Stdio::piped()), &[signal]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(records(&cluster, "t"), ["-=one", "-=two"]);
        assert_eq!(reports, ["kafka-console-producer: 1 line failed"]);
    }
}

/// `nohup` ignores SIGHUP.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let cluster = cluster();
    let mut shell = Command::new("sh");
    let script = "trap '' HUP; exec \"$0\" \"$@\"";
    let command = shell.args(["-c", script, PROGRAM]);
    let command = command.args(arguments(&cluster));
    let signals = [Signal::SIGHUP, Signal::SIGTERM];
    let (ended, _) = ended_by(RunningTool::of(command, Stdio::piped()), &signals);
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert_eq!(records(&cluster, "t"), ["-=one", "-=two"]);
}
