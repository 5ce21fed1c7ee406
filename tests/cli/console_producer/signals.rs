//! Signals while lines are read.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use kafka_producer::testing::{Api, Rule, RuleHandle, TestCluster};
use nix::sys::signal::Signal;

use super::{PROGRAM, SMALL, cluster, records};
use crate::support::{Ended, RunningTool, tool};
#[cfg(target_os = "linux")]
use crate::support::{NamedPipe, full_pipe};

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
        assert_eq!(
            reports,
            [
                "kafka-console-producer: stopped after line 3: 2 acknowledged, 1 failed, 0 unknown (may be written)"
            ]
        );
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

/// The end of a tool that got SIGINT as soon as a rule of the cluster has matched a request.
fn interrupted(cluster: &TestCluster, rule: Rule, further: &[&str], input: &str) -> Ended {
    ended_after(cluster, rule, further, input, &[Signal::SIGINT])
}

/// The end of a tool that got signals, SIGINT first, as soon as a rule of the cluster has matched a request.
fn ended_after(
    cluster: &TestCluster,
    rule: Rule,
    further: &[&str],
    input: &str,
    signals: &[Signal],
) -> Ended {
    let ready: RuleHandle = cluster.script(rule).unwrap();
    let servers = cluster.bootstrap_servers();
    let arguments = ["--topic", "t", "--bootstrap-server", &servers];
    let mut command = tool(PROGRAM);
    let command = command.args(arguments).args(further);
    let tool = RunningTool::of(command, Stdio::piped());
    let mut stdin = tool.take_stdin();
    stdin.write_all(input.as_bytes()).unwrap();
    ready.wait_fired(1, Duration::from_secs(30)).unwrap();
    for signal in signals {
        tool.signal(*signal);
    }
    let ended = tool.wait();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    ended
}

#[track_caller]
fn assert_reports(ended: &Ended, reports: &[&str]) {
    for report in reports {
        let report = format!("kafka-console-producer: {report}");
        assert!(ended.stderr.contains(&report), "{report}: {ended:?}");
    }
}

