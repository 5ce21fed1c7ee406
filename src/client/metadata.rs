//! What is known of the cluster, and when to ask for more: a plain state machine, without locks,
//! clock or network.

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

use self::cache::MetadataCache;
pub(super) use self::cache::is_reachable;
use self::epochs::{ASKED_AGAIN_AFTER, LeaderEpochs, Verdict};
pub(crate) use self::failure::{FatalMetadataError, MetadataFailure};
pub(crate) use self::news::MetadataNews;
use self::pace::Pace;
use crate::clock::{Deadline, Instant};
use crate::error::ErrorCode;
use crate::protocol::{MetadataPartition, MetadataResponse, MetadataTopic};
use crate::types::{Cluster, Node, PartitionInfo};
use crate::util::backoff::SHORTEST_BACKOFF;

/// The first version of a Metadata response whose leader epochs can be trusted: older brokers may
/// list stale ones while partitions move.
const EPOCHS_RELIABLE_FROM: i16 = 9;

/// Why a topic cannot be used, for whoever waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicError {
    /// The brokers refuse its name.
    Invalid,
    /// The client may not see it or write to it.
    Unauthorized,
}

/// What a metadata request was for: goes back with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlannedUpdate {
    /// It asked for new topics only; what is known of others stands.
    pub(crate) is_partial: bool,
    /// How many requests for new topics there had been when it was made.
    pub(crate) request_version: u32,
}

/// What an answer has made of what is known.
#[derive(Debug)]
pub(crate) struct MetadataUpdate {
    pub(crate) changed: ChangedTopics,
    /// What is to be said of it when no lock is held.
    pub(crate) news: MetadataNews,
}

/// The topics of which something else is known than before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChangedTopics {
    /// Perhaps all.
    All,
    /// None but these.
    These(Vec<Arc<str>>),
}

