//! A batch that takes no more records: the sender's alone.

mod convert;
mod split;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::BatchId;
use super::filled::{FilledBatch, FilledBody, PackedFormat, UNWRITABLE};
use crate::clock::Instant;
use crate::compress::CompressionType;
use crate::error::{BrokerError, Delivery, RecordTimes};
use crate::planted::planted;
use crate::producer::interceptor::AcknowledgementListener;
use crate::producer::produce_request_result::{BatchOutcome, ProduceRequestResult};
use crate::producer::thunks::{BatchEnd, Thunks};
use crate::producer::user_code::Fence;
use crate::record::builder::{BatchFacts, ProducerState};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::types::{Magic, ProducerIdAndEpoch, TopicPartition};
pub(crate) use convert::EncodedBatch;
pub(crate) use split::SplitBatch;

/// A batch that is complete in itself: queued for another attempt, or in flight.
///
/// # Kafka
/// `ProducerBatch` once its builder is closed.
#[derive(Debug)]
pub(crate) struct SealedBatch {
    id: BatchId,
    created: Instant,
    facts: BatchFacts,
    body: Bytes,
    /// `None` for format v2 without compression.
    format: Option<Box<PackedFormat>>,
    result: Arc<ProduceRequestResult>,
    thunks: Thunks,
    state: ProducerState,
    /// Retries that were used up.
    attempts: u32,
    /// How often it left the queue and was sent, on its own or as part of a batch that was split.
    times_drained: u32,
    waiting_since: Instant,
    retry_at: Instant,
    drained: Option<Instant>,
    queued: Duration,
    in_flight: Duration,
    fate: Fate,
    troubles: Option<Box<Troubles>>,
}

/// What the attempts of a batch that have ended tell of whether it is in the log.
// Ordered: what is later is worse, and the worst attempt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Each was refused before the broker wrote, or no byte of it was handed over.
    NotWritten,
    /// One was answered with an error that brokers also give after they have written.
    Disputed,
    /// One ended without an answer: the broker may have written it, or may still come to it.
    Unknown,
}

/// How attempts ended that failed. In a box: few batches have any.
#[derive(Debug, Clone, Default)]
struct Troubles {
    /// The last error answer.
    error: Option<BrokerError>,
    /// How an attempt ended that was not answered, if that came later.
    failure: Option<Arc<str>>,
}

impl SealedBatch {
    /// Makes a filled batch ready for connections. In a box, because from now on it is handed from place
    /// to place.
    ///
    /// Takes as long as a codec does, if nobody has packed it yet.
    ///
    /// # Panics
    /// If its records, which were written here, cannot be read here: a defect.
    pub(crate) fn seal(filled: FilledBatch) -> Box<Self> {
        if !filled.needs_packing() {
            return Self::seal_as_it_is(filled);
        }
        let filled = filled.packed();
        assert!(!filled.needs_packing(), "{UNWRITABLE}");
        Self::seal_as_it_is(filled)
    }

    /// Takes over a batch that will fail without being sent: it is not packed for that.
    pub(crate) fn seal_to_fail(filled: FilledBatch) -> Box<Self> {
        Self::seal_as_it_is(filled)
    }

    #[inline]
    fn seal_as_it_is(filled: FilledBatch) -> Box<Self> {
        let (lease, format) = match filled.body {
            FilledBody::Ready { lease, format } => (lease, format),
            FilledBody::Staged { lease, .. } => (lease, None),
        };
        Box::new(Self {
            id: filled.id,
            created: filled.created,
            facts: filled.facts,
            body: lease.into_bytes(),
            format,
            result: filled.result,
            thunks: filled.thunks,
            state: ProducerState::NONE,
            attempts: 0,
            times_drained: 0,
            waiting_since: filled.created,
            retry_at: filled.created,
            drained: None,
            queued: Duration::ZERO,
            in_flight: Duration::ZERO,
            fate: Fate::NotWritten,
            troubles: None,
        })
    }

