//! Reentrancy detection: a thread-local mark "this thread runs user code of producer X". Inside such code, calls that
//! would wait for the sender thread are refused instead of deadlocking.
//!
//! Comparing thread ids would not suffice, because callbacks also run on application threads (for a record that fails
//! at once), and because a simulator runs every part on one thread.
//!
//! The sender thread is marked for its whole life: no user code that it runs, not even a destructor, may wait for it.
//!
//! Marks are set by [`Fence`](super::user_code::Fence) alone.

use std::cell::Cell;

use super::instance::InstanceId;
use crate::sync::thread_local;

/// Maximum nesting depth of user code. A `send` in user code may run further user code: for example a callback that
/// sends its failed record again, when that record fails at once again. Deeper sends are refused, before the stack
/// overflows.
const MAX_DEPTH: usize = 8;

/// Capacity of the stack of marks. Above [`MAX_DEPTH`], because a send that is still allowed nests a few scopes more.
const MARKS: usize = MAX_DEPTH + 16;

thread_local! {
    // These have no destructor, so destructors of other thread-locals can use them until the thread has ended.
    static INSIDE: Inside = const { Inside::nowhere() };
    /// The producer whose sender thread this is.
    static SENDER_OF: Cell<Option<InstanceId>> = const { Cell::new(None) };
}

/// Stack of the producers whose user code this thread is running, outermost first.
struct Inside {
    depth: Cell<usize>,
    instances: [Cell<u64>; MARKS],
}

impl Inside {
    const fn nowhere() -> Self {
        Self {
            depth: Cell::new(0),
            instances: [const { Cell::new(0) }; MARKS],
        }
    }

    fn enter(&self, instance: InstanceId) {
        let depth = self.depth.get();
        // Deeper scopes are counted but not named; see `contains`.
        if let Some(mark) = self.instances.get(depth) {
            mark.set(instance.number);
        }
        self.depth.set(depth + 1);
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    /// Whether the producer is on the stack. True for all producers while the stack overflows: a refused wait is better
    /// than a deadlock.
    fn contains(&self, instance: InstanceId) -> bool {
        let marks = self.instances.get(..self.depth.get());
        marks.is_none_or(|marks| marks.iter().any(|mark| mark.get() == instance.number))
    }
}

/// RAII guard of a mark.
pub(super) struct CallbackScope(());

/// Marks this thread until the guard is dropped; scopes may nest.
#[inline]
pub(super) fn enter(instance: InstanceId) -> CallbackScope {
    INSIDE.with(|inside| inside.enter(instance));
    CallbackScope(())
}

/// Marks this thread for good as the sender thread of that producer.
pub(crate) fn mark_sender(instance: InstanceId) {
    SENDER_OF.with(|sender_of| sender_of.set(Some(instance)));
}

/// Marks this thread, which steps the sender, as the sender thread of that producer until the guard is dropped.
#[cfg(feature = "testing")]
pub(crate) fn enter_sender(instance: InstanceId) -> SenderScope {
    SenderScope(SENDER_OF.with(|sender| sender.replace(Some(instance))))
}

/// RAII guard that restores the thread's previous mark.
#[cfg(feature = "testing")]
pub(crate) struct SenderScope(Option<InstanceId>);

#[cfg(feature = "testing")]
impl Drop for SenderScope {
    fn drop(&mut self) {
        SENDER_OF.with(|sender| sender.set(self.0));
    }
}

/// Whether this thread runs user code of that producer, or is its sender thread.
pub(crate) fn is_inside(instance: InstanceId) -> bool {
    INSIDE.with(|inside| inside.contains(instance)) || SENDER_OF.with(Cell::get) == Some(instance)
}

/// Whether user code, of any producers, is nested too deeply on this thread for another `send`.
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
    fn a_scope_marks_its_thread_for_one_producer_until_the_scope_ends() {
        let (mine, other) = (InstanceId::next(), InstanceId::next());
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
    fn the_sender_thread_stays_marked_and_no_other_thread_is_marked() {
        let (mine, other) = (InstanceId::next(), InstanceId::next());
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
    fn a_thread_nested_deeper_than_the_stack_of_marks_counts_as_inside_all_producers() {
        let (mine, other) = (InstanceId::next(), InstanceId::next());
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
