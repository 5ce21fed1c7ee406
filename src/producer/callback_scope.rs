//! "This thread is inside a callback of producer X": a mark on the thread, set while user code runs,
//! that lets calls which would wait for the sender thread be refused there instead of deadlocking.
//!
//! A mark, and not the thread's identity, because callbacks also run on application threads (a record
//! that fails at once) and because a simulator runs every part on one thread.
//!
//! The sender's own thread bears a mark for all its life: whatever of the user's it runs, and be it the drop
//! of a value, must not wait for it.

use std::cell::{Cell, RefCell};

use crate::util::process::Process;

thread_local! {
    static INSIDE: RefCell<Vec<ProducerId>> = const { RefCell::new(Vec::new()) };
    /// Whose sender this thread is. Needs no drop, so it is there also for the last of a thread's locals
    /// that are dropped.
    static SENDER_OF: Cell<Option<ProducerId>> = const { Cell::new(None) };
}

/// Tells the producers of one process apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerId {
    number: u64,
    process: Process,
}

impl ProducerId {
    /// An id no other producer of this process has.
    pub(crate) fn next() -> Self {
        Self::built_in(Process::current())
    }

    /// The id of a producer that was built in `process`.
    pub(crate) fn built_in(process: Process) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            process,
        }
    }

    /// Whether this process is a fork of the one that the producer's sender thread runs in.
    pub(crate) fn is_forked(self) -> bool {
        self.process.is_forked()
    }
}

/// Ends the scope when dropped.
pub(crate) struct CallbackScope(());

/// Marks this thread until the guard is dropped; scopes may nest.
///
/// A thread that is dropping its locals may not be marked any more. It is no sender's thread, which is marked
/// all the same, so what waits there does not wait for itself.
pub(crate) fn enter(producer: ProducerId) -> CallbackScope {
    let _ = INSIDE.try_with(|inside| inside.borrow_mut().push(producer));
    CallbackScope(())
}

/// Marks this thread for good: it is the sender's of that producer.
pub(crate) fn mark_sender(producer: ProducerId) {
    SENDER_OF.set(Some(producer));
}

/// Whether this thread is inside a callback of that producer, or its sender's.
pub(crate) fn is_inside(producer: ProducerId) -> bool {
    let inside = INSIDE.try_with(|inside| inside.borrow().contains(&producer));
    inside.unwrap_or(false) || SENDER_OF.get() == Some(producer)
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().pop());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_marks_its_thread_for_its_producer_only_and_only_while_it_lasts() {
        let (mine, other) = (ProducerId::next(), ProducerId::next());
        let outer = enter(mine);
        {
            let _inner = enter(other);
            assert!(is_inside(mine) && is_inside(other));
        }
        assert!(is_inside(mine) && !is_inside(other));
        drop(outer);
        assert!(!is_inside(mine));
    }

    #[test]
    fn the_senders_thread_is_inside_for_all_its_life_and_another_never() {
        let (mine, other) = (ProducerId::next(), ProducerId::next());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                mark_sender(mine);
                drop(enter(mine));
                assert!(is_inside(mine) && !is_inside(other));
            });
        });
        assert!(!is_inside(mine));
    }
}
