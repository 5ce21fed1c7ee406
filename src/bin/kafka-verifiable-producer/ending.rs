//! The end of a run: all messages are sent, or the process gets a signal.
//!
//! Windows has no signals: there Ctrl-C ends the process at once, without the last lines of the output.

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::Sender;
#[cfg(unix)]
use std::thread;

#[cfg(unix)]
use nix::sys::signal::{SigSet, Signal};

/// The signals that end a run.
#[cfg(unix)]
pub(crate) type EndingSignals = SigSet;
/// No signals.
#[cfg(not(unix))]
pub(crate) struct EndingSignals;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    AllIsSent,
    #[cfg(unix)]
    Signal(Signal),
}

impl RunEnd {
    /// The exit code: 0, or 128 plus the signal number, as for a Java program.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::AllIsSent => ExitCode::SUCCESS,
            #[cfg(unix)]
            Self::Signal(signal) => {
                let number = u8::try_from(signal as i32).unwrap_or(0);
                ExitCode::from(128 + number)
            }
        }
    }
}

/// Blocks the signals that end a run, in this thread and in all threads that it starts later, so that only
/// [`listen`] receives them.
#[cfg(unix)]
pub(crate) fn block() -> Result<EndingSignals, Box<dyn Error>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    Ok(signals)
}

/// Starts a thread that waits for the first signal. Without a signal the thread runs until the process ends.
#[cfg(unix)]
pub(crate) fn listen(
    signals: EndingSignals,
    endings: Sender<RunEnd>,
) -> Result<(), Box<dyn Error>> {
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

#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of systems with signals"
)]
pub(crate) fn block() -> Result<EndingSignals, Box<dyn Error>> {
    Ok(EndingSignals)
}

#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of systems with signals"
)]
pub(crate) fn listen(
    _signals: EndingSignals,
    _endings: Sender<RunEnd>,
) -> Result<(), Box<dyn Error>> {
    Ok(())
}
