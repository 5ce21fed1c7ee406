//! The points of the curves, and what was measured at each: `growth.jsonl`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::Args;
use crate::raw::{self, Figures, Machine};
use crate::run::{BATCHES, SENDER_CPU_NS};
use crate::scenario::{self, BASE, Mode, Scenario};
use crate::stats::Figure;

/// What grows along a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    Partitions,
    Threads,
    Producers,
}

/// How records are sent; each is a line of its own in a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As fast as the producer takes them.
    Full,
    /// The same, with memory for a batch of each partition and more.
    Roomy,
    /// [`PER_SECOND`] records per second.
    Rate,
}

pub const PER_SECOND: f64 = 50_000.0;
/// At a fixed rate one thread wakes up in this time, and sends what is due.
const TICK_MS: f64 = 1.0;
const ROOMY_BYTES: usize = 512 << 20;
/// Several producers share the memory of one, but none has less than this.
const LEAST_BUFFER_BYTES: usize = 1 << 20;
const KEY_BYTES: usize = 8;

impl Curve {
    pub const ALL: [Self; 3] = [Self::Partitions, Self::Threads, Self::Producers];

    pub fn name(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Threads => "threads",
            Self::Producers => "producers",
        }
    }

    /// What else holds on the curve.
    pub fn title(self) -> &'static str {
        match self {
            Self::Partitions => "active partitions (one thread, one producer)",
            Self::Threads => "threads (one producer, 12 partitions)",
            Self::Producers => {
                "producers in the process (one thread sends to all, 12 partitions each)"
            }
        }
    }

    fn at(self) -> &'static [usize] {
        match self {
            Self::Partitions => &[1, 10, 100, 1_000, 10_000],
            Self::Threads => &[1, 2, 4, 8, 16, 32, 64],
            Self::Producers => &[1, 2, 5, 10, 20, 50, 100, 200],
        }
    }

    fn at_quickly(self) -> &'static [usize] {
        match self {
            Self::Partitions => &[1, 1_000],
            Self::Threads => &[1, 4],
            Self::Producers => &[1, 10],
        }
    }
}

impl Pace {
    pub const ALL: [Self; 3] = [Self::Full, Self::Roomy, Self::Rate];

    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full speed",
            Self::Roomy => "full speed, buffer.memory 512 MiB",
            Self::Rate => "50,000 records/s",
        }
    }
}

/// The place of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub curve: Curve,
    pub pace: Pace,
    /// The number of partitions, threads or producers.
    pub at: usize,
}

/// A point that is to be measured.
pub struct Point {
    pub name: Name,
    pub scenario: Scenario,
}

/// The points that the command line asks for.
pub fn chosen(args: &Args) -> Result<Vec<Point>> {
    let base = scenario::all()?
        .into_iter()
        .find(|scenario| scenario.name == BASE);
    let base = base.context("there is no base")?;
    let mut curves = Curve::ALL.to_vec();
    if let Some(names) = &args.only {
        for name in names {
            ensure!(
                curves.iter().any(|curve| curve.name() == name),
                "there is no curve {name:?}"
            );
        }
        curves.retain(|curve| names.iter().any(|name| name == curve.name()));
    }
    let mut points = Vec::new();
    for curve in curves {
        let at = if args.quick {
            curve.at_quickly()
        } else {
            curve.at()
        };
        for pace in Pace::ALL {
            if pace == Pace::Roomy && curve != Curve::Partitions {
                continue;
            }
            points.extend(at.iter().map(|&at| point(&base, Name { curve, pace, at })));
        }
    }
    Ok(points)
}

