//! Batches that will not be sent again: out of time, refused, or given up. What their futures say.

use std::sync::Arc;

use crate::planted::planted;
use crate::util::log::debug;

use super::completion::{Attempt, describe};
use super::errors::{error_for, no_other_number};
use super::refusal::refusal;
use super::{Completion, Sender};
use crate::client::kafka_client::{KafkaClient, NotReady};
use crate::clock::Instant;
use crate::compress::CompressionType;
use crate::error::{
    Delivery, ErrorCode, ProduceError, ProduceErrorBuilder, ProduceErrorKind, WaitCause,
};
use crate::producer::accumulator::{Drained, EntryIndex};
use crate::producer::batch::{BatchId, Fate, SealedBatch};
use crate::producer::produce_request_result::BatchOutcome;
use crate::types::NodeId;

impl<C: KafkaClient<Completion>> Sender<C> {
    /// Gives up what has been waiting or flying for `delivery.timeout.ms`: in every loop, and before
    /// anything is drained, so that nothing is given up and sent in the same breath (SE-8).
    pub(super) fn expire_batches(&mut self, now: Instant) {
        let mut withdrawn = Vec::new();
        while let Some(mut live) = self.in_flight.take_expired(now) {
            let node = live.node;
            let cause = if self.is_withdrawn(node, live.batch.id(), &mut withdrawn, now) {
                live.batch.mark_not_sent(now);
                WaitCause::BehindInFlight { node }
            } else {
                if !planted!(ExpiredCalledNotWritten) {
                    live.batch.note_fate(Fate::Unknown);
                }
                WaitCause::NotAnswered { node }
            };
            let error = self.timeout_error(&live.batch, cause, live.batch.delivery(), now);
            if let Some(transactions) = &mut self.transactions {
                transactions.handle_expired_in_flight(live.index, &live.batch.summary());
            }
            // Others need not wait for an answer that nobody waits for: the leader may be another by now.
            if self.options.guarantee_order && !planted!(MutedAfterExpiry) {
                self.drainer.unmute(live.index, now);
            }
            self.finish_failed(live.batch, BatchOutcome::Failed(error));
        }
        let ids = self.transactions.as_ref();
        if planted!(ExpirySkippedWithoutId) && ids.is_some_and(|ids| !ids.has_producer_id()) {
            return;
        }
        let mut expired = std::mem::take(&mut self.scratch.drained);
        self.drainer.take_expired(now, &mut expired);
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
    }

    /// The time of a batch is over that is not under way.
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

