//! What a test wants to go wrong: rules, as values. The cluster's model decides by them
//! (`sim/script.rs`); nothing here does anything.

mod check;

use std::fmt;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use crate::error::ErrorCode;
use crate::protocol::{ApiKey, MetadataResponse};
use crate::types::{NodeId, PartitionId};

pub(crate) use check::RuleError;

/// A kind of request that the brokers of a [`TestCluster`](super::TestCluster) answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Api {
    /// Batches of records.
    Produce,
    /// Which brokers there are, and who leads which partition.
    Metadata,
    /// Which requests a broker answers, in which versions; the first request of a connection.
    ApiVersions,
    /// The producer id of an idempotent producer.
    InitProducerId,
}

impl Api {
    pub(crate) const fn key(self) -> ApiKey {
        match self {
            Self::Produce => ApiKey::Produce,
            Self::Metadata => ApiKey::Metadata,
            Self::ApiVersions => ApiKey::ApiVersions,
            Self::InitProducerId => ApiKey::InitProducerId,
        }
    }

    const fn names_topics(self) -> bool {
        matches!(self, Self::Produce | Self::Metadata)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key().name())
    }
}

/// The error that a broker answers with, and what it says besides the code.
///
/// An [`ErrorCode`] alone is one, where nothing more is to be said.
///
/// ```
/// use kafka_producer::ErrorCode;
/// use kafka_producer::testing::{Api, Refusal, Rule};
///
/// let refusal = Refusal::new(ErrorCode::InvalidRecord)
///     .message("one of the records is not valid")
///     .record(2, "the value is no number");
/// let rule = Rule::on(Api::Produce).topic("orders").fail(refusal);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) records: Vec<(i32, Arc<str>)>,
    pub(crate) log_start_offset: i64,
}

impl Refusal {
    /// An error that says no more than its code.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            records: Vec::new(),
            log_start_offset: -1,
        }
    }

    /// The broker's words. They travel in Produce from version 8 on, and nowhere else.
    pub fn message(mut self, text: impl Into<Arc<str>>) -> Self {
        self.message = Some(text.into());
        self
    }

    /// A record at fault, by its place in the batch, and what is wrong with it; more than one may be
    /// named. Travels in Produce from version 8 on, and nowhere else.
    pub fn record(mut self, index: i32, text: impl Into<Arc<str>>) -> Self {
        self.records.push((index, text.into()));
        self
    }

    /// Where the answer says that the partition's log starts; Produce from version 5 on. -1, for not
    /// known, unless set.
    pub fn log_start_offset(mut self, offset: i64) -> Self {
        self.log_start_offset = offset;
        self
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

/// The cluster's metadata as it was at one moment, for brokers that have not heard the news:
/// [`TestCluster::metadata_snapshot`](super::TestCluster::metadata_snapshot).
#[derive(Debug, Clone)]
pub struct MetadataSnapshot(pub(crate) Arc<MetadataResponse>);

/// What follows the part of an answer that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a connection ends or it does not")]
pub enum AndThen {
    /// The connection is closed.
    Close,
    /// The connection stays open, and nothing comes on it any more.
    Silence,
}

/// What becomes of a request instead of a plain answer.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    Refuse(Arc<Refusal>),
    /// So many bytes of the answer and no more, of which there may be none.
    Cut {
        bytes: usize,
        then: AndThen,
    },
}

/// The versions that a broker says it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Versions {
    Unsupported,
    Within(Option<i16>, Option<i16>),
}

impl Versions {
    /// What is left of all versions; `None` if the request is not known at all.
    pub(crate) fn limit(&self, all: &RangeInclusive<i16>) -> Option<RangeInclusive<i16>> {
        match *self {
            Self::Unsupported => None,
            Self::Within(min, max) => {
                let max = max.unwrap_or_else(|| *all.end());
                // A broker older than the ones here begins at its own start, not at ours.
                let min = min.unwrap_or_else(|| if max < *all.start() { 0 } else { *all.start() });
                Some(min..=max)
            }
        }
    }
}

