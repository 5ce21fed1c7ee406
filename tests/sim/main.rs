//! Deterministic simulation: whole producers on one thread in a simulated world, with a step order that follows from a
//! seed. See docs/SIMULATION.md.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::format_push_string,
    clippy::maybe_infinite_iter,
    reason = "tests: they fail by panicking, print what they find, and measure real time, \
              and look for a seed until they have one"
)]
#![allow(
    clippy::struct_excessive_bools,
    clippy::enum_variant_names,
    reason = "a scenario is data: much of it is yes or no, and Kafka has named the rest"
)]

#[cfg(feature = "tls")]
mod certificates;
mod checker;
mod draw;
mod events;
#[cfg(feature = "tls")]
mod expiry;
mod faults;
#[cfg(planted_defects)]
mod planted;
mod run;
mod runner;
mod scenario;
mod shrink;
mod store;
mod surroundings;
mod tallies;
mod trace;

/// Runs the seeds that the environment selects (`SEED=17`, `SEEDS=1000` and others, see [`runner::Plan`]); without
/// variables, 100 fresh seeds.
#[test]
fn seeds() {
    #[cfg(planted_defects)]
    if planted::search::run_if_child(violations_of) {
        return;
    }
    let plan = runner::Plan::from_environment().unwrap();
    let summary = runner::go(&plan, run::checked, &mut std::io::stdout()).unwrap();
    assert!(
        summary.failures.is_empty(),
        "{} seeds failed",
        summary.failures.len()
    );
}

/// Replays the stored regressions in `tests/sim/regressions`: scenarios that once found a bug, after shrinking.
#[test]
fn stored_regressions_pass() {
    for (path, stored) in store::regressions().unwrap() {
        let violations = run::checked(&stored.scenario, &mut |_| {}).violations;
        assert!(
            violations.is_empty(),
            "{}: {}\n{violations:#?}",
            path.display(),
            stored.story
        );
    }
}

#[cfg(planted_defects)]
#[test]
#[ignore = "a matter of an hour"]
fn every_planted_defect_is_caught() {
    planted::search::run();
}

#[cfg(planted_defects)]
fn violations_of(seed: u64) -> Vec<String> {
    run::checked(&draw::scenario(seed), &mut |_| {}).violations
}
