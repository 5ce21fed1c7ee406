//! Packing in single steps, for the simulator: it runs application threads and the sender on one thread, interleaved.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::packing::PackingStep;
use super::{PartitionEntry, RecordAccumulator};

/// A batch whose packing has begun. The simulated thread that began the packing must finish it before it does anything
/// else.
#[derive(Debug)]
pub(crate) struct Unfinished(Rc<Cell>);

type Cell = RefCell<Option<PackingWork>>;

#[derive(Debug)]
struct PackingWork {
    accumulator: Arc<RecordAccumulator>,
    entry: Arc<PartitionEntry>,
    step: PackingStep,
}

/// The batches whose packing has begun during a part of a call.
struct BegunPacking {
    accumulator: Arc<RecordAccumulator>,
    unfinished: Vec<Unfinished>,
}

thread_local! {
    /// Packing begun by the part of a call that runs now; `None` if no such part is running.
    static BEGUN: RefCell<Option<BegunPacking>> = const { RefCell::new(None) };
    /// All packing that was begun on this thread, of every accumulator.
    static ALL: RefCell<Vec<Weak<Cell>>> = const { RefCell::new(Vec::new()) };
}

/// Runs a part of a call, and returns the batches that it took out of their queues but has not packed yet.
pub(crate) fn begin_in<T>(
    accumulator: &Arc<RecordAccumulator>,
    part: impl FnOnce() -> T,
) -> (T, Vec<Unfinished>) {
    let begun = BegunPacking {
        accumulator: Arc::clone(accumulator),
        unfinished: Vec::new(),
    };
    // The previous value is restored afterwards, since calls of this function may nest.
    let before = BEGUN.replace(Some(begun));
    let value = part();
    let begun = BEGUN.replace(before);
    (value, begun.map(|it| it.unfinished).unwrap_or_default())
}

/// Hands a step of packing over to the simulator. Returns the step if the simulator is not running a part of a call on
/// this accumulator.
pub(super) fn leave(
    accumulator: &RecordAccumulator,
    entry: &Arc<PartitionEntry>,
    step: PackingStep,
) -> Option<PackingStep> {
    BEGUN.with_borrow_mut(|begun| {
        // The packing of another producer is not taken over: user code, such as a logger, may send to that producer
        // during the call.
        let is_its_own =
            |begun: &&mut BegunPacking| std::ptr::eq(&raw const *begun.accumulator, accumulator);
        let Some(begun) = begun.as_mut().filter(is_its_own) else {
            return Some(step);
        };
        let work = Rc::new(RefCell::new(Some(PackingWork {
            accumulator: Arc::clone(&begun.accumulator),
            entry: Arc::clone(entry),
            step,
        })));
        ALL.with_borrow_mut(|all| {
            all.retain(|one| one.strong_count() > 0);
            all.push(Rc::downgrade(&work));
        });
        begun.unfinished.push(Unfinished(work));
        None
    })
}

impl Unfinished {
    /// Runs the next step; returns whether another step is left.
    pub(crate) fn step(&self) -> bool {
        let Some(PackingWork {
            accumulator,
            entry,
            step,
        }) = self.0.take()
        else {
            return false;
        };
        let next = accumulator.pack_on(&entry, step);
        let left = next.map(|step| PackingWork {
            accumulator,
            entry,
            step,
        });
        let is_left = left.is_some();
        self.0.replace(left);
        is_left
    }
}

/// Runs all remaining steps of packing for this accumulator: on the simulator's only thread, waiting for packing means
/// finishing it.
pub(super) fn finish_all(accumulator: &RecordAccumulator) {
    // The list is copied first: a step may change it.
    let all = ALL.with_borrow(|all| all.iter().filter_map(Weak::upgrade).collect::<Vec<_>>());
    for work in all {
        let is_of_it = |work: &PackingWork| std::ptr::eq(&raw const *work.accumulator, accumulator);
        if work.borrow().as_ref().is_some_and(is_of_it) {
            let unfinished = Unfinished(work);
            while unfinished.step() {}
        }
    }
}
