//! The producer's metadata: which topics it writes to, what is known of the cluster, and who waits
//! to know more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::client::metadata::{FatalMetadataError, Metadata, TopicError};
use crate::client::metadata_source::{
    MetadataFailure, MetadataRequestPlan, MetadataSource, PlannedUpdate,
};
use crate::clock::{Clock, Deadline, Instant, SystemClock};
use crate::error::ErrorCode;
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::sync::{Condvar, Mutex, MutexGuard, Rank, assert_unlocked};
use crate::types::{Cluster, ClusterResourceListener, Node};
use crate::util::panic;

/// Is told of each new picture of the cluster, and knows which topics are in use.
///
/// # Threads
/// Called on the sender thread with the metadata lock held: may take locks of higher rank, must not
/// wait and must not call back.
pub(crate) trait ClusterObserver: Send + Sync {
    /// Whether the topic was sent to since this was last asked.
    fn take_used(&self, topic: &str) -> bool;

    /// There is a new picture of the cluster.
    fn on_cluster(&self, cluster: &Arc<Cluster>);
}

/// How a [`ProducerMetadata`] is to behave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProducerMetadataOptions {
    /// `retry.backoff.ms`: the least time between two attempts.
    pub(crate) refresh_backoff: Duration,
    /// `metadata.max.age.ms`.
    pub(crate) max_age: Duration,
    /// `metadata.max.idle.ms`: how long a topic that is not sent to is kept.
    pub(crate) max_idle: Duration,
}

/// Why a wait for metadata ended without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataWaitError {
    /// The producer was closed.
    Closed,
    /// The time was up.
    TimedOut,
    /// No metadata can be had. Told to one of those who wait.
    Fatal(FatalMetadataError),
}

/// How things stand with a topic, for an error that says what was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicState {
    /// Partitions that are known; `None` if the topic is not.
    pub(crate) partitions: Option<usize>,
    /// As many of them have no leader.
    pub(crate) leaderless: usize,
    /// What the brokers last answered for the topic, if it was an error.
    pub(crate) last_code: Option<ErrorCode>,
    /// Why the last attempt to get metadata failed, if it did.
    pub(crate) last_failure: Option<MetadataFailure>,
}

