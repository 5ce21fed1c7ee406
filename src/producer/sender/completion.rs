//! Completion of produce requests: each batch is completed, retried, split or failed.

use std::sync::Arc;

use crate::planted::planted;
use crate::util::log::{debug, info, trace, warn};

use super::attempt::{Attempt, PartitionResponse, describe, note_attempt};
use super::in_flight::{InFlightBatch, UnansweredBatch};
use super::{Completion, EndedBatch, Produced, Sender};
use crate::client::kafka_client::{ClientResponse, KafkaClient, Outcome};
use crate::clock::Instant;
use crate::error::ErrorCode;
use crate::producer::accumulator::EntryIndex;
use crate::producer::batch::SealedBatch;
use crate::producer::produce_request_result::BatchOutcome;
use crate::producer::transaction::{Lane, RetryReason};
use crate::protocol::{ProduceResponse, Response, TopicProduceResponse};
use crate::types::NodeId;
use crate::util::backoff::SHORTEST_BACKOFF;

impl<C: KafkaClient<Completion>> Sender<C> {
    pub(super) fn handle_response(&mut self, response: ClientResponse<Completion>, now: Instant) {
        let ClientResponse {
            node,
            tag,
            version,
            created,
            received,
            outcome,
        } = response;
        trace!(
            self.options.log,
            "node {node}: a request of version {version} completed after {:?}",
            received - created
        );
        // Requests that were lost with their connection have no latency, as in Java.
        if let (Completion::Produce(_), Outcome::Response(_)) = (&tag, &outcome) {
            self.metrics.record_latency(node, received - created, now);
        }
        match tag {
            Completion::Produce(batches) => self.handle_produce(node, batches, outcome, now),
            Completion::Transaction(id) => self.handle_transactional_outcome(id, outcome, now),
        }
    }

    fn handle_produce(
        &mut self,
        node: NodeId,
        batches: Vec<Produced>,
        outcome: Outcome,
        now: Instant,
    ) {
        match outcome {
            Outcome::Response(Response::Produce(response)) => {
                self.handle_produce_response(node, batches, response, now);
            }
            Outcome::Response(other) => {
                // The broker has received the request, so the batches may be written: a retry must keep their sequence
                // numbers.
                let reason: Arc<str> =
                    format!("the response was not a Produce response: {other:?}").into();
                self.settle_all(batches, now, || Attempt::Lost {
                    handed_over: true,
                    reason: Arc::clone(&reason),
                });
            }
            // Fire and forget (acks=0): the broker sends no response, so a batch is complete once its bytes are in the
            // socket.
            Outcome::Sent => {
                self.settle_all(batches, now, || Attempt::Answered(PartitionResponse::SENT));
            }
            Outcome::Disconnected {
                handed_over,
                reason,
            } => {
                trace!(
                    self.options.log,
                    "a request to node {node} was lost: {reason}",
                );
                self.settle_all(batches, now, || Attempt::Lost {
                    handed_over,
                    reason: Arc::clone(&reason),
                });
            }
            Outcome::UnsupportedVersion(why) | Outcome::Unwritable(why) => {
                if let Some(left_out) = self.log_limit.admit(now) {
                    warn!(
                        self.options.log,
                        "node {node} cannot take the request: {why}{left_out}",
                    );
                }
                // Not retriable: the request was not sent, and another request to the same broker would fail in the
                // same way.
                self.settle_all(batches, now, || Attempt::Unsupported(Arc::clone(&why)));
            }
            Outcome::Authentication(why) => {
                self.settle_all(batches, now, || Attempt::Unauthenticated(Arc::clone(&why)));
            }
        }
    }

    fn settle_all(
        &mut self,
        batches: Vec<Produced>,
        now: Instant,
        mut attempt: impl FnMut() -> Attempt,
    ) {
        for produced in batches {
            self.settle_batch(produced, attempt(), now);
        }
    }

