//! Simulated world: the network, the brokers, names and time around producers.

mod faults;
mod options;
mod places;
#[cfg(test)]
mod tests;
mod transactions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use faults::RuleNumber;
#[cfg(feature = "tls-no-provider")]
pub use options::TlsOptions;
pub use options::{BrokersOptions, NetworkOptions, SaslOptions};
use places::{BOOTSTRAP_NAME, PORT, SimNodePlaces};

use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline, Instant};
use crate::network::resolver::NameLookUps;
#[cfg(feature = "tls-no-provider")]
use crate::security::tls::OurTime;
use crate::sync::{Mutex, Rank};
use crate::testing::KafkaRelease;
use crate::testing::sim::carrier::Carrier;
use crate::testing::sim::journal::BrokerNews;
use crate::testing::sim::log::{Depth, TopicSettings};
use crate::testing::sim::names::SimNames;
use crate::testing::sim::network::SimNetwork;
#[cfg(feature = "tls-no-provider")]
use crate::testing::sim::tls::{TlsIdentities, TlsListener};
use crate::testing::sim::{SimCluster, SimNode, SimOptions};
use crate::types::{NodeId, PartitionId};

/// Partition count of an auto-created topic.
const DEFAULT_PARTITIONS: usize = 3;
const CLUSTER_ID: &str = "simulated";

/// Everything around the producers of one run. Clones are handles to the same world.
///
/// It is deterministic for a seed, and passive: only [`advance_to`](Self::advance_to) advances time, and only
/// [`do_what_is_due`](Self::do_what_is_due) processes the events that are then due.
///
/// The methods in `faults` inject faults. They name nodes, topics and partitions, and ignore those that do not exist.
///
/// # Threads
/// For use on one thread.
#[derive(Clone)]
pub struct World {
    network: SimNetwork,
    clock: Arc<MockClock>,
    start: Instant,
    carrier: Carrier,
    names: SimNames,
    changed: Arc<Mutex<Changed>>,
    release: KafkaRelease,
    by_name: bool,
}

/// State changed by faults.
#[derive(Debug)]
struct Changed {
    places: SimNodePlaces,
    clusters: u32,
    /// The original settings of topics whose limit is lowered.
    settings: BTreeMap<String, TopicSettings>,
    /// Lowered limits in force, by topic.
    limits: BTreeMap<String, Vec<u32>>,
    /// Deleted topics, with their partition count and original settings.
    deleted: BTreeMap<String, (usize, TopicSettings)>,
    leaderless: BTreeSet<(String, PartitionId)>,
    /// Rules that limit versions, with their node.
    versions: BTreeMap<RuleNumber, Option<NodeId>>,
}

/// State of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the simulation tests match it exhaustively"
)]
pub struct TopicPicture {
    /// The topic's name.
    pub name: String,
    /// How often a topic of this name has been created, over all clusters.
    pub incarnation: u64,
    /// The partitions in order.
    pub partitions: Vec<PartitionPicture>,
}

/// State of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the simulation tests match it exhaustively"
)]
pub struct PartitionPicture {
    /// The offset of the next record.
    pub next_offset: i64,
    /// The leader, if there is one.
    pub leader: Option<i32>,
}

