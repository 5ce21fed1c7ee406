//! Cache of the keys derived from a password. A derivation takes long (it is linear in the broker's number of
//! iterations), so it runs once on a helper thread; all brokers of a cluster usually have the same salt and iterations
//! for a user.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::hash::{ScramHash, ScramKeys};
use crate::config::Password;
use crate::security::sasl::dependencies::SaslDependencies;
use crate::sync::{Mutex, Rank};

/// Capacity of the cache: one entry for a cluster, or a few if its brokers disagree.
const CAPACITY: usize = 8;
/// Limit of concurrent derivations; further callers wait.
const MAX_RUNNING: usize = 2;

/// The inputs of a derivation besides the password: the key of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Derivation {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

#[derive(Default)]
struct KeyCacheState {
    cached: VecDeque<(Derivation, Arc<ScramKeys>)>,
    running: Vec<Derivation>,
}

/// The cached keys of one password.
pub(crate) struct KeyCache {
    hash: ScramHash,
    password: Password,
    dependencies: SaslDependencies,
    state: Mutex<KeyCacheState>,
}

impl KeyCache {
    pub(crate) fn new(
        hash: ScramHash,
        password: Password,
        dependencies: SaslDependencies,
    ) -> Arc<Self> {
        Arc::new(Self {
            hash,
            password,
            dependencies,
            state: Mutex::new(Rank::LEAF, KeyCacheState::default()),
        })
    }

    /// The keys, if they are cached. Otherwise starts their derivation and returns `None`; the poller is woken when
    /// they are ready.
    ///
    /// # Errors
    /// Why no derivation can be started.
    pub(crate) fn keys(
        self: &Arc<Self>,
        wanted: &Derivation,
    ) -> Result<Option<Arc<ScramKeys>>, String> {
        {
            let mut state = self.state.lock();
            if let Some((_, keys)) = state.cached.iter().find(|(cached, _)| cached == wanted) {
                return Ok(Some(Arc::clone(keys)));
            }
            // One derivation serves all connections that need the same keys. They all wait for its wake-up.
            if state.running.contains(wanted) || state.running.len() >= MAX_RUNNING {
                return Ok(None);
            }
            state.running.push(wanted.clone());
        }
        let (cache, derivation) = (Arc::clone(self), wanted.clone());
        let work = move || cache.derive(derivation);
        if let Err(error) = (self.dependencies.run)(Box::new(work)) {
            // The work was not started, so nothing else would remove the entry.
            self.state
                .lock()
                .running
                .retain(|running| running != wanted);
            return Err(format!(
                "no thread could be started to derive the keys of the password: {error}"
            ));
        }
        // A test may run the work on this thread, in which case the keys are cached by now.
        let state = self.state.lock();
        let cached = state.cached.iter().find(|(cached, _)| cached == wanted);
        Ok(cached.map(|(_, keys)| Arc::clone(keys)))
    }

    fn derive(&self, derivation: Derivation) {
        let password = self.password.expose().as_bytes();
        let keys = ScramKeys::derive(self.hash, password, &derivation.salt, derivation.iterations);
        {
            let mut state = self.state.lock();
            state.running.retain(|running| *running != derivation);
            // Evict the oldest entry: it may be of a salt that the brokers no longer use.
            if state.cached.len() == CAPACITY {
                state.cached.pop_front();
            }
            state.cached.push_back((derivation, Arc::new(keys)));
        }
        self.dependencies.wake.wake();
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").finish_non_exhaustive()
    }
}