    /// Takes back the request of a batch whose time is over, if not one byte of it was given to the socket
    /// yet: the broker will then never see it. The other batches of the request come back with the next poll.
    /// `withdrawn` are those of requests that were taken back before.
    fn is_withdrawn(
        &mut self,
        node: NodeId,
        batch: BatchId,
        withdrawn: &mut Vec<BatchId>,
        now: Instant,
    ) -> bool {
        if withdrawn.contains(&batch) {
            return true;
        }
        let Some(Completion::Produce(untouched)) = self.client.newest_untouched(node) else {
            return false;
        };
        if !untouched.iter().any(|produced| produced.id == batch) {
            return false;
        }
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

    /// What a batch in the queue was waiting for: the outermost obstacle.
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
            Some(transactions) if transactions.is_disturbed(index) => {
                WaitCause::BehindInFlight { node }
            }
            _ if batch.retry_at() > now => WaitCause::RetryBackoff,
            _ => WaitCause::Queued,
        }
    }

    /// Fails a batch that was in the queue, keeping the sequences right.
    fn give_up_queued(&mut self, index: EntryIndex, batch: Box<SealedBatch>, error: ProduceError) {
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_expired_in_queue(index, &batch.summary());
        }
        self.finish_failed(batch, BatchOutcome::Failed(error));
    }

    /// A new epoch has begun, and the batch may be in the log under its number of the old one, or later ones are.
    pub(super) fn give_up_number(&self, batch: Box<SealedBatch>, now: Instant) {
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

    /// An attempt ended in a way that no other attempt would mend, or none is left (SE-16 to SE-18).
    pub(super) fn fail_attempt(
        &mut self,
        index: EntryIndex,
        node: NodeId,
        batch: Box<SealedBatch>,
        attempt: Attempt,
        now: Instant,
    ) {
        let (refused, why) = match &attempt {
            Attempt::Answered(answer) => (Some(answer.code), answer.message.as_deref()),
            _ => (None, None),
        };
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_failed(index, &batch.summary(), refused, why);
        }
        let outcome = match attempt {
            Attempt::Answered(answer) => refusal(&batch, node, answer, now),
            // Another attempt would have been made, had there been time.
            Attempt::Lost {
                handed_over,
                reason,
            } if self.is_overdue(&batch, now) => {
                let cause = if handed_over {
                    WaitCause::NotAnswered { node }
                } else {
                    let last_error = Some(reason);
                    WaitCause::NotConnected { node, last_error }
                };
                let delivery = batch.delivery();
                BatchOutcome::Failed(self.timeout_error(&batch, cause, delivery, now))
            }
            other => BatchOutcome::Failed(lost(&batch, &other, now)),
        };
        self.finish_failed(batch, outcome);
    }

    /// No batch can be sent any more: those that wait fail; those in flight will be answered or time
    /// out.
    pub(super) fn fail_queued_fatally(&mut self, now: Instant) {
        let fatal = self
            .transactions
            .as_ref()
            .and_then(|t| t.fatal_error())
            .cloned();
        if let Some(fatal) = fatal {
            if self.drainer.has_undrained() {
                self.fail_queued(&fatal.kind(), &fatal.message, now);
            }
        }
    }

    /// Fails every batch that waits.
    pub(super) fn fail_queued(&mut self, kind: &ProduceErrorKind, message: &str, now: Instant) {
        self.fail_all_queued(now, |batch| {
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
        error: impl Fn(&SealedBatch) -> ProduceError,
    ) -> u64 {
        let mut batches = Vec::new();
        self.drainer
            .take_all(&self.shared.accumulator, now, &mut batches);
        let mut records = 0;
        for Drained { index, batch } in batches {
            records += u64::from(batch.record_count());
            let error = error(&batch);
            self.give_up_queued(index, batch, error);
        }
        records
    }

    /// The producer is closed by force: everything unfinished fails (KP-52).
    pub(super) fn abort_everything(&mut self) {
        let now = self.shared.clock.now();
        let message = "the producer was closed before the record was delivered";
        self.fail_everything(now, &ProduceErrorKind::Closed, message);
    }

    /// The sender panicked.
    pub(super) fn fail_everything_poisoned(&mut self, message: &str) {
        let now = self.shared.clock.now();
        self.fail_everything(now, &ProduceErrorKind::ProducerFailed, message);
    }

    /// Records are no longer let in.
    fn fail_everything(&mut self, now: Instant, kind: &ProduceErrorKind, message: &str) {
        self.give_up_requests(message);
        self.shared.accumulator.wait_for_packing();
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
        let records = self.fail_all_queued(now, |batch| {
            error_for(
                batch,
                kind.clone(),
                batch.delivery(),
                message.to_owned(),
                now,
            )
            .build()
        });
        self.shared
            .control
            .add_undelivered(u32::try_from(records).unwrap_or(u32::MAX));
    }

    /// Batches that a panic took with it have no callbacks any more; their futures must end all the
    /// same.
    pub(super) fn abandon_lost_batches(&self, message: &str) {
        for result in self.shared.accumulator.take_incomplete() {
            if result.is_released() {
                continue;
            }
            if result.published_outcome().is_none() {
                let partition = result.topic_partition();
                let error = ProduceErrorBuilder::new(
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

    fn finish_failed(&self, batch: Box<SealedBatch>, outcome: BatchOutcome) {
        self.shared.counters.failed(batch.record_count());
        let id = batch.id();
        batch.fail(outcome, self.listener.as_deref());
        self.shared.accumulator.forget(id);
    }
}

/// The attempt got no answer and no other is left.
fn lost(batch: &SealedBatch, attempt: &Attempt, now: Instant) -> ProduceError {
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
