//! A partition's queue of batches, shared by application threads, which append, and the sender, which drains it.

mod admission;

use std::collections::VecDeque;
use std::sync::Arc;

use super::Append;
use super::packing::{Packing, PackingGuard};
use crate::clock::Instant;
use crate::producer::batch::{BatchId, FilledBatch, OpenBatch};
use crate::producer::thunks::{AnyCallback, UntakenCallback};
use crate::record::builder::RecordParts;
use crate::record::ratio::CompressionRatio;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Rank};
use crate::types::TopicPartition;

pub(crate) use admission::{Admission, AnyTransaction, QueueState, TransactionNumber};

/// The index of a partition's entry within its producer: dense, never reused.
pub(crate) type EntryIndex = u32;

/// A partition's entry in the accumulator, with its queue. Created for the first record that is sent to the partition:
/// a producer may know many more partitions than it ever uses. Never removed, so that a topic that is deleted and
/// created again keeps its queues.
///
/// # Kafka
/// One value of `RecordAccumulator#batches`.
#[derive(Debug)]
pub(crate) struct PartitionEntry {
    index: EntryIndex,
    topic_partition: TopicPartition,
    /// The topic's estimate of the compression ratio.
    ratio: Arc<CompressionRatio>,
    contended: Contended,
}

/// The fields that threads write for every record or batch. On their own cache lines, to avoid false sharing with the
/// entry's other fields, which are only read.
#[derive(Debug)]
#[repr(align(64))]
struct Contended {
    /// Whether the entry is in the inbox, or the sender has just taken it from there and will read the queue. The flag
    /// does not say when the sender reads the queue: if a batch is due before the sender's next wake-up, the thread
    /// that appends to it must wake the sender although the flag is set.
    // Set under the inbox's lock.
    in_inbox: AtomicBool,
    queue: Mutex<PartitionQueue>,
}

// Invariant: batches in `filled` are older than the open one, oldest first; only `open` takes records.
#[derive(Debug)]
pub(super) struct PartitionQueue {
    filled: VecDeque<Queued>,
    open: Option<OpenBatch>,
    state: QueueState,
}

/// A batch that is closed to records, or its placeholder.
#[derive(Debug)]
enum Queued {
    Here(FilledBatch),
    /// The placeholder of a batch that a thread has taken out to pack it.
    Away(BatchId),
}

/// The head of a queue: creation time and fullness of its first batch, as the sender keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueHead {
    pub(crate) created: Instant,
    /// Whether the batch is full: closed to records, or open but without room (RA-12).
    pub(crate) is_full: bool,
}

/// The result of popping a queue's first batch.
#[derive(Debug)]
pub(crate) enum Popped {
    Batch {
        batch: FilledBatch,
        /// The new head of the queue.
        next: Option<QueueHead>,
    },
    /// `may_take` rejected the size of the first batch.
    TooLarge,
    /// The queue is empty, or a thread is packing the first batch and will signal it.
    Nothing,
}

