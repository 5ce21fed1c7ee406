//! The producer's metadata: which topics it writes to, what is known of the cluster, and who waits
//! to know more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::planted::planted;
use crate::util::log::Level;

use super::cluster_listeners::ClusterListeners;
use super::waiting::{Event, Nap};
use crate::client::metadata::{
    ChangedTopics, FatalMetadataError, Metadata, MetadataFailure, MetadataNews, MetadataUpdate,
    PlannedUpdate, TopicError, is_newer,
};
use crate::client::metadata_source::{MetadataRequestPlan, MetadataSource};
use crate::clock::{Deadline, Instant};
use crate::error::ErrorCode;
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{ArcSwap, Condvar, Mutex, MutexGuard, Rank};
use crate::types::{Cluster, Node, PartitionId, topic_name};

/// Is told of each new picture of the cluster, and knows which topics are in use.
///
/// # Threads
/// Called on the sender thread with the metadata lock held: may take locks of higher rank, must not
/// wait and must not call back.
pub(crate) trait ClusterObserver: Send + Sync {
    /// Whether the topic was sent to since this was last asked.
    fn take_used(&self, topic: &str) -> bool;

    /// There is a new picture of the cluster. Of topics other than those that changed it shows what the one
    /// before did.
    fn on_cluster(&self, cluster: &Arc<Cluster>, changed: &ChangedTopics);
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

/// What has become of a wait for metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookout {
    /// There is a newer picture.
    Newer,
    /// There is none.
    Same,
    /// There will be none for who waits: the producer was closed.
    Closed,
    /// No metadata can be had. Told to all who wait.
    Fatal(FatalMetadataError),
}

/// Where a wait began: what comes later is for all who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitStart {
    /// The picture of the cluster at the time.
    version: u32,
    /// How many errors there had been that keep all metadata away.
    fatals: u32,
}

/// How things stand with a topic, for an error that says what was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicState {
    /// Partitions that are known; `None` if the topic is not.
    pub(crate) partitions: Option<usize>,
    /// As many of them have no leader.
    pub(crate) leaderless: usize,
    /// That these are all has been asked, and answered.
    pub(crate) are_all_known: bool,
    /// What the brokers last answered, if it was an error and no request for metadata has failed since.
    pub(crate) last_code: Option<ErrorCode>,
    /// How long ago that was, if it was before the wait began.
    pub(crate) said_before: Option<Duration>,
    /// Why the last attempt to get metadata failed, if it did.
    pub(crate) last_failure: Option<MetadataFailure>,
}

impl TopicState {
    /// Whether brokers have answered, and have no such topic, or not the partition `wanted` of it: as
    /// opposed to brokers that were not reached, or do not know yet.
    pub(crate) fn is_missing(&self, wanted: Option<PartitionId>) -> bool {
        let is_missing = match self.last_code {
            Some(code) => code == ErrorCode::UnknownTopicOrPartition,
            None => wanted.is_some() && self.are_all_known,
        };
        is_missing && self.last_failure.is_none()
    }

    /// Why the brokers refuse the topic, if they do.
    pub(crate) fn refused(&self) -> Option<TopicError> {
        match self.last_code? {
            ErrorCode::InvalidTopicException => Some(TopicError::Invalid),
            ErrorCode::TopicAuthorizationFailed => Some(TopicError::Unauthorized),
            _ => None,
        }
    }

    /// What keeps all metadata away, if something does.
    pub(crate) fn fatal(&self) -> Option<FatalMetadataError> {
        self.last_failure.as_ref()?.as_fatal()
    }
}

impl fmt::Display for TopicState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.last_code, self.partitions) {
            (Some(code), _) => match self.said_before {
                None => write!(f, "the brokers answered {code}")?,
                Some(ago) => write!(f, "the brokers answered {code} {} ms ago", ago.as_millis())?,
            },
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
    answered: Option<Answered>,
    lacking: Option<Lacking>,
}

/// The last answer for a topic.
#[derive(Debug, Clone, Copy)]
struct Answered {
    /// The picture that it has gone into.
    version: u32,
    at: Instant,
}

/// Somebody wants a partition that a topic does not have.
#[derive(Debug, Clone, Copy)]
struct Lacking {
    /// As many it had.
    count: usize,
    /// The picture at the time.
    since: u32,
}

#[derive(Debug)]
struct State {
    metadata: Metadata,
    topics: BTreeMap<Arc<str>, TrackedTopic>,
    /// Those of them that somebody wants to know and no answer has had since. With each the number of the
    /// request that asks for it: one with a lower number may have been made before.
    asked: BTreeMap<Arc<str>, u32>,
    /// When the last request for metadata failed.
    failed_at: Option<Instant>,
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
    listeners: ClusterListeners,
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
        let state = State {
            metadata,
            topics: BTreeMap::new(),
            asked: BTreeMap::new(),
            failed_at: None,
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
        self.publish(&state, &ChangedTopics::All);
    }

