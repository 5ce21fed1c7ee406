//! A thread-local cache of recent topics. A program sends to the same few topics over and over. A cache hit costs one
//! comparison of names and writes no shared memory; a lookup in the shared map costs two atomic writes for its guard,
//! and a hash.

use std::cell::RefCell;
use std::sync::Arc;

use super::topics::{NO_SNAPSHOT, SnapshotId, TopicEntry};
use crate::sync::thread_local;

/// The number of cache slots. A few are enough for most programs, and a cached topic may outlive its producer.
const PLACES: usize = 8;

/// A cached topic is evicted only after so many misses of its slot. Where more topics collide than there are slots, or
/// several producers, most records then use the shared map, and few write the reference counts of shared entries.
const MISSES_PER_CHANGE: u8 = 16;

/// A cached topic of one snapshot. Keeps the topic's table of partitions alive until it is evicted or the thread ends.
struct RecentTopic {
    snapshot: SnapshotId,
    /// This thread's own copy. The entry's `Arc<str>` is next to its reference count, which the sender thread writes
    /// for every record, since each callback is given the name: comparing with that would fetch the cache line from the
    /// other core each time.
    name: Box<str>,
    topic: Arc<TopicEntry>,
}

#[derive(Default)]
struct RecentSlot {
    recent: Option<RecentTopic>,
    misses: u8,
}

thread_local! {
    static RECENT: RefCell<[RecentSlot; PLACES]> = const {
        RefCell::new([const { RecentSlot { recent: None, misses: 0 } }; PLACES])
    };
}

/// Calls `look` with the cached topic; a miss if it is not cached, or is of another snapshot.
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
            // The snapshot first: its id also distinguishes producers, whose topics may have the same name.
            let is_it = recent.snapshot == snapshot && *recent.name == *topic;
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
        // Counts records of any topic with this slot that took the slow path. An empty slot is taken at once.
        place.misses += 1;
        if place.recent.is_some() && place.misses < MISSES_PER_CHANGE {
            return None;
        }
        place.misses = 0;
        let topic = Arc::clone(topic);
        let name = Box::from(&**topic.name());
        let recent = RecentTopic {
            snapshot,
            name,
            topic,
        };
        place.recent.replace(recent)
    });
    // Dropped after the borrow ends: the last reference may run destructors that come back here.
    drop(forgotten);
}

/// The cache slot: a cheap hash, since similar topic names differ in their lengths or last bytes.
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

    fn knows(snapshot: SnapshotId, name: &str) -> bool {
        let found = with(snapshot, name, |topic| Some(Arc::clone(topic.name())));
        assert!(found.as_deref().is_none_or(|found| found == name));
        found.is_some()
    }

    #[test]
    fn a_topic_is_remembered_for_its_snapshot_alone() {
        assert!(!knows(SNAPSHOT, "a"));
        remember(SNAPSHOT, &topic("a"));
        assert!(knows(SNAPSHOT, "a"));
        assert!(!knows(SNAPSHOT + 1, "a"));
        // Same length and end, hence the same place.
        assert_eq!(place_of("xa"), place_of("ya"));
        remember(SNAPSHOT, &topic("xa"));
        assert!(!knows(SNAPSHOT, "ya"));
    }

    #[test]
    fn of_two_topics_that_meet_one_is_found_until_the_other_was_missed_often() {
        let (first, second) = (topic("xa"), topic("ya"));
        remember(SNAPSHOT, &first);
        for _ in 1..MISSES_PER_CHANGE {
            remember(SNAPSHOT, &second);
            assert!(knows(SNAPSHOT, "xa"));
        }
        remember(SNAPSHOT, &second);
        assert!(knows(SNAPSHOT, "ya"));
        assert_eq!(Arc::strong_count(&first), 1, "what is forgotten is let go");
    }

    #[test]
    fn nothing_is_remembered_of_a_producer_that_is_closed() {
        remember(NO_SNAPSHOT, &topic("a"));
        assert!(!knows(NO_SNAPSHOT, "a"));
    }

    #[test]
    fn who_looks_finds_nothing_else_changed_beneath() {
        remember(SNAPSHOT, &topic("a"));
        let seen = with(SNAPSHOT, "a", |_| {
            remember(SNAPSHOT, &topic("b"));
            Some(knows(SNAPSHOT, "b"))
        });
        assert_eq!(seen, Some(false));
    }
}
