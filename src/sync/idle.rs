//! What is made once and used again: buffers and encoders that wait for the next thread.

use super::{Mutex, Rank};

/// Things that nobody uses at the moment, the warmest on top.
///
/// As many are kept as threads used one at the same time, up to a number: beyond it one made anew costs
/// less than the memory, which nobody counts.
pub(crate) struct Idle<T>(Mutex<Vec<T>>);

/// More threads than these at once are rare.
const MOST: usize = 8;

impl<T> Idle<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Rank::LEAF, Vec::new()))
    }

    /// The one that was put back last, if there is any.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().pop()
    }

    pub(crate) fn put(&self, item: T) {
        let mut idle = self.0.lock();
        if idle.len() < MOST {
            idle.push(item);
            return;
        }
        // Freed after the lock.
        drop(idle);
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
