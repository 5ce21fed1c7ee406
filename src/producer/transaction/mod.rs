//! Idempotence: who the producer is, which sequence each batch carries, and what a broker's refusal
//! means for the batches behind it. Transactions will be built on the same ground.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | the manager, and what the sender asks of it about batches |
//! | `request` | transactional requests as data: the seam for each further kind of them |
//! | `requests` | their queue: whose turn it is, and the one under way |
//! | `coordinators` | who looks after what, and looking it up |
//! | `inbox` | how application threads ask for requests |
//! | `outgoing` | what the sender asks of the manager about requests |
//! | `identity` | the producer id: the first kind of request |
//! | `sequences` | the numbers of one partition's batches |

mod coordinators;
mod identity;
mod inbox;
mod outgoing;
mod request;
mod requests;
mod sequences;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::planted::planted;
use crate::util::log::{LogContext, debug};

pub(crate) use self::identity::FatalError;
use self::identity::{State, describe};
use self::inbox::RequestInbox;
pub(crate) use self::request::Failure;
#[cfg(test)]
pub(crate) use self::request::{
    Condition, CoordinatorKey, Destination, Priority, RequestHandler, Verdict,
};
use self::requests::RequestQueue;
pub(crate) use self::requests::{Batches, NextRequest, RequestId};
use self::sequences::{OutOfOrder, PartitionSequences};
use super::accumulator::{DrainGate, EntryIndex, HeadOfLine};
use super::batch::{BatchId, BatchSummary, Fate, SealedBatch, SplitBatch};
use crate::clock::Instant;
use crate::clock::log_limit::LogLimit;
use crate::error::{ErrorCode, ProduceErrorKind};
use crate::record::builder::ProducerState;
use crate::types::{ProducerIdAndEpoch, TopicPartition};
use crate::util::backoff::SHORTEST_BACKOFF;

/// A batch whose place among the producer's batches has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceRewrite {
    pub(crate) index: EntryIndex,
    pub(crate) batch: BatchId,
    /// None for a batch that may be in the log under its number, or before which later ones are: it must not be
    /// sent under another.
    pub(crate) state: Option<ProducerState>,
}

/// What the sender is to do about batches. It follows from an answer, or from how things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A batch that waits to be sent again gets another number, or is given up.
    Renumber(SequenceRewrite),
    /// Every batch that waits fails so; what is under way may still be acknowledged.
    FailWaiting {
        kind: ProduceErrorKind,
        message: Arc<str>,
    },
}

/// What the manager is told by the configuration.
#[derive(Debug, Clone)]
pub(crate) struct TransactionOptions {
    pub(crate) log: LogContext,
    pub(crate) retry_backoff: Duration,
    /// The producer's batches are parts of transactions under this name.
    pub(crate) transactional_id: Option<Arc<str>>,
    /// After this time the coordinator aborts a transaction that goes on.
    pub(crate) transaction_timeout: Duration,
}

/// Numbers the batches of an idempotent producer, and says which requests are to be made for it.
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
    options: TransactionOptions,
    requests: RequestQueue,
    inbox: Arc<RequestInbox>,
    /// A transactional producer's numbers are missing: the coordinator must raise its epoch.
    needs_epoch: bool,
    /// What the sender has not been told yet.
    effects: Vec<Effect>,
    partitions: BTreeMap<EntryIndex, PartitionSequences>,
    /// Partitions of which numbers are missing, or may be: nothing new is sent to them meanwhile.
    disturbed: BTreeSet<EntryIndex>,
    /// How the last attempt to get a producer id ended.
    last_error: Option<Arc<str>>,
    /// Of lines about that.
    log_limit: LogLimit,
}

impl TransactionManager {
    /// A manager that asks for a producer id at once.
    pub(crate) fn new(options: TransactionOptions) -> Self {
        let mut manager = Self {
            state: State::Initializing,
            producer: ProducerIdAndEpoch::NONE,
            options,
            requests: RequestQueue::default(),
            inbox: Arc::new(RequestInbox::new()),
            needs_epoch: false,
            effects: Vec::new(),
            partitions: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            last_error: None,
            log_limit: LogLimit::default(),
        };
        manager.request_producer_id();
        manager
    }

    /// Whether the producer's batches are parts of transactions.
    pub(crate) fn is_transactional(&self) -> bool {
        self.options.transactional_id.is_some()
    }

    /// The name of the transactions that the producer's batches are parts of.
    pub(crate) fn transactional_id(&self) -> Option<&Arc<str>> {
        self.options.transactional_id.as_ref()
    }

