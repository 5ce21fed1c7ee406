//! `table.md`: the full table, scenario by scenario.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::format::{cell, interval, least, median, micros, number, rate};
use crate::bound::Bound;
use crate::driver::OURS;
use crate::raw::{Counted, Extras, Measured, Outcome, Run};
use crate::scenario::Mode;
use crate::summary::Summary;
use crate::target::{self, Target, Verdict};

/// Renders the full table; `plots` are the names of the plot files in the same folder.
pub fn render(run: &Run, plots: &[String]) -> Result<String> {
    let mut out = String::new();
    head(&mut out, run);
    clients(&mut out, run);
    for plot in plots {
        let _ = writeln!(out, "![{plot}]({plot})\n");
    }
    targets(&mut out, run)?;
    out.push_str("## Scenarios\n\n");
    for measured in &run.scenarios {
        scenario(&mut out, run, measured);
    }
    Ok(out)
}

fn head(out: &mut String, run: &Run) {
    let machine = &run.machine;
    let _ = writeln!(
        out,
        "# Producers side by side\n\n\
         Commit {}, {}; {} × {}, {} MiB, Linux {}; {}; {}; seed {}; load when it began: {}.\n\n\
         Figures are medians of the rounds, with the interval in which the true median lies 95 times in a \
         hundred (with fewer than six rounds: their range); \"least\" is the cheapest round. CPU is user and system \
         time of the client's whole \
         process; ratios are taken round by round, so that what slows all down cancels. A record counts when \
         it was acknowledged. \"Floor\" is no producer: requests made beforehand are written to the socket, \
         one batch in each, or as many as fit (\"full requests\"). MB/s counts keys and values.\n",
        run.commit,
        run.started,
        machine.processors,
        machine.processor,
        machine.memory_mib,
        machine.kernel,
        machine.rustc,
        machine.java,
        run.seed,
        machine.load_average,
    );
}

fn clients(out: &mut String, run: &Run) {
    out.push_str("## Clients\n\n| | client | remarks |\n|---|---|---|\n");
    for client in &run.clients {
        let mut abouts = run
            .scenarios
            .iter()
            .filter_map(|m| Some(&m.figures(&client.name)?.about));
        let what = abouts.clone().next().map_or_else(
            || {
                client
                    .build_error
                    .clone()
                    .map_or("–".to_owned(), |line| format!("does not build: {line}"))
            },
            |about| about.client.clone(),
        );
        let mut notes = Vec::<&str>::new();
        for note in abouts.by_ref().flat_map(|about| &about.notes) {
            if !notes.contains(&note.as_str()) {
                notes.push(note);
            }
        }
        let notes = notes.join("; ");
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            cell(&client.display),
            cell(&what),
            cell(&notes)
        );
    }
    out.push('\n');
}

/// Renders the targets and their verdicts; nothing if our client was not run.
pub fn targets(out: &mut String, run: &Run) -> Result<()> {
    out.push_str(
        "## Targets\n\nFound: the median of the rounds. At best: the best round of each client instead, the least CPU \
         or the most records/s, whenever it was; where that would be judged otherwise it is said.\n\n\
         | scenario | measure | bound | found | at best | |\n|---|---|---|---|---|---|\n",
    );
    let mut others = 0;
    for target in target::all()? {
        let best = target.at_best(run);
        let at_best = best.as_ref().map(|(value, _)| target.bound.allows(*value));
        let (found, mark) = match target.evaluate(run) {
            Verdict::Reached(value, whom) => {
                let mark = match at_best {
                    Some(false) => "reached, **missed** at best",
                    _ => "reached",
                };
                (against(&target, value, &whom), mark)
            }
            Verdict::Missed(value, whom) => {
                let mark = match at_best {
                    Some(true) => "**missed**, reached at best",
                    _ => "**missed**",
                };
                (against(&target, value, &whom), mark)
            }
            Verdict::Open(reason) => (reason, "open"),
            Verdict::NotInRun => {
                others += 1;
                continue;
            }
        };
        let best = best.map_or_else(
            || "–".to_owned(),
            |(value, whom)| against(&target, value, &whom),
        );
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {mark} |",
            target.scenario,
            target.measure.name(),
            target.bound(),
            cell(&found),
            cell(&best)
        );
    }
    if others > 0 {
        let _ = writeln!(
            out,
            "\n{others} targets are for scenarios that are not in this run."
        );
    }
    out.push('\n');
    Ok(())
}

