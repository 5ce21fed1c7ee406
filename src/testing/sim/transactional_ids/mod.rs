//! What a transaction coordinator keeps for each transactional id, and which request it takes when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::producer_ids::ProducerIds;
use crate::error::ErrorCode;
use crate::testing::transaction::TransactionState;
use crate::types::{ProducerIdAndEpoch, TopicPartition};

/// One epoch is kept back, for the coordinator to fence the last producer with.
const LAST_EPOCH: i16 = i16::MAX - 1;
/// What is over after some time is so in the next step of it.
const STEP: Duration = Duration::from_millis(1);
const NO_EPOCH: i16 = ProducerIdAndEpoch::NONE.epoch;

/// What takes part in a transaction, and gets a marker in the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Participant {
    Partition(TopicPartition),
    /// A consumer group's offsets; with Kafka, the partition that they are kept in.
    Group(Arc<str>),
}

/// What a coordinator keeps for one transactional id.
///
/// # Kafka
/// `kafka.coordinator.transaction.TransactionMetadata`.
#[derive(Debug, Clone)]
pub(crate) struct TransactionalId {
    producer: ProducerIdAndEpoch,
    /// The producer id before the last initialization.
    last_id: i64,
    /// The epoch before the last bump that a producer asked for by naming what it had: should the answer be lost, the
    /// producer asks with this once more.
    last_epoch: i16,
    timeout: Duration,
    state: TransactionState,
    // Invariant: empty unless the state is Ongoing, PrepareCommit or PrepareAbort.
    participants: BTreeSet<Participant>,
    /// When the first participant was added, and when the transaction was told to end; of the cluster's time.
    began: Duration,
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

    /// Those that have no marker yet.
    pub(crate) fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter()
    }

    /// Whether the transaction was committed, if there are markers to be written; they may be from `delay` after its
    /// end on.
    pub(crate) fn owes_markers(&self, time: Duration, delay: Duration) -> Option<bool> {
        let is_due = time >= self.ended.saturating_add(delay);
        match self.state {
            TransactionState::PrepareCommit if is_due => Some(true),
            TransactionState::PrepareAbort if is_due => Some(false),
            _ => None,
        }
    }

    /// A participant has its marker, or is gone for ever. With the last, the transaction is complete.
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

    /// Whether a request comes from the producer that the coordinator knows.
    fn check(&self, producer: ProducerIdAndEpoch) -> Result<(), ErrorCode> {
        if producer.id != self.producer.id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if producer.epoch != self.producer.epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(())
    }

    /// The next epoch, for a producer that says what it has now, or nothing.
    fn initialize(
        &mut self,
        producer_ids: &mut ProducerIds,
        timeout: Duration,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<(), ErrorCode> {
        let now = self.producer;
        let is_exhausted = now.epoch >= LAST_EPOCH;
        // Whatever fresh ids begin with: the epochs of the one before are none of it.
        let mut fresh = || ProducerIdAndEpoch::new(producer_ids.fresh().id, 0);
        let (next, last_epoch) = match expected {
            None if is_exhausted => (fresh(), NO_EPOCH),
            None => (bumped(now), NO_EPOCH),
            Some(expected) if expected.epoch == now.epoch => {
                let next = if is_exhausted { fresh() } else { bumped(now) };
                (next, now.epoch)
            }
            // The same question a second time: the first answer did not reach it.
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

    /// Whether a producer that says it is this one may have the id's next epoch; the epoch is looked at later.
    fn may_be(&self, expected: ProducerIdAndEpoch) -> bool {
        expected.id == self.producer.id
            || (expected.id == self.last_id && expected.epoch >= LAST_EPOCH)
    }

    /// Aborts the transaction that goes on, and fences its producer.
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

/// All transactional ids. Times are those of the cluster.
///
/// # Kafka
/// `kafka.coordinator.transaction.TransactionCoordinator`, as of 3.0. Differs: what that one writes into its own log is
/// written at once, so that no request meets a change under way, and a transaction is aborted when its time is over, not
/// up to ten seconds later.
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

    /// Whether a transaction goes on that nobody has ended.
    pub(crate) fn is_open(&self, name: &str) -> bool {
        let entry = self.by_name.get(name);
        entry.is_some_and(|entry| entry.state == TransactionState::Ongoing)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &TransactionalId)> {
        self.by_name.iter()
    }

    /// The producer id and epoch for a producer that says what it has now: nothing, or `expected`. Whoever had the id
    /// before is fenced; a producer that is fenced itself is told so.
    ///
    /// # Kafka
    /// `TransactionCoordinator#handleInitProducerId`. Differs: a second question with the last epoch but one gets the last
    /// one again, where 3.0 trips over it.
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
            // Nobody gets to see this epoch: the producer has to ask again.
            entry.abort_and_fence(time);
            return Err(ErrorCode::ConcurrentTransactions);
        }
        entry.initialize(producer_ids, timeout, expected)?;
        Ok(entry.producer)
    }

    /// Adds to the transaction that goes on, or begins one.
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

    /// Ends the transaction that goes on; its markers are to be written. Once more is as well as once.
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

    /// Whether a participant is in the producer's transaction.
    ///
    /// # Kafka
    /// `TransactionCoordinator#handleVerifyPartitionsInTransaction`, of 3.9 (KIP-890), with the errors that producers are
    /// given for its own.
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

    /// The transactions that have gone on for longer than they may.
    pub(crate) fn overdue(&self, time: Duration) -> Vec<Arc<str>> {
        let is_overdue = |entry: &TransactionalId| {
            entry.state == TransactionState::Ongoing
                && entry.began.saturating_add(entry.timeout) < time
        };
        let names = self.by_name.iter().filter(|(_, entry)| is_overdue(entry));
        names.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// When the next transaction is overdue, or its markers may be written; nothing that may be done by now.
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

    /// Aborts a transaction whose time is over.
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
