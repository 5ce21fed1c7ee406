//! Error of `try_send`: returns the record with the reason.

use std::fmt;

use super::record::{ProducerRecord, RecordData};
use super::send_refusal::{SendRefusal, not_taken};
use crate::error::{BoxError, Error, ProduceError, TrySendReason};

/// Error of [`try_send`](crate::KafkaProducer::try_send): the record that was refused, and the reason. `C` is the type
/// of the callback of [`try_send_with_callback`](crate::KafkaProducer::try_send_with_callback).
///
/// It keeps what the record borrows, so it does not implement [`Error`](std::error::Error), which most programs need
/// without a lifetime. `?` turns it into the reason: in a function that returns [`Error`], `Box<dyn Error>`, or
/// [`TrySendReason`]. For an error type that takes only what implements `Error` and is `'static`, such as those of
/// `anyhow` and `eyre`, write `.map_err(TrySendError::into_reason)?`.
///
/// ```
/// use kafka_producer::{KafkaProducer, ProducerRecord};
///
/// fn log(producer: &KafkaProducer<str, str>, line: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let _result = producer.try_send(ProducerRecord::new("lines", line))?;
///     Ok(())
/// }
/// # let (producer, mock) = kafka_producer::testing::MockProducer::builder().topic("lines", 1).build().unwrap();
/// # log(&producer, "x").unwrap();
/// ```
pub struct TrySendError<'a, K: ?Sized + RecordData, V: ?Sized + RecordData, C = ()> {
    pub(super) record: ProducerRecord<'a, K, V>,
    pub(super) reason: TrySendReason,
    pub(super) callback: C,
}

impl<'a, K: ?Sized + RecordData, V: ?Sized + RecordData, C> TrySendError<'a, K, V, C> {
    /// Why the record was refused.
    pub fn reason(&self) -> &TrySendReason {
        &self.reason
    }

    /// Why the record was refused; the record is dropped.
    pub fn into_reason(self) -> TrySendReason {
        self.reason
    }

    /// The record, as it was given.
    pub fn into_record(self) -> ProducerRecord<'a, K, V> {
        self.record
    }

    /// The record and its callback, which was not called.
    pub fn into_parts(self) -> (ProducerRecord<'a, K, V>, C) {
        (self.record, self.callback)
    }
}

impl<'a, K: ?Sized + RecordData, V: ?Sized + RecordData> TrySendError<'a, K, V> {
    /// The same error with the record's callback.
    pub(super) fn with_callback<C>(self, callback: C) -> TrySendError<'a, K, V, C> {
        TrySendError {
            record: self.record,
            reason: self.reason,
            callback,
        }
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData, C> fmt::Debug for TrySendError<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySendError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData, C> fmt::Display for TrySendError<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// Drops the record.
impl<K: ?Sized + RecordData, V: ?Sized + RecordData, C> From<TrySendError<'_, K, V, C>>
    for TrySendReason
{
    fn from(error: TrySendError<'_, K, V, C>) -> Self {
        error.reason
    }
}

/// Drops the record.
impl<K: ?Sized + RecordData, V: ?Sized + RecordData, C> From<TrySendError<'_, K, V, C>> for Error {
    fn from(error: TrySendError<'_, K, V, C>) -> Self {
        error.reason.into()
    }
}

/// Drops the record: the boxed error is the [`TrySendReason`].
impl<K: ?Sized + RecordData, V: ?Sized + RecordData, C> From<TrySendError<'_, K, V, C>>
    for BoxError
{
    fn from(error: TrySendError<'_, K, V, C>) -> Self {
        error.reason.into()
    }
}

/// Drops the record: the boxed error is the [`TrySendReason`].
impl<K: ?Sized + RecordData, V: ?Sized + RecordData, C> From<TrySendError<'_, K, V, C>>
    for Box<dyn std::error::Error>
{
    fn from(error: TrySendError<'_, K, V, C>) -> Self {
        error.reason.into()
    }
}

/// The error that interceptors get for a record that `try_send` did not take.
pub(super) fn as_produce_error(reason: &TrySendReason, topic: &str) -> ProduceError {
    match reason {
        TrySendReason::Record(error) => error.clone(),
        // Interceptors get a `ProduceError`, whatever the reason.
        other => not_taken(topic, other),
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
