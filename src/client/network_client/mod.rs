//! The network client: connects to nodes, sends requests, receives responses, refreshes the metadata.
//!
//! | file | subject |
//! |---|---|
//! | `mod` | the client, and the [`KafkaClient`] methods that the sender calls |
//! | `connecting` | connections: resolve, connect, authenticate, disconnect, time out |
//! | `sending` | a request's version, correlation id and encoding |
//! | `responses` | events of a poll: completed sends and receives, throttling, API versions |
//! | `metadata_updater` | when metadata is requested, and from which node |
//! | `recovery` | rebootstrap: when metadata is requested from the bootstrap servers again |
//! | `inspection` | the state of a connection, for the probe of `kafka-check` |

mod connecting;
#[cfg(feature = "cli")]
mod inspection;
mod metadata_updater;
mod recovery;
mod responses;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use self::metadata_updater::MetadataUpdateInFlight;
use self::recovery::MetadataRecovery;
pub(crate) use self::recovery::{RecoveryOptions, bootstrap_nodes};
use super::api_versions::ApiVersions;
use super::connection_states::{ClusterConnectionStates, ConnectionState, ConnectionTimeouts};
use super::in_flight_requests::InFlightRequests;
use super::kafka_client::{ClientRequest, ClientResponse, KafkaClient, NotReady, Outcome};
use super::metadata::{AwaitedBroker, PlannedUpdate};
use super::metadata_source::MetadataSource;
use crate::clock::log_limit::LogLimit;
use crate::clock::repeat_limiter::{LineRepeatLimiter, RepeatLimiter};
use crate::clock::{Clock, Deadline, Instant};
use crate::metrics::Sensors;
use crate::metrics::tables::SenderSensor;
use crate::network::resolver::HostResolver;
use crate::network::selectable::{PollEvents, Selectable, WakeUp};
use crate::protocol::ApiKey;
use crate::types::{Node, NodeId, UsableMagic};
use crate::util::log::{self, LogContext};

