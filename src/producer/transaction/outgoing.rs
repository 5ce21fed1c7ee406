//! The sender's interface to transactional requests, the same for requests of every kind.
//!
//! Order: `next_request`, `begin_request` or `fail_next_request`, `handle_outcome`, `take_effects`.

use std::sync::Arc;

#[cfg(test)]
use super::RequestInbox;
use super::coordinators::FindCoordinator;
use super::request::{
    Condition, CoordinatorKey, Destination, Lane, Priority, RequestFailure, RequestHandler,
    RequestVerdict,
};
use super::requests::{BatchesStatus, NextQueued, NextRequest, PendingRequest, RequestId};
use super::{Effect, TransactionManager};
use crate::client::kafka_client::Outcome;
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::protocol::{ApiKey, Request, Response};

/// The outcome of an attempt.
enum RequestEnd {
    Answered(Response),
    Failed(RequestFailure),
    /// The request was not sent, because it is no longer needed.
    Unneeded,
}

/// A guard around a handler's call, while its request is out of the queue. If the handler panics, the drop puts the
/// request back, to be given up with the other requests.
struct HandlerGuard<'m> {
    manager: &'m mut TransactionManager,
    pending: Option<PendingRequest>,
}

impl HandlerGuard<'_> {
    fn call(&mut self, end: RequestEnd, now: Instant) -> Option<(PendingRequest, RequestVerdict)> {
        let (handler, manager) = (&mut self.pending.as_mut()?.handler, &mut *self.manager);
        let verdict = match end {
            RequestEnd::Answered(response) => handler.handle_response(response, manager, now),
            RequestEnd::Failed(failure) => handler.handle_failure(failure, manager, now),
            RequestEnd::Unneeded => {
                handler.handle_unneeded(manager, now);
                RequestVerdict::Done
            }
        };
        Some((self.pending.take()?, verdict))
    }
}

impl Drop for HandlerGuard<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.manager.requests.put_back(pending);
        }
    }
}

impl TransactionManager {
    /// The next request to send, or the time to wait for. Queues a coordinator lookup first if the coordinator is
    /// unknown.
    pub(crate) fn next_request(
        &mut self,
        batches: &mut BatchesStatus<'_>,
        now: Instant,
    ) -> NextRequest {
        loop {
            let turn = self.requests.turn(self, batches, now);
            self.requests.set_due(match &turn {
                NextQueued::Send(place, _) | NextQueued::Unneeded(place) => Some(*place),
                NextQueued::Nothing | NextQueued::At(_) => None,
            });
            let of = match turn {
                NextQueued::Nothing => return NextRequest::Nothing,
                NextQueued::At(moment) => return NextRequest::At(moment),
                NextQueued::Send(_, Destination::AnyNode) => return NextRequest::ToAnyNode,
                NextQueued::Send(_, Destination::Coordinator(of)) => of,
                NextQueued::Unneeded(_) => {
                    if let Some(unneeded) = self.requests.take_due() {
                        self.finish(unneeded, RequestEnd::Unneeded, now);
                    }
                    continue;
                }
            };
            if let Some(node) = self.requests.coordinators.get(&of) {
                return NextRequest::ToCoordinator(node.clone());
            }
            // A lookup has the highest priority, so it is sent next.
            self.requests.push(Box::new(FindCoordinator::new(of)));
        }
    }

    /// Passes over the next request until the next step of the sender, because its node is not ready: requests of other
    /// lanes may be sent. `until` is when the node may be ready without another event.
    pub(crate) fn hold_up_next_request(&mut self, until: Deadline) {
        self.requests.hold_up_due(until);
    }

    /// Begins a step of the sender, in which nodes may be ready that were not before.
    pub(crate) fn begin_step(&mut self) {
        self.requests.begin_step();
    }

    /// Whether a request waits for batches to end.
    pub(crate) fn waits_for_batches(&self) -> bool {
        let mut waiting = self.requests.waiting_in(Lane::Producer);
        waiting.any(|it| it.condition(self) == Condition::BatchesEnded)
    }

    /// Moves the next request to in flight. Its outcome must be passed to [`handle_outcome`](Self::handle_outcome).
    /// `version_of` returns the version of a request that the node supports.
    pub(crate) fn begin_request(
        &mut self,
        version_of: impl FnOnce(ApiKey) -> Option<i16>,
    ) -> Option<(RequestId, Request)> {
        let handler = &self.requests.due()?.handler;
        let request = handler.request(self);
        if let (None, Some(transactions)) = (handler.looks_up(), &self.transactions) {
            // The coordinator has been found and is connected: if the call times out from now on, that is not the reason.
            let own = handler.is_to_own_coordinator().then_some(Lane::Producer);
            transactions.forget_unsent([Some(handler.lane()), own].into_iter().flatten());
        }
        Some((self.requests.begin(version_of)?, request))
    }

    /// Fails the next request, which cannot be sent.
    pub(crate) fn fail_next_request(&mut self, failure: RequestFailure, now: Instant) {
        if let Some(pending) = self.requests.take_due() {
            self.finish(pending, RequestEnd::Failed(failure), now);
        }
    }

