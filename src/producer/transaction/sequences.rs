//! The sequence numbers of one partition.

use std::collections::VecDeque;

use super::HALF_RING;
use crate::clock::Instant;
use crate::planted::planted;
use crate::producer::batch::{BatchId, BatchSummary, Fate};
use crate::record::builder::ProducerState;
use crate::types::{ProducerIdAndEpoch, Sequence, TopicPartition};

/// Which numbers were given, which were acknowledged, which are under way, and which are missing.
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
    /// Numbered batches that have not ended: under way, or waiting to be sent again.
    in_flight: VecDeque<Tracked>,
    /// The sequence after the last batch that has ended without its being known whether it was written:
    /// nothing new is sent until that is known (TM-47).
    unresolved: Option<Sequence>,
    /// The first batch whose number is missing for certain, or that is certain not to be written under its
    /// number. What stands behind it is not sent any more before there is a new epoch.
    gap: Option<BatchId>,
    /// The leader is known to know this producer and epoch.
    is_known: bool,
    /// When a batch was acknowledged last.
    acknowledged_at: Instant,
}

/// How many of a producer's last batches a broker can tell from ones that are missing.
const BATCHES_REMEMBERED: usize = 5;

#[derive(Debug)]
struct Tracked {
    id: BatchId,
    record_count: u32,
    progress: Progress,
    /// What its attempts tell, one that is under way apart.
    fate: Fate,
    /// The broker's last answer proves that it is not written, whatever attempts before that left open.
    is_proved: bool,
    /// A later batch was acknowledged.
    is_overtaken: bool,
}

/// Where a numbered batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// With the client, for the first time.
    First,
    /// Waiting to be sent again: an attempt has failed, or it is a piece of a batch that was too large.
    Waiting,
    /// With the client, once more.
    Again,
}

impl Tracked {
    fn is_under_way(&self) -> bool {
        self.progress != Progress::Waiting
    }
}

