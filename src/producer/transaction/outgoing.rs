//! What the sender asks of the manager about requests. It knows none of them.

use std::sync::Arc;

use super::request::{CoordinatorKey, Failure, RequestHandler, Verdict};
use super::requests::{Batches, NextRequest, Pending, RequestId};
use super::{Effect, TransactionManager};
use crate::client::kafka_client::Outcome;
use crate::clock::Instant;
use crate::protocol::{ApiKey, Request, Response};

/// How an attempt came to its end.
enum End {
    Answered(Response),
    Failed(Failure),
}

impl TransactionManager {
    /// Which request is to be made next, and when.
    pub(crate) fn next_request(&mut self, batches: &mut Batches<'_>, now: Instant) -> NextRequest {
        self.requests.next(batches, now)
    }

    /// The next request, which is under way from now on: it must come back to
    /// [`handle_outcome`](Self::handle_outcome). `version_of` tells which version of a request the node takes.
    pub(crate) fn begin_request(
        &mut self,
        version_of: impl FnOnce(ApiKey) -> Option<i16>,
    ) -> Option<(RequestId, Request)> {
        let request = self.requests.first()?.handler.request(self);
        Some((self.requests.begin(version_of)?, request))
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
        self.requests.has_awaited()
    }

    /// What is to be done about batches since this was asked last.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The producer is closed by force, or has panicked: nobody waits for a request any more.
    pub(crate) fn give_up(&mut self, why: &Arc<str>) {
        if let Some(mut pending) = self.requests.take_in_flight() {
            pending.handler.give_up(why, self);
        }
        self.give_up_waiting(why);
    }

    /// No request is sent any more that has not been sent yet.
    pub(super) fn give_up_waiting(&mut self, why: &Arc<str>) {
        for mut pending in self.requests.take_waiting() {
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
        for pending in self.requests.take_waiting_for(of) {
            self.finish(pending, End::Failed(failure.clone()), now);
        }
    }

    fn finish(&mut self, mut pending: Pending, end: End, now: Instant) {
        let verdict = match end {
            End::Answered(response) => pending.handler.handle_response(response, self, now),
            End::Failed(failure) => pending.handler.handle_failure(failure, self, now),
        };
        let fatal = self.fatal_error().map(|fatal| Arc::clone(&fatal.message));
        match fatal {
            Some(why) if verdict != Verdict::Done => pending.handler.give_up(&why, self),
            _ => self.requests.settle(pending, verdict, now),
        }
    }

    /// Puts a request into the queue.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the calls of a transactional producer will")
    )]
    pub(crate) fn push_request(&mut self, handler: Box<dyn RequestHandler>) {
        self.requests.push(handler);
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
