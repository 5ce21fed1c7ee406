//! Work that is too slow for the sender thread: where it runs, and how its end wakes the poller. Tests replace both.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Work that is too slow for the sender thread: it may block on files or the network, or compute for long.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Runs work on a helper thread. If it returns an error, the work was dropped and not run.
pub(crate) type RunInBackground = Arc<dyn Fn(Work) -> io::Result<()> + Send + Sync>;

/// The waker of the poller, for results of helper threads.
///
/// # Threads
/// Called from any thread.
#[derive(Default)]
pub(crate) struct Wake {
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// True once nobody uses the results of the login any more, because the network client is gone.
    is_closed: AtomicBool,
}

impl Wake {
    /// Sets the waker; called once, before the first work is started.
    pub(crate) fn attach(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Only the first waker counts: a second one would mean a second network client.
        let _ = self.wake.set(Box::new(wake));
    }

    pub(crate) fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// Called when the last user of a login is dropped: a helper thread that is at work ends early.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Whether [`close`](Self::close) was called. A helper thread checks it before each further attempt.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake").finish_non_exhaustive()
    }
}

/// The helper thread and the waker of the poller.
#[derive(Clone)]
#[cfg(feature = "tls-no-provider")]
pub(crate) struct Background {
    pub(crate) run: RunInBackground,
    pub(crate) wake: Arc<Wake>,
}
