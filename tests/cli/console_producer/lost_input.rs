//! Standard input that cannot be read any more: the position is reported.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use kafka_producer::testing::{Api, Rule, TestCluster};
use nix::sys::signal::Signal;

use super::{PROGRAM, cluster, records};
use crate::support::{Ended, RunningTool, tool};

/// A connection whose end for the tool fails to be read after the other end is dropped, because it has unread bytes.
fn connection() -> (UnixStream, OwnedFd) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"unread").unwrap();
    (ours, theirs.into())
}

fn start(command: &mut Command, cluster: &TestCluster, stdin: OwnedFd) -> RunningTool {
    let servers = cluster.bootstrap_servers();
    let command = command.args(["--topic", "t", "--timeout", "0"]);
    let command = command.args(["--bootstrap-server", &servers]);
    let command = command.stdin(stdin).stdout(Stdio::piped());
    RunningTool::spawn(command.stderr(Stdio::piped()))
}

fn reports(ended: &Ended) -> Vec<&str> {
    let lines = ended.stderr.lines();
    lines
        .map(|line| line.strip_prefix("kafka-console-producer: ").unwrap())
        .collect()
}

const ONE: &str = "stopped after line 1: 1 acknowledged, 0 failed, 0 unknown (may be written)";

#[test]
fn the_position_and_the_unfinished_line_are_reported_after_a_failed_read() {
    let cluster = cluster();
    let (mut ours, theirs) = connection();
    ours.write_all(b"one\nhalf").unwrap();
    drop(ours);
    let ended = start(&mut tool(PROGRAM), &cluster, theirs).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let reports = reports(&ended);
    assert!(
        reports[0].starts_with("error: standard input cannot be read: "),
        "{ended:?}"
    );
    assert_eq!(
        reports[1..],
        [
            ONE,
            "line 2 is not sent: only its first 4 bytes were read, and not its end"
        ]
    );
    assert_eq!(records(&cluster, "t"), ["-=one"]);
}

/// The signal and the failed read come together: the tool is stopped meanwhile.
#[test]
fn a_signal_is_preferred_to_the_failed_read_of_a_hang_up() {
    let cluster = cluster();
    let written = Rule::on(Api::Produce)
        .delay(Duration::from_millis(1))
        .always();
    let ready = cluster.script(written).unwrap();
    let (mut ours, theirs) = connection();
    let tool = start(&mut tool(PROGRAM), &cluster, theirs);
    ours.write_all(b"one\n").unwrap();
    ready.wait_fired(1, Duration::from_secs(30)).unwrap();
    tool.signal(Signal::SIGSTOP);
    drop(ours);
    tool.signal(Signal::SIGHUP);
    tool.signal(Signal::SIGCONT);
    let ended = tool.wait();
    assert_eq!(ended.code, Some(129), "{ended:?}");
    assert_eq!(reports(&ended), [ONE]);
}
