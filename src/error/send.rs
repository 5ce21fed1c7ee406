//! Errors of the calls themselves: what Java's producer throws.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{ErrorCode, PluginKind, RecordError, SharedError};
use crate::types::PartitionId;
use crate::types::topic_name::{self, Shown};

/// A call that cannot be made where it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// The call would wait for the producer, and was made inside code of yours that the producer runs: a callback,
    /// an interceptor, a serializer, a partitioner, a listener, a waker, or a logger on its thread. Most of them run
    /// on that thread, and would wait for themselves; the others have the same rules.
    InsideCallback,
    /// The process is a fork of the one that built the producer; the sender thread is not here.
    Forked,
    /// A record was sent inside user code that a `send` runs, inside user code that a `send` runs, and so on
    /// many times over: a callback that sends again what fails at once, an interceptor that sees its own records.
    NestedTooDeep,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InsideCallback => {
                "the call would wait for the producer and was made inside a callback or other code of yours \
                 that the producer runs, mostly on the thread that would be waited for; hand the work to \
                 another thread"
            }
            Self::NestedTooDeep => {
                "the call was made inside callbacks or other code of yours, each run by a send inside the \
                 one before, too many times over; see that such code does not send for ever"
            }
            Self::Forked => {
                "the producer was built before this process was forked and its sender thread stayed \
                 behind; build a producer in each process after the fork"
            }
        })
    }
}

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a record has these two")]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// Why `send` did not take a record: nothing was queued and no callback runs.
///
/// # Kafka
/// What `KafkaProducer#send` throws. What it puts into the returned future instead (time-outs,
/// records too large, refused topics) is a [`ProduceError`](super::ProduceError) in the future here too.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SendError {
    /// The producer is closed.
    Closed,
    /// The producer failed for good; the text says why.
    ProducerFailed(Arc<str>),
    /// The record's partition or timestamp is no such thing.
    Record(RecordError),
    /// A serializer failed.
    Serialization {
        /// Which part it was to serialize.
        part: RecordPart,
        /// The record's topic.
        topic: Arc<str>,
        /// What it said.
        source: SharedError,
    },
    /// The partitioner failed.
    Partitioner {
        /// The record's topic.
        topic: Arc<str>,
        /// What it said.
        source: SharedError,
    },
    /// The partitioner named a partition that the topic does not have.
    PartitionOutOfRange {
        /// The record's topic.
        topic: Arc<str>,
        /// What the partitioner answered.
        partition: PartitionId,
        /// How many partitions the topic has.
        count: usize,
    },
    /// User code panicked; the panic was contained.
    Panicked {
        /// What panicked.
        plugin: PluginKind,
        /// The topic of the record.
        topic: Arc<str>,
        /// The panic's message.
        message: Arc<str>,
    },
    /// The call cannot be made here.
    Misuse(Misuse),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "the producer is closed; no record can be sent any more"),
            Self::ProducerFailed(why) => write!(f, "the producer failed for good: {why}"),
            Self::Record(error) => error.fmt(f),
            Self::Serialization {
                part,
                topic,
                source,
            } => {
                write!(
                    f,
                    "the {part} of a record for topic {topic} could not be serialized: {source}"
                )
            }
            Self::Partitioner { topic, source } => {
                write!(
                    f,
                    "the partitioner failed for a record of topic {topic}: {source}"
                )
            }
            Self::PartitionOutOfRange {
                topic,
                partition,
                count,
            } => write!(
                f,
                "the partitioner chose partition {partition} of topic {topic}, which has partitions 0 \
                 to {}",
                count.saturating_sub(1)
            ),
            Self::Panicked {
                plugin,
                topic,
                message,
            } => write!(f, "the {plugin} panicked for topic {topic}: {message}"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Serialization { source, .. } | Self::Partitioner { source, .. } => {
                Some(&**source)
            }
            Self::Record(error) => Some(error),
            _ => None,
        }
    }
}

impl From<RecordError> for SendError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

/// What is said when brokers refuse a name that follows the rules.
pub(crate) const REFUSED_NAME: &str = "the brokers refuse the name, although it follows Kafka's rules; \
     probably there is a topic whose name differs from it only in '.' and '_', which Kafka takes for the \
     same, or a rule of this cluster forbids it";

