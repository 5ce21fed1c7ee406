//! Transaction coordinator: the state machine of each transactional id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::producer_ids::ProducerIds;
use crate::error::ErrorCode;
use crate::testing::transaction::TransactionState;
use crate::types::{ProducerIdAndEpoch, TopicPartition};

/// The last epoch that a producer gets. One more is reserved for fencing.
const LAST_EPOCH: i16 = i16::MAX - 1;
/// A time-out takes effect in the next step of the cluster's time.
const STEP: Duration = Duration::from_millis(1);
const NO_EPOCH: i16 = ProducerIdAndEpoch::NONE.epoch;

/// A participant of a transaction, which gets a marker at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Participant {
    Partition(TopicPartition),
    /// A consumer group's offsets; in Kafka, the partition that stores them.
    Group(Arc<str>),
}

/// The coordinator's state for one transactional id.
///
/// # Kafka
/// `kafka.coordinator.transaction.TransactionMetadata`.
#[derive(Debug, Clone)]
pub(crate) struct TransactionalId {
    producer: ProducerIdAndEpoch,
    /// The producer id before the last initialization.
    last_id: i64,
    /// The epoch before the last bump that a producer requested with its own id and epoch. If the response is lost, the
    /// producer repeats the request with this epoch.
    last_epoch: i16,
    timeout: Duration,
    state: TransactionState,
    // Invariant: empty unless the state is Ongoing, PrepareCommit or PrepareAbort.
    participants: BTreeSet<Participant>,
    /// When the first participant was added, in the cluster's time.
    began: Duration,
    /// When the transaction was committed or aborted, in the cluster's time.
    ended: Duration,
}

impl TransactionalId {
    fn new(producer: ProducerIdAndEpoch, timeout: Duration) -> Self {
        Self {
            producer,
            last_id: producer.id,
            last_epoch: NO_EPOCH,
            timeout,
            state: TransactionState::Empty,
            participants: BTreeSet::new(),
            began: Duration::ZERO,
            ended: Duration::ZERO,
        }
    }

    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        self.producer
    }

    pub(crate) fn state(&self) -> TransactionState {
        self.state
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Participants that have no marker yet.
    pub(crate) fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter()
    }

    /// `Some` if markers are due: true for commit markers, false for abort markers. Markers are due `delay` after the
    /// end of the transaction.
    pub(crate) fn owes_markers(&self, time: Duration, delay: Duration) -> Option<bool> {
        let is_due = time >= self.ended.saturating_add(delay);
        match self.state {
            TransactionState::PrepareCommit if is_due => Some(true),
            TransactionState::PrepareAbort if is_due => Some(false),
            _ => None,
        }
    }

    /// Notes that a participant has its marker, or is gone for ever. When no participant is left, the transaction is
    /// complete.
    pub(crate) fn marked(&mut self, participant: &Participant) {
        self.participants.remove(participant);
        self.complete();
    }

    fn complete(&mut self) {
        if !self.participants.is_empty() {
            return;
        }
        self.state = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            TransactionState::PrepareAbort => TransactionState::CompleteAbort,
            other => other,
        };
    }

    fn is_prepared(&self) -> bool {
        matches!(
            self.state,
            TransactionState::PrepareCommit | TransactionState::PrepareAbort
        )
    }

    /// Checks that a request comes from the current producer.
    fn check(&self, producer: ProducerIdAndEpoch) -> Result<(), ErrorCode> {
        if producer.id != self.producer.id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if producer.epoch != self.producer.epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(())
    }

    /// Assigns the next epoch to a producer that sends its present id and epoch, or neither.
    fn initialize(
        &mut self,
        producer_ids: &mut ProducerIds,
        timeout: Duration,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<(), ErrorCode> {
        let now = self.producer;
        let is_exhausted = now.epoch >= LAST_EPOCH;
        // A new id starts at epoch 0 here, whatever first epoch other ids have.
        let mut fresh = || ProducerIdAndEpoch::new(producer_ids.fresh().id, 0);
        let (next, last_epoch) = match expected {
            None if is_exhausted => (fresh(), NO_EPOCH),
            None => (bumped(now), NO_EPOCH),
            Some(expected) if expected.epoch == now.epoch => {
                let next = if is_exhausted { fresh() } else { bumped(now) };
                (next, now.epoch)
            }
            // A retry of a request whose response was lost.
            Some(expected) if expected.epoch == self.last_epoch => (now, self.last_epoch),
            Some(_) => return Err(ErrorCode::ProducerFenced),
        };
        self.producer = next;
        self.last_id = now.id;
        self.last_epoch = last_epoch;
        self.timeout = timeout;
        self.state = TransactionState::Empty;
        Ok(())
    }

    /// Whether a producer with this id may get the next epoch. The epoch is checked later.
    fn may_be(&self, expected: ProducerIdAndEpoch) -> bool {
        expected.id == self.producer.id
            || (expected.id == self.last_id && expected.epoch >= LAST_EPOCH)
    }

    /// Aborts the open transaction, and fences its producer.
    fn abort_and_fence(&mut self, time: Duration) {
        self.producer = bumped(self.producer);
        self.last_epoch = NO_EPOCH;
        self.prepare(TransactionState::PrepareAbort, time);
    }

    fn prepare(&mut self, state: TransactionState, time: Duration) {
        self.state = state;
        self.ended = time;
        self.complete();
    }
}

fn bumped(producer: ProducerIdAndEpoch) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch::new(producer.id, producer.epoch.saturating_add(1))
}

/// All transactional ids. Times are the cluster's.
///
/// # Kafka
/// `kafka.coordinator.transaction.TransactionCoordinator`, as of 3.0. Differs: log writes of the coordinator take
/// effect at once, so that no request meets a change in progress; and a transaction is aborted when its time-out is
/// over, not up to ten seconds later.
#[derive(Debug, Default)]
pub(crate) struct TransactionalIds {
    by_name: BTreeMap<Arc<str>, TransactionalId>,
}

