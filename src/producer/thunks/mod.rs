//! The callbacks of a batch's records, which run on its completion, in the order of sending.
//!
//! A program that sends in a loop passes the same closure type each time. So callbacks of the same type as a batch's
//! first callback are stored unboxed in one vector: they need no allocations of their own, which another thread would
//! free. From the first callback of another type on, callbacks are boxed.

mod spares;
mod sparse_index;

use std::any::Any;
use std::fmt;

pub(crate) use self::spares::{SpareThunks, SpareVector};
use self::sparse_index::{SparseIndex, SparseIndexIter};
use super::interceptor::AcknowledgementListener;
use super::produce_request_result::BatchOutcome;
use super::record_metadata::{RecordFacts, RecordMetadata};
use super::user_code::{Fence, UserCode, UserCodeFailure};
use crate::error::ProduceError;
use crate::planted::planted;
use crate::record::builder::RecordParts;
use crate::types::TopicPartition;
use crate::util::log::error;

/// The result of a record, for its future.
pub(crate) type RecordResult = Result<RecordMetadata, ProduceError>;

/// The result of a record, for its callback: borrowed, so that no shared reference count changes for each record.
pub(crate) type RecordResultRef<'a> = Result<&'a RecordMetadata, &'a ProduceError>;

/// A user's callback: runs once, with the result of the record.
pub(crate) trait Callback: FnOnce(RecordResultRef<'_>) + Send + 'static {}

impl<F: FnOnce(RecordResultRef<'_>) + Send + 'static> Callback for F {}

/// A type-erased callback.
type BoxedCallback = Box<dyn FnOnce(RecordResultRef<'_>) + Send>;

/// A callback of a `send` call; empty once it was moved to a batch or called.
pub(crate) trait UntakenCallback {
    /// Moves the callback to the thunks of its record's batch.
    fn move_to(&mut self, thunks: &mut Thunks, index: u32, record: &RecordParts<'_>);

    /// Calls the callback at once.
    fn call(&mut self, result: RecordResultRef<'_>);
}

/// A callback of any type, borrowed from its `send` call.
pub(crate) type AnyCallback = dyn UntakenCallback;

/// The callback type of a record without a callback.
pub(crate) type NoCallback = Option<fn(RecordResultRef<'_>)>;

impl<F: Callback> UntakenCallback for Option<F> {
    #[inline]
    fn move_to(&mut self, thunks: &mut Thunks, index: u32, record: &RecordParts<'_>) {
        if let Some(callback) = self.take() {
            thunks.push(index, record, callback);
        }
    }

    fn call(&mut self, result: RecordResultRef<'_>) {
        if let Some(callback) = self.take() {
            callback(result);
        }
    }
}

/// The callback of one record, with the facts for its metadata.
struct Thunk<F> {
    facts: RecordFacts,
    callback: F,
}

/// A thunk with a boxed callback.
type AnyThunk = Thunk<BoxedCallback>;

impl AnyThunk {
    fn any(facts: RecordFacts, callback: impl Callback) -> Self {
        Self {
            facts,
            callback: Box::new(callback),
        }
    }
}

/// The thunks of a batch.
#[derive(Default)]
pub(crate) struct Thunks {
    /// The leading thunks, whose callbacks are all of the same type as the first. `None` only if there are no thunks at
    /// all: in a later piece of a split batch they may all be boxed, and this vector is empty.
    alike: Option<Box<dyn ThunksAlike>>,
    /// The index after the last thunk's record. To save memory, a thunk does not store the index of its record, which
    /// follows from its position: there may be as many thunks as `buffer.memory` holds records.
    next: u32,
    rare: Option<Box<Rare>>,
    /// The expected number of records, estimated from the size of the first record.
    expected: u32,
    /// The vector of a completed batch, until the first thunk is added.
    spare: Option<SpareVector>,
}

/// The fields that few batches need, boxed.
#[derive(Default)]
struct Rare {
    /// All thunks from the first one of another type on.
    others: Vec<AnyThunk>,
    /// The gaps: records without thunks, between those that have one.
    indexes: SparseIndex,
}

/// Upper bound of the initial capacity, in thunks, however small a batch's first record is.
const MAX_EXPECTED: usize = 512;

/// Upper bound of the initial capacity, in bytes, however much a callback owns.
const MAX_EXPECTED_BYTES: usize = 16 << 10;

/// How many times the expected number of records a spare vector may have room for.
const MAX_SPARE_RATIO: usize = 4;

/// A vector for the callbacks of a batch with about that many records: the spare one, if it is for callbacks of this type
/// and not much too large.
fn vector<F: Callback>(spare: Option<SpareVector>, records: u32) -> Box<dyn ThunksAlike> {
    let records = records.max(1) as usize;
    // Callbacks that own much take more memory than their records: their vector grows step by step.
    let at_most = (MAX_EXPECTED_BYTES / size_of::<Thunk<F>>()).clamp(1, MAX_EXPECTED);
    let expected = records.min(at_most);
    if let Some(mut spare) = spare.map(SpareVector::into_inner) {
        if let Some(vector) = spare.as_any().downcast_mut::<Vec<Thunk<F>>>() {
            if vector.capacity() / MAX_SPARE_RATIO <= records {
                vector.reserve_exact(expected);
                return spare;
            }
        }
    }
    Box::new(Vec::<Thunk<F>>::with_capacity(expected))
}

impl Thunks {
    /// No thunks, and the vector of a completed batch to store them in.
    pub(crate) fn in_spare(spare: Option<SpareVector>) -> Self {
        Self {
            spare,
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.alike.is_none()
    }

    /// The spare vector of a batch that has no callbacks.
    pub(crate) fn into_spare(self) -> Option<SpareVector> {
        self.spare
    }

    /// Sets the initial capacity, before the first thunk is added: a vector that grows by doubling may take twice the
    /// memory it needs, and there is one such vector for each batch in `buffer.memory`.
    pub(crate) fn expect(&mut self, records: usize) {
        self.expected = u32::try_from(records).unwrap_or(u32::MAX);
    }

    /// Adds a record without a callback, for the interceptors.
    pub(crate) fn push_silent(&mut self, index: u32, record: &RecordParts<'_>) {
        self.push(index, record, |_: RecordResultRef<'_>| {});
    }

    #[inline]
    fn push<F: Callback>(&mut self, index: u32, record: &RecordParts<'_>, callback: F) {
        let alike = self.alike.as_deref_mut().map(ThunksAlike::as_any);
        match alike.and_then(<dyn Any>::downcast_mut::<Vec<Thunk<F>>>) {
            // With spare capacity the thunk is constructed in place. The facts are built only here: built before the
            // match, they would be written to memory first, for the slow path.
            Some(alike)
                if index == self.next && self.rare.is_none() && alike.len() < alike.capacity() =>
            {
                self.next += 1;
                alike.push(Thunk {
                    facts: RecordFacts::new(record),
                    callback,
                });
            }
            _ => self.push_slowly(index, record, callback),
        }
    }

    #[cold]
    fn push_slowly<F: Callback>(&mut self, index: u32, record: &RecordParts<'_>, callback: F) {
        let first = match &mut self.alike {
            Some(alike) => alike,
            None => self
                .alike
                .insert(vector::<F>(self.spare.take(), self.expected)),
        };
        // The number of records without a callback since the last thunk.
        let left_out = index - std::mem::replace(&mut self.next, index + 1);
        let is_like_first = first.as_any().is::<Vec<Thunk<F>>>();
        if left_out > 0 || !is_like_first {
            let rare = self.rare.get_or_insert_default();
            let position = first.len() + rare.others.len();
            rare.indexes.leave_out(position, left_out);
        }
        let facts = RecordFacts::new(record);
        let alike = first.as_any().downcast_mut::<Vec<Thunk<F>>>();
        let others = self.rare.as_mut().map(|rare| &mut rare.others);
        match (alike, others) {
            // Once a callback of another type was boxed, later callbacks are boxed, too: the vectors run one after the
            // other, and callbacks must run in the order of sending.
            (Some(_), Some(others)) if !others.is_empty() => {
                others.push(AnyThunk::any(facts, callback));
            }
            (Some(alike), _) => {
                if alike.len() == alike.capacity() {
                    // Grows by a quarter, not by doubling: the first record may only have been a little larger than
                    // most, and this memory comes on top of `buffer.memory`.
                    alike.reserve_exact(1 + alike.len() / 4);
                }
                alike.push(Thunk { facts, callback });
            }
            (None, Some(others)) => others.push(AnyThunk::any(facts, callback)),
            (None, None) => debug_assert!(false, "`rare` is set for a callback of another type"),
        }
    }

    /// Splits off the thunks of the batch's first `records` records; the indexes of the remaining thunks then count
    /// from that record on.
    #[must_use]
    pub(crate) fn take_front(&mut self, records: u32) -> Self {
        let alike = self.alike.as_ref().map_or(0, |alike| alike.len());
        let rare = self.rare.get_or_insert_default();
        let (count, indexes) = rare.indexes.take_front(alike + rare.others.len(), records);
        let of_alike = count.min(alike);
        let others = take_front(&mut rare.others, count - of_alike);
        Self {
            alike: self.alike.as_mut().map(|list| list.take_front(of_alike)),
            rare: Some(Box::new(Rare { others, indexes })),
            ..Self::default()
        }
    }

    /// Runs interceptors and callbacks with the batch's outcome, in the order of sending. A panic of one callback does
    /// not affect the others; the listener catches panics of interceptors. Returns the emptied vector, for another batch.
    ///
    /// Runs user code: must be called without a lock held.
    pub(crate) fn run(self, end: CompletedBatch<'_>) -> Option<SpareVector> {
        let spare = self.spare;
        let Rare { others, indexes } = self.rare.map_or_else(Rare::default, |rare| *rare);
        let mut indexes = indexes.iter();
        let emptied = self.alike.map(|mut alike| {
            alike.run(&mut indexes, end);
            SpareVector::new(alike)
        });
        run_in_order(others.into_iter(), &mut indexes, end);
        emptied.or(spare)
    }
}

impl fmt::Debug for Thunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thunks")
            .field("is_empty", &self.is_empty())
            .finish_non_exhaustive()
    }
}

/// A completed batch: its outcome, and the interceptors to call before the callbacks.
#[derive(Clone, Copy)]
pub(crate) struct CompletedBatch<'a> {
    pub(crate) partition: &'a TopicPartition,
    pub(crate) outcome: &'a BatchOutcome,
    pub(crate) listener: Option<&'a dyn AcknowledgementListener>,
    pub(crate) fence: Fence<'a>,
}

impl CompletedBatch<'_> {
    fn report(&self, failure: UserCodeFailure) {
        error!(self.fence.log(), "{}", failure.about(self.partition));
    }
}

/// A cursor over a batch's records: one metadata value, updated for each record and borrowed by its callback.
struct RecordMetadataCursor<'a> {
    outcome: &'a BatchOutcome,
    metadata: RecordMetadata,
}

impl<'a> RecordMetadataCursor<'a> {
    fn of(end: &CompletedBatch<'a>) -> Self {
        Self {
            outcome: end.outcome,
            metadata: RecordMetadata::placeholder(end.partition.clone()),
        }
    }

    /// Moves to the record at that index, and returns its error if it failed.
    #[inline]
    fn move_on(&mut self, index: u32, facts: RecordFacts) -> Option<&'a ProduceError> {
        match self.outcome.for_record(index) {
            Ok((base_offset, log_append_time_ms)) => {
                let facts = facts.at(log_append_time_ms);
                self.metadata.move_on(base_offset, index, facts);
                None
            }
            // Either all records of a batch have failed or none, so the metadata remain a placeholder throughout.
            Err(error) => Some(error),
        }
    }

    #[inline]
    fn result<'s>(&'s self, error: Option<&'s ProduceError>) -> RecordResultRef<'s> {
        error.map_or(Ok(&self.metadata), Err)
    }
}

/// Thunks whose callbacks are of one type.
trait ThunksAlike: Send {
    fn as_any(&mut self) -> &mut dyn Any;

    fn len(&self) -> usize;

    /// The number of thunks that there is room for.
    fn capacity(&self) -> usize;

    /// The memory that the vector takes, itself included.
    fn allocated_bytes(&self) -> usize;

    /// Takes the first `count` thunks.
    fn take_front(&mut self, count: usize) -> Box<dyn ThunksAlike>;

    /// Runs all thunks, and keeps the room.
    fn run(&mut self, indexes: &mut SparseIndexIter<'_>, end: CompletedBatch<'_>);
}

impl<F: Callback> ThunksAlike for Vec<Thunk<F>> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn allocated_bytes(&self) -> usize {
        size_of::<Self>() + self.capacity() * size_of::<Thunk<F>>()
    }

    fn take_front(&mut self, count: usize) -> Box<dyn ThunksAlike> {
        Box::new(take_front(self, count))
    }

    fn run(&mut self, indexes: &mut SparseIndexIter<'_>, end: CompletedBatch<'_>) {
        run_in_order(self.drain(..), indexes, end);
    }
}

fn run_in_order<F: Callback>(
    mut thunks: impl Iterator<Item = Thunk<F>>,
    indexes: &mut SparseIndexIter<'_>,
    end: CompletedBatch<'_>,
) {
    let mut next = || {
        let thunk = thunks.next()?;
        indexes.next().map(|index| (index, thunk))
    };
    if let Some(listener) = end.listener {
        let mut records = RecordMetadataCursor::of(&end);
        while let Some((index, Thunk { facts, callback })) = next() {
            let error = records.move_on(index, facts);
            // Interceptors run before the record's callback, as in Kafka.
            listener.on_acknowledgement(&records.metadata, error);
            if planted!(AcknowledgedTwice) {
                listener.on_acknowledgement(&records.metadata, error);
            }
            let call = || callback(records.result(error));
            if let Err(failure) = end.fence.call(UserCode::Callback, call) {
                end.report(failure);
            }
        }
        return;
    }
    // Without interceptors one fence encloses all callbacks. The iterators are outside of the closure: after a panic
    // `call_all` calls the closure again, which continues with the next callback.
    let run_rest = || {
        let mut records = RecordMetadataCursor::of(&end);
        while let Some((index, Thunk { facts, callback })) = next() {
            let error = records.move_on(index, facts);
            callback(records.result(error));
        }
    };
    end.fence
        .call_all(UserCode::Callback, run_rest, |failure| end.report(failure));
}

fn take_front<T>(thunks: &mut Vec<T>, count: usize) -> Vec<T> {
    let rest = thunks.split_off(count);
    std::mem::replace(thunks, rest)
}

#[cfg(test)]
mod tests;
