//! What SASL has from the outside: a thread for what takes long, the wake-up of the loop, time, chance.

use std::io;
use std::sync::Arc;

use crate::clock::Clock;
use crate::sync::OnceLock;
use crate::util::log::LogContext;

/// Something that takes long.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Runs something somewhere else than on the producer's thread. An error: it is not run.
pub(crate) type RunElsewhere = Arc<dyn Fn(Work) -> io::Result<()> + Send + Sync>;

/// Fills bytes with what nobody can guess, or with what a test wants.
pub(crate) type RandomBytes = Arc<dyn Fn(&mut [u8]) -> io::Result<()> + Send + Sync>;

/// Ends the poll of whoever waits for what is done elsewhere.
///
/// # Threads
/// Called from every thread.
#[derive(Default)]
pub(crate) struct Wake(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl Wake {
    /// Who is to be woken; told once, before anything is begun.
    pub(crate) fn attach(&self, wake: impl Fn() + Send + Sync + 'static) {
        // A second one would be a second loop for one client.
        let _ = self.0.set(Box::new(wake));
    }

    pub(crate) fn wake(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

/// All of it.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) run: RunElsewhere,
    pub(crate) wake: Arc<Wake>,
    #[cfg_attr(not(feature = "sasl-scram"), allow(dead_code, reason = "for nonces"))]
    pub(crate) random: RandomBytes,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: LogContext,
    pub(crate) seed: u64,
}

/// The system's random bytes.
#[cfg(feature = "sasl-scram")]
pub(crate) fn random_of_system() -> RandomBytes {
    Arc::new(|bytes: &mut [u8]| getrandom::fill(bytes).map_err(io::Error::other))
}

/// Nothing that is in this build asks for any.
#[cfg(not(feature = "sasl-scram"))]
pub(crate) fn random_of_system() -> RandomBytes {
    Arc::new(|_: &mut [u8]| Err(io::ErrorKind::Unsupported.into()))
}

/// Bytes that follow from a seed.
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
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