fn point(base: &Scenario, name: Name) -> Point {
    let Name { curve, pace, at } = name;
    let mut scenario = Scenario {
        name: format!("{}-{at}-{pace:?}", curve.name()).to_lowercase(),
        title: format!("{at} {}, {}", curve.name(), pace.name()),
        key_bytes: KEY_BYTES,
        extras: Vec::new(),
        ..base.clone()
    };
    match curve {
        Curve::Partitions => scenario.partitions = i32::try_from(at).expect("few partitions"),
        Curve::Threads => scenario.threads = at,
        Curve::Producers => {
            scenario.producers = at;
            scenario.buffer_bytes = (scenario.buffer_bytes / at).max(LEAST_BUFFER_BYTES);
        }
    }
    match pace {
        Pace::Full => {}
        Pace::Roomy => scenario.buffer_bytes = ROOMY_BYTES,
        Pace::Rate => {
            scenario.mode = Mode::Rate;
            scenario.per_second = Some(PER_SECOND);
            scenario.tick_ms = Some(TICK_MS);
        }
    }
    Point { name, scenario }
}

/// A run of the command.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub machine: Machine,
    pub commit: String,
    pub started: String,
    pub seed: u64,
    pub command: Vec<String>,
    pub points: Vec<Measurement>,
}

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct Head {
    run: Machine,
    commit: String,
    started: String,
    seed: u64,
    command: Vec<String>,
}

/// What was measured at a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    #[serde(flatten)]
    pub name: Name,
    /// The sum of all producers' `buffer.memory`, in bytes.
    pub buffer_bytes: usize,
    /// The peak of the process's resident memory since its start, in KiB.
    pub peak_kib: u64,
    /// Whether the cost per record had stopped falling when the counted rounds began.
    pub settled: bool,
    pub rounds: Vec<Round>,
}

/// One round: sums of the whole client process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Round {
    pub records: u64,
    pub seconds: f64,
    pub cpu_ns: u64,
    /// The part of the producers' own threads in it.
    pub sender_cpu_ns: u64,
    pub loops: u64,
    pub requests: u64,
    pub batches: u64,
    pub broker_cpu_ns: u64,
}

impl Round {
    fn of(round: &raw::Round) -> Result<Self> {
        let counter = |name: &str| {
            let count = round.counters.get(name).copied();
            count.with_context(|| format!("the driver does not count {name}"))
        };
        Ok(Self {
            records: round.acked,
            seconds: round.seconds,
            cpu_ns: round.client.cpu_ns,
            sender_cpu_ns: counter(SENDER_CPU_NS)?,
            loops: counter("loops")?,
            requests: counter("requests")?,
            batches: counter(BATCHES)?,
            broker_cpu_ns: round.broker_cpu_ns,
        })
    }

    pub fn cpu_us_per_record(&self) -> f64 {
        self.cpu_ns as f64 / 1e3 / self.records as f64
    }

    pub fn cpu_us_per_batch(&self) -> f64 {
        self.cpu_ns as f64 / 1e3 / self.batches as f64
    }

    /// CPU time of the sender's thread for an iteration of its loop.
    pub fn cpu_us_per_loop(&self) -> f64 {
        self.sender_cpu_ns as f64 / 1e3 / self.loops as f64
    }

    /// CPU time of the sender's thread for a batch: a loop handles all batches that are due.
    pub fn sender_cpu_us_per_batch(&self) -> f64 {
        self.sender_cpu_ns as f64 / 1e3 / self.batches as f64
    }

    pub fn loops_per_1000(&self) -> f64 {
        self.loops as f64 * 1e3 / self.records as f64
    }

    pub fn records_per_batch(&self) -> f64 {
        self.records as f64 / self.batches as f64
    }

    pub fn batches_per_request(&self) -> f64 {
        self.batches as f64 / self.requests as f64
    }

    pub fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

impl Measurement {
    pub fn of(name: Name, scenario: &Scenario, figures: &Figures) -> Result<Self> {
        Ok(Self {
            name,
            buffer_bytes: scenario.buffer_bytes * scenario.producers,
            peak_kib: figures
                .peak_kib_before
                .max(figures.peak_kib_rounds.unwrap_or(0)),
            settled: figures.settled,
            rounds: figures
                .rounds
                .iter()
                .map(Round::of)
                .collect::<Result<_>>()?,
        })
    }

    /// The median of a measure of the rounds.
    pub fn figure(&self, measure: fn(&Round) -> f64) -> Option<Figure> {
        Figure::of(self.rounds.iter().map(measure))
    }

