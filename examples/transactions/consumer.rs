//! The source of orders. Any consumer that provides offsets and can seek to the committed offsets can be used.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use kafka_producer::TopicPartition;
use kafka_producer::testing::TestCluster;

use crate::{GROUP, ORDERS, PARTITIONS, Result};

/// Records per transaction, at most.
const BATCH: usize = 10;

/// A consumed record.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) text: String,
}

pub(crate) trait Consumer {
    /// The next records; empty when there are no more.
    fn poll(&mut self) -> Result<Vec<Order>>;

    /// Seeks to the committed offsets of the group.
    fn rewind(&mut self) -> Result<()>;
}

/// Reads the log of the embedded broker.
pub(crate) struct EmbeddedConsumer<'c> {
    cluster: &'c TestCluster,
    /// The next offset of each partition.
    next: Vec<i64>,
}

impl<'c> EmbeddedConsumer<'c> {
    pub(crate) fn new(cluster: &'c TestCluster) -> Self {
        let next = vec![0; PARTITIONS as usize];
        Self { cluster, next }
    }
}

impl Consumer for EmbeddedConsumer<'_> {
    fn poll(&mut self) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        for (partition, next) in (0..PARTITIONS).zip(&mut self.next) {
            for record in self.cluster.read_committed(ORDERS, partition) {
                if record.offset >= *next && orders.len() < BATCH {
                    *next = record.offset + 1;
                    orders.push(Order {
                        partition,
                        offset: record.offset,
                        text: String::from_utf8(record.value.unwrap_or_default())?,
                    });
                }
            }
        }
        Ok(orders)
    }

    fn rewind(&mut self) -> Result<()> {
        let committed = self.cluster.committed_offsets(GROUP);
        for (partition, next) in (0..PARTITIONS).zip(&mut self.next) {
            let committed = committed.get(&TopicPartition::new(ORDERS, partition));
            *next = committed.map_or(0, |committed| committed.offset);
        }
        Ok(())
    }
}

/// Runs Kafka's console consumer, and parses its output.
pub(crate) struct ConsoleConsumer {
    command: String,
    servers: String,
    tool: Child,
    lines: Receiver<String>,
}

impl ConsoleConsumer {
    pub(crate) fn new(command: &str, servers: &str) -> Result<Self> {
        let (tool, lines) = start(command, servers)?;
        Ok(Self {
            command: command.to_owned(),
            servers: servers.to_owned(),
            tool,
            lines,
        })
    }

    /// Stops the tool. Its membership in the group ends after `session.timeout.ms`.
    fn end(&mut self) {
        // It may have exited already.
        let _ = self.tool.kill();
        let _ = self.tool.wait();
    }
}

/// Starts the tool at the committed offsets of the group; it commits none itself.
fn start(command: &str, servers: &str) -> Result<(Child, Receiver<String>)> {
    let mut words = command.split_whitespace();
    let mut tool = Command::new(words.next().ok_or("--consumer takes a command")?)
        .args(words)
        .args(["--bootstrap-server", servers, "--topic", ORDERS])
        .args(["--group", GROUP, "--from-beginning"])
        .args([
            "--isolation-level",
            "read_committed",
            "--timeout-ms",
            "10000",
        ])
        .args(["--consumer-property", "enable.auto.commit=false"])
        .args(["--consumer-property", "session.timeout.ms=6000"])
        .args(["--property", "print.partition=true"])
        .args(["--property", "print.offset=true"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run {command}: {error}"))?;
    let output = tool.stdout.take().ok_or("its output is piped")?;
    let (sender, lines) = channel();
    // The thread ends when the tool closes its output.
    thread::spawn(move || {
        for line in BufReader::new(output)
            .lines()
            .map_while(std::io::Result::ok)
        {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok((tool, lines))
}

impl Consumer for ConsoleConsumer {
    fn poll(&mut self) -> Result<Vec<Order>> {
        // The tool exits when no record has arrived for a while.
        let first = self.lines.recv().ok();
        let more = self.lines.try_iter().take(BATCH - 1);
        first
            .into_iter()
            .chain(more)
            .map(|line| parse(&line))
            .collect()
    }

    fn rewind(&mut self) -> Result<()> {
        self.end();
        (self.tool, self.lines) = start(&self.command, &self.servers)?;
        Ok(())
    }
}

impl Drop for ConsoleConsumer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Parses `Partition:0`, a tab, `Offset:17`, a tab, and the value.
fn parse(line: &str) -> Result<Order> {
    let fields = || {
        let (partition, rest) = line.strip_prefix("Partition:")?.split_once('\t')?;
        let (offset, text) = rest.strip_prefix("Offset:")?.split_once('\t')?;
        Some(Order {
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
            text: text.to_owned(),
        })
    };
    fields().ok_or_else(|| format!("the console tool printed {line:?}").into())
}
