//! The error of a record that `send` accepted: why it was not delivered, and whether it may be in the log all the same.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ErrorCode;
use crate::types::topic_name::Shown;
use crate::types::{NodeId, PartitionId};

/// Whether a failed record may be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a record is certainly not in the log, or it may be"
)]
pub enum Delivery {
    /// The record is in no log: it was never written to a socket, or the broker rejected it. Sending it again cannot
    /// make a duplicate.
    NotWritten,
    /// The record was written to the network and never acknowledged: it may or may not be in the log. Sending it again
    /// may make a duplicate.
    MaybeWritten,
}

/// The error in a broker's response.
///
/// ```
/// use kafka_producer::ErrorCode;
/// use kafka_producer::testing::ProduceErrorBuilder;
///
/// let error = ProduceErrorBuilder::new(ErrorCode::InvalidRecord, "orders")
///     .broker_error(ErrorCode::InvalidRecord, "no such customer")
///     .build();
/// let response = error.broker_error().ok_or("no response")?;
/// assert_eq!((response.code.name(), response.message.as_deref()), ("INVALID_RECORD", Some("no such customer")));
/// assert!(!response.code.is_retriable());
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerError {
    /// Kafka's error code.
    pub code: ErrorCode,
    /// The broker's error message, which Produce responses have from version 8 on.
    pub message: Option<Arc<str>>,
    /// The broker that responded, if it is known.
    pub node: Option<NodeId>,
}

impl BrokerError {
    pub(crate) fn new(code: ErrorCode, message: Option<Arc<str>>, node: Option<NodeId>) -> Self {
        Self {
            code,
            message,
            node,
        }
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) if node >= 0 => write!(f, "broker {node} answered {}", self.code.name())?,
            _ => write!(f, "{}", self.code.name())?,
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => write!(f, ": {}", self.code.message()),
        }
    }
}

/// What a record was waiting for when it timed out, or when its producer was closed.
///
/// ```
/// use kafka_producer::{ProduceError, WaitCause};
///
/// /// The broker that an operator should look at.
/// fn suspect(error: &ProduceError) -> Option<i32> {
///     match error.cause()? {
///         WaitCause::NotAnswered { node } | WaitCause::NotConnected { node, .. } => Some(*node),
///         _ => None,
///     }
/// }
///
/// # use kafka_producer::ProduceErrorKind;
/// # use kafka_producer::testing::ProduceErrorBuilder;
/// let error = ProduceErrorBuilder::new(ProduceErrorKind::DeliveryTimeout, "orders");
/// let error = error.cause(WaitCause::NotAnswered { node: 2 }).build();
/// assert_eq!(suspect(&error), Some(2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitCause {
    /// The partition has no leader.
    NoLeader,
    /// There was no connection to the partition's leader.
    NotConnected {
        /// The leader.
        node: NodeId,
        /// The error of the last attempt to connect, if there was one.
        last_error: Option<Arc<str>>,
    },
    /// The leader throttled this client (`throttle_time_ms`).
    Throttled {
        /// The leader.
        node: NodeId,
    },
    /// Earlier requests to the leader, or earlier batches of the partition, were still in flight.
    BehindInFlight {
        /// The leader.
        node: NodeId,
    },
    /// The batch itself was in flight, and no response came.
    NotAnswered {
        /// The leader.
        node: NodeId,
    },
    /// The idempotent producer had no producer id yet.
    ProducerId {
        /// The error of the last attempt to get one.
        last_error: Option<Arc<str>>,
    },
    /// Authentication failed.
    Authentication {
        /// The broker's error message.
        message: Arc<str>,
    },
    /// The retry back-off (`retry.backoff.ms`) after an error response had not passed yet.
    RetryBackoff,
    /// The record's partition had not been added to the transaction yet; no record may be written to it before that.
    AddingPartition {
        /// Why the transaction's coordinator had not added it, or was not found: its last error response, or the last
        /// error of the connection.
        last_error: Option<Arc<str>>,
        /// Kafka's error code, if `last_error` is an error response.
        code: Option<ErrorCode>,
    },
    /// The record was queued, and its batch had not been drained yet.
    Queued,
}

impl fmt::Display for WaitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeader => write!(f, "no broker leads the partition"),
            Self::NotConnected {
                node,
                last_error: Some(error),
            } => {
                write!(f, "no connection to broker {node}: {error}")
            }
            Self::NotConnected {
                node,
                last_error: None,
            } => {
                write!(f, "no connection to broker {node} yet")
            }
            Self::Throttled { node } => write!(f, "broker {node} is throttling this client"),
            Self::BehindInFlight { node } => {
                write!(f, "earlier requests to broker {node} were not answered")
            }
            Self::NotAnswered { node } => write!(f, "broker {node} did not answer"),
            Self::ProducerId {
                last_error: Some(error),
            } => {
                write!(f, "no producer id could be obtained: {error}")
            }
            Self::ProducerId { last_error: None } => write!(f, "no producer id was given yet"),
            Self::Authentication { message } => write!(f, "authentication failed: {message}"),
            Self::RetryBackoff => write!(f, "waiting before another attempt"),
            Self::AddingPartition { last_error, .. } => {
                write!(
                    f,
                    "the coordinator had not added the partition to the transaction"
                )?;
                match last_error {
                    Some(error) => write!(f, ": {error}"),
                    None => Ok(()),
                }
            }
            Self::Queued => write!(f, "it was queued behind other batches"),
        }
    }
}

