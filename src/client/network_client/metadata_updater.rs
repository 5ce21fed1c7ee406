//! Metadata updates: when a metadata request is sent, to which node, and how its response is handled.
//!
//! # Kafka
//! `NetworkClient.DefaultMetadataUpdater`.

use std::sync::Arc;

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
        !self.is_updating && self.metadata.time_to_next_update(now).is_over(now)
    }

    /// If an update is due, sends a metadata request or connects to a node for it. Returns when to call again if no
    /// network event comes first: bounds the poll's timeout.
    pub(super) fn maybe_update_metadata(&mut self, now: Instant) -> Deadline {
        // Only one metadata request is in flight at a time; its own timeout bounds the poll.
        if self.is_updating {
            return Deadline::Never;
        }
        let due = self.metadata.time_to_next_update(now);
        if !due.is_over(now) {
            self.report_awaited(Vec::new());
            return due;
        }
        self.maybe_rebootstrap(now);
        let wait = self.request_metadata(now);
        if self.is_updating {
            return Deadline::Never;
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
            return if self.is_updating {
                Deadline::Never
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
        Deadline::Never
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
            return Deadline::Never;
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
        let purpose = Purpose::Metadata(planned);
        match self.dispatch(
            node,
            &Request::Metadata(request),
            None,
            timeout,
            purpose,
            now,
        ) {
            Ok(()) => {
                self.is_updating = true;
                self.report_awaited(self.requested_broker(node, now).into_iter().collect());
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

    /// Counts the metadata request that is in flight, or was due, as a failed update.
    pub(super) fn metadata_failed(&mut self, failure: MetadataFailure, now: Instant) {
        self.is_updating = false;
        self.metadata.handle_failure(now, failure);
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

    /// Handles the response to the metadata request that is in flight.
    pub(super) fn handle_metadata_response(
        &mut self,
        planned: PlannedUpdate,
        version: i16,
        correlation_id: i32,
        response: MetadataResponse,
        now: Instant,
    ) {
        self.is_updating = false;
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
    /// connecting; else one that may be connected to, the least recently tried first.
    ///
    /// During a rebootstrap it is a bootstrap server, unless a known broker is ready again and bootstrap servers are
    /// not preferred to it. If no bootstrap server can be connected to now, it is a known broker.
    ///
    /// # Kafka
    /// `NetworkClient#leastLoadedNode`.
    pub(super) fn choose_least_loaded(&mut self, now: Instant) -> Option<Node> {
        let cluster = self.metadata.cluster();
        if !self.recovery.is_on() {
            return self.best_of(cluster.nodes(), now).map(|(_, node)| node);
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
            Some((Standing::Ready, _)) if !self.recovery.prefers_bootstrap() => (known, bootstrap),
            _ => (bootstrap, known),
        };
        first.or(second).map(|(_, node)| node)
    }

    /// The least loaded of some nodes, and how near it is to being ready.
    fn best_of(&mut self, nodes: &[Node], now: Instant) -> Option<(Standing, Node)> {
        if nodes.is_empty() {
            return None;
        }
        // A random start, so that the clients of a cluster do not all choose the same one of several equally loaded
        // nodes.
        let offset = self.random.usize(..nodes.len());
        let mut ready: Option<(usize, &Node)> = None;
        let mut preparing = None;
        let mut connectable: Option<(Option<Instant>, &Node)> = None;
        for at in 0..nodes.len() {
            let node = &nodes[(offset + at) % nodes.len()];
            let id = node.id();
            if self.can_send(id, now) {
                let load = self.in_flight.count_of(id);
                if load == 0 {
                    return Some((Standing::Ready, node.clone()));
                }
                if ready.is_none_or(|(least, _)| load < least) {
                    ready = Some((load, node));
                }
            } else if self.states.is_preparing(id) {
                preparing = Some(node);
            } else if self.states.can_connect(id, now) {
                let tried = self.states.last_attempt(id);
                if connectable.is_none_or(|(oldest, _)| tried < oldest) {
                    connectable = Some((tried, node));
                }
            }
        }
        let ready = ready.map(|(_, node)| (Standing::Ready, node));
        let preparing = preparing.map(|node| (Standing::Preparing, node));
        let connectable = connectable.map(|(_, node)| (Standing::Connectable, node));
        let (standing, node) = ready.or(preparing).or(connectable)?;
        Some((standing, node.clone()))
    }
}

/// How near a node is to being ready, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    Preparing,
    Connectable,
}
