//! SIGINT and SIGTERM during a run with a page: the run ends early, and the page is still written. Without a page, and
//! on systems other than Unix, the signals end the process as usual. A run also ends early, with or without a page, if
//! standard output cannot be written.

use std::process::exit;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::signals::{EndingSignal, EndingSignals};
use crate::streams::{self, LAST_LINES_TIMEOUT, print_in_time};

/// Signals that end a run with a page.
pub(crate) const SIGNALS: [EndingSignal; 2] = [EndingSignal::Interrupt, EndingSignal::Terminate];

/// Timeout of the producer's `close` after a signal.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time after a signal until the process exits even if a call of the producer is still blocked.
const GRACE: Duration = Duration::from_secs(5);

/// The signal that ended the run, if there was one.
#[derive(Debug, Default)]
pub(crate) struct Interruption(OnceLock<EndingSignal>);

impl Interruption {
    /// Whether the run is to end early.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some() || streams::is_lost()
    }

    pub(crate) fn signal(&self) -> Option<EndingSignal> {
        self.0.get().copied()
    }
}

/// At a signal from now on, sets `interruption`. If the process is still alive after a second signal
/// or [`GRACE`], `give_up` is called. It writes the page and returns the function that prints. The process exits after
/// the output, and at the latest [`LAST_LINES_TIMEOUT`] after the page is written. If the run has not begun at the
/// signal, as `has_begun` tells, there is no grace: the process may be waiting for a file that is a pipe.
pub(crate) fn watch<P: FnOnce() + Send + 'static>(
    signals: EndingSignals,
    interruption: &'static Interruption,
    has_begun: impl FnOnce() -> bool + Send + 'static,
    give_up: impl FnOnce() -> P + Send + 'static,
) {
    let (grace, second_signal) = Grace::new();
    let first = move |signal: EndingSignal| {
        // Only this thread sets it.
        let _ = interruption.0.set(signal);
        let timeout = if has_begun() { GRACE } else { Duration::ZERO };
        let giving_up = move || {
            print_in_time(grace.give_up_after(timeout, give_up));
            exit(signal.exit_code().into());
        };
        // If the thread cannot be started, a second signal still ends the process.
        let _ = thread::Builder::new()
            .name("grace".to_owned())
            .spawn(giving_up);
    };
    let second = move || {
        second_signal.end_grace();
        // The other thread ends the process, earlier if the lines are printed.
        thread::sleep(LAST_LINES_TIMEOUT);
    };
    signals.begin(first, second);
}

/// The time between a signal and the page that is written without waiting for the producer.
#[derive(Debug)]
struct Grace {
    second_signal: Receiver<()>,
    /// Dropped when the page is written.
    page_pending: Sender<()>,
}

impl Grace {
    fn new() -> (Self, SecondSignal) {
        let (second_sender, second_signal) = channel();
        let (page_pending, page_done) = channel();
        let grace = Self {
            second_signal,
            page_pending,
        };
        let second_signal = SecondSignal {
            sender: second_sender,
            page_done,
        };
        (grace, second_signal)
    }

    /// Calls `give_up` after a second signal or `timeout`.
    fn give_up_after<P>(self, timeout: Duration, give_up: impl FnOnce() -> P) -> P {
        let _ = self.second_signal.recv_timeout(timeout);
        let print = give_up();
        drop(self.page_pending);
        print
    }
}

/// The second signal, which ends the grace.
#[derive(Debug)]
struct SecondSignal {
    sender: Sender<()>,
    page_done: Receiver<()>,
}

impl SecondSignal {
    /// Returns when the page is written, or cannot be written. The process must not exit earlier: the page would be
    /// lost, and its temporary file would stay.
    fn end_grace(self) {
        // An error means that the page is already written.
        let _ = self.sender.send(());
        let _ = self.page_done.recv();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_signal_ends_the_grace() {
        let (grace, second_signal) = Grace::new();
        let ending = thread::spawn(|| second_signal.end_grace());
        // The test would take a day.
        let written = grace.give_up_after(Duration::from_secs(86_400), || "page");
        ending.join().unwrap();
        assert_eq!(written, "page");
    }

    #[test]
    fn a_second_signal_after_the_grace_waits_for_the_page() {
        let (grace, second_signal) = Grace::new();
        let (event_sender, events) = channel();
        let signal_sender = event_sender.clone();
        let mut ending = None;
        grace.give_up_after(Duration::ZERO, || {
            let (began_sender, began) = channel();
            ending = Some(thread::spawn(move || {
                began_sender.send(()).unwrap();
                second_signal.end_grace();
                signal_sender.send("exit").unwrap();
            }));
            began.recv().unwrap();
            // Time for a wrong exit; a correct one does not depend on it.
            thread::yield_now();
            event_sender.send("page").unwrap();
        });
        ending.unwrap().join().unwrap();
        drop(event_sender);
        assert_eq!(events.iter().collect::<Vec<_>>(), ["page", "exit"]);
    }

    #[test]
    fn a_second_signal_does_not_wait_for_a_thread_that_could_not_be_started() {
        let (grace, second_signal) = Grace::new();
        drop(grace);
        second_signal.end_grace();
    }
}
