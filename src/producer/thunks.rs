//! Who is called when a batch has ended: the callbacks of its records, in the order of sending.
//!
//! A program that sends in a loop sends with one closure, over and over. So the type of a batch's first
//! callback is remembered, and callbacks of that type lie side by side in one vector: no allocation for
//! each, and none to be given back by another thread. Only callbacks of other types are boxed.

mod places;

use std::any::Any;
use std::fmt;

use self::places::{PlaceIter, Places};
use super::interceptor::AcknowledgementListener;
use super::produce_request_result::BatchOutcome;
use super::record_metadata::{RecordFacts, RecordMetadata};
use super::user_code::{Failure, Fence, UserCode};
use crate::error::ProduceError;
use crate::planted::planted;
use crate::record::builder::RecordParts;
use crate::types::TopicPartition;
use crate::util::log::error;

/// What became of a record, for its future.
pub(crate) type Answer = Result<RecordMetadata, ProduceError>;

/// What became of a record, for its callback: lent, so that no shared counter moves for each record.
pub(crate) type Told<'a> = Result<&'a RecordMetadata, &'a ProduceError>;

/// A user's callback: runs once, with what became of the record.
pub(crate) trait Callback: FnOnce(Told<'_>) + Send + 'static {}

impl<F: FnOnce(Told<'_>) + Send + 'static> Callback for F {}

/// A callback whose type is known no more.
type BoxedCallback = Box<dyn FnOnce(Told<'_>) + Send>;

/// A callback that is still with the call that sends, or was taken from it.
pub(crate) trait UntakenCallback {
    /// Moves it to the others of its record's batch.
    fn move_to(&mut self, thunks: &mut Thunks, index: u32, record: &RecordParts<'_>);

    /// Calls it at once.
    fn call(&mut self, told: Told<'_>);
}

/// A callback of any type, in its sender's hands.
pub(crate) type AnyCallback = dyn UntakenCallback;

/// The type of the callback that a record without one has.
pub(crate) type NoCallback = Option<fn(Told<'_>)>;

impl<F: Callback> UntakenCallback for Option<F> {
    #[inline]
    fn move_to(&mut self, thunks: &mut Thunks, index: u32, record: &RecordParts<'_>) {
        if let Some(callback) = self.take() {
            thunks.push(index, record, callback);
        }
    }

    fn call(&mut self, told: Told<'_>) {
        if let Some(callback) = self.take() {
            callback(told);
        }
    }
}

/// A record whose end somebody wants to be called about.
struct Thunk<F> {
    facts: RecordFacts,
    callback: F,
}

/// A thunk of which nothing is presumed.
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
    /// Those of the first one's type.
    alike: Option<Box<dyn ThunksAlike>>,
    /// The record after that of the last one. A thunk's record follows from its place in the list, and is not
    /// noted in it: there may be as many of them as `buffer.memory` holds records.
    next: u32,
    rare: Option<Box<Rare>>,
    /// How many records the batch will have, by the size of its first.
    expected: u32,
}

/// What few batches have.
#[derive(Default)]
struct Rare {
    /// All thunks from the first on that is of another type.
    others: Vec<AnyThunk>,
    /// Records without thunks, among those that have one.
    places: Places,
}

/// However small a batch's first record is, room is made for so many at first.
const MAX_EXPECTED: u32 = 512;

impl Thunks {
    pub(crate) fn is_empty(&self) -> bool {
        self.alike.is_none()
    }

    /// Tells how many records to expect, before the first is added: a vector that grows by doubling may
    /// take twice the memory it needs, and there is one for each batch in `buffer.memory`.
    pub(crate) fn expect(&mut self, records: usize) {
        self.expected = u32::try_from(records).map_or(MAX_EXPECTED, |r| r.min(MAX_EXPECTED));
    }

    /// Adds a record that has no callback, for the interceptors' sake.
    pub(crate) fn push_silent(&mut self, index: u32, record: &RecordParts<'_>) {
        self.push(index, record, |_: Told<'_>| {});
    }

    #[inline]
    fn push<F: Callback>(&mut self, index: u32, record: &RecordParts<'_>, callback: F) {
        let alike = self.alike.as_deref_mut().map(ThunksAlike::as_any);
        match alike.and_then(<dyn Any>::downcast_mut::<Vec<Thunk<F>>>) {
            // With room for it, it is made where it stays. The facts are not made before: then they would
            // be in memory, for the other way's sake.
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
        let expected = self.expected.max(1) as usize;
        let first = self
            .alike
            .get_or_insert_with(|| Box::new(Vec::<Thunk<F>>::with_capacity(expected)));
        let left_out = index - std::mem::replace(&mut self.next, index + 1);
        let is_like_first = first.as_any().is::<Vec<Thunk<F>>>();
        if left_out > 0 || !is_like_first {
            let rare = self.rare.get_or_insert_default();
            let position = first.len() + rare.others.len();
            rare.places.leave_out(position, left_out);
        }
        let facts = RecordFacts::new(record);
        let alike = first.as_any().downcast_mut::<Vec<Thunk<F>>>();
        let others = self.rare.as_mut().map(|rare| &mut rare.others);
        match (alike, others) {
            // Past the first that is unlike it the order would be lost.
            (Some(_), Some(others)) if !others.is_empty() => {
                others.push(AnyThunk::any(facts, callback));
            }
            (Some(alike), _) => {
                if alike.len() == alike.capacity() {
                    // Not twice the memory, when the first record was only a little larger than most.
                    alike.reserve_exact(1 + alike.len() / 4);
                }
                alike.push(Thunk { facts, callback });
            }
            (None, Some(others)) => others.push(AnyThunk::any(facts, callback)),
            (None, None) => debug_assert!(false, "what is unlike the first one is rare"),
        }
    }

    /// Takes those of the batch's first `records` records; the places of the others are then counted
    /// from there.
    #[must_use]
    pub(crate) fn take_front(&mut self, records: u32) -> Self {
        let alike = self.alike.as_ref().map_or(0, |alike| alike.len());
        let rare = self.rare.get_or_insert_default();
        let (count, places) = rare.places.take_front(alike + rare.others.len(), records);
        let of_alike = count.min(alike);
        let others = take_front(&mut rare.others, count - of_alike);
        Self {
            alike: self.alike.as_mut().map(|list| list.take_front(of_alike)),
            rare: Some(Box::new(Rare { others, places })),
            ..Self::default()
        }
    }

    /// Lets interceptors and callbacks have the batch's outcome, in order of sending. A callback that
    /// panics harms no other; interceptors see to that themselves.
    ///
    /// Runs user code: no lock is held.
    pub(crate) fn run(self, end: BatchEnd<'_>) {
        let Rare { others, places } = self.rare.map_or_else(Rare::default, |rare| *rare);
        let mut places = places.iter();
        if let Some(alike) = self.alike {
            alike.run(&mut places, end);
        }
        run_in_order(others, &mut places, end);
    }
}

impl fmt::Debug for Thunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thunks")
            .field("is_empty", &self.is_empty())
            .finish_non_exhaustive()
    }
}

/// A batch's end, and who is to be told of it first.
#[derive(Clone, Copy)]
pub(crate) struct BatchEnd<'a> {
    pub(crate) partition: &'a TopicPartition,
    pub(crate) outcome: &'a BatchOutcome,
    pub(crate) listener: Option<&'a dyn AcknowledgementListener>,
    pub(crate) fence: Fence<'a>,
}

impl BatchEnd<'_> {
    fn report(&self, failure: Failure) {
        error!(self.fence.log(), "{}", failure.about(self.partition));
    }
}

/// Goes through a batch's records: metadata that are moved on from one to the next, and lent.
struct Records<'a> {
    outcome: &'a BatchOutcome,
    metadata: RecordMetadata,
}

impl<'a> Records<'a> {
    fn of(end: &BatchEnd<'a>) -> Self {
        Self {
            outcome: end.outcome,
            metadata: RecordMetadata::placeholder(end.partition.clone()),
        }
    }

    /// Moves on to the record at that place, and returns its error if it failed.
    #[inline]
    fn move_on(&mut self, place: u32, facts: RecordFacts) -> Option<&'a ProduceError> {
        match self.outcome.for_record(place) {
            Ok((base_offset, log_append_time_ms)) => {
                let facts = facts.at(log_append_time_ms);
                self.metadata.move_on(base_offset, place, facts);
                None
            }
            // The whole batch has: its metadata stay a placeholder.
            Err(error) => Some(error),
        }
    }

    #[inline]
    fn told<'s>(&'s self, error: Option<&'s ProduceError>) -> Told<'s> {
        error.map_or(Ok(&self.metadata), Err)
    }
}

/// Thunks whose callbacks are of one type.
trait ThunksAlike: Send {
    fn as_any(&mut self) -> &mut dyn Any;

    fn len(&self) -> usize;

    /// Takes the first `count`.
    fn take_front(&mut self, count: usize) -> Box<dyn ThunksAlike>;

    fn run(self: Box<Self>, places: &mut PlaceIter<'_>, end: BatchEnd<'_>);
}

impl<F: Callback> ThunksAlike for Vec<Thunk<F>> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn take_front(&mut self, count: usize) -> Box<dyn ThunksAlike> {
        Box::new(take_front(self, count))
    }

    fn run(self: Box<Self>, places: &mut PlaceIter<'_>, end: BatchEnd<'_>) {
        run_in_order(*self, places, end);
    }
}

fn run_in_order<F: Callback>(thunks: Vec<Thunk<F>>, places: &mut PlaceIter<'_>, end: BatchEnd<'_>) {
    let mut thunks = thunks.into_iter();
    let mut next = || {
        let thunk = thunks.next()?;
        places.next().map(|place| (place, thunk))
    };
    if let Some(listener) = end.listener {
        let mut records = Records::of(&end);
        while let Some((place, Thunk { facts, callback })) = next() {
            let error = records.move_on(place, facts);
            listener.on_acknowledgement(&records.metadata, error);
            if planted!(AcknowledgedTwice) {
                listener.on_acknowledgement(&records.metadata, error);
            }
            let call = || callback(records.told(error));
            if let Err(failure) = end.fence.call(UserCode::Callback, call) {
                end.report(failure);
            }
        }
        return;
    }
    let run_rest = || {
        let mut records = Records::of(&end);
        while let Some((place, Thunk { facts, callback })) = next() {
            let error = records.move_on(place, facts);
            callback(records.told(error));
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
