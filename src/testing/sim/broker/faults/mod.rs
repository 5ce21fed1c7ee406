//! What can happen to a cluster as a whole, or to its logs, besides what rules say of single requests.

use std::sync::Arc;

use super::{SimCluster, SimNode};
use crate::testing::sim::journal::{BrokerDeed, Journal};
use crate::testing::sim::log::{PartitionLog, TopicSettings};
use crate::testing::sim::topics::{NotDone, SimTopic, SimTopics};
use crate::types::{NodeId, PartitionId};

/// A cluster that has lived for a while: there are lower epochs than those of its leaders.
const FIRST_EPOCH: i32 = 10;
/// Elections of one partition.
const MORE_THAN_ANY_RUN_HAS: i32 = 100_000;
/// How many epochs metadata goes back.
const EPOCHS_BACK: i32 = 5;

impl SimCluster {
    /// The same in each run of a simulation, and all that its brokers do is taken down.
    pub(crate) fn for_simulation(mut self) -> Self {
        self.topics = SimTopics::with_ids_of_their_own();
        self.journal = Some(Journal::default());
        self.first_epoch = FIRST_EPOCH;
        self
    }

    /// The epoch that fresh producer ids begin with.
    pub(crate) fn begin_epochs_with(&mut self, epoch: i16) {
        self.transactions.producer_ids.begin_with(epoch);
    }

    /// What its brokers did since the last time; nothing if it is not taken down.
    pub(crate) fn take_deeds(&mut self) -> impl Iterator<Item = BrokerDeed> + '_ {
        self.journal.iter_mut().flat_map(Journal::take)
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &SimTopic)> {
        self.topics.iter()
    }

    pub(crate) fn is_alive(&self, node: NodeId) -> bool {
        self.alive.contains(&node)
    }

    /// A node listens somewhere else; that it does is told at once.
    pub(crate) fn move_node(&mut self, node: NodeId, to: SimNode) {
        if let Some(place) = self.nodes.get_mut(&node) {
            *place = to;
        }
    }

    /// Whether metadata tells of leader epochs that are lower than they are.
    pub(crate) fn epochs_go_back(&mut self, yes: bool) {
        self.epochs_told_less = if yes { EPOCHS_BACK } else { 0 };
    }

    /// Raises all leader epochs above what they ever were under these names.
    ///
    /// Clients of brokers that tell no ids of topics take one that was made again for the old one, whose epochs were
    /// higher, and do not believe what they are told until its own are.
    pub(crate) fn raise_epochs(&mut self) {
        for role in self.topics.roles_mut() {
            role.epoch += MORE_THAN_ANY_RUN_HAS;
        }
    }

    /// Another cluster takes the place of this one: with the same nodes, and with topics of the same names and
    /// sizes, which are empty. Only ids of producers are not given out again: that no producer could tell.
    pub(crate) fn rebuild(&mut self, cluster_id: Arc<str>) {
        self.options.cluster_id = cluster_id;
        if let Some(journal) = &mut self.journal {
            for (name, topic) in self.topics.iter() {
                journal.topic_gone(name, topic.incarnation);
            }
        }
        self.topics.make_all_again();
        self.transactions.forget();
        for partition in self.topics.partitions_mut() {
            partition.log = PartitionLog::of_release(self.options.release);
            partition.role.epoch = 0;
        }
    }

    /// The last records of a partition are lost, as by the election of a replica that was behind: so many, or as
    /// many more as are in a batch with them. None are lost where nothing is retained.
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

    /// Whoever leads a partition forgets its producers.
    pub(crate) fn forget_producers(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<(), NotDone> {
        self.partition_mut(name, partition)?.log.forget_producers();
        Ok(())
    }

    /// Nobody leads a partition, until [`elect_leader`](Self::elect_leader).
    pub(crate) fn lose_leader(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<(), NotDone> {
        self.partition_mut(name, partition)?.role.lose_leader();
        Ok(())
    }

    /// A partition without leader has one again, if a node that holds a copy is up.
    pub(crate) fn elect_leader(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<(), NotDone> {
        self.partition_mut(name, partition)?.role.elects_nobody = false;
        self.elect();
        Ok(())
    }

    /// Changes the settings of a topic; gives what they were.
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
