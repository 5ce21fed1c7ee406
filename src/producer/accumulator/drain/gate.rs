//! The drain gate: lets the idempotent producer hold back partitions and assign sequence numbers.

use crate::producer::accumulator::entry::EntryIndex;
use crate::producer::batch::{BatchId, SealedBatch};

/// The next batch of a partition: a new batch or a retry. Passed to the gate before the batch is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextBatch {
    /// A new batch, never drained before.
    New,
    /// A retry.
    Retried(BatchId),
}

/// The drain gate: decides whether a partition's next batch may be drained, and assigns its sequence number.
pub(crate) trait DrainGate {
    /// Whether the partition's next batch may be drained now. An idempotent producer holds it back (false) while the
    /// partition is not part of the transaction, there is no producer id, batches of another producer id are in flight,
    /// a sequence number is unresolved, or the batch is a retry and not the first of its partition in sequence order
    /// (RA-19).
    fn may_drain(&self, index: EntryIndex, head: NextBatch) -> bool;

    /// Assigns producer id, epoch and base sequence, if the batch has none (RA-21).
    fn number(&mut self, index: EntryIndex, batch: &mut SealedBatch);
}
