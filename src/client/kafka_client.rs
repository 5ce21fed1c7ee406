//! The `KafkaClient` trait, between the sender and the network: a request is sent with a tag, and its response returns
//! that tag. The sender's tests use `MockClient` instead.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::network::selectable::WakeUp;
use crate::protocol::{ApiKey, Request, Response};
use crate::types::{Node, NodeId};

/// A request to a node. Its `tag` is returned with the response.
///
/// # Kafka
/// `org.apache.kafka.clients.ClientRequest`. Differs: a tag instead of a `RequestCompletionHandler`.
#[derive(Debug)]
pub(crate) struct ClientRequest<T> {
    pub(crate) node: NodeId,
    pub(crate) request: Request,
    /// Request timeout, not counting throttle time (KAFKA-16083).
    pub(crate) timeout: Duration,
    pub(crate) tag: T,
}

/// How a request completed.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The broker answered.
    Response(Response),
    /// Fire and forget (acks=0): no response is expected, and every byte was written to the socket.
    Sent,
    /// The connection closed, or the request timed out.
    Disconnected {
        /// False if no byte of the request was written to a socket, so that the broker cannot have executed it.
        handed_over: bool,
        reason: Arc<str>,
    },
    /// Client and broker share no version of this request that can carry its contents. Nothing was written.
    UnsupportedVersion(Arc<str>),
    /// The request cannot be encoded in any version: it holds more than the protocol can carry. Nothing was written.
    Unwritable(Arc<str>),
    /// Authentication failed. Nothing was written.
    Authentication(Arc<str>),
}

/// A completed request: its outcome and its tag.
///
/// # Kafka
/// `org.apache.kafka.clients.ClientResponse`.
#[derive(Debug)]
pub(crate) struct ClientResponse<T> {
    pub(crate) node: NodeId,
    pub(crate) tag: T,
    /// The request's version; 0 if none could be chosen.
    pub(crate) version: i16,
    /// When `send` was called.
    pub(crate) created: Instant,
    /// When the request completed.
    pub(crate) received: Instant,
    pub(crate) outcome: Outcome,
}

/// Why a node is not ready for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// Disconnected or connecting; with the error of the last attempt, if one failed.
    NotConnected(Option<Arc<str>>),
    /// The broker throttles this client.
    Throttled,
    /// The limit of in-flight requests is reached, or the newest request is still being written.
    InFlightFull,
    /// Authentication failed.
    Authentication(Arc<str>),
}

/// Asynchronous requests to the brokers of a cluster.
///
/// # Threads
/// Owned by one thread, the sender's; only the wake-up handle may be used by others.
/// # Kafka
/// `org.apache.kafka.clients.KafkaClient`.
pub(crate) trait KafkaClient<T>: Send {
    /// Whether a request can be sent to the node now. If it is disconnected, starts connecting, unless its reconnect
    /// back-off forbids it. The node need not be in the metadata: a coordinator may be a broker that just started.
    fn ready(&mut self, node: &Node, now: Instant) -> bool;

    /// Whether a request can be sent to the node now.
    fn is_ready(&self, node: NodeId, now: Instant) -> bool;

    /// When a node may become ready: the end of its reconnect back-off or throttle time; `Never` if it waits for a
    /// network event, which ends a poll anyway.
    fn poll_deadline(&self, node: NodeId, now: Instant) -> Deadline;

    /// Why the node is not ready; `None` if it is.
    fn not_ready_reason(&self, node: NodeId, now: Instant) -> Option<NotReady>;

    /// Whether the node is disconnected after a connection or an attempt to connect. It stays so until
    /// [`ready`](Self::ready) connects again.
    ///
    /// # Kafka
    /// `KafkaClient#connectionFailed`.
    fn connection_failed(&self, node: NodeId) -> bool;

    /// The authentication error, if authentication has failed with every node of the metadata and none is being
    /// connected to; else `None`, since some node may still accept the client.
    fn authentication_failure(&self) -> Option<Arc<str>>;

    /// The newest version of a request that client and node share; `None` if there is none, or if the node's versions
    /// are not known yet.
    fn usable_version(&self, node: NodeId, api: ApiKey) -> Option<i16>;

    /// Sends a request to a node that is [`ready`](Self::ready). A request that cannot be sent is completed by the next
    /// [`poll`](Self::poll) with an outcome that states the reason.
    fn send(&mut self, request: ClientRequest<T>, now: Instant);

    /// Does I/O, blocking for up to `timeout`, and appends the completed requests to `responses`: per node in the order
    /// in which they were sent. Returns the time at which the sockets were read: a response that arrived before is in
    /// `responses`, unless its node [has unread input](Self::has_unread_input).
    fn poll(
        &mut self,
        timeout: Duration,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) -> Instant;

    /// Whether the last poll left bytes of the node unread, which may hold responses. The next poll reads on without
    /// blocking.
    fn has_unread_input(&self, node: NodeId) -> bool;

    /// The tag of the newest request to a node if no byte of it was written to the socket yet, so that the broker
    /// cannot have seen it. It may still be written, unless it is [withdrawn](Self::withdraw_untouched). All older
    /// requests to the node were written in full.
    fn newest_untouched(&self, node: NodeId) -> Option<&T>;

    /// Withdraws the [newest untouched](Self::newest_untouched) request: no byte of it will ever be written. The next
    /// [`poll`](Self::poll) completes it as disconnected and not handed over; the connection stays open. Returns
    /// whether there was such a request.
    fn withdraw_untouched(&mut self, node: NodeId, reason: &str, now: Instant) -> bool;

    /// The ready node with the fewest in-flight requests, else one that is connecting or may be connected to.
    fn least_loaded_node(&mut self, now: Instant) -> Option<Node>;

    /// Number of in-flight requests of all nodes, including the client's own (metadata, API versions).
    fn in_flight_request_count(&self) -> usize;

    /// A handle by which other threads wake up a blocked poll.
    fn wake_up(&self) -> Arc<dyn WakeUp>;

    /// Closes all connections. In-flight requests are dropped and never completed.
    fn close(&mut self);

    /// The state of the connection to each node, one per line, for error messages.
    fn describe(&self, now: Instant) -> String;
}
