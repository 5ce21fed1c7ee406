//! What is said of a record that could not be taken at once.

use std::fmt;

use super::record::ProducerRecord;
use super::send_attempt::Refusal;
use super::user_code::in_words;
use crate::error::{Delivery, ProduceError, ProduceErrorBuilder, ProduceErrorKind, SendError};

/// A record that [`try_send`](crate::KafkaProducer::try_send) did not take, and why.
pub struct TrySendError<'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    pub(super) record: ProducerRecord<'a, K, V>,
    pub(super) reason: TrySendReason,
}

impl<'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> TrySendError<'a, K, V> {
    /// Why it was not taken.
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

/// Why a record could not be taken without waiting, or at all.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TrySendReason {
    /// The topic's partitions are not known yet, or not the one that the record is for; they have been asked
    /// for.
    TopicNotKnown,
    /// `buffer.memory` is used up for now.
    MemoryFull,
    /// `send` would have returned this error.
    Call(SendError),
    /// The future would have got this error. Also when the last answer of the brokers was that they have no
    /// such topic or partition, or refuse it: they have been asked again, and a later attempt may succeed.
    Record(ProduceError),
}

impl TrySendReason {
    /// Whether it was only a matter of waiting.
    pub fn would_block(&self) -> bool {
        matches!(self, Self::TopicNotKnown | Self::MemoryFull)
    }

    pub(super) fn as_produce_error(&self, topic: &str) -> ProduceError {
        match self {
            Self::Record(error) => error.clone(),
            other => not_taken(topic, other),
        }
    }
}

impl From<Refusal> for TrySendReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Call(error) => Self::Call(error),
            Refusal::Record(error) => Self::Record(error),
        }
    }
}

impl fmt::Display for TrySendReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopicNotKnown => {
                write!(
                    f,
                    "the topic's partitions are not known yet; they have been asked for"
                )
            }
            Self::MemoryFull => write!(f, "buffer.memory is used up for now"),
            Self::Call(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
        }
    }
}

/// What interceptors are told of a record that the call itself refused.
pub(super) fn not_taken(topic: &str, reason: &dyn fmt::Display) -> ProduceError {
    // The words may be those of an error of a serializer or partitioner, which are user code.
    let message = in_words(reason);
    ProduceErrorBuilder::new(
        ProduceErrorKind::NotTaken,
        Delivery::NotWritten,
        topic.into(),
        message,
    )
    .build()
}
