//! SIGINT and SIGTERM during a run with a page: the run ends early, and the page is still written. Without a page, and
//! on systems other than Unix, the signals end the process as usual.

use std::error::Error;
use std::process::exit;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::signals::{EndingSignal, EndingSignals};

/// Signals that end a run with a page.
pub(crate) const SIGNALS: [EndingSignal; 2] = [EndingSignal::Interrupt, EndingSignal::Terminate];

/// Timeout of the producer's `close` after a signal.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time after a signal until the process exits even if a call of the producer is still blocked.
const GRACE: Duration = Duration::from_secs(5);
/// Timeout of the last output after a second signal: standard output may be a full pipe.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// The signal that ended the run, if there was one.
#[derive(Debug, Default)]
pub(crate) struct Interruption(OnceLock<EndingSignal>);

impl Interruption {
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    pub(crate) fn signal(&self) -> Option<EndingSignal> {
        self.0.get().copied()
    }
}

/// Starts a thread that waits for a signal and sets `interruption`. If the process is still alive after a second signal
/// or [`GRACE`], `give_up` is called, and the process exits. After a second signal it exits within [`OUTPUT_TIMEOUT`],
/// even if `give_up` is blocked.
pub(crate) fn watch(
    signals: EndingSignals,
    interruption: &'static Interruption,
    give_up: impl FnOnce() + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let (second_sender, second_receiver) = channel();
    let first = move |signal: EndingSignal| {
        // Only this thread sets it.
        let _ = interruption.0.set(signal);
        let giving_up = move || {
            let _ = second_receiver.recv_timeout(GRACE);
            drop(second_receiver);
            give_up();
            exit(signal.exit_code().into());
        };
        // If the thread cannot be started, a second signal still ends the process.
        let _ = thread::Builder::new()
            .name("grace".to_owned())
            .spawn(giving_up);
    };
    let second = move || {
        // An error means that the grace is over: the output has had its time.
        if second_sender.send(()).is_ok() {
            thread::sleep(OUTPUT_TIMEOUT);
        }
    };
    signals.listen(first, second)
}
