//! The scenarios: the table in `scenarios.toml`.

use anyhow::{Context, Result, bail, ensure};
use driver_kit::Setup;
use serde::{Deserialize, Serialize};

/// One row of the table. Keys that the row does not set have the values of the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub quick: bool,
    /// Whether it runs only if it is named on the command line.
    #[serde(default)]
    pub by_name: bool,
    /// Whether the floors take part. They do not where their requests would be those of another scenario.
    #[serde(default = "yes")]
    pub floors: bool,
    pub broker: String,
    #[serde(default)]
    pub security: Security,
    pub nodes: usize,
    pub partitions: i32,
    #[serde(default)]
    pub partition: Option<i32>,
    pub payload_bytes: usize,
    #[serde(default)]
    pub payload_kind: PayloadKind,
    pub key_bytes: usize,
    pub acks: String,
    pub idempotent: bool,
    pub linger_ms: u64,
    pub batch_bytes: usize,
    pub buffer_bytes: usize,
    pub max_in_flight: usize,
    #[serde(default = "none")]
    pub compression: String,
    pub request_timeout_ms: u64,
    pub delivery_timeout_ms: u64,
    pub defaults: bool,
    pub threads: usize,
    /// The number of producers in the process, which share the threads.
    #[serde(default = "one")]
    pub producers: usize,
    pub callback: bool,
    pub mode: Mode,
    #[serde(default)]
    pub per_second: Option<f64>,
    /// The time between two wake-ups of sending threads; `None` if each record of mode `rate` has its own time.
    #[serde(default)]
    pub tick_ms: Option<f64>,
    /// The number of records in a group.
    #[serde(default)]
    pub group: Option<u64>,
    /// Whether each group is a transaction.
    #[serde(default)]
    pub transactional: bool,
    #[serde(default)]
    pub give_up_ms: Option<u64>,
    #[serde(default)]
    pub hang_node: Option<usize>,
    /// The length of a round in seconds; overrides the command line.
    #[serde(default)]
    pub round_seconds: Option<f64>,
    /// The number of counted rounds; overrides the command line.
    #[serde(default)]
    pub rounds: Option<usize>,
    /// The name of another scenario for comparison. In each round our client also runs in the other scenario, in a
    /// separate process.
    #[serde(default)]
    pub beside: Option<String>,
    #[serde(default)]
    pub extras: Vec<Extra>,
}

/// The content of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadKind {
    /// Random bytes, which cannot be compressed.
    #[default]
    Random,
    /// JSON events.
    Json,
}

/// The security protocol, as Kafka names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Security {
    #[default]
    Plaintext,
    /// TLS 1.3 with AES-256-GCM; the brokers accept nothing else.
    Ssl,
}

/// When records are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Blast,
    OneByOne,
    Rate,
    Groups,
    Idle,
}

/// A count that is measured in separate runs, and only for our client and the floors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    Allocations,
    Instructions,
    Syscalls,
}

impl Mode {
    /// The mode in the protocol of drivers; `None` if nothing is sent.
    pub fn of_driver(self) -> Option<driver_kit::Mode> {
        match self {
            Self::Blast => Some(driver_kit::Mode::Blast),
            Self::OneByOne => Some(driver_kit::Mode::OneByOne),
            Self::Rate => Some(driver_kit::Mode::Rate),
            Self::Groups => Some(driver_kit::Mode::Groups),
            Self::Idle => None,
        }
    }

    /// Whether latencies of records or groups are measured.
    pub fn has_latencies(self) -> bool {
        matches!(self, Self::OneByOne | Self::Rate | Self::Groups)
    }
}

/// The name of the scenario from which all others differ.
pub const BASE: &str = "base";

/// The values of `compression.type`.
const COMPRESSIONS: [&str; 5] = [NONE, "gzip", "snappy", "lz4", "zstd"];
const NONE: &str = "none";

fn yes() -> bool {
    true
}

/// The default in results of old versions, which had no such key.
fn none() -> String {
    NONE.to_owned()
}

fn one() -> usize {
    1
}

/// The topic of every scenario.
pub const TOPIC: &str = "bench";

