//! A thread's place in the pool's queue of waiters, and the batching of its wake-ups.
//!
//! A waiter that is first in the queue sleeps at most [`WakeUpBatching::LONGEST`] before it looks for memory by itself.
//! So memory may be returned without a notification until several batches can be filled with it: the thread wakes up
//! once for all of them. If that sleep brought little, wake-ups are not batched for a while, and every return of
//! memory notifies the first waiter. So no free memory stays unused for longer than that sleep, even if no more is
//! returned.

use std::sync::Arc;
use std::time::Duration;

use super::{BufferPool, Denied, Lease, PoolState, Waiter};
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::producer::waiting::{Event, SleepPermit};
#[cfg(all(feature = "testing", feature = "_internals"))]
use crate::sync::Condvar;
use crate::sync::atomic::Ordering;

/// A waiter for memory, in the pool's FIFO queue. Dropping it returns the bytes it has gathered and leaves the queue.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(super) pool: Arc<BufferPool>,
    pub(super) waiter: Arc<Waiter>,
    size_bytes: usize,
    pub(super) gathered: Gathered,
    sleep: BatchedSleep,
}

/// The bytes a waiter has gathered so far (BP-5).
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) bytes: usize,
    /// Whether the lease was created; the ticket then has no bytes to return.
    done: bool,
}

/// A waiter's sleep until the memory of several batches is free. A waiter sleeps so at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchedSleep {
    /// Not begun: the waiter has not slept as the first of the queue yet.
    Due,
    /// At this time the waiter looks for memory, however little is free.
    Until(Instant),
    /// Each return of memory notifies the waiter, if it is the first.
    Over,
}

/// Decides how much memory must be free before the first waiter is notified.
#[derive(Debug)]
pub(super) struct WakeUpBatching {
    /// The most bytes that a waiter sleeps for.
    most_bytes: usize,
    /// Free bytes from which a return of memory notifies the first waiter.
    due_bytes: usize,
    /// How many waiters in a row found little after a batched sleep.
    failures: u32,
    /// How many of the next waiters do without a batched sleep.
    skipped: u32,
}

/// Each return of memory notifies the first waiter.
const ANY_BYTES: usize = 1;

impl WakeUpBatching {
    /// The longest sleep during which a return of memory may leave the first waiter asleep.
    pub(super) const LONGEST: Duration = Duration::from_millis(1);

    /// The most batches whose memory a waiter sleeps for.
    const MOST_BATCHES: usize = 64;

    /// The fewest batches for whose memory a batched sleep is worth while.
    const FEWEST_BATCHES: usize = 4;

    /// At most so many waiters in a row, as a power of two, do without a batched sleep.
    const MOST_SKIPPED_LOG2: u32 = 10;

    pub(super) fn new(total_bytes: usize) -> Self {
        Self {
            // The rest of the pool still keeps the brokers busy.
            most_bytes: total_bytes / 8,
            due_bytes: ANY_BYTES,
            failures: 0,
            skipped: 0,
        }
    }

    /// From now on each return of memory notifies the first waiter.
    fn notify_of_any(&mut self) {
        self.due_bytes = ANY_BYTES;
    }

    /// Whether a return of memory notifies the first waiter, now that so many bytes are free.
    pub(super) fn is_due(&self, free_bytes: usize) -> bool {
        free_bytes >= self.due_bytes
    }

    /// Begins the sleep of the first waiter, which needs memory for a batch of this size.
    fn begin(&mut self, batch_bytes: usize, now: Instant) -> BatchedSleep {
        let enough_bytes = (batch_bytes.saturating_mul(Self::MOST_BATCHES)).min(self.most_bytes);
        if enough_bytes < batch_bytes.saturating_mul(Self::FEWEST_BATCHES) {
            return BatchedSleep::Over;
        }
        if self.skipped > 0 {
            self.skipped -= 1;
            return BatchedSleep::Over;
        }
        self.due_bytes = enough_bytes;
        BatchedSleep::Until(now + Self::LONGEST)
    }

    /// Ends the batched sleep of the first waiter, which needs memory for a batch of this size. `free_bytes` are free.
    fn end(&mut self, batch_bytes: usize, free_bytes: usize) {
        self.notify_of_any();
        if free_bytes / Self::FEWEST_BATCHES >= batch_bytes {
            self.failures = 0;
        } else {
            // Memory is returned so slowly that the sleep only delays: for twice as many waiters as before every
            // return is notified.
            self.failures = (self.failures + 1).min(Self::MOST_SKIPPED_LOG2);
            self.skipped = 1 << self.failures;
        }
    }
}

impl Ticket {
    pub(super) fn new(pool: Arc<BufferPool>, waiter: Arc<Waiter>, size_bytes: usize) -> Self {
        Self {
            pool,
            waiter,
            size_bytes,
            gathered: Gathered::default(),
            sleep: BatchedSleep::Due,
        }
    }