/// Which requests a rule is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) api: Option<Api>,
    pub(crate) node: Option<NodeId>,
    pub(crate) topic: Option<Arc<str>>,
    /// Only with a topic.
    pub(crate) partition: Option<PartitionId>,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.api {
            Some(api) => write!(f, "{api} requests")?,
            None => write!(f, "requests of any kind")?,
        }
        match (&self.topic, self.partition) {
            (Some(topic), Some(partition)) => write!(f, " for {topic}-{partition}")?,
            (Some(topic), None) => write!(f, " for {topic}")?,
            _ => {}
        }
        match self.node {
            Some(node) => write!(f, " to node {node}"),
            None => Ok(()),
        }
    }
}

/// One thing that goes wrong in a [`TestCluster`](super::TestCluster): for which requests, how often,
/// and what.
///
/// Made from three parts, each of which may be left out:
///
/// | part | methods | left out |
/// |---|---|---|
/// | which requests | [`on`](Self::on), [`node`](Self::node), [`topic`](Self::topic), [`partition`](Self::partition) | all |
/// | how often | [`skip`](Self::skip), [`times`](Self::times) | always, from the first on |
/// | what | the others | nothing: the rule only counts, and lets the test wait |
///
/// ```
/// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
/// # use std::time::Duration;
/// use kafka_producer::ErrorCode;
/// use kafka_producer::testing::{Api, Rule, TestCluster};
///
/// let cluster = TestCluster::builder().nodes(3).topic("orders", 2).start()?;
/// // The next three batches for orders-1 meet a broker that does not lead the partition.
/// let not_leader = cluster.script(
///     Rule::on(Api::Produce).partition("orders", 1).times(3).fail(ErrorCode::NotLeaderOrFollower),
/// )?;
/// // Node 2 is slow with everything, until further notice.
/// let slow = cluster.script(Rule::on_any().node(2).delay(Duration::from_millis(20)))?;
/// // The second request for a producer id is lost on the way back.
/// cluster.script(Rule::on(Api::InitProducerId).skip(1).times(1).close().after_applying())?;
///
/// assert_eq!(not_leader.fired(), 0);
/// slow.remove();
/// # Ok(())
/// # }
/// ```
///
/// # Several rules for one request
/// Rules are looked at in the order in which they were added, and for each thing that can be said about a
/// request the first rule decides: its delay, its throttle time, what becomes of each of its partitions.
/// A rule with nothing left to say does not fire and is not used up. So rules for the same requests form
/// a queue (`times(3).fail(…)`, then `times(1).close()`), and rules that say different things add up.
///
/// # What becomes of a request
/// One of [`fail`](Self::fail), [`close`](Self::close), [`never_answer`](Self::never_answer) and
/// [`cut_answer`](Self::cut_answer); of several the last counts. Unless
/// [`after_applying`](Self::after_applying) is said, a request that is failed, closed upon or never
/// answered has changed nothing.
#[derive(Debug, Clone, Default)]
#[must_use = "a rule does nothing until it is given to TestCluster::script"]
pub struct Rule {
    pub(crate) scope: Scope,
    pub(crate) skip: u64,
    pub(crate) times: Option<u64>,
    pub(crate) fate: Option<Fate>,
    pub(crate) after_applying: bool,
    pub(crate) delay: Option<Duration>,
    pub(crate) throttle: Option<Duration>,
    pub(crate) metadata: Option<MetadataSnapshot>,
    pub(crate) versions: Option<Versions>,
}

/// Which requests.
impl Rule {
    /// A rule about requests of one kind.
    pub fn on(api: Api) -> Self {
        let mut rule = Self::default();
        rule.scope.api = Some(api);
        rule
    }

    /// A rule about requests of every kind.
    pub fn on_any() -> Self {
        Self::default()
    }

    /// Only requests that come to this broker.
    pub fn node(mut self, node: NodeId) -> Self {
        self.scope.node = Some(node);
        self
    }

    /// Only requests that name this topic. An error is given to this topic alone; everything else
    /// that can be said about a request is said about all of it.
    pub fn topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.scope.topic = Some(topic.into());
        self.scope.partition = None;
        self
    }

    /// Only requests that name this partition, or in `Metadata` its topic. An error is given to this
    /// partition alone.
    pub fn partition(mut self, topic: impl Into<Arc<str>>, partition: PartitionId) -> Self {
        self.scope.topic = Some(topic.into());
        self.scope.partition = Some(partition);
        self
    }
}

