//! The seam between the sender and the network: requests with a tag in, responses with that tag out.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Instant};
use crate::network::selectable::WakeUp;
use crate::protocol::{ApiKey, Request, Response};
use crate::types::{Node, NodeId};

/// A request on its way to a node. What is to be done with the answer is data, the `tag`, which
/// comes back with it.
///
/// # Kafka
/// `org.apache.kafka.clients.ClientRequest`, with the completion handler as a value.
#[derive(Debug)]
pub(crate) struct ClientRequest<T> {
    pub(crate) node: NodeId,
    pub(crate) request: Request,
    /// How long an answer may take, not counting time the broker asked us to wait (KAFKA-16083).
    pub(crate) timeout: Duration,
    pub(crate) tag: T,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The broker answered.
    Response(Response),
    /// No answer is expected (acks=0) and every byte was given to the socket.
    Sent,
    /// The connection ended, or the answer did not come in time.
    Disconnected {
        /// False when not one byte of the request was given to a socket.
        handed_over: bool,
        reason: Arc<str>,
    },
    /// The broker cannot be sent this request: no shared version, or one that cannot carry it.
    /// Nothing was given to a socket.
    UnsupportedVersion(Arc<str>),
    /// The broker refused the client's credentials. Nothing was given to a socket.
    Authentication(Arc<str>),
}

/// What became of a request, and whose it was.
///
/// # Kafka
/// `org.apache.kafka.clients.ClientResponse`.
#[derive(Debug)]
pub(crate) struct ClientResponse<T> {
    pub(crate) node: NodeId,
    pub(crate) tag: T,
    /// The request's version; 0 when none could be chosen.
    pub(crate) version: i16,
    /// When `send` took the request.
    pub(crate) created: Instant,
    /// When the outcome was known.
    pub(crate) received: Instant,
    pub(crate) outcome: Outcome,
}

/// Why a node cannot be sent to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// Not connected, or connecting; how the last attempt ended, if one did.
    NotConnected(Option<Arc<str>>),
    /// The broker asked us to wait.
    Throttled,
    /// As many requests are unanswered as may be, or the last one is still being written.
    InFlightFull,
    /// The broker refused the client's credentials.
    Authentication(Arc<str>),
}

/// Asynchronous requests to the brokers of a cluster.
///
/// # Threads
/// One thread owns it; only the wake-up handle is for others.
/// # Kafka
/// `org.apache.kafka.clients.KafkaClient`.
pub(crate) trait KafkaClient<T>: Send {
    /// Whether a request can be sent to the node now; if not, begins to connect when that is allowed. The metadata
    /// need not know the node: a coordinator may be a broker that just started.
    fn ready(&mut self, node: &Node, now: Instant) -> bool;

    /// Whether a request can be sent to the node now.
    fn is_ready(&self, node: NodeId, now: Instant) -> bool;

    /// When a node that is not ready is worth looking at again: the end of a reconnect backoff or of
    /// a throttle; `Never` when an event of the network will tell.
    fn poll_deadline(&self, node: NodeId, now: Instant) -> Deadline;

    /// Why the node is not ready; `None` if it is.
    fn not_ready_reason(&self, node: NodeId, now: Instant) -> Option<NotReady>;

    /// Whether the last connection or attempt has ended and no other has been begun: until the node is asked to be
    /// [`ready`](Self::ready) again, it will not be.
    ///
    /// # Kafka
    /// `KafkaClient#connectionFailed`.
    fn connection_failed(&self, node: NodeId) -> bool;

    /// Why no node can be sent to: each that the metadata knows has refused the client's credentials, and no attempt to
    /// connect is under way. `None` while there is hope in one.
    fn authentication_failure(&self) -> Option<Arc<str>>;

    /// The version in which a request would go to a node; `None` if it has not told its versions, or knows
    /// none that this client does.
    fn usable_version(&self, node: NodeId, api: ApiKey) -> Option<i16>;

    /// Takes a request for a node that is [`ready`](Self::ready). A request that cannot be sent comes
    /// back from the next [`poll`](Self::poll) with an outcome that says so.
    fn send(&mut self, request: ClientRequest<T>, now: Instant);

    /// Sends and receives for up to `timeout`, and appends to `responses` what became of requests,
    /// in the order they were sent to each node.
    fn poll(&mut self, timeout: Duration, now: Instant, responses: &mut Vec<ClientResponse<T>>);

    /// The tag of the newest request to a node if not one byte of it was given to a socket, so that the
    /// broker cannot have seen it. It may yet be written: see [`withdraw_untouched`](Self::withdraw_untouched).
    /// Of all older requests to the node every byte was written.
    fn newest_untouched(&self, node: NodeId) -> Option<&T>;

    /// Takes back the request that [`newest_untouched`](Self::newest_untouched) tells of: none of it will ever be
    /// written. It comes back from the next [`poll`](Self::poll) as disconnected and not handed over; the
    /// connection stays. Whether there was such a request.
    fn withdraw_untouched(&mut self, node: NodeId, reason: &str, now: Instant) -> bool;

    /// The node with the fewest unanswered requests, or one that may be connected to.
    fn least_loaded_node(&mut self, now: Instant) -> Option<Node>;

    /// Unanswered requests, over all nodes and of every kind.
    fn in_flight_request_count(&self) -> usize;

    /// A handle that ends a poll from another thread.
    fn wake_up(&self) -> Arc<dyn WakeUp>;

    /// Closes all connections. Requests that are unanswered are forgotten.
    fn close(&mut self);

    /// A line of how things stand with each node, for errors that say what was tried.
    fn describe(&self, now: Instant) -> String;
}
