//! Transactions: what came of them, and what goes wrong with those who coordinate them.

use std::sync::Arc;
use std::time::Duration;

use super::World;
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::journal::numbers;
use crate::testing::sim::log::PartitionLog;
use crate::testing::{StoredBatch, TransactionState};

/// What came of them.
impl World {
    /// Offsets and numbers of the records of a partition that a consumer sees who reads what is committed, in order.
    pub fn read_committed(&self, topic: &str, partition: i32) -> Vec<(i64, u64)> {
        self.read(topic, partition, |log| {
            log.committed().flat_map(numbered).collect()
        })
    }

    /// The same of one that takes no notice of transactions.
    pub fn read_uncommitted(&self, topic: &str, partition: i32) -> Vec<(i64, u64)> {
        self.read(topic, partition, |log| {
            log.uncommitted().flat_map(numbered).collect()
        })
    }

    fn read<T: Default>(
        &self,
        topic: &str,
        partition: i32,
        how: impl FnOnce(&PartitionLog) -> T,
    ) -> T {
        self.carrier.with(|cluster| {
            let partition = cluster.partition(topic, partition);
            partition.map_or_else(|_| T::default(), |partition| how(&partition.log))
        })
    }

    /// The offset before which all transactions of a partition have ended.
    pub fn last_stable_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        self.read(topic, partition, |log| Some(log.last_stable_offset()))
    }

    /// What a consumer group has committed, by topic and partition.
    pub fn committed_offsets(&self, group: &str) -> Vec<(String, i32, i64)> {
        self.carrier.with(|cluster| {
            let offsets = cluster.transactions().groups.committed(group);
            let offsets = offsets
                .into_iter()
                .map(|(at, committed)| (at.topic().to_owned(), at.partition(), committed.offset));
            offsets.collect()
        })
    }

    /// How far the transaction of a transactional id has come, if there is such an id.
    pub fn transaction_state(&self, transactional_id: &str) -> Option<TransactionState> {
        self.carrier.with(|cluster| {
            let id = cluster.transactions().ids.get(transactional_id)?;
            Some(id.state())
        })
    }
}

fn numbered(batch: &StoredBatch) -> impl Iterator<Item = (i64, u64)> {
    (batch.base_offset()..).zip(numbers(batch))
}

/// What goes wrong.
impl World {
    /// Another node coordinates a transactional id.
    pub fn move_transaction_coordinator(&self, transactional_id: &str, to: i32) {
        self.move_coordinator(CoordinatorKind::Transaction, transactional_id, to);
    }

    /// Another node coordinates a consumer group.
    pub fn move_group_coordinator(&self, group: &str, to: i32) {
        self.move_coordinator(CoordinatorKind::Group, group, to);
    }

    fn move_coordinator(&self, kind: CoordinatorKind, key: &str, to: i32) {
        let key: Arc<str> = key.into();
        self.carrier.with(|cluster| {
            if cluster.is_alive(to) {
                let _ = cluster.move_coordinator(kind, &key, to);
            }
        });
    }

    /// Markers are written so long after the ends of their transactions; at once with 0.
    pub fn delay_markers(&self, ms: u64) {
        self.carrier.with(|cluster| {
            cluster.transactions_mut().options.marker_delay = Duration::from_millis(ms);
        });
    }

    /// A node that takes over as a coordinator loads for so long; not at all with 0.
    pub fn load_coordinators_for(&self, ms: u64) {
        self.carrier.with(|cluster| {
            cluster.transactions_mut().coordinators.load_time = Duration::from_millis(ms);
        });
    }
}

#[cfg(test)]
mod tests;
