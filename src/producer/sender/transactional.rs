//! Sends the transaction manager's requests and applies their effects on batches. The manager chooses the requests and
//! interprets the responses.

use super::errors::error_for;
use super::{Completion, Sender, has_queued_batches, has_unfinished_batches};
use crate::client::kafka_client::{ClientRequest, KafkaClient, NotReady, Outcome};
use crate::clock::{Deadline, Instant};
use crate::error::ProduceErrorKind;
use crate::producer::accumulator::Drained;
use crate::producer::batch::SealedBatch;
use crate::producer::transaction::{
    BatchesStatus, Effect, NextRequest, RequestFailure, RequestId, RetryReason, SequenceRewrite,
    TransactionManager,
};
use crate::types::Node;
use crate::util::backoff::SHORTEST_BACKOFF;
use crate::util::log::{error, warn};
use crate::util::panic;

impl<C: KafkaClient<Completion>> Sender<C> {
    /// Resolves sequences and sends the transactional request that is due; never blocks. Returns the time at which it
    /// must be called again.
    ///
    /// # Kafka
    /// `Sender#maybeSendAndPollTransactionalRequest` (SE-25 to SE-29). Differs: it does not sleep, poll, or
    /// wait for a node.
    pub(super) fn run_transactions(&mut self, now: Instant) -> Deadline {
        let Some(transactions) = &mut self.transactions else {
            return Deadline::Never;
        };
        transactions.begin_step();
        transactions.handle_inbox();
        // Called before `make_request` reads the request queue: it may queue an InitProducerId request.
        transactions.resolve();
        self.carry_out_effects(now);
        self.fail_records_of_aborted(now);
        loop {
            if let Some(look_again) = self.make_request(now) {
                return look_again;
            }
        }
    }

    /// Aborts an open transaction on a graceful close, since no call can commit it any more.
    pub(super) fn abort_open_transaction(&mut self) {
        let now = self.shared.clock.now();
        if let Some(transactions) = &mut self.transactions {
            transactions.abort_at_close(now);
        }
    }

    /// Logs a warning if the coordinator may still have a transaction open when the sender ends.
    pub(super) fn note_open_transaction(&self) {
        let transactions = self.transactions.as_ref();
        if transactions.is_some_and(TransactionManager::leaves_transaction) {
            self.shared.control.leave_transaction();
            warn!(
                self.options.log,
                "the producer was closed before the coordinator confirmed the end of its transaction: if the \
                 transaction is still open, the coordinator aborts it after transaction.timeout.ms"
            );
        }
    }

    /// Fails the undrained batches of a transaction that is being aborted, or must be. Retries stay queued: without
    /// them the partition's sequence would have a gap.
    ///
    /// # Kafka
    /// `RecordAccumulator#abortUndrainedBatches`.
    fn fail_records_of_aborted(&mut self, now: Instant) {
        let Some(transactions) = &self.transactions else {
            return;
        };
        if !transactions.gives_up_queued()
            || !has_queued_batches(&self.shared.accumulator, &mut self.drainer, now)
        {
            return;
        }
        let message = match transactions.abort_reason() {
            Some(reason) => format!("not sent, because {reason}"),
            None => "not sent, because the transaction is being aborted".to_owned(),
        };
        let keeps = |index, batch: &SealedBatch| transactions.sends_again(index, batch.id());
        let mut batches = Vec::new();
        self.drainer
            .take_all_but(&self.shared.accumulator, now, keeps, &mut batches);
        for Drained { index, batch } in batches {
            let kind = ProduceErrorKind::TransactionAborted;
            let delivery = batch.delivery();
            let error = error_for(&batch, kind, delivery, message.clone(), now).build();
            self.give_up_queued(index, batch, error);
        }
    }

    /// Sends the next transactional request, if one is due and its node is ready. Returns `None` if a request failed
    /// instead of being sent, or its node is not ready, so that another may be due.
    fn make_request(&mut self, now: Instant) -> Option<Deadline> {
        let transactions = self.transactions.as_mut()?;
        if transactions.fatal_error().is_some() {
            self.fail_queued_fatally(now);
            return Some(Deadline::Never);
        }
        let accumulator = &self.shared.accumulator;
        let (drainer, in_flight) = (&mut self.drainer, &self.in_flight);
        // A request that waits for the batches of the transaction is sent only after the callbacks of their records
        // have run.
        let have_callbacks_run = self.ended.is_empty();
        let mut batches = BatchesStatus {
            wait: drainer.has_undrained(),
            have_ended: &mut || {
                have_callbacks_run && !has_unfinished_batches(accumulator, drainer, in_flight, now)
            },
        };
        match transactions.next_request(&mut batches, now) {
            NextRequest::Nothing => Some(Deadline::Never),
            NextRequest::At(moment) => Some(Deadline::At(moment)),
            NextRequest::ToAnyNode => self.send_to_any_node(now),
            NextRequest::ToCoordinator(node) => self.send_to_coordinator(&node, now),
        }
    }

