//! Counts allocations, instructions and system calls in separate processes, apart from the rounds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use driver_kit::{Produce, RoundResult, Setup};

use crate::driver::{Description, Session};
use crate::machine::first_line;
use crate::measure::{children, thread_names};
use crate::process::check_interrupted;
use crate::raw::{Counted, Extras};
use crate::scenario::{Extra, Mode, Scenario};

/// Counts the extras that the scenario lists.
///
/// # Errors
/// If the run is interrupted. A count that is not possible becomes the reason instead.
pub fn count(
    driver: &Description,
    scenario: &Scenario,
    setup: &Setup,
    logs: &Path,
) -> Result<Extras> {
    let counter = Counter {
        driver,
        scenario,
        setup,
        logs,
    };
    let mut extras = Extras::default();
    for extra in &scenario.extras {
        match extra {
            Extra::Allocations => {
                extras.allocations_callers =
                    Some(reason_unless_interrupted(counter.allocations("callers"))?);
                extras.allocations_process =
                    Some(reason_unless_interrupted(counter.allocations("process"))?);
            }
            Extra::Instructions => {
                extras.instructions = Some(reason_unless_interrupted(counter.instructions())?);
            }
            Extra::Syscalls => {
                extras.syscalls = Some(reason_unless_interrupted(counter.syscalls())?);
            }
        }
    }
    Ok(extras)
}

/// Converts an error into a reason, unless it is an interruption.
fn reason_unless_interrupted<T>(outcome: Result<T>) -> Result<Counted<T>> {
    check_interrupted()?;
    Ok(outcome.map_err(|error| format!("{error:#}")))
}

struct Counter<'a> {
    driver: &'a Description,
    scenario: &'a Scenario,
    setup: &'a Setup,
    logs: &'a Path,
}

/// Numbers of records of two runs. The counts of the two runs are subtracted, so that start and end cancel.
const FEW: u64 = 20_000;
const MANY: u64 = 120_000;
const FEW_ONE_BY_ONE: u64 = 500;
const MANY_ONE_BY_ONE: u64 = 2_500;

/// Timeout of a round under valgrind or strace, which are slow.
const LONGEST: Duration = Duration::from_secs(180);

