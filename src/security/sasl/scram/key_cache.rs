//! Keys of passwords, each derived once and somewhere else: that takes as long as the broker's number of
//! iterations wants, and all brokers of a cluster want the same.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::hash::{ScramHash, ScramKeys};
use crate::config::Password;
use crate::security::sasl::outside::Outside;
use crate::sync::{Mutex, Rank};

/// Keys that are kept: a cluster has one, or as many as it has brokers that do not agree.
const KEPT: usize = 8;
/// Keys that are derived at once; who wants others waits.
const AT_ONCE: usize = 2;

/// What besides the password keys depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Derivation {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

#[derive(Default)]
struct State {
    known: VecDeque<(Derivation, Arc<ScramKeys>)>,
    running: Vec<Derivation>,
}

/// The keys of one password.
pub(crate) struct KeyCache {
    hash: ScramHash,
    password: Password,
    outside: Outside,
    state: Mutex<State>,
}

impl KeyCache {
    pub(crate) fn new(hash: ScramHash, password: Password, outside: Outside) -> Arc<Self> {
        Arc::new(Self {
            hash,
            password,
            outside,
            state: Mutex::new(Rank::LEAF, State::default()),
        })
    }

    /// The keys if they are known; else they will be, and the loop is woken then.
    ///
    /// # Errors
    /// Why they cannot be derived now.
    pub(crate) fn keys(
        self: &Arc<Self>,
        wanted: &Derivation,
    ) -> Result<Option<Arc<ScramKeys>>, String> {
        {
            let mut state = self.state.lock();
            if let Some((_, keys)) = state.known.iter().find(|(known, _)| known == wanted) {
                return Ok(Some(Arc::clone(keys)));
            }
            if state.running.contains(wanted) || state.running.len() >= AT_ONCE {
                return Ok(None);
            }
            state.running.push(wanted.clone());
        }
        let (cache, derivation) = (Arc::clone(self), wanted.clone());
        let work = move || cache.derive(derivation);
        if let Err(error) = (self.outside.run)(Box::new(work)) {
            self.state
                .lock()
                .running
                .retain(|running| running != wanted);
            return Err(format!(
                "no thread to derive the keys of the password: {error}"
            ));
        }
        // Where it is run at once it is done.
        let state = self.state.lock();
        let known = state.known.iter().find(|(known, _)| known == wanted);
        Ok(known.map(|(_, keys)| Arc::clone(keys)))
    }

    fn derive(&self, derivation: Derivation) {
        let password = self.password.expose().as_bytes();
        let keys = ScramKeys::derive(self.hash, password, &derivation.salt, derivation.iterations);
        {
            let mut state = self.state.lock();
            state.running.retain(|running| *running != derivation);
            if state.known.len() == KEPT {
                state.known.pop_front();
            }
            state.known.push_back((derivation, Arc::new(keys)));
        }
        self.outside.wake.wake();
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").finish_non_exhaustive()
    }
}
