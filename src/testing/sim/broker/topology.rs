//! Topics, nodes and leaders: creation, elections, nodes going down and up.

use super::SimCluster;
use crate::testing::sim::log::{PartitionLog, TopicSettings};
use crate::testing::sim::topics::{NotDone, SimPartition};
use crate::types::{NodeId, PartitionId};

impl SimCluster {
    /// Creates a topic; leaders are assigned round-robin.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: usize,
        settings: TopicSettings,
    ) -> Result<(), NotDone> {
        if partitions == 0 {
            return Err(NotDone::NoPartitions);
        }
        self.topics.create(name, settings)?;
        self.add_partitions(name, partitions)
    }

    /// Adds partitions to a topic until there are `count`.
    pub(crate) fn add_partitions(&mut self, name: &str, count: usize) -> Result<(), NotDone> {
        let has = self.topic(name)?.partitions.len();
        if count < has {
            return Err(NotDone::FewerPartitions { has, wanted: count });
        }
        let new: Vec<_> = (has..count)
            .map(|_| {
                let log = PartitionLog::of_release(self.options.release);
                SimPartition::new(self.next_replicas(), &self.alive, self.first_epoch, log)
            })
            .collect();
        self.topic_mut(name)?.partitions.extend(new);
        Ok(())
    }

    /// Replicas of the next partition, shifted by one node each time.
    fn next_replicas(&mut self) -> Vec<NodeId> {
        let start = self.next_leader;
        self.next_leader = (start + 1) % self.nodes.len().max(1);
        let around = self.nodes.keys().cycle().skip(start);
        around
            .take(self.options.replication_factor.clamp(1, self.nodes.len()))
            .copied()
            .collect()
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<(), NotDone> {
        let topic = self.topics.delete(name)?;
        if let Some(journal) = &mut self.journal {
            journal.topic_gone(name, topic.incarnation);
        }
        Ok(())
    }

    /// Makes `node` the leader of a partition, whether it is up or not.
    pub(crate) fn move_leader(
        &mut self,
        name: &str,
        partition: PartitionId,
        node: NodeId,
    ) -> Result<(), NotDone> {
        if !self.nodes.contains_key(&node) {
            return Err(NotDone::NoSuchNode(node));
        }
        self.partition_mut(name, partition)?.role.move_to(node);
        Ok(())
    }

    /// Takes a node down: other replicas become the leaders of its partitions; a partition without another replica has
    /// no leader.
    pub(crate) fn node_down(&mut self, node: NodeId) {
        self.alive.remove(&node);
        self.hung.remove(&node);
        self.elect();
    }

    /// Brings a node up. It becomes the leader of those of its partitions that have no leader.
    pub(crate) fn node_up(&mut self, node: NodeId) {
        if self.nodes.contains_key(&node) {
            self.alive.insert(node);
        }
        self.elect();
    }

    pub(super) fn elect(&mut self) {
        for role in self.topics.roles_mut() {
            role.elect(&self.alive);
        }
        let transactions = &mut self.transactions;
        let time = transactions.time.get();
        transactions.coordinators.elect(&self.alive, time);
    }
}
