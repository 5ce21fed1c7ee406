//! The sequence numbers of one partition.

use std::collections::VecDeque;

use crate::producer::batch::{BatchId, BatchSummary};
use crate::record::builder::ProducerState;
use crate::types::{ProducerIdAndEpoch, Sequence, TopicPartition};

use super::HALF_RING;

/// Which numbers were given, which were acknowledged, and which are under way.
///
/// # Kafka
/// `TransactionManager.TopicPartitionEntry` (TM-36). Batches are kept in the order they were numbered,
/// which is that of their sequences also across the wrap and across epochs (PB-26, TM-49).
#[derive(Debug)]
pub(super) struct PartitionSequences {
    topic_partition: TopicPartition,
    producer: ProducerIdAndEpoch,
    next: Sequence,
    /// The last record that is known to be written, in the present epoch.
    last_acknowledged: Option<Sequence>,
    last_offset: i64,
    in_flight: VecDeque<Tracked>,
}

#[derive(Debug)]
struct Tracked {
    id: BatchId,
    record_count: u32,
}

impl PartitionSequences {
    pub(super) fn new(topic_partition: TopicPartition) -> Self {
        Self {
            topic_partition,
            producer: ProducerIdAndEpoch::NONE,
            next: Sequence::ZERO,
            last_acknowledged: None,
            last_offset: -1,
            in_flight: VecDeque::new(),
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

    /// Whether nothing of the present epoch is known to be written. A broker that knows nothing of a
    /// producer takes any sequence for its first: were the batch in front refused for a moment, as while a
    /// leader is elected, the one behind it would be taken, and the one in front never again.
    pub(super) fn awaits_first(&self) -> bool {
        self.last_acknowledged.is_none()
    }

    pub(super) fn first_in_flight(&self) -> Option<BatchId> {
        self.in_flight.front().map(|tracked| tracked.id)
    }

    /// Gives the next numbers to a batch.
    pub(super) fn assign(&mut self, id: BatchId, record_count: u32) -> ProducerState {
        let state = ProducerState {
            producer: self.producer,
            base_sequence: self.next,
        };
        self.next = self.next.advance(record_count);
        self.in_flight.push_back(Tracked { id, record_count });
        state
    }

    /// Begins again at 0 as `producer`; `renumbered` is told the new numbers of each batch under way.
    pub(super) fn restart(
        &mut self,
        producer: ProducerIdAndEpoch,
        mut renumbered: impl FnMut(BatchId, ProducerState),
    ) {
        self.producer = producer;
        self.next = Sequence::ZERO;
        self.last_acknowledged = None;
        for tracked in &self.in_flight {
            renumbered(
                tracked.id,
                ProducerState {
                    producer,
                    base_sequence: self.next,
                },
            );
            self.next = self.next.advance(tracked.record_count);
        }
    }

    /// The batch is written. An answer for an epoch that is over says nothing of the present one.
    pub(super) fn acknowledge(&mut self, batch: &BatchSummary, base_offset: i64) {
        if batch.producer() == self.producer {
            let last = batch.state.base_sequence.advance(batch.record_count - 1);
            let is_later = self
                .last_acknowledged
                .is_none_or(|known| last.distance_from(known) < HALF_RING);
            if is_later {
                self.last_acknowledged = Some(last);
            }
        }
        if base_offset >= 0 {
            // A broker's answer may be anything, up to the largest number there is.
            let last_offset = base_offset.saturating_add(i64::from(batch.record_count) - 1);
            self.last_offset = self.last_offset.max(last_offset);
        }
    }

    /// The batch is gone; its pieces, which have its numbers between them, stand in its place (TM-50).
    pub(super) fn split(&mut self, id: BatchId, pieces: impl Iterator<Item = (BatchId, u32)>) {
        let Some(at) = self.in_flight.iter().position(|tracked| tracked.id == id) else {
            return;
        };
        let after = self.in_flight.split_off(at + 1);
        self.in_flight.truncate(at);
        self.in_flight
            .extend(pieces.map(|(id, record_count)| Tracked { id, record_count }));
        self.in_flight.extend(after);
    }

    /// The batch is over, one way or the other; false if it was not under way.
    pub(super) fn remove(&mut self, id: BatchId) -> bool {
        let at = self.in_flight.iter().position(|tracked| tracked.id == id);
        at.and_then(|at| self.in_flight.remove(at)).is_some()
    }

    /// Whether every number that was given has been acknowledged.
    pub(super) fn all_acknowledged(&self) -> bool {
        self.is_next(self.next)
    }

    /// Whether `sequence` is the one right after the last acknowledged.
    pub(super) fn is_next(&self, sequence: Sequence) -> bool {
        match self.last_acknowledged {
            Some(last) => last.advance(1) == sequence,
            None => sequence == Sequence::ZERO,
        }
    }
}
