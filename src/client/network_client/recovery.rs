//! Rebootstrap (KIP-899, KIP-1102): requests metadata from the bootstrap servers again when no known broker can be
//! connected to, or none has answered a metadata request for too long.

use std::sync::Arc;
use std::time::Duration;

use super::NetworkClient;
use crate::clock::repeat_limiter::RepeatLimiter;
use crate::clock::{Deadline, Instant};
use crate::network::resolver::{DnsLookup, HostResolver};
use crate::network::selectable::Selectable;
use crate::planted::planted;
use crate::types::{Node, NodeId};
use crate::util::log;

/// Interval between look-ups of the bootstrap servers' canonical names during a rebootstrap.
const CANONICAL_LOOKUP_INTERVAL: Duration = Duration::from_secs(10);

/// Options of the rebootstrap.
#[derive(Debug, Clone)]
pub(crate) struct RecoveryOptions {
    /// `bootstrap.servers`; empty if `metadata.recovery.strategy` is `none`.
    pub(crate) servers: Vec<(String, u16)>,
    /// `client.dns.lookup`.
    pub(crate) lookup: DnsLookup,
    /// `metadata.recovery.rebootstrap.trigger.ms`.
    pub(crate) trigger: Duration,
}

/// The bootstrap servers as nodes, numbered down from -1 (MD-23).
pub(crate) fn bootstrap_nodes(servers: &[(String, u16)]) -> Vec<Node> {
    let ids = (NodeId::MIN..=-1).rev();
    ids.zip(servers)
        .map(|(id, (host, port))| Node::new(id, host.as_str(), *port))
        .collect()
}

/// State of the rebootstrap: its stage, and the bootstrap servers as nodes.
#[derive(Debug)]
pub(super) struct MetadataRecovery {
    options: RecoveryOptions,
    nodes: Arc<[Node]>,
    /// When metadata became due; `None` once a metadata response has arrived.
    due_since: Option<Instant>,
    stage: RecoveryStage,
    /// When the canonical names were last looked up.
    last_canonical_lookup: Option<Instant>,
    /// Whether a look-up of the canonical names is running.
    is_looking_up_canonical: bool,
    /// Rate limit of the warning that a rebootstrap begins.
    logged: RepeatLimiter,
}

/// Stage of the rebootstrap. It only advances, until a metadata response ends the rebootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RecoveryStage {
    /// No rebootstrap: metadata is requested from known brokers.
    Off,
    /// No known broker can be connected to: metadata is requested from the bootstrap servers, or from a known broker
    /// that is ready again.
    Unreachable,
    /// No known broker has answered within the trigger time: bootstrap servers are preferred even to ready brokers.
    Unanswered,
}

