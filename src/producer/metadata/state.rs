//! The state behind the lock of [`ProducerMetadata`](super::ProducerMetadata): tracked topics, pending metadata
//! requests, topic expiry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::observer::ClusterObserver;
use super::topic_state::TopicState;
use crate::client::metadata::{
    FatalMetadataError, Metadata, MetadataFailure, MetadataUpdate, PlannedUpdate, TopicError,
    is_newer,
};
use crate::client::metadata_source::MetadataRequestPlan;
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::types::{PartitionId, topic_name};
use crate::util::log::Level;

/// The result of a check for a metadata update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpdateCheck {
    /// There is a newer cluster snapshot.
    Newer,
    /// There is no newer snapshot.
    Same,
    /// There will be no newer snapshot: the producer was closed.
    Closed,
    /// Fetching metadata failed with a fatal error, for all waiters.
    Fatal(FatalMetadataError),
}

/// The result of a request for a metadata update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestedUpdate {
    /// The update version at the time of the request: the caller waits for a newer one.
    pub(crate) version: u32,
    /// True if the sender must be woken because of this call. False if it made no request, or the same request was
    /// pending: the caller that made that one wakes the sender.
    pub(crate) is_new: bool,
}

/// The start of a wait: only updates and fatal errors after it concern the waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitStart {
    /// The update version at that time.
    version: u32,
    /// The number of fatal metadata errors by then.
    fatals: u32,
}

/// A tracked topic: one that records were sent to within `metadata.max.idle.ms`.
#[derive(Debug)]
struct TrackedTopic {
    expires: Deadline,
    answered: Option<Answered>,
    lacking: Option<Lacking>,
}

/// The last metadata response that named a topic.
#[derive(Debug, Clone, Copy)]
struct Answered {
    /// The update version of the snapshot that contains the response.
    version: u32,
    at: Instant,
}

/// A request for a partition that the known partition count does not include.
#[derive(Debug, Clone, Copy)]
struct Lacking {
    /// The partition count at the time of the request.
    count: usize,
    /// The update version at the time of the request.
    since: u32,
}

/// Tracked topics and cluster metadata, behind the lock.
#[derive(Debug)]
pub(super) struct MetadataState {
    pub(super) metadata: Metadata,
    topics: BTreeMap<Arc<str>, TrackedTopic>,
    /// Topics with a pending metadata request, each with the version of the request that includes it: the response to
    /// an older request does not count.
    asked: BTreeMap<Arc<str>, u32>,
    /// When the last metadata request failed.
    failed_at: Option<Instant>,
    /// The number of times that idle topics expired.
    pub(super) times_forgotten: u32,
    max_idle: Duration,
    pub(super) is_closed: bool,
}

impl MetadataState {
    pub(super) fn new(metadata: Metadata, max_idle: Duration) -> Self {
        Self {
            metadata,
            topics: BTreeMap::new(),
            asked: BTreeMap::new(),
            failed_at: None,
            times_forgotten: 0,
            max_idle,
            is_closed: false,
        }
    }

    /// See [`ProducerMetadata::add_topic`](super::ProducerMetadata::add_topic).
    pub(super) fn add_topic(&mut self, topic: &Arc<str>, now: Instant) -> RequestedUpdate {
        let expires = Deadline::after(now, self.max_idle);
        if let Some(tracked) = self.topics.get_mut(topic) {
            tracked.expires = expires;
            let is_new = !self.is_known(topic) && !self.asked.contains_key(topic);
            if is_new {
                // An earlier response did not contain the topic: it is requested again after the back-off.
                self.metadata.request_update_for_topics();
                self.ask(topic);
            }
            return self.requested(is_new);
        }
        if topic_name::check(topic).is_err() {
            // A request with an invalid name cannot be encoded, so no topic would ever be requested again.
            debug_assert!(false, "{topic:?} was not checked");
            return self.requested(false);
        }
        self.topics.insert(
            Arc::clone(topic),
            TrackedTopic {
                expires,
                answered: None,
                lacking: None,
            },
        );
        // Requested without back-off: the first `send` to the topic blocks until the response.
        self.metadata.request_update_for_new_topics();
        self.ask(topic);
        self.requested(true)
    }

    /// See [`ProducerMetadata::request_update_for_topic`](super::ProducerMetadata::request_update_for_topic).
    pub(super) fn request_update_for_topic(
        &mut self,
        topic: &str,
        wanted: Option<PartitionId>,
    ) -> RequestedUpdate {
        if wanted.is_some() {
            self.note_lacking(topic);
        }
        // If a request for the topic is due or in flight already, no second one is made.
        let is_new = !self.asked.contains_key(topic) && !self.metadata.is_full_update_requested();
        if !self.asked.contains_key(topic) {
            self.metadata.request_update();
        }
        self.requested(is_new)
    }

    fn requested(&self, is_new: bool) -> RequestedUpdate {
        RequestedUpdate {
            version: self.metadata.update_version(),
            is_new,
        }
    }

    /// The next metadata request: only topics with a pending request, or all tracked ones.
    pub(super) fn plan_request(&self, now: Instant) -> MetadataRequestPlan {
        let is_partial = self.metadata.is_partial_update_due(now);
        let topics = if is_partial {
            // KIP-526: a partial update requests new topics only, so that its size does not grow with the tracked
            // topics.
            self.asked.keys().cloned().collect()
        } else {
            // Unknown topics without a pending request are left out: no call waits for them.
            let wanted = self.topics.keys().filter(|topic| {
                self.is_known(topic)
                    || self.asked.contains_key(*topic)
                    || planted!(UnknownTopicAskedForAlways)
            });
            wanted.cloned().collect()
        };
        let request = MetadataRequest {
            topics: Some(topics),
            // As in Java; whether the topic is created is up to auto.create.topics.enable of the brokers.
            allow_auto_topic_creation: true,
        };
        let request_version = self.metadata.request_version();
        MetadataRequestPlan {
            request,
            planned: PlannedUpdate {
                is_partial,
                request_version,
            },
        }
    }