    /// Matches the partitions of a response with the batches of its request. Brokers list partitions in the order of
    /// the request, so each match takes one step. In a response with another order, each partition is searched for.
    fn handle_produce_response(
        &mut self,
        node: NodeId,
        batches: Vec<Produced>,
        response: ProduceResponse,
        now: Instant,
    ) {
        // A slot is emptied when its partition is answered, so a batch completes once even if the response names its
        // partition twice.
        let mut waiting: Vec<Option<Produced>> = batches.into_iter().map(Some).collect();
        let mut cursor = 0;
        let mut unknown = None;
        for TopicProduceResponse { name, partitions } in response.topics {
            for partition in partitions {
                match self.find(&mut waiting, &mut cursor, &name, partition.index) {
                    Some(produced) => {
                        self.settle_batch(produced, Attempt::Answered(partition.into()), now);
                    }
                    // A response can contain many unknown partitions; only one is logged.
                    None if unknown.is_none() => unknown = Some((name.clone(), partition.index)),
                    None => {}
                }
            }
        }
        if let Some((name, partition)) = unknown {
            if let Some(left_out) = self.log_limit.admit(now) {
                warn!(
                    self.options.log,
                    "node {node} answered for {name}-{partition}, which the request did not name{left_out}",
                );
            }
        }
        // These batches are missing in the response. They count as lost, and may be retried. Java leaves them in flight
        // until they time out (SE-36).
        for produced in waiting.into_iter().flatten() {
            if let Some(left_out) = self.log_limit.admit(now) {
                warn!(
                    self.options.log,
                    "node {node} did not answer for one of the request's partitions{left_out}",
                );
            }
            let reason = "the response did not name the partition".into();
            self.settle_batch(
                produced,
                Attempt::Lost {
                    handed_over: true,
                    reason,
                },
                now,
            );
        }
    }

    fn find(
        &self,
        waiting: &mut [Option<Produced>],
        cursor: &mut usize,
        topic: &str,
        partition: i32,
    ) -> Option<Produced> {
        let is_it = |produced: &Option<Produced>| {
            let name = produced
                .as_ref()
                .and_then(|p| self.drainer.topic_partition(p.index));
            name.is_some_and(|name| name.partition() == partition && name.topic() == topic)
        };
        let has_number = |produced: &Option<Produced>| {
            let name = produced
                .as_ref()
                .and_then(|p| self.drainer.topic_partition(p.index));
            name.is_some_and(|name| name.partition() == partition)
        };
        let at = if waiting
            .get(*cursor)
            .is_some_and(|next| is_it(next) || planted!(BlindAnswerByNumber) && has_number(next))
        {
            // The usual case: the response is in request order.
            *cursor
        } else {
            waiting.iter().position(is_it)?
        };
        *cursor = at + 1;
        waiting[at].take()
    }

    /// Handles the result of an attempt to send one batch, which is in flight or has expired already (SE-13).
    pub(super) fn settle_batch(&mut self, produced: Produced, attempt: Attempt, now: Instant) {
        let Some(tracked) = self.in_flight.take(produced.id) else {
            debug_assert!(false, "a response for a batch that is not in flight");
            return;
        };
        let code = attempt.code();
        match tracked {
            UnansweredBatch::Expired(_) if planted!(LateResponseCompletesNewer) => {
                if let Some(newer) = self.in_flight.take_any() {
                    self.settle_live(newer, attempt, now);
                }
            }
            // The response came after `delivery.timeout.ms`, when the futures had failed already. Only the sequence
            // bookkeeping uses it: the response may make an epoch bump of the partition unnecessary.
            UnansweredBatch::Expired(summary) => {
                let is_written = matches!(
                    code,
                    ErrorCode::NoError | ErrorCode::DuplicateSequenceNumber
                );
                if let (true, Attempt::Answered(answer), Some(transactions)) =
                    (is_written, &attempt, &mut self.transactions)
                {
                    transactions.handle_completed(
                        produced.index,
                        &summary,
                        answer.base_offset,
                        now,
                    );
                }
            }
            UnansweredBatch::Live(live) => {
                self.settle_live(live, attempt, now);
                // The partition may be drained again only now: the batch has ended, or is back in the queue in front of
                // later ones.
                if self.options.guarantee_order {
                    self.drainer.unmute(produced.index, now);
                }
            }
        }
        // Most often the cause is a leader election: the new leader should be known when the back-off of the retry is
        // over.
        if code.is_invalid_metadata() && !planted!(RefusalAsksForNoMetadata) {
            self.shared.metadata.request_update();
        }
    }

