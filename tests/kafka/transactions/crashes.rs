//! Brokers and the application are killed in the middle of transactions, repeatedly.
//!
//! `TRANSACTIONS=2000 KAFKA_TESTS=required cargo test --test kafka -- transactions::crashes` is the full run: ten kills
//! of each kind for each version. Without the number, or with a small one, there are two of each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::application::{GROUP, ID, INPUT, OUTPUT, PARTITIONS, Point, RECORDS, ROLE};
use super::values;
use crate::harness::{Cluster, ClusterOptions, Failure, Isolation, Result};
use crate::matrix::NEWEST;
use crate::runner::{TestResult, tests};

tests![
    kafka_3_0_0_has_each_committed_record_once_after_processes_are_killed,
    newest_kafka_has_each_committed_record_once_after_processes_are_killed,
];

/// Environment variable with the number of transactions.
const VARIABLE: &str = "TRANSACTIONS";
const OF_EVERY_RUN: usize = 200;
/// Timeout of a wait for the next line of the application's output.
const SILENCE: Duration = Duration::from_secs(150);
/// Transaction numbers reserved for each process of the application.
const ATTEMPTS_OF_A_PROCESS: u64 = 1_000_000;
/// `min.insync.replicas` with which nothing can be written while one replica is down, not even a marker.
const ALL_REPLICAS: &str = "3";
const WRITABLE: &str = "2";

fn kafka_3_0_0_has_each_committed_record_once_after_processes_are_killed() -> TestResult {
    survives("3.0.0")
}

fn newest_kafka_has_each_committed_record_once_after_processes_are_killed() -> TestResult {
    survives(NEWEST)
}

fn survives(version: &str) -> TestResult {
    let wanted: usize = match std::env::var(VARIABLE) {
        Ok(number) => number.parse()?,
        Err(_) => OF_EVERY_RUN,
    };
    let options = ClusterOptions::default()
        .version(version)
        .brokers(3)
        .session_timeout(Duration::from_secs(3))
        .config("min.insync.replicas", WRITABLE)
        .config("auto.leader.rebalance.enable", "false");
    let cluster = Cluster::start(options)?;
    cluster.create_topic(INPUT, 1, &[])?;
    cluster.create_topic(OUTPUT, PARTITIONS, &[])?;
    let rounds = (wanted / 200).clamp(2, 10);
    let mut run = Run::start(&cluster)?;
    // The transactions are divided among the kills, which have three kinds, and the beginning.
    let share = wanted / (3 * rounds + 1) + 1;
    run.transactions(share)?;
    for round in 0..rounds {
        run.kill_leader(round, share)?;
        run.kill_coordinator(round, share)?;
        run.kill_application(round)?;
        run.transactions(share)?;
    }
    while run.ended() < wanted {
        run.transactions(wanted - run.ended())?;
    }
    run.check(wanted)?;
    Ok(())
}

/// The result of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransactionResult {
    Committed,
    Aborted,
    /// The application was killed before it reported the result.
    Unknown,
}

/// The current process of the application.
struct ApplicationProcess {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl ApplicationProcess {
    fn start(cluster: &Cluster) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(ROLE, cluster.bootstrap_servers())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("its input is piped")?;
        let output = child.stdout.take().ok_or("its output is piped")?;
        let (sender, lines) = channel();
        // The thread ends with the application.
        std::thread::Builder::new()
            .name("application-output".to_owned())
            .spawn(move || {
                for line in BufReader::new(output)
                    .lines()
                    .map_while(std::io::Result::ok)
                {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            child,
            input,
            lines,
        })
    }
}

impl Drop for ApplicationProcess {
    fn drop(&mut self) {
        // The application may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The run of the test: the current process of the application, the results of all its processes, and the faults.
struct Run<'c> {
    cluster: &'c Cluster,
    process: ApplicationProcess,
    processes: u64,
    results: BTreeMap<u64, TransactionResult>,
    /// Number of transactions that failed, were aborted, and were repeated.
    failed: usize,
    /// Counts of faults by kind.
    faults: BTreeMap<&'static str, usize>,
    began: Instant,
}

impl<'c> Run<'c> {
    fn start(cluster: &'c Cluster) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        let mut run = Self {
            cluster,
            process: ApplicationProcess::start(cluster)?,
            processes: 0,
            results: BTreeMap::new(),
            failed: 0,
            faults: BTreeMap::new(),
            began: Instant::now(),
        };
        run.resume()?;
        Ok(run)
    }

