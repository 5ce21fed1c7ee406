//! The embedded cluster as tests see it.

mod faults;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::TestClusterError;
use super::release::KafkaRelease;
use super::script::Api;
use super::sim::log::{Depth, TopicSettings};
use super::sim::sasl::SaslListener;
use super::sim::{SimCluster, SimNode, SimOptions};
use super::stored::{StoredBatch, StoredRecord};
use super::tcp_broker::{OpenConnections, Port, Shared, TcpBroker};
#[cfg(feature = "tls-no-provider")]
use super::tls::TestTls;
use super::wire::Wires;
use crate::sync::{Mutex, Rank};
use crate::types::{NodeId, PartitionId};

pub use faults::RuleHandle;

const HOST: &str = "127.0.0.1";

/// A topic of an embedded cluster, before it is made. Every setting has Kafka's default.
#[derive(Debug, Clone)]
#[must_use]
pub struct TopicOptions {
    partitions: usize,
    settings: TopicSettings,
}

impl TopicOptions {
    /// A topic with this many partitions.
    pub fn new(partitions: usize) -> Self {
        Self {
            partitions,
            settings: TopicSettings::DEFAULT,
        }
    }

    /// The largest batch that is accepted (`max.message.bytes`; 1,048,588 unless set).
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_message_bytes = bytes;
        self
    }

    /// Records get the broker's time instead of the producer's (`message.timestamp.type` is
    /// `LogAppendTime`).
    pub fn log_append_time(mut self) -> Self {
        self.settings.log_append_time = true;
        self
    }

    /// Records without a key are refused (`cleanup.policy` is `compact`); nothing is ever compacted.
    pub fn compacted(mut self) -> Self {
        self.settings.compacted = true;
        self
    }
}

/// Settings of a [`TestCluster`] that is not started yet.
#[derive(Debug, Clone)]
#[must_use]
pub struct TestClusterBuilder {
    nodes: usize,
    /// `None` for one of its own.
    cluster_id: Option<Arc<str>>,
    /// All but the cluster's id, which it gets at its start: a builder may start several.
    options: SimOptions,
    topics: Vec<(String, TopicOptions)>,
    #[cfg(feature = "tls-no-provider")]
    tls: Option<TestTls>,
    /// Who may connect, if that is asked.
    sasl: Option<SaslListener>,
}

impl TestClusterBuilder {
    fn new() -> Self {
        Self {
            nodes: 1,
            cluster_id: None,
            options: SimOptions {
                cluster_id: "".into(),
                release: KafkaRelease::default(),
                auto_create_topics: false,
                default_partitions: 1,
                replication_factor: 1,
                settings: TopicSettings::DEFAULT,
                depth: Depth {
                    retain: true,
                    validate_records: true,
                },
            },
            topics: Vec::new(),
            #[cfg(feature = "tls-no-provider")]
            tls: None,
            sasl: None,
        }
    }

