//! An attempt to send a batch: its result, its effect on the batch, and the error if it was the last attempt.

use std::sync::Arc;

use super::errors::error_for;
use crate::clock::Instant;
use crate::compress::CompressionType;
use crate::error::{BrokerError, ErrorCode, ProduceError, ProduceErrorKind};
use crate::planted::planted;
use crate::producer::batch::{BatchFate, SealedBatch};
use crate::protocol::{BatchIndexAndErrorMessage, PartitionProduceResponse};
use crate::types::NodeId;

/// The result of one batch's attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The broker answered for the batch.
    Answered(PartitionResponse),
    /// The connection was lost, or the response lacks the batch. `handed_over` is true if a byte of the request was
    /// written to a socket.
    Lost { handed_over: bool, reason: Arc<str> },
    /// The batch was never sent: the broker supports no version of the request that can contain it.
    Unsupported(Arc<str>),
    /// The batch was never sent: it cannot be converted to the message format that the brokers support. The reason
    /// names the remedy.
    Inconvertible(Arc<str>),
    /// The batch was never sent: authentication failed.
    Unauthenticated(Arc<str>),
}

/// A broker's response for one batch.
///
/// # Kafka
/// `ProduceResponse.PartitionResponse`.
#[derive(Debug)]
pub(super) struct PartitionResponse {
    pub(super) code: ErrorCode,
    pub(super) base_offset: i64,
    pub(super) log_append_time_ms: i64,
    pub(super) log_start_offset: i64,
    pub(super) record_errors: Vec<BatchIndexAndErrorMessage>,
    pub(super) message: Option<Arc<str>>,
}

impl PartitionResponse {
    /// Success without an offset: acks=0 (SE-11).
    pub(super) const SENT: Self = Self {
        code: ErrorCode::NoError,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: Vec::new(),
        message: None,
    };
}

impl From<PartitionProduceResponse> for PartitionResponse {
    fn from(response: PartitionProduceResponse) -> Self {
        Self {
            code: response.error,
            base_offset: response.base_offset,
            log_append_time_ms: response.log_append_time_ms,
            log_start_offset: response.log_start_offset,
            record_errors: response.record_errors,
            message: response.error_message,
        }
    }
}

impl Attempt {
    /// The error code that decides whether to retry; a lost connection counts as `NETWORK_EXCEPTION` (SE-12).
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Answered(answer) => answer.code,
            Self::Lost { .. } => ErrorCode::NetworkException,
            Self::Unsupported(_) | Self::Inconvertible(_) => ErrorCode::UnsupportedVersion,
            Self::Unauthenticated(_) => ErrorCode::SaslAuthenticationFailed,
        }
    }
}

/// Records an attempt's error and fate in its batch, for the error of its futures and for the retry decision.
pub(super) fn note_attempt(
    batch: &mut SealedBatch,
    attempt: &Attempt,
    node: NodeId,
    acks: i16,
    now: Instant,
) {
    match attempt {
        Attempt::Answered(answer) if answer.code != ErrorCode::NoError => {
            batch.note_error(BrokerError::new(
                answer.code,
                answer.message.clone(),
                Some(node),
            ));
            // `note_fate` keeps the worst fate of all attempts: once an attempt may have written the batch, later ones
            // do not change that.
            if may_follow_append(answer.code, acks) && !planted!(DisputedCalledNotWritten) {
                batch.note_fate(BatchFate::Disputed);
            }
        }
        Attempt::Lost {
            handed_over,
            reason,
        } => {
            batch.note_failure(Arc::clone(reason));
            if *handed_over {
                batch.note_fate(BatchFate::Unknown);
            } else {
                batch.mark_not_sent(now);
            }
        }
        Attempt::Unsupported(_) | Attempt::Inconvertible(_) | Attempt::Unauthenticated(_) => {
            batch.mark_not_sent(now);
        }
        Attempt::Answered(_) => {}
    }
}

/// Whether a broker may respond with this code after it has appended the batch to its log.
///
/// With acks=all a broker writes first and then waits for its replicas. If the wait fails, or leadership moves
/// meanwhile, the response is an error, and the batch may nevertheless stay in the log.
fn may_follow_append(code: ErrorCode, acks: i16) -> bool {
    match code {
        ErrorCode::UnknownServerError
        | ErrorCode::RequestTimedOut
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::KafkaStorageError
        | ErrorCode::NetworkException => true,
        ErrorCode::NotLeaderOrFollower
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::LeaderNotAvailable
        | ErrorCode::ReplicaNotAvailable
        | ErrorCode::FencedLeaderEpoch
        | ErrorCode::UnknownLeaderEpoch => acks == -1,
        _ => false,
    }
}

pub(super) fn describe(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Answered(answer) => match &answer.message {
            Some(message) => format!("{}: {message}", answer.code.name()),
            None => answer.code.name().to_owned(),
        },
        Attempt::Lost { reason, .. } => reason.to_string(),
        Attempt::Unsupported(why) | Attempt::Inconvertible(why) | Attempt::Unauthenticated(why) => {
            why.to_string()
        }
    }
}

/// The error of a batch whose last attempt got no response.
pub(super) fn lost(batch: &SealedBatch, attempt: &Attempt, now: Instant) -> ProduceError {
    let kind = match attempt {
        Attempt::Unsupported(_) if batch.codec() == CompressionType::Zstd => {
            let message = format!(
                "compression.type=zstd needs brokers of 2.1 or later: {}; choose another codec, or upgrade \
                 the broker",
                describe(attempt)
            );
            let kind = ProduceErrorKind::UnsupportedCompressionType;
            return error_for(batch, kind, batch.delivery(), message, now).build();
        }
        Attempt::Inconvertible(_)
            // For a batch with a sequence number, the reason is not the codec but idempotence, which older formats do
            // not support.
            if batch.codec() == CompressionType::Zstd && !batch.has_sequence() =>
        {
            ProduceErrorKind::UnsupportedCompressionType
        }
        Attempt::Unsupported(_) | Attempt::Inconvertible(_) => ProduceErrorKind::UnsupportedVersion,
        Attempt::Unauthenticated(_) => ProduceErrorKind::Authentication,
        _ => ProduceErrorKind::Network,
    };
    error_for(batch, kind, batch.delivery(), describe(attempt), now).build()
}
