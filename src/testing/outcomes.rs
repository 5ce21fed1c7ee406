//! Builders of metadata and errors, which otherwise only a producer creates: for tests of callbacks, interceptors and
//! error handling.

use std::sync::Arc;

use crate::error::{
    BrokerError, Delivery, ErrorCode, ProduceError, ProduceErrorKind, ProduceErrorParts,
    TransactionCall, TransactionError, TransactionErrorKind, TransactionFailure, WaitCause,
};
use crate::producer::record_metadata::{RecordFacts, RecordMetadata};
use crate::types::{PartitionId, TopicPartition};

/// Builder of a [`RecordMetadata`], the result of a record that was written.
///
/// ```
/// use kafka_producer::testing::RecordMetadataBuilder;
///
/// let metadata = RecordMetadataBuilder::new("orders", 3).offset(18).timestamp(1_632_182_400_000).build();
/// assert_eq!(metadata.to_string(), "orders-3@18");
/// assert_eq!(metadata.serialized_key_size(), None);
/// ```
#[derive(Debug, Clone)]
pub struct RecordMetadataBuilder {
    partition: TopicPartition,
    offset: i64,
    facts: RecordFacts,
}

impl RecordMetadataBuilder {
    /// Metadata of a record in this partition, with no other field set.
    pub fn new(topic: impl Into<Arc<str>>, partition: PartitionId) -> Self {
        Self {
            partition: TopicPartition::new(topic, partition),
            offset: -1,
            facts: RecordFacts {
                timestamp_ms: -1,
                key_size: -1,
                value_size: -1,
            },
        }
    }

    /// The record's offset.
    #[must_use]
    pub fn offset(mut self, offset: i64) -> Self {
        self.offset = offset;
        self
    }

    /// The record's timestamp, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.facts.timestamp_ms = millis;
        self
    }

    /// The size of the serialized key in bytes.
    #[must_use]
    pub fn serialized_key_size(mut self, bytes: usize) -> Self {
        self.facts.key_size = i32::try_from(bytes).unwrap_or(i32::MAX);
        self
    }

    /// The size of the serialized value in bytes.
    #[must_use]
    pub fn serialized_value_size(mut self, bytes: usize) -> Self {
        self.facts.value_size = i32::try_from(bytes).unwrap_or(i32::MAX);
        self
    }

    /// Builds the metadata.
    pub fn build(self) -> RecordMetadata {
        RecordMetadata::new(self.partition, self.offset, 0, self.facts)
    }
}

/// Builder of a [`ProduceError`], the result of a record that failed.
///
/// ```
/// use kafka_producer::testing::ProduceErrorBuilder;
/// use kafka_producer::{Delivery, ErrorCode, ProduceErrorKind};
///
/// let error = ProduceErrorBuilder::new(ErrorCode::NotEnoughReplicas, "orders").partition(3).build();
/// assert!(error.is_retriable() && !error.may_be_written());
/// let error = ProduceErrorBuilder::new(ProduceErrorKind::Network, "orders")
///     .delivery(Delivery::MaybeWritten)
///     .build();
/// assert!(error.may_be_written());
/// ```
#[derive(Debug, Clone)]
pub struct ProduceErrorBuilder {
    kind: ProduceErrorKind,
    topic: Arc<str>,
    partition: Option<PartitionId>,
    delivery: Delivery,
    cause: Option<WaitCause>,
    broker_error: Option<BrokerError>,
    message: String,
}

impl ProduceErrorBuilder {
    /// An error of this kind, or a broker's response with this [`ErrorCode`]; the record counts as not written.
    pub fn new(kind: impl Into<ProduceErrorKind>, topic: impl Into<Arc<str>>) -> Self {
        let kind = kind.into();
        let code = match kind {
            ProduceErrorKind::Broker(code) => Some(code),
            ProduceErrorKind::TopicAuthorization => Some(ErrorCode::TopicAuthorizationFailed),
            _ => None,
        };
        Self {
            kind,
            topic: topic.into(),
            partition: None,
            delivery: Delivery::NotWritten,
            cause: None,
            broker_error: code.map(|code| BrokerError::new(code, None, None)),
            message: "made by a test".to_owned(),
        }
    }

    /// The partition that the record was for.
    #[must_use]
    pub fn partition(mut self, partition: PartitionId) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Whether the record may be in the log.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// The reason why the record was still waiting when it timed out.
    #[must_use]
    pub fn cause(mut self, cause: WaitCause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The last error response of a broker, with its message.
    #[must_use]
    pub fn broker_error(mut self, code: ErrorCode, message: impl Into<Arc<str>>) -> Self {
        self.broker_error = Some(BrokerError::new(code, Some(message.into()), None));
        self
    }

    /// The message: a sentence that describes the failure.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Builds the error.
    pub fn build(self) -> ProduceError {
        ProduceErrorParts::new(self.kind, self.delivery, self.topic, self.message)
            .partition(self.partition)
            .cause(self.cause)
            .broker(self.broker_error)
            .build()
    }
}

/// Builder of a [`TransactionError`], for tests of error handling, with or without a
/// [`MockProducer`](super::MockProducer).
///
/// ```
/// use kafka_producer::{TransactionCall, TransactionErrorKind};
/// use kafka_producer::testing::{MockProducer, TransactionErrorBuilder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (producer, mock) = MockProducer::builder().transactional_id("orders-1").build::<str, str>()?;
/// producer.init_transactions()?;
/// producer.begin_transaction()?;
/// let call = TransactionCall::CommitTransaction;
/// let error = TransactionErrorBuilder::new(call, TransactionErrorKind::TimedOut)
///     .may_be_committed()
///     .build();
/// mock.set_commit_transaction_error(error.clone());
/// assert_eq!(producer.commit_transaction(), Err(error));
/// mock.set_commit_transaction_error(None);
/// assert_eq!(producer.commit_transaction(), Ok(()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TransactionErrorBuilder {
    call: TransactionCall,
    failure: TransactionFailure,
}

impl TransactionErrorBuilder {
    /// An error of this kind, returned by this call.
    pub fn new(call: TransactionCall, kind: TransactionErrorKind) -> Self {
        Self {
            call,
            failure: TransactionFailure::new(kind, None, "made by a test"),
        }
    }

    /// The error code of a broker's response.
    #[must_use]
    pub fn code(mut self, code: ErrorCode) -> Self {
        self.failure.code = Some(code);
        self
    }

    /// The message: a sentence that describes the failure.
    #[must_use]
    pub fn message(mut self, message: impl Into<Arc<str>>) -> Self {
        self.failure.message = message.into();
        self
    }

    /// Marks the error of a commit whose result is unknown.
    #[must_use]
    pub fn may_be_committed(mut self) -> Self {
        self.failure.may_be_committed = true;
        self
    }

    /// Builds the error.
    pub fn build(self) -> TransactionError {
        TransactionError::new(self.call, self.failure)
    }
}
