//! A cluster of real brokers, and operations on it as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::broker::{Broker, Upgrade};
use super::dump::DumpReport;
use super::helper::{
    Call, Helper, Isolation, JavaRecord, KeyPartition, ReadRecord, Transaction, Written,
};
use super::install::{Jars, major_minor, run_folder};
use super::options::ClusterOptions;
use super::process::{Jvm, log_tail};
use super::startup::await_call;
use super::{Context, Failure, Result};

const CREATE_TIMEOUT_MS: u32 = 30_000;

/// One partition as the brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionState {
    pub(crate) partition: i32,
    pub(crate) leader: Option<usize>,
    pub(crate) replicas: Vec<usize>,
    pub(crate) in_sync: Vec<usize>,
}

/// A running cluster. Dropping it kills every JVM and deletes the data; if the thread is panicking, the last lines of
/// the logs are printed first.
///
/// # Threads
/// Every method takes `&self`: one thread may kill brokers while others read. Calls to the helper JVM are serialized,
/// so the callback of a read must not call the cluster. The lock order is broker, topics, helper; starting a broker
/// holds its lock for long, so addresses are read without locks.
pub(crate) struct Cluster {
    pub(super) options: ClusterOptions,
    pub(super) jars: Jars,
    pub(super) folder: PathBuf,
    helper: Mutex<Helper>,
    /// A helper with the code of the brokers' version, if that is not the default.
    pub(super) own_helper: Mutex<Helper>,
    pub(super) coordinator: Coordinator,
    pub(super) brokers: Vec<Mutex<BrokerState>>,
    /// The listeners of each broker by name with their ports, `PLAINTEXT` first. They do not change after the broker
    /// has started.
    pub(super) ports: Vec<Vec<(String, u16)>>,
    /// The topics that were created here and not deleted.
    pub(super) topics: Mutex<BTreeSet<String>>,
}

/// ZooKeeper, or the KRaft controller of later versions. Tests never kill it.
pub(super) struct Coordinator {
    pub(super) jvm: Option<Jvm>,
    pub(super) port: u16,
    pub(super) is_zookeeper: bool,
}

#[derive(Default)]
pub(super) struct BrokerState {
    /// The version and configuration after an upgrade.
    pub(super) upgrade: Option<Upgrade>,
    pub(super) jvm: Option<Jvm>,
    pub(super) has_run: bool,
    pub(super) is_paused: bool,
}

impl Cluster {
    /// Starts a cluster, and waits until the metadata of every broker lists all brokers.
    pub(crate) fn start(options: ClusterOptions) -> Result<Self> {
        let jars = Jars::of(&options.version)?;
        let is_zookeeper = major_minor(&options.version)? < (4, 0);
        let folder = run_folder()?;
        let mut helper = Helper::in_folder(&folder);
        helper.warm_up()?;
        let broker = || Mutex::new(BrokerState::default());
        let mut cluster = Self {
            brokers: std::iter::repeat_with(broker)
                .take(options.brokers)
                .collect(),
            ports: vec![Vec::new(); options.brokers],
            own_helper: Mutex::new(Helper::of_version(&options.version, &folder)),
            options,
            jars,
            folder,
            helper: Mutex::new(helper),
            coordinator: Coordinator {
                jvm: None,
                port: 0,
                is_zookeeper,
            },
            topics: Mutex::default(),
        };
        cluster.start_coordinator()?;
        cluster.start_brokers()?;
        Ok(cluster)
    }

    /// The value for `bootstrap.servers`: every broker, running or not.
    pub(crate) fn bootstrap_servers(&self) -> String {
        self.bootstrap_servers_of("PLAINTEXT")
            .expect("every broker listens for PLAINTEXT")
    }

    /// As [`Self::bootstrap_servers`], for another listener; `None` if there is no such listener.
    pub(crate) fn bootstrap_servers_of(&self, listener: &str) -> Option<String> {
        let addresses: Option<Vec<String>> = (0..self.brokers.len())
            .map(|index| {
                self.broker(index)
                    .address_of(listener)
                    .map(|address| address.to_string())
            })
            .collect();
        addresses.map(|addresses| addresses.join(","))
    }

    /// The address of ZooKeeper; `None` if a KRaft controller is the coordinator.
    pub(crate) fn zookeeper(&self) -> Option<String> {
        let address = format!("127.0.0.1:{}", self.coordinator.port);
        self.coordinator.is_zookeeper.then_some(address)
    }

    pub(crate) fn version(&self) -> &str {
        &self.options.version
    }

    pub(crate) fn broker_count(&self) -> usize {
        self.brokers.len()
    }

