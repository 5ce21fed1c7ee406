//! What this producer is to reach: the table in `targets.toml`, and whether a run reached it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::driver::{OURS, is_peer};
use crate::raw::{Counted, Figures, Measured, Round, Run};
use crate::summary::{Summary, ratio_by_round};

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub scenario: String,
    pub measure: Measure,
    #[serde(default)]
    pub at_most: Option<f64>,
    #[serde(default)]
    pub at_least: Option<f64>,
    #[serde(default)]
    pub against: Option<String>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Cpu,
    Rate,
    P50,
    P99,
    P999,
    Instructions,
    AllocationsCallers,
    SyscallsCaller,
    SyscallsSender,
    PeakMib,
}

/// How a run stands to a target.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The figure, and against whom.
    Reached(f64, String),
    Missed(f64, String),
    /// Why it cannot be told.
    Open(String),
}

impl Measure {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU per record",
            Self::Rate => "records/s",
            Self::P50 => "latency p50",
            Self::P99 => "latency p99",
            Self::P999 => "latency p99.9",
            Self::Instructions => "instructions per record, whole process",
            Self::AllocationsCallers => "allocations per record where `send` is called",
            Self::SyscallsCaller => "system calls per record where `send` is called",
            Self::SyscallsSender => "system calls per record in the producer's thread",
            Self::PeakMib => "peak memory, MiB",
        }
    }

    /// For measures whose ratio is taken within a round.
    fn of_round(self) -> Option<fn(&Round) -> f64> {
        match self {
            Self::Cpu => Some(Round::cpu_ns_per_record),
            Self::Rate => Some(Round::records_per_second),
            _ => None,
        }
    }

    fn of(self, measured: &Measured, client: &str) -> Counted<f64> {
        let figures = measured
            .figures(client)
            .ok_or_else(|| format!("{client} has no figures"))?;
        let summary = Summary::of(measured, client).ok_or("no figures")?;
        let missing = || format!("{client}: not measured");
        match self {
            Self::Cpu => summary.cpu_us.map(|cpu| cpu.median).ok_or_else(missing),
            Self::Rate => summary
                .records_per_second
                .map(|rate| rate.median)
                .ok_or_else(missing),
            Self::P50 => summary.latencies.map(|all| all.p50).ok_or_else(missing),
            Self::P99 => summary.latencies.map(|all| all.p99).ok_or_else(missing),
            Self::P999 => summary.latencies.map(|all| all.p999).ok_or_else(missing),
            Self::PeakMib => Ok(summary.peak_mib),
            Self::Instructions => figures
                .extras
                .instructions
                .clone()
                .unwrap_or_else(|| Err(missing())),
            Self::AllocationsCallers => figures
                .extras
                .allocations_callers
                .clone()
                .unwrap_or_else(|| Err(missing())),
            Self::SyscallsCaller => syscalls(figures, true),
            Self::SyscallsSender => syscalls(figures, false),
        }
    }
}

/// How the kit names the threads that call the client.
const CALLER: &str = "sender-";

fn syscalls(figures: &Figures, of_callers: bool) -> Counted<f64> {
    match &figures.extras.syscalls {
        None => Err("not measured".to_owned()),
        Some(Err(reason)) => Err(reason.clone()),
        Some(Ok(by_thread)) => Ok(by_thread
            .iter()
            .filter(|(name, _)| name.starts_with(CALLER) == of_callers)
            .map(|(_, count)| count)
            .sum()),
    }
}

/// The whole table.
pub fn all() -> Result<Vec<Target>> {
    #[derive(Deserialize)]
    struct File {
        target: Vec<Target>,
    }
    let file: File = toml::from_str(include_str!("../targets.toml")).context("targets.toml")?;
    for target in &file.target {
        ensure!(
            target.at_most.is_some() != target.at_least.is_some(),
            "targets.toml: {} has at_most or at_least, and one of them",
            target.scenario
        );
    }
    Ok(file.target)
}