impl Scenario {
    /// The setup command for drivers.
    pub fn setup(
        &self,
        bootstrap: &str,
        authority: Option<&str>,
        payloads: &str,
        keys: Option<&str>,
    ) -> Setup {
        Setup {
            bootstrap: bootstrap.to_owned(),
            authority: authority.map(str::to_owned),
            topic: TOPIC.to_owned(),
            partitions: self.partitions,
            partition: self.partition,
            acks: self.acks.clone(),
            idempotent: self.idempotent,
            linger_ms: self.linger_ms,
            batch_bytes: self.batch_bytes,
            buffer_bytes: self.buffer_bytes,
            max_in_flight: self.max_in_flight,
            request_timeout_ms: self.request_timeout_ms,
            delivery_timeout_ms: self.delivery_timeout_ms,
            compression: self.compression.clone(),
            defaults: self.defaults,
            payloads: payloads.to_owned(),
            payload_bytes: self.payload_bytes,
            keys: keys.map(str::to_owned),
            key_bytes: self.key_bytes,
            threads: self.threads,
            producers: self.producers,
            callback: self.callback,
            transactional: self.transactional,
        }
    }

    /// Rounds a number of records to whole groups.
    pub fn whole_groups(&self, records: u64) -> u64 {
        let group = self.group.unwrap_or(1);
        (records / group).max(1) * group
    }

    /// Whether batches are compressed.
    pub fn compresses(&self) -> bool {
        self.compression != NONE
    }

    /// Whether the brokers use TLS.
    pub fn is_sealed(&self) -> bool {
        self.security == Security::Ssl
    }

    fn check(&self) -> Result<()> {
        let name = &self.name;
        ensure!(
            self.broker == "sink" || self.broker.strip_prefix("kafka-").is_some(),
            "{name}: broker is {:?}, neither \"sink\" nor \"kafka-VERSION\"",
            self.broker
        );
        ensure!(
            !self.is_sealed() || self.broker == "sink",
            "{name}: security \"SSL\" needs broker \"sink\""
        );
        ensure!(
            (self.mode == Mode::Rate) == self.per_second.is_some_and(|rate| rate > 0.0),
            "{name}: mode \"rate\" needs per_second above 0, and other modes have no per_second"
        );
        ensure!(
            (self.mode == Mode::Groups) == self.group.is_some_and(|group| group > 0),
            "{name}: mode \"groups\" needs group above 0, and other modes have no group"
        );
        ensure!(
            self.mode != Mode::Groups || self.threads == 1 && !self.callback,
            "{name}: mode \"groups\" needs threads = 1 and callback = false: the end of a group completes its records"
        );
        ensure!(
            !self.transactional || self.mode == Mode::Groups && self.idempotent,
            "{name}: transactional needs mode \"groups\" and idempotent = true"
        );
        ensure!(
            ["0", "1", "all"].contains(&self.acks.as_str()),
            "{name}: acks is {:?}",
            self.acks
        );
        ensure!(
            COMPRESSIONS.contains(&self.compression.as_str()),
            "{name}: compression is {:?}, and not one of {}",
            self.compression,
            COMPRESSIONS.join(", ")
        );
        ensure!(
            !self.idempotent || self.acks == "all",
            "{name}: idempotent = true needs acks=all"
        );
        ensure!(
            self.partition
                .is_none_or(|partition| (0..self.partitions).contains(&partition)),
            "{name}: there is no partition {:?}",
            self.partition
        );
        ensure!(
            self.hang_node
                .is_none_or(|node| node < self.nodes && self.broker == "sink"),
            "{name}: hang_node needs broker \"sink\" and the number of a node"
        );
        ensure!(self.threads > 0, "{name}: threads is 0");
        ensure!(
            !(self.quick && self.by_name),
            "{name}: by_name excludes quick"
        );
        Ok(())
    }

    /// Checks that the scenario for comparison exists, and that both scenarios have the mode `blast`.
    fn check_beside(&self, all: &[Self]) -> Result<()> {
        let Some(beside) = &self.beside else {
            return Ok(());
        };
        let other = all.iter().find(|other| other.name == *beside);
        ensure!(
            other.is_some_and(|other| (self.mode, other.mode) == (Mode::Blast, Mode::Blast)),
            "{}: beside is {beside:?}, but must name a scenario, and both scenarios need mode \"blast\"",
            self.name
        );
        Ok(())
    }
}

/// All scenarios of the table.
pub fn all() -> Result<Vec<Scenario>> {
    parse(include_str!("../scenarios.toml")).context("scenarios.toml")
}

