//! Ledger: the outcome of each record, by its number.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use kafka_producer::{Delivery, ProduceError, ProduceErrorKind, RecordMetadata};

/// The delivery guarantee of a record's producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// Idempotent: an acknowledged record is in the log once, and no record is in it twice.
    Once,
    /// An acknowledged record is in the log.
    AtLeastOnce,
    /// acks=0: no guarantee.
    Nothing,
}

/// A record's position in the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// The outcome of a record, as its callback or future reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged(Place),
    /// Acknowledged without an offset.
    Sent,
    NotWritten,
    MaybeWritten,
}

pub(crate) const TOPICS: [&str; 3] = ["one", "few", "many"];
/// The initial number of partitions of each topic.
pub(crate) const PARTITIONS: [usize; 3] = [1, 4, 12];

impl Outcome {
    /// `None` for an error that is not the record's outcome: the wait timed out, or was refused.
    pub(crate) fn of(result: Result<&RecordMetadata, &ProduceError>) -> Option<Self> {
        match result {
            Ok(metadata) if !metadata.has_offset() => Some(Self::Sent),
            Ok(metadata) => Some(Self::Acknowledged(Place {
                topic: TOPICS.iter().position(|name| *name == metadata.topic())?,
                partition: metadata.partition(),
                offset: metadata.offset(),
            })),
            Err(error) => match (error.kind(), error.delivery()) {
                (ProduceErrorKind::Pending | ProduceErrorKind::Misuse, _) => None,
                (_, Delivery::NotWritten) => Some(Self::NotWritten),
                (_, Delivery::MaybeWritten) => Some(Self::MaybeWritten),
            },
        }
    }

    fn encode(self) -> u64 {
        match self {
            Self::NotWritten => 1,
            Self::MaybeWritten => 2,
            Self::Sent => 3,
            Self::Acknowledged(place) => {
                let (topic, partition) = (place.topic as u64, place.partition as u64);
                (1 << 63) | (topic << 56) | (partition << 40) | place.offset as u64
            }
        }
    }

    fn decode(code: u64) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::NotWritten),
            2 => Some(Self::MaybeWritten),
            3 => Some(Self::Sent),
            _ => Some(Self::Acknowledged(Place {
                topic: (code >> 56 & 0x7f) as usize,
                partition: (code >> 40 & 0xffff) as i32,
                offset: (code & 0xff_ffff_ffff) as i64,
            })),
        }
    }
}

const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;
const CALLS_BACK: u8 = 4;
const ONCE: u8 = 8;
const NOTHING: u8 = 16;

#[derive(Debug, Default)]
struct Entry {
    flags: AtomicU8,
    calls: AtomicU8,
    outcome: AtomicU64,
}

/// The state of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordState {
    pub(crate) guarantee: Guarantee,
    /// Whether `send` accepted the record; `None` if the call has not returned.
    pub(crate) accepted: Option<bool>,
    pub(crate) calls_back: bool,
    pub(crate) calls: u8,
    pub(crate) outcome: Option<Outcome>,
}

const PER_PAGE: usize = 1 << 16;

/// The entries of all records, in pages, so that entries are created without moving others.
pub(crate) struct Ledger {
    pages: Vec<OnceLock<Box<[Entry]>>>,
    next: AtomicU64,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            pages: (0..4096).map(|_| OnceLock::new()).collect(),
            next: AtomicU64::new(0),
        }
    }

    fn entry(&self, number: u64) -> &Entry {
        let (page, at) = (number as usize / PER_PAGE, number as usize % PER_PAGE);
        let page =
            self.pages[page].get_or_init(|| (0..PER_PAGE).map(|_| Entry::default()).collect());
        &page[at]
    }

    /// Creates an entry for a record that is about to be sent, and returns its number.
    pub(crate) fn open(&self, guarantee: Guarantee, calls_back: bool) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut flags = match guarantee {
            Guarantee::Once => ONCE,
            Guarantee::AtLeastOnce => 0,
            Guarantee::Nothing => NOTHING,
        };
        if calls_back {
            flags |= CALLS_BACK;
        }
        self.entry(number).flags.fetch_or(flags, Ordering::Relaxed);
        number
    }

    /// Stores whether the call that sends the record accepted it.
    pub(crate) fn returned(&self, number: u64, accepted: bool) {
        let flag = if accepted { ACCEPTED } else { REFUSED };
        self.entry(number).flags.fetch_or(flag, Ordering::Relaxed);
    }

    /// Counts a call of the record's callback.
    pub(crate) fn called(&self, number: u64) {
        self.entry(number).calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the record has a callback that has not been called yet.
    pub(crate) fn awaits_callback(&self, number: u64) -> bool {
        let entry = self.entry(number);
        let calls_back = entry.flags.load(Ordering::Relaxed) & CALLS_BACK != 0;
        calls_back && entry.calls.load(Ordering::Relaxed) == 0
    }

    /// Stores the outcome of a record.
    ///
    /// # Errors
    /// The outcome that was reported earlier, if it differs.
    pub(crate) fn reported(&self, number: u64, outcome: Outcome) -> Result<(), Outcome> {
        let known = self.entry(number).outcome.compare_exchange(
            0,
            outcome.encode(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        match known.err().and_then(Outcome::decode) {
            Some(before) if before != outcome => Err(before),
            _ => Ok(()),
        }
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = (u64, RecordState)> + '_ {
        (0..self.next.load(Ordering::Relaxed)).map(|number| {
            let entry = self.entry(number);
            let flags = entry.flags.load(Ordering::Relaxed);
            let state = RecordState {
                guarantee: match flags & (ONCE | NOTHING) {
                    ONCE => Guarantee::Once,
                    NOTHING => Guarantee::Nothing,
                    _ => Guarantee::AtLeastOnce,
                },
                accepted: (flags & (ACCEPTED | REFUSED) != 0).then_some(flags & ACCEPTED != 0),
                calls_back: flags & CALLS_BACK != 0,
                calls: entry.calls.load(Ordering::Relaxed),
                outcome: Outcome::decode(entry.outcome.load(Ordering::Relaxed)),
            };
            (number, state)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.next.load(Ordering::Relaxed) as usize
    }
}

/// The value of a record: its number, and padding derived from the number.
pub(crate) fn value(number: u64) -> Vec<u8> {
    let mut value = number.to_be_bytes().to_vec();
    // A few values fill a batch alone; most are small.
    let length = match number % 64 {
        0 => 6000,
        1..8 => 500,
        rest => rest as usize,
    };
    value.extend((0..length).map(|at| (number as usize / 8 + at / 5) as u8));
    value
}

/// The number of a record, if its value is intact.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_be_bytes(bytes.first_chunk().copied()?);
    (bytes == value(number)).then_some(number)
}