impl Target {
    pub fn evaluate(&self, run: &Run) -> Verdict {
        let scenarios: Vec<&Measured> = if self.scenario == "*" {
            run.scenarios.iter().collect()
        } else {
            run.scenario(&self.scenario).into_iter().collect()
        };
        if scenarios.is_empty() {
            return Verdict::Open("not in this run".to_owned());
        }
        let found = scenarios
            .into_iter()
            .map(|measured| self.find(run, measured));
        let worst = found.reduce(|one, other| match (one, other) {
            (Ok(one), Ok(other)) => Ok(self.harder(one, other)),
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
        });
        match worst {
            None => Verdict::Open("not in this run".to_owned()),
            Some(Err(reason)) => Verdict::Open(reason),
            Some(Ok((value, whom))) if self.allows(value) => Verdict::Reached(value, whom),
            Some(Ok((value, whom))) => Verdict::Missed(value, whom),
        }
    }

    fn allows(&self, value: f64) -> bool {
        self.at_most.is_none_or(|bound| value <= bound)
            && self.at_least.is_none_or(|bound| value >= bound)
    }

    /// The one that is further from the bound, or over it.
    fn harder(&self, one: (f64, String), other: (f64, String)) -> (f64, String) {
        let one_is = if self.at_most.is_some() {
            one.0 >= other.0
        } else {
            one.0 <= other.0
        };
        if one_is { one } else { other }
    }

    /// The figure to compare with the bound, and against whom it is.
    fn find(&self, run: &Run, measured: &Measured) -> Counted<(f64, String)> {
        let ours = self.measure.of(measured, OURS)?;
        let Some(against) = &self.against else {
            return Ok((ours, measured.scenario.name.clone()));
        };
        let (kind, names) = against.split_once(':').unwrap_or((against, ""));
        match kind {
            "scenario" => {
                let other = run
                    .scenario(names)
                    .ok_or_else(|| format!("{names} is not in this run"))?;
                Ok((ours / self.measure.of(other, OURS)?, names.to_owned()))
            }
            "client" => self.against_client(measured, ours, names),
            _ => {
                let wanted = |name: &str| {
                    names.is_empty() || names.split(',').any(|start| name.starts_with(start))
                };
                measured
                    .clients
                    .keys()
                    .filter(|name| is_peer(name) && wanted(name))
                    .filter_map(|name| self.against_client(measured, ours, name).ok())
                    .reduce(|one, other| self.harder(one, other))
                    .ok_or_else(|| "no peer has figures".to_owned())
            }
        }
    }

    fn against_client(
        &self,
        measured: &Measured,
        ours: f64,
        client: &str,
    ) -> Counted<(f64, String)> {
        let theirs = self.measure.of(measured, client)?;
        let by_round = self.measure.of_round().and_then(|measure| {
            ratio_by_round(measured.figures(OURS)?, measured.figures(client)?, measure)
        });
        Ok((
            by_round.map_or(ours / theirs, |ratio| ratio.median),
            client.to_owned(),
        ))
    }

