//! The topics that a thread sent to of late. A program sends to the same few topics over and over; finding
//! one here costs a comparison of its name, and writes nothing that other threads read, where the guard
//! of the shared map takes two atomic writes, and the map a hash.

use std::cell::RefCell;
use std::sync::Arc;

use super::topics::{NO_SNAPSHOT, SnapshotId, TopicEntry};
use crate::sync::thread_local;

/// A few are enough for most programs, and each may outlive its producer.
const PLACES: usize = 8;

/// A topic takes another's place only so often. Where more topics meet than there are places, or several
/// producers, most records then go by way of the shared map, and few write the counts of shared entries.
const MISSES_PER_CHANGE: u8 = 16;

/// A topic as one snapshot has it. It keeps the topic's table of partitions alive until this thread has
/// another topic for the place, or ends.
struct RecentTopic {
    snapshot: SnapshotId,
    /// This thread's own copy. The entry's name stands beside a counter that the sender's thread writes for
    /// every record, as each callback is given the name: to compare with that would fetch its cache line
    /// from the other processor each time.
    name: Box<str>,
    topic: Arc<TopicEntry>,
}

#[derive(Default)]
struct Place {
    recent: Option<RecentTopic>,
    misses: u8,
}

thread_local! {
    static RECENT: RefCell<[Place; PLACES]> = const {
        RefCell::new([const { Place { recent: None, misses: 0 } }; PLACES])
    };
}

/// Looks at the topic if this thread remembers it from that very snapshot.
#[inline]
pub(super) fn with<R>(
    snapshot: SnapshotId,
    topic: &str,
    look: impl FnOnce(&TopicEntry) -> Option<R>,
) -> Option<R> {
    // Nothing is remembered once the thread's last destructors run, nor while `look` looks.
    RECENT
        .try_with(|places| {
            let places = places.try_borrow().ok()?;
            let recent = places[place_of(topic)].recent.as_ref()?;
            let is_it = recent.snapshot == snapshot && *recent.name == *topic;
            is_it.then(|| look(&recent.topic)).flatten()
        })
        .ok()
        .flatten()
}

/// Remembers the topic, perhaps.
pub(super) fn remember(snapshot: SnapshotId, topic: &Arc<TopicEntry>) {
    if snapshot == NO_SNAPSHOT {
        return;
    }
    let forgotten = RECENT.try_with(|places| {
        let mut places = places.try_borrow_mut().ok()?;
        let place = &mut places[place_of(topic.name())];
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
    // Outside of the borrow: what it drops is not this module's to know.
    drop(forgotten);
}

/// Names of one family differ in their lengths or their ends.
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
        let sticky = TopicEntry::new_sticky();
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