    /// Lets a new process of the application begin at the committed offset. The offset is read after the process has
    /// initialized the transactional id, when the transaction of its predecessor has ended.
    fn resume(&mut self) -> Result<()> {
        self.until("ready")?;
        let offset = self.committed()?;
        self.processes += 1;
        self.send_command(&format!(
            "from {offset} {}",
            self.processes * ATTEMPTS_OF_A_PROCESS
        ))
    }

    fn committed(&self) -> Result<i64> {
        let offsets = self.cluster.committed_offsets(GROUP, INPUT)?;
        Ok(offsets.first().map_or(0, |(_, offset, _)| *offset))
    }

    fn send_command(&mut self, line: &str) -> Result<()> {
        let written =
            writeln!(self.process.input, "{line}").and_then(|()| self.process.input.flush());
        written.map_err(|error| Failure::new(format!("the application is gone: {error}")))
    }

    /// Reads the next line, and stores the result of a transaction.
    fn read_line(&mut self) -> Result<String> {
        let line = self.process.lines.recv_timeout(SILENCE);
        let line = line.map_err(|why| Failure::new(format!("the application is silent: {why}")))?;
        let mut words = line.split(' ');
        let (what, attempt) = (
            words.next(),
            words.next().and_then(|word| word.parse().ok()),
        );
        match (what, attempt) {
            (Some("begun"), Some(attempt)) => {
                self.results.insert(attempt, TransactionResult::Unknown);
            }
            (Some("committed"), Some(attempt)) => {
                self.results.insert(attempt, TransactionResult::Committed);
            }
            (Some("aborted"), Some(attempt)) => {
                self.results.insert(attempt, TransactionResult::Aborted);
            }
            (Some("failed"), _) => {
                self.failed += 1;
                println!("      {line}");
            }
            (Some("again"), _) => println!("      {line}"),
            (Some("fatal"), _) => return Err(Failure::new(line)),
            _ => {}
        }
        Ok(line)
    }

    fn until(&mut self, wanted: &str) -> Result<()> {
        while self.read_line()? != wanted {}
        Ok(())
    }

    /// Waits until the held transaction is committed.
    fn until_ended(&mut self) -> Result<()> {
        while !matches!(self.read_line()?.split(' ').next(), Some("committed")) {}
        Ok(())
    }

    fn transactions(&mut self, count: usize) -> Result<()> {
        self.send_command(&format!("run {count}"))?;
        self.until("done")
    }

    fn ended(&self) -> usize {
        let known = |result: &&TransactionResult| **result != TransactionResult::Unknown;
        self.results.values().filter(known).count()
    }

    /// Prints the transaction before a fault. Its state must be one of `states`. Returns the broker id of the
    /// coordinator.
    fn note(&mut self, kind: &'static str, what: &str, states: &[&str]) -> Result<usize> {
        let view = self.cluster.transaction(ID)?;
        let number = self.faults.entry(kind).or_default();
        *number += 1;
        println!(
            "    {kind} {number}, {what}; {view}; {} transactions after {:.1?}",
            self.results.len(),
            self.began.elapsed()
        );
        assert!(states.contains(&&*view.state), "{kind}: {view}");
        Ok(view.coordinator)
    }

    fn hold(&mut self, point: Point) -> Result<()> {
        self.send_command(&format!("hold {} commit", point.name()))?;
        self.until("held")
    }

