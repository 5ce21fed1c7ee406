//! All results of a run: `raw.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use driver_kit::About;
use serde::{Deserialize, Serialize};

use crate::measure::Usage;
use crate::scenario::Scenario;
use crate::stats::Latencies;

/// One run of the benchmark.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub machine: Machine,
    /// The commit of the library, with the suffix `-changed` if there were uncommitted changes.
    pub commit: String,
    pub started: String,
    pub seed: u64,
    pub command: Vec<String>,
    pub clients: Vec<Client>,
    pub scenarios: Vec<Measured>,
}

/// The machine of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub processors: usize,
    pub memory_mib: u64,
    pub kernel: String,
    pub rustc: String,
    pub java: String,
    /// The load average at the start of the run.
    pub load_average: String,
}

/// A client of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub name: String,
    pub display: String,
    /// The reason of a failed build.
    pub build_error: Option<String>,
}

/// A finished scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub scenario: Scenario,
    pub clients: BTreeMap<String, Outcome>,
    /// The outcome of our client in the paired scenario, in the same rounds.
    #[serde(default)]
    pub beside: Option<Outcome>,
    /// The duration of the scenario, starts and warm-up included.
    pub seconds: f64,
}

/// The outcome of a client in a scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // There are few values.
pub enum Outcome {
    /// The reason why there are no figures.
    None(String),
    Figures(Figures),
}

/// The measurements of a client in a scenario.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Figures {
    pub about: About,
    pub warm_up: Vec<Round>,
    /// Whether the cost per record was stable when the counted rounds began.
    pub settled: bool,
    pub rounds: Vec<Round>,
    /// The peak memory from the start of the process until the counted rounds.
    pub peak_kib_before: u64,
    /// The peak memory in the counted rounds; `None` if peaks cannot be reset.
    pub peak_kib_rounds: Option<u64>,
    pub threads: u64,
    #[serde(default)]
    pub extras: Extras,
    /// Totals, if the rounds were read from the published part and lack latencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
}

/// Figures of all rounds together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// User and system time; the kernel counts them separately only in ticks.
    pub user_ns: u64,
    pub system_ns: u64,
    pub latencies: Option<Percentiles>,
}

impl Figures {
    pub fn totals(&self) -> Totals {
        self.totals.unwrap_or_else(|| Totals {
            user_ns: self.rounds.iter().map(|round| round.client.user_ns).sum(),
            system_ns: self.rounds.iter().map(|round| round.client.system_ns).sum(),
            latencies: Percentiles::of(&self.rounds),
        })
    }
}

/// Latency percentiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Percentiles {
    /// The percentiles of the records of all rounds; `None` without latencies.
    fn of(rounds: &[Round]) -> Option<Self> {
        let all = Latencies::merge(rounds.iter().map(|round| round.latency_ns.as_slice()));
        let micros = |percent| Some(all.percentile(percent)? as f64 / 1e3);
        Some(Self {
            p50: micros(50.0)?,
            p99: micros(99.0)?,
            p999: micros(99.9)?,
            max: micros(100.0)?,
        })
    }
}

/// One round of a client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The position of the client in the shuffled order of the round.
    pub position: usize,
    pub sent: u64,
    pub acked: u64,
    pub failed: u64,
    pub first_error: Option<String>,
    pub seconds: f64,
    pub client: Usage,
    pub broker_cpu_ns: u64,
    /// The time of a just-in-time compiler, as the driver reports it.
    #[serde(default)]
    pub compiling_ns: u64,
    pub latency_ns: Vec<(u64, u64)>,
    /// The driver's counters; for growth curves also what the broker and the threads of the producer counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
}

impl Round {
    /// Divides a sum by the number of acknowledged records.
    pub fn per_record(&self, sum: f64) -> f64 {
        sum / self.acked as f64
    }

    pub fn cpu_ns_per_record(&self) -> f64 {
        self.per_record(self.client.cpu_ns as f64)
    }

    /// The share of a just-in-time compiler in the CPU time.
    pub fn compiling_share(&self) -> f64 {
        self.compiling_ns as f64 / (self.client.cpu_ns as f64).max(1.0)
    }

    pub fn records_per_second(&self) -> f64 {
        self.acked as f64 / self.seconds
    }
}

/// A figure, or the reason why there is none.
pub type Counted<T> = std::result::Result<T, String>;

/// Counts from separate processes, apart from the rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Extras {
    /// Allocations per record on the sending threads.
    pub allocations_callers: Option<Counted<f64>>,
    /// Allocations per record in the whole process.
    pub allocations_process: Option<Counted<f64>>,
    /// Instructions per record in the whole process.
    pub instructions: Option<Counted<f64>>,
    /// System calls per record, by the name of the thread.
    pub syscalls: Option<Counted<BTreeMap<String, f64>>>,
}

pub const FILE: &str = "raw.json";

impl Run {
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is of no use", file.display()))
    }

    /// Replaces the file as a whole, so that an interruption leaves the old or the new one.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (file, beside) = (folder.join(FILE), folder.join("raw.json.new"));
        fs::write(&beside, serde_json::to_string(self)?)
            .and_then(|()| fs::rename(&beside, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Adds a scenario, in the order of `order`.
    pub fn add(&mut self, measured: Measured, order: &[Scenario]) {
        self.scenarios.push(measured);
        self.scenarios.sort_by_key(|measured| {
            order
                .iter()
                .position(|scenario| scenario.name == measured.scenario.name)
        });
    }

    pub fn scenario(&self, name: &str) -> Option<&Measured> {
        self.scenarios
            .iter()
            .find(|measured| measured.scenario.name == name)
    }
}

impl Measured {
    pub fn figures(&self, client: &str) -> Option<&Figures> {
        self.clients.get(client)?.figures()
    }
}

impl Outcome {
    pub fn figures(&self) -> Option<&Figures> {
        match self {
            Self::Figures(figures) => Some(figures),
            Self::None(_) => None,
        }
    }
}
