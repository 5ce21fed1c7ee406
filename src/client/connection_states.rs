//! How things stand with the connection to each node: its state, when another attempt is allowed,
//! how long the current one may take, and which of the host's addresses is next.

mod addresses;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::addresses::Addresses;
use crate::clock::seldom::{Seldom, Unsaid};
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::types::{Node, NodeId};
use crate::util::backoff::ExponentialBackoff;
use crate::util::log::{self, LogContext};

const GROWTH: u32 = 2;
const JITTER: f64 = 0.2;

/// What is going on with a node.
///
/// ```text
///  Disconnected ─▶ Resolving ─▶ Connecting ─▶ Authenticating ─▶ CheckingApiVersions ─▶ Ready
///    ▲   ▲            │             │               │                  │                │
///    │   └────────────┴─────────────┴───────────────┴──────────────────┴────────────────┘
///    └── AuthenticationFailed (counts as disconnected, keeps the reason)
///
///  Ready ─▶ AuthenticatingAgain ─▶ Ready
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectionState {
    Disconnected,
    /// The host's name is being looked up.
    Resolving,
    /// The connection is being made.
    Connecting,
    /// Connected; both sides find out whom they talk to. Left out with plain text.
    Authenticating,
    /// Authenticated; the broker is being asked which requests it understands.
    CheckingApiVersions,
    /// Requests may be sent.
    Ready,
    /// Requests may be sent again when the broker has been told again who the client is (KIP-368).
    AuthenticatingAgain,
    /// One side did not accept the other, for this reason.
    AuthenticationFailed(Arc<str>),
}

impl ConnectionState {
    fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected | Self::AuthenticationFailed(_))
    }

    fn is_connected(&self) -> bool {
        matches!(
            self,
            Self::Authenticating
                | Self::CheckingApiVersions
                | Self::Ready
                | Self::AuthenticatingAgain
        )
    }

    /// On the way to ready, for the first time or again: it must get there before the setup timeout.
    fn is_preparing(&self) -> bool {
        matches!(
            self,
            Self::Resolving
                | Self::Connecting
                | Self::Authenticating
                | Self::CheckingApiVersions
                | Self::AuthenticatingAgain
        )
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Resolving => "resolving the host name",
            Self::Connecting => "connecting",
            Self::Authenticating => "authenticating",
            Self::CheckingApiVersions => "checking API versions",
            Self::Ready => "ready",
            Self::AuthenticatingAgain => "authenticating again",
            Self::AuthenticationFailed(_) => "authentication failed",
        }
    }
}

/// What is to be done next for a connection that has been begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Look the host name up.
    Resolve,
    /// Connect to this address.
    Connect(SocketAddr),
    /// A look-up is under way: wait for it.
    Wait,
}

#[derive(Debug)]
struct NodeConnection {
    state: ConnectionState,
    host: Arc<str>,
    port: u16,
    addresses: Addresses,
    /// A look-up was asked for and not answered.
    is_looked_up: bool,
    /// When the current attempt began, or the last connection ended.
    last_attempt: Instant,
    /// Failures since the node was last ready.
    failures: u32,
    reconnect_backoff: Duration,
    /// Attempts since the node was last ready that ran out of time on the way.
    setup_failures: u32,
    setup_timeout: Duration,
    /// Since when the setup timeout runs.
    setup_since: Instant,
    throttled_until: Option<Instant>,
    last_error: Option<Arc<str>>,
    /// What was logged of the node, by what happened to it.
    logged: BTreeMap<&'static str, Seldom>,
    /// It was warned of since it was last ready.
    is_warned_of: bool,
}

/// The timeouts of connecting.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionTimeouts {
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) setup_timeout: Duration,
    pub(crate) setup_timeout_max: Duration,
}

/// The states of the connections to all nodes.
///
/// Timeouts are over when their last instant is reached, where Java's are over a millisecond later:
/// a poll that sleeps to the very instant then finds something to do.
///
/// # Kafka
/// `org.apache.kafka.clients.ClusterConnectionStates`.
#[derive(Debug)]
pub(crate) struct ClusterConnectionStates {
    log: LogContext,
    nodes: BTreeMap<NodeId, NodeConnection>,
    /// Those that [are preparing](ConnectionState::is_preparing), so that a poll need not look at all.
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

    /// Whether an attempt to connect may begin now.
    pub(crate) fn can_connect(&self, id: NodeId, now: Instant) -> bool {
        self.connection_deadline(id, now).is_over(now)
    }

