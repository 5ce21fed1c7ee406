//! Why a record was not taken, and what interceptors are told of it.

use std::fmt;

use super::user_code::in_words;
use crate::error::{Delivery, ProduceError, ProduceErrorBuilder, ProduceErrorKind, SendError};

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Returned by the call: what Java throws (KP-11, KP-27, KP-28).
    Call(SendError),
    /// Goes into the future and the callback: what Java calls an `ApiException` (KP-24).
    Record(ProduceError),
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self::Call(error)
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
