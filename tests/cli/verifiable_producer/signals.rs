//! Signals during a run.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, TestCluster};
use nix::sys::signal::Signal;

use super::{PROGRAM, cluster, events, names};
use crate::support::{Ended, RunningTool, tool};

/// Sends the signals after 50 lines. Returns the end of the tool and all lines.
fn ended_by(tool: RunningTool, signals: &[Signal]) -> (Ended, Vec<String>) {
    let mut lines = Vec::new();
    for line in BufReader::new(tool.take_stdout()).lines() {
        lines.push(line.unwrap());
        if lines.len() == 50 {
            for signal in signals {
                tool.signal(*signal);
            }
        }
    }
    (tool.wait(), lines)
}

fn arguments(cluster: &TestCluster) -> Vec<String> {
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--broker-list", &servers];
    let all = arguments.iter().chain(&["--throughput", "500"]);
    all.map(|word| (*word).to_owned()).collect()
}

/// Runs the tool until the signals, and checks that every sent record has a line and is in the log.
fn assert_ends_in_order(cluster: &TestCluster, signals: &[Signal], code: i32) {
    let mut command = tool(PROGRAM);
    let command = command.args(arguments(cluster));
    let (ended, lines) = ended_by(RunningTool::of(command, Stdio::piped()), signals);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let events = events(&lines);
    let (data, rest) = events.split_last().unwrap();
    let names = names(rest);
    let expected = names
        .iter()
        .filter(|name| **name == "producer_send_success")
        .count();
    assert_eq!(names.last(), Some(&"shutdown_complete"));
    assert_eq!(data["name"], "tool_data");
    assert_eq!(
        (&data["sent"], &data["acked"]),
        (&expected.into(), &expected.into())
    );
    assert_eq!(data["target_throughput"], 500);
    assert_eq!(cluster.records("t", 0).len(), expected, "{signals:?}");
}

#[test]
fn a_signal_ends_the_run_after_the_outcome_of_every_sent_record() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        assert_ends_in_order(&cluster(), &[signal], code);
    }
}

#[test]
fn further_signals_are_ignored() {
    let cluster = cluster();
    // Records are still in flight when the second signal arrives.
    let slow = Rule::on(Api::Produce).delay(Duration::from_millis(50));
    cluster.script(slow.always()).unwrap();
    let signals = [Signal::SIGINT, Signal::SIGTERM];
    assert_ends_in_order(&cluster, &signals, 130);
}

#[test]
fn a_message_that_waits_when_the_run_ends_has_a_line_with_the_cause() {
    let cluster = cluster();
    let silent = Rule::on(Api::Metadata).topic("t").never_answer().always();
    let ready = cluster.script(silent).unwrap();
    let mut command = tool(PROGRAM);
    let command = command.args(arguments(&cluster));
    let tool = RunningTool::of(command, Stdio::piped());
    ready.wait_fired(1, Duration::from_secs(30)).unwrap();
    tool.signal(Signal::SIGTERM);
    let ended = tool.wait();
    assert_eq!(ended.code, Some(143), "{ended:?}");
    let events = events(&ended.lines());
    let wanted = [
        "startup_complete",
        "producer_send_error",
        "shutdown_complete",
        "tool_data",
    ];
    assert_eq!(names(&events), wanted);
    let message = events[1]["message"].as_str().unwrap();
    let cause = "it could not be sent before the run ended: no broker has described the topic yet";
    assert!(message.starts_with(cause), "{message}");
    assert_eq!(events[3]["sent"], 1);
}

#[test]
fn a_signal_ends_the_pause_between_two_messages() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--broker-list", &servers];
    let written = Rule::on(Api::Produce)
        .delay(Duration::from_millis(1))
        .always();
    let ready = cluster.script(written).unwrap();
    let mut command = tool(PROGRAM);
    let command = command.args(arguments).args(["--throughput", "1"]);
    let tool = RunningTool::of(command, Stdio::piped());
    ready.wait_fired(1, Duration::from_secs(30)).unwrap();
    tool.signal(Signal::SIGTERM);
    let ended = tool.wait();
    assert_eq!(ended.code, Some(143), "{ended:?}");
    let events = events(&ended.lines());
    assert_eq!(names(&events).last(), Some(&"tool_data"));
}

/// The lines of some 560 messages fit into the pipe, and nobody reads it. Many more are queued by then.
#[test]
fn one_signal_ends_a_run_whose_lines_nobody_reads() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let tool = RunningTool::start(PROGRAM, &["--topic", "t", "--broker-list", &servers]);
    let _unread = tool.take_stdout();
    let until = Instant::now() + Duration::from_secs(30);
    while cluster.record_count("t") < 500 {
        assert!(Instant::now() < until, "{}", cluster.record_count("t"));
        std::thread::sleep(Duration::from_millis(5));
    }
    tool.signal(Signal::SIGTERM);
    let ended = tool.wait();
    assert_eq!((ended.code, &*ended.stderr), (Some(143), ""));
}

/// A script ignores SIGINT in its background jobs.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let cluster = cluster();
    let mut shell = Command::new("sh");
    let script = "trap '' INT; exec \"$0\" \"$@\"";
    let command = shell.args(["-c", script, PROGRAM]);
    let command = command.args(arguments(&cluster));
    let signals = [Signal::SIGINT, Signal::SIGTERM];
    let (ended, _) = ended_by(RunningTool::of(command, Stdio::piped()), &signals);
    assert_eq!(ended.code, Some(143), "{ended:?}");
}