impl MetadataRecovery {
    pub(super) fn new(options: RecoveryOptions) -> Self {
        Self {
            options,
            nodes: Arc::from([]),
            due_since: None,
            stage: RecoveryStage::Off,
            last_canonical_lookup: None,
            is_looking_up_canonical: false,
            logged: RepeatLimiter::default(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.stage != RecoveryStage::Off
    }

    /// Whether the bootstrap servers are preferred to known brokers that are ready.
    pub(super) fn prefers_bootstrap(&self) -> bool {
        self.stage == RecoveryStage::Unanswered
    }

    pub(super) fn nodes(&self) -> Arc<[Node]> {
        Arc::clone(&self.nodes)
    }

    /// Ends the rebootstrap after a metadata response. Returns whether a rebootstrap was in progress.
    pub(super) fn succeeded(&mut self) -> bool {
        self.due_since = None;
        std::mem::replace(&mut self.stage, RecoveryStage::Off) != RecoveryStage::Off
    }

    /// When the next stage, or the next look-up of canonical names, is due: bounds the poll's timeout.
    pub(super) fn deadline(&self) -> Deadline {
        if self.options.servers.is_empty() {
            return Deadline::Never;
        }
        let trigger = match self.due_since {
            Some(since) if self.stage < RecoveryStage::Unanswered => {
                Deadline::after(since, self.options.trigger)
            }
            _ => Deadline::Never,
        };
        let names = match self.last_canonical_lookup {
            Some(at) if self.is_on() && !self.is_looking_up_canonical => {
                Deadline::after(at, CANONICAL_LOOKUP_INTERVAL)
            }
            _ => Deadline::Never,
        };
        trigger.min(names)
    }
}

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Begins or escalates the rebootstrap if its conditions hold. Called while metadata is due.
    pub(super) fn maybe_rebootstrap(&mut self, now: Instant) {
        if self.recovery.options.servers.is_empty() || planted!(BootstrapNotAskedAgain) {
            return;
        }
        let since = *self.recovery.due_since.get_or_insert(now);
        let trigger = self.recovery.options.trigger;
        let stage = if Deadline::after(since, trigger).is_over(now) {
            RecoveryStage::Unanswered
        } else if self.has_failed_everywhere() {
            RecoveryStage::Unreachable
        } else {
            RecoveryStage::Off
        };
        // A stage that was reached stays, even if a broker can be connected to again: only a metadata response ends it.
        if stage > self.recovery.stage {
            let was_on = self.recovery.is_on();
            self.recovery.stage = stage;
            if !was_on {
                self.begin_rebootstrap(stage, now);
            }
        }
        if self.recovery.is_on() {
            self.request_canonical_names(now);
        }
    }

    /// Whether connecting to each known broker has failed since it was last ready.
    fn has_failed_everywhere(&self) -> bool {
        let cluster = self.metadata.cluster();
        let mut ids = cluster.nodes().iter().map(Node::id);
        ids.all(|id| self.states.setup_failures(id) > 0)
    }

    fn begin_rebootstrap(&mut self, stage: RecoveryStage, now: Instant) {
        let why = if stage == RecoveryStage::Unanswered {
            "has answered a metadata request within metadata.recovery.rebootstrap.trigger.ms"
        } else {
            "can be connected to"
        };
        let servers = &self.recovery.options.servers;
        // Not logged before the first metadata response: until then the failure of each bootstrap server is logged.
        let is_logged = !self.metadata.cluster().is_bootstrap();
        if let Some(suppressed) = self.recovery.logged.happened(now).filter(|_| is_logged) {
            log::warn!(
                self.log,
                "None of the known brokers {why}: asking bootstrap.servers again ({}){suppressed}",
                Servers(servers)
            );
        }
        // With canonical names, the nodes are known only when the look-up that follows has finished.
        if self.recovery.options.lookup == DnsLookup::UseAllDnsIps {
            self.recovery.nodes = bootstrap_nodes(servers).into();
        }
        // The servers may have moved since the producer was built: addresses resolved then are dropped.
        for node in &*self.recovery.nodes() {
            self.states.look_up_again(node.id());
        }
    }

    /// Starts the look-up of the bootstrap servers' canonical names (`resolve_canonical_bootstrap_servers_only`), at
    /// most once per interval. One server may have several canonical names, and each becomes a node; the look-up of a
    /// node's host returns only the addresses of that node.
    fn request_canonical_names(&mut self, now: Instant) {
        let recovery = &mut self.recovery;
        let may_ask = recovery
            .last_canonical_lookup
            .is_none_or(|at| Deadline::after(at, CANONICAL_LOOKUP_INTERVAL).is_over(now));
        if recovery.options.lookup == DnsLookup::UseAllDnsIps
            || recovery.is_looking_up_canonical
            || !may_ask
        {
            return;
        }
        recovery.last_canonical_lookup = Some(now);
        recovery.is_looking_up_canonical = true;
        let servers = recovery.options.servers.clone();
        self.resolver.request_canonical(servers);
    }

    /// Handles the finished look-up of canonical names, if there is one.
    pub(super) fn handle_canonical_names(&mut self) {
        if !self.recovery.is_looking_up_canonical {
            return;
        }
        let Some(names) = self.resolver.poll_canonical() else {
            return;
        };
        self.recovery.is_looking_up_canonical = false;
        log::debug!(
            self.log,
            "bootstrap.servers were looked up again: {}",
            Servers(&names)
        );
        // If DNS fails, the names found earlier are kept.
        if !names.is_empty() {
            self.recovery.nodes = bootstrap_nodes(&names).into();
        }
    }

    /// Ends the rebootstrap: a metadata response with usable brokers has arrived.
    pub(super) fn rebootstrap_succeeded(&mut self) {
        if self.recovery.succeeded() {
            log::debug!(
                self.log,
                "Got metadata after asking bootstrap.servers again"
            );
        }
    }
}

/// Displays servers as `bootstrap.servers` is written: `host:port` with commas.
struct Servers<'a>(&'a [(String, u16)]);

impl std::fmt::Display for Servers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (host, port)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{host}:{port}")?;
        }
        Ok(())
    }
}
