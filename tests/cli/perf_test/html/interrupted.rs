//! Signals during a run with a page.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, RuleHandle, TestCluster};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Folder, assert_figures, name, number};
use crate::lines::{TOTAL, shape};
use crate::perf_test::{PROGRAM, cluster};
use crate::support::Ended;

const LONG: Duration = Duration::from_secs(30);

/// Runs the tool with topic `t`, and sends it signals, one after another, as soon as `ready` has matched a request.
fn interrupted(
    cluster: &TestCluster,
    ready: &RuleHandle,
    requests: u64,
    signals: &[Signal],
    further: &[&str],
) -> Ended {
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let child = Command::new(PROGRAM)
        .args([
            "--topic",
            "t",
            "--num-records",
            "1000000",
            "--record-size",
            "10",
        ])
        .args(["--throughput", "500", "--producer-props", &servers])
        .args(further)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    ready.wait_fired(requests, LONG).unwrap();
    let began = Instant::now();
    for signal in signals {
        kill(Pid::from_raw(child.id().try_into().unwrap()), *signal).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        took: began.elapsed(),
    }
}

#[test]
fn a_signal_ends_the_run_and_the_page_has_the_records_until_then() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let cluster = cluster();
        let slow = Rule::on(Api::Produce).delay(Duration::from_millis(1));
        let ready = cluster.script(slow.always()).unwrap();
        let folder = Folder::new(signal.as_str());
        let page = folder.page();
        let ended = interrupted(&cluster, &ready, 20, &[signal], &["--html", name(&page)]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(shape(ended.lines()[0]), TOTAL);
        let page = folder.read();
        assert_figures(&page, ended.lines()[0]);
        assert!(page.contains(&format!(">Interrupted by {signal}</p>")));
        assert_eq!(number(&page, "records"), cluster.record_count("t") as f64);
        assert!(number(&page, "records") >= 20.0 && number(&page, "failed") == 0.0);
    }
}

#[test]
fn without_a_page_a_signal_ends_the_process_as_usual() {
    let cluster = cluster();
    let slow = Rule::on(Api::Produce).delay(Duration::from_millis(1));
    let ready = cluster.script(slow.always()).unwrap();
    let ended = interrupted(&cluster, &ready, 1, &[Signal::SIGINT], &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (None, ""), "{ended:?}");
}

/// `send` waits for metadata that never arrive, for a minute.
#[test]
fn a_second_signal_ends_a_blocked_run_at_once_with_a_page_of_zero_records() {
    let cluster = cluster();
    let silent = Rule::on(Api::Metadata).never_answer();
    let ready = cluster.script(silent.always()).unwrap();
    let folder = Folder::new("blocked");
    let page = folder.page();
    let signals = [Signal::SIGINT, Signal::SIGTERM];
    let ended = interrupted(&cluster, &ready, 1, &signals, &["--html", name(&page)]);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.took < Duration::from_secs(4), "{ended:?}");
    let page = folder.read();
    assert_figures(&page, ended.lines()[0]);
    assert_eq!(number(&page, "records"), 0.0);
    assert!(page.contains("1,000,000 of 1,000,000 planned records have no result."));
}
