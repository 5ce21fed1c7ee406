//! Idempotence: who the producer is, which sequence each batch carries, and what a broker's refusal
//! means for the batches behind it. Transactions will be built on the same ground.

mod identity;
mod sequences;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info};

pub(crate) use self::identity::{FatalError, InitOutcome};
use self::identity::{State, describe};
use self::sequences::PartitionSequences;
use super::accumulator::{DrainGate, EntryIndex, HeadOfLine};
use super::batch::{BatchId, BatchSummary, SealedBatch, SplitBatch};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::record::builder::ProducerState;
use crate::types::{ProducerIdAndEpoch, Sequence, TopicPartition};

/// A batch whose place among the producer's batches has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceRewrite {
    pub(crate) index: EntryIndex,
    pub(crate) batch: BatchId,
    pub(crate) state: ProducerState,
}

/// Numbers the batches of an idempotent producer.
///
/// # Threads
/// The sender's alone.
/// # Kafka
/// `TransactionManager`, the part that every idempotent producer needs. Batches are known by their
/// summaries; when sequences change, the changes are returned as data.
#[derive(Debug)]
pub(crate) struct TransactionManager {
    state: State,
    producer: ProducerIdAndEpoch,
    retry_backoff: Duration,
    partitions: BTreeMap<EntryIndex, PartitionSequences>,
    /// Partitions of which a batch timed out after it had been handed to the network, and the sequence
    /// after it: nothing new is sent until it is known whether the batch was written (TM-47).
    unresolved: BTreeMap<EntryIndex, Sequence>,
    /// Partitions whose batches in flight get new sequences when the epoch is raised (TM-40).
    to_rewrite: BTreeSet<EntryIndex>,
    /// How the last attempt to get a producer id ended.
    last_error: Option<Arc<str>>,
    /// The last attempt was refused: asking again is only worth it for batches that need an id.
    was_refused: bool,
    /// For tests of what follows when several batches of a partition are under way from the start.
    #[cfg(test)]
    sends_ahead: bool,
}

impl TransactionManager {
    pub(crate) fn new(retry_backoff: Duration) -> Self {
        Self {
            state: State::Uninitialized {
                retry_at: Instant::ORIGIN,
            },
            producer: ProducerIdAndEpoch::NONE,
            retry_backoff,
            partitions: BTreeMap::new(),
            unresolved: BTreeMap::new(),
            to_rewrite: BTreeSet::new(),
            last_error: None,
            was_refused: false,
            #[cfg(test)]
            sends_ahead: false,
        }
    }

    /// Lets batches follow the first of a partition before that is answered.
    #[cfg(test)]
    pub(crate) fn send_ahead(&mut self) {
        self.sends_ahead = true;
    }

    pub(crate) fn has_producer_id(&self) -> bool {
        self.producer.is_valid()
    }

