//! A child process that is spoken to in lines, and that never outlives this program's interest in it.

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

/// Set by Ctrl-C: everything ends at its next wait.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends every wait of this program with an error.
pub fn interrupt() {
    INTERRUPTED.store(true, SeqCst);
}

pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(SeqCst) {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps, but not through an interruption.
pub fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check_interrupted()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(SLICE));
    }
}

/// How long a wait goes on before it looks around.
const SLICE: Duration = Duration::from_millis(100);

/// A process with lines in and lines out. Dropping it ends it.
pub struct Talker {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    log: PathBuf,
    /// How long it may take to end once its input has ended.
    patience: Duration,
}

impl Talker {
    /// Starts it in a process group of its own; what it logs goes to the file.
    pub fn start(name: &str, mut command: Command, log: &Path, patience: Duration) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name} ({command:?})"))?;
        let output = child.stdout.take().context("no output")?;
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
            patience,
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .with_context(|| format!("{} does not listen any more", self.name))
    }

    /// The next line it says.
    pub fn hear(&mut self, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            check_interrupted()?;
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(SLICE)) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{}", self.how_it_ended());
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    bail!("it said nothing for {} s", limit.as_secs());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn how_it_ended(&mut self) -> String {
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        match said.lines().rfind(|line| speaks_of_an_end(line)) {
            Some(line) => format!("it ended ({status}): {}", line.trim()),
            None => format!("it ended ({status})"),
        }
    }

    /// Closes its input and waits; afterwards it is gone, one way or the other.
    fn end(&mut self) {
        drop(self.input.take());
        let end = Instant::now() + self.patience;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        // Its whole group, for it may have started others.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// In a log, as far as one can tell from words.
fn speaks_of_an_end(line: &str) -> bool {
    ["panicked at", "Exception", "error", "Error", "cannot"]
        .iter()
        .any(|word| line.contains(word))
}

const POLL: Duration = Duration::from_millis(10);

impl Drop for Talker {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Talker {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Talker::start(
            "sh",
            command,
            Path::new("/dev/null"),
            Duration::from_millis(300),
        )
        .unwrap()
    }

    #[test]
    fn lines_go_in_and_out() {
        let mut cat = shell("exec cat");
        cat.tell("hello").unwrap();
        assert_eq!(cat.hear(Duration::from_secs(10)).unwrap(), "hello");
    }

    #[test]
    fn an_early_end_and_a_silence_are_told_apart() {
        let error = shell("exit 3").hear(Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.to_string(), "it ended (exit status: 3)");
        let error = shell("exec cat").hear(Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("nothing"), "{error}");
    }

    #[test]
    fn of_what_it_logged_the_last_line_about_its_end_is_told() {
        let log = std::env::temp_dir().join(format!("peers-talker-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo 'thread panicked at x.rs:1' >&2; echo 'note: more' >&2; exit 1",
        ]);
        let mut talker = Talker::start("sh", command, &log, Duration::from_secs(1)).unwrap();
        let error = talker.hear(Duration::from_secs(10)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it ended (exit status: 1): thread panicked at x.rs:1"
        );
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn whoever_does_not_listen_is_ended_with_what_it_started() {
        let mut stubborn = shell("sleep 1000 & echo $!; exec sleep 1000");
        let grandchild = stubborn.hear(Duration::from_secs(10)).unwrap();
        drop(stubborn);
        // Its parent is gone, so it waits for whoever adopted it; at most as a zombie.
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).ok()?;
            stat.rsplit_once(") ")
                .map(|(_, rest)| rest.starts_with('Z'))
        };
        let end = Instant::now() + Duration::from_secs(10);
        while state() == Some(false) {
            assert!(Instant::now() < end, "it still runs");
            std::thread::sleep(POLL);
        }
    }
}
