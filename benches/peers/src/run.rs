//! Runs one scenario: new brokers, all clients that support it, warm-up, counted rounds in shuffled order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use driver_kit::Produce;
use fastrand::Rng;

use crate::broker::Broker;
use crate::driver::{Build, Description, OURS, Session, is_floor};
use crate::extras;
use crate::measure::{Usage, cpu_ns_of_threads};
use crate::payloads::Payloads;
use crate::process::{check_interrupted, sleep};
use crate::progress::Progress;
use crate::raw::{Figures, Measured, Outcome, Round};
use crate::scenario::{Mode, Scenario};
use crate::warm_up::{Next, Taken, WarmUp};

/// The settings that all scenarios of a run share.
pub struct Setting {
    /// The repository's root.
    pub root: PathBuf,
    pub logs: PathBuf,
    pub payloads: Payloads,
    pub seed: u64,
    pub rounds: usize,
    pub round_seconds: f64,
    pub warm_up: Duration,
    /// Whether the warm-up for a fixed rate has at least the rate [`HURRIED`], and [`ROUNDS_AT_RATE`] follow it.
    pub hurry: bool,
    /// Whether the extras of a scenario are counted.
    pub extras: bool,
    /// Whether batches, and the CPU time of the producer's threads, are counted in each round.
    pub counters: bool,
    pub clients: Vec<(Description, Build)>,
}

/// A client that takes part in the scenario.
struct Runner<'a> {
    driver: &'a Description,
    /// The index in [`RunningScenario::testbeds`].
    testbed: usize,
    session: Session,
    records: u64,
    figures: Figures,
}

impl Setting {
    /// Runs a scenario from the start of its brokers to their end. If there is a paired scenario, our client runs in it
    /// in the same rounds.
    ///
    /// # Errors
    /// If the brokers do not start, or the run is interrupted. The error of a client is part of its outcome.
    pub fn run(
        &self,
        scenario: &Scenario,
        beside: Option<&Scenario>,
        progress: &mut Progress,
    ) -> Result<Measured> {
        let start = Instant::now();
        let logs = self.logs.join(&scenario.name);
        progress.step("starting brokers");
        let mut testbeds = vec![self.testbed(scenario, logs.clone())?];
        if let Some(beside) = beside {
            testbeds.push(self.testbed(beside, logs.join("beside"))?);
        }
        let mut running = self.rounds(testbeds, progress)?;
        running.count_extras(progress)?;
        let mut outcomes = running.testbeds.into_iter().map(|testbed| testbed.outcomes);
        Ok(Measured {
            scenario: scenario.clone(),
            clients: outcomes.next().unwrap_or_default(),
            beside: outcomes.next().and_then(|mut beside| beside.remove(OURS)),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Runs our client in several scenarios in the same rounds, each with its own broker and its own process.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_interleaved(
        &self,
        scenarios: &[Scenario],
        progress: &mut Progress,
    ) -> Result<Vec<Outcome>> {
        progress.step("starting brokers");
        let testbeds = scenarios
            .iter()
            .map(|scenario| self.testbed(scenario, self.logs.join(&scenario.name)))
            .collect::<Result<_>>()?;
        let running = self.rounds(testbeds, progress)?;
        let none = || Outcome::None("it was not run".to_owned());
        let outcomes = running.testbeds.into_iter().map(|mut testbed| {
            let outcome = testbed.outcomes.remove(OURS);
            outcome.unwrap_or_else(none)
        });
        Ok(outcomes.collect())
    }

    /// Warm-up and counted rounds. The first scenario decides the number of rounds.
    fn rounds<'a>(
        &'a self,
        testbeds: Vec<Testbed<'a>>,
        progress: &mut Progress,
    ) -> Result<RunningScenario<'a>> {
        let scenario = testbeds[0].scenario;
        let mut running = RunningScenario {
            setting: self,
            scenario,
            testbeds,
        };
        let mut runners = running.start_clients(progress)?;
        running.warm_up(&mut runners, progress)?;
        if let Some(node) = scenario.hang_node {
            running.testbeds[0].broker.hang(node)?;
        }
        for runner in &mut runners {
            runner.figures.peak_kib_before = runner.session.processes.peak_kib();
            if runner.session.processes.reset_peak() {
                runner.figures.peak_kib_rounds = Some(0);
            }
        }
        running.counted_rounds(&mut runners, progress)?;
        for mut runner in runners {
            let processes = &runner.session.processes;
            runner.figures.threads = processes.threads();
            runner.figures.peak_kib_rounds =
                runner.figures.peak_kib_rounds.map(|_| processes.peak_kib());
            running.testbeds[runner.testbed]
                .outcomes
                .insert(runner.driver.name.clone(), Outcome::Figures(runner.figures));
        }
        Ok(running)
    }

    fn testbed<'a>(&self, scenario: &'a Scenario, logs: PathBuf) -> Result<Testbed<'a>> {
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Testbed {
            scenario,
            broker: Broker::start(&self.root, scenario, &logs.join("broker.log"))?,
            logs,
            outcomes: BTreeMap::new(),
        })
    }
}

