//! The registry of every topic and partition ever seen, and the update of the topic map from new metadata.

use std::sync::Arc;

use super::RecordAccumulator;
use super::entry::{EntryIndex, PartitionEntry, QueueState};
use super::topics::{PartitionSlot, TopicChanges, TopicEntry, Topics};
use crate::client::metadata::ChangedTopics;
use crate::planted::planted;
use crate::producer::metadata::ClusterObserver;
use crate::producer::partitioner::StickyPartition;
use crate::record::ratio::CompressionRatio;
use crate::sync::OnceLock;
use crate::types::{Cluster, PartitionId, PartitionInfo, TopicInfo, TopicPartition};
use crate::util::hash::FixedHashMap;
use crate::util::shared_map::SharedMap;

/// The registry of every partition that was ever sent to.
// Invariant: an entry is stored in its slot of the registry before it is stored in any other slot.
#[derive(Debug)]
pub(super) struct Registry {
    topics: FixedHashMap<Arc<str>, RegisteredTopic>,
    next_index: EntryIndex,
    /// The admission state of entries that are created from now on.
    pub(super) queue_state: QueueState,
}

#[derive(Debug)]
struct RegisteredTopic {
    /// One slot for each partition the topic ever had. Shared with the topic's entry, unless the entry has fewer
    /// partitions.
    slots: Arc<[PartitionSlot]>,
    sticky: Arc<StickyPartition>,
    ratio: Arc<CompressionRatio>,
}

impl Registry {
    /// An empty registry.
    pub(super) fn new(queue_state: QueueState) -> Self {
        Self {
            topics: FixedHashMap::default(),
            next_index: 0,
            queue_state,
        }
    }

    pub(super) fn all_entries(&self) -> Vec<Arc<PartitionEntry>> {
        self.topics
            .values()
            .flat_map(|topic| topic.slots.iter().filter_map(OnceLock::get).cloned())
            .collect()
    }

    /// The registered topic, grown to at least `count` partitions.
    fn topic(&mut self, topic: &Arc<str>, count: usize) -> &RegisteredTopic {
        let registered = self
            .topics
            .entry(Arc::clone(topic))
            .or_insert_with(|| RegisteredTopic {
                slots: Arc::default(),
                sticky: Arc::default(),
                ratio: Arc::default(),
            });
        if registered.slots.len() < count {
            registered.slots = registered.first_slots(count);
        }
        registered
    }

    /// The entry of a partition, created if it is missing.
    pub(super) fn entry(
        &mut self,
        topic: &Arc<str>,
        partition: PartitionId,
    ) -> Arc<PartitionEntry> {
        // Read under the registry's lock: an entry that is created after `close` is closed from the start.
        let (index, queue_state) = (self.next_index, self.queue_state);
        let at = partition as usize;
        let topic_of = self.topic(topic, at + 1);
        let slot = &topic_of.slots[at];
        if let Some(entry) = slot.get().filter(|_| !planted!(QueueMadeTwice)) {
            return Arc::clone(entry);
        }
        let partition = TopicPartition::new(Arc::clone(topic), partition);
        let ratio = Arc::clone(&topic_of.ratio);
        let new = || Arc::new(PartitionEntry::new(index, partition, ratio, queue_state));
        let entry = if planted!(QueueMadeTwice) {
            new()
        } else {
            Arc::clone(slot.get_or_init(new))
        };
        self.next_index += 1;
        entry
    }
}

impl RegisteredTopic {
    /// Slots for the first `count` partitions.
    fn first_slots(&self, count: usize) -> Arc<[PartitionSlot]> {
        if count == self.slots.len() {
            return Arc::clone(&self.slots);
        }
        // A copy of the slots: a filled slot shares its entry with the registry's; an empty slot is filled separately
        // later, with the registry's entry.
        let known = self.slots.iter().cloned();
        known
            .chain(std::iter::repeat_with(OnceLock::new))
            .take(count)
            .collect()
    }
}

