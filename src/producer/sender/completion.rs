//! Answers into outcomes: done, once more, or failed.

use std::sync::Arc;

use crate::planted::planted;
use crate::util::log::{debug, info, trace, warn};

use super::in_flight::{InFlightBatch, Tracked};
use super::{Completion, Produced, Sender};
use crate::client::kafka_client::{ClientResponse, KafkaClient, Outcome};
use crate::clock::Instant;
use crate::error::{BrokerError, ErrorCode};
use crate::producer::accumulator::EntryIndex;
use crate::producer::batch::{Fate, SealedBatch};
use crate::protocol::{
    PartitionProduceResponse, ProduceResponse, RecordError, Response, TopicProduceResponse,
};
use crate::types::NodeId;
use crate::util::backoff::SHORTEST_BACKOFF;

/// What became of one batch's attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The broker answered for the batch.
    Answered(Answer),
    /// The connection ended, or the answer did not speak of the batch.
    Lost { handed_over: bool, reason: Arc<str> },
    /// It was never sent: the broker knows no version of the request that can carry it.
    Unsupported(Arc<str>),
    /// It was never sent: it cannot be written in the format that the brokers take, for the reason given, which
    /// names the remedy.
    Inconvertible(Arc<str>),
    /// It was never sent: the broker does not accept the client.
    Unauthenticated(Arc<str>),
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: ErrorCode,
    pub(super) base_offset: i64,
    pub(super) log_append_time_ms: i64,
    pub(super) log_start_offset: i64,
    pub(super) record_errors: Vec<RecordError>,
    pub(super) message: Option<Arc<str>>,
}

impl Answer {
    /// Success with nothing known of where: acks=0 (SE-11).
    const SENT: Self = Self {
        code: ErrorCode::NoError,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: Vec::new(),
        message: None,
    };
}

