//! Transactions in a world: reading their results, and faults of coordinators.

use std::sync::Arc;
use std::time::Duration;

use super::World;
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::journal::numbers;
use crate::testing::sim::log::PartitionLog;
use crate::testing::{StoredBatch, TransactionState};

/// Results of transactions.
impl World {
    /// Offsets and record numbers that a `read_committed` consumer of a partition sees, in order.
    pub fn read_committed(&self, topic: &str, partition: i32) -> Vec<(i64, u64)> {
        self.read(topic, partition, |log| {
            log.committed().flat_map(numbered).collect()
        })
    }

    /// As [`read_committed`](Self::read_committed), for `read_uncommitted`.
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

    /// The last stable offset of a partition: all transactions before it have ended.
    pub fn last_stable_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        self.read(topic, partition, |log| Some(log.last_stable_offset()))
    }

    /// The committed offsets of a consumer group, by topic and partition.
    pub fn committed_offsets(&self, group: &str) -> Vec<(String, i32, i64)> {
        self.carrier.with(|cluster| {
            let offsets = cluster.transactions().groups.committed(group);
            let offsets = offsets
                .into_iter()
                .map(|(at, committed)| (at.topic().to_owned(), at.partition(), committed.offset));
            offsets.collect()
        })
    }

    /// The state of a transactional id, if it exists.
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

/// Coordinator faults.
impl World {
    /// Makes another node the coordinator of a transactional id.
    pub fn move_transaction_coordinator(&self, transactional_id: &str, to: i32) {
        self.move_coordinator(CoordinatorKind::Transaction, transactional_id, to);
    }

    /// Makes another node the coordinator of a consumer group.
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

    /// Delays transaction markers by this many milliseconds; 0 for no delay.
    pub fn delay_markers(&self, ms: u64) {
        self.carrier.with(|cluster| {
            cluster.transactions_mut().options.marker_delay = Duration::from_millis(ms);
        });
    }

    /// Makes a new coordinator load its state for this many milliseconds; 0 for no loading.
    pub fn load_coordinators_for(&self, ms: u64) {
        self.carrier.with(|cluster| {
            cluster.transactions_mut().coordinators.load_time = Duration::from_millis(ms);
        });
    }
}

#[cfg(test)]
mod tests;
