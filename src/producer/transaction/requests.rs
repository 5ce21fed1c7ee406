//! The queue of transactional requests, by priority, and the one in flight.

use std::collections::BTreeMap;
use std::collections::btree_map::Iter;
use std::iter::Peekable;

use super::TransactionManager;
use super::coordinators::Coordinators;
use super::request::{
    Condition, CoordinatorKey, Destination, Lane, Priority, RequestHandler, RequestVerdict,
};
use crate::clock::{Deadline, Instant};
use crate::error::ErrorCode;
use crate::planted::planted;
use crate::protocol::ApiKey;
use crate::types::Node;
use crate::util::backoff::SHORTEST_BACKOFF;

/// The id of an attempt, which is returned with the outcome of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(u64);

/// The next step of the sender for transactional requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NextRequest {
    /// Wait for a response, or for another change of state.
    Nothing,
    /// Wait until this time.
    At(Instant),
    /// Send the due request to any node.
    ToAnyNode,
    /// Send the due request to this node, which need not be in the metadata.
    ToCoordinator(Node),
}

/// The state of the batches, which some requests wait for.
pub(crate) struct BatchesStatus<'a> {
    /// True if some batches wait to be sent.
    pub(crate) wait: bool,
    /// Returns whether all batches have completed. A closure, because the check is costly and seldom needed.
    pub(crate) have_ended: &'a mut dyn FnMut() -> bool,
}

/// The next request of the queue, if it can be sent.
#[derive(Debug)]
pub(super) enum NextQueued {
    /// No request can be sent for now.
    Nothing,
    /// No request can be sent before this time: the first ones are in back-off.
    At(Instant),
    /// Send this request to this destination.
    Send(QueuePosition, Destination),
    /// Drop this request, which is no longer needed.
    Unneeded(QueuePosition),
}

/// The request queue: at most one request is in flight, and the first in the queue is sent next. A request in back-off,
/// or to a node that is not ready, blocks those of lower priority and the later ones of its [lane](Lane); a coordinator
/// lookup blocks the requests to that coordinator; `CONCURRENT_TRANSACTIONS` blocks all lanes. A request that waits for
/// batches to end blocks all requests behind it. A request that waits for batches to arrive blocks none, since such batches
/// may never arrive.
///
/// # Kafka
/// `TransactionManager#pendingRequests`, `#nextRequest`, `Sender#maybeSendAndPollTransactionalRequest`. Differs: the
/// sender does not sleep for a request. The queue returns the time of the next check, and batches are sent meanwhile.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    waiting: Lanes,
    /// The request found by the last `turn`.
    due: Option<QueuePosition>,
    /// Requests whose node was not ready in this step of the sender, and when the node may be ready without another
    /// event.
    unready: BTreeMap<QueuePosition, Deadline>,
    in_flight: Option<(RequestId, PendingRequest)>,
    pub(super) coordinators: Coordinators,
    /// The number of requests pushed so far.
    pushed: u64,
    /// The number of attempts begun so far.
    begun: u64,
}

/// The position of a request, kept for retries: by priority, then oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueuePosition {
    priority: Priority,
    number: u64,
}

/// A queued request with its position and back-off.
#[derive(Debug)]
pub(super) struct PendingRequest {
    place: QueuePosition,
    /// The end of the back-off.
    not_before: Instant,
    /// Whether the back-off waits for the end of the previous transaction, as every request of this one would.
    is_concurrent: bool,
    pub(super) handler: Box<dyn RequestHandler>,
}

/// The waiting requests, by lane: a look through the queue passes by all requests of a lane that is held up, however many
/// they are.
#[derive(Debug, Default)]
struct Lanes([BTreeMap<QueuePosition, PendingRequest>; Lane::COUNT]);

impl Lanes {
    fn insert(&mut self, pending: PendingRequest) {
        let lane = pending.handler.lane();
        self.0[lane as usize].insert(pending.place, pending);
    }

    fn get(&self, place: QueuePosition) -> Option<&PendingRequest> {
        self.0.iter().find_map(|lane| lane.get(&place))
    }

    fn remove(&mut self, place: QueuePosition) -> Option<PendingRequest> {
        self.0.iter_mut().find_map(|lane| lane.remove(&place))
    }

    /// All requests, by lane.
    fn iter(&self) -> impl Iterator<Item = (&QueuePosition, &PendingRequest)> {
        self.0.iter().flatten()
    }

    fn in_order(&self) -> InOrder<'_> {
        InOrder(self.0.each_ref().map(|lane| Some(lane.iter().peekable())))
    }
}

/// The requests in order, except those of the lanes that are closed.
struct InOrder<'a>([Option<Peekable<Iter<'a, QueuePosition, PendingRequest>>>; Lane::COUNT]);