    /// Whether numbers of a transactional producer are missing, so that some partitions take nothing new before the
    /// coordinator has raised the producer's epoch. Whoever ends the transaction asks for that, with
    /// [`request_producer_id`](Self::request_producer_id) or a request of its own.
    ///
    /// # Kafka
    /// `TransactionManager#epochBumpRequired`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "whoever ends a transaction will ask")
    )]
    pub(crate) fn needs_epoch(&self) -> bool {
        self.needs_epoch
    }

    pub(crate) fn retry_backoff(&self) -> Duration {
        self.options.retry_backoff.max(SHORTEST_BACKOFF)
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

    /// Clears partitions whose timed-out batches turned out to be written, and begins a new epoch for those
    /// of which numbers are missing, once that can write nothing twice.
    ///
    /// # Kafka
    /// `#maybeResolveSequences`, `#bumpIdempotentEpochAndResetIdIfNeeded` (TM-40, TM-41, TM-48). Differs: Java
    /// gives new numbers also to batches that may be in the log under their old ones.
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
            if partition.may_restart() {
                to_restart.push(*index);
            }
            partition.is_disturbed()
        });
        if !to_restart.is_empty() {
            self.begin_epoch(&to_restart);
        }
    }

    /// TM-40. With the epochs used up, the id is given up and another asked for; batches that wait are
    /// numbered again once it is there.
    ///
    /// Only the coordinator raises the epoch of a transactional producer: raised here, it would not be the one that
    /// the transaction was begun with.
    fn begin_epoch(&mut self, to_restart: &[EntryIndex]) {
        if !self.producer.is_valid() {
            // An id is on its way already; it comes with an epoch of its own.
            return;
        }
        if self.is_transactional() {
            for &index in to_restart {
                let partition = self.partitions.get(&index);
                if partition.is_some_and(|it| it.producer() == self.producer) {
                    self.needs_epoch = true;
                } else {
                    self.restart(index);
                }
            }
            return;
        }
        if self.producer.epoch == i16::MAX {
            debug!(
                self.options.log,
                "all epochs of {} are used up, asking for another id", self.producer
            );
            self.request_producer_id();
            return;
        }
        self.producer = ProducerIdAndEpoch::new(self.producer.id, self.producer.epoch + 1);
        debug!(
            self.options.log,
            "the producer's epoch was raised: {}", self.producer
        );
        let forgotten = usize::from(planted!(EpochBumpForgetsPartition));
        for &index in &to_restart[forgotten..] {
            self.restart(index);
        }
    }

    /// A partition's numbers begin again, in the present epoch.
    fn restart(&mut self, index: EntryIndex) {
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

    /// Whether numbers of a partition are missing, or may be.
    pub(crate) fn is_disturbed(&self, index: EntryIndex) -> bool {
        self.disturbed.contains(&index)
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
        now: Instant,
    ) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            partition.acknowledge(batch, base_offset, now);
            partition.remove(batch.id);
        }
    }

    /// An attempt has failed, and another will be made.
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

    /// The batch failed and will not be sent again: because a broker refused it with `code`, or for another
    /// reason (SE-16).
    ///
    /// # Kafka
    /// `#handleFailedBatch` (TM-42, TM-44).
    pub(crate) fn handle_failed(
        &mut self,
        index: EntryIndex,
        batch: &BatchSummary,
        code: Option<ErrorCode>,
        why: Option<&str>,
    ) {
        if !self.miss(index, batch) {
            return;
        }
        match code {
            Some(
                code @ (ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::TransactionalIdAuthorizationFailed
                | ErrorCode::ProducerFenced
                | ErrorCode::UnsupportedVersion),
            ) => {
                let message = match why {
                    Some(why) => format!("{}: {why}", code.name()).into(),
                    None => describe(code),
                };
                self.fail_with(code, &message);
            }
            Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId) => {
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
    }

    /// The batch timed out after it had been handed to the client: unless not a byte of it was given to a
    /// socket, it may be written or not, and nothing new is numbered until that is known.
    ///
    /// # Kafka
    /// `#markSequenceUnresolved` (TM-47). Differs: also for a first attempt (SE-9).
    pub(crate) fn handle_expired_in_flight(&mut self, index: EntryIndex, batch: &BatchSummary) {
        self.miss(index, batch);
    }

    /// The batch timed out, or was given up, while it waited to be sent.
    pub(crate) fn handle_expired_in_queue(&mut self, index: EntryIndex, batch: &BatchSummary) {
        if batch.state.producer.is_valid() {
            self.miss(index, batch);
        }
    }

    /// A numbered batch has ended unacknowledged; false if it was not under way.
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
        let Some(partition) = self.partitions.get_mut(&index) else {
            return code.is_retriable();
        };
        match code {
            // The broker has forgotten the producer. Log start unknown: the partition moved while the broker
            // answered; asking again tells.
            ErrorCode::UnknownProducerId if log_start_offset != -1 => {
                if batch.fate != Fate::NotWritten {
                    return false;
                }
                partition.note_gap(batch.id);
            }
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

    fn partition(&mut self, index: EntryIndex, name: &TopicPartition) -> &mut PartitionSequences {
        let is_transactional = self.is_transactional();
        self.partitions
            .entry(index)
            .or_insert_with(|| PartitionSequences::new(name.clone(), is_transactional))
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
            HeadOfLine::New if partition.is_disturbed() => false,
            HeadOfLine::New if !partition.has_in_flight() => true,
            HeadOfLine::New => partition.may_be_followed() && partition.producer() == self.producer,
            HeadOfLine::Retried(batch) => partition.may_be_tried_again(batch),
        }
    }

    /// RA-21, TM-37, TM-38
    fn number(&mut self, index: EntryIndex, batch: &mut SealedBatch) {
        let producer = self.producer;
        let partition = self.partition(index, batch.topic_partition());
        if !batch.has_sequence() {
            if partition.producer() != producer && !partition.has_in_flight() {
                partition.restart(producer, |_, _| {});
            }
            let state = partition.assign(batch.id(), batch.record_count(), batch.created());
            batch.assign(state);
        }
        partition.begin_attempt(batch.id());
    }
}

/// Half of the 31-bit ring of sequences: what is nearer than that going forward is later.
const HALF_RING: u32 = 1 << 30;

#[cfg(test)]
mod tests;
