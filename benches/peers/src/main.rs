//! The conductor: runs the driver of every client through every scenario, and writes the results.
//!
//! See README.md in the folder of this crate.

mod args;
mod bound;
mod broker;
mod compact;
mod driver;
mod extras;
mod growth;
mod machine;
mod measure;
mod payloads;
mod process;
mod progress;
mod raw;
mod report;
mod run;
mod scenario;
mod stats;
mod summary;
mod target;
mod warm_up;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use args::Args;
use driver::{Builds, Description};
use progress::Progress;
use raw::{Client, Outcome, Run};
use run::{Setting, make_folder};
use scenario::Scenario;

fn main() -> ExitCode {
    match conduct() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn conduct() -> Result<()> {
    if std::env::args().nth(1).is_some_and(|word| word == "growth") {
        return growth::conduct(lexopt::Parser::from_args(std::env::args_os().skip(2)));
    }
    let Some(args) = Args::parse(lexopt::Parser::from_env())? else {
        println!("{}", args::HELP);
        return Ok(());
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here
        .join("../..")
        .canonicalize()
        .context("this crate stands in its repository")?;
    if let (true, Some(out)) = (args.only_report, &args.out) {
        return report(&args, &compact::read(out)?, out, &root);
    }
    let (scenarios, clients) = (chosen_scenarios(&args)?, chosen_clients(&args, here)?);
    if args.list {
        list(&listed_scenarios(&args)?, &clients);
        return Ok(());
    }
    ctrlc::set_handler(process::interrupt)?;
    let commit = machine::commit(&root)?;
    let out = make_folder(&folder(&args, here, &commit))?;
    let run = measure_all(&args, &root, &out, commit, &scenarios, clients)?;
    report(&args, &run, &out, &root)
}

fn report(args: &Args, run: &Run, out: &Path, root: &Path) -> Result<()> {
    report::write(run, out)?;
    if args.publish {
        report::publish(run, out, root)?;
    }
    println!("{}", out.display());
    Ok(())
}

fn chosen_scenarios(args: &Args) -> Result<Vec<Scenario>> {
    let mut all = scenario::all()?;
    if let Some(names) = &args.only {
        return scenario::only(all, names);
    }
    all.retain(|scenario| {
        if args.quick {
            scenario.quick
        } else {
            !scenario.by_name
        }
    });
    Ok(all)
}

/// The chosen scenarios; without a choice all of them, and not only those that run then.
fn listed_scenarios(args: &Args) -> Result<Vec<Scenario>> {
    if args.quick || args.only.is_some() {
        chosen_scenarios(args)
    } else {
        scenario::all()
    }
}

fn chosen_clients(args: &Args, here: &Path) -> Result<Vec<Description>> {
    let mut folders = args.drivers.clone();
    folders.push(here.join("drivers"));
    let all = driver::find(&folders)?;
    match &args.clients {
        Some(names) => driver::only(all, names),
        None => Ok(all),
    }
}

fn list(scenarios: &[Scenario], clients: &[Description]) {
    println!("scenarios (* in --quick, - only if named):");
    for scenario in scenarios {
        let mark = match scenario {
            Scenario { quick: true, .. } => '*',
            Scenario { by_name: true, .. } => '-',
            _ => ' ',
        };
        println!("{mark} {:28} {}", scenario.name, scenario.title);
    }
    println!("\nclients:");
    for client in clients {
        println!("  {:28} {}", client.name, client.display);
    }
}

fn folder(args: &Args, here: &Path, commit: &str) -> PathBuf {
    args.out.clone().unwrap_or_else(|| {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
        here.join("results").join(format!("{date}-{commit}"))
    })
}

fn measure_all(
    args: &Args,
    root: &Path,
    out: &Path,
    commit: String,
    scenarios: &[Scenario],
    clients: Vec<Description>,
) -> Result<Run> {
    let logs = make_folder(&out.join("logs"))?;
    let earlier = if args.resume {
        Some(earlier_run(out, &commit)?)
    } else {
        None
    };
    let mut progress = Progress::new((scenarios.len() * clients.len()) as u64);
    let clients = build_all(args.no_build, root, &logs, clients, &progress)?;
    let mut run = Run {
        machine: machine::describe(),
        commit,
        started: jiff::Timestamp::now().to_string(),
        seed: args.seed,
        command: without_folders(std::env::args().skip(1)),
        clients: clients
            .iter()
            .map(|(driver, build)| described(driver, build))
            .collect(),
        scenarios: earlier.map_or_else(Vec::new, |run| run.scenarios),
    };
    let setting = Setting {
        root: root.to_owned(),
        payloads: payloads::Payloads::new(&out.join("payloads"), args.seed)?,
        logs,
        seed: args.seed,
        rounds: args.rounds,
        round_seconds: args.round_seconds,
        warm_up: args.warm_up(),
        hurry: true,
        extras: !(args.quick || args.no_counts),
        counters: false,
        clients,
    };
    let units = setting.clients.len() as u64;
    let all = scenario::all()?;
    for (number, scenario) in scenarios.iter().enumerate() {
        process::check_interrupted()?;
        if run.scenario(&scenario.name).is_some() {
            progress.skip(units);
            continue;
        }
        progress.scenario(number + 1, scenarios.len(), &scenario.name);
        let beside = all
            .iter()
            .find(|other| scenario.beside.as_ref() == Some(&other.name));
        match setting.run(scenario, beside, &mut progress) {
            Ok(measured) => {
                progress.line(&in_short(&measured));
                run.add(measured, scenarios);
                run.write(out)?;
                report::write(&run, out)?;
            }
            Err(error) => {
                process::check_interrupted()?;
                progress.line(&format!("  {} is left out: {error:#}", scenario.name));
            }
        }
        progress.advance(units);
    }
    progress.finish();
    Ok(run)
}

/// The finished scenarios of an interrupted run of the same commit.
fn earlier_run(out: &Path, commit: &str) -> Result<Run> {
    let run = Run::read(out)?;
    ensure!(
        run.commit == commit,
        "--resume: the results in {} are of commit {}, and this is {commit}",
        out.display(),
        run.commit
    );
    Ok(run)
}

fn build_all(
    no_build: bool,
    root: &Path,
    logs: &Path,
    clients: Vec<Description>,
    progress: &Progress,
) -> Result<Vec<(Description, driver::Build)>> {
    if no_build {
        return Ok(clients.into_iter().map(|client| (client, Ok(()))).collect());
    }
    progress.line("building the brokers");
    let mut command = Command::new("cargo");
    command
        .args(["build", "--release", "--quiet"])
        .current_dir(root);
    command.args(
        broker::EXAMPLES
            .iter()
            .flat_map(|example| ["--example", example]),
    );
    ensure!(
        command.status().context("cannot run cargo")?.success(),
        "the brokers do not build"
    );
    let mut builds = Builds::new(logs);
    let mut built = Vec::new();
    for client in clients {
        progress.line(&format!("building {}", client.name));
        let build = builds.build(&client)?;
        if let Err(line) = &build {
            progress.line(&format!("  {} does not build: {line}", client.name));
        }
        built.push((client, build));
    }
    Ok(built)
}

fn described(driver: &Description, build: &driver::Build) -> Client {
    Client {
        name: driver.name.clone(),
        display: driver.display.clone(),
        build_error: build.clone().err(),
    }
}

/// A summary line for the terminal.
fn in_short(measured: &raw::Measured) -> String {
    let cost = |(name, outcome): (&String, &Outcome)| match outcome {
        Outcome::Figures(figures) => {
            let costs = figures
                .rounds
                .iter()
                .map(|round| round.cpu_ns_per_record() / 1e3);
            let cost = stats::Figure::of(costs)?;
            Some(format!("{name} {:.3}", cost.median))
        }
        Outcome::None(_) => None,
    };
    let costs: Vec<String> = measured.clients.iter().filter_map(cost).collect();
    let seconds = measured.seconds;
    format!("  CPU µs per record: {} ({seconds:.0} s)", costs.join(", "))
}

/// The command line without folders, because the published text must not contain paths of the machine.
fn without_folders(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut named = false;
    arguments
        .map(|argument| {
            if std::mem::take(&mut named) {
                return "DIR".to_owned();
            }
            match argument.split_once('=') {
                Some((option, _)) if names_folder(option) => format!("{option}=DIR"),
                _ => {
                    named = names_folder(&argument);
                    argument
                }
            }
        })
        .collect()
}

/// Whether the value of this option is a folder.
fn names_folder(option: &str) -> bool {
    matches!(option, "--out" | "--drivers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_command_names_no_folder() {
        let published = |line: &str| {
            let published = without_folders(line.split(' ').map(str::to_owned));
            published.join(" ")
        };
        assert_eq!(
            published("--quick --out /home/me/x --seed 1 --drivers /home/me/y"),
            "--quick --out DIR --seed 1 --drivers DIR"
        );
        // The option and its value as one argument; the folder's name contains `=` too.
        assert_eq!(
            published("--out=/home/me/a=b --drivers=/home/me/y --seed=1"),
            "--out=DIR --drivers=DIR --seed=1"
        );
        assert_eq!(
            published("--out /home/me/--out=x --quick"),
            "--out DIR --quick"
        );
    }
}
