//! A batch that the broker refused: what each of its records is told.
//!
//! What is kept of an answer is bounded by what was asked: an answer can name a record over and over, records
//! that there are not, and each with other words.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::completion::Answer;
use super::errors::{error_for, no_other_number};
use crate::clock::Instant;
use crate::error::{BrokerError, ErrorCode, ProduceError, ProduceErrorKind};
use crate::producer::batch::SealedBatch;
use crate::producer::produce_request_result::BatchOutcome;
use crate::protocol::RecordError;
use crate::types::NodeId;

/// What the errors of a small batch's records may take, beyond as much as the batch itself.
const ERROR_BYTES: usize = 16 * 1024;

/// About what an error takes without its words.
const ERROR_OVERHEAD: usize = 256;

/// The broker refused the batch: what each record is told (PB-16, SE-17, SE-18).
pub(super) fn refusal(
    batch: &SealedBatch,
    node: NodeId,
    answer: Answer,
    now: Instant,
) -> BatchOutcome {
    let Answer {
        code,
        message,
        record_errors,
        ..
    } = answer;
    let topic = batch.topic_partition().topic();
    let kind = match code {
        ErrorCode::TopicAuthorizationFailed => ProduceErrorKind::TopicAuthorization,
        ErrorCode::InvalidTopicException => ProduceErrorKind::InvalidTopic,
        code => ProduceErrorKind::Broker(code),
    };
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
    // Several: the one code cannot be right for each (SE-18).
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
        "the record was in a batch with one that the broker refused; send it again without that one"
            .to_owned(),
        message,
    );
    BatchOutcome::FailedByRecord { named, rest }
}

/// A record that is refused, by its place, and why.
type Name = (u32, Option<Arc<str>>);

/// The records of the batch that are named, ascending, each as it is named first.
fn names(errors: Vec<RecordError>, record_count: u32) -> Vec<Name> {
    let place = |wrong: &RecordError| {
        let at = u32::try_from(wrong.batch_index).ok()?;
        (at < record_count).then_some(at)
    };
    let mut names: Vec<Name> = errors
        .into_iter()
        .filter_map(|wrong| place(&wrong).map(|at| (at, wrong.message)))
        .collect();
    names.sort_by_key(|(at, _)| *at);
    names.dedup_by_key(|(at, _)| *at);
    // There was room for all that the answer named.
    names.shrink_to_fit();
    names
}

/// An error for each, and the same one where the words are. When the bytes are used up, those that follow get
/// what is said of the batch, or nothing but that they were refused.
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