impl From<PartitionProduceResponse> for Answer {
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
    /// The code that decides what to do next; a lost connection is one of Kafka's own (SE-12).
    fn code(&self) -> ErrorCode {
        match self {
            Self::Answered(answer) => answer.code,
            Self::Lost { .. } => ErrorCode::NetworkException,
            Self::Unsupported(_) | Self::Inconvertible(_) => ErrorCode::UnsupportedVersion,
            Self::Unauthenticated(_) => ErrorCode::SaslAuthenticationFailed,
        }
    }
}

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
            "node {node}: a request of version {version} came to its end after {:?}",
            received - created
        );
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
                let reason: Arc<str> =
                    format!("the answer was not a Produce response: {other:?}").into();
                self.settle_all(batches, now, || Attempt::Lost {
                    handed_over: true,
                    reason: Arc::clone(&reason),
                });
            }
            Outcome::Sent => self.settle_all(batches, now, || Attempt::Answered(Answer::SENT)),
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
            Outcome::UnsupportedVersion(why) => {
                if let Some(left_out) = self.log_limit.admit(now) {
                    warn!(
                        self.options.log,
                        "node {node} cannot take the request: {why}{left_out}",
                    );
                }
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

    /// Matches the answer's partitions with the request's batches. Brokers answer in the order of the
    /// request, so this is one step for each; an answer in another order is searched.
    fn handle_produce_response(
        &mut self,
        node: NodeId,
        batches: Vec<Produced>,
        response: ProduceResponse,
        now: Instant,
    ) {
        let mut waiting: Vec<Option<Produced>> = batches.into_iter().map(Some).collect();
        let mut cursor = 0;
        let mut unknown = None;
        for TopicProduceResponse { name, partitions } in response.topics {
            for partition in partitions {
                match self.find(&mut waiting, &mut cursor, &name, partition.index) {
                    Some(produced) => {
                        self.settle_batch(produced, Attempt::Answered(partition.into()), now);
                    }
                    // An answer can be long; one of them is enough to say.
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
        // Java leaves these in flight until they time out (SE-36).
        for produced in waiting.into_iter().flatten() {
            if let Some(left_out) = self.log_limit.admit(now) {
                warn!(
                    self.options.log,
                    "node {node} did not answer for one of the request's partitions{left_out}",
                );
            }
            let reason = "the answer did not name the partition".into();
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
            *cursor
        } else {
            waiting.iter().position(is_it)?
        };
        *cursor = at + 1;
        waiting[at].take()
    }

    /// Decides what an attempt means for its batch (SE-13).
    fn settle_batch(&mut self, produced: Produced, attempt: Attempt, now: Instant) {
        let Some(tracked) = self.in_flight.take(produced.id) else {
            debug_assert!(false, "an answer for a batch that is not under way");
            return;
        };
        let code = attempt.code();
        match tracked {
            Tracked::Expired(_) if planted!(LateResponseCompletesNewer) => {
                if let Some(newer) = self.in_flight.take_any() {
                    self.settle_live(newer, attempt, now);
                }
            }
            Tracked::Expired(summary) => {
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
            Tracked::Live(live) => {
                self.settle_live(live, attempt, now);
                if self.options.guarantee_order {
                    self.drainer.unmute(produced.index, now);
                }
            }
        }
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
        note_attempt(&mut batch, &attempt, node, self.options.acks, now);
        match attempt {
            Attempt::Answered(answer) if code == ErrorCode::NoError => {
                self.complete_batch(index, batch, &answer, now);
            }
            Attempt::Answered(_)
                if code == ErrorCode::MessageTooLarge && batch.record_count() > 1 =>
            {
                self.split_batch(index, node, batch, attempt, now);
            }
            attempt if self.may_retry(index, &batch, &attempt, now) => {
                self.retry_batch(index, batch, &attempt, now);
            }
            // Its numbers were used before by this very batch: it is in the log, and the broker no
            // longer remembers where.
            Attempt::Answered(answer)
                if code == ErrorCode::DuplicateSequenceNumber && !planted!(DuplicateFails) =>
            {
                self.complete_batch(index, batch, &answer, now);
            }
            attempt => self.fail_attempt(index, node, batch, attempt, now),
        }
    }

    /// SE-15
    fn may_retry(
        &mut self,
        index: u32,
        batch: &SealedBatch,
        attempt: &Attempt,
        now: Instant,
    ) -> bool {
        if self.is_overdue(batch, now) || batch.attempts() >= self.options.retries {
            return false;
        }
        let code = attempt.code();
        match (&mut self.transactions, attempt) {
            (Some(transactions), Attempt::Answered(answer)) => {
                transactions.may_retry(index, &batch.summary(), code, answer.log_start_offset)
            }
            _ => code.is_retriable(),
        }
    }

    fn retry_batch(
        &mut self,
        index: u32,
        mut batch: Box<SealedBatch>,
        attempt: &Attempt,
        now: Instant,
    ) {
        self.log_retry(index, &batch, attempt, now);
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_returned(index, &batch.summary());
        }
        let wait = self.backoff.backoff(batch.attempts(), self.random.f64());
        batch.mark_retried(now, common_moment(now + wait));
        self.shared.counters.retried(batch.record_count());
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

    /// The broker calls a batch too large that has more than one record: it is sent in pieces of at
    /// most half its plain size. Their retries begin anew (SE-14).
    ///
    /// # Kafka
    /// `RecordAccumulator#splitAndReenqueue`. Differs: each split really makes the batches smaller, also
    /// when `batch.size` is above the broker's limit (KAFKA-8350).
    fn split_batch(
        &mut self,
        index: u32,
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
                "node {node} calls a batch of {records} records and {size} bytes too large: splitting it \
                 in {}; batch.size is above the topic's max.message.bytes{left_out}",
                split.pieces().len()
            );
        }
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_split(index, &split);
        }
        self.shared.counters.split();
        self.shared.accumulator.replace_by_pieces(&split);
        for piece in split.release() {
            self.drainer.reenqueue(index, Box::new(piece), now);
        }
    }

    /// SE-19
    fn complete_batch(
        &mut self,
        index: u32,
        batch: Box<SealedBatch>,
        answer: &Answer,
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
        self.shared.counters.acknowledged(batch.record_count());
        let id = batch.id();
        batch.complete(
            answer.base_offset,
            answer.log_append_time_ms,
            self.listener.as_deref(),
        );
        if !planted!(BatchNeverForgotten) {
            self.shared.accumulator.forget(id);
        }
    }
}

/// The next moment at which batches are tried again, of all partitions alike: those of one node then go in one
/// request, and a node gets a hundred of these a second, not as many as it has partitions.
fn common_moment(earliest: Instant) -> Instant {
    let step = SHORTEST_BACKOFF.as_nanos() as u64;
    let nanos = earliest.as_nanos().div_ceil(step).saturating_mul(step);
    Instant::from_nanos(nanos)
}

/// Remembers of an attempt what an error must say later.
fn note_attempt(batch: &mut SealedBatch, attempt: &Attempt, node: NodeId, acks: i16, now: Instant) {
    match attempt {
        Attempt::Answered(answer) if answer.code != ErrorCode::NoError => {
            batch.note_error(BrokerError::new(
                answer.code,
                answer.message.clone(),
                Some(node),
            ));
            if may_follow_append(answer.code, acks) && !planted!(DisputedCalledNotWritten) {
                batch.note_fate(Fate::Disputed);
            }
        }
        Attempt::Lost {
            handed_over,
            reason,
        } => {
            batch.note_failure(Arc::clone(reason));
            if *handed_over {
                batch.note_fate(Fate::Unknown);
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

/// Whether a broker may answer so after it has written the batch.
///
/// With acks=all a broker writes first and then waits for its replicas: when the wait ends badly, or
/// leadership moves meanwhile, the answer is an error and the batch may stay in the log all the same.
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
