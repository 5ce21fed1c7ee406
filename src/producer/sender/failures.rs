//! Failed batches (expired by the delivery timeout, refused with a fatal error, or aborted), and the errors of their
//! futures.

use std::sync::Arc;

use crate::planted::planted;
use crate::util::log::debug;

use super::attempt::{Attempt, lost};
use super::errors::{error_for, no_other_number};
use super::refusal::refusal;
use super::{Completion, EndedBatch, Sender};
use crate::client::kafka_client::{KafkaClient, NotReady};
use crate::clock::Instant;
use crate::error::{
    Delivery, ErrorCode, ProduceError, ProduceErrorKind, ProduceErrorParts, WaitCause,
};
use crate::producer::accumulator::{Drained, EntryIndex};
use crate::producer::batch::{BatchFate, BatchId, SealedBatch};
use crate::producer::produce_request_result::BatchOutcome;
use crate::types::NodeId;

/// How far [`Sender::expire_batches`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// All overdue batches were expired.
    Done,
    /// All but those of partitions whose responses may be unread: the poll must not block.
    PartlyAfterPoll,
    /// The sockets must be read first, without blocking; nothing may be sent before.
    AfterPoll,
}

impl<C: KafkaClient<Completion>> Sender<C> {
    /// Fails batches, in flight or queued, whose `delivery.timeout.ms` has passed. Runs in every step before the drain,
    /// so that no batch is expired and sent in the same step (SE-8).
    ///
    /// A batch in flight expires only if its timeout had passed at the last poll: since then its response may have
    /// come, if user code has held up the sender. If an overdue batch in flight is left for this reason, no queued batch
    /// is expired either, since it would end before an older batch of its partition.
    ///
    /// A partition is left out while an overdue batch of it may have its response in the unread input of its node. Other
    /// partitions do not wait for that input.
    pub(super) fn expire_batches(&mut self, now: Instant) -> Expiry {
        let client = &self.client;
        let unread = (self.in_flight).unread_partitions(now, |node| !client.has_unread_input(node));
        let mut withdrawn = Vec::new();
        while let Some(mut live) = self.in_flight.take_expired(self.polled_at, &unread) {
            let node = live.node;
            let cause = if self.is_withdrawn(node, live.batch.id(), &mut withdrawn, now) {
                // Its request was withdrawn before its first byte was written: this attempt certainly does not reach
                // the log.
                live.batch.mark_not_sent(now);
                WaitCause::BehindInFlight { node }
            } else {
                if !planted!(ExpiredCalledNotWritten) {
                    // The broker may append the batch after the timeout: the error must say that the batch may be
                    // written.
                    live.batch.note_fate(BatchFate::Unknown);
                }
                WaitCause::NotAnswered { node }
            };
            let error = self.timeout_error(&live.batch, cause, live.batch.delivery(), now);
            // Records a sequence gap (not written) or an unresolved sequence: nothing new of the partition is drained.
            if let Some(transactions) = &mut self.transactions {
                transactions.handle_expired_in_flight(live.index, &live.batch.summary(), &error);
            }
            // Later batches do not wait for the response to an expired one: the leader may have changed.
            if self.options.guarantee_order && !planted!(MutedAfterExpiry) {
                self.drainer.unmute(live.index, now);
            }
            self.finish_failed(live.batch, BatchOutcome::Failed(error));
        }
        if self.in_flight.is_overdue(now, &unread) {
            return Expiry::AfterPoll;
        }
        let expiry = if unread.is_empty() {
            Expiry::Done
        } else {
            Expiry::PartlyAfterPoll
        };
        let ids = self.transactions.as_ref();
        if planted!(ExpirySkippedWithoutId) && ids.is_some_and(|ids| !ids.has_producer_id()) {
            return expiry;
        }
        // Then queued batches expire, including those in retry back-off or of muted partitions.
        let mut expired = std::mem::take(&mut self.scratch.drained);
        self.drainer.take_expired(now, &unread, &mut expired);
        if !expired.is_empty() {
            debug!(
                self.options.log,
                "batches timed out; {}",
                self.client.describe(now)
            );
        }
        for Drained { index, batch } in expired.drain(..) {
            self.give_up_overdue(index, batch, now);
        }
        self.scratch.drained = expired;
        expiry
    }

