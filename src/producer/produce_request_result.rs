//! The result of a batch: one latch that the futures of all its records share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::planted::planted;
use crate::util::log::error;

use super::instance::Instance;
use super::record_metadata::{RecordFacts, RecordMetadata};
use super::user_code::{Fence, UserCode, UserCodeFailure, drop_contained};
use super::waiting::{Event, SleepPermit};
use crate::error::ProduceError;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::{Condvar, Mutex, OnceLock, Rank};
use crate::types::TopicPartition;

/// The outcome of a completed batch.
#[derive(Debug, Clone)]
pub(crate) enum BatchOutcome {
    /// Its records are in the log from `base_offset` on.
    Written {
        /// -1 if unknown (acks=0, or a duplicate that the broker no longer has in its cache).
        base_offset: i64,
        /// -1 with `CreateTime`, when records keep their own timestamps.
        log_append_time_ms: i64,
    },
    /// All its records failed with the same error.
    Failed(ProduceError),
    /// The broker returned errors for single records; the other records of the batch failed as well (PB-16).
    FailedByRecord {
        /// Errors by record index, ascending, without duplicates.
        named: Vec<(u32, ProduceError)>,
        /// The error of the other records.
        rest: ProduceError,
    },
}

impl BatchOutcome {
    /// The outcome of the record at `index`: base offset and log append time, or its error.
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

    /// The result for the record at `index` of the batch (PB-17).
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

/// How a batch has completed: with an outcome, or by being split.
#[derive(Debug)]
enum BatchConclusion {
    Outcome(BatchOutcome),
    /// It was split: its records' results are in these pieces, in order of records.
    Split(Box<[ResultOfPiece]>),
}

/// The result of one piece of a split batch.
#[derive(Debug)]
pub(crate) struct ResultOfPiece {
    /// How many records of the batch come before this piece.
    pub(crate) records_before: u32,
    pub(crate) result: Arc<ProduceRequestResult>,
}

/// The result that a record belongs to: that of its batch, or of a piece of a split batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) result: &'a ProduceRequestResult,
    /// The record's index in that batch or piece.
    pub(crate) index: u32,
}

/// Identifies a future among those of one batch: the index of its record is in the low half, the number of the clone
/// in the high half. The future that `send` returned is number 0.
///
/// Both halves are written with one store, so that a record whose future is never cloned costs no instruction more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FutureId(u64);

impl FutureId {
    /// The future that `send` returns for the record at `index`.
    #[inline]
    pub(crate) fn first(index: u32) -> Self {
        Self(u64::from(index))
    }

    /// The index of the record in its batch.
    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    /// The same future in a piece of a split batch, where its record is at `index`.
    pub(crate) fn at(self, index: u32) -> Self {
        Self((self.0 >> 32 << 32) | u64::from(index))
    }

    /// The clone with this number, of the same record.
    fn clone_number(self, number: u32) -> Self {
        Self((u64::from(number) << 32) | u64::from(self.index()))
    }
}

