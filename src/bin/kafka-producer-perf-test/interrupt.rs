//! SIGINT and SIGTERM during a run with a page: the run ends early, and the page is still written. Without a page, and
//! on systems other than Unix, the signals end the process as usual.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

#[cfg(unix)]
use nix::sys::signal::{SigSet, Signal};

/// Timeout of the producer's `close` after a signal.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time after a signal until the process exits even if a call of the producer is still blocked. A second signal ends it
/// at once.
#[cfg(unix)]
const GRACE: Duration = Duration::from_secs(5);

/// The signal that ended the run, if there was one.
#[derive(Debug, Default)]
pub(crate) struct Interruption(AtomicI32);

impl Interruption {
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The number of the signal.
    pub(crate) fn signal(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// The name of the signal.
    pub(crate) fn signal_name(&self) -> Option<&'static str> {
        #[cfg(unix)]
        {
            let signal = Signal::try_from(self.signal()?).ok();
            signal.map(Signal::as_str)
        }
        #[cfg(not(unix))]
        None
    }

    /// The exit code after a signal: 128 plus its number, as in a shell.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        let signal = u8::try_from(self.signal()?).ok()?;
        signal.checked_add(128)
    }
}

/// The signals that end a run, blocked.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    blocked: SigSet,
}

#[cfg(unix)]
mod unix {
    use std::error::Error;
    use std::process::exit;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::channel;
    use std::thread;

    use nix::sys::signal::{SigSet, Signal};

    use super::{GRACE, Interruption, Signals};

    impl Signals {
        /// Blocks the signals in this thread and in all threads that it starts later, so that only
        /// [`watch`](Self::watch) receives them.
        pub(crate) fn block() -> Result<Self, Box<dyn Error>> {
            let mut signals = SigSet::empty();
            signals.add(Signal::SIGINT);
            signals.add(Signal::SIGTERM);
            signals.thread_block()?;
            Ok(Self { blocked: signals })
        }

        /// Starts a thread that waits for a signal and sets `interruption`. If the process is still alive after a
        /// second signal or [`GRACE`], it calls `give_up` and exits. Without a signal the thread runs until the
        /// process ends.
        pub(crate) fn watch(
            self,
            interruption: &'static Interruption,
            give_up: impl FnOnce() + Send + 'static,
        ) -> Result<(), Box<dyn Error>> {
            thread::Builder::new()
                .name("signals".to_owned())
                .spawn(move || {
                    let Ok(signal) = self.blocked.wait() else {
                        return;
                    };
                    interruption.0.store(signal as i32, Ordering::Relaxed);
                    self.second_or_grace();
                    give_up();
                    exit(interruption.exit_code().unwrap_or(1).into());
                })?;
            Ok(())
        }

        /// Returns after another signal or after [`GRACE`].
        fn second_or_grace(&self) {
            let signals = self.blocked;
            let (sender, second) = channel();
            let waiting = thread::Builder::new()
                .name("second-signal".to_owned())
                .spawn(move || {
                    // A failed send means that the grace is over.
                    let _ = sender.send(signals.wait());
                });
            match waiting {
                Ok(_) => drop(second.recv_timeout(GRACE)),
                Err(_) => thread::sleep(GRACE),
            }
        }
    }
}

/// Nothing is blocked, and nothing is watched.
#[cfg(not(unix))]
impl Signals {
    pub(crate) fn block() -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self {})
    }

    pub(crate) fn watch(
        self,
        _: &'static Interruption,
        _: impl FnOnce() + Send + 'static,
    ) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_a_shell() {
        let interruption = Interruption::default();
        assert!(!interruption.is_set());
        assert_eq!(
            (interruption.signal_name(), interruption.exit_code()),
            (None, None)
        );
        interruption.0.store(2, Ordering::Relaxed);
        assert!(interruption.is_set());
        assert_eq!(interruption.signal_name(), Some("SIGINT"));
        assert_eq!(interruption.exit_code(), Some(130));
    }
}
