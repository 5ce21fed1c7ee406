//! The ledger of a workload: the records that were sent and their results, which are compared with the log.
//!
//! Every record contains its topic, thread and number. A [`Ledger`] stores each record's result from its callback;
//! afterwards a [`Reading`] compares them with the records that Kafka's own consumer returns.

mod reading;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kafka_producer::{Delivery, ProduceError, RecordMetadata};

use crate::harness::ReadRecord;

pub(crate) use reading::{Findings, Reading};

/// The maximum number of partitions of a topic in the tests.
const PARTITIONS: usize = 64;

/// The identity of a record: thread and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) thread: usize,
    pub(crate) number: usize,
}

/// The result that a record's callback received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordResult {
    /// `offset` is `None` with acks=0: there is no response that contains it.
    Acknowledged {
        partition: i32,
        offset: Option<i64>,
    },
    NotWritten,
    MaybeWritten,
}

/// The result of a record, with the time of its callback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) result: RecordResult,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Entry {
    /// The time at which `send` returned.
    taken: OnceLock<Instant>,
    outcome: OnceLock<Outcome>,
}

/// The results of up to `per_thread` records of each of `threads` threads, all to one topic.
pub(crate) struct Ledger {
    topic: String,
    began: Instant,
    per_thread: usize,
    entries: Vec<Entry>,
    /// How many records each thread has sent.
    sent: Vec<AtomicUsize>,
    resolved: AtomicUsize,
    /// For each partition, the latest send time of an acknowledged record, in nanoseconds since the ledger's creation.
    acknowledged_from: Vec<AtomicU64>,
}

/// Counts of the results.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) open: usize,
    pub(crate) acknowledged: usize,
    pub(crate) not_written: usize,
    pub(crate) maybe_written: usize,
}