impl ClusterObserver for RecordAccumulator {
    fn take_used(&self, topic: &str) -> bool {
        self.topics
            .load()
            .get(topic)
            .is_some_and(|entry| entry.take_used())
    }

    /// Publishes a new topic map for the cluster. Unchanged entries are kept, so the cost depends on the number of
    /// topics that changed. The map holds the cluster too, without partitions that are not usable yet.
    fn on_cluster(&self, cluster: &Arc<Cluster>, changed: &ChangedTopics) {
        // The lock also serializes with `close`: a map without the closed mark must not replace one that has it.
        let mut registry = self.registry.lock();
        let before = self.topics.load();
        let mut renewal = Renewal::begin(&before, cluster);
        match changed {
            ChangedTopics::All => {
                for name in cluster.topics.names() {
                    renewal.renew(&mut registry, name);
                }
                for name in before.by_name().names() {
                    if !cluster.topics.contains(name) {
                        renewal.renew(&mut registry, name);
                    }
                }
            }
            ChangedTopics::These(names) => {
                // Topics with gaps are renewed, too: `cluster` contains their unusable partitions, which must be left
                // out again.
                for name in names.iter().chain(before.gapped().names()) {
                    renewal.renew(&mut registry, name);
                }
            }
        }
        self.publish(before.next(renewal.0));
    }
}

/// The topic map of a new cluster snapshot, being built from the previous map.
struct Renewal(TopicChanges);

impl Renewal {
    fn begin(before: &Topics, cluster: &Arc<Cluster>) -> Self {
        Self(TopicChanges {
            by_name: before.by_name().clone(),
            cluster: Arc::clone(cluster),
            gapped: SharedMap::default(),
            has_replaced: false,
        })
    }

    /// Updates one topic of the map to the new snapshot.
    fn renew(&mut self, registry: &mut Registry, name: &Arc<str>) {
        let changes = &mut self.0;
        let info = changes.cluster.topics.get(name).map(Arc::clone);
        let partitions = info.as_ref().map_or(&[][..], |info| &info.partitions);
        let count = usable_partitions(partitions);
        if let Some(info) = info.as_ref().filter(|_| count < partitions.len()) {
            let usable = TopicInfo {
                partitions: partitions[..count].to_vec(),
                ..**info
            };
            changes.gapped.insert(Arc::clone(name), ());
            // Partitioners must see the same partitions as the topic map, or they would choose one without a slot.
            let topics = &mut Arc::make_mut(&mut changes.cluster).topics;
            topics.insert(Arc::clone(name), Arc::new(usable));
        }
        let known = changes.by_name.get(name);
        if count == 0 {
            changes.has_replaced |= changes.by_name.remove(name).is_some();
            return;
        }
        let available: Box<[PartitionId]> = partitions[..count]
            .iter()
            .filter(|partition| partition.leader().is_some())
            .map(PartitionInfo::partition)
            .collect();
        let is_same = |entry: &Arc<TopicEntry>| {
            entry.partition_count() == count && entry.available() == &*available
        };
        // The old entry stays, so recent topics of this snapshot stay valid.
        if known.is_some_and(is_same) {
            return;
        }
        let registered = registry.topic(name, count);
        let entry = TopicEntry::new(
            Arc::clone(name),
            registered.first_slots(count),
            available,
            Arc::clone(&registered.sticky),
        );
        let replaced = changes.by_name.insert(Arc::clone(name), Arc::new(entry));
        changes.has_replaced |= replaced.is_some() && !planted!(RecentTopicOutlivesChange);
    }
}

/// The number of usable partitions: those before the first gap in their numbers. Metadata of a topic that is being
/// created may list some partitions before others.
fn usable_partitions(partitions: &[PartitionInfo]) -> usize {
    partitions
        .iter()
        .zip(0..)
        .take_while(|(partition, number)| partition.partition() == *number)
        .count()
}
