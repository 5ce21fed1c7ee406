//! Test hook: runs code between a call's start and its lock, to force a race.

use std::cell::RefCell;

type Meanwhile = Box<dyn FnOnce()>;

thread_local! {
    static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
}

/// Runs `meanwhile` once on this thread, before the thread's next call about one certain transaction takes the
/// lock.
pub(super) fn once(meanwhile: impl FnOnce() + 'static) {
    MEANWHILE.set(Some(Box::new(meanwhile)));
}

pub(super) fn before_lock() {
    if let Some(meanwhile) = MEANWHILE.take() {
        meanwhile();
    }
}
