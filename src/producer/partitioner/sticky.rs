//! The partition that a topic's unkeyed records stick to, so that they fill one batch rather than
//! many.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicI32, Ordering};

use super::topic_map::TopicMap;
use crate::sync::{Mutex, Rank};
use crate::types::{Cluster, PartitionId, PartitionInfo};

/// Remembers each topic's sticky partition.
///
/// # Threads
/// Any. Reading takes no lock; choosing anew takes a leaf lock (rank 40) for the random number.
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.StickyPartitionCache`. Differs: a partition that the
/// topic no longer has (it was deleted and made anew, smaller) is left at once; the random numbers can
/// be seeded.
#[derive(Debug)]
pub(crate) struct StickyPartitionCache {
    current: TopicMap<AtomicI32>,
    random: Mutex<fastrand::Rng>,
}

impl StickyPartitionCache {
    /// An empty cache whose choices follow from `seed`.
    pub(crate) fn with_seed(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self {
            current: TopicMap::new(),
            random: Mutex::new(Rank::LEAF, random),
        }
    }

    /// An empty cache whose choices differ from process to process.
    pub(crate) fn new() -> Self {
        // The standard library's hasher keys are the one source of entropy without a dependency.
        Self::with_seed(RandomState::new().build_hasher().finish())
    }

    /// The topic's sticky partition, chosen now if there is none; `None` for a topic without
    /// partitions.
    pub(crate) fn partition(&self, topic: &str, cluster: &Cluster) -> Option<PartitionId> {
        let current = self
            .current
            .read(topic, |cell| cell.load(Ordering::Relaxed));
        match current {
            Some(current) if is_within(cluster.partitions(topic), current) => Some(current),
            Some(gone) => self.next_partition(topic, cluster, gone),
            None => {
                let first = self.choose(topic, cluster, None)?;
                let cell = self.current.get_or_insert(topic, || AtomicI32::new(first));
                Some(cell.load(Ordering::Relaxed))
            }
        }
    }

    /// Moves the topic to another partition if it still sticks to `previous`; the partition it sticks
    /// to now.
    pub(crate) fn next_partition(
        &self,
        topic: &str,
        cluster: &Cluster,
        previous: PartitionId,
    ) -> Option<PartitionId> {
        let Some(current) = self
            .current
            .read(topic, |cell| cell.load(Ordering::Relaxed))
        else {
            return self.partition(topic, cluster);
        };
        if current != previous {
            return Some(current);
        }
        let next = self.choose(topic, cluster, Some(current))?;
        self.current.read(topic, |cell| {
            // Whoever moved it first has decided.
            match cell.compare_exchange(previous, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => next,
                Err(moved) => moved,
            }
        })
    }

    /// Any available partition but `old`, `old` if it alone is available, any at all if none is.
    fn choose(
        &self,
        topic: &str,
        cluster: &Cluster,
        old: Option<PartitionId>,
    ) -> Option<PartitionId> {
        let available = || cluster.available_partitions(topic);
        match available().count() {
            0 => self.pick(|| cluster.partitions(topic).iter()),
            1 => available().next().map(PartitionInfo::partition),
            _ => self.pick(|| available().filter(|info| Some(info.partition()) != old)),
        }
    }

    fn pick<'a, I>(&self, among: impl Fn() -> I) -> Option<PartitionId>
    where
        I: Iterator<Item = &'a PartitionInfo>,
    {
        let count = among().count();
        if count == 0 {
            return None;
        }
        let at = self.random.lock().usize(..count);
        among().nth(at).map(PartitionInfo::partition)
    }
}

/// Whether a topic with these partitions, sorted by number, can have one with this number. A topic
/// that is not known at the moment keeps its partition.
fn is_within(partitions: &[PartitionInfo], partition: PartitionId) -> bool {
    partitions
        .last()
        .is_none_or(|last| partition <= last.partition())
}
