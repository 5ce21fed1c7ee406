//! Why `try_send` did not accept a record.

use std::fmt;

use super::{ProduceError, SendError};

/// Why [`try_send`](crate::KafkaProducer::try_send) did not accept a record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TrySendReason {
    /// The topic's partitions, or the one that the record names, are not known yet. Their metadata has been requested.
    TopicNotKnown,
    /// `buffer.memory` is used up for now.
    MemoryFull,
    /// `send` would have returned this error.
    Call(SendError),
    /// The future of `send` would have returned this error. This is also the reason if, according to the last metadata
    /// response, the topic or partition does not exist or access to it is refused. The metadata has then been requested
    /// again, and a later attempt may succeed.
    Record(ProduceError),
}

impl TrySendReason {
    /// Whether `send` would have waited: the record may be accepted later.
    pub fn would_block(&self) -> bool {
        matches!(self, Self::TopicNotKnown | Self::MemoryFull)
    }
}

impl fmt::Display for TrySendReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopicNotKnown => {
                write!(
                    f,
                    "the topic's partitions are not known yet; they have been requested"
                )
            }
            Self::MemoryFull => write!(f, "buffer.memory is used up for now"),
            Self::Call(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendReason {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => error.source(),
            Self::Record(error) => error.source(),
            Self::TopicNotKnown | Self::MemoryFull => None,
        }
    }
}
