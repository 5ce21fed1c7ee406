//! The command line of `growth`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lexopt::prelude::*;

use crate::args::{names, seconds};

pub const HELP: &str = "\
Measures what a record costs this producer with more partitions, threads and producers, and writes a table, plots and
every round.

    cargo run --release -- growth [OPTIONS]     in benches/peers

  --quick                few points and one short round of each, to see that it works; under 30 s, builds aside
  --only CURVE,...       these curves: partitions, threads, producers
  --rounds N             counted rounds (7; 1 with --quick)
  --round-seconds S      how long a round is to be (0.7; 0.2 with --quick)
  --warm-up-seconds S    how long a point is warmed up at most (5; 0.3 with --quick)
  --seed N               of the order of points and of the payloads (1)
  --out DIR              where to write (results/growth-DATE-COMMIT)
  --publish              copy the results to docs/benchmarks, and into the marked block of docs/BENCHMARKS.md
  --only-report DIR      write table and plots of an earlier run again, and measure nothing
  --no-build             take driver and broker as they were built before";

/// The parsed command line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Args {
    pub quick: bool,
    pub only: Option<Vec<String>>,
    pub rounds: Option<usize>,
    pub round_seconds: Option<f64>,
    pub warm_up_seconds: Option<f64>,
    pub seed: u64,
    pub out: Option<PathBuf>,
    pub publish: bool,
    pub report_of: Option<PathBuf>,
    pub no_build: bool,
}

impl Args {
    /// Parses the command line; `None` for help.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>> {
        let mut args = Self {
            seed: 1,
            ..Self::default()
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => args.quick = true,
                Long("only") => args.only = Some(names(&parser.value()?.string()?)),
                Long("rounds") => args.rounds = Some(parser.value()?.parse().context("--rounds")?),
                Long("round-seconds") => args.round_seconds = Some(seconds(&mut parser)?),
                Long("warm-up-seconds") => args.warm_up_seconds = Some(seconds(&mut parser)?),
                Long("seed") => args.seed = parser.value()?.parse().context("--seed")?,
                Long("out") => args.out = Some(parser.value()?.into()),
                Long("publish") => args.publish = true,
                Long("only-report") => args.report_of = Some(parser.value()?.into()),
                Long("no-build") => args.no_build = true,
                Long("help") | Short('h') => return Ok(None),
                other => bail!("{}; growth --help names what there is", other.unexpected()),
            }
        }
        ensure!(args.rounds != Some(0), "--rounds takes a number from 1");
        ensure!(
            !(args.quick && args.publish),
            "--quick measures too little to be published"
        );
        Ok(Some(args))
    }

    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 7 })
    }

    pub fn round_seconds(&self) -> f64 {
        let default = if self.quick { 0.2 } else { 0.7 };
        self.round_seconds.unwrap_or(default)
    }

    pub fn warm_up(&self) -> Duration {
        let default = if self.quick { 0.3 } else { 5.0 };
        Duration::from_secs_f64(self.warm_up_seconds.unwrap_or(default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_is_short_and_is_not_published() {
        let parse = |line: &str| Args::parse(lexopt::Parser::from_args(line.split_whitespace()));
        let quick = parse("--quick").unwrap().unwrap();
        assert_eq!((quick.rounds(), quick.round_seconds()), (1, 0.2));
        assert_eq!(parse("--rounds 9").unwrap().unwrap().rounds(), 9);
        for line in ["--quick --publish", "--rounds 0", "--slow"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