    #[cfg(test)]
    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        self.producer
    }

    pub(crate) fn fatal_error(&self) -> Option<&FatalError> {
        match &self.state {
            State::Fatal(error) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn last_error(&self) -> Option<&Arc<str>> {
        self.last_error.as_ref()
    }

    // ---- between loops

    /// Clears partitions whose timed-out batches turned out to be written, and begins a new epoch where
    /// they were not, or where a partition asked for one.
    ///
    /// # Kafka
    /// `#maybeResolveSequences`, `#bumpIdempotentEpochAndResetIdIfNeeded` (TM-40, TM-41, TM-48).
    pub(crate) fn resolve(&mut self, now: Instant) -> Vec<SequenceRewrite> {
        let settled: Vec<EntryIndex> = self
            .unresolved
            .keys()
            .filter(|index| {
                self.partitions
                    .get(*index)
                    .is_none_or(|p| !p.has_in_flight())
            })
            .copied()
            .collect();
        for index in settled {
            self.unresolved.remove(&index);
            let Some(partition) = self.partitions.get(&index) else {
                continue;
            };
            if !partition.all_acknowledged() {
                info!(
                    "{}: a batch timed out and was not acknowledged later; beginning a new epoch",
                    partition.topic_partition()
                );
                self.to_rewrite.insert(index);
            }
        }
        if self.to_rewrite.is_empty() || self.fatal_error().is_some() {
            return Vec::new();
        }
        self.begin_epoch(now)
    }

    /// TM-40. With the epochs used up, the id is given up and another asked for; batches in flight are
    /// rewritten once it is there.
    fn begin_epoch(&mut self, now: Instant) -> Vec<SequenceRewrite> {
        if !self.producer.is_valid() {
            // An id is on its way already; it comes with an epoch of its own.
            return Vec::new();
        }
        if self.producer.epoch == i16::MAX {
            debug!(
                "all epochs of {} are used up, asking for another id",
                self.producer
            );
            self.producer = ProducerIdAndEpoch::NONE;
            self.state = State::Uninitialized { retry_at: now };
            return Vec::new();
        }
        self.producer = ProducerIdAndEpoch::new(self.producer.id, self.producer.epoch + 1);
        debug!("the producer's epoch was raised: {}", self.producer);
        let mut rewrites = Vec::new();
        for index in std::mem::take(&mut self.to_rewrite) {
            self.unresolved.remove(&index);
            if let Some(partition) = self.partitions.get_mut(&index) {
                partition.restart(self.producer, |batch, state| {
                    rewrites.push(SequenceRewrite {
                        index,
                        batch,
                        state,
                    });
                });
            }
        }
        rewrites
    }

    /// Whether something is still open for a partition.
    pub(crate) fn has_unresolved(&self, index: EntryIndex) -> bool {
        self.unresolved.contains_key(&index)
    }

    // ---- batches

    /// The batch is in the log. Late answers, for batches that have timed out meanwhile, count too.
    ///
    /// # Kafka
    /// `#handleCompletedBatch` (TM-39).
    pub(crate) fn handle_completed(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        base_offset: i64,
    ) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            partition.acknowledge(batch, base_offset);
            partition.remove(batch.id);
        }
    }

    /// The batch was too large for the broker and was split; nothing of it is written.
    pub(crate) fn handle_split(&mut self, index: EntryIndex, split: &SplitBatch) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            let pieces = split.pieces().iter();
            partition.split(
                split.whole(),
                pieces.map(|piece| (piece.id(), piece.record_count())),
            );
        }
    }

    /// The batch failed and will not be sent again. `adjust` when it was refused for certain, so that
    /// its sequence numbers are free (SE-16).
    ///
    /// # Kafka
    /// `#handleFailedBatch` (TM-42, TM-44).
    pub(crate) fn handle_failed(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        code: Option<ErrorCode>,
        why: Option<&str>,
        adjust: bool,
    ) {
        let Some(partition) = self.partitions.get_mut(&index) else {
            return;
        };
        if !partition.remove(batch.id) {
            return;
        }
        match code {
            Some(
                code @ (ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::TransactionalIdAuthorizationFailed
                | ErrorCode::ProducerFenced
                | ErrorCode::UnsupportedVersion),
            ) => {
                if self.fatal_error().is_none() {
                    self.fail(FatalError {
                        code: Some(code),
                        message: match why {
                            Some(why) => format!("{}: {why}", code.name()).into(),
                            None => describe(code),
                        },
                    });
                }
            }
            Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId) => {
                error!(
                    "{}: a batch with {} and sequence {} is out of order for the broker",
                    batch.topic_partition,
                    batch.producer(),
                    batch.state.base_sequence
                );
                self.request_epoch(index);
            }
            _ if adjust => self.request_epoch(index),
            // Its retries are used up: whether its numbers are taken is not known. Java leaves it at
            // that, and the next batch is refused as out of order until it times out.
            _ => self.mark_unresolved(index, batch),
        }
    }

    /// The batch timed out after it had been handed to the network: it may be written or not, and
    /// nothing new is numbered until that is known.
    ///
    /// # Kafka
    /// `#markSequenceUnresolved` (TM-47). Differs: also for a first attempt (SE-9).
    pub(crate) fn handle_expired_in_flight(&mut self, index: EntryIndex, batch: &BatchSummary) {
        let Some(partition) = self.partitions.get_mut(&index) else {
            return;
        };
        if partition.remove(batch.id) {
            self.mark_unresolved(index, batch);
        }
    }

    fn mark_unresolved(&mut self, index: EntryIndex, batch: &BatchSummary) {
        let next = batch.state.base_sequence.advance(batch.record_count);
        let later = match self.unresolved.get(&index) {
            Some(&known) if known.distance_from(next) < HALF_RING => known,
            _ => next,
        };
        debug!(
            "{}: unresolved before sequence {later}",
            batch.topic_partition
        );
        self.unresolved.insert(index, later);
    }

    /// The batch timed out, or was given up, while it waited to be sent; `tried` when it had been
    /// handed to the network before.
    pub(crate) fn handle_expired_in_queue(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        tried: bool,
    ) {
        if !batch.state.producer.is_valid() {
            return;
        }
        if tried {
            self.handle_expired_in_flight(index, batch);
        } else if let Some(partition) = self.partitions.get_mut(&index) {
            // It was numbered and no broker has seen it: its numbers are missing for good.
            if partition.remove(batch.id) {
                self.request_epoch(index);
            }
        }
    }

    fn request_epoch(&mut self, index: EntryIndex) {
        self.to_rewrite.insert(index);
    }

    /// Whether a batch that was refused may be sent again.
    ///
    /// # Kafka
    /// `#canRetry` (TM-45, TM-46), for a producer without transactions.
    pub(crate) fn may_retry(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        code: ErrorCode,
        log_start_offset: i64,
    ) -> bool {
        match code {
            ErrorCode::UnknownProducerId => {
                // Log start unknown: the partition moved while the broker answered; asking again tells.
                // Rewritten: the refusal was for the numbers the batch had before.
                if log_start_offset != -1 && !batch.rewritten {
                    self.request_epoch(index);
                }
                true
            }
            ErrorCode::OutOfOrderSequenceNumber => {
                let is_next = self
                    .partitions
                    .get(&index)
                    .is_some_and(|partition| partition.is_next(batch.state.base_sequence));
                match self.unresolved.get(&index) {
                    // It waits for an earlier one that is still under way.
                    None if batch.rewritten || !is_next => {}
                    // There is a gap before it for certain.
                    None => self.request_epoch(index),
                    Some(after) if *after == batch.state.base_sequence => {
                        self.request_epoch(index);
                    }
                    Some(_) => {}
                }
                true
            }
            _ => code.is_retriable(),
        }
    }

    fn partition(&mut self, index: EntryIndex, name: &TopicPartition) -> &mut PartitionSequences {
        self.partitions
            .entry(index)
            .or_insert_with(|| PartitionSequences::new(name.clone()))
    }
}

