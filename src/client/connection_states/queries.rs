//! Queries of connection states: readiness, deadlines, errors. They change nothing.

use std::sync::Arc;
use std::time::Duration;

use super::{ClusterConnectionStates, ConnectionState, NodeConnection};
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::types::NodeId;

impl ClusterConnectionStates {
    /// Whether connecting may start now: the node is disconnected, and its reconnect back-off is over.
    pub(crate) fn can_connect(&self, id: NodeId, now: Instant) -> bool {
        self.connection_deadline(id, now).is_over(now)
    }

    /// When connecting may start: the end of the reconnect back-off; `Never` while connecting or connected.
    pub(crate) fn connection_deadline(&self, id: NodeId, now: Instant) -> Deadline {
        match self.nodes.get(&id) {
            None => Deadline::At(now),
            Some(node) if node.state.is_disconnected() => {
                if planted!(ReconnectsAtOnce) {
                    return Deadline::At(now);
                }
                Deadline::after(node.last_attempt, node.reconnect_backoff)
            }
            Some(_) => Deadline::Never,
        }
    }

    /// When the node should be polled again: the end of its throttle time if it is connected, else
    /// [`connection_deadline`](Self::connection_deadline).
    pub(crate) fn poll_deadline(&self, id: NodeId, now: Instant) -> Deadline {
        match self.nodes.get(&id) {
            Some(NodeConnection {
                state,
                throttled_until: Some(until),
                ..
            }) if state.is_connected() && *until > now => Deadline::At(*until),
            _ => self.connection_deadline(id, now),
        }
    }

    /// Whether the node is ready, but has responded to no request other than ApiVersions on this connection.
    pub(crate) fn is_unproven(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| {
            node.state == ConnectionState::Ready && node.unproven_failures.is_some()
        })
    }

    /// Whether a request or a connection setup has timed out since the node was last ready.
    pub(crate) fn has_timed_out(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.has_timed_out)
    }

    pub(crate) fn is_throttled(&self, id: NodeId, now: Instant) -> bool {
        self.nodes
            .get(&id)
            .and_then(|node| node.throttled_until)
            .is_some_and(|until| until > now)
    }

    /// Whether the state is ready and the node is not throttled; in-flight requests are not considered.
    pub(crate) fn is_ready(&self, id: NodeId, now: Instant) -> bool {
        self.nodes.get(&id).is_some_and(|node| {
            node.state == ConnectionState::Ready
                && node.throttled_until.is_none_or(|until| until <= now)
        })
    }

    /// Whether the connection to the node is being set up or re-authenticated.
    pub(crate) fn is_preparing(&self, id: NodeId) -> bool {
        self.preparing.contains(&id)
    }

    /// Whether the node is connecting or connected.
    pub(crate) fn is_live(&self, id: NodeId) -> bool {
        self.nodes
            .get(&id)
            .is_some_and(|node| !node.state.is_disconnected())
    }

    pub(crate) fn state(&self, id: NodeId) -> Option<&ConnectionState> {
        self.nodes.get(&id).map(|node| &node.state)
    }

    /// The error of the last disconnect, until the node is ready again.
    pub(crate) fn last_error(&self, id: NodeId) -> Option<&Arc<str>> {
        self.nodes
            .get(&id)
            .and_then(|node| node.last_error.as_ref())
    }

    /// Number of disconnects since the node was last ready.
    pub(crate) fn failures(&self, id: NodeId) -> u32 {
        self.nodes.get(&id).map_or(0, |node| node.failures)
    }

    /// Number of consecutive attempts that ended before the node was ready.
    pub(crate) fn setup_failures(&self, id: NodeId) -> u32 {
        self.nodes.get(&id).map_or(0, |node| node.setup_failures)
    }

    /// The node's host and port.
    pub(crate) fn endpoint(&self, id: NodeId) -> Option<(&Arc<str>, u16)> {
        self.nodes.get(&id).map(|node| (&node.host, node.port))
    }

    /// When the current attempt began, or the last attempt or connection ended.
    pub(crate) fn last_attempt(&self, id: NodeId) -> Option<Instant> {
        self.nodes.get(&id).map(|node| node.last_attempt)
    }

    /// The connection setup timeout of the current or next attempt, for each of its stages.
    pub(crate) fn setup_timeout(&self, id: NodeId) -> Option<Duration> {
        self.nodes.get(&id).map(|node| node.setup_timeout)
    }

    /// The earliest setup deadline of all nodes: bounds the poll's timeout.
    pub(crate) fn next_setup_deadline(&self) -> Deadline {
        self.preparing
            .iter()
            .map(|id| self.setup_deadline(*id))
            .min()
            .unwrap_or(Deadline::Never)
    }

    /// A node whose connection setup timeout has expired; `None` if there is none. A node is left out unless `is_read`
    /// returns true for it: the input of its connection was read to the end.
    pub(crate) fn timed_out_setup(
        &self,
        now: Instant,
        is_read: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        self.preparing
            .iter()
            .copied()
            .find(|id| self.setup_deadline(*id).is_over(now) && is_read(*id))
    }

    fn setup_deadline(&self, id: NodeId) -> Deadline {
        self.nodes.get(&id).map_or(Deadline::Never, |node| {
            Deadline::after(node.setup_since, node.setup_timeout)
        })
    }

    /// The ids of all nodes to which a connection was ever attempted, in order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// The nodes whose connections are being set up, and when the current stage of each began.
    pub(crate) fn preparing(&self) -> impl Iterator<Item = (NodeId, Instant)> {
        let known = |id: &NodeId| Some((*id, self.nodes.get(id)?.setup_since));
        self.preparing.iter().filter_map(known)
    }

    /// A node's state in words, for logs and errors.
    pub(crate) fn state_name(&self, id: NodeId) -> &'static str {
        self.nodes
            .get(&id)
            .map_or("never connected to", |node| node.state.name())
    }
}
