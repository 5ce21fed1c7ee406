//! Error types: one for each operation, cheap to clone and convertible into the umbrella [`Error`].
//!
//! | operation | error |
//! |---|---|
//! | building a configuration | [`ConfigError`] |
//! | constructing a producer | [`ConstructError`] |
//! | `send` (what Kafka's Java producer throws from it) | [`SendError`] |
//! | the result of a record (what its future and callback get) | [`ProduceError`] |
//! | `try_send` | [`TrySendReason`] |
//! | beginning, committing, aborting a transaction | [`TransactionError`] |
//! | reconfiguring metrics reporters | [`ReconfigureError`] |
//! | reloading the files of TLS | [`ReloadTlsError`] |
//! | waiting: `flush`, `close`, `partitions_for` | [`FlushError`], [`CloseError`], [`MetadataError`] |
//!
//! `Display` of an error includes the text of its cause. `source` therefore skips that cause and returns the cause's
//! own `source`, so that a report of the whole chain repeats nothing. The cause itself is a field, for a downcast.

mod closed;
mod code;
mod config;
mod construct;
mod plugin;
mod produce;
mod record;
mod reload_tls;
mod send;
mod transaction;
mod try_send;

use std::fmt;
use std::sync::Arc;

pub(crate) use closed::CLOSED;
pub use closed::ProducerFailure;
pub use code::ErrorCode;
pub use config::{ConfigError, ConfigProblem};
pub use construct::{ConstructError, ConstructStep};
pub use plugin::{PluginKind, ReconfigureError};
pub use produce::{BrokerError, Delivery, ProduceError, ProduceErrorKind, WaitCause};
pub(crate) use produce::{ProduceErrorParts, RecordTimes};
pub use record::RecordError;
pub use reload_tls::ReloadTlsError;
pub(crate) use send::REFUSED_NAME;
pub use send::{CloseError, FlushError, MetadataError, Misuse, RecordPart, SendError};
pub(crate) use transaction::TransactionFailure;
pub use transaction::{TransactionCall, TransactionError, TransactionErrorKind};
pub use try_send::TrySendReason;

/// An error returned by user code, kept as the cause of an error of this library.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A cause that is shared, so that the error that carries it can be cloned.
pub(crate) type SharedError = Arc<dyn std::error::Error + Send + Sync>;

/// Any error of this library, for programs that handle all of them alike.
///
/// ```
/// use kafka_producer::{Error, KafkaProducer, ProducerRecord};
///
/// /// `send`, `get` and `flush` have an error type each; `?` converts all of them.
/// fn save(producer: &KafkaProducer<str, str>, order: &str) -> Result<i64, Error> {
///     let metadata = producer.send(ProducerRecord::new("orders", order))?.get()?;
///     producer.flush()?;
///     Ok(metadata.offset())
/// }
/// # let (producer, _mock) = kafka_producer::testing::MockProducer::builder().build()?;
/// # assert_eq!(save(&producer, "tea")?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    Config(ConfigError),
    /// The producer could not be built.
    Construct(ConstructError),
    /// `send` rejected a record.
    Send(SendError),
    /// `try_send` did not accept a record, because `send` would have waited. `?` and `From` turn its other reasons into
    /// [`Send`](Self::Send) and [`Produce`](Self::Produce).
    TrySend(TrySendReason),
    /// A record was accepted by `send` and failed later.
    Produce(ProduceError),
    /// A flush did not complete.
    Flush(FlushError),
    /// The producer was closed before everything was delivered.
    Close(CloseError),
    /// The partitions of a topic could not be fetched.
    Metadata(MetadataError),
    /// A transactional call failed.
    Transaction(TransactionError),
    /// Metrics reporters could not be reconfigured.
    Reconfigure(ReconfigureError),
    /// The files of TLS could not be reloaded.
    ReloadTls(ReloadTlsError),
}

impl Error {
    /// Whether the same operation may succeed when it is retried unchanged.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Produce(error) | Self::TrySend(TrySendReason::Record(error)) => {
                error.is_retriable()
            }
            Self::Metadata(error) => error.is_retriable(),
            Self::Flush(FlushError::TimedOut { .. }) => true,
            Self::TrySend(reason) => reason.would_block(),
            Self::Transaction(error) => error.is_retriable(),
            _ => false,
        }
    }

    /// Kafka's error code, if an error response of a broker caused the failure: tells a service that a topic does not
    /// exist ([`UnknownTopicOrPartition`](ErrorCode::UnknownTopicOrPartition)) from a cluster that cannot be reached
    /// (`None`).
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Send(SendError::Transaction(error))
            | Self::TrySend(TrySendReason::Call(SendError::Transaction(error)))
            | Self::Transaction(error) => error.code(),
            Self::Produce(error) | Self::TrySend(TrySendReason::Record(error)) => error.code(),
            Self::Metadata(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the record that failed may be in the log all the same.
    pub fn may_be_written(&self) -> bool {
        match self {
            Self::Produce(error) | Self::TrySend(TrySendReason::Record(error)) => {
                error.may_be_written()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Construct(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::TrySend(reason) => reason.fmt(f),
            Self::Produce(error) => error.fmt(f),
            Self::Flush(error) => error.fmt(f),
            Self::Close(error) => error.fmt(f),
            Self::Metadata(error) => error.fmt(f),
            Self::Transaction(error) => error.fmt(f),
            Self::Reconfigure(error) => error.fmt(f),
            Self::ReloadTls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Construct(error) => error.source(),
            Self::Send(error) => error.source(),
            Self::TrySend(reason) => reason.source(),
            Self::Produce(error) => error.source(),
            Self::Flush(error) => error.source(),
            Self::Close(error) => error.source(),
            Self::Metadata(error) => error.source(),
            Self::Transaction(error) => error.source(),
            Self::Reconfigure(error) => error.source(),
            Self::ReloadTls(error) => error.source(),
        }
    }
}

macro_rules! into_umbrella {
    ($($variant:ident($type:ty)),* $(,)?) => {$(
        impl From<$type> for Error {
            fn from(error: $type) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

into_umbrella! {
    Config(ConfigError),
    Construct(ConstructError),
    Send(SendError),
    Produce(ProduceError),
    Flush(FlushError),
    Close(CloseError),
    Metadata(MetadataError),
    Transaction(TransactionError),
    Reconfigure(ReconfigureError),
    ReloadTls(ReloadTlsError),
}

impl From<TrySendReason> for Error {
    fn from(reason: TrySendReason) -> Self {
        match reason {
            TrySendReason::Call(error) => Self::Send(error),
            TrySendReason::Record(error) => Self::Produce(error),
            reason => Self::TrySend(reason),
        }
    }
}
