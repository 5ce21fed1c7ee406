//! What can go wrong, for whom, and what to do about it: one type per operation, each cheap to clone
//! and each convertible into the umbrella [`Error`].
//!
//! | operation | error |
//! |---|---|
//! | building a configuration | [`ConfigError`] |
//! | constructing a producer | [`ConstructError`] |
//! | handing a record over (what Kafka's Java producer throws from `send`) | [`SendError`] |
//! | a record's fate (what its future and callback get) | [`ProduceError`] |
//! | waiting: `flush`, `close`, `partitions_for` | [`FlushError`], [`CloseError`], [`MetadataError`] |

mod code;
mod config;
mod construct;
mod plugin;
mod produce;
mod record;
mod send;

use std::fmt;
use std::sync::Arc;

pub use code::ErrorCode;
pub use config::ConfigError;
pub use construct::{ConstructError, ConstructStep};
pub use plugin::PluginKind;
pub use produce::{BrokerError, Delivery, ProduceError, ProduceErrorKind, WaitCause};
pub(crate) use produce::{ProduceErrorBuilder, RecordTimes};
pub use record::RecordError;
pub(crate) use send::REFUSED_NAME;
pub use send::{CloseError, FlushError, MetadataError, Misuse, RecordPart, SendError};

/// An error of the user's own code, kept as the cause of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A cause that can be cloned along with the error that carries it.
pub(crate) type SharedError = Arc<dyn std::error::Error + Send + Sync>;

/// Any error of this library: for programs that handle them all alike.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    Config(ConfigError),
    /// The producer could not be built.
    Construct(ConstructError),
    /// A record was not taken.
    Send(SendError),
    /// A record was taken and then failed.
    Produce(ProduceError),
    /// A flush did not finish.
    Flush(FlushError),
    /// The producer was closed before everything was delivered.
    Close(CloseError),
    /// A topic's partitions could not be learned.
    Metadata(MetadataError),
}

impl Error {
    /// Whether doing the same again may succeed without anything being changed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Produce(error) => error.is_retriable(),
            Self::Metadata(error) => error.is_retriable(),
            Self::Flush(FlushError::TimedOut { .. }) => true,
            _ => false,
        }
    }

    /// Whether the record it speaks of may be in the log.
    pub fn may_be_written(&self) -> bool {
        matches!(self, Self::Produce(error) if error.may_be_written())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Construct(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Produce(error) => error.fmt(f),
            Self::Flush(error) => error.fmt(f),
            Self::Close(error) => error.fmt(f),
            Self::Metadata(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Construct(error) => error.source(),
            Self::Send(error) => error.source(),
            Self::Produce(error) => error.source(),
            Self::Flush(error) => error.source(),
            Self::Close(error) => error.source(),
            Self::Metadata(error) => error.source(),
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
}
