//! A thread's place in the pool's queue of waiters.

use std::sync::Arc;

use super::{BufferPool, Denied, Lease, PoolState, Waiter};
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
}

/// The bytes a waiter has gathered so far (BP-5).
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) bytes: usize,
    /// Whether the lease was created; the ticket then has no bytes to return.
    done: bool,
}

impl Ticket {
    pub(super) fn new(pool: Arc<BufferPool>, waiter: Arc<Waiter>, size_bytes: usize) -> Self {
        Self {
            pool,
            waiter,
            size_bytes,
            gathered: Gathered::default(),
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
            self.leave(&mut state);
            pooled
        };
        drop(dropped);
        Ok(pool.lease(buffer, self.size_bytes))
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
        }
        // The notification is passed on: a refund notifies one waiter, which may need less than was returned.
        if !planted!(NextInLineNotWoken) {
            state.notify_first();
        }
    }
}

/// The event that memory was returned, which this waiter may take, or that the pool was closed.
impl Event for Ticket {
    fn sleep(&self, permit: SleepPermit) {
        // Checked under the lock that `refund` and `close` hold: no notification falls between the check and the sleep.
        let mut state = self.pool.state.lock();
        let nothing_to_take = !state.has_free_memory() || !self.is_first(&state);
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