fn parse(text: &str) -> Result<Vec<Scenario>> {
    let mut table: toml::Table = text.parse()?;
    let Some(toml::Value::Table(base)) = table.remove("base") else {
        bail!("there is no table [base]");
    };
    let Some(toml::Value::Array(rows)) = table.remove("scenario") else {
        bail!("there is no [[scenario]]");
    };
    let mut scenarios = Vec::<Scenario>::new();
    for row in rows {
        let toml::Value::Table(row) = row else {
            bail!("a scenario is no table");
        };
        let name = row
            .get("name")
            .and_then(toml::Value::as_str)
            .unwrap_or("?")
            .to_owned();
        let mut whole = base.clone();
        whole.extend(row);
        let scenario: Scenario = whole
            .try_into()
            .with_context(|| format!("scenario {name}"))?;
        scenario.check()?;
        ensure!(
            scenarios.iter().all(|other| other.name != scenario.name),
            "two scenarios are called {name}"
        );
        scenarios.push(scenario);
    }
    for scenario in &scenarios {
        scenario.check_beside(&scenarios)?;
    }
    Ok(scenarios)
}

/// The named scenarios, in the order of the table.
pub fn only(all: Vec<Scenario>, names: &[String]) -> Result<Vec<Scenario>> {
    for name in names {
        if !all.iter().any(|scenario| scenario.name == *name) {
            let known: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
            bail!(
                "there is no scenario {name:?}; there are {}",
                known.join(", ")
            );
        }
    }
    Ok(all
        .into_iter()
        .filter(|scenario| names.contains(&scenario.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound_and_begins_with_the_base() {
        let scenarios = all().unwrap();
        assert_eq!(scenarios[0].name, BASE);
        let quick = scenarios.iter().filter(|scenario| scenario.quick).count();
        assert_eq!(quick, 5, "the README has five columns");
    }

    #[test]
    fn floors_take_part_where_costs_are_compared_with_theirs() {
        let scenarios = all().unwrap();
        let by_name = scenarios.iter().filter(|scenario| scenario.by_name);
        assert_eq!(by_name.count(), 8, "the others always run");
        for scenario in &scenarios {
            let needs = scenario.quick || scenario.compresses() || scenario.is_sealed();
            assert!(scenario.floors || !needs, "{}", scenario.name);
        }
    }

    #[test]
    fn one_factor_scenarios_differ_from_the_base_in_the_named_factor_only() {
        let scenarios = all().unwrap();
        let named = |name: &str| scenarios.iter().find(|s| s.name == name).unwrap().clone();
        let mut size = named("size-1000");
        assert_eq!(size.payload_bytes, 1_000);
        let base = named(BASE);
        size.payload_bytes = base.payload_bytes;
        size.name.clone_from(&base.name);
        size.title.clone_from(&base.title);
        size.extras.clone_from(&base.extras);
        assert_eq!(size, base);
    }

    fn with(row: &str) -> Result<Vec<Scenario>> {
        let text = include_str!("../scenarios.toml");
        parse(&format!(
            "{text}\n[[scenario]]\nname = \"x\"\ntitle = \"x\"\n{row}"
        ))
    }

    #[test]
    fn an_invalid_row_is_rejected_and_named() {
        for (row, says) in [
            ("acks = \"2\"", "acks is"),
            ("mode = \"rate\"", "per_second"),
            ("per_second = 5", "per_second"),
            ("group = 5", "group above 0"),
            ("mode = \"groups\"\ngroup = 5", "callback = false"),
            ("transactional = true", "transactional needs"),
            ("compression = \"brotli\"", "compression is"),
            ("payload_kind = \"xml\"", "xml"),
            ("security = \"SASL_SSL\"", "SASL_SSL"),
            (
                "security = \"SSL\"\nbroker = \"kafka-3.0.0\"",
                "needs broker",
            ),
            ("idempotent = true", "acks=all"),
            ("partition = 12", "no partition"),
            ("broker = \"redpanda\"", "neither"),
            ("hang_node = 1", "hang_node"),
            ("beside = \"bsae\"", "beside is"),
            ("beside = \"rate-10000\"", "beside is"),
            ("liger_ms = 5", "liger_ms"),
            ("quick = true\nby_name = true", "by_name excludes"),
        ] {
            let error = format!("{:#}", with(row).unwrap_err());
            assert!(
                error.contains(says) && error.contains('x'),
                "{row}: {error}"
            );
        }
    }

    #[test]
    fn names_on_the_command_line_keep_the_tables_order() {
        let names = ["one-by-one".to_owned(), "base".to_owned()];
        let chosen = only(all().unwrap(), &names).unwrap();
        assert_eq!(chosen[0].name, "base");
        assert_eq!(chosen.len(), 2);
        assert!(
            only(all().unwrap(), &["bsae".to_owned()])
                .unwrap_err()
                .to_string()
                .contains("one-by-one")
        );
    }
}