impl DrainGate for TransactionManager {
    /// RA-19, RA-20
    fn may_drain(&self, index: EntryIndex, head: HeadOfLine) -> bool {
        if !self.producer.is_valid() || self.fatal_error().is_some() {
            return false;
        }
        let Some(partition) = self.partitions.get(&index) else {
            return true;
        };
        match head {
            HeadOfLine::New => {
                let awaits_first = partition.awaits_first();
                #[cfg(test)]
                let awaits_first = awaits_first && !self.sends_ahead;
                let may_follow = partition.producer() == self.producer && !awaits_first;
                (may_follow || !partition.has_in_flight())
                    && !self.unresolved.contains_key(&index)
                    && !self.to_rewrite.contains(&index)
            }
            // One at a time and in order of sequence, once one has failed.
            HeadOfLine::Retried(batch) => partition
                .first_in_flight()
                .is_none_or(|first| first == batch),
        }
    }

    /// RA-21, TM-37, TM-38
    fn number(&mut self, index: EntryIndex, batch: &mut SealedBatch) {
        if batch.has_sequence() {
            return;
        }
        let producer = self.producer;
        let partition = self.partition(index, batch.topic_partition());
        if partition.producer() != producer && !partition.has_in_flight() {
            partition.restart(producer, |_, _| {});
        }
        let state = partition.assign(batch.id(), batch.record_count());
        batch.assign(state);
    }
}

/// Half of the 31-bit ring of sequences: what is nearer than that going forward is later.
const HALF_RING: u32 = 1 << 30;

#[cfg(test)]
mod tests;