    fn point(round: usize) -> Point {
        if round % 2 == 0 {
            Point::Half
        } else {
            Point::Full
        }
    }

    /// At `Half` the broker is killed while the second half is sent; at `Full` it is killed before the transaction is
    /// ended.
    fn kill_and_go(&mut self, broker: usize, point: Point) -> Result<()> {
        let broker = self.cluster.broker(broker);
        if point == Point::Half {
            self.send_command("go")?;
            broker.kill()
        } else {
            broker.kill()?;
            self.send_command("go")
        }
    }

    /// Kills a leader of output partitions: in even rounds when half of a transaction is sent, in odd rounds when all
    /// of it is sent.
    fn kill_leader(&mut self, round: usize, share: usize) -> Result<()> {
        let point = Self::point(round);
        self.hold(point)?;
        let coordinator = self.cluster.transaction(ID)?.coordinator;
        let states = self.cluster.describe_topic(OUTPUT)?;
        let leaders = states.iter().filter_map(|state| state.leader);
        // The coordinator's broker is chosen only if it leads all partitions.
        let leader = leaders
            .clone()
            .find(|leader| *leader != coordinator)
            .or_else(|| leaders.clone().next())
            .ok_or_else(|| Failure::new("the topic has no leader"))?;
        let led = leaders.filter(|it| *it == leader).count();
        let what = format!(
            "broker {leader}, leads {led} of {PARTITIONS}, {}",
            point.name()
        );
        self.note("leader", &what, &["Ongoing"])?;
        self.kill_and_go(leader, point)?;
        self.until_ended()?;
        self.recover(leader, share)
    }

    /// Kills the coordinator's broker: in even rounds while the transaction is open, in odd rounds between `EndTxn` and
    /// its markers.
    fn kill_coordinator(&mut self, round: usize, share: usize) -> Result<()> {
        let is_ending = round % 2 == 1;
        let point = if is_ending {
            Point::Full
        } else {
            Self::point(round / 2)
        };
        self.hold(point)?;
        if is_ending {
            return self.kill_coordinator_that_ends(round, share);
        }
        let coordinator = self.note("coordinator", point.name(), &["Ongoing"])?;
        self.kill_and_go(coordinator, point)?;
        self.until_ended()?;
        self.recover(coordinator, share)
    }

    /// The markers wait for a replica that is down, so that the coordinator is killed after it has logged the end of
    /// the transaction, and before the end is visible.
    fn kill_coordinator_that_ends(&mut self, round: usize, share: usize) -> Result<()> {
        let coordinator = self.cluster.transaction(ID)?.coordinator;
        let other = (coordinator + 1 + round / 2 % 2) % self.cluster.broker_count();
        let what = format!("broker {other}, {}", Point::Full.name());
        self.note("replica", &what, &["Ongoing"])?;
        self.cluster.broker(other).kill()?;
        self.await_replicas(self.cluster.broker_count() - 1)?;
        let configs = [("min.insync.replicas", ALL_REPLICAS)];
        self.cluster.configure_topic(OUTPUT, &configs)?;
        self.send_command("go")?;
        self.until_ended()?;
        let steady = Duration::from_millis(500);
        self.cluster
            .await_transaction(ID, &["PrepareCommit"], steady)?;
        let coordinator = self.note("coordinator, ending", "no marker yet", &["PrepareCommit"])?;
        self.cluster.broker(coordinator).kill()?;
        let configs = [("min.insync.replicas", WRITABLE)];
        self.cluster.configure_topic(OUTPUT, &configs)?;
        self.cluster.broker(other).start()?;
        self.recover(coordinator, share)
    }