/// A running scenario.
struct RunningScenario<'a> {
    setting: &'a Setting,
    scenario: &'a Scenario,
    /// The stand of the scenario, with all clients, comes first. The stand of the paired scenario follows, with our
    /// client only.
    testbeds: Vec<Testbed<'a>>,
}

/// The brokers of a scenario, and the outcomes of the clients there.
struct Testbed<'a> {
    scenario: &'a Scenario,
    broker: Broker,
    logs: PathBuf,
    outcomes: BTreeMap<String, Outcome>,
}

impl<'a> RunningScenario<'a> {
    fn start_clients(&mut self, progress: &mut Progress) -> Result<Vec<Runner<'a>>> {
        let mut runners = Vec::new();
        for testbed in 0..self.testbeds.len() {
            for (driver, build) in &self.setting.clients {
                let scenario = self.testbeds[testbed].scenario;
                let is_left_out = driver.only_compressed && !scenario.compresses()
                    || driver.only_sealed && !scenario.is_sealed()
                    || driver.only_transactional && !scenario.transactional
                    || is_floor(&driver.name) && !scenario.floors
                    || testbed > 0 && driver.name != OURS;
                if !is_left_out {
                    runners.extend(self.start_client(testbed, driver, build, progress)?);
                }
            }
        }
        Ok(runners)
    }

    fn start_client(
        &mut self,
        testbed: usize,
        driver: &'a Description,
        build: &Build,
        progress: &mut Progress,
    ) -> Result<Option<Runner<'a>>> {
        progress.step(&format!("{}: start", driver.name));
        if let Err(line) = build {
            self.give_up(testbed, driver, format!("does not build: {line}"), progress);
            return Ok(None);
        }
        let at = &self.testbeds[testbed];
        let setup = self.setting.setup(at.scenario, &at.broker)?;
        let log = at.logs.join(format!("{}.log", driver.name));
        match Session::start(driver, &[], &setup, &log)? {
            Ok(session) => Ok(Some(Runner {
                driver,
                testbed,
                figures: Figures {
                    about: session.about.clone(),
                    ..Figures::default()
                },
                session,
                records: 0,
            })),
            Err(failure) => {
                self.give_up(testbed, driver, failure.reason(), progress);
                Ok(None)
            }
        }
    }

    fn warm_up(&mut self, runners: &mut Vec<Runner<'a>>, progress: &mut Progress) -> Result<()> {
        if self.scenario.mode == Mode::Idle {
            // Lets background work of the start end.
            return sleep(self.setting.warm_up.min(SETTLE));
        }
        let mut warm = Vec::new();
        for mut runner in runners.drain(..) {
            progress.step(&format!("{}: warm-up", runner.driver.name));
            match self.warm_up_one(&mut runner) {
                Ok(()) => warm.push(runner),
                Err(error) => self.record_failure(&runner, &error, progress)?,
            }
        }
        *runners = warm;
        Ok(())
    }

    fn warm_up_one(&mut self, runner: &mut Runner<'_>) -> Result<()> {
        // Long counted rounds do not need equally long warm-up rounds.
        let round_seconds = self.round_seconds().min(self.setting.round_seconds);
        let scenario = self.testbeds[runner.testbed].scenario;
        let hurried = scenario.per_second.map(|rate| {
            if self.setting.hurry {
                rate.max(HURRIED)
            } else {
                rate
            }
        });
        let first = match scenario.mode {
            Mode::Blast => FIRST_BLAST_BYTES / scenario.payload_bytes.max(100) as u64,
            Mode::OneByOne => FIRST_ONE_BY_ONE,
            Mode::Rate => (hurried.unwrap_or(0.0) * round_seconds) as u64,
            Mode::Groups => FIRST_GROUPS * scenario.group.unwrap_or(1),
            Mode::Idle => 0,
        };
        let is_paced = scenario.mode == Mode::Rate;
        let mut warm_up = WarmUp::new(first.max(1), round_seconds, self.setting.warm_up);
        loop {
            // No broker hangs yet, so the round needs no limit.
            let records = scenario.whole_groups(warm_up.records());
            let next = warm_up.take(self.warm_up_round(runner, records, hurried)?, is_paced);
            if let Next::Ready { settled } = next {
                runner.figures.settled = settled;
                break;
            }
        }
        runner.records = match scenario.per_second {
            Some(rate) => (rate * self.round_seconds()) as u64,
            None => scenario.whole_groups(warm_up.records()),
        };
        if let Some(rate) = scenario.per_second.filter(|_| self.setting.hurry) {
            for _ in 0..ROUNDS_AT_RATE {
                self.warm_up_round(runner, (rate * round_seconds) as u64, Some(rate))?;
            }
        }
        Ok(())
    }

    fn warm_up_round(
        &mut self,
        runner: &mut Runner<'_>,
        records: u64,
        per_second: Option<f64>,
    ) -> Result<Taken> {
        let mut round = self.round_at(runner, records, per_second, None, 0)?;
        // Latencies of the warm-up are not reported, and would take most of the memory.
        round.latency_ns.clear();
        let taken = Taken {
            seconds: round.seconds,
            cost: round.cpu_ns_per_record(),
            compiling: round.compiling_share(),
        };
        runner.figures.warm_up.push(round);
        Ok(taken)
    }

    fn counted_rounds(
        &mut self,
        runners: &mut Vec<Runner<'a>>,
        progress: &mut Progress,
    ) -> Result<()> {
        let mut rng = Rng::with_seed(self.setting.seed);
        let rounds = self.scenario.rounds.unwrap_or(self.setting.rounds);
        for number in 0..rounds {
            rng.shuffle(runners);
            progress.step(&format!("round {} of {rounds}", number + 1));
            if self.scenario.mode == Mode::Idle {
                self.idle_round(runners)?;
                continue;
            }
            let mut at = 0;
            while at < runners.len() {
                let runner = &mut runners[at];
                match self.round(runner, runner.records, self.scenario.give_up_ms, at) {
                    Ok(round) => {
                        runner.figures.rounds.push(round);
                        at += 1;
                    }
                    Err(error) => {
                        let runner = runners.remove(at);
                        self.record_failure(&runner, &error, progress)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs one round of a client at the scenario's rate, measured from outside.
    fn round(
        &mut self,
        runner: &mut Runner<'_>,
        records: u64,
        give_up_ms: Option<u64>,
        position: usize,
    ) -> Result<Round> {
        let per_second = self.testbeds[runner.testbed].scenario.per_second;
        self.round_at(runner, records, per_second, give_up_ms, position)
    }

    fn round_at(
        &mut self,
        runner: &mut Runner<'_>,
        records: u64,
        per_second: Option<f64>,
        give_up_ms: Option<u64>,
        position: usize,
    ) -> Result<Round> {
        let scenario = self.testbeds[runner.testbed].scenario;
        let mode = scenario.mode.of_driver().context("nothing to send")?;
        let produce = Produce {
            mode,
            records,
            per_second,
            tick_ms: scenario.tick_ms,
            group: scenario.group,
            give_up_ms,
        };
        let expected = Duration::from_secs_f64(self.round_seconds())
            + Duration::from_millis(give_up_ms.unwrap_or(0));
        let session = &mut runner.session;
        let at = &mut self.testbeds[runner.testbed].broker;
        let counters = self.setting.counters;
        let counted = counters.then(|| count(at, session)).transpose()?;
        let broker = at.processes.cpu()?;
        let before = session.processes.usage()?;
        let mut result = session.produce(&produce, expected)?;
        let client = session.processes.usage()?.since(before);
        let broker_cpu = at.processes.cpu()?.saturating_sub(broker);
        if let Some(before) = counted {
            for (name, now) in count(at, session)? {
                result
                    .counters
                    .insert(name.to_owned(), now.saturating_sub(before[name]));
            }
        }
        let round = Round {
            position,
            sent: result.sent,
            acked: result.acked,
            failed: result.failed,
            first_error: result.first_error,
            seconds: result.seconds,
            client,
            broker_cpu_ns: u64::try_from(broker_cpu.as_nanos())?,
            compiling_ns: result.compiling_ns,
            latency_ns: result.latency_ns,
            counters: result.counters,
        };
        self.check(&round, records)?;
        Ok(round)
    }

    /// Rejects a round with lost records as invalid. If a broker hangs, lost records are expected.
    fn check(&self, round: &Round, records: u64) -> Result<()> {
        let why = || {
            round
                .first_error
                .clone()
                .unwrap_or_else(|| "it gave no reason".into())
        };
        if round.acked == 0 {
            return Err(anyhow!("no record was acknowledged: {}", why()));
        }
        if self.scenario.hang_node.is_none() && round.acked < records {
            let missing = records - round.acked;
            return Err(anyhow!(
                "{missing} of {records} records were not acknowledged: {}",
                why()
            ));
        }
        Ok(())
    }

    /// Measures all clients at the same time, since they are idle.
    fn idle_round(&self, runners: &mut [Runner<'_>]) -> Result<()> {
        let usages = |runners: &[Runner<'_>]| -> Result<Vec<Usage>> {
            runners
                .iter()
                .map(|runner| runner.session.processes.usage())
                .collect()
        };
        let (start, before) = (Instant::now(), usages(runners)?);
        sleep(Duration::from_secs_f64(
            self.round_seconds().max(SHORTEST_IDLE_SECONDS),
        ))?;
        let after = usages(runners)?;
        let seconds = start.elapsed().as_secs_f64();
        for ((runner, before), after) in runners.iter_mut().zip(before).zip(after) {
            runner.figures.rounds.push(Round {
                seconds,
                client: after.since(before),
                ..Round::default()
            });
        }
        Ok(())
    }

    fn count_extras(&mut self, progress: &mut Progress) -> Result<()> {
        if !self.setting.extras || self.scenario.extras.is_empty() {
            return Ok(());
        }
        let testbed = &mut self.testbeds[0];
        let setup = self.setting.setup(self.scenario, &testbed.broker)?;
        for (driver, _) in &self.setting.clients {
            if driver.name != OURS {
                continue;
            }
            let Some(Outcome::Figures(figures)) = testbed.outcomes.get_mut(&driver.name) else {
                continue;
            };
            progress.step(&format!("{}: counting", driver.name));
            figures.extras = extras::count(driver, self.scenario, &setup, &testbed.logs)?;
        }
        Ok(())
    }

    /// Stores the error of a client as its outcome; returns the error of an interruption.
    fn record_failure(
        &mut self,
        runner: &Runner<'_>,
        error: &anyhow::Error,
        progress: &mut Progress,
    ) -> Result<()> {
        check_interrupted()?;
        self.give_up(
            runner.testbed,
            runner.driver,
            format!("{error:#}"),
            progress,
        );
        Ok(())
    }

    fn give_up(
        &mut self,
        testbed: usize,
        driver: &Description,
        reason: String,
        progress: &mut Progress,
    ) {
        progress.line(&format!("  {}: {reason}", driver.name));
        self.testbeds[testbed]
            .outcomes
            .insert(driver.name.clone(), Outcome::None(reason));
    }

    fn round_seconds(&self) -> f64 {
        self.scenario
            .round_seconds
            .unwrap_or(self.setting.round_seconds)
    }
}

impl Setting {
    fn setup(&self, scenario: &Scenario, broker: &Broker) -> Result<driver_kit::Setup> {
        let values = self.payloads.values(scenario)?;
        let keys = self.payloads.keys(scenario)?;
        let authority = broker.authority.as_deref().map(Path::to_string_lossy);
        Ok(scenario.setup(
            &broker.bootstrap,
            authority.as_deref(),
            &values,
            keys.as_deref(),
        ))
    }
}

/// Batches that the broker has received, and the CPU time of the producer's threads.
fn count(broker: &mut Broker, session: &Session) -> Result<BTreeMap<&'static str, u64>> {
    let cpu_ns = cpu_ns_of_threads(session.id(), THREADS_OF_THE_PRODUCER);
    Ok(BTreeMap::from([
        (BATCHES, broker.batches()?),
        (SENDER_CPU_NS, cpu_ns),
    ]))
}

/// The names of counters in [`Round::counters`] that do not come from the driver.
pub const BATCHES: &str = "batches";
pub const SENDER_CPU_NS: &str = "sender_cpu_ns";

/// The beginning of the names of our producer's threads.
const THREADS_OF_THE_PRODUCER: &str = "kafka-producer-";

/// Creates a folder for files of the run.
pub fn make_folder(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    path.canonicalize()
        .with_context(|| format!("cannot use {}", path.display()))
}

/// Bytes of the first round, before the speed of the client is known.
const FIRST_BLAST_BYTES: u64 = 500_000;
const FIRST_ONE_BY_ONE: u64 = 50;
const FIRST_GROUPS: u64 = 3;
/// The least number of records per second of a warm-up, where the counted rounds have a fixed rate: with a few thousand
/// records per second, minutes would pass before a just-in-time compiler has seen enough of them.
const HURRIED: f64 = 100_000.0;
/// The number of rounds at the fixed rate itself, which end such a warm-up.
const ROUNDS_AT_RATE: usize = 2;
const SETTLE: Duration = Duration::from_secs(3);
const SHORTEST_IDLE_SECONDS: f64 = 2.0;