impl PartitionEntry {
    pub(super) fn new(
        index: EntryIndex,
        topic_partition: TopicPartition,
        ratio: Arc<CompressionRatio>,
        state: QueueState,
    ) -> Self {
        Self {
            index,
            topic_partition,
            ratio,
            contended: Contended {
                in_inbox: AtomicBool::new(false),
                queue: Mutex::new(
                    Rank::QUEUE,
                    PartitionQueue {
                        filled: VecDeque::new(),
                        open: None,
                        state,
                    },
                ),
            },
        }
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

    /// Whether the entry is in the inbox, so that the sender is certain to read the queue.
    pub(super) fn is_in_inbox(&self) -> bool {
        self.contended.in_inbox.load(Ordering::Acquire)
    }

    /// Sets the inbox flag; returns false if it was set already. The caller holds the inbox's lock, and pushes the
    /// entry if this returns true.
    pub(super) fn enter_inbox(&self) -> bool {
        !self.contended.in_inbox.swap(true, Ordering::AcqRel)
    }

    /// Clears the inbox flag. The sender reads the queue right afterwards.
    pub(super) fn leave_inbox(&self) {
        self.contended.in_inbox.store(false, Ordering::Release);
    }

    /// Appends the record to the open batch, if the queue admits records of the transaction `of` and there is an open
    /// batch with room (RA-3). Sets `filled` when the batch became full, or was closed because the record did not fit.
    #[inline]
    pub(super) fn try_append<C: UntakenCallback + ?Sized>(
        &self,
        of: impl Admission,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
        filled: &mut bool,
    ) -> Append {
        self.contended
            .queue
            .lock()
            .try_append(of, record, payload_len, callback, filled)
    }

    /// Appends to the open batch if another thread has opened one meanwhile (RA-5), else to a new one that `make`
    /// opens. Sets `filled` if the queue now holds a full batch.
    pub(super) fn append_with(
        &self,
        of: TransactionNumber,
        record: &RecordParts<'_>,
        mut callback: Option<&mut AnyCallback>,
        filled: &mut bool,
        make: impl FnOnce() -> OpenBatch,
    ) -> Append {
        let payload_len = record.payload_len();
        // Tried again under the lock: while this thread waited for memory, another thread may have opened a batch.
        let mut queue = self.contended.queue.lock();
        match queue.try_append(of, record, payload_len, callback.as_deref_mut(), filled) {
            Append::NeedsBatch => {}
            end => return end,
        }
        queue.open = Some(make());
        // A full batch in front of the new one is sendable now. The thread that closed it may not have signalled it
        // yet.
        *filled |= queue.head().is_some_and(|head| head.is_full);
        let appended = queue.try_append(of, record, payload_len, callback, filled);
        debug_assert!(
            matches!(appended, Append::Done(_)),
            "a batch always takes its first record"
        );
        appended
    }

    pub(crate) fn head(&self) -> Option<QueueHead> {
        self.contended.queue.lock().head()
    }

    /// Takes out the oldest batch that is to be compressed or down-converted, unless the sender has taken it meanwhile.
    /// Until the batch is put back, other threads can append, but the sender sees neither this batch nor those behind
    /// it.
    pub(super) fn take_away(&self, packing: &Arc<Packing>) -> Option<(FilledBatch, PackingGuard)> {
        self.contended.queue.lock().take_unpacked(packing)
    }

    /// Puts a packed batch back in place of its placeholder.
    pub(super) fn put_back(&self, batch: FilledBatch) {
        self.contended.queue.lock().put_back(batch);
    }

    /// Pops the first batch if `may_take` agrees to its size in bytes.
    pub(crate) fn pop(&self, may_take: impl FnOnce(usize) -> bool) -> Popped {
        let mut queue = self.contended.queue.lock();
        let size = match (queue.filled.front(), &queue.open) {
            (Some(Queued::Here(filled)), _) => filled.size_bytes(),
            (None, Some(open)) => open.size_bytes(),
            (Some(Queued::Away(_)), _) | (None, None) => return Popped::Nothing,
        };
        // Checked before the batch is taken, and under the same lock: an open batch may grow until then.
        if !may_take(size) {
            return Popped::TooLarge;
        }
        queue.pop().map_or(Popped::Nothing, |batch| Popped::Batch {
            batch,
            next: queue.head(),
        })
    }

    /// Pops the first batch if it was created at or before `cutoff`.
    pub(crate) fn pop_older(&self, cutoff: Instant) -> Option<FilledBatch> {
        let mut queue = self.contended.queue.lock();
        if queue.head()?.created > cutoff {
            return None;
        }
        queue.pop()
    }

    /// Closes the queue to records for good.
    pub(super) fn close(&self) {
        self.contended.queue.lock().state = QueueState::Closed;
    }

    /// Admits records of this transaction. Returns false if the queue admits them already, or the producer is closed.
    pub(crate) fn enter_transaction(&self, number: TransactionNumber) -> bool {
        let state = &mut self.contended.queue.lock().state;
        let enters = !matches!(*state, QueueState::Closed) && *state != QueueState::Open(number);
        if enters {
            *state = QueueState::Open(number);
        }
        enters
    }

    /// Admits no more records until the partition is added to the next transaction.
    pub(crate) fn leave_transaction(&self) {
        let state = &mut self.contended.queue.lock().state;
        // A closed queue stays closed.
        if matches!(*state, QueueState::Open(_)) {
            *state = QueueState::OutsideTransaction;
        }
    }

    /// An entry outside of transactions that belongs to no accumulator.
    #[cfg(test)]
    pub(crate) fn for_test(topic_partition: TopicPartition) -> Arc<Self> {
        let state = QueueState::OutsideTransaction;
        Arc::new(Self::new(0, topic_partition, Arc::default(), state))
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> QueueState {
        self.contended.queue.lock().state
    }

    /// The number of queued batches.
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
        of: impl Admission,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
        filled: &mut bool,
    ) -> Append {
        // Checked under the queue's lock: no record is admitted after the state has changed. The end of a transaction
        // relies on this.
        if !of.is_admitted(self.state) {
            return self.refused();
        }
        let Some(open) = self.open.as_mut() else {
            return Append::NeedsBatch;
        };
        if let Some(place) = open.try_append(record, payload_len, callback) {
            if open.is_full() {
                *filled = true;
                // Packing takes batches from `filled` only. A plain batch stays open: the next append or drain closes
                // it.
                if open.needs_packing() {
                    self.close_open();
                }
            }
            return Append::Done(place);
        }
        // No room: the batch is closed, and thereby sendable, as in Kafka.
        self.close_open();
        *filled = true;
        Append::NeedsBatch
    }

    /// The error for a record that the queue does not admit.
    #[cold]
    #[inline(never)]
    fn refused(&self) -> Append {
        match self.state {
            QueueState::Open(_) | QueueState::OutsideTransaction => Append::OutsideTransaction,
            QueueState::Closed => Append::Closed,
        }
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
            // Batches behind one that is being packed wait for it: a partition's batches keep their order.
            Some(away @ Queued::Away(_)) => {
                self.filled.push_front(away);
                None
            }
            None => self.open.take().map(OpenBatch::close),
        }
    }

    /// Takes out the oldest batch that must be packed, and leaves a placeholder.
    fn take_unpacked(&mut self, packing: &Arc<Packing>) -> Option<(FilledBatch, PackingGuard)> {
        for queued in &mut self.filled {
            match queued {
                Queued::Here(batch) if batch.needs_packing() => {
                    let away = Queued::Away(batch.id());
                    // Replaced by a placeholder in the same position, to which `put_back` returns it.
                    if let Queued::Here(batch) = std::mem::replace(queued, away) {
                        // Counted under the queue's lock: a thread that waits for packing never misses a batch that was
                        // taken out.
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
        debug_assert!(
            place.is_some(),
            "a batch that is being packed keeps its position"
        );
        if let Some(place) = place {
            *place = Queued::Here(batch);
        }
    }
}

#[cfg(test)]
mod tests;
