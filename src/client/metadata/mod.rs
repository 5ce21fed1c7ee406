//! Cluster metadata: the current snapshot, and when the next update is due. A state machine without locks, clock or
//! network: the caller locks it, passes the time, and sends the requests.

mod awaited;
mod cache;
mod epochs;
mod failure;
mod news;
mod pace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::planted::planted;
use crate::util::log::Level;

pub(crate) use self::awaited::{Awaited, AwaitedBroker};
use self::cache::MetadataCache;
pub(super) use self::cache::is_reachable;
use self::epochs::{EpochVerdict, LeaderEpochs, STALE_EPOCH_RETRY_INTERVAL};
pub(crate) use self::failure::{FatalMetadataError, MetadataFailure};
pub(crate) use self::news::MetadataNews;
use self::pace::Pace;
use crate::clock::{Deadline, Instant};
use crate::error::ErrorCode;
use crate::protocol::{MetadataPartition, MetadataResponse, MetadataTopic};
use crate::types::{Cluster, Node, PartitionInfo};
use crate::util::backoff::SHORTEST_BACKOFF;

/// First version of a Metadata response with reliable leader epochs: brokers that answer in older versions may list
/// stale epochs while partitions are reassigned.
const EPOCHS_RELIABLE_FROM: i16 = 9;

/// Non-retriable error of a topic, returned to the calls that wait for the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicError {
    /// Invalid topic name.
    Invalid,
    /// Topic authorization failed.
    Unauthorized,
}

/// The scope of a metadata request; passed back with its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlannedUpdate {
    /// Whether the request lists only some topics. If true, the cached metadata of all other topics is kept.
    pub(crate) is_partial: bool,
    /// The `request_version` when the request was made.
    pub(crate) request_version: u32,
}

/// Result of [`Metadata::update`].
#[derive(Debug)]
pub(crate) struct MetadataUpdate {
    pub(crate) changed: ChangedTopics,
    /// Lines to log once no lock is held.
    pub(crate) news: MetadataNews,
}

/// The topics whose metadata an update may have changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChangedTopics {
    /// Possibly all topics.
    All,
    /// Only these topics.
    These(Vec<Arc<str>>),
}

/// The metadata of one cluster.
///
/// It has two counters: `update_version` counts the snapshots of the cluster, and `request_version` the requests for
/// partial updates. Each request keeps its request version: its response does not cover topics requested later.
///
/// # Kafka
/// `org.apache.kafka.clients.Metadata`.
#[derive(Debug)]
pub(crate) struct Metadata {
    refresh_backoff: Duration,
    max_age: Duration,
    update_version: u32,
    request_version: u32,
    /// The last attempts, successful or not, which limit the rate of updates.
    pace: Pace,
    /// `request_version` of the newest request for new topics, until it is answered or an attempt fails. While set, an
    /// update need not wait for the back-off.
    new_topics: Option<u32>,
    /// When the last full update was complete.
    last_success: Option<Instant>,
    /// Whether a full update was applied and is not [complete](Self::update_completed) yet.
    is_completing: bool,
    needs_full_update: bool,
    needs_partial_update: bool,
    /// The error that prevents all updates, until an update succeeds.
    fatal: Option<FatalMetadataError>,
    /// Number of fatal errors so far. By it a waiter recognizes an error that occurred after the wait began.
    fatal_count: u32,
    /// Error of the last attempt, until an attempt succeeds.
    last_failure: Option<MetadataFailure>,
    /// The brokers that an update waits for.
    awaited: Vec<AwaitedBroker>,
    /// Topics with an error that is reported to waiters, and the version of the update that reported it.
    topic_errors: BTreeMap<Arc<str>, (TopicError, u32)>,
    /// Error code of each topic in the last response that listed it; only changes are logged.
    last_codes: BTreeMap<Arc<str>, ErrorCode>,
    /// Per topic, the number of partitions whose leader has no matching listener; only changes are logged.
    missing_listeners: BTreeMap<Arc<str>, usize>,
    /// Log lines of the update that is being applied.
    news: MetadataNews,
    cache: MetadataCache,
    epochs: LeaderEpochs,
    /// When to update again because the last response had stale leader epochs; `None` if it had none.
    stale_epoch_retry_at: Option<Instant>,
}