/// Options of a [`NetworkClient`].
#[derive(Debug, Clone)]
pub(crate) struct NetworkClientOptions {
    pub(crate) client_id: Arc<str>,
    pub(crate) log: LogContext,
    /// Whether connections authenticate with SASL.
    pub(crate) uses_sasl: bool,
    /// `max.in.flight.requests.per.connection`.
    pub(crate) max_in_flight: usize,
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`.
    pub(crate) setup_timeout: Duration,
    pub(crate) setup_timeout_max: Duration,
    /// `request.timeout.ms`, for the client's own requests (metadata, API versions).
    pub(crate) request_timeout: Duration,
    /// Options of the rebootstrap: the servers, and when metadata is requested from them again.
    pub(crate) recovery: RecoveryOptions,
    /// Seed of the random numbers: for the jitter of back-offs, and for the node at which a search for the least loaded
    /// node begins.
    pub(crate) seed: u64,
}

/// Rate limits of log lines for events that may repeat without end.
#[derive(Debug, Default)]
struct Logged {
    io: RepeatLimiter,
    unwritable: RepeatLimiter,
    metadata: LineRepeatLimiter,
    metadata_limit: LogLimit,
    bootstrap_lost: RepeatLimiter,
}

/// The origin of a request: the sender, with its tag, or the client itself.
#[derive(Debug)]
enum Purpose<T> {
    User(T),
    /// A metadata request, with the number of its update.
    Metadata(PlannedUpdate, u64),
    ApiVersions,
}

/// The network client of one cluster: asynchronous requests over one connection per node.
///
/// [`send`](KafkaClient::send) accepts requests, [`poll`](KafkaClient::poll) does the I/O and returns their outcomes.
///
/// # Threads
/// Owned by the sender thread; only the wake-up handle may be used by others.
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
    uses_sasl: bool,
    request_timeout: Duration,
    states: ClusterConnectionStates,
    in_flight: InFlightRequests<Purpose<T>>,
    api_versions: ApiVersions,
    /// Connected nodes that an ApiVersions request is still to be sent to, with the version of that request.
    nodes_needing_api_versions: BTreeMap<NodeId, i16>,
    /// Nodes whose host name is being resolved.
    lookups: BTreeSet<NodeId>,
    update: MetadataUpdateInFlight,
    /// When the network was last read.
    last_read: Instant,
    /// The brokers that a metadata update waits for, as last reported to `metadata`.
    awaited: Vec<AwaitedBroker>,
    recovery: MetadataRecovery,
    /// Completed requests, which the current or the next poll returns.
    completed: Vec<ClientResponse<T>>,
    /// Buffer of the selector's events, reused by each poll.
    events: PollEvents,
    /// Records the throttle times of responses.
    sensors: Sensors<SenderSensor>,
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
        sensors: Sensors<SenderSensor>,
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
            uses_sasl: options.uses_sasl,
            request_timeout: options.request_timeout,
            states: ClusterConnectionStates::new(&timeouts, random.fork(), options.log),
            in_flight: InFlightRequests::new(options.max_in_flight),
            api_versions: ApiVersions::new(usable_magic),
            nodes_needing_api_versions: BTreeMap::new(),
            lookups: BTreeSet::new(),
            update: MetadataUpdateInFlight::default(),
            last_read: Instant::ORIGIN,
            awaited: Vec::new(),
            recovery: MetadataRecovery::new(options.recovery),
            completed: Vec::new(),
            events: PollEvents::default(),
            sensors,
            logged: Logged::default(),
            correlation_id: 0,
            random,
            is_closed: false,
        }
    }

    /// Whether a request can be sent on the node's connection now, even if a metadata request is due.
    fn can_send(&self, node: NodeId, now: Instant) -> bool {
        self.states.is_ready(node, now)
            && self.selector.is_channel_ready(node)
            && self.in_flight.can_send_more(node)
    }

    /// How long the selector may block: until the caller's timeout or the client's first own deadline, whichever is
    /// earlier.
    fn poll_timeout(&self, timeout: Duration, metadata: Deadline, now: Instant) -> Duration {
        // Reconnect back-offs are left out here: the sender's `timeout` considers those of its nodes (by
        // `poll_deadline`), and `metadata` those that a metadata update waits for.
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
        // `can_connect` is false while a connection exists or is being set up, and during the reconnect back-off.
        if !self.is_closed && self.states.can_connect(node.id(), now) {
            self.initiate_connect(node, now);
        }
        false
    }

    fn is_ready(&self, node: NodeId, now: Instant) -> bool {
        // A due metadata request takes precedence: no other request is sent before it.
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
                Some(NotReady::Authentication(self.with_broker(node, message)))
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
            // The node is ready, even if a due metadata request is sent first.
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
                // Never tried, being connected to, or ready: this node may still accept the credentials.
                _ => return None,
            }
        }
        failure.map(|(id, why)| self.with_broker(id, why))
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
        // The next poll returns this outcome like every other: `send` itself never fails.
        if let Some(reason) = refused {
            let outcome = match self.states.state(node) {
                Some(ConnectionState::AuthenticationFailed(_)) => {
                    Outcome::Authentication(self.with_broker(node, &reason))
                }
                _ => Outcome::Disconnected {
                    handed_over: false,
                    reason,
                },
            };
            self.completed.push(ClientResponse {
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
        // `dispatch` returns the purpose that was passed to it, so this pattern matches each of its errors.
        if let Err((Purpose::User(tag), version, outcome)) = sent {
            self.completed.push(ClientResponse {
                node,
                tag,
                version,
                created: now,
                received: now,
                outcome,
            });
        }
    }

    fn poll(
        &mut self,
        timeout: Duration,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) -> Instant {
        if self.is_closed {
            responses.append(&mut self.completed);
            return now;
        }
        // Finished look-ups are handled first: if one failed, the metadata update below chooses another node.
        self.handle_resolutions(now);
        self.handle_canonical_names();
        let metadata = self.maybe_update_metadata(now);
        // Completed requests are returned without blocking. The selector is polled all the same (Java returns here): if
        // a request completed at once in every iteration, a disconnect would never be noticed.
        let timeout = if self.completed.is_empty() {
            timeout
        } else {
            Duration::ZERO
        };
        let timeout = self.poll_timeout(timeout, metadata, now);
        let mut events = std::mem::take(&mut self.events);
        if let Err(error) = self.selector.poll(Some(timeout), &mut events) {
            if let Some(suppressed) = self.logged.io.happened(now) {
                log::error!(self.log, "Unexpected error during I/O: {error}{suppressed}");
            }
        }
        // The poll may have blocked: timeouts are compared with the time after it.
        let now = self.clock.now();
        self.last_read = now;
        // Sends are handled before receives: a request without response (acks=0) must be removed before a frame is
        // matched with the oldest request. Receives are handled before disconnects: a response that arrived before the
        // close still completes its request.
        self.handle_completed_sends(&events, now);
        self.handle_completed_receives(&mut events, now);
        self.handle_disconnections(&events, now);
        self.handle_connections(&events, now);
        self.handle_resolutions(now);
        self.send_api_versions_requests(now);
        // Timeouts are handled last: a response that arrived in this poll, however late, completes its request. A poll
        // reads one frame of each connection, and a connection with more input does not time out before the input is
        // read.
        self.handle_timed_out_connections(now);
        self.handle_timed_out_requests(now);
        events.clear();
        self.events = events;
        // Swapping the buffers saves an allocation: the caller's empty buffer is filled by the next poll.
        if responses.is_empty() {
            std::mem::swap(responses, &mut self.completed);
        } else {
            responses.append(&mut self.completed);
        }
        now
    }

    fn has_unread_input(&self, node: NodeId) -> bool {
        self.selector.has_unread_input(node)
    }

    fn newest_untouched(&self, node: NodeId) -> Option<&T> {
        match &self.in_flight.newest_unwritten(node)?.purpose {
            // The selector is consulted too: a frame that is not written in full may be written in part.
            Purpose::User(tag) if self.selector.is_send_untouched(node) => Some(tag),
            _ => None,
        }
    }

    fn withdraw_untouched(&mut self, node: NodeId, reason: &str, now: Instant) -> bool {
        // The selector comes first: once it has dropped the frame, no byte of the request can be written any more.
        if self.newest_untouched(node).is_none() || !self.selector.withdraw_send(node) {
            return false;
        }
        let Some(request) = self.in_flight.withdraw_newest(node) else {
            return false;
        };
        let outcome = Outcome::Disconnected {
            handed_over: false,
            reason: reason.into(),
        };
        self.complete(node, request, outcome, now);
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
        self.nodes_needing_api_versions.clear();
        self.completed.clear();
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
