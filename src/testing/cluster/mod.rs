//! The embedded cluster: the public API for tests.

mod faults;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::TestClusterError;
use super::release::KafkaRelease;
use super::script::Api;
use super::sim::log::{Depth, TopicSettings};
use super::sim::sasl::SaslListener;
use super::sim::transactions::SimTransactionOptions;
use super::sim::{SimCluster, SimNode, SimOptions};
use super::stored::{StoredBatch, StoredRecord};
use super::tcp_broker::{BrokerShared, OpenConnections, Port, TcpBroker};
#[cfg(feature = "tls-no-provider")]
use super::tls::TestTls;
use super::wire::Wires;
use crate::sync::{Mutex, Rank};
use crate::types::{NodeId, PartitionId};

pub use faults::RuleHandle;

const HOST: &str = "127.0.0.1";

/// The settings of a topic of an embedded cluster. The defaults are Kafka's.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::testing::{TestCluster, TopicOptions};
///
/// let small = TopicOptions::new(3).max_message_bytes(1_000);
/// let cluster = TestCluster::builder().topic_with("small", small).start()?;
/// # drop(cluster);
/// # Ok(())
/// # }
/// ```
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

    /// The maximum size of a batch in bytes (`max.message.bytes`; 1,048,588 unless set).
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_message_bytes = bytes;
        self
    }

    /// Sets the timestamps of records to the broker's time (`message.timestamp.type=LogAppendTime`).
    pub fn log_append_time(mut self) -> Self {
        self.settings.log_append_time = true;
        self
    }

    /// Rejects records without a key (`cleanup.policy=compact`); the log itself is never compacted.
    pub fn compacted(mut self) -> Self {
        self.settings.compacted = true;
        self
    }
}

