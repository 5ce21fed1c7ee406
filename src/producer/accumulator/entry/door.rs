//! Admission control of a partition's queue: open, outside of the transaction, or closed.

/// The number of a producer's transaction. Tells a transaction from later ones, for records that are sent in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransactionNumber(pub(crate) u64);

impl TransactionNumber {
    /// No transaction: of a producer that is not transactional, or before its first one.
    pub(crate) const NONE: Self = Self(0);
}

/// Whether a queue admits records, and of which transaction. Every append checks it under the queue's lock, so no
/// record is admitted after it was shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Admits records of this transaction; of [none](TransactionNumber::NONE) if the producer is not transactional.
    Open(TransactionNumber),
    /// The producer is transactional, and there is no open transaction, or the partition was not added to it yet.
    OutsideTransaction,
    /// The producer is closed: final.
    Closed,
}

/// The claim by which a record is admitted: its transaction, or any.
pub(crate) trait Admission: Copy {
    /// Whether the record is admitted.
    fn opens(self, door: Door) -> bool;

    /// The transaction that the record is bound to; none if it is any.
    fn number(self) -> Option<TransactionNumber>;
}

/// Any open transaction: for a record on the fast path. Its call neither waited nor ran user code, so it was sent in
/// whichever transaction is open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnyTransaction;

impl Admission for AnyTransaction {
    #[inline]
    fn opens(self, door: Door) -> bool {
        matches!(door, Door::Open(_))
    }

    fn number(self) -> Option<TransactionNumber> {
        None
    }
}

/// One transaction only: for a record whose call may have waited since it was sent, or that is sent by a transaction
/// guard.
impl Admission for TransactionNumber {
    #[inline]
    fn opens(self, door: Door) -> bool {
        door == Door::Open(self)
    }

    fn number(self) -> Option<TransactionNumber> {
        Some(self)
    }
}
