//! Sticky partition of a topic: records without a key go to one partition until its batch is full, so they fill one
//! batch instead of many (KIP-480).

use std::sync::atomic::{AtomicI32, Ordering};

use super::random::RandomSource;
use super::topic_map::TopicMap;
use crate::types::{Cluster, PartitionId, PartitionInfo};

/// No sticky partition has been chosen yet.
const NO_PARTITION: PartitionId = -1;

/// The sticky partition of one topic.
// Relaxed: a thread that reads a stale partition only appends to another batch. On a cache line of its own: every `send`
// reads it, and its neighbour on the heap may be the topic's name, whose reference count the sender changes.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct StickyPartition(AtomicI32);

impl Default for StickyPartition {
    fn default() -> Self {
        Self(AtomicI32::new(NO_PARTITION))
    }
}

impl StickyPartition {
    /// The current sticky partition; -1 if none was chosen.
    #[inline]
    pub(crate) fn get(&self) -> PartitionId {
        self.0.load(Ordering::Relaxed)
    }

    /// Switches to `next`, unless another thread has already switched from `previous`; returns the current partition.
    ///
    /// # Kafka
    /// `StickyPartitionCache#nextPartition`.
    pub(crate) fn move_on(&self, previous: PartitionId, next: PartitionId) -> PartitionId {
        // The first thread that changes the sticky partition wins.
        let moved = self
            .0
            .compare_exchange(previous, next, Ordering::Relaxed, Ordering::Relaxed);
        match moved {
            Ok(_) => next,
            Err(current) => current,
        }
    }
}

/// Chooses the sticky partition after `previous`: another one that has a leader; the only one with a leader, even if it
/// is `previous`; or, without any leader, the choice of `any` (PT-4).
pub(crate) fn another(
    previous: PartitionId,
    available: &[PartitionId],
    any: impl FnOnce(&RandomSource) -> PartitionId,
    random: &RandomSource,
) -> PartitionId {
    match available {
        [] => any(random),
        [only] => *only,
        several => other_than(previous, several, random),
    }
}

/// One of `available`, but not `previous`.
fn other_than(
    previous: PartitionId,
    available: &[PartitionId],
    random: &RandomSource,
) -> PartitionId {
    match available
        .iter()
        .position(|partition| *partition == previous)
    {
        // Draws among the other partitions: the position of `previous` is skipped.
        Some(place) => {
            let drawn = random.below(available.len() - 1);
            available[if drawn < place { drawn } else { drawn + 1 }]
        }
        None => available[random.below(available.len())],
    }
}

/// Cache of the topics' sticky partitions, for partitioners that are called by custom code or have a seed.
///
/// # Threads
/// Any. Takes a lock (leaf, rank 40) only for the first record of a topic.
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.StickyPartitionCache`. Differs: a partition that the topic no longer
/// has (because it was deleted and recreated with fewer partitions) is replaced at once; the random numbers can be
/// seeded.
#[derive(Debug)]
pub(crate) struct StickyPartitionCache {
    current: TopicMap<StickyPartition>,
    random: RandomSource,
    is_seeded: bool,
}

impl StickyPartitionCache {
    /// An empty cache whose choices follow from `seed`.
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self {
            current: TopicMap::new(),
            random: RandomSource::new(seed),
            is_seeded: true,
        }
    }

    /// An empty cache whose choices differ from process to process.
    pub(crate) fn new() -> Self {
        Self {
            current: TopicMap::new(),
            random: RandomSource::from_entropy(),
            is_seeded: false,
        }
    }

    /// Whether the choices are determined by a given seed.
    pub(super) fn is_seeded(&self) -> bool {
        self.is_seeded
    }

    /// The topic's sticky partition, chosen now if there is none; `None` for a topic without
    /// partitions.
    pub(crate) fn partition(&self, topic: &str, cluster: &Cluster) -> Option<PartitionId> {
        match self.current.read(topic, StickyPartition::get) {
            Some(NO_PARTITION) => self.move_on(topic, cluster, NO_PARTITION),
            Some(current) if is_within(cluster.partitions(topic), current) => Some(current),
            // The topic was deleted and created again with fewer partitions.
            Some(gone) => self.move_on(topic, cluster, gone),
            None if cluster.partitions(topic).is_empty() => None,
            None => {
                self.current.get_or_insert(topic, StickyPartition::default);
                self.move_on(topic, cluster, NO_PARTITION)
            }
        }
    }

    /// Replaces the topic's sticky partition if it still is `previous`. Returns the current one; `None` for a topic
    /// without partitions.
    pub(crate) fn next_partition(
        &self,
        topic: &str,
        cluster: &Cluster,
        previous: PartitionId,
    ) -> Option<PartitionId> {
        match self.current.read(topic, StickyPartition::get) {
            None | Some(NO_PARTITION) => self.partition(topic, cluster),
            // Another thread has switched already: its choice is kept, not replaced.
            Some(current) if current != previous => Some(current),
            Some(_) => self.move_on(topic, cluster, previous),
        }
    }

    fn move_on(
        &self,
        topic: &str,
        cluster: &Cluster,
        previous: PartitionId,
    ) -> Option<PartitionId> {
        let all = cluster.partitions(topic);
        if all.is_empty() {
            return None;
        }
        let available = cluster.available_partitions(topic);
        let available: Vec<PartitionId> = available.map(PartitionInfo::partition).collect();
        // If no partition has a leader, Java draws among all: the batch then waits for a leader.
        let any = |random: &RandomSource| all[random.below(all.len())].partition();
        let next = another(previous, &available, any, &self.random);
        self.current
            .read(topic, |sticky| sticky.move_on(previous, next))
    }
}

/// Whether a topic with these partitions, sorted by number, may have a partition with this number. True without
/// partitions: a topic that the snapshot does not contain keeps its sticky partition.
fn is_within(partitions: &[PartitionInfo], partition: PartitionId) -> bool {
    partitions
        .last()
        .is_none_or(|last| partition <= last.partition())
}