    /// The release of Kafka that the brokers imitate in which requests they answer; 3.0 unless set. For
    /// a cluster of several, or single versions: [`Rule::versions`](super::Rule::versions).
    ///
    /// ```
    /// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
    /// use kafka_producer::testing::{KafkaRelease, TestCluster};
    ///
    /// let old = TestCluster::builder().release(KafkaRelease::V0_10_2).topic("orders", 1).start()?;
    /// # drop(old);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(mut self, release: KafkaRelease) -> Self {
        self.options.release = release;
        self
    }

    /// The id that the cluster tells its clients. Unless set, each cluster of a process has one of its own,
    /// `test-cluster-` and a number.
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.cluster_id = Some(id.into().into());
        self
    }

    /// How many brokers there are, at least one; numbered from 0.
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count.max(1);
        self
    }

    /// How many brokers hold a copy of each partition; one unless set, no more than there are. When
    /// the leader of a partition stops, another that holds a copy takes over, with every record.
    pub fn replication_factor(mut self, count: usize) -> Self {
        self.options.replication_factor = count;
        self
    }

    /// A topic that is there from the start.
    pub fn topic(self, name: impl Into<String>, partitions: usize) -> Self {
        self.topic_with(name, TopicOptions::new(partitions))
    }

    /// A topic that is there from the start, with settings of its own.
    pub fn topic_with(mut self, name: impl Into<String>, options: TopicOptions) -> Self {
        self.topics.push((name.into(), options));
        self
    }

    /// Topics that a client asks for come into being, with this many partitions
    /// (`auto.create.topics.enable`, `num.partitions`). Off unless set.
    pub fn auto_create_topics(mut self, partitions: usize) -> Self {
        self.options.auto_create_topics = true;
        self.options.default_partitions = partitions.max(1);
        self
    }

    /// Whether records are kept, to be read back; true unless set. Otherwise they are checked,
    /// acknowledged, counted and forgotten.
    pub fn retain(mut self, yes: bool) -> Self {
        self.options.depth.retain = yes;
        self
    }

    /// Whether every record is looked at, as a broker does; true unless set. Otherwise only the
    /// headers of batches, their checksums and sequences are; compressed batches are then accepted
    /// whatever their codec and whatever is in them. A compressed batch that is looked at may hold up to
    /// 16 MiB.
    pub fn validate_records(mut self, yes: bool) -> Self {
        self.options.depth.validate_records = yes;
        self
    }

    /// Asks clients who they are (`SASL_PLAINTEXT`): this user is one that may connect, by PLAIN, SCRAM-SHA-256 or
    /// SCRAM-SHA-512 unless [`sasl_mechanisms`](Self::sasl_mechanisms) says otherwise.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::testing::TestCluster;
    /// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord, SecurityProtocol};
    ///
    /// let cluster =
    ///     TestCluster::builder().topic("orders", 1).sasl_user("alice", "s3cret").start()?;
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers([cluster.bootstrap_servers()])
    ///     .security_protocol(SecurityProtocol::SaslPlaintext)
    ///     .sasl_plain("alice", "s3cret")
    ///     .build()?;
    /// let producer = KafkaProducer::<str, str>::new(config)?;
    /// producer.send(ProducerRecord::new("orders", "hello"))?.get()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sasl_user(mut self, name: &str, password: &str) -> Self {
        self.sasl.get_or_insert_default().set_user(name, password);
        self
    }

    /// Asks clients who they are, and takes this token from those that come with OAUTHBEARER.
    pub fn sasl_token(mut self, token: &str) -> Self {
        self.sasl.get_or_insert_default().add_token(token);
        self
    }

    /// Which of its mechanisms the brokers offer, and that they ask for one. Those that there are not are left out.
    pub fn sasl_mechanisms(mut self, names: &[&str]) -> Self {
        self.sasl.get_or_insert_default().set_mechanisms(names);
        self
    }

    /// How long a client is taken for who it is, before it has to authenticate again
    /// (`connections.max.reauth.ms`); for ever unless set. Releases from 2.2 on tell their clients.
    pub fn sasl_session(mut self, length: Duration) -> Self {
        self.sasl.get_or_insert_default().set_session(length);
        self
    }

    /// Makes brokers that cost little: nothing is kept and no single record is looked at. For
    /// measuring what a producer costs.
    pub fn sink(self) -> Self {
        self.retain(false).validate_records(false)
    }

    /// Makes brokers that speak TLS, and nothing else (`security.protocol=SSL`).
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(mut self, tls: TestTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts the brokers.
    ///
    /// # Errors
    /// When the system has no port or thread left, or a topic cannot be made.
    pub fn start(self) -> Result<TestCluster, TestClusterError> {
        let wires = Wires {
            #[cfg(feature = "tls-no-provider")]
            tls: self.tls.map(TestTls::config).transpose()?,
        };
        let mut taken = BTreeMap::new();
        let mut ports = BTreeMap::new();
        for id in (0..).take(self.nodes) {
            let port = Port::take(0)?;
            ports.insert(id, port.number()?);
            taken.insert(id, port);
        }
        let address = |(id, port): (&NodeId, &u16)| (*id, SimNode::new(HOST, *port));
        let addresses = ports.iter().map(address).collect();
        let cluster_id = self.cluster_id.unwrap_or_else(next_cluster_id);
        let options = SimOptions {
            cluster_id: Arc::clone(&cluster_id),
            ..self.options
        };
        let mut cluster = SimCluster::new(options, addresses);
        if let Some(sasl) = self.sasl {
            *cluster.sasl() = sasl;
        }
        for (name, topic) in &self.topics {
            cluster.create_topic(name, topic.partitions, topic.settings)?;
        }
        let cluster = TestCluster {
            cluster_id,
            shared: Arc::new(Shared::new(cluster, wires)),
            ports,
            running: Mutex::new(Rank::LEAF, BTreeMap::new()),
            stopped: Mutex::new(Rank::LEAF, BTreeMap::new()),
        };
        for (id, port) in taken {
            cluster.run(id, port)?;
        }
        Ok(cluster)
    }
}

/// An id that no other cluster of this process has, unless it was told to.
fn next_cluster_id() -> Arc<str> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-cluster-{number}").into()
}

/// How much a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogSummary {
    /// Records written.
    pub records: u64,
    /// Batches written.
    pub batches: u64,
    /// Bytes of these batches, headers and all.
    pub bytes: u64,
    /// Batches that came again, were recognised by their sequence, and were not written again.
    pub duplicates: u64,
    /// The offset the next record will have.
    pub next_offset: i64,
}

