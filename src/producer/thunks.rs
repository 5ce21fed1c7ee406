//! Who is called when a batch has ended: the callbacks of its records, in the order of sending.
//!
//! A program that sends in a loop sends with one closure, over and over. So the type of a batch's first
//! callback is remembered, and callbacks of that type lie side by side in one vector: no allocation for
//! each, and none to be given back by another thread. Only callbacks of other types are boxed.

use std::any::Any;
use std::fmt;

use log::error;

use super::interceptor::AcknowledgementListener;
use super::produce_request_result::BatchOutcome;
use super::record_metadata::RecordMetadata;
use crate::error::ProduceError;
use crate::record::builder::RecordParts;
use crate::types::TopicPartition;
use crate::util::panic;

/// What became of a record.
pub(crate) type Answer = Result<RecordMetadata, ProduceError>;

/// A user's callback: runs once, with what became of the record.
pub(crate) trait Callback: FnOnce(Answer) + Send + 'static {}

impl<F: FnOnce(Answer) + Send + 'static> Callback for F {}

/// A callback whose type is known no more.
type BoxedCallback = Box<dyn FnOnce(Answer) + Send>;

/// A callback that is still with the call that sends, or was taken from it.
pub(crate) trait UntakenCallback {
    /// Moves it to the others of its record's batch.
    fn move_to(&mut self, thunks: &mut Thunks, index: u32, record: &RecordParts<'_>);

    /// Calls it at once.
    fn call(&mut self, answer: Answer);
}

/// A callback of any type, in its sender's hands.
pub(crate) type AnyCallback = dyn UntakenCallback;

/// The type of the callback that a record without one has.
pub(crate) type NoCallback = Option<fn(Answer)>;

impl<F: Callback> UntakenCallback for Option<F> {
    #[inline]
    fn move_to(&mut self, thunks: &mut Thunks, index: u32, record: &RecordParts<'_>) {
        if let Some(callback) = self.take() {
            thunks.push(index, record, callback);
        }
    }

    fn call(&mut self, answer: Answer) {
        if let Some(callback) = self.take() {
            callback(answer);
        }
    }
}

/// What a record's metadata need besides its batch's outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordFacts {
    pub(crate) index: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) key_size: i32,
    pub(crate) value_size: i32,
}

impl RecordFacts {
    #[inline]
    pub(crate) fn new(index: u32, record: &RecordParts<'_>) -> Self {
        let size_of = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i32);
        Self {
            index,
            timestamp_ms: record.timestamp_ms,
            key_size: size_of(record.key),
            value_size: size_of(record.value),
        }
    }

    /// What the batch's outcome means for this record (PB-17, PB-18).
    #[inline]
    pub(crate) fn answer(&self, partition: &TopicPartition, outcome: &BatchOutcome) -> Answer {
        let (base_offset, log_append_time_ms) =
            outcome.for_record(self.index).map_err(Clone::clone)?;
        let timestamp = if log_append_time_ms == -1 {
            self.timestamp_ms
        } else {
            log_append_time_ms
        };
        Ok(RecordMetadata::new(
            partition.clone(),
            base_offset,
            self.index,
            timestamp,
            self.key_size,
            self.value_size,
        ))
    }
}

/// A record whose end somebody wants to be called about.
struct Thunk<F> {
    facts: RecordFacts,
    callback: F,
}

/// The thunks of a batch.
#[derive(Default)]
pub(crate) struct Thunks {
    /// Those of the first one's type.
    alike: Option<Box<dyn ThunksAlike>>,
    /// All from the first on that is of another type.
    others: Vec<Thunk<BoxedCallback>>,
    /// How many records the batch will have, by the size of its first.
    expected: usize,
}

/// However small a batch's first record is, room is made for so many at first.
const MAX_EXPECTED: usize = 512;

impl Thunks {
    pub(crate) fn is_empty(&self) -> bool {
        self.alike.is_none()
    }

    /// Tells how many records to expect, before the first is added: a vector that grows by doubling may
    /// take twice the memory it needs, and there is one for each batch in `buffer.memory`.
    pub(crate) fn expect(&mut self, records: usize) {
        self.expected = records.min(MAX_EXPECTED);
    }