impl<'a> InOrder<'a> {
    fn next(&mut self) -> Option<&'a PendingRequest> {
        let open = self.0.iter_mut().flatten();
        let first = open.filter_map(|lane| Some((*lane.peek()?.0, lane)));
        let (_, lane) = first.min_by_key(|(place, _)| *place)?;
        lane.next().map(|(_, pending)| pending)
    }

    fn close(&mut self, lane: Lane) {
        if !planted!(OffsetsOvertakeOffsets) {
            self.0[lane as usize] = None;
        }
    }
}

/// The requests that a look through the queue has found in back-off, or to a node that is not ready.
struct HeldUp {
    /// The earliest time at which one of them may be sent without another event.
    until: Deadline,
    /// Their priority: requests of lower priority wait for them. Lookups are left out.
    priority: Option<Priority>,
    /// The coordinators whose lookup is among them.
    lookups: Vec<CoordinatorKey>,
}

impl HeldUp {
    fn new() -> Self {
        Self {
            until: Deadline::Never,
            priority: None,
            lookups: Vec::new(),
        }
    }

    /// Whether a request with this priority, and all after it, waits for one of a higher priority.
    fn ends_at(&self, priority: Priority) -> bool {
        self.priority.is_some_and(|held| held < priority)
    }

    /// Whether the request waits for the lookup of its coordinator.
    fn looks_up_for(&self, handler: &dyn RequestHandler) -> bool {
        match handler.destination() {
            Destination::Coordinator(of) => self.lookups.contains(&of),
            Destination::AnyNode => false,
        }
    }

    fn next(&self) -> NextQueued {
        match self.until {
            Deadline::At(until) => NextQueued::At(until),
            Deadline::Never => NextQueued::Nothing,
        }
    }
}

impl RequestQueue {
    pub(super) fn push(&mut self, handler: Box<dyn RequestHandler>) {
        let place = QueuePosition {
            priority: handler.priority(),
            number: self.pushed,
        };
        self.pushed += 1;
        self.put_back(PendingRequest {
            place,
            not_before: Instant::ORIGIN,
            is_concurrent: false,
            handler,
        });
    }

    pub(super) fn put_back(&mut self, pending: PendingRequest) {
        self.waiting.insert(pending);
    }

    /// The next request that can be sent, in the queue of `manager`.
    pub(super) fn turn(
        &self,
        manager: &TransactionManager,
        batches: &mut BatchesStatus<'_>,
        now: Instant,
    ) -> NextQueued {
        // At most one transactional request is in flight, as in Java: its response may change the content of the next
        // one.
        if self.in_flight.is_some() {
            return NextQueued::Nothing;
        }
        let mut held = HeldUp::new();
        let mut waiting = self.waiting.in_order();
        while let Some(pending) = waiting.next() {
            let (place, handler) = (pending.place, &*pending.handler);
            if held.ends_at(place.priority) {
                break;
            }
            if !handler.is_needed(manager) {
                return NextQueued::Unneeded(place);
            }
            // A request that need not be sent, such as the addition of a group that was added, needs no coordinator.
            if held.looks_up_for(handler) && handler.asks_broker(manager) {
                held.priority = Some(place.priority);
                waiting.close(handler.lane());
                continue;
            }
            let until = match handler.condition(manager) {
                Condition::BatchesWait if !batches.wait => continue,
                Condition::BatchesEnded if !(batches.have_ended)() => break,
                _ if !handler.asks_broker(manager) => return NextQueued::Unneeded(place),
                _ if pending.not_before > now => Deadline::At(pending.not_before),
                _ => match self.unready.get(&place) {
                    Some(until) => *until,
                    None => return NextQueued::Send(place, handler.destination()),
                },
            };
            held.until = held.until.min(until);
            if let Some(of) = handler.looks_up() {
                held.lookups.push(of.clone());
            } else {
                held.priority = Some(place.priority);
                waiting.close(handler.lane());
            }
            if pending.is_concurrent {
                break;
            }
        }
        held.next()
    }

    /// Sets the request that is due, until the next `turn`.
    pub(super) fn set_due(&mut self, due: Option<QueuePosition>) {
        self.due = due;
    }

    /// Passes over the request that is due in this step of the sender, because its node is not ready.
    pub(super) fn hold_up_due(&mut self, until: Deadline) {
        debug_assert!(self.due.is_some(), "it was found by the last turn");
        self.unready.extend(self.due.take().map(|due| (due, until)));
    }

    /// Begins another step of the sender: a node may be ready now.
    pub(super) fn begin_step(&mut self) {
        self.unready.clear();
    }