    /// When an attempt to connect may begin: `Never` while one is under way or has succeeded.
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

    /// When the node is worth looking at again: the end of a throttle if it is connected, else
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

    /// Begins an attempt to connect, and says what is to be done for it.
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
            reconnect_backoff: reconnect_backoff.backoff(0, random.f64()),
            setup_failures: 0,
            setup_timeout: setup_timeout.backoff(0, random.f64()),
            setup_since: now,
            throttled_until: None,
            last_error: None,
            logged: BTreeMap::new(),
            is_warned_of: false,
        });
        // A pause is asked for on a connection, and ends with it: a broker that wants another says so in
        // its first answer, and one that asked for days can be replaced. (NC-24: Java's outlives it.)
        entry.throttled_until = None;
        if *entry.host != *node.host() || entry.port != node.port() {
            if let Some(unsaid) = entry.logged.entry("host").or_default().happened(now) {
                log::info!(
                    self.log,
                    "Host of node {id} changed from {}:{} to {}:{}{unsaid}",
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
            // A look-up that was not answered is for the old name: another takes its place.
            entry.is_looked_up = false;
        }
        self.preparing.insert(id);
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

    /// A look-up was answered. Returns the address to connect to if an attempt waits for it; an
    /// answer that comes after the attempt ran out of time serves the next one.
    pub(crate) fn resolved(
        &mut self,
        id: NodeId,
        addresses: Vec<SocketAddr>,
        now: Instant,
    ) -> Option<SocketAddr> {
        let node = self.nodes.get_mut(&id)?;
        node.is_looked_up = false;
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

    /// A look-up failed. Whether an attempt waited for it, which has thereby failed.
    pub(crate) fn resolution_failed(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else {
            return false;
        };
        node.is_looked_up = planted!(FailedLookUpAwaited);
        node.state == ConnectionState::Resolving
    }

    /// The connection stands; both sides find out whom they talk to.
    pub(crate) fn authenticating(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::Authenticating, now);
    }

    /// The connection is ready for frames; the broker is asked for its versions next.
    pub(crate) fn checking_api_versions(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::CheckingApiVersions, now);
    }

    /// The broker is told again who the client is, for which there is as much time as for the first time.
    pub(crate) fn authenticating_again(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::AuthenticatingAgain, now);
        self.preparing.insert(id);
    }

    /// It has been told: the node is as ready as it was.
    pub(crate) fn authenticated_again(&mut self, id: NodeId, now: Instant) {
        self.next_stage(id, ConnectionState::Ready, now);
        self.preparing.remove(&id);
    }

    fn next_stage(&mut self, id: NodeId, state: ConnectionState, now: Instant) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.state = state;
            // A new stage, with the timeout anew; the reconnect backoff is kept until the node is
            // ready, or a broker that takes connections and drops them would be hammered.
            node.setup_since = now;
            if planted!(BlindConnectedIsFine) {
                node.failures = 0;
            }
        }
    }

    /// Requests may be sent: what went wrong before is forgotten. Returns how often it did, if that was warned
    /// of.
    pub(crate) fn ready(&mut self, id: NodeId) -> Option<u32> {
        let node = self.nodes.get_mut(&id)?;
        let failures = node.failures;
        node.state = ConnectionState::Ready;
        node.last_error = None;
        node.failures = 0;
        node.reconnect_backoff = self.reconnect_backoff.backoff(0, self.random.f64());
        node.setup_failures = 0;
        node.setup_timeout = self.setup_timeout.backoff(0, self.random.f64());
        self.preparing.remove(&id);
        std::mem::take(&mut node.is_warned_of).then_some(failures)
    }

    /// A node is to be warned of, in the state that it is in. Whether that may be logged, and how often it was
    /// not: each state of each node is logged at once, and then seldom.
    pub(crate) fn warn_of(&mut self, id: NodeId, now: Instant) -> Option<Unsaid> {
        let node = self.nodes.get_mut(&id)?;
        let logged = node.logged.entry(node.state.name()).or_default();
        let unsaid = logged.happened(now)?;
        node.is_warned_of = true;
        Some(unsaid)
    }

    /// The connection, or the attempt to make it, ended.
    pub(crate) fn disconnected(&mut self, id: NodeId, now: Instant, error: Arc<str>) {
        self.ended(id, now, ConnectionState::Disconnected, error);
    }

    /// One side did not accept the other, and the connection ended.
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
        node.last_attempt = now;
        node.reconnect_backoff = self
            .reconnect_backoff
            .backoff(node.failures, self.random.f64());
        node.failures = node.failures.saturating_add(1);
        if node.state.is_preparing() {
            node.setup_failures = node.setup_failures.saturating_add(1);
            node.setup_timeout = self
                .setup_timeout
                .backoff(node.setup_failures, self.random.f64());
        }
        if node.state.is_connected() {
            // The broker may have moved since its address was looked up.
            node.addresses.expire();
        }
        node.last_error = Some(error);
        node.state = state;
        self.preparing.remove(&id);
    }

    /// The broker asked for a pause until `until`. Returns by how much that is longer than what it
    /// had asked for before.
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

    pub(crate) fn is_throttled(&self, id: NodeId, now: Instant) -> bool {
        self.nodes
            .get(&id)
            .and_then(|node| node.throttled_until)
            .is_some_and(|until| until > now)
    }

    /// Whether requests may be sent as far as the state goes.
    pub(crate) fn is_ready(&self, id: NodeId, now: Instant) -> bool {
        self.nodes.get(&id).is_some_and(|node| {
            node.state == ConnectionState::Ready
                && node.throttled_until.is_none_or(|until| until <= now)
        })
    }

    /// Whether the node is on the way to being ready.
    pub(crate) fn is_preparing(&self, id: NodeId) -> bool {
        self.preparing.contains(&id)
    }

    /// Whether there is, or is about to be, a connection.
    pub(crate) fn is_live(&self, id: NodeId) -> bool {
        self.nodes
            .get(&id)
            .is_some_and(|node| !node.state.is_disconnected())
    }

    pub(crate) fn state(&self, id: NodeId) -> Option<&ConnectionState> {
        self.nodes.get(&id).map(|node| &node.state)
    }

    /// What the last attempt or connection ended with, until the node is ready again.
    pub(crate) fn last_error(&self, id: NodeId) -> Option<&Arc<str>> {
        self.nodes
            .get(&id)
            .and_then(|node| node.last_error.as_ref())
    }

    /// How often the node has failed since it was last ready.
    pub(crate) fn failures(&self, id: NodeId) -> u32 {
        self.nodes.get(&id).map_or(0, |node| node.failures)
    }

    /// How many attempts in a row ended before the node was ready, since it last was.
    pub(crate) fn setup_failures(&self, id: NodeId) -> u32 {
        self.nodes.get(&id).map_or(0, |node| node.setup_failures)
    }

    /// The next attempt looks the node's host up, whatever is left of the last look-up.
    pub(crate) fn look_up_again(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.addresses.expire();
        }
    }

    /// The host and port the node is reached by.
    pub(crate) fn endpoint(&self, id: NodeId) -> Option<(&Arc<str>, u16)> {
        self.nodes.get(&id).map(|node| (&node.host, node.port))
    }

    /// When the last attempt began, or the last connection ended.
    pub(crate) fn last_attempt(&self, id: NodeId) -> Option<Instant> {
        self.nodes.get(&id).map(|node| node.last_attempt)
    }

    /// How long the current or next attempt may take at each stage.
    pub(crate) fn setup_timeout(&self, id: NodeId) -> Option<Duration> {
        self.nodes.get(&id).map(|node| node.setup_timeout)
    }

    /// When the first of the attempts under way runs out of time.
    pub(crate) fn next_setup_deadline(&self) -> Deadline {
        self.preparing
            .iter()
            .map(|id| self.setup_deadline(*id))
            .min()
            .unwrap_or(Deadline::Never)
    }

    /// A node whose attempt has run out of time, if there is one.
    pub(crate) fn timed_out_setup(&self, now: Instant) -> Option<NodeId> {
        self.preparing
            .iter()
            .copied()
            .find(|id| self.setup_deadline(*id).is_over(now))
    }

    fn setup_deadline(&self, id: NodeId) -> Deadline {
        self.nodes.get(&id).map_or(Deadline::Never, |node| {
            Deadline::after(node.setup_since, node.setup_timeout)
        })
    }

    /// The nodes that were ever connected to, by number.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// A node's state in words.
    pub(crate) fn state_name(&self, id: NodeId) -> &'static str {
        self.nodes
            .get(&id)
            .map_or("never connected to", |node| node.state.name())
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
