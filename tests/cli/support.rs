//! Runs a tool.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Timeout of a tool.
const LONG: Duration = Duration::from_secs(60);

/// The exit status and the output of a tool.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

/// Runs a program to its end without any input, and captures standard output and error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Ended {
    run_with_input(program, arguments, b"")
}

/// Runs a program to its end, with standard input from a pipe.
pub(crate) fn run_with_input(program: &str, arguments: &[&str], input: &[u8]) -> Ended {
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // A program that has ended does not read its input.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    // The pipes end with the process.
    let said = stdout
        .recv_timeout(LONG)
        .and_then(|stdout| Ok((stdout, stderr.recv_timeout(LONG)?)));
    if said.is_err() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let (stdout, stderr) = said.expect("the tool ends within a minute");
    Ended {
        code: status.code(),
        stdout,
        stderr,
        took: began.elapsed(),
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, text) = channel();
    thread::spawn(move || {
        let mut all = String::new();
        pipe.read_to_string(&mut all).unwrap();
        // The receiver is gone if the wait has timed out.
        let _ = sender.send(all);
    });
    text
}

/// A temporary file, deleted when this value is dropped.
pub(crate) struct TempFile(PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("kafka-cli-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
