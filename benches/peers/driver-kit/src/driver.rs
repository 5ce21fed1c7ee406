//! The loop of a driver: reads commands, and writes a response for each.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::allocations;
use crate::client::{Client, Refusal};
use crate::payloads::Blocks;
use crate::protocol::{Allocations, Command, Mode, Produce, Ready, Result as RoundResult, Setup};
use crate::sending_threads::SendingThreads;
use crate::share::{Round, Sent};
use crate::tally::TALLY;

/// Runs the driver until the command `quit`, or until its standard input ends.
pub fn run<C: Client>() -> ExitCode {
    let mut driver = None::<Driver<C>>;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(&line) {
            Ok(Command::Quit {}) => break,
            Ok(Command::Setup(setup)) => match Driver::start(&setup) {
                Ok((started, ready)) => {
                    driver = Some(started);
                    say(&ready);
                }
                Err(Refusal::Unable(reason)) => {
                    say(&serde_json::json!({"ok": false, "unable": reason}));
                    return ExitCode::SUCCESS;
                }
                Err(Refusal::Failed(reason)) => say_error(&reason),
            },
            Ok(Command::Produce(produce)) => match &driver {
                None => say_error("produce before setup"),
                Some(driver) => match driver.produce(&produce) {
                    Ok(result) => say(&result),
                    Err(reason) => say_error(&reason),
                },
            },
            Err(error) => say_error(&format!("not a command: {error}: {line}")),
        }
    }
    if let Some(driver) = driver {
        driver.close();
    }
    ExitCode::SUCCESS
}

fn say(answer: &impl Serialize) {
    let mut output = std::io::stdout().lock();
    // An error is ignored: it means that the parent has ended, and standard input ends next.
    let _ = serde_json::to_writer(&mut output, answer);
    let _ = output.write_all(b"\n");
    let _ = output.flush();
}

fn say_error(reason: &str) {
    say(&serde_json::json!({"ok": false, "error": reason}));
}

struct Driver<C> {
    client: Arc<C>,
    threads: SendingThreads,
    callback: bool,
    values: Arc<Blocks>,
    keys: Option<Arc<Blocks>>,
}

impl<C: Client> Driver<C> {
    fn start(setup: &Setup) -> Result<(Self, Ready), Refusal> {
        let (values, keys) = Blocks::of(setup).map_err(Refusal::Failed)?;
        if setup.transactional && !C::HAS_TRANSACTIONS {
            return Err(Refusal::Unable(
                "This client's driver does not support transactions.".into(),
            ));
        }
        let (client, about) = C::start(setup)?;
        let client = Arc::new(client);
        let threads =
            SendingThreads::start(&client, setup.threads.max(1)).map_err(Refusal::Failed)?;
        let driver = Self {
            client,
            threads,
            callback: setup.callback,
            values: Arc::new(values),
            keys: keys.map(Arc::new),
        };
        Ok((driver, Ready { ok: true, about }))
    }

    fn produce(&self, produce: &Produce) -> Result<RoundResult, String> {
        if !self.threads.wait(Some(Instant::now() + LONGEST_LEFTOVER)) {
            return Err("threads are still blocked in the previous round".into());
        }
        let before = self.client.counters();
        let process = allocations::of_process();
        let round = Arc::new(self.plan(produce)?);
        TALLY.begin(produce.records);
        self.threads.begin(Arc::clone(&round));
        let through = self.threads.wait(round.give_up);
        if produce.mode != Mode::OneByOne && through {
            self.finish(&round);
        }
        if through && round.give_up.is_none() {
            // Every record was sent or has failed, so only callbacks of the client may still be missing.
            TALLY.wait(None);
        } else {
            TALLY.wait(round.give_up);
        }
        let seconds = round.start.elapsed().as_secs_f64();
        let process = process.and_then(|before| Some(allocations::of_process()? - before));
        let counts = TALLY.end();
        let callers = self.threads.allocations();
        let counted = callers.is_some() || process.is_some();
        Ok(RoundResult {
            ok: true,
            sent: round.sent(),
            acked: counts.acked,
            failed: counts.failed,
            first_error: counts.first_error,
            seconds,
            latency_ns: match produce.mode {
                Mode::Blast => Vec::new(),
                Mode::OneByOne | Mode::Rate | Mode::Groups => counts.latency_ns,
            },
            allocations: counted.then_some(Allocations { callers, process }),
            compiling_ns: 0,
            counters: since(self.client.counters(), &before),
        })
    }

    fn plan(&self, produce: &Produce) -> Result<Round, String> {
        let mut start = Instant::now();
        let step_nanos = match (produce.mode, produce.per_second) {
            (Mode::Rate, Some(rate)) if rate > 0.0 => {
                // Starts later, so that the threads are running when the first record is due.
                start += HEAD_START;
                1e9 / rate
            }
            (Mode::Rate, _) => {
                return Err("a round in mode \"rate\" needs per_second above 0".into());
            }
            _ => 0.0,
        };
        let group = match (produce.mode, produce.group) {
            (Mode::Groups, Some(group)) if group > 0 => group,
            (Mode::Groups, _) => {
                return Err("a round in mode \"groups\" needs group above 0".into());
            }
            _ => u64::MAX,
        };
        Ok(Round {
            mode: produce.mode,
            records: produce.records,
            threads: self.threads.size(),
            callback: self.callback,
            values: Arc::clone(&self.values),
            keys: self.keys.clone(),
            start,
            step_nanos,
            tick_nanos: produce.tick_ms.map(|tick| tick * 1e6),
            group,
            give_up: produce
                .give_up_ms
                .map(|after| start + Duration::from_millis(after)),
            sent: (0..self.threads.size()).map(|_| Sent::default()).collect(),
        })
    }

    /// Flushes the client. In a blast without callbacks, the result of the flush is that of all records that have not
    /// failed before.
    fn finish(&self, round: &Round) {
        let outcome = self.client.flush(round.give_up);
        let quiet = round.mode == Mode::Blast && !round.callback;
        match (outcome, quiet) {
            (Ok(()), false) => {}
            (Err(reason), false) => TALLY.record_error(reason),
            (Ok(()), true) => TALLY.add_acked(TALLY.open(round.sent())),
            (Err(reason), true) => TALLY.add_failed(TALLY.open(round.sent()), || reason),
        }
    }

    fn close(self) {
        self.threads.stop();
        self.client.close();
    }
}

/// By how much each counter grew.
fn since(
    mut counters: BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    for (name, count) in &mut counters {
        *count -= before.get(name).copied().unwrap_or(0);
    }
    counters
}

const HEAD_START: Duration = Duration::from_millis(2);

/// How long threads may stay blocked after a round that was cancelled.
const LONGEST_LEFTOVER: Duration = Duration::from_secs(150);

#[cfg(test)]
mod tests;
