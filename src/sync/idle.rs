//! Object pool: idle buffers and encoders, reused by the next thread.

use super::{Mutex, Rank};

/// Pool of idle objects, a stack: the most recently used one (warm in the cache) is taken first.
///
/// The number of idle objects is limited, because their memory is not counted in `buffer.memory`.
pub(crate) struct Idle<T>(Mutex<Vec<T>>);

/// Maximum number of idle objects: more concurrent users than this are rare.
const MOST: usize = 8;

impl<T> Idle<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Rank::LEAF, Vec::new()))
    }

    /// Takes the object that was put back last, if there is any.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().pop()
    }

    pub(crate) fn put(&self, item: T) {
        let mut idle = self.0.lock();
        if idle.len() < MOST {
            idle.push(item);
            return;
        }
        // Unlocks before `item` is freed.
        drop(idle);
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