fn against(target: &Target, value: f64, whom: &str) -> String {
    let sign = match target.bound {
        Bound::Above(_) if value > 0.0 => "+",
        _ => "",
    };
    format!("{sign}{} ({whom})", number(value))
}

fn scenario(out: &mut String, run: &Run, measured: &Measured) {
    let scenario = &measured.scenario;
    let _ = writeln!(out, "### {}: {}\n", scenario.name, scenario.title);
    let columns = columns(measured);
    let _ = write!(out, "| client |");
    for column in &columns {
        let _ = write!(out, " {} |", column.title);
    }
    let _ = writeln!(out, "\n|---|{}", "---|".repeat(columns.len()));
    let mut notes = Footnotes::default();
    let mut rows = Vec::new();
    for client in &run.clients {
        let display = cell(&client.display);
        let is_ours = client.name == OURS;
        if let Some(outcome) = measured.clients.get(&client.name) {
            let name = if is_ours {
                format!("**{display}**")
            } else {
                display.clone()
            };
            rows.push((name, outcome));
        }
        if let (true, Some(outcome), Some(beside)) = (is_ours, &measured.beside, &scenario.beside) {
            rows.push((format!("{display}, in {beside}"), outcome));
        }
    }
    for (name, outcome) in rows {
        row(out, &mut notes, measured, &columns, &name, outcome);
    }
    out.push('\n');
    notes.write(out);
    extras(out, run, measured);
}

/// Renders the row of a client: its figures, or the reason why there are none.
fn row(
    out: &mut String,
    notes: &mut Footnotes,
    measured: &Measured,
    columns: &[Column],
    name: &str,
    outcome: &Outcome,
) {
    let figures = match outcome {
        Outcome::Figures(figures) => figures,
        Outcome::None(reason) => {
            let rest = "| ".repeat(columns.len().saturating_sub(1));
            let _ = writeln!(out, "| {name} | *{}* {rest}|", cell(reason));
            return;
        }
    };
    let summary = Summary::of(measured, figures);
    let unequal = figures.about.unequal.iter();
    let mut marks: Vec<usize> = unequal.map(|text| notes.mark(text)).collect();
    if !summary.settled && measured.scenario.mode != Mode::Idle {
        marks.push(notes.mark("its cost had not settled when the counted rounds began"));
    }
    let _ = write!(out, "| {name}{} |", superscript(&marks));
    for column in columns {
        let _ = write!(out, " {} |", (column.write)(&summary));
    }
    out.push('\n');
}

/// A column of a scenario's table.
struct Column {
    title: &'static str,
    write: fn(&Summary) -> String,
}

fn column(title: &'static str, write: fn(&Summary) -> String) -> Column {
    Column { title, write }
}

fn columns(measured: &Measured) -> Vec<Column> {
    let mut columns = Vec::new();
    let mode = measured.scenario.mode;
    if measured.scenario.give_up_ms.is_some() {
        columns.push(column("acknowledged", |s| {
            s.acked_share.map_or_else(
                || "–".to_owned(),
                |share| format!("{} %", number(share * 100.0)),
            )
        }));
    }
    if mode == Mode::Idle {
        columns.push(column("CPU ms per second", |s| {
            interval(s.cpu_ms_per_second, number)
        }));
        columns.push(column("least", |s| least(s.cpu_ms_per_second, number)));
        columns.push(column("context switches per second", |s| {
            interval(s.switches_per_second, number)
        }));
    } else {
        columns.push(column("records/s", |s| {
            interval(s.records_per_second, rate)
        }));
        columns.push(column("MB/s", |s| median(s.megabytes_per_second, number)));
        columns.push(column("CPU µs per record", |s| interval(s.cpu_us, number)));
        columns.push(column("least", |s| least(s.cpu_us, number)));
        columns.push(column("of it system", |s| {
            s.system_share
                .map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0))
        }));
        columns.push(column("CPU × ours", |s| interval(s.cpu_ratio, number)));
        columns.push(column("least × ours", |s| {
            s.least_cpu_ratio.map_or_else(|| "–".to_owned(), number)
        }));
        if mode != Mode::Rate {
            columns.push(column("records/s × ours", |s| {
                interval(s.rate_ratio, number)
            }));
        }
    }
    if mode.has_latencies() {
        columns.push(column("p50", |s| latency(s, |all| all.p50)));
        columns.push(column("p99", |s| latency(s, |all| all.p99)));
        columns.push(column("p99.9", |s| latency(s, |all| all.p999)));
        columns.push(column("longest", |s| latency(s, |all| all.max)));
    }
    columns.push(column("peak MiB", |s| number(s.peak_mib)));
    columns.push(column("in the rounds", |s| {
        s.peak_mib_rounds.map_or_else(|| "–".to_owned(), number)
    }));
    if mode != Mode::Idle {
        columns.push(column("switches per 1,000", |s| median(s.switches, number)));
    }
    columns.push(column("threads", |s| s.threads.to_string()));
    if mode != Mode::Idle {
        columns.push(column("broker's CPU µs per record", |s| {
            median(s.broker_cpu_us, number)
        }));
    }
    columns
}

