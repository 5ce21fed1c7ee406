//! The buffer pool: `buffer.memory` bytes for batches. Memory is leased, and returns to the pool when the last
//! reference to the lease is dropped, by the sender or by a socket that was still writing it.
//!
//! The pool is the back-pressure on `send`: without free memory `send` blocks up to `max.block.ms`, in FIFO order, and
//! then fails with `BufferExhausted`. The caller measures the time.
//!
//! A lease ends only when nothing can read its memory any more. So memory is never reused too early, even if its batch
//! has expired meanwhile (in Kafka 3.0.0 this happens: KAFKA-19012).
//!
//! Memory that the sender returns in one step wakes the first waiter once ([`BufferPool::defer_wake_ups`]): it fills all
//! of the batches then, where a wake-up for each batch would cost more than filling it.

mod ticket;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::planted::planted;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, Rank};
pub(crate) use ticket::Ticket;

/// The buffer pool of one producer: a bounded amount of memory, with a FIFO queue of waiters.
///
/// # Kafka
/// `BufferPool`. Differs: a waiter is a [`Ticket`] that is polled, so that the simulator can step it, and free buffers
/// are reused last in, first out, while they are warm in the cache.
#[derive(Debug)]
pub(crate) struct BufferPool {
    total_bytes: usize,
    /// The size of pooled buffers: `batch.size`.
    poolable_bytes: usize,
    state: Mutex<PoolState>,
    /// How many threads wait for memory; mirrors `state.waiters.len()`.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct PoolState {
    /// Bytes that are neither leased, nor gathered by a waiter, nor in `free`.
    // Invariant: available + free.len() · poolable + held by waiters + leased == total + owed.
    available_bytes: usize,
    /// Bytes leased beyond the total. The next bytes that are returned pay this debt; until then nothing is available.
    owed_bytes: usize,
    /// The free list: empty buffers of `poolable_bytes`.
    free: Vec<Vec<u8>>,
    /// Waiters, in FIFO order. Only the first of them takes memory.
    waiters: VecDeque<Arc<Waiter>>,
    /// The number of [`DeferredWakeUps`]: while there are any, returned memory notifies no waiter.
    deferrals: usize,
    closed: bool,
}

#[derive(Debug)]
struct Waiter {
    changed: Condvar,
}

/// Why memory was not allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Too little memory is free now.
    Exhausted,
    /// The pool is closed.
    Closed,
}

impl PoolState {
    /// Bytes that can be allocated now: available ones, and those of free buffers.
    fn free_bytes(&self, poolable_bytes: usize) -> usize {
        self.available_bytes + self.free.len() * poolable_bytes
    }

    fn has_free_memory(&self) -> bool {
        self.available_bytes > 0 || !self.free.is_empty()
    }

    /// Notifies the first waiter, if any memory is free. Only the first may take memory; it notifies the next one when
    /// it leaves the queue.
    fn notify_first(&self) {
        if let Some(first) = self.waiters.front().filter(|_| self.has_free_memory()) {
            first.changed.notify_one();
        }
    }

    /// Notifies the first waiter of memory that was returned, unless wake-ups are deferred.
    fn notify_of_return(&self) {
        if self.deferrals == 0 && !planted!(MemoryWaiterNotWoken) {
            self.notify_first();
        }
    }

    /// Returns bytes that were leased, or gathered for a lease. They pay the debt first.
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
                    deferrals: 0,
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

    /// Bytes not leased, including free buffers.
    pub(crate) fn available_bytes(&self) -> usize {
        self.state.lock().free_bytes(self.poolable_bytes)
    }

