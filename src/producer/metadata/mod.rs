//! The producer's metadata cache: the topics it writes to, the cluster snapshot, and the threads that wait for an
//! update.

mod observer;
mod state;
mod topic_state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::planted::planted;

pub(crate) use self::observer::ClusterObserver;
use self::state::MetadataState;
pub(crate) use self::state::{RequestedUpdate, UpdateCheck, WaitStart};
pub(crate) use self::topic_state::TopicState;
use super::cluster_listeners::ClusterListeners;
use super::waiting::{Event, SleepPermit};
use crate::client::metadata::{
    AwaitedBroker, ChangedTopics, Metadata, MetadataFailure, MetadataNews, PlannedUpdate,
    TopicError,
};
use crate::client::metadata_source::{MetadataRequestPlan, MetadataSource};
use crate::clock::{Clock, Deadline, Instant};
use crate::protocol::MetadataResponse;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::{ArcSwap, Condvar, Mutex, MutexGuard, Rank};
use crate::types::{Cluster, Node, PartitionId};

/// The configuration of a [`ProducerMetadata`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProducerMetadataOptions {
    /// `retry.backoff.ms`: the least time between two attempts.
    pub(crate) refresh_backoff: Duration,
    /// `metadata.max.age.ms`.
    pub(crate) max_age: Duration,
    /// `metadata.max.idle.ms`: how long a topic that is not sent to is kept.
    pub(crate) max_idle: Duration,
}