    /// Gathers available memory. Returns the lease once enough is gathered, else `Exhausted`.
    pub(crate) fn poll(&mut self) -> Result<Lease, Denied> {
        let pool = Arc::clone(&self.pool);
        // Declared before the lock guard, and therefore dropped after it, even on an early return.
        let mut dropped = Vec::new();
        let buffer = {
            let mut state = pool.state.lock();
            if state.closed {
                return Err(Denied::Closed);
            }
            if !self.is_first(&state) {
                return Err(Denied::Exhausted);
            }
            let free_bytes = state.free_bytes(pool.poolable_bytes);
            // No pooled buffer is taken after bytes were gathered: the lease would take both.
            let pooled = if self.gathered.bytes == 0 {
                pool.take_pooled(&mut state, self.size_bytes)
            } else {
                None
            };
            if pooled.is_none() {
                let missing = self.size_bytes - self.gathered.bytes;
                // Partial allocation: bytes are gathered as they are returned, so small requests do not starve large
                // ones.
                dropped = pool.free_up(&mut state, missing.min(free_bytes));
                let taken = missing.min(state.available_bytes);
                state.available_bytes -= taken;
                self.gathered.bytes += taken;
                if self.gathered.bytes < self.size_bytes {
                    return Err(Denied::Exhausted);
                }
            }
            // The gathered bytes now belong to the lease: `drop` must not give them back.
            self.gathered = Gathered {
                bytes: 0,
                done: true,
            };
            if matches!(self.sleep, BatchedSleep::Until(_)) {
                state.batching.end(self.batch_bytes(), free_bytes);
            }
            self.leave(&mut state);
            pooled
        };
        drop(dropped);
        Ok(pool.lease(buffer, self.size_bytes))
    }

    /// When the waiter must look for memory again although nothing has notified it; never if each return of memory
    /// notifies it. To be called after each [`poll`](Self::poll) that was denied, before the sleep.
    pub(crate) fn next_poll(&mut self, now: Instant) -> Deadline {
        self.sleep = match self.sleep {
            BatchedSleep::Over => return Deadline::Never,
            BatchedSleep::Until(_) if planted!(BatchedSleepUnbounded) => return Deadline::Never,
            BatchedSleep::Until(end) if now < end => return Deadline::At(end),
            BatchedSleep::Until(_) => {
                let mut state = self.pool.state.lock();
                let free_bytes = state.free_bytes(self.pool.poolable_bytes);
                state.batching.end(self.batch_bytes(), free_bytes);
                BatchedSleep::Over
            }
            BatchedSleep::Due => {
                let mut state = self.pool.state.lock();
                if !self.is_first(&state) {
                    return Deadline::Never;
                }
                state.batching.begin(self.batch_bytes(), now)
            }
        };
        match self.sleep {
            BatchedSleep::Until(end) if !planted!(BatchedSleepUnbounded) => Deadline::At(end),
            _ => Deadline::Never,
        }
    }

    /// The size of the batches that the thread fills: later ones usually have the pooled size.
    fn batch_bytes(&self) -> usize {
        self.size_bytes.max(self.pool.poolable_bytes).max(1)
    }

    fn is_first(&self, state: &PoolState) -> bool {
        state
            .waiters
            .front()
            .is_some_and(|first| Arc::ptr_eq(first, &self.waiter) || planted!(LineIsNotKept))
    }

    /// Leaves the queue, and notifies the new first waiter if any memory is available.
    fn leave(&self, state: &mut PoolState) {
        // The waiter is not always the first: one that timed out leaves from anywhere in the queue.
        if let Some(at) = state
            .waiters
            .iter()
            .position(|w| Arc::ptr_eq(w, &self.waiter))
        {
            state.waiters.remove(at);
            self.pool.waiting.fetch_sub(1, Ordering::AcqRel);
            if at == 0 && !planted!(BatchedSleepInherited) {
                // The next waiter may be asleep already, and would not look for memory by itself.
                state.batching.notify_of_any();
            }
        }
        // The notification is passed on: a refund notifies one waiter, which may need less than was returned.
        let is_any = state.available_bytes > 0 || !state.free.is_empty();
        if is_any && !planted!(NextInLineNotWoken) {
            if let Some(first) = state.waiters.front() {
                first.changed.notify_one();
            }
        }
    }
}

/// The event that memory was returned, which this waiter may take, or that the pool was closed.
impl Event for Ticket {
    fn sleep(&self, permit: SleepPermit) {
        // Checked under the lock that `refund` and `close` hold: no notification falls between the check and the sleep.
        let mut state = self.pool.state.lock();
        let free_bytes = state.free_bytes(self.pool.poolable_bytes);
        let nothing_to_take = !state.batching.is_due(free_bytes) || !self.is_first(&state);
        let must_wait = nothing_to_take && !state.closed;
        if planted!(TicketLooksUnlocked) {
            drop(state);
            state = self.pool.state.lock();
        }
        if must_wait {
            permit.on(&self.waiter.changed, &mut state);
        }
    }

    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)> {
        Some(("memory", &self.waiter.changed))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.gathered.done {
            return;
        }
        let mut state = self.pool.state.lock();
        if !planted!(BlindTicketKeepsGathered) {
            state.give_back(self.gathered.bytes);
        }
        self.leave(&mut state);
    }
}
