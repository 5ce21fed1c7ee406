//! Dependencies of SASL that tests replace: a helper thread for slow work, the waker of the poller, the clock, random
//! bytes.

use std::io;
use std::sync::Arc;

use crate::clock::Clock;
use crate::sync::OnceLock;
use crate::util::log::LogContext;

/// Work that is too slow for the sender thread.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Runs work on a helper thread. If it returns an error, the work was dropped and not run.
pub(crate) type RunInBackground = Arc<dyn Fn(Work) -> io::Result<()> + Send + Sync>;

/// Fills a buffer with random bytes of the operating system, or with deterministic bytes in tests.
pub(crate) type RandomBytes = Arc<dyn Fn(&mut [u8]) -> io::Result<()> + Send + Sync>;

/// The waker of the poller, for results of helper threads.
///
/// # Threads
/// Called from any thread.
#[derive(Default)]
pub(crate) struct Wake(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl Wake {
    /// Sets the waker; called once, before the first work is started.
    pub(crate) fn attach(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Only the first waker counts: a second one would mean a second network client.
        let _ = self.0.set(Box::new(wake));
    }

    pub(crate) fn wake(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

/// All dependencies together.
#[derive(Clone)]
pub(crate) struct SaslDependencies {
    pub(crate) run: RunInBackground,
    pub(crate) wake: Arc<Wake>,
    #[cfg_attr(not(feature = "sasl-scram"), allow(dead_code, reason = "for nonces"))]
    pub(crate) random: RandomBytes,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: LogContext,
    pub(crate) seed: u64,
}

/// Random bytes of the operating system.
#[cfg(feature = "sasl-scram")]
pub(crate) fn random_of_system() -> RandomBytes {
    Arc::new(|bytes: &mut [u8]| getrandom::fill(bytes).map_err(io::Error::other))
}

/// A build without SCRAM needs no random bytes.
#[cfg(not(feature = "sasl-scram"))]
pub(crate) fn random_of_system() -> RandomBytes {
    Arc::new(|_: &mut [u8]| Err(io::ErrorKind::Unsupported.into()))
}

/// Deterministic bytes from a seed.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn random_of_seed(seed: u64) -> RandomBytes {
    let random = crate::sync::Mutex::new(
        crate::sync::Rank::LEAF,
        fastrand::Rng::with_seed(seed ^ 0x5a51_5a51),
    );
    Arc::new(move |bytes: &mut [u8]| {
        random.lock().fill(bytes);
        Ok(())
    })
}