    /// Sends to the least loaded node. While authentication fails with all nodes, the request fails with the
    /// authentication error. Connection attempts continue: a retried request may succeed, if the credentials are
    /// accepted by then.
    fn send_to_any_node(&mut self, now: Instant) -> Option<Deadline> {
        // Read first: `ready` may begin to connect, after which the client reports no failure.
        let refused = self.client.authentication_failure();
        let node = self.client.least_loaded_node(now);
        if let Some(node) = &node {
            if self.client.ready(node, now) {
                return Some(self.send_request(node, now));
            }
        }
        match (refused, node) {
            (Some(why), _) => self.fail_request(RequestFailure::Unauthenticated(why), now),
            // The node is not connected yet, or a metadata request must be sent first: the poll ends when the
            // connection is ready or the metadata arrives.
            (None, Some(node)) => {
                self.note_not_connected(&node, now);
                self.hold_up_request(self.client.poll_deadline(node.id(), now))
            }
            (None, None) => {
                let wait = self.options.retry_backoff.max(SHORTEST_BACKOFF);
                self.hold_up_request(Deadline::At(now + wait))
            }
        }
    }

    /// Notes why the last connection attempt failed, for the error of a call that times out meanwhile.
    fn note_not_connected(&self, node: &Node, now: Instant) {
        let reason = self.client.not_ready_reason(node.id(), now);
        if let (Some(transactions), Some(NotReady::NotConnected(Some(why)))) =
            (&self.transactions, reason)
        {
            // The reason contains the address of the node.
            transactions.note_retry(transactions.due_lane(), RetryReason::new(why), true);
        }
    }

    /// Fails the next request, which cannot be sent. Returns `None`, since another request may be due.
    fn fail_request(&mut self, failure: RequestFailure, now: Instant) -> Option<Deadline> {
        self.transactions.as_mut()?.fail_next_request(failure, now);
        self.carry_out_effects(now);
        None
    }

    /// Passes over the next request, whose node is not ready. Returns `None`, since another request may be due.
    fn hold_up_request(&mut self, until: Deadline) -> Option<Deadline> {
        self.transactions.as_mut()?.hold_up_next_request(until);
        None
    }

    /// Sends to a coordinator. If the node cannot be connected to, it may no longer be the coordinator: the request
    /// then fails as if the connection had been lost, and the coordinator is looked up again.
    fn send_to_coordinator(&mut self, node: &Node, now: Instant) -> Option<Deadline> {
        let id = node.id();
        if self.client.ready(node, now) {
            return Some(self.send_request(node, now));
        }
        let failure = match self.client.not_ready_reason(id, now) {
            Some(NotReady::Authentication(why)) => RequestFailure::Unauthenticated(why),
            Some(NotReady::NotConnected(why)) if self.client.connection_failed(id) => {
                let unknown = || format!("node {node} is not reached").into();
                RequestFailure::Disconnected(why.unwrap_or_else(unknown))
            }
            _ => {
                self.note_not_connected(node, now);
                return self.hold_up_request(self.client.poll_deadline(id, now));
            }
        };
        self.fail_request(failure, now)
    }

    fn send_request(&mut self, node: &Node, now: Instant) -> Deadline {
        let client = &mut self.client;
        let begun = self
            .transactions
            .as_mut()
            .and_then(|it| it.begin_request(|api| client.usable_version(node.id(), api)));
        if let Some((id, request)) = begun {
            let request = ClientRequest {
                node: node.id(),
                request,
                timeout: self.options.request_timeout,
                tag: Completion::Transaction(id),
            };
            client.send(request, now);
        }
        Deadline::Never
    }

    pub(super) fn handle_transactional_outcome(
        &mut self,
        id: RequestId,
        outcome: Outcome,
        now: Instant,
    ) {
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_outcome(id, outcome, now);
            self.carry_out_effects(now);
        }
    }

    /// Gives up all transactional requests. If a handler panics, the handlers behind it are still called.
    pub(super) fn give_up_requests(&mut self, why: &str) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let why = why.into();
        while let Err(reason) = panic::contain(|| transactions.give_up(&why)) {
            error!(self.options.log, "a request panicked: {reason}");
        }
    }

    fn carry_out_effects(&mut self, now: Instant) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        for effect in transactions.take_effects() {
            match effect {
                Effect::Renumber(rewrite) => self.renumber(rewrite, now),
                Effect::FailWaiting { kind, message } => self.fail_queued(&kind, &message, now),
            }
        }
    }

    fn renumber(&mut self, rewrite: SequenceRewrite, now: Instant) {
        let SequenceRewrite {
            index,
            batch,
            state,
        } = rewrite;
        let found = if let Some(state) = state {
            let rewrite = |batch: &mut SealedBatch| batch.rewrite(state);
            self.drainer.with_retry(index, batch, rewrite)
        } else {
            let taken = self.drainer.take_retry(index, batch, now);
            taken.map(|batch| self.give_up_number(batch, now)).is_some()
        };
        debug_assert!(
            found,
            "only batches that wait to be sent again are numbered again"
        );
    }
}
