//! Idempotence for the sender: the drain gate, sequence numbers, the epoch bump, completed and failed batches.
//!
//! Order per batch: `may_drain`, `number`, then one of the `handle_*`. `resolve` is called once in each step of the
//! sender.

use crate::planted::planted;
use crate::util::log::debug;

use super::request::describe;
use super::sequences::{OutOfOrder, PartitionSequences};
use super::{Effect, SequenceRewrite, TransactionManager};
use crate::clock::Instant;
use crate::error::{ErrorCode, ProduceError};
use crate::producer::accumulator::{DrainGate, EntryIndex, NextBatch};
use crate::producer::batch::{BatchFate, BatchSummary, SealedBatch, SplitBatch};
use crate::types::{ProducerIdAndEpoch, TopicPartition};

impl TransactionManager {
    /// Resolves the sequence numbers of expired batches. A partition whose batches turned out to be written is no
    /// longer disturbed. If a sequence has a gap, the epoch is bumped as soon as that cannot cause duplicates.
    ///
    /// # Kafka
    /// `#maybeResolveSequences`, `#bumpIdempotentEpochAndResetIdIfNeeded` (TM-40, TM-41, TM-48). Differs: Java also
    /// renumbers batches that may be in the log under their old sequence numbers.
    pub(crate) fn resolve(&mut self) {
        if self.disturbed.is_empty() || self.fatal_error().is_some() {
            return;
        }
        let mut to_restart = Vec::new();
        let partitions = &mut self.partitions;
        self.disturbed.retain(|index| {
            let Some(partition) = partitions.get_mut(index) else {
                return false;
            };
            if partition.resolve() {
                debug!(
                    self.options.log,
                    "{}: a batch timed out and was not acknowledged later; beginning a new epoch",
                    partition.topic_partition()
                );
            }
            // No restart while batches are in flight: their responses will be for the old sequence numbers.
            if partition.may_restart() {
                to_restart.push(*index);
            }
            partition.is_disturbed()
        });
        if !to_restart.is_empty() {
            self.begin_epoch(&to_restart);
        }
    }

    /// Bumps the epoch (TM-40). If all epochs are used up, a new producer id is requested, and queued batches are
    /// renumbered when it arrives. A partition of an earlier epoch restarts in the current epoch.
    ///
    /// Only the coordinator bumps the epoch of a transactional producer: bumped here, it would differ from the epoch of
    /// the open transaction. In an open transaction, a partition whose leader has lost the producer state restarts in
    /// the current epoch.
    fn begin_epoch(&mut self, to_restart: &[EntryIndex]) {
        if !self.producer.is_valid() {
            // An InitProducerId is queued or in flight; its response will contain a new epoch.
            return;
        }
        let goes_on = self.is_transactional() && self.adds_to_transaction();
        let mut of_present = Vec::new();
        for &index in to_restart {
            let needs_epoch = |it: &PartitionSequences| {
                it.producer() == self.producer && !(goes_on && it.is_forgotten())
            };
            if self.partitions.get(&index).is_some_and(needs_epoch) {
                of_present.push(index);
            } else {
                self.restart(index);
            }
        }
        // No partition needs a bump: each was restarted in the current epoch just now.
        if of_present.is_empty() {
            return;
        }
        // Noted for `complete_transaction`, which queues an InitProducerId with the current id and epoch (KIP-360).
        if self.is_transactional() {
            self.needs_epoch = true;
            return;
        }
        // The epoch is an int16 on the wire; a new producer id begins at epoch 0.
        if self.producer.epoch == i16::MAX {
            debug!(
                self.options.log,
                "all epochs of {} are used up, asking for another id", self.producer
            );
            self.request_producer_id();
            return;
        }
        // Bumped without a request: brokers accept a higher epoch that begins at sequence 0.
        self.producer = ProducerIdAndEpoch::new(self.producer.id, self.producer.epoch + 1);
        debug!(
            self.options.log,
            "the producer's epoch was raised: {}", self.producer
        );
        let forgotten = usize::from(planted!(EpochBumpForgetsPartition));
        for &index in &of_present[forgotten..] {
            self.restart(index);
        }
    }

    /// Restarts a partition's sequence at 0, in the current epoch.
    pub(super) fn restart(&mut self, index: EntryIndex) {
        self.disturbed.remove(&index);
        if let Some(partition) = self.partitions.get_mut(&index) {
            partition.restart(self.producer, |batch, state| {
                self.effects.push(Effect::Renumber(SequenceRewrite {
                    index,
                    batch,
                    state,
                }));
            });
        }
    }

