//! Signals before a run begins: while the tool waits for its configuration.

use std::fs::File;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{NamedPipe, RunningTool, tool};

const LONG: Duration = Duration::from_secs(30);

/// The configuration comes from a pipe that nobody writes. The performance test has such a test of its own, with a
/// page.
#[test]
fn a_signal_before_the_run_begins_ends_the_tool_at_once() {
    let servers = ["--bootstrap-server", "127.0.0.1:1", "--topic", "t"];
    for (program, signal, code) in [
        // It changes nothing, so the signal ends it as usual.
        (env!("CARGO_BIN_EXE_kafka-check"), Signal::SIGINT, None),
        (
            env!("CARGO_BIN_EXE_kafka-console-producer"),
            Signal::SIGINT,
            Some(130),
        ),
        (
            env!("CARGO_BIN_EXE_kafka-verifiable-producer"),
            Signal::SIGTERM,
            Some(143),
        ),
    ] {
        let pipe = NamedPipe::new("early-signals.fifo");
        let config = pipe.path().to_str().unwrap().to_owned();
        let mut command = tool(program);
        let command = command.args(servers).args(["--producer.config", &config]);
        let tool = RunningTool::of(command, Stdio::piped());
        // Opened when the tool opens it.
        let (sender, opened) = channel();
        thread::spawn(move || sender.send(File::options().write(true).open(config)));
        let writer = opened.recv_timeout(LONG).unwrap().unwrap();
        tool.signal(signal);
        let ended = tool.wait();
        drop(writer);
        assert_eq!(ended.code, code, "{program}: {ended:?}");
        assert_eq!(ended.stdout, "", "{program}");
        assert!(ended.took < LONG, "{program}: {ended:?}");
    }
}
