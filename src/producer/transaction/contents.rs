//! The partitions of the open transaction, and whether the coordinator has begun it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::producer::accumulator::EntryIndex;
use crate::types::TopicPartition;

/// The partitions and groups of the open transaction, and which of them the coordinator has added. Emptied when the transaction
/// ends.
///
/// # Kafka
/// `TransactionManager#newPartitionsInTransaction`, `#pendingPartitionsInTransaction`, `#partitionsInTransaction`
/// (TM-28), `#transactionStarted`.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Partitions that records were sent to, and that the coordinator has not added yet.
    pub(super) to_add: Vec<(EntryIndex, TopicPartition)>,
    /// Partitions that the coordinator has added: their batches may be sent.
    added: BTreeSet<EntryIndex>,
    /// Groups that the coordinator has added: their offsets may be sent.
    groups: BTreeSet<Arc<str>>,
    /// True while an AddPartitionsToTxn is queued or in flight.
    pub(super) is_adding: bool,
    pub(super) begun: Begun,
}

/// Whether the coordinator has an open transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Begun {
    /// No: the coordinator has received no request of the transaction.
    #[default]
    No,
    /// A request was sent, and its response was lost or ambiguous.
    Perhaps,
    Yes,
}

impl Contents {
    /// Whether the coordinator has added the partition.
    pub(super) fn holds(&self, index: EntryIndex) -> bool {
        self.added.contains(&index)
    }

    pub(super) fn is_without_partitions(&self) -> bool {
        self.added.is_empty()
    }

    /// Notes that the coordinator has added the partition.
    pub(super) fn add(&mut self, index: EntryIndex) {
        self.added.insert(index);
        self.begun = Begun::Yes;
    }

    /// Whether the coordinator has added the group.
    pub(super) fn holds_group(&self, group: &str) -> bool {
        self.groups.contains(group)
    }

    /// Notes that the coordinator has added the group.
    pub(super) fn add_group(&mut self, group: &Arc<str>) {
        self.groups.insert(Arc::clone(group));
        self.begun = Begun::Yes;
    }

    /// Notes that a request that may begin the transaction got no response, or an ambiguous one.
    pub(super) fn note_lost_answer(&mut self) {
        if self.begun == Begun::No {
            self.begun = Begun::Perhaps;
        }
    }
}
