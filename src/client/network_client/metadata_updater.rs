//! When metadata is asked for, and which node is asked.

use crate::util::log;
use crate::util::log::Level;

use super::connecting::{Ending, Weight};
use super::{NetworkClient, Purpose};
use crate::client::kafka_client::Outcome;
use crate::client::metadata::{MetadataFailure, PlannedUpdate};
use crate::client::metadata::{MetadataNews, is_reachable};
use crate::client::metadata_source::MetadataRequestPlan;
use crate::clock::{Deadline, Instant};
use crate::network::resolver::HostResolver;
use crate::network::selectable::Selectable;
use crate::protocol::{MetadataResponse, Request};
use crate::types::{Node, NodeId};

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Whether metadata should be asked for now and is not being asked for.
    pub(super) fn is_metadata_due(&self, now: Instant) -> bool {
        !self.is_updating && self.metadata.time_to_next_update(now).is_over(now)
    }

    /// Asks for metadata, or does what must be done before it can be asked for. Returns when to come
    /// back if the network has not had anything to say by then.
    pub(super) fn maybe_update_metadata(&mut self, now: Instant) -> Deadline {
        if self.is_updating {
            return Deadline::Never;
        }
        let due = self.metadata.time_to_next_update(now);
        if !due.is_over(now) {
            return due;
        }
        self.maybe_recover(now);
        let wait = self.ask_for_metadata(now);
        if self.is_updating {
            return Deadline::Never;
        }
        wait.min(self.recovery.deadline())
    }

    /// Metadata is due: asks for it, or does what must be done before.
    fn ask_for_metadata(&mut self, now: Instant) -> Deadline {
        let Some(node) = self.choose_least_loaded(now) else {
            log::debug!(
                self.log,
                "Give up sending metadata request since no node is available"
            );
            if let Some(node) = self.throttled_node(now) {
                self.metadata
                    .handle_obstacle(MetadataFailure::Throttled(node));
            }
            return self.next_chance(now);
        };
        if self.can_send(node.id(), now) {
            self.send_metadata_request(node.id(), now);
            // If it could not be sent, the next one is due after the backoff.
            return if self.is_updating {
                Deadline::Never
            } else {
                self.metadata.time_to_next_update(now)
            };
        }
        // If it is on the way to being ready, no need to connect to yet another before it is known how that
        // ends.
        if self.states.can_connect(node.id(), now) {
            log::debug!(
                self.log,
                "Initialize connection to node {node} for sending metadata request"
            );
            self.initiate_connect(&node, now);
            return self.after_connect(node.id(), now);
        }
        Deadline::Never
    }

    /// A node that could be asked if it did not want this client to pause.
    fn throttled_node(&self, now: Instant) -> Option<NodeId> {
        self.candidates()
            .into_iter()
            .find(|id| self.states.is_live(*id) && self.states.is_throttled(*id, now))
    }

    /// When to look again after an attempt was begun: it may have failed at once.
    fn after_connect(&self, node: NodeId, now: Instant) -> Deadline {
        if self.states.is_live(node) {
            return Deadline::Never;
        }
        self.metadata
            .time_to_next_update(now)
            .max(self.next_chance(now))
    }

    /// When the first of the nodes that may be asked may be connected to, or is throttled no more.
    fn next_chance(&self, now: Instant) -> Deadline {
        self.candidates()
            .into_iter()
            .map(|id| self.states.poll_deadline(id, now))
            .min()
            .unwrap_or(Deadline::Never)
    }

    /// The nodes that may be asked: those that are known, and in need the bootstrap servers.
    fn candidates(&self) -> Vec<NodeId> {
        let cluster = self.metadata.cluster();
        let again = self.recovery.nodes();
        let again = again.iter().filter(|_| self.recovery.is_on());
        cluster.nodes().iter().chain(again).map(Node::id).collect()
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
            Ok(()) => self.is_updating = true,
            Err((_, _, Outcome::UnsupportedVersion(why))) => {
                self.metadata_failed(MetadataFailure::UnsupportedVersion(why), now);
            }
            Err((_, _, Outcome::Disconnected { reason, .. })) => {
                self.metadata_failed(MetadataFailure::Disconnected(reason), now);
            }
            Err(_) => {}
        }
    }

    /// The metadata request under way, or the one that was due, has failed.
    pub(super) fn metadata_failed(&mut self, failure: MetadataFailure, now: Instant) {
        self.is_updating = false;
        self.metadata.handle_failure(now, failure);
    }

    /// A connection ended, perhaps because what is known of the cluster is old.
    pub(super) fn metadata_after_disconnect(&mut self, id: NodeId, ending: &Ending, now: Instant) {
        if ending.weight != Weight::Ordinary {
            let cluster = self.metadata.cluster();
            let is_first = self.states.failures(id) <= 1;
            if let Some(node) = cluster
                .node(id)
                .filter(|_| cluster.is_bootstrap() && is_first)
            {
                if let Some(unsaid) = self.logged.bootstrap_lost.happened(now) {
                    log::warn!(self.log, "Bootstrap broker {node} disconnected{unsaid}");
                }
            }
        }
        // What is refused to this client keeps all metadata away, whichever node was to be asked for it.
        if self.is_metadata_due(now) || ending.weight == Weight::Refused {
            self.metadata
                .handle_failure(now, self.failure_of(id, ending));
        }
        self.metadata.request_update();
    }

    /// What is said to those who wait for metadata: which broker was tried, and what came of it.
    pub(super) fn failure_of(&self, id: NodeId, ending: &Ending) -> MetadataFailure {
        let why = self.of_broker(id, &ending.error);
        if ending.weight == Weight::Refused {
            MetadataFailure::Authentication(why)
        } else {
            MetadataFailure::Disconnected(why)
        }
    }

    /// The answer to the metadata request under way.
    pub(super) fn handle_metadata_response(
        &mut self,
        planned: PlannedUpdate,
        version: i16,
        correlation_id: i32,
        response: MetadataResponse,
        now: Instant,
    ) {
        self.is_updating = false;
        if response.brokers.iter().any(is_reachable) {
            self.recovery_succeeded();
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
                // A broker that is starting may know of none, not even itself.
                None => MetadataFailure::NoBrokers,
            };
            log::trace!(
                self.log,
                "Ignoring metadata response without usable brokers with correlation id {correlation_id}."
            );
            self.metadata_failed(why, now);
        }
    }

    /// What is said of each answer anew, such as that a broker in it was ignored, is said seldom; and what
    /// changes with each answer, such as a topic that brokers disagree about, only so often.
    fn write_news(&mut self, mut news: MetadataNews, now: Instant) {
        let lines = &mut self.logged.metadata;
        news.retain_lines(|level, line| level > Level::Info || lines.may_log(line, now));
        news.limit(&mut self.logged.metadata_limit, now);
        news.write(&self.log);
    }

    /// The node with the fewest unanswered requests; if none can be sent to, one that is on the way
    /// to that; else one that may be connected to, the longest not tried first.
    ///
    /// If bootstrap servers are asked again, one of them, unless a known broker can be sent to again; and if
    /// they cannot even be connected to, a known broker after all.
    pub(super) fn choose_least_loaded(&mut self, now: Instant) -> Option<Node> {
        let cluster = self.metadata.cluster();
        if !self.recovery.is_on() {
            return self.best_of(cluster.nodes(), now).map(|(_, node)| node);
        }
        let again = self.recovery.nodes();
        let again = self.best_of(&again, now);
        // Bootstrap servers that were looked up when the producer was built have the same numbers.
        let known = if cluster.is_bootstrap() && !self.recovery.nodes().is_empty() {
            None
        } else {
            self.best_of(cluster.nodes(), now)
        };
        let (first, second) = match &known {
            Some((Standing::Ready, _)) if !self.recovery.distrusts_known() => (known, again),
            _ => (again, known),
        };
        first.or(second).map(|(_, node)| node)
    }

    fn best_of(&mut self, nodes: &[Node], now: Instant) -> Option<(Standing, Node)> {
        if nodes.is_empty() {
            return None;
        }
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

/// How far a node is from being sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    Preparing,
    Connectable,
}
