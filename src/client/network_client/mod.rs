//! The client proper: connections to nodes, requests out, responses back, metadata kept fresh.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | the client and what the sender calls |
//! | `connecting` | connections: begin, resolve, stand, fail |
//! | `sending` | a request's version, bytes and correlation id |
//! | `responses` | what a poll brought: sends, frames, time-outs |
//! | `metadata_updater` | when to ask for metadata, and whom |
//! | `recovery` | when to ask the bootstrap servers again |

mod connecting;
mod metadata_updater;
mod recovery;
mod responses;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use self::recovery::Recovery;
pub(crate) use self::recovery::{RecoveryOptions, bootstrap_nodes};
use super::api_versions::ApiVersions;
use super::connection_states::{ClusterConnectionStates, ConnectionState, ConnectionTimeouts};
use super::in_flight_requests::InFlightRequests;
use super::kafka_client::{ClientRequest, ClientResponse, KafkaClient, NotReady, Outcome};
use super::metadata::PlannedUpdate;
use super::metadata_source::MetadataSource;
use crate::clock::log_limit::LogLimit;
use crate::clock::seldom::{Seldom, SeldomLines};
use crate::clock::{Clock, Deadline, Instant};
use crate::network::resolver::HostResolver;
use crate::network::selectable::{PollEvents, Selectable, WakeUp};
use crate::protocol::ApiKey;
use crate::types::{Node, NodeId, UsableMagic};
use crate::util::log::{self, LogContext};