    /// Handles the outcome of the request in flight. [`take_effects`](Self::take_effects) returns its effects on
    /// batches.
    pub(crate) fn handle_outcome(&mut self, id: RequestId, outcome: Outcome, now: Instant) {
        let Some(pending) = self.requests.end(id) else {
            return;
        };
        let may_arrive_late = match &outcome {
            Outcome::Disconnected { handed_over, .. } => *handed_over,
            _ => false,
        };
        if may_arrive_late
            && pending.handler.is_of_transaction()
            && !planted!(UnansweredRequestKeepsEpoch)
        {
            // The coordinator may still receive the request, even after it has ended the transaction: only another
            // epoch keeps the request out of the next one.
            self.require_epoch();
        }
        let end = match outcome {
            Outcome::Response(response) => RequestEnd::Answered(response),
            Outcome::Disconnected { reason, .. } => {
                RequestEnd::Failed(RequestFailure::Disconnected(reason))
            }
            Outcome::UnsupportedVersion(why) => {
                RequestEnd::Failed(RequestFailure::UnsupportedVersion(why))
            }
            Outcome::Unwritable(why) => RequestEnd::Failed(RequestFailure::Unwritable(why)),
            Outcome::Authentication(why) => {
                RequestEnd::Failed(RequestFailure::Unauthenticated(why))
            }
            Outcome::Sent => {
                debug_assert!(false, "each of these requests is answered");
                RequestEnd::Failed(RequestFailure::Disconnected("there was no response".into()))
            }
        };
        self.finish(pending, end, now);
    }

    /// Whether a call waits for a request, so that a graceful close has to wait for it too. False after the close
    /// time-out.
    pub(crate) fn has_awaited_requests(&self, now: Instant) -> bool {
        !self.close_deadline().is_over(now) && self.requests.has_awaited(self)
    }

    /// Takes the effects on batches since the last call.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Gives up all requests, on a close or a panic. If a handler panics, the requests behind it are left for the next
    /// call.
    pub(crate) fn give_up(&mut self, why: &Arc<str>) {
        // A request that was pushed before the close is in this list, and a later one is refused: no call waits for
        // ever.
        for handler in self.inbox.close() {
            self.requests.push(handler);
        }
        if let Some(transactions) = &self.transactions {
            // Called before the in-flight request is taken: `commit_is_out` reads it.
            transactions.close(why, self.commit_is_out());
            self.state_seen = transactions.state();
        }
        if let Some(mut pending) = self.requests.take_in_flight() {
            pending.handler.give_up(why, self);
        }
        self.give_up_waiting(why, |_| true);
    }

    /// Gives up the queued requests that `which` selects.
    pub(crate) fn give_up_waiting(
        &mut self,
        why: &Arc<str>,
        which: impl Fn(&dyn RequestHandler) -> bool,
    ) {
        while let Some(mut pending) = self.requests.take_first(&which) {
            pending.handler.give_up(why, self);
        }
    }

    /// Fails the queued requests to a coordinator whose lookup failed.
    pub(super) fn fail_requests_to(
        &mut self,
        of: &CoordinatorKey,
        failure: &RequestFailure,
        now: Instant,
    ) {
        let of = Destination::Coordinator(of.clone());
        for place in self.requests.places(|it| it.destination() == of) {
            // A handler that failed before may have removed this request.
            if let Some(pending) = self.requests.take(place) {
                self.finish(pending, RequestEnd::Failed(failure.clone()), now);
            }
        }
    }

    fn finish(&mut self, pending: PendingRequest, end: RequestEnd, now: Instant) {
        let is_unneeded = matches!(end, RequestEnd::Unneeded);
        let is_answer_of_coordinator =
            matches!(end, RequestEnd::Answered(_)) && pending.handler.is_to_own_coordinator();
        let mut guard = HandlerGuard {
            manager: self,
            pending: Some(pending),
        };
        let outcome = guard.call(end, now);
        drop(guard);
        let Some((mut pending, verdict)) = outcome else {
            return;
        };
        let lane = pending.handler.lane();
        if is_answer_of_coordinator && lane != Lane::Producer {
            // The reason of the coordinator's lookup, which is kept until the coordinator has answered.
            self.clear_retry_reason(Lane::Producer);
        }
        if let Some(why) = verdict.retry_reason() {
            let is_lookup = pending.handler.looks_up().is_some();
            self.note_retry(lane, why.clone(), is_lookup);
        } else if is_unneeded || pending.handler.priority() != Priority::FindCoordinator {
            // A coordinator that was found does not mean that the request to it will succeed.
            self.clear_retry_reason(lane);
        }
        let fatal = self.fatal_error().map(|fatal| Arc::clone(&fatal.message));
        match fatal {
            // After a fatal error nothing is sent any more, so a retry would wait for ever.
            Some(why) if verdict != RequestVerdict::Done => pending.handler.give_up(&why, self),
            _ => self.requests.settle(pending, &verdict, now),
        }
    }

    /// The inbox for requests of other threads.
    #[cfg(test)]
    pub(crate) fn inbox(&self) -> Arc<RequestInbox> {
        Arc::clone(&self.inbox)
    }

    /// Puts a request into the queue. With a fatal error it is given up at once.
    pub(crate) fn push_request(&mut self, mut handler: Box<dyn RequestHandler>) {
        match self.fatal_error().map(|fatal| Arc::clone(&fatal.message)) {
            Some(why) => handler.give_up(&why, self),
            None => self.requests.push(handler),
        }
    }

    /// Whether the coordinator can bump the epoch of a producer id (KIP-360); false if no coordinator is known.
    ///
    /// # Kafka
    /// `TransactionManager#coordinatorSupportsBumpingEpoch`.
    pub(crate) fn can_bump_epoch(&self) -> bool {
        let version = self.requests.coordinators.init_producer_id_version();
        version.is_some_and(|version| version >= FIRST_THAT_BUMPS_EPOCHS)
    }
}

/// The first version of InitProducerId that contains the producer id whose epoch is to be bumped.
const FIRST_THAT_BUMPS_EPOCHS: i16 = 3;