    /// Rewinds sequences to close gaps within the current epoch, for brokers that cannot bump epochs. Returns false if
    /// records under the missing numbers may be in the log.
    ///
    /// # Kafka
    /// `#adjustSequencesDueToFailedBatch`, `#resetSequenceForPartition` (TM-43).
    pub(super) fn rewind(&mut self) -> bool {
        let partitions = &mut self.partitions;
        let mut all = true;
        self.disturbed.retain(|index| {
            let rewound = partitions
                .get_mut(index)
                .is_none_or(PartitionSequences::rewind);
            all &= rewound;
            !rewound
        });
        all
    }

    /// Whether any partition's sequence has a gap or is unresolved.
    pub(super) fn has_disturbed(&self) -> bool {
        !self.disturbed.is_empty()
    }

    /// Whether the partition's sequence has a gap or is unresolved.
    pub(crate) fn is_disturbed(&self, index: EntryIndex) -> bool {
        self.disturbed.contains(&index)
    }

    /// A batch was written. Also called for late responses, to batches that have expired.
    ///
    /// # Kafka
    /// `#handleCompletedBatch` (TM-39).
    pub(crate) fn handle_completed(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        base_offset: i64,
        now: Instant,
    ) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            partition.acknowledge(batch, base_offset, now);
            partition.remove(batch.id);
        }
    }

    /// An attempt has failed; the batch goes to the retry queue.
    pub(crate) fn handle_returned(&mut self, index: EntryIndex, batch: &BatchSummary) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            partition.end_attempt(batch.id, batch.fate);
        }
    }

    /// The batch was too large for the broker and was split; nothing of it is written.
    pub(crate) fn handle_split(&mut self, index: EntryIndex, split: &SplitBatch) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            let pieces = split.pieces().iter();
            partition.split(
                split.whole(),
                pieces.map(|piece| (piece.id(), piece.record_count(), piece.fate())),
            );
        }
    }

    /// A broker refused the batch with `code`, and it will not be sent again (SE-16). `why` is the broker's message.
    ///
    /// # Kafka
    /// `#handleFailedBatch` (TM-32, TM-42 to TM-44).
    pub(crate) fn handle_refused(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        code: ErrorCode,
        why: Option<&str>,
    ) {
        // A batch that is not tracked was never numbered, or a restart of the sequence has dropped it.
        if !self.miss(index, batch) {
            return;
        }
        // The leader has lost the producer state and will accept sequence 0.
        if code == ErrorCode::UnknownProducerId {
            if let Some(partition) = self.partitions.get_mut(&index) {
                partition.note_forgotten();
            }
        }
        let text = || match why {
            Some(why) => format!("{}: {why}", code.name()).into(),
            None => describe(code),
        };
        match code {
            // Fencing is fatal; INVALID_PRODUCER_EPOCH in a Produce response is only abortable (KIP-588).
            ErrorCode::ProducerFenced if self.is_transactional() => self.fenced(),
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TransactionalIdAuthorizationFailed
            | ErrorCode::ProducerFenced
            | ErrorCode::UnsupportedVersion => self.fail_with(code, &text()),
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId => {
                debug!(
                    self.options.log,
                    "{}: a batch with {} and sequence {} is out of order for the broker",
                    batch.topic_partition,
                    batch.producer(),
                    batch.state.base_sequence
                );
            }
            _ => {}
        }
        let partition = &batch.topic_partition;
        let message = || format!("a batch for {partition} failed: {}", text());
        self.handle_lost_records(Some(code), message);
    }

    /// The last attempt of the batch got no response, and it will not be sent again (SE-16).
    ///
    /// # Kafka
    /// `#handleFailedBatch`.
    pub(crate) fn handle_unanswered(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        error: &ProduceError,
    ) {
        if self.miss(index, batch) {
            self.handle_undelivered(error);
        }
    }

    /// The batch timed out after it was handed to the client. If a byte of it was given to a socket, it may be written,
    /// and no new batch of the partition is numbered until that is known.
    ///
    /// # Kafka
    /// `#markSequenceUnresolved` (TM-47). Differs: a first attempt, too, leaves the sequence unresolved (SE-9).
    pub(crate) fn handle_expired_in_flight(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        error: &ProduceError,
    ) {
        self.miss(index, batch);
        self.handle_undelivered(error);
    }

    /// The batch expired or was aborted while it was queued.
    pub(crate) fn handle_expired_in_queue(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        error: &ProduceError,
    ) {
        // A batch that was never drained has no sequence, so it leaves no gap.
        if batch.state.producer.is_valid() {
            self.miss(index, batch);
        }
        self.handle_undelivered(error);
    }

    /// Makes the transaction abortable after a batch that ended without a final response. The failure has the text of
    /// the records' error, and the code of the broker's last response to the batch: users of a guard see no other error.
    fn handle_undelivered(&mut self, error: &ProduceError) {
        let last = error.broker_error().map(|broker| broker.code);
        let code = error.code().or(last);
        self.handle_lost_records(code, || format!("a batch was not delivered: {error}"));
    }

    /// Records that a numbered batch has ended unacknowledged. Returns false if the batch is not tracked.
    fn miss(&mut self, index: EntryIndex, batch: &BatchSummary) -> bool {
        let Some(partition) = self.partitions.get_mut(&index) else {
            return false;
        };
        if !partition.remove(batch.id) {
            return false;
        }
        partition.miss(batch);
        if partition.is_disturbed() {
            debug!(
                self.options.log,
                "{}: numbers from {} on are missing, or may be",
                batch.topic_partition,
                batch.state.base_sequence
            );
            self.disturbed.insert(index);
        }
        true
    }

    /// Whether a refused batch may be retried.
    ///
    /// # Kafka
    /// `#canRetry` (TM-45, TM-46). In a transaction, batches are renumbered only if retention has deleted all
    /// acknowledged records; any other gap fails the transaction.
    pub(crate) fn may_retry(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        code: ErrorCode,
        log_start_offset: i64,
    ) -> bool {
        let is_transactional = self.is_transactional();
        let Some(partition) = self.partitions.get_mut(&index) else {
            return code.is_retriable();
        };
        match code {
            // Retention has deleted all acknowledged batches, and with them the broker's state of the producer: the
            // sequence numbers restart at 0.
            ErrorCode::UnknownProducerId if log_start_offset != -1 && is_transactional => {
                if !partition.begins_again(batch, log_start_offset) {
                    return false;
                }
            }
            ErrorCode::OutOfOrderSequenceNumber if is_transactional => {
                return partition.out_of_order(batch) == OutOfOrder::Waits;
            }
            // The broker has lost the producer state: a batch that is certain not to be written gets a new number.
            ErrorCode::UnknownProducerId if log_start_offset != -1 => {
                if batch.fate != BatchFate::NotWritten {
                    return false;
                }
                partition.note_gap(batch.id);
            }
            // The response lacks the log start offset, because the partition moved while the broker responded. The
            // response to a retry will contain it.
            ErrorCode::UnknownProducerId => {}
            ErrorCode::OutOfOrderSequenceNumber => {
                if partition.out_of_order(batch) == OutOfOrder::Final {
                    return false;
                }
            }
            _ => return code.is_retriable(),
        }
        if partition.is_disturbed() {
            self.disturbed.insert(index);
        }
        true
    }

    pub(super) fn partition(
        &mut self,
        index: EntryIndex,
        name: &TopicPartition,
    ) -> &mut PartitionSequences {
        let is_transactional = self.is_transactional();
        self.partitions
            .entry(index)
            .or_insert_with(|| PartitionSequences::new(name.clone(), is_transactional))
    }
}

