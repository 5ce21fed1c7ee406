//! The sequence numbers of one partition.

use std::collections::VecDeque;

use crate::clock::Instant;
use crate::planted::planted;
use crate::producer::batch::{BatchFate, BatchId, BatchSummary};
use crate::record::builder::ProducerState;
use crate::types::{ProducerIdAndEpoch, Sequence, TopicPartition};

/// Sequence bookkeeping of a partition: next and last acknowledged number, in-flight batches, unresolved ones, the gap.
///
/// # Kafka
/// `TransactionManager.TopicPartitionEntry` (TM-36). Batches are kept in the order they were numbered,
/// which is that of their sequences also across the wrap and across epochs (PB-26, TM-49).
#[derive(Debug)]
pub(super) struct PartitionSequences {
    topic_partition: TopicPartition,
    producer: ProducerIdAndEpoch,
    /// Its batches are parts of transactions.
    is_transactional: bool,
    next: Sequence,
    /// The last record that is known to be written, in the present epoch.
    last_acknowledged: Option<Sequence>,
    last_offset: i64,
    /// Numbered batches that have not ended: in flight, or in the retry queue.
    in_flight: VecDeque<NumberedBatch>,
    /// The sequence after the last unresolved batch: one that ended while it is unknown whether it was written. No new
    /// batch is sent until that is resolved (TM-47).
    unresolved: Option<Sequence>,
    /// The gap: the first batch that is certain not to be written under its number. Batches behind it are not sent
    /// before an epoch bump.
    gap: Option<BatchId>,
    /// Where the sequence could be rewound to, to close the gap without an epoch bump.
    rewinds: Rewind,
    /// The leader has acknowledged a batch of this producer and epoch.
    is_known: bool,
    /// When a batch was acknowledged last.
    acknowledged_at: Instant,
}

/// Where the sequence can be rewound to within the current epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rewind {
    /// To the number after the last acknowledged one.
    ToAcknowledged,
    /// To 0: the leader has lost this producer's state.
    ToZero,
    /// Not at all: records under the missing numbers may be in the log.
    Never,
}

/// The number of batches per producer whose sequences a broker remembers, to detect duplicates.
const BATCHES_REMEMBERED: usize = 5;

/// Half of the 31-bit sequence space, for comparisons across the wrap-around.
const HALF_RING: u32 = 1 << 30;

/// A numbered batch that has not completed.
#[derive(Debug)]
struct NumberedBatch {
    id: BatchId,
    record_count: u32,
    progress: BatchProgress,
    /// The fate of its past attempts, without one in flight.
    fate: BatchFate,
    /// The broker's last answer proves that it is not written, whatever attempts before that left open.
    is_proved: bool,
    /// A later batch was acknowledged.
    is_overtaken: bool,
}

/// Where a numbered batch is: in flight or in the retry queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchProgress {
    /// In flight for the first time.
    First,
    /// In the retry queue: an attempt has failed, or it is a piece of a batch that was too large.
    Waiting,
    /// In flight as a retry.
    Again,
}

impl NumberedBatch {
    fn is_under_way(&self) -> bool {
        self.progress != BatchProgress::Waiting
    }
}

/// The meaning of `OUT_OF_ORDER_SEQUENCE_NUMBER` for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfOrder {
    /// It waits for an earlier one.
    Waits,
    /// Numbers before it are missing, and it is certainly not written: it gets another number.
    Gap,
    /// It cannot be sent again: under its number it would never be taken, and under another it would be
    /// written twice, or after later ones.
    Final,
}

impl PartitionSequences {
    pub(super) fn new(topic_partition: TopicPartition, is_transactional: bool) -> Self {
        Self {
            topic_partition,
            producer: ProducerIdAndEpoch::NONE,
            is_transactional,
            next: Sequence::ZERO,
            last_acknowledged: None,
            last_offset: -1,
            in_flight: VecDeque::new(),
            unresolved: None,
            gap: None,
            rewinds: Rewind::ToAcknowledged,
            is_known: false,
            acknowledged_at: Instant::ORIGIN,
        }
    }

    pub(super) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    pub(super) fn producer(&self) -> ProducerIdAndEpoch {
        self.producer
    }

