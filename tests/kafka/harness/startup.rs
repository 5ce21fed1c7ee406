//! Configuration and start of the servers of a cluster.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::cluster::{BrokerState, Cluster, broker_name, lock};
use super::helper::Call;
use super::install::Jars;
use super::ports::free_port;
use super::process::{Jvm, JvmCommand, POLL, describe_exit};
use super::{Context, Failure, Result};

pub(super) const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Number of attempts to start a server: another process may take the chosen port before the server listens on it.
const PORT_ATTEMPTS: u32 = 5;
const COORDINATOR_HEAP_MB: u32 = 128;
const RIGHTS: [&str; 2] = ["authorizer.class.name", "super.users"];
const CONTROLLER_ID: u32 = 3_000;
const CLUSTER_ID: &str = "dGVzdC1jbHVzdGVyLWlkMQ";

impl Cluster {
    pub(super) fn start_coordinator(&mut self) -> Result<()> {
        for attempt in 1.. {
            self.coordinator.port = free_port()?;
            let mut jvm = if self.coordinator.is_zookeeper {
                self.start_zookeeper()?
            } else {
                self.start_controller()?
            };
            match wait_for_port(&mut jvm, self.coordinator.port) {
                Ok(()) => {
                    self.coordinator.jvm = Some(jvm);
                    return Ok(());
                }
                Err(failure) if attempt == PORT_ATTEMPTS || !lost_its_port(&jvm) => {
                    return Err(failure);
                }
                Err(_) => {}
            }
        }
        unreachable!("the last attempt returns")
    }

    fn start_zookeeper(&self) -> Result<Jvm> {
        let properties = [
            (
                "dataDir",
                self.folder.join("coordinator").display().to_string(),
            ),
            ("clientPort", self.coordinator.port.to_string()),
            ("clientPortAddress", Ipv4Addr::LOCALHOST.to_string()),
            ("maxClientCnxns", "0".to_owned()),
            ("admin.enableServer", "false".to_owned()),
            // Session timeouts are multiples of the tick.
            ("tickTime", "500".to_owned()),
            ("maxSessionTimeout", "600000".to_owned()),
        ];
        let file = self.write_properties("coordinator", &properties)?;
        self.run_node(
            "coordinator",
            &self.jars,
            COORDINATOR_HEAP_MB,
            &["org.apache.zookeeper.server.ZooKeeperServerMain", &file],
        )
    }

    fn start_controller(&self) -> Result<Jvm> {
        let mut properties: Vec<(&str, String)> = self.controller_configs();
        properties.extend([
            ("process.roles", "controller".to_owned()),
            ("node.id", CONTROLLER_ID.to_string()),
            (
                "listeners",
                format!("CONTROLLER://127.0.0.1:{}", self.coordinator.port),
            ),
            (
                "log.dirs",
                self.folder.join("coordinator").display().to_string(),
            ),
        ]);
        let replicas = self.brokers.len().min(3).to_string();
        properties.push(("default.replication.factor", replicas));
        // The controller needs the configuration of the authorizer too.
        let configs = self.options.broker_configs.iter();
        let of_rights = configs.filter(|(key, _)| RIGHTS.contains(&&**key));
        properties.extend(of_rights.map(|(key, value)| (&**key, value.clone())));
        let file = self.write_properties("coordinator", &properties)?;
        self.format_storage(&file)?;
        self.run_node(
            "coordinator",
            &self.jars,
            COORDINATOR_HEAP_MB * 2,
            &["kafka.Kafka", &file],
        )
    }

    fn session_timeout_ms(&self) -> String {
        self.options.session_timeout.as_millis().to_string()
    }

