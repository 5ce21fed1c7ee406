//! The operations of transactional calls whose results are not known yet, or not returned yet.

use std::sync::Arc;

use crate::error::{TransactionCall, TransactionFailure};
use crate::producer::transaction::offsets::OffsetsToCommit;
use crate::producer::waiting::Latch;

/// The result of a transactional call, a latch that the sender sets.
pub(crate) type TransactionResult = Latch<Result<(), TransactionFailure>>;

/// The highest number of offset commits without a result. Each is a queued request with its offsets, also when its call
/// has timed out: without a limit a program that goes on would fill the memory while the coordinator of its group is
/// away.
pub(crate) const MAX_OFFSET_COMMITS: usize = 100;

/// The outcome of [`Transactions::ask`](super::Transactions::ask).
#[derive(Debug)]
pub(crate) enum AskedOperation {
    /// The operation is pending, and will have this result.
    Pending(Arc<TransactionResult>),
    /// Nothing was queued, because there are [`MAX_OFFSET_COMMITS`]: ask again when the oldest of them has this result.
    TooMany(Arc<TransactionResult>),
}

/// The operation of a transactional call. A call that is repeated after it timed out waits for the result of the first
/// call (KAFKA-13412).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Init,
    SendOffsets(Arc<OffsetsToCommit>),
    Commit,
    Abort,
}

impl Operation {
    pub(crate) fn call(&self) -> TransactionCall {
        match self {
            Self::Init => TransactionCall::InitTransactions,
            Self::SendOffsets(_) => TransactionCall::SendOffsetsToTransaction,
            Self::Commit => TransactionCall::CommitTransaction,
            Self::Abort => TransactionCall::AbortTransaction,
        }
    }

    /// Whether both operations commit offsets of one group.
    fn is_of_group(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::SendOffsets(one), Self::SendOffsets(other)) => {
                one.group.group_id() == other.group.group_id()
            }
            _ => false,
        }
    }
}

#[derive(Debug)]
struct PendingOperation {
    operation: Operation,
    result: Arc<TransactionResult>,
}

/// The pending operations of a producer, each until its call has returned the result.
///
/// # Kafka
/// `TransactionManager.pendingTransition`. Differs: offset commits are remembered too, so that such a call can be
/// repeated.
#[derive(Debug, Default)]
pub(super) struct PendingOperations {
    /// The operation that begins or ends something: only one at a time.
    transition: Option<PendingOperation>,
    /// The offset commits of the transaction.
    offsets: Vec<PendingOperation>,
    /// The results of the offset commits that are queued, oldest first; those that are set are removed later. Unlike
    /// `offsets` they include the commits whose call has timed out, and that a later one of their group has replaced.
    queued_offsets: Vec<Arc<TransactionResult>>,
}

impl PendingOperations {
    pub(super) fn add(&mut self, operation: Operation, result: Arc<TransactionResult>) {
        let is_of_offsets = matches!(operation, Operation::SendOffsets(_));
        if is_of_offsets {
            self.forget_earlier_offsets(&operation);
            self.queued_offsets.push(Arc::clone(&result));
            self.offsets.push(PendingOperation { operation, result });
        } else {
            // Pending offsets do not keep a transaction from being ended. Their handlers still set the results; the
            // entries only serve a repeated call.
            self.offsets.clear();
            self.transition = Some(PendingOperation { operation, result });
        }
    }

    /// The result that another offset commit has to wait for, if there are [`MAX_OFFSET_COMMITS`].
    pub(super) fn oldest_of_too_many(&mut self) -> Option<Arc<TransactionResult>> {
        self.queued_offsets.retain(|result| result.get().is_none());
        let is_full = self.queued_offsets.len() >= MAX_OFFSET_COMMITS;
        self.queued_offsets.first().filter(|_| is_full).cloned()
    }

    /// Removes the operation that has this result: a call now returns it.
    pub(super) fn remove(&mut self, result: &Arc<TransactionResult>) {
        let is_it = |pending: &PendingOperation| Arc::ptr_eq(&pending.result, result);
        self.transition.take_if(|pending| is_it(pending));
        self.offsets.retain(|pending| !is_it(pending));
    }

    /// The result of the same operation, if it is pending.
    pub(super) fn result_of(&self, operation: &Operation) -> Option<Arc<TransactionResult>> {
        let mut all = self.transition.iter().chain(&self.offsets);
        let same = all.find(|it| it.operation == *operation)?;
        Some(Arc::clone(&same.result))
    }

    /// The pending operation, unless it commits offsets.
    pub(super) fn other_than_offsets(&self) -> Option<&Operation> {
        self.transition.as_ref().map(|pending| &pending.operation)
    }

    /// The result of the pending commit.
    pub(super) fn commit(&self) -> Option<&Arc<TransactionResult>> {
        let pending = self.transition.as_ref();
        pending
            .filter(|it| it.operation == Operation::Commit)
            .map(|it| &it.result)
    }

    /// Sets the result of the pending operation. Offset commits are left out: their request handlers set the results
    /// themselves.
    pub(super) fn release(&self, outcome: Result<(), TransactionFailure>) {
        if let Some(pending) = &self.transition {
            pending.result.set(outcome);
        }
    }

    /// Forgets the pending commits of other offsets of the same group. Their requests go on, and calls that still wait get
    /// the results. But a call that is repeated after a timeout must not take such an earlier result for its own: its
    /// offsets are to replace the later ones.
    fn forget_earlier_offsets(&mut self, accepted: &Operation) {
        self.offsets
            .retain(|pending| !pending.operation.is_of_group(accepted));
    }
}
