//! Output of the seed runner: progress, failures, traces and the table of tallies.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use super::{Plan, RunOne, RunReport, Summary, Tallies, kind_of, one};
use crate::draw;
use crate::scenario::Scenario;
use crate::shrink::{Budget, Shrunk, shrink};
use crate::store::{self, Stored};
use crate::trace::{self, Trace, TraceHash, Verbosity, words};

/// Number of trace lines of a failing scenario that are printed; its trace file has all of them.
const LAST_LINES: usize = 120;

const COMMAND: &str = "cargo test --release --test sim seeds -- --nocapture";

pub(super) struct Show<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: RunOne,
    pub(super) out: &'a mut (dyn Write + Send),
}

impl Show<'_> {
    /// Runs one scenario, and prints its trace.
    pub(super) fn replay(&mut self, scenario: Scenario) -> io::Result<Summary> {
        writeln!(self.out, "{}", trace::header(&scenario))?;
        let mut lines = self
            .plan
            .trace
            .map(|verbosity| Trace::new(&scenario, verbosity, self.plan.colour));
        let mut hash = TraceHash::new();
        let mut trouble = Ok(());
        let report = one::run(self.run, &scenario, &mut |event| {
            hash.see(event);
            if let Some(lines) = &mut lines {
                lines.see(event);
                for line in lines.take_lines() {
                    let written = writeln!(self.out, "{line}");
                    trouble = std::mem::replace(&mut trouble, Ok(())).and(written);
                }
            }
        });
        trouble?;
        for line in lines.map(Trace::finish).unwrap_or_default() {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        self.violations(&report)?;
        writeln!(
            self.out,
            "seed {}: {} of {} acknowledged, {} simulated, hash {:016x}",
            scenario.seed,
            words::number(report.acknowledged),
            words::count(report.records, "record", "records"),
            words::span_of_ms(report.simulated.as_millis() as u64),
            hash.value()
        )?;
        let mut summary = Summary {
            hash: Some(hash.value()),
            ..Summary::default()
        };
        summary.add(&report);
        if let Some(violation) = report.violations.first() {
            summary.failures.insert(scenario.seed, violation.clone());
            if !self.plan.shrink_for.is_zero() {
                self.failing(scenario, violation)?;
            }
        }
        Ok(summary)
    }

    pub(super) fn range_begins(
        &mut self,
        first: u64,
        count: Option<u64>,
        fresh: bool,
    ) -> io::Result<()> {
        let count = count.map_or(String::new(), |count| format!(" SEEDS={count}"));
        let fresh = if fresh { "fresh seeds; again: " } else { "" };
        let threads = words::count(self.plan.threads as u64, "thread", "threads");
        writeln!(self.out, "{fresh}SEED_START={first}{count}, on {threads}")
    }

    pub(super) fn hash(&mut self, seed: u64, hash: u64) -> io::Result<()> {
        writeln!(self.out, "seed {seed} hash {hash:016x}")
    }

    pub(super) fn violation(&mut self, seed: u64, violation: &str) -> io::Result<()> {
        self.clear_progress()?;
        writeln!(self.out, "✗ seed {seed}: {violation}")
    }

    pub(super) fn progress(&mut self, so_far: &Summary, took: Duration) -> io::Result<()> {
        let text = format!("{}, {}", pace(so_far, took), records(so_far));
        if self.plan.colour {
            write!(self.out, "\r\x1b[K{text}")?;
            self.out.flush()
        } else {
            writeln!(self.out, "{text}")
        }
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        if self.plan.colour {
            write!(self.out, "\r\x1b[K")?;
        }
        Ok(())
    }

    pub(super) fn range_ends(&mut self, summary: &Summary, took: Duration) -> io::Result<()> {
        self.clear_progress()?;
        tallies(&summary.tallies, self.out)?;
        writeln!(
            self.out,
            "{} in {:.1} s on {}, {}, {} of simulated time",
            pace(summary, took),
            took.as_secs_f64(),
            words::count(self.plan.threads as u64, "thread", "threads"),
            records(summary),
            words::span_of_ms(summary.simulated.as_millis() as u64)
        )?;
        if let Some(hash) = summary.hash {
            writeln!(self.out, "all seeds hash {hash:016x}")?;
        }
        if summary.failures.is_empty() {
            return writeln!(self.out, "none failed");
        }
        writeln!(
            self.out,
            "{} failed:",
            words::number(summary.failures.len() as u64)
        )?;
        let mut by_kind: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (seed, violation) in &summary.failures {
            by_kind.entry(kind_of(violation)).or_default().push(*seed);
        }
        for (kind, seeds) in by_kind {
            let named: Vec<_> = seeds.iter().take(8).map(u64::to_string).collect();
            let more = if seeds.len() > 8 { ", …" } else { "" };
            writeln!(
                self.out,
                "{:>7}  {kind}: {}{more}",
                seeds.len(),
                named.join(", ")
            )?;
        }
        Ok(())
    }

    /// Shrinks, prints and stores a failing seed.
    pub(super) fn failure(&mut self, seed: u64) -> io::Result<()> {
        let scenario = draw::scenario_with(seed, self.plan.wishes);
        let report = one::run(self.run, &scenario, &mut |_| ());
        let Some(violation) = report.violations.first() else {
            return writeln!(
                self.out,
                "✗ seed {seed} fails, but not when it is run again"
            );
        };
        self.failing(scenario, violation)
    }

    fn failing(&mut self, scenario: Scenario, violation: &str) -> io::Result<()> {
        let seed = scenario.seed;
        let kind = kind_of(violation);
        let before = format!(
            "{} and {}",
            words::count(trace::records(&scenario), "record", "records"),
            words::count(scenario.faults.len() as u64, "fault", "faults")
        );
        let scenario = if self.plan.shrink_for.is_zero() {
            scenario
        } else {
            let run = self.run;
            let shrunk = shrink(
                scenario,
                |smaller| {
                    let report = one::run(run, smaller, &mut |_| ());
                    report.violations.iter().any(|one| kind_of(one) == kind)
                },
                Budget {
                    tries: usize::MAX,
                    time: self.plan.shrink_for,
                },
            );
            self.shrunk(&before, &shrunk)?;
            shrunk.scenario
        };
        self.small(scenario, seed, violation)
    }

    fn shrunk(&mut self, before: &str, shrunk: &Shrunk) -> io::Result<()> {
        writeln!(
            self.out,
            "\nseed {}: shrunk to {} and {} from {before}, in {}{}",
            shrunk.scenario.seed,
            words::count(trace::records(&shrunk.scenario), "record", "records"),
            words::count(shrunk.scenario.faults.len() as u64, "fault", "faults"),
            words::count(shrunk.tries as u64, "try", "tries"),
            if shrunk.is_done {
                ""
            } else {
                "; SHRINK=600 may shrink it further"
            }
        )
    }

    /// Prints the shrunken scenario with its trace and the commands that replay it, and stores it.
    fn small(&mut self, scenario: Scenario, seed: u64, violation: &str) -> io::Result<()> {
        let verbosity = self.plan.trace.unwrap_or(Verbosity::Condensed);
        let mut lines = Trace::new(&scenario, verbosity, self.plan.colour);
        let report = one::run(self.run, &scenario, &mut |event| lines.see(event));
        let mut all = lines.take_lines();
        all.extend(lines.finish());

        writeln!(self.out, "\n{}", trace::header(&scenario))?;
        let left_out = all.len().saturating_sub(LAST_LINES);
        let json = self.plan.folder.join(format!("failure-{seed}.json"));
        let text = json.with_extension("trace");
        if left_out > 0 {
            let lines = words::count(left_out as u64, "line", "lines");
            writeln!(self.out, "… {lines} more in {}", text.display())?;
        }
        for line in &all[left_out..] {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        self.violations(&report)?;
        let stored = Stored {
            story: format!("Seed {seed}: {violation}"),
            scenario,
        };
        store::save(&json, &stored)?;
        let whole = format!("{}\n{}\n", trace::header(&stored.scenario), all.join("\n"));
        fs::write(&text, whole)?;
        writeln!(
            self.out,
            "\nshrunken seed:   REPLAY={} {COMMAND}\nthe whole seed:  SEED={seed} {COMMAND}\n",
            json.display()
        )
    }

    fn violations(&mut self, report: &RunReport) -> io::Result<()> {
        for violation in &report.violations {
            writeln!(self.out, "✗ {violation}")?;
        }
        Ok(())
    }
}

fn pace(summary: &Summary, took: Duration) -> String {
    let a_minute = summary.seeds as f64 * 60.0 / took.as_secs_f64().max(0.001);
    format!(
        "{}, {} a minute",
        words::count(summary.seeds, "seed", "seeds"),
        words::number(a_minute as u64)
    )
}

fn records(summary: &Summary) -> String {
    format!(
        "{}, {} % acknowledged",
        words::count(summary.records, "record", "records"),
        summary.acknowledged * 100 / summary.records.max(1)
    )
}

/// Prints names with their counts, in up to four columns for each group.
fn tallies(tallies: &Tallies, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let mut groups: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for (name, count) in tallies {
        let (group, name) = name.split_once('/').unwrap_or(("", name));
        groups.entry(group).or_default().push((name, *count));
    }
    for (group, rows) in groups {
        writeln!(out, "\n{group}")?;
        let width = rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        let columns = (120 / (width + 16)).clamp(1, 4);
        let height = rows.len().div_ceil(columns);
        for row in 0..height {
            let mut line = String::new();
            for (name, count) in rows.iter().skip(row).step_by(height) {
                let count = words::number(*count);
                line += &format!("  {name:<width$} {count:>11}");
            }
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out)
}