    /// Adds a record that has no callback, for the interceptors' sake.
    pub(crate) fn push_silent(&mut self, index: u32, record: &RecordParts<'_>) {
        self.push(index, record, drop::<Answer>);
    }

    #[inline]
    fn push<F: Callback>(&mut self, index: u32, record: &RecordParts<'_>, callback: F) {
        let alike = self.alike.as_deref_mut().map(ThunksAlike::as_any);
        // Past the first of another type the order would be lost.
        match alike.and_then(<dyn Any>::downcast_mut::<Vec<Thunk<F>>>) {
            // With room for it, it is made where it stays. The facts are not made before: then they would
            // be in memory, for the other way's sake.
            Some(alike) if self.others.is_empty() && alike.len() < alike.capacity() => {
                let facts = RecordFacts::new(index, record);
                alike.push(Thunk { facts, callback });
            }
            _ => self.push_slowly(index, record, callback),
        }
    }

    #[cold]
    fn push_slowly<F: Callback>(&mut self, index: u32, record: &RecordParts<'_>, callback: F) {
        let facts = RecordFacts::new(index, record);
        let Some(first) = &mut self.alike else {
            let mut alike = Vec::with_capacity(self.expected.max(1));
            alike.push(Thunk { facts, callback });
            self.alike = Some(Box::new(alike));
            return;
        };
        match first.as_any().downcast_mut::<Vec<Thunk<F>>>() {
            Some(alike) if self.others.is_empty() => alike.push(Thunk { facts, callback }),
            _ => {
                let callback = Box::new(callback);
                self.others.push(Thunk { facts, callback });
            }
        }
    }

    /// Takes those of the batch's first `records` records; the places of the others are then counted
    /// from there.
    #[must_use]
    pub(crate) fn take_front(&mut self, records: u32) -> Self {
        Self {
            alike: self.alike.as_mut().map(|alike| alike.take_front(records)),
            others: take_front(&mut self.others, records),
            expected: 0,
        }
    }

    /// Lets interceptors and callbacks have the batch's outcome, in order of sending. A callback that
    /// panics harms no other; interceptors see to that themselves.
    ///
    /// Runs user code: no lock is held.
    pub(crate) fn run(self, end: BatchEnd<'_>) {
        if let Some(alike) = self.alike {
            alike.run(end);
        }
        Box::new(self.others).run(end);
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
}

impl BatchEnd<'_> {
    #[inline]
    fn answer(&self, facts: RecordFacts) -> Answer {
        facts.answer(self.partition, self.outcome)
    }

    fn tell(&self, listener: &dyn AcknowledgementListener, answer: &Answer) {
        match answer {
            Ok(metadata) => listener.on_acknowledgement(metadata, None),
            Err(error) => {
                let placeholder = RecordMetadata::placeholder(self.partition.clone());
                listener.on_acknowledgement(&placeholder, Some(error));
            }
        }
    }

    /// Runs callbacks; false when one of them panicked and the rest has not run.
    fn contain(&self, callbacks: impl FnOnce()) -> bool {
        match panic::contain(callbacks) {
            Ok(()) => true,
            Err(reason) => {
                let partition = self.partition;
                error!("the callback of a record for {partition} panicked: {reason}");
                false
            }
        }
    }
}

/// Thunks whose callbacks are of one type.
trait ThunksAlike: Send {
    fn as_any(&mut self) -> &mut dyn Any;

    /// See [`Thunks::take_front`].
    fn take_front(&mut self, records: u32) -> Box<dyn ThunksAlike>;

    fn run(self: Box<Self>, end: BatchEnd<'_>);
}

impl<F: Callback> ThunksAlike for Vec<Thunk<F>> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn take_front(&mut self, records: u32) -> Box<dyn ThunksAlike> {
        Box::new(take_front(self, records))
    }

    fn run(self: Box<Self>, end: BatchEnd<'_>) {
        let mut thunks = self.into_iter();
        if let Some(listener) = end.listener {
            for Thunk { facts, callback } in thunks {
                let answer = end.answer(facts);
                end.tell(listener, &answer);
                end.contain(|| callback(answer));
            }
            return;
        }
        // One containment for all, and another for those after one that panics: it costs more than most
        // callbacks do.
        while !end.contain(|| {
            for Thunk { facts, callback } in thunks.by_ref() {
                callback(end.answer(facts));
            }
        }) {}
    }
}

