//! A consume-transform-produce application with transactions, in a process of its own that can be killed.
//!
//! It consumes numbers from the committed offset of its group, a few in each transaction, and writes them to another
//! topic. Each line of its input is a command, each line of its output reports a step. The commands are:
//!
//! | command | what it does |
//! |---|---|
//! | `from OFFSET ATTEMPT` | sets the start offset, and the number of the first transaction |
//! | `run COUNT` | runs this many transactions, a third of them aborted; then prints `done` |
//! | `hold POINT END` | runs one, which prints `held` at a point, waits for the line `go`, and ends with `commit` or `abort` |
//! | `stop` | closes the producer; then prints `closed` |

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, Lines, StdinLock, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use kafka_producer::{OffsetAndMetadata, ProducerRecord, TopicPartition, TransactionError};

use super::transactional;
use crate::producer::{Producer, build};

/// Environment variable with the bootstrap servers, for the process of the application.
pub(crate) const ROLE: &str = "KAFKA_TRANSACTIONS_APPLICATION";
pub(super) const ID: &str = "application";
pub(super) const INPUT: &str = "input";
pub(super) const OUTPUT: &str = "output";
pub(super) const GROUP: &str = "group";
pub(super) const PARTITIONS: i32 = 6;
/// Records of one transaction.
pub(super) const RECORDS: i64 = 10;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The point at which a transaction is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// Half of the transaction's records are sent.
    Half,
    /// All records and the offset are sent.
    Full,
    /// Just before the transaction is ended. The application prints `held`, but does not wait.
    End,
}

impl Point {
    const NAMES: [(Self, &'static str); 3] = [
        (Self::Half, "half"),
        (Self::Full, "full"),
        (Self::End, "end"),
    ];

    pub(super) fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(point, _)| *point == self);
        found.map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(_, it)| *it == name);
        found.map(|(point, _)| *point)
    }
}

/// Executes the commands of standard input until the input ends.
pub(crate) fn run(servers: &str) -> ExitCode {
    match serve(servers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_line(&format!("fatal {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", line.replace('\n', " ")).and_then(|()| out.flush());
    if written.is_err() {
        // The owner is gone, and the brokers with it: do not retry for ever.
        std::process::exit(1);
    }
}

fn serve(servers: &str) -> Outcome<()> {
    let config = transactional(servers, ID)
        .linger(Duration::from_millis(1))
        .max_block(Duration::from_secs(20))
        .request_timeout(Duration::from_secs(10))
        .delivery_timeout(Duration::from_secs(60));
    let producer = build(config)?;
    retry_time_outs(|| producer.init_transactions())?;
    print_line("ready");
    let mut application = Application {
        producer,
        input: std::io::stdin().lock().lines(),
        next: 0,
        attempt: 0,
    };
    while let Some(line) = application.input.next() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["from", offset, attempt] => {
                application.next = offset.parse()?;
                application.attempt = attempt.parse()?;
            }
            ["run", count] => {
                for _ in 0..count.parse()? {
                    let commits = fastrand::u8(..3) != 0;
                    application.transaction(None, commits)?;
                }
                print_line("done");
            }
            ["hold", point, end] => {
                let point = Point::named(point).ok_or("no such point")?;
                application.transaction(Some(point), end == "commit")?;
            }
            ["stop"] => {
                application.producer.close()?;
                print_line("closed");
                return Ok(());
            }
            _ => return Err(format!("no such command: {line}").into()),
        }
    }
    Ok(())
}

/// Retries a call while its error is retriable, such as a timeout.
fn retry_time_outs(
    call: impl Fn() -> Result<(), TransactionError>,
) -> Result<(), TransactionError> {
    loop {
        match call() {
            Err(error) if error.is_retriable() => print_line(&format!("again {error}")),
            outcome => return outcome,
        }
    }
}

struct Application {
    producer: Producer,
    input: Lines<StdinLock<'static>>,
    /// The next number to consume.
    next: i64,
    /// The number of the next transaction.
    attempt: u64,
}

impl Application {
    /// Runs one transaction. If it fails and is therefore aborted, runs another one instead.
    fn transaction(&mut self, mut hold: Option<Point>, commits: bool) -> Outcome<()> {
        loop {
            let attempt = self.attempt;
            self.attempt += 1;
            print_line(&format!("begun {attempt} {}", self.next));
            self.producer.begin_transaction()?;
            let ended = self.fill(attempt, &mut hold).and_then(|()| {
                if hold.take() == Some(Point::End) {
                    print_line("held");
                }
                if commits {
                    retry_time_outs(|| self.producer.commit_transaction())?;
                }
                Ok(())
            });
            match &ended {
                Ok(()) if commits => {
                    self.next += RECORDS;
                    print_line(&format!("committed {attempt}"));
                    return Ok(());
                }
                Ok(()) => {}
                Err(error) => match error.downcast_ref::<TransactionError>() {
                    Some(error) if error.is_fatal() => return Err(error.to_string().into()),
                    _ => print_line(&format!("failed {attempt} {error}")),
                },
            }
            retry_time_outs(|| self.producer.abort_transaction())?;
            print_line(&format!("aborted {attempt}"));
            if ended.is_ok() {
                return Ok(());
            }
        }
    }

    fn fill(&mut self, attempt: u64, hold: &mut Option<Point>) -> Outcome<()> {
        let half = self.next + RECORDS / 2;
        let end = self.next + RECORDS;
        self.send(attempt, self.next..half)?;
        if *hold == Some(Point::Half) {
            self.producer.flush()?;
            self.wait(hold)?;
        }
        self.send(attempt, half..end)?;
        let offset = (TopicPartition::new(INPUT, 0), OffsetAndMetadata::new(end));
        retry_time_outs(|| {
            let offset = offset.clone();
            self.producer.send_offsets_to_transaction([offset], GROUP)
        })?;
        if *hold == Some(Point::Full) {
            self.producer.flush()?;
            self.wait(hold)?;
        }
        Ok(())
    }

    fn send(&self, attempt: u64, numbers: std::ops::Range<i64>) -> Outcome<()> {
        let mut value = String::new();
        for number in numbers {
            value.clear();
            write!(value, "{attempt} {number}")?;
            let record = ProducerRecord::new(OUTPUT, value.as_bytes());
            let partition = i32::try_from(number % i64::from(PARTITIONS))?;
            // The commit returns the first error of a record.
            drop(self.producer.send(record.with_partition(partition))?);
        }
        Ok(())
    }

    fn wait(&mut self, hold: &mut Option<Point>) -> Outcome<()> {
        *hold = None;
        print_line("held");
        match self.input.next() {
            Some(Ok(line)) if line == "go" => Ok(()),
            other => Err(format!("{other:?} instead of go").into()),
        }
    }
}
