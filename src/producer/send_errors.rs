//! Constructors of the errors of refused records: kind, text, topic, partition.

use std::sync::Arc;
use std::time::Duration;

use super::accumulator::{TopicEntry, TransactionNumber};
use super::core::{Core, Excess};
use super::metadata::TopicState;
use super::send_refusal::SendRefusal;
use super::topic_lookup::TopicLookupError;
use super::user_code::UserCodeFailure;
use crate::client::metadata::{FatalMetadataError, TopicError};
use crate::error::{
    BrokerError, Delivery, ErrorCode, PluginKind, ProduceError, ProduceErrorKind,
    ProduceErrorParts, REFUSED_NAME, SendError, TransactionCall, TransactionError,
    TransactionErrorKind, TransactionFailure,
};
use crate::planted::planted;
use crate::types::PartitionId;

/// Context of a refused record's errors.
pub(super) struct RefusedRecord<'r> {
    pub(super) core: &'r Core,
    pub(super) topic: &'r str,
    /// The partition that the record names.
    pub(super) wanted: Option<PartitionId>,
    /// The chosen partition, or else `wanted`.
    pub(super) partition: Option<PartitionId>,
    /// How long the call waits at most: `max.block.ms`, or what was left of the call's own timeout.
    pub(super) limit: Option<Duration>,
}

impl RefusedRecord<'_> {
    /// The error if a broker lacks record format v2, whose sequence numbers idempotence needs (RA-7, PB-11).
    pub(super) fn idempotence_and_old_brokers(&self) -> SendRefusal {
        let kind = ProduceErrorKind::UnsupportedVersion;
        self.error(kind, IDEMPOTENCE_AND_OLD_BROKERS.to_owned())
    }

    /// The error if a broker lacks record format v2, which zstd needs (PB-9).
    pub(super) fn zstd_and_old_brokers(&self) -> SendRefusal {
        let kind = ProduceErrorKind::UnsupportedCompressionType;
        self.error(kind, ZSTD_AND_OLD_BROKERS.to_owned())
    }

    fn topic_refused(&self, error: TopicError) -> SendRefusal {
        let (kind, message, code) = match error {
            TopicError::Invalid => (
                ProduceErrorKind::InvalidTopic,
                REFUSED_NAME,
                ErrorCode::InvalidTopicException,
            ),
            TopicError::Unauthorized => (
                ProduceErrorKind::TopicAuthorization,
                "the client may not use the topic: it needs the Describe and Write permissions",
                ErrorCode::TopicAuthorizationFailed,
            ),
        };
        self.broker_error(kind, message.to_owned(), Some(code))
    }

    /// The error if no metadata request can succeed.
    fn fatal_error(&self, fatal: &FatalMetadataError) -> SendRefusal {
        let (kind, why) = match fatal {
            FatalMetadataError::Authentication(why) => (ProduceErrorKind::Authentication, why),
            FatalMetadataError::UnsupportedVersion(why) => {
                (ProduceErrorKind::UnsupportedVersion, why)
            }
        };
        self.error(kind, why.to_string())
    }

    /// The error of a failed metadata wait (KP-40).
    #[cold]
    pub(super) fn topic_lookup_error(&self, why: TopicLookupError) -> SendRefusal {
        match why {
            // The name is checked only for an unknown topic: the name of a known topic is valid.
            TopicLookupError::Name(fault) => {
                let message = format!("no topic can have this name: {fault}");
                self.error(ProduceErrorKind::InvalidTopic, message)
            }
            TopicLookupError::Closed => self.core.closed().into(),
            TopicLookupError::Refused(error) => self.topic_refused(error),
            TopicLookupError::Fatal(fatal) => self.fatal_error(&fatal),
            TopicLookupError::TimedOut(state) => self.topic_not_found(&state, &self.within()),
        }
    }

    /// The error if the metadata lacks the topic, or the partition that the record names. `within` names the timeout,
    /// if one expired.
    pub(super) fn topic_not_found(&self, state: &TopicState, within: &str) -> SendRefusal {
        let wanted = self.wanted;
        let mut message = match (wanted, state.partitions) {
            (Some(wanted), Some(count)) => format!(
                "partition {wanted} did not appear{within}: the topic has {count} partitions"
            ),
            _ => format!("the topic was not found{within}"),
        };
        // A broker's error code is added by `broker_error`.
        if state.last_code.is_none() && (wanted.is_none() || state.partitions.is_none()) {
            message = format!("{message}: {state}");
        } else if let (Some(_), Some(ago)) = (state.last_code, state.response_age) {
            message = format!(
                "{message}; a broker was last asked {} ms ago and is being asked again",
                ago.as_millis()
            );
        } else if let Some(failure) = &state.last_failure {
            message = format!("{message}; the last request for metadata failed: {failure}");
        }
        let kind = if state.is_missing(wanted) {
            ProduceErrorKind::UnknownTopicOrPartition
        } else {
            ProduceErrorKind::MetadataTimeout
        };
        self.broker_error(kind, message, state.last_code)
    }

    /// Buffer exhausted: `max.block.ms` expired before memory was allocated (BP-8).
    pub(super) fn memory_timeout(&self) -> SendRefusal {
        let pool = self.core.accumulator.pool();
        let message = format!(
            "no memory{}: {} of {} bytes (buffer.memory) are free and {} threads wait; the brokers take records more \
             slowly than they are sent",
            self.within(),
            pool.available_bytes(),
            pool.total_bytes(),
            pool.waiting()
        );
        self.error(ProduceErrorKind::BufferExhausted, message)
    }

    /// The timeout that has passed, and the key that sets it unless the call did.
    fn within(&self) -> String {
        let max_block = self.core.config.max_block();
        match self.limit {
            Some(limit) if limit < max_block => {
                let left = limit.as_millis();
                format!(" within the {left} ms left of the call's timeout")
            }
            _ => format!(" within max.block.ms ({} ms)", max_block.as_millis()),
        }
    }

    fn error(&self, kind: ProduceErrorKind, message: String) -> SendRefusal {
        self.broker_error(kind, message, None)
    }

    fn broker_error(
        &self,
        kind: ProduceErrorKind,
        message: String,
        code: Option<ErrorCode>,
    ) -> SendRefusal {
        let topic = Arc::from(self.topic);
        SendRefusal::Record(
            ProduceErrorParts::new(kind, Delivery::NotWritten, topic, message)
                .partition(self.partition)
                .broker(code.map(|code| BrokerError::new(code, None, None)))
                .build(),
        )
    }
}