impl Counter<'_> {
    /// Allocations per record, with a build of the driver that counts them for `whom`. The first round is a warm-up,
    /// which fills pools and caches.
    fn allocations(&self, whom: &str) -> Result<f64> {
        let driver = self.flavour(whom)?;
        let mut session = self.start(&driver, &[])?;
        let (few, many) = self.sizes();
        self.produce(&mut session, few)?;
        let result = self.produce(&mut session, many)?;
        let counts = result
            .allocations
            .context("the driver does not count them")?;
        let count = if whom == "callers" {
            counts.callers
        } else {
            counts.process
        };
        let count = count.context("the driver does not count these")?;
        Ok(count as f64 / result.acked as f64)
    }

    /// Builds the driver with the kit's counting feature, in addition to the usual build.
    fn flavour(&self, whom: &str) -> Result<Description> {
        ensure!(
            self.driver.build[0] == "cargo",
            "only drivers built by cargo have such a flavour"
        );
        let target = format!("target/count-{whom}");
        let log = self
            .logs
            .join(format!("build-{}-{whom}.log", self.driver.name));
        let file = fs::File::create(&log)?;
        let status = Command::new("cargo")
            .args(&self.driver.build[1..])
            .args([
                "--features",
                &format!("count-allocations-of-{whom}"),
                "--target-dir",
                &target,
            ])
            .current_dir(&self.driver.folder)
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()?;
        ensure!(
            status.success(),
            "the flavour that counts allocations does not build"
        );
        let mut flavour = self.driver.clone();
        flavour.run[0] = flavour.run[0].replacen("target", &target, 1);
        Ok(flavour)
    }

    /// Instructions per record in the whole process, counted by callgrind.
    fn instructions(&self) -> Result<f64> {
        first_line("valgrind", &["--version"]).context("valgrind is not installed")?;
        let (few, many) = self.sizes();
        let (fewer, less) = self.instructions_of(few)?;
        let (more, sum) = self.instructions_of(many)?;
        Ok(sum.saturating_sub(less) as f64 / more.saturating_sub(fewer) as f64)
    }

    /// The acknowledged records, and the instructions of the process from its start to its end.
    fn instructions_of(&self, records: u64) -> Result<(u64, u64)> {
        let out = self
            .logs
            .join(format!("callgrind-{}-{records}", self.driver.name));
        let prefix = [
            "valgrind".to_owned(),
            "--tool=callgrind".to_owned(),
            "--fair-sched=yes".to_owned(),
            format!("--callgrind-out-file={}", out.display()),
        ];
        let mut session = self.start(self.driver, &prefix)?;
        let result = self.produce(&mut session, records)?;
        drop(session);
        let text = fs::read_to_string(&out).context("callgrind left no file")?;
        fs::remove_file(&out)?;
        Ok((
            result.acked,
            total_instructions(&text).context("callgrind's file has no total")?,
        ))
    }

    /// System calls per record by thread name, counted by strace.
    fn syscalls(&self) -> Result<BTreeMap<String, f64>> {
        first_line("strace", &["--version"]).context("strace is not installed")?;
        let (few, many) = self.sizes();
        let (fewer, less) = self.syscalls_of(few)?;
        let (more, sum) = self.syscalls_of(many)?;
        let records = more.saturating_sub(fewer) as f64;
        Ok(sum
            .into_iter()
            .map(|(name, count)| {
                let before = less.get(&name).copied().unwrap_or(0);
                (name, count.saturating_sub(before) as f64 / records)
            })
            .filter(|(_, count)| *count >= 0.005)
            .collect())
    }

    fn syscalls_of(&self, records: u64) -> Result<(u64, BTreeMap<String, u64>)> {
        let out = self
            .logs
            .join(format!("strace-{}-{records}", self.driver.name));
        let prefix = ["strace", "-f", "-qq", "-o"]
            .map(str::to_owned)
            .into_iter()
            .chain([out.display().to_string()]);
        let mut session = self.start(self.driver, &prefix.collect::<Vec<_>>())?;
        let result = self.produce(&mut session, records)?;
        let names = children(session.id())
            .into_iter()
            .flat_map(thread_names)
            .collect();
        drop(session);
        let text = fs::read_to_string(&out).context("strace left no file")?;
        fs::remove_file(&out)?;
        Ok((result.acked, calls_by_name(&text, &names)))
    }

    fn start(&self, driver: &Description, prefix: &[String]) -> Result<Session> {
        let log = self.logs.join(format!("{}-counting.log", driver.name));
        // The tool resolves a relative path of the program in the same folder.
        Session::start(driver, prefix, self.setup, &log)?
            .map_err(|failure| anyhow!("{}", failure.reason()))
    }

    fn produce(&self, session: &mut Session, records: u64) -> Result<RoundResult> {
        let mode = self.scenario.mode.of_driver().context("nothing to send")?;
        let per_second = self.scenario.per_second;
        session.produce(
            &Produce {
                mode,
                records,
                per_second,
                tick_ms: None,
                group: self.scenario.group,
                give_up_ms: None,
            },
            LONGEST,
        )
    }

    fn sizes(&self) -> (u64, u64) {
        match self.scenario.mode {
            Mode::OneByOne => (FEW_ONE_BY_ONE, MANY_ONE_BY_ONE),
            _ => (FEW, MANY),
        }
    }
}

/// Parses the line `totals:` or, in older versions, `summary:`.
fn total_instructions(file: &str) -> Option<u64> {
    let line = file.lines().rev().find_map(|line| {
        line.strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"))
    })?;
    line.split_whitespace().next()?.parse().ok()
}

/// Counts calls in the output of `strace -f -o`. A line has the thread id and the call. A call that is interrupted by
/// the line of another thread has a second line with `resumed`, which is not counted.
fn calls_by_name(file: &str, names: &BTreeMap<u32, String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in file.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        let begins_a_call = call.starts_with(|letter: char| letter.is_ascii_lowercase());
        let name = thread.parse().ok().and_then(|id: u32| names.get(&id));
        if let (true, Some(name)) = (begins_a_call, name) {
            *counts.entry(name.clone()).or_insert(0) += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once_and_by_the_threads_name() {
        let file = "11 read(0, <unfinished ...>\n12 futex(0x1) = 0\n11 <... read resumed>\"x\") = 1\n\
                    12  write(1, \"read(\") = 5\n12 --- SIGCHLD ---\n13 exit(0) = ?\n12 +++ exited with 0 +++\n";
        let names = [(11, "main".to_owned()), (12, "sender-0".to_owned())].into();
        let counts = calls_by_name(file, &names);
        assert_eq!(
            counts,
            [("main".to_owned(), 1), ("sender-0".to_owned(), 2)].into()
        );
    }

    #[test]
    fn the_total_instructions_are_read_from_the_end_of_the_file() {
        assert_eq!(
            total_instructions("events: Ir\nsummary: 5\n1 2\n\ntotals: 123\n"),
            Some(123)
        );
        assert_eq!(total_instructions("events: Ir\nsummary: 5\n"), Some(5));
        assert_eq!(total_instructions(""), None);
    }
}
