//! The requests that wait, the one that is under way, and whose turn it is.

use std::collections::BTreeMap;

use super::coordinators::{Coordinators, FindCoordinator};
use super::request::{Condition, CoordinatorKey, Destination, Priority, RequestHandler, Verdict};
use crate::clock::Instant;
use crate::protocol::ApiKey;
use crate::types::Node;

/// Which attempt of which request: comes back with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(u64);

/// What the sender is to do next about transactional requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NextRequest {
    /// Nothing, until an answer comes or something changes.
    Nothing,
    /// Nothing before then.
    At(Instant),
    /// Send one to any node.
    ToAnyNode,
    /// Send one to this node, which metadata need not know.
    ToCoordinator(Node),
}

/// How it stands with the batches.
pub(crate) struct Batches<'a> {
    /// Some wait to be sent.
    pub(crate) wait: bool,
    /// All have ended. Not asked for without need.
    pub(crate) have_ended: &'a mut dyn FnMut() -> bool,
}

/// At most one request is under way. Only the first in line counts: while it has to wait, nothing overtakes it.
///
/// # Kafka
/// `TransactionManager#pendingRequests`, `#nextRequest`, `Sender#maybeSendAndPollTransactionalRequest`. Differs:
/// waiting is a moment at which to look again, never a sleep, and batches go on meanwhile.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    waiting: BTreeMap<Place, Pending>,
    in_flight: Option<(RequestId, Pending)>,
    pub(super) coordinators: Coordinators,
    pushed: u64,
    begun: u64,
}

/// Where a request stands, also when it comes back to be sent again: among equals the older goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    priority: Priority,
    number: u64,
}

/// A request in its place.
#[derive(Debug)]
pub(super) struct Pending {
    place: Place,
    not_before: Instant,
    pub(super) handler: Box<dyn RequestHandler>,
}

impl RequestQueue {
    pub(super) fn push(&mut self, handler: Box<dyn RequestHandler>) {
        let place = Place {
            priority: handler.priority(),
            number: self.pushed,
        };
        self.pushed += 1;
        self.put_back(Pending {
            place,
            not_before: Instant::ORIGIN,
            handler,
        });
    }

    fn put_back(&mut self, pending: Pending) {
        self.waiting.insert(pending.place, pending);
    }

    /// Whose turn it is. A coordinator that is not known is looked up first.
    pub(super) fn next(&mut self, batches: &mut Batches<'_>, now: Instant) -> NextRequest {
        if self.in_flight.is_some() {
            return NextRequest::Nothing;
        }
        let Some(first) = self.first() else {
            return NextRequest::Nothing;
        };
        let may_go = match first.handler.condition() {
            Condition::Nothing => true,
            Condition::BatchesWait => batches.wait,
            Condition::BatchesEnded => (batches.have_ended)(),
        };
        if !may_go {
            return NextRequest::Nothing;
        }
        if first.not_before > now {
            return NextRequest::At(first.not_before);
        }
        let Destination::Coordinator(of) = first.handler.destination() else {
            return NextRequest::ToAnyNode;
        };
        if let Some(node) = self.coordinators.get(&of) {
            return NextRequest::ToCoordinator(node.clone());
        }
        self.push(Box::new(FindCoordinator::new(of)));
        NextRequest::ToAnyNode
    }

    pub(super) fn first(&self) -> Option<&Pending> {
        self.waiting.values().next()
    }

    /// The first in line is under way, to a node that takes versions as `version_of` says.
    pub(super) fn begin(
        &mut self,
        version_of: impl FnOnce(ApiKey) -> Option<i16>,
    ) -> Option<RequestId> {
        debug_assert!(self.in_flight.is_none(), "one at a time");
        let (_, pending) = self.waiting.pop_first()?;
        if let Destination::Coordinator(of) = pending.handler.destination() {
            self.coordinators.is_ready(&of, version_of);
        }
        let id = RequestId(self.begun);
        self.begun += 1;
        self.in_flight = Some((id, pending));
        Some(id)
    }

    /// An attempt has come to its end.
    pub(super) fn end(&mut self, id: RequestId) -> Option<Pending> {
        let is_it = self.in_flight.as_ref().is_some_and(|(it, _)| *it == id);
        debug_assert!(
            is_it || self.in_flight.is_none(),
            "an answer to a request that is not under way"
        );
        self.in_flight
            .take_if(|_| is_it)
            .map(|(_, pending)| pending)
    }

    /// Puts a request back that is not done.
    pub(super) fn settle(&mut self, mut pending: Pending, verdict: Verdict, now: Instant) {
        let wait = match verdict {
            Verdict::Done => return,
            Verdict::Retry { wait } => wait,
            Verdict::FindCoordinator { wait } => {
                if let Destination::Coordinator(of) = pending.handler.destination() {
                    self.coordinators.lost(&of);
                }
                wait
            }
        };
        pending.not_before = now + wait;
        self.put_back(pending);
    }

    pub(super) fn has_awaited(&self) -> bool {
        let in_flight = self.in_flight.iter().map(|(_, pending)| pending);
        let mut all = in_flight.chain(self.waiting.values());
        all.any(|pending| pending.handler.is_awaited())
    }

    /// Takes all that wait, in their order.
    pub(super) fn take_waiting(&mut self) -> Vec<Pending> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// Takes those that wait for this coordinator, in their order.
    pub(super) fn take_waiting_for(&mut self, of: &CoordinatorKey) -> Vec<Pending> {
        let (theirs, others) = std::mem::take(&mut self.waiting).into_iter().partition(
            |(_, it)| matches!(it.handler.destination(), Destination::Coordinator(it) if it == *of),
        );
        self.waiting = others;
        BTreeMap::into_values(theirs).collect()
    }

    pub(super) fn take_in_flight(&mut self) -> Option<Pending> {
        self.in_flight.take().map(|(_, pending)| pending)
    }
}
