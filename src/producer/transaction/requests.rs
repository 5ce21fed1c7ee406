//! The requests that wait, the one that is under way, and whose turn it is.

use std::collections::BTreeMap;

use super::TransactionManager;
use super::coordinators::Coordinators;
use super::request::{Condition, Destination, Priority, RequestHandler, Verdict};
use crate::clock::Instant;
use crate::protocol::ApiKey;
use crate::types::Node;
use crate::util::backoff::SHORTEST_BACKOFF;

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

/// Whose turn it is.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nobody's, as things stand.
    Nobody,
    /// Nobody's before then.
    At(Instant),
    /// Of this one, which goes there.
    Of(Place, Destination),
    /// Of this one, which is not needed any more.
    Unneeded(Place),
}

/// At most one request is under way, and the first in line goes next: while it waits for its backoff, or for batches
/// to end, nothing overtakes it. One that waits for batches to come lets others by: they may never come.
///
/// # Kafka
/// `TransactionManager#pendingRequests`, `#nextRequest`, `Sender#maybeSendAndPollTransactionalRequest`. Differs:
/// waiting is a moment at which to look again, never a sleep, and batches go on meanwhile.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    waiting: BTreeMap<Place, Pending>,
    /// Whose turn it was when that was asked last.
    due: Option<Place>,
    in_flight: Option<(RequestId, Pending)>,
    pub(super) coordinators: Coordinators,
    pushed: u64,
    begun: u64,
}

/// Where a request stands, also when it comes back to be sent again: among equals the older goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
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

    pub(super) fn put_back(&mut self, pending: Pending) {
        self.waiting.insert(pending.place, pending);
    }

    /// Whose turn it is, in the manager whose queue this is.
    pub(super) fn turn(
        &self,
        manager: &TransactionManager,
        batches: &mut Batches<'_>,
        now: Instant,
    ) -> Turn {
        if self.in_flight.is_some() {
            return Turn::Nobody;
        }
        for (place, pending) in &self.waiting {
            let handler = &*pending.handler;
            if !handler.is_needed(manager) {
                return Turn::Unneeded(*place);
            }
            match handler.condition(manager) {
                Condition::BatchesWait if !batches.wait => {}
                Condition::BatchesEnded if !(batches.have_ended)() => return Turn::Nobody,
                _ if pending.not_before > now => return Turn::At(pending.not_before),
                _ => return Turn::Of(*place, handler.destination()),
            }
        }
        Turn::Nobody
    }

    /// It is the turn of this one, until that is asked again.
    pub(super) fn set_due(&mut self, due: Option<Place>) {
        self.due = due;
    }

    /// Whose turn it is.
    pub(super) fn due(&self) -> Option<&Pending> {
        self.waiting.get(&self.due?)
    }

    /// Takes the one whose turn it is.
    pub(super) fn take_due(&mut self) -> Option<Pending> {
        let due = self.due.take()?;
        self.waiting.remove(&due)
    }

    /// The one whose turn it is is under way, to a node that takes versions as `version_of` says.
    pub(super) fn begin(
        &mut self,
        version_of: impl FnOnce(ApiKey) -> Option<i16>,
    ) -> Option<RequestId> {
        debug_assert!(self.in_flight.is_none(), "one at a time");
        let pending = self.take_due()?;
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
        pending.not_before = now + wait.max(SHORTEST_BACKOFF);
        self.put_back(pending);
    }

    pub(super) fn has_awaited(&self, manager: &TransactionManager) -> bool {
        let in_flight = self.in_flight.iter().map(|(_, pending)| pending);
        let mut all = in_flight.chain(self.waiting.values());
        all.any(|pending| pending.handler.is_awaited(manager))
    }

    /// Those that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &dyn RequestHandler> {
        self.waiting.values().map(|pending| &*pending.handler)
    }

    /// Takes the first of these that waits.
    pub(super) fn take_first(
        &mut self,
        mut which: impl FnMut(&dyn RequestHandler) -> bool,
    ) -> Option<Pending> {
        let mut places = self.waiting.iter();
        let place = *places.find(|(_, pending)| which(&*pending.handler))?.0;
        self.waiting.remove(&place)
    }

    /// The places of these that wait.
    pub(super) fn places(&self, mut which: impl FnMut(&dyn RequestHandler) -> bool) -> Vec<Place> {
        let theirs = self.waiting.iter().filter(|(_, it)| which(&*it.handler));
        theirs.map(|(place, _)| *place).collect()
    }

    /// Takes the one in that place.
    pub(super) fn take(&mut self, place: Place) -> Option<Pending> {
        self.waiting.remove(&place)
    }

    pub(super) fn take_in_flight(&mut self) -> Option<Pending> {
        self.in_flight.take().map(|(_, pending)| pending)
    }
}
