//! The tool on a terminal, which is a pseudoterminal of the test.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::ErrorCode;
use kafka_producer::testing::{Api, Rule, TestCluster};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use super::{PROGRAM, cluster, records};
use crate::support::tool;

const LONG: Duration = Duration::from_secs(30);

/// A tool whose input and output are a terminal. It is killed when this value is dropped.
struct OnTerminal {
    child: Child,
    keyboard: File,
    screen: Receiver<String>,
    /// Everything that was printed so far.
    shown: String,
}

impl OnTerminal {
    fn start(cluster: &TestCluster) -> Self {
        let (keyboard, slave) = terminal();
        let servers = cluster.bootstrap_servers();
        // In a session of its own, whose terminal sends SIGINT for Ctrl-C.
        let child = tool("setsid")
            .args(["-c", PROGRAM, "--topic", "t", "--timeout", "0"])
            .args(["--bootstrap-server", &servers])
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        let mut output = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            // An error is the end: the tool has closed the terminal.
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            shown: String::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until everything that was printed ends with a text.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + LONG;
        while !self.shown.ends_with(text) {
            let left = until.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.shown.push_str(&more),
                Err(why) => panic!("no {text:?} ({why}): {:?}", self.shown),
            }
        }
    }

    /// Waits for the end of the tool. Returns its exit code, and everything that was printed.
    fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + LONG;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.shown.push_str(&more),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it runs on: {:?}", self.shown),
            }
        }
        let status: ExitStatus = self.child.wait().unwrap();
        (status.code(), self.shown.clone())
    }
}

/// The two ends of a pseudoterminal: that of the test, and that of the tool. They are opened close-on-exec, so that
/// programs that other tests start at the same moment do not inherit them.
fn terminal() -> (File, File) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let mut options = File::options();
    // The standard library adds O_CLOEXEC.
    let options = options.read(true).write(true);
    let slave = options.custom_flags(OFlag::O_NOCTTY.bits());
    let slave = slave.open(ptsname_r(&master).unwrap()).unwrap();
    (OwnedFd::from(master).into(), slave)
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_prompt_is_shown_for_each_line_and_control_d_ends_the_input() {
    let cluster = cluster();
    let mut tool = OnTerminal::start(&cluster);
    tool.wait_for(">");
    tool.press("one\r");
    tool.wait_for(">one\r\n>");
    tool.press("two\r");
    tool.wait_for(">two\r\n>");
    tool.press("\u{4}");
    let (code, shown) = tool.end();
    assert_eq!(code, Some(0), "{shown:?}");
    assert_eq!(shown, ">one\r\n>two\r\n>\r\n");
    assert_eq!(records(&cluster, "t"), ["-=one", "-=two"]);
}

#[test]
fn the_prompt_is_shown_again_after_a_report() {
    let cluster = cluster();
    let refused = Rule::on(Api::Produce).fail(ErrorCode::InvalidRecord);
    cluster.script(refused.times(1)).unwrap();
    let mut tool = OnTerminal::start(&cluster);
    tool.wait_for(">");
    tool.press("one\r");
    tool.wait_for(")\r\n>");
    tool.press("two\r");
    tool.wait_for(">two\r\n>");
    tool.press("\u{4}");
    let (code, shown) = tool.end();
    assert_eq!(code, Some(1), "{shown:?}");
    assert!(
        shown.contains("kafka-console-producer: line 1: "),
        "{shown:?}"
    );
    assert!(
        shown.ends_with("kafka-console-producer: 1 line failed\r\n"),
        "{shown:?}"
    );
    assert_eq!(records(&cluster, "t"), ["-=two"]);
}

#[test]
fn control_c_ends_the_run_after_the_lines_that_were_typed() {
    let cluster = cluster();
    let mut tool = OnTerminal::start(&cluster);
    tool.wait_for(">");
    tool.press("one\r");
    tool.wait_for(">one\r\n>");
    tool.press("half\u{3}");
    let (code, shown) = tool.end();
    assert_eq!(code, Some(130), "{shown:?}");
    let position = "stopped after line 1: 1 acknowledged, 0 failed, 0 unknown (may be written)\r\n";
    assert!(shown.ends_with(position), "{shown:?}");
    assert_eq!(records(&cluster, "t"), ["-=one"]);
}
