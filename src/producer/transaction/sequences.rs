//! The sequence numbers of one partition.

use std::collections::VecDeque;

use crate::clock::Instant;
use crate::planted::planted;
use crate::producer::batch::{BatchFate, BatchId, BatchSummary};
use crate::record::builder::ProducerState;
use crate::types::{ProducerIdAndEpoch, Sequence, TopicPartition};

/// Sequence bookkeeping of a partition: the next and the last acknowledged number, in-flight and unresolved batches,
/// and the gap.
///
/// # Kafka
/// `TransactionManager.TopicPartitionEntry` (TM-36). Batches are kept in the order they were numbered, which is the
/// order of their sequence numbers, also after a wrap-around and across epochs (PB-26, TM-49).
#[derive(Debug)]
pub(super) struct PartitionSequences {
    topic_partition: TopicPartition,
    producer: ProducerIdAndEpoch,
    /// True if the batches of the partition are parts of transactions.
    is_transactional: bool,
    /// The sequence number of the first record of the next batch.
    next: Sequence,
    /// The sequence number of the last record that is known to be written in the current epoch.
    last_acknowledged: Option<Sequence>,
    /// The largest offset that was acknowledged; -1 if none was.
    last_offset: i64,
    /// Numbered batches that have not ended: in flight, or in the retry queue.
    in_flight: VecDeque<NumberedBatch>,
    /// The sequence number after the last unresolved batch; `None` if no batch is unresolved. An unresolved batch has
    /// ended, but it is unknown whether it was written. No new batch is sent before it is resolved (TM-47).
    unresolved: Option<Sequence>,
    /// The gap: the first batch that is certain not to be written under its number. Batches behind it are not sent
    /// before an epoch bump.
    gap: Option<BatchId>,
    /// The number to which the sequence can be rewound, to close the gap without an epoch bump.
    rewinds: Rewind,
    /// True after the leader has acknowledged a batch of this producer id and epoch, until the partition is idle.
    is_known: bool,
    /// The time of the last acknowledgement.
    acknowledged_at: Instant,
}

/// The number to which the sequence can be rewound within the current epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rewind {
    /// To the number after the last acknowledged one.
    ToAcknowledged,
    /// To 0: the leader has lost this producer's state.
    ToZero,
    /// Not at all: records under the missing numbers may be in the log.
    Never,
}

/// The number of batches per producer and partition whose sequences a broker remembers, to detect duplicates.
const BATCHES_REMEMBERED: usize = 5;

/// Half of the 31-bit sequence space, for comparisons across the wrap-around.
const HALF_RING: u32 = 1 << 30;

/// A numbered batch that has not completed.
#[derive(Debug)]
struct NumberedBatch {
    id: BatchId,
    record_count: u32,
    progress: BatchProgress,
    /// The fate of its past attempts. An attempt in flight does not count.
    fate: BatchFate,
    /// True if the broker's last response proves that the batch is not written, although earlier attempts had left that
    /// open.
    is_proved: bool,
    /// True if a later batch was acknowledged.
    is_overtaken: bool,
}

