//! The errors of a batch that the broker refused, per record if the response names records.
//!
//! The size of the errors is bounded by the batch, not by the response: a response can name one record many times, or
//! records that do not exist, each time with another message.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt::PartitionResponse;
use super::errors::{error_for, no_other_number};
use crate::clock::Instant;
use crate::error::{BrokerError, ErrorCode, ProduceError, ProduceErrorKind};
use crate::producer::batch::SealedBatch;
use crate::producer::produce_request_result::BatchOutcome;
use crate::protocol::BatchIndexAndErrorMessage;
use crate::types::NodeId;

/// Memory for the per-record errors of a batch, in bytes, on top of the batch's own size.
const ERROR_BYTES: usize = 16 * 1024;

/// The approximate size of an error without its message, in bytes.
const ERROR_OVERHEAD: usize = 256;

/// The outcome of a refused batch: one error for all records, or one per record (PB-16, SE-17, SE-18).
pub(super) fn refusal(
    batch: &SealedBatch,
    node: NodeId,
    answer: PartitionResponse,
    now: Instant,
) -> BatchOutcome {
    let PartitionResponse {
        code,
        message,
        record_errors,
        ..
    } = answer;
    let topic = batch.topic_partition().topic();
    let kind = ProduceErrorKind::from(code);
    let sentence = match code {
        ErrorCode::TopicAuthorizationFailed => {
            format!("the client may not write to topic {topic}: it needs the Write permission")
        }
        ErrorCode::ClusterAuthorizationFailed => {
            "the client may not write idempotently; grant IdempotentWrite, or set \
             enable.idempotence=false"
                .to_owned()
        }
        ErrorCode::MessageTooLarge if batch.record_count() == 1 => format!(
            "the record alone makes a batch of {} bytes, more than the topic's max.message.bytes \
             allows: make it smaller, or raise the limit",
            batch.size_bytes()
        ),
        ErrorCode::OutOfOrderSequenceNumber => no_other_number(batch.delivery()).to_owned(),
        _ => "the broker refused the batch".to_owned(),
    };
    let error = |kind: ProduceErrorKind, sentence: String, words: Option<Arc<str>>| {
        error_for(batch, kind, batch.delivery(), sentence, now)
            .broker(Some(BrokerError::new(code, words, Some(node))))
            .build()
    };
    let names = names(record_errors, batch.record_count());
    if names.is_empty() {
        return BatchOutcome::Failed(error(kind, sentence, message));
    }
    // If several records were refused, the response's single error code need not apply to each of them (SE-18).
    let kind = match names.len() {
        1 => kind,
        _ => ProduceErrorKind::Broker(ErrorCode::InvalidRecord),
    };
    let one = |words| {
        let sentence = "the broker refused the record".to_owned();
        error(kind.clone(), sentence, words)
    };
    let named = share(
        names,
        message.clone(),
        ERROR_BYTES + batch.size_bytes(),
        one,
    );
    let rest = error(
        ProduceErrorKind::Broker(ErrorCode::InvalidRecord),
        "the broker refused another record of the same batch; send this record again without that one"
            .to_owned(),
        message,
    );
    BatchOutcome::FailedByRecord { named, rest }
}

/// A refused record: its index in the batch, and the broker's message.
type Name = (u32, Option<Arc<str>>);

/// The refused records, by ascending index without duplicates. The first of several errors for a record is kept.
fn names(errors: Vec<BatchIndexAndErrorMessage>, record_count: u32) -> Vec<Name> {
    let place = |wrong: &BatchIndexAndErrorMessage| {
        let at = u32::try_from(wrong.batch_index).ok()?;
        (at < record_count).then_some(at)
    };
    let mut names: Vec<Name> = errors
        .into_iter()
        .filter_map(|wrong| place(&wrong).map(|at| (at, wrong.message)))
        .collect();
    // Stable, so that `dedup_by_key` keeps the error that was named first.
    names.sort_by_key(|(at, _)| *at);
    names.dedup_by_key(|(at, _)| *at);
    // The capacity was for all errors of the response, also for those that were dropped.
    names.shrink_to_fit();
    names
}

/// One error per record, shared by records with the same message. A record without a message, or with one that does not
/// fit into the remaining `bytes`, gets the batch's message, if there is one.
fn share(
    names: Vec<Name>,
    of_batch: Option<Arc<str>>,
    mut bytes: usize,
    error: impl Fn(Option<Arc<str>>) -> ProduceError,
) -> Vec<(u32, ProduceError)> {
    let mut errors: BTreeMap<Arc<str>, ProduceError> = BTreeMap::new();
    let unsaid = error(of_batch);
    let named = names.into_iter().map(|(at, words)| {
        let Some(words) = words else {
            return (at, unsaid.clone());
        };
        if let Some(known) = errors.get(&words) {
            return (at, known.clone());
        }
        let needed = ERROR_OVERHEAD + words.len();
        if needed > bytes {
            return (at, unsaid.clone());
        }
        bytes -= needed;
        let new = error(Some(Arc::clone(&words)));
        errors.insert(words, new.clone());
        (at, new)
    });
    named.collect()
}