fn take_front<F>(thunks: &mut Vec<Thunk<F>>, records: u32) -> Vec<Thunk<F>> {
    let at = thunks.partition_point(|thunk| thunk.facts.index < records);
    let rest = thunks.split_off(at);
    let front = std::mem::replace(thunks, rest);
    for thunk in thunks {
        thunk.facts.index -= records;
    }
    front
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sync::{Mutex, Rank};

    const WRITTEN: BatchOutcome = BatchOutcome::Written {
        base_offset: 100,
        log_append_time_ms: -1,
    };

    const RECORD: RecordParts<'_> = RecordParts {
        key: None,
        value: Some(b"v"),
        headers: &[],
        timestamp_ms: 7,
    };

    struct Fixture {
        thunks: Thunks,
        calls: Arc<Mutex<Vec<i64>>>,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                thunks: Thunks::default(),
                calls: Arc::new(Mutex::new(Rank::LEAF, Vec::new())),
            }
        }

        fn add(&mut self, index: u32, callback: impl Callback) {
            Some(callback).move_to(&mut self.thunks, index, &RECORD);
        }

        /// A callback of one type that notes its record's offset, and panics for the one it is told to.
        fn noting(&self, panic_at: Option<i64>) -> impl Callback + use<> {
            let calls = Arc::clone(&self.calls);
            move |answer: Answer| {
                let offset = answer.unwrap().offset();
                assert_ne!(Some(offset), panic_at, "told to");
                calls.lock().push(offset);
            }
        }

        fn run(self) -> Vec<i64> {
            self.thunks.run(BatchEnd {
                partition: &TopicPartition::new("t", 3),
                outcome: &WRITTEN,
                listener: None,
            });
            self.calls.lock().clone()
        }
    }

    #[test]
    fn callbacks_of_several_types_run_in_the_order_of_sending() {
        let mut fixture = Fixture::new();
        for index in 0..8 {
            let calls = Arc::clone(&fixture.calls);
            match index % 4 {
                2 => fixture.add(index, move |answer: Answer| {
                    calls.lock().push(-answer.unwrap().offset());
                }),
                3 => fixture.thunks.push_silent(index, &RECORD),
                _ => fixture.add(index, fixture.noting(None)),
            }
        }
        assert_eq!(fixture.run(), [100, 101, -102, 104, 105, -106]);
    }

    /// KP-34
    #[test]
    fn a_callback_that_panics_is_the_only_one_of_its_type_that_has_not_run() {
        let mut fixture = Fixture::new();
        for index in 0..5 {
            fixture.add(index, fixture.noting(Some(101 + i64::from(index / 4))));
        }
        assert_eq!(fixture.run(), [100, 102, 103, 104]);
    }

    #[test]
    fn callbacks_of_one_type_share_one_vector() {
        let mut fixture = Fixture::new();
        for index in 0..100 {
            fixture.add(index, fixture.noting(None));
        }
        assert!(fixture.thunks.others.is_empty());
        assert_eq!(fixture.run().len(), 100);
    }

    /// PB-21
    #[test]
    fn the_thunks_of_a_piece_are_taken_off_the_front_and_count_from_there() {
        let mut whole = Fixture::new();
        for index in [0, 2, 3, 6] {
            whole.add(index, whole.noting(None));
        }
        let calls = Arc::clone(&whole.calls);
        whole.add(7, move |answer: Answer| {
            calls.lock().push(-answer.unwrap().offset());
        });
        let mut runs = Vec::new();
        for records in [3, 1, 4] {
            let piece = Fixture {
                thunks: whole.thunks.take_front(records),
                calls: Arc::clone(&whole.calls),
            };
            runs.push(piece.run());
            whole.calls.lock().clear();
        }
        assert_eq!(runs, [vec![100, 102], vec![100], vec![102, -103]]);
        assert!(whole.run().is_empty());
    }
}