    pub(super) fn begin_wait(&self) -> WaitStart {
        WaitStart {
            version: self.metadata.update_version(),
            fatals: self.metadata.fatal_count(),
        }
    }

    /// Checks for a snapshot newer than `last_version`, for a wait that began at `start`.
    pub(super) fn look(&self, last_version: u32, start: WaitStart) -> UpdateCheck {
        if self.is_closed {
            return UpdateCheck::Closed;
        }
        // Checked before fatal errors: the snapshot may contain the topic that the call waits for.
        if is_newer(self.metadata.update_version(), last_version) {
            return UpdateCheck::Newer;
        }
        match self.metadata.fatal_error(start.fatals) {
            Some(fatal) => UpdateCheck::Fatal(fatal.clone()),
            None => UpdateCheck::Same,
        }
    }

    /// The topic's error, if a response since the start of the wait contained one that is not retriable.
    pub(super) fn topic_error(&self, topic: &str, start: WaitStart) -> Option<TopicError> {
        self.metadata.topic_error(topic, start.version)
    }

    /// The topic's metadata state, for a wait that began at `start`.
    pub(super) fn topic_state(&self, topic: &str, start: WaitStart, now: Instant) -> TopicState {
        let cluster = self.metadata.cluster();
        let partitions = cluster.partition_count(topic);
        let tracked = self.topics.get(topic);
        let answered = tracked.and_then(|tracked| tracked.answered);
        let is_new = answered.is_some_and(|answered| is_newer(answered.version, start.version));
        let lasting = answered.filter(|answered| self.lasts(*answered, now));
        let lacking = tracked.and_then(|tracked| tracked.lacking);
        // The partition does not exist if a response that came after the first request for it has the same partition
        // count.
        let was_asked = lacking.is_some_and(|lacking| {
            let is_answered = lasting.is_some_and(|last| is_newer(last.version, lacking.since));
            is_answered && partitions == Some(lacking.count)
        });
        let last_code = self.metadata.last_code(topic);
        TopicState {
            partitions,
            leaderless: cluster
                .partitions(topic)
                .iter()
                .filter(|p| p.leader().is_none())
                .count(),
            are_all_known: partitions.is_some() && (is_new || was_asked),
            last_code: last_code.filter(|_| is_new || lasting.is_some()),
            response_age: lasting.filter(|_| !is_new).map(|last| now - last.at),
            last_failure: self.metadata.last_failure().cloned(),
            awaited: self.metadata.awaited().to_vec(),
            at: now,
        }
    }

    /// Whether a topic is tracked.
    pub(super) fn tracks(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Handles the failure of a metadata request.
    pub(super) fn update_failed(&mut self, now: Instant, why: MetadataFailure) {
        self.metadata.update_failed(now, why);
        self.failed_at = Some(now);
    }

    /// Whether the newest snapshot has the topic, with or without partitions.
    fn is_known(&self, topic: &str) -> bool {
        self.metadata.cluster().topics.contains(topic)
    }

    /// Whether a response is still current: no metadata request has failed since, and it is not older than
    /// `metadata.max.idle.ms`.
    fn lasts(&self, answered: Answered, now: Instant) -> bool {
        let has_failed = self.failed_at.is_some_and(|at| at >= answered.at);
        !has_failed && now - answered.at <= self.max_idle
    }

    /// Records that a partition beyond the topic's known count is requested, unless that is recorded already.
    fn note_lacking(&mut self, topic: &str) {
        let Some(count) = self.metadata.cluster().partition_count(topic) else {
            return;
        };
        let since = self.metadata.update_version();
        if let Some(tracked) = self.topics.get_mut(topic) {
            // Kept while the count is unchanged: `since` is the version at the first such request.
            if tracked.lacking.is_none_or(|lacking| lacking.count != count) {
                tracked.lacking = Some(Lacking { count, since });
            }
        }
    }

    /// Adds the topic to the next metadata request.
    fn ask(&mut self, topic: &Arc<str>) {
        let number = self.metadata.request_version();
        self.asked.insert(Arc::clone(topic), number);
    }

    /// Expires topics that were idle for `metadata.max.idle.ms`, unless a request for them is pending.
    fn expire(&mut self, now: Instant) {
        let (asked, metadata) = (&self.asked, &mut self.metadata);
        let before = self.topics.len();
        self.topics.retain(|topic, tracked| {
            let stays = !tracked.expires.is_over(now) || asked.contains_key(topic);
            if !stays {
                metadata.note(Level::Debug, || {
                    format!("Removing unused topic {topic} from the metadata list")
                });
            }
            stays
        });
        if self.topics.len() < before {
            self.times_forgotten = self.times_forgotten.wrapping_add(1);
        }
    }

    /// Renews the expiry of topics that were sent to since the last call.
    pub(super) fn refresh_used(&mut self, observer: &dyn ClusterObserver, now: Instant) {
        let expires = Deadline::after(now, self.max_idle);
        for (topic, tracked) in &mut self.topics {
            if observer.take_used(topic) {
                tracked.expires = expires;
            }
        }
    }

    pub(super) fn update(
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
        // A partial update expires nothing: `refresh_used` has not run before it.
        if !planned.is_partial {
            self.expire(now);
        }
        // Removes even requested topics that the response does not contain: a call that waits for such a topic requests
        // it again.
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
