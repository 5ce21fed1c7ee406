//! A thread-local cache of recent topics. A program sends to the same few topics over and over. A cache hit costs one
//! comparison of names and writes no shared memory; a lookup in the shared map costs two atomic writes for its guard,
//! and a hash.

use std::cell::RefCell;
use std::sync::Arc;

use super::topics::{NO_SNAPSHOT, SnapshotId, TopicEntry};
use crate::sync::thread_local;
use crate::types::topic_name::NAME_BYTES_MAX;

/// The number of cache slots. Small, because most programs send to few topics, and because a cached topic stays in
/// memory after its producer was dropped.
const PLACES: usize = 8;

/// The number of misses of a slot after which its cached topic is evicted. An eviction writes the reference counts of
/// shared entries. If more topics are in use than there are slots, or several producers have topics with the same slot,
/// most records use the shared map, and few evict a topic.
const MISSES_PER_CHANGE: u8 = 16;

/// A cached topic of one snapshot. Keeps the topic's table of partitions alive until it is evicted or the thread ends.
struct RecentTopic {
    snapshot: SnapshotId,
    name: Box<NameCopy>,
    topic: Arc<TopicEntry>,
}

/// This thread's own copy of a topic's name, on cache lines of its own. The entry's `Arc<str>` shares a cache line with
/// its reference count, which other threads change for every batch and every result that a future returns: comparing
/// with that name would fetch the cache line from another core each time.
#[repr(align(64))]
struct NameCopy {
    length: u8,
    bytes: [u8; NAME_BYTES_MAX],
}

impl NameCopy {
    /// `None` if the name is longer than a topic's name may be.
    fn of(name: &str) -> Option<Box<Self>> {
        let mut copy = Box::new(Self {
            length: u8::try_from(name.len()).ok()?,
            bytes: [0; NAME_BYTES_MAX],
        });
        let bytes = copy.bytes.get_mut(..name.len())?;
        bytes.copy_from_slice(name.as_bytes());
        Some(copy)
    }

    #[inline]
    fn is(&self, name: &str) -> bool {
        self.bytes[..usize::from(self.length)] == *name.as_bytes()
    }
}

#[derive(Default)]
struct RecentSlot {
    recent: Option<RecentTopic>,
    /// Misses since the topic was cached.
    misses: u8,
}

thread_local! {
    static RECENT: RefCell<[RecentSlot; PLACES]> = const {
        RefCell::new([const { RecentSlot { recent: None, misses: 0 } }; PLACES])
    };
}

/// Calls `look` with the cached topic. `None`, a cache miss, if the topic is not cached, or was cached from another
/// snapshot.
#[inline]
pub(super) fn with<R>(
    snapshot: SnapshotId,
    topic: &str,
    look: impl FnOnce(&TopicEntry) -> Option<R>,
) -> Option<R> {
    // `try_with` fails after the thread-local is destroyed, `try_borrow` while `remember` holds it: both are a miss.
    RECENT
        .try_with(|places| {
            let places = places.try_borrow().ok()?;
            let recent = places[place_of(topic)].recent.as_ref()?;
            // The snapshot id is compared first: it also distinguishes producers, whose topics may have the same name.
            let is_it = recent.snapshot == snapshot && recent.name.is(topic);
            is_it.then(|| look(&recent.topic)).flatten()
        })
        .ok()
        .flatten()
}

/// Caches the topic, if its slot is empty or was missed often enough.
pub(super) fn remember(snapshot: SnapshotId, topic: &Arc<TopicEntry>) {
    if snapshot == NO_SNAPSHOT {
        return;
    }
    let forgotten = RECENT.try_with(|places| {
        let mut places = places.try_borrow_mut().ok()?;
        let place = &mut places[place_of(topic.name())];
        // Counts records of any topic with this slot that took the slow path. An empty slot is filled at once.
        place.misses += 1;
        if place.recent.is_some() && place.misses < MISSES_PER_CHANGE {
            return None;
        }
        place.misses = 0;
        let topic = Arc::clone(topic);
        let name = NameCopy::of(topic.name())?;
        let recent = RecentTopic {
            snapshot,
            name,
            topic,
        };
        place.recent.replace(recent)
    });
    // Dropped after the borrow ends: the last reference may run destructors that use this cache.
    drop(forgotten);
}

/// The index of the topic's cache slot. A cheap hash is enough: similar topic names differ in their lengths or last
/// bytes.
#[inline]
fn place_of(topic: &str) -> usize {
    let last = topic.as_bytes().last().copied().unwrap_or_default();
    (topic.len() + usize::from(last)) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: SnapshotId = 7;

    fn topic(name: &str) -> Arc<TopicEntry> {
        let slots = Arc::from([]);
        let sticky = Arc::default();
        Arc::new(TopicEntry::new(
            Arc::from(name),
            slots,
            Box::default(),
            sticky,
        ))
    }

    fn is_cached(snapshot: SnapshotId, name: &str) -> bool {
        let found = with(snapshot, name, |topic| Some(Arc::clone(topic.name())));
        assert!(found.as_deref().is_none_or(|found| found == name));
        found.is_some()
    }

    #[test]
    fn a_cached_topic_is_found_only_with_its_own_snapshot() {
        assert!(!is_cached(SNAPSHOT, "a"));
        remember(SNAPSHOT, &topic("a"));
        assert!(is_cached(SNAPSHOT, "a"));
        assert!(!is_cached(SNAPSHOT + 1, "a"));
        // The same length and last byte, hence the same slot.
        assert_eq!(place_of("xa"), place_of("ya"));
        remember(SNAPSHOT, &topic("xa"));
        assert!(!is_cached(SNAPSHOT, "ya"));
    }

    #[test]
    fn of_two_topics_with_one_slot_the_cached_one_is_evicted_after_enough_misses() {
        let (first, second) = (topic("xa"), topic("ya"));
        remember(SNAPSHOT, &first);
        for _ in 1..MISSES_PER_CHANGE {
            remember(SNAPSHOT, &second);
            assert!(is_cached(SNAPSHOT, "xa"));
        }
        remember(SNAPSHOT, &second);
        assert!(is_cached(SNAPSHOT, "ya"));
        assert_eq!(Arc::strong_count(&first), 1, "an evicted topic is dropped");
    }

    #[test]
    fn no_topic_of_a_closed_producer_is_cached() {
        remember(NO_SNAPSHOT, &topic("a"));
        assert!(!is_cached(NO_SNAPSHOT, "a"));
    }

    #[test]
    fn the_cache_does_not_change_while_an_entry_is_in_use() {
        remember(SNAPSHOT, &topic("a"));
        let seen = with(SNAPSHOT, "a", |_| {
            remember(SNAPSHOT, &topic("b"));
            Some(is_cached(SNAPSHOT, "b"))
        });
        assert_eq!(seen, Some(false));
    }
}
