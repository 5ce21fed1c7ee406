//! Connection lifecycle of the network client: resolve, connect, authenticate, time out, disconnect.
//!
//! Every disconnect is handled by `process_disconnection`: it logs, updates the connection state, completes the
//! in-flight requests, and requests a metadata update. An attempt that failed before a connection existed is handled by
//! `attempt_failed`: nothing is in flight then.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{NetworkClient, Purpose};
use crate::client::connection_states::{ConnectionState, NextStep};
use crate::client::kafka_client::{ClientResponse, Outcome};
use crate::clock::Instant;
use crate::network::endpoint::Endpoint;
use crate::network::resolver::HostResolver;
use crate::network::selectable::{CloseReason, PollEvents, Selectable};
use crate::planted::planted;
use crate::types::{Node, NodeId};
use crate::util::log;

/// Why a connection closed, or an attempt to connect failed.
pub(super) struct EndedConnection {
    pub(super) error: Arc<str>,
    pub(super) weight: Weight,
    /// Whether the peer or an I/O error ended the connection, perhaps because a request was larger than the peer
    /// accepts.
    pub(super) by_peer: bool,
}

/// Severity of a disconnect: decides the log level, and whether waiters for metadata get an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Idle timeout: nothing went wrong.
    Ordinary,
    /// Connection lost or timed out: worth a warning only if the node was not ready.
    Lost,
    /// The broker closed the connection at the first request after ApiVersions, as a listener with SASL does when the
    /// client does not authenticate.
    Rejected,
    /// Protocol violation by the broker.
    Fault,
    /// Authentication failed, on either side: waiters for metadata get an error, since a retry does not help.
    Refused,
}

impl EndedConnection {
    /// A lost connection or failed attempt, not closed by the peer.
    pub(super) fn lost(error: impl Into<Arc<str>>) -> Self {
        Self {
            error: error.into(),
            weight: Weight::Lost,
            by_peer: false,
        }
    }

    /// A connection that the client closes because the broker violated the protocol.
    pub(super) fn fault(error: impl Into<Arc<str>>) -> Self {
        Self {
            weight: Weight::Fault,
            ..Self::lost(error)
        }
    }
}

/// Error text: the peer closed the connection while the ApiVersions request was in flight.
const CLOSED_ON_API_VERSIONS: &str = "the broker closed the connection when it was asked for its API versions: \
     brokers before 0.10 do that, as does a listener that expects TLS or SASL, or a server that is not a Kafka broker";

/// Suffix of the error text: the peer closed a connection without SASL at the first request after ApiVersions.
const CLOSED_ON_FIRST_REQUEST: &str = " without a response to its first request: a listener that expects SASL does \
     that (set security.protocol to SASL_PLAINTEXT or SASL_SSL, and sasl.mechanism), as does a broker that shuts down";

/// Suffix of the error text: the connection was lost during authentication.
const LOST_IN_AUTHENTICATION: &str = ", during authentication: brokers before 1.0 refuse credentials like that, \
     as does a firewall that lets no TLS through; it may also be a network that fails now and then";

/// Smallest size of a request for which `socket.request.max.bytes` is named as a possible cause.
const NOTABLE_BYTES: usize = 16 * 1024;

/// Error text for a request that was in flight when the peer closed the connection. A broker closes it without any
/// response when the request exceeds `socket.request.max.bytes`.
fn closed_on_request(error: &str, bytes: usize) -> Arc<str> {
    let hint = if bytes >= NOTABLE_BYTES {
        ": if that is more than the broker's socket.request.max.bytes, lower max.request.size"
    } else {
        ""
    };
    format!("{error}, with a request of {bytes} bytes unanswered{hint}").into()
}

/// Version of the first ApiVersions request on a connection; `handle_api_versions` falls back to older ones.
const FIRST_API_VERSIONS_VERSION: i16 = 3;

