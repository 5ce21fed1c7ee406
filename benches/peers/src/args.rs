//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lexopt::prelude::*;

pub const HELP: &str = "\
Measures Kafka producers on equal settings and writes a table, plots and everything measured.

    cargo run --release -- [OPTIONS]            in benches/peers, in 40 to 50 minutes
    cargo run --release -- growth [OPTIONS]     growth curves of this producer alone; see growth --help

  --quick                the base and what the README shows, in under ten minutes; counts no instructions,
                         allocations or system calls
  --only SCENARIO,...    these scenarios
  --clients NAME,...     these clients (ours is needed for ratios)
  --rounds N             counted rounds of a scenario (6)
  --round-seconds S      how long a round is to be (0.3)
  --warm-up-seconds S    when a client is taken as warm in any case (15); a busy machine needs more
  --seed N               of the order of clients and of the payloads (1)
  --out DIR              where to write (results/DATE-COMMIT)
  --resume               keep the scenarios that an interrupted run of this commit has finished in DIR
  --publish              copy the results in DIR to docs/benchmarks and into the marked blocks of
                         docs/BENCHMARKS.md and README.md; with --only-report without measuring again
  --only-report          write table and plots of DIR's raw.json, or of its figures.jsonl, again, and
                         measure nothing
  --drivers DIR          a further folder of drivers; may be repeated
  --no-counts            count no instructions, allocations or system calls, as with --quick
  --no-build             take drivers and brokers as they were built before
  --list                 name scenarios and clients";

/// The parsed command line.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // They are switches of a command line.
pub struct Args {
    pub quick: bool,
    pub no_counts: bool,
    pub only: Option<Vec<String>>,
    pub clients: Option<Vec<String>>,
    pub rounds: usize,
    pub round_seconds: f64,
    pub warm_up_seconds: f64,
    pub seed: u64,
    pub out: Option<PathBuf>,
    pub resume: bool,
    pub publish: bool,
    pub only_report: bool,
    pub drivers: Vec<PathBuf>,
    pub no_build: bool,
    pub list: bool,
}

impl Args {
    /// Parses the command line; `None` for help.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>> {
        let mut args = Self {
            quick: false,
            no_counts: false,
            only: None,
            clients: None,
            rounds: 6,
            round_seconds: 0.3,
            warm_up_seconds: 15.0,
            seed: 1,
            out: None,
            resume: false,
            publish: false,
            only_report: false,
            drivers: Vec::new(),
            no_build: false,
            list: false,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => args.quick = true,
                Long("no-counts") => args.no_counts = true,
                Long("only") => args.only = Some(names(&parser.value()?.string()?)),
                Long("clients") => args.clients = Some(names(&parser.value()?.string()?)),
                Long("rounds") => args.rounds = parser.value()?.parse().context("--rounds")?,
                Long("round-seconds") => args.round_seconds = seconds(&mut parser)?,
                Long("warm-up-seconds") => args.warm_up_seconds = seconds(&mut parser)?,
                Long("seed") => args.seed = parser.value()?.parse().context("--seed")?,
                Long("out") => args.out = Some(parser.value()?.into()),
                Long("resume") => args.resume = true,
                Long("publish") => args.publish = true,
                Long("only-report") => args.only_report = true,
                Long("drivers") => args.drivers.push(parser.value()?.into()),
                Long("no-build") => args.no_build = true,
                Long("list") => args.list = true,
                Long("help") | Short('h') => return Ok(None),
                other => bail!("{}; --help names what there is", other.unexpected()),
            }
        }
        ensure!(args.rounds > 0, "--rounds takes a number from 1");
        ensure!(
            !(args.quick && args.only.is_some()),
            "--quick and --only exclude each other"
        );
        ensure!(
            args.out.is_some() || !(args.resume || args.only_report),
            "--resume and --only-report need the folder of the earlier run: --out DIR"
        );
        Ok(Some(args))
    }

    pub fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up_seconds)
    }
}

pub fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

pub fn seconds(parser: &mut lexopt::Parser) -> Result<f64> {
    let seconds: f64 = parser.value()?.parse()?;
    ensure!(
        seconds > 0.0 && seconds < 1e6,
        "a number of seconds above 0 is wanted"
    );
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>> {
        Args::parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let args = parse("--only base,one-by-one --clients ours --rounds 9")
            .unwrap()
            .unwrap();
        assert_eq!(args.only.unwrap(), ["base", "one-by-one"]);
        assert_eq!(args.rounds, 9);
    }

    #[test]
    fn a_quick_run_has_rounds_and_a_warm_up_as_long_as_a_whole_one() {
        let lengths = |line: &str| {
            let args = parse(line).unwrap().unwrap();
            (args.rounds, args.round_seconds, args.warm_up().as_secs())
        };
        assert_eq!(lengths(""), (6, 0.3, 15));
        assert_eq!(lengths("--quick"), lengths(""));
        let given = "--quick --round-seconds 2 --warm-up-seconds 30";
        assert_eq!(lengths(given), (6, 2.0, 30));
    }

    #[test]
    fn invalid_arguments_are_rejected() {
        for line in [
            "--rounds 0",
            "--quick --only base",
            "--resume",
            "--fast",
            "--round-seconds 0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(parse("--help --rounds 0").unwrap(), None);
    }
}