    /// The bound in words.
    pub fn bound(&self) -> String {
        let (word, bound) = match (self.at_most, self.at_least) {
            (Some(bound), _) => ("≤", bound),
            (None, bound) => ("≥", bound.unwrap_or_default()),
        };
        match self
            .against
            .as_deref()
            .map(|against| against.split_once(':').unwrap_or((against, "")))
        {
            None => format!("{word} {bound}"),
            Some(("peers", "")) => format!("{word} {bound} × the best peer's"),
            Some(("peers", names)) => {
                format!("{word} {bound} × the best of {}", names.replace(',', ", "))
            }
            Some(("scenario", name)) => format!("{word} {bound} × ours in {name}"),
            Some((_, name)) => format!("{word} {bound} × {name}'s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Machine, Outcome};
    use crate::summary::tests::{figures, measured, round};
    use crate::{driver, scenario};

    fn run(scenarios: Vec<Measured>) -> Run {
        Run {
            machine: Machine {
                processor: String::new(),
                processors: 2,
                memory_mib: 0,
                kernel: String::new(),
                rustc: String::new(),
                java: String::new(),
                load_average: String::new(),
            },
            commit: String::new(),
            started: String::new(),
            seed: 1,
            command: Vec::new(),
            clients: Vec::new(),
            scenarios,
        }
    }

    fn target(measure: Measure, bound: f64, against: Option<&str>) -> Target {
        let is_rate = measure == Measure::Rate;
        Target {
            scenario: "base".into(),
            measure,
            at_most: (!is_rate).then_some(bound),
            at_least: is_rate.then_some(bound),
            against: against.map(str::to_owned),
        }
    }

    fn base() -> Run {
        let clients = vec![
            ("ours", figures(vec![round(10.0, 200)])),
            ("floor", figures(vec![round(5.0, 100)])),
            ("java-3.0.0", figures(vec![round(30.0, 1_000)])),
            ("rskafka", figures(vec![round(40.0, 800)])),
            ("krafka", Outcome::None("no".into())),
        ];
        run(vec![measured("base", clients)])
    }

    #[test]
    fn the_table_names_scenarios_that_there_are() {
        let scenarios = scenario::all().unwrap();
        let is_known = |name: &str| scenarios.iter().any(|scenario| scenario.name == name);
        for target in all().unwrap() {
            assert!(
                target.scenario == "*" || is_known(&target.scenario),
                "{target:?}"
            );
            let against = target.against.as_deref().unwrap_or("peers");
            let (kind, name) = against.split_once(':').unwrap_or((against, ""));
            match kind {
                "peers" => {}
                "scenario" => assert!(is_known(name), "{target:?}"),
                "client" => assert!(!driver::is_peer(name), "{target:?}"),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn the_best_peer_is_the_hardest_for_each_measure() {
        let run = base();
        let evaluate = |measure, bound| target(measure, bound, Some("peers")).evaluate(&run);
        assert_eq!(
            evaluate(Measure::Cpu, 0.25),
            Verdict::Reached(0.25, "rskafka".into())
        );
        assert_eq!(
            evaluate(Measure::Cpu, 0.2),
            Verdict::Missed(0.25, "rskafka".into())
        );
        assert_eq!(
            evaluate(Measure::Rate, 3.5),
            Verdict::Missed(3.0, "java-3.0.0".into())
        );
    }

    #[test]
    fn a_floor_is_no_peer_but_can_be_named() {
        let run = base();
        let verdict = target(Measure::Cpu, 3.3, Some("client:floor")).evaluate(&run);
        assert_eq!(verdict, Verdict::Reached(2.0, "floor".into()));
        let verdict = target(Measure::Cpu, 1.0, Some("peers:java,rdkafka")).evaluate(&run);
        assert_eq!(verdict, Verdict::Reached(0.2, "java-3.0.0".into()));
    }

    #[test]
    fn what_was_not_measured_is_open_rather_than_reached() {
        let run = base();
        assert!(matches!(
            target(Measure::Instructions, 1e9, None).evaluate(&run),
            Verdict::Open(_)
        ));
        let other = Target {
            scenario: "idle".into(),
            ..target(Measure::Cpu, 1e9, None)
        };
        assert_eq!(
            other.evaluate(&run),
            Verdict::Open("not in this run".into())
        );
        let verdict = target(Measure::Cpu, 1e9, Some("scenario:keyed")).evaluate(&run);
        assert!(matches!(verdict, Verdict::Open(_)));
    }

    #[test]
    fn of_all_scenarios_the_worst_counts() {
        let mut run = base();
        let large = Outcome::Figures(Figures {
            rounds: vec![round(10.0, 1)],
            peak_kib_before: 50 * 1024,
            ..Figures::default()
        });
        run.scenarios.push(measured("keyed", vec![("ours", large)]));
        let target = Target {
            scenario: "*".into(),
            ..target(Measure::PeakMib, 44.0, None)
        };
        assert_eq!(target.evaluate(&run), Verdict::Missed(50.0, "keyed".into()));
    }
}
