//! Signals during a run with a page.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, RuleHandle, TestCluster};
use nix::sys::signal::Signal;

use super::{Folder, assert_figures, name, number};
use crate::lines::{TOTAL, shape};
use crate::perf_test::{PROGRAM, cluster};
#[cfg(target_os = "linux")]
use crate::support::full_pipe;
use crate::support::{Ended, NamedPipe, RunningTool, tool};

const LONG: Duration = Duration::from_secs(30);

/// Starts the tool with topic `t`, by a command that takes the name of the tool as its next argument, or by the tool
/// itself.
fn start(
    cluster: &TestCluster,
    by: Option<&mut Command>,
    further: &[&str],
    stdout: Stdio,
) -> RunningTool {
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let mut alone = tool(PROGRAM);
    let command = by.map_or(&mut alone, |shell| shell.arg(PROGRAM));
    let command = command
        .args(["--topic", "t", "--num-records", "1000000"])
        .args(["--record-size", "10", "--throughput", "500"])
        .args(["--producer-props", &servers])
        .args(further);
    RunningTool::of(command, stdout)
}

/// Sends the signals, one after another, as soon as `ready` has matched a number of requests. The result has the time
/// since the signals.
fn interrupted(
    tool: RunningTool,
    (ready, requests): (&RuleHandle, u64),
    signals: &[Signal],
) -> Ended {
    ready.wait_fired(requests, LONG).unwrap();
    let began = Instant::now();
    for signal in signals {
        tool.signal(*signal);
    }
    let mut ended = tool.wait();
    ended.took = began.elapsed();
    ended
}

fn slow(cluster: &TestCluster) -> RuleHandle {
    let slow = Rule::on(Api::Produce).delay(Duration::from_millis(1));
    cluster.script(slow.always()).unwrap()
}

/// Makes `send` wait for metadata for a minute.
fn without_metadata(cluster: &TestCluster) -> RuleHandle {
    let silent = Rule::on(Api::Metadata).never_answer();
    cluster.script(silent.always()).unwrap()
}

#[test]
fn a_signal_ends_the_run_and_the_page_has_the_records_until_then() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let cluster = cluster();
        let ready = slow(&cluster);
        let folder = Folder::new(signal.as_str());
        let page = folder.page();
        let tool = start(&cluster, None, &["--html", name(&page)], Stdio::piped());
        let ended = interrupted(tool, (&ready, 20), &[signal]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let lines = ended.lines();
        let total = lines.last().expect("a total line");
        assert_eq!(shape(total), TOTAL);
        let page = folder.read();
        assert_figures(&page, total);
        assert!(page.contains(&format!(">Interrupted by {signal}</p>")));
        assert_eq!(number(&page, "records"), cluster.record_count("t") as f64);
        assert!(number(&page, "records") >= 20.0 && number(&page, "failed") == 0.0);
    }
}

#[test]
fn without_a_page_a_signal_ends_the_process_as_usual() {
    let cluster = cluster();
    let ready = slow(&cluster);
    let tool = start(&cluster, None, &[], Stdio::piped());
    let ended = interrupted(tool, (&ready, 1), &[Signal::SIGINT]);
    assert_eq!((ended.code, ended.stdout.as_str()), (None, ""), "{ended:?}");
}

/// A script ignores SIGINT in its background jobs.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let cluster = cluster();
    let ready = slow(&cluster);
    let folder = Folder::new("ignored");
    let page = folder.page();
    let mut shell = Command::new("sh");
    let by = shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]);
    let tool = start(&cluster, Some(by), &["--html", name(&page)], Stdio::piped());
    let signals = [Signal::SIGINT, Signal::SIGTERM];
    let ended = interrupted(tool, (&ready, 1), &signals);
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(folder.read().contains(">Interrupted by SIGTERM</p>"));
}

#[test]
fn a_second_signal_ends_a_blocked_run_at_once_with_a_page_of_zero_records() {
    let cluster = cluster();
    let ready = without_metadata(&cluster);
    let folder = Folder::new("blocked");
    let page = folder.page();
    let tool = start(&cluster, None, &["--html", name(&page)], Stdio::piped());
    let signals = [Signal::SIGINT, Signal::SIGTERM];
    let ended = interrupted(tool, (&ready, 1), &signals);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.took < Duration::from_secs(4), "{ended:?}");
    let page = folder.read();
    assert_figures(&page, ended.lines().last().expect("a total line"));
    assert_eq!(number(&page, "records"), 0.0);
    assert!(page.contains("1,000,000 of 1,000,000 planned records have no result."));
}

/// Interrupts a run that is blocked, and whose standard output is a full pipe. The page must be written.
#[cfg(target_os = "linux")]
fn interrupted_with_a_full_pipe(test: &str, signals: &[Signal]) -> Ended {
    let cluster = cluster();
    let ready = without_metadata(&cluster);
    let folder = Folder::new(test);
    let page = folder.page();
    let pipe = NamedPipe::new(&format!("{test}.fifo"));
    let (_reader, stdout) = full_pipe(&pipe);
    let tool = start(&cluster, None, &["--html", name(&page)], stdout.into());
    let ended = interrupted(tool, (&ready, 1), signals);
    assert_eq!(number(&folder.read(), "records"), 0.0);
    ended
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_ends_a_run_whose_output_is_a_full_pipe() {
    let signals = [Signal::SIGINT, Signal::SIGTERM];
    let ended = interrupted_with_a_full_pipe("full-pipe", &signals);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.took < Duration::from_secs(4), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn one_signal_ends_a_run_whose_output_is_a_full_pipe() {
    let ended = interrupted_with_a_full_pipe("full-pipe-once", &[Signal::SIGTERM]);
    assert_eq!(ended.code, Some(143), "{ended:?}");
}

/// A run that has not begun, because its configuration comes from a pipe that nobody writes, ends at once. An older
/// page is not replaced.
#[test]
fn a_signal_before_the_run_begins_ends_it_without_a_page() {
    let cluster = cluster();
    let folder = Folder::new("early");
    let page = folder.page();
    std::fs::write(&page, "an older page").unwrap();
    let pipe = NamedPipe::new("early.fifo");
    let config = pipe.path().to_str().unwrap().to_owned();
    let further = ["--html", name(&page), "--producer.config", &*config];
    let tool = start(&cluster, None, &further, Stdio::piped());
    // Opened when the tool opens it, which is after the path of the page was checked.
    let (sender, opened) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(std::fs::File::options().write(true).open(config)));
    let writer = opened.recv_timeout(LONG).unwrap().unwrap();
    tool.signal(Signal::SIGINT);
    let ended = tool.wait();
    drop(writer);
    assert_eq!((ended.code, &*ended.stdout), (Some(130), ""), "{ended:?}");
    assert!(ended.took < LONG, "{ended:?}");
    assert!(ended.stderr.contains("no page is written"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "an older page");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

/// Whatever the moment is: no temporary file is left, and a page is complete.
#[test]
fn a_signal_in_the_first_moments_leaves_no_part_of_a_page() {
    let cluster = cluster();
    let folder = Folder::new("first-moments");
    let page = folder.page();
    for round in 0..12 {
        let tool = start(&cluster, None, &["--html", name(&page)], Stdio::piped());
        let until = Instant::now() + Duration::from_millis(round);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        tool.signal(Signal::SIGINT);
        let ended = tool.wait();
        // At first the signal ends the process as usual.
        assert!(matches!(ended.code, None | Some(130)), "{ended:?}");
        if page.exists() {
            assert_eq!(ended.code, Some(130), "{ended:?}");
            folder.read();
            std::fs::remove_file(&page).unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
