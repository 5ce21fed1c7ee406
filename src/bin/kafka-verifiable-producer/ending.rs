//! The end of a run: all messages are sent, or the process gets a signal.

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::Sender;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    AllIsSent,
    Signal(Signal),
}

impl RunEnd {
    /// The exit code: 0, or 128 plus the signal number, as for a Java program.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::AllIsSent => ExitCode::SUCCESS,
            Self::Signal(signal) => {
                let number = u8::try_from(signal as i32).unwrap_or(0);
                ExitCode::from(128 + number)
            }
        }
    }
}

/// Blocks the signals that end a run, in this thread and in all threads that it starts later, so that only
/// [`listen`] receives them.
pub(crate) fn block() -> Result<SigSet, Box<dyn Error>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    Ok(signals)
}

/// Starts a thread that waits for the first signal. Without a signal the thread runs until the process ends.
pub(crate) fn listen(signals: SigSet, endings: Sender<RunEnd>) -> Result<(), Box<dyn Error>> {
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            if let Ok(signal) = signals.wait() {
                // An error means that the run has ended without a signal.
                let _ = endings.send(RunEnd::Signal(signal));
            }
        })?;
    Ok(())
}
