//! What became of a batch: one latch that all its records' futures share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::planted::planted;
use crate::util::log::error;

use super::instance::Instance;
use super::record_metadata::{RecordFacts, RecordMetadata};
use super::user_code::{Failure, Fence, UserCode, let_go};
use super::waiting::{Event, Nap};
use crate::error::ProduceError;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, OnceLock, Rank};
use crate::types::TopicPartition;

/// How a batch ended.
#[derive(Debug, Clone)]
pub(crate) enum BatchOutcome {
    /// Its records are in the log from `base_offset` on.
    Written {
        /// -1 when the broker does not tell (acks=0, a duplicate it no longer remembers).
        base_offset: i64,
        /// -1 when records keep their own timestamps.
        log_append_time_ms: i64,
    },
    /// All its records failed alike.
    Failed(ProduceError),
    /// The broker named the records that were wrong; the others failed with them (PB-16).
    FailedByRecord {
        /// By place in the batch, ascending, each once.
        named: Vec<(u32, ProduceError)>,
        rest: ProduceError,
    },
}

impl BatchOutcome {
    /// What the record at `index` got: base offset and append time, or its error.
    #[inline]
    pub(crate) fn for_record(&self, index: u32) -> Result<(i64, i64), &ProduceError> {
        match self {
            Self::Written {
                base_offset,
                log_append_time_ms,
            } => Ok((*base_offset, *log_append_time_ms)),
            Self::Failed(error) => Err(error),
            Self::FailedByRecord { named, rest } => Err(error_of(index, named, rest)),
        }
    }

    /// What it means for the record at that place in the batch (PB-17).
    #[inline]
    pub(crate) fn answer(
        &self,
        index: u32,
        partition: &TopicPartition,
        facts: RecordFacts,
    ) -> Result<RecordMetadata, ProduceError> {
        let (base_offset, log_append_time_ms) = self.for_record(index).map_err(Clone::clone)?;
        let facts = facts.at(log_append_time_ms);
        Ok(RecordMetadata::new(
            partition.clone(),
            base_offset,
            index,
            facts,
        ))
    }
}

#[cold]
#[inline(never)]
fn error_of<'a>(
    index: u32,
    named: &'a [(u32, ProduceError)],
    rest: &'a ProduceError,
) -> &'a ProduceError {
    let found = named.binary_search_by_key(&index, |(at, _)| *at);
    found.map_or(rest, |found| &named[found].1)
}

/// What there is to know of a batch that has ended.
#[derive(Debug)]
enum End {
    Outcome(BatchOutcome),
    /// It was split: its records' fate is that of these, in order of records.
    Split(Box<[ResultOfPiece]>),
}

/// What becomes of a piece of a batch that was split.
#[derive(Debug)]
pub(crate) struct ResultOfPiece {
    /// How many records of the batch come before this piece.
    pub(crate) records_before: u32,
    pub(crate) result: Arc<ProduceRequestResult>,
}

/// Where a record's fate is known or will be: the result of its batch, or of a piece of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) result: &'a ProduceRequestResult,
    /// The record's place in that batch or piece.
    pub(crate) index: u32,
}

/// The latch of one batch: first the outcome is published, then callbacks run, then waiters are
/// released, so that a `get` that returned has seen its callback run (PB-15).
///
/// The latch of a batch that was split leads to those of its pieces. Every split at least halves a batch
/// or ends with single records, so such a chain has no more links than a size has bits.
///
/// # Kafka
/// `ProduceRequestResult`. Differs: the chain of a split hangs here, not on each record's future, and
/// whoever waits for the whole waits for the pieces (KAFKA-19479).
pub(crate) struct ProduceRequestResult {
    topic_partition: TopicPartition,
    instance: Instance,
    end: OnceLock<End>,
    released: AtomicBool,
    /// A task may be registered, here or, of a batch that was split, with a piece. Read by every handle
    /// that is dropped, without the lock.
    has_tasks: AtomicBool,
    /// Tasks that wait, by place of the record that they wait for.
    tasks: Mutex<BTreeMap<u32, Waker>>,
    condvar: Condvar,
}

