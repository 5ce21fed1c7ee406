//! The topic map: topics with known partitions. Read-mostly: application threads borrow it, and the sender replaces it
//! when the cluster changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::entry::PartitionEntry;
use crate::producer::partitioner::{RandomSource, StickyPartition, another, partition_for_key};
use crate::sync::OnceLock;
use crate::types::{Cluster, PartitionId};
use crate::util::shared_map::SharedMap;

/// A snapshot of the topic map: all topics whose partitions are known.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: SharedMap<Arc<TopicEntry>>,
    /// The cluster snapshot that the topics are from, with the same partitions as the topics.
    cluster: Arc<Cluster>,
    /// Topics with gaps in their partition numbers; `cluster` lacks the partitions after the gap.
    gapped: SharedMap<()>,
    /// Whether the accumulator is closed.
    closed: bool,
    id: SnapshotId,
}

/// The changes to the topic map by new metadata.
pub(super) struct TopicChanges {
    pub(super) by_name: SharedMap<Arc<TopicEntry>>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) gapped: SharedMap<()>,
    /// Whether a topic was replaced or removed.
    pub(super) has_replaced: bool,
}

/// The id of a snapshot of the topic map, unique in the process, across producers. Zero stands for none.
pub(super) type SnapshotId = u64;

/// The id of no snapshot: never matches.
pub(super) const NO_SNAPSHOT: SnapshotId = 0;

impl Topics {
    pub(super) fn new(
        by_name: SharedMap<Arc<TopicEntry>>,
        cluster: Arc<Cluster>,
        gapped: SharedMap<()>,
        closed: bool,
    ) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(NO_SNAPSHOT);
        Self {
            by_name,
            cluster,
            gapped,
            closed,
            id: LAST.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// The next snapshot. Its id is new if a topic was replaced or removed, or if the accumulator is closed.
    pub(super) fn next(&self, next: TopicChanges) -> Self {
        let TopicChanges {
            by_name,
            cluster,
            gapped,
            has_replaced,
        } = next;
        // A new id invalidates every thread's recent topics, so the id is kept if topics were only added.
        if has_replaced || self.closed || self.id == NO_SNAPSHOT {
            return Self::new(by_name, cluster, gapped, self.closed);
        }
        Self {
            by_name,
            cluster,
            gapped,
            closed: false,
            id: self.id,
        }
    }

    pub(super) fn gapped(&self) -> &SharedMap<()> {
        &self.gapped
    }

    pub(super) fn by_name(&self) -> &SharedMap<Arc<TopicEntry>> {
        &self.by_name
    }

    /// The same topics, marked as closed.
    pub(super) fn to_closed(&self) -> Self {
        Self::new(
            self.by_name.clone(),
            Arc::clone(&self.cluster),
            self.gapped.clone(),
            true,
        )
    }

    /// The id by which threads cache topics of this snapshot; [`NO_SNAPSHOT`] if the accumulator is closed.
    pub(super) fn id(&self) -> SnapshotId {
        if self.closed { NO_SNAPSHOT } else { self.id }
    }

    #[inline]
    pub(crate) fn get(&self, topic: &str) -> Option<&Arc<TopicEntry>> {
        self.by_name.get(topic)
    }

    /// The cluster snapshot that these topics are from; partitioners use it.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// The slot of a partition's entry, filled by the first record for it.
pub(super) type PartitionSlot = OnceLock<Arc<PartitionEntry>>;

/// A topic whose partitions are known. Replaced as a whole when they change. On cache lines of its own, since every
/// `send` reads it.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct TopicEntry {
    name: Arc<str>,
    /// One for each partition. Filled by the accumulator alone.
    slots: Arc<[PartitionSlot]>,
    /// Partitions that have a leader, in ascending order.
    available: Box<[PartitionId]>,
    /// Whether records were sent to the topic since the metadata last checked for idle topics (`metadata.max.idle.ms`).
    used: AtomicBool,
    /// The sticky partition, for records without key; shared with the entry that replaces this one.
    sticky: Arc<StickyPartition>,
}

/// How a record's partition is chosen without calling a partitioner.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    Given(PartitionId),
    ByKey,
    Sticky,
}

impl TopicEntry {
    pub(super) fn new(
        name: Arc<str>,
        slots: Arc<[PartitionSlot]>,
        available: Box<[PartitionId]>,
        sticky: Arc<StickyPartition>,
    ) -> Self {
        Self {
            name,
            slots,
            available,
            used: AtomicBool::new(true),
            sticky,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    #[inline]
    pub(crate) fn partition_count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn available(&self) -> &[PartitionId] {
        &self.available
    }

    #[inline]
    pub(crate) fn has_partition(&self, partition: PartitionId) -> bool {
        place_of(partition) < self.slots.len()
    }

    /// The partition's entry, if a record was sent to it before.
    #[inline]
    pub(crate) fn partition(&self, partition: PartitionId) -> Option<&Arc<PartitionEntry>> {
        self.slot(partition).and_then(OnceLock::get)
    }

    #[inline]
    pub(super) fn slot(&self, partition: PartitionId) -> Option<&PartitionSlot> {
        self.slots.get(place_of(partition))
    }

    /// Marks the topic as used, so that metadata does not evict it. Stores only if the mark is not set: a store for
    /// every record would move the cache line between all sending threads.
    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Clears the mark of use; returns whether it was set.
    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The partition of a record, by the default partitioner or the record's own choice (PT-1).
    #[inline]
    pub(crate) fn choose(
        &self,
        choice: Choice,
        key: Option<&[u8]>,
        random: &RandomSource,
    ) -> PartitionId {
        match (choice, key) {
            (Choice::Given(partition), _) => partition,
            (Choice::ByKey, Some(key)) => partition_for_key(key, self.partition_count() as u32),
            (Choice::ByKey, None) | (Choice::Sticky, _) => self.sticky_partition(random),
        }
    }

    /// The sticky partition: records without key go to it until a batch of it is full (PT-4).
    #[inline]
    pub(crate) fn sticky_partition(&self, random: &RandomSource) -> PartitionId {
        let current = self.sticky.get();
        // Also false before the first choice, when the sticky partition is -1.
        if self.has_partition(current) {
            return current;
        }
        self.next_sticky(current, random)
    }

    /// Chooses another sticky partition if `previous`, for which a new batch is about to be opened, is the sticky one
    /// (PT-5).
    pub(crate) fn leave_sticky(&self, previous: PartitionId, random: &RandomSource) {
        if self.sticky.get() == previous {
            self.next_sticky(previous, random);
        }
    }

    #[cold]
    fn next_sticky(&self, previous: PartitionId, random: &RandomSource) -> PartitionId {
        let any = |random: &RandomSource| random.below(self.slots.len()) as PartitionId;
        let chosen = another(previous, &self.available, any, random);
        // Compare-and-swap: of several threads that fill a batch at the same time, one chooses, and all follow it.
        let current = self.sticky.move_on(previous, chosen);
        // The sticky partition is shared with the entry that replaces this one, which may have more partitions.
        if self.has_partition(current) {
            current
        } else {
            chosen
        }
    }
}

/// The index of a partition's slot. A negative number becomes an index past the end of any topic, so one comparison
/// catches numbers that are too small and too large.
#[inline]
fn place_of(partition: PartitionId) -> usize {
    partition as u32 as usize
}
