//! Fault rules, as plain values. The model of the cluster applies them (`sim/script/mod.rs`).

mod check;

use std::fmt;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use crate::error::ErrorCode;
use crate::protocol::{ApiKey, MetadataResponse};
use crate::types::{NodeId, PartitionId};

pub(crate) use check::RuleError;

/// An API of Kafka's protocol that the brokers of a [`TestCluster`](super::TestCluster) support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Api {
    /// Writes batches of records.
    Produce,
    /// Describes brokers, topics, and the leaders of partitions.
    Metadata,
    /// Lists the supported APIs and versions; the first request of a connection.
    ApiVersions,
    /// Assigns the producer id and epoch of an idempotent producer.
    InitProducerId,
    /// Finds the coordinator of a consumer group or a transactional id.
    FindCoordinator,
    /// Adds partitions to a transaction.
    AddPartitionsToTxn,
    /// Adds the offsets of a consumer group to a transaction.
    AddOffsetsToTxn,
    /// Commits offsets of a consumer group as part of a transaction.
    TxnOffsetCommit,
    /// Commits or aborts a transaction.
    EndTxn,
}

impl Api {
    pub(crate) const fn key(self) -> ApiKey {
        match self {
            Self::Produce => ApiKey::Produce,
            Self::Metadata => ApiKey::Metadata,
            Self::ApiVersions => ApiKey::ApiVersions,
            Self::InitProducerId => ApiKey::InitProducerId,
            Self::FindCoordinator => ApiKey::FindCoordinator,
            Self::AddPartitionsToTxn => ApiKey::AddPartitionsToTxn,
            Self::AddOffsetsToTxn => ApiKey::AddOffsetsToTxn,
            Self::TxnOffsetCommit => ApiKey::TxnOffsetCommit,
            Self::EndTxn => ApiKey::EndTxn,
        }
    }

    const fn names_topics(self) -> bool {
        matches!(
            self,
            Self::Produce | Self::Metadata | Self::AddPartitionsToTxn | Self::TxnOffsetCommit
        )
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key().name())
    }
}

/// An error response of a broker: the error code, and optional fields.
///
/// An [`ErrorCode`] converts into a refusal without these fields.
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
    /// An error code without optional fields.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            records: Vec::new(),
            log_start_offset: -1,
        }
    }

    /// The error message. Only Produce from version 8 on has this field.
    pub fn message(mut self, text: impl Into<Arc<str>>) -> Self {
        self.message = Some(text.into());
        self
    }

    /// Adds a record error: the index in the batch, and its message. Only Produce from version 8 on has this field.
    pub fn record(mut self, index: i32, text: impl Into<Arc<str>>) -> Self {
        self.records.push((index, text.into()));
        self
    }

    /// The log start offset in the response; only Produce from version 5 on has this field. -1 (unknown) unless set.
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

/// A snapshot of the cluster's metadata, for brokers that return stale metadata:
/// [`TestCluster::metadata_snapshot`](super::TestCluster::metadata_snapshot).
#[derive(Debug, Clone)]
pub struct MetadataSnapshot(pub(crate) Arc<MetadataResponse>);

impl MetadataSnapshot {
    /// A copy in which a broker has another port, for example that of a proxy that breaks connections.
    #[must_use]
    pub fn with_port(self, node: NodeId, port: u16) -> Self {
        let mut metadata = Arc::unwrap_or_clone(self.0);
        for broker in &mut metadata.brokers {
            if broker.node_id == node {
                broker.port = i32::from(port);
            }
        }
        Self(Arc::new(metadata))
    }
}

/// What happens after a partial response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a connection ends or it does not")]
pub enum AndThen {
    /// The connection is closed.
    Close,
    /// The connection stays open, and no more bytes are sent on it.
    Silence,
}

/// The effect of a rule that replaces the normal response to a request.
#[derive(Debug, Clone)]
pub(crate) enum RequestFate {
    Refuse(Arc<Refusal>),
    /// Sends only this many bytes of the response; 0 for none.
    Cut {
        bytes: usize,
        then: AndThen,
    },
}

