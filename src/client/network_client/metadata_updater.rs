//! Metadata updates: when a metadata request is sent, to which node, and how its response is handled.
//!
//! # Kafka
//! `NetworkClient.DefaultMetadataUpdater`.

use std::sync::Arc;
use std::time::Duration;

use crate::util::backoff::SHORTEST_BACKOFF;
use crate::util::log;
use crate::util::log::Level;

use super::connecting::{EndedConnection, Weight};
use super::{NetworkClient, Purpose};
use crate::client::kafka_client::Outcome;
use crate::client::metadata::{AwaitedBroker, MetadataFailure, PlannedUpdate};
use crate::client::metadata::{MetadataNews, is_reachable};
use crate::client::metadata_source::MetadataRequestPlan;
use crate::clock::{Deadline, Instant};
use crate::network::resolver::HostResolver;
use crate::network::selectable::Selectable;
use crate::protocol::{MetadataResponse, Request};
use crate::types::{Node, NodeId};

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Whether a metadata request should be sent now: an update is due, and no request is in flight.
    pub(super) fn is_metadata_due(&self, now: Instant) -> bool {
        !self.update.is_in_flight() && self.metadata.time_to_next_update(now).is_over(now)
    }

    /// If an update is due, sends a metadata request or connects to a node for it. Returns when to call again if no
    /// network event comes first: bounds the poll's timeout.
    pub(super) fn maybe_update_metadata(&mut self, now: Instant) -> Deadline {
        // Only one metadata request is in flight at a time, unless its node is slow to respond.
        if self.update.is_in_flight() {
            return self.maybe_request_from_another(now);
        }
        let due = self.metadata.time_to_next_update(now);
        if !due.is_over(now) {
            self.report_awaited(Vec::new());
            return due;
        }
        self.maybe_rebootstrap(now);
        let wait = self.request_metadata(now);
        if self.update.is_in_flight() {
            return wait;
        }
        self.report_awaited(self.connecting_brokers());
        wait.min(self.recovery.deadline())
    }

    /// Sends the due metadata request to the least loaded node, or connects to one. Returns when to call again.
    fn request_metadata(&mut self, now: Instant) -> Deadline {
        let Some(node) = self.choose_least_loaded(now) else {
            log::debug!(
                self.log,
                "Give up sending metadata request since no node is available"
            );
            if let Some(node) = self.throttled_node(now) {
                self.metadata
                    .handle_obstacle(MetadataFailure::Throttled(node));
            }
            return self.earliest_candidate_deadline(now);
        };
        if self.can_send(node.id(), now) {
            self.send_metadata_request(node.id(), now);
            // A request that could not be sent counts as a failed update: the next update is due after the back-off.
            return if self.update.is_in_flight() {
                self.update_overdue_at()
            } else {
                self.metadata.time_to_next_update(now)
            };
        }
        // A node that is connecting already needs no further step: no second connection is opened just for metadata.
        if self.states.can_connect(node.id(), now) {
            log::debug!(
                self.log,
                "Initialize connection to node {node} for sending metadata request"
            );
            self.initiate_connect(&node, now);
            return self.deadline_after_connect(node.id(), now);
        }
        self.better_candidate_deadline(node.id(), now)
    }

    /// Sends the metadata request to one more node if no node that has it responds: each has a request that is
    /// [overdue](Self::overdue_at). The first response completes the update. Returns when to call again.
    ///
    /// Only responsive nodes are asked, one at a time. So a hung broker delays the
    /// metadata of a new topic by [`overdue_after`](Self::overdue_after), not by `request.timeout.ms`.
    fn maybe_request_from_another(&mut self, now: Instant) -> Deadline {
        let overdue_at = self.update_overdue_at();
        if !overdue_at.is_over(self.last_read) {
            return overdue_at;
        }
        let node = match self.choose_ranked(now) {
            Some((rank, node))
                if !rank.is_unresponsive && !self.update.nodes.contains(&node.id()) =>
            {
                node
            }
            _ => return self.responsive_candidate_deadline(now),
        };
        if self.can_send(node.id(), now) {
            self.send_metadata_request(node.id(), now);
            return if self.update.is_in_flight() {
                self.update_overdue_at()
            } else {
                self.metadata.time_to_next_update(now)
            };
        }
        if self.states.can_connect(node.id(), now) {
            log::debug!(
                self.log,
                "Initialize connection to node {node} since the metadata request is not answered"
            );
            self.initiate_connect(&node, now);
            if !self.states.is_live(node.id()) {
                // The attempt failed at once: the next node is tried.
                return self.earliest_candidate_deadline(now);
            }
        }
        self.better_candidate_deadline(node.id(), now)
    }

    /// The age at which a request counts as overdue, when nodes are ranked: a second, or a quarter of
    /// `request.timeout.ms` if that is shorter.
    fn overdue_after(&self) -> Duration {
        (self.request_timeout / 4).clamp(SHORTEST_BACKOFF, LONGEST_OVERDUE)
    }

    /// When the oldest unanswered request of a node becomes overdue; never if there is none.
    fn overdue_at(&self, node: NodeId) -> Deadline {
        self.in_flight
            .oldest(node)
            .map_or(Deadline::Never, |oldest| {
                Deadline::after(oldest.created, self.overdue_after())
            })
    }

    /// When every node that has the metadata request has an overdue request.
    fn update_overdue_at(&self) -> Deadline {
        let nodes = self.update.nodes.iter();
        nodes
            .map(|id| self.overdue_at(*id))
            .max()
            .unwrap_or(Deadline::Never)
    }

    /// Whether a node is probably hung: its last request or connection setup timed out and it has not been ready since,
    /// or it has an overdue request. Such a node ranks behind all others.
    ///
    /// The age of a request counts up to the last read of the network: while user code holds up the sender thread,
    /// responses may have arrived.
    fn is_unresponsive(&self, node: NodeId) -> bool {
        self.states.has_timed_out(node)
            || (self.overdue_at(node).is_over(self.last_read)
                && !self.selector.has_unread_input(node))
    }

    /// When a node may rank before `connecting`, which is being connected to: when that node's ApiVersions request
    /// becomes overdue or, if the node is unresponsive already, when a responsive node may be connected to.
    fn better_candidate_deadline(&self, connecting: NodeId, now: Instant) -> Deadline {
        if self.is_unresponsive(connecting) {
            self.responsive_candidate_deadline(now)
        } else {
            self.overdue_at(connecting)
        }
    }

    /// The earliest end of a responsive candidate's reconnect back-off or throttle time. Only future ends count: the
    /// candidate of a past one was considered already.
    fn responsive_candidate_deadline(&self, now: Instant) -> Deadline {
        self.candidates()
            .into_iter()
            .filter(|id| !self.is_unresponsive(*id))
            .map(|id| self.states.poll_deadline(id, now))
            .filter(|deadline| !deadline.is_over(now))
            .min()
            .unwrap_or(Deadline::Never)
    }

    /// The brokers that are being connected to, for the error of a caller whose wait for metadata times out. The list
    /// holds at most one broker more than an error names. Called before each poll, since the caller may time out while
    /// the poll blocks.
    fn connecting_brokers(&self) -> Vec<AwaitedBroker> {
        let states = &self.states;
        let awaited = states.preparing().filter_map(|(node, since)| {
            let (host, port) = states.endpoint(node)?;
            Some(AwaitedBroker {
                node,
                host: Arc::clone(host),
                port,
                stage: states.state_name(node),
                missing: self.selector.waits_for(node),
                since,
            })
        });
        awaited.take(AwaitedBroker::NAMED_AT_MOST + 1).collect()
    }

    /// The broker that a metadata request was sent to, for the error of a caller whose wait times out.
    fn requested_broker(&self, node: NodeId, now: Instant) -> Option<AwaitedBroker> {
        let (host, port) = self.states.endpoint(node)?;
        Some(AwaitedBroker {
            node,
            host: Arc::clone(host),
            port,
            stage: "metadata request sent",
            missing: Some("the broker's response"),
            since: now,
        })
    }

    /// Reports to the metadata which brokers an update waits for, if that changed: reporting takes a lock.
    fn report_awaited(&mut self, awaited: Vec<AwaitedBroker>) {
        if awaited != self.awaited {
            self.awaited.clone_from(&awaited);
            self.metadata.handle_awaited(awaited);
        }
    }

    /// A connected node that gets no metadata request only because it throttles this client.
    fn throttled_node(&self, now: Instant) -> Option<NodeId> {
        self.candidates()
            .into_iter()
            .find(|id| self.states.is_live(*id) && self.states.is_throttled(*id, now))
    }

    /// When to call [`request_metadata`](Self::request_metadata) again after an attempt to connect to a node was
    /// started.
    fn deadline_after_connect(&self, node: NodeId, now: Instant) -> Deadline {
        // The attempt is in progress: a network event or the setup timeout ends the poll.
        if self.states.is_live(node) {
            return self.better_candidate_deadline(node, now);
        }
        // The attempt failed at once: the next one waits for both the metadata's and a node's back-off.
        self.metadata
            .time_to_next_update(now)
            .max(self.earliest_candidate_deadline(now))
    }

    /// The earliest end of a candidate's reconnect back-off or throttle time.
    fn earliest_candidate_deadline(&self, now: Instant) -> Deadline {
        self.candidates()
            .into_iter()
            .map(|id| self.states.poll_deadline(id, now))
            .min()
            .unwrap_or(Deadline::Never)
    }

    /// The nodes that a metadata request may be sent to: the known brokers, and during a rebootstrap the bootstrap
    /// servers.
    fn candidates(&self) -> Vec<NodeId> {
        let cluster = self.metadata.cluster();
        let bootstrap = self.recovery.nodes();
        let bootstrap = bootstrap.iter().filter(|_| self.recovery.is_on());
        cluster
            .nodes()
            .iter()
            .chain(bootstrap)
            .map(Node::id)
            .collect()
    }

    fn send_metadata_request(&mut self, node: NodeId, now: Instant) {
        let MetadataRequestPlan { request, planned } = self.metadata.new_request(now);
        log::debug!(
            self.log,
            "Sending metadata request {request:?} to node {node}"
        );
        let timeout = self.request_timeout;
        let purpose = Purpose::Metadata(planned, self.update.number);
        match self.dispatch(
            node,
            &Request::Metadata(request),
            None,
            timeout,
            purpose,
            now,
        ) {
            Ok(()) => {
                let mut awaited = if self.update.is_in_flight() {
                    self.awaited.clone()
                } else {
                    Vec::new()
                };
                awaited.extend(self.requested_broker(node, now));
                self.update.nodes.push(node);
                self.report_awaited(awaited);
            }
            Err((_, _, Outcome::UnsupportedVersion(why) | Outcome::Unwritable(why))) => {
                self.metadata_failed(MetadataFailure::UnsupportedVersion(why), now);
            }
            Err((_, _, Outcome::Disconnected { reason, .. })) => {
                self.metadata_failed(MetadataFailure::Disconnected(reason), now);
            }
            // `dispatch` fails with no other outcome.
            Err(_) => {}
        }
    }

    /// Counts the update that is in flight, or was due, as failed.
    pub(super) fn metadata_failed(&mut self, failure: MetadataFailure, now: Instant) {
        self.update.end();
        self.metadata.handle_failure(now, failure);
    }

    /// Handles the loss of a metadata request of update `number`, with its connection. The update has failed unless
    /// another node has the request, too.
    pub(super) fn metadata_request_lost(
        &mut self,
        number: u64,
        id: NodeId,
        ending: &EndedConnection,
        now: Instant,
    ) {
        if number != self.update.number {
            return;
        }
        self.update.nodes.retain(|node| *node != id);
        if self.update.nodes.is_empty() {
            self.metadata_failed(self.failure_of(id, ending), now);
        } else {
            let mut awaited = self.awaited.clone();
            awaited.retain(|broker| broker.node != id);
            self.report_awaited(awaited);
        }
    }

    /// Requests a metadata update after a disconnect: the broker may be gone, or have moved.
    pub(super) fn metadata_after_disconnect(
        &mut self,
        id: NodeId,
        ending: &EndedConnection,
        now: Instant,
    ) {
        if ending.weight != Weight::Ordinary {
            let cluster = self.metadata.cluster();
            let is_first = self.states.failures(id) <= 1;
            if let Some(node) = cluster
                .node(id)
                .filter(|_| cluster.is_bootstrap() && is_first)
            {
                if let Some(suppressed) = self.logged.bootstrap_lost.happened(now) {
                    log::warn!(self.log, "Bootstrap broker {node} disconnected{suppressed}");
                }
            }
        }
        // As in Java, an authentication failure of any node fails all waiters for metadata: waiting for another node
        // would hide that the credentials are rejected.
        if self.is_metadata_due(now) || ending.weight == Weight::Refused {
            self.metadata
                .handle_failure(now, self.failure_of(id, ending));
        }
        self.metadata.request_update();
    }

    /// The error for calls that wait for metadata: the broker that was tried, and the reason of the failure.
    pub(super) fn failure_of(&self, id: NodeId, ending: &EndedConnection) -> MetadataFailure {
        let why = self.with_broker(id, &ending.error);
        if ending.weight == Weight::Refused {
            MetadataFailure::Authentication(why)
        } else {
            MetadataFailure::Disconnected(why)
        }
    }

    /// Handles the response to a metadata request of update `number`. It is ignored if that update is over: another
    /// node responded first, or the update has failed.
    pub(super) fn handle_metadata_response(
        &mut self,
        number: u64,
        planned: PlannedUpdate,
        version: i16,
        correlation_id: i32,
        response: MetadataResponse,
        now: Instant,
    ) {
        if number != self.update.number {
            log::debug!(
                self.log,
                "Ignoring late metadata response with correlation id {correlation_id}."
            );
            return;
        }
        self.update.end();
        // A response without usable brokers is ignored, as in Java: it comes from a broker that is starting, and must
        // not replace the cluster's known brokers.
        if response.brokers.iter().any(is_reachable) {
            self.rebootstrap_succeeded();
            let news = self
                .metadata
                .handle_response(planned, version, response, now);
            self.write_news(news, now);
        } else {
            let why = match response.brokers.first() {
                Some(broker) => MetadataFailure::UnusableBrokers(
                    format!(
                        "broker {} at {}:{}",
                        broker.node_id, broker.host, broker.port
                    )
                    .into(),
                ),
                // A broker that is starting may list no broker, not even itself.
                None => MetadataFailure::NoBrokers,
            };
            log::trace!(
                self.log,
                "Ignoring metadata response without usable brokers with correlation id {correlation_id}."
            );
            self.metadata_failed(why, now);
        }
    }

    /// Logs the lines of an update, with two rate limits: one per line, since every response may repeat it (a broker
    /// was ignored), and one for all lines together, since they may differ in every response (brokers disagree about a
    /// topic).
    fn write_news(&mut self, mut news: MetadataNews, now: Instant) {
        let lines = &mut self.logged.metadata;
        news.retain_lines(|level, line| level > Level::Info || lines.may_log(line, now));
        news.limit(&mut self.logged.metadata_limit, now);
        news.write(&self.log);
    }

    /// The least loaded node: the ready node with the fewest in-flight requests; if none is ready, one that is
    /// connecting; else one that may be connected to, the least recently tried first. A node that is
    /// [unresponsive](Self::is_unresponsive) is chosen only if all nodes are that may be chosen.
    ///
    /// During a rebootstrap it is a bootstrap server, unless a known broker is ready again and bootstrap servers are
    /// not preferred to it. If no bootstrap server can be connected to now, it is a known broker.
    ///
    /// # Kafka
    /// `NetworkClient#leastLoadedNode`. Differs: Java prefers a hung node with a connection to a node that it must
    /// connect to.
    pub(super) fn choose_least_loaded(&mut self, now: Instant) -> Option<Node> {
        self.choose_ranked(now).map(|(_, node)| node)
    }

    /// The least loaded node and its rank.
    fn choose_ranked(&mut self, now: Instant) -> Option<(NodeRank, Node)> {
        let cluster = self.metadata.cluster();
        if !self.recovery.is_on() {
            return self.best_of(cluster.nodes(), now);
        }
        let bootstrap = self.recovery.nodes();
        let bootstrap = self.best_of(&bootstrap, now);
        // Without metadata yet, the known nodes are the bootstrap servers, and have the same (negative) node ids.
        let known = if cluster.is_bootstrap() && !self.recovery.nodes().is_empty() {
            None
        } else {
            self.best_of(cluster.nodes(), now)
        };
        let (first, second) = match &known {
            Some((rank, _))
                if rank.standing == Standing::Ready && !self.recovery.prefers_bootstrap() =>
            {
                (known, bootstrap)
            }
            _ => (bootstrap, known),
        };
        match (first, second) {
            (Some((rank, _)), Some(second))
                if rank.is_unresponsive && !second.0.is_unresponsive =>
            {
                Some(second)
            }
            (first, second) => first.or(second),
        }
    }

    /// The least loaded of some nodes, and its rank.
    fn best_of(&mut self, nodes: &[Node], now: Instant) -> Option<(NodeRank, Node)> {
        if nodes.is_empty() {
            return None;
        }
        // A random start, so that the clients of a cluster do not all choose the same one of several equally loaded
        // nodes.
        let offset = self.random.usize(..nodes.len());
        let mut best: Option<((NodeRank, NodeLoad), &Node)> = None;
        for at in 0..nodes.len() {
            let node = &nodes[(offset + at) % nodes.len()];
            let id = node.id();
            let (standing, load) = if self.can_send(id, now) {
                (
                    Standing::Ready,
                    NodeLoad::InFlight(self.in_flight.count_of(id)),
                )
            } else if self.states.is_preparing(id) {
                (Standing::Preparing, NodeLoad::InFlight(0))
            } else if self.states.can_connect(id, now) {
                let tried = self.states.last_attempt(id);
                (Standing::Connectable, NodeLoad::LastTried(tried))
            } else {
                continue;
            };
            let rank = NodeRank {
                is_unresponsive: self.is_unresponsive(id),
                standing,
            };
            let of_node = (rank, load);
            if best.is_none_or(|(least, _)| of_node < least) {
                best = Some((of_node, node));
            }
        }
        best.map(|((rank, _), node)| (rank, node.clone()))
    }
}

/// The metadata update that is in flight, if there is one.
#[derive(Debug, Default)]
pub(super) struct MetadataUpdateInFlight {
    /// Number of the update; each of its requests has it.
    number: u64,
    /// The nodes that have a request of this update: usually one at most, more if it is overdue.
    nodes: Vec<NodeId>,
}

impl MetadataUpdateInFlight {
    fn is_in_flight(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Ends the update: responses to its other requests are ignored.
    fn end(&mut self) {
        self.number += 1;
        self.nodes.clear();
    }
}

/// Upper limit of the age at which a request counts as overdue.
const LONGEST_OVERDUE: Duration = Duration::from_secs(1);

/// Preference among the nodes that may be chosen, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct NodeRank {
    is_unresponsive: bool,
    standing: Standing,
}

/// How near a node is to being ready, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Ready,
    Preparing,
    Connectable,
}

/// Preference among nodes of equal rank, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NodeLoad {
    /// Number of in-flight requests.
    InFlight(usize),
    /// Time of the last attempt to connect; `None` if there was none.
    LastTried(Option<Instant>),
}
