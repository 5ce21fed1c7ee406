//! A child process with line-based standard input and output, which is terminated when its handle is dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Set by Ctrl-C. Every wait checks it, and fails if it is set.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes every wait of this program fail with an error.
pub fn interrupt() {
    INTERRUPTED.store(true, SeqCst);
}

pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(SeqCst) {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps; fails early if the program is interrupted.
pub fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check_interrupted()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(CHECK_INTERVAL));
    }
}

/// Interval at which a wait checks for an interruption.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A child process with line-based input and output. Dropping the handle terminates the process.
pub struct LineProcess {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    log: PathBuf,
    /// How long the process may run on after its input is closed, before it is killed.
    exit_timeout: Duration,
}

impl LineProcess {
    /// Starts the process in a process group of its own. Standard error goes to the file `log`.
    pub fn start(
        name: &str,
        mut command: Command,
        log: &Path,
        exit_timeout: Duration,
    ) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name} ({command:?})"))?;
        let output = child
            .stdout
            .take()
            .context("the process has no standard output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            child,
            input,
            lines,
            log: log.to_owned(),
            exit_timeout,
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the process's standard input.
    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let input = self
            .input
            .as_mut()
            .context("the input of the process is closed")?;
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .with_context(|| format!("cannot write to {}", self.name))
    }

    /// Waits for the next line of the process's standard output.
    pub fn read_line(&mut self, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            check_interrupted()?;
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(CHECK_INTERVAL)) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{}", self.exit_reason());
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    bail!("no output for {} s", limit.as_secs());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The exit status, with the last line of the log that looks like an error.
    fn exit_reason(&mut self) -> String {
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        match log.lines().rfind(|line| is_error_line(line)) {
            Some(line) => format!("the process ended ({status}): {}", line.trim()),
            None => format!("the process ended ({status})"),
        }
    }

    /// Closes the input and waits for the process to end; kills it after the time-out.
    fn end(&mut self) {
        drop(self.input.take());
        let end = Instant::now() + self.exit_timeout;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        // The whole process group is killed, since the process may have started others.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// Whether a line of a log looks like an error: a guess by its words.
fn is_error_line(line: &str) -> bool {
    ["panicked at", "Exception", "error", "Error", "cannot"]
        .iter()
        .any(|word| line.contains(word))
}

/// Interval at which the end of a process is polled for.
const POLL: Duration = Duration::from_millis(10);

impl Drop for LineProcess {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> LineProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        LineProcess::start(
            "sh",
            command,
            Path::new("/dev/null"),
            Duration::from_millis(300),
        )
        .unwrap()
    }

    #[test]
    fn lines_are_written_to_a_process_and_read_from_it() {
        let mut cat = shell("exec cat");
        cat.write_line("hello").unwrap();
        assert_eq!(cat.read_line(Duration::from_secs(10)).unwrap(), "hello");
    }

    #[test]
    fn an_exit_and_a_missing_line_give_different_errors() {
        let error = shell("exit 3")
            .read_line(Duration::from_secs(10))
            .unwrap_err();
        assert_eq!(error.to_string(), "the process ended (exit status: 3)");
        let error = shell("exec cat").read_line(Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("no output"), "{error}");
    }

    #[test]
    fn the_error_contains_the_last_error_line_of_the_log() {
        let log = std::env::temp_dir().join(format!("peers-process-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo 'thread panicked at x.rs:1' >&2; echo 'note: more' >&2; exit 1",
        ]);
        let mut process = LineProcess::start("sh", command, &log, Duration::from_secs(1)).unwrap();
        let error = process.read_line(Duration::from_secs(10)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the process ended (exit status: 1): thread panicked at x.rs:1"
        );
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn a_process_that_ignores_its_input_is_killed_with_its_children() {
        let mut ignorant = shell("sleep 1000 & echo $!; exec sleep 1000");
        let grandchild = ignorant.read_line(Duration::from_secs(10)).unwrap();
        drop(ignorant);
        // The grandchild's parent is dead, so the grandchild may stay a zombie until its new parent reaps it.
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).ok()?;
            stat.rsplit_once(") ")
                .map(|(_, rest)| rest.starts_with('Z'))
        };
        let end = Instant::now() + Duration::from_secs(10);
        while state() == Some(false) {
            assert!(Instant::now() < end, "the grandchild still runs");
            std::thread::sleep(POLL);
        }
    }
}