impl TransactionalIds {
    pub(crate) fn get(&self, name: &str) -> Option<&TransactionalId> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut TransactionalId> {
        self.by_name.get_mut(name)
    }

    /// Whether there is an open transaction that has not begun to end.
    pub(crate) fn is_open(&self, name: &str) -> bool {
        let entry = self.by_name.get(name);
        entry.is_some_and(|entry| entry.state == TransactionState::Ongoing)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &TransactionalId)> {
        self.by_name.iter()
    }

    /// Assigns producer id and epoch to a producer that sends its present id and epoch (`expected`), or neither. Any
    /// earlier producer of the transactional id is fenced; a producer that is fenced itself gets an error.
    ///
    /// # Kafka
    /// `TransactionCoordinator#handleInitProducerId`. Differs: a retry that would get [`LAST_EPOCH`] again gets it; 3.0
    /// answers such a retry with an error.
    pub(crate) fn init(
        &mut self,
        producer_ids: &mut ProducerIds,
        name: &Arc<str>,
        timeout: Duration,
        expected: Option<ProducerIdAndEpoch>,
        time: Duration,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let Some(entry) = self.by_name.get_mut(name) else {
            let producer = producer_ids.fresh();
            let entry = TransactionalId::new(producer, timeout);
            self.by_name.insert(Arc::clone(name), entry);
            return Ok(producer);
        };
        if expected.is_some_and(|expected| !entry.may_be(expected)) {
            return Err(ErrorCode::ProducerFenced);
        }
        if entry.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if entry.state == TransactionState::Ongoing {
            // No producer gets this epoch: the request has to be retried.
            entry.abort_and_fence(time);
            return Err(ErrorCode::ConcurrentTransactions);
        }
        entry.initialize(producer_ids, timeout, expected)?;
        Ok(entry.producer)
    }

    /// Adds participants to the open transaction, or begins one.
    ///
    /// # Kafka
    /// `TransactionCoordinator#handleAddPartitionsToTransaction`.
    pub(crate) fn add(
        &mut self,
        name: &str,
        producer: ProducerIdAndEpoch,
        participants: impl IntoIterator<Item = Participant>,
        time: Duration,
    ) -> Result<(), ErrorCode> {
        let entry = self.known(name)?;
        entry.check(producer)?;
        if entry.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if entry.state != TransactionState::Ongoing {
            entry.state = TransactionState::Ongoing;
            entry.began = time;
        }
        entry.participants.extend(participants);
        Ok(())
    }

    /// Ends the open transaction, whose markers are then due. Idempotent.
    ///
    /// # Kafka
    /// `TransactionCoordinator#handleEndTransaction`.
    pub(crate) fn end(
        &mut self,
        name: &str,
        producer: ProducerIdAndEpoch,
        committed: bool,
        time: Duration,
    ) -> Result<(), ErrorCode> {
        let entry = self.known(name)?;
        entry.check(producer)?;
        match (entry.state, committed) {
            (TransactionState::Ongoing, true) => {
                entry.prepare(TransactionState::PrepareCommit, time);
                Ok(())
            }
            (TransactionState::Ongoing, false) => {
                entry.prepare(TransactionState::PrepareAbort, time);
                Ok(())
            }
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
                Ok(())
            }
            (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }

    /// Checks that a participant was added to the producer's transaction.
    ///
    /// # Kafka
    /// `TransactionCoordinator#handleVerifyPartitionsInTransaction`, of 3.9 (KIP-890), with the errors that producers
    /// get.
    pub(crate) fn verify(
        &mut self,
        name: &str,
        producer: ProducerIdAndEpoch,
        participant: &Participant,
    ) -> Result<(), ErrorCode> {
        let entry = self.known(name)?;
        entry.check(producer).map_err(|error| match error {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            other => other,
        })?;
        if entry.is_prepared() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        if entry.participants.contains(participant) {
            return Ok(());
        }
        Err(ErrorCode::InvalidTxnState)
    }

    /// Transactions that have exceeded their time-out.
    pub(crate) fn overdue(&self, time: Duration) -> Vec<Arc<str>> {
        let is_overdue = |entry: &TransactionalId| {
            entry.state == TransactionState::Ongoing
                && entry.began.saturating_add(entry.timeout) < time
        };
        let names = self.by_name.iter().filter(|(_, entry)| is_overdue(entry));
        names.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// The time of the next time-out or marker after now.
    pub(crate) fn next_due(&self, time: Duration, delay: Duration) -> Option<Duration> {
        let due = self.by_name.values().filter_map(|entry| match entry.state {
            TransactionState::Ongoing => {
                let end = entry.began.saturating_add(entry.timeout);
                Some(end.saturating_add(STEP))
            }
            _ if entry.is_prepared() => Some(entry.ended.saturating_add(delay)),
            _ => None,
        });
        due.filter(|due| *due > time).min()
    }

    /// Aborts a transaction that has exceeded its time-out.
    ///
    /// # Kafka
    /// `TransactionCoordinator#abortTimedOutTransactions`.
    pub(crate) fn time_out(&mut self, name: &str, time: Duration) {
        let entry = self.by_name.get_mut(name);
        if let Some(entry) = entry.filter(|entry| entry.state == TransactionState::Ongoing) {
            entry.abort_and_fence(time);
        }
    }

    fn known(&mut self, name: &str) -> Result<&mut TransactionalId, ErrorCode> {
        self.by_name
            .get_mut(name)
            .ok_or(ErrorCode::InvalidProducerIdMapping)
    }
}

#[cfg(test)]
mod tests;
