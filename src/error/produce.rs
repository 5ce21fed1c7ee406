//! Why a record that was taken did not get through, and whether it may be in the log all the same.

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
    reason = "a record is safely out of the log, or it is not"
)]
pub enum Delivery {
    /// The record is in no log: it was never handed to a socket, or the broker refused it. Sending
    /// it again cannot make a duplicate.
    NotWritten,
    /// The record was handed to the network and never answered for: it may or may not be in the
    /// log. Sending it again may make a duplicate.
    MaybeWritten,
}

/// What an error answer of a broker said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerError {
    /// Kafka's error code.
    pub code: ErrorCode,
    /// The broker's own words, from Produce version 8 on.
    pub message: Option<Arc<str>>,
    /// The broker that said it.
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

/// What a record was waiting for when its time ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitCause {
    /// No broker leads its partition.
    NoLeader,
    /// The partition's leader could not be reached; the last connection error, if there was one.
    NotConnected {
        /// The leader.
        node: NodeId,
        /// What the last attempt to connect ended with.
        last_error: Option<Arc<str>>,
    },
    /// The leader told the client to slow down.
    Throttled {
        /// The leader.
        node: NodeId,
    },
    /// Earlier requests to the leader, or earlier batches of the partition, were not answered.
    BehindInFlight {
        /// The leader.
        node: NodeId,
    },
    /// The batch itself was handed over and no answer came.
    NotAnswered {
        /// The leader.
        node: NodeId,
    },
    /// No broker has given the idempotent producer an identifier yet.
    ProducerId {
        /// What the last attempt ended with.
        last_error: Option<Arc<str>>,
    },
    /// The cluster does not accept the client's credentials.
    Authentication {
        /// The broker's words.
        message: Arc<str>,
    },
    /// It was waiting before another attempt, after a broker's error answer.
    RetryBackoff,
    /// It was in the queue and its turn had not come.
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
                write!(f, "no producer id could be had: {error}")
            }
            Self::ProducerId { last_error: None } => write!(f, "no producer id was given yet"),
            Self::Authentication { message } => write!(f, "authentication failed: {message}"),
            Self::RetryBackoff => write!(f, "waiting before another attempt"),
            Self::Queued => write!(f, "its turn in the queue had not come"),
        }
    }
}

/// What kind of failure it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProduceErrorKind {
    /// `delivery.timeout.ms` passed since the record's batch was opened.
    DeliveryTimeout,
    /// `max.block.ms` passed before the topic's partitions were known: no broker could be reached, or none
    /// could say; [`ProduceError::code`] is what one said, if one did.
    MetadataTimeout,
    /// `max.block.ms` passed, and brokers that were asked meanwhile have no such topic, or not the partition
    /// that the record is for. They may, later.
    UnknownTopicOrPartition,
    /// `max.block.ms` passed before there was memory for the record (`buffer.memory`).
    BufferExhausted,
    /// The record is larger than a limit of the configuration.
    RecordTooLarge {
        /// Upper bound of its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
        /// The key that sets the limit.
        key: &'static str,
    },
    /// No topic can have the name, or the brokers refuse it; [`ProduceError::code`] tells which: it is
    /// `None` where no broker was asked.
    InvalidTopic,
    /// The client may not write to the topic, or not see it.
    TopicAuthorization,
    /// The brokers do not accept the client's credentials.
    Authentication,
    /// No version of the protocol that the broker speaks can carry the record.
    UnsupportedVersion,
    /// The broker, or another of the cluster, does not know the codec that batches are compressed with.
    UnsupportedCompressionType,
    /// The broker refused the batch; see [`ProduceError::broker_error`].
    Broker(ErrorCode),
    /// The connection was lost and no retry was left.
    Network,
    /// The producer was closed before the record was delivered.
    Closed,
    /// The producer failed for good: the message says why.
    ProducerFailed,
    /// This is not an answer yet: `get_timeout` ran out first.
    Pending,
    /// The call cannot be made here; the message says why.
    Misuse,
    /// `send` itself failed and returned the reason; only interceptors see this kind.
    NotTaken,
}

/// How often and how long a record's batch was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordTimes {
    pub(crate) attempts: u32,
    pub(crate) queued: Duration,
    pub(crate) in_flight: Duration,
}

/// Why a record failed, and whether it may be in the log.
///
/// Shared by all records of a batch: cloning costs one counter.
///
/// # Kafka
/// What `Future#get` and `Callback#onCompletion` give in Java, as one type with predicates.
#[derive(Debug, Clone)]
pub struct ProduceError(Arc<Inner>);

#[derive(Debug)]
struct Inner {
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
    /// What kind of failure it was.
    pub fn kind(&self) -> &ProduceErrorKind {
        &self.0.kind
    }

    /// Whether the record may be in the log.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// Whether the record may be in the log: shorthand for [`delivery`](Self::delivery).
    pub fn may_be_written(&self) -> bool {
        self.0.delivery == Delivery::MaybeWritten
    }

    /// Whether sending the record again may succeed without anything being changed. Says nothing
    /// of duplicates: for that ask [`may_be_written`](Self::may_be_written).
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

    /// Whether time ran out, as opposed to a refusal.
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

    /// What the record was waiting for when its time ran out.
    pub fn cause(&self) -> Option<&WaitCause> {
        self.0.cause.as_ref()
    }

    /// The last error answer of a broker for the record's batch.
    pub fn broker_error(&self) -> Option<&BrokerError> {
        self.0.broker.as_ref()
    }

    /// What the last attempt for the record's batch ended with, if it got no answer: a connection that
    /// was lost, or an answer that was none.
    pub fn last_failure(&self) -> Option<&str> {
        self.0.last_failure.as_deref()
    }

    /// Kafka's error code, when a broker's answer decided.
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

    /// How often the record's batch was sent: some of it, at least, was given to a socket, or is on its way there.
    pub fn attempts(&self) -> u32 {
        self.0.times.attempts
    }

    /// How long the record's batch lay in the queue, in all.
    pub fn queued(&self) -> Duration {
        self.0.times.queued
    }

    /// How long the record's batch was under way, in all.
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

/// Equal when they say the same.
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

/// Gathers what a [`ProduceError`] says.
#[derive(Debug)]
pub(crate) struct ProduceErrorBuilder(Inner);

impl ProduceErrorBuilder {
    /// An error that names its kind, whether the record may be written, the topic, and in a sentence
    /// what happened and what to do.
    pub(crate) fn new(
        kind: ProduceErrorKind,
        delivery: Delivery,
        topic: Arc<str>,
        message: impl Into<String>,
    ) -> Self {
        Self(Inner {
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
