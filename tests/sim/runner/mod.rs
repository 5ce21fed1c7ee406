//! Seed runner: runs a range of seeds on several threads, prints progress, and shrinks and stores the first failing
//! seed of each kind of violation. The function that runs one scenario is a parameter; the environment selects the
//! seeds, see [`plan`].

mod one;
mod plan;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) use plan::{Plan, Runs};

use crate::events::Event;
use crate::scenario::Scenario;
use crate::trace::TraceHash;
use crate::{draw, store};
use show::Show;

/// Counts by name. Names with the same word before their first `/` are printed together: `fault/Cut`, `call/flush`.
pub(crate) type Tallies = BTreeMap<String, u64>;

/// The outcome of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RunReport {
    /// Violations of the rules, as text; the part before the first `:` names the rule.
    pub(crate) violations: Vec<String>,
    pub(crate) records: u64,
    pub(crate) acknowledged: u64,
    /// Duration of the run on the simulated clock.
    pub(crate) simulated: Duration,
    pub(crate) tallies: Tallies,
}

/// Runs a scenario, and passes each event to the observer. The same scenario gives the same events each time.
pub(crate) type RunOne = fn(&Scenario, &mut dyn FnMut(&Event)) -> RunReport;

/// The outcome of all runs together.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) seeds: u64,
    pub(crate) records: u64,
    pub(crate) acknowledged: u64,
    pub(crate) simulated: Duration,
    pub(crate) tallies: Tallies,
    /// Seeds that failed, each with its first violation.
    pub(crate) failures: BTreeMap<u64, String>,
    /// Hash over the trace hashes of all seeds in their order, if hashes were requested.
    pub(crate) hash: Option<u64>,
}

impl Summary {
    fn add(&mut self, report: &RunReport) {
        self.seeds += 1;
        self.records += report.records;
        self.acknowledged += report.acknowledged;
        self.simulated += report.simulated;
        for (name, count) in &report.tallies {
            match self.tallies.get_mut(name) {
                Some(sum) => *sum += count,
                None => {
                    self.tallies.insert(name.clone(), *count);
                }
            }
        }
    }
}

/// Carries out the plan, and prints to `out`.
pub(crate) fn go(plan: &Plan, run: RunOne, out: &mut (dyn Write + Send)) -> io::Result<Summary> {
    let mut show = Show { plan, run, out };
    match &plan.runs {
        Runs::Seed(seed) => show.replay(draw::scenario_with(*seed, plan.wishes)),
        Runs::File(path) => {
            let stored = store::load(path).map_err(io::Error::other)?;
            writeln!(show.out, "{}\n", stored.story)?;
            show.replay(stored.scenario)
        }
        Runs::Range {
            first,
            count,
            fresh,
        } => {
            show.range_begins(*first, *count, *fresh)?;
            let began = Instant::now();
            let board = Board {
                next: *first,
                count: *count,
                stops: false,
                ready: BTreeMap::new(),
                shown: *first,
                summary: Summary::default(),
                kinds: BTreeMap::new(),
                hash: TraceHash::new().value(),
                began,
                reported_at: began,
                trouble: None,
                show: &mut show,
            };
            let board = Mutex::new(board);
            std::thread::scope(|scope| {
                for _ in 1..plan.threads {
                    scope.spawn(|| work(plan, run, &board));
                }
                work(plan, run, &board);
            });
            let Board {
                mut summary,
                kinds,
                hash,
                trouble,
                ..
            } = board.into_inner().expect("no worker panics");
            if let Some(error) = trouble {
                return Err(error);
            }
            summary.hash = plan.hashes.then_some(hash);
            for seed in kinds.values() {
                show.failure(*seed)?;
            }
            show.range_ends(&summary, began.elapsed())?;
            Ok(summary)
        }
    }
}

/// State shared by the worker threads.
struct Board<'a, 'b> {
    /// The next seed to run.
    next: u64,
    /// Seeds that are not handed out yet; `None` for no limit.
    count: Option<u64>,
    /// Whether no further seed is started: a seed failed, or the output did.
    stops: bool,
    /// Reports that are complete but not printed yet, since an earlier seed is still running.
    ready: BTreeMap<u64, Done>,
    /// The next seed to print.
    shown: u64,
    summary: Summary,
    /// By kind of violation, the first seed that failed with it.
    kinds: BTreeMap<String, u64>,
    hash: u64,
    began: Instant,
    /// When progress was last printed.
    reported_at: Instant,
    trouble: Option<io::Error>,
    show: &'a mut Show<'b>,
}

struct Done {
    report: RunReport,
    hash: u64,
}

fn work(plan: &Plan, run: RunOne, board: &Mutex<Board<'_, '_>>) {
    loop {
        let Some(seed) = board.lock().expect("no worker panics").hand_out() else {
            return;
        };
        let scenario = draw::scenario_with(seed, plan.wishes);
        let mut hash = TraceHash::new();
        let report = one::run(run, &scenario, &mut |event| {
            if plan.hashes {
                hash.see(event);
            }
        });
        let done = Done {
            report,
            hash: hash.value(),
        };
        board.lock().expect("no worker panics").take_in(seed, done);
    }
}

impl Board<'_, '_> {
    fn hand_out(&mut self) -> Option<u64> {
        let limit = self.show.plan.duration;
        let is_over = limit.is_some_and(|limit| self.began.elapsed() >= limit);
        if self.stops || is_over || self.count == Some(0) {
            return None;
        }
        self.count = self.count.map(|left| left - 1);
        let seed = self.next;
        self.next = self.next.wrapping_add(1);
        Some(seed)
    }

    /// Takes in a report, and prints all reports that no earlier seed still delays: reports are printed in the order of
    /// seeds.
    fn take_in(&mut self, seed: u64, done: Done) {
        self.ready.insert(seed, done);
        while let Some(done) = self.ready.remove(&self.shown) {
            let seed = self.shown;
            self.shown = self.shown.wrapping_add(1);
            if let Err(error) = self.report(seed, &done) {
                self.trouble.get_or_insert(error);
                self.stops = true;
            }
        }
    }

    fn report(&mut self, seed: u64, done: &Done) -> io::Result<()> {
        if self.stops {
            // This seed was still running when another one failed.
            return Ok(());
        }
        self.summary.add(&done.report);
        if self.show.plan.hashes {
            self.hash = (self.hash ^ done.hash).wrapping_mul(0x0000_0100_0000_01b3);
            self.show.hash(seed, done.hash)?;
        }
        if let Some(violation) = done.report.violations.first() {
            self.summary.failures.insert(seed, violation.clone());
            self.kinds.entry(kind_of(violation)).or_insert(seed);
            self.show.violation(seed, violation)?;
            self.stops = !self.show.plan.keeps_going;
        }
        let pause = Duration::from_secs(if self.show.plan.colour { 1 } else { 15 });
        if self.reported_at.elapsed() >= pause && !self.show.plan.hashes {
            self.reported_at = Instant::now();
            self.show.progress(&self.summary, self.began.elapsed())?;
        }
        Ok(())
    }
}

/// Kind of a violation: the name of the broken rule, or for a panic its text, in both cases without digits. Seeds that
/// fail for the same reason have the same kind.
fn kind_of(violation: &str) -> String {
    let rule = match violation.strip_prefix("panic: ") {
        Some(panic) => panic,
        None => violation.split(':').next().unwrap_or(violation),
    };
    rule.chars().filter(|c| !c.is_ascii_digit()).collect()
}
