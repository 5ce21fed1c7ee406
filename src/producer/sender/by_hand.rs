//! A sender without a thread: the caller runs its steps, for deterministic tests.

use super::attempt::{Attempt, PartitionResponse, note_attempt};
use super::errors::error_for;
use super::in_flight::{InFlightBatch, UnansweredBatch};
use super::{Completion, Produced, Sender, Sleep};
use crate::client::kafka_client::KafkaClient;
use crate::clock::Instant;
use crate::error::{Delivery, ErrorCode, ProduceErrorKind};
use crate::producer::batch::BatchFate;
use crate::producer::callback_scope;
use crate::producer::instance::Instance;
use crate::producer::produce_request_result::BatchOutcome;
use crate::producer::transaction::TransactionManager;
use crate::util::panic;

/// A stepped sender: runs the steps of [`Sender::run`] without its thread, one part of a step per call.
///
/// A step has two parts: up to the poll, and the poll with its responses. Other threads may run between the parts, as
/// they may before a real sender thread blocks in its poll. If a poll finds nothing while nothing is due, the second
/// part is repeated: meanwhile the sender counts as blocked in this one poll.
pub(crate) struct SteppedSender<C> {
    sender: Option<Sender<C>>,
    instance: Instance,
    /// `Some` between the two parts of a step.
    sleep: Option<Sleep>,
}

/// The result of a part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// The poll comes next.
    Begun,
    /// The poll would block: the part has to be repeated when the network has an event.
    Waits,
    /// The step is over.
    Done,
    /// The sender has ended.
    Ended,
}

/// The outcome that a test sets for a batch in place of a broker's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchEnd {
    /// The batch is in the log. `base_offset` is -1 if its offset is unknown.
    Written { base_offset: i64 },
    /// The batch has failed, and is not retried.
    Failed(ProduceErrorKind),
}

impl<C: KafkaClient<Completion>> SteppedSender<C> {
    pub(crate) fn new(sender: Sender<C>, instance: Instance) -> Self {
        Self {
            sender: Some(sender),
            instance,
            sleep: None,
        }
    }

    /// Takes the next part of a step. `is_waiting` is called after a poll, and returns whether the poll would have
    /// blocked.
    pub(crate) fn step(&mut self, is_waiting: impl FnOnce() -> bool) -> Stepped {
        let Some(sender) = &mut self.sender else {
            return Stepped::Ended;
        };
        // As on a sender thread: user code that runs now must not wait for the sender.
        let scope = callback_scope::enter_sender(self.instance.id());
        let sleep = &mut self.sleep;
        let stepped = panic::contain(|| sender.part_of_step(sleep, is_waiting));
        let stepped = stepped.unwrap_or_else(|reason| {
            sender.end_after_panic(&reason);
            Stepped::Ended
        });
        if stepped == Stepped::Ended {
            self.drop_sender();
        }
        drop(scope);
        stepped
    }

    /// Ends the sender as a panic with this message would: the producer has failed for good.
    pub(crate) fn fail(&mut self, message: &str) {
        if let Some(sender) = &mut self.sender {
            let scope = callback_scope::enter_sender(self.instance.id());
            sender.end_after_panic(message);
            self.drop_sender();
            drop(scope);
        }
    }

    fn drop_sender(&mut self) {
        if let Some(sender) = &mut self.sender {
            sender.close_client();
        }
        let gone = panic::contain(|| self.sender = None);
        debug_assert!(gone.is_ok(), "panics of the user's drop are contained");
    }

    /// Whether the next poll would block if the network had no event.
    pub(crate) fn would_wait(&self, now: Instant) -> bool {
        matches!(self.sleep, Some(Sleep::Until(until)) if !until.is_over(now))
    }

    /// Completes in-flight batches with the outcomes that a test sets.
    pub(crate) fn settle(&mut self, ends: impl IntoIterator<Item = (Produced, BatchEnd)>) {
        self.contained(|sender| {
            for (produced, end) in ends {
                sender.settle_by_hand(produced, end);
            }
            sender.complete_ended();
        });
    }

    /// Fences the producer, as if another producer with the same transactional id had been initialized.
    pub(crate) fn fence(&mut self) {
        self.contained(|sender| {
            if let Some(transactions) = &mut sender.transactions {
                transactions.fenced();
            }
        });
    }

