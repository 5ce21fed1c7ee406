//! A one-shot latch with a value.

use std::fmt;

use super::call::{Event, SleepPermit};
use crate::planted::planted;
use crate::sync::{Condvar, Mutex, OnceLock, Rank};

/// A latch that is set once, and that threads wait for: the end of the sender, or the result of a request to the
/// sender.
///
/// # Kafka
/// The latch of a `TransactionalRequestResult`.
pub(crate) struct Latch<T> {
    value: OnceLock<T>,
    /// Held while the value is set, so that no waiter misses the notification.
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

    /// Sets the value, unless it was set before, and wakes all waiters.
    pub(crate) fn set(&self, value: T) {
        let late = {
            // Set under the lock that `sleep` holds from its check to its wait, so that no wake-up is lost.
            let _setting = (!planted!(LatchSetUnlocked)).then(|| self.setting.lock());
            self.value.set(value)
        };
        if planted!(LatchWakesOne) {
            self.is_set.notify_one();
        } else if !planted!(CloserNotWoken) {
            self.is_set.notify_all();
        }
        // A second value is dropped outside of the lock: its destructor may do anything.
        drop(late);
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }
}

impl<T> Event for Latch<T> {
    fn sleep(&self, permit: SleepPermit) {
        let mut setting = self.setting.lock();
        if self.value.get().is_none() {
            permit.on(&self.is_set, &mut setting);
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