impl fmt::Display for TopicState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.last_code, self.partitions) {
            (Some(code), _) => write!(f, "the brokers answered {code}")?,
            (None, Some(count)) if self.leaderless > 0 => {
                write!(
                    f,
                    "{} of {count} partitions have no leader",
                    self.leaderless
                )?;
            }
            (None, Some(count)) => write!(f, "the topic has {count} partitions")?,
            (None, None) => write!(f, "no broker has described the topic yet")?,
        }
        match &self.last_failure {
            Some(failure) => write!(f, "; the last request for metadata failed: {failure}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct TrackedTopic {
    expires: Deadline,
    /// No answer has had the topic yet.
    is_new: bool,
}

#[derive(Debug)]
struct State {
    metadata: Metadata,
    topics: BTreeMap<Arc<str>, TrackedTopic>,
    max_idle: Duration,
    is_closed: bool,
}

/// The producer's metadata.
///
/// The picture of the cluster and its version are read without the lock. A reader that sees a
/// version sees a picture that is as new.
///
/// # Kafka
/// `org.apache.kafka.clients.producer.internals.ProducerMetadata`.
pub(crate) struct ProducerMetadata {
    state: Mutex<State>,
    changed: Condvar,
    cluster: ArcSwap<Cluster>,
    update_version: AtomicU32,
    listeners: Vec<Arc<dyn ClusterResourceListener>>,
    observer: Arc<dyn ClusterObserver>,
}

impl ProducerMetadata {
    pub(crate) fn new(
        options: ProducerMetadataOptions,
        listeners: Vec<Arc<dyn ClusterResourceListener>>,
        observer: Arc<dyn ClusterObserver>,
    ) -> Self {
        let ProducerMetadataOptions {
            refresh_backoff,
            max_age,
            max_idle,
        } = options;
        let metadata = Metadata::new(refresh_backoff, max_age);
        let cluster = ArcSwap::new(Arc::clone(metadata.cluster()));
        let state = State {
            metadata,
            topics: BTreeMap::new(),
            max_idle,
            is_closed: false,
        };
        Self {
            state: Mutex::new(Rank::METADATA, state),
            changed: Condvar::new(),
            cluster,
            update_version: AtomicU32::new(0),
            listeners,
            observer,
        }
    }

    /// Starts from servers that are to be asked.
    pub(crate) fn bootstrap(&self, nodes: Vec<Node>) {
        let mut state = self.state.lock();
        state.metadata.bootstrap(nodes);
        self.publish(&state);
    }

    /// Keeps track of a topic for another `metadata.max.idle.ms`; asks for it if it is new. Returns
    /// the version to wait past.
    pub(crate) fn add_topic(&self, topic: &Arc<str>, now: Instant) -> u32 {
        let mut state = self.state.lock();
        let expires = Deadline::after(now, state.max_idle);
        if let Some(tracked) = state.topics.get_mut(topic) {
            tracked.expires = expires;
            return state.metadata.update_version();
        }
        state.topics.insert(
            Arc::clone(topic),
            TrackedTopic {
                expires,
                is_new: true,
            },
        );
        state.metadata.request_update_for_new_topics()
    }

    /// Asks for a full update. Returns the version to wait past.
    pub(crate) fn request_update(&self) -> u32 {
        self.state.lock().metadata.request_update()
    }

    /// Asks for an update of a topic: of new topics only if it is one, else of all. Returns the
    /// version to wait past.
    pub(crate) fn request_update_for_topic(&self, topic: &str) -> u32 {
        let mut state = self.state.lock();
        if state
            .topics
            .get(topic)
            .is_some_and(|tracked| tracked.is_new)
        {
            state.metadata.request_update_for_new_topics()
        } else {
            state.metadata.request_update()
        }
    }

    /// How many pictures of the cluster there have been.
    pub(crate) fn update_version(&self) -> u32 {
        self.update_version.load(Ordering::Acquire)
    }

    /// Waits for a picture newer than `last_version`.
    ///
    /// # Errors
    /// When it does not come, and why.
    pub(crate) fn await_update(
        &self,
        last_version: u32,
        timeout: Duration,
    ) -> Result<(), MetadataWaitError> {
        // A stopwatch for this wait alone: it sleeps in real time, whatever the callers' clock says.
        let stopwatch = SystemClock::new();
        let deadline = Deadline::after(stopwatch.now(), timeout);
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return Err(MetadataWaitError::Closed);
            }
            if let Some(fatal) = state.metadata.take_fatal_error() {
                return Err(MetadataWaitError::Fatal(fatal));
            }
            if is_newer(state.metadata.update_version(), last_version) {
                return Ok(());
            }
            match deadline.remaining(stopwatch.now()) {
                None => self.changed.wait(&mut state),
                Some(Duration::ZERO) => return Err(MetadataWaitError::TimedOut),
                Some(left) => self.changed.wait_for(&mut state, left),
            }
        }
    }

    /// Takes the error that the last update told of a topic; each is given once.
    pub(crate) fn take_topic_error(&self, topic: &str) -> Option<TopicError> {
        self.state.lock().metadata.take_topic_error(topic)
    }

    /// Takes the error that keeps all metadata away; it is given once.
    #[cfg(test)]
    pub(crate) fn take_fatal_error(&self) -> Option<FatalMetadataError> {
        self.state.lock().metadata.take_fatal_error()
    }

    /// How things stand with a topic.
    pub(crate) fn topic_state(&self, topic: &str) -> TopicState {
        let state = self.state.lock();
        let cluster = state.metadata.cluster();
        TopicState {
            partitions: cluster.partition_count(topic),
            leaderless: cluster
                .partitions(topic)
                .iter()
                .filter(|p| p.leader().is_none())
                .count(),
            last_code: state.metadata.last_code(topic),
            last_failure: state.metadata.last_failure().cloned(),
        }
    }

    /// What is known of the cluster.
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        self.cluster.load_full()
    }

    /// Whether the topic is kept track of.
    #[cfg(test)]
    pub(crate) fn contains_topic(&self, topic: &str) -> bool {
        self.state.lock().topics.contains_key(topic)
    }

    /// Wakes everyone who waits, now and later, with [`MetadataWaitError::Closed`].
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Lets others see the newest picture: first the picture, then its version.
    fn publish(&self, state: &MutexGuard<'_, State>) {
        self.cluster.store(Arc::clone(state.metadata.cluster()));
        self.observer.on_cluster(state.metadata.cluster());
        self.update_version
            .store(state.metadata.update_version(), Ordering::Release);
        self.changed.notify_all();
    }

    /// Tells the user's listeners, of which one that panics is no reason not to tell the others.
    fn notify_listeners(&self) {
        assert_unlocked();
        let cluster = self.cluster.load_full();
        for listener in &self.listeners {
            let call = || listener.on_update(cluster.cluster_id());
            if let Err(reason) = panic::contain(call) {
                log::warn!("A cluster resource listener panicked and was ignored: {reason}");
            }
        }
    }
}

