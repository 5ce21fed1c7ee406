//! One partition's queue: the place where application threads and the sender meet.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::Append;
use super::packing::{Counted, Packing};
use crate::clock::Instant;
use crate::producer::batch::{BatchId, FilledBatch, OpenBatch};
use crate::producer::thunks::{AnyCallback, UntakenCallback};
use crate::record::builder::RecordParts;
use crate::record::ratio::CompressionRatio;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{self, Mutex, Rank};
use crate::types::TopicPartition;

/// The number of a partition's entry within its producer: dense, never used again.
pub(crate) type EntryIndex = u32;

/// A partition as the accumulator knows it. Made for the first record that is sent to it: a producer may
/// know many more partitions than it ever uses. Never removed, so that a topic that goes and comes back
/// finds its queue.
///
/// # Kafka
/// One value of `RecordAccumulator#batches`.
#[derive(Debug)]
pub(crate) struct PartitionEntry {
    index: EntryIndex,
    topic_partition: TopicPartition,
    /// What the topic's batches shrink to.
    ratio: Arc<CompressionRatio>,
    /// The number of the last transaction that the partition was added to; 0 for none.
    transaction: AtomicU64,
    contended: Contended,
}

/// What threads write for every record or batch. On cache lines of its own: what stands beside it in the entry is
/// only read.
#[derive(Debug)]
#[repr(align(64))]
struct Contended {
    /// It is in the inbox, or the sender has just taken it from there and will look at the queue. Says
    /// nothing of when: each event wakes the sender by its own deadline.
    // Set under the inbox's lock.
    in_inbox: AtomicBool,
    queue: Mutex<PartitionQueue>,
}

/// Which of its producer's transactions, counted from 1 and never used again: with the next number every partition
/// is out of the transaction that has ended, and no entry is touched for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransactionNumber(NonZeroU64);

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "transactions will count themselves")
)]
impl TransactionNumber {
    /// The producer's first.
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

// Invariant: batches in `filled` are older than the open one, oldest first; only `open` takes records.
#[derive(Debug, Default)]
pub(super) struct PartitionQueue {
    filled: VecDeque<Queued>,
    open: Option<OpenBatch>,
    closed: bool,
}

/// A batch that takes no more records, in its place.
#[derive(Debug)]
enum Queued {
    Here(FilledBatch),
    /// A thread is packing it.
    Away(BatchId),
}

/// What the sender remembers of a queue's first batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueHead {
    pub(crate) created: Instant,
    /// It takes no more records, or another batch waits behind it (RA-12).
    pub(crate) is_full: bool,
}

/// What came of asking a queue for its first batch.
#[derive(Debug)]
pub(crate) enum Popped {
    Batch {
        batch: FilledBatch,
        /// What is first now.
        next: Option<QueueHead>,
    },
    /// The first batch is larger than what was allowed.
    TooLarge,
    /// There is none, or a thread is packing it; that will be signalled.
    Nothing,
}

impl PartitionEntry {
    pub(super) fn new(
        index: EntryIndex,
        topic_partition: TopicPartition,
        ratio: Arc<CompressionRatio>,
        closed: bool,
    ) -> Self {
        Self {
            index,
            topic_partition,
            ratio,
            transaction: AtomicU64::new(0),
            contended: Contended {
                in_inbox: AtomicBool::new(false),
                queue: Mutex::new(
                    Rank::QUEUE,
                    PartitionQueue {
                        closed,
                        ..PartitionQueue::default()
                    },
                ),
            },
        }
    }