/// Suffix of the error text: bytes that are no valid frame arrived before the ApiVersions response.
const NO_BROKER: &str =
    "a listener that expects TLS responds like that, as does a server that is not a Kafka broker";

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Starts connecting to a node; the caller checked that its reconnect back-off [allows it](Self::ready).
    pub(super) fn initiate_connect(&mut self, node: &Node, now: Instant) {
        match self.states.connecting(node, now) {
            NextStep::Connect(address) => self.connect_to(node.id(), address, now),
            NextStep::Resolve => {
                log::debug!(self.log, "Resolving the host of node {node}");
                self.resolver.request(node.id(), node.host(), node.port());
                self.lookups.insert(node.id());
                // An IP address needs no look-up: its resolution has finished already, and connecting need not wait for
                // a poll.
                self.handle_resolutions(now);
            }
            NextStep::Wait => {}
        }
    }

    fn connect_to(&mut self, id: NodeId, address: SocketAddr, now: Instant) {
        log::debug!(
            self.log,
            "Initiating connection to node {id} using address {address}"
        );
        let Some((host, _)) = self.states.endpoint(id) else {
            return;
        };
        let endpoint = Endpoint {
            host: Arc::clone(host),
            address,
        };
        let ending = match self.selector.connect(id, endpoint) {
            Ok(()) => return,
            Err(CloseReason::AuthenticationFailed(why)) => EndedConnection {
                weight: Weight::Refused,
                ..EndedConnection::lost(why.reason)
            },
            Err(CloseReason::ConnectFailed(why)) => {
                EndedConnection::lost(format!("connecting to {address} failed: {why}"))
            }
            Err(reason) => EndedConnection::lost(reason.to_string()),
        };
        self.attempt_failed(id, &ending, now);
    }

    /// Handles the resolver's finished look-ups: connects to the address, or fails the attempt.
    pub(super) fn handle_resolutions(&mut self, now: Instant) {
        while !self.lookups.is_empty() {
            let Some(resolution) = self.resolver.poll() else {
                return;
            };
            let id = resolution.node;
            self.lookups.remove(&id);
            let error = match resolution.result {
                Ok(addresses) if addresses.is_empty() => Arc::from("the host name has no address"),
                Ok(addresses) => {
                    // No address is returned if the attempt has timed out meanwhile.
                    if let Some(address) = self.states.resolved(id, addresses, now) {
                        self.connect_to(id, address, now);
                    }
                    continue;
                }
                Err(error) => error,
            };
            if self.states.resolution_failed(id) {
                self.attempt_failed(id, &EndedConnection::lost(error), now);
            }
        }
    }

    /// Handles an attempt that failed before a connection existed: nothing is in flight on it.
    fn attempt_failed(&mut self, id: NodeId, ending: &EndedConnection, now: Instant) {
        self.record_disconnect(id, ending, now);
        self.metadata_after_disconnect(id, ending, now);
    }

    /// Logs a disconnect and moves the node to its disconnected state.
    fn record_disconnect(&mut self, id: NodeId, ending: &EndedConnection, now: Instant) {
        // Logged before the state changes: the line depends on the stage that the connection was in.
        self.log_disconnect(id, ending, now);
        let error = Arc::clone(&ending.error);
        if ending.weight == Weight::Rejected {
            self.states.rejected_first_request(id);
        }
        if ending.weight == Weight::Refused {
            self.states.authentication_failed(id, now, error);
        } else {
            self.states.disconnected(id, now, error);
        }
    }

    /// Handles connections that were established, authenticated or re-authenticated in a poll. After the first
    /// authentication an ApiVersions request is due.
    pub(super) fn handle_connections(&mut self, events: &PollEvents, now: Instant) {
        for &id in &events.authenticating {
            if self.states.state(id) == Some(&ConnectionState::Connecting) {
                log::debug!(
                    self.log,
                    "Completed connection to node {id}. Authenticating."
                );
                self.states.authenticating(id, now);
            }
        }
        for &id in &events.connected {
            if let Some(ConnectionState::Connecting | ConnectionState::Authenticating) =
                self.states.state(id)
            {
                log::debug!(
                    self.log,
                    "Completed connection to node {id}. Fetching API versions."
                );
                self.states.checking_api_versions(id, now);
                self.nodes_needing_api_versions
                    .insert(id, FIRST_API_VERSIONS_VERSION);
            }
        }
        // A node whose ApiVersions response is outstanding stays in that state: its setup timeout runs anyway.
        for &id in &events.authenticating_again {
            if self.states.state(id) == Some(&ConnectionState::Ready) {
                log::debug!(
                    self.log,
                    "Authenticating again on the connection to node {id}."
                );
                self.states.authenticating_again(id, now);
            }
        }
        for &id in &events.authenticated_again {
            if self.states.state(id) == Some(&ConnectionState::AuthenticatingAgain) {
                self.states.authenticated_again(id, now);
            }
        }
    }

    /// Handles the connections that the selector closed: by the peer, by an I/O error, a bad frame or idle timeout.
    pub(super) fn handle_disconnections(&mut self, events: &PollEvents, now: Instant) {
        for disconnected in &events.disconnected {
            let id = disconnected.id;
            // A bad response in the same poll may have made the client close this connection already.
            if !self.states.is_live(id) {
                continue;
            }
            let was_ready = matches!(
                self.states.state(id),
                Some(ConnectionState::Ready | ConnectionState::AuthenticatingAgain)
            );
            let is_asking = self.states.state(id) == Some(&ConnectionState::CheckingApiVersions);
            let by_peer = matches!(
                disconnected.reason,
                CloseReason::ClosedByPeer | CloseReason::Io(_)
            );
            // Such a listener answers ApiVersions, and closes the connection at any other request.
            let is_rejected = by_peer
                && !self.uses_sasl
                && self.states.is_unproven(id)
                && self.in_flight.count_of(id) > 0;
            let authenticates = self.states.state(id) == Some(&ConnectionState::Authenticating);
            let error = match &disconnected.reason {
                // The text `why` already states that authentication failed.
                CloseReason::AuthenticationFailed(why) => Arc::clone(&why.reason),
                reason @ (CloseReason::ClosedByPeer | CloseReason::Io(_)) if authenticates => {
                    format!("{reason}{LOST_IN_AUTHENTICATION}").into()
                }
                CloseReason::ClosedByPeer if is_asking => Arc::from(CLOSED_ON_API_VERSIONS),
                reason if is_rejected => format!("{reason}{CLOSED_ON_FIRST_REQUEST}").into(),
                reason @ CloseReason::BadFrame(_) if !was_ready => {
                    format!("{reason}: {NO_BROKER}").into()
                }
                reason => Arc::from(reason.to_string()),
            };
            let ending = EndedConnection {
                error,
                weight: match disconnected.reason {
                    CloseReason::Idle => Weight::Ordinary,
                    CloseReason::BadFrame(_) => Weight::Fault,
                    CloseReason::AuthenticationFailed(_) => Weight::Refused,
                    _ if is_rejected => Weight::Rejected,
                    _ => Weight::Lost,
                },
                by_peer,
            };
            let newest_untouched = disconnected.last_frame_untouched;
            self.process_disconnection(id, &ending, newest_untouched, now);
        }
    }

    /// Connection setup timeout: closes the connections whose setup took too long (connecting, authentication, or the
    /// `ApiVersions` response).
    pub(super) fn handle_timed_out_connections(&mut self, now: Instant) {
        // The loop ends: closing a connection removes its node from the set that is searched.
        loop {
            let selector = &self.selector;
            let is_read = |id| !selector.has_unread_input(id);
            let Some(id) = self.states.timed_out_setup(now, is_read) else {
                return;
            };
            if planted!(SetupNeverTimesOut) {
                return;
            }
            let stage = self.states.state_name(id);
            let timeout = self.states.setup_timeout(id).unwrap_or_default();
            let what = match self.states.state(id) {
                Some(ConnectionState::AuthenticatingAgain) => "authenticated again",
                _ => "set up",
            };
            let missing = match self.selector.waits_for(id) {
                Some(missing) => format!(", waiting for {missing}"),
                None => String::new(),
            };
            let error = format!(
                "the connection was not {what} within {} ms (socket.connection.setup.timeout.ms, stage: {stage}{missing})",
                timeout.as_millis()
            );
            self.states.timed_out(id);
            self.close_connection(id, &EndedConnection::lost(error), now);
        }
    }

    /// Request timeout: closes the connections with a request that was not answered in time.
    pub(super) fn handle_timed_out_requests(&mut self, now: Instant) {
        // The whole connection is closed, as in Java: responses arrive in order, so that no response to a later request
        // can arrive before the missing one.
        loop {
            let selector = &self.selector;
            let is_read = |id| !selector.has_unread_input(id);
            let Some(id) = self.in_flight.timed_out_node(now, is_read) else {
                return;
            };
            if planted!(RequestNeverTimesOut) {
                return;
            }
            let ending =
                EndedConnection::lost("a request was not answered within request.timeout.ms");
            self.states.timed_out(id);
            self.close_connection(id, &ending, now);
        }
    }

    /// Closes a connection from the client's side.
    pub(super) fn close_connection(&mut self, id: NodeId, ending: &EndedConnection, now: Instant) {
        // Read before the connection is closed: closing drops the frame, and with it the number of its bytes that were
        // written.
        let newest_untouched =
            self.selector.is_send_untouched(id) && !planted!(UntouchedCalledHandedOver);
        self.selector.close(id);
        self.process_disconnection(id, ending, newest_untouched, now);
    }

    /// Handles a disconnect: state, API versions, in-flight requests, metadata. If `newest_untouched` is true, no byte
    /// of the newest request was written to the socket.
    fn process_disconnection(
        &mut self,
        id: NodeId,
        ending: &EndedConnection,
        newest_untouched: bool,
        now: Instant,
    ) {
        self.record_disconnect(id, ending, now);
        self.api_versions.remove(id);
        self.nodes_needing_api_versions.remove(&id);
        // A cancelled metadata request counts as a failed update. No update is due any more below, so that the
        // disconnect is not counted twice.
        self.cancel_in_flight(id, ending, newest_untouched, now);
        self.metadata_after_disconnect(id, ending, now);
    }

    /// Completes a closed connection's in-flight requests as disconnected, oldest first.
    fn cancel_in_flight(
        &mut self,
        id: NodeId,
        ending: &EndedConnection,
        newest_untouched: bool,
        now: Instant,
    ) {
        let (requests, newest_is_written) = self.in_flight.take_all(id);
        let newest = requests.len().wrapping_sub(1);
        for (at, request) in requests.into_iter().enumerate() {
            log::trace!(
                self.log,
                "Cancelled {} request with correlation id {} due to node {id} being disconnected",
                request.api_key,
                request.correlation_id
            );
            match request.purpose {
                Purpose::User(tag) => {
                    // A connection writes one frame at a time, so all requests but the newest were written in full: the
                    // broker may have executed them. Only the newest can be reported as never sent.
                    let is_newest = at == newest || planted!(BlindAllUntouched);
                    let untouched = is_newest && !newest_is_written && newest_untouched;
                    let reason = if ending.by_peer && !untouched {
                        closed_on_request(&ending.error, request.bytes)
                    } else {
                        Arc::clone(&ending.error)
                    };
                    let outcome = if ending.weight == Weight::Refused && untouched {
                        Outcome::Authentication(self.with_broker(id, &reason))
                    } else {
                        Outcome::Disconnected {
                            handed_over: !untouched,
                            reason,
                        }
                    };
                    self.completed.push(ClientResponse {
                        node: id,
                        tag,
                        version: request.version,
                        created: request.created,
                        received: now,
                        outcome,
                    });
                }
                Purpose::Metadata(..) if planted!(LostMetadataRequestAwaited) => {}
                Purpose::Metadata(_, number) => {
                    self.metadata_request_lost(number, id, ending, now);
                }
                Purpose::ApiVersions => {}
            }
        }
    }

    /// Logs a disconnect: a rate-limited warning if the node could not be connected to, violated the protocol or failed
    /// authentication; else a debug line.
    fn log_disconnect(&mut self, id: NodeId, ending: &EndedConnection, now: Instant) {
        let error = &ending.error;
        let state = self.states.state(id);
        let is_ready = state == Some(&ConnectionState::Ready);
        let warns = match ending.weight {
            Weight::Ordinary => false,
            Weight::Lost => !is_ready,
            Weight::Rejected | Weight::Fault | Weight::Refused => true,
        };
        let what = match ending.weight {
            Weight::Rejected | Weight::Fault => "was closed",
            Weight::Refused => "failed authentication",
            // The connection has been in use before.
            Weight::Lost if state == Some(&ConnectionState::AuthenticatingAgain) => {
                "was lost during re-authentication"
            }
            Weight::Ordinary | Weight::Lost => "could not be established",
        };
        let suppressed = if warns {
            self.states.warn_of(id, now)
        } else {
            None
        };
        let endpoint = DisplayAddress(self.states.endpoint(id));
        let Some(suppressed) = suppressed else {
            log::debug!(self.log, "Node {id}{endpoint} disconnected: {error}");
            return;
        };
        log::warn!(
            self.log,
            "Connection to node {id}{endpoint} {what}: {error}{suppressed}"
        );
    }

    /// Prefixes an error text with the broker's id and address, which texts of a disconnect do not contain.
    pub(super) fn with_broker(&self, id: NodeId, error: &str) -> Arc<str> {
        let endpoint = DisplayAddress(self.states.endpoint(id));
        format!("broker {id}{endpoint}: {error}").into()
    }

    /// Marks a node as ready after its ApiVersions response; logs an info line if a warning about connecting to it was
    /// logged before.
    pub(super) fn node_is_ready(&mut self, id: NodeId) {
        if let Some(failures) = self.states.ready(id) {
            let endpoint = DisplayAddress(self.states.endpoint(id));
            log::info!(
                self.log,
                "Connection to node {id}{endpoint} established after {failures} failures"
            );
        }
    }
}

/// A node's host and port in parentheses, or nothing if unknown.
struct DisplayAddress<'a>(Option<(&'a Arc<str>, u16)>);

impl std::fmt::Display for DisplayAddress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((host, port)) => write!(f, " ({host}:{port})"),
            None => Ok(()),
        }
    }
}
