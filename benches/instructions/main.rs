//! Instruction guard: fails if a record costs more instructions in the producer than `baseline.txt` allows.
//! Callgrind counts them.
//!
//! ```text
//! cargo bench --bench instructions                 compares; fails above 5 %
//! cargo bench --bench instructions -- send.        the same for cases whose names begin with `send.`
//! cargo bench --bench instructions -- --update     writes the baseline: commit it alone, with the reason
//! ```
//!
//! Each case runs in a separate process: this program under callgrind, on one thread and without sockets,
//! so that repeated runs give the same count; see [`cases`] and [`callgrind`].
//!
//! Counts depend on the compiler and the C library. If one of them differs from the baseline's, or valgrind is not
//! installed, the guard compares nothing, prints the reason and passes.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a measuring program: it prints"
)]

mod baseline;
mod callgrind;
mod cases;
mod platform;

use std::path::Path;
use std::process::ExitCode;

use baseline::{Baseline, Count, LIMIT_PERCENT, Verdict};
use callgrind::Callgrind;
use cases::CASES;

const BASELINE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/baseline.txt"
);
const UPDATE: &str = "cargo bench --bench instructions -- --update";
/// The argument that makes this program run one case.
const RUN: &str = "--run-case";

/// The command line.
#[derive(Default)]
struct Wanted {
    update: bool,
    /// Prefixes of the names of the cases to run; all cases if empty.
    cases: Vec<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name] = arguments.as_slice() {
        if first == RUN {
            return run_case(name);
        }
    }
    match parse(arguments).and_then(|wanted| guard(&wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::from(2)
        }
    }
}

fn run_case(name: &str) -> ExitCode {
    match CASES.iter().find(|case| case.name == name) {
        Some(case) => {
            case.run();
            ExitCode::SUCCESS
        }
        None => ExitCode::from(2),
    }
}

fn parse(arguments: Vec<String>) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    for argument in arguments {
        match argument.as_str() {
            "--update" => wanted.update = true,
            // `--bench` comes from cargo. `--test` has no effect: this benchmark is always short.
            "--bench" | "--test" => {}
            option if option.starts_with('-') => {
                return Err(format!(
                    "there is no option {option}: give --update, or beginnings of cases' names"
                ));
            }
            _ => wanted.cases.push(argument),
        }
    }
    if wanted.update && !wanted.cases.is_empty() {
        return Err("--update writes all cases: name none".to_owned());
    }
    Ok(wanted)
}

/// Runs the guard. Returns false if a case costs too much.
fn guard(wanted: &Wanted) -> Result<bool, String> {
    if cfg!(debug_assertions) {
        println!("not compared: this is no optimised build; use cargo bench --bench instructions");
        return Ok(true);
    }
    let Some(callgrind) = Callgrind::find()? else {
        if wanted.update {
            return Err("valgrind is missing, and nothing else counts: install it".to_owned());
        }
        println!("not compared: valgrind is missing; install it (package valgrind)");
        return Ok(true);
    };
    let here = platform::detect()?;
    println!("instructions, counted by {}, {here}", callgrind.version());
    if wanted.update {
        let counts = count_all(&callgrind, wanted, |count| println!("{count}"))?;
        Baseline::new(here, counts).write(Path::new(BASELINE))?;
        println!("written to {BASELINE}: commit it alone, and say why in the commit");
        return Ok(true);
    }
    let baseline = Baseline::read(Path::new(BASELINE))?;
    let counts = count_all(&callgrind, wanted, |count| {
        println!("{}", baseline.judge(count).line(count));
    })?;
    if baseline.platform == here {
        return Ok(report(&baseline, &counts, wanted, &callgrind));
    }
    println!("not compared: the baseline is of {}", baseline.platform);
    Ok(true)
}

/// Prints the cases beyond the limit. Returns false if a case costs too much.
fn report(baseline: &Baseline, counts: &[Count], wanted: &Wanted, callgrind: &Callgrind) -> bool {
    let mut passes = true;
    for count in counts {
        let verdict = baseline.judge(count);
        passes &= verdict.passes();
        if let Some(note) = note(count, &verdict, callgrind) {
            println!("\n{note}");
        }
    }
    if wanted.cases.is_empty() {
        for name in baseline.not_among(counts) {
            println!(
                "\nFAILED {name}: in the baseline, but there is no such case any more; {UPDATE}"
            );
            passes = false;
        }
    }
    if passes {
        println!("\nnothing costs more than {LIMIT_PERCENT} % above its baseline");
    }
    passes
}

fn count_all(
    callgrind: &Callgrind,
    wanted: &Wanted,
    mut each: impl FnMut(&Count),
) -> Result<Vec<Count>, String> {
    let is_wanted = |name: &str| {
        wanted.cases.is_empty() || wanted.cases.iter().any(|begin| name.starts_with(begin))
    };
    let mut counts = Vec::new();
    for case in CASES.iter().filter(|case| is_wanted(case.name)) {
        let total = callgrind.count(&[RUN, case.name], case.name)?;
        let count = Count::new(case.name, total as f64 / case.units as f64, case.unit);
        each(&count);
        counts.push(count);
    }
    if counts.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        return Err(format!(
            "there is no such case; there are {}",
            names.join(", ")
        ));
    }
    Ok(counts)
}

/// An explanation of the verdict, in addition to the line of the case; `None` within the limit.
fn note(count: &Count, verdict: &Verdict, callgrind: &Callgrind) -> Option<String> {
    let Count { name, value, unit } = count;
    match verdict {
        Verdict::Within { .. } => None,
        Verdict::Slower { baseline, percent } => Some(format!(
            "FAILED {name}: {value:.1} instructions per {unit}; the baseline is {baseline:.1}, and this is \
             {percent:.1} % more.\n  See where they are: callgrind_annotate {}\n  If they are worth it, \
             write a new baseline and commit it alone with the reason: {UPDATE}",
            callgrind.profile(name).display()
        )),
        Verdict::Faster { baseline, percent } => Some(format!(
            "improved {name}: {value:.1} instructions per {unit} instead of {baseline:.1}, {percent:.1} % \
             fewer.\n  Keep it so: write a new baseline and commit it alone with the reason: {UPDATE}"
        )),
        Verdict::Unknown => Some(format!(
            "FAILED {name}: there is no baseline for it per {unit}; write one: {UPDATE}"
        )),
    }
}
