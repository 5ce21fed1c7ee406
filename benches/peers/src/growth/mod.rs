//! Growth curves: what a record costs our producer with more active partitions, more threads, more producers.
//!
//! ```text
//! cargo run --release -- growth --help
//! ```
//!
//! Each point of a curve is a scenario: the base with keys, and with a number changed. All points run in the same
//! rounds, in shuffled order, each in a process of its own with a broker of its own, so that a slow minute of the
//! machine does not bend a curve.

mod args;
mod plots;
mod points;
mod report;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::driver::{self, OURS};
use crate::payloads::Payloads;
use crate::process;
use crate::progress::Progress;
use crate::run::{Setting, make_folder};
use crate::{build_all, machine};

use args::Args;
use points::{Measurement, Point, Run};

/// Runs the command with the arguments that follow its name.
pub fn conduct(parser: lexopt::Parser) -> Result<()> {
    let Some(args) = Args::parse(parser)? else {
        println!("{}", args::HELP);
        return Ok(());
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here
        .join("../..")
        .canonicalize()
        .context("this crate stands in its repository")?;
    let (run, out) = match &args.report_of {
        Some(folder) => (Run::read(folder)?, folder.clone()),
        None => measure(&args, here, &root)?,
    };
    report::write(&run, &out)?;
    if args.publish {
        report::publish(&run, &out, &root)?;
    }
    println!("{}", out.display());
    Ok(())
}

fn measure(args: &Args, here: &Path, root: &Path) -> Result<(Run, PathBuf)> {
    ctrlc::set_handler(process::interrupt)?;
    let commit = machine::commit(root)?;
    let out = args.out.clone().unwrap_or_else(|| {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
        here.join("results").join(format!("growth-{date}-{commit}"))
    });
    let out = make_folder(&out)?;
    let logs = make_folder(&out.join("logs"))?;
    let points = points::chosen(args)?;
    let mut progress = Progress::new(1);
    let ours = driver::only(driver::find(&[here.join("drivers")])?, &[OURS.to_owned()])?;
    let clients = build_all(args.no_build, root, &logs, ours, &progress)?;
    if let Some(line) = clients.iter().find_map(|(_, build)| build.as_ref().err()) {
        bail!("the driver does not build: {line}");
    }
    let setting = Setting {
        root: root.to_owned(),
        payloads: Payloads::new(&out.join("payloads"), args.seed)?,
        logs,
        seed: args.seed,
        rounds: args.rounds(),
        round_seconds: args.round_seconds(),
        warm_up: args.warm_up(),
        // There is no compiler to wait for, and a higher rate would raise the peak of memory.
        hurry: false,
        extras: false,
        counters: true,
        clients,
    };
    let mut run = Run {
        machine: machine::describe(),
        commit,
        started: jiff::Timestamp::now().to_string(),
        seed: args.seed,
        command: crate::without_folders(std::env::args().skip(1)),
        points: Vec::new(),
    };
    let scenarios: Vec<_> = points.iter().map(|point| point.scenario.clone()).collect();
    let outcomes = setting.run_interleaved(&scenarios, &mut progress)?;
    progress.finish();
    for (Point { name, scenario }, outcome) in points.into_iter().zip(outcomes) {
        let figures = match outcome {
            crate::raw::Outcome::Figures(figures) => figures,
            crate::raw::Outcome::None(reason) => bail!("{}: {reason}", scenario.name),
        };
        run.points.push(Measurement::of(name, &scenario, &figures)?);
    }
    run.write(&out)?;
    Ok((run, out))
}