    /// Fails a queued batch whose delivery timeout has passed.
    pub(super) fn give_up_overdue(
        &mut self,
        index: EntryIndex,
        batch: Box<SealedBatch>,
        now: Instant,
    ) {
        let cause = self.wait_cause(index, &batch, now);
        let error = self.timeout_error(&batch, cause, batch.delivery(), now);
        self.give_up_queued(index, batch, error);
    }

    /// Withdraws the request of an expired batch if no byte of it was written to the socket yet: the broker will then
    /// never see it. The other batches of the request are completed by the next poll, as not handed over. `withdrawn`
    /// collects the batches of requests that were withdrawn.
    fn is_withdrawn(
        &mut self,
        node: NodeId,
        batch: BatchId,
        withdrawn: &mut Vec<BatchId>,
        now: Instant,
    ) -> bool {
        // A request holds several batches. The first batch that expires withdraws the request, and with it the other
        // batches.
        if withdrawn.contains(&batch) {
            return true;
        }
        let Some(Completion::Produce(untouched)) = self.client.newest_untouched(node) else {
            return false;
        };
        if !untouched.iter().any(|produced| produced.id == batch) {
            return false;
        }
        // Copied, because `untouched` borrows the client, which is about to be changed.
        let ids: Vec<BatchId> = untouched.iter().map(|produced| produced.id).collect();
        let why = "delivery.timeout.ms passed before the connection took the request";
        if !self.client.withdraw_untouched(node, why, now) {
            return false;
        }
        withdrawn.extend(ids);
        true
    }

    /// Whether `delivery.timeout.ms` has passed since the batch was opened.
    pub(super) fn is_overdue(&self, batch: &SealedBatch, now: Instant) -> bool {
        batch.created() + self.options.delivery_timeout <= now
    }

    fn timeout_error(
        &self,
        batch: &SealedBatch,
        cause: WaitCause,
        delivery: Delivery,
        now: Instant,
    ) -> ProduceError {
        let message = format!(
            "delivery.timeout.ms ({} ms) passed since the batch of {} record(s) was opened",
            self.options.delivery_timeout.as_millis(),
            batch.record_count()
        );
        debug!(
            self.options.log,
            "{}: {message}; {cause}",
            batch.topic_partition()
        );
        error_for(
            batch,
            ProduceErrorKind::DeliveryTimeout,
            delivery,
            message,
            now,
        )
        .cause(Some(cause))
        .build()
    }

    /// The reason why a queued batch was not sent. Of several reasons, the first in this order: no leader, a node that
    /// is not ready, the transaction manager, retry back-off.
    fn wait_cause(&self, index: EntryIndex, batch: &SealedBatch, now: Instant) -> WaitCause {
        let Some(node) = self.drainer.leader(index) else {
            return WaitCause::NoLeader;
        };
        match self.client.not_ready_reason(node, now) {
            Some(NotReady::NotConnected(last_error)) => {
                return WaitCause::NotConnected { node, last_error };
            }
            Some(NotReady::Throttled) => return WaitCause::Throttled { node },
            Some(NotReady::Authentication(message)) => {
                return WaitCause::Authentication { message };
            }
            Some(NotReady::InFlightFull) => return WaitCause::BehindInFlight { node },
            None => {}
        }
        match &self.transactions {
            Some(transactions) if !transactions.has_producer_id() => WaitCause::ProducerId {
                last_error: transactions.last_error().cloned(),
            },
            Some(transactions) if transactions.is_to_be_added(index) => {
                let (last_error, code) = match transactions.retry_reason_of_partitions() {
                    Some(why) => (Some(why.message), why.code),
                    None => (None, None),
                };
                WaitCause::AddingPartition { last_error, code }
            }
            Some(transactions) if transactions.is_disturbed(index) => {
                WaitCause::BehindInFlight { node }
            }
            _ if batch.retry_at() > now => WaitCause::RetryBackoff,
            _ => WaitCause::Queued,
        }
    }