/// A cluster of brokers in this process, on loopback ports. They stop when it is dropped.
///
/// What its brokers do and do not do:
/// - they answer `ApiVersions` (0 to 3), `Metadata` (0 to 11), `InitProducerId` (0 to 4) and `Produce`
///   (0 to 9; up to 2, records are message sets), or what an older [release](TestClusterBuilder::release)
///   has of these; anything else closes the connection, as a request does that cannot be read. They also say
///   that there are `Fetch`, by which librdkafka tells the message format, and `FindCoordinator`, by which it
///   tells whether lz4 is understood, but do not answer them;
/// - they ask clients who they are if they are told of [users](TestClusterBuilder::sasl_user), by PLAIN and SCRAM;
///   without TLS, and everybody may do everything then;
/// - they check batches as Kafka 3.0 does, sequences and epochs of idempotent producers included, and
///   answer with the same errors;
/// - records are kept in memory and never expire; all copies of a partition are always in sync;
/// - nothing can be consumed through the protocol: [`records`](Self::records) and
///   [`batches`](Self::batches) read what was written;
/// - everything goes well, unless a [`script`](Self::script) says what goes wrong.
///
/// ```
/// # fn main() -> Result<(), kafka_producer::testing::TestClusterError> {
/// use kafka_producer::testing::{TestCluster, TopicOptions};
///
/// let cluster = TestCluster::builder()
///     .nodes(3)
///     .topic("orders", 12)
///     .topic_with("small", TopicOptions::new(1).max_message_bytes(1000))
///     .start()?;
/// cluster.stop_node(1);
/// assert_eq!(cluster.leader("orders", 1), None);
/// cluster.start_node(1)?;
/// assert_eq!(cluster.leader("orders", 1), Some(1));
/// # Ok(())
/// # }
/// ```
///
/// # Threads
/// May be used from any number of threads at once.
#[derive(Debug)]
pub struct TestCluster {
    cluster_id: Arc<str>,
    shared: Arc<Shared>,
    ports: BTreeMap<NodeId, u16>,
    // Invariant: a node is in at most one of the two.
    running: Mutex<BTreeMap<NodeId, TcpBroker>>,
    /// Ports of nodes that are stopped, kept from everybody else.
    stopped: Mutex<BTreeMap<NodeId, Port>>,
}

impl TestCluster {
    /// A cluster of one broker without topics, to be changed and started.
    pub fn builder() -> TestClusterBuilder {
        TestClusterBuilder::new()
    }

    fn run(&self, id: NodeId, port: Port) -> Result<(), TestClusterError> {
        let broker = TcpBroker::start(id, port, Arc::clone(&self.shared))?;
        self.running.lock().insert(id, broker);
        Ok(())
    }

    /// A broker's connections; their lock is taken only after the one on the brokers is let go.
    fn connections(&self, node: NodeId) -> Option<OpenConnections> {
        self.running.lock().get(&node).map(TcpBroker::connections)
    }

    /// The id that it tells its clients.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Addresses of all brokers, separated by commas, as `bootstrap.servers` wants them; brokers that
    /// are stopped included.
    pub fn bootstrap_servers(&self) -> String {
        let address = |port: &u16| format!("{HOST}:{port}");
        self.ports
            .values()
            .map(address)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// From here on the brokers are who this says, as when their certificates are renewed. Connections that stand
    /// are left alone.
    ///
    /// # Errors
    /// When this cannot be used; everything stays as it was then.
    #[cfg(feature = "tls-no-provider")]
    pub fn change_tls(&self, tls: TestTls) -> Result<(), TestClusterError> {
        let tls = Some(tls.config()?);
        self.shared.wires.lock().tls = tls;
        Ok(())
    }

    /// The numbers of all brokers.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.ports.keys().copied()
    }

    /// The port a broker listens on; the same after it has been stopped and started.
    pub fn port(&self, node: NodeId) -> Option<u16> {
        self.ports.get(&node).copied()
    }

    /// Makes a topic. Leaders of its partitions go around the brokers.
    ///
    /// # Errors
    /// For a topic that exists, a name Kafka does not allow, or no partitions.
    pub fn create_topic(&self, name: &str, options: &TopicOptions) -> Result<(), TestClusterError> {
        let mut cluster = self.shared.cluster.lock();
        Ok(cluster.create_topic(name, options.partitions, options.settings)?)
    }