/// Whether `version` came after `last`, also once the counter has wrapped.
fn is_newer(version: u32, last: u32) -> bool {
    (version.wrapping_sub(last) as i32) > 0
}

impl State {
    /// Topics in use expire later.
    fn refresh_used(&mut self, observer: &dyn ClusterObserver, now: Instant) {
        let expires = Deadline::after(now, self.max_idle);
        for (topic, tracked) in &mut self.topics {
            if observer.take_used(topic) {
                tracked.expires = expires;
            }
        }
    }

    fn update(
        &mut self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
    ) {
        let answered: Vec<Arc<str>> = response
            .topics
            .iter()
            .map(|topic| Arc::clone(&topic.name))
            .collect();
        let topics = &mut self.topics;
        let mut retain = |topic: &str| match topics.get(topic) {
            None => false,
            Some(tracked) if tracked.is_new || !tracked.expires.is_over(now) => true,
            Some(_) => {
                log::debug!("Removing unused topic {topic} from the metadata list");
                topics.remove(topic);
                false
            }
        };
        self.metadata
            .update(planned, version, response, now, &mut retain);
        // If a new topic came with an error, then a full update was asked for, which has the topic.
        for topic in &answered {
            if let Some(tracked) = self.topics.get_mut(topic) {
                tracked.is_new = false;
            }
        }
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
        let state = self.state.lock();
        let is_partial = state.metadata.is_partial_update_due(now);
        let wanted = state
            .topics
            .iter()
            .filter(|(_, topic)| topic.is_new || !is_partial);
        let topics = wanted.map(|(name, _)| Arc::clone(name)).collect();
        let request = MetadataRequest {
            topics: Some(topics),
            allow_auto_topic_creation: true,
        };
        let request_version = state.metadata.request_version();
        MetadataRequestPlan {
            request,
            planned: PlannedUpdate {
                is_partial,
                request_version,
            },
        }
    }

    fn handle_response(
        &self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
    ) {
        {
            // Also while closing: what is left to send must find its leaders.
            let mut state = self.state.lock();
            state.refresh_used(&*self.observer, now);
            state.update(planned, version, response, now);
            self.publish(&state);
        }
        self.notify_listeners();
    }

    fn handle_failure(&self, now: Instant, why: MetadataFailure) {
        let mut state = self.state.lock();
        state.metadata.update_failed(now, why);
        // A fatal error is for those who wait; others look again and wait on.
        self.changed.notify_all();
    }

    fn handle_obstacle(&self, what: MetadataFailure) {
        self.state.lock().metadata.update_held_up(what);
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