/// The producer's metadata cache.
///
/// The cluster snapshot and its version are read without the lock. A reader that sees a version sees a snapshot at
/// least as new.
///
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.ProducerMetadata`.
pub(crate) struct ProducerMetadata {
    state: Mutex<MetadataState>,
    changed: Condvar,
    cluster: ArcSwap<Cluster>,
    update_version: AtomicU32,
    listeners: ClusterListeners,
    /// True from a metadata response until the cluster listeners are called.
    has_news: AtomicBool,
    observer: Arc<dyn ClusterObserver>,
}

impl ProducerMetadata {
    pub(crate) fn new(
        options: ProducerMetadataOptions,
        listeners: ClusterListeners,
        observer: Arc<dyn ClusterObserver>,
    ) -> Self {
        let ProducerMetadataOptions {
            refresh_backoff,
            max_age,
            max_idle,
        } = options;
        let metadata = Metadata::new(refresh_backoff, max_age);
        let cluster = ArcSwap::new(Arc::clone(metadata.cluster()));
        let state = MetadataState::new(metadata, max_idle);
        Self {
            state: Mutex::new(Rank::METADATA, state),
            changed: Condvar::new(),
            cluster,
            update_version: AtomicU32::new(0),
            listeners,
            has_news: AtomicBool::new(false),
            observer,
        }
    }

    /// Calls the user's cluster listeners if a metadata response came since the last call. To be called where the
    /// sender runs user code, not where the response is handled: the handling still uses the time at which the response
    /// came.
    ///
    /// The update is complete when the listeners have returned: `metadata.max.age.ms` and the back-off of the next
    /// update count from then. If they counted from the response, slow listeners would make the next update due each
    /// time they return, and a due update goes before all other requests.
    pub(crate) fn notify_listeners(&self, clock: &dyn Clock) {
        if !self.has_news.load(Ordering::Acquire) {
            return;
        }
        self.has_news.store(false, Ordering::Release);
        if self
            .listeners
            .on_update(self.cluster.load_full().cluster_id())
        {
            let now = clock.now();
            self.state.lock().metadata.update_completed(now);
        }
    }

    /// Closes the cluster listeners: none is called any more.
    pub(crate) fn close_listeners(&self) {
        self.listeners.close();
    }

    /// Sets the bootstrap servers as the first cluster.
    pub(crate) fn bootstrap(&self, nodes: Vec<Node>) {
        let mut state = self.state.lock();
        state.metadata.bootstrap(nodes);
        self.publish(&state, &ChangedTopics::All);
    }

    /// Tracks a topic for another `metadata.max.idle.ms`. Requests its metadata if it is unknown: at once if the topic
    /// is new, else after the back-off; only once, however often this is called before the response.
    pub(crate) fn add_topic(&self, topic: &Arc<str>, now: Instant) -> RequestedUpdate {
        self.state.lock().add_topic(topic, now)
    }

    /// Requests a full update. Returns the current update version: the caller waits for a newer one.
    pub(crate) fn request_update(&self) -> u32 {
        self.state.lock().metadata.request_update()
    }

    /// Requests an update for a topic that [was added](Self::add_topic). If a request for it is pending, no other is
    /// made; otherwise a full update is requested, since the topic may have the partition `wanted` by now.
    pub(crate) fn request_update_for_topic(
        &self,
        topic: &str,
        wanted: Option<PartitionId>,
    ) -> RequestedUpdate {
        self.state.lock().request_update_for_topic(topic, wanted)
    }

    /// The version of the cluster snapshot: the number of updates so far.
    pub(crate) fn update_version(&self) -> u32 {
        self.update_version.load(Ordering::Acquire)
    }

    /// Begins a wait. To be called before the update is requested, so that no response is missed.
    pub(crate) fn begin_wait(&self) -> WaitStart {
        self.state.lock().begin_wait()
    }

    /// The event of an update newer than `last_version`, for a wait that began at `start`.
    pub(crate) fn update_after(&self, last_version: u32, start: WaitStart) -> AwaitedUpdate<'_> {
        AwaitedUpdate {
            metadata: self,
            last_version,
            start,
        }
    }

    /// The topic's error, if a response since the start of the wait contained one that is not retriable.
    pub(crate) fn topic_error(&self, topic: &str, start: WaitStart) -> Option<TopicError> {
        self.state.lock().topic_error(topic, start)
    }

    /// The topic's metadata state, for a wait that began at `start`.
    pub(crate) fn topic_state(&self, topic: &str, start: WaitStart, now: Instant) -> TopicState {
        self.state.lock().topic_state(topic, start, now)
    }

    /// The current cluster snapshot.
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        self.cluster.load_full()
    }

    /// The age of the last full update; `None` if there was none.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.state.lock().metadata.age(now)
    }

    /// The number of topic expiries. While it is unchanged, no tracked topic has expired.
    pub(crate) fn times_forgotten(&self) -> u32 {
        self.state.lock().times_forgotten
    }

    /// Returns those of `topics` that are not tracked, or no longer.
    pub(crate) fn without_tracked<'t>(
        &self,
        topics: impl Iterator<Item = &'t Arc<str>>,
    ) -> Vec<Arc<str>> {
        let state = self.state.lock();
        topics
            .filter(|topic| !state.tracks(topic))
            .cloned()
            .collect()
    }

    /// Whether the topic is tracked.
    #[cfg(test)]
    pub(crate) fn contains_topic(&self, topic: &str) -> bool {
        self.state.lock().tracks(topic)
    }

    /// Ends every current and future wait with [`UpdateCheck::Closed`].
    pub(crate) fn close(&self) {
        // Set under the lock that a waiter holds from its check until it sleeps: no wake-up is lost.
        self.state.lock().is_closed = true;
        if !planted!(CloseLeavesMetadataWaiters) {
            self.changed.notify_all();
        }
    }

    /// Publishes the newest cluster snapshot: first the snapshot, then its version; then wakes the waiters.
    fn publish(&self, state: &MutexGuard<'_, MetadataState>, changed: &ChangedTopics) {
        self.cluster.store(Arc::clone(state.metadata.cluster()));
        if planted!(VersionBeforeTopics) {
            self.update_version
                .store(state.metadata.update_version(), Ordering::Release);
        }
        // The observer is notified before the version is stored: a thread that has waited for the version must find the
        // partitions in the accumulator.
        self.observer.on_cluster(state.metadata.cluster(), changed);
        self.update_version
            .store(state.metadata.update_version(), Ordering::Release);
        if !planted!(MetadataWaiterNotWoken) {
            self.changed.notify_all();
        }
    }
}

/// The event of a metadata update that a thread waits for.
pub(crate) struct AwaitedUpdate<'a> {
    metadata: &'a ProducerMetadata,
    last_version: u32,
    start: WaitStart,
}

impl AwaitedUpdate<'_> {
    /// Checks for the update.
    pub(crate) fn look(&self) -> UpdateCheck {
        self.look_at(&self.metadata.state.lock())
    }

    fn look_at(&self, state: &MetadataState) -> UpdateCheck {
        state.look(self.last_version, self.start)
    }
}

impl Event for AwaitedUpdate<'_> {
    fn sleep(&self, permit: SleepPermit) {
        let mut state = self.metadata.state.lock();
        // `publish` runs under the same lock: no update comes between this check and the wait on the condvar.
        if self.look_at(&state) == UpdateCheck::Same {
            if planted!(MetadataLooksUnlocked) {
                drop(state);
                state = self.metadata.state.lock();
            }
            permit.on(&self.metadata.changed, &mut state);
        }
    }

    fn is_metadata(&self) -> bool {
        true
    }

    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &Condvar)> {
        Some(("metadata", &self.metadata.changed))
    }
}

impl fmt::Debug for AwaitedUpdate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metadata newer than {}", self.last_version)
    }
}

impl MetadataSource for ProducerMetadata {
    fn time_to_next_update(&self, now: Instant) -> Deadline {
        self.state.lock().metadata.time_to_next_update(now)
    }

    fn request_update(&self) -> u32 {
        Self::request_update(self)
    }

    fn new_request(&self, now: Instant) -> MetadataRequestPlan {
        self.state.lock().plan_request(now)
    }

    fn handle_response(
        &self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
    ) -> MetadataNews {
        let news = {
            // A response is handled even while the producer closes: the remaining batches need their partitions'
            // leaders.
            let mut state = self.state.lock();
            if !planned.is_partial {
                // Called before `update`, which expires idle topics: topics that were used since the last full update
                // must stay.
                state.refresh_used(&*self.observer, now);
            }
            let update = state.update(planned, version, response, now);
            self.publish(&state, &update.changed);
            update.news
        };
        // Cluster listeners are user code: `notify_listeners` calls them later, without the lock.
        self.has_news.store(true, Ordering::Release);
        news
    }

    fn handle_failure(&self, now: Instant, why: MetadataFailure) {
        let mut state = self.state.lock();
        state.update_failed(now, why);
        // A fatal error ends the waits; after any other error the waiters check again and go on waiting.
        self.changed.notify_all();
    }

    fn handle_obstacle(&self, what: MetadataFailure) {
        self.state.lock().metadata.update_held_up(what);
    }

    fn handle_awaited(&self, brokers: Vec<AwaitedBroker>) {
        self.state.lock().metadata.update_awaits(brokers);
    }

    fn cluster(&self) -> Arc<Cluster> {
        Self::cluster(self)
    }
}

impl fmt::Debug for ProducerMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.update_version();
        f.debug_struct("ProducerMetadata")
            .field("update_version", &version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
