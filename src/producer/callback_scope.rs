//! "This thread is inside user code of producer X": a mark on the thread, set while user code runs,
//! that lets calls which would wait for the sender thread be refused there instead of deadlocking.
//!
//! A mark, and not the thread's identity, because callbacks also run on application threads (a record
//! that fails at once) and because a simulator runs every part on one thread.
//!
//! The sender's own thread bears a mark for all its life: whatever of the user's it runs, and be it the drop
//! of a value, must not wait for it.
//!
//! Marks are set by [`Fence`](super::user_code::Fence) alone.

use std::cell::Cell;

use crate::sync::thread_local;
use crate::util::process::Process;

/// User code that sends runs other user code, which may send, and so on: a callback that sends again whatever
/// failed, when it fails at once. So deep it may go; a `send` inside is refused then, before the stack ends.
const MAX_DEPTH: usize = 8;

/// A send that was still allowed runs user code inside user code a few times more.
const MARKS: usize = MAX_DEPTH + 16;

thread_local! {
    // Need no drop, so they are there also for the last of a thread's locals that are dropped.
    static INSIDE: Inside = const { Inside::nowhere() };
    /// Whose sender this thread is.
    static SENDER_OF: Cell<Option<ProducerId>> = const { Cell::new(None) };
}

/// Which producers' user code this thread is inside of, outermost first.
struct Inside {
    depth: Cell<usize>,
    producers: [Cell<u64>; MARKS],
}

impl Inside {
    const fn nowhere() -> Self {
        Self {
            depth: Cell::new(0),
            producers: [const { Cell::new(0) }; MARKS],
        }
    }

    fn enter(&self, producer: ProducerId) {
        let depth = self.depth.get();
        if let Some(mark) = self.producers.get(depth) {
            mark.set(producer.number);
        }
        self.depth.set(depth + 1);
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    /// Whose marks found no place, is inside of all: better a wait that is refused than one without end.
    fn contains(&self, producer: ProducerId) -> bool {
        let marks = self.producers.get(..self.depth.get());
        marks.is_none_or(|marks| marks.iter().any(|mark| mark.get() == producer.number))
    }
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
pub(super) struct CallbackScope(());

/// Marks this thread until the guard is dropped; scopes may nest.
#[inline]
pub(super) fn enter(producer: ProducerId) -> CallbackScope {
    INSIDE.with(|inside| inside.enter(producer));
    CallbackScope(())
}

/// Marks this thread for good: it is the sender's of that producer.
pub(crate) fn mark_sender(producer: ProducerId) {
    SENDER_OF.with(|sender_of| sender_of.set(Some(producer)));
}

/// Marks this thread as the sender's of that producer until the guard is dropped: it takes the sender's steps.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) fn enter_sender(producer: ProducerId) -> SenderScope {
    SenderScope(SENDER_OF.with(|sender| sender.replace(Some(producer))))
}

/// Gives the thread back the mark that it had.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) struct SenderScope(Option<ProducerId>);

#[cfg(all(feature = "testing", feature = "_internals"))]
impl Drop for SenderScope {
    fn drop(&mut self) {
        SENDER_OF.with(|sender| sender.set(self.0));
    }
}

/// Whether this thread is inside user code of that producer, or its sender's.
pub(crate) fn is_inside(producer: ProducerId) -> bool {
    INSIDE.with(|inside| inside.contains(producer)) || SENDER_OF.with(Cell::get) == Some(producer)
}

/// Whether this thread is so deep inside user code of any producers that no more is to be run.
pub(crate) fn is_too_deep() -> bool {
    INSIDE.with(|inside| inside.depth.get() >= MAX_DEPTH)
}

impl Drop for CallbackScope {
    #[inline]
    fn drop(&mut self) {
        INSIDE.with(Inside::leave);
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

    #[test]
    fn deeper_than_there_are_marks_a_thread_is_inside_of_all_producers_until_it_has_come_back() {
        let (mine, other) = (ProducerId::next(), ProducerId::next());
        let mut scopes = Vec::new();
        while scopes.len() < MARKS {
            assert_eq!(is_too_deep(), scopes.len() >= MAX_DEPTH);
            scopes.push(enter(mine));
            assert!(is_inside(mine) && !is_inside(other));
        }
        scopes.push(enter(mine));
        assert!(is_inside(other));
        scopes.pop();
        assert!(!is_inside(other));
        scopes.clear();
        assert!(!is_inside(mine) && !is_too_deep());
    }
}