    pub fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }

    /// Peak memory beyond `buffer.memory`.
    pub fn beyond_mib(&self) -> f64 {
        self.peak_mib() - self.buffer_bytes as f64 / f64::from(1 << 20)
    }
}

pub const FILE: &str = "growth.jsonl";

impl Run {
    /// The points of one line in a plot, in the order of their places.
    pub fn line(&self, curve: Curve, pace: Pace) -> Vec<&Measurement> {
        let is_of_line =
            |point: &&Measurement| (point.name.curve, point.name.pace) == (curve, pace);
        self.points.iter().filter(is_of_line).collect()
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        let head = Head {
            run: self.machine.clone(),
            commit: self.commit.clone(),
            started: self.started.clone(),
            seed: self.seed,
            command: self.command.clone(),
        };
        let mut text = serde_json::to_string(&head)? + "\n";
        for point in &self.points {
            text += &serde_json::to_string(point)?;
            text.push('\n');
        }
        let file = folder.join(FILE);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines = text.lines();
        let Some(head) = lines.next() else {
            bail!("{} is empty", file.display());
        };
        let head: Head = serde_json::from_str(head)?;
        Ok(Self {
            machine: head.run,
            commit: head.commit,
            started: head.started,
            seed: head.seed,
            command: head.command,
            points: lines
                .map(serde_json::from_str)
                .collect::<std::result::Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A run with points at 1 and 10 partitions, which cost 1 and 3 µs per record.
    pub fn run() -> Run {
        let point = |at, cpu_ns| Measurement {
            name: Name {
                curve: Curve::Partitions,
                pace: Pace::Full,
                at,
            },
            buffer_bytes: 32 << 20,
            peak_kib: 45 << 10,
            settled: true,
            rounds: vec![Round {
                records: 1_000,
                seconds: 0.5,
                cpu_ns,
                sender_cpu_ns: 100_000,
                loops: 20,
                requests: 10,
                batches: 40,
                broker_cpu_ns: 5,
            }],
        };
        Run {
            machine: crate::machine::describe(),
            commit: "abc".into(),
            started: String::new(),
            seed: 1,
            command: vec!["growth".into()],
            points: vec![point(1, 1_000_000), point(10, 3_000_000)],
        }
    }

    #[test]
    fn a_run_is_read_as_it_was_written() {
        let folder = std::env::temp_dir().join(format!("peers-growth-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let run = run();
        run.write(&folder).unwrap();
        assert_eq!(Run::read(&folder).unwrap(), run);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn points_differ_from_the_base_in_what_grows() {
        let all = chosen(&Args::default()).unwrap();
        let named = |name: &str| {
            let point = all.iter().find(|point| point.scenario.name == name);
            point.unwrap().scenario.clone()
        };
        let most = named("partitions-10000-full");
        assert_eq!(
            (most.partitions, most.threads, most.producers),
            (10_000, 1, 1)
        );
        let many = named("producers-200-rate");
        assert_eq!((many.producers, many.buffer_bytes), (200, 1 << 20));
        assert_eq!(many.mode, Mode::Rate);
        assert_eq!(named("threads-64-full").threads, 64);

        let of_curve = |quick, only: &str| {
            let args = Args {
                quick,
                only: Some(vec![only.to_owned()]),
                ..Args::default()
            };
            chosen(&args).map(|points| points.len())
        };
        assert_eq!(of_curve(true, "threads").unwrap(), 4);
        assert!(of_curve(false, "brokers").is_err());
    }

    #[test]
    fn costs_are_those_of_a_record_a_batch_and_a_loop() {
        let run = run();
        let round = &run.points[1].rounds[0];
        assert_eq!(round.cpu_us_per_record(), 3.0);
        assert_eq!(round.cpu_us_per_batch(), 75.0);
        assert_eq!(round.cpu_us_per_loop(), 5.0);
        assert_eq!(
            (round.records_per_batch(), round.loops_per_1000()),
            (25.0, 20.0)
        );
        assert_eq!(run.points[0].beyond_mib(), 13.0);
    }
}
