//! The end of a run: the input has ended, or the process gets a signal.

use std::sync::mpsc::Sender;

use crate::signals::EndingSignal;

/// Signals that end a run.
pub(crate) const SIGNALS: [EndingSignal; 3] = [
    EndingSignal::Interrupt,
    EndingSignal::Terminate,
    EndingSignal::Hangup,
];

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputEnd {
    /// The reading thread has ended: at the end of the input, or after an error.
    ReadingEnded,
    Signal(EndingSignal),
}

/// Sends [`InputEnd::ReadingEnded`] when it is dropped, so that a panic of the reading thread ends the run too.
pub(crate) struct ReadingGuard(pub(crate) Sender<InputEnd>);

impl Drop for ReadingGuard {
    fn drop(&mut self) {
        // An error means that a signal has ended the run before.
        let _ = self.0.send(InputEnd::ReadingEnded);
    }
}
