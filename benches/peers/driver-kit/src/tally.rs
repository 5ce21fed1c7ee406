//! Counts the results of records.
//!
//! A process has one tally, so a [`Ticket`] is eight bytes without a pointer, and fits into the opaque value that
//! many clients carry with a record.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Reports the result of one record to the tally. It is copied to the code that receives the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

impl Ticket {
    /// A ticket for a record whose latency is not measured.
    pub(crate) fn untimed() -> Self {
        Self(u64::from(TALLY.round.load(Relaxed)) << TIME_BITS)
    }

    /// A ticket for a record whose latency is measured from `start`.
    pub(crate) fn since(start: Instant) -> Self {
        let time = nanos_since_epoch(start).max(1) & TIME_MASK;
        Self(Self::untimed().0 | time)
    }

    /// Counts the record as acknowledged.
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

    /// Counts the record as failed.
    pub fn failed(self, reason: impl ToString) {
        if self.is_of_this_round() {
            TALLY.add_failed(1, || reason.to_string());
        }
    }

    /// The ticket as a number, for clients that carry a number with a record.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The ticket of a number from [`to_bits`](Self::to_bits).
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether the record belongs to the current round; results of earlier rounds are not counted.
    fn is_of_this_round(self) -> bool {
        self.0 >> TIME_BITS == u64::from(TALLY.round.load(Relaxed))
    }
}

/// The lower 48 bits of a ticket are the due time of the record in nanoseconds since the start of the process, enough
/// for 78 hours; the upper bits are the number of the round.
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

/// Counts the complete records of a round.
pub(crate) struct Tally {
    /// The number of the round, below 2^16.
    round: AtomicU32,
    /// The number of records of the round.
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

/// The results of a round.
pub(crate) struct Counts {
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) latency_ns: Vec<(u64, u64)>,
}

impl Tally {
    /// Begins a round of this many records. Tickets of earlier rounds become invalid.
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
        // Each thread adds to its counter before it reads the other one, so the last thread reads the whole sum.
        if acked + self.failed.load(SeqCst) >= self.target.load(Relaxed) {
            self.notify();
        }
    }

    pub(crate) fn add_failed(&self, count: u64, reason: impl FnOnce() -> String) {
        self.rest().first_error.get_or_insert_with(reason);
        let failed = self.failed.fetch_add(count, SeqCst) + count;
        if failed + self.acked.load(SeqCst) >= self.target.load(Relaxed) {
            self.notify();
        }
    }

    /// Stores an error without counting a record, if it is the first of the round.
    pub(crate) fn record_error(&self, reason: String) {
        self.rest().first_error.get_or_insert(reason);
    }

    pub(crate) fn record_latency(&self, nanos: u64) {
        if let Some(latencies) = &mut self.rest().latencies {
            latencies.saturating_record(nanos.max(1));
        }
    }

    /// Waits until all records are complete, at most until `until`.
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

    /// Ends the round; later results are not counted.
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

    /// The number of records out of `sent` that are not complete.
    pub(crate) fn open(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.ended())
    }

    fn ended(&self) -> u64 {
        self.acked.load(SeqCst) + self.failed.load(SeqCst)
    }

    fn notify(&self) {
        // While the lock is held, a waiter has either not read the counters yet, or sleeps on the condition variable.
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

/// The longest latency in the histogram; longer latencies are stored as this value.
const LONGEST_NANOS: u64 = 600_000_000_000;
