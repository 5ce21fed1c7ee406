//! Every topic and partition that was ever seen, and what new metadata makes of them.

use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use super::RecordAccumulator;
use super::entry::{EntryIndex, PartitionEntry};
use super::topics::{PartitionSlot, TopicChanges, TopicEntry, Topics};
use crate::client::metadata::ChangedTopics;
use crate::planted::planted;
use crate::producer::metadata::ClusterObserver;
use crate::record::ratio::CompressionRatio;
use crate::sync::OnceLock;
use crate::types::{Cluster, PartitionId, PartitionInfo, TopicInfo, TopicPartition};
use crate::util::hash::FixedHashMap;
use crate::util::shared_map::SharedMap;

/// Every partition that was ever seen.
// Invariant: an entry is in the slot of its topic here before it is in any other slot.
#[derive(Debug, Default)]
pub(super) struct Registry {
    topics: FixedHashMap<Arc<str>, RegisteredTopic>,
    next_index: EntryIndex,
    pub(super) closed: bool,
}

#[derive(Debug)]
struct RegisteredTopic {
    /// As many as there ever were partitions. Shared with the topic's entry, but when that has fewer.
    slots: Arc<[PartitionSlot]>,
    sticky: Arc<AtomicI32>,
    ratio: Arc<CompressionRatio>,
}

impl Registry {
    pub(super) fn all_entries(&self) -> Vec<Arc<PartitionEntry>> {
        self.topics
            .values()
            .flat_map(|topic| topic.slots.iter().filter_map(OnceLock::get).cloned())
            .collect()
    }

    /// A topic with at least `count` partitions.
    fn topic(&mut self, topic: &Arc<str>, count: usize) -> &RegisteredTopic {
        let registered = self
            .topics
            .entry(Arc::clone(topic))
            .or_insert_with(|| RegisteredTopic {
                slots: Arc::default(),
                sticky: TopicEntry::new_sticky(),
                ratio: Arc::default(),
            });
        if registered.slots.len() < count {
            registered.slots = registered.first_slots(count);
        }
        registered
    }

    /// The entry of a partition, made where it is missing.
    pub(super) fn entry(
        &mut self,
        topic: &Arc<str>,
        partition: PartitionId,
    ) -> Arc<PartitionEntry> {
        let (index, closed) = (self.next_index, self.closed);
        let at = partition as usize;
        let topic_of = self.topic(topic, at + 1);
        let slot = &topic_of.slots[at];
        if let Some(entry) = slot.get().filter(|_| !planted!(QueueMadeTwice)) {
            return Arc::clone(entry);
        }
        let partition = TopicPartition::new(Arc::clone(topic), partition);
        let ratio = Arc::clone(&topic_of.ratio);
        let new = || Arc::new(PartitionEntry::new(index, partition, ratio, closed));
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
        // Those that are missing at the end have no entry yet.
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

    /// Replaces the topic map by one that fits the cluster. Entries that have not changed are kept, and what
    /// that costs depends on the topics that changed. With the map goes the cluster, but for partitions of it
    /// that cannot be used yet.
    fn on_cluster(&self, cluster: &Arc<Cluster>, changed: &ChangedTopics) {
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
                for name in names.iter().chain(before.gapped().names()) {
                    renewal.renew(&mut registry, name);
                }
            }
        }
        self.publish(before.next(renewal.0));
    }
}

/// The topic map of a new picture, being made from that of the one before.
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

    /// Makes what the map has of a topic fit the picture.
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

/// How many partitions a topic has, counted as far as their numbers go up without a gap: a topic that
/// is being created may show some partitions before others.
fn usable_partitions(partitions: &[PartitionInfo]) -> usize {
    partitions
        .iter()
        .zip(0..)
        .take_while(|(partition, number)| partition.partition() == *number)
        .count()
}