impl Ledger {
    pub(crate) fn new(topic: &str, threads: usize, per_thread: usize) -> Arc<Self> {
        Arc::new(Self {
            topic: topic.to_owned(),
            began: Instant::now(),
            per_thread,
            entries: std::iter::repeat_with(Entry::default)
                .take(threads * per_thread)
                .collect(),
            sent: (0..threads).map(|_| AtomicUsize::new(0)).collect(),
            resolved: AtomicUsize::new(0),
            acknowledged_from: (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    fn place(&self, id: Id) -> usize {
        assert!(
            id.number < self.per_thread,
            "the ledger's capacity is exceeded"
        );
        id.thread * self.per_thread + id.number
    }

    /// Whether there is capacity for another record of the thread.
    pub(crate) fn has_room(&self, thread: usize) -> bool {
        self.sent[thread].load(Ordering::Relaxed) < self.per_thread
    }

    /// Adds a record that is about to be sent, and returns its callback, which stores the result.
    pub(crate) fn callback(
        self: &Arc<Self>,
        thread: usize,
        number: usize,
    ) -> impl FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static {
        let ledger = Arc::clone(self);
        let place = self.place(Id { thread, number });
        let sent = Instant::now();
        self.sent[thread].fetch_max(number + 1, Ordering::AcqRel);
        move |result: Result<&RecordMetadata, &ProduceError>| {
            let result = match result {
                Ok(metadata) => {
                    ledger.acknowledged_from[metadata.partition() as usize].fetch_max(
                        sent.saturating_duration_since(ledger.began).as_nanos() as u64,
                        Ordering::AcqRel,
                    );
                    RecordResult::Acknowledged {
                        partition: metadata.partition(),
                        offset: metadata.has_offset().then(|| metadata.offset()),
                    }
                }
                Err(error) if error.delivery() == Delivery::NotWritten => RecordResult::NotWritten,
                Err(_) => RecordResult::MaybeWritten,
            };
            let outcome = Outcome {
                result,
                at: Instant::now(),
            };
            let first = ledger.entries[place].outcome.set(outcome).is_ok();
            assert!(first, "the callback ran twice");
            ledger.resolved.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Stores the time at which `send` returned: the record is appended to a batch, or has failed.
    pub(crate) fn taken(&self, thread: usize, number: usize) {
        let first = self.entries[self.place(Id { thread, number })]
            .taken
            .set(Instant::now())
            .is_ok();
        assert!(first, "the record was sent twice");
    }

    /// Every record that was sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = Id> + '_ {
        self.sent.iter().enumerate().flat_map(|(thread, count)| {
            (0..count.load(Ordering::Acquire)).map(move |number| Id { thread, number })
        })
    }

    /// The result of a record, if it has one.
    pub(crate) fn outcome(&self, id: Id) -> Option<Outcome> {
        self.entries[self.place(id)].outcome.get().copied()
    }

    /// The latency of a record, from the return of `send` to its callback; zero if the callback came first, `None` if
    /// one of the two has not happened.
    pub(crate) fn took(&self, id: Id) -> Option<Duration> {
        let entry = &self.entries[self.place(id)];
        let (taken, outcome) = (entry.taken.get()?, entry.outcome.get()?);
        Some(outcome.at.saturating_duration_since(*taken))
    }

    /// The longest latency of the records completed in this period.
    pub(crate) fn slowest(&self, during: &Range<Instant>) -> Duration {
        self.sent()
            .filter(|id| self.outcome(*id).is_some_and(|o| during.contains(&o.at)))
            .filter_map(|id| self.took(id))
            .max()
            .unwrap_or_default()
    }

    /// The number of records without a result.
    pub(crate) fn open(&self) -> usize {
        // The number of results is read first: a record that is sent between the two reads counts as one without a
        // result.
        let resolved = self.resolved.load(Ordering::Acquire);
        let sent = self.sent.iter().map(|count| count.load(Ordering::Acquire));
        sent.sum::<usize>().saturating_sub(resolved)
    }

    /// Whether a record that was sent after `since` has been acknowledged in each of the first `partitions` partitions.
    pub(crate) fn all_acknowledge_since(&self, partitions: usize, since: Instant) -> bool {
        let since = since.saturating_duration_since(self.began).as_nanos() as u64;
        self.acknowledged_from[..partitions]
            .iter()
            .all(|newest| newest.load(Ordering::Acquire) > since)
    }

    /// Counts the results.
    pub(crate) fn tally(&self) -> Tally {
        self.tally_of(|_| true)
    }

    /// Counts the results whose callbacks ran in this period.
    pub(crate) fn tally_during(&self, during: &Range<Instant>) -> Tally {
        self.tally_of(|outcome| outcome.is_some_and(|outcome| during.contains(&outcome.at)))
    }

    fn tally_of(&self, counts: impl Fn(Option<Outcome>) -> bool) -> Tally {
        let mut tally = Tally::default();
        for id in self.sent() {
            let outcome = self.outcome(id);
            if !counts(outcome) {
                continue;
            }
            *match outcome.map(|outcome| outcome.result) {
                Some(RecordResult::Acknowledged { .. }) => &mut tally.acknowledged,
                Some(RecordResult::NotWritten) => &mut tally.not_written,
                Some(RecordResult::MaybeWritten) => &mut tally.maybe_written,
                None => &mut tally.open,
            } += 1;
        }
        tally
    }

    /// The value of a record: `topic:thread:number:`, padded to `size` bytes.
    pub(crate) fn payload(&self, thread: usize, number: usize, size: usize) -> Vec<u8> {
        let mut text = format!("{}:{thread}:{number}:", self.topic).into_bytes();
        text.resize(size.max(text.len()), b'.');
        text
    }

    /// The identity of a record, from its value, or from a header if the value is null. Panics for a record of another
    /// topic.
    pub(crate) fn identity(&self, record: &ReadRecord<'_>) -> Id {
        let id = record
            .headers
            .iter()
            .find(|(name, _)| *name == "id")
            .and_then(|(_, value)| *value);
        let bytes = record
            .value
            .or(id)
            .expect("a record without value has its identity in a header");
        self.parse(bytes)
    }

    fn parse(&self, bytes: &[u8]) -> Id {
        let text = std::str::from_utf8(bytes).expect("the payload is text");
        let mut parts = text.split(':');
        assert_eq!(
            parts.next(),
            Some(&*self.topic),
            "a record of another topic: {text}"
        );
        let mut next = || {
            parts
                .next()
                .and_then(|part| part.parse().ok())
                .expect("topic:thread:number")
        };
        Id {
            thread: next(),
            number: next(),
        }
    }
}