/// What a [`NetworkClient`] is to be like.
#[derive(Debug, Clone)]
pub(crate) struct NetworkClientOptions {
    pub(crate) client_id: Arc<str>,
    pub(crate) log: LogContext,
    /// `max.in.flight.requests.per.connection`.
    pub(crate) max_in_flight: usize,
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`.
    pub(crate) setup_timeout: Duration,
    pub(crate) setup_timeout_max: Duration,
    /// How long the client's own requests may take: `request.timeout.ms`.
    pub(crate) request_timeout: Duration,
    /// Where to begin again.
    pub(crate) recovery: RecoveryOptions,
    /// Where its random choices start from.
    pub(crate) seed: u64,
}

/// What was logged, of that which may happen over and over.
#[derive(Debug, Default)]
struct Logged {
    io: Seldom,
    unwritable: Seldom,
    metadata: SeldomLines,
    metadata_limit: LogLimit,
    bootstrap_lost: Seldom,
}

/// Whose request it is.
#[derive(Debug)]
enum Purpose<T> {
    User(T),
    Metadata(PlannedUpdate),
    ApiVersions,
}

/// The client of the brokers of one cluster.
///
/// # Threads
/// Owned by one thread; only the wake-up handle is for others.
/// # Kafka
/// `org.apache.kafka.clients.NetworkClient`.
#[derive(Debug)]
pub(crate) struct NetworkClient<S, R, T> {
    selector: S,
    resolver: R,
    metadata: Arc<dyn MetadataSource>,
    clock: Arc<dyn Clock>,
    client_id: Arc<str>,
    log: LogContext,
    request_timeout: Duration,
    states: ClusterConnectionStates,
    in_flight: InFlightRequests<Purpose<T>>,
    api_versions: ApiVersions,
    /// Connected nodes that are to be asked for their versions, and in which version of that request.
    versions_to_ask: BTreeMap<NodeId, i16>,
    /// Nodes whose host names are being looked up.
    lookups: BTreeSet<NodeId>,
    /// A metadata request is under way.
    is_updating: bool,
    recovery: Recovery,
    /// Requests that came to their end outside of a poll: they could not be sent, or nothing more is
    /// expected of them. The next poll hands them out.
    ended: Vec<ClientResponse<T>>,
    events: PollEvents,
    logged: Logged,
    correlation_id: i32,
    random: fastrand::Rng,
    is_closed: bool,
}

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    pub(crate) fn new(
        options: NetworkClientOptions,
        selector: S,
        resolver: R,
        metadata: Arc<dyn MetadataSource>,
        usable_magic: Arc<UsableMagic>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(options.seed);
        let timeouts = ConnectionTimeouts {
            reconnect_backoff: options.reconnect_backoff,
            reconnect_backoff_max: options.reconnect_backoff_max,
            setup_timeout: options.setup_timeout,
            setup_timeout_max: options.setup_timeout_max,
        };
        Self {
            selector,
            resolver,
            metadata,
            clock,
            client_id: options.client_id,
            log: options.log.clone(),
            request_timeout: options.request_timeout,
            states: ClusterConnectionStates::new(&timeouts, random.fork(), options.log),
            in_flight: InFlightRequests::new(options.max_in_flight),
            api_versions: ApiVersions::new(usable_magic),
            versions_to_ask: BTreeMap::new(),
            lookups: BTreeSet::new(),
            is_updating: false,
            recovery: Recovery::new(options.recovery),
            ended: Vec::new(),
            events: PollEvents::default(),
            logged: Logged::default(),
            correlation_id: 0,
            random,
            is_closed: false,
        }
    }

    /// Whether a request can be given to the node's connection, metadata or not.
    fn can_send(&self, node: NodeId, now: Instant) -> bool {
        self.states.is_ready(node, now)
            && self.selector.is_channel_ready(node)
            && self.in_flight.can_send_more(node)
    }

    /// The longest the selector may sleep.
    fn poll_timeout(&self, timeout: Duration, metadata: Deadline, now: Instant) -> Duration {
        metadata
            .min(self.in_flight.earliest_deadline())
            .min(self.states.next_setup_deadline())
            .remaining_or(now, timeout)
    }

    fn describe_node(&self, out: &mut String, node: NodeId, now: Instant) {
        // Writing to a string cannot fail.
        let _ = write!(out, "node {node}");
        if let Some((host, port)) = self.states.endpoint(node) {
            let _ = write!(out, " ({host}:{port})");
        }
        let _ = write!(out, ": {}", self.states.state_name(node));
        let _ = write!(out, ", {} in flight", self.in_flight.count_of(node));
        if self.states.is_throttled(node, now) {
            out.push_str(", throttled");
        }
        if let Some(error) = self.states.last_error(node) {
            let _ = write!(out, ", last error: {error}");
        }
    }
}

impl<S: Selectable, R: HostResolver, T: Send> KafkaClient<T> for NetworkClient<S, R, T> {
    fn ready(&mut self, node: &Node, now: Instant) -> bool {
        if self.is_ready(node.id(), now) {
            return true;
        }
        if !self.is_closed && self.states.can_connect(node.id(), now) {
            self.initiate_connect(node, now);
        }
        false
    }

    fn is_ready(&self, node: NodeId, now: Instant) -> bool {
        // While metadata is due no other request goes, so that it goes first.
        self.can_send(node, now) && !self.is_metadata_due(now)
    }

    fn poll_deadline(&self, node: NodeId, now: Instant) -> Deadline {
        self.states.poll_deadline(node, now)
    }

    fn not_ready_reason(&self, node: NodeId, now: Instant) -> Option<NotReady> {
        let last_error = || {
            let error = self.states.last_error(node)?;
            Some(match self.states.endpoint(node) {
                Some((host, port)) => format!("{host}:{port}: {error}").into(),
                None => Arc::clone(error),
            })
        };
        match self.states.state(node) {
            Some(ConnectionState::AuthenticationFailed(message)) => {
                Some(NotReady::Authentication(self.of_broker(node, message)))
            }
            Some(ConnectionState::Ready) if !self.selector.is_channel_ready(node) => {
                Some(NotReady::NotConnected(last_error()))
            }
            Some(ConnectionState::Ready) if self.states.is_throttled(node, now) => {
                Some(NotReady::Throttled)
            }
            Some(ConnectionState::Ready) if !self.in_flight.can_send_more(node) => {
                Some(NotReady::InFlightFull)
            }
            Some(ConnectionState::AuthenticatingAgain) => Some(NotReady::NotConnected(Some(
                "it is being authenticated again".into(),
            ))),
            // At most a metadata request goes first: that is no fault of the node.
            Some(ConnectionState::Ready) => None,
            _ => Some(NotReady::NotConnected(last_error())),
        }
    }

    fn connection_failed(&self, node: NodeId) -> bool {
        self.states.state(node).is_some() && !self.states.is_live(node)
    }

    fn authentication_failure(&self) -> Option<Arc<str>> {
        let mut failure = None;
        for node in self.metadata.cluster().nodes() {
            match self.states.state(node.id()) {
                Some(ConnectionState::AuthenticationFailed(why)) => {
                    failure = Some((node.id(), why));
                }
                _ => return None,
            }
        }
        failure.map(|(id, why)| self.of_broker(id, why))
    }

    fn usable_version(&self, node: NodeId, api: ApiKey) -> Option<i16> {
        let (min, max) = self.api_versions.get(node)?.range(api)?;
        api.latest_usable(min, max)
    }

    fn send(&mut self, request: ClientRequest<T>, now: Instant) {
        let ClientRequest {
            node,
            request,
            timeout,
            tag,
        } = request;
        let refused = if self.is_closed {
            Some(Arc::from("the client is closed"))
        } else if self.can_send(node, now) {
            None
        } else {
            Some(match self.states.last_error(node) {
                Some(error) => Arc::clone(error),
                None => Arc::from(format!("node {node} is not ready")),
            })
        };
        if let Some(reason) = refused {
            let outcome = match self.states.state(node) {
                Some(ConnectionState::AuthenticationFailed(_)) => {
                    Outcome::Authentication(self.of_broker(node, &reason))
                }
                _ => Outcome::Disconnected {
                    handed_over: false,
                    reason,
                },
            };
            self.ended.push(ClientResponse {
                node,
                tag,
                version: 0,
                created: now,
                received: now,
                outcome,
            });
            return;
        }
        let sent = self.dispatch(node, &request, None, timeout, Purpose::User(tag), now);
        if let Err((Purpose::User(tag), version, outcome)) = sent {
            self.ended.push(ClientResponse {
                node,
                tag,
                version,
                created: now,
                received: now,
                outcome,
            });
        }
    }

    fn poll(&mut self, timeout: Duration, now: Instant, responses: &mut Vec<ClientResponse<T>>) {
        // What came to its end already is handed out without waiting for the network. The network is
        // looked at all the same (Java returns here): a node that can take nothing may have been sent to
        // in every loop, and the end of its connection must be seen at some time.
        let had_ended = !self.ended.is_empty();
        responses.append(&mut self.ended);
        if self.is_closed {
            return;
        }
        self.handle_resolutions(now);
        self.handle_names();
        let metadata = self.maybe_update_metadata(now);
        // A metadata request that could not be sent may have ended others with it.
        let timeout = if had_ended || !self.ended.is_empty() {
            Duration::ZERO
        } else {
            timeout
        };
        let timeout = self.poll_timeout(timeout, metadata, now);
        let mut events = std::mem::take(&mut self.events);
        if let Err(error) = self.selector.poll(Some(timeout), &mut events) {
            if let Some(unsaid) = self.logged.io.happened(now) {
                log::error!(self.log, "Unexpected error during I/O: {error}{unsaid}");
            }
        }
        let now = self.clock.now();
        self.handle_completed_sends(&events, now, responses);
        self.handle_completed_receives(&mut events, now, responses);
        self.handle_disconnections(&events, now, responses);
        self.handle_connections(&events, now);
        self.handle_resolutions(now);
        self.ask_for_api_versions(now, responses);
        self.handle_timed_out_connections(now, responses);
        self.handle_timed_out_requests(now, responses);
        events.clear();
        self.events = events;
    }

    fn newest_untouched(&self, node: NodeId) -> Option<&T> {
        match &self.in_flight.newest_unwritten(node)?.purpose {
            Purpose::User(tag) if self.selector.is_send_untouched(node) => Some(tag),
            _ => None,
        }
    }

    fn withdraw_untouched(&mut self, node: NodeId, reason: &str, now: Instant) -> bool {
        if self.newest_untouched(node).is_none() || !self.selector.withdraw_send(node) {
            return false;
        }
        let Some(request) = self.in_flight.withdraw_newest(node) else {
            return false;
        };
        if let Purpose::User(tag) = request.purpose {
            self.ended.push(ClientResponse {
                node,
                tag,
                version: request.version,
                created: request.created,
                received: now,
                outcome: Outcome::Disconnected {
                    handed_over: false,
                    reason: reason.into(),
                },
            });
        }
        true
    }

    fn least_loaded_node(&mut self, now: Instant) -> Option<Node> {
        self.choose_least_loaded(now)
    }

    fn in_flight_request_count(&self) -> usize {
        self.in_flight.count()
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.selector.wake_up()
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.selector.close_all();
        self.in_flight.clear();
        self.versions_to_ask.clear();
        self.ended.clear();
    }

    fn describe(&self, now: Instant) -> String {
        let mut out = String::new();
        for node in self.metadata.cluster().nodes() {
            if self.states.state(node.id()).is_none() {
                let _ = writeln!(out, "{node}: never connected to");
            }
        }
        for node in self.states.nodes() {
            self.describe_node(&mut out, node, now);
            out.push('\n');
        }
        out.truncate(out.trim_end().len());
        out
    }
}

#[cfg(test)]
mod tests;