    /// How many threads wait for memory (BP-15).
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Allocates without waiting, if enough is available now, also when other threads wait for more (BP-7).
    ///
    /// `size_bytes` must not exceed the pool's total, which the caller has checked.
    pub(crate) fn try_allocate(self: &Arc<Self>, size_bytes: usize) -> Result<Lease, Denied> {
        debug_assert!(size_bytes <= self.total_bytes);
        let (buffer, dropped) = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Denied::Closed);
            }
            // Only requests of exactly `batch.size` use pooled buffers, as in Kafka: all of them have that size.
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
        // Buffers are freed, and new ones allocated, outside of the lock.
        drop(dropped);
        Ok(self.lease(buffer, size_bytes))
    }

    /// Accounts for a buffer that was allocated outside of the pool, even beyond the total: for the pieces of a batch
    /// that is being split, whose own memory is returned right afterwards. The excess over the total is owed, and
    /// repaid from that memory before any waiter gets memory.
    pub(crate) fn adopt(self: &Arc<Self>, buffer: Vec<u8>) -> Lease {
        let size_bytes = buffer.capacity();
        let dropped = {
            let mut state = self.state.lock();
            let reachable = state.free_bytes(self.poolable_bytes);
            // Available bytes and free buffers are used up first: only the bytes beyond them are owed.
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

    /// Joins the FIFO queue of waiters for memory.
    pub(crate) fn enqueue(self: &Arc<Self>, size_bytes: usize) -> Result<Ticket, Denied> {
        debug_assert!(size_bytes <= self.total_bytes);
        let waiter = Arc::new(Waiter {
            changed: Condvar::new(),
        });
        let mut state = self.state.lock();
        if state.closed {
            return Err(Denied::Closed);
        }
        // The waiter is added under the lock under which `closed` was checked, so that `close` notifies it.
        state.waiters.push_back(Arc::clone(&waiter));
        self.waiting.fetch_add(1, Ordering::AcqRel);
        drop(state);
        Ok(Ticket::new(Arc::clone(self), waiter, size_bytes))
    }

    /// Defers the wake-up of the first waiter until the guard is dropped, so that the thread wakes up once for all memory
    /// that is returned meanwhile. The guard must be dropped soon, and before user code runs.
    pub(crate) fn defer_wake_ups(&self) -> DeferredWakeUps<'_> {
        self.state.lock().deferrals += 1;
        DeferredWakeUps(self)
    }

    /// Closes the pool: all further allocations fail, and all waiters wake up (BP-12).
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

    /// Turns free buffers back into plain bytes until `size_bytes` are available. Does nothing if all of them together
    /// would not be enough. The buffers are returned, to be dropped outside the lock.
    fn free_up(&self, state: &mut PoolState, size_bytes: usize) -> Vec<Vec<u8>> {
        // Nothing is freed in vain: the request is met already, or not even all free buffers would meet it.
        if state.available_bytes >= size_bytes || state.free_bytes(self.poolable_bytes) < size_bytes
        {
            return Vec::new();
        }
        let missing = size_bytes - state.available_bytes;
        // `max` only keeps the division defined: with a `batch.size` of 0 no free buffer holds anything.
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

    /// Returns `size_bytes`, with their buffer, and notifies the first waiter, unless wake-ups are deferred.
    fn refund(&self, mut buffer: Vec<u8>, size_bytes: usize) {
        let mut discarded = Vec::new();
        let mut state = self.state.lock();
        let is_usual = size_bytes == self.poolable_bytes && buffer.capacity() >= size_bytes;
        // A pooled buffer cannot pay a debt, so while bytes are owed it returns as plain bytes. A closed pool leases no
        // more, so its returned memory is freed.
        if is_usual && !state.closed && state.owed_bytes == 0 {
            buffer.clear();
            state.free.push(buffer);
        } else {
            state.give_back(size_bytes);
            discarded = buffer;
        }
        state.notify_of_return();
        drop(state);
        drop(discarded);
    }
}

/// While this exists, memory that is returned to the pool notifies no waiter. The drop notifies the first one.
pub(crate) struct DeferredWakeUps<'a>(&'a BufferPool);

impl Drop for DeferredWakeUps<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.deferrals -= 1;
        if !planted!(DeferredWakeUpForgotten) {
            state.notify_of_return();
        }
    }
}

/// A lease of pool memory, which returns to the pool on drop.
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

    /// The number of leased bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// A second lease from the same pool, of the poolable size or `at_least_bytes`, whichever is more. `None` if
    /// threads wait for memory, or too little is free.
    pub(crate) fn another(&self, at_least_bytes: usize) -> Option<Self> {
        // An open batch can be closed instead, so it does not compete with threads that are blocked for lack of memory.
        if self.pool.waiting() > 0 {
            return None;
        }
        let size_bytes = at_least_bytes.max(self.pool.poolable_bytes);
        self.pool.try_allocate(size_bytes).ok()
    }

    /// The pool of the lease.
    pub(crate) fn pool(&self) -> Arc<BufferPool> {
        Arc::clone(&self.pool)
    }

    /// The filled memory as reference-counted bytes, shared with sockets. The lease ends when the last clone is
    /// dropped.
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

#[cfg(test)]
mod tests;
