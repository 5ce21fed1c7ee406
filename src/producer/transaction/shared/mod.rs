//! The transaction state shared by application threads and the sender: state machine, pending call, open partitions.
//!
//! A record is appended to a queue only while its partition is entered into the open transaction, which the append
//! itself checks under the queue's lock. A thread that ends a transaction, or finds that it must be aborted,
//! closes the entered queues first: after that no late record gets into this transaction or the next. So `send` pays
//! nothing for transactions, except for the first record of a partition.

#[cfg(test)]
mod held_up;
mod locked;
mod pending_operations;
mod retry_reasons;
#[cfg(feature = "testing")]
mod tally;

use std::sync::Arc;

use self::locked::SharedTransactionState;
pub(crate) use self::locked::TransactionEnd;
#[cfg(test)]
pub(crate) use self::pending_operations::MAX_OFFSET_COMMITS;
pub(crate) use self::pending_operations::{AskedOperation, Operation, TransactionResult};
#[cfg(feature = "testing")]
pub(crate) use self::tally::TransactionTally;
use super::inbox::RequestInbox;
use super::request::{Lane, RequestHandler, RetryReason};
use super::state::TransactionManagerState;
use crate::error::{CLOSED, TransactionErrorKind, TransactionFailure};
use crate::producer::accumulator::{EntryIndex, PartitionEntry, TransactionNumber};
use crate::producer::waiting::Latch;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, Rank};
use crate::types::TopicPartition;

/// The shared state of a transactional producer; see the [module](self).
#[derive(Debug)]
pub(crate) struct Transactions {
    transactional_id: Arc<str>,
    shared: Mutex<SharedTransactionState>,
    newest: Newest,
    inbox: Arc<RequestInbox>,
}

/// The number of the newest transaction, written under the lock of [`Transactions`], read by `send` without it. Whether
/// that transaction is still open is checked under the lock. On a cache line of its own, because the sender writes the
/// neighbouring fields in each step (false sharing).
#[derive(Debug, Default)]
#[repr(align(64))]
struct Newest(AtomicU64);

/// The changes by application threads since the sender's last step.
#[derive(Debug)]
pub(super) struct News {
    pub(super) state: TransactionManagerState,
    pub(super) partitions: Vec<(EntryIndex, TopicPartition)>,
    pub(super) requests: Vec<Box<dyn RequestHandler>>,
}

impl Transactions {
    pub(super) fn new(transactional_id: Arc<str>, inbox: Arc<RequestInbox>) -> Self {
        Self {
            transactional_id,
            shared: Mutex::new(Rank::TRANSACTION, SharedTransactionState::new()),
            newest: Newest::default(),
            inbox,
        }
    }

    pub(crate) fn transactional_id(&self) -> &Arc<str> {
        &self.transactional_id
    }

    pub(crate) fn state(&self) -> TransactionManagerState {
        self.shared.lock().state
    }

    #[cfg(feature = "testing")]
    pub(crate) fn tally(&self) -> TransactionTally {
        self.shared.lock().tally
    }

    // ---- application threads

    /// The newest transaction: records sent now belong to it, whether it is open or not.
    #[inline]
    pub(crate) fn newest(&self) -> TransactionNumber {
        TransactionNumber(self.newest.0.load(Ordering::Relaxed))
    }

    /// Checks that the transaction is open, so that records can be added to it.
    ///
    /// # Kafka
    /// `TransactionManager#failIfNotReadyForSend` (TM-7).
    pub(crate) fn check_send(&self, of: TransactionNumber) -> Result<(), TransactionFailure> {
        self.lock().check_record(of)
    }

    /// Checks the same for a call of `send_offsets_to_transaction` without offsets.
    pub(crate) fn check_offsets(
        &self,
        of: Option<TransactionNumber>,
    ) -> Result<(), TransactionFailure> {
        let shared = self.lock();
        shared.check_number(of)?;
        shared.check_open(of)
    }

    /// Opens the partition's queue for records of the transaction, if the transaction is open. Returns true if the
    /// sender must be woken, to add the partition to the transaction.
    ///
    /// # Kafka
    /// `TransactionManager#maybeAddPartitionToTransaction`.
    pub(crate) fn enter(
        &self,
        of: TransactionNumber,
        entry: &Arc<PartitionEntry>,
    ) -> Result<bool, TransactionFailure> {
        let mut shared = self.lock();
        shared.check_record(of)?;
        // Opened under this lock, so that no commit or abort comes between the state check and the opening of the
        // queue.
        let enters = entry.enter_transaction(of);
        if enters {
            shared.entered.push(Arc::clone(entry));
        }
        Ok(enters)
    }

    /// Begins a transaction (`beginTransaction`); needs no request and no sender.
    pub(crate) fn begin(&self) -> Result<TransactionNumber, TransactionFailure> {
        let mut shared = self.shared.lock();
        shared.check_pending(None)?;
        shared.check_state(None, TransactionManagerState::InTransaction)?;
        // The number is new even if nothing is sent: a late call for the previous transaction must not affect this one.
        shared.number.0 += 1;
        shared.transition(TransactionManagerState::InTransaction, None);
        // Relaxed suffices: the number is checked again under this lock, or by the append under the queue's lock.
        self.newest.0.store(shared.number.0, Ordering::Relaxed);
        Ok(shared.number)
    }

