//! Synchronization primitives: mutexes with ranks (lock order), condition variables, and everything else that loom
//! models.
//!
//! Every mutex in the library has a [`Rank`]. Debug builds check at each `lock` that ranks rise, so that a lock order
//! inversion, which could deadlock, fails in the first test that locks in that order, whatever other threads do.
//!
//! | rank | guards |
//! |---|---|
//! | 10 | [`Rank::METADATA`]: the metadata and its waiters |
//! | 20 | [`Rank::TRANSACTION`]: the state of a transactional producer, and the partitions in its transaction |
//! | 30 | [`Rank::QUEUE`]: one partition's queue of batches |
//! | 40 | [`Rank::LEAF`]: inbox, incomplete set, latches; while one is held, only the pool's lock is taken |
//! | 50 | [`Rank::POOL`]: buffer pool; highest because the last handle to a batch's memory may be dropped anywhere |
//!
//! A thread holds at most one lock of a rank at a time. User code runs with no lock held: [`assert_unlocked`] is called
//! before every call of user code.
//!
//! Atomics, once-cells, snapshots and thread-locals that have a model are imported from here, too. Under loom
//! (`cfg(all(test, loom))`) they are loom's, see [`modelled`]; otherwise they are re-exports without any cost.

#![allow(
    clippy::disallowed_types,
    reason = "this is the one place that chooses the lock"
)]

use std::fmt;
use std::time::Duration;

mod idle;
#[cfg(all(test, loom))]
mod modelled;
mod padded;
#[cfg(any(test, all(target_os = "linux", target_arch = "x86_64")))]
mod seqlock;

pub(crate) use idle::Idle;
pub(crate) use padded::Padded;
#[cfg(any(test, all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) use seqlock::SeqLock;

#[cfg(all(test, loom))]
use modelled as raw;

#[cfg(not(all(test, loom)))]
mod raw {
    pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};
}

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic;
#[cfg(all(test, loom))]
pub(crate) use modelled::{ArcSwap, Guard, OnceLock, local as thread_local};

#[cfg(not(all(test, loom)))]
pub(crate) use arc_swap::{ArcSwap, Guard};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{OnceLock, atomic};
#[cfg(not(all(test, loom)))]
pub(crate) use std::thread_local;

/// Rank of a lock in the lock order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u8);

impl Rank {
    pub(crate) const METADATA: Self = Self(10);
    pub(crate) const TRANSACTION: Self = Self(20);
    pub(crate) const QUEUE: Self = Self(30);
    pub(crate) const LEAF: Self = Self(40);
    pub(crate) const POOL: Self = Self(50);
}

/// A mutex with a rank.
///
/// No poisoning: a panic under a lock is a bug in the library, and the sender thread's guard turns it into an error for
/// every waiter.
pub(crate) struct Mutex<T> {
    rank: Rank,
    inner: raw::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(rank: Rank, value: T) -> Self {
        Self {
            rank,
            inner: raw::Mutex::new(value),
        }
    }

    /// Acquires the lock, blocking until it is free.
    ///
    /// Panics in debug builds if this thread already holds a lock of the same or a higher rank.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = ranks::Held::enter(self.rank);
        MutexGuard {
            inner: self.inner.lock(),
            _held: held,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Guard of a [`Mutex`], which unlocks it when dropped.
pub(crate) struct MutexGuard<'a, T> {
    // Field order is drop order: the lock is released before its rank.
    inner: raw::MutexGuard<'a, T>,
    _held: ranks::Held,
}

impl<T> std::ops::Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    raw: raw::Condvar,
    wakes: wakes::Wakes,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self {
            raw: raw::Condvar::new(),
            wakes: wakes::Wakes::new(),
        }
    }

    /// Number of notifications so far. If the number has grown since a thread began to wait, a `notify_all` has woken
    /// the thread, or a `notify_one` has, if the thread was the only waiter.
    #[cfg(any(test, all(feature = "testing", feature = "_internals")))]
    pub(crate) fn wakes(&self) -> u64 {
        self.wakes.count()
    }

    /// Waits until notified. Spurious wake-ups are possible: callers wait in a loop.
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.raw.wait(&mut guard.inner);
    }

    /// Waits until notified, or until `timeout` has passed. Spurious wake-ups are possible.
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) {
        self.raw.wait_for(&mut guard.inner, timeout);
    }

    pub(crate) fn notify_one(&self) {
        self.wakes.note();
        self.raw.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.wakes.note();
        self.raw.notify_all();
    }
}

