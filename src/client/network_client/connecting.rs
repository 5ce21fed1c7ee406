//! Connections: how they are begun, when they stand, and what their end entails.

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

/// How a connection ended.
pub(super) struct Ending {
    pub(super) error: Arc<str>,
    pub(super) weight: Weight,
    /// The other side ended it, perhaps because of a request that it would not take.
    pub(super) by_peer: bool,
}

/// How much is to be made of the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Nothing went wrong.
    Ordinary,
    /// Connections get lost: worth a warning only if the node does not get ready.
    Lost,
    /// The broker did what no broker should.
    Fault,
    /// One side does not accept the other: whoever waits for metadata is told, since trying again is of no
    /// use.
    Refused,
}

impl Ending {
    /// A connection that this client gives up.
    pub(super) fn given_up(error: impl Into<Arc<str>>) -> Self {
        Self {
            error: error.into(),
            weight: Weight::Lost,
            by_peer: false,
        }
    }

    /// A connection that this client ends because of what the broker did.
    pub(super) fn fault(error: impl Into<Arc<str>>) -> Self {
        Self {
            weight: Weight::Fault,
            ..Self::given_up(error)
        }
    }
}

/// Said of a connection that ended instead of an answer to the request for API versions.
const CLOSED_ON_API_VERSIONS: &str = "the broker closed the connection when it was asked for its API versions: \
     brokers before 0.10 do that, as does a listener that expects TLS or SASL, or a server that is no Kafka broker";

/// Said of a connection that was lost while it was authenticated.
const LOST_IN_AUTHENTICATION: &str = ", during authentication: brokers before 1.0 refuse credentials like that, \
     as does a firewall that lets no TLS through; it may also be a network that fails now and then";

/// Requests from here on may be larger than a broker takes.
const NOTABLE_BYTES: usize = 16 * 1024;

/// How a connection ended that a request was under way on: a broker closes it without a word when the request
/// is larger than it takes.
fn closed_on_request(error: &str, bytes: usize) -> Arc<str> {
    let hint = if bytes >= NOTABLE_BYTES {
        ": if that is more than the broker's socket.request.max.bytes, lower max.request.size"
    } else {
        ""
    };
    format!("{error}, with a request of {bytes} bytes unanswered{hint}").into()
}

/// The version of the first request for API versions on a connection.
const FIRST_API_VERSIONS_VERSION: i16 = 3;

