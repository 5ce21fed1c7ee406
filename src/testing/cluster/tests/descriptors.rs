//! A node without free file descriptors. The limit on descriptors applies to a whole process, so the test runs in a
//! process of its own.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;
use crate::clock::{Clock, Deadline, SystemClock};

const IN_CHILD: &str = "WITHOUT_FILE_DESCRIPTORS";
const TEST: &str = "without_file_descriptors_a_node_backs_off_logs_it_and_can_be_stopped";
const LONG: Duration = Duration::from_secs(60);

struct Lines(AtomicUsize);

static LINES: Lines = Lines(AtomicUsize::new(0));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        if line.contains("could not be served") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Opens files until none can be opened.
fn fill(files: &mut Vec<File>) {
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
}

fn child() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let lines = || LINES.0.load(Ordering::Relaxed);
    let clock = SystemClock::new();
    let patience = Deadline::after(clock.now(), LONG);
    let until = |reached: &dyn Fn() -> bool| {
        while !reached() {
            assert!(!patience.is_over(clock.now()), "the condition never holds");
            std::thread::yield_now();
        }
    };
    let mut files = Vec::new();
    fill(&mut files);
    // The node has reserved a descriptor for accept. Two more are left free: one for the node's second handle of the
    // connection, one for the client's end. None is left for another connection.
    files.truncate(files.len().saturating_sub(2));
    let stream = connect(&cluster, 0);
    until(&|| cluster.connections_accepted() + lines() as u64 > 0);
    fill(&mut files);
    until(&|| lines() > 0);
    // Without a back-off the failure would repeat, and be logged, in a busy loop.
    let later = Deadline::after(clock.now(), Duration::from_millis(200));
    until(&|| later.is_over(clock.now()));
    assert!(lines() <= 2, "{} lines", lines());
    drop(stream);
    drop(files);
    assert_eq!(
        metadata_of(&cluster, "t").0.as_deref(),
        Some(cluster.cluster_id())
    );
    let mut files = Vec::new();
    fill(&mut files);
    drop(cluster);
}

#[test]
fn without_file_descriptors_a_node_backs_off_logs_it_and_can_be_stopped() {
    if std::env::var_os(IN_CHILD).is_some() {
        return child();
    }
    let module = module_path!().split_once("::").unwrap().1;
    let mut process = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{module}::{TEST}"))
        .env(IN_CHILD, "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let clock = SystemClock::new();
    let patience = Deadline::after(clock.now(), 2 * LONG);
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if patience.is_over(clock.now()) {
            process.kill().unwrap();
            panic!("the child process does not end");
        }
        std::thread::yield_now();
    };
    assert!(status.success(), "{status}");
}