    /// Whether a numbered batch is in flight, or in the retry queue.
    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether a new batch may be sent behind those in flight (pipelining).
    ///
    /// A leader that knows nothing of a producer takes any sequence for its first: were the batch in front
    /// refused for a moment, as while a leader is elected, the one behind it would be taken, and the one in
    /// front never again. So the first batch of an epoch goes alone, until it is acknowledged; and so does
    /// the first after the partition's line ran empty, because a leader may forget a producer meanwhile (the
    /// topic was deleted and made again, `producer.id.expiration.ms` has passed), and one that is tried
    /// again.
    ///
    /// At most as many batches are in flight as a broker remembers. More would be possible while a partition moves from
    /// one leader's connection to another's, and a broker would then return "out of order" for the oldest batch
    /// although it has written it.
    pub(super) fn may_be_followed(&self) -> bool {
        (self.is_known || planted!(FirstBatchFollowed)) && self.has_room() && !self.has_retried()
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < BATCHES_REMEMBERED
    }

    fn has_retried(&self) -> bool {
        self.in_flight
            .iter()
            .any(|tracked| tracked.progress != BatchProgress::First)
    }

    /// Whether a batch that failed before may be sent now: the oldest, one at a time, and not one that waits
    /// for another number. One behind a gap that may be in the log all the same is tried under its number: the
    /// broker's response shows whether it is.
    pub(super) fn may_be_tried_again(&self, id: BatchId) -> bool {
        self.in_flight.front().is_none_or(|first| {
            first.id == id && (!self.is_behind_gap(id) || first.fate != BatchFate::NotWritten)
        })
    }

    fn is_behind_gap(&self, id: BatchId) -> bool {
        self.gap.is_some_and(|gap| id >= gap)
    }

    /// Assigns the next sequence numbers to a batch that was opened at `created`.
    pub(super) fn assign(
        &mut self,
        id: BatchId,
        record_count: u32,
        created: Instant,
    ) -> ProducerState {
        // The partition was idle: the leader may have expired this producer's state meanwhile, so the batch goes alone.
        if self.in_flight.is_empty() && created > self.acknowledged_at {
            self.is_known = false;
        }
        let state = ProducerState {
            producer: self.producer,
            base_sequence: self.next,
            is_transactional: self.is_transactional,
        };
        let taken = record_count - u32::from(planted!(SequenceOffByOne));
        // One sequence number per record, modulo 2^31; the batch carries the first one.
        self.next = self.next.advance(taken);
        self.in_flight.push_back(NumberedBatch {
            id,
            record_count,
            progress: BatchProgress::First,
            fate: BatchFate::NotWritten,
            is_proved: false,
            is_overtaken: false,
        });
        state
    }

    /// A numbered batch is handed to the client.
    pub(super) fn begin_attempt(&mut self, id: BatchId) {
        if let Some(tracked) = self.tracked(id) {
            if tracked.progress == BatchProgress::Waiting {
                tracked.progress = BatchProgress::Again;
            }
            // The proof was about earlier attempts; this one may be written.
            tracked.is_proved = false;
        }
    }

    /// A numbered batch is back in the retry queue.
    pub(super) fn end_attempt(&mut self, id: BatchId, fate: BatchFate) {
        if let Some(tracked) = self.tracked(id) {
            tracked.progress = BatchProgress::Waiting;
            // An out-of-order answer has proved it unwritten: a fate left open by earlier attempts no longer counts.
            if !tracked.is_proved {
                tracked.fate = fate;
            }
        }
    }

    fn tracked(&mut self, id: BatchId) -> Option<&mut NumberedBatch> {
        self.in_flight.iter_mut().find(|tracked| tracked.id == id)
    }

    /// Begins again at 0 as `producer`; `restarted` gets the new numbers of each waiting batch. One that
    /// may be in the log gets none, nor does one that a later batch has overtaken; they are no longer tracked.
    pub(super) fn restart(
        &mut self,
        producer: ProducerIdAndEpoch,
        mut restarted: impl FnMut(BatchId, Option<ProducerState>),
    ) {
        self.producer = producer;
        self.next = Sequence::ZERO;
        if !planted!(BlindAcknowledgedOutlivesEpoch) {
            self.last_acknowledged = None;
        }
        // A new epoch at sequence 0 is accepted by the leader whatever it had of the old one.
        self.unresolved = None;
        self.gap = None;
        self.rewinds = Rewind::ToAcknowledged;
        self.is_known = false;
        let next = &mut self.next;
        self.in_flight.retain(|tracked| {
            debug_assert!(!tracked.is_under_way(), "its answer is for the old number");
            // Under a new epoch the broker could not detect the duplicate, so such a batch fails instead.
            let may_be_written =
                tracked.fate != BatchFate::NotWritten && !planted!(MaybeWrittenRenumbered);
            if may_be_written || tracked.is_overtaken && !planted!(OvertakenRenumbered) {
                restarted(tracked.id, None);
                return false;
            }
            let base_sequence = *next;
            *next = next.advance(tracked.record_count);
            let state = ProducerState {
                producer,
                base_sequence,
                is_transactional: self.is_transactional,
            };
            restarted(tracked.id, Some(state));
            true
        });
    }

