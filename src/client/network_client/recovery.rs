//! Beginning again from the bootstrap servers when the known brokers are of no use any more.

use std::sync::Arc;
use std::time::Duration;

use super::NetworkClient;
use crate::clock::seldom::Seldom;
use crate::clock::{Deadline, Instant};
use crate::network::resolver::{DnsLookup, HostResolver};
use crate::network::selectable::Selectable;
use crate::planted::planted;
use crate::types::{Node, NodeId};
use crate::util::log;

/// Canonical names of bootstrap servers are looked up again after as long, while nothing else helps.
const NAMES_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Where a client that knows no broker any more begins again.
#[derive(Debug, Clone)]
pub(crate) struct RecoveryOptions {
    /// `bootstrap.servers`; none if `metadata.recovery.strategy` is `none`.
    pub(crate) servers: Vec<(String, u16)>,
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

/// Whether the bootstrap servers are asked again, and which they are.
#[derive(Debug)]
pub(super) struct Recovery {
    options: RecoveryOptions,
    nodes: Arc<[Node]>,
    /// Since when metadata has been due without having come.
    wanted_since: Option<Instant>,
    stage: Stage,
    /// When canonical names were last asked for.
    names_asked: Option<Instant>,
    awaits_names: bool,
    begins: Seldom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The known brokers are asked.
    Off,
    /// None of them can be connected to: the bootstrap servers are asked, and brokers that are back.
    Unreachable,
    /// None of them has answered for too long: the bootstrap servers are asked first.
    Unanswered,
}

impl Recovery {
    pub(super) fn new(options: RecoveryOptions) -> Self {
        Self {
            options,
            nodes: Arc::from([]),
            wanted_since: None,
            stage: Stage::Off,
            names_asked: None,
            awaits_names: false,
            begins: Seldom::default(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.stage != Stage::Off
    }

    /// Whether the bootstrap servers come before known brokers that are connected.
    pub(super) fn distrusts_known(&self) -> bool {
        self.stage == Stage::Unanswered
    }

    pub(super) fn nodes(&self) -> Arc<[Node]> {
        Arc::clone(&self.nodes)
    }

    /// There is metadata. Whether the bootstrap servers were needed for it.
    pub(super) fn succeeded(&mut self) -> bool {
        self.wanted_since = None;
        std::mem::replace(&mut self.stage, Stage::Off) != Stage::Off
    }

    /// When there will be something to do if nothing has come by then.
    pub(super) fn deadline(&self) -> Deadline {
        if self.options.servers.is_empty() {
            return Deadline::Never;
        }
        let trigger = match self.wanted_since {
            Some(since) if self.stage < Stage::Unanswered => {
                Deadline::after(since, self.options.trigger)
            }
            _ => Deadline::Never,
        };
        let names = match self.names_asked {
            Some(at) if self.is_on() && !self.awaits_names => {
                Deadline::after(at, NAMES_AGAIN_AFTER)
            }
            _ => Deadline::Never,
        };
        trigger.min(names)
    }
}

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    /// Metadata is due: looks whether it is to be had from the bootstrap servers only.
    pub(super) fn maybe_recover(&mut self, now: Instant) {
        if self.recovery.options.servers.is_empty() || planted!(BootstrapNotAskedAgain) {
            return;
        }
        let since = *self.recovery.wanted_since.get_or_insert(now);
        let trigger = self.recovery.options.trigger;
        let stage = if Deadline::after(since, trigger).is_over(now) {
            Stage::Unanswered
        } else if self.has_failed_everywhere() {
            Stage::Unreachable
        } else {
            Stage::Off
        };
        if stage > self.recovery.stage {
            let was_on = self.recovery.is_on();
            self.recovery.stage = stage;
            if !was_on {
                self.begin_recovery(stage, now);
            }
        }
        if self.recovery.is_on() {
            self.ask_for_names(now);
        }
    }

    /// Whether each known broker has failed to get ready and has not got ready since.
    fn has_failed_everywhere(&self) -> bool {
        let cluster = self.metadata.cluster();
        let mut ids = cluster.nodes().iter().map(Node::id);
        ids.all(|id| self.states.setup_failures(id) > 0)
    }

    fn begin_recovery(&mut self, stage: Stage, now: Instant) {
        let why = if stage == Stage::Unanswered {
            "has answered for metadata for metadata.recovery.rebootstrap.trigger.ms"
        } else {
            "can be connected to"
        };
        let servers = &self.recovery.options.servers;
        // Of bootstrap servers that are being asked for the first time it is said of each what is wrong.
        let is_news = !self.metadata.cluster().is_bootstrap();
        if let Some(unsaid) = self.recovery.begins.happened(now).filter(|_| is_news) {
            log::warn!(
                self.log,
                "None of the known brokers {why}: asking bootstrap.servers again ({}){unsaid}",
                Servers(servers)
            );
        }
        if self.recovery.options.lookup == DnsLookup::UseAllDnsIps {
            self.recovery.nodes = bootstrap_nodes(servers).into();
        }
        for node in &*self.recovery.nodes() {
            self.states.look_up_again(node.id());
        }
    }

    /// Each address by its name: more than the look-up of a node when it is connected to.
    fn ask_for_names(&mut self, now: Instant) {
        let recovery = &mut self.recovery;
        let may_ask = recovery
            .names_asked
            .is_none_or(|at| Deadline::after(at, NAMES_AGAIN_AFTER).is_over(now));
        if recovery.options.lookup == DnsLookup::UseAllDnsIps || recovery.awaits_names || !may_ask {
            return;
        }
        recovery.names_asked = Some(now);
        recovery.awaits_names = true;
        let servers = recovery.options.servers.clone();
        self.resolver.request_canonical(servers);
    }

    /// Takes the canonical names if they have come.
    pub(super) fn handle_names(&mut self) {
        if !self.recovery.awaits_names {
            return;
        }
        let Some(names) = self.resolver.poll_canonical() else {
            return;
        };
        self.recovery.awaits_names = false;
        log::debug!(
            self.log,
            "bootstrap.servers were looked up again: {}",
            Servers(&names)
        );
        if !names.is_empty() {
            self.recovery.nodes = bootstrap_nodes(&names).into();
        }
    }

    pub(super) fn recovery_succeeded(&mut self) {
        if self.recovery.succeeded() {
            log::debug!(
                self.log,
                "Got metadata after asking bootstrap.servers again"
            );
        }
    }
}

/// As they are configured.
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