    /// Keeps track of a topic for another `metadata.max.idle.ms`. Asks for it if it is not known: at once
    /// when it is new, else after the backoff, and once however often this is called before the answer.
    /// Returns the version to wait past.
    pub(crate) fn add_topic(&self, topic: &Arc<str>, now: Instant) -> u32 {
        let mut state = self.state.lock();
        let expires = Deadline::after(now, state.max_idle);
        if let Some(tracked) = state.topics.get_mut(topic) {
            tracked.expires = expires;
            if !state.is_known(topic) && !state.asked.contains_key(topic) {
                state.metadata.request_update_for_topics();
                state.ask(topic);
            }
            return state.metadata.update_version();
        }
        if topic_name::check(topic).is_err() {
            // One name that cannot be written would keep all others from being asked for, for ever.
            debug_assert!(false, "{topic:?} was not checked");
            return state.metadata.update_version();
        }
        state.topics.insert(
            Arc::clone(topic),
            TrackedTopic {
                expires,
                answered: None,
                lacking: None,
            },
        );
        state.metadata.request_update_for_new_topics();
        state.ask(topic);
        state.metadata.update_version()
    }

    /// Asks for a full update. Returns the version to wait past.
    pub(crate) fn request_update(&self) -> u32 {
        self.state.lock().metadata.request_update()
    }

    /// Asks for an update of a topic that [was added](Self::add_topic): if it is not known, that has asked
    /// for it; else of all topics, as it may have got the partition `wanted`. Returns the version to wait
    /// past.
    pub(crate) fn request_update_for_topic(&self, topic: &str, wanted: Option<PartitionId>) -> u32 {
        let mut state = self.state.lock();
        if wanted.is_some() {
            state.note_lacking(topic);
        }
        if state.asked.contains_key(topic) {
            state.metadata.update_version()
        } else {
            state.metadata.request_update()
        }
    }

    /// How many pictures of the cluster there have been.
    pub(crate) fn update_version(&self) -> u32 {
        self.update_version.load(Ordering::Acquire)
    }

    /// Begins a wait. What it waits for is to be asked for afterwards.
    pub(crate) fn begin_wait(&self) -> WaitStart {
        let state = self.state.lock();
        WaitStart {
            version: state.metadata.update_version(),
            fatals: state.metadata.fatal_count(),
        }
    }

    /// A picture newer than `last_version`, for a wait that began at `start`.
    pub(crate) fn update_after(&self, last_version: u32, start: WaitStart) -> AwaitedUpdate<'_> {
        AwaitedUpdate {
            metadata: self,
            last_version,
            start,
        }
    }

    /// Why the brokers refuse a topic, if they have told so since the wait for it began.
    pub(crate) fn topic_error(&self, topic: &str, start: WaitStart) -> Option<TopicError> {
        self.state.lock().metadata.topic_error(topic, start.version)
    }

    /// How things stand with a topic, seen by somebody whose wait for it began at `start`.
    pub(crate) fn topic_state(&self, topic: &str, start: WaitStart, now: Instant) -> TopicState {
        let state = self.state.lock();
        let cluster = state.metadata.cluster();
        let partitions = cluster.partition_count(topic);
        let tracked = state.topics.get(topic);
        let answered = tracked.and_then(|tracked| tracked.answered);
        let is_new = answered.is_some_and(|answered| is_newer(answered.version, start.version));
        let lasting = answered.filter(|answered| state.lasts(*answered, now));
        let lacking = tracked.and_then(|tracked| tracked.lacking);
        let was_asked = lacking.is_some_and(|lacking| {
            let is_answered = lasting.is_some_and(|last| is_newer(last.version, lacking.since));
            is_answered && partitions == Some(lacking.count)
        });
        let last_code = state.metadata.last_code(topic);
        TopicState {
            partitions,
            leaderless: cluster
                .partitions(topic)
                .iter()
                .filter(|p| p.leader().is_none())
                .count(),
            are_all_known: partitions.is_some() && (is_new || was_asked),
            last_code: last_code.filter(|_| is_new || lasting.is_some()),
            said_before: lasting.filter(|_| !is_new).map(|last| now - last.at),
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

    /// Wakes everyone who waits, now and later, with [`Lookout::Closed`].
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        if !planted!(CloseLeavesMetadataWaiters) {
            self.changed.notify_all();
        }
    }

    /// Lets others see the newest picture: first the picture, then its version.
    fn publish(&self, state: &MutexGuard<'_, State>, changed: &ChangedTopics) {
        self.cluster.store(Arc::clone(state.metadata.cluster()));
        if planted!(VersionBeforeTopics) {
            self.update_version
                .store(state.metadata.update_version(), Ordering::Release);
        }
        self.observer.on_cluster(state.metadata.cluster(), changed);
        self.update_version
            .store(state.metadata.update_version(), Ordering::Release);
        if !planted!(MetadataWaiterNotWoken) {
            self.changed.notify_all();
        }
    }
}