/// Why a topic's partitions could not be learned.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MetadataError {
    /// Time ran out before a broker described the topic: none could be reached, or none could say; `tried`
    /// says what was tried.
    TimedOut {
        /// The topic.
        topic: Arc<str>,
        /// How long was waited.
        waited: Duration,
        /// What was tried and how it went.
        tried: Arc<str>,
        /// What a broker answered meanwhile, if one did.
        code: Option<ErrorCode>,
    },
    /// Time ran out, and brokers that were asked meanwhile have no such topic. They may, later.
    UnknownTopic {
        /// The topic.
        topic: Arc<str>,
        /// How long was waited.
        waited: Duration,
    },
    /// No topic can have the name, or the brokers refuse it; the text tells which.
    InvalidTopic(Arc<str>),
    /// The client may not see the topic.
    TopicAuthorization(Arc<str>),
    /// A broker answered with an error that waiting does not mend.
    Broker {
        /// The topic.
        topic: Arc<str>,
        /// Kafka's error code.
        code: ErrorCode,
    },
    /// The cluster does not accept the client's credentials.
    Authentication(Arc<str>),
    /// No version of the protocol is shared with the brokers.
    UnsupportedVersion(Arc<str>),
    /// The producer was closed meanwhile.
    Closed,
    /// The producer failed for good.
    ProducerFailed(Arc<str>),
    /// The call cannot be made here.
    Misuse(Misuse),
}

impl MetadataError {
    /// Whether asking again may succeed without anything being changed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::UnknownTopic { .. } => true,
            Self::Broker { code, .. } => code.is_retriable(),
            _ => false,
        }
    }

    /// Kafka's error code, when a broker has answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::TimedOut { code, .. } => *code,
            Self::UnknownTopic { .. } => Some(ErrorCode::UnknownTopicOrPartition),
            Self::Broker { code, .. } => Some(*code),
            // No broker is asked for another.
            Self::InvalidTopic(topic) => topic_name::check(topic)
                .is_ok()
                .then_some(ErrorCode::InvalidTopicException),
            Self::TopicAuthorization(_) => Some(ErrorCode::TopicAuthorizationFailed),
            _ => None,
        }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut {
                topic,
                waited,
                tried,
                code: _,
            } => {
                write!(
                    f,
                    "topic {topic} was not found in the cluster within {waited:?}: {tried}"
                )
            }
            Self::UnknownTopic { topic, waited } => {
                let code = ErrorCode::UnknownTopicOrPartition;
                write!(
                    f,
                    "topic {topic} does not exist: for {waited:?} the brokers answered {code}"
                )
            }
            Self::InvalidTopic(topic) => match topic_name::check(topic) {
                Err(fault) => write!(f, "no topic can be named \"{}\": {fault}", Shown(topic)),
                Ok(()) => write!(f, "topic {topic}: {REFUSED_NAME}"),
            },
            Self::TopicAuthorization(topic) => {
                write!(
                    f,
                    "not authorized for topic {topic}: the client needs Describe and Write on it"
                )
            }
            Self::Broker { topic, code } => {
                write!(f, "topic {topic}: {}: {}", code.name(), code.message())
            }
            Self::Authentication(message) => write!(f, "authentication failed: {message}"),
            Self::UnsupportedVersion(message) => write!(f, "no shared protocol version: {message}"),
            Self::Closed => write!(f, "the producer was closed while waiting for metadata"),
            Self::ProducerFailed(why) => write!(f, "the producer failed for good: {why}"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl std::error::Error for MetadataError {}

/// Why a flush did not finish.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FlushError {
    /// Time ran out with this many batches unfinished.
    TimedOut {
        /// Batches that were not finished.
        batches: usize,
    },
    /// The call cannot be made here.
    Misuse(Misuse),
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { batches } => {
                write!(f, "the flush timed out with {batches} batches unfinished")
            }
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl std::error::Error for FlushError {}

/// What closing could not finish. The producer is closed all the same.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CloseError {
    /// Records were still undelivered when time ran out; each of their futures says what became of it.
    Undelivered {
        /// How many records.
        records: u64,
    },
    /// The sender thread had failed; the text says why.
    ProducerFailed(Arc<str>),
    /// The producer's thread was told to end and has not: a callback, an interceptor or the compression of a
    /// batch has not returned.
    ThreadRunning,
    /// A plug-in failed while being closed (the first such failure).
    Plugin(Arc<str>),
    /// The call cannot be made here.
    Misuse(Misuse),
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undelivered { records } => {
                write!(
                    f,
                    "the producer was closed with {records} records undelivered"
                )
            }
            Self::ProducerFailed(why) => write!(f, "the producer had failed: {why}"),
            Self::ThreadRunning => f.write_str(
                "the producer's thread did not end: a callback, an interceptor or the compression of a batch has \
                 not returned",
            ),
            Self::Plugin(why) => write!(f, "a plug-in failed while being closed: {why}"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl std::error::Error for CloseError {}
