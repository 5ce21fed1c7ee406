//! Encoders that wait for their next batch.

use crate::sync::{Mutex, Rank};

/// As many encoders are kept as threads that compress at the same time, up to this number. An encoder
/// holds 20 KiB to some hundred; beyond eight threads one made anew costs less than the memory.
const MAX_IDLE: usize = 8;

/// Encoders that nobody uses at the moment, the warmest on top.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Rank::LEAF, Vec::new()))
    }

    /// The encoder that was put back last, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().pop()
    }

    pub(super) fn put(&self, item: T) {
        let mut idle = self.0.lock();
        if idle.len() < MAX_IDLE {
            idle.push(item);
            return;
        }
        // Freed after the lock.
        drop(idle);
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.0.lock().len()
    }
}
