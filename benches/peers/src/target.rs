//! The targets of this producer: the table in `targets.toml`, and whether a run reached them.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::bound::Bound;
use crate::driver::{FLUSH, OURS, is_peer};
use crate::raw::{Counted, Figures, Measured, Outcome, Round, Run};
use crate::stats::{Figure, paired};
use crate::summary::{Summary, by_round};

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Row")]
pub struct Target {
    pub scenario: String,
    pub measure: Measure,
    pub bound: Bound,
    pub against: Option<String>,
    /// The client whose figure is subtracted from ours first.
    pub minus: Option<String>,
}

/// A row as it is in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    scenario: String,
    measure: Measure,
    at_most: Option<f64>,
    at_least: Option<f64>,
    at_most_above: Option<f64>,
    against: Option<String>,
    minus: Option<String>,
}

impl TryFrom<Row> for Target {
    type Error = String;

    fn try_from(row: Row) -> Result<Self, String> {
        let bound = match (row.at_most, row.at_least, row.at_most_above) {
            (Some(most), None, None) => Bound::Most(most),
            (None, Some(least), None) => Bound::Least(least),
            (None, None, Some(above)) if row.against.is_some() => Bound::Above(above),
            _ => {
                return Err(format!(
                    "{} has one of at_most, at_least and, with `against`, at_most_above",
                    row.scenario
                ));
            }
        };
        let is_beside = (row.against.as_deref()).is_some_and(|it| it.starts_with("scenario:"));
        if row.minus.is_some() && !is_beside {
            return Err(format!(
                "{} has minus, which is for a bound against a scenario",
                row.scenario
            ));
        }
        Ok(Self {
            scenario: row.scenario,
            measure: row.measure,
            bound,
            against: row.against,
            minus: row.minus,
        })
    }
}

/// A measure.
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
    BeyondFlush,
}

