//! The memory that batches live in: a fixed amount, handed out in leases and given back when the last
//! handle to a lease is dropped — by the sender, or by a socket that was still writing it.
//!
//! Memory can therefore not be used again while anything can still read it, whatever became of the
//! batch meanwhile (in Java's 3.0.0 an expired batch's memory could: KAFKA-19012).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::waiting::{Event, Nap};
use crate::planted::planted;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, Rank};

/// The memory of one producer's batches.
///
/// # Kafka
/// `BufferPool`. Differs: waiting is a [`Ticket`] that is asked, so that the simulator can step it,
/// and free buffers are handed out last in, first out, while they are warm.
#[derive(Debug)]
pub(crate) struct BufferPool {
    total_bytes: usize,
    /// The size of buffers that are kept for reuse: `batch.size`.
    poolable_bytes: usize,
    state: Mutex<PoolState>,
    /// How many threads wait for memory; mirrors `state.waiters.len()`.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct PoolState {
    /// Bytes neither leased nor in `free`.
    // Invariant: available + free.len() · poolable + held by waiters + leased == total + owed.
    available_bytes: usize,
    /// Bytes that were leased beyond the total; paid with the next that come back. While any are owed,
    /// nothing is available.
    owed_bytes: usize,
    /// Buffers of `poolable_bytes`, empty, ready to be used again.
    free: Vec<Vec<u8>>,
    /// Who waits, longest first. Only the first takes memory.
    waiters: VecDeque<Arc<Waiter>>,
    closed: bool,
}

#[derive(Debug)]
struct Waiter {
    changed: Condvar,
}

/// Why memory was not handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is not enough at this moment.
    Exhausted,
    /// The pool is closed.
    Closed,
}

impl PoolState {
    /// Takes back bytes that were leased, or gathered for a lease: what is owed is paid first.
    fn give_back(&mut self, size_bytes: usize) {
        let paid = self.owed_bytes.min(size_bytes);
        self.owed_bytes -= paid;
        self.available_bytes += size_bytes - paid;
    }
}

impl BufferPool {
    pub(crate) fn new(total_bytes: usize, poolable_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            total_bytes,
            poolable_bytes,
            state: Mutex::new(
                Rank::POOL,
                PoolState {
                    available_bytes: total_bytes,
                    owed_bytes: 0,
                    free: Vec::new(),
                    waiters: VecDeque::new(),
                    closed: false,
                },
            ),
            waiting: AtomicUsize::new(0),
        })
    }

    #[inline]
    pub(crate) fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Bytes not leased, those kept for reuse included.
    pub(crate) fn available_bytes(&self) -> usize {
        let state = self.state.lock();
        state.available_bytes + state.free.len() * self.poolable_bytes
    }

    /// How many threads wait for memory (BP-15).
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Leases memory that is there at this moment, also when others wait for more (BP-7).
    ///
    /// `size_bytes` must not exceed the pool's total, which the caller has checked.
    pub(crate) fn try_allocate(self: &Arc<Self>, size_bytes: usize) -> Result<Lease, Denied> {
        debug_assert!(size_bytes <= self.total_bytes);
        let (buffer, dropped) = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Denied::Closed);
            }
            let pooled = self.take_pooled(&mut state, size_bytes);
            let mut dropped = Vec::new();
            if pooled.is_none() {
                dropped = self.free_up(&mut state, size_bytes);
                if state.available_bytes < size_bytes {
                    return Err(Denied::Exhausted);
                }
                state.available_bytes -= size_bytes;
            }
            (pooled, dropped)
        };
        drop(dropped);
        Ok(self.lease(buffer, size_bytes))
    }

    /// Leases memory that is in use already, whether or not the total allows it: the parts of a batch
    /// that is being divided, whose own memory comes back right afterwards. What goes beyond the total
    /// is paid with that, before anybody else gets any.
    pub(crate) fn adopt(self: &Arc<Self>, buffer: Vec<u8>) -> Lease {
        let size_bytes = buffer.capacity();
        let dropped = {
            let mut state = self.state.lock();
            let reachable = state.available_bytes + state.free.len() * self.poolable_bytes;
            let dropped = self.free_up(&mut state, size_bytes.min(reachable));
            let taken = size_bytes.min(state.available_bytes);
            state.available_bytes -= taken;
            if !planted!(AdoptedMemoryNotOwed) {
                state.owed_bytes += size_bytes - taken;
            }
            dropped
        };
        drop(dropped);
        self.lease(Some(buffer), size_bytes)
    }

    /// Joins the queue for memory.
    pub(crate) fn enqueue(self: &Arc<Self>, size_bytes: usize) -> Result<Ticket, Denied> {
        debug_assert!(size_bytes <= self.total_bytes);
        let waiter = Arc::new(Waiter {
            changed: Condvar::new(),
        });
        let mut state = self.state.lock();
        if state.closed {
            return Err(Denied::Closed);
        }
        state.waiters.push_back(Arc::clone(&waiter));
        self.waiting.fetch_add(1, Ordering::AcqRel);
        drop(state);
        Ok(Ticket {
            pool: Arc::clone(self),
            waiter,
            size_bytes,
            gathered: Gathered::default(),
        })
    }

    /// Refuses all further leases and wakes everyone who waits (BP-12).
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiters = state.waiters.iter();
        for waiter in waiters.filter(|_| !planted!(CloseLeavesMemoryWaiters)) {
            if planted!(PoolCloseTellsOne) && !Arc::ptr_eq(waiter, &state.waiters[0]) {
                break;
            }
            waiter.changed.notify_all();
        }
    }

    fn take_pooled(&self, state: &mut PoolState, size_bytes: usize) -> Option<Vec<u8>> {
        if size_bytes == self.poolable_bytes {
            state.free.pop()
        } else {
            None
        }
    }

    /// Turns kept buffers back into plain bytes until `size_bytes` are available, or none is left.
    /// The buffers are returned, to be dropped outside the lock.
    fn free_up(&self, state: &mut PoolState, size_bytes: usize) -> Vec<Vec<u8>> {
        if state.available_bytes >= size_bytes
            || state.available_bytes + state.free.len() * self.poolable_bytes < size_bytes
        {
            return Vec::new();
        }
        let missing = size_bytes - state.available_bytes;
        let count = missing.div_ceil(self.poolable_bytes.max(1));
        let at = state.free.len() - count;
        state.available_bytes += count * self.poolable_bytes;
        state.free.split_off(at)
    }

    fn lease(self: &Arc<Self>, buffer: Option<Vec<u8>>, size_bytes: usize) -> Lease {
        Lease {
            buffer: buffer.unwrap_or_else(|| Vec::with_capacity(size_bytes)),
            size_bytes,
            pool: Arc::clone(self),
        }
    }

    /// Takes back `size_bytes`, with the buffer they stand for if there is one, and tells the longest
    /// waiter.
    fn refund(&self, mut buffer: Vec<u8>, size_bytes: usize) {
        let mut discarded = Vec::new();
        let mut state = self.state.lock();
        let is_usual = size_bytes == self.poolable_bytes && buffer.capacity() >= size_bytes;
        if is_usual && !state.closed && state.owed_bytes == 0 {
            buffer.clear();
            state.free.push(buffer);
        } else {
            state.give_back(size_bytes);
            discarded = buffer;
        }
        if let Some(first) = state
            .waiters
            .front()
            .filter(|_| !planted!(MemoryWaiterNotWoken))
        {
            first.changed.notify_one();
        }
        drop(state);
        drop(discarded);
    }
}

