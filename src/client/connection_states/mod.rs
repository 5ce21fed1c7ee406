//! Connection states: per node the state machine, the reconnect back-off, the connection setup timeout, the throttle
//! time, and the resolved addresses. Does no I/O: the network client reports events, and performs the next step that is
//! returned.

mod addresses;
mod queries;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::addresses::Addresses;
pub(crate) use self::state::ConnectionState;
use crate::clock::Instant;
use crate::clock::repeat_limiter::{RepeatLimiter, Suppressed};
use crate::planted::planted;
use crate::types::{Node, NodeId};
use crate::util::backoff::ExponentialBackoff;
use crate::util::log::{self, LogContext};

const GROWTH: u32 = 2;
const JITTER: f64 = 0.2;

/// The next step of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Resolve the host name.
    Resolve,
    /// Connect to this address.
    Connect(SocketAddr),
    /// Wait for the look-up of an earlier attempt, which is still running.
    Wait,
}

#[derive(Debug)]
struct NodeConnection {
    state: ConnectionState,
    host: Arc<str>,
    port: u16,
    addresses: Addresses,
    /// Whether a look-up of the host name is running.
    is_looked_up: bool,
    /// When the current attempt began, or the last attempt or connection ended: the reconnect back-off counts from
    /// here.
    last_attempt: Instant,
    /// Disconnects since the node was last ready: exponent of the reconnect back-off.
    failures: u32,
    /// The value of `failures` when the node became ready, until it has responded to a request.
    unproven_failures: Option<u32>,
    reconnect_backoff: Duration,
    /// Consecutive attempts that ended before the node was ready: exponent of the setup timeout.
    setup_failures: u32,
    /// Connection setup timeout of the current or next attempt, with back-off and jitter.
    setup_timeout: Duration,
    /// When the current stage of the setup began: the setup timeout counts from here.
    setup_since: Instant,
    throttled_until: Option<Instant>,
    last_error: Option<Arc<str>>,
    /// Whether a request or a connection setup has timed out since the node was last ready.
    has_timed_out: bool,
    /// Limits log lines about the node, one limit per kind of event.
    logged: BTreeMap<&'static str, RepeatLimiter>,
    /// Whether a warning was logged since the node was last ready. If so, an info line is logged when it is ready
    /// again.
    is_warned_of: bool,
}

/// Reconnect back-off and connection setup timeout (`socket.connection.setup.timeout.ms`), each with its maximum.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionTimeouts {
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) setup_timeout: Duration,
    pub(crate) setup_timeout_max: Duration,
}

/// The states of the connections to all nodes.
///
/// A deadline is over at its exact instant (in Java a millisecond later), so that a poll that has blocked until then
/// finds the timeout expired.
///
/// # Kafka
/// `org.apache.kafka.clients.ClusterConnectionStates`.
#[derive(Debug)]
pub(crate) struct ClusterConnectionStates {
    log: LogContext,
    nodes: BTreeMap<NodeId, NodeConnection>,
    /// The nodes that [are preparing](ConnectionState::is_preparing), so that a poll need not scan all nodes.
    preparing: BTreeSet<NodeId>,
    reconnect_backoff: ExponentialBackoff,
    setup_timeout: ExponentialBackoff,
    random: fastrand::Rng,
}

impl ClusterConnectionStates {
    pub(crate) fn new(
        timeouts: &ConnectionTimeouts,
        random: fastrand::Rng,
        log: LogContext,
    ) -> Self {
        Self {
            log,
            nodes: BTreeMap::new(),
            preparing: BTreeSet::new(),
            reconnect_backoff: ExponentialBackoff::new(
                timeouts.reconnect_backoff,
                GROWTH,
                timeouts.reconnect_backoff_max,
                JITTER,
            ),
            setup_timeout: ExponentialBackoff::new(
                timeouts.setup_timeout,
                GROWTH,
                timeouts.setup_timeout_max,
                JITTER,
            ),
            random,
        }
    }