    /// Deletes a topic with all its records. Made again, it has another id, which no topic of any cluster of this
    /// process had.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn delete_topic(&self, name: &str) -> Result<(), TestClusterError> {
        Ok(self.shared.cluster.lock().delete_topic(name)?)
    }

    /// Adds partitions to a topic until it has `count`.
    ///
    /// # Errors
    /// If there is no such topic, or it has more.
    pub fn add_partitions(&self, name: &str, count: usize) -> Result<(), TestClusterError> {
        Ok(self.shared.cluster.lock().add_partitions(name, count)?)
    }

    /// Makes a broker the leader of a partition. The one before answers `NOT_LEADER_OR_FOLLOWER` from
    /// now on.
    ///
    /// # Errors
    /// If there is no such partition or broker.
    pub fn move_leader(
        &self,
        topic: &str,
        partition: PartitionId,
        to: NodeId,
    ) -> Result<(), TestClusterError> {
        Ok(self
            .shared
            .cluster
            .lock()
            .move_leader(topic, partition, to)?)
    }

    /// The broker that leads a partition; `None` if none does, or there is no such partition.
    pub fn leader(&self, topic: &str, partition: PartitionId) -> Option<NodeId> {
        self.shared
            .cluster
            .lock()
            .partition(topic, partition)
            .ok()?
            .role
            .leader
    }

    /// Stops a broker: its connections end and nothing listens on its port. Partitions it leads go to
    /// others that hold a copy, or are without leader. Says whether it was running.
    ///
    /// # Blocking
    /// Until its threads have ended, which is at once.
    pub fn stop_node(&self, node: NodeId) -> bool {
        let broker = self.running.lock().remove(&node);
        let Some(broker) = broker else { return false };
        self.shared.cluster.lock().node_down(node);
        // With no lock held: its threads may be waiting for one before they end.
        drop(broker);
        // Should somebody else be that quick, starting the node again will say so.
        if let Some(port) = self.port(node).and_then(|port| Port::take(port).ok()) {
            self.stopped.lock().insert(node, port);
        }
        true
    }

    /// Starts a broker that was stopped, on its old port. One that runs is left alone.
    ///
    /// # Errors
    /// If there is no such broker, or its port has been taken in the meantime.
    pub fn start_node(&self, node: NodeId) -> Result<(), TestClusterError> {
        let number = self.port(node).ok_or(TestClusterError::NoSuchNode(node))?;
        if self.running.lock().contains_key(&node) {
            return Ok(());
        }
        let kept = self.stopped.lock().remove(&node);
        let port = kept.map_or_else(|| Port::take(number), Ok)?;
        self.run(node, port)?;
        self.shared.cluster.lock().node_up(node);
        Ok(())
    }

    /// Makes a user, or gives one another password; connections that stand are left alone. Clients are asked who
    /// they are from now on, if they were not.
    pub fn set_sasl_user(&self, name: &str, password: &str) {
        self.shared.cluster.lock().sasl().set_user(name, password);
    }

    /// Ends all connections to a broker, which goes on to accept new ones.
    pub fn disconnect_clients(&self, node: NodeId) {
        if let Some(connections) = self.connections(node) {
            connections.end_all();
        }
    }

    /// All records of a partition, in order; none for a partition that does not exist. Copies every
    /// one: [`batches`](Self::batches) does not.
    pub fn records(&self, topic: &str, partition: PartitionId) -> Vec<StoredRecord> {
        let batches = self.batches(topic, partition);
        batches
            .iter()
            .flat_map(StoredBatch::records)
            .map(|record| record.to_record())
            .collect()
    }

    /// All batches of a partition, in order; none for a partition that does not exist. Their bytes
    /// are shared, and their records can be read in place.
    pub fn batches(&self, topic: &str, partition: PartitionId) -> Vec<StoredBatch> {
        let cluster = self.shared.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or_else(|_| Vec::new(), |p| p.log.batches().to_vec())
    }

    /// How much a partition holds, or would if it was retained; `None` if it does not exist.
    pub fn summary(&self, topic: &str, partition: PartitionId) -> Option<LogSummary> {
        let cluster = self.shared.cluster.lock();
        let log = &cluster.partition(topic, partition).ok()?.log;
        let size = log.size();
        Some(LogSummary {
            records: size.records,
            batches: size.batches,
            bytes: size.bytes,
            duplicates: size.duplicates,
            next_offset: log.next_offset(),
        })
    }

    /// How many records all partitions of a topic hold together; 0 if it does not exist.
    pub fn record_count(&self, topic: &str) -> u64 {
        let cluster = self.shared.cluster.lock();
        let partitions = cluster
            .topic(topic)
            .map_or(&[][..], |topic| &topic.partitions);
        partitions
            .iter()
            .map(|partition| partition.log.size().records)
            .sum()
    }

    /// How many requests of this kind have come to all brokers.
    pub fn request_count(&self, api: Api) -> u64 {
        let cluster = self.shared.cluster.lock();
        cluster.requests().get(&api.key()).copied().unwrap_or(0)
    }

    /// How many connections all brokers have accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.shared.connections_accepted.load(Ordering::Relaxed)
    }

    /// How many connections to a broker are open.
    pub fn open_connections(&self, node: NodeId) -> usize {
        self.connections(node)
            .map_or(0, |connections| connections.count())
    }
}

#[cfg(test)]
mod tests;