/// The kind of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProduceErrorKind {
    /// `delivery.timeout.ms` passed since the record's batch was created.
    DeliveryTimeout,
    /// `max.block.ms` passed before the topic's metadata was fetched: no broker could be reached, or each responded
    /// with an error; [`ProduceError::code`] is the last such error, if there was one.
    MetadataTimeout,
    /// `max.block.ms` passed, and brokers responded meanwhile that the topic, or the record's partition of it, does not
    /// exist. It may be created later.
    UnknownTopicOrPartition,
    /// Buffer exhausted: `max.block.ms` passed before memory for the record was free (`buffer.memory`).
    BufferExhausted,
    /// The record is larger than a limit in the configuration.
    RecordTooLarge {
        /// Upper bound of the record's serialized size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
        /// The key that sets the limit.
        key: &'static str,
    },
    /// The topic's name is invalid, or the brokers reject it. [`ProduceError::code`] distinguishes the two: it is
    /// `None` if the name was rejected without a request.
    InvalidTopic,
    /// The client is not authorized to write to the topic, or to describe it.
    TopicAuthorization,
    /// The brokers reject the client's credentials.
    Authentication,
    /// The broker supports no version of the Produce request that can carry the record.
    UnsupportedVersion,
    /// The codec of the batch is not supported by the leader, or by another broker of the cluster.
    UnsupportedCompressionType,
    /// The broker rejected the batch; see [`ProduceError::broker_error`].
    Broker(ErrorCode),
    /// The connection was lost, and all retries are used up.
    Network,
    /// The record was not sent, or not sent again, because its transaction was aborted or must be aborted.
    TransactionAborted,
    /// The producer was closed before the record was delivered.
    Closed,
    /// The producer failed for good; the message says why.
    ProducerFailed,
    /// No result yet: the timeout of `get_timeout` passed before the record had one.
    Pending,
    /// The call is not allowed where it was made; the message says why.
    Misuse,
    /// `send` itself failed and returned the error; only interceptors see this kind.
    NotTaken,
}

/// Maps an error code in a Produce response to the kind of failure of the records.
impl From<ErrorCode> for ProduceErrorKind {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::TopicAuthorizationFailed => Self::TopicAuthorization,
            ErrorCode::InvalidTopicException => Self::InvalidTopic,
            code => Self::Broker(code),
        }
    }
}

/// How often a record's batch was sent, and how long it was queued and in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordTimes {
    pub(crate) attempts: u32,
    pub(crate) queued: Duration,
    pub(crate) in_flight: Duration,
}

/// Why a record failed, and whether it may be in the log.
///
/// Shared by all records of a batch: a clone increments one reference count.
///
/// ```
/// use kafka_producer::{ProduceError, ProduceErrorKind};
///
/// /// What a service does with a record that failed.
/// fn next_step(error: &ProduceError) -> &'static str {
///     match error.kind() {
///         _ if error.may_be_written() => "find out whether it is written",
///         ProduceErrorKind::RecordTooLarge { .. } => "make it smaller",
///         _ if error.is_retriable() => "send it again later",
///         _ => "set it aside, with the text of the error",
///     }
/// }
///
/// # use kafka_producer::testing::ProduceErrorBuilder;
/// let error = ProduceErrorBuilder::new(ProduceErrorKind::BufferExhausted, "orders").build();
/// assert_eq!(next_step(&error), "send it again later");
/// assert!(error.is_timeout() && error.code().is_none());
/// ```
///
/// # Kafka
/// The exception of `Future#get` and `Callback#onCompletion`, as one type with predicates.
#[derive(Debug, Clone)]
pub struct ProduceError(Arc<ProduceErrorInner>);

#[derive(Debug)]
struct ProduceErrorInner {
    kind: ProduceErrorKind,
    delivery: Delivery,
    topic: Arc<str>,
    partition: Option<PartitionId>,
    cause: Option<WaitCause>,
    broker: Option<BrokerError>,
    last_failure: Option<Arc<str>>,
    times: RecordTimes,
    message: Box<str>,
}

impl ProduceError {
    /// The kind of the failure.
    pub fn kind(&self) -> &ProduceErrorKind {
        &self.0.kind
    }

    /// Whether the record may be in the log.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// True if the record may be in the log: shorthand for [`delivery`](Self::delivery).
    pub fn may_be_written(&self) -> bool {
        self.0.delivery == Delivery::MaybeWritten
    }

    /// True if the record may be delivered when it is sent again unchanged. Sending it again may make a duplicate: see
    /// [`may_be_written`](Self::may_be_written).
    pub fn is_retriable(&self) -> bool {
        match &self.0.kind {
            ProduceErrorKind::DeliveryTimeout
            | ProduceErrorKind::MetadataTimeout
            | ProduceErrorKind::UnknownTopicOrPartition
            | ProduceErrorKind::BufferExhausted
            | ProduceErrorKind::Network
            | ProduceErrorKind::Pending => true,
            ProduceErrorKind::Broker(code) => code.is_retriable(),
            _ => false,
        }
    }