impl Metadata {
    pub(crate) fn new(refresh_backoff: Duration, max_age: Duration) -> Self {
        Self {
            refresh_backoff: refresh_backoff.max(SHORTEST_BACKOFF),
            max_age,
            update_version: 0,
            request_version: 0,
            pace: Pace::default(),
            new_topics: None,
            last_success: None,
            is_completing: false,
            needs_full_update: false,
            needs_partial_update: false,
            fatal: None,
            fatal_count: 0,
            last_failure: None,
            awaited: Vec::new(),
            topic_errors: BTreeMap::new(),
            last_codes: BTreeMap::new(),
            missing_listeners: BTreeMap::new(),
            news: MetadataNews::default(),
            cache: MetadataCache::default(),
            epochs: LeaderEpochs::default(),
            stale_epoch_retry_at: None,
        }
    }

    /// Starts from the bootstrap servers; a full update is due at once.
    pub(crate) fn bootstrap(&mut self, nodes: Vec<Node>) {
        self.needs_full_update = true;
        self.update_version = self.update_version.wrapping_add(1);
        self.cache = MetadataCache::bootstrap(nodes);
    }

    /// The current snapshot of the cluster.
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        self.cache.cluster()
    }

    /// Age of the metadata: time since the last full update; `None` if there was none.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.last_success.map(|at| now - at)
    }

    pub(crate) fn update_version(&self) -> u32 {
        self.update_version
    }

    pub(crate) fn request_version(&self) -> u32 {
        self.request_version
    }

    /// Whether an update was requested and has not arrived yet.
    pub(crate) fn is_update_requested(&self) -> bool {
        self.needs_full_update || self.needs_partial_update
    }

    /// Whether a full update was requested and has not arrived yet.
    pub(crate) fn is_full_update_requested(&self) -> bool {
        self.needs_full_update
    }

    /// When the next update is due. An update must be wanted (requested, or the metadata expires, or stale epochs are
    /// checked again) and allowed (the refresh back-off is over, or for new topics the rate limit permits it).
    pub(crate) fn time_to_next_update(&self, now: Instant) -> Deadline {
        let wanted = match self.last_success {
            Some(at) if !self.is_update_requested() => {
                let retry = self
                    .stale_epoch_retry_at
                    .map_or(Deadline::Never, Deadline::At);
                Deadline::after(at, self.max_age).min(retry)
            }
            _ => Deadline::At(now),
        };
        let allowed = match self.new_topics {
            // A `send` to a new topic blocks until its metadata is there: no back-off, only the rate limit.
            Some(_) if !planted!(NewTopicWaitsForBackoff) => self.pace.without_backoff(now),
            _ => self.pace.after(self.refresh_backoff, now),
        };
        wanted.max(allowed)
    }

    /// Requests a full update. Returns the current update version: the update has arrived once the version is newer.
    pub(crate) fn request_update(&mut self) -> u32 {
        self.needs_full_update = true;
        self.update_version
    }

    /// Requests an update of new topics, without back-off. If a metadata request is in flight, another one follows,
    /// since the one in flight does not list them. Returns the current update version.
    pub(crate) fn request_update_for_new_topics(&mut self) -> u32 {
        let version = self.request_update_for_topics();
        self.new_topics = Some(self.request_version);
        version
    }

    /// Requests an update of topics that were requested before, after the back-off. Returns the current update version.
    pub(crate) fn request_update_for_topics(&mut self) -> u32 {
        self.needs_partial_update = true;
        self.request_version = self.request_version.wrapping_add(1);
        self.update_version
    }

    /// Whether the next request may be limited to new topics. It may not if a full update is requested, or is due
    /// because of the metadata's age or of stale epochs.
    pub(crate) fn is_partial_update_due(&self, now: Instant) -> bool {
        let expires = self
            .last_success
            .map(|at| Deadline::after(at, self.max_age));
        let has_stale_epochs = self.stale_epoch_retry_at.is_some_and(|at| at <= now);
        !self.needs_full_update
            && !has_stale_epochs
            && expires.is_some_and(|deadline| !deadline.is_over(now))
    }

    /// Records a failed attempt to update.
    ///
    /// An authentication failure is reported to all waiters, but starts no back-off: the next broker may be tried at
    /// once. The reconnect back-off limits how often a broker that refuses authentication is tried.
    pub(crate) fn update_failed(&mut self, now: Instant, why: MetadataFailure) {
        let is_refused = matches!(why, MetadataFailure::Authentication(_));
        if !is_refused || planted!(RefusingBrokerStarvesMetadata) {
            self.pace.record_attempt(now);
            self.new_topics = None;
        }
        if let Some(fatal) = why.as_fatal().filter(|_| !planted!(RefusalToldToNobody)) {
            self.fatal = Some(fatal);
            self.fatal_count = self.fatal_count.wrapping_add(1);
        }
        self.last_failure = Some(why);
    }

    /// Stores the reason why a due update is delayed, for the errors of waiters. No attempt failed, so there is no
    /// back-off.
    pub(crate) fn update_held_up(&mut self, what: MetadataFailure) {
        self.last_failure = Some(what);
    }

    /// Replaces the brokers that an update waits for.
    pub(crate) fn update_awaits(&mut self, brokers: Vec<AwaitedBroker>) {
        self.awaited = brokers;
    }

    /// The brokers that an update waits for, for the error of a waiter that times out.
    pub(crate) fn awaited(&self) -> &[AwaitedBroker] {
        &self.awaited
    }

    /// Applies a metadata response. Topics for which `retain` returns false (evicted as idle) are removed: a partial
    /// update checks the topics in the response, a full one all topics. The cost of a partial update hardly depends on
    /// the number of other topics.
    ///
    /// A topic's error does not request another update; the calls that wait for the topic do. In Java the error
    /// requests updates until the topic is evicted.
    pub(crate) fn update(
        &mut self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
        retain: &mut dyn FnMut(&str) -> bool,
    ) -> MetadataUpdate {
        // Topics requested while this request was in flight are not in its response.
        self.needs_partial_update = planned.request_version < self.request_version;
        if planted!(BlindPartialAnswersAll) {
            self.needs_partial_update &= !planned.is_partial;
        }
        if planted!(NewTopicForgotten) {
            self.needs_partial_update = false;
        }
        self.new_topics = self
            .new_topics
            .filter(|asked| is_newer(*asked, planned.request_version));
        self.pace.record_attempt(now);
        self.update_version = self.update_version.wrapping_add(1);
        if !planned.is_partial {
            self.needs_full_update = false;
            self.last_success = Some(now);
            self.is_completing = true;
        }
        self.last_failure = None;
        // A waiter that has not seen the error yet does not get it any more: metadata has arrived.
        self.fatal = None;
        if !planned.is_partial {
            // Errors of topics that the response does not list stay: a waiter may not have seen them yet.
            self.topic_errors.retain(|topic, _| retain(topic));
            self.stale_epoch_retry_at = None;
            self.epochs.retain(&mut *retain);
            self.last_codes.retain(|topic, _| retain(topic));
            self.missing_listeners.retain(|topic, _| retain(topic));
        }
        let previous_id = self.cluster().cluster_id.clone();
        if response.cluster_id.is_some()
            && previous_id.is_some()
            && response.cluster_id != previous_id
        {
            // Leader epochs of different clusters cannot be compared.
            self.epochs.clear();
        }
        let changed = self.apply(planned.is_partial, version, response, now, retain);
        let cluster_id = &self.cache.cluster().cluster_id;
        if *cluster_id != previous_id {
            let id = cluster_id.as_deref().unwrap_or("none");
            self.news.note(Level::Info, || format!("Cluster ID: {id}"));
        }
        MetadataUpdate {
            changed,
            news: std::mem::take(&mut self.news),
        }
    }

    /// Notes that the user's listeners have returned after an update. The back-off of the next update counts from now;
    /// after a full update, the age of the metadata does, too.
    pub(crate) fn update_completed(&mut self, now: Instant) {
        self.pace.prolong(now);
        if std::mem::take(&mut self.is_completing) {
            self.last_success = Some(now);
        }
    }

    /// Adds a log line, which is written with the lines of the next update.
    pub(crate) fn note(&mut self, level: Level, line: impl FnOnce() -> String) {
        self.news.note(level, line);
    }

    /// Replaces the snapshot by one with the response's brokers and topics. Returns which topics may have changed.
    fn apply(
        &mut self,
        is_partial: bool,
        version: i16,
        response: MetadataResponse,
        now: Instant,
        retain: &mut dyn FnMut(&str) -> bool,
    ) -> ChangedTopics {
        let MetadataResponse {
            brokers,
            cluster_id,
            controller_id,
            topics,
            ..
        } = response;
        let mut next = self
            .cache
            .successor(brokers, cluster_id, controller_id, &mut self.news);
        let is_partial_seen = is_partial && !planted!(PartialAnswerForgetsOthers);
        let are_others_kept = is_partial_seen && next.keep_topics(&self.cache);
        if !is_partial {
            // A full request omits an invalid or unauthorized topic that no call waits for: its error stays until
            // the topic is evicted.
            next.retain_refused(retain);
        }
        let mut answered = Vec::new();
        for topic in topics {
            if are_others_kept {
                answered.push(Arc::clone(&topic.name));
            }
            next.forget(&topic.name);
            // The topic was evicted while the request was in flight.
            if !retain(&topic.name) {
                continue;
            }
            let code = topic.error;
            self.topic_errors.remove(&topic.name);
            if code == ErrorCode::NoError {
                if self.last_codes.remove(&topic.name).is_some() {
                    self.news.topic_recovered(&topic.name);
                }
                self.apply_topic(&mut next, version, topic, now);
            } else {
                if self.last_codes.insert(Arc::clone(&topic.name), code) != Some(code) {
                    self.news.topic_fails(&topic.name, code);
                }
                self.note_topic_error(&mut next, &topic.name, code);
            }
        }
        self.cache = next.build();
        if are_others_kept {
            ChangedTopics::These(answered)
        } else {
            ChangedTopics::All
        }
    }

    /// Adds a topic without error to the next snapshot, and logs irregularities of its partitions.
    fn apply_topic(
        &mut self,
        next: &mut cache::Successor,
        version: i16,
        topic: MetadataTopic,
        now: Instant,
    ) {
        let MetadataTopic {
            name,
            topic_id,
            is_internal,
            partitions,
            ..
        } = topic;
        let topic_id = Some(topic_id).filter(|id| *id != [0; 16]);
        // The topic's id has changed or was not known before: the topic may have been deleted and recreated, and its
        // leader epochs start from 0 again.
        let is_recreated = topic_id.is_some() && topic_id != self.cache.topic_id(&name);
        if is_recreated && !planted!(RecreatedTopicKeepsEpochs) {
            self.epochs.forget_topic(&name);
        }
        self.epochs.forget_beyond(&name, partitions.len());
        self.note_missing_listeners(&name, &partitions);
        let mut accepted = Vec::with_capacity(partitions.len());
        for partition in partitions {
            if partition.error.is_invalid_metadata() {
                let MetadataPartition { index, error, .. } = partition;
                self.news.note(Level::Debug, || {
                    let error = error.name();
                    format!("Requesting metadata update for partition {name}-{index} due to error {error}")
                });
                self.needs_full_update = true;
            }
            let has_epochs = version >= EPOCHS_RELIABLE_FROM;
            accepted.push(self.newest_info(next, &name, partition, has_epochs, now));
        }
        next.add_topic(name, topic_id, is_internal, accepted, &mut self.news);
    }

    /// Logs the partitions whose leader has no matching listener, when their number changes.
    fn note_missing_listeners(&mut self, topic: &Arc<str>, partitions: &[MetadataPartition]) {
        let missing_listeners = || {
            let all = partitions.iter();
            all.filter(|partition| partition.error == ErrorCode::ListenerNotFound)
        };
        let count = missing_listeners().count();
        let before = if count == 0 {
            self.missing_listeners.remove(topic)
        } else {
            self.missing_listeners.insert(Arc::clone(topic), count)
        };
        if before.unwrap_or_default() != count {
            for partition in missing_listeners() {
                self.news.listener_is_missing(topic, partition.index);
            }
        }
    }

    /// The newest information on a partition: that of the response or, if its leader epoch is stale, that of the cache.
    ///
    /// # Kafka
    /// `Metadata#updateLatestMetadata`. Differs: a lower epoch is accepted after a time, see `epochs`.
    fn newest_info(
        &mut self,
        next: &cache::Successor,
        topic: &Arc<str>,
        mut partition: MetadataPartition,
        has_epochs: bool,
        now: Instant,
    ) -> PartitionInfo {
        let number = partition.index;
        // Without an epoch there is nothing to compare: this response is used, and so is the next one with an epoch.
        if !has_epochs || partition.leader_epoch < 0 {
            self.epochs.forget(topic, number);
            partition.leader_epoch = -1;
            return next.partition_from_response(topic, partition);
        }
        let epoch = partition.leader_epoch;
        match self.epochs.observe(topic, number, epoch, now) {
            EpochVerdict::Current => {}
            EpochVerdict::WentBack(known) => {
                self.news.epoch_went_back(topic, number, known, epoch);
            }
            EpochVerdict::Outdated(known) => {
                self.stale_epoch_retry_at = Some(now.saturating_add(STALE_EPOCH_RETRY_INTERVAL));
                self.news.note(Level::Debug, || {
                    format!(
                        "Got metadata for an older epoch {epoch} (current is {known}) for partition \
                         {topic}-{number}, not updating"
                    )
                });
                if let Some(known) = self.cache.partition(topic, number) {
                    return next.partition_from_cache(known);
                }
                // The partition's epoch is known, but the partition is not cached. The stale response is used: without
                // it the topic would have one partition less, and records with keys would go to other partitions.
            }
        }
        next.partition_from_response(topic, partition)
    }

    /// Notes a topic's error code. Invalid names and failed authorization are kept for waiters; all other errors may be
    /// temporary.
    fn note_topic_error(&mut self, next: &mut cache::Successor, topic: &Arc<str>, code: ErrorCode) {
        let error = match code {
            ErrorCode::InvalidTopicException => {
                next.add_invalid(Arc::clone(topic));
                TopicError::Invalid
            }
            ErrorCode::TopicAuthorizationFailed => {
                next.add_unauthorized(Arc::clone(topic));
                TopicError::Unauthorized
            }
            _ => {
                self.needs_full_update |= planted!(UnknownTopicAskedForAlways);
                return;
            }
        };
        let error = (error, self.update_version);
        self.topic_errors.insert(Arc::clone(topic), error);
    }

    /// The newest leader epoch of a partition.
    #[cfg(test)]
    pub(crate) fn leader_epoch(&self, topic: &Arc<str>, partition: i32) -> Option<i32> {
        self.epochs.of(topic, partition)
    }

    /// The error of a topic if an update newer than version `since` reported it. The waiter began to wait at that
    /// version. After an older error the topic is requested again, since it may have been authorized in the meantime.
    pub(crate) fn topic_error(&self, topic: &str, since: u32) -> Option<TopicError> {
        let (error, version) = self.topic_errors.get(topic)?;
        is_newer(*version, since).then_some(*error)
    }

    /// Number of fatal errors so far; a waiter passes it to [`fatal_error`](Self::fatal_error) later.
    pub(crate) fn fatal_count(&self) -> u32 {
        self.fatal_count
    }

    /// The error that prevents all updates, if it is newer than `since`, the [`fatal_count`](Self::fatal_count) at the
    /// beginning of the wait.
    pub(crate) fn fatal_error(&self, since: u32) -> Option<&FatalMetadataError> {
        let is_new = is_newer(self.fatal_count, since);
        self.fatal.as_ref().filter(|_| is_new)
    }

    /// Error code of a topic in the last response that listed it, if it had one.
    pub(crate) fn last_code(&self, topic: &str) -> Option<ErrorCode> {
        self.last_codes.get(topic).copied()
    }

    /// Error of the last attempt, if none has succeeded since.
    pub(crate) fn last_failure(&self) -> Option<&MetadataFailure> {
        self.last_failure.as_ref()
    }
}

/// Whether `version` is newer than `last`, also after the counter has wrapped.
pub(crate) fn is_newer(version: u32, last: u32) -> bool {
    (version.wrapping_sub(last) as i32) > 0
}

#[cfg(test)]
mod tests;