impl ProduceRequestResult {
    pub(crate) fn new(topic_partition: TopicPartition, instance: Instance) -> Self {
        Self {
            topic_partition,
            instance,
            end: OnceLock::new(),
            released: AtomicBool::new(false),
            has_tasks: AtomicBool::new(false),
            tasks: Mutex::new(Rank::LEAF, BTreeMap::new()),
            condvar: Condvar::new(),
        }
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The producer that the batch is of.
    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Sets the outcome. A batch is consumed by being completed, so this happens once.
    pub(crate) fn publish(&self, outcome: BatchOutcome) {
        let set = self.end.set(End::Outcome(outcome));
        debug_assert!(set.is_ok(), "a batch is completed once");
    }

    /// Leads to the pieces that the batch was split into, in order of records.
    pub(crate) fn publish_split(&self, pieces: Box<[ResultOfPiece]>) {
        debug_assert!(pieces.len() > 1, "a split makes smaller batches");
        if planted!(ReleasesBeforePieces) {
            self.released.store(true, Ordering::Release);
        }
        // A handle that is dropped looks for its piece.
        self.has_tasks.store(true, Ordering::Relaxed);
        let set = self.end.set(End::Split(pieces));
        debug_assert!(set.is_ok(), "a batch is completed once");
    }

    /// Lets every waiter go on.
    pub(crate) fn release_waiters(&self) {
        debug_assert!(self.end.get().is_some(), "released before it was published");
        if planted!(ReleasesUnlocked) {
            self.released.store(true, Ordering::Release);
            self.condvar.notify_all();
            let tasks = std::mem::take(&mut *self.tasks.lock());
            return self.wake(tasks);
        }
        let tasks = {
            let mut tasks = self.tasks.lock();
            self.released.store(
                true,
                if planted!(ReleasesRelaxed) {
                    Ordering::Relaxed
                } else {
                    Ordering::Release
                },
            );
            if !planted!(WaiterNotWoken) {
                self.condvar.notify_all();
            }
            if matches!(self.end.get(), Some(End::Outcome(_))) {
                self.has_tasks.store(false, Ordering::Relaxed);
            }
            std::mem::take(&mut *tasks)
        };
        if !tasks.is_empty() {
            self.wake(tasks);
        }
    }

    /// Wakes tasks, in order of their records. One that panics harms no other.
    #[cold]
    fn wake(&self, tasks: BTreeMap<u32, Waker>) {
        let mut tasks = tasks.into_values().peekable();
        let mut next = || {
            let waker = tasks.next()?;
            // A task that waits for several records is woken once for those that follow each other.
            let is_same = |next: &Waker| next.will_wake(&waker) || planted!(TaskNotWoken);
            if tasks.peek().is_some_and(is_same) {
                drop(waker);
            } else {
                waker.wake();
            }
            Some(())
        };
        if planted!(PanickingWakerNotContained) {
            while next().is_some() {}
        }
        Fence::of(&self.instance).call_all(
            UserCode::Waker,
            || while next().is_some() {},
            |failure| self.report(failure),
        );
    }

    /// Drops a waker that is not to be woken.
    #[cold]
    fn let_go(&self, waker: Option<Waker>) {
        if let Err(failure) = let_go(UserCode::Waker, waker) {
            self.report(failure);
        }
    }

    fn report(&self, failure: Failure) {
        error!(
            self.instance.log(),
            "{}",
            failure.about(&self.topic_partition)
        );
    }

    /// The outcome, once waiters have been released; none of a batch that was split.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<&BatchOutcome> {
        if self.is_released() {
            self.published_outcome()
        } else {
            None
        }
    }

