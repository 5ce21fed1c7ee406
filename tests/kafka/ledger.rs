//! Who sent what, what became of it and when, and whether the log agrees.
//!
//! Every record carries its topic, thread and number inside. A [`Ledger`] notes each record's fate as its
//! callback tells it; afterwards a [`Reading`] compares what Kafka's own consumer read.

mod reading;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kafka_producer::{Delivery, ProduceError, RecordMetadata};

use crate::harness::ReadRecord;

pub(crate) use reading::{Findings, Reading};

/// More partitions than any test makes.
const PARTITIONS: usize = 64;

/// One of a thread's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) thread: usize,
    pub(crate) number: usize,
}

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The offset is none where the brokers tell none (acks=0).
    Acknowledged {
        partition: i32,
        offset: Option<i64>,
    },
    NotWritten,
    MaybeWritten,
}

/// How a record ended, and when that was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) fate: Fate,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Entry {
    /// When `send` had taken it.
    taken: OnceLock<Instant>,
    outcome: OnceLock<Outcome>,
}

/// The fates of up to `per_thread` records of each of `threads` threads, all to one topic.
pub(crate) struct Ledger {
    topic: String,
    began: Instant,
    per_thread: usize,
    entries: Vec<Entry>,
    /// How many each thread has sent.
    sent: Vec<AtomicUsize>,
    resolved: AtomicUsize,
    /// For each partition, when the newest of its acknowledged records was sent: nanoseconds since the
    /// ledger's beginning.
    acknowledged_from: Vec<AtomicU64>,
}

/// How many records met which fate.
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
        assert!(id.number < self.per_thread, "the ledger has no room left");
        id.thread * self.per_thread + id.number
    }

    /// Whether the thread can send another record.
    pub(crate) fn has_room(&self, thread: usize) -> bool {
        self.sent[thread].load(Ordering::Relaxed) < self.per_thread
    }

    /// The callback for a record that is about to be sent.
    pub(crate) fn callback(
        self: &Arc<Self>,
        thread: usize,
        number: usize,
    ) -> impl FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static {
        let ledger = Arc::clone(self);
        let place = self.place(Id { thread, number });
        let sent = Instant::now();
        self.sent[thread].fetch_max(number + 1, Ordering::AcqRel);
        move |fate: Result<&RecordMetadata, &ProduceError>| {
            let fate = match fate {
                Ok(metadata) => {
                    ledger.acknowledged_from[metadata.partition() as usize].fetch_max(
                        sent.saturating_duration_since(ledger.began).as_nanos() as u64,
                        Ordering::AcqRel,
                    );
                    Fate::Acknowledged {
                        partition: metadata.partition(),
                        offset: metadata.has_offset().then(|| metadata.offset()),
                    }
                }
                Err(error) if error.delivery() == Delivery::NotWritten => Fate::NotWritten,
                Err(_) => Fate::MaybeWritten,
            };
            let outcome = Outcome {
                fate,
                at: Instant::now(),
            };
            let first = ledger.entries[place].outcome.set(outcome).is_ok();
            assert!(first, "a callback runs once");
            ledger.resolved.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Notes that `send` has returned: the record is in a batch, or has failed.
    pub(crate) fn taken(&self, thread: usize, number: usize) {
        let first = self.entries[self.place(Id { thread, number })]
            .taken
            .set(Instant::now())
            .is_ok();
        assert!(first, "a record is taken once");
    }

    /// Every record that was sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = Id> + '_ {
        self.sent.iter().enumerate().flat_map(|(thread, count)| {
            (0..count.load(Ordering::Acquire)).map(move |number| Id { thread, number })
        })
    }

    /// How a record ended, if it has.
    pub(crate) fn outcome(&self, id: Id) -> Option<Outcome> {
        self.entries[self.place(id)].outcome.get().copied()
    }

    /// From when `send` returned to when the fate was told; zero if that came first.
    pub(crate) fn took(&self, id: Id) -> Option<Duration> {
        let entry = &self.entries[self.place(id)];
        let (taken, outcome) = (entry.taken.get()?, entry.outcome.get()?);
        Some(outcome.at.saturating_duration_since(*taken))
    }

    /// The longest that a record took of those whose fate was told in this time.
    pub(crate) fn slowest(&self, during: &Range<Instant>) -> Duration {
        self.sent()
            .filter(|id| self.outcome(*id).is_some_and(|o| during.contains(&o.at)))
            .filter_map(|id| self.took(id))
            .max()
            .unwrap_or_default()
    }

    /// Records of which the fate is not known yet.
    pub(crate) fn open(&self) -> usize {
        // Resolved first: a record that is sent between the two looks is open.
        let resolved = self.resolved.load(Ordering::Acquire);
        let sent = self.sent.iter().map(|count| count.load(Ordering::Acquire));
        sent.sum::<usize>().saturating_sub(resolved)
    }

    /// Whether each of the first `partitions` partitions has acknowledged a record that was sent after
    /// `since`.
    pub(crate) fn all_acknowledge_since(&self, partitions: usize, since: Instant) -> bool {
        let since = since.saturating_duration_since(self.began).as_nanos() as u64;
        self.acknowledged_from[..partitions]
            .iter()
            .all(|newest| newest.load(Ordering::Acquire) > since)
    }

    /// Counts the fates.
    pub(crate) fn tally(&self) -> Tally {
        self.tally_of(|_| true)
    }

    /// Counts the fates that were told in this time; none of them is open.
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
            *match outcome.map(|outcome| outcome.fate) {
                Some(Fate::Acknowledged { .. }) => &mut tally.acknowledged,
                Some(Fate::NotWritten) => &mut tally.not_written,
                Some(Fate::MaybeWritten) => &mut tally.maybe_written,
                None => &mut tally.open,
            } += 1;
        }
        tally
    }

    /// `topic:thread:number`, filled up to `size` bytes.
    pub(crate) fn payload(&self, thread: usize, number: usize, size: usize) -> Vec<u8> {
        let mut text = format!("{}:{thread}:{number}:", self.topic).into_bytes();
        text.resize(size.max(text.len()), b'.');
        text
    }

    /// Whose record it is: told by its value, or where that is null by a header. A record of another
    /// topic has no business in this one.
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
