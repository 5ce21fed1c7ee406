//! Every topic and partition that was ever seen, and what new metadata makes of them.

use std::sync::atomic::AtomicI32;
use std::sync::{Arc, OnceLock};

use super::RecordAccumulator;
use super::entry::{EntryIndex, PartitionEntry};
use super::topics::{PartitionSlot, TopicEntry, Topics};
use crate::producer::metadata::ClusterObserver;
use crate::record::ratio::CompressionRatio;
use crate::types::{Cluster, PartitionId, PartitionInfo, TopicInfo, TopicPartition};
use crate::util::hash::FixedHashMap;

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
        if let Some(entry) = slot.get() {
            return Arc::clone(entry);
        }
        let partition = TopicPartition::new(Arc::clone(topic), partition);
        let ratio = Arc::clone(&topic_of.ratio);
        let new = || Arc::new(PartitionEntry::new(index, partition, ratio, closed));
        let entry = Arc::clone(slot.get_or_init(new));
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

    /// Replaces the topic map by one that fits the cluster. Entries that have not changed are kept. With the
    /// map goes the cluster, but for partitions of it that cannot be used yet.
    fn on_cluster(&self, cluster: &Arc<Cluster>) {
        let mut registry = self.registry.lock();
        let before = self.topics.load();
        let mut by_name = FixedHashMap::default();
        let mut shown = Arc::clone(cluster);
        for (name, info) in &cluster.topics {
            let count = usable_partitions(&info.partitions);
            if count < info.partitions.len() {
                let usable = TopicInfo {
                    partitions: info.partitions[..count].to_vec(),
                    ..**info
                };
                let topics = &mut Arc::make_mut(&mut shown).topics;
                topics.insert(Arc::clone(name), Arc::new(usable));
            }
            if count == 0 {
                continue;
            }
            let available: Box<[PartitionId]> = info.partitions[..count]
                .iter()
                .filter(|partition| partition.leader().is_some())
                .map(PartitionInfo::partition)
                .collect();
            let entry = match before.get(name) {
                Some(entry)
                    if entry.partition_count() == count && entry.available() == &*available =>
                {
                    Arc::clone(entry)
                }
                _ => {
                    let registered = registry.topic(name, count);
                    Arc::new(TopicEntry::new(
                        Arc::clone(name),
                        registered.first_slots(count),
                        available,
                        Arc::clone(&registered.sticky),
                    ))
                }
            };
            by_name.insert(Arc::clone(name), entry);
        }
        self.publish(Topics::new(by_name, shown, registry.closed));
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
