//! Counters behind [`ProducerSnapshot`]: relaxed atomics, updated once per batch or request.

use std::sync::atomic::{AtomicU64, Ordering};

use super::batch::BatchId;
use crate::sync::Padded;

/// Counters since the producer was built. Only the sender writes them, except `records_rejected` and `next_batch`,
/// which threads in `send` write.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    records_acknowledged: AtomicU64,
    records_failed: AtomicU64,
    records_retried: AtomicU64,
    records_rejected: AtomicU64,
    batches_in_flight: AtomicU64,
    batches_retried: AtomicU64,
    batches_split: AtomicU64,
    requests_in_flight: AtomicU64,
    requests_sent: AtomicU64,
    loops: AtomicU64,
    /// On a cache line of its own: the sender writes the other counters for each response and loop.
    next_batch: Padded<AtomicU64>,
}

impl Counters {
    pub(crate) fn acknowledged(&self, records: u32) {
        self.records_acknowledged
            .fetch_add(u64::from(records), Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, records: u32) {
        self.records_failed
            .fetch_add(u64::from(records), Ordering::Relaxed);
    }

    pub(crate) fn retried(&self, records: u32) {
        self.records_retried
            .fetch_add(u64::from(records), Ordering::Relaxed);
        self.batches_retried.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a batch that was split after `MESSAGE_TOO_LARGE`.
    pub(crate) fn split(&self) {
        self.batches_split.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a record that failed before it was appended to a batch.
    pub(crate) fn rejected(&self) {
        self.records_rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self, batches: usize) {
        self.batches_in_flight
            .store(batches as u64, Ordering::Relaxed);
    }

    pub(crate) fn requests_in_flight(&self, requests: usize) {
        self.requests_in_flight
            .store(requests as u64, Ordering::Relaxed);
    }

    pub(crate) fn request_sent(&self) {
        self.requests_sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an iteration of the sender's loop.
    pub(crate) fn looped(&self) {
        self.loops.fetch_add(1, Ordering::Relaxed);
    }

    /// The id of a new batch; ids increase.
    pub(crate) fn next_batch_id(&self) -> BatchId {
        BatchId::new(self.next_batch.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn snapshot(&self) -> ProducerSnapshot {
        // Relaxed: the counters order nothing, and a snapshot is not consistent across them.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProducerSnapshot {
            records_acknowledged: read(&self.records_acknowledged),
            records_failed: read(&self.records_failed) + read(&self.records_rejected),
            records_retried: read(&self.records_retried),
            batches_retried: read(&self.batches_retried),
            batches_split: read(&self.batches_split),
            batches_in_flight: read(&self.batches_in_flight),
            requests_in_flight: read(&self.requests_in_flight),
            produce_requests: read(&self.requests_sent),
            sender_loops: read(&self.loops),
            // Filled in by `KafkaProducer::snapshot`, which has the accumulator and the pool.
            batches_queued: 0,
            memory_total_bytes: 0,
            memory_free_bytes: 0,
            threads_waiting_for_memory: 0,
        }
    }
}

/// Snapshot of a producer's counters and gauges.
///
/// Counters only grow; gauges are the values at the time of the call. The snapshot is not atomic: while records are
/// sent, some fields may include a batch that others do not include yet.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use kafka_producer::testing::MockProducer;
/// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
/// use kafka_producer::ProducerRecord;
///
/// producer.send(ProducerRecord::new("orders", "tea"))?.get()?;
/// let now = producer.snapshot();
/// assert_eq!((now.records_acknowledged, now.records_failed), (1, 0));
/// println!("{} of {} bytes are free", now.memory_free_bytes, now.memory_total_bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
// A later version may have more of them.
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct ProducerSnapshot {
    /// Records that the brokers have acknowledged; with `acks=0`, records whose request was written to a socket.
    pub records_acknowledged: u64,
    /// Records whose future resolved to an error. A record for which `send` returned an error, or which `try_send`
    /// returned to the caller, has no future and is not counted.
    pub records_failed: u64,
    /// Records put back into the queue for a retry, counted once per retry. A retry is counted when the attempt before
    /// it has failed. The record is not sent again if it times out or the producer is closed before that.
    pub records_retried: u64,
    /// Batches put back into the queue for a retry, counted like their records.
    pub batches_retried: u64,
    /// Batches that a broker rejected as too large and that were split into smaller ones, counted once per split.
    pub batches_split: u64,
    /// Batches in flight: passed to a connection, without a response yet.
    pub batches_in_flight: u64,
    /// Batches that are open, full, or waiting to be sent again. The last batch of a `flush` may count for a moment after
    /// the call has returned.
    pub batches_queued: u64,
    /// Requests of every kind in flight. Updated when the sender sends a produce request or has polled.
    pub requests_in_flight: u64,
    /// Produce requests sent.
    pub produce_requests: u64,
    /// Iterations of the sender's loop. Does not grow while the sender is idle.
    pub sender_loops: u64,
    /// `buffer.memory`, in bytes.
    pub memory_total_bytes: u64,
    /// Bytes of `buffer.memory` that are not in use.
    pub memory_free_bytes: u64,
    /// Threads that wait for memory in `send`.
    pub threads_waiting_for_memory: u64,
}