    /// The partition is in this transaction: the coordinator has acknowledged it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "transactions will add their partitions")
    )]
    pub(crate) fn add_to_transaction(&self, number: TransactionNumber) {
        self.transaction.store(number.0.get(), Ordering::Release);
    }

    /// Whether the partition is in this transaction. For every record of a transactional producer: no lock, and no
    /// cache line that anybody writes but once in a transaction.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "transactions will add their partitions")
    )]
    #[inline]
    pub(crate) fn is_in_transaction(&self, number: TransactionNumber) -> bool {
        self.transaction.load(Ordering::Acquire) == number.0.get()
    }

    pub(crate) fn index(&self) -> EntryIndex {
        self.index
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    pub(super) fn ratio(&self) -> &Arc<CompressionRatio> {
        &self.ratio
    }

    /// Whether the sender is certain to look at the queue.
    pub(super) fn is_in_inbox(&self) -> bool {
        self.contended.in_inbox.load(Ordering::Acquire)
    }

    /// It is put into the inbox, whose lock the caller holds; false if it is there.
    pub(super) fn enter_inbox(&self) -> bool {
        !self.contended.in_inbox.swap(true, Ordering::AcqRel)
    }

    /// It was taken from the inbox; the sender looks at the queue right afterwards.
    pub(super) fn leave_inbox(&self) {
        self.contended.in_inbox.store(false, Ordering::Release);
    }

    /// Appends to the open batch, if there is one with room (RA-3). `filled` is set when a batch became
    /// full by it, or was closed for want of room.
    #[inline]
    pub(super) fn try_append<C: UntakenCallback + ?Sized>(
        &self,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
        filled: &mut bool,
    ) -> Append {
        self.contended
            .queue
            .lock()
            .try_append(record, payload_len, callback, filled)
    }

    /// Appends to the open batch if another thread has made one meanwhile (RA-5), else to `make`'s.
    /// `filled` is set when there is a batch now that is full.
    pub(super) fn append_with(
        &self,
        record: &RecordParts<'_>,
        payload_len: usize,
        mut callback: Option<&mut AnyCallback>,
        filled: &mut bool,
        make: impl FnOnce() -> OpenBatch,
    ) -> Append {
        let mut queue = self.contended.queue.lock();
        match queue.try_append(record, payload_len, callback.as_deref_mut(), filled) {
            Append::NeedsBatch => {}
            end => return end,
        }
        queue.open = Some(make());
        *filled |= queue.head().is_some_and(|head| head.is_full);
        let appended = queue.try_append(record, payload_len, callback, filled);
        debug_assert!(
            matches!(appended, Append::Done(_)),
            "a batch always takes its first record"
        );
        appended
    }

    pub(crate) fn head(&self) -> Option<QueueHead> {
        self.contended.queue.lock().head()
    }

    /// Compresses, or writes in an old format, the oldest batch for which that is still to be done, if there
    /// is one that the sender has not taken meanwhile. Other threads can append while it lasts. The sender
    /// takes the batch for gone until it is signalled.
    pub(super) fn pack<'p>(&self, packing: &'p Packing) -> Option<Counted<'p>> {
        let (batch, counted) = self.take_away(packing)?;
        sync::assert_unlocked();
        self.put_back(batch.packed());
        Some(counted)
    }

    pub(super) fn take_away<'p>(&self, packing: &'p Packing) -> Option<(FilledBatch, Counted<'p>)> {
        self.contended.queue.lock().take_unpacked(packing)
    }

    pub(super) fn put_back(&self, batch: FilledBatch) {
        self.contended.queue.lock().put_back(batch);
    }

    /// Takes the first batch if `may_take` agrees to its size in bytes.
    pub(crate) fn pop(&self, may_take: impl FnOnce(usize) -> bool) -> Popped {
        let mut queue = self.contended.queue.lock();
        let size = match (queue.filled.front(), &queue.open) {
            (Some(Queued::Here(filled)), _) => filled.size_bytes(),
            (None, Some(open)) => open.size_bytes(),
            (Some(Queued::Away(_)), _) | (None, None) => return Popped::Nothing,
        };
        if !may_take(size) {
            return Popped::TooLarge;
        }
        queue.pop().map_or(Popped::Nothing, |batch| Popped::Batch {
            batch,
            next: queue.head(),
        })
    }

    /// Takes the first batch if it was created at or before `cutoff`.
    pub(crate) fn pop_older(&self, cutoff: Instant) -> Option<FilledBatch> {
        let mut queue = self.contended.queue.lock();
        if queue.head()?.created > cutoff {
            return None;
        }
        queue.pop()
    }

    /// Lets no more records in.
    pub(super) fn close(&self) {
        self.contended.queue.lock().closed = true;
    }

    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        self.contended.queue.lock().closed
    }

    /// How many batches it holds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let queue = self.contended.queue.lock();
        queue.filled.len() + usize::from(queue.open.is_some())
    }
}

impl PartitionQueue {
    #[inline]
    fn try_append<C: UntakenCallback + ?Sized>(
        &mut self,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
        filled: &mut bool,
    ) -> Append {
        if self.closed {
            return Append::Closed;
        }
        let Some(open) = self.open.as_mut() else {
            return Append::NeedsBatch;
        };
        if let Some(place) = open.try_append(record, payload_len, callback) {
            if open.is_full() {
                *filled = true;
                if open.needs_packing() {
                    self.close_open();
                }
            }
            return Append::Done(place);
        }
        self.close_open();
        *filled = true;
        Append::NeedsBatch
    }

    #[cold]
    fn close_open(&mut self) {
        let closed = self.open.take().map(OpenBatch::close);
        self.filled.extend(closed.map(Queued::Here));
    }

    fn head(&self) -> Option<QueueHead> {
        match (self.filled.front(), &self.open) {
            (Some(Queued::Here(filled)), _) => Some(QueueHead {
                created: filled.created(),
                is_full: true,
            }),
            (None, Some(open)) => Some(QueueHead {
                created: open.created(),
                is_full: open.is_full(),
            }),
            (Some(Queued::Away(_)), _) | (None, None) => None,
        }
    }

    fn pop(&mut self) -> Option<FilledBatch> {
        match self.filled.pop_front() {
            Some(Queued::Here(batch)) => Some(batch),
            Some(away @ Queued::Away(_)) => {
                self.filled.push_front(away);
                None
            }
            None => self.open.take().map(OpenBatch::close),
        }
    }

    /// The oldest batch that must be packed, to be put back in its place.
    fn take_unpacked<'p>(&mut self, packing: &'p Packing) -> Option<(FilledBatch, Counted<'p>)> {
        for queued in &mut self.filled {
            match queued {
                Queued::Here(batch) if batch.needs_packing() => {
                    let away = Queued::Away(batch.id());
                    if let Queued::Here(batch) = std::mem::replace(queued, away) {
                        return Some((batch, packing.begin()));
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn put_back(&mut self, batch: FilledBatch) {
        let id = batch.id();
        let place = self
            .filled
            .iter_mut()
            .find(|queued| matches!(queued, Queued::Away(away) if *away == id));
        debug_assert!(place.is_some(), "nothing passes a batch that is away");
        if let Some(place) = place {
            *place = Queued::Here(batch);
        }
    }
}

#[cfg(test)]
mod tests;
