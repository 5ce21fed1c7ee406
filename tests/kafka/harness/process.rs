//! A JVM process that ends with its owner.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::install::{Jars, log_settings};
use super::{Context, Failure, Result};

/// Polling interval of waits.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// Number of log lines in an error.
const TAIL_LINES: usize = 40;
const TAIL_BYTES: u64 = 16 * 1024;

/// The command line of a JVM.
pub(crate) struct JvmCommand<'a> {
    pub(crate) name: String,
    pub(crate) jars: &'a Jars,
    /// The folder of logs and temporary files.
    pub(crate) folder: &'a Path,
    pub(crate) heap_mb: u32,
    pub(crate) arguments: Vec<String>,
    /// Whether standard output is piped to the owner; otherwise it goes to the log.
    pub(crate) piped_output: bool,
    /// The JAAS file, if there is one.
    pub(crate) jaas: Option<PathBuf>,
    /// System properties, as `name=value`.
    pub(crate) system_properties: &'a [String],
    /// Enables the TLS handshake log.
    pub(crate) logs_handshakes: bool,
}

/// A running JVM. Dropping it kills it.
pub(crate) struct Jvm {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Jvm {
    pub(crate) fn start(command: &JvmCommand<'_>) -> Result<Self> {
        let log = command.folder.join(format!("{}.log", command.name));
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let file = open().context(|| format!("cannot write {}", log.display()))?;
        let copy = file
            .try_clone()
            .context(|| "cannot share a log file".to_owned())?;
        let temporary = command.folder.join("tmp");
        std::fs::create_dir_all(&temporary)
            .context(|| format!("cannot make {}", temporary.display()))?;
        let child = Command::new("java")
            .args([
                "-XX:+UseSerialGC",
                "-XX:-UsePerfData",
                "-XX:+ExitOnOutOfMemoryError",
            ])
            .args([
                "-Djava.awt.headless=true",
                "-Djava.net.preferIPv4Stack=true",
            ])
            // ZooKeeper before 3.5 expects parts of a logging library that are not installed.
            .arg("-Dzookeeper.jmx.log4j.disable=true")
            .args(
                command
                    .jaas
                    .iter()
                    .map(|file| format!("-Djava.security.auth.login.config={}", file.display())),
            )
            .args(
                command
                    .system_properties
                    .iter()
                    .map(|property| format!("-D{property}")),
            )
            .args(
                command
                    .logs_handshakes
                    .then_some("-Djavax.net.debug=ssl:handshake"),
            )
            .arg(format!("-Xmx{}m", command.heap_mb))
            .arg(format!(
                "-Dlog4j.configuration=file:{}",
                log_settings().display()
            ))
            // Native libraries are unpacked there; a killed JVM does not delete them.
            .arg(format!("-Djava.io.tmpdir={}", temporary.display()))
            .arg("-cp")
            .arg(command.jars.class_path())
            .args(&command.arguments)
            .current_dir(command.folder)
            .stdin(Stdio::piped())
            .stdout(if command.piped_output {
                Stdio::piped()
            } else {
                Stdio::from(copy)
            })
            .stderr(Stdio::from(file))
            // A process group of its own: Ctrl-C in a terminal goes to the owner only, and when the owner dies the
            // kernel resumes the group's stopped processes, which then see the end of their input.
            .process_group(0)
            .spawn()
            .context(|| "cannot run java".to_owned())?;
        Ok(Self {
            name: command.name.clone(),
            child,
            log,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Writes to the JVM's standard input.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let name = &self.name;
        let stdin = self
            .child
            .stdin
            .as_mut()
            .ok_or_else(|| Failure::new(format!("the input of {name} is closed")))?;
        let written = stdin.write_all(bytes).and_then(|()| stdin.flush());
        written.context(|| format!("cannot write to {name}"))
    }

    /// Its exit status; `None` while it is running.
    pub(crate) fn exit(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context(|| format!("cannot get the exit status of {}", self.name))
    }

    /// Waits for the JVM to end.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                let name = &self.name;
                return Err(Failure::new(format!("{name} did not end within {limit:?}"))
                    .with_details(&self.tail()));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Sends SIGKILL, and waits for the end of the process.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .context(|| format!("cannot kill {}", self.name))?;
        self.child
            .wait()
            .context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// Sends a signal by name, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        send_signal(self.id(), signal)
    }

    /// The last lines of the log, with a heading.
    pub(crate) fn tail(&self) -> String {
        log_tail(&self.name, &self.log)
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // The JVM may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log file, with a heading; empty if there are none.
pub(crate) fn log_tail(name: &str, log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return String::new();
    }
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("--- end of the log of {name}:\n{}", last.join("\n"))
}

fn send_signal(pid: u32, signal: &str) -> Result<()> {
    let output = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(pid.to_string())
        .output()
        .context(|| "cannot run kill".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "kill -{signal} {pid}: {}",
        errors.trim()
    )))
}

/// Whether a process is running; a zombie is not.
pub(crate) fn is_running(pid: u32) -> Result<bool> {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p"])
        .arg(pid.to_string())
        .output()
        .context(|| "cannot run ps".to_owned())?;
    let state = String::from_utf8_lossy(&output.stdout);
    let state = state.trim();
    Ok(!state.is_empty() && !state.starts_with('Z'))
}

/// Formats an exit status: code or signal.
pub(crate) fn describe_exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}
