//! What the sender asks of the manager about requests. It knows none of them.

use std::sync::Arc;

use super::coordinators::FindCoordinator;
use super::request::{Condition, CoordinatorKey, Destination, Failure, RequestHandler, Verdict};
use super::requests::{Batches, NextRequest, Pending, RequestId, Turn};
use super::{Effect, RequestInbox, TransactionManager};
use crate::client::kafka_client::Outcome;
use crate::clock::Instant;
use crate::protocol::{ApiKey, Request, Response};

/// How an attempt came to its end.
enum End {
    Answered(Response),
    Failed(Failure),
    Unneeded,
}

/// The queue lacks a request while that is told how it came to its end. If it panics, it is back afterwards, to be given
/// up with the others.
struct Telling<'m> {
    manager: &'m mut TransactionManager,
    pending: Option<Pending>,
}

impl Telling<'_> {
    fn tell(&mut self, end: End, now: Instant) -> Option<(Pending, Verdict)> {
        let (handler, manager) = (&mut self.pending.as_mut()?.handler, &mut *self.manager);
        let verdict = match end {
            End::Answered(response) => handler.handle_response(response, manager, now),
            End::Failed(failure) => handler.handle_failure(failure, manager, now),
            End::Unneeded => {
                handler.handle_unneeded(manager, now);
                Verdict::Done
            }
        };
        Some((self.pending.take()?, verdict))
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.manager.requests.put_back(pending);
        }
    }
}

impl TransactionManager {
    /// Which request is to be made next, and when. A coordinator that is not known is looked up first.
    pub(crate) fn next_request(&mut self, batches: &mut Batches<'_>, now: Instant) -> NextRequest {
        loop {
            let turn = self.requests.turn(self, batches, now);
            self.requests.set_due(match &turn {
                Turn::Of(place, _) | Turn::Unneeded(place) => Some(*place),
                Turn::Nobody | Turn::At(_) => None,
            });
            let of = match turn {
                Turn::Nobody => return NextRequest::Nothing,
                Turn::At(moment) => return NextRequest::At(moment),
                Turn::Of(_, Destination::AnyNode) => return NextRequest::ToAnyNode,
                Turn::Of(_, Destination::Coordinator(of)) => of,
                Turn::Unneeded(_) => {
                    if let Some(unneeded) = self.requests.take_due() {
                        self.finish(unneeded, End::Unneeded, now);
                    }
                    continue;
                }
            };
            if let Some(node) = self.requests.coordinators.get(&of) {
                return NextRequest::ToCoordinator(node.clone());
            }
            // Before all others: its turn is next.
            self.requests.push(Box::new(FindCoordinator::new(of)));
        }
    }

    /// Whether a request waits for batches to end.
    pub(crate) fn waits_for_batches(&self) -> bool {
        let mut waiting = self.requests.waiting();
        waiting.any(|it| it.condition(self) == Condition::BatchesEnded)
    }

    /// The next request, which is under way from now on: it must come back to
    /// [`handle_outcome`](Self::handle_outcome). `version_of` tells which version of a request the node takes.
    pub(crate) fn begin_request(
        &mut self,
        version_of: impl FnOnce(ApiKey) -> Option<i16>,
    ) -> Option<(RequestId, Request)> {
        let request = self.requests.due()?.handler.request(self);
        Some((self.requests.begin(version_of)?, request))
    }

    /// The next request cannot be made, for this reason: it has come to its end.
    pub(crate) fn fail_next_request(&mut self, failure: Failure, now: Instant) {
        if let Some(pending) = self.requests.take_due() {
            self.finish(pending, End::Failed(failure), now);
        }
    }

