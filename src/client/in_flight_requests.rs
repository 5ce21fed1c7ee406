//! The requests that were given to a connection and not answered yet, in order, for each node.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::protocol::ApiKey;
use crate::types::NodeId;

/// A request that was given to a connection.
#[derive(Debug)]
pub(crate) struct InFlightRequest<P> {
    pub(crate) correlation_id: i32,
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    /// When the client took it.
    pub(crate) created: Instant,
    /// When the answer must be there; moves when the broker asks for a pause, during which it does
    /// not answer (KAFKA-16083).
    pub(crate) deadline: Deadline,
    pub(crate) expects_response: bool,
    /// Its size, length included.
    pub(crate) bytes: usize,
    /// Whose request it is.
    pub(crate) purpose: P,
}

#[derive(Debug)]
struct NodeRequests<P> {
    /// Oldest first.
    requests: VecDeque<InFlightRequest<P>>,
    /// Whether the newest has been written in full; all others have.
    newest_is_written: bool,
}

impl<P> Default for NodeRequests<P> {
    fn default() -> Self {
        Self {
            requests: VecDeque::new(),
            newest_is_written: true,
        }
    }
}

/// The unanswered requests of all nodes.
///
/// # Kafka
/// `org.apache.kafka.clients.InFlightRequests`.
#[derive(Debug)]
pub(crate) struct InFlightRequests<P> {
    max_per_connection: usize,
    nodes: BTreeMap<NodeId, NodeRequests<P>>,
    count: usize,
    /// No request's deadline is before this one. It may be early, because it is not moved when a
    /// request is answered: then it costs one look at all requests when it has passed.
    earliest: Deadline,
}

impl<P> InFlightRequests<P> {
    pub(crate) fn new(max_per_connection: usize) -> Self {
        Self {
            max_per_connection,
            nodes: BTreeMap::new(),
            count: 0,
            earliest: Deadline::Never,
        }
    }

    /// Adds a request whose writing has begun or is about to.
    pub(crate) fn push(&mut self, node: NodeId, request: InFlightRequest<P>) {
        self.earliest = self.earliest.min(request.deadline);
        let entry = self.nodes.entry(node).or_default();
        entry.requests.push_back(request);
        entry.newest_is_written = false;
        self.count += 1;
    }

    /// The newest request was written in full. Gives it back if no answer is expected.
    pub(crate) fn newest_written(&mut self, node: NodeId) -> Option<InFlightRequest<P>> {
        let entry = self.nodes.get_mut(&node)?;
        entry.newest_is_written = true;
        if entry.requests.back()?.expects_response {
            return None;
        }
        let request = entry.requests.pop_back();
        self.removed(1);
        request
    }

    /// The newest request if it has not been written in full.
    pub(crate) fn newest_unwritten(&self, node: NodeId) -> Option<&InFlightRequest<P>> {
        let entry = self.nodes.get(&node)?;
        entry.requests.back().filter(|_| !entry.newest_is_written)
    }

    /// Takes back the newest request, of which nothing will be written.
    pub(crate) fn withdraw_newest(&mut self, node: NodeId) -> Option<InFlightRequest<P>> {
        self.newest_unwritten(node)?;
        let entry = self.nodes.get_mut(&node)?;
        let request = entry.requests.pop_back()?;
        entry.newest_is_written = true;
        self.removed(1);
        Some(request)
    }

    /// The oldest request: the one that a frame from the node answers.
    pub(crate) fn oldest(&self, node: NodeId) -> Option<&InFlightRequest<P>> {
        self.nodes.get(&node)?.requests.front()
    }

    /// Takes the oldest request: the one that a frame from the node answers.
    pub(crate) fn pop_oldest(&mut self, node: NodeId) -> Option<InFlightRequest<P>> {
        let entry = self.nodes.get_mut(&node)?;
        let request = entry.requests.pop_front()?;
        if entry.requests.is_empty() {
            entry.newest_is_written = true;
        }
        self.removed(1);
        Some(request)
    }

    /// Takes all requests of a node, oldest first, and says whether the newest had been written.
    pub(crate) fn take_all(&mut self, node: NodeId) -> (VecDeque<InFlightRequest<P>>, bool) {
        match self.nodes.remove(&node) {
            Some(entry) => {
                self.removed(entry.requests.len());
                (entry.requests, entry.newest_is_written)
            }
            None => (VecDeque::new(), true),
        }
    }

    fn removed(&mut self, count: usize) {
        self.count -= count;
        if self.count == 0 {
            self.earliest = Deadline::Never;
        }
    }

    /// Whether another request may be sent: the newest is written and there are not too many.
    pub(crate) fn can_send_more(&self, node: NodeId) -> bool {
        let max = self.max_per_connection + usize::from(planted!(WindowOneTooWide));
        self.nodes.get(&node).is_none_or(|entry| {
            entry.requests.is_empty() || (entry.newest_is_written && entry.requests.len() < max)
        })
    }

    /// The broker asked for a pause that is longer by `extra` than the last: it answers later.
    pub(crate) fn extend_deadlines(&mut self, node: NodeId, extra: Duration) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            for request in &mut entry.requests {
                if let Deadline::At(at) = request.deadline {
                    request.deadline = Deadline::after(at, extra);
                }
            }
        }
    }

    /// An instant before which no request runs out of time, for the length of a poll.
    pub(crate) fn earliest_deadline(&self) -> Deadline {
        self.earliest
    }

    /// A node with a request that has run out of time, if there is one.
    pub(crate) fn timed_out_node(&mut self, now: Instant) -> Option<NodeId> {
        if !self.earliest.is_over(now) {
            return None;
        }
        let mut earliest = Deadline::Never;
        for (node, entry) in &self.nodes {
            for request in &entry.requests {
                if request.deadline.is_over(now) {
                    return Some(*node);
                }
                earliest = earliest.min(request.deadline);
            }
        }
        self.earliest = earliest;
        None
    }

    /// Unanswered requests of a node.
    pub(crate) fn count_of(&self, node: NodeId) -> usize {
        self.nodes
            .get(&node)
            .map_or(0, |entry| entry.requests.len())
    }

    /// Unanswered requests of all nodes.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Forgets all requests.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.count = 0;
        self.earliest = Deadline::Never;
    }
}

#[cfg(test)]
mod tests;