/// The API versions that a broker announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Versions {
    Unsupported,
    Within(Option<i16>, Option<i16>),
}

impl Versions {
    /// Intersects with all versions; `None` if the API is not supported at all.
    pub(crate) fn limit(&self, all: &RangeInclusive<i16>) -> Option<RangeInclusive<i16>> {
        match *self {
            Self::Unsupported => None,
            Self::Within(min, max) => {
                let max = max.unwrap_or_else(|| *all.end());
                // A range that ends below our minimum is announced unchanged: such a broker is older than every release
                // that the cluster imitates.
                let min = min.unwrap_or_else(|| if max < *all.start() { 0 } else { *all.start() });
                Some(min..=max)
            }
        }
    }
}

/// The requests that a rule matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) api: Option<Api>,
    pub(crate) node: Option<NodeId>,
    pub(crate) topic: Option<Arc<str>>,
    /// Only together with a topic.
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

/// One fault of a [`TestCluster`](super::TestCluster): the requests that it applies to, how often, and its effect.
///
/// It is built from three parts, each of which is optional:
///
/// | part | methods | default |
/// |---|---|---|
/// | requests | [`on`](Self::on), [`node`](Self::node), [`topic`](Self::topic), [`partition`](Self::partition) | all |
/// | how often | [`skip`](Self::skip), [`times`](Self::times) | always, from the first request on |
/// | effect | all other methods | nothing: the rule only counts requests, and the test can wait for them |
///
/// ```
/// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
/// # use std::time::Duration;
/// use kafka_producer::ErrorCode;
/// use kafka_producer::testing::{Api, Rule, TestCluster};
///
/// let cluster = TestCluster::builder().nodes(3).topic("orders", 2).start()?;
/// // The next three batches for orders-1 reach a broker that is not the leader.
/// let not_leader = cluster.script(
///     Rule::on(Api::Produce).partition("orders", 1).times(3).fail(ErrorCode::NotLeaderOrFollower),
/// )?;
/// // Node 2 delays all responses, until the rule is removed.
/// let slow = cluster.script(Rule::on_any().node(2).delay(Duration::from_millis(20)))?;
/// // The response to the second InitProducerId request is lost.
/// cluster.script(Rule::on(Api::InitProducerId).skip(1).times(1).close().after_applying())?;
///
/// assert_eq!(not_leader.fired(), 0);
/// slow.remove();
/// # Ok(())
/// # }
/// ```
///
/// # Several rules for one request
/// Rules are evaluated in the order in which they were added. For each property of a request (its delay, its throttle
/// time, the error of each partition) the first matching rule wins. A rule without effect on a request does not fire
/// and is not used up. So rules for the same requests form a queue (`times(3).fail(…)`, then `times(1).close()`), and
/// rules for different properties combine.
///
/// # Result of a request
/// The result is set by one of [`fail`](Self::fail), [`close`](Self::close), [`never_answer`](Self::never_answer) and
/// [`cut_answer`](Self::cut_answer); the last call wins. A request with such a result is not applied, so it changes
/// nothing in the cluster, unless [`after_applying`](Self::after_applying) is set.
#[derive(Debug, Clone, Default)]
#[must_use = "a rule does nothing until it is given to TestCluster::script"]
pub struct Rule {
    pub(crate) scope: Scope,
    pub(crate) skip: u64,
    pub(crate) times: Option<u64>,
    pub(crate) fate: Option<RequestFate>,
    pub(crate) after_applying: bool,
    pub(crate) delay: Option<Duration>,
    pub(crate) throttle: Option<Duration>,
    pub(crate) metadata: Option<MetadataSnapshot>,
    pub(crate) versions: Option<Versions>,
}

/// Methods that select requests.
impl Rule {
    /// A rule for requests of this API.
    pub fn on(api: Api) -> Self {
        let mut rule = Self::default();
        rule.scope.api = Some(api);
        rule
    }

