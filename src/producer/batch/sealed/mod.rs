//! A sealed batch: closed, packed and owned by the sender, with the bookkeeping of its attempts.

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
use crate::producer::thunks::{CompletedBatch, SpareVector, Thunks};
use crate::producer::user_code::Fence;
use crate::record::builder::batch_size_upper_bound;
use crate::record::builder::{BatchFacts, ProducerState};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::legacy::LegacyMagic;
use crate::types::{Magic, ProducerIdAndEpoch, TopicPartition};
pub(crate) use convert::EncodedBatch;
pub(crate) use split::SplitBatch;

/// A sealed batch: in flight, or queued for a retry.
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
    /// Number of retries so far.
    attempts: u32,
    /// How often the batch was drained and sent, on its own or as part of a batch that was split.
    times_drained: u32,
    /// When the batch was opened, or last queued for a retry.
    waiting_since: Instant,
    /// The end of the retry back-off.
    retry_at: Instant,
    /// When the current attempt began; `None` while the batch is queued.
    drained: Option<Instant>,
    /// Time in queues, up to the last drain.
    queued: Duration,
    /// Time in flight of the attempts that have ended.
    in_flight: Duration,
    fate: BatchFate,
    troubles: Option<Box<Troubles>>,
}

/// Whether the batch may be in the log, by the results of its completed attempts.
// Ordered from best to worst: the worst attempt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BatchFate {
    /// Each attempt was rejected before the broker wrote the batch, or sent no byte of it.
    NotWritten,
    /// An attempt got an error that brokers also return after they have written the batch.
    Disputed,
    /// An attempt got no response: the broker may have written the batch, or may still write it.
    Unknown,
}

/// The errors of failed attempts. Boxed: few batches have any.
#[derive(Debug, Clone, Default)]
struct Troubles {
    /// The last error response.
    error: Option<BrokerError>,
    /// Why an attempt after that one got no response.
    failure: Option<Arc<str>>,
}

impl SealedBatch {
    /// Seals a filled batch, for sending. Boxed, because from now on it is moved between queues.
    ///
    /// Compresses the batch on this thread if no other thread has packed it yet.
    ///
    /// # Panics
    /// If the batch's own records cannot be packed: a defect.
    #[inline]
    pub(crate) fn seal(filled: FilledBatch) -> Box<Self> {
        if !filled.needs_packing() {
            return Self::seal_as_it_is(filled);
        }
        // Not packed yet: drained while it was open, or before the thread that filled it took it out to pack it.
        let filled = filled.packed();
        assert!(!filled.needs_packing(), "{UNWRITABLE}");
        Self::seal_as_it_is(filled)
    }

    /// Seals a batch that fails without being sent: it is not packed.
    pub(crate) fn seal_to_fail(filled: FilledBatch) -> Box<Self> {
        Self::seal_as_it_is(filled)
    }

    #[inline]
    fn seal_as_it_is(filled: FilledBatch) -> Box<Self> {
        let (lease, format) = match filled.body {
            FilledBody::Ready { lease, format } => (lease, format),
            // Not packed, and never sent: only its facts, callbacks and times are needed to fail it.
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
            fate: BatchFate::NotWritten,
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

    /// The batch's result, which its futures share.
    pub(crate) fn result(&self) -> &Arc<ProduceRequestResult> {
        &self.result
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.facts.record_count
    }

    /// The number of retries.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match self.magic() {
            Magic::V2 => RECORD_BATCH_OVERHEAD + self.body.len(),
            Magic::V0 | Magic::V1 => self.body.len(),
        }
    }

    /// The format that the batch is written in.
    pub(crate) fn magic(&self) -> Magic {
        self.format
            .as_ref()
            .map_or(Magic::V2, |format| format.magic())
    }

    /// Compressed size divided by uncompressed size; 1 without compression.
    ///
    /// # Kafka
    /// `ProducerBatch#compressionRatio`.
    pub(crate) fn compression_ratio(&self) -> f32 {
        self.format.as_ref().map_or(1.0, |format| format.ratio)
    }

    /// Upper bound, in bytes, of the size of the largest record in a batch of its own.
    ///
    /// # Kafka
    /// `ProducerBatch#maxRecordSize`.
    pub(crate) fn largest_record_bytes(&self) -> usize {
        let payload = self.facts.max_payload_len;
        match LegacyMagic::of(self.magic()) {
            None => batch_size_upper_bound(payload),
            // The payload length includes at least three bytes of varints (the lengths of key and value, the number of
            // headers), which old formats do not have.
            Some(magic) => {
                let is_compressed = self.codec() != CompressionType::None;
                magic.set_size_upper_bound(is_compressed, 0, payload.saturating_sub(3))
            }
        }
    }

    /// The time from the batch's creation to its last drain.
    ///
    /// # Kafka
    /// `ProducerBatch#queueTimeMs`.
    pub(crate) fn queue_time(&self) -> Duration {
        self.drained.unwrap_or(self.created) - self.created
    }

    /// The compression codec of the batch's records.
    pub(crate) fn codec(&self) -> CompressionType {
        self.facts.codec
    }

