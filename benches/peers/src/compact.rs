//! `figures.jsonl`: the published part of a run. `raw.json` has every histogram and grows to megabytes; this file has a
//! line for each client of each scenario, with the data of tables and plots.
//!
//! ```text
//! {"run": machine, commit, clients, …}
//! {"scenario": all fields of the first scenario, only the differing fields of the others, "seconds": its duration}
//! {"client": …, "rounds": [[acknowledged, not acknowledged, ns, CPU ns, switches, broker's CPU ns], …], …}
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use driver_kit::About;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::measure::Usage;
use crate::raw::{
    self, Client, Extras, Figures, Machine, Measured, Outcome, Percentiles, Round, Run, Totals,
};
use crate::scenario::Scenario;

pub const FILE: &str = "figures.jsonl";
/// A millisecond in nanoseconds.
const MS: u64 = 1_000_000;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant)] // Only one exists at a time.
enum Line {
    Head(Head),
    Scenario(Title),
    Figures(Cell),
    None(Missing),
}

#[derive(Serialize, Deserialize)]
struct Head {
    run: Machine,
    commit: String,
    started: String,
    seed: u64,
    command: Vec<String>,
    clients: Vec<Client>,
    /// Texts of reasons and notes, to which lines refer by index, because many are the same.
    sentences: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Title {
    scenario: Map<String, Value>,
    seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Missing {
    client: String,
    #[serde(default, skip_serializing_if = "is_false")]
    beside: bool,
    why: String,
}

#[derive(Serialize, Deserialize)]
struct Cell {
    client: String,
    #[serde(default, skip_serializing_if = "is_false")]
    beside: bool,
    version: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unequal: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<usize>,
    #[serde(default, skip_serializing_if = "is_false")]
    unsettled: bool,
    threads: u64,
    peak_kib: (u64, Option<u64>),
    /// User and system time of all rounds in milliseconds; the kernel counts ticks of 10 ms.
    user_system_ms: (u64, u64),
    /// The 50th, 99th and 99.9th percentile, and the maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_us: Option<[f64; 4]>,
    rounds: Vec<[u64; 6]>,
    #[serde(default, skip_serializing_if = "is_default")]
    extras: Extras,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde requires.
fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_default(extras: &Extras) -> bool {
    *extras == Extras::default()
}

/// Writes the published part of a run.
pub fn write(run: &Run, folder: &Path) -> Result<()> {
    let mut sentences = Vec::new();
    let mut lines = Vec::new();
    let mut first = None;
    for measured in &run.scenarios {
        let mut scenario = keys(&measured.scenario)?;
        match &first {
            None => first = Some(scenario.clone()),
            Some(first) => scenario.retain(|key, value| first.get(key) != Some(value)),
        }
        lines.push(Line::Scenario(Title {
            scenario,
            seconds: measured.seconds,
        }));
        for (client, outcome) in &measured.clients {
            lines.push(line(&mut sentences, client, outcome, false));
        }
        if let Some(outcome) = &measured.beside {
            lines.push(line(&mut sentences, crate::driver::OURS, outcome, true));
        }
    }
    let head = Line::Head(Head {
        run: run.machine.clone(),
        commit: run.commit.clone(),
        started: run.started.clone(),
        seed: run.seed,
        command: run.command.clone(),
        clients: run.clients.clone(),
        sentences,
    });
    let mut text = String::new();
    for line in std::iter::once(&head).chain(&lines) {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    let file = folder.join(FILE);
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn keys(scenario: &Scenario) -> Result<Map<String, Value>> {
    match serde_json::to_value(scenario)? {
        Value::Object(keys) => Ok(keys),
        other => bail!("a scenario is no table: {other}"),
    }
}

fn line(sentences: &mut Vec<String>, client: &str, outcome: &Outcome, beside: bool) -> Line {
    let figures = match outcome {
        Outcome::Figures(figures) => figures,
        Outcome::None(why) => {
            return Line::None(Missing {
                client: client.to_owned(),
                beside,
                why: why.clone(),
            });
        }
    };
    let mut number = |text: &String| {
        let known = sentences.iter().position(|known| known == text);
        known.unwrap_or_else(|| {
            sentences.push(text.clone());
            sentences.len() - 1
        })
    };
    let totals = figures.totals();
    Line::Figures(Cell {
        client: client.to_owned(),
        beside,
        version: number(&figures.about.client),
        unequal: figures.about.unequal.iter().map(&mut number).collect(),
        notes: figures.about.notes.iter().map(&mut number).collect(),
        unsettled: !figures.settled,
        threads: figures.threads,
        peak_kib: (figures.peak_kib_before, figures.peak_kib_rounds),
        user_system_ms: (totals.user_ns / MS, totals.system_ns / MS),
        latency_us: totals
            .latencies
            .map(|all| [all.p50, all.p99, all.p999, all.max]),
        rounds: figures.rounds.iter().map(numbers).collect(),
        extras: figures.extras.clone(),
    })
}

fn numbers(round: &Round) -> [u64; 6] {
    [
        round.acked,
        round.sent.saturating_sub(round.acked),
        (round.seconds * 1e9).round() as u64,
        round.client.cpu_ns,
        round.client.voluntary_switches + round.client.involuntary_switches,
        round.broker_cpu_ns,
    ]
}

fn round([acked, unacked, nanos, cpu_ns, switches, broker_cpu_ns]: [u64; 6]) -> Round {
    Round {
        sent: acked + unacked,
        acked,
        seconds: nanos as f64 / 1e9,
        client: Usage {
            cpu_ns,
            voluntary_switches: switches,
            ..Usage::default()
        },
        broker_cpu_ns,
        ..Round::default()
    }
}

/// Reads a run from its folder: `raw.json` if it exists, and otherwise the published part, whose rounds lack
/// histograms.
pub fn read(folder: &Path) -> Result<Run> {
    let file = folder.join(FILE);
    if folder.join(raw::FILE).exists() || !file.exists() {
        return Run::read(folder);
    }
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| format!("{} is of no use", file.display()))
}

fn parse(text: &str) -> Result<Run> {
    let mut lines = text.lines().map(serde_json::from_str::<Line>);
    let Some(Line::Head(head)) = lines.next().transpose()? else {
        bail!("the first line does not describe the run");
    };
    let sentences = head.sentences;
    let mut run = Run {
        machine: head.run,
        commit: head.commit,
        started: head.started,
        seed: head.seed,
        command: head.command,
        clients: head.clients,
        scenarios: Vec::new(),
    };
    let mut first: Option<Map<String, Value>> = None;
    for line in lines {
        let (client, beside, outcome) = match line? {
            Line::Head(_) => bail!("a second head"),
            Line::Scenario(Title { scenario, seconds }) => {
                let mut all = first.get_or_insert_with(|| scenario.clone()).clone();
                all.extend(scenario);
                run.scenarios.push(Measured {
                    scenario: serde_json::from_value(Value::Object(all))?,
                    clients: BTreeMap::new(),
                    beside: None,
                    seconds,
                });
                continue;
            }
            Line::None(missing) => (missing.client, missing.beside, Outcome::None(missing.why)),
            Line::Figures(cell) => {
                let (client, beside) = (cell.client.clone(), cell.beside);
                (client, beside, Outcome::Figures(figures(cell, &sentences)?))
            }
        };
        let measured = run.scenarios.last_mut();
        let measured = measured.context("figures before the first scenario")?;
        if beside {
            measured.beside = Some(outcome);
        } else {
            measured.clients.insert(client, outcome);
        }
    }
    Ok(run)
}

fn figures(cell: Cell, sentences: &[String]) -> Result<Figures> {
    let sentence = |number: &usize| sentences.get(*number).cloned();
    let all = |numbers: &[usize]| numbers.iter().map(sentence).collect::<Option<Vec<_>>>();
    let about = || {
        Some(About {
            client: sentence(&cell.version)?,
            settings: BTreeMap::new(),
            unequal: all(&cell.unequal)?,
            notes: all(&cell.notes)?,
        })
    };
    Ok(Figures {
        about: about().context("a sentence that is not there")?,
        warm_up: Vec::new(),
        settled: !cell.unsettled,
        rounds: cell.rounds.into_iter().map(round).collect(),
        peak_kib_before: cell.peak_kib.0,
        peak_kib_rounds: cell.peak_kib.1,
        threads: cell.threads,
        extras: cell.extras,
        totals: Some(Totals {
            user_ns: cell.user_system_ms.0 * MS,
            system_ns: cell.user_system_ms.1 * MS,
            latencies: cell.latency_us.map(|[p50, p99, p999, max]| Percentiles {
                p50,
                p99,
                p999,
                max,
            }),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Summary;
    use crate::summary::tests::{figures, measured, round};

    fn outcome() -> Outcome {
        let rounds = (1..=7).map(|number| round(10.0 * f64::from(number), 201));
        let mut outcome = figures(rounds.collect());
        if let Outcome::Figures(figures) = &mut outcome {
            figures.about.client = "x 1.2".into();
            figures.about.unequal = vec!["has no linger".into()];
            figures.about.notes = vec!["has no linger".into(), "is alone".into()];
            figures.extras.instructions = Some(Ok(734.5));
            figures.extras.syscalls = Some(Err("no strace".into()));
        }
        outcome
    }

    #[test]
    fn a_compact_file_is_read_back_with_the_same_figures() {
        let mut first = measured("base", vec![("ours", outcome()), ("x", outcome())]);
        first.beside = Some(Outcome::None("the broker is gone".into()));
        let mut second = measured("idle", vec![("y", Outcome::None("cannot idle".into()))]);
        second.beside = Some(outcome());
        let client = |name: &str| Client {
            name: name.into(),
            display: name.into(),
            build_error: None,
        };
        let run = Run {
            machine: crate::machine::describe(),
            commit: "abc".into(),
            started: String::new(),
            seed: 1,
            command: Vec::new(),
            clients: ["ours", "x", "y"].map(client).into(),
            scenarios: vec![first, second],
        };
        let folder = std::env::temp_dir().join(format!("peers-compact-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        write(&run, &folder).unwrap();
        let text = fs::read_to_string(folder.join(FILE)).unwrap();
        let again = read(&folder).unwrap();
        write(&again, &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), text);
        fs::remove_dir_all(&folder).unwrap();

        assert_eq!(text.matches("has no linger").count(), 1, "{text}");
        assert_eq!(text.matches("latency_us").count(), 3, "{text}");
        for (run, again) in run.scenarios.iter().zip(&again.scenarios) {
            assert_eq!(run.scenario, again.scenario);
            let all = |run: &Measured| run.clients.values().chain(&run.beside).cloned().collect();
            let (one, other): (Vec<Outcome>, Vec<Outcome>) = (all(run), all(again));
            assert_eq!(one.len(), other.len());
            for pair in one.iter().zip(&other) {
                match pair {
                    (Outcome::None(one), Outcome::None(other)) => assert_eq!(one, other),
                    (Outcome::Figures(one), Outcome::Figures(other)) => {
                        assert_eq!(Summary::of(run, one), Summary::of(again, other));
                        assert_eq!(one.about, other.about);
                        assert_eq!(one.extras, other.extras);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_file_without_its_first_line_is_rejected() {
        assert!(parse("").is_err());
        assert!(parse("{\"client\":\"x\",\"why\":\"no\"}\n").is_err());
    }
}