/// Builder of a [`TestCluster`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::testing::TestCluster;
///
/// let cluster = TestCluster::builder().nodes(3).replication_factor(3).topic("orders", 6).start()?;
/// assert_eq!(cluster.node_ids().count(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct TestClusterBuilder {
    nodes: usize,
    /// `None` for a generated id.
    cluster_id: Option<Arc<str>>,
    /// The model of the cluster without its id, which is set at each start: one builder may start several clusters.
    options: SimOptions,
    topics: Vec<(String, TopicOptions)>,
    #[cfg(feature = "tls-no-provider")]
    tls: Option<TestTls>,
    /// The users of SASL; `None` without SASL.
    sasl: Option<SaslListener>,
    transactions: SimTransactionOptions,
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
            transactions: SimTransactionOptions::default(),
        }
    }

    /// The Kafka release whose API versions the brokers support; 3.0 unless set.
    /// [`Rule::versions`](super::Rule::versions) changes the versions of one API, or of the APIs of one broker in a
    /// cluster of mixed releases.
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

    /// The cluster id in Metadata responses. Unless set, it is `test-cluster-` and a number that is unique in the
    /// process.
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.cluster_id = Some(id.into().into());
        self
    }

    /// The number of brokers, at least one; their ids start at 0.
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count.max(1);
        self
    }

    /// The number of replicas of each partition; one unless set. It is limited to the number of brokers. When the
    /// leader of a partition stops, another replica takes over with all records.
    pub fn replication_factor(mut self, count: usize) -> Self {
        self.options.replication_factor = count;
        self
    }

    /// Creates a topic at the start.
    pub fn topic(self, name: impl Into<String>, partitions: usize) -> Self {
        self.topic_with(name, TopicOptions::new(partitions))
    }

    /// Creates a topic with these settings at the start.
    pub fn topic_with(mut self, name: impl Into<String>, options: TopicOptions) -> Self {
        self.topics.push((name.into(), options));
        self
    }

    /// Creates topics automatically when a client requests them, with this many partitions
    /// (`auto.create.topics.enable`, `num.partitions`). Off unless set.
    pub fn auto_create_topics(mut self, partitions: usize) -> Self {
        self.options.auto_create_topics = true;
        self.options.default_partitions = partitions.max(1);
        self
    }

    /// Whether records are kept for reading; true unless set. With false they are validated, acknowledged, counted and
    /// dropped.
    pub fn retain(mut self, yes: bool) -> Self {
        self.options.depth.retain = yes;
        self
    }

    /// Whether every record is validated, as by a broker; true unless set. With false only the headers, checksums and
    /// sequence numbers of batches are validated, and a compressed batch is accepted with any codec and content. If
    /// records are validated, a compressed batch may hold up to 16 MiB of uncompressed records.
    pub fn validate_records(mut self, yes: bool) -> Self {
        self.options.depth.validate_records = yes;
        self
    }

    /// Requires authentication (`SASL_PLAINTEXT`, or `SASL_SSL` with TLS), and adds a user. The mechanisms are PLAIN,
    /// SCRAM-SHA-256 and SCRAM-SHA-512 unless set with [`sasl_mechanisms`](Self::sasl_mechanisms).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::testing::TestCluster;
    /// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord, SecurityProtocol};
    ///
    /// let cluster =
    ///     TestCluster::builder().topic("orders", 1).sasl_user("alice", "s3cret").start()?;
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers(cluster.bootstrap_servers())
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

    /// Requires authentication, and accepts this token with OAUTHBEARER.
    pub fn sasl_token(mut self, token: &str) -> Self {
        self.sasl.get_or_insert_default().add_token(token);
        self
    }

    /// Requires authentication, and accepts with OAUTHBEARER the tokens for which `check` returns true: for tokens that
    /// are signed or expire. It is called with a lock of the cluster held, so it must not call the cluster.
    pub fn sasl_token_check(
        mut self,
        check: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let sasl = self.sasl.get_or_insert_default();
        sasl.set_token_check(check);
        self
    }

    /// Requires authentication, with these mechanisms enabled. Unsupported ones are ignored.
    pub fn sasl_mechanisms(mut self, names: &[&str]) -> Self {
        self.sasl.get_or_insert_default().set_mechanisms(names);
        self
    }

    /// The lifetime of a SASL session, after which a client has to re-authenticate (`connections.max.reauth.ms`);
    /// unlimited unless set. Brokers of [`KafkaRelease::V2_4`] and later announce it to their clients.
    pub fn sasl_session(mut self, length: Duration) -> Self {
        self.sasl.get_or_insert_default().set_session(length);
        self
    }

    /// Brokers of minimal cost, for benchmarks of a producer: records are neither kept nor validated.
    pub fn sink(self) -> Self {
        self.retain(false).validate_records(false)
    }

    /// Uses TLS on all listeners (`security.protocol=SSL`).
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(mut self, tls: TestTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts the brokers.
    ///
    /// # Errors
    /// If the system has no port or thread left, or a topic cannot be created.
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
        cluster.transactions_mut().options = self.transactions;
        for (name, topic) in &self.topics {
            cluster.create_topic(name, topic.partitions, topic.settings)?;
        }
        let cluster = TestCluster {
            cluster_id,
            shared: Arc::new(BrokerShared::new(cluster, wires)),
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

/// A generated cluster id, unique in this process.
fn next_cluster_id() -> Arc<str> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-cluster-{number}").into()
}

/// Totals of the batches that producers wrote to a partition's log. Transaction markers are not counted, but each takes
/// an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogSummary {
    /// Records written.
    pub records: u64,
    /// Batches written.
    pub batches: u64,
    /// Size of these batches in bytes, headers included.
    pub bytes: u64,
    /// Duplicate batches, recognised by their sequence number and not written again.
    pub duplicates: u64,
    /// The offset of the next record.
    pub next_offset: i64,
}

/// A cluster of brokers in this process, on loopback ports. Dropping the cluster stops the brokers.
///
/// Features and limits of its brokers:
/// - they support `ApiVersions` (0 to 3), `Metadata` (0 to 11), `InitProducerId` (0 to 4), `Produce` (0 to 9; up to 2
///   with message sets), `FindCoordinator` (0 to 4), and `AddPartitionsToTxn`, `AddOffsetsToTxn`, `TxnOffsetCommit` and
///   `EndTxn` (0 to 3), or the versions of an older [release](TestClusterBuilder::release). Any other or malformed
///   request closes the connection. They also list `Fetch`, from which librdkafka infers the message format, but do not
///   process it;
/// - they authenticate clients by PLAIN, SCRAM and OAUTHBEARER, with and without TLS, if
///   [users](TestClusterBuilder::sasl_user) or [tokens](TestClusterBuilder::sasl_token) are set; there is no
///   authorization;
/// - they validate batches as Kafka 3.0 does, sequence numbers and epochs of idempotent producers included, with the
///   same error codes;
/// - they coordinate transactions as Kafka 3.0 does: epochs, fencing, timeouts, markers, offsets of consumer groups;
///   a coordinator can be [moved](Self::move_transaction_coordinator);
/// - records are kept in memory without retention; all replicas of a partition are always in sync;
/// - there is no consumer: [`records`](Self::records) and [`batches`](Self::batches) read the logs;
/// - failures occur only if a [`script`](Self::script) injects them.
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
    shared: Arc<BrokerShared>,
    ports: BTreeMap<NodeId, u16>,
    // Invariant: a node is in at most one of the two maps.
    running: Mutex<BTreeMap<NodeId, TcpBroker>>,
    /// Ports of stopped nodes, kept bound so that no other process takes them.
    stopped: Mutex<BTreeMap<NodeId, Port>>,
}

