//! Actions of coordinators without a request: writing transaction markers, and aborting transactions that time out.

use std::sync::Arc;
use std::time::Duration;

use super::SimCluster;
use crate::clock::Timestamp;
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::journal::Coordinated;
use crate::testing::sim::transactional_ids::{Participant, TransactionalId};
use crate::types::{NodeId, ProducerIdAndEpoch, TopicPartition};

impl SimCluster {
    /// Performs all actions that are due at `now`.
    pub(crate) fn pass_time(&mut self, now: Timestamp) {
        self.transactions.time.pass(now);
        let time = self.transactions.time.get();
        for name in self.transactions.ids.overdue(time) {
            let at_work = self.coordinator_at_work(CoordinatorKind::Transaction, &name);
            if at_work.is_some() {
                self.transactions.ids.time_out(&name, time);
                self.note(&name, Coordinated::TimedOut);
            }
        }
        self.write_markers(now);
    }

    /// Time until the next action is due, if no request comes before.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let transactions = &self.transactions;
        let (time, delay) = (transactions.time.get(), transactions.options.marker_delay);
        let due = transactions.ids.next_due(time, delay)?;
        Some(due.saturating_sub(time))
    }

    /// Writes each marker that is due if both the coordinator and the partition's leader are up.
    ///
    /// # Kafka
    /// `kafka.coordinator.transaction.TransactionMarkerChannelManager`.
    pub(super) fn write_markers(&mut self, now: Timestamp) {
        let (time, delay) = (
            self.transactions.time.get(),
            self.transactions.options.marker_delay,
        );
        let ids = self.transactions.ids.iter();
        let due = ids.filter_map(|(name, id)| {
            let committed = id.owes_markers(time, delay)?;
            let to: Vec<_> = id.participants().cloned().collect();
            Some((Arc::clone(name), id.producer(), committed, to))
        });
        for (name, producer, committed, to) in due.collect::<Vec<_>>() {
            if self
                .coordinator_at_work(CoordinatorKind::Transaction, &name)
                .is_none()
            {
                continue;
            }
            for participant in to {
                if self.write_marker(&participant, producer, committed, now) {
                    if let Some(id) = self.transactions.ids.get_mut(&name) {
                        id.marked(&participant);
                    }
                }
            }
        }
    }

    /// Returns false if the marker has to be retried.
    fn write_marker(
        &mut self,
        to: &Participant,
        producer: ProducerIdAndEpoch,
        committed: bool,
        now: Timestamp,
    ) -> bool {
        match to {
            Participant::Partition(place) => self.mark_partition(place, producer, committed, now),
            Participant::Group(group) => self.mark_group(group, producer, committed),
        }
    }

    fn mark_partition(
        &mut self,
        place: &TopicPartition,
        producer: ProducerIdAndEpoch,
        committed: bool,
        now: Timestamp,
    ) -> bool {
        let (name, index) = (place.topic(), place.partition());
        let Ok(partition) = self.partition(name, index) else {
            // A deleted topic or group needs no marker.
            return true;
        };
        if !partition.role.leader.is_some_and(|node| self.works(node)) {
            return false;
        }
        let depth = self.options.depth;
        let Some(topic) = self.topics.get_mut(name) else {
            return true;
        };
        let incarnation = topic.incarnation;
        if let Some(it) = topic.partition_mut(index) {
            let epoch = it.role.epoch;
            let offset = it
                .log
                .end_transaction(producer, committed, epoch, depth, now);
            if let Some(journal) = &mut self.journal {
                journal.marked((name, incarnation, index), offset, producer, committed);
            }
        }
        true
    }

    fn mark_group(
        &mut self,
        group: &Arc<str>,
        producer: ProducerIdAndEpoch,
        committed: bool,
    ) -> bool {
        if self
            .coordinator_at_work(CoordinatorKind::Group, group)
            .is_none()
        {
            return false;
        }
        let groups = &mut self.transactions.groups;
        let offsets = groups.end_transaction(group, producer, committed);
        if let Some(journal) = self.journal.as_mut().filter(|_| !offsets.is_empty()) {
            journal.offsets_committed(group, producer, &offsets);
        }
        true
    }

    /// Records a coordinator's change of a transactional id in the journal, with the resulting producer id and epoch.
    pub(super) fn note(&mut self, name: &str, change: Coordinated) {
        let id = self.transactions.ids.get(name);
        let producer = id.map(TransactionalId::producer);
        if let (Some(journal), Some(producer)) = (&mut self.journal, producer) {
            journal.coordinated(name, producer, change);
        }
    }

    /// Whether a node is up and does not hang.
    pub(super) fn works(&self, node: NodeId) -> bool {
        self.alive.contains(&node) && !self.hung.contains(&node)
    }
}