    fn settle_live(&mut self, live: InFlightBatch, attempt: Attempt, now: Instant) {
        let InFlightBatch {
            index,
            node,
            mut batch,
            ..
        } = live;
        let code = attempt.code();
        // Noted first, because both retry and failure depend on the batch's fate (not written, disputed, unknown).
        note_attempt(&mut batch, &attempt, node, self.options.acks, now);
        match attempt {
            Attempt::Answered(answer) if code == ErrorCode::NoError => {
                self.complete_batch(index, batch, &answer, now);
            }
            Attempt::Answered(_)
                // A single record cannot be split; it falls through to `fail_attempt`.
                if code == ErrorCode::MessageTooLarge && batch.record_count() > 1 =>
            {
                self.split_batch(index, node, batch, attempt, now);
            }
            attempt if self.may_retry(index, &batch, &attempt, now) => {
                self.retry_batch(index, batch, &attempt, now);
            }
            // Duplicate sequence: an earlier attempt appended this very batch. It is in the log, but the broker no
            // longer remembers its offset.
            Attempt::Answered(answer)
                if code == ErrorCode::DuplicateSequenceNumber && !planted!(DuplicateFails) =>
            {
                self.complete_batch(index, batch, &answer, now);
            }
            attempt => self.fail_attempt(index, node, batch, attempt, now),
        }
    }

    /// Whether a batch is retried: its delivery timeout has not passed, retries are left, and the error is retriable
    /// (SE-15).
    fn may_retry(
        &mut self,
        index: EntryIndex,
        batch: &SealedBatch,
        attempt: &Attempt,
        now: Instant,
    ) -> bool {
        if self.is_overdue(batch, now) || batch.attempts() >= self.options.retries {
            return false;
        }
        let code = attempt.code();
        match (&mut self.transactions, attempt) {
            // With idempotence some codes depend on sequence state: OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID.
            (Some(transactions), Attempt::Answered(answer)) => {
                transactions.may_retry(index, &batch.summary(), code, answer.log_start_offset)
            }
            _ => code.is_retriable(),
        }
    }

    fn retry_batch(
        &mut self,
        index: EntryIndex,
        mut batch: Box<SealedBatch>,
        attempt: &Attempt,
        now: Instant,
    ) {
        self.log_retry(index, &batch, attempt, now);
        if let Some(transactions) = &mut self.transactions {
            // The sequence entry stays in flight: nothing new of the partition is sent before this batch.
            transactions.handle_returned(index, &batch.summary());
            // For the error of a commit or an abort that times out while it waits for this batch.
            if transactions.is_completing() {
                let partition = batch.topic_partition();
                let reason = format!("{partition}: {}", describe(attempt));
                transactions.note_retry_reason(Lane::Batches, RetryReason::new(reason));
            }
        }
        // `attempts` does not count this attempt yet: the first retry waits for the initial back-off.
        let wait = self.backoff.backoff(batch.attempts(), self.random.f64());
        batch.mark_retried(now, common_moment(now + wait));
        self.shared.counters.retried(batch.record_count());
        self.metrics.record_retry(&batch, now);
        self.drainer.reenqueue(index, batch, now);
    }

