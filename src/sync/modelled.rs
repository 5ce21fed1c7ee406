//! Loom versions of the synchronization primitives: loom sees each operation that another thread could observe, and
//! explores all interleavings.
//!
//! Values belong to one execution of a model: none may be `static`.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Loom's thread-locals. All threads of a model run on one thread of the system and would share its thread-locals.
macro_rules! local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const $value:block;)*) => {
        loom::thread_local! {
            $($(#[$attribute])* static $name: $type = $value;)*
        }
    };
}
pub(crate) use local;

/// A loom mutex with the interface of `parking_lot`'s.
#[derive(Debug)]
pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

/// Guard of a [`Mutex`], which unlocks it when dropped.
// `None` only during a wait.
pub(super) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(
            self.0.lock().expect("models do not go on after a panic"),
        ))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("not accessed during a wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("not accessed during a wait")
    }
}

/// A loom condition variable with the interface of `parking_lot`'s. No time passes in a model: a wait ends only with a
/// notification, and loom reports a wait without one as a deadlock. A model simulates a timeout as a step of its own.
#[derive(Debug, Default)]
pub(super) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let waiting = guard.0.take().map(|guard| self.0.wait(guard));
        guard.0 = waiting.map(|guard| guard.expect("models do not go on after a panic"));
    }

    pub(super) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _timeout: Duration) {
        self.wait(guard);
    }

    pub(super) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A once-cell with the interface and memory ordering of the standard library's: setting it happens-before any read of
/// the value, and a thread whose `set` fails sees the value.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    setting: loom::sync::Mutex<()>,
    is_set: AtomicBool,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self {
            setting: loom::sync::Mutex::new(()),
            is_set: AtomicBool::new(false),
            value: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) {
            self.value.get()
        } else {
            None
        }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let _setting = self.setting.lock();
        self.value.set(value)?;
        self.is_set.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _setting = self.setting.lock();
        let value = self.value.get_or_init(make);
        self.is_set.store(true, Ordering::Release);
        value
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        let copy = Self::new();
        if let Some(value) = self.get() {
            let _ = copy.set(value.clone());
        }
        copy
    }
}

/// A snapshot with the interface of `arc-swap`'s. The index of the newest value is an atomic, so a reader without a
/// happens-before edge to the newest store may get an older value: slightly weaker than `arc-swap`.
pub(crate) struct ArcSwap<T> {
    newest: AtomicUsize,
    // Need not be visible to loom: a value is never changed after its index was published.
    all: std::sync::Mutex<Vec<Arc<T>>>,
}

/// Guard of a loaded snapshot.
pub(crate) struct Guard<T>(T);

impl<T> Deref for Guard<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> ArcSwap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self {
            newest: AtomicUsize::new(0),
            all: std::sync::Mutex::new(vec![value]),
        }
    }

    pub(crate) fn from_pointee(value: T) -> Self {
        Self::new(Arc::new(value))
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        Guard(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        let at = self.newest.load(Ordering::Acquire);
        Arc::clone(&self.all()[at])
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        let at = {
            let mut all = self.all();
            all.push(value);
            all.len() - 1
        };
        self.newest.swap(at, Ordering::AcqRel);
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Arc<T>>> {
        self.all.lock().expect("nothing panics meanwhile")
    }
}

impl<T> std::fmt::Debug for ArcSwap<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArcSwap").finish_non_exhaustive()
    }
}
