//! Errors that calls return themselves, not in a future: the exceptions that Java's producer throws.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    CLOSED, ErrorCode, PluginKind, ProducerFailure, RecordError, SharedError, TransactionError,
};
use crate::types::PartitionId;
use crate::types::topic_name::{self, Shown};

/// A call that is not allowed where it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// A blocking call was made inside user code that the producer runs: a callback, an interceptor, a serializer, a
    /// partitioner, a listener, a waker, or a logger on the sender thread. Most of this code runs on the sender thread,
    /// where the call would deadlock. The rule is the same for code that runs on other threads.
    InsideCallback,
    /// The process was forked after the producer was built; the sender thread exists only in the parent.
    Forked,
    /// `send` was called recursively too many times: by a callback that resends a record which fails at once, or by an
    /// interceptor whose own records are intercepted again.
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
                 one before, too many times over; make sure that such code does not send for ever"
            }
            Self::Forked => {
                "the producer was built before this process was forked and its sender thread stayed \
                 behind; build a producer in each process after the fork"
            }
        })
    }
}

/// The key or the value of a record.
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

/// Why `send` rejected a record. Nothing was queued, and the record's callback is not called.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use kafka_producer::testing::MockProducer;
/// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
/// use kafka_producer::{ProducerRecord, SendError};
///
/// producer.close()?;
/// let sent = producer.send(ProducerRecord::new("orders", "tea"));
/// assert!(matches!(sent, Err(SendError::Closed)));
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// What `KafkaProducer#send` throws. The errors that Java puts into the returned future instead (timeouts, records too
/// large, rejected topics) are a [`ProduceError`](super::ProduceError) in the future here too.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SendError {
    /// The producer is closed.
    Closed,
    /// The producer failed for good.
    ProducerFailed(ProducerFailure),
    /// The record's partition or timestamp is invalid.
    Record(RecordError),
    /// A serializer failed.
    Serialization {
        /// The part that was serialized.
        part: RecordPart,
        /// The record's topic.
        topic: Arc<str>,
        /// The serializer's error.
        source: SharedError,
    },
    /// The partitioner failed.
    Partitioner {
        /// The record's topic.
        topic: Arc<str>,
        /// The partitioner's error.
        source: SharedError,
    },
    /// The partitioner returned a partition that the topic does not have.
    PartitionOutOfRange {
        /// The record's topic.
        topic: Arc<str>,
        /// The partition that the partitioner returned.
        partition: PartitionId,
        /// How many partitions the topic has.
        count: usize,
    },
    /// A plug-in panicked, and the panic was caught.
    Panicked {
        /// The plug-in.
        plugin: PluginKind,
        /// The topic of the record.
        topic: Arc<str>,
        /// The panic's message.
        message: Arc<str>,
    },
    /// The call is not allowed where it was made.
    Misuse(Misuse),
    /// The producer is transactional, and no transaction is open for records: none was begun, it is being committed or
    /// aborted, or it must be aborted.
    Transaction(TransactionError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "{CLOSED}; no record can be sent any more"),
            Self::ProducerFailed(failure) => failure.fmt(f),
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
            Self::Transaction(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Serialization { source, .. } | Self::Partitioner { source, .. } => {
                source.source()
            }
            Self::Record(error) => error.source(),
            Self::Transaction(error) => error.source(),
            _ => None,
        }
    }
}

impl From<RecordError> for SendError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

/// Error text for a topic name that brokers reject although it is valid.
pub(crate) const REFUSED_NAME: &str = "the brokers refuse the name, although it follows Kafka's rules; \
     probably there is a topic whose name differs from it only in '.' and '_', which Kafka takes for the \
     same, or a rule of this cluster forbids it";

/// Why the metadata of a topic could not be fetched.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use kafka_producer::testing::MockProducer;
/// use kafka_producer::ErrorCode;
///
/// # let mock = MockProducer::builder().topic("orders", 3).only_named_topics();
/// # let (producer, _mock) = mock.build::<str, str>()?;
/// match producer.partitions_for("order") {
///     Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => eprintln!("misspelled: {error}"),
///     Err(error) if error.is_retriable() => eprintln!("try again later: {error}"),
///     other => drop(other?),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MetadataError {
    /// The timeout passed before a broker returned the topic's metadata: no broker could be reached, or each responded
    /// with an error. `tried` has the attempts.
    TimedOut {
        /// The topic.
        topic: Arc<str>,
        /// How long the call waited.
        waited: Duration,
        /// The attempts and their results.
        tried: Arc<str>,
        /// The last error code that a broker responded with, if there was one.
        code: Option<ErrorCode>,
    },
    /// The timeout passed, and brokers responded meanwhile that the topic does not exist. It may be created later.
    UnknownTopic {
        /// The topic.
        topic: Arc<str>,
        /// How long the call waited.
        waited: Duration,
    },
    /// The name of this topic is invalid, or the brokers reject it; `Display` says which.
    InvalidTopic(Arc<str>),
    /// The client is not authorized to describe the topic.
    TopicAuthorization(Arc<str>),
    /// A broker responded with an error that is not retriable.
    Broker {
        /// The topic.
        topic: Arc<str>,
        /// Kafka's error code.
        code: ErrorCode,
    },
    /// The brokers reject the client's credentials.
    Authentication(Arc<str>),
    /// The brokers support no version of the protocol that this client supports.
    UnsupportedVersion(Arc<str>),
    /// The producer was closed during the call.
    Closed,
    /// The producer failed for good.
    ProducerFailed(ProducerFailure),
    /// The call is not allowed where it was made.
    Misuse(Misuse),
}