    /// True if the error is that a timeout passed, false for all other errors, such as a rejection.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.0.kind,
            ProduceErrorKind::DeliveryTimeout
                | ProduceErrorKind::MetadataTimeout
                | ProduceErrorKind::UnknownTopicOrPartition
                | ProduceErrorKind::BufferExhausted
                | ProduceErrorKind::Pending
        )
    }

    /// The topic the record was for.
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// The partition the record was for, if one had been chosen.
    pub fn partition(&self) -> Option<PartitionId> {
        self.0.partition
    }

    /// What the record was waiting for when it timed out, or when its producer was closed.
    pub fn cause(&self) -> Option<&WaitCause> {
        self.0.cause.as_ref()
    }

    /// The last error response of a broker for the record's batch.
    pub fn broker_error(&self) -> Option<&BrokerError> {
        self.0.broker.as_ref()
    }

    /// The error of the last attempt of the record's batch that got no valid response: a lost connection, or a response
    /// that could not be parsed.
    pub fn last_failure(&self) -> Option<&str> {
        self.0.last_failure.as_deref()
    }

    /// Kafka's error code, if an error response caused the failure.
    pub fn code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ProduceErrorKind::Broker(code) => Some(code),
            ProduceErrorKind::UnknownTopicOrPartition => Some(ErrorCode::UnknownTopicOrPartition),
            ProduceErrorKind::MetadataTimeout
            | ProduceErrorKind::InvalidTopic
            | ProduceErrorKind::TopicAuthorization => {
                self.0.broker.as_ref().map(|broker| broker.code)
            }
            _ => None,
        }
    }

    /// How often the record's batch was sent: the number of attempts of which at least one byte was written to a
    /// socket, or is about to be.
    pub fn attempts(&self) -> u32 {
        self.0.times.attempts
    }

    /// How long the record's batch was queued, over all attempts.
    pub fn queued(&self) -> Duration {
        self.0.times.queued
    }

    /// How long the record's batch was in flight, over all attempts.
    pub fn in_flight(&self) -> Duration {
        self.0.times.in_flight
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let topic = Shown(&inner.topic);
        match inner.partition {
            Some(partition) => write!(f, "{topic}-{partition}: {}", inner.message)?,
            None => write!(f, "{topic}: {}", inner.message)?,
        }
        if let Some(cause) = &inner.cause {
            write!(f, "; {cause}")?;
        }
        if let Some(broker) = &inner.broker {
            write!(f, "; last answer: {broker}")?;
        }
        let failure = inner.last_failure.as_deref();
        if let Some(failure) = failure.filter(|failure| **failure != *inner.message) {
            write!(f, "; last attempt: {failure}")?;
        }
        if inner.times != RecordTimes::default() {
            write!(
                f,
                "; attempts {}, queued {:?}, in flight {:?}",
                inner.times.attempts, inner.times.queued, inner.times.in_flight
            )?;
        }
        match inner.delivery {
            Delivery::NotWritten => write!(f, " (not written)"),
            Delivery::MaybeWritten => write!(f, " (may have been written)"),
        }
    }
}

impl std::error::Error for ProduceError {}

/// Two errors are equal if kind, delivery, topic, partition and message are.
impl PartialEq for ProduceError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.kind == other.0.kind
                && self.0.delivery == other.0.delivery
                && self.0.topic == other.0.topic
                && self.0.partition == other.0.partition
                && self.0.message == other.0.message)
    }
}

/// Builder of a [`ProduceError`].
#[derive(Debug)]
pub(crate) struct ProduceErrorParts(ProduceErrorInner);

impl ProduceErrorParts {
    /// Starts with the mandatory parts. `message` is a sentence that says what happened and what to do.
    pub(crate) fn new(
        kind: ProduceErrorKind,
        delivery: Delivery,
        topic: Arc<str>,
        message: impl Into<String>,
    ) -> Self {
        Self(ProduceErrorInner {
            kind,
            delivery,
            topic,
            partition: None,
            cause: None,
            broker: None,
            last_failure: None,
            times: RecordTimes::default(),
            message: message.into().into_boxed_str(),
        })
    }

    pub(crate) fn partition(mut self, partition: Option<PartitionId>) -> Self {
        self.0.partition = partition;
        self
    }

    pub(crate) fn cause(mut self, cause: Option<WaitCause>) -> Self {
        self.0.cause = cause;
        self
    }

    pub(crate) fn broker(mut self, broker: Option<BrokerError>) -> Self {
        self.0.broker = broker;
        self
    }

    pub(crate) fn last_failure(mut self, why: Option<Arc<str>>) -> Self {
        self.0.last_failure = why;
        self
    }

    pub(crate) fn times(mut self, times: RecordTimes) -> Self {
        self.0.times = times;
        self
    }

    pub(crate) fn build(self) -> ProduceError {
        ProduceError(Arc::new(self.0))
    }
}