/// The second line is not read while the first one waits for metadata.
#[test]
fn a_line_that_waits_for_metadata_has_the_time_after_a_signal_and_then_names_the_cause() {
    let cluster = cluster();
    let silent = Rule::on(Api::Metadata).topic("t").never_answer().always();
    let ended = interrupted(
        &cluster,
        silent,
        &["--request-timeout-ms", "500"],
        "one\ntwo\n",
    );
    assert!(ended.took >= Duration::from_secs(5), "{ended:?}");
    assert_reports(
        &ended,
        &[
            "line 1: it could not be sent within 5 s of the signal: no broker has described the topic yet",
            "stopped after line 1: 0 acknowledged, 1 failed, 0 unknown (may be written)",
        ],
    );
    // The failure of the connection.
    assert!(
        ended.stderr.contains("last request for metadata failed"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("producer is closed"), "{ended:?}");
}

#[test]
fn a_line_that_was_never_sent_is_not_counted_as_unknown_after_a_second_signal() {
    let cluster = cluster();
    let silent = Rule::on(Api::Metadata).topic("t").never_answer().always();
    let signals = [Signal::SIGINT, Signal::SIGTERM];
    let ended = ended_after(&cluster, silent, &[], "one\ntwo\n", &signals);
    assert_reports(
        &ended,
        &[
            "line 1: it could not be sent before the second signal: no broker has described the topic yet",
            "stopped after line 1: 0 acknowledged, 1 failed, 0 unknown (may be written)",
        ],
    );
    assert_eq!(
        ended.stderr.matches("stopped after").count(),
        1,
        "{ended:?}"
    );
}

/// Nobody reads standard error, which is full.
#[cfg(target_os = "linux")]
#[test]
fn one_signal_ends_a_run_whose_reports_cannot_be_printed() {
    let cluster = cluster();
    let written = Rule::on(Api::Produce)
        .delay(Duration::from_millis(1))
        .always();
    let ready = cluster.script(written).unwrap();
    let pipe = NamedPipe::new("console-full.fifo");
    let (_reader, stderr) = full_pipe(&pipe);
    let mut command = tool(PROGRAM);
    let servers = cluster.bootstrap_servers();
    let command = command.args(["--topic", "t", "--timeout", "0"]).args(SMALL);
    let command = command.args(["--bootstrap-server", &servers]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let tool = RunningTool::spawn(command.stderr(stderr));
    let mut stdin = tool.take_stdin();
    let too_large = "x".repeat(2000);
    write!(stdin, "one\n{too_large}\n").unwrap();
    ready.wait_fired(1, Duration::from_secs(30)).unwrap();
    tool.signal(Signal::SIGINT);
    let ended = tool.wait();
    assert_eq!(ended.code, Some(130), "{ended:?}");
}

#[test]
fn a_line_whose_metadata_arrives_after_a_signal_is_delivered() {
    let cluster = cluster();
    let silent = Rule::on(Api::Metadata).topic("t").never_answer().times(1);
    let ended = interrupted(
        &cluster,
        silent,
        &["--request-timeout-ms", "500"],
        "one\ntwo\n",
    );
    assert_reports(
        &ended,
        &["stopped after line 1: 1 acknowledged, 0 failed, 0 unknown (may be written)"],
    );
    assert_eq!(records(&cluster, "t"), ["-=one"]);
}

#[test]
fn a_line_without_an_acknowledgement_is_counted_as_unknown() {
    let cluster = cluster();
    let silent = Rule::on(Api::Produce).never_answer().always();
    let ended = interrupted(&cluster, silent, &["--timeout", "0"], "one\n");
    assert_reports(
        &ended,
        &["stopped after line 1: 0 acknowledged, 0 failed, 1 unknown (may be written)"],
    );
}

/// The signal comes while the records of the lines before the bad one are waited for.
#[test]
fn a_bad_line_is_reported_and_counted_although_a_signal_comes_before_the_lines_before_it_are_delivered()
 {
    let cluster = cluster();
    let silent = Rule::on(Api::Produce).never_answer().always();
    let ready = cluster.script(silent).unwrap();
    let mut command = tool(PROGRAM);
    let servers = cluster.bootstrap_servers();
    let command = command.args(["--topic", "t", "--bootstrap-server", &servers]);
    let command = command.args(["--timeout", "0", "--property", "parse.key=true"]);
    let tool = RunningTool::of(command, Stdio::piped());
    let mut stdin = tool.take_stdin();
    stdin.write_all(b"k\tv\nbad\n").unwrap();
    let mut errors = BufReader::new(tool.take_stderr()).lines();
    let mut next = || errors.next().expect("the tool runs").unwrap();
    let refused = next();
    assert!(
        refused.contains("line 2: the line has no key.separator"),
        "{refused}"
    );
    let stopped = next();
    assert!(
        stopped.ends_with("no line after line 2 is sent"),
        "{stopped}"
    );
    ready.wait_fired(1, Duration::from_secs(30)).unwrap();
    tool.signal(Signal::SIGINT);
    let ended = tool.wait();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let last = errors.last().unwrap().unwrap();
    let wanted = "stopped after line 2: 0 acknowledged, 1 failed, 1 unknown (may be written)";
    assert_eq!(last, format!("kafka-console-producer: {wanted}"));
}

#[test]
fn an_unfinished_last_line_is_not_dropped_silently() {
    let cluster = cluster();
    // The first line is delivered after the signal. Until then the tool has begun to read the last one.
    let slow = Rule::on(Api::Produce).delay(Duration::from_millis(500));
    cluster.script(slow.always()).unwrap();
    let tool = {
        let mut command = tool(PROGRAM);
        RunningTool::of(command.args(arguments(&cluster)), Stdio::piped())
    };
    let mut stdin = tool.take_stdin();
    let too_large = "x".repeat(2000);
    // One write, so that the tool reads all of it at once.
    let input = format!("one\n{too_large}\nhalf");
    stdin.write_all(input.as_bytes()).unwrap();
    let mut errors = BufReader::new(tool.take_stderr()).lines();
    errors.next().expect("the tool runs").unwrap();
    tool.signal(Signal::SIGINT);
    let ended = tool.wait();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let last = errors.last().unwrap().unwrap();
    let wanted = "line 3 is not sent: only its first 4 bytes were read, and not its end";
    assert_eq!(last, format!("kafka-console-producer: {wanted}"));
    assert_eq!(records(&cluster, "t"), ["-=one"]);
}
