//! Something that becomes known once.

use std::fmt;

use super::call::{Event, Nap};
use crate::planted::planted;
use crate::sync::{Condvar, Mutex, OnceLock, Rank};

/// Something that becomes known once, on one thread, and that others wait for: that the sender has ended; what
/// came of something that it was asked for.
///
/// # Kafka
/// The latch of a `TransactionalRequestResult`.
pub(crate) struct Latch<T> {
    value: OnceLock<T>,
    /// Held while the value is set, so that nobody goes to sleep meanwhile.
    setting: Mutex<()>,
    is_set: Condvar,
}

impl<T> Latch<T> {
    pub(crate) fn new() -> Self {
        Self {
            value: OnceLock::new(),
            setting: Mutex::new(Rank::LEAF, ()),
            is_set: Condvar::new(),
        }
    }

    /// Makes it known, and wakes who waits. What was set first stays.
    pub(crate) fn set(&self, value: T) {
        let late = {
            let _setting = (!planted!(LatchSetUnlocked)).then(|| self.setting.lock());
            self.value.set(value)
        };
        if planted!(LatchWakesOne) {
            self.is_set.notify_one();
        } else if !planted!(CloserNotWoken) {
            self.is_set.notify_all();
        }
        drop(late);
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }
}

impl<T> Event for Latch<T> {
    fn sleep(&self, nap: Nap) {
        let mut setting = self.setting.lock();
        if self.value.get().is_none() {
            nap.on(&self.is_set, &mut setting);
        }
    }

    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)> {
        Some(("the end of the sender", &self.is_set))
    }
}

impl<T> fmt::Debug for Latch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch")
            .field("is_set", &self.value.get().is_some())
            .finish_non_exhaustive()
    }
}
