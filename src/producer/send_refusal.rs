//! Why `send` refused a record, and the error that interceptors get for it.

use std::fmt;

use super::user_code::error_text;
use crate::error::{
    Delivery, Misuse, ProduceError, ProduceErrorKind, ProduceErrorParts, SendError,
    TransactionErrorKind, TransactionFailure,
};

/// Why `send` refused a record: the error is returned or goes into the future.
#[derive(Debug)]
pub(crate) enum SendRefusal {
    /// The call returns the error, where Java throws it (KP-11, KP-27, KP-28).
    Call(SendError),
    /// The future and the callback get the error, which is an `ApiException` in Java (KP-24).
    Record(ProduceError),
}

impl SendRefusal {
    /// Whether the `record-error` metrics count the refused record. Misuse, an error of the partitioner, a panic and a
    /// closed producer are not counted.
    ///
    /// # Kafka
    /// `KafkaProducer#doSend`, which counts an `ApiException` and any other `KafkaException`, such as a serializer's
    /// error or a failed transaction. A `send` without an open transaction is an `IllegalStateException`, which is not
    /// counted.
    pub(super) fn is_counted(&self) -> bool {
        match self {
            Self::Record(_) | Self::Call(SendError::Serialization { .. }) => true,
            Self::Call(SendError::Transaction(error)) => {
                error.kind() != TransactionErrorKind::WrongState
            }
            Self::Call(_) => false,
        }
    }

    /// The failure for the transaction that the record was sent in: without the record the transaction must not be
    /// committed, whether the error is returned or goes into the future (KAFKA-9279). `None` if the record could not
    /// become part of the transaction, or if the producer is unusable anyway.
    ///
    /// # Kafka
    /// `KafkaProducer#doSend`, which calls `maybeTransitionToErrorState` only for an `ApiException`, which goes into
    /// the future. Differs: an error that the call returns makes the transaction fail as well.
    pub(super) fn transaction_failure(&self) -> Option<TransactionFailure> {
        match self {
            Self::Call(
                SendError::Transaction(_)
                | SendError::Closed
                | SendError::ProducerFailed(_)
                | SendError::Misuse(Misuse::Forked),
            ) => None,
            _ => Some(self.as_lost_record()),
        }
    }

    /// The failure for a transaction that lacks the record.
    fn as_lost_record(&self) -> TransactionFailure {
        let (message, code) = match self {
            Self::Call(error) => (error_text(error), None),
            Self::Record(error) => (error.to_string(), error.code()),
        };
        let message = format!("a record was not taken: {message}");
        TransactionFailure::new(TransactionErrorKind::Abortable, code, message)
    }

    /// The failure for the transaction of a record that is refused with an injected error. A mock producer runs on
    /// after any injected error, so the transaction must fail after `Closed` as well. `None` if the injected error is
    /// `SendError::Transaction`.
    #[cfg(feature = "testing")]
    pub(super) fn injected_failure(error: &SendError) -> Option<TransactionFailure> {
        let is_outside = matches!(error, SendError::Transaction(_));
        (!is_outside).then(|| Self::Call(error.clone()).as_lost_record())
    }
}

impl From<SendError> for SendRefusal {
    fn from(error: SendError) -> Self {
        Self::Call(error)
    }
}

/// The error that interceptors get for a record that the call itself refused.
pub(super) fn not_taken(topic: &str, reason: &dyn fmt::Display) -> ProduceError {
    // The text may come from an error of a serializer or partitioner, and formatting that is user code.
    let message = error_text(reason);
    ProduceErrorParts::new(
        ProduceErrorKind::NotTaken,
        Delivery::NotWritten,
        topic.into(),
        message,
    )
    .build()
}