impl DrainGate for TransactionManager {
    /// Holds back an idempotent batch while its partition is not added to the transaction, there is no producer id,
    /// batches under another id or epoch are in flight, or a sequence is unresolved; and a retry while it is not the
    /// first in its queue (RA-19). Retries are sent one at a time, in sequence order (RA-20).
    fn may_drain(&self, index: EntryIndex, head: NextBatch) -> bool {
        if !self.producer.is_valid() || self.fatal_error().is_some() {
            return false;
        }
        if self.is_transactional() {
            // A batch written before AddPartitionsToTxn is acknowledged might get no marker when the transaction ends.
            if !self.contents.holds(index) {
                return false;
            }
            // During an abort only retries are drained: without them the sequence would have a gap.
            let takes_new =
                self.adds_to_transaction() || self.is_aborting() && !self.gives_up_queued();
            if head == NextBatch::New && !takes_new {
                return false;
            }
        }
        let Some(partition) = self.partitions.get(&index) else {
            return true;
        };
        match head {
            NextBatch::New if partition.is_disturbed() => false,
            NextBatch::New if !partition.has_in_flight() => true,
            #[cfg(feature = "testing")]
            NextBatch::New if self.sends_without_limit => partition.producer() == self.producer,
            NextBatch::New => partition.may_be_followed() && partition.producer() == self.producer,
            NextBatch::Retried(batch) => partition.may_be_tried_again(batch),
        }
    }

    /// Numbers a batch when it is drained, not when its records are appended (TM-37). A batch gets its producer id,
    /// epoch and first sequence number once (RA-21). A partition adopts a new id and epoch, and restarts at 0, when it
    /// has no batches in flight (TM-38).
    fn number(&mut self, index: EntryIndex, batch: &mut SealedBatch) {
        let producer = self.producer;
        let partition = self.partition(index, batch.topic_partition());
        if !batch.has_sequence() {
            // The producer id or epoch has changed since the partition's last batch.
            if partition.producer() != producer && !partition.has_in_flight() {
                partition.restart(producer, |_, _| {});
            }
            let state = partition.assign(batch.id(), batch.record_count(), batch.created());
            batch.assign(state);
        }
        partition.begin_attempt(batch.id());
    }
}
