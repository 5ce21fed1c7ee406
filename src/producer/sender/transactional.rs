//! Transactional requests, carried out: what is asked, and what an answer means, the transaction manager says.

use super::{Completion, Sender, has_unfinished_batches};
use crate::client::kafka_client::{ClientRequest, KafkaClient, NotReady, Outcome};
use crate::clock::{Deadline, Instant};
use crate::producer::batch::SealedBatch;
use crate::producer::transaction::{
    Batches, Effect, Failure, NextRequest, RequestId, SequenceRewrite,
};
use crate::types::Node;
use crate::util::backoff::SHORTEST_BACKOFF;
use crate::util::log::error;
use crate::util::panic;

impl<C: KafkaClient<Completion>> Sender<C> {
    /// Settles sequences and makes the request that is due; never holds up anything else. Returns when it
    /// wants to be called again.
    ///
    /// # Kafka
    /// `Sender#maybeSendAndPollTransactionalRequest` (SE-25 to SE-29). Differs: it does not sleep, poll, or
    /// wait for a node.
    pub(super) fn run_transactions(&mut self, now: Instant) -> Deadline {
        let Some(transactions) = &mut self.transactions else {
            return Deadline::Never;
        };
        transactions.handle_inbox();
        transactions.resolve();
        self.carry_out_effects(now);
        loop {
            if let Some(look_again) = self.make_request(now) {
                return look_again;
            }
        }
    }

    /// Makes the next request if it can be made now. `None` if one came to its end that could not be, and another
    /// may be next.
    fn make_request(&mut self, now: Instant) -> Option<Deadline> {
        let transactions = self.transactions.as_mut()?;
        if transactions.fatal_error().is_some() {
            self.fail_queued_fatally(now);
            return Some(Deadline::Never);
        }
        let accumulator = &self.shared.accumulator;
        let (drainer, in_flight) = (&mut self.drainer, &self.in_flight);
        let mut batches = Batches {
            wait: drainer.has_undrained(),
            have_ended: &mut || !has_unfinished_batches(accumulator, drainer, in_flight, now),
        };
        match transactions.next_request(&mut batches, now) {
            NextRequest::Nothing => Some(Deadline::Never),
            NextRequest::At(moment) => Some(Deadline::At(moment)),
            NextRequest::ToAnyNode => self.send_to_any_node(now),
            NextRequest::ToCoordinator(node) => self.send_to_coordinator(&node, now),
        }
    }

    /// While no broker accepts the client's credentials, the request ends with that. Connecting goes on all the
    /// same: a request that is made again may find that they are accepted.
    fn send_to_any_node(&mut self, now: Instant) -> Option<Deadline> {
        let refused = self.client.authentication_failure();
        let node = self.client.least_loaded_node(now);
        if let Some(node) = &node {
            if self.client.ready(node, now) {
                return Some(self.send_request(node, now));
            }
        }
        match (refused, node) {
            (Some(why), _) => self.fail_request(Failure::Unauthenticated(why), now),
            // The connection, or the metadata that must come first, will end the poll.
            (None, Some(node)) => Some(self.client.poll_deadline(node.id(), now)),
            (None, None) => {
                let wait = self.options.retry_backoff.max(SHORTEST_BACKOFF);
                Some(Deadline::At(now + wait))
            }
        }
    }

    /// The next request cannot be made; another may be next.
    fn fail_request(&mut self, failure: Failure, now: Instant) -> Option<Deadline> {
        self.transactions.as_mut()?.fail_next_request(failure, now);
        self.carry_out_effects(now);
        None
    }

    /// A coordinator that cannot be connected to may no longer be the coordinator: the request ends as if the
    /// connection had been lost with it.
    fn send_to_coordinator(&mut self, node: &Node, now: Instant) -> Option<Deadline> {
        let id = node.id();
        if self.client.ready(node, now) {
            return Some(self.send_request(node, now));
        }
        let failure = match self.client.not_ready_reason(id, now) {
            Some(NotReady::Authentication(why)) => Failure::Unauthenticated(why),
            Some(NotReady::NotConnected(why)) if self.client.connection_failed(id) => {
                let unknown = || format!("node {node} is not reached").into();
                Failure::Disconnected(why.unwrap_or_else(unknown))
            }
            _ => return Some(self.client.poll_deadline(id, now)),
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

    /// No request is made any more: each is told, also those behind one that panics.
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
