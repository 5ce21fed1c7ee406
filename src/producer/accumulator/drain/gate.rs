//! The drain gate: lets the idempotent producer hold back partitions and assign sequence numbers.

use crate::producer::accumulator::entry::EntryIndex;
use crate::producer::batch::{BatchId, SealedBatch};

/// The head of a partition's line: a new batch or a retry. The gate is asked before it is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadOfLine {
    /// A new batch, never drained before.
    New,
    /// A retry.
    Retried(BatchId),
}

/// The drain gate: decides whether a partition's next batch may be drained, and assigns its sequence number.
pub(crate) trait DrainGate {
    /// With idempotence a batch is held back while its partition is not part of the transaction, there is no producer
    /// id, batches of another producer id are in flight, a sequence number is unresolved, or it is a retry and not the
    /// first in line (RA-19).
    fn may_drain(&self, index: EntryIndex, head: HeadOfLine) -> bool;

    /// Assigns producer id, epoch and base sequence, if the batch has none (RA-21).
    fn number(&mut self, index: EntryIndex, batch: &mut SealedBatch);
}