    /// The batch is written. An answer for an epoch that is over says nothing of the present one.
    pub(super) fn acknowledge(&mut self, batch: &BatchSummary, base_offset: i64, now: Instant) {
        if batch.producer() == self.producer || planted!(OldEpochAcknowledges) {
            let last = batch.state.base_sequence.advance(batch.record_count - 1);
            // Responses may arrive out of order, from two leaders after a leader change: never move backwards.
            let is_later = self
                .last_acknowledged
                .is_none_or(|known| last.distance_from(known) < HALF_RING);
            if is_later {
                self.last_acknowledged = Some(last);
            }
            self.is_known = true;
            self.acknowledged_at = now;
            for earlier in &mut self.in_flight {
                earlier.is_overtaken |= earlier.id < batch.id;
            }
        }
        if base_offset >= 0 {
            // A broker's answer may be anything, up to the largest number there is.
            let last_offset = base_offset.saturating_add(i64::from(batch.record_count) - 1);
            self.last_offset = self.last_offset.max(last_offset);
        }
    }

    /// The batch is gone; its pieces, which have its numbers between them, stand in its place (TM-50).
    pub(super) fn split(
        &mut self,
        id: BatchId,
        pieces: impl Iterator<Item = (BatchId, u32, BatchFate)>,
    ) {
        let Some(at) = self.in_flight.iter().position(|tracked| tracked.id == id) else {
            return;
        };
        // `in_flight` is ordered by sequence: the pieces go where the whole batch was.
        let after = self.in_flight.split_off(at + 1);
        self.in_flight.truncate(at);
        self.in_flight
            .extend(pieces.map(|(id, record_count, fate)| NumberedBatch {
                id,
                record_count,
                progress: BatchProgress::Waiting,
                fate,
                is_proved: false,
                is_overtaken: false,
            }));
        self.in_flight.extend(after);
    }

    /// Stops tracking a completed batch; false if it was not tracked.
    pub(super) fn remove(&mut self, id: BatchId) -> bool {
        let at = self.in_flight.iter().position(|tracked| tracked.id == id);
        at.and_then(|at| self.in_flight.remove(at)).is_some()
    }

    // ---- what is missing

    /// A numbered batch has ended unacknowledged: its numbers are a gap, if it is certain that it was not written and
    /// never will be, or else unresolved.
    pub(super) fn miss(&mut self, batch: &BatchSummary) {
        // A batch of an old epoch leaves no gap in this one; nor does one before a sequence that was acknowledged.
        if batch.producer() != self.producer || self.is_overtaken(batch) {
            return;
        }
        match batch.fate {
            BatchFate::NotWritten => self.note_gap(batch.id),
            // Unresolved, not missing: a later batch's acknowledgement, or a late one of this, may show it written.
            BatchFate::Disputed | BatchFate::Unknown => {
                let next = batch.state.base_sequence.advance(batch.record_count);
                let later = match self.unresolved {
                    Some(known) if known.distance_from(next) < HALF_RING => known,
                    _ => next,
                };
                self.unresolved = Some(later);
            }
        }
    }

    /// The meaning of an `OUT_OF_ORDER_SEQUENCE_NUMBER` response for a batch.
    ///
    /// For the oldest batch it proves that the batch is not in the log, if all its attempts got a response: otherwise
    /// the broker would know the sequence number. It proves nothing if an attempt got no response, since the broker may
    /// still process that attempt.
    pub(super) fn out_of_order(&mut self, batch: &BatchSummary) -> OutOfOrder {
        if self
            .in_flight
            .front()
            .is_some_and(|first| first.id != batch.id)
        {
            return OutOfOrder::Waits;
        }
        let may_be_written = batch.fate == BatchFate::Unknown && !planted!(MaybeWrittenRenumbered);
        if may_be_written || self.is_overtaken(batch) {
            return OutOfOrder::Final;
        }
        self.note_gap(batch.id);
        if let Some(tracked) = self.tracked(batch.id) {
            tracked.fate = BatchFate::NotWritten;
            tracked.is_proved = true;
        }
        OutOfOrder::Gap
    }

    /// From this batch on nothing more is sent under the present numbers, but what may be in the log.
    pub(super) fn note_gap(&mut self, id: BatchId) {
        self.gap = Some(self.gap.map_or(id, |known| known.min(id)));
    }