/// Whether a run reached a target.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// None of its scenarios was measured.
    NotInRun,
    /// The figure, and the client that it was compared with.
    Reached(f64, String),
    Missed(f64, String),
    /// The reason why it cannot be decided.
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
            Self::BeyondFlush => "time per transaction beyond that of its records",
        }
    }

    /// The figure of one round, for measures that are compared round by round.
    fn of_round(self) -> Option<fn(&Round) -> f64> {
        match self {
            Self::Cpu => Some(|round| round.cpu_ns_per_record() / 1e3),
            Self::Rate => Some(Round::records_per_second),
            _ => None,
        }
    }

    /// The figure of the client's best round, for measures that each round has.
    fn best(self, figures: &Figures) -> Option<f64> {
        let all = Figure::of(figures.rounds.iter().map(self.of_round()?))?;
        Some(match self {
            Self::Rate => all.most,
            _ => all.least,
        })
    }

    /// The unit, as a suffix of a figure.
    fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::P50 | Self::P99 | Self::P999 => " µs",
            Self::PeakMib => " MiB",
            Self::BeyondFlush => " ms",
            _ => "",
        }
    }

    fn of(self, measured: &Measured, client: &str) -> Counted<f64> {
        let figures = measured
            .figures(client)
            .ok_or_else(|| format!("{client} has no figures"))?;
        let summary = Summary::of(measured, figures);
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
            Self::BeyondFlush => beyond_flush(measured, client),
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

/// The extra milliseconds of a committed group compared with a flushed one, round by round.
fn beyond_flush(measured: &Measured, client: &str) -> Counted<f64> {
    let figures = |client: &str| {
        let missing = || format!("{client} has no figures");
        measured.figures(client).ok_or_else(missing)
    };
    let flushed = format!("{client}{FLUSH}");
    let (committed, flushed) = (figures(client)?, figures(&flushed)?);
    let group = measured.scenario.group.unwrap_or(1) as f64;
    by_round(
        committed,
        flushed,
        |round| 1e3 / round.records_per_second(),
        |one, other| one - other,
    )
    .map(|beyond| beyond.median * group)
    .ok_or_else(|| format!("{client}: not measured"))
}

/// The prefix of the names of the sending threads.
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

/// The peers of the scenario whose names begin with one of `starts`, or all if it is empty.
fn peers<'a>(measured: &'a Measured, starts: &'a str) -> impl Iterator<Item = &'a str> {
    let is_meant =
        |name: &str| starts.is_empty() || starts.split(',').any(|start| name.starts_with(start));
    measured
        .clients
        .keys()
        .map(String::as_str)
        .filter(move |name| is_peer(name) && is_meant(name))
}

/// All targets of the table.
pub fn all() -> Result<Vec<Target>> {
    #[derive(Deserialize)]
    struct File {
        target: Vec<Target>,
    }
    let file: File = toml::from_str(include_str!("../targets.toml")).context("targets.toml")?;
    Ok(file.target)
}

impl Target {
    pub fn evaluate(&self, run: &Run) -> Verdict {
        let found = self.scenarios(run).map(|measured| self.find(measured));
        let worst = found.reduce(|one, other| match (one, other) {
            (Ok(one), Ok(other)) => Ok(self.bound.harder(one, other)),
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
        });
        match worst {
            None => Verdict::NotInRun,
            Some(Err(reason)) => Verdict::Open(reason),
            Some(Ok((value, whom))) if self.bound.allows(value) => Verdict::Reached(value, whom),
            Some(Ok((value, whom))) => Verdict::Missed(value, whom),
        }
    }

    fn scenarios<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = &'a Measured> {
        let is_meant = |name: &str| self.scenario == "*" || self.scenario == name;
        run.scenarios
            .iter()
            .filter(move |measured| is_meant(&measured.scenario.name))
    }

    /// The figure with the best round of each client in place of all its rounds, and the client that it was compared
    /// with. `None` if the measure has no figure for each round, or a client has no figures.
    pub fn at_best(&self, run: &Run) -> Option<(f64, String)> {
        self.scenarios(run)
            .map(|measured| self.find_at_best(measured))
            .reduce(|one, other| Some(self.bound.harder(one?, other?)))?
    }

    fn find_at_best(&self, measured: &Measured) -> Option<(f64, String)> {
        let best = |client: &str| self.measure.best(measured.figures(client)?);
        let mut ours = best(OURS)?;
        if let Some(client) = &self.minus {
            ours -= best(client)?;
        }
        let Some(against) = &self.against else {
            return Some((ours, measured.scenario.name.clone()));
        };
        let compare = self.bound.compare();
        let to = |theirs: f64, name: &str| (compare(ours, theirs), name.to_owned());
        let (kind, names) = against.split_once(':').unwrap_or((against, ""));
        match kind {
            "scenario" => {
                let beside = measured.beside.as_ref()?.figures()?;
                Some(to(self.measure.best(beside)?, names))
            }
            "client" => Some(to(best(names)?, names)),
            _ => peers(measured, names)
                .filter_map(|name| Some(to(best(name)?, name)))
                .reduce(|one, other| self.bound.harder(one, other)),
        }
    }

    /// The figure to compare with the bound, and the client that it was compared with.
    fn find(&self, measured: &Measured) -> Counted<(f64, String)> {
        let ours = self.measure.of(measured, OURS)?;
        let Some(against) = &self.against else {
            return Ok((ours, measured.scenario.name.clone()));
        };
        let (kind, names) = against.split_once(':').unwrap_or((against, ""));
        match kind {
            "scenario" => self.against_beside(measured, names),
            "client" => self.against_client(measured, ours, names),
            _ => peers(measured, names)
                .filter_map(|name| self.against_client(measured, ours, name).ok())
                .reduce(|one, other| self.bound.harder(one, other))
                .ok_or_else(|| "no peer has figures".to_owned()),
        }
    }

    fn against_client(
        &self,
        measured: &Measured,
        ours: f64,
        client: &str,
    ) -> Counted<(f64, String)> {
        let theirs = self.measure.of(measured, client)?;
        let compare = self.bound.compare();
        let within = self.measure.of_round().and_then(|measure| {
            let (ours, theirs) = (measured.figures(OURS)?, measured.figures(client)?);
            by_round(ours, theirs, measure, compare)
        });
        Ok((
            within.map_or_else(|| compare(ours, theirs), |figure| figure.median),
            client.to_owned(),
        ))
    }

    /// Compares our figures in two paired scenarios, round by round: between scenarios the speed of a machine changes
    /// by more than such a bound allows.
    fn against_beside(&self, measured: &Measured, name: &str) -> Counted<(f64, String)> {
        let figures = |client: &str| {
            let missing = || format!("{client} has no figures");
            measured.figures(client).ok_or_else(missing)
        };
        let beside = measured.beside.as_ref().and_then(Outcome::figures);
        let (Some(beside), Some(measure)) = (beside, self.measure.of_round()) else {
            return Err(format!("{name} was not run beside it"));
        };
        let of = |figures: &Figures| figures.rounds.iter().map(measure).collect::<Vec<f64>>();
        let mut ours = of(figures(OURS)?);
        if let Some(client) = &self.minus {
            let theirs = of(figures(client)?);
            ours = ours.into_iter().zip(theirs).map(|(a, b)| a - b).collect();
        }
        let figure = paired(&ours, &of(beside), self.bound.compare());
        figure
            .map(|figure| (figure.median, name.to_owned()))
            .ok_or_else(|| format!("{name} was not run beside it"))
    }

    /// The bound as text.
    pub fn bound(&self) -> String {
        let against = self.against.as_deref();
        let whose = match against.map(|against| against.split_once(':').unwrap_or((against, ""))) {
            None => None,
            Some(("peers", "")) => Some("the best peer's".to_owned()),
            Some(("peers", names)) => Some(format!("the best of {}", names.replace(',', ", "))),
            Some(("scenario", name)) => Some(format!("ours in {name}")),
            Some((_, name)) => Some(format!("{name}'s")),
        };
        let words = self.bound.words(whose.as_deref(), self.measure.unit());
        match &self.minus {
            None => words,
            Some(client) => format!("{words}, without {client}'s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Machine;
    use crate::scenario::Scenario;
    use crate::summary::tests::{figures, measured, round};
    use crate::{driver, scenario};

    #[test]
    fn the_extra_time_of_transactions_is_compared_with_that_of_another_client() {
        let of = |millis: [f64; 3]| figures(millis.map(|millis| round(millis, 100)).into());
        let clients = vec![
            ("ours", of([13.0, 24.0, 13.0])),
            ("ours-flush", of([3.0, 14.0, 4.0])),
            ("java-3.0.0", of([30.0, 30.0, 30.0])),
            ("java-3.0.0-flush", of([10.0, 10.0, 9.0])),
        ];
        let run = run(vec![measured("transactions", clients)]);
        let mut target = target(Measure::BeyondFlush, 1.0, Some("peers:java-3.0.0"));
        target.scenario = "transactions".into();
        let found = Verdict::Reached(0.5, "java-3.0.0".into());
        assert_eq!(target.evaluate(&run), found, "10 ms of 20");
    }

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
            bound: if is_rate {
                Bound::Least(bound)
            } else {
                Bound::Most(bound)
            },
            against: against.map(str::to_owned),
            minus: None,
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
    fn all_scenarios_of_the_table_exist() {
        let scenarios = scenario::all().unwrap();
        // A target in a scenario that runs only if it is named would never be judged.
        let is_known = |name: &str| {
            let mut always = scenarios.iter().filter(|scenario| !scenario.by_name);
            always.any(|scenario| scenario.name == name)
        };
        for target in all().unwrap() {
            assert!(
                target.scenario == "*" || is_known(&target.scenario),
                "{target:?}"
            );
            let against = target.against.as_deref().unwrap_or("peers");
            let (kind, name) = against.split_once(':').unwrap_or((against, ""));
            match kind {
                "peers" => {}
                "scenario" => {
                    let of = |scenario: &&Scenario| scenario.name == target.scenario;
                    let scenario = scenarios.iter().find(of).unwrap();
                    assert_eq!(scenario.beside.as_deref(), Some(name), "{target:?}");
                    assert!(target.measure.of_round().is_some(), "{target:?}");
                }
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
    fn ours_in_another_scenario_is_compared_round_by_round() {
        let mut measured = measured(
            "base",
            vec![("ours", figures(vec![round(10.0, 125), round(10.0, 1_250)]))],
        );
        let target = target(Measure::Cpu, 1.25, Some("scenario:keyed"));
        let evaluate = |measured: &Measured| target.evaluate(&run(vec![measured.clone()]));
        assert_eq!(
            evaluate(&measured),
            Verdict::Open("keyed was not run beside it".into())
        );
        measured.beside = Some(figures(vec![round(10.0, 100), round(10.0, 1_000)]));
        assert_eq!(evaluate(&measured), Verdict::Reached(1.25, "keyed".into()));
    }

    #[test]
    fn at_best_the_best_rounds_are_compared_whenever_they_were() {
        // Of the medians ours is half as large, of the best rounds it is as large.
        let clients = vec![
            (
                "ours",
                figures(vec![round(10.0, 100), round(8.0, 200), round(9.0, 200)]),
            ),
            (
                "java-3.0.0",
                figures(vec![round(20.0, 400), round(20.0, 400), round(4.0, 100)]),
            ),
            ("krafka", figures(vec![round(40.0, 800); 3])),
        ];
        let mut measured = measured("base", clients);
        measured.beside = Some(figures(vec![
            round(10.0, 80),
            round(10.0, 300),
            round(5.0, 90),
        ]));
        let run = run(vec![measured]);
        let at_best = |measure, against| target(measure, 1.0, against).at_best(&run);
        let java = |value| Some((value, "java-3.0.0".to_owned()));
        assert_eq!(at_best(Measure::Cpu, Some("peers")), java(1.0));
        assert_eq!(at_best(Measure::Rate, Some("peers")), java(0.5));
        assert_eq!(
            at_best(Measure::Cpu, Some("client:krafka")),
            Some((0.125, "krafka".into()))
        );
        assert_eq!(
            at_best(Measure::Cpu, Some("scenario:keyed")),
            Some((1.25, "keyed".into()))
        );
        assert_eq!(at_best(Measure::Cpu, None), Some((0.1, "base".into())));
        assert_eq!(at_best(Measure::P99, Some("peers")), None, "of all rounds");
        assert_eq!(at_best(Measure::Cpu, Some("client:none")), None);
        let cpu = target(Measure::Cpu, 0.6, Some("peers"));
        assert_eq!(
            cpu.evaluate(&run),
            Verdict::Reached(0.5, "java-3.0.0".into())
        );
    }

    #[test]
    fn figures_are_subtracted_round_by_round() {
        let slow_moment = |cpu| figures(vec![round(10.0, cpu), round(10.0, 10 * cpu)]);
        let mut measured = measured("base", vec![("ours", slow_moment(150))]);
        measured.beside = Some(slow_moment(100));
        let target = Target {
            minus: Some("cipher-alone".into()),
            ..target(Measure::Cpu, 1.2, Some("scenario:keyed"))
        };
        let evaluate = |measured: &Measured| target.evaluate(&run(vec![measured.clone()]));
        assert_eq!(
            evaluate(&measured),
            Verdict::Open("cipher-alone has no figures".into())
        );
        for (cipher, verdict) in [
            (25, Verdict::Missed(1.25, "keyed".into())),
            (50, Verdict::Reached(1.0, "keyed".into())),
        ] {
            let cipher = ("cipher-alone".to_owned(), slow_moment(cipher));
            measured.clients.extend([cipher]);
            assert_eq!(evaluate(&measured), verdict);
        }
        assert_eq!(
            target.bound(),
            "≤ 1.2 × ours in keyed, without cipher-alone's"
        );
    }

    #[test]
    fn a_bound_above_another_is_a_difference_of_the_same_round() {
        let slow_moment = |cpu| vec![round(10.0, cpu), round(10.0, 100 * cpu), round(10.0, cpu)];
        let clients = vec![
            ("ours", figures(slow_moment(1_500))),
            ("codec-alone", figures(slow_moment(1_000))),
            ("krafka", figures(slow_moment(3_000))),
        ];
        let run = run(vec![measured("base", clients)]);
        let above = |bound| Target {
            bound: Bound::Above(bound),
            ..target(Measure::Cpu, 0.0, Some("client:codec-alone"))
        };
        assert_eq!(
            above(0.3).evaluate(&run),
            Verdict::Missed(0.5, "codec-alone".into())
        );
        assert_eq!(
            above(0.5).evaluate(&run),
            Verdict::Reached(0.5, "codec-alone".into())
        );
        assert_eq!(above(0.3).bound(), "≤ codec-alone's + 0.3 µs");
        let peers = target(Measure::Cpu, 0.7, Some("peers")).evaluate(&run);
        assert_eq!(peers, Verdict::Reached(0.5, "krafka".into()), "no peer");
    }

    #[test]
    fn a_row_has_one_bound() {
        let parse = |text: &str| toml::from_str::<Target>(text);
        let row = "scenario = \"base\"\nmeasure = \"cpu\"\n";
        assert!(parse(&format!("{row}at_most = 1.0")).is_ok());
        for bounds in [
            "",
            "at_most = 1.0\nat_least = 1.0",
            "at_most_above = 1.0",
            "at_moost = 1.0",
            "at_most = 1.0\nminus = \"floor\"",
        ] {
            let error = parse(&format!("{row}{bounds}")).unwrap_err().to_string();
            let says = ["at_most", "has minus"];
            assert!(
                says.iter().any(|says| error.contains(says)),
                "{bounds}: {error}"
            );
        }
    }

    #[test]
    fn a_figure_that_was_not_measured_leaves_its_target_open() {
        let run = base();
        assert!(matches!(
            target(Measure::Instructions, 1e9, None).evaluate(&run),
            Verdict::Open(_)
        ));
        let other = Target {
            scenario: "idle".into(),
            ..target(Measure::Cpu, 1e9, None)
        };
        assert_eq!(other.evaluate(&run), Verdict::NotInRun);
    }

    #[test]
    fn the_worst_of_all_scenarios_counts() {
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