fn latency(summary: &Summary, of: fn(&crate::raw::Percentiles) -> f64) -> String {
    summary
        .latencies
        .as_ref()
        .map_or_else(|| "–".to_owned(), |all| micros(of(all)))
}

/// Renders the counts from separate processes.
fn extras(out: &mut String, run: &Run, measured: &Measured) {
    if measured.scenario.extras.is_empty() {
        return;
    }
    let mut lines = Vec::new();
    for client in &run.clients {
        if let Some(figures) = measured.figures(&client.name) {
            lines.extend(
                extra_lines(&figures.extras)
                    .into_iter()
                    .map(|line| format!("- {}: {line}", client.display)),
            );
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(
            out,
            "Counted in processes of their own, per record:\n\n{}\n",
            lines.join("\n")
        );
    }
}

fn extra_lines(extras: &Extras) -> Vec<String> {
    let plain = |what: &str, counted: &Option<Counted<f64>>| {
        let counted = counted.as_ref()?;
        Some(match counted {
            Ok(count) => format!("{} {what}", number(*count)),
            Err(reason) => format!("{what} not counted: {reason}"),
        })
    };
    let syscalls = |counted: &Counted<BTreeMap<String, f64>>| match counted {
        Ok(threads) => {
            let each = threads
                .iter()
                .map(|(name, count)| format!("{} in {name}", number(*count)));
            format!("system calls: {}", each.collect::<Vec<_>>().join(", "))
        }
        Err(reason) => format!("system calls not counted: {reason}"),
    };
    [
        plain(
            "allocations where `send` is called",
            &extras.allocations_callers,
        ),
        plain("allocations in the process", &extras.allocations_process),
        plain("instructions in the process", &extras.instructions),
        extras.syscalls.as_ref().map(syscalls),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The footnotes under a table. Each sentence occurs once, even if several cells refer to it.
#[derive(Default)]
struct Footnotes(Vec<String>);

impl Footnotes {
    fn mark(&mut self, text: &str) -> usize {
        let at = self
            .0
            .iter()
            .position(|known| known == text)
            .unwrap_or_else(|| {
                self.0.push(text.to_owned());
                self.0.len() - 1
            });
        at + 1
    }

    fn write(&self, out: &mut String) {
        for (at, text) in self.0.iter().enumerate() {
            let _ = writeln!(out, "{} {}\\", superscript(&[at + 1]).trim(), cell(text));
        }
        if !self.0.is_empty() {
            // No line break after the last line.
            out.truncate(out.trim_end_matches(['\\', '\n']).len());
            out.push_str("\n\n");
        }
    }
}

fn superscript(marks: &[usize]) -> String {
    let marks: Vec<String> = marks.iter().map(|mark| format!("({mark})")).collect();
    if marks.is_empty() {
        String::new()
    } else {
        format!(" <sup>{}</sup>", marks.join(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Client, Figures};
    use crate::summary::tests::{figures, measured, round};

    fn run() -> Run {
        let mut theirs = figures(vec![round(20.0, 800); 7]);
        if let Outcome::Figures(Figures { about, settled, .. }) = &mut theirs {
            about.client = "other 1.2".into();
            about.unequal = vec!["has no linger".into()];
            *settled = false;
        }
        let clients = vec![
            ("ours", figures(vec![round(10.0, 200); 7])),
            ("other", theirs),
            (
                "broken",
                Outcome::None("does not build: error: a | b".into()),
            ),
        ];
        Run {
            machine: crate::machine::describe(),
            commit: "abc".into(),
            started: "now".into(),
            seed: 1,
            command: Vec::new(),
            clients: ["ours", "other", "broken"]
                .map(|name| Client {
                    name: name.into(),
                    display: name.into(),
                    build_error: None,
                })
                .into(),
            scenarios: vec![measured("base", clients)],
        }
    }

    #[test]
    fn a_scenario_has_figures_differences_and_the_reasons_of_missing_clients() {
        let text = render(&run(), &["cpu.svg".into()]).unwrap();
        let row = |start: &str| text.lines().rfind(|line| line.starts_with(start)).unwrap();
        assert!(
            row("| **ours** |").contains("| 100 k | 10.0 | 0.200 | 0.200 |"),
            "{text}"
        );
        assert!(
            row("| other <sup>(1)(2)</sup> |").contains("| 4.00 | 4.00 | 0.500 |"),
            "{text}"
        );
        assert!(
            row("| broken |").contains("*does not build: error: a \\| b*"),
            "{text}"
        );
        assert!(
            text.contains("<sup>(1)</sup> has no linger\\\n<sup>(2)</sup> its cost"),
            "{text}"
        );
        assert!(text.contains("![cpu.svg](cpu.svg)"));
    }

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let text = render(&run(), &[]).unwrap();
        let (_, scenario) = text.split_once("### base").unwrap();
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows: Vec<&str> = scenario
            .lines()
            .filter(|line| line.starts_with('|'))
            .collect();
        assert_eq!(rows.len(), 5);
        for row in &rows {
            assert_eq!(cells(row), cells(rows[0]), "{row}");
        }
    }

    #[test]
    fn our_client_in_the_paired_scenario_has_a_row_below_its_own_row() {
        let mut run = run();
        run.scenarios[0].scenario.beside = Some("keyed".into());
        run.scenarios[0].beside = Some(figures(vec![round(20.0, 100); 7]));
        let text = render(&run, &[]).unwrap();
        let (_, below) = text.split_once("| **ours** |").unwrap();
        let row = below.lines().nth(1).unwrap();
        assert!(
            row.starts_with("| ours, in keyed | 50.0 k |") && row.contains("| 0.500 |"),
            "{row}"
        );
    }

    #[test]
    fn targets_are_judged_in_the_table() {
        let text = render(&run(), &[]).unwrap();
        assert!(text.contains(
            "| base | CPU per record | ≤ 0.25 × the best peer's | 0.250 (other) | 0.250 (other) | reached |"
        ));
        assert!(
            text.contains(
                "| base | records/s | ≥ 3 × the best peer's | 2.00 (other) | 2.00 (other) | **missed** |"
            )
        );
        assert!(!text.contains("| one-by-one | latency p50 |"));
        assert!(text.contains(" targets are for scenarios that are not in this run."));
    }

    #[test]
    fn a_verdict_that_best_rounds_would_change_says_so() {
        let verdict = |ours: [u64; 3], theirs: [u64; 3]| {
            let rounds = |costs: [u64; 3]| figures(costs.map(|cost| round(10.0, cost)).into());
            let clients = vec![("ours", rounds(ours)), ("other", rounds(theirs))];
            let mut run = run();
            run.scenarios = vec![measured("base", clients)];
            let text = render(&run, &[]).unwrap();
            let row = |line: &&str| line.starts_with("| base | CPU per record | ≤ 0.25 × the best");
            let row = text.lines().find(row).unwrap().to_owned();
            row.split(" best peer's | ").nth(1).unwrap().to_owned()
        };
        assert_eq!(
            verdict([200, 200, 200], [800, 800, 400]),
            "0.250 (other) | 0.500 (other) | reached, **missed** at best |"
        );
        assert_eq!(
            verdict([100, 200, 200], [400, 400, 500]),
            "0.400 (other) | 0.250 (other) | **missed**, reached at best |"
        );
    }
}