    fn log_retry(
        &mut self,
        index: EntryIndex,
        batch: &SealedBatch,
        attempt: &Attempt,
        now: Instant,
    ) {
        let partition = batch.topic_partition();
        let log = &self.options.log;
        if planted!(EachRetryLogged) {
            warn!(log, "{partition}: trying a batch again");
        }
        // One warning per partition and error code until the partition recovers: with a warning for each retry, a
        // broker that is down would flood the log.
        if !self.retry_log.retried(index, attempt.code(), now) {
            let left = self.options.retries - batch.attempts() - 1;
            debug!(
                log,
                "{partition}: trying a batch again ({left} attempts left) after {}",
                describe(attempt)
            );
        } else if let Some(left_out) = self.log_limit.admit(now) {
            warn!(
                log,
                "{partition}: batches are tried again after {}{left_out}",
                describe(attempt)
            );
        }
    }

    /// Splits a batch that the broker refused with `MESSAGE_TOO_LARGE` into batches of at most half its uncompressed
    /// size, and queues these. Their retries count from zero (SE-14).
    ///
    /// # Kafka
    /// `RecordAccumulator#splitAndReenqueue`. Differs: each split really makes the batches smaller, also
    /// when `batch.size` is above the broker's limit (KAFKA-8350).
    fn split_batch(
        &mut self,
        index: EntryIndex,
        node: NodeId,
        batch: Box<SealedBatch>,
        attempt: Attempt,
        now: Instant,
    ) {
        let (size, records) = (batch.size_bytes(), batch.record_count());
        let split = match batch.split(self.shared.accumulator.pool(), now) {
            Ok(split) => split,
            Err(batch) => return self.fail_attempt(index, node, batch, attempt, now),
        };
        if let Some(left_out) = self.log_limit.admit(now) {
            warn!(
                self.options.log,
                "node {node} refused a batch of {records} records and {size} bytes as too large: splitting it \
                 into {}; batch.size is above the topic's max.message.bytes{left_out}",
                split.pieces().len()
            );
        }
        if let Some(transactions) = &mut self.transactions {
            // The pieces share the sequence range of the whole batch, in order.
            transactions.handle_split(index, &split);
        }
        self.shared.counters.split();
        self.metrics.record_split(now);
        // Replaced before `release` ends the whole batch, so that at any time a `flush` waits for the whole batch or
        // for its pieces.
        self.shared.accumulator.replace_by_pieces(&split);
        for piece in split.release() {
            self.drainer.reenqueue(index, Box::new(piece), now);
        }
    }

    /// Completes a written batch. Sequence bookkeeping comes first; futures are completed and memory is freed when all
    /// responses of the poll are handled (SE-19).
    fn complete_batch(
        &mut self,
        index: EntryIndex,
        batch: Box<SealedBatch>,
        answer: &PartitionResponse,
        now: Instant,
    ) {
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_completed(index, &batch.summary(), answer.base_offset, now);
        }
        if let Some(recovery) = self.retry_log.acknowledged(index, now) {
            if let Some(left_out) = self.log_limit.admit(now) {
                info!(
                    self.options.log,
                    "{}: a batch was acknowledged after {} retries in {:?}{left_out}",
                    batch.topic_partition(),
                    recovery.retries,
                    recovery.lasted
                );
            }
        }
        // The callbacks run later, in `complete_ended`: user code must not run in the middle of the responses of a
        // poll.
        self.shared.counters.acknowledged(batch.record_count());
        let outcome = BatchOutcome::Written {
            base_offset: answer.base_offset,
            log_append_time_ms: answer.log_append_time_ms,
        };
        self.ended.push(EndedBatch { batch, outcome });
    }
}

/// Rounds a retry time up to a multiple of the shortest back-off, the same for all partitions: retries to one node then
/// share a request, so that a node gets at most a hundred requests with retries a second, however many partitions it
/// has.
fn common_moment(earliest: Instant) -> Instant {
    let step = SHORTEST_BACKOFF.as_nanos() as u64;
    let nanos = earliest.as_nanos().div_ceil(step).saturating_mul(step);
    Instant::from_nanos(nanos)
}
