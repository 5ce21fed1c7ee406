//! In-flight requests: per node a queue of the requests that were sent and not answered yet.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::protocol::ApiKey;
use crate::types::NodeId;

/// A request that was passed to a connection and is not completed.
#[derive(Debug)]
pub(crate) struct InFlightRequest<P> {
    pub(crate) correlation_id: i32,
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    /// When the request was sent.
    pub(crate) created: Instant,
    /// When the request timeout expires. Extended by the throttle time, during which the broker does not answer
    /// (KAFKA-16083).
    pub(crate) deadline: Deadline,
    pub(crate) expects_response: bool,
    /// Size of its frame, with the length prefix.
    pub(crate) bytes: usize,
    /// The recipient of the response.
    pub(crate) purpose: P,
}

/// The queue of one node.
#[derive(Debug)]
struct NodeRequests<P> {
    /// Oldest first.
    requests: VecDeque<InFlightRequest<P>>,
    /// Whether the newest request has been written in full. All older ones have been: a connection writes one frame at
    /// a time.
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

/// The in-flight requests of all nodes.
///
/// A broker answers a connection's requests in the order in which they were sent, so a response belongs to the oldest.
///
/// # Kafka
/// `org.apache.kafka.clients.InFlightRequests`.
#[derive(Debug)]
pub(crate) struct InFlightRequests<P> {
    /// `max.in.flight.requests.per.connection`.
    max_per_connection: usize,
    nodes: BTreeMap<NodeId, NodeRequests<P>>,
    count: usize,
    /// Lower bound of all deadlines. It is not raised when a request completes, so it may be too early: once it has
    /// passed, one scan of all requests computes it anew.
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

    /// Adds a request that was passed to the connection, which may still be writing it.
    pub(crate) fn push(&mut self, node: NodeId, request: InFlightRequest<P>) {
        // Timeouts differ by request: a later request may time out before those in the queue.
        self.earliest = self.earliest.min(request.deadline);
        let entry = self.nodes.entry(node).or_default();
        entry.requests.push_back(request);
        entry.newest_is_written = false;
        self.count += 1;
    }

    /// Notes that the newest request was written in full. Removes and returns it if it expects no response.
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

    /// Removes the newest request, which the selector has dropped unwritten.
    pub(crate) fn withdraw_newest(&mut self, node: NodeId) -> Option<InFlightRequest<P>> {
        self.newest_unwritten(node)?;
        let entry = self.nodes.get_mut(&node)?;
        let request = entry.requests.pop_back()?;
        // The request before it was written in full, or this one would not have been sent.
        entry.newest_is_written = true;
        self.removed(1);
        Some(request)
    }

    /// The oldest request: the one that the next response of the node belongs to.
    pub(crate) fn oldest(&self, node: NodeId) -> Option<&InFlightRequest<P>> {
        self.nodes.get(&node)?.requests.front()
    }

    /// Removes the oldest request: the one that the response just received belongs to.
    pub(crate) fn pop_oldest(&mut self, node: NodeId) -> Option<InFlightRequest<P>> {
        let entry = self.nodes.get_mut(&node)?;
        let request = entry.requests.pop_front()?;
        // The only request is answered, perhaps before the event that reports its last byte as written.
        if entry.requests.is_empty() {
            entry.newest_is_written = true;
        }
        self.removed(1);
        Some(request)
    }

    /// Removes all requests of a node after a disconnect, oldest first. Also returns whether the newest request was
    /// written in full; true if there is no request.
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
        // Without requests the exact bound is known: `Never`. A stale bound would wake up an idle poll.
        if self.count == 0 {
            self.earliest = Deadline::Never;
        }
    }

    /// Whether another request may be sent: the newest is written in full, and fewer than the limit are in flight.
    pub(crate) fn can_send_more(&self, node: NodeId) -> bool {
        let max = self.max_per_connection + usize::from(planted!(WindowOneTooWide));
        self.nodes.get(&node).is_none_or(|entry| {
            entry.requests.is_empty() || (entry.newest_is_written && entry.requests.len() < max)
        })
    }

    /// Extends the deadlines of a node's requests by throttle time, during which the broker does not answer.
    pub(crate) fn extend_deadlines(&mut self, node: NodeId, extra: Duration) {
        // `earliest` stays: it may be too early, never too late.
        if let Some(entry) = self.nodes.get_mut(&node) {
            for request in &mut entry.requests {
                if let Deadline::At(at) = request.deadline {
                    request.deadline = Deadline::after(at, extra);
                }
            }
        }
    }

    /// An instant before which no request times out: bounds the poll's timeout.
    pub(crate) fn earliest_deadline(&self) -> Deadline {
        self.earliest
    }

    /// A node with a request whose timeout has expired; `None` if there is none. Nodes for which `is_read` returns
    /// false are left out: their unread input may contain the response.
    pub(crate) fn timed_out_node(
        &mut self,
        now: Instant,
        is_read: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        if !self.earliest.is_over(now) {
            return None;
        }
        let mut earliest = Deadline::Never;
        for (node, entry) in &self.nodes {
            for request in &entry.requests {
                if request.deadline.is_over(now) && is_read(*node) {
                    return Some(*node);
                }
                earliest = earliest.min(request.deadline);
            }
        }
        self.earliest = earliest;
        None
    }

    /// Number of in-flight requests of a node.
    pub(crate) fn count_of(&self, node: NodeId) -> usize {
        self.nodes
            .get(&node)
            .map_or(0, |entry| entry.requests.len())
    }

    /// Number of in-flight requests of all nodes.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Removes all requests, without completing them.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.count = 0;
        self.earliest = Deadline::Never;
    }
}

#[cfg(test)]
mod tests;
