//! Admission control of a partition's queue: whether it admits a record depends on the record's transaction.

/// The number of a producer's transaction. Records carry it, so that a record of an earlier transaction is not admitted
/// to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TransactionNumber(pub(crate) u64);

impl TransactionNumber {
    /// No transaction: the producer is not transactional, or has not begun its first transaction yet.
    pub(crate) const NONE: Self = Self(0);
}

/// State of a queue: whether it admits records, and of which transaction. Every append checks it under the
/// queue's lock, so no record is admitted after the state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueState {
    /// Admits records of this transaction; [`TransactionNumber::NONE`] if the producer is not transactional.
    Open(TransactionNumber),
    /// Admits no records: the producer is transactional, and either no transaction is open, or the partition has not
    /// been added to the open transaction yet.
    OutsideTransaction,
    /// Admits no records: the producer is closed. Final.
    Closed,
}

/// The transactions that a record may become part of: one ([`TransactionNumber`]), or whichever is open
/// ([`AnyTransaction`]).
pub(crate) trait Admission: Copy {
    /// Whether a queue in this state admits the record.
    fn is_admitted(self, state: QueueState) -> bool;

    /// The record's transaction; `None` if any open transaction will do.
    fn number(self) -> Option<TransactionNumber>;
}

/// Any open transaction: for a record on the fast path. The `send` call has neither waited nor run user code since it
/// began, so the open transaction is the record's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnyTransaction;

impl Admission for AnyTransaction {
    #[inline]
    fn is_admitted(self, state: QueueState) -> bool {
        matches!(state, QueueState::Open(_))
    }

    fn number(self) -> Option<TransactionNumber> {
        None
    }
}

/// One transaction only: for a record sent through a transaction guard, or a record whose `send` call may have waited,
/// so that another transaction may be open by now.
impl Admission for TransactionNumber {
    #[inline]
    fn is_admitted(self, state: QueueState) -> bool {
        state == QueueState::Open(self)
    }

    fn number(self) -> Option<TransactionNumber> {
        Some(self)
    }
}
