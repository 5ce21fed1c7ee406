//! The signals that end a run. Systems other than Unix have none of them: there Ctrl-C ends the process at once.

use std::error::Error;

#[cfg(unix)]
use nix::sys::signal::{SigSet, Signal};

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

/// Signals that are blocked until [`listen`](Self::listen).
#[derive(Debug)]
pub(crate) struct EndingSignals {
    #[cfg(unix)]
    blocked: SigSet,
}

#[cfg(unix)]
impl EndingSignals {
    /// Blocks the signals in this thread and in all threads that it starts later, so that only
    /// [`listen`](Self::listen) receives them.
    ///
    /// A signal that the process was started to ignore is left alone: SIGHUP after `nohup`, SIGINT in the background of
    /// a script. If it were blocked, the system would queue it, and the run would end.
    pub(crate) fn block(signals: &[EndingSignal]) -> Result<Self, Box<dyn Error>> {
        let ignored = ignored_signals();
        let mut blocked = SigSet::empty();
        for signal in signals.iter().filter(|signal| !ignored.contains(**signal)) {
            blocked.add(signal.system());
        }
        blocked.thread_block()?;
        Ok(Self { blocked })
    }

    /// Starts a thread that calls `first` at the first signal and `second` at the second one. Then it ends the process
    /// with the exit code of the first signal. Without signals the thread runs until the process ends.
    pub(crate) fn listen(
        self,
        first: impl FnOnce(EndingSignal) + Send + 'static,
        second: impl FnOnce() + Send + 'static,
    ) -> Result<(), Box<dyn Error>> {
        let listening = move || {
            let Some(signal) = self.wait() else { return };
            first(signal);
            if self.wait().is_some() {
                second();
                std::process::exit(signal.exit_code().into());
            }
        };
        let builder = std::thread::Builder::new().name("signals".to_owned());
        builder.spawn(listening)?;
        Ok(())
    }

    fn wait(&self) -> Option<EndingSignal> {
        EndingSignal::of(self.blocked.wait().ok()?)
    }
}

impl EndingSignals {
    /// Starts a thread that calls `first` at the first signal. Later ones have no effect, so the run always ends in
    /// order.
    pub(crate) fn listen_once(
        self,
        first: impl FnOnce(EndingSignal) + Send + 'static,
    ) -> Result<(), Box<dyn Error>> {
        let never_returning = || {
            loop {
                std::thread::park();
            }
        };
        self.listen(first, never_returning)
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
    pub(crate) fn block(_: &[EndingSignal]) -> Result<Self, Box<dyn Error>> {
        Ok(Self {})
    }

    pub(crate) fn listen(
        self,
        _: impl FnOnce(EndingSignal) + Send + 'static,
        _: impl FnOnce() + Send + 'static,
    ) -> Result<(), Box<dyn Error>> {
        Ok(())
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