    /// Waits until every partition has this many replicas in sync.
    fn await_replicas(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + SILENCE;
        loop {
            let states = self.cluster.describe_topic(OUTPUT)?;
            if states.iter().all(|state| state.in_sync.len() == count) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!(
                    "not {count} replicas in sync: {states:?}"
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs half of the transactions without the broker, starts it, and runs the other half.
    fn recover(&mut self, broker: usize, share: usize) -> Result<()> {
        self.transactions(share / 2)?;
        self.cluster.broker(broker).start()?;
        self.cluster.mend()?;
        self.transactions(share - share / 2)
    }

    fn kill_application(&mut self, round: usize) -> TestResult {
        let point = [Point::Half, Point::Full, Point::End][round % 3];
        loop {
            self.hold(point)?;
            if point != Point::End {
                self.note("application", point.name(), &["Ongoing"])?;
            }
            self.process.child.kill()?;
            self.process.child.wait()?;
            // Read the remaining output of the killed process.
            while self.read_line().is_ok() {}
            // At `End` the application does not wait, so the transaction may have ended before the kill.
            let was_open = self.results.last_key_value().map(|(_, result)| *result)
                == Some(TransactionResult::Unknown);
            if was_open && point == Point::End {
                let states = ["Ongoing", "PrepareCommit", "CompleteCommit"];
                self.note("application", point.name(), &states)?;
            }
            self.process = ApplicationProcess::start(self.cluster)?;
            self.resume()?;
            if was_open {
                return Ok(());
            }
        }
    }

    fn check(mut self, wanted: usize) -> TestResult {
        self.send_command("stop")?;
        self.until("closed")?;
        let count = |result| self.results.values().filter(|it| **it == result).count();
        let (committed, aborted) = (
            count(TransactionResult::Committed),
            count(TransactionResult::Aborted),
        );
        let unknown = count(TransactionResult::Unknown);
        let end = self.committed()?;
        let mut copies = vec![0_usize; usize::try_from(end)?];
        let mut seen: BTreeMap<u64, i64> = BTreeMap::new();
        let mut last = vec![-1; PARTITIONS as usize];
        self.cluster
            .read_back_with(OUTPUT, Isolation::ReadCommitted, |record| {
                let text = std::str::from_utf8(record.value.unwrap_or_default());
                let (attempt, number) = text.ok().and_then(parse).expect("an attempt and a number");
                *seen.entry(attempt).or_default() += 1;
                let place = usize::try_from(number).expect("a number that was read");
                assert!(
                    place < copies.len(),
                    "{number} is seen, and the offset is {end}"
                );
                copies[place] += 1;
                let last = &mut last[record.partition as usize];
                assert!(*last < number, "{number} is read after {last}");
                *last = number;
            })?;
        let all = values(self.cluster, OUTPUT, Isolation::ReadUncommitted)?.len();
        let visible: usize = copies.iter().sum();
        println!(
            "    {} transactions in {:.1?}: {committed} committed, {aborted} aborted, {unknown} of which the end is \
             not known to the application that was killed; {} failed and were done again; faults {:?}; offset {end}, \
             {visible} records seen of {all} written",
            self.results.len(),
            self.began.elapsed(),
            self.failed,
            self.faults,
        );
        assert!(
            copies.iter().all(|copies| *copies == 1),
            "each number once: {copies:?}"
        );
        for (attempt, records) in &seen {
            assert_eq!(*records, RECORDS, "transaction {attempt} is not whole");
            let result = self.results.get(attempt);
            assert!(
                matches!(
                    result,
                    Some(TransactionResult::Committed | TransactionResult::Unknown)
                ),
                "{attempt}: {result:?}"
            );
        }
        for (attempt, result) in &self.results {
            let is_seen = seen.contains_key(attempt);
            assert!(
                is_seen || *result != TransactionResult::Committed,
                "{attempt} is committed and not seen"
            );
        }
        assert!(
            self.ended() >= wanted && aborted * 5 > self.ended(),
            "enough of each"
        );
        Ok(())
    }
}

fn parse(text: &str) -> Option<(u64, i64)> {
    let (attempt, number) = text.split_once(' ')?;
    Some((attempt.parse().ok()?, number.parse().ok()?))
}