    /// The broker with this index.
    ///
    /// Panics if there is no such broker.
    pub(crate) fn broker(&self, index: usize) -> Broker<'_> {
        assert!(index < self.brokers.len(), "there is no broker {index}");
        Broker {
            cluster: self,
            index,
        }
    }

    /// The folder of logs and data; deleted with the cluster.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The ids of all processes of this cluster.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        let helper = self.helper().pid();
        let brokers = (0..self.brokers.len()).filter_map(|index| self.broker(index).process_id());
        let others = self.coordinator.jvm.iter().map(Jvm::id);
        brokers.chain(others).chain(helper).collect()
    }

    /// Creates a topic with up to three replicas. Waits for its leaders, and until the metadata of every running broker
    /// has the topic.
    pub(crate) fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        self.create_replicated_topic(name, partitions, self.brokers.len().min(3), configs)
    }

    /// As [`Self::create_topic`], with this number of replicas.
    pub(crate) fn create_replicated_topic(
        &self,
        name: &str,
        partitions: i32,
        replicas: usize,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let call = self
            .call("create")
            .text(name)
            .number(&partitions)
            .number(&replicas);
        self.explained(self.helper().run(&call.map(configs)))?;
        lock(&self.topics).insert(name.to_owned());
        for index in 0..self.brokers.len() {
            let answers = {
                let state = lock(&self.brokers[index]);
                state.jvm.is_some() && !state.is_paused
            };
            if answers {
                let call = await_call(self.port(index), CREATE_TIMEOUT_MS, &[], [name]);
                self.explained(self.helper().run(&call))?;
            }
        }
        Ok(())
    }

    /// Deletes a topic and waits until it is no longer listed.
    pub(crate) fn delete_topic(&self, name: &str) -> Result<()> {
        lock(&self.topics).remove(name);
        self.explained(self.helper().run(&self.call("delete").text(name)))
    }

    /// Adds partitions to a topic up to `total`, and waits for their leaders.
    pub(crate) fn add_partitions(&self, name: &str, total: i32) -> Result<()> {
        self.explained(
            self.helper()
                .run(&self.call("add-partitions").text(name).number(&total)),
        )
    }

    /// Leaders and replicas of a topic's partitions, in order.
    pub(crate) fn describe_topic(&self, name: &str) -> Result<Vec<PartitionState>> {
        let lines = self.explained(self.helper().lines(&self.call("describe").text(name)))?;
        let states: Option<Vec<_>> = lines.iter().map(|line| parse_partition(line)).collect();
        states.ok_or_else(|| Failure::new(format!("the helper sent {lines:?}")))
    }

    /// Reads every record of a topic with Kafka's own consumer: from the first to the last offset of each partition at
    /// the time of the call, in order within a partition, open and aborted transactions included.
    pub(crate) fn read_back(&self, topic: &str, see: impl FnMut(ReadRecord<'_>)) -> Result<()> {
        self.read_back_with(topic, Isolation::ReadUncommitted, see)
    }

    /// As [`Self::read_back`], with this `isolation.level`.
    pub(crate) fn read_back_with(
        &self,
        topic: &str,
        isolation: Isolation,
        see: impl FnMut(ReadRecord<'_>),
    ) -> Result<()> {
        let level = match isolation {
            Isolation::ReadUncommitted => "read_uncommitted",
            Isolation::ReadCommitted => "read_committed",
        };
        let call = self.call("read").text(topic).text(level);
        self.explained(self.helper().each_record(&call, see))
    }

    /// Runs `DumpLogSegments` over a topic's segments on every broker. The dump includes every record.
    pub(crate) fn dump_log_segments(&self, topic: &str) -> Result<DumpReport> {
        let mut report = DumpReport::default();
        for index in 0..self.brokers.len() {
            for (partition, files) in segments(&self.broker(index).data_folder(), topic)? {
                let call = Call::new("dump")
                    .text("--deep-iteration")
                    .text("--files")
                    .text(&files);
                let dumped = self
                    .helper()
                    .each_line(&call, |line| report.see(index, partition, line));
                self.explained(dumped)?;
            }
        }
        Ok(report)
    }

    /// Sends records with Kafka's own producer. `bootstrap.servers` is added to `configs`.
    pub(crate) fn produce_with_java(
        &self,
        configs: &[(&str, &str)],
        topic: &str,
        transaction: Transaction,
        records: &[JavaRecord<'_>],
    ) -> Result<Vec<Written>> {
        let servers = self.bootstrap_servers();
        let configs = with_servers(&servers, configs);
        self.explained(self.helper().produce(&configs, topic, transaction, records))
    }

    /// Sends `count` records of `size` bytes, at least eight, with Kafka's own producer: value N is N in eight bytes,
    /// big-endian, then zeroes.
    pub(crate) fn fill_with_java(
        &self,
        configs: &[(&str, &str)],
        topic: &str,
        count: u64,
        size: usize,
    ) -> Result<()> {
        let servers = self.bootstrap_servers();
        let call = Call::new("fill").map(&with_servers(&servers, configs));
        self.explained(
            self.helper()
                .run(&call.text(topic).number(&count).number(&size)),
        )
    }

    /// Sends bursts of records with Kafka's own producer, and returns its metrics: a line for each, see `Metrics.java`.
    /// `bootstrap.servers` is added to `configs`; `load` is the number of partitions, bytes of a record, records of a
    /// burst, number of bursts, and milliseconds between bursts.
    pub(crate) fn metrics_of_java(
        &self,
        configs: &[(&str, &str)],
        topic: &str,
        load: &[usize; 5],
    ) -> Result<Vec<String>> {
        let servers = self.bootstrap_servers();
        let mut call = Call::new("metrics")
            .map(&with_servers(&servers, configs))
            .text(topic);
        for number in load {
            call = call.number(number);
        }
        self.explained(self.helper().lines(&call))
    }

    /// Connects Kafka's own client with this configuration. Returns `taken` if it succeeds, and the exceptions if it
    /// fails.
    pub(crate) fn check_connection(&self, configs: &[(&str, &str)]) -> Result<String> {
        let call = Call::new("check-connection").map(configs);
        let lines = self.explained(self.helper().lines(&call))?;
        Ok(lines.join("; "))
    }

    /// The partitions that Java's client chooses for keys.
    pub(crate) fn partition_for_keys<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        partitions: i32,
    ) -> Result<Vec<KeyPartition>> {
        self.helper().partitions_of_keys(keys, partitions)
    }

    /// The last lines of all logs, for error messages.
    pub(crate) fn log_tails(&self) -> String {
        let mut names = vec!["coordinator".to_owned()];
        names.extend((0..self.brokers.len()).map(broker_name));
        let tails = names
            .iter()
            .map(|name| log_tail(name, &self.folder.join(format!("{name}.log"))));
        tails
            .filter(|tail| !tail.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    }

    pub(super) fn port(&self, index: usize) -> u16 {
        self.ports[index].first().map_or(0, |(_, port)| *port)
    }

    pub(super) fn explained<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|failure| failure.with_details(&self.log_tails()))
    }

    pub(super) fn helper(&self) -> MutexGuard<'_, Helper> {
        lock(&self.helper)
    }

    /// A call whose first argument is `bootstrap.servers`.
    pub(super) fn call(&self, name: &str) -> Call {
        Call::new(name).text(&self.bootstrap_servers())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tails());
        }
        for broker in &self.brokers {
            lock(broker).jvm = None;
        }
        self.coordinator.jvm = None;
        for helper in [&self.helper, &self.own_helper] {
            *lock(helper) = Helper::in_folder(&self.folder);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
pub(super) fn broker_name(index: usize) -> String {
    format!("broker-{index}")
}

/// Ignores poisoning: a test that failed under a lock leaves no inconsistent state that matters here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
pub(super) fn with_servers<'a>(
    servers: &'a str,
    configs: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![("bootstrap.servers", servers)];
    all.extend_from_slice(configs);
    all
}

/// The segments of a topic in a broker's data folder: each partition with the paths of its files, joined by commas.
pub(super) fn segments(data: &Path, topic: &str) -> Result<Vec<(i32, String)>> {
    let mut partitions = Vec::new();
    for folder in entries(data)? {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let partition = name
            .strip_prefix(topic)
            .and_then(|rest| rest.strip_prefix('-'));
        let Some(partition) = partition.and_then(|number| number.parse().ok()) else {
            continue;
        };
        let mut files = entries(&folder)?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
        let files: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        partitions.push((partition, files.join(",")));
    }
    partitions.sort_unstable();
    Ok(partitions)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn parse_partition(line: &str) -> Option<PartitionState> {
    let ids = |text: &str| -> Option<Vec<usize>> {
        if text == "-" {
            return Some(Vec::new());
        }
        text.split(',').map(|id| id.parse().ok()).collect()
    };
    let mut words = line.split(' ');
    Some(PartitionState {
        partition: words.next()?.parse().ok()?,
        leader: words.next()?.parse().ok(),
        replicas: ids(words.next()?)?,
        in_sync: ids(words.next()?)?,
    })
}
