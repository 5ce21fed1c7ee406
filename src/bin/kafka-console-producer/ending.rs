//! The end of a run: the input has ended, or the process gets a signal.
//!
//! On Unix, SIGINT, SIGTERM and SIGHUP are blocked, and a thread waits for them. On other systems there is no such
//! thread: Ctrl-C ends the process at once, and queued records are lost.

use std::error::Error;
use std::sync::mpsc::Sender;
#[cfg(unix)]
use std::thread;

#[cfg(unix)]
use nix::sys::signal::{SigSet, Signal};

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputEnd {
    /// The reading thread has ended: at the end of the input, or after an error.
    ReadingEnded,
    /// A signal; the value is the exit code.
    #[cfg_attr(
        not(unix),
        allow(dead_code, reason = "signals are received only on Unix")
    )]
    Signal(u8),
}

/// Sends [`InputEnd::ReadingEnded`] when it is dropped, so that a panic of the reading thread ends the run too.
pub(crate) struct ReadingGuard(pub(crate) Sender<InputEnd>);

impl Drop for ReadingGuard {
    fn drop(&mut self) {
        // An error means that a signal has ended the run before.
        let _ = self.0.send(InputEnd::ReadingEnded);
    }
}

/// The blocked signals; on systems other than Unix none.
pub(crate) struct EndingSignals {
    #[cfg(unix)]
    set: SigSet,
}

impl EndingSignals {
    /// Blocks the signals that end a run, in this thread and in all threads that it starts later, so that only the
    /// thread of [`listen`](Self::listen) receives them.
    #[cfg(unix)]
    pub(crate) fn block() -> Result<Self, Box<dyn Error>> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self { set })
    }

    /// Starts a thread that waits for signals. The first one ends the run, the second one the process.
    #[cfg(unix)]
    pub(crate) fn listen(self, ends: Sender<InputEnd>) -> Result<(), Box<dyn Error>> {
        let listening = move || {
            if let Ok(signal) = self.set.wait() {
                // An error means that the run is over.
                let _ = ends.send(InputEnd::Signal(exit_code(signal)));
            }
            if let Ok(signal) = self.set.wait() {
                std::process::exit(exit_code(signal).into());
            }
        };
        let builder = thread::Builder::new().name("signals".to_owned());
        builder.spawn(listening)?;
        Ok(())
    }
}

#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "the signatures of the methods for Unix"
)]
impl EndingSignals {
    pub(crate) fn block() -> Result<Self, Box<dyn Error>> {
        Ok(Self {})
    }

    pub(crate) fn listen(self, _ends: Sender<InputEnd>) -> Result<(), Box<dyn Error>> {
        Ok(())
    }
}

/// 128 plus the signal number, as for a Java program.
#[cfg(unix)]
fn exit_code(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)
}
