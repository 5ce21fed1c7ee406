//! Runs a tool.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
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

/// The command of a tool that gets the signals that end it. A job in the background of a script ignores some of them, and
/// so would the tool.
pub(crate) fn tool(program: &str) -> Command {
    if !ignores_a_signal("self") {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,TERM", program]);
    command
}

/// Whether a process ignores SIGHUP, SIGINT or SIGTERM. Only Linux shows this in a file.
fn ignores_a_signal(process: &str) -> bool {
    const HUP_INT_TERM: u64 = 1 | 1 << 1 | 1 << 14;
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0) & HUP_INT_TERM != 0
}

/// Waits until the process that [`tool`] has started gets the signals: `env` resets them before it runs the tool.
fn wait_until_signals_are_reset(process: u32) {
    let until = Instant::now() + LONG;
    while ignores_a_signal(&process.to_string()) {
        assert!(Instant::now() < until, "env resets the signals");
        thread::yield_now();
    }
}

/// Runs a program to its end without any input, and captures standard output and error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Ended {
    run_with_input(program, arguments, b"")
}

/// Runs a program to its end, with standard input from a pipe.
pub(crate) fn run_with_input(program: &str, arguments: &[&str], input: &[u8]) -> Ended {
    let tool = RunningTool::start(program, arguments);
    let (mut stdin, input) = (tool.take_stdin(), input.to_vec());
    // A program that has ended does not read its input.
    thread::spawn(move || drop(stdin.write_all(&input)));
    tool.wait()
}

/// A tool that is running, with pipes for its input and output. It is killed after [`LONG`], so that a test that waits
/// for it or for its output fails, and when this value is dropped.
pub(crate) struct RunningTool {
    child: Arc<Mutex<Child>>,
    began: Instant,
    /// Dropped to end the thread that kills the tool.
    timeout: Option<Sender<()>>,
    /// Returns true if it has killed the tool.
    killer: Option<JoinHandle<bool>>,
}

impl RunningTool {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        Self::of(tool(program).args(arguments), Stdio::piped())
    }

    /// Starts a tool whose standard output is not a pipe of this value.
    pub(crate) fn of(command: &mut Command, stdout: Stdio) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(stdout);
        Self::spawn(command.stderr(Stdio::piped()))
    }

    /// Starts a tool whose standard streams are those of the command.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command.spawn().unwrap();
        if command.get_program() == "env" {
            wait_until_signals_are_reset(child.id());
        }
        let child = Arc::new(Mutex::new(child));
        let (timeout, ended) = channel::<()>();
        let killed = Arc::clone(&child);
        let killer = thread::spawn(move || {
            let is_late = ended.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout);
            if is_late {
                // The tool may end at this moment.
                let _ = killed.lock().unwrap().kill();
            }
            is_late
        });
        Self {
            child,
            began: Instant::now(),
            timeout: Some(timeout),
            killer: Some(killer),
        }
    }

    pub(crate) fn take_stdin(&self) -> ChildStdin {
        self.child.lock().unwrap().stdin.take().unwrap()
    }

    pub(crate) fn take_stdout(&self) -> ChildStdout {
        self.child.lock().unwrap().stdout.take().unwrap()
    }

    pub(crate) fn take_stderr(&self) -> ChildStderr {
        self.child.lock().unwrap().stderr.take().unwrap()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = self.child.lock().unwrap().id().try_into().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).unwrap();
    }

    /// Waits for the end of the tool, with the output of the pipes that were not taken. At least one of them must be
    /// left: it ends with the process. Standard input stays open until then, unless it was taken.
    pub(crate) fn wait(mut self) -> Ended {
        let (stdin, stdout, stderr) = {
            let mut child = self.child.lock().unwrap();
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        };
        assert!(stdout.is_some() || stderr.is_some(), "no pipe is left");
        let stderr = thread::spawn(move || stderr.map(read_all).unwrap_or_default());
        let stdout = stdout.map(read_all).unwrap_or_default();
        let stderr = stderr.join().unwrap();
        drop(stdin);
        let status = self.child.lock().unwrap().wait().unwrap();
        drop(self.timeout.take());
        let is_late = self.killer.take().unwrap().join().unwrap();
        assert!(!is_late, "the tool ends within a minute: {stdout}{stderr}");
        Ended {
            code: status.code(),
            stdout,
            stderr,
            took: self.began.elapsed(),
        }
    }
}

impl Drop for RunningTool {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            // The tool may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read_all(mut pipe: impl Read) -> String {
    let mut all = String::new();
    pipe.read_to_string(&mut all).unwrap();
    all
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

/// A named pipe, deleted when this value is dropped.
#[cfg(unix)]
pub(crate) struct NamedPipe(PathBuf);

#[cfg(unix)]
impl NamedPipe {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kafka-cli-{}-{name}", std::process::id()));
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success(), "{made}");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// A named pipe that is full: a write to the second file blocks. The first file keeps the pipe open for reading.
#[cfg(target_os = "linux")]
pub(crate) fn full_pipe(pipe: &NamedPipe) -> (std::fs::File, std::fs::File) {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;

    const O_NONBLOCK: i32 = 0o4000;
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).custom_flags(O_NONBLOCK);
    let mut filled = options.open(pipe.path()).unwrap();
    // The last writes leave no room for a single byte.
    for size in [4096, 1] {
        while filled.write(&[b'x'; 4096][..size]).is_ok() {}
    }
    let blocking = OpenOptions::new().write(true).open(pipe.path()).unwrap();
    (filled, blocking)
}

#[cfg(unix)]
impl Drop for NamedPipe {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
