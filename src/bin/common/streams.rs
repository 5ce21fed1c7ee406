//! Standard output and standard error of the tools.
//!
//! A failed write to standard output is not ignored: scripts read the results there, and trust the exit code. If the
//! reader of a pipe has left, the tool ends quietly with exit code 141, as a program that SIGPIPE ends. Any other
//! failure is reported once on standard error, and the exit code is 1. A standard output that was closed before the
//! start (`>&-`) is no failure: Rust's runtime replaces it by the null device, which looks like `>/dev/null`.

use std::io::{Error, ErrorKind, Write, stderr, stdout};
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use kafka_producer::probe;

const TOOL: &str = env!("CARGO_BIN_NAME");

/// The exit code after the reader has left: 128 plus the number of SIGPIPE.
const READER_LEFT: u8 = 141;
/// The exit code after any other failed write.
const NOT_WRITTEN: u8 = 1;

/// The exit code because of lost output; 0 if no write has failed.
static LOST: AtomicU8 = AtomicU8::new(0);

/// How many writes to standard output were begun, and how many of them have ended.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Prints a text on standard output as it is, and flushes it. Nothing is printed after a write has failed: the output
/// would have a gap.
pub(crate) fn print(text: &str) {
    if is_lost() {
        return;
    }
    BEGUN.fetch_add(1, Ordering::Relaxed);
    // Under the lock, because several threads print. Released before the failure is reported.
    let written = {
        let mut out = stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    };
    ENDED.fetch_add(1, Ordering::Relaxed);
    if let Err(error) = written {
        report_lost(&error);
    }
}

/// The state of the writes to standard output at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrintState {
    ended: u64,
    /// True if a write had begun and not ended.
    is_writing: bool,
}

impl PrintState {
    pub(crate) fn now() -> Self {
        let ended = ENDED.load(Ordering::Relaxed);
        Self {
            ended,
            is_writing: BEGUN.load(Ordering::Relaxed) > ended,
        }
    }

    /// Whether one write has taken all of the time since `earlier`: the output is a full pipe that nobody reads, or a
    /// stopped terminal.
    pub(crate) fn is_stuck_since(self, earlier: Self) -> bool {
        earlier.is_writing && self.ended == earlier.ended
    }
}

/// Prints lines on standard output, with control characters escaped.
pub(crate) fn print_lines(lines: &str) {
    print(&format!("{}\n", printable(lines)));
}

/// Prints lines on standard error, with control characters escaped. A failed write is ignored: there is no other place
/// to report it.
pub(crate) fn print_errors(lines: &str) {
    let _ = writeln!(stderr(), "{}", printable(lines));
}

/// Prints the usage and an error of the command line, or another error without usage, on standard error.
pub(crate) fn print_failure(usage: Option<&str>, error: &dyn std::error::Error) {
    if let Some(usage) = usage {
        print_errors(usage);
    }
    print_errors(&format!("{TOOL}: error: {error}"));
}

/// Prints the help or the version, and returns the exit code.
pub(crate) fn show(text: &str) -> ExitCode {
    print_lines(text);
    exit_code(ExitCode::SUCCESS)
}

/// Escapes control and formatting characters, except the ends of lines.
pub(crate) fn printable(lines: &str) -> String {
    let lines: Vec<_> = lines.split('\n').map(probe::printable).collect();
    lines.join("\n")
}

/// Whether a write to standard output has failed. Then the tool should stop.
#[inline]
pub(crate) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed) != 0
}

/// The exit code of the tool: `ended`, unless a write to standard output has failed.
pub(crate) fn exit_code(ended: ExitCode) -> ExitCode {
    match LOST.load(Ordering::Relaxed) {
        0 => ended,
        code => ExitCode::from(code),
    }
}

/// Ends the process if a write to standard output has failed.
pub(crate) fn exit_if_lost() {
    match LOST.load(Ordering::Relaxed) {
        0 => {}
        code => exit(code.into()),
    }
}

fn report_lost(error: &Error) {
    let code = if error.kind() == ErrorKind::BrokenPipe {
        READER_LEFT
    } else {
        NOT_WRITTEN
    };
    // Two threads may have failed; one of them reports it.
    let first = LOST.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    if first.is_ok() && code == NOT_WRITTEN {
        let why = format!("{TOOL}: error: standard output cannot be written: {error}");
        print_errors(&why);
    }
}

/// Timeout of the last lines: standard output or error may be a full pipe or a stopped terminal.
pub(crate) const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// Calls `print` on a thread of its own, and returns when the lines are printed, or after [`LAST_LINES_TIMEOUT`].
pub(crate) fn print_in_time(print: impl FnOnce() + Send + 'static) {
    in_time(LAST_LINES_TIMEOUT, print);
}

/// Calls `action`, which may print, on a thread of its own. Returns when it has returned, or after `timeout`.
pub(crate) fn in_time(timeout: Duration, action: impl FnOnce() + Send + 'static) {
    let (done_sender, done) = channel::<()>();
    let acting = move || {
        action();
        drop(done_sender);
    };
    // If the thread cannot be started, nothing is printed.
    let _ = thread::Builder::new()
        .name("printing".to_owned())
        .spawn(acting);
    let _ = done.recv_timeout(timeout);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_stuck_while_one_write_does_not_end() {
        let state = |ended, is_writing| PrintState { ended, is_writing };
        for (earlier, now, is_stuck) in [
            (state(3, true), state(3, true), true),
            (state(3, true), state(4, true), false),
            (state(3, false), state(3, true), false),
        ] {
            assert_eq!(now.is_stuck_since(earlier), is_stuck, "{earlier:?} {now:?}");
        }
    }

    #[test]
    fn control_characters_are_escaped_and_ends_of_lines_are_kept() {
        assert_eq!(
            printable("a\u{1b}[31m\r\nb\tc\n"),
            "a\\u{1b}[31m\\r\nb\\tc\n"
        );
    }
}
