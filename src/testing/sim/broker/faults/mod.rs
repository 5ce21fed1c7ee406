//! Faults of a whole cluster or of its logs, as opposed to rules for single requests.

use std::sync::Arc;

use super::{SimCluster, SimNode};
use crate::testing::sim::journal::{BrokerEvent, Journal};
use crate::testing::sim::log::{PartitionLog, TopicSettings};
use crate::testing::sim::topics::{NotDone, SimTopic, SimTopics};
use crate::types::{NodeId, PartitionId};

/// Leader epochs start above 0, so that metadata can report lower ones.
const FIRST_EPOCH: i32 = 10;
/// More than the number of elections of a partition in any run.
const ABOVE_ANY_EPOCH: i32 = 100_000;
/// The amount by which `epochs_go_back` lowers the reported leader epochs.
const EPOCHS_BACK: i32 = 5;

impl SimCluster {
    /// Makes the cluster deterministic, and records the actions of its brokers in a journal.
    pub(crate) fn for_simulation(mut self) -> Self {
        self.topics = SimTopics::with_deterministic_ids();
        self.journal = Some(Journal::default());
        self.first_epoch = FIRST_EPOCH;
        self
    }

    /// Sets the first epoch of new producer ids.
    pub(crate) fn set_first_epoch(&mut self, epoch: i16) {
        self.transactions.producer_ids.begin_with(epoch);
    }

    /// The broker actions since the last call; none without a journal.
    pub(crate) fn take_broker_events(&mut self) -> impl Iterator<Item = BrokerEvent> + '_ {
        self.journal.iter_mut().flat_map(Journal::take)
    }

    /// All topics by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &SimTopic)> {
        self.topics.iter()
    }

    pub(crate) fn is_alive(&self, node: NodeId) -> bool {
        self.alive.contains(&node)
    }

    /// Moves a node to another address, which metadata reports at once.
    pub(crate) fn move_node(&mut self, node: NodeId, to: SimNode) {
        if let Some(place) = self.nodes.get_mut(&node) {
            *place = to;
        }
    }

    /// Sets whether metadata reports lower leader epochs than the real ones.
    pub(crate) fn epochs_go_back(&mut self, yes: bool) {
        self.reported_epochs_lowered_by = if yes { EPOCHS_BACK } else { 0 };
    }

    /// Raises all leader epochs above any that topics of these names have ever had.
    ///
    /// Without topic ids clients take a recreated topic for the old one, and ignore its metadata as stale while its
    /// epochs are lower than those of the old topic.
    pub(crate) fn raise_epochs(&mut self) {
        for role in self.topics.roles_mut() {
            role.epoch += ABOVE_ANY_EPOCH;
        }
    }

    /// Replaces this cluster by another one with the same nodes, and with empty topics of the same names and partition
    /// counts. The producer ids of the old cluster are not assigned again, because a producer could not notice that
    /// another producer has its id.
    pub(crate) fn rebuild(&mut self, cluster_id: Arc<str>) {
        self.options.cluster_id = cluster_id;
        if let Some(journal) = &mut self.journal {
            for (name, topic) in self.topics.iter() {
                journal.topic_gone(name, topic.incarnation);
            }
        }
        self.topics.recreate_all();
        self.transactions.forget();
        for partition in self.topics.partitions_mut() {
            partition.log = PartitionLog::of_release(self.options.release);
            partition.role.epoch = 0;
        }
    }

    /// Removes at least this many records at the end of a partition, rounded up to whole batches, as after an unclean
    /// leader election. Without retention nothing is removed.
    pub(crate) fn truncate(
        &mut self,
        name: &str,
        partition: PartitionId,
        records: u64,
    ) -> Result<(), NotDone> {
        let incarnation = self.topic(name)?.incarnation;
        let place = self.partition_mut(name, partition)?;
        let Some(from_offset) = place.log.truncate(records) else {
            return Ok(());
        };
        place.role.epoch += 1;
        if let Some(journal) = &mut self.journal {
            journal.truncated(name, incarnation, partition, from_offset);
        }
        Ok(())
    }

    /// Makes the brokers lose the producer state of a partition.
    pub(crate) fn forget_producers(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<(), NotDone> {
        self.partition_mut(name, partition)?.log.forget_producers();
        Ok(())
    }

    /// Leaves a partition without a leader, until [`elect_leader`](Self::elect_leader).
    pub(crate) fn lose_leader(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<(), NotDone> {
        self.partition_mut(name, partition)?.role.lose_leader();
        Ok(())
    }

    /// Elects a leader for a partition without one, if a replica is up.
    pub(crate) fn elect_leader(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<(), NotDone> {
        self.partition_mut(name, partition)?.role.elects_nobody = false;
        self.elect();
        Ok(())
    }

    /// Changes the settings of a topic, and returns the former ones.
    pub(crate) fn set_settings(
        &mut self,
        name: &str,
        settings: TopicSettings,
    ) -> Result<TopicSettings, NotDone> {
        let topic = self.topic_mut(name)?;
        Ok(std::mem::replace(&mut topic.settings, settings))
    }
}

#[cfg(test)]
mod tests;