    /// Starts an attempt to connect, and returns its first step.
    pub(crate) fn connecting(&mut self, node: &Node, now: Instant) -> NextStep {
        let id = node.id();
        let setup_timeout = self.setup_timeout.clone();
        let reconnect_backoff = self.reconnect_backoff.clone();
        let random = &mut self.random;
        let entry = self.nodes.entry(id).or_insert_with(|| NodeConnection {
            state: ConnectionState::Disconnected,
            host: Arc::from(node.host()),
            port: node.port(),
            addresses: Addresses::default(),
            is_looked_up: false,
            last_attempt: now,
            failures: 0,
            unproven_failures: None,
            reconnect_backoff: reconnect_backoff.backoff(0, random.f64()),
            setup_failures: 0,
            setup_timeout: setup_timeout.backoff(0, random.f64()),
            setup_since: now,
            throttled_until: None,
            last_error: None,
            has_timed_out: false,
            logged: BTreeMap::new(),
            is_warned_of: false,
        });
        // Throttle time ends with the connection (NC-24; in Java it outlives the connection): the first response of a
        // broker that still throttles sets it again, and a throttle time of days ends when the broker is restarted or
        // replaced.
        entry.throttled_until = None;
        // Another host means another broker with the same id: errors and back-offs of the old broker do not apply to
        // it.
        if *entry.host != *node.host() || entry.port != node.port() {
            if let Some(suppressed) = entry.logged.entry("host").or_default().happened(now) {
                log::info!(
                    self.log,
                    "Host of node {id} changed from {}:{} to {}:{}{suppressed}",
                    entry.host,
                    entry.port,
                    node.host(),
                    node.port()
                );
            }
            entry.host = Arc::from(node.host());
            entry.port = node.port();
            entry.addresses = Addresses::default();
            entry.failures = 0;
            entry.reconnect_backoff = reconnect_backoff.backoff(0, random.f64());
            entry.setup_failures = 0;
            entry.setup_timeout = setup_timeout.backoff(0, random.f64());
            entry.last_error = None;
            entry.has_timed_out = false;
            // A running look-up is for the old host name: a new one replaces it.
            entry.is_looked_up = false;
        }
        self.preparing.insert(id);
        // Each resolved address gets one attempt before the name is resolved again (KIP-302).
        if let Some(address) = entry.addresses.next() {
            entry.begin(ConnectionState::Connecting, now);
            return NextStep::Connect(address);
        }
        entry.begin(ConnectionState::Resolving, now);
        if entry.is_looked_up {
            return NextStep::Wait;
        }
        entry.is_looked_up = true;
        NextStep::Resolve
    }

    /// Stores the addresses of a look-up. Returns the address to connect to if an attempt waits for the look-up. If
    /// that attempt has timed out, the addresses are kept for the next attempt.
    pub(crate) fn resolved(
        &mut self,
        id: NodeId,
        addresses: Vec<SocketAddr>,
        now: Instant,
    ) -> Option<SocketAddr> {
        let node = self.nodes.get_mut(&id)?;
        node.is_looked_up = false;
        // The current attempt uses the addresses of an earlier look-up, which are kept.
        if node.state == ConnectionState::Connecting {
            return None;
        }
        node.addresses.replace(addresses);
        if node.state != ConnectionState::Resolving {
            return None;
        }
        let address = node.addresses.next()?;
        node.begin(ConnectionState::Connecting, now);
        Some(address)
    }

    /// Notes that a look-up failed. Returns true if an attempt was waiting for the look-up; the attempt has failed
    /// then.
    pub(crate) fn resolution_failed(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else {
            return false;
        };
        node.is_looked_up = planted!(FailedLookUpAwaited);
        node.state == ConnectionState::Resolving
    }