    /// The request that is due.
    pub(super) fn due(&self) -> Option<&PendingRequest> {
        self.waiting.get(self.due?)
    }

    /// Removes the request that is due.
    pub(super) fn take_due(&mut self) -> Option<PendingRequest> {
        let due = self.due.take()?;
        self.waiting.remove(due)
    }

    /// Moves the due request to in flight, to a node whose API versions `version_of` returns.
    pub(super) fn begin(
        &mut self,
        version_of: impl FnOnce(ApiKey) -> Option<i16>,
    ) -> Option<RequestId> {
        debug_assert!(self.in_flight.is_none(), "one at a time");
        let pending = self.take_due()?;
        if let Destination::Coordinator(of) = pending.handler.destination() {
            // The node is connected, so its ApiVersions are known: they show whether it can bump epochs (KIP-360).
            self.coordinators.is_ready(&of, version_of);
        }
        let id = RequestId(self.begun);
        self.begun += 1;
        self.in_flight = Some((id, pending));
        Some(id)
    }

    /// Removes the request in flight whose attempt has ended.
    pub(super) fn end(&mut self, id: RequestId) -> Option<PendingRequest> {
        let is_it = self.in_flight.as_ref().is_some_and(|(it, _)| *it == id);
        debug_assert!(
            is_it || self.in_flight.is_none(),
            "a response to a request that is not in flight"
        );
        self.in_flight
            .take_if(|_| is_it)
            .map(|(_, pending)| pending)
    }

    /// Puts a request back into the queue for its retry, unless it is done.
    pub(super) fn settle(
        &mut self,
        mut pending: PendingRequest,
        verdict: &RequestVerdict,
        now: Instant,
    ) {
        let wait = match verdict {
            RequestVerdict::Done => return,
            RequestVerdict::Retry { wait, .. } => *wait,
            RequestVerdict::FindCoordinator { wait, .. } => {
                if let Destination::Coordinator(of) = pending.handler.destination() {
                    // `next_request` looks the coordinator up again when it is this request's turn.
                    self.coordinators.lost(&of);
                }
                *wait
            }
        };
        // Prevents a busy loop if a coordinator answers immediately and retry.backoff.ms is 0.
        pending.not_before = now + wait.max(SHORTEST_BACKOFF);
        let code = verdict.retry_reason().and_then(|why| why.code);
        pending.is_concurrent =
            code == Some(ErrorCode::ConcurrentTransactions) && pending.handler.begins_transaction();
        self.put_back(pending);
    }

    /// Whether a graceful close waits for one of the requests.
    pub(super) fn has_awaited(&self, manager: &TransactionManager) -> bool {
        let in_flight = self.in_flight.iter().map(|(_, pending)| pending);
        let mut all = in_flight.chain(self.waiting.iter().map(|(_, pending)| pending));
        all.any(|pending| pending.handler.is_awaited(manager))
    }

    /// All queued requests, by lane.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &dyn RequestHandler> {
        self.waiting.iter().map(|(_, pending)| &*pending.handler)
    }

    /// The queued requests of a lane.
    pub(super) fn waiting_in(&self, lane: Lane) -> impl Iterator<Item = &dyn RequestHandler> {
        let pending = self.waiting.0[lane as usize].values();
        pending.map(|pending| &*pending.handler)
    }

    /// Removes the first queued request that `which` selects.
    pub(super) fn take_first(
        &mut self,
        mut which: impl FnMut(&dyn RequestHandler) -> bool,
    ) -> Option<PendingRequest> {
        let lanes = self.waiting.0.iter();
        let firsts = lanes.filter_map(|lane| lane.iter().find(|(_, it)| which(&*it.handler)));
        let place = *firsts.map(|(place, _)| place).min()?;
        self.waiting.remove(place)
    }

    /// The positions of the queued requests that `which` selects, in order.
    pub(super) fn places(
        &self,
        mut which: impl FnMut(&dyn RequestHandler) -> bool,
    ) -> Vec<QueuePosition> {
        let theirs = self.waiting.iter().filter(|(_, it)| which(&*it.handler));
        let mut places: Vec<_> = theirs.map(|(place, _)| *place).collect();
        places.sort_unstable();
        places
    }

    /// Removes the request at that position.
    pub(super) fn take(&mut self, place: QueuePosition) -> Option<PendingRequest> {
        self.waiting.remove(place)
    }

    /// The request in flight.
    pub(super) fn in_flight(&self) -> Option<&dyn RequestHandler> {
        let (_, pending) = self.in_flight.as_ref()?;
        Some(&*pending.handler)
    }

    pub(super) fn take_in_flight(&mut self) -> Option<PendingRequest> {
        self.in_flight.take().map(|(_, pending)| pending)
    }
}
