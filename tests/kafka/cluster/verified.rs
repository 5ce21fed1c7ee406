//! The invariant of Kafka's system tests with the verifiable producer, applied to ours: while leaders are killed, every
//! value reported as acknowledged is consumed; with idempotence, exactly once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::{PARTITIONS, cluster};
use crate::harness::Cluster;
use crate::runner::{TestResult, tests};

tests![every_value_acknowledged_to_the_verifiable_producer_is_consumed_although_leaders_are_killed];

const OURS: &str = env!("CARGO_BIN_EXE_kafka-verifiable-producer");
const FAULTS: usize = 5;
/// Records per second.
const RATE: &str = "500";
/// Timeout of a wait for the next line of a tool's output.
const SILENCE: Duration = Duration::from_secs(120);
/// Number of records that must be acknowledged after a fault until the tool counts as recovered.
const ENOUGH: usize = 500;

/// The properties that Kafka's system tests use.
const IDEMPOTENT: &str =
    "max.in.flight.requests.per.connection=5\nretries=1000000\nenable.idempotence=true\n";

/// The tool's default: without retries.
const PLAIN: &str = "";

struct Tool {
    child: Child,
    lines: Receiver<String>,
    acknowledged: Vec<String>,
    failed: usize,
    names: Vec<String>,
}

impl Tool {
    fn start(
        cluster: &Cluster,
        topic: &str,
        properties: &str,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        cluster.create_topic(topic, PARTITIONS as i32, &[])?;
        let file = cluster.folder().join(format!("{topic}.properties"));
        std::fs::write(&file, properties)?;
        let mut child = Command::new(OURS)
            .args(["--topic", topic, "--throughput", RATE])
            .args(["--broker-list", &cluster.bootstrap_servers()])
            .arg("--producer.config")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or("its output is piped")?;
        let (sender, lines) = channel();
        // The thread ends when the tool closes its output.
        std::thread::Builder::new()
            .name(format!("{topic}-output"))
            .spawn(move || {
                for line in BufReader::new(output)
                    .lines()
                    .map_while(std::io::Result::ok)
                {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            child,
            lines,
            acknowledged: Vec::new(),
            failed: 0,
            names: Vec::new(),
        })
    }

    fn note_line(&mut self, line: &str) -> TestResult {
        let event: Value = serde_json::from_str(line)?;
        let name = event["name"].as_str().ok_or("every line has a name")?;
        match name {
            "producer_send_success" => {
                let value = event["value"].as_str().ok_or("a record has a value")?;
                self.acknowledged.push(value.to_owned());
            }
            "producer_send_error" => self.failed += 1,
            other => self.names.push(other.to_owned()),
        }
        Ok(())
    }

    /// Waits until `ENOUGH` more records are acknowledged.
    fn await_progress(&mut self) -> TestResult {
        while let Ok(line) = self.lines.try_recv() {
            self.note_line(&line)?;
        }
        let wanted = self.acknowledged.len() + ENOUGH;
        while self.acknowledged.len() < wanted {
            let line = self.lines.recv_timeout(SILENCE)?;
            self.note_line(&line)?;
        }
        Ok(())
    }

    /// Stops the tool with SIGTERM, as Kafka's system tests do.
    fn stop(&mut self) -> TestResult {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        while let Ok(line) = self.lines.recv_timeout(SILENCE) {
            self.note_line(&line)?;
        }
        let status = self.child.wait()?;
        assert_eq!(status.code(), Some(143));
        let names = ["startup_complete", "shutdown_complete", "tool_data"];
        assert_eq!(self.names, names);
        Ok(())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // The tool may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn every_value_acknowledged_to_the_verifiable_producer_is_consumed_although_leaders_are_killed()
-> TestResult {
    let cluster = cluster()?;
    let topics = ["verified-idempotent", "verified-plain"];
    let mut tools = vec![
        Tool::start(&cluster, topics[0], IDEMPOTENT)?,
        Tool::start(&cluster, topics[1], PLAIN)?,
    ];
    for _ in 0..FAULTS {
        for tool in &mut tools {
            tool.await_progress()?;
        }
        let leader = cluster.leader_of(topics[0], 0)?;
        let broker = cluster.broker(leader);
        broker.kill()?;
        for tool in &mut tools {
            tool.await_progress()?;
        }
        broker.start()?;
        cluster.await_in_sync()?;
    }
    for (tool, topic) in tools.iter_mut().zip(topics) {
        tool.await_progress()?;
        tool.stop()?;
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        cluster.read_back(topic, |record| {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default());
            *copies.entry(value.into_owned()).or_default() += 1;
        })?;
        let twice = copies.values().filter(|copies| **copies > 1).count();
        let lost = tool.acknowledged.iter();
        let lost = lost.filter(|value| !copies.contains_key(*value)).count();
        println!(
            "    {topic}: {} acknowledged, {} failed, {} consumed; {lost} lost, {twice} twice, {FAULTS} leaders killed",
            tool.acknowledged.len(),
            tool.failed,
            copies.len()
        );
        assert_eq!((lost, twice), (0, 0), "{topic}");
        cluster.delete_topic(topic)?;
    }
    assert_eq!(tools[0].failed, 0, "what is sent again arrives");
    Ok(())
}