/// The progress of a numbered batch: in flight, or in the retry queue.
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
    /// The batch waits for an earlier one.
    Waits,
    /// Numbers before the batch are missing, and it is certainly not written: it gets another number.
    Gap,
    /// The batch cannot be sent again: the broker will never accept its number, and under another number it could be
    /// written twice, or after later batches.
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
    /// A leader without state of a producer accepts any first sequence number. If the batch in front is refused for a
    /// moment, as during a leader election, such a leader accepts the batch behind it, and will then never accept the
    /// batch in front. So these batches are sent alone until they are acknowledged: the first batch of an epoch; the
    /// first batch after the partition was idle, because the leader may have lost the state meanwhile (the topic was
    /// deleted and recreated, or `producer.id.expiration.ms` has passed); and a retry.
    ///
    /// At most as many batches are in flight as a broker remembers. More would be possible while a partition moves from
    /// the connection of one leader to that of another. A broker would then respond "out of order" for the oldest batch
    /// although it has written that batch.
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

    /// Whether a batch in the retry queue may be sent now: only the oldest batch, and not if it waits for another
    /// number behind a gap. A batch behind a gap that may nevertheless be in the log is retried under its number: the
    /// response shows whether it is in the log.
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
        // The partition was idle: the leader may have expired this producer's state meanwhile, so the batch is sent
        // alone.
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
            // `is_proved` is about earlier attempts; this attempt may write the batch.
            tracked.is_proved = false;
        }
    }

    /// A numbered batch is back in the retry queue.
    pub(super) fn end_attempt(&mut self, id: BatchId, fate: BatchFate) {
        if let Some(tracked) = self.tracked(id) {
            tracked.progress = BatchProgress::Waiting;
            // If an out-of-order response has proved the batch unwritten, the fate that earlier attempts left open no
            // longer counts.
            if !tracked.is_proved {
                tracked.fate = fate;
            }
        }
    }

    fn tracked(&mut self, id: BatchId) -> Option<&mut NumberedBatch> {
        self.in_flight.iter_mut().find(|tracked| tracked.id == id)
    }

    /// Restarts the sequence at 0 under `producer`. `restarted` gets the new numbers of each batch in the retry queue;
    /// `None` if the batch may be in the log, or a later batch was acknowledged. Such a batch is no longer tracked.
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
        // The leader accepts sequence 0 of a new epoch, whatever it has received in the old epoch.
        self.unresolved = None;
        self.gap = None;
        self.rewinds = Rewind::ToAcknowledged;
        self.is_known = false;
        let next = &mut self.next;
        self.in_flight.retain(|tracked| {
            debug_assert!(
                !tracked.is_under_way(),
                "its response is for the old number"
            );
            // A batch that may be in the log fails: under a new epoch the broker could not detect the duplicate.
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

    /// The batch is written. A late response for an earlier epoch does not change the sequence of the current epoch.
    pub(super) fn acknowledge(&mut self, batch: &BatchSummary, base_offset: i64, now: Instant) {
        if batch.producer() == self.producer || planted!(OldEpochAcknowledges) {
            let last = batch.state.base_sequence.advance(batch.record_count - 1);
            // Responses may arrive out of order, from two leaders after a leader change: the last acknowledged number
            // never moves backwards.
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
            // Saturating: a broker may return any offset, up to `i64::MAX`.
            let last_offset = base_offset.saturating_add(i64::from(batch.record_count) - 1);
            self.last_offset = self.last_offset.max(last_offset);
        }
    }

    /// Replaces a split batch by its pieces, which share its sequence numbers (TM-50).
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

    /// Stops tracking a completed batch; returns false if it was not tracked.
    pub(super) fn remove(&mut self, id: BatchId) -> bool {
        let at = self.in_flight.iter().position(|tracked| tracked.id == id);
        at.and_then(|at| self.in_flight.remove(at)).is_some()
    }

    // ---- gaps and unresolved batches

    /// A numbered batch has ended unacknowledged. Its numbers are a gap if it is certain that it was not written and
    /// never will be; otherwise they are unresolved.
    pub(super) fn miss(&mut self, batch: &BatchSummary) {
        // A batch of an old epoch leaves no gap in the current epoch. A batch before an acknowledged sequence number
        // leaves no gap either.
        if batch.producer() != self.producer || self.is_overtaken(batch) {
            return;
        }
        match batch.fate {
            BatchFate::NotWritten => self.note_gap(batch.id),
            // Unresolved, not missing: the acknowledgement of a later batch, or a late acknowledgement of this batch,
            // may show that this batch was written.
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
    /// For the oldest batch it proves that the batch is not in the log, if all its attempts got a response: the broker
    /// would know the sequence number of a batch in its log. It proves nothing if an attempt got no response, since the
    /// broker may still process that attempt.
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

    /// Notes a gap: of this batch and those behind it, only batches that may be in the log are still sent under their
    /// present numbers.
    pub(super) fn note_gap(&mut self, id: BatchId) {
        self.gap = Some(self.gap.map_or(id, |known| known.min(id)));
    }

    /// Whether a later batch was acknowledged. The broker accepted that batch because it had lost the producer state.
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

    /// Decides about unresolved batches when no numbered batch is left: either the last number was acknowledged, or
    /// there is a gap. Returns true if there is a gap.
    pub(super) fn resolve(&mut self) -> bool {
        // While batches are in flight, the acknowledgement of a later batch may still resolve an earlier one.
        if self.unresolved.is_none() || self.has_in_flight() {
            return false;
        }
        self.unresolved = None;
        let is_missing = !self.all_acknowledged();
        if is_missing {
            // The unresolved records may be in the log: the same numbers must not be given to other records.
            self.rewinds = Rewind::Never;
            // The lowest id: no batch is tracked that could be in front of the gap.
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

    /// After an `UNKNOWN_PRODUCER_ID` response: whether this batch and those behind it can get sequence numbers from 0
    /// in the current epoch. They can if the batch is certain not to be written, and if retention has deleted all
    /// acknowledged records: with these, old brokers lose the producer state.
    ///
    /// # Kafka
    /// `TransactionManager#canRetry`, `#startSequencesAtBeginning` (TM-45). Differs: Java also restarts if the batch
    /// may be written.
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

    /// Rewinds the sequence to the first number after the acknowledged ones. Returns false, and changes nothing, if
    /// records under the missing numbers may be in the log. No batch may be in flight.
    pub(super) fn rewind(&mut self) -> bool {
        debug_assert!(
            self.in_flight.is_empty(),
            "they have numbers that are given again"
        );
        // Brokers before 2.5 cannot bump epochs, so the gap is closed by assigning the numbers again within the epoch.
        let acknowledged = match self.rewinds {
            Rewind::ToAcknowledged => self.last_acknowledged,
            Rewind::ToZero => None,
            Rewind::Never => return false,
        };
        self.next = acknowledged.map_or(Sequence::ZERO, |last| last.advance(1));
        self.last_acknowledged = acknowledged;
        self.gap = None;
        self.rewinds = Rewind::ToAcknowledged;
        // The leader expects exactly this number next: the first batch is sent alone until it is acknowledged.
        self.is_known = false;
        true
    }

    /// Whether a batch in the retry queue can still be sent: not if it is behind a gap and certain not to be written.
    pub(super) fn may_still_be_sent(&self, id: BatchId) -> bool {
        let mut tracked = self.in_flight.iter();
        tracked
            .any(|it| it.id == id && (!self.is_behind_gap(id) || it.fate != BatchFate::NotWritten))
    }

    /// Whether the batches can be renumbered. There must be a gap, and the batches in front of it must have ended,
    /// since they may be in the log under their numbers. No batch may be in flight, and the first must be certain not
    /// to be written. Later batches that may be written then fail: if a broker that had lost the producer state has
    /// accepted such a batch, the first batch would be written after it.
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