/// The latch of one batch, which its futures share: the outcome is published, then callbacks run, then waiters are
/// released (`SealedBatch::end` has the whole order). So when `get` has returned, the record's callback has run
/// (PB-15).
///
/// The latch of a batch that was split refers to the latches of its pieces. Every split at least halves a batch or ends
/// with single records, so a chain of splits is no longer than the number of bits of a batch's size.
///
/// # Kafka
/// `ProduceRequestResult`. Differs: the chain of splits is kept here, not in each record's future, and waiters of the
/// whole batch wait for its pieces (KAFKA-19479).
pub(crate) struct ProduceRequestResult {
    topic_partition: TopicPartition,
    instance: Instance,
    end: OnceLock<BatchConclusion>,
    released: AtomicBool,
    /// Whether a task may be registered, here or, after a split, with a piece. Read without the lock whenever a handle
    /// is dropped.
    has_tasks: AtomicBool,
    /// How many times futures of the batch were cloned.
    clones: AtomicU32,
    /// Wakers of waiting tasks, each by the future that its task waits for.
    tasks: Mutex<BTreeMap<FutureId, Waker>>,
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
            clones: AtomicU32::new(0),
            tasks: Mutex::new(Rank::LEAF, BTreeMap::new()),
            condvar: Condvar::new(),
        }
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The batch's producer.
    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Sets the outcome. A batch is consumed by being completed, so this happens once.
    pub(crate) fn publish(&self, outcome: BatchOutcome) {
        let set = self.end.set(BatchConclusion::Outcome(outcome));
        debug_assert!(set.is_ok(), "a batch is completed once");
    }

    /// Sets the pieces of a split batch, in order of records, in place of an outcome.
    pub(crate) fn publish_split(&self, pieces: Box<[ResultOfPiece]>) {
        debug_assert!(pieces.len() > 1, "a split makes smaller batches");
        if planted!(ReleasesBeforePieces) {
            self.released.store(true, Ordering::Release);
        }
        // A handle that is dropped from now on looks for the piece of its record, where its task may be registered.
        self.has_tasks.store(true, Ordering::Relaxed);
        let set = self.end.set(BatchConclusion::Split(pieces));
        debug_assert!(set.is_ok(), "a batch is completed once");
    }

    /// Opens the latch: wakes all waiting threads and tasks.
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
            // Set under the lock: a waiter checks `released` and goes to sleep, or registers its waker, under the same
            // lock, so it misses neither the notification nor the wake-up.
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
            // After a split the flag stays set: a dropped handle must look for its task in the piece.
            if matches!(self.end.get(), Some(BatchConclusion::Outcome(_))) {
                self.has_tasks.store(false, Ordering::Relaxed);
            }
            std::mem::take(&mut *tasks)
        };
        // Tasks are woken after the lock was released: wakers are user code, and may call this type again.
        if !tasks.is_empty() {
            self.wake(tasks);
        }
    }

    /// Wakes tasks, in the order of their records, and after them those that wait for clones, in the order of cloning.
    /// A panic of one waker does not affect the others.
    #[cold]
    fn wake(&self, tasks: BTreeMap<FutureId, Waker>) {
        let mut tasks = tasks.into_values().peekable();
        let mut next = || {
            let waker = tasks.next()?;
            // A task that awaits several records is woken only once for consecutive records.
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
        // After a panic `call_all` calls the closure again, which goes on with the next waker.
        Fence::of(&self.instance).call_all(
            UserCode::Waker,
            || while next().is_some() {},
            |failure| self.report(failure),
        );
    }

    /// Drops a waker that is not to be woken.
    #[cold]
    fn drop_contained(&self, waker: Option<Waker>) {
        if let Err(failure) = drop_contained(UserCode::Waker, waker) {
            self.report(failure);
        }
    }

    fn report(&self, failure: UserCodeFailure) {
        error!(
            self.instance.log(),
            "{}",
            failure.about(&self.topic_partition)
        );
    }

    /// The outcome, once waiters have been released; `None` for a batch that was split.
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
            BatchConclusion::Outcome(outcome) => Some(outcome),
            BatchConclusion::Split(_) => None,
        }
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// Follows splits to the result that holds, or will hold, the outcome of the record at `index`.
    pub(crate) fn holder(&self, index: u32) -> Holder<'_> {
        let mut at = Holder {
            result: self,
            index,
        };
        while let Some(pieces) = at.result.pieces() {
            // The last piece that begins at or before the record. A piece may have been split in turn, hence the loop.
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

    /// The pieces of a split batch, once its latch has opened.
    fn pieces(&self) -> Option<&[ResultOfPiece]> {
        match self.end.get() {
            Some(BatchConclusion::Split(pieces)) if self.is_released() => Some(pieces),
            _ => None,
        }
    }

    /// Whether every record is complete, in all pieces of a split batch too.
    pub(crate) fn is_done(&self) -> bool {
        self.undone().is_none()
    }

    /// The next latch to wait for until every record is complete: this one, or that of a piece. `None` if every record
    /// is complete.
    pub(crate) fn undone(&self) -> Option<&Self> {
        match self.pieces() {
            Some(_) if planted!(SplitEndsFlush) => None,
            Some(pieces) => pieces.iter().find_map(|piece| piece.result.undone()),
            None => (!self.is_released()).then_some(self),
        }
    }

    /// The identity of a new clone of a future, which no other future of the batch has. A number recurs after 2^32
    /// clones within one batch.
    pub(crate) fn new_clone(&self, of: FutureId) -> FutureId {
        // Relaxed is enough: only the number matters.
        let before = self.clones.fetch_add(1, Ordering::Relaxed);
        if planted!(CloneSharesWaker) {
            return of;
        }
        of.clone_number(before.wrapping_add(1))
    }

    /// Registers the waker of the task that waits for the future `id`, in place of the previous one; returns false if
    /// the latch is open already.
    ///
    /// A waker is cloned and dropped with no lock held: both are user code.
    pub(crate) fn register(&self, id: FutureId, waker: &Waker) -> bool {
        {
            let tasks = self.tasks.lock();
            if self.is_released() {
                return false;
            }
            // `will_wake` compares two pointers and runs no user code, so it may be called under the lock.
            let known = tasks.get(&id);
            if known.is_some_and(|known| known.will_wake(waker)) {
                return true;
            }
        }
        // Checked again after the clone: between the two locks the batch may have completed, and then nothing would
        // wake this task.
        let waker = waker.clone();
        let mut tasks = self.tasks.lock();
        if self.is_released() && !planted!(RegistersBlindly) {
            drop(tasks);
            self.drop_contained(Some(waker));
            return false;
        }
        let before = tasks.insert(id, waker);
        // Relaxed is enough: the handle is dropped by the task that registers, or by one that got the handle from it.
        self.has_tasks.store(true, Ordering::Relaxed);
        if planted!(WakerDroppedUnderLock) && before.is_some() {
            self.drop_contained(before);
            return true;
        }
        drop(tasks);
        self.drop_contained(before);
        true
    }

    /// Whether a task may be registered.
    #[inline]
    pub(crate) fn has_tasks(&self) -> bool {
        self.has_tasks.load(Ordering::Relaxed)
    }

    /// Removes the waker of the task that waits for the future `id`, here or with a piece.
    ///
    /// `extern "C"`, because such a function does not unwind. If it could unwind, every drop of a handle would execute
    /// code for the cleanup: 20 of the 575 instructions of a `send`.
    #[cold]
    #[inline(never)]
    #[allow(improper_ctypes_definitions, reason = "no foreign code calls it")]
    pub(crate) extern "C" fn forget_task_of(&self, id: FutureId) {
        // A task registered before a split was woken, and its waker removed, when the split was released.
        let holder = self.holder(id.index());
        if !holder.result.has_tasks() {
            return;
        }
        let waker = holder.result.tasks.lock().remove(&id.at(holder.index));
        self.drop_contained(waker);
    }

    /// The number of registered wakers.
    #[cfg(test)]
    pub(crate) fn waiting_tasks(&self) -> usize {
        self.tasks.lock().len()
    }
}

/// The event that the latch opens: the batch has an outcome, or was split into pieces.
impl Event for ProduceRequestResult {
    fn sleep(&self, permit: SleepPermit) {
        // `released` is checked under the lock under which `release_waiters` sets it, so no wake-up is lost.
        let mut tasks = self.tasks.lock();
        if !self.is_released() {
            permit.on(&self.condvar, &mut tasks);
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