/// Counts notifications, for tests, and for simulations that step blocking calls by hand and have no thread that sleeps.
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
mod wakes {
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug, Default)]
    pub(super) struct Wakes(AtomicU64);

    impl Wakes {
        pub(super) const fn new() -> Self {
            Self(AtomicU64::new(0))
        }

        pub(super) fn note(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        pub(super) fn count(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }
}

#[cfg(not(any(test, all(feature = "testing", feature = "_internals"))))]
mod wakes {
    #[derive(Debug, Default)]
    pub(super) struct Wakes;

    impl Wakes {
        pub(super) const fn new() -> Self {
            Self
        }

        #[allow(
            clippy::unused_self,
            reason = "the signature of the version that counts"
        )]
        pub(super) fn note(&self) {}
    }
}

/// Checks, in debug builds, that this thread holds no lock of the library.
///
/// Called before every call of user code.
#[inline]
pub(crate) fn assert_unlocked() {
    ranks::assert_none();
}

#[cfg(debug_assertions)]
mod ranks {
    use std::cell::RefCell;

    use super::{Rank, thread_local};

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    /// Guard of a held rank, which is removed from the thread's list when dropped.
    pub(super) struct Held(Rank);

    impl Held {
        pub(super) fn enter(rank: Rank) -> Self {
            // Destructors of other thread-locals may lock after this one is destroyed: then nothing is checked.
            let _ = HELD.try_with(|held| {
                let mut held = held.borrow_mut();
                let highest = held.iter().max().copied();
                assert!(
                    highest.is_none_or(|h| h < rank),
                    "lock order broken: taking {rank:?} while holding {highest:?}"
                );
                held.push(rank);
            });
            Self(rank)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let _ = HELD.try_with(|held| {
                let mut held = held.borrow_mut();
                if let Some(at) = held.iter().rposition(|rank| *rank == self.0) {
                    held.remove(at);
                }
            });
        }
    }

    pub(super) fn assert_none() {
        let _ = HELD.try_with(|held| {
            let held = held.borrow();
            assert!(held.is_empty(), "user code called while holding {held:?}");
        });
    }
}

#[cfg(not(debug_assertions))]
mod ranks {
    use super::Rank;

    pub(super) struct Held;

    impl Held {
        #[inline(always)]
        #[allow(
            clippy::inline_always,
            reason = "nothing is left of it in a release build"
        )]
        pub(super) fn enter(_rank: Rank) -> Self {
            Self
        }
    }

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "nothing is left of it in a release build"
    )]
    pub(super) fn assert_none() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_may_be_taken_in_rising_rank() {
        let metadata = Mutex::new(Rank::METADATA, 1);
        let pool = Mutex::new(Rank::POOL, 2);
        let first = metadata.lock();
        let second = pool.lock();
        assert_eq!(*first + *second, 3);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "lock order broken")]
    fn taking_a_lower_rank_while_holding_a_higher_one_is_caught() {
        let pool = Mutex::new(Rank::POOL, ());
        let queue = Mutex::new(Rank::QUEUE, ());
        let _held = pool.lock();
        let _ = queue.lock();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "user code called")]
    fn calling_user_code_under_a_lock_is_caught() {
        let queue = Mutex::new(Rank::QUEUE, ());
        let _held = queue.lock();
        assert_unlocked();
    }
}
