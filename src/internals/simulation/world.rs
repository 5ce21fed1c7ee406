//! The world around simulated producers: the network, the brokers, names and time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline, Instant};
use crate::network::resolver::NameLookUps;
use crate::testing::KafkaRelease;
use crate::testing::sim::carrier::Carrier;
use crate::testing::sim::log::{Depth, TopicSettings};
use crate::testing::sim::names::SimNames;
use crate::testing::sim::network::{NetworkProfile, SimNetwork};
use crate::testing::sim::{SimCluster, SimNode, SimOptions};
use crate::types::NodeId;

const PORT: u16 = 9092;
/// The name of all brokers together.
const BOOTSTRAP_NAME: &str = "kafka.sim";
/// Partitions of a topic that came into being because somebody asked for it.
const DEFAULT_PARTITIONS: usize = 3;

/// What the network does without being told.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct NetworkOptions {
    /// The longest that making a connection takes.
    pub connect_us: u64,
    /// The longest that a piece is on its way.
    pub latency_us: u64,
    /// Bytes that one direction of a connection holds.
    pub capacity: usize,
    /// Reads and writes take less than they could.
    pub splits: bool,
    /// A read that empties a stream says so.
    pub short_read_drains: bool,
    /// Of 100 waits, so many tell of something that is not so.
    pub spurious_percent: u8,
    /// Of 100 connections, so many stand at once.
    pub at_once_percent: u8,
}

impl NetworkOptions {
    fn profile(&self) -> NetworkProfile {
        NetworkProfile {
            connect_us: 0..=self.connect_us,
            latency_us: self.latency_us / 4..=self.latency_us,
            capacity: self.capacity.max(1),
            splits: self.splits,
            short_read_drains: self.short_read_drains,
            spurious_percent: self.spurious_percent,
            at_once_percent: self.at_once_percent,
        }
    }
}

/// The brokers that there are.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the simulator makes them")]
pub struct BrokersOptions {
    /// How many, numbered from 0.
    pub nodes: i32,
    /// What they imitate.
    pub release: KafkaRelease,
    /// How many of them hold a copy of each partition.
    pub replication: usize,
    /// Whether asking for a topic makes it.
    pub auto_create_topics: bool,
    /// Clients find them by names, not by addresses.
    pub by_name: bool,
}

/// All that is around the producers of one run. Clones are handles to the same one.
#[derive(Clone)]
pub struct World {
    network: SimNetwork,
    clock: Arc<MockClock>,
    start: Instant,
    carrier: Carrier,
    names: SimNames,
    options: BrokersOptions,
}

impl World {
    /// A world without topics, in which all is well. What is not told to it follows from the seed.
    pub fn new(network: NetworkOptions, brokers: BrokersOptions, seed: u64) -> Self {
        let clock = Arc::new(MockClock::new());
        let start = clock.now();
        let nodes = (0..brokers.nodes.max(1)).map(|node| (node, node_at(node, &brokers)));
        let options = SimOptions {
            cluster_id: "simulated".into(),
            release: brokers.release,
            auto_create_topics: brokers.auto_create_topics,
            default_partitions: DEFAULT_PARTITIONS,
            replication_factor: brokers.replication,
            settings: TopicSettings::DEFAULT,
            depth: Depth {
                retain: true,
                validate_records: true,
            },
        };
        let cluster = SimCluster::new(options, nodes.collect());
        let world = Self {
            network: SimNetwork::new(Arc::clone(&clock), network.profile(), seed),
            carrier: Carrier::new(cluster, Arc::clone(&clock)),
            clock,
            start,
            names: SimNames::new(),
            options: brokers,
        };
        for node in world.nodes() {
            let address = address_of(node);
            world.network.listen(address, world.carrier.accept(node));
            world.names.set(&host_of(node), vec![address.ip()]);
        }
        let all = world.nodes().map(|node| address_of(node).ip());
        world.names.set(BOOTSTRAP_NAME, all.collect());
        world
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        0..self.options.nodes.max(1)
    }

    /// How much time has passed since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.clock.now() - self.start
    }

    /// The same of a point in time.
    pub(crate) fn elapsed_at(&self, at: Instant) -> Duration {
        at - self.start
    }

    /// Lets time pass until so long after the beginning; nothing if that is over.
    pub fn advance_to(&self, elapsed: Duration) {
        self.clock.advance_to(self.start + elapsed);
    }

    /// When the network or a broker does something next, since the beginning.
    pub fn next_event(&self) -> Option<Duration> {
        match self.network.next_event() {
            Deadline::At(at) => Some(at - self.start),
            Deadline::Never => None,
        }
    }

    /// Does all that is due by now.
    pub fn do_what_is_due(&self) {
        self.network.do_what_is_due();
    }

    /// For `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        if self.options.by_name {
            return format!("{BOOTSTRAP_NAME}:{PORT}");
        }
        let addresses = self.nodes().map(|node| address_of(node).to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Makes a topic; false if there is one of this name, or the name or number is not allowed.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: u16,
        log_append_time: bool,
        max_message_bytes: Option<u32>,
    ) -> bool {
        let mut settings = TopicSettings {
            log_append_time,
            ..TopicSettings::DEFAULT
        };
        if let Some(bytes) = max_message_bytes {
            settings.max_message_bytes = bytes as usize;
        }
        self.carrier.with(|cluster| {
            let made = cluster.create_topic(name, usize::from(partitions), settings);
            made.is_ok()
        })
    }

    pub(crate) fn network(&self) -> &SimNetwork {
        &self.network
    }

    pub(crate) fn clock(&self) -> &Arc<MockClock> {
        &self.clock
    }

    /// Where producers look names up: each at once.
    pub(crate) fn names(&self) -> NameLookUps {
        NameLookUps::at_once(Arc::new(self.names.clone()))
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

/// Where a node listens.
fn address_of(node: NodeId) -> SocketAddr {
    let last = u8::try_from(node + 1).unwrap_or(u8::MAX);
    SocketAddr::new(IpAddr::from([10, 0, 0, last]), PORT)
}

fn host_of(node: NodeId) -> String {
    format!("broker-{node}.sim")
}

/// What is told of a node.
fn node_at(node: NodeId, options: &BrokersOptions) -> SimNode {
    if options.by_name {
        SimNode::new(&host_of(node), PORT)
    } else {
        SimNode::new(&address_of(node).ip().to_string(), PORT)
    }
}
