//! Who sent what, what became of it, and whether the log agrees.
//!
//! Every record carries its thread and number inside. A ledger notes each record's fate as its callback
//! tells it, and afterwards checks what Kafka's own consumer read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use kafka_producer::{Delivery, ProduceError, RecordMetadata};

use crate::harness::ReadRecord;

const OPEN: u8 = 0;
const ACKNOWLEDGED: u8 = 1;
const NOT_WRITTEN: u8 = 2;
const MAYBE_WRITTEN: u8 = 3;

/// The fates of `per_thread` records of each of `threads` threads.
pub(super) struct Ledger {
    per_thread: usize,
    fates: Vec<AtomicU8>,
    seen: Vec<AtomicU32>,
}

/// How many records met which fate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) open: usize,
    pub(super) acknowledged: usize,
    pub(super) not_written: usize,
    pub(super) maybe_written: usize,
}

impl Ledger {
    pub(super) fn new(threads: usize, per_thread: usize) -> Arc<Self> {
        let count = threads * per_thread;
        Arc::new(Self {
            per_thread,
            fates: (0..count).map(|_| AtomicU8::new(OPEN)).collect(),
            seen: (0..count).map(|_| AtomicU32::new(0)).collect(),
        })
    }

    fn place(&self, thread: usize, number: usize) -> usize {
        assert!(number < self.per_thread);
        thread * self.per_thread + number
    }

    /// The callback for a record.
    pub(super) fn callback(
        self: &Arc<Self>,
        thread: usize,
        number: usize,
    ) -> impl FnOnce(Result<RecordMetadata, ProduceError>) + Send + 'static {
        let (ledger, place) = (Arc::clone(self), self.place(thread, number));
        move |fate| {
            let fate = match fate {
                Ok(_) => ACKNOWLEDGED,
                Err(error) if error.delivery() == Delivery::NotWritten => NOT_WRITTEN,
                Err(_) => MAYBE_WRITTEN,
            };
            let before = ledger.fates[place].swap(fate, Ordering::AcqRel);
            assert_eq!(before, OPEN, "a callback runs once");
        }
    }

    /// Counts the fates of the first `sent` records of each thread.
    pub(super) fn tally(&self, sent: &[usize]) -> Tally {
        let mut tally = Tally::default();
        for (thread, &count) in sent.iter().enumerate() {
            for number in 0..count {
                let fate = self.fates[self.place(thread, number)].load(Ordering::Acquire);
                *match fate {
                    ACKNOWLEDGED => &mut tally.acknowledged,
                    NOT_WRITTEN => &mut tally.not_written,
                    MAYBE_WRITTEN => &mut tally.maybe_written,
                    _ => &mut tally.open,
                } += 1;
            }
        }
        tally
    }

    /// Notes that the record was read.
    pub(super) fn saw(&self, thread: usize, number: usize) {
        self.seen[self.place(thread, number)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was read agrees with what the callbacks told. Duplicates are for producers that are not
    /// idempotent.
    pub(super) fn check(&self, sent: &[usize], may_duplicate: bool) {
        for (thread, &count) in sent.iter().enumerate() {
            for number in 0..count {
                let place = self.place(thread, number);
                let seen = self.seen[place].load(Ordering::Relaxed);
                let fate = self.fates[place].load(Ordering::Acquire);
                let agrees = match fate {
                    ACKNOWLEDGED => seen == 1 || (may_duplicate && seen > 1),
                    NOT_WRITTEN => seen == 0,
                    MAYBE_WRITTEN => seen <= 1 || may_duplicate,
                    _ => false,
                };
                assert!(
                    agrees,
                    "record {thread}:{number}: fate {fate}, {seen} times in the log"
                );
            }
        }
    }
}

/// The order of each thread's records in each partition, as they are read.
pub(super) struct Order {
    last: Vec<Vec<Option<usize>>>,
}

impl Order {
    pub(super) fn new(partitions: usize, threads: usize) -> Self {
        Self {
            last: vec![vec![None; threads]; partitions],
        }
    }

    pub(super) fn check(&mut self, partition: i32, thread: usize, number: usize) {
        let last = &mut self.last[partition as usize][thread];
        assert!(
            last.is_none_or(|last| last < number),
            "partition {partition}, thread {thread}: {number} after {last:?}"
        );
        *last = Some(number);
    }
}

/// `thread:number`, filled up to `size` bytes.
pub(super) fn payload(thread: usize, number: usize, size: usize) -> Vec<u8> {
    let mut text = format!("{thread}:{number}:").into_bytes();
    text.resize(size.max(text.len()), b'.');
    text
}

/// Reads `thread:number` back.
pub(super) fn parse(bytes: &[u8]) -> (usize, usize) {
    let text = std::str::from_utf8(bytes).expect("the payload is text");
    let mut parts = text.split(':');
    let mut next = || {
        parts
            .next()
            .and_then(|part| part.parse().ok())
            .expect("thread:number")
    };
    (next(), next())
}

/// Whose record it is: told by its value, or where that is null by a header.
pub(super) fn identity(record: &ReadRecord<'_>) -> (usize, usize) {
    let id = record
        .headers
        .iter()
        .find(|(name, _)| *name == "id")
        .and_then(|(_, value)| *value);
    parse(
        record
            .value
            .or(id)
            .expect("a record without value has its identity in a header"),
    )
}
