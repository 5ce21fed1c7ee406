//! Copy-on-write map from topics to small shared values: lock-free reads, one insertion per topic.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::sync::{Mutex, Rank};
use crate::util::hash::FixedHashMap;

type Map<T> = FixedHashMap<Arc<str>, Arc<T>>;

/// A map from topics to shared cells. It only grows: by one cell for each topic that the program sends to.
///
/// # Threads
/// Any. Reading an entry that exists takes no lock; adding one takes a leaf lock (rank 40) and copies
/// the map.
#[derive(Debug)]
pub(super) struct TopicMap<T> {
    topics: ArcSwap<Map<T>>,
    growing: Mutex<()>,
}

impl<T> TopicMap<T> {
    pub(super) fn new() -> Self {
        Self {
            topics: ArcSwap::from_pointee(Map::default()),
            growing: Mutex::new(Rank::LEAF, ()),
        }
    }

    /// Runs `read` on the topic's cell, if it has one.
    pub(super) fn read<R>(&self, topic: &str, read: impl FnOnce(&T) -> R) -> Option<R> {
        self.topics.load().get(topic).map(|cell| read(cell))
    }

    /// The topic's cell; created by `make`, under the lock, if there is none.
    pub(super) fn get_or_insert(&self, topic: &str, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(cell) = self.topics.load().get(topic) {
            return Arc::clone(cell);
        }
        let _growing = self.growing.lock();
        let topics = self.topics.load();
        // Another thread may have been first.
        if let Some(cell) = topics.get(topic) {
            return Arc::clone(cell);
        }
        let cell = Arc::new(make());
        // Copy on write: readers keep the old map and never wait.
        let mut grown = Map::clone(&topics);
        grown.insert(topic.into(), Arc::clone(&cell));
        self.topics.store(Arc::new(grown));
        cell
    }
}