    /// A rule for all requests.
    pub fn on_any() -> Self {
        Self::default()
    }

    /// Matches only requests to this broker.
    pub fn node(mut self, node: NodeId) -> Self {
        self.scope.node = Some(node);
        self
    }

    /// Matches only requests with this topic. An error is returned for this topic only; the other effects apply to the
    /// whole request.
    pub fn topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.scope.topic = Some(topic.into());
        self.scope.partition = None;
        self
    }

    /// Matches only requests with this partition (Metadata: with its topic). An error is returned for this partition
    /// only.
    pub fn partition(mut self, topic: impl Into<Arc<str>>, partition: PartitionId) -> Self {
        self.scope.topic = Some(topic.into());
        self.scope.partition = Some(partition);
        self
    }
}

/// Methods that limit how often the rule fires.
impl Rule {
    /// Skips this many matching requests before the rule fires for the first time.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Limits the number of requests that the rule fires for; unlimited unless set.
    pub fn times(mut self, requests: u64) -> Self {
        self.times = Some(requests);
        self
    }

    /// Fires until it is removed: the default.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }
}

/// Methods that set the effect of the rule.
impl Rule {
    /// The broker responds with an error, for every topic and partition that the rule matches.
    ///
    /// A `Metadata` response has error fields only for topics and partitions, so a request without topics gets a normal
    /// response.
    pub fn fail(mut self, refusal: impl Into<Refusal>) -> Self {
        self.fate = Some(RequestFate::Refuse(Arc::new(refusal.into())));
        self
    }

    /// The broker closes the connection instead of answering.
    pub fn close(self) -> Self {
        self.cut_to(0, AndThen::Close)
    }

    /// The broker neither responds nor closes the connection. Responses of a connection are sent in order, so none is
    /// sent on this connection any more, and later requests on it are not processed.
    pub fn never_answer(self) -> Self {
        self.cut_to(0, AndThen::Silence)
    }

    /// The broker applies the request and sends only this many bytes of the response frame, its length field included;
    /// a shorter response is sent as a whole.
    pub fn cut_answer(self, bytes: usize, then: AndThen) -> Self {
        let mut rule = self.cut_to(bytes, then);
        rule.after_applying = true;
        rule
    }

    fn cut_to(mut self, bytes: usize, then: AndThen) -> Self {
        self.fate = Some(RequestFate::Cut { bytes, then });
        self
    }

    /// The broker applies the request before the effect of the rule. So a batch is in the log although the producer
    /// gets an error, or no response.
    pub fn after_applying(mut self) -> Self {
        self.after_applying = true;
        self
    }

    /// Delays the response. The request is applied at once; later requests on the same connection wait, other
    /// connections do not.
    pub fn delay(mut self, by: Duration) -> Self {
        self.delay = Some(by);
        self
    }

    /// Throttles the client: sets `throttle_time_ms` in the response.
    ///
    /// In request versions before KIP-219 the response is delayed instead, as by brokers of that time. Otherwise the
    /// response is sent at once, and requests during the throttle time are processed, so that a test can see whether
    /// the client respects it.
    pub fn throttle(mut self, time: Duration) -> Self {
        self.throttle = Some(time);
        self
    }

    /// The broker answers `Metadata` from a snapshot. Topics created after the snapshot are unknown to this broker, and
    /// requests for them create nothing.
    pub fn answer_as_of(mut self, snapshot: &MetadataSnapshot) -> Self {
        self.metadata = Some(snapshot.clone());
        self
    }

    /// The broker supports only these versions of the API, and announces them in `ApiVersions`; a request of another
    /// version closes the connection. The rule fires for each ApiVersions response, and for each rejected request.
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

    /// The broker does not support the API: `ApiVersions` does not list it, and a request closes the connection.
    pub fn unsupported(mut self) -> Self {
        self.versions = Some(Versions::Unsupported);
        self
    }
}

impl Rule {
    /// Whether the rule has no effect and only counts requests.
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
