//! A batch's life, one type per phase, so that a step that makes no sense has no method:
//!
//! ```text
//!  OpenBatch ──no room / drained──▶ SealedBatch ──▶ in flight ──▶ complete(self) / fail(self)
//!  (in its queue, takes records)    (the sender's)      │  ▲
//!                                        ▲── retry ─────┘  └── timed out: BatchSummary stays
//! ```

mod open;
mod sealed;

pub(crate) use open::{FilledBatch, NewBatch, OpenBatch};
pub(crate) use sealed::{BatchSummary, SealedBatch};

/// A batch's number within its producer: later batches of a partition have larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BatchId(u64);

impl BatchId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}
