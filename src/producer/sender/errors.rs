//! Builders for the errors of a batch's futures.

use std::sync::Arc;

use crate::clock::Instant;
use crate::error::{Delivery, ProduceErrorKind, ProduceErrorParts};
use crate::producer::batch::SealedBatch;

/// The message for a batch that cannot be given a new sequence number.
pub(super) fn no_other_number(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::MaybeWritten => {
            "the broker refuses the batch with its sequence number, because records before it are missing; with \
             another number it could be written twice, because an earlier attempt may be in the log"
        }
        Delivery::NotWritten => {
            "the broker has lost its state of this producer, and has written later batches of the \
             partition: this one would come after them"
        }
    }
}

pub(super) fn error_for(
    batch: &SealedBatch,
    kind: ProduceErrorKind,
    delivery: Delivery,
    message: String,
    now: Instant,
) -> ProduceErrorParts {
    let partition = batch.topic_partition();
    ProduceErrorParts::new(
        kind,
        delivery,
        Arc::clone(partition.shared_topic()),
        message,
    )
    .partition(Some(partition.partition()))
    .broker(batch.last_error().cloned())
    .last_failure(batch.last_failure().cloned())
    .times(batch.times(now))
}
