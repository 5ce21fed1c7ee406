//! The brokers: the repository's embedded one in a process of its own, and Apache Kafka.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::measure::{Processes, children};
use crate::process::Talker;
use crate::scenario::{Scenario, TOPIC};

pub struct Broker {
    talker: Talker,
    pub bootstrap: String,
    /// Where it speaks TLS: whom to trust.
    pub authority: Option<PathBuf>,
    /// Whose CPU is the broker's.
    pub processes: Processes,
}

/// Built from the repository's root.
pub const EXAMPLES: [&str; 2] = ["embedded_broker", "local_kafka"];

/// Of the embedded broker's certificate, in the repository.
const AUTHORITY: &str = "examples/tls_sasl/authority.pem";

/// A first start of a version downloads it.
const LONGEST_START: Duration = Duration::from_secs(600);
const LONGEST_END: Duration = Duration::from_secs(20);

/// So that hours of records do not fill the disk.
const KAFKA_CONFIGS: [&str; 4] = [
    "log.retention.bytes=33554432",
    "log.segment.bytes=16777216",
    "log.retention.check.interval.ms=1000",
    "log.segment.delete.delay.ms=0",
];

impl Broker {
    /// Starts what the scenario asks for, with the topic.
    pub fn start(root: &Path, scenario: &Scenario, log: &Path) -> Result<Self> {
        let kafka = scenario.broker.strip_prefix("kafka-");
        let program = if kafka.is_some() {
            EXAMPLES[1]
        } else {
            EXAMPLES[0]
        };
        let mut command = Command::new(root.join("target/release/examples").join(program));
        command.current_dir(root);
        command.args(["--topic", &format!("{TOPIC}:{}", scenario.partitions)]);
        let authority = scenario.is_sealed().then(|| root.join(AUTHORITY));
        if authority.is_some() {
            command.arg("--tls");
        }
        match kafka {
            None => command.args(["--sink", "--nodes", &scenario.nodes.to_string()]),
            Some(version) => {
                ensure!(
                    scenario.nodes == 1,
                    "Apache Kafka is started with one broker"
                );
                KAFKA_CONFIGS
                    .iter()
                    .fold(command.args(["--version", version]), |command, line| {
                        command.args(["--config", line])
                    })
            }
        };
        let mut talker = Talker::start(&scenario.broker, command, log, LONGEST_END)?;
        let bootstrap = loop {
            let line = talker.hear(LONGEST_START).with_context(|| {
                format!("{} does not start; see {}", scenario.broker, log.display())
            })?;
            if let Some(servers) = line.strip_prefix("bootstrap.servers=") {
                break servers.to_owned();
            }
        };
        let root = talker.id();
        // Kafka's own processes are those that the program started.
        let processes = match children(root).first() {
            Some(_) => Processes::of(root),
            None if kafka.is_some() => bail!("{} has no process", scenario.broker),
            None => Processes::of(root),
        };
        Ok(Self {
            talker,
            bootstrap,
            authority,
            processes,
        })
    }

    /// Lets a node take requests and answer none.
    pub fn hang(&mut self, node: usize) -> Result<()> {
        self.talker.tell(&format!("hang {node}"))?;
        let said = self.talker.hear(Duration::from_secs(5))?;
        ensure!(said.contains("no more"), "the broker says: {said}");
        Ok(())
    }
}
