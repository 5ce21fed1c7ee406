//! The sender's state of one partition: retry queue, head of the accumulator's queue, leader, muting, [`DrainState`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::gate::NextBatch;
use crate::clock::Instant;
use crate::planted::planted;
use crate::producer::accumulator::entry::{EntryIndex, PartitionEntry, Popped, QueueHead};
use crate::producer::batch::SealedBatch;
use crate::types::NodeId;

/// A batch taken out of its partition's queues: to be sent to a node, or, if it has expired or is aborted, to be
/// failed.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) index: EntryIndex,
    pub(crate) batch: Box<SealedBatch>,
}

/// The sender's state of one partition.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) entry: Arc<PartitionEntry>,
    /// The retry queue, oldest batch first; all its batches are older than those in the entry's queue.
    pub(super) retries: VecDeque<Box<SealedBatch>>,
    /// The head of the entry's queue when it was last read. If the batch becomes full afterwards, its partition is
    /// signalled again.
    pub(super) head: Option<QueueHead>,
    pub(super) leader: Option<NodeId>,
    /// The cluster version that `leader` is from.
    pub(super) leader_version: u32,
    /// Muted partition: not drained while a batch of it is in flight, see [`mute`](super::Drainer::mute).
    pub(super) muted: bool,
    /// The state at the last `settle`.
    pub(super) place: DrainState,
    /// When the oldest batch expires; `None` without a batch.
    pub(super) expiry: Option<Instant>,
}

/// The drain state of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DrainState {
    /// No batch is queued, or the partition has a leader and is muted.
    Idle,
    /// A batch is queued, but the metadata names no leader: during a leader election, for instance. No batch is drained
    /// until a new cluster snapshot names one.
    Leaderless,
    /// The next batch becomes due at the given time: it lingers, or is in retry back-off.
    Timed(NodeId, Instant),
    /// The next batch is due.
    Sendable(NodeId),
}

/// The result of taking the next batch.
pub(super) enum TakenBatch {
    Batch(Box<SealedBatch>),
    /// `may_take` rejected the size of the next batch.
    TooLarge,
    /// No batch is queued, or the next one is being packed.
    Empty,
}

impl Slot {
    /// A slot without batches and without a leader.
    pub(super) fn new(entry: Arc<PartitionEntry>) -> Self {
        Self {
            entry,
            retries: VecDeque::new(),
            head: None,
            leader: None,
            leader_version: u32::MAX,
            muted: false,
            place: DrainState::Idle,
            expiry: None,
        }
    }

    /// When the partition's oldest batch was opened.
    #[inline]
    pub(super) fn oldest(&self) -> Option<Instant> {
        // Retries come first: all of them are older than the batches of the queue.
        let retried = self.retries.front().map(|batch| batch.created());
        retried.or_else(|| self.head.map(|head| head.created))
    }

    /// The drain state as of now. A retry is due after its back-off, a full batch at once, an open one after
    /// `linger.ms`; a muted partition is idle (RA-11 to RA-14).
    #[inline]
    pub(super) fn place_now(&self, linger: Duration, now: Instant) -> DrainState {
        let due = match (self.retries.front(), self.head) {
            (Some(batch), _) => batch.retry_at(),
            (None, Some(head)) if head.is_full => now,
            (None, Some(head)) => head.created + linger,
            (None, None) => return DrainState::Idle,
        };
        match self.leader {
            None => DrainState::Leaderless,
            // Leaderless wins over muted: metadata must be requested either way.
            Some(_) if self.muted && !planted!(MutedDrained) => DrainState::Idle,
            Some(node) if due <= now => DrainState::Sendable(node),
            Some(node) => DrainState::Timed(node, due),
        }
    }

    /// Takes the next batch, if `may_take` accepts its size in bytes.
    #[inline]
    pub(super) fn take(&mut self, may_take: impl FnOnce(usize) -> bool) -> TakenBatch {
        if let Some(batch) = self.retries.front() {
            if !may_take(batch.size_bytes()) {
                return TakenBatch::TooLarge;
            }
            return self
                .retries
                .pop_front()
                .map_or(TakenBatch::Empty, TakenBatch::Batch);
        }
        match self.entry.pop(may_take) {
            Popped::Batch { batch, next } => {
                // The new head comes from the same critical section as the batch, so it is up to date.
                self.head = next;
                TakenBatch::Batch(SealedBatch::seal(batch))
            }
            Popped::TooLarge => TakenBatch::TooLarge,
            Popped::Nothing => {
                self.head = None;
                TakenBatch::Empty
            }
        }
    }

    /// The next batch, for the [drain gate](super::DrainGate); none during the back-off of a retry.
    #[inline]
    pub(super) fn head_of_line(&self, now: Instant) -> Option<NextBatch> {
        match self.retries.front() {
            Some(batch) if batch.retry_at() > now => None,
            Some(batch) => Some(NextBatch::Retried(batch.id())),
            None => Some(NextBatch::New),
        }
    }

    /// Inserts a failed batch into the retry queue, which is sorted by id: in the order in which batches were opened,
    /// and hence of their sequence numbers.
    pub(super) fn reenqueue(&mut self, batch: Box<SealedBatch>) {
        let at = self
            .retries
            .partition_point(|queued| queued.id() < batch.id() || planted!(ReenqueuedLast));
        self.retries.insert(at, batch);
    }

    /// Takes the batches whose `delivery.timeout.ms` has passed; returns the number of retries among them.
    pub(super) fn take_expired(
        &mut self,
        timeout: Duration,
        now: Instant,
        into: &mut Vec<Drained>,
    ) -> usize {
        let index = self.entry.index();
        let is_over = |created: Instant| created + timeout <= now;
        let mut retries = 0;
        while self
            .retries
            .front()
            .is_some_and(|batch| is_over(batch.created()))
        {
            if let Some(batch) = self.retries.pop_front() {
                retries += 1;
                into.push(Drained { index, batch });
            }
        }
        // A retry that has not expired is older than all batches of the queue, so those have not expired either.
        if self.retries.is_empty() {
            let cutoff =
                Instant::from_nanos(now.as_nanos().saturating_sub(timeout.as_nanos() as u64));
            while let Some(batch) = self.entry.pop_older(cutoff) {
                into.push(Drained {
                    index,
                    batch: SealedBatch::seal_to_fail(batch),
                });
            }
            // The head is read anew: the loop has ended at a batch that has not expired or is being packed, or at the
            // end of the queue.
            self.head = self.entry.head();
        }
        retries
    }

    /// Takes every queued batch except for the retries for which `keeps` is true; returns the number of retries taken.
    pub(super) fn take_all_but(
        &mut self,
        keeps: impl Fn(EntryIndex, &SealedBatch) -> bool,
        into: &mut Vec<Drained>,
    ) -> usize {
        let index = self.entry.index();
        let mut retries = 0;
        for batch in std::mem::take(&mut self.retries) {
            if keeps(index, &batch) {
                self.retries.push_back(batch);
            } else {
                into.push(Drained { index, batch });
                retries += 1;
            }
        }
        // The loop stops at a batch that is being packed: the packing thread will signal it.
        while let Popped::Batch { batch, .. } = self.entry.pop(|_| true) {
            into.push(Drained {
                index,
                batch: SealedBatch::seal_to_fail(batch),
            });
        }
        self.head = None;
        retries
    }
}