    /// Whether a later batch was acknowledged: the broker had forgotten the producer when it took that.
    fn is_overtaken(&self, batch: &BatchSummary) -> bool {
        batch.producer() == self.producer
            && self
                .last_acknowledged
                .is_some_and(|last| last.distance_from(batch.state.base_sequence) < HALF_RING)
    }

    #[cfg(test)]
    pub(super) fn unresolved(&self) -> Option<Sequence> {
        self.unresolved
    }

    pub(super) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// Whether the sequence has a gap or is unresolved.
    pub(super) fn is_disturbed(&self) -> bool {
        self.gap.is_some() || self.unresolved.is_some()
    }

    /// Decides about unresolved batches once nothing is in flight any more: either the last number was
    /// acknowledged, or there is a gap. True when one was found.
    pub(super) fn resolve(&mut self) -> bool {
        // While batches are in flight, the acknowledgement of a later one may still settle it.
        if self.unresolved.is_none() || self.has_in_flight() {
            return false;
        }
        self.unresolved = None;
        let is_missing = !self.all_acknowledged();
        if is_missing {
            // The unresolved records may be in the log: the same numbers must not be given to other records.
            self.rewinds = Rewind::Never;
            // Nothing is left that could stand before it.
            self.note_gap(BatchId::new(0));
        }
        is_missing
    }

    /// The leader has lost the producer's state: it accepts sequence 0 next.
    pub(super) fn note_forgotten(&mut self) {
        if self.rewinds == Rewind::ToAcknowledged {
            self.rewinds = Rewind::ToZero;
        }
    }

    /// Whether the leader accepts sequence 0 next, and no unresolved batch forbids a rewind to it.
    pub(super) fn is_forgotten(&self) -> bool {
        self.rewinds == Rewind::ToZero
    }

    /// After an unknown producer id: whether this batch and those behind it can get sequence numbers from 0 in the
    /// current epoch. They can if retention has deleted all acknowledged records, if any, with which old brokers forget
    /// the producer, and if the batch is certain not to be written.
    ///
    /// # Kafka
    /// `TransactionManager#canRetry`, `#startSequencesAtBeginning` (TM-45). Differs: there it may be written.
    pub(super) fn begins_again(&mut self, batch: &BatchSummary, log_start_offset: i64) -> bool {
        if batch.fate != BatchFate::NotWritten || self.last_offset >= log_start_offset {
            return false;
        }
        self.note_forgotten();
        if self.is_forgotten() {
            self.note_gap(batch.id);
        }
        self.is_forgotten()
    }

    /// Rewinds the sequence to the first number after the acknowledged ones; false, without a change, if records under
    /// the missing numbers may be in the log. No batch may be in flight.
    pub(super) fn rewind(&mut self) -> bool {
        debug_assert!(
            self.in_flight.is_empty(),
            "they have numbers that are given again"
        );
        // No epoch bump before 2.5, so the gap is closed by giving the numbers again within the epoch.
        let acknowledged = match self.rewinds {
            Rewind::ToAcknowledged => self.last_acknowledged,
            Rewind::ToZero => None,
            Rewind::Never => return false,
        };
        self.next = acknowledged.map_or(Sequence::ZERO, |last| last.advance(1));
        self.last_acknowledged = acknowledged;
        self.gap = None;
        self.rewinds = Rewind::ToAcknowledged;
        // The leader expects exactly this number next: the first batch goes alone until it is acknowledged.
        self.is_known = false;
        true
    }

    /// Whether a batch in the retry queue can still be sent: not if it is behind a gap and certain not to be written.
    pub(super) fn may_still_be_sent(&self, id: BatchId) -> bool {
        let mut tracked = self.in_flight.iter();
        tracked
            .any(|it| it.id == id && (!self.is_behind_gap(id) || it.fate != BatchFate::NotWritten))
    }

    /// Whether the batches can be numbered anew: what stands before the gap has ended, since it may be in
    /// the log under its number, nothing behind is in flight, and the first is certain not to be written. A later
    /// one that may be is given up then: if a broker that has forgotten the producer took it, the first would
    /// come after it.
    pub(super) fn may_restart(&self) -> bool {
        self.has_gap()
            && self
                .in_flight
                .iter()
                .all(|tracked| self.is_behind_gap(tracked.id) && !tracked.is_under_way())
            && self
                .in_flight
                .front()
                .is_none_or(|first| first.fate == BatchFate::NotWritten)
    }

    /// Whether every assigned sequence number was acknowledged.
    pub(super) fn all_acknowledged(&self) -> bool {
        match self.last_acknowledged {
            Some(last) => last.advance(1) == self.next,
            None => self.next == Sequence::ZERO,
        }
    }
}