    /// Lifts the limit of in-flight batches per partition.
    pub(crate) fn send_without_limit(&mut self) {
        let sender = self.sender.as_mut();
        if let Some(transactions) = sender.and_then(|sender| sender.transactions.as_mut()) {
            transactions.send_without_limit();
        }
    }

    /// Whether a thread waits for the in-flight batches: a flush, the end of a transaction, a close, or a record that
    /// waits for buffer memory.
    pub(crate) fn is_awaited(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| {
            let transactions = sender.transactions.as_ref();
            sender.shared.accumulator.sends_everything()
                || transactions.is_some_and(TransactionManager::is_completing)
        })
    }

    fn contained(&mut self, act: impl FnOnce(&mut Sender<C>)) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        let scope = callback_scope::enter_sender(self.instance.id());
        if let Err(reason) = panic::contain(|| act(sender)) {
            sender.end_after_panic(&reason);
        }
        drop(scope);
    }

    /// The sizes of the sender's collections, by name, for leak checks.
    #[cfg(feature = "_internals")]
    pub(crate) fn sizes(&self) -> Vec<(&'static str, usize)> {
        self.sender.as_ref().map(Sender::sizes).unwrap_or_default()
    }
}

impl<C: KafkaClient<Completion>> Sender<C> {
    fn part_of_step(
        &mut self,
        sleep: &mut Option<Sleep>,
        is_waiting: impl FnOnce() -> bool,
    ) -> Stepped {
        let Some(begun) = *sleep else {
            if !self.goes_on() {
                self.end();
                return Stepped::Ended;
            }
            *sleep = Some(self.begin_step());
            return Stepped::Begun;
        };
        self.poll(begun);
        if begun != Sleep::No && self.scratch.responses.is_empty() && is_waiting() {
            return Stepped::Waits;
        }
        *sleep = None;
        self.end_step();
        Stepped::Done
    }

    fn settle_by_hand(&mut self, produced: Produced, end: BatchEnd) {
        let now = self.shared.clock.now();
        let kind = match end {
            BatchEnd::Written { base_offset } => {
                let attempt = Attempt::Answered(answer(ErrorCode::NoError, base_offset));
                return self.settle_batch(produced, attempt, now);
            }
            BatchEnd::Failed(kind) => kind,
        };
        let Some(UnansweredBatch::Live(live)) = self.in_flight.take(produced.id) else {
            return;
        };
        let InFlightBatch {
            index,
            node,
            mut batch,
            ..
        } = live;
        if let Some(code) = code_of(&kind) {
            let attempt = Attempt::Answered(answer(code, -1));
            note_attempt(&mut batch, &attempt, node, self.options.acks, now);
            return self.fail_attempt(index, node, batch, attempt, now);
        }
        match delivery_of(&kind) {
            Delivery::MaybeWritten => batch.note_fate(BatchFate::Unknown),
            Delivery::NotWritten => batch.mark_not_sent(now),
        }
        let message = "a test has let the record fail".to_owned();
        let error = error_for(&batch, kind, batch.delivery(), message, now).build();
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_unanswered(index, &batch.summary(), &error);
        }
        self.finish_failed(batch, BatchOutcome::Failed(error));
    }

    #[cfg(feature = "_internals")]
    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("batches in flight", self.in_flight.live_count()),
            ("responses", self.scratch.responses.len()),
            ("batches whose callbacks are to run", self.ended.len()),
        ]
    }
}

fn answer(code: ErrorCode, base_offset: i64) -> PartitionResponse {
    PartitionResponse {
        code,
        base_offset,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: Vec::new(),
        message: None,
    }
}

/// The error code by which a broker would cause this kind of error; `None` if no single code causes it.
fn code_of(kind: &ProduceErrorKind) -> Option<ErrorCode> {
    match kind {
        ProduceErrorKind::Broker(code) => Some(*code),
        ProduceErrorKind::TopicAuthorization => Some(ErrorCode::TopicAuthorizationFailed),
        ProduceErrorKind::InvalidTopic => Some(ErrorCode::InvalidTopicException),
        _ => None,
    }
}

/// The delivery state of a record that failed with this kind of error, without a response.
fn delivery_of(kind: &ProduceErrorKind) -> Delivery {
    match kind {
        ProduceErrorKind::DeliveryTimeout
        | ProduceErrorKind::Network
        | ProduceErrorKind::Closed
        | ProduceErrorKind::ProducerFailed => Delivery::MaybeWritten,
        _ => Delivery::NotWritten,
    }
}