/// A picture of the cluster that somebody waits for.
pub(crate) struct AwaitedUpdate<'a> {
    metadata: &'a ProducerMetadata,
    last_version: u32,
    start: WaitStart,
}

impl AwaitedUpdate<'_> {
    /// Whether it is there.
    pub(crate) fn look(&self) -> Lookout {
        self.look_at(&self.metadata.state.lock())
    }

    fn look_at(&self, state: &State) -> Lookout {
        if state.is_closed {
            return Lookout::Closed;
        }
        // First: it may have what is waited for.
        if is_newer(state.metadata.update_version(), self.last_version) {
            return Lookout::Newer;
        }
        match state.metadata.fatal_error(self.start.fatals) {
            Some(fatal) => Lookout::Fatal(fatal.clone()),
            None => Lookout::Same,
        }
    }
}

impl Event for AwaitedUpdate<'_> {
    fn sleep(&self, nap: Nap) {
        let mut state = self.metadata.state.lock();
        if self.look_at(&state) == Lookout::Same {
            if planted!(MetadataLooksUnlocked) {
                drop(state);
                state = self.metadata.state.lock();
            }
            nap.on(&self.metadata.changed, &mut state);
        }
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

impl State {
    /// Whether the newest picture has the topic, with or without partitions.
    fn is_known(&self, topic: &str) -> bool {
        self.metadata.cluster().topics.contains(topic)
    }

    /// Whether an answer still tells how things are: nothing has gone wrong since, and it is not older than
    /// what is kept of a topic that nobody uses.
    fn lasts(&self, answered: Answered, now: Instant) -> bool {
        let has_failed = self.failed_at.is_some_and(|at| at >= answered.at);
        !has_failed && now - answered.at <= self.max_idle
    }

    /// Notes that a topic is wanted to have more partitions than it has, unless that is noted.
    fn note_lacking(&mut self, topic: &str) {
        let Some(count) = self.metadata.cluster().partition_count(topic) else {
            return;
        };
        let since = self.metadata.update_version();
        if let Some(tracked) = self.topics.get_mut(topic) {
            if tracked.lacking.is_none_or(|noted| noted.count != count) {
                tracked.lacking = Some(Lacking { count, since });
            }
        }
    }

    /// Notes that the request which is due asks for the topic.
    fn ask(&mut self, topic: &Arc<str>) {
        let number = self.metadata.request_version();
        self.asked.insert(Arc::clone(topic), number);
    }

    /// Forgets topics that were not used for too long.
    fn expire(&mut self, now: Instant) {
        let (asked, metadata) = (&self.asked, &mut self.metadata);
        self.topics.retain(|topic, tracked| {
            let stays = !tracked.expires.is_over(now) || asked.contains_key(topic);
            if !stays {
                metadata.note(Level::Debug, || {
                    format!("Removing unused topic {topic} from the metadata list")
                });
            }
            stays
        });
    }

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
    ) -> MetadataUpdate {
        let answered: Vec<Arc<str>> = response
            .topics
            .iter()
            .map(|topic| Arc::clone(&topic.name))
            .collect();
        if !planned.is_partial {
            self.expire(now);
        }
        // Also those that the answer lacks: who waits for them asks again.
        self.asked
            .retain(|_, asked| is_newer(*asked, planned.request_version));
        let topics = &self.topics;
        let mut retain = |topic: &str| topics.contains_key(topic);
        let update = self
            .metadata
            .update(planned, version, response, now, &mut retain);
        for topic in &answered {
            if let Some(tracked) = self.topics.get_mut(topic) {
                tracked.answered = Some(Answered {
                    version: self.metadata.update_version(),
                    at: now,
                });
            }
        }
        update
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
        let topics = if is_partial {
            state.asked.keys().cloned().collect()
        } else {
            // Not those that no broker knows and nobody waits for.
            let wanted = state.topics.keys().filter(|topic| {
                state.is_known(topic)
                    || state.asked.contains_key(*topic)
                    || planted!(UnknownTopicAskedForAlways)
            });
            wanted.cloned().collect()
        };
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
    ) -> MetadataNews {
        let news = {
            // Also while closing: what is left to send must find its leaders.
            let mut state = self.state.lock();
            if !planned.is_partial {
                state.refresh_used(&*self.observer, now);
            }
            let update = state.update(planned, version, response, now);
            self.publish(&state, &update.changed);
            update.news
        };
        self.listeners
            .on_update(self.cluster.load_full().cluster_id());
        news
    }

    fn handle_failure(&self, now: Instant, why: MetadataFailure) {
        let mut state = self.state.lock();
        state.metadata.update_failed(now, why);
        state.failed_at = Some(now);
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
