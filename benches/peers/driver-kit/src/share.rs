//! One sending thread's part of a round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::payloads::{Blocks, Cycle};
use crate::protocol::Mode;
use crate::tally::{TALLY, Ticket};

/// A record to send.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The key; `None` without keys.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: &'a [u8],
}

/// One sending thread's part of a round: the records `thread`, `thread + threads`, ….
#[derive(Debug)]
pub struct Share {
    pub(crate) thread: usize,
    pub(crate) round: Arc<Round>,
}

/// The part of a round that all threads share.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) mode: Mode,
    pub(crate) records: u64,
    pub(crate) threads: usize,
    pub(crate) callback: bool,
    pub(crate) values: Arc<Blocks>,
    pub(crate) keys: Option<Arc<Blocks>>,
    pub(crate) start: Instant,
    /// Nanoseconds between two records of a paced round.
    pub(crate) step_nanos: f64,
    /// Nanoseconds between two wake-ups of sending threads in a paced round; `None` if each record has its own time.
    pub(crate) tick_nanos: Option<f64>,
    /// The number of records in a group.
    pub(crate) group: u64,
    pub(crate) give_up: Option<Instant>,
    /// Records sent so far, by thread; each thread writes its own counter.
    pub(crate) sent: Vec<Sent>,
}

/// A counter with a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Sent(AtomicU64);

impl Round {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.iter().map(|sent| sent.0.load(Relaxed)).sum()
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.give_up.is_some_and(|end| Instant::now() >= end)
    }
}

/// A record with its ticket and due time.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The record to send.
    pub record: Record<'a>,
    /// The ticket that reports its result.
    pub ticket: Ticket,
    /// When to send the record; `None` unless the round is paced.
    pub due: Option<Instant>,
}

impl Share {
    /// How the records follow each other.
    pub fn mode(&self) -> Mode {
        self.round.mode
    }

    /// Whether the result of each record is reported by its ticket. Always true in modes other than [`Mode::Blast`];
    /// in [`Mode::OneByOne`] the sending thread itself reports it.
    pub fn callback(&self) -> bool {
        self.round.callback || self.round.mode != Mode::Blast
    }

    /// The number of records of this thread.
    pub fn len(&self) -> u64 {
        let (records, threads) = (self.round.records, self.round.threads as u64);
        let thread = self.thread as u64;
        records / threads + u64::from(thread < records % threads)
    }

    /// Whether this thread has no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An iterator over the records; it ends early if the round is cancelled. In [`Mode::OneByOne`] the latency of
    /// a record begins when the iterator returns it.
    pub fn turns(&self) -> Turns<'_> {
        let (first, step) = (self.thread, self.round.threads);
        Turns {
            round: &self.round,
            thread: first,
            index: first as u64,
            left: self.len(),
            taken: 0,
            sent: self.counter(),
            ticket: Ticket::untimed(),
            values: self.round.values.every(first, step),
            keys: self
                .round
                .keys
                .as_deref()
                .map(|keys| keys.every(first, step)),
        }
    }

    /// When the round is cancelled; `None` if it has no limit.
    pub fn give_up_at(&self) -> Option<Instant> {
        self.round.give_up
    }

    /// Counts records as acknowledged without their tickets: for a client that only counts batches.
    pub fn acked(&self, count: u64) {
        TALLY.add_acked(count);
    }

    /// Counts records as sent that do not come from [`turns`](Self::turns).
    pub fn sent(&self, count: u64) {
        self.counter().fetch_add(count, Relaxed);
    }

    fn counter(&self) -> &AtomicU64 {
        &self.round.sent[self.thread].0
    }

    /// Counts records as failed without their tickets.
    pub fn failed(&self, count: u64, reason: impl ToString) {
        TALLY.add_failed(count, || reason.to_string());
    }

    /// Calls `send` with each record, one after another. If `send` returns an error, the record counts as failed.
    #[inline]
    pub fn for_each(&self, send: impl Fn(Turn<'_>) -> Result<(), String>) {
        for turn in self.turns() {
            if let Err(reason) = send(turn) {
                turn.ticket.failed(reason);
            }
        }
    }

    /// Calls `send` with each record of each group, one group after another. If `end` succeeds, the records of the
    /// group count as acknowledged. If it fails, all remaining records fail, because later groups would only fail too.
    pub fn for_each_group(
        &self,
        begin: impl Fn() -> Result<(), String>,
        send: impl Fn(Record<'_>) -> Result<(), String>,
        end: impl Fn() -> Result<(), String>,
    ) {
        let mut turns = self.turns();
        while turns.left > 0 {
            let (start, before) = (Instant::now(), turns.taken);
            let outcome = begin().and_then(|()| {
                while turns.taken < before + self.round.group {
                    let Some(turn) = turns.next() else { break };
                    send(turn.record)?;
                }
                end()
            });
            let taken = turns.taken - before;
            match outcome {
                Ok(()) if taken > 0 => {
                    TALLY.record_latency(
                        u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
                    );
                    self.acked(taken);
                }
                // The round is cancelled.
                Ok(()) => return,
                Err(reason) => return self.failed(taken + turns.left, reason),
            }
        }
    }
}

/// The records of a share.
#[derive(Debug)]
pub struct Turns<'a> {
    round: &'a Round,
    thread: usize,
    index: u64,
    left: u64,
    taken: u64,
    sent: &'a AtomicU64,
    ticket: Ticket,
    values: Cycle<'a>,
    keys: Option<Cycle<'a>>,
}

impl<'a> Iterator for Turns<'a> {
    type Item = Turn<'a>;

    #[inline]
    fn next(&mut self) -> Option<Turn<'a>> {
        if self.left == 0 || self.round.is_given_up() {
            return None;
        }
        self.left -= 1;
        self.taken += 1;
        // A store instead of an addition: no other thread writes the counter.
        self.sent.store(self.taken, Relaxed);
        let record = Record {
            key: self.keys.as_mut().map(Cycle::next),
            value: self.values.next(),
        };
        let index = self.index;
        self.index += self.round.threads as u64;
        let (ticket, due) = match self.round.mode {
            Mode::Blast | Mode::Groups => (self.ticket, None),
            Mode::OneByOne => (Ticket::since(Instant::now()), None),
            Mode::Rate => {
                let nanos = index as f64 * self.round.step_nanos;
                let tick = self.round.tick_nanos;
                let nanos = tick.map_or(nanos, |tick| self.next_tick(nanos, tick));
                let due = self.round.start + Duration::from_nanos(nanos as u64);
                let ticket = tick.map_or_else(|| Ticket::since(due), |_| self.ticket);
                (ticket, Some(due))
            }
        };
        Some(Turn {
            record,
            ticket,
            due,
        })
    }
}

impl Turns<'_> {
    /// The next time from `nanos` on at which this thread wakes up: the threads take turns, a tick apart.
    fn next_tick(&self, nanos: f64, tick: f64) -> f64 {
        let (phase, period) = (tick * self.thread as f64, tick * self.round.threads as f64);
        ((nanos - phase) / period).ceil().max(0.0) * period + phase
    }
}
