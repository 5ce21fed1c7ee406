//! The end of a run: all messages are sent, the process gets a signal, or its output is lost.
//!
//! Windows has no signals: there Ctrl-C ends the process at once, without the last lines of the output.

use std::process::ExitCode;

use crate::signals::EndingSignal;

/// Signals that end a run.
pub(crate) const SIGNALS: [EndingSignal; 2] = [EndingSignal::Interrupt, EndingSignal::Terminate];

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    AllIsSent,
    Signal(EndingSignal),
    /// Standard output cannot be written, so the outcome of further messages would not be seen.
    OutputIsLost,
    /// The last lines are printed.
    Closed,
}

impl RunEnd {
    pub(crate) fn code(self) -> ExitCode {
        match self {
            // The exit code for lost output is that of all tools.
            Self::AllIsSent | Self::OutputIsLost | Self::Closed => ExitCode::SUCCESS,
            Self::Signal(signal) => ExitCode::from(signal.exit_code()),
        }
    }
}
