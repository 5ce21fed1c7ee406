//! Counting the ends of records.
//!
//! A process has one tally, so that a [`Ticket`] is eight bytes and needs no pointer: clients can carry it as
//! the opaque value that many of them have.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// A record's claim to be counted once it has ended. Copy it to wherever the client tells the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

impl Ticket {
    /// For a record whose latency does not matter.
    pub(crate) fn untimed() -> Self {
        Self(u64::from(TALLY.round.load(Relaxed)) << TIME_BITS)
    }

    /// For a record whose latency counts from `start`.
    pub(crate) fn since(start: Instant) -> Self {
        let time = nanos_since_epoch(start).max(1) & TIME_MASK;
        Self(Self::untimed().0 | time)
    }

    /// The record was acknowledged.
    #[inline]
    pub fn acked(self) {
        if !self.is_of_this_round() {
            return;
        }
        let start = self.0 & TIME_MASK;
        if start != 0 {
            let latency = nanos_since_epoch(Instant::now()).saturating_sub(start);
            TALLY.record_latency(latency);
        }
        TALLY.add_acked(1);
    }

    /// The record failed.
    pub fn failed(self, reason: impl ToString) {
        if self.is_of_this_round() {
            TALLY.add_failed(1, || reason.to_string());
        }
    }

    /// For clients that carry a number with a record.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The ticket that became this number.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// A record that outlived its round counts no more.
    fn is_of_this_round(self) -> bool {
        self.0 >> TIME_BITS == u64::from(TALLY.round.load(Relaxed))
    }
}

/// A ticket is the round's number and, below it, when the record was due in nanoseconds since the process
/// began; 48 bits are 78 hours.
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) static TALLY: Tally = Tally {
    round: AtomicU32::new(0),
    target: AtomicU64::new(u64::MAX),
    acked: AtomicU64::new(0),
    failed: AtomicU64::new(0),
    rest: Mutex::new(Rest {
        first_error: None,
        latencies: None,
    }),
    reached: Condvar::new(),
};

fn nanos_since_epoch(instant: Instant) -> u64 {
    u64::try_from(instant.saturating_duration_since(*EPOCH).as_nanos()).unwrap_or(u64::MAX)
}

/// How many records of the round have ended.
pub(crate) struct Tally {
    /// Below 2^16.
    round: AtomicU32,
    /// How many are to end.
    target: AtomicU64,
    acked: AtomicU64,
    failed: AtomicU64,
    rest: Mutex<Rest>,
    reached: Condvar,
}

struct Rest {
    first_error: Option<String>,
    latencies: Option<Histogram<u64>>,
}

/// What a round came to.
pub(crate) struct Counts {
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) latency_ns: Vec<(u64, u64)>,
}

impl Tally {
    /// Begins a round in which so many records will end. Tickets of earlier rounds are void.
    pub(crate) fn begin(&self, target: u64) {
        LazyLock::force(&EPOCH);
        let mut rest = self.rest();
        rest.first_error = None;
        match &mut rest.latencies {
            Some(latencies) => latencies.reset(),
            none => *none = Some(empty_histogram()),
        }
        self.round
            .store((self.round.load(SeqCst) + 1) & 0xffff, SeqCst);
        self.acked.store(0, SeqCst);
        self.failed.store(0, SeqCst);
        self.target.store(target, SeqCst);
    }

    #[inline]
    pub(crate) fn add_acked(&self, count: u64) {
        let acked = self.acked.fetch_add(count, SeqCst) + count;
        // Each side adds to its counter before it reads the other, so the last one sees the sum.
        if acked + self.failed.load(SeqCst) >= self.target.load(Relaxed) {
            self.tell();
        }
    }

    pub(crate) fn add_failed(&self, count: u64, reason: impl FnOnce() -> String) {
        self.rest().first_error.get_or_insert_with(reason);
        let failed = self.failed.fetch_add(count, SeqCst) + count;
        if failed + self.acked.load(SeqCst) >= self.target.load(Relaxed) {
            self.tell();
        }
    }

    /// Notes the first error of a round without counting a record.
    pub(crate) fn complain(&self, reason: String) {
        self.rest().first_error.get_or_insert(reason);
    }

    pub(crate) fn record_latency(&self, nanos: u64) {
        if let Some(latencies) = &mut self.rest().latencies {
            latencies.saturating_record(nanos.max(1));
        }
    }

    /// Waits until the target is reached or `until` has come.
    pub(crate) fn wait(&self, until: Option<Instant>) {
        let mut rest = self.rest();
        while self.ended() < self.target.load(SeqCst) {
            let left = until.map_or(FOREVER, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            rest = self
                .reached
                .wait_timeout(rest, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Ends the round: what comes later is not counted.
    pub(crate) fn end(&self) -> Counts {
        let mut rest = self.rest();
        self.round
            .store((self.round.load(SeqCst) + 1) & 0xffff, SeqCst);
        Counts {
            acked: self.acked.load(SeqCst),
            failed: self.failed.load(SeqCst),
            first_error: rest.first_error.take(),
            latency_ns: rest
                .latencies
                .iter()
                .flat_map(Histogram::iter_recorded)
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        }
    }

    /// How many of so many records have not ended.
    pub(crate) fn open(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.ended())
    }

    fn ended(&self) -> u64 {
        self.acked.load(SeqCst) + self.failed.load(SeqCst)
    }

    fn tell(&self) {
        // With the lock held a waiter is either before its look at the counters or asleep.
        drop(self.rest());
        self.reached.notify_all();
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FOREVER: Duration = Duration::from_secs(1 << 30);

fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NANOS, 3).expect("three digits up to ten minutes")
}

/// Longer ones are kept as this.
const LONGEST_NANOS: u64 = 600_000_000_000;