const IDEMPOTENCE_AND_OLD_BROKERS: &str = "a broker of the cluster is older than 0.11 and does not \
     support idempotent producers; set enable.idempotence=false, or upgrade the broker";

const ZSTD_AND_OLD_BROKERS: &str = "compression.type=zstd needs brokers of 2.1 or later, and a broker of the \
     cluster is older than 0.11; choose another compression.type, or upgrade the broker";

/// Puts the transaction of a refused record into the abortable error state, if it is still open. A later transaction is
/// not affected.
#[cold]
pub(super) fn make_transaction_abortable(
    core: &Core,
    of: TransactionNumber,
    refusal: &SendRefusal,
) {
    apply_failure(core, of, refusal.transaction_failure());
}

/// As [`make_transaction_abortable`], for an injected error of a mock producer.
#[cfg(feature = "testing")]
pub(super) fn make_abortable_by_injected_error(
    core: &Core,
    of: TransactionNumber,
    error: &SendError,
) {
    apply_failure(core, of, SendRefusal::injected_failure(error));
}

fn apply_failure(core: &Core, of: TransactionNumber, failure: Option<TransactionFailure>) {
    let Some(transactions) = &core.transactions else {
        return;
    };
    if let Some(failure) = failure {
        if !planted!(RefusedRecordCommitted) {
            // The sender must stop sending batches of a transaction that can only be aborted.
            transactions.make_abortable(of, &failure);
            core.waker.wake();
        }
    }
}

pub(super) fn outside_transaction(core: &Core, failure: TransactionFailure) -> SendRefusal {
    match failure.kind {
        // A closed producer returns the same error with and without transactions.
        TransactionErrorKind::Closed => core.closed().into(),
        _ => SendError::Transaction(TransactionError::new(TransactionCall::Send, failure)).into(),
    }
}

/// The error for a partition that the partitioner returned and the topic does not have. Java 3.0 does not check this
/// (KP-35).
#[cold]
pub(super) fn out_of_range(topic: &TopicEntry, partition: PartitionId) -> SendRefusal {
    let count = topic.partition_count();
    let topic = Arc::clone(topic.name());
    SendError::PartitionOutOfRange {
        topic,
        partition,
        count,
    }
    .into()
}

#[cold]
pub(super) fn panicked(plugin: PluginKind, topic: Arc<str>, failure: UserCodeFailure) -> SendError {
    SendError::Panicked {
        plugin,
        topic,
        message: failure.into_words().into(),
    }
}

#[cold]
pub(super) fn too_large(
    topic: &TopicEntry,
    partition: PartitionId,
    excess: Excess,
) -> ProduceError {
    let Excess { size, limit, key } = excess;
    ProduceErrorParts::new(
        ProduceErrorKind::RecordTooLarge { size, limit, key },
        Delivery::NotWritten,
        Arc::clone(topic.name()),
        format!("the record takes up to {size} bytes, {key} allows {limit}"),
    )
    .partition(Some(partition))
    .build()
}