    /// Fails a queued batch; if it has a sequence number already, the gap is recorded.
    pub(super) fn give_up_queued(
        &mut self,
        index: EntryIndex,
        batch: Box<SealedBatch>,
        error: ProduceError,
    ) {
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_expired_in_queue(index, &batch.summary(), &error);
        }
        self.finish_failed(batch, BatchOutcome::Failed(error));
    }

    /// Fails a batch that cannot be renumbered after an epoch bump: it may be in the log under its old sequence number,
    /// or later batches of its partition are in the log.
    pub(super) fn give_up_number(&mut self, batch: Box<SealedBatch>, now: Instant) {
        let kind = ProduceErrorKind::Broker(ErrorCode::OutOfOrderSequenceNumber);
        let error = error_for(
            &batch,
            kind,
            batch.delivery(),
            no_other_number(batch.delivery()).to_owned(),
            now,
        );
        self.finish_failed(batch, BatchOutcome::Failed(error.build()));
    }

    /// Fails a batch after its last attempt: the error is not retriable, or there are no retries or no time left for
    /// another attempt (SE-16 to SE-18).
    pub(super) fn fail_attempt(
        &mut self,
        index: EntryIndex,
        node: NodeId,
        batch: Box<SealedBatch>,
        attempt: Attempt,
        now: Instant,
    ) {
        // The sequence gap keeps later batches from being drained; in a transaction it forces an abort (TM-32).
        let outcome = match attempt {
            Attempt::Answered(answer) => {
                if let Some(transactions) = &mut self.transactions {
                    let why = answer.message.as_deref();
                    transactions.handle_refused(index, &batch.summary(), answer.code, why);
                }
                refusal(&batch, node, answer, now)
            }
            other => {
                let error = self.unanswered_error(node, &batch, other, now);
                if let Some(transactions) = &mut self.transactions {
                    transactions.handle_unanswered(index, &batch.summary(), &error);
                }
                BatchOutcome::Failed(error)
            }
        };
        self.finish_failed(batch, outcome);
    }

    /// The error of a batch whose last attempt got no response.
    fn unanswered_error(
        &self,
        node: NodeId,
        batch: &SealedBatch,
        attempt: Attempt,
        now: Instant,
    ) -> ProduceError {
        match attempt {
            // Another attempt would have been made, had there been time.
            Attempt::Lost {
                handed_over,
                reason,
            } if self.is_overdue(batch, now) => {
                let cause = if handed_over {
                    WaitCause::NotAnswered { node }
                } else {
                    let last_error = Some(reason);
                    WaitCause::NotConnected { node, last_error }
                };
                self.timeout_error(batch, cause, batch.delivery(), now)
            }
            other => lost(batch, &other, now),
        }
    }

    /// Fails all queued batches after a fatal error of the transaction manager; batches in flight get a response or
    /// expire.
    pub(super) fn fail_queued_fatally(&mut self, now: Instant) {
        let fatal = self
            .transactions
            .as_ref()
            .and_then(|t| t.fatal_error())
            .cloned();
        if let Some(fatal) = fatal {
            // Done in every step after the fatal error: records that were appended since fail too.
            if self.drainer.has_undrained() {
                self.fail_queued(&fatal.kind(), &fatal.message, now);
            }
        }
    }

    /// Fails every queued batch with this error.
    pub(super) fn fail_queued(&mut self, kind: &ProduceErrorKind, message: &str, now: Instant) {
        self.fail_all_queued(now, |_, _, batch| {
            error_for(
                batch,
                kind.clone(),
                batch.delivery(),
                message.to_owned(),
                now,
            )
            .build()
        });
    }

    fn fail_all_queued(
        &mut self,
        now: Instant,
        error: impl Fn(&Self, EntryIndex, &SealedBatch) -> ProduceError,
    ) -> u64 {
        let mut batches = Vec::new();
        self.drainer
            .take_all(&self.shared.accumulator, now, &mut batches);
        let mut records = 0;
        for Drained { index, batch } in batches {
            records += u64::from(batch.record_count());
            let error = error(self, index, &batch);
            self.give_up_queued(index, batch, error);
        }
        records
    }

    /// Forced close: everything unfinished fails (KP-52).
    pub(super) fn abort_everything(&mut self) {
        let now = self.shared.clock.now();
        self.give_up_requests("the producer was closed before the request had succeeded");
        let message = "the producer was closed before the record was delivered";
        self.fail_everything(now, &ProduceErrorKind::Closed, message);
    }

    /// Fails everything unfinished after a panic of the sender.
    pub(super) fn fail_everything_poisoned(&mut self, message: &str) {
        let now = self.shared.clock.now();
        self.fail_everything(now, &ProduceErrorKind::ProducerFailed, message);
    }

    /// Fails all requests, batches in flight and queued batches. The accumulator must be closed to new records.
    fn fail_everything(&mut self, now: Instant, kind: &ProduceErrorKind, message: &str) {
        self.give_up_requests(message);
        // A batch that is being compressed is outside its queue, where `take_all` would miss it.
        self.shared.accumulator.wait_for_packing();
        // Callbacks run in the order in which batches end here. Batches in flight end first, because they are usually
        // older than queued ones.
        while let Some(live) = self.in_flight.take_any() {
            let cause = WaitCause::NotAnswered { node: live.node };
            let delivery = Delivery::MaybeWritten;
            let error = error_for(&live.batch, kind.clone(), delivery, message.to_owned(), now)
                .cause(Some(cause))
                .build();
            self.shared
                .control
                .add_undelivered(live.batch.record_count());
            self.finish_failed(live.batch, BatchOutcome::Failed(error));
        }
        let records = self.fail_all_queued(now, |sender, index, batch| {
            // After a panic the state that the cause is read from may be inconsistent.
            let is_closed = *kind == ProduceErrorKind::Closed;
            let cause = is_closed.then(|| sender.wait_cause(index, batch, now));
            error_for(
                batch,
                kind.clone(),
                batch.delivery(),
                message.to_owned(),
                now,
            )
            .cause(cause)
            .build()
        });
        self.shared
            .control
            .add_undelivered(u32::try_from(records).unwrap_or(u32::MAX));
        self.complete_ended();
    }

    /// Completes the futures of batches that a panic dropped. Their callbacks were dropped with them.
    pub(super) fn abandon_lost_batches(&self, message: &str) {
        for result in self.shared.accumulator.take_incomplete() {
            // Its waiters were released already; only the entry in the list of incomplete batches is left.
            if result.is_released() {
                continue;
            }
            // An outcome published before the panic stands: callbacks may have seen it.
            if result.published_outcome().is_none() {
                let partition = result.topic_partition();
                let error = ProduceErrorParts::new(
                    ProduceErrorKind::ProducerFailed,
                    Delivery::MaybeWritten,
                    Arc::clone(partition.shared_topic()),
                    message,
                )
                .partition(Some(partition.partition()))
                .build();
                result.publish(BatchOutcome::Failed(error));
            }
            result.release_waiters();
        }
    }

    /// Ends a batch with an error. Every failed batch passes through here, so whether the metrics count it depends on
    /// its error alone.
    pub(super) fn finish_failed(&mut self, batch: Box<SealedBatch>, outcome: BatchOutcome) {
        if is_counted(&outcome) {
            let now = self.shared.clock.now();
            self.metrics.record_failure(&batch, now);
        }
        self.shared.counters.failed(batch.record_count());
        self.ended.push(EndedBatch { batch, outcome });
    }
}

/// Whether the `record-error` metrics count the batch. Batches that are aborted with their transaction are not counted,
/// nor those that a forced close aborts, whose number `close` returns.
///
/// # Kafka
/// `RecordAccumulator#abortBatches`, `#abortUndrainedBatches`, which record no metric. Differs: batches that fail
/// because the producer has failed, or gets no producer id, are counted (Java aborts them without counting).
fn is_counted(outcome: &BatchOutcome) -> bool {
    match outcome {
        BatchOutcome::Failed(error) => !matches!(
            error.kind(),
            ProduceErrorKind::TransactionAborted | ProduceErrorKind::Closed
        ),
        BatchOutcome::Written { .. } | BatchOutcome::FailedByRecord { .. } => true,
    }
}
