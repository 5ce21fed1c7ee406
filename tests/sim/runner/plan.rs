//! Plan of a test run: which seeds to run and how, read from environment variables.
//!
//! | variable | meaning |
//! |---|---|
//! | `SEED=17` | run this seed alone, and print its trace |
//! | `REPLAY=file.json` | run the stored scenario of this file, and print its trace |
//! | `SEED_START=1000 SEEDS=500` | run a range; with `DURATION` and no `SEEDS`, until the time is over |
//! | `SEEDS=500` | run this many fresh seeds (100 without any variable); the first seed is printed |
//! | `DURATION=180` | start no new seed after this many seconds |
//! | `THREADS=1` | run this many seeds in parallel; default: the number of processors |
//! | `KEEP_GOING=1` | do not stop at the first seed that fails |
//! | `SHRINK=60` | shrink a failing scenario for this many seconds; 0 for not at all |
//! | `TLS=1` | all brokers require TLS, not only some |
//! | `TXN=1` | all producers are transactional, not only some |
//! | `HASHES=1` | print the trace hash of each seed, and one over all seeds |
//! | `TRACE=all`, `TRACE=none` | print every event of a replayed seed, or none |

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::draw::Wishes;
use crate::trace::Verbosity;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) runs: Runs,
    /// Time after which no new seed is started; `None` for no limit.
    pub(crate) duration: Option<Duration>,
    pub(crate) threads: usize,
    /// Whether seeds are still started after one has failed.
    pub(crate) keeps_going: bool,
    /// Time limit for shrinking a failing scenario.
    pub(crate) shrink_for: Duration,
    pub(crate) wishes: Wishes,
    /// Whether trace hashes are printed.
    pub(crate) hashes: bool,
    /// Trace of a replayed seed; `None` for no trace.
    pub(crate) trace: Option<Verbosity>,
    pub(crate) colour: bool,
    /// Folder for the scenarios that fail.
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Runs {
    Seed(u64),
    File(PathBuf),
    /// `count` seeds from `first` on; with `None` as many as the time allows. `fresh` is true if `first` is random.
    Range {
        first: u64,
        count: Option<u64>,
        fresh: bool,
    },
}

/// Number of fresh seeds if nothing else is given.
const SEEDS: u64 = 100;

impl Plan {
    pub(crate) fn from_environment() -> Result<Self, String> {
        let fresh = fastrand::Rng::new().u64(..) >> 16;
        let mut plan = Self::read(|name| std::env::var(name).ok(), fresh)?;
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        plan.colour = is_terminal && std::env::var_os("NO_COLOR").is_none();
        Ok(plan)
    }

    /// `fresh` is the first seed if the environment gives none.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
        fresh: u64,
    ) -> Result<Self, String> {
        // An empty value counts as not set: shells pass one for a variable that could not be filled in.
        let number = |name: &str| match variable(name).filter(|text| !text.trim().is_empty()) {
            None => Ok(None),
            Some(text) => parse(&text)
                .map(Some)
                .ok_or_else(|| format!("{name}={text} is no number")),
        };
        let is_set = |name: &str| variable(name).is_some_and(|value| !matches!(&*value, "" | "0"));
        let (seed, start, seeds) = (number("SEED")?, number("SEED_START")?, number("SEEDS")?);
        let duration = number("DURATION")?;
        let what = match (seed, variable("REPLAY"), start) {
            (Some(_), Some(_), _) => return Err("either SEED or REPLAY".to_owned()),
            (Some(_), _, Some(_)) => return Err("either SEED or SEED_START".to_owned()),
            (None, Some(_), Some(_)) => return Err("either REPLAY or SEED_START".to_owned()),
            (Some(seed), ..) => Runs::Seed(seed),
            (_, Some(file), _) => Runs::File(file.into()),
            (None, None, start) => Runs::Range {
                first: start.unwrap_or(fresh),
                count: match (seeds, duration) {
                    (None, None) => Some(SEEDS),
                    (count, _) => count,
                },
                fresh: start.is_none(),
            },
        };
        let trace = match variable("TRACE").as_deref() {
            None | Some("" | "1") => Some(Verbosity::Condensed),
            Some("all") => Some(Verbosity::All),
            Some("none" | "0") => None,
            Some(other) => return Err(format!("TRACE={other}: it is all or none")),
        };
        let is_range = matches!(what, Runs::Range { .. });
        // By default a replay is shown as it is, not shrunk.
        let shrink_for = number("SHRINK")?.unwrap_or(if is_range { 60 } else { 0 });
        let threads = match number("THREADS")? {
            Some(threads) => threads.max(1) as usize,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        Ok(Self {
            runs: what,
            duration: duration.map(Duration::from_secs),
            threads,
            keeps_going: is_set("KEEP_GOING"),
            shrink_for: Duration::from_secs(shrink_for),
            wishes: Wishes {
                tls: is_set("TLS"),
                transactions: is_set("TXN"),
            },
            hashes: is_set("HASHES"),
            trace,
            colour: false,
            folder: Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("sim"),
        })
    }
}

/// Parses a decimal number, or a hexadecimal one with `0x` in front.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim().replace('_', "");
    match text.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None => text.parse().ok(),
    }
}