/// How often.
impl Rule {
    /// Lets this many requests pass before it fires for the first time.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Fires for so many requests, then no more; always unless set.
    pub fn times(mut self, requests: u64) -> Self {
        self.times = Some(requests);
        self
    }

    /// Fires until it is removed, which is also what a rule does that says nothing of it.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }
}

/// What.
impl Rule {
    /// The broker answers with an error, for every topic and partition that the rule is about.
    ///
    /// `Metadata` has no error but those of its topics and partitions: a request that names none is
    /// answered as ever.
    pub fn fail(mut self, refusal: impl Into<Refusal>) -> Self {
        self.fate = Some(Fate::Refuse(Arc::new(refusal.into())));
        self
    }

    /// The broker closes the connection instead of answering.
    pub fn close(self) -> Self {
        self.cut_to(0, AndThen::Close)
    }

    /// The broker neither answers nor closes. As the answers on a connection keep their order, nothing
    /// comes on this connection any more, and what is sent on it later is not even looked at.
    pub fn never_answer(self) -> Self {
        self.cut_to(0, AndThen::Silence)
    }

    /// The broker carries the request out and sends only so many bytes of the answer, its length
    /// before it included; an answer that is shorter is sent whole.
    pub fn cut_answer(self, bytes: usize, then: AndThen) -> Self {
        let mut rule = self.cut_to(bytes, then);
        rule.after_applying = true;
        rule
    }

    fn cut_to(mut self, bytes: usize, then: AndThen) -> Self {
        self.fate = Some(Fate::Cut { bytes, then });
        self
    }

    /// The broker first carries the request out; only then what the rule says becomes of it. So a
    /// batch is in the log although the producer hears of an error, or of nothing.
    pub fn after_applying(mut self) -> Self {
        self.after_applying = true;
        self
    }

    /// The answer comes this much later. The request itself is carried out at once; requests behind it
    /// on the same connection wait, other connections do not.
    pub fn delay(mut self, by: Duration) -> Self {
        self.delay = Some(by);
        self
    }

    /// The answer tells the client to be quiet for this long (`throttle_time_ms`).
    ///
    /// In versions of a request from before KIP-219 the answer is held back instead, as brokers did at
    /// the time. Otherwise it comes at once, and what the client sends before the time is over is
    /// served, so that a test can see whether the client keeps to it.
    pub fn throttle(mut self, time: Duration) -> Self {
        self.throttle = Some(time);
        self
    }

    /// The broker answers `Metadata` from what was so when the snapshot was taken. Topics that did not
    /// exist then are not known, nor made.
    pub fn answer_as_of(mut self, snapshot: &MetadataSnapshot) -> Self {
        self.metadata = Some(snapshot.clone());
        self
    }

    /// The broker speaks only these versions of the request, and says so in `ApiVersions`; a request
    /// in another version closes the connection. The rule fires when a broker says its versions, and
    /// when it refuses a request.
    ///
    /// ```
    /// use kafka_producer::testing::{Api, Rule};
    ///
    /// let like_kafka_0_11 = Rule::on(Api::Produce).versions(..=3);
    /// ```
    pub fn versions(mut self, versions: impl RangeBounds<i16>) -> Self {
        let min = match versions.start_bound() {
            Bound::Included(min) => Some(*min),
            Bound::Excluded(below) => Some(below.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let max = match versions.end_bound() {
            Bound::Included(max) => Some(*max),
            Bound::Excluded(above) => Some(above.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        self.versions = Some(Versions::Within(min, max));
        self
    }

    /// The broker does not know the request: `ApiVersions` does not list it, and one that comes all the
    /// same closes the connection.
    pub fn unsupported(mut self) -> Self {
        self.versions = Some(Versions::Unsupported);
        self
    }
}

impl Rule {
    /// Whether it says nothing and only counts.
    pub(crate) fn is_watcher(&self) -> bool {
        let Self {
            fate,
            delay,
            throttle,
            metadata,
            versions,
            ..
        } = self;
        fate.is_none()
            && delay.is_none()
            && throttle.is_none()
            && metadata.is_none()
            && versions.is_none()
    }
}

#[cfg(test)]
mod tests;