    fn controller_configs(&self) -> Vec<(&'static str, String)> {
        let voter = format!("{CONTROLLER_ID}@127.0.0.1:{}", self.coordinator.port);
        vec![
            ("controller.quorum.voters", voter),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
                 SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"
                    .to_owned(),
            ),
            ("broker.session.timeout.ms", self.session_timeout_ms()),
            ("broker.heartbeat.interval.ms", "500".to_owned()),
        ]
    }

    /// KRaft brokers require formatted storage.
    fn format_storage(&self, properties: &str) -> Result<()> {
        let mut jvm = self.run_node(
            "format",
            &self.jars,
            COORDINATOR_HEAP_MB,
            &[
                "kafka.tools.StorageTool",
                "format",
                "--cluster-id",
                CLUSTER_ID,
                "--ignore-formatted",
                "--config",
                properties,
            ],
        )?;
        let status = jvm.wait(START_TIMEOUT)?;
        if status.success() {
            return Ok(());
        }
        let failure = Failure::new(format!("cannot format storage: {}", describe_exit(status)));
        Err(failure.with_details(&jvm.tail()))
    }

    pub(super) fn start_brokers(&mut self) -> Result<()> {
        for attempt in 1.. {
            // Start all, then wait for each.
            for index in 0..self.brokers.len() {
                if lock(&self.brokers[index]).jvm.is_none() {
                    self.ports[index] = self.pick_ports()?;
                    let mut state = lock(&self.brokers[index]);
                    state.jvm = Some(self.run_broker(index, &state)?);
                }
            }
            let mut lost = false;
            for index in 0..self.brokers.len() {
                let mut state = lock(&self.brokers[index]);
                let Err(failure) = self.await_broker(index, &mut state, &[index]) else {
                    continue;
                };
                let culprit = state.jvm.take_if(|jvm| lost_its_port(jvm));
                if attempt == PORT_ATTEMPTS || culprit.is_none() {
                    drop(state);
                    let failure = failure.during(format!("broker {index} did not start"));
                    return self.explained(Err(failure));
                }
                lost = true;
            }
            if !lost {
                return self.await_all();
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Waits until the metadata of every broker lists all brokers.
    fn await_all(&self) -> Result<()> {
        let everyone: Vec<usize> = (0..self.brokers.len()).collect();
        for index in 0..self.brokers.len() {
            let mut state = lock(&self.brokers[index]);
            self.await_broker(index, &mut state, &everyone)?;
            state.has_run = true;
        }
        Ok(())
    }

    fn pick_ports(&self) -> Result<Vec<(String, u16)>> {
        let names =
            std::iter::once("PLAINTEXT").chain(self.options.listeners.iter().map(String::as_str));
        names
            .map(|name| Ok((name.to_owned(), free_port()?)))
            .collect()
    }

    pub(super) fn run_broker(&self, index: usize, state: &BrokerState) -> Result<Jvm> {
        let name = broker_name(index);
        let (jars, configs) = match &state.upgrade {
            Some(upgrade) => (&upgrade.jars, &upgrade.configs),
            None => (&self.jars, &self.options.broker_configs),
        };
        let mut properties = self.broker_configs(index, &self.ports[index]);
        for (key, value) in configs {
            properties.push((key, value.replace("{id}", &index.to_string())));
        }
        let file = self.write_properties(&name, &properties)?;
        let zookeeper = format!("127.0.0.1:{}", self.coordinator.port);
        let node = format!("/brokers/ids/{index}");
        let mut arguments = Vec::new();
        if !self.coordinator.is_zookeeper {
            self.format_storage(&file)?;
        } else if state.has_run {
            arguments.extend(["--await-gone", &zookeeper, &node]);
        }
        arguments.extend(["kafka.Kafka", &file]);
        self.run_node(&name, jars, self.options.heap_mb, &arguments)
    }

    fn broker_configs(&self, index: usize, ports: &[(String, u16)]) -> Vec<(&str, String)> {
        let replicas = self.brokers.len().min(3);
        let in_sync = replicas.div_ceil(2);
        let listeners: Vec<String> = ports
            .iter()
            .map(|(name, port)| format!("{name}://127.0.0.1:{port}"))
            .collect();
        let listeners = listeners.join(",");
        let mut properties = if self.coordinator.is_zookeeper {
            vec![
                ("broker.id", index.to_string()),
                (
                    "zookeeper.connect",
                    format!("127.0.0.1:{}", self.coordinator.port),
                ),
                ("zookeeper.session.timeout.ms", self.session_timeout_ms()),
                ("zookeeper.connection.timeout.ms", "60000".to_owned()),
            ]
        } else {
            let mut properties = self.controller_configs();
            properties.push(("process.roles", "broker".to_owned()));
            properties.push(("node.id", index.to_string()));
            properties
        };
        properties.extend([
            ("listeners", listeners.clone()),
            ("advertised.listeners", listeners),
            (
                "log.dirs",
                self.folder.join(broker_name(index)).display().to_string(),
            ),
            ("auto.create.topics.enable", "false".to_owned()),
            // The default from 1.0 on.
            ("delete.topic.enable", "true".to_owned()),
            ("default.replication.factor", replicas.to_string()),
            ("offsets.topic.replication.factor", replicas.to_string()),
            ("offsets.topic.num.partitions", "5".to_owned()),
            (
                "transaction.state.log.replication.factor",
                replicas.to_string(),
            ),
            ("transaction.state.log.min.isr", in_sync.to_string()),
            ("transaction.state.log.num.partitions", "5".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            ("num.network.threads", "2".to_owned()),
            ("num.io.threads", "4".to_owned()),
            ("log.cleaner.dedupe.buffer.size", "2097152".to_owned()),
            // Tests send records with timestamps of years ago. A segment with such records only would be deleted by
            // retention at the next check.
            ("log.retention.ms", "-1".to_owned()),
        ]);
        properties
    }

    /// Waits until a started broker responds, and its metadata has the expected brokers and all topics.
    pub(super) fn await_broker(
        &self,
        index: usize,
        state: &mut BrokerState,
        wanted: &[usize],
    ) -> Result<()> {
        const PATIENCE_MS: u32 = 3_000;
        let deadline = Instant::now() + START_TIMEOUT;
        let port = self.port(index);
        let jvm = state
            .jvm
            .as_mut()
            .ok_or_else(|| Failure::new("the broker is not started"))?;
        wait_for_port(jvm, port)?;
        loop {
            let topics = lock(&self.topics).clone();
            let topics = topics.iter().map(String::as_str);
            let answer = self
                .helper()
                .run(&await_call(port, PATIENCE_MS, wanted, topics));
            if let Some(status) = jvm.exit()? {
                let how = describe_exit(status);
                let failure = Failure::new(format!("broker {index} ended with {how}"));
                return Err(failure.with_details(&jvm.tail()));
            }
            match answer {
                Ok(()) => return Ok(()),
                Err(failure) if Instant::now() > deadline => return Err(failure),
                Err(_) => {}
            }
        }
    }

    fn run_node(&self, name: &str, jars: &Jars, heap_mb: u32, arguments: &[&str]) -> Result<Jvm> {
        let mut all = vec!["kafkaproducer.testing.Node".to_owned()];
        all.extend(arguments.iter().map(ToString::to_string));
        Jvm::start(&JvmCommand {
            name: name.to_owned(),
            jars,
            folder: &self.folder,
            heap_mb,
            arguments: all,
            piped_output: false,
            jaas: self.jaas_file(name)?,
            system_properties: &self.options.system_properties,
            logs_handshakes: self.options.logs_handshakes && name.starts_with("broker"),
        })
    }

    /// Writes the JAAS file of a broker; `None` for another server, or if the options have no JAAS text.
    fn jaas_file(&self, name: &str) -> Result<Option<PathBuf>> {
        let Some(text) = self
            .options
            .jaas
            .as_ref()
            .filter(|_| name.starts_with("broker"))
        else {
            return Ok(None);
        };
        let path = self.folder.join("jaas.conf");
        fs::write(&path, text).context(|| format!("cannot write {}", path.display()))?;
        Ok(Some(path))
    }

    /// Writes a properties file; a later line overrides an earlier one with the same key.
    fn write_properties(&self, name: &str, lines: &[(&str, String)]) -> Result<String> {
        let path = self.folder.join(format!("{name}.properties"));
        let escaped = |value: &str| value.replace('\\', "\\\\").replace('\n', "\\n");
        let mut text = String::new();
        for (key, value) in lines {
            writeln!(text, "{key}={}", escaped(value)).expect("writing to a string cannot fail");
        }
        fs::write(&path, text).context(|| format!("cannot write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

/// The helper's call that polls a broker until its metadata has these brokers and topics.
pub(super) fn await_call<'t>(
    port: u16,
    timeout_ms: u32,
    brokers: &[usize],
    topics: impl IntoIterator<Item = &'t str>,
) -> Call {
    let mut call = Call::new("await-broker").text(&format!("127.0.0.1:{port}"));
    call = call.number(&timeout_ms).number(&brokers.len());
    for id in brokers {
        call = call.number(id);
    }
    topics.into_iter().fold(call, Call::text)
}
fn wait_for_port(jvm: &mut Jvm, port: u16) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    loop {
        if let Some(status) = jvm.exit()? {
            let how = describe_exit(status);
            let failure = Failure::new(format!("the server for {address} ended with {how}"));
            return Err(failure.with_details(&jvm.tail()));
        }
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let failure = Failure::new(format!("nothing listens on {address} in time"));
            return Err(failure.with_details(&jvm.tail()));
        }
        std::thread::sleep(POLL);
    }
}

/// Whether the start failed because the port was in use.
pub(super) fn lost_its_port(jvm: &Jvm) -> bool {
    let tail = jvm.tail();
    tail.contains("Address already in use") || tail.contains("BindException")
}