/// What it means that a broker calls a batch out of order.
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

    /// Whether a numbered batch is under way, or waits to be sent again.
    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether a new batch may be sent behind those under way.
    ///
    /// A leader that knows nothing of a producer takes any sequence for its first: were the batch in front
    /// refused for a moment, as while a leader is elected, the one behind it would be taken, and the one in
    /// front never again. So the first batch of an epoch goes alone, until it is acknowledged; and so does
    /// the first after the partition's line ran empty, because a leader may forget a producer meanwhile (the
    /// topic was deleted and made again, `producer.id.expiration.ms` has passed), and one that is tried
    /// again.
    ///
    /// Nor may there be more at a time than a broker remembers, as there could be while a partition moves from one
    /// leader's connection to another's: a broker would call the oldest out of order although it has it.
    pub(super) fn may_be_followed(&self) -> bool {
        (self.is_known || planted!(FirstBatchFollowed)) && self.has_room() && !self.has_retried()
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < BATCHES_REMEMBERED
    }

    fn has_retried(&self) -> bool {
        self.in_flight
            .iter()
            .any(|tracked| tracked.progress != Progress::First)
    }

    /// Whether a batch that failed before may be sent now: the oldest, one at a time, and not one that waits
    /// for another number. One behind a gap that may be in the log all the same is tried under its number: the
    /// broker's answer tells.
    pub(super) fn may_be_tried_again(&self, id: BatchId) -> bool {
        self.in_flight.front().is_none_or(|first| {
            first.id == id && (!self.is_behind_gap(id) || first.fate != Fate::NotWritten)
        })
    }

    fn is_behind_gap(&self, id: BatchId) -> bool {
        self.gap.is_some_and(|gap| id >= gap)
    }

    /// Gives the next numbers to a batch that was opened at `created`.
    pub(super) fn assign(
        &mut self,
        id: BatchId,
        record_count: u32,
        created: Instant,
    ) -> ProducerState {
        if self.in_flight.is_empty() && created > self.acknowledged_at {
            self.is_known = false;
        }
        let state = ProducerState {
            producer: self.producer,
            base_sequence: self.next,
            is_transactional: self.is_transactional,
        };
        let taken = record_count - u32::from(planted!(SequenceOffByOne));
        self.next = self.next.advance(taken);
        self.in_flight.push_back(Tracked {
            id,
            record_count,
            progress: Progress::First,
            fate: Fate::NotWritten,
            is_proved: false,
            is_overtaken: false,
        });
        state
    }

    /// A numbered batch is handed to the client.
    pub(super) fn begin_attempt(&mut self, id: BatchId) {
        if let Some(tracked) = self.tracked(id) {
            if tracked.progress == Progress::Waiting {
                tracked.progress = Progress::Again;
            }
            tracked.is_proved = false;
        }
    }

    /// A numbered batch is back, to be sent again.
    pub(super) fn end_attempt(&mut self, id: BatchId, fate: Fate) {
        if let Some(tracked) = self.tracked(id) {
            tracked.progress = Progress::Waiting;
            if !tracked.is_proved {
                tracked.fate = fate;
            }
        }
    }

    fn tracked(&mut self, id: BatchId) -> Option<&mut Tracked> {
        self.in_flight.iter_mut().find(|tracked| tracked.id == id)
    }

    /// Begins again at 0 as `producer`; `restarted` is told the new numbers of each batch that waits. One that
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
        self.unresolved = None;
        self.gap = None;
        self.is_known = false;
        let next = &mut self.next;
        self.in_flight.retain(|tracked| {
            debug_assert!(!tracked.is_under_way(), "its answer is for the old number");
            let may_be_written =
                tracked.fate != Fate::NotWritten && !planted!(MaybeWrittenRenumbered);
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
        pieces: impl Iterator<Item = (BatchId, u32, Fate)>,
    ) {
        let Some(at) = self.in_flight.iter().position(|tracked| tracked.id == id) else {
            return;
        };
        let after = self.in_flight.split_off(at + 1);
        self.in_flight.truncate(at);
        self.in_flight
            .extend(pieces.map(|(id, record_count, fate)| Tracked {
                id,
                record_count,
                progress: Progress::Waiting,
                fate,
                is_proved: false,
                is_overtaken: false,
            }));
        self.in_flight.extend(after);
    }

    /// The batch is over, one way or the other; false if it was not under way.
    pub(super) fn remove(&mut self, id: BatchId) -> bool {
        let at = self.in_flight.iter().position(|tracked| tracked.id == id);
        at.and_then(|at| self.in_flight.remove(at)).is_some()
    }

    // ---- what is missing

    /// A numbered batch has ended and was not acknowledged: its numbers are missing, if it is certain that
    /// it was not written and never will be, or they are unresolved.
    pub(super) fn miss(&mut self, batch: &BatchSummary) {
        if batch.producer() != self.producer || self.is_overtaken(batch) {
            return;
        }
        match batch.fate {
            Fate::NotWritten => self.note_gap(batch.id),
            Fate::Disputed | Fate::Unknown => {
                let next = batch.state.base_sequence.advance(batch.record_count);
                let later = match self.unresolved {
                    Some(known) if known.distance_from(next) < HALF_RING => known,
                    _ => next,
                };
                self.unresolved = Some(later);
            }
        }
    }

    /// What a broker's "out of order" means for a batch.
    ///
    /// Of the oldest batch it proves that it is not in the log, where all its attempts were answered: had it
    /// been written, the broker would know its number. It is not proof where an attempt got no answer,
    /// because the broker may still come to that.
    pub(super) fn out_of_order(&mut self, batch: &BatchSummary) -> OutOfOrder {
        if self
            .in_flight
            .front()
            .is_some_and(|first| first.id != batch.id)
        {
            return OutOfOrder::Waits;
        }
        let may_be_written = batch.fate == Fate::Unknown && !planted!(MaybeWrittenRenumbered);
        if may_be_written || self.is_overtaken(batch) {
            return OutOfOrder::Final;
        }
        self.note_gap(batch.id);
        if let Some(tracked) = self.tracked(batch.id) {
            tracked.fate = Fate::NotWritten;
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

    /// Whether numbers are missing, or may be.
    pub(super) fn is_disturbed(&self) -> bool {
        self.gap.is_some() || self.unresolved.is_some()
    }

    /// Decides about unresolved batches once nothing is under way any more: either the last number was
    /// acknowledged, or there is a gap. True when one was found.
    pub(super) fn resolve(&mut self) -> bool {
        if self.unresolved.is_none() || self.has_in_flight() {
            return false;
        }
        self.unresolved = None;
        let is_missing = !self.all_acknowledged();
        if is_missing {
            // Nothing is left that could stand before it.
            self.note_gap(BatchId::new(0));
        }
        is_missing
    }

    /// Whether the batches can be numbered anew: what stands before the gap has ended, since it may be in
    /// the log under its number, nothing behind is under way, and the first is certain not to be written. A later
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
                .is_none_or(|first| first.fate == Fate::NotWritten)
    }

    /// Whether every number that was given has been acknowledged.
    pub(super) fn all_acknowledged(&self) -> bool {
        match self.last_acknowledged {
            Some(last) => last.advance(1) == self.next,
            None => self.next == Sequence::ZERO,
        }
    }
}
