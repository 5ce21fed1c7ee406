//! The topics that can be sent to: a read-mostly map that application threads borrow, and that the
//! sender replaces when the cluster changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use super::entry::PartitionEntry;
use crate::producer::partitioner::partition_for_key;
use crate::sync::OnceLock;
use crate::types::{Cluster, PartitionId};
use crate::util::shared_map::SharedMap;

/// No sticky partition has been chosen.
const NO_PARTITION: PartitionId = -1;

/// All topics whose partitions are known.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: SharedMap<Arc<TopicEntry>>,
    /// The picture they are from, in which each of them has the same partitions as here.
    cluster: Arc<Cluster>,
    /// Topics that have partitions which cannot be used yet, and which `cluster` is without.
    gapped: SharedMap<()>,
    closed: bool,
    id: SnapshotId,
}

/// What new metadata makes of the topics.
pub(super) struct TopicChanges {
    pub(super) by_name: SharedMap<Arc<TopicEntry>>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) gapped: SharedMap<()>,
    /// A topic that was there is another now, or gone.
    pub(super) has_replaced: bool,
}

/// Tells one set of topics from any other in the process, of whatever producer. Zero stands for none.
pub(super) type SnapshotId = u64;

/// No snapshot has it.
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

    /// The topics that come after these. Unless one of these is another now, or gone, what threads remember
    /// of these holds for those too.
    pub(super) fn next(&self, next: TopicChanges) -> Self {
        let TopicChanges {
            by_name,
            cluster,
            gapped,
            has_replaced,
        } = next;
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

    /// The same topics, to which nothing can be sent any more.
    pub(super) fn to_closed(&self) -> Self {
        Self::new(
            self.by_name.clone(),
            Arc::clone(&self.cluster),
            self.gapped.clone(),
            true,
        )
    }

    /// What a thread may remember its topics by; none when nothing can be sent.
    pub(super) fn id(&self) -> SnapshotId {
        if self.closed { NO_SNAPSHOT } else { self.id }
    }

    #[inline]
    pub(crate) fn get(&self, topic: &str) -> Option<&Arc<TopicEntry>> {
        self.by_name.get(topic)
    }

    /// The cluster that these topics are from: what is decided by it holds for them.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Where a partition's entry is, from the first record for it on.
pub(super) type PartitionSlot = OnceLock<Arc<PartitionEntry>>;

/// A topic whose partitions are known. Replaced as a whole when they change.
#[derive(Debug)]
pub(crate) struct TopicEntry {
    name: Arc<str>,
    /// One for each partition. Filled by the accumulator alone.
    slots: Arc<[PartitionSlot]>,
    /// Partitions that have a leader, by number.
    available: Box<[PartitionId]>,
    /// It was sent to since the metadata last asked.
    used: AtomicBool,
    /// Where records without key go for now; shared with the entry that replaces this one.
    sticky: Arc<AtomicI32>,
}

/// How a record's partition is chosen without asking a partitioner.
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
        sticky: Arc<AtomicI32>,
    ) -> Self {
        Self {
            name,
            slots,
            available,
            used: AtomicBool::new(true),
            sticky,
        }
    }

    pub(super) fn new_sticky() -> Arc<AtomicI32> {
        Arc::new(AtomicI32::new(NO_PARTITION))
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

    /// The entry of a partition, if a record for it was there before.
    #[inline]
    pub(crate) fn partition(&self, partition: PartitionId) -> Option<&Arc<PartitionEntry>> {
        self.slot(partition).and_then(OnceLock::get)
    }

    #[inline]
    pub(super) fn slot(&self, partition: PartitionId) -> Option<&PartitionSlot> {
        self.slots.get(place_of(partition))
    }

    /// Notes that it is sent to, so that metadata keeps it. Writes only the first time after metadata
    /// has asked: a store by every thread for every record would cost more than all the rest.
    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The partition of a record with this key, when nobody need be asked (PT-1).
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

    /// The partition that records without key go to, until a batch of it is full (PT-4).
    #[inline]
    pub(crate) fn sticky_partition(&self, random: &RandomSource) -> PartitionId {
        let current = self.sticky.load(Ordering::Relaxed);
        // None chosen is no place either.
        if self.has_partition(current) {
            return current;
        }
        self.next_sticky(current, random)
    }

    /// A new batch of `previous` is about to be opened: if that is the sticky partition, another is
    /// chosen (PT-5).
    pub(crate) fn leave_sticky(&self, previous: PartitionId, random: &RandomSource) {
        if self.sticky.load(Ordering::Relaxed) == previous {
            self.next_sticky(previous, random);
        }
    }

    /// Moves on from `previous`, unless another thread has done so (PT-5).
    ///
    /// # Kafka
    /// `StickyPartitionCache#nextPartition`.
    pub(crate) fn next_sticky(&self, previous: PartitionId, random: &RandomSource) -> PartitionId {
        let chosen = match &*self.available {
            [] => random.below(self.slots.len()) as PartitionId,
            [only] => *only,
            several => other_than(previous, several, random),
        };
        match self
            .sticky
            .compare_exchange(previous, chosen, Ordering::Relaxed, Ordering::Relaxed)
        {
            Err(current) if self.has_partition(current) => current,
            Ok(_) | Err(_) => chosen,
        }
    }
}

/// Where a partition's slot is. Of a negative number it is past the end of any topic, so that one
/// comparison finds both what is too small and what is too large.
#[inline]
fn place_of(partition: PartitionId) -> usize {
    partition as u32 as usize
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
        // Draw among the others: skip over the previous one's place.
        Some(place) => {
            let drawn = random.below(available.len() - 1);
            available[if drawn < place { drawn } else { drawn + 1 }]
        }
        None => available[random.below(available.len())],
    }
}

/// Random numbers from a seed, for many threads: one atomic step of a Weyl sequence and a mix
/// (splitmix64).
#[derive(Debug)]
pub(crate) struct RandomSource(AtomicU64);

impl RandomSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    fn below(&self, bound: usize) -> usize {
        // The high half of the product is uniform to within 2^-64 · bound.
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}
