//! The life cycle of a batch, with one type per state, so that an invalid transition has no method:
//!
//! ```text
//!  OpenBatch ──no room──▶ FilledBatch ──▶ SealedBatch ──▶ in flight ──▶ end(self)
//!  (in its queue, takes    (in its queue;  (the sender's)      │  ▲
//!   records)                compressed by       ▲── retry ─────┘  ├── timed out: BatchSummary stays
//!                           filling thread)     ▲── its pieces ───┘  too large for the broker: SplitBatch
//! ```

mod filled;
mod open;
mod packer;
mod sealed;
mod staging;

pub(crate) use filled::FilledBatch;
pub(crate) use open::{NewBatch, OpenBatch};
pub(crate) use packer::{BatchFormat, Packer};
pub(crate) use sealed::{BatchFate, BatchSummary, EncodedBatch, SealedBatch, SplitBatch};

/// The id of a batch, unique in its producer. Later batches of a partition have larger ids. The pieces of a split batch
/// sort at its position, in the order of their records.
// Invariant: no two batches have the same id at the same time. The first piece of a split batch has the id of the whole
// batch, which no longer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BatchId {
    /// The number that the batch got when it was opened, before any split.
    opened: u64,
    /// How many records of that batch come before this piece.
    records_before: u32,
}

impl BatchId {
    pub(crate) const fn new(number: u64) -> Self {
        Self {
            opened: number,
            records_before: 0,
        }
    }

    /// The number that the batch got when it was opened; the pieces of a split batch keep it.
    pub(crate) const fn opened(self) -> u64 {
        self.opened
    }

    /// The id of the piece that begins after `records` records of this batch.
    pub(crate) const fn piece_after(self, records: u32) -> Self {
        Self {
            opened: self.opened,
            records_before: self.records_before + records,
        }
    }
}