/// The metadata of one cluster.
///
/// Two counters: `update_version` counts the pictures of the cluster there have been,
/// `request_version` the requests for new topics, so that an answer to an older request does not
/// pass for one that knows the newest topics.
///
/// # Kafka
/// `org.apache.kafka.clients.Metadata`.
#[derive(Debug)]
pub(crate) struct Metadata {
    refresh_backoff: Duration,
    max_age: Duration,
    update_version: u32,
    request_version: u32,
    /// The last attempts, successful or not.
    pace: Pace,
    /// The newest request for new topics, until it is answered or an attempt fails.
    new_topics: Option<u32>,
    last_success: Option<Instant>,
    needs_full_update: bool,
    needs_partial_update: bool,
    /// What keeps all metadata away, until some comes, and how often there was something that did.
    fatal: Option<FatalMetadataError>,
    fatal_count: u32,
    /// What the last attempt failed with, until one succeeds.
    last_failure: Option<MetadataFailure>,
    /// The topics that brokers refused when they last answered for them, and in which version that was.
    topic_errors: BTreeMap<Arc<str>, (TopicError, u32)>,
    /// The error code of each topic in the last answer that had the topic, if it was one.
    last_codes: BTreeMap<Arc<str>, ErrorCode>,
    /// How many partitions of a topic have a leader without an address for us, if any.
    unlisted: BTreeMap<Arc<str>, usize>,
    /// What is to be said of the update that is being taken in.
    news: MetadataNews,
    cache: MetadataCache,
    epochs: LeaderEpochs,
    /// When to ask again because the last answer had older leader epochs than were seen before.
    doubts: Option<Instant>,
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
            needs_full_update: false,
            needs_partial_update: false,
            fatal: None,
            fatal_count: 0,
            last_failure: None,
            topic_errors: BTreeMap::new(),
            last_codes: BTreeMap::new(),
            unlisted: BTreeMap::new(),
            news: MetadataNews::default(),
            cache: MetadataCache::default(),
            epochs: LeaderEpochs::default(),
            doubts: None,
        }
    }

    /// Starts from servers that are to be asked.
    pub(crate) fn bootstrap(&mut self, nodes: Vec<Node>) {
        self.needs_full_update = true;
        self.update_version = self.update_version.wrapping_add(1);
        self.cache = MetadataCache::bootstrap(nodes);
    }

    /// The current picture.
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        self.cache.cluster()
    }

    pub(crate) fn update_version(&self) -> u32 {
        self.update_version
    }

    pub(crate) fn request_version(&self) -> u32 {
        self.request_version
    }

    /// Whether an update was asked for and has not come.
    pub(crate) fn is_update_requested(&self) -> bool {
        self.needs_full_update || self.needs_partial_update
    }

    /// When the next update may and should be asked for.
    pub(crate) fn time_to_next_update(&self, now: Instant) -> Deadline {
        let wanted = match self.last_success {
            Some(at) if !self.is_update_requested() => {
                let doubts = self.doubts.map_or(Deadline::Never, Deadline::At);
                Deadline::after(at, self.max_age).min(doubts)
            }
            _ => Deadline::At(now),
        };
        let allowed = match self.new_topics {
            Some(_) if !planted!(NewTopicWaitsForBackoff) => self.pace.at_once(now),
            _ => self.pace.after(self.refresh_backoff, now),
        };
        wanted.max(allowed)
    }

    /// Asks for an update of everything. Returns the version to wait past.
    pub(crate) fn request_update(&mut self) -> u32 {
        self.needs_full_update = true;
        self.update_version
    }

    /// Asks for an update of the new topics, at once: also if a request is under way, which does not ask for
    /// them. Returns the version to wait past.
    pub(crate) fn request_update_for_new_topics(&mut self) -> u32 {
        let version = self.request_update_for_topics();
        self.new_topics = Some(self.request_version);
        version
    }

    /// Asks for an update of topics that were asked for before, after the backoff. Returns the version to
    /// wait past.
    pub(crate) fn request_update_for_topics(&mut self) -> u32 {
        self.needs_partial_update = true;
        self.request_version = self.request_version.wrapping_add(1);
        self.update_version
    }

    /// Whether the next request should be for new topics only.
    pub(crate) fn is_partial_update_due(&self, now: Instant) -> bool {
        let expires = self
            .last_success
            .map(|at| Deadline::after(at, self.max_age));
        let doubts = self.doubts.is_some_and(|at| at <= now);
        !self.needs_full_update && !doubts && expires.is_some_and(|deadline| !deadline.is_over(now))
    }

    /// The last attempt failed.
    ///
    /// That one broker refuses the client is told to all who wait, but is no attempt that another would have
    /// to keep its distance from: the next broker may be asked at once. How often one that refuses is tried
    /// is for its connection's backoff to say.
    pub(crate) fn update_failed(&mut self, now: Instant, why: MetadataFailure) {
        let is_refused = matches!(why, MetadataFailure::Authentication(_));
        if !is_refused || planted!(RefusingBrokerStarvesMetadata) {
            self.pace.attempted(now);
            self.new_topics = None;
        }
        if let Some(fatal) = why.as_fatal().filter(|_| !planted!(RefusalToldToNobody)) {
            self.fatal = Some(fatal);
            self.fatal_count = self.fatal_count.wrapping_add(1);
        }
        self.last_failure = Some(why);
    }

    /// An update that is due has to wait: no attempt failed, but whoever waits is told why.
    pub(crate) fn update_held_up(&mut self, what: MetadataFailure) {
        self.last_failure = Some(what);
    }

    /// Takes an answer. `retain` says which topics are still of interest: of those in a partial answer, and
    /// of all with a full one. What a partial one costs hardly depends on how many other topics there are.
    ///
    /// An error of a topic asks for nothing: whoever waits for the topic asks again, and if nobody does,
    /// nobody need know. In Kafka it does, until the topic has been forgotten.
    pub(crate) fn update(
        &mut self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
        retain: &mut dyn FnMut(&str) -> bool,
    ) -> MetadataUpdate {
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
        self.pace.attempted(now);
        self.update_version = self.update_version.wrapping_add(1);
        if !planned.is_partial {
            self.needs_full_update = false;
            self.last_success = Some(now);
        }
        self.last_failure = None;
        // It is over.
        self.fatal = None;
        if !planned.is_partial {
            // Not those that it does not answer for: who waits for them has perhaps not looked yet.
            self.topic_errors.retain(|topic, _| retain(topic));
            self.doubts = None;
            self.epochs.retain(&mut *retain);
            self.last_codes.retain(|topic, _| retain(topic));
            self.unlisted.retain(|topic, _| retain(topic));
        }
        let previous_id = self.cluster().cluster_id.clone();
        if response.cluster_id.is_some()
            && previous_id.is_some()
            && response.cluster_id != previous_id
        {
            // Another cluster's epochs have nothing to do with those of this one.
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

    /// Adds to what will be said of the next update.
    pub(crate) fn note(&mut self, level: Level, line: impl FnOnce() -> String) {
        self.news.note(level, line);
    }

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
            // Of the others: topics that are refused are asked for when somebody waits for them.
            next.retain_refused(retain);
        }
        let mut answered = Vec::new();
        for topic in topics {
            if are_others_kept {
                answered.push(Arc::clone(&topic.name));
            }
            next.forget(&topic.name);
            if !retain(&topic.name) {
                continue;
            }
            let code = topic.error;
            self.topic_errors.remove(&topic.name);
            if code == ErrorCode::NoError {
                if self.last_codes.remove(&topic.name).is_some() {
                    self.news.topic_is_fine_again(&topic.name);
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
        // A topic whose id is another than before, or that had none here, may be one that was deleted
        // and created anew, and its epochs begin again.
        let is_recreated = topic_id.is_some() && topic_id != self.cache.topic_id(&name);
        if is_recreated && !planted!(RecreatedTopicKeepsEpochs) {
            self.epochs.forget_topic(&name);
        }
        self.epochs.forget_beyond(&name, partitions.len());
        self.note_unlisted(&name, &partitions);
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
            accepted.push(self.newest(next, &name, partition, has_epochs, now));
        }
        next.add_topic(name, topic_id, is_internal, accepted, &mut self.news);
    }

    /// Says so when there are other partitions than before whose leader has no address for us.
    fn note_unlisted(&mut self, topic: &Arc<str>, partitions: &[MetadataPartition]) {
        let unlisted = || {
            let all = partitions.iter();
            all.filter(|partition| partition.error == ErrorCode::ListenerNotFound)
        };
        let count = unlisted().count();
        let before = if count == 0 {
            self.unlisted.remove(topic)
        } else {
            self.unlisted.insert(Arc::clone(topic), count)
        };
        if before.unwrap_or_default() != count {
            for partition in unlisted() {
                self.news.leader_is_unlisted(topic, partition.index);
            }
        }
    }

    /// What to believe of a partition: the answer, unless its leader epoch shows that it is older
    /// than what is known, and not for good.
    fn newest(
        &mut self,
        next: &cache::Successor,
        topic: &Arc<str>,
        mut partition: MetadataPartition,
        has_epochs: bool,
        now: Instant,
    ) -> PartitionInfo {
        let number = partition.index;
        if !has_epochs || partition.leader_epoch < 0 {
            self.epochs.forget(topic, number);
            partition.leader_epoch = -1;
            return next.described(topic, partition);
        }
        let epoch = partition.leader_epoch;
        match self.epochs.take(topic, number, epoch, now) {
            Verdict::Current => {}
            Verdict::WentBack(known) => {
                self.news.epoch_went_back(topic, number, known, epoch);
            }
            Verdict::Outdated(known) => {
                self.doubts = Some(now.saturating_add(ASKED_AGAIN_AFTER));
                self.news.note(Level::Debug, || {
                    format!(
                        "Got metadata for an older epoch {epoch} (current is {known}) for partition \
                         {topic}-{number}, not updating"
                    )
                });
                if let Some(known) = self.cache.partition(topic, number) {
                    return next.known(known);
                }
                // Nothing newer is there to be kept. Without it the topic would have a partition less, and keys
                // would go elsewhere.
            }
        }
        next.described(topic, partition)
    }

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

    /// The newest leader epoch seen for a partition.
    #[cfg(test)]
    pub(crate) fn leader_epoch(&self, topic: &Arc<str>, partition: i32) -> Option<i32> {
        self.epochs.of(topic, partition)
    }

    /// Why the brokers refuse a topic, if an update after the version `since` was the last to tell so: for
    /// all who have waited since then. Others ask again, for it may have been mended.
    pub(crate) fn topic_error(&self, topic: &str, since: u32) -> Option<TopicError> {
        let (error, version) = self.topic_errors.get(topic)?;
        is_newer(*version, since).then_some(*error)
    }

    /// How many errors there were that keep all metadata away.
    pub(crate) fn fatal_count(&self) -> u32 {
        self.fatal_count
    }

    /// What keeps all metadata away, if it came after there had been `since` of the kind: for all who have
    /// waited since then.
    pub(crate) fn fatal_error(&self, since: u32) -> Option<&FatalMetadataError> {
        let is_new = is_newer(self.fatal_count, since);
        self.fatal.as_ref().filter(|_| is_new)
    }

    /// The error code of a topic in the last answer that had it.
    pub(crate) fn last_code(&self, topic: &str) -> Option<ErrorCode> {
        self.last_codes.get(topic).copied()
    }

    /// What the last attempt failed with, if no other has succeeded since.
    pub(crate) fn last_failure(&self) -> Option<&MetadataFailure> {
        self.last_failure.as_ref()
    }
}

/// Whether `version` came after `last`, also once the counter has wrapped.
pub(crate) fn is_newer(version: u32, last: u32) -> bool {
    (version.wrapping_sub(last) as i32) > 0
}

#[cfg(test)]
mod tests;