    /// The outcome as soon as it is published, also while callbacks still run.
    pub(crate) fn published_outcome(&self) -> Option<&BatchOutcome> {
        match self.end.get()? {
            End::Outcome(outcome) => Some(outcome),
            End::Split(_) => None,
        }
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// Where the fate of the record at `index` is, or will be, as far as is known now.
    pub(crate) fn holder(&self, index: u32) -> Holder<'_> {
        let mut at = Holder {
            result: self,
            index,
        };
        while let Some(pieces) = at.result.pieces() {
            let after = pieces.partition_point(|piece| piece.records_before <= at.index);
            let Some(piece) = after.checked_sub(1).and_then(|i| pieces.get(i)) else {
                debug_assert!(false, "the first piece has no records before it");
                break;
            };
            at = Holder {
                result: &piece.result,
                index: at.index - piece.records_before * u32::from(!planted!(PieceForgetsPlace)),
            };
        }
        at
    }

    /// The pieces, once waiters have been sent to them.
    fn pieces(&self) -> Option<&[ResultOfPiece]> {
        match self.end.get() {
            Some(End::Split(pieces)) if self.is_released() => Some(pieces),
            _ => None,
        }
    }

    /// Whether the fate of every record is known.
    pub(crate) fn is_done(&self) -> bool {
        self.undone().is_none()
    }

    /// What is to be waited for next until the fate of every record is known: itself, or a piece.
    pub(crate) fn undone(&self) -> Option<&Self> {
        match self.pieces() {
            Some(_) if planted!(SplitEndsFlush) => None,
            Some(pieces) => pieces.iter().find_map(|piece| piece.result.undone()),
            None => (!self.is_released()).then_some(self),
        }
    }

    /// Registers the task that waits for the record at `index`, in place of the one that did; false when there
    /// is nothing to wait for any more.
    ///
    /// A waker is cloned and dropped with no lock held: both are user code.
    pub(crate) fn register(&self, index: u32, waker: &Waker) -> bool {
        {
            let tasks = self.tasks.lock();
            if self.is_released() {
                return false;
            }
            // This compares two pointers, and calls nobody.
            let known = tasks.get(&index);
            if known.is_some_and(|known| known.will_wake(waker)) {
                return true;
            }
        }
        let waker = waker.clone();
        let mut tasks = self.tasks.lock();
        if self.is_released() && !planted!(RegistersBlindly) {
            drop(tasks);
            self.let_go(Some(waker));
            return false;
        }
        let before = tasks.insert(index, waker);
        // Whoever drops the handle has it from the task that registers, or is that task.
        self.has_tasks.store(true, Ordering::Relaxed);
        if planted!(WakerDroppedUnderLock) && before.is_some() {
            self.let_go(before);
            return true;
        }
        drop(tasks);
        self.let_go(before);
        true
    }

    /// Whether a task may be registered.
    #[inline]
    pub(crate) fn has_tasks(&self) -> bool {
        self.has_tasks.load(Ordering::Relaxed)
    }

    /// Forgets the task that waits for the record at `index` of the batch, here or with a piece.
    ///
    /// A C function is one that does not unwind. Where one that may is called, every handle that is dropped
    /// pays for what would then be left to do: 20 instructions of 575 that a `send` takes.
    #[cold]
    #[inline(never)]
    #[allow(improper_ctypes_definitions, reason = "nobody else calls it")]
    pub(crate) extern "C" fn forget_task_of(&self, index: u32) {
        // One that waited for a batch that was split meanwhile was woken, and forgotten with that.
        let holder = self.holder(index);
        if !holder.result.has_tasks() {
            return;
        }
        let waker = holder.result.tasks.lock().remove(&holder.index);
        self.let_go(waker);
    }

    /// How many tasks it would wake.
    #[cfg(test)]
    pub(crate) fn waiting_tasks(&self) -> usize {
        self.tasks.lock().len()
    }
}

/// The latch opens: to an outcome, or to pieces.
impl Event for ProduceRequestResult {
    fn sleep(&self, nap: Nap) {
        let mut tasks = self.tasks.lock();
        if !self.is_released() {
            nap.on(&self.condvar, &mut tasks);
        }
    }

    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)> {
        Some(("a batch", &self.condvar))
    }
}

impl fmt::Debug for ProduceRequestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProduceRequestResult")
            .field("topic_partition", &self.topic_partition)
            .field("end", &self.end.get())
            .finish_non_exhaustive()
    }
}