    pub(crate) fn producer_state(&self) -> Option<ProducerState> {
        Some(self.state).filter(|state| state.producer.is_valid())
    }

    pub(crate) fn has_sequence(&self) -> bool {
        self.producer_state().is_some()
    }

    /// Assigns producer id, epoch and base sequence.
    pub(crate) fn assign(&mut self, state: ProducerState) {
        self.state = state;
    }

    /// Assigns another epoch and base sequence after an epoch bump. Only the header differs. The batch must not be in
    /// flight, and it must be certain that no attempt has written it.
    pub(crate) fn rewrite(&mut self, state: ProducerState) {
        self.state = state;
        self.fate = BatchFate::NotWritten;
    }

    /// Starts an attempt: the batch leaves the queue.
    pub(crate) fn mark_drained(&mut self, now: Instant) {
        self.queued += now - self.waiting_since;
        self.times_drained += 1;
        self.drained = Some(now);
    }

    /// Takes back an attempt of which no byte was sent.
    pub(crate) fn mark_not_sent(&mut self, now: Instant) {
        // The time since it was drained counts as queued, and no attempt is counted.
        if let Some(drained) = self.drained.take() {
            self.times_drained -= 1;
            self.queued += now - drained;
            self.waiting_since = now;
        }
    }

    /// Ends an attempt and schedules a retry, not before `retry_at` (RA-27).
    pub(crate) fn mark_retried(&mut self, now: Instant, retry_at: Instant) {
        // `created` stays: `delivery.timeout.ms` counts from the first append, across all attempts.
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

    /// The end of the retry back-off.
    pub(crate) fn retry_at(&self) -> Instant {
        self.retry_at
    }

    /// Ends an attempt: adds its time in flight.
    pub(crate) fn mark_returned(&mut self, now: Instant) {
        // `take`, so that a second call adds nothing.
        if let Some(drained) = self.drained.take() {
            self.in_flight += now - drained;
        }
    }

    /// Notes whether the attempt may have written the batch.
    pub(crate) fn note_fate(&mut self, of_attempt: BatchFate) {
        // One attempt that may have written the batch decides, whatever the responses to later attempts are.
        self.fate = self.fate.max(of_attempt);
    }

    /// Notes the error response of an attempt.
    pub(crate) fn note_error(&mut self, error: BrokerError) {
        self.troubles = Some(Box::new(Troubles {
            error: Some(error),
            failure: None,
        }));
    }

    /// Notes why an attempt got no response.
    pub(crate) fn note_failure(&mut self, why: Arc<str>) {
        self.troubles.get_or_insert_default().failure = Some(why);
    }

    pub(crate) fn last_failure(&self) -> Option<&Arc<str>> {
        self.troubles.as_ref()?.failure.as_ref()
    }

    pub(crate) fn last_error(&self) -> Option<&BrokerError> {
        self.troubles.as_ref()?.error.as_ref()
    }

    /// Whether attempts before the current one may have written the batch.
    pub(crate) fn fate(&self) -> BatchFate {
        self.fate
    }

    /// Whether the batch may be in the log, by the results of the attempts before the current one.
    pub(crate) fn delivery(&self) -> Delivery {
        match self.fate {
            BatchFate::NotWritten => Delivery::NotWritten,
            BatchFate::Disputed | BatchFate::Unknown => Delivery::MaybeWritten,
        }
    }

    /// The batch's number of attempts, and the times that it was queued and in flight, up to now.
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

    /// Returns the batch's memory to the pool, unless a socket still reads it. The batch cannot be sent any more.
    pub(crate) fn return_memory(&mut self) {
        self.body = Bytes::new();
    }

    /// Completes the batch, always in this order: memory is returned to the pool, the outcome is published,
    /// interceptors and callbacks run in the order of sending, waiters are released (PB-15). Returns the emptied vector
    /// of the callbacks, if there were any, for another batch.
    pub(crate) fn end(
        self,
        outcome: BatchOutcome,
        listener: Option<&dyn AcknowledgementListener>,
    ) -> Option<SpareVector> {
        let Self {
            body,
            result,
            thunks,
            ..
        } = self;
        // Memory first: a callback that sends again may need it. The sockets' references may still keep it leased.
        drop(body);
        // Published before the callbacks run: `get` inside a callback returns it.
        result.publish(outcome);
        if planted!(WaiterReleasedBeforeCallback) {
            result.release_waiters();
        }
        let spare = if thunks.is_empty() {
            thunks.into_spare()
        } else {
            let outcome = result.published_outcome().expect("published above");
            thunks.run(CompletedBatch {
                partition: result.topic_partition(),
                outcome,
                listener,
                fence: Fence::of(result.instance()),
            })
        };
        result.release_waiters();
        spare
    }
}

/// Summary of a batch, kept after its completion or used where the batch itself cannot be borrowed: enough to keep the
/// sequence numbers of its partition consistent.
#[derive(Debug, Clone)]
pub(crate) struct BatchSummary {
    pub(crate) id: BatchId,
    pub(crate) topic_partition: TopicPartition,
    pub(crate) state: ProducerState,
    pub(crate) record_count: u32,
    pub(crate) fate: BatchFate,
}

impl BatchSummary {
    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        self.state.producer
    }
}