/// Memory taken from the pool; back in it when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    buffer: Vec<u8>,
    size_bytes: usize,
    pool: Arc<BufferPool>,
}

impl Lease {
    /// The leased memory, to be filled.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// How much was leased.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// More memory of the same pool, of the usual size or as much as is asked for, if there is some that
    /// nobody waits for.
    pub(crate) fn another(&self, at_least_bytes: usize) -> Option<Self> {
        if self.pool.waiting() > 0 {
            return None;
        }
        let size_bytes = at_least_bytes.max(self.pool.poolable_bytes);
        self.pool.try_allocate(size_bytes).ok()
    }

    /// Where it is from.
    pub(crate) fn pool(&self) -> Arc<BufferPool> {
        Arc::clone(&self.pool)
    }

    /// The filled memory, to be shared with sockets. The lease ends when the last share is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        if planted!(MemoryBackWhileSocketReads) {
            return Bytes::copy_from_slice(&self.buffer);
        }
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if planted!(MemoryNeverRefunded) && self.size_bytes > self.pool.poolable_bytes {
            return;
        }
        if planted!(MemoryRefundedTwice) {
            self.pool.refund(Vec::new(), self.size_bytes);
        }
        self.pool
            .refund(std::mem::take(&mut self.buffer), self.size_bytes);
    }
}

/// A place in the queue for memory. Dropping it gives back what it had gathered and leaves the queue.
#[derive(Debug)]
pub(crate) struct Ticket {
    pool: Arc<BufferPool>,
    waiter: Arc<Waiter>,
    size_bytes: usize,
    gathered: Gathered,
}

/// What a waiter has been given so far (BP-5).
#[derive(Debug, Default)]
struct Gathered {
    bytes: usize,
    done: bool,
}

impl Ticket {
    /// Takes what can be had: the lease when it is complete, `Exhausted` when more is needed.
    pub(crate) fn poll(&mut self) -> Result<Lease, Denied> {
        let pool = Arc::clone(&self.pool);
        let mut dropped = Vec::new();
        let buffer = {
            let mut state = pool.state.lock();
            if state.closed {
                return Err(Denied::Closed);
            }
            if !self.is_first(&state) {
                return Err(Denied::Exhausted);
            }
            let pooled = if self.gathered.bytes == 0 {
                pool.take_pooled(&mut state, self.size_bytes)
            } else {
                None
            };
            if pooled.is_none() {
                let missing = self.size_bytes - self.gathered.bytes;
                // Less than is missing is taken too: large requests are not starved by small ones.
                let reachable = state.available_bytes + state.free.len() * pool.poolable_bytes;
                dropped = pool.free_up(&mut state, missing.min(reachable));
                let taken = missing.min(state.available_bytes);
                state.available_bytes -= taken;
                self.gathered.bytes += taken;
                if self.gathered.bytes < self.size_bytes {
                    return Err(Denied::Exhausted);
                }
            }
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

    /// Leaves the queue and tells the next in line if there is something for it.
    fn leave(&self, state: &mut PoolState) {
        if let Some(at) = state
            .waiters
            .iter()
            .position(|w| Arc::ptr_eq(w, &self.waiter))
        {
            state.waiters.remove(at);
            self.pool.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        let is_any = state.available_bytes > 0 || !state.free.is_empty();
        if is_any && !planted!(NextInLineNotWoken) {
            if let Some(first) = state.waiters.front() {
                first.changed.notify_one();
            }
        }
    }
}

/// Memory may have come free.
impl Event for Ticket {
    fn sleep(&self, nap: Nap) {
        let mut state = self.pool.state.lock();
        let nothing_to_take =
            state.available_bytes == 0 && state.free.is_empty() || !self.is_first(&state);
        let must_wait = nothing_to_take && !state.closed;
        if planted!(TicketLooksUnlocked) {
            drop(state);
            state = self.pool.state.lock();
        }
        if must_wait {
            nap.on(&self.waiter.changed, &mut state);
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

#[cfg(test)]
mod tests;