    /// The TCP connection is established; the TLS handshake or SASL authentication starts.
    pub(crate) fn authenticating(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::Authenticating, now);
    }

    /// Authentication is done; an ApiVersions request is sent next.
    pub(crate) fn checking_api_versions(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::CheckingApiVersions, now);
    }

    /// Re-authentication starts, limited by the setup timeout like the first authentication.
    pub(crate) fn authenticating_again(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::AuthenticatingAgain, now);
        self.preparing.insert(id);
    }

    /// Re-authentication succeeded: the node is ready again.
    pub(crate) fn authenticated_again(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::Ready, now);
        self.preparing.remove(&id);
    }

    fn next_stage(&mut self, id: NodeId, state: ConnectionState, now: Instant) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.state = state;
            // Each stage gets the whole setup timeout. The reconnect back-off is reset only when the node is ready:
            // else a broker that accepts connections and drops them would be reconnected to without pause.
            node.setup_since = now;
            if planted!(BlindConnectedIsFine) {
                node.failures = 0;
            }
        }
    }

    /// The node is ready: back-off, setup timeout and last error are reset. Returns the number of preceding disconnects
    /// if a warning about them was logged, else `None`.
    pub(crate) fn ready(&mut self, id: NodeId) -> Option<u32> {
        let node = self.nodes.get_mut(&id)?;
        let failures = node.failures;
        node.state = ConnectionState::Ready;
        node.last_error = None;
        node.has_timed_out = false;
        node.failures = 0;
        node.unproven_failures = Some(failures);
        node.reconnect_backoff = self.reconnect_backoff.backoff(0, self.random.f64());
        node.setup_failures = 0;
        node.setup_timeout = self.setup_timeout.backoff(0, self.random.f64());
        self.preparing.remove(&id);
        std::mem::take(&mut node.is_warned_of).then_some(failures)
    }

    /// The node has responded to a request other than ApiVersions.
    pub(crate) fn responded(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.unproven_failures = None;
        }
    }

    /// The broker rejects each connection at its first request: the reconnect back-off goes on from before the node was
    /// ready. Called before the disconnect is noted.
    ///
    /// # Kafka
    /// Differs: there the back-off begins anew with each ApiVersions response, so such a broker is connected to several
    /// times per second.
    pub(crate) fn rejected_first_request(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.failures = node.unproven_failures.take().unwrap_or(node.failures);
        }
    }

    /// Applies the rate limit of warnings, per node and state. Returns the number of suppressed warnings if a warning
    /// may be logged now, else `None`.
    pub(crate) fn warn_of(&mut self, id: NodeId, now: Instant) -> Option<Suppressed> {
        let node = self.nodes.get_mut(&id)?;
        let logged = node.logged.entry(node.state.name()).or_default();
        let suppressed = logged.happened(now)?;
        node.is_warned_of = true;
        Some(suppressed)
    }

    /// The connection closed, or the attempt to connect failed.
    pub(crate) fn disconnected(&mut self, id: NodeId, now: Instant, error: Arc<str>) {
        self.ended(id, now, ConnectionState::Disconnected, error);
    }

    /// TLS or SASL authentication failed, and the connection closed.
    pub(crate) fn authentication_failed(&mut self, id: NodeId, now: Instant, error: Arc<str>) {
        self.ended(
            id,
            now,
            ConnectionState::AuthenticationFailed(Arc::clone(&error)),
            error,
        );
        if planted!(RefusingBrokerNotBackedOff) {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.reconnect_backoff = Duration::ZERO;
            }
        }
    }

    fn ended(&mut self, id: NodeId, now: Instant, state: ConnectionState, error: Arc<str>) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        // The back-off starts now: an attempt that took longer than the back-off must not be repeated at once.
        node.last_attempt = now;
        node.reconnect_backoff = self
            .reconnect_backoff
            .backoff(node.failures, self.random.f64());
        node.failures = node.failures.saturating_add(1);
        // The setup timeout grows too (KIP-601), so that connecting over a slow network succeeds eventually.
        if node.state.is_preparing() {
            node.setup_failures = node.setup_failures.saturating_add(1);
            node.setup_timeout = self
                .setup_timeout
                .backoff(node.setup_failures, self.random.f64());
        }
        if node.state.is_connected() {
            // The broker may have moved since its host name was resolved.
            node.addresses.expire();
        }
        node.last_error = Some(error);
        node.state = state;
        self.preparing.remove(&id);
    }

    /// Notes that a request, or the setup of the connection, timed out. The connection is closed next.
    pub(crate) fn timed_out(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.has_timed_out = true;
        }
    }

    /// Throttles the node until `until`. Returns by how much that extends its throttle time; an earlier end is ignored.
    pub(crate) fn throttle(&mut self, id: NodeId, until: Instant, now: Instant) -> Duration {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Duration::ZERO;
        };
        let before = node.throttled_until.map_or(now, |at| at.max(now));
        if until <= before {
            return Duration::ZERO;
        }
        node.throttled_until = Some(until);
        until - before
    }

    /// Drops the resolved addresses: the next attempt resolves the host name again.
    pub(crate) fn look_up_again(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.addresses.expire();
        }
    }
}

impl NodeConnection {
    fn begin(&mut self, state: ConnectionState, now: Instant) {
        self.state = state;
        self.last_attempt = now;
        self.setup_since = now;
    }
}

#[cfg(test)]
mod tests;