impl TestCluster {
    /// A builder of a cluster of one broker without topics.
    pub fn builder() -> TestClusterBuilder {
        TestClusterBuilder::new()
    }

    fn run(&self, id: NodeId, port: Port) -> Result<(), TestClusterError> {
        let broker = TcpBroker::start(id, port, Arc::clone(&self.shared))?;
        self.running.lock().insert(id, broker);
        Ok(())
    }

    /// The connections of a broker. Their lock is taken after the lock on the brokers is released.
    fn connections(&self, node: NodeId) -> Option<OpenConnections> {
        self.running.lock().get(&node).map(TcpBroker::connections)
    }

    /// The cluster id in Metadata responses.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The value of `bootstrap.servers`: the addresses of all brokers, stopped ones included.
    pub fn bootstrap_servers(&self) -> String {
        let address = |port: &u16| format!("{HOST}:{port}");
        self.ports
            .values()
            .map(address)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Changes the brokers' certificate, as on a renewal. Open connections are not affected.
    ///
    /// # Errors
    /// If the certificate or key is invalid. The previous certificate then stays in use.
    #[cfg(feature = "tls-no-provider")]
    pub fn change_tls(&self, tls: TestTls) -> Result<(), TestClusterError> {
        let tls = Some(tls.config()?);
        self.shared.wires.lock().tls = tls;
        Ok(())
    }

    /// The ids of all brokers.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.ports.keys().copied()
    }

    /// The port of a broker; the same after it has been stopped and started.
    pub fn port(&self, node: NodeId) -> Option<u16> {
        self.ports.get(&node).copied()
    }

    /// Creates a topic. The leaders of its partitions are assigned round-robin.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::testing::{TestCluster, TopicOptions};
    ///
    /// let cluster = TestCluster::builder().start()?;
    /// cluster.create_topic("orders", &TopicOptions::new(3))?;
    /// # assert_eq!(cluster.record_count("orders"), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the topic exists, the name is invalid, or there are no partitions.
    pub fn create_topic(&self, name: &str, options: &TopicOptions) -> Result<(), TestClusterError> {
        let mut cluster = self.shared.cluster();
        Ok(cluster.create_topic(name, options.partitions, options.settings)?)
    }

    /// Deletes a topic with all its records. A topic that is created again has a new id, unique in this process.
    ///
    /// # Errors
    /// If there is no topic of this name.
    pub fn delete_topic(&self, name: &str) -> Result<(), TestClusterError> {
        Ok(self.shared.cluster().delete_topic(name)?)
    }

    /// Adds partitions to a topic until it has `count`.
    ///
    /// # Errors
    /// If there is no such topic, or it has more than `count` partitions.
    pub fn add_partitions(&self, name: &str, count: usize) -> Result<(), TestClusterError> {
        Ok(self.shared.cluster().add_partitions(name, count)?)
    }

    /// Makes a broker the leader of a partition. The previous leader responds with `NOT_LEADER_OR_FOLLOWER` from now
    /// on.
    ///
    /// # Errors
    /// If there is no such partition or broker.
    pub fn move_leader(
        &self,
        topic: &str,
        partition: PartitionId,
        to: NodeId,
    ) -> Result<(), TestClusterError> {
        Ok(self.shared.cluster().move_leader(topic, partition, to)?)
    }

    /// The leader of a partition; `None` if it has no leader, or does not exist.
    pub fn leader(&self, topic: &str, partition: PartitionId) -> Option<NodeId> {
        self.shared
            .cluster()
            .partition(topic, partition)
            .ok()?
            .role
            .leader
    }

    /// Stops a broker: its connections are closed and nothing listens on its port. Another replica of each of its
    /// partitions becomes the leader; a partition without another replica has no leader. Returns whether it was
    /// running.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::testing::TestCluster;
    ///
    /// let cluster = TestCluster::builder().nodes(2).replication_factor(2).topic("orders", 1).start()?;
    /// let leader = cluster.leader("orders", 0).ok_or("there is a leader")?;
    /// cluster.stop_node(leader);
    /// // … the service under test sends to the other broker …
    /// assert_ne!(cluster.leader("orders", 0), Some(leader));
    /// cluster.start_node(leader)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Blocking
    /// Until its threads have ended, usually a few milliseconds.
    pub fn stop_node(&self, node: NodeId) -> bool {
        let broker = self.running.lock().remove(&node);
        let Some(broker) = broker else { return false };
        self.shared.cluster().node_down(node);
        // No lock is held, because the threads of the broker may need one before they end.
        drop(broker);
        // If another process has taken the port meanwhile, `start_node` reports it.
        if let Some(port) = self.port(node).and_then(|port| Port::take(port).ok()) {
            self.stopped.lock().insert(node, port);
        }
        true
    }

