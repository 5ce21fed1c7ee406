//! The signals that end a run. Systems other than Unix have none of them: there Ctrl-C ends the process at once.

use std::error::Error;
#[cfg(unix)]
use std::sync::Arc;

#[cfg(unix)]
use nix::sys::signal::{SigSet, Signal};
#[cfg(unix)]
use parking_lot::Mutex;

/// A signal that ends a run. The value is its number, which is the same on every Unix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "signals are received only on Unix")
)]
pub(crate) enum EndingSignal {
    Hangup = 1,
    Interrupt = 2,
    Terminate = 15,
}

impl EndingSignal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The exit code after the signal: 128 plus its number, as in a shell and for a Java program.
    pub(crate) fn exit_code(self) -> u8 {
        128 + self as u8
    }
}

/// Signals that a thread of their own receives. Until the run has begun, one of them ends the process at once: the
/// process may be waiting for a file that is a pipe.
#[must_use]
pub(crate) struct EndingSignals {
    /// `None` until the run has begun.
    #[cfg(unix)]
    handlers: Arc<Mutex<Option<SignalHandlers>>>,
}

/// The functions for the first and the second signal of a run.
#[cfg(unix)]
struct SignalHandlers {
    first: Box<dyn FnOnce(EndingSignal) + Send>,
    second: Box<dyn FnOnce() + Send>,
}

#[cfg(unix)]
impl EndingSignals {
    /// Blocks the signals in this thread and in all threads that it starts later, and starts the thread that receives
    /// them. Both in one call, so that no signal is blocked and not received. Called before any other thread is
    /// started. The thread runs until the process ends.
    ///
    /// A signal that the process was started to ignore is left alone: SIGHUP after `nohup`, SIGINT in the background of
    /// a script. If it were blocked, the system would queue it, and the run would end.
    pub(crate) fn receive(signals: &[EndingSignal]) -> Result<Self, Box<dyn Error>> {
        let ignored = ignored_signals();
        let mut blocked = SigSet::empty();
        for signal in signals.iter().filter(|signal| !ignored.contains(**signal)) {
            blocked.add(signal.system());
        }
        blocked.thread_block()?;
        let handlers = Arc::default();
        let of_run = Arc::clone(&handlers);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || receive_all(blocked, &of_run))?;
        Ok(Self { handlers })
    }

    /// The run begins: from now on `first` is called at the first signal and `second` at the second one. Then the
    /// process ends with the exit code of the first signal.
    pub(crate) fn begin(
        self,
        first: impl FnOnce(EndingSignal) + Send + 'static,
        second: impl FnOnce() + Send + 'static,
    ) {
        *self.handlers.lock() = Some(SignalHandlers {
            first: Box::new(first),
            second: Box::new(second),
        });
    }

    /// Calls a function. A signal that comes meanwhile ends the process when it has returned.
    pub(crate) fn after<T>(&self, uninterrupted: impl FnOnce() -> T) -> T {
        let _handlers = self.handlers.lock();
        uninterrupted()
    }
}

/// The body of the thread that receives the signals. It returns if signals cannot be waited for.
#[cfg(unix)]
fn receive_all(blocked: SigSet, of_run: &Mutex<Option<SignalHandlers>>) {
    let next = || EndingSignal::of(blocked.wait().ok()?);
    let Some(signal) = next() else { return };
    let mut handlers = of_run.lock();
    let Some(SignalHandlers { first, second }) = handlers.take() else {
        // Under the lock, so that the run does not begin.
        exit(signal)
    };
    drop(handlers);
    first(signal);
    if next().is_some() {
        second();
        exit(signal);
    }
}

#[cfg(unix)]
fn exit(signal: EndingSignal) -> ! {
    std::process::exit(signal.exit_code().into())
}

impl EndingSignals {
    /// The run begins: from now on `first` is called at the first signal. Later ones have no effect, so the run always
    /// ends in order.
    pub(crate) fn begin_once(self, first: impl FnOnce(EndingSignal) + Send + 'static) {
        let never_returning = || {
            loop {
                std::thread::park();
            }
        };
        self.begin(first, never_returning);
    }
}

/// Nothing is blocked, and no signal is received.
#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "the signatures of the methods for Unix"
)]
impl EndingSignals {
    pub(crate) fn receive(_: &[EndingSignal]) -> Result<Self, Box<dyn Error>> {
        Ok(Self {})
    }

    pub(crate) fn begin(
        self,
        _: impl FnOnce(EndingSignal) + Send + 'static,
        _: impl FnOnce() + Send + 'static,
    ) {
    }

    pub(crate) fn after<T>(&self, uninterrupted: impl FnOnce() -> T) -> T {
        uninterrupted()
    }
}

#[cfg(unix)]
impl EndingSignal {
    fn system(self) -> Signal {
        match self {
            Self::Hangup => Signal::SIGHUP,
            Self::Interrupt => Signal::SIGINT,
            Self::Terminate => Signal::SIGTERM,
        }
    }

    fn of(signal: Signal) -> Option<Self> {
        let all = [Self::Hangup, Self::Interrupt, Self::Terminate];
        all.into_iter().find(|known| known.system() == signal)
    }
}

/// A set of signals: bit `n - 1` is that of signal `n`.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SignalMask(u64);

#[cfg(unix)]
impl SignalMask {
    fn contains(self, signal: EndingSignal) -> bool {
        self.0 >> (signal as u8 - 1) & 1 == 1
    }
}

/// The signals that this process ignores. Only Linux reports them in a file; on other systems the set is empty.
#[cfg(unix)]
fn ignored_signals() -> SignalMask {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status)
}

/// Parses the line `SigIgn: <hexadecimal mask>` of `/proc/self/status`.
#[cfg(unix)]
fn ignored_in(status: &str) -> SignalMask {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    SignalMask(mask.unwrap_or(0))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const ALL: [EndingSignal; 3] = [
        EndingSignal::Hangup,
        EndingSignal::Interrupt,
        EndingSignal::Terminate,
    ];

    #[test]
    fn names_and_numbers_are_those_of_the_system() {
        for signal in ALL {
            assert_eq!(signal.name(), signal.system().as_str());
            assert_eq!(signal as i32, signal.system() as i32);
            assert_eq!(EndingSignal::of(signal.system()), Some(signal));
        }
        assert_eq!(EndingSignal::Interrupt.exit_code(), 130);
        assert_eq!(EndingSignal::of(Signal::SIGUSR1), None);
    }

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        for (status, ignored) in [
            (
                "SigBlk:\tffff\nSigIgn:\t0000000000001001\n",
                [true, false, false],
            ),
            (
                "SigIgn:\t0000000000004002\nSigCgt:\tffff\n",
                [false, true, true],
            ),
            ("Name:\tx\n", [false, false, false]),
            ("SigIgn:\tx\n", [false, false, false]),
        ] {
            let mask = ignored_in(status);
            assert_eq!(ALL.map(|signal| mask.contains(signal)), ignored, "{status}");
        }
    }
}