/// Said of a connection on which something came that is no frame, before the broker's versions did.
const NO_BROKER: &str =
    "a listener that expects TLS answers like that, as does a server that is no Kafka broker";

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Begins to connect to a node to which that is [allowed](Self::ready).
    pub(super) fn initiate_connect(&mut self, node: &Node, now: Instant) {
        match self.states.connecting(node, now) {
            NextStep::Connect(address) => self.connect_to(node.id(), address, now),
            NextStep::Resolve => {
                log::debug!(self.log, "Resolving the host of node {node}");
                self.resolver.request(node.id(), node.host(), node.port());
                self.lookups.insert(node.id());
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
            Err(CloseReason::AuthenticationFailed(why)) => Ending {
                weight: Weight::Refused,
                ..Ending::given_up(why)
            },
            Err(CloseReason::ConnectFailed(why)) => {
                Ending::given_up(format!("connecting to {address} failed: {why}"))
            }
            Err(reason) => Ending::given_up(reason.to_string()),
        };
        self.attempt_failed(id, &ending, now);
    }

    /// Takes the answers of the resolver that have come.
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
                    if let Some(address) = self.states.resolved(id, addresses, now) {
                        self.connect_to(id, address, now);
                    }
                    continue;
                }
                Err(error) => error,
            };
            if self.states.resolution_failed(id) {
                self.attempt_failed(id, &Ending::given_up(error), now);
            }
        }
    }

    /// An attempt ended before there was a connection: nothing is in flight on it.
    fn attempt_failed(&mut self, id: NodeId, ending: &Ending, now: Instant) {
        self.note_end(id, ending, now);
        self.metadata_after_disconnect(id, ending, now);
    }

    fn note_end(&mut self, id: NodeId, ending: &Ending, now: Instant) {
        self.log_ending(id, ending, now);
        let error = Arc::clone(&ending.error);
        if ending.weight == Weight::Refused {
            self.states.authentication_failed(id, now, error);
        } else {
            self.states.disconnected(id, now, error);
        }
    }

    /// Notes the connections that stand, and those that are ready for frames: their brokers are asked for
    /// versions next, unless they have told them.
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
                self.versions_to_ask.insert(id, FIRST_API_VERSIONS_VERSION);
            }
        }
        // Of a node that is not ready yet, the time until it is runs anyway.
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

    /// Notes the connections that ended by the broker's or the system's doing.
    pub(super) fn handle_disconnections(
        &mut self,
        events: &PollEvents,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        for disconnected in &events.disconnected {
            let id = disconnected.id;
            if !self.states.is_live(id) {
                continue;
            }
            let was_ready = matches!(
                self.states.state(id),
                Some(ConnectionState::Ready | ConnectionState::AuthenticatingAgain)
            );
            let is_asking = self.states.state(id) == Some(&ConnectionState::CheckingApiVersions);
            let authenticates = self.states.state(id) == Some(&ConnectionState::Authenticating);
            let error = match &disconnected.reason {
                // What is said of it says that it is one of authentication.
                CloseReason::AuthenticationFailed(why) => Arc::clone(why),
                reason @ (CloseReason::ClosedByPeer | CloseReason::Io(_)) if authenticates => {
                    format!("{reason}{LOST_IN_AUTHENTICATION}").into()
                }
                CloseReason::ClosedByPeer if is_asking => Arc::from(CLOSED_ON_API_VERSIONS),
                reason @ CloseReason::BadFrame(_) if !was_ready => {
                    format!("{reason}: {NO_BROKER}").into()
                }
                reason => Arc::from(reason.to_string()),
            };
            let ending = Ending {
                error,
                weight: match disconnected.reason {
                    CloseReason::Idle => Weight::Ordinary,
                    CloseReason::BadFrame(_) => Weight::Fault,
                    CloseReason::AuthenticationFailed(_) => Weight::Refused,
                    _ => Weight::Lost,
                },
                by_peer: matches!(
                    disconnected.reason,
                    CloseReason::ClosedByPeer | CloseReason::Io(_)
                ),
            };
            let newest_untouched = disconnected.last_frame_untouched;
            self.process_disconnection(id, &ending, newest_untouched, now, responses);
        }
    }

    /// Closes the connections that took too long to be made, to be authenticated, or to tell the broker's
    /// versions.
    pub(super) fn handle_timed_out_connections(
        &mut self,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        while let Some(id) = self.states.timed_out_setup(now) {
            if planted!(SetupNeverTimesOut) {
                return;
            }
            let stage = self.states.state_name(id);
            let timeout = self.states.setup_timeout(id).unwrap_or_default();
            let what = match self.states.state(id) {
                Some(ConnectionState::AuthenticatingAgain) => "authenticated again",
                _ => "set up",
            };
            let error = format!(
                "the connection was not {what} within {} ms (socket.connection.setup.timeout.ms, stage: {stage})",
                timeout.as_millis()
            );
            self.close_connection(id, &Ending::given_up(error), now, responses);
        }
    }

    /// Closes the connections on which an answer did not come in time.
    pub(super) fn handle_timed_out_requests(
        &mut self,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        while let Some(id) = self.in_flight.timed_out_node(now) {
            if planted!(RequestNeverTimesOut) {
                return;
            }
            let ending = Ending::given_up("a request was not answered within request.timeout.ms");
            self.close_connection(id, &ending, now, responses);
        }
    }

    /// Ends a connection from this side.
    pub(super) fn close_connection(
        &mut self,
        id: NodeId,
        ending: &Ending,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        let newest_untouched =
            self.selector.is_send_untouched(id) && !planted!(UntouchedCalledHandedOver);
        self.selector.close(id);
        self.process_disconnection(id, ending, newest_untouched, now, responses);
    }

    /// A connection ended: its requests with it. Of the newest, not one byte was given to the socket if
    /// `newest_untouched`.
    fn process_disconnection(
        &mut self,
        id: NodeId,
        ending: &Ending,
        newest_untouched: bool,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) {
        self.note_end(id, ending, now);
        self.api_versions.remove(id);
        self.versions_to_ask.remove(&id);
        self.cancel_in_flight(id, ending, newest_untouched, now, responses);
        self.metadata_after_disconnect(id, ending, now);
    }

    fn cancel_in_flight(
        &mut self,
        id: NodeId,
        ending: &Ending,
        newest_untouched: bool,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
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
                    let is_newest = at == newest || planted!(BlindAllUntouched);
                    let untouched = is_newest && !newest_is_written && newest_untouched;
                    let reason = if ending.by_peer && !untouched {
                        closed_on_request(&ending.error, request.bytes)
                    } else {
                        Arc::clone(&ending.error)
                    };
                    let outcome = if ending.weight == Weight::Refused && untouched {
                        Outcome::Authentication(self.of_broker(id, &reason))
                    } else {
                        Outcome::Disconnected {
                            handed_over: !untouched,
                            reason,
                        }
                    };
                    responses.push(ClientResponse {
                        node: id,
                        tag,
                        version: request.version,
                        created: request.created,
                        received: now,
                        outcome,
                    });
                }
                Purpose::Metadata(_) if planted!(LostMetadataRequestAwaited) => {}
                Purpose::Metadata(_) => self.metadata_failed(self.failure_of(id, ending), now),
                Purpose::ApiVersions => {}
            }
        }
    }

    /// Warns of a node that cannot be connected to or does what no broker should: at once, and as long as it
    /// goes on seldom, with how often. All of it is in the debug log.
    fn log_ending(&mut self, id: NodeId, ending: &Ending, now: Instant) {
        let error = &ending.error;
        let is_ready = self.states.state(id) == Some(&ConnectionState::Ready);
        let warns = match ending.weight {
            Weight::Ordinary => false,
            Weight::Lost => !is_ready,
            Weight::Fault | Weight::Refused => true,
        };
        let unsaid = if warns {
            self.states.warn_of(id, now)
        } else {
            None
        };
        let endpoint = Named(self.states.endpoint(id));
        let Some(unsaid) = unsaid else {
            log::debug!(self.log, "Node {id}{endpoint} disconnected: {error}");
            return;
        };
        let what = match ending.weight {
            Weight::Fault => "was closed",
            Weight::Refused => "failed authentication",
            Weight::Ordinary | Weight::Lost => "could not be established",
        };
        log::warn!(
            self.log,
            "Connection to node {id}{endpoint} {what}: {error}{unsaid}"
        );
    }

    /// An error with the broker that it is about in front: what ends a connection does not name it.
    pub(super) fn of_broker(&self, id: NodeId, error: &str) -> Arc<str> {
        let endpoint = Named(self.states.endpoint(id));
        format!("broker {id}{endpoint}: {error}").into()
    }

    /// The broker's versions are known. If it was warned of before, that is over.
    pub(super) fn node_is_ready(&mut self, id: NodeId) {
        if let Some(failures) = self.states.ready(id) {
            let endpoint = Named(self.states.endpoint(id));
            log::info!(
                self.log,
                "Connection to node {id}{endpoint} stands, after {failures} failures"
            );
        }
    }
}

/// Where a node is, if that is known, as it stands in a sentence.
struct Named<'a>(Option<(&'a Arc<str>, u16)>);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((host, port)) => write!(f, " ({host}:{port})"),
            None => Ok(()),
        }
    }
}