impl MetadataError {
    /// Whether the same call may succeed when it is retried.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::UnknownTopic { .. } => true,
            Self::Broker { code, .. } => code.is_retriable(),
            _ => false,
        }
    }

    /// Kafka's error code, if a broker responded with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::TimedOut { code, .. } => *code,
            Self::UnknownTopic { .. } => Some(ErrorCode::UnknownTopicOrPartition),
            Self::Broker { code, .. } => Some(*code),
            // An invalid name is rejected locally: no broker responded with a code.
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
            Self::Closed => write!(f, "{CLOSED}; its metadata is no longer asked for"),
            Self::ProducerFailed(failure) => failure.fmt(f),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl std::error::Error for MetadataError {}

/// Why a flush did not complete.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use kafka_producer::testing::MockProducer;
/// # let (producer, _mock) = MockProducer::builder().topic("orders", 3).build::<str, str>()?;
/// use std::time::Duration;
/// use kafka_producer::FlushError;
///
/// match producer.flush_timeout(Duration::from_secs(5)) {
///     Err(FlushError::TimedOut { batches }) => eprintln!("{batches} batches are still being sent"),
///     other => other?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FlushError {
    /// The timeout passed before all batches were complete.
    TimedOut {
        /// The number of batches that were still incomplete.
        batches: usize,
    },
    /// The call is not allowed where it was made.
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

/// Why `close` did not deliver everything. The producer is closed all the same.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CloseError {
    /// Records were still undelivered when the timeout passed; each future has its record's result.
    Undelivered {
        /// How many records.
        records: u64,
        /// True if a transaction may be open as well, see [`TransactionOpen`](Self::TransactionOpen).
        transaction_open: bool,
    },
    /// The producer had failed for good: its sender thread panicked.
    ProducerFailed(ProducerFailure),
    /// The sender thread was asked to stop and is still running: a callback, an interceptor, a metrics reporter, a
    /// cluster listener, a waker, the logger, or the compression of a batch has not returned. Plug-ins are closed all
    /// the same, and not called any more.
    ThreadRunning,
    /// A transaction was open, or its result was unknown, and the coordinator did not confirm its end in time. This
    /// includes a transaction whose first request was sent but not answered, and the transaction of a producer that
    /// cannot be used any more ([`Fatal`](crate::TransactionErrorKind::Fatal)). It is not returned after
    /// [`Fenced`](crate::TransactionErrorKind::Fenced), when the transaction no longer belongs to this producer. An
    /// open transaction stays open until `transaction.timeout.ms` has passed, or another producer with the same
    /// `transactional.id` is initialized. Consumers with `isolation.level=read_committed` wait for it.
    TransactionOpen,
    /// `close` of a plug-in failed; the text is that of the first such failure.
    Plugin(Arc<str>),
    /// The call is not allowed where it was made.
    Misuse(Misuse),
}

impl CloseError {
    /// True if the coordinator may still have a transaction of the producer open: after
    /// [`TransactionOpen`](Self::TransactionOpen), and after [`Undelivered`](Self::Undelivered) if its
    /// `transaction_open` is true. After [`ProducerFailed`](Self::ProducerFailed) and
    /// [`ThreadRunning`](Self::ThreadRunning) it is not known.
    pub fn leaves_transaction_open(&self) -> bool {
        match self {
            Self::Undelivered {
                transaction_open, ..
            } => *transaction_open,
            Self::TransactionOpen => true,
            _ => false,
        }
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undelivered {
                records,
                transaction_open,
            } => {
                let noun = if *records == 1 { "record" } else { "records" };
                write!(f, "the producer was closed with {records} {noun} undelivered")?;
                if *transaction_open {
                    f.write_str(
                        ", and with a transaction that may still be open: its coordinator aborts it after \
                         transaction.timeout.ms",
                    )?;
                }
                Ok(())
            }
            Self::ProducerFailed(failure) => failure.fmt(f),
            Self::ThreadRunning => f.write_str(
                "the producer's thread did not end: a callback, an interceptor, a metrics reporter, a cluster \
                 listener, a waker, the logger or the compression of a batch has not returned",
            ),
            Self::TransactionOpen => f.write_str(
                "the producer was closed with a transaction that may still be open: its coordinator did not confirm \
                 the end in time, and aborts an open transaction after transaction.timeout.ms",
            ),
            Self::Plugin(why) => write!(f, "a plug-in failed while being closed: {why}"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl std::error::Error for CloseError {}