    /// How this transaction has ended; `None` if it has not. An error if another transaction was begun since.
    pub(crate) fn end_of(
        &self,
        of: TransactionNumber,
    ) -> Result<Option<TransactionEnd>, TransactionFailure> {
        let shared = self.lock();
        shared.check_number(Some(of))?;
        Ok(shared.end)
    }

    /// Locks the state for a call about one certain transaction. Until the lock is held, other threads may end that
    /// transaction and begin the next, so the caller checks the number afterwards.
    fn lock(&self) -> MutexGuard<'_, SharedTransactionState> {
        #[cfg(test)]
        held_up::before_lock();
        self.shared.lock()
    }

    /// Starts a call's operation, or finds the pending operation of an earlier call; with `of`, only while that
    /// transaction is the newest. `make` builds the request for the sender, which the caller wakes. No more than
    /// [`MAX_OFFSET_COMMITS`](pending_operations::MAX_OFFSET_COMMITS) offset commits are queued.
    pub(crate) fn ask(
        &self,
        of: Option<TransactionNumber>,
        operation: Operation,
        make: impl FnOnce(&Arc<TransactionResult>) -> Box<dyn RequestHandler>,
    ) -> Result<AskedOperation, TransactionFailure> {
        let mut shared = self.lock();
        // The number is checked under the lock: another thread may have ended the transaction and begun the next.
        shared.check_number(of)?;
        if let Some(result) = shared.pending.result_of(&operation) {
            return Ok(AskedOperation::Pending(result));
        }
        shared.check_pending(of)?;
        let next = match operation {
            Operation::Init => Some(TransactionManagerState::Initializing),
            Operation::Commit => Some(TransactionManagerState::Committing),
            Operation::Abort => Some(TransactionManagerState::Aborting),
            Operation::SendOffsets(_) => None,
        };
        if let Some(next) = next {
            shared.check_state(of, next)?;
            shared.transition(next, None);
        } else {
            shared.check_open(of)?;
            if let Some(oldest) = shared.pending.oldest_of_too_many() {
                return Ok(AskedOperation::TooMany(oldest));
            }
        }
        let result = Arc::new(Latch::new());
        let handler = make(&result);
        // Still under the lock, so that the sender takes the new state and its request in one `take_news`.
        if self.inbox.push_unwoken(handler).is_err() {
            return Err(shared.refused(of, closed()));
        }
        shared.pending.add(operation, Arc::clone(&result));
        Ok(AskedOperation::Pending(result))
    }

    /// The pending result of an earlier call with the same operation, if that call timed out.
    pub(crate) fn begun_before(
        &self,
        of: Option<TransactionNumber>,
        operation: &Operation,
    ) -> Option<Arc<TransactionResult>> {
        let shared = self.lock();
        shared.check_number(of).ok()?;
        shared.pending.result_of(operation)
    }

    /// Clears the pending operation that has this result: a call now returns the result.
    pub(crate) fn clear_pending(&self, result: &Arc<TransactionResult>) {
        self.shared.lock().pending.remove(result);
    }

    /// Why a call with this operation takes so long: the reason of a retry, of its own requests if possible.
    pub(crate) fn retry_reason_of_call(&self, operation: &Operation) -> Option<RetryReason> {
        self.shared.lock().retry_reasons.of_call(operation)
    }

    /// Why a partition is not added to the transaction yet.
    pub(crate) fn retry_reason_of_partitions(&self) -> Option<RetryReason> {
        self.shared.lock().retry_reasons.of_partitions()
    }

    /// Fails the transaction with an abortable error: one of its records could not be sent, or its guard could not end
    /// it. No effect if the transaction is no longer open: the record is then not part of it.
    pub(crate) fn make_abortable(&self, of: TransactionNumber, failure: &TransactionFailure) {
        let mut shared = self.lock();
        if shared.check_record(of).is_ok() {
            let failure = Some(failure.clone());
            shared.transition(TransactionManagerState::AbortableError, failure);
        }
    }

    // ---- the sender

    /// Sets why a request of this lane is retried; `is_unsent` if nothing was sent to the node of the request: its lookup
    /// or its connection failed.
    pub(super) fn set_retry_reason(&self, lane: Lane, why: RetryReason, is_unsent: bool) {
        self.shared.lock().retry_reasons.set(lane, why, is_unsent);
    }

    /// Forgets the reason of a lane: its last request is done.
    pub(super) fn clear_retry_reason(&self, lane: Lane) {
        self.shared.lock().retry_reasons.clear(lane);
    }

    /// Forgets why nothing was sent to the node of a request of these lanes: now it is sent.
    pub(super) fn forget_unsent(&self, lanes: impl IntoIterator<Item = Lane>) {
        let mut shared = self.shared.lock();
        for lane in lanes {
            shared.retry_reasons.forget_unsent(lane);
        }
    }

    /// Takes the changes since the last call: state, new partitions and requests, consistent under one lock.
    pub(super) fn take_news(&self) -> News {
        let mut shared = self.shared.lock();
        let shared = &mut *shared;
        // Only the partitions entered since the last call; `entered` itself is kept, to close the queues at the end.
        let known = std::mem::replace(&mut shared.known, shared.entered.len());
        let partitions = shared.entered[known..].iter();
        News {
            state: shared.state,
            partitions: partitions
                .map(|entry| (entry.index(), entry.topic_partition().clone()))
                .collect(),
            // Taken with the lock held: a commit request is never seen without the partitions that were entered before
            // it.
            requests: self.inbox.take(),
        }
    }

    /// Abortable error: the transaction can only be aborted. No effect if no transaction is open, or if it is being
    /// aborted (TM-4). The first such error is kept. `commit_is_out` is true if an EndTxn(commit) was sent and may have
    /// been carried out.
    pub(super) fn fail_transaction(&self, failure: TransactionFailure, commit_is_out: bool) {
        let mut shared = self.shared.lock();
        if shared
            .state
            .may_become(TransactionManagerState::AbortableError)
        {
            // Only a pending commit is ended here: in InTransaction only offset calls can be pending, and their request
            // handlers end them.
            let was_committing = shared.state == TransactionManagerState::Committing;
            shared.commit_in_doubt |= commit_is_out;
            let failure = failure.in_doubt(shared.commit_in_doubt);
            if was_committing {
                shared.pending.release(Err(failure.clone()));
            }
            shared.transition(TransactionManagerState::AbortableError, Some(failure));
        }
    }

    /// Fatal error: every later call fails with it (TM-5). The error shows whether the transaction may be committed;
    /// that is not known until a new producer with this transactional id has initialized.
    pub(super) fn fail_for_good(&self, failure: TransactionFailure, commit_is_out: bool) {
        let mut shared = self.shared.lock();
        if shared.state.may_become(TransactionManagerState::FatalError) {
            shared.commit_in_doubt |= commit_is_out;
            // The next epoch may be refused after the transaction was committed, but before the commit call has
            // returned.
            let is_committed =
                shared.pending.commit().is_some() && shared.end == Some(TransactionEnd::Committed);
            let failure = failure.in_doubt(shared.commit_in_doubt || is_committed);
            shared.pending.release(Err(failure.clone()));
            shared.transition(TransactionManagerState::FatalError, Some(failure));
        }
    }

    /// InitProducerId succeeded: the producer is ready for the next transaction.
    pub(super) fn initialized(&self) {
        self.ready_from(|state| state == TransactionManagerState::Initializing);
    }

    /// The transaction has ended; with `raise_epoch` an epoch bump comes before the next transaction.
    pub(super) fn ended(&self, raise_epoch: bool) {
        if raise_epoch {
            let mut shared = self.shared.lock();
            // The pending call is not released here: it returns once InitProducerId has brought the new epoch.
            if shared.state.is_completing() {
                shared.transition(TransactionManagerState::Initializing, None);
            }
        } else {
            self.ready_from(TransactionManagerState::is_completing);
        }
    }

    fn ready_from(&self, expected: impl Fn(TransactionManagerState) -> bool) {
        let mut shared = self.shared.lock();
        if expected(shared.state) {
            shared.transition(TransactionManagerState::Ready, None);
            shared.pending.release(Ok(()));
        }
    }

    /// Aborts the open transaction of a closing producer. Returns false if there is none to abort.
    pub(super) fn abort_at_close(&self) -> bool {
        let mut shared = self.shared.lock();
        let aborts = shared.state.may_become(TransactionManagerState::Aborting);
        if aborts {
            shared.transition(TransactionManagerState::Aborting, None);
        }
        aborts
    }

    /// The sender has ended: pending and later calls fail as closed.
    pub(super) fn close(&self, why: &str, commit_is_out: bool) {
        let failure = TransactionFailure::new(TransactionErrorKind::Closed, None, why);
        self.fail_for_good(failure, commit_is_out);
    }

    /// Completes the failure of a call about the transaction `of` (or the newest one) that the checks above do not
    /// refuse: notes in it whether that transaction may be committed.
    pub(crate) fn refused(
        &self,
        of: Option<TransactionNumber>,
        failure: TransactionFailure,
    ) -> TransactionFailure {
        self.shared.lock().refused(of, failure)
    }

    /// The reason of an error state; `None` in any other state.
    pub(crate) fn failure(&self) -> Option<TransactionFailure> {
        self.shared.lock().failure.clone()
    }
}

pub(crate) fn closed() -> TransactionFailure {
    TransactionFailure::new(
        TransactionErrorKind::Closed,
        None,
        format!("{CLOSED}; no transaction can be begun or ended any more"),
    )
}

#[cfg(test)]
mod tests;
