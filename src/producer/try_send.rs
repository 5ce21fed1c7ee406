//! Error of `try_send`: returns the record with the reason.

use std::fmt;

use super::record::ProducerRecord;
use super::send_refusal::{SendRefusal, not_taken};
use crate::error::{ProduceError, SendError};

/// Error of [`try_send`](crate::KafkaProducer::try_send): the record that was refused, and the reason.
pub struct TrySendError<'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    pub(super) record: ProducerRecord<'a, K, V>,
    pub(super) reason: TrySendReason,
}

impl<'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> TrySendError<'a, K, V> {
    /// Why the record was refused.
    pub fn reason(&self) -> &TrySendReason {
        &self.reason
    }

    /// The record, as it was given.
    pub fn into_record(self) -> ProducerRecord<'a, K, V> {
        self.record
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> fmt::Debug for TrySendError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySendError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> fmt::Display for TrySendError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> std::error::Error for TrySendError<'_, K, V> {}

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

    pub(super) fn as_produce_error(&self, topic: &str) -> ProduceError {
        match self {
            Self::Record(error) => error.clone(),
            // Interceptors get a `ProduceError`, whatever the reason.
            other => not_taken(topic, other),
        }
    }
}

impl From<SendRefusal> for TrySendReason {
    fn from(refusal: SendRefusal) -> Self {
        match refusal {
            SendRefusal::Call(error) => Self::Call(error),
            SendRefusal::Record(error) => Self::Record(error),
        }
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