    /// Starts a stopped broker on its old port. A running broker is not affected.
    ///
    /// # Errors
    /// If there is no such broker, or its port was taken meanwhile.
    pub fn start_node(&self, node: NodeId) -> Result<(), TestClusterError> {
        let number = self.port(node).ok_or(TestClusterError::NoSuchNode(node))?;
        if self.running.lock().contains_key(&node) {
            return Ok(());
        }
        let kept = self.stopped.lock().remove(&node);
        let port = kept.map_or_else(|| Port::take(number), Ok)?;
        self.run(node, port)?;
        self.shared.cluster().node_up(node);
        Ok(())
    }

    /// Adds a user, or changes the password of an existing user; open connections are not affected. New connections
    /// must authenticate from now on.
    pub fn set_sasl_user(&self, name: &str, password: &str) {
        self.shared.cluster().sasl().set_user(name, password);
    }

    /// Closes all connections of a broker, which keeps accepting new ones.
    pub fn disconnect_clients(&self, node: NodeId) {
        if let Some(connections) = self.connections(node) {
            connections.end_all();
        }
    }

    /// All records of a partition, in order, including those of aborted and open transactions (see
    /// [`read_committed`](Self::read_committed)); empty for an unknown partition. It copies every record;
    /// [`batches`](Self::batches) copies none.
    ///
    /// ```
    /// use kafka_producer::testing::TestCluster;
    /// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = TestCluster::builder().topic("orders", 1).start()?;
    /// let servers = [cluster.bootstrap_servers()];
    /// let config = ProducerConfig::builder().bootstrap_servers(servers).build()?;
    /// let producer = KafkaProducer::<str, str>::new(config)?;
    /// producer.send(ProducerRecord::keyed("orders", "7", "tea"))?.get()?;
    ///
    /// let records = cluster.records("orders", 0);
    /// assert_eq!(records[0].key.as_deref(), Some(&b"7"[..]));
    /// assert_eq!(cluster.batches("orders", 0)[0].record_count(), 1);
    /// assert_eq!(cluster.record_count("orders"), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn records(&self, topic: &str, partition: PartitionId) -> Vec<StoredRecord> {
        let batches = self.batches(topic, partition);
        batches
            .iter()
            .filter(|batch| !batch.is_control())
            .flat_map(StoredBatch::records)
            .map(|record| record.to_record())
            .collect()
    }

    /// All batches of a partition, in order, with the [markers](StoredBatch::is_control) of transactions; empty for an
    /// unknown partition. Their bytes are shared, and their records can be read in place.
    pub fn batches(&self, topic: &str, partition: PartitionId) -> Vec<StoredBatch> {
        let cluster = self.shared.cluster();
        cluster
            .partition(topic, partition)
            .map_or_else(|_| Vec::new(), |p| p.log.batches().to_vec())
    }

    /// The totals of a partition, also counted if records are not [retained](TestClusterBuilder::retain); `None` for an
    /// unknown partition.
    pub fn summary(&self, topic: &str, partition: PartitionId) -> Option<LogSummary> {
        let cluster = self.shared.cluster();
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

    /// The number of records in all partitions of a topic; 0 for an unknown topic.
    pub fn record_count(&self, topic: &str) -> u64 {
        let cluster = self.shared.cluster();
        let partitions = cluster
            .topic(topic)
            .map_or(&[][..], |topic| &topic.partitions);
        partitions
            .iter()
            .map(|partition| partition.log.size().records)
            .sum()
    }

    /// The number of requests of this API that all brokers have received.
    pub fn request_count(&self, api: Api) -> u64 {
        let cluster = self.shared.cluster();
        cluster.requests().get(&api.key()).copied().unwrap_or(0)
    }

    /// The number of connections that all brokers have accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.shared.connections_accepted.load(Ordering::Relaxed)
    }

    /// The number of open connections of a broker.
    pub fn open_connections(&self, node: NodeId) -> usize {
        self.connections(node)
            .map_or(0, |connections| connections.count())
    }
}

#[cfg(test)]
mod tests;