impl World {
    /// A world without topics and faults. Random choices follow from the seed.
    pub fn new(network: &NetworkOptions, brokers: &BrokersOptions, seed: u64) -> Self {
        let places = SimNodePlaces::new(brokers.nodes, brokers.by_name);
        let node = |node| (node, SimNode::new(&places.host(node), PORT));
        let nodes = places.nodes().into_iter().map(node).collect();
        let options = SimOptions {
            cluster_id: CLUSTER_ID.into(),
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
        let mut cluster = SimCluster::new(options, nodes).for_simulation();
        cluster.set_first_epoch(brokers.first_epoch);
        cluster.transactions_mut().options.verify = brokers.verify_transactions;
        if let Some(sasl) = &brokers.sasl {
            cluster.sasl().set_user(&sasl.user, &sasl.password);
            cluster.sasl().add_token(&sasl.token);
            if let Some(session) = sasl.session {
                cluster.sasl().set_session(session);
            }
        }
        let clock = Arc::new(MockClock::new());
        let changed = Changed {
            places,
            clusters: 1,
            settings: BTreeMap::new(),
            limits: BTreeMap::new(),
            deleted: BTreeMap::new(),
            leaderless: BTreeSet::new(),
            versions: BTreeMap::new(),
        };
        let world = Self {
            network: SimNetwork::new(Arc::clone(&clock), network.profile(), seed),
            carrier: Carrier::new(cluster, Arc::clone(&clock)),
            start: clock.now(),
            clock,
            names: SimNames::new(),
            changed: Arc::new(Mutex::new(Rank::LEAF, changed)),
            release: brokers.release,
            by_name: brokers.by_name,
        };
        for node in world.look(SimNodePlaces::nodes) {
            for address in world.look(|places| places.addresses(node)) {
                world.network.listen(address, world.carrier.accept(node));
            }
        }
        #[cfg(feature = "tls-no-provider")]
        if let Some(tls) = &brokers.tls {
            world.listen_with_tls(tls);
        }
        world
            .network
            .add_unreachable_address(faults::silent_address());
        world.publish_addresses_of_names();
        world
    }

    /// # Panics
    /// If the options are unusable.
    #[cfg(feature = "tls-no-provider")]
    fn listen_with_tls(&self, tls: &TlsOptions) {
        let config = |identity: &crate::testing::TestTls| {
            let config = identity.clone().config();
            config.unwrap_or_else(|error| panic!("the brokers of this world: {error}"))
        };
        let identities = TlsIdentities {
            right: config(&tls.right),
            expired: config(&tls.expired),
            other_name: config(&tls.other_name),
            other_authority: config(&tls.other_authority),
        };
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let listener = TlsListener::new(identities, Arc::new(OurTime(clock)));
        self.carrier.listen_with_tls(listener);
    }

    /// The host names or addresses of this many nodes, including those after up to `moves` address changes.
    pub fn hosts(nodes: i32, by_name: bool, moves: u8) -> Vec<String> {
        let mut places = SimNodePlaces::new(nodes, by_name);
        for _ in 0..moves {
            places.move_all();
        }
        let names = places.names().into_iter();
        let mut hosts: Vec<_> = names
            .map(|(name, address)| if by_name { name } else { address.to_string() })
            .collect();
        if by_name {
            hosts.push(BOOTSTRAP_NAME.to_owned());
        }
        hosts
    }

    fn look<T>(&self, how: impl FnOnce(&SimNodePlaces) -> T) -> T {
        how(&self.changed.lock().places)
    }

    /// Registers the right addresses with the name service.
    fn publish_addresses_of_names(&self) {
        for (name, address) in self.look(SimNodePlaces::names) {
            self.names.set(&name, vec![address]);
        }
        let present = self.look(SimNodePlaces::present);
        let all = present.iter().map(std::net::SocketAddr::ip).collect();
        self.names.set(BOOTSTRAP_NAME, all);
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.clock.now() - self.start
    }

    /// The time of an instant since the beginning.
    pub(crate) fn elapsed_at(&self, at: Instant) -> Duration {
        at - self.start
    }

    /// Advances the clock to this time since the beginning, unless that is past.
    pub fn advance_to(&self, elapsed: Duration) {
        self.clock.advance_to(self.start + elapsed);
    }

    /// The time of the next event of the network or a broker, since the beginning; `None` if no event is scheduled.
    pub fn next_event(&self) -> Option<Duration> {
        let of_network = match self.network.next_event() {
            Deadline::At(at) => Some(at - self.start),
            Deadline::Never => None,
        };
        let due = self.carrier.with(|cluster| cluster.next_due());
        let of_brokers = due.map(|due| self.elapsed().saturating_add(due));
        of_network.into_iter().chain(of_brokers).min()
    }

    /// Processes all events that are due.
    pub fn do_what_is_due(&self) {
        self.network.do_what_is_due();
        // Access to the cluster also does what brokers do on their own: abort transactions that have timed out, and
        // write markers.
        self.carrier.with(|_| ());
    }

    /// Value for `bootstrap.servers`: the brokers' first addresses, or the name that resolves to the present ones.
    pub fn bootstrap_servers(&self) -> String {
        if self.by_name {
            return format!("{BOOTSTRAP_NAME}:{PORT}");
        }
        let first = self.look(|places| {
            let nodes = places.nodes().into_iter();
            nodes
                .filter_map(|node| places.addresses(node).first().copied())
                .collect::<Vec<_>>()
        });
        let servers: Vec<_> = first.iter().map(ToString::to_string).collect();
        servers.join(",")
    }

    /// Creates a topic. Returns false if it exists, or the name or partition count is invalid.
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

    /// Takes the broker events since the last call, in order.
    pub fn take_news(&self) -> Vec<BrokerNews> {
        self.carrier.take_news()
    }

    /// All topics by name, in their present state.
    pub fn topics(&self) -> Vec<TopicPicture> {
        self.carrier.with(|cluster| {
            let topics = cluster.topics().map(|(name, topic)| TopicPicture {
                name: name.to_string(),
                incarnation: topic.incarnation,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| PartitionPicture {
                        next_offset: partition.log.next_offset(),
                        leader: partition.role.leader.filter(|node| cluster.is_alive(*node)),
                    })
                    .collect(),
            });
            topics.collect()
        })
    }

    /// Shifts the wall clock; the monotonic clock is not affected.
    pub fn jump_wall_clock(&self, by_ms: i64) {
        self.clock.jump_wall(by_ms);
    }

    pub(crate) fn network(&self) -> &SimNetwork {
        &self.network
    }

    pub(crate) fn clock(&self) -> &Arc<MockClock> {
        &self.clock
    }

    /// The name resolver of producers, which responds at once.
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
