//! The end of a run: all messages are sent, or the process gets a signal.
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
}

impl RunEnd {
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::AllIsSent => ExitCode::SUCCESS,
            Self::Signal(signal) => ExitCode::from(signal.exit_code()),
        }
    }
}
