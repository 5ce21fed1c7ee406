//! Dependencies of SASL that tests replace: a helper thread for slow work, the waker of the poller, the clock, random
//! bytes.

use std::io;
use std::sync::Arc;

use crate::clock::Clock;
#[cfg(test)]
pub(crate) use crate::security::background::Work;
pub(crate) use crate::security::background::{RunInBackground, Wake};
use crate::util::log::LogContext;

/// Fills a buffer with random bytes of the operating system, or with deterministic bytes in tests.
pub(crate) type RandomBytes = Arc<dyn Fn(&mut [u8]) -> io::Result<()> + Send + Sync>;

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
