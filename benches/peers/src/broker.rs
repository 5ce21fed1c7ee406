//! The brokers: the repository's embedded broker in a separate process, and Apache Kafka.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::measure::{Processes, children};
use crate::process::LineProcess;
use crate::scenario::{Scenario, TOPIC};

pub struct Broker {
    process: LineProcess,
    pub bootstrap: String,
    /// The authority to trust, if the broker uses TLS.
    pub authority: Option<PathBuf>,
    /// The processes whose CPU time counts as the broker's.
    pub processes: Processes,
}

/// The examples that run the brokers, built in the repository's root.
pub const EXAMPLES: [&str; 2] = ["embedded_broker", "local_kafka"];

/// The authority of the embedded broker's certificate, as a path in the repository.
const AUTHORITY: &str = "examples/tls_sasl/authority.pem";

/// Timeout of a start: the first start of a version downloads it.
const LONGEST_START: Duration = Duration::from_secs(600);
const LONGEST_END: Duration = Duration::from_secs(20);

/// Short retention, so that hours of records do not fill the disk.
const KAFKA_CONFIGS: [&str; 4] = [
    "log.retention.bytes=33554432",
    "log.segment.bytes=16777216",
    "log.retention.check.interval.ms=1000",
    "log.segment.delete.delay.ms=0",
];

impl Broker {
    /// Starts the scenario's broker, and creates the topic.
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
        let mut process = LineProcess::start(&scenario.broker, command, log, LONGEST_END)?;
        let bootstrap = loop {
            let line = process.read_line(LONGEST_START).with_context(|| {
                format!("{} does not start; see {}", scenario.broker, log.display())
            })?;
            if let Some(servers) = line.strip_prefix("bootstrap.servers=") {
                break servers.to_owned();
            }
        };
        let root = process.id();
        // The processes of Apache Kafka are children of the example.
        let processes = match children(root).first() {
            Some(_) => Processes::of(root),
            None if kafka.is_some() => bail!("{} has no process", scenario.broker),
            None => Processes::of(root),
        };
        Ok(Self {
            process,
            bootstrap,
            authority,
            processes,
        })
    }

    /// The number of batches that the embedded broker has received.
    pub fn batches(&mut self) -> Result<u64> {
        self.process.write_line("count")?;
        let line = self.process.read_line(Duration::from_secs(20))?;
        let number = line.strip_suffix(" batches").map(str::parse);
        number
            .and_then(std::result::Result::ok)
            .with_context(|| format!("the broker printed: {line}"))
    }

    /// Makes a node hang: it receives requests, and does not respond.
    pub fn hang(&mut self, node: usize) -> Result<()> {
        self.process.write_line(&format!("hang {node}"))?;
        let line = self.process.read_line(Duration::from_secs(5))?;
        ensure!(line.contains("no longer"), "the broker printed: {line}");
        Ok(())
    }
}