    /// What became of a request. What follows for batches is in the [effects](Self::take_effects).
    pub(crate) fn handle_outcome(&mut self, id: RequestId, outcome: Outcome, now: Instant) {
        let Some(pending) = self.requests.end(id) else {
            return;
        };
        let end = match outcome {
            Outcome::Response(response) => End::Answered(response),
            Outcome::Disconnected { reason, .. } => End::Failed(Failure::Disconnected(reason)),
            Outcome::UnsupportedVersion(why) => End::Failed(Failure::UnsupportedVersion(why)),
            Outcome::Authentication(why) => End::Failed(Failure::Unauthenticated(why)),
            Outcome::Sent => {
                debug_assert!(false, "each of these requests is answered");
                End::Failed(Failure::Disconnected("there was no answer".into()))
            }
        };
        self.finish(pending, end, now);
    }

    /// Whether somebody waits for the end of a request.
    pub(crate) fn has_awaited_requests(&self) -> bool {
        self.requests.has_awaited(self)
    }

    /// What is to be done about batches since this was asked last.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The producer is closed, or has panicked: no request is made any more. If one panics when it is told, those
    /// behind it are left for the next call.
    pub(crate) fn give_up(&mut self, why: &Arc<str>) {
        for handler in self.inbox.close() {
            self.requests.push(handler);
        }
        if let Some(mut pending) = self.requests.take_in_flight() {
            pending.handler.give_up(why, self);
        }
        self.give_up_waiting(why, |_| true);
    }

    /// Those of these requests that wait are not sent any more.
    pub(crate) fn give_up_waiting(
        &mut self,
        why: &Arc<str>,
        which: impl Fn(&dyn RequestHandler) -> bool,
    ) {
        while let Some(mut pending) = self.requests.take_first(&which) {
            pending.handler.give_up(why, self);
        }
    }

    /// There will be no coordinator for these.
    pub(super) fn fail_requests_to(
        &mut self,
        of: &CoordinatorKey,
        failure: &Failure,
        now: Instant,
    ) {
        let of = Destination::Coordinator(of.clone());
        for place in self.requests.places(|it| it.destination() == of) {
            // What the one before has done may have been the end of this one.
            if let Some(pending) = self.requests.take(place) {
                self.finish(pending, End::Failed(failure.clone()), now);
            }
        }
    }

    fn finish(&mut self, pending: Pending, end: End, now: Instant) {
        let mut telling = Telling {
            manager: self,
            pending: Some(pending),
        };
        let told = telling.tell(end, now);
        drop(telling);
        let Some((mut pending, verdict)) = told else {
            return;
        };
        let fatal = self.fatal_error().map(|fatal| Arc::clone(&fatal.message));
        match fatal {
            Some(why) if verdict != Verdict::Done => pending.handler.give_up(&why, self),
            _ => self.requests.settle(pending, verdict, now),
        }
    }

    /// Where application threads put requests.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the calls of a transactional producer will")
    )]
    pub(crate) fn inbox(&self) -> Arc<RequestInbox> {
        Arc::clone(&self.inbox)
    }

    /// Takes over what application threads have asked for.
    pub(crate) fn handle_inbox(&mut self) {
        if self.is_transactional() {
            for handler in self.inbox.take() {
                self.push_request(handler);
            }
        }
    }

    /// Puts a request into the queue. With a fatal error it is given up at once.
    pub(crate) fn push_request(&mut self, mut handler: Box<dyn RequestHandler>) {
        match self.fatal_error().map(|fatal| Arc::clone(&fatal.message)) {
            Some(why) => handler.give_up(&why, self),
            None => self.requests.push(handler),
        }
    }

    /// Whether the coordinator lets a producer have the next epoch of its id (KIP-360); false if none is known.
    ///
    /// # Kafka
    /// `TransactionManager#coordinatorSupportsBumpingEpoch`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a transaction that failed will need to know")
    )]
    pub(crate) fn can_bump_epoch(&self) -> bool {
        let version = self.requests.coordinators.init_producer_id_version();
        version.is_some_and(|version| version >= FIRST_THAT_BUMPS_EPOCHS)
    }
}

/// The version of InitProducerId from which on it carries an id whose epoch is to be raised.
const FIRST_THAT_BUMPS_EPOCHS: i16 = 3;