    pub(crate) fn id(&self) -> BatchId {
        self.id
    }

    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        self.result.topic_partition()
    }

    /// What its futures wait for.
    pub(crate) fn result(&self) -> &Arc<ProduceRequestResult> {
        &self.result
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.facts.record_count
    }

    /// Times it was tried again.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match self.magic() {
            Magic::V2 => RECORD_BATCH_OVERHEAD + self.body.len(),
            Magic::V0 | Magic::V1 => self.body.len(),
        }
    }

    /// The format it is written in.
    pub(crate) fn magic(&self) -> Magic {
        self.format
            .as_ref()
            .map_or(Magic::V2, |format| format.magic())
    }

    /// How its records are compressed.
    pub(crate) fn codec(&self) -> CompressionType {
        self.facts.codec
    }

    pub(crate) fn producer_state(&self) -> Option<ProducerState> {
        Some(self.state).filter(|state| state.producer.is_valid())
    }

    pub(crate) fn has_sequence(&self) -> bool {
        self.producer_state().is_some()
    }

    /// Gives the batch its place among the producer's batches.
    pub(crate) fn assign(&mut self, state: ProducerState) {
        self.state = state;
    }

    /// Gives the batch another place after its producer's epoch has changed. Only the header will
    /// differ. No attempt of it may be under way, and it must be certain that none has written it.
    pub(crate) fn rewrite(&mut self, state: ProducerState) {
        self.state = state;
        self.fate = Fate::NotWritten;
    }

    /// It leaves the queue for a connection.
    pub(crate) fn mark_drained(&mut self, now: Instant) {
        self.queued += now - self.waiting_since;
        self.times_drained += 1;
        self.drained = Some(now);
    }

    /// It left the queue, and not one byte of it was sent: that was no attempt, but more waiting.
    pub(crate) fn mark_not_sent(&mut self, now: Instant) {
        if let Some(drained) = self.drained.take() {
            self.times_drained -= 1;
            self.queued += now - drained;
            self.waiting_since = now;
        }
    }

    /// It comes back to the queue, to be tried again from `retry_at` on (RA-27).
    pub(crate) fn mark_retried(&mut self, now: Instant, retry_at: Instant) {
        self.mark_returned(now);
        self.attempts += 1;
        if planted!(ExpiredBatchRetried) {
            self.created = now;
        }
        self.waiting_since = now;
        self.retry_at = if planted!(RetriedAtOnce) {
            now
        } else {
            retry_at
        };
    }

    /// The earliest moment of the next attempt.
    pub(crate) fn retry_at(&self) -> Instant {
        self.retry_at
    }

    /// Adds the time under way so far.
    pub(crate) fn mark_returned(&mut self, now: Instant) {
        if let Some(drained) = self.drained.take() {
            self.in_flight += now - drained;
        }
    }

    /// An attempt ended like that.
    pub(crate) fn note_fate(&mut self, of_attempt: Fate) {
        self.fate = self.fate.max(of_attempt);
    }

    /// An attempt was answered with an error.
    pub(crate) fn note_error(&mut self, error: BrokerError) {
        self.troubles = Some(Box::new(Troubles {
            error: Some(error),
            failure: None,
        }));
    }

    /// An attempt ended without an answer.
    pub(crate) fn note_failure(&mut self, why: Arc<str>) {
        self.troubles.get_or_insert_default().failure = Some(why);
    }

    pub(crate) fn last_failure(&self) -> Option<&Arc<str>> {
        self.troubles.as_ref()?.failure.as_ref()
    }

    pub(crate) fn last_error(&self) -> Option<&BrokerError> {
        self.troubles.as_ref()?.error.as_ref()
    }

    /// What attempts before the present one tell.
    pub(crate) fn fate(&self) -> Fate {
        self.fate
    }

    /// Whether the batch may be in the log, as far as attempts before the present one tell.
    pub(crate) fn delivery(&self) -> Delivery {
        match self.fate {
            Fate::NotWritten => Delivery::NotWritten,
            Fate::Disputed | Fate::Unknown => Delivery::MaybeWritten,
        }
    }

    /// How often it was handed over, and how long it lay and flew, up to now.
    pub(crate) fn times(&self, now: Instant) -> RecordTimes {
        let (mut queued, mut in_flight) = (self.queued, self.in_flight);
        match self.drained {
            Some(drained) => in_flight += now - drained,
            None => queued += now - self.waiting_since,
        }
        RecordTimes {
            attempts: self.times_drained,
            queued,
            in_flight,
        }
    }

    pub(crate) fn summary(&self) -> BatchSummary {
        BatchSummary {
            id: self.id,
            topic_partition: self.topic_partition().clone(),
            state: self.state,
            record_count: self.facts.record_count,
            fate: self.fate,
        }
    }

    /// Ends the batch: its records are written.
    pub(crate) fn complete(
        self,
        base_offset: i64,
        log_append_time_ms: i64,
        listener: Option<&dyn AcknowledgementListener>,
    ) {
        self.finish(
            BatchOutcome::Written {
                base_offset,
                log_append_time_ms,
            },
            listener,
        );
    }

    /// Ends the batch: its records failed.
    pub(crate) fn fail(
        self,
        outcome: BatchOutcome,
        listener: Option<&dyn AcknowledgementListener>,
    ) {
        debug_assert!(!matches!(outcome, BatchOutcome::Written { .. }));
        self.finish(outcome, listener);
    }

    /// Publishes the outcome, lets interceptors and callbacks have it in order of sending, gives the
    /// memory back, and only then releases who waits (PB-15).
    fn finish(self, outcome: BatchOutcome, listener: Option<&dyn AcknowledgementListener>) {
        let Self {
            body,
            result,
            thunks,
            ..
        } = self;
        // Memory first: a callback that sends again may need it.
        drop(body);
        result.publish(outcome);
        if planted!(WaiterReleasedBeforeCallback) {
            result.release_waiters();
        }
        if !thunks.is_empty() {
            let outcome = result.published_outcome().expect("published above");
            thunks.run(BatchEnd {
                partition: result.topic_partition(),
                outcome,
                listener,
                fence: Fence::of(result.instance()),
            });
        }
        result.release_waiters();
    }
}

/// What remains of a batch when the batch itself is gone, or must not be held: enough to keep the
/// sequences of its partition right.
#[derive(Debug, Clone)]
pub(crate) struct BatchSummary {
    pub(crate) id: BatchId,
    pub(crate) topic_partition: TopicPartition,
    pub(crate) state: ProducerState,
    pub(crate) record_count: u32,
    pub(crate) fate: Fate,
}

impl BatchSummary {
    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        self.state.producer
    }
}
