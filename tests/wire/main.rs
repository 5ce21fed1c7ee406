//! Compares our bytes with those of Kafka's own client. `README.md` in this folder lists the vectors and explains how
//! to update them.
// The tests print like a test runner; those that need Java run other programs.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]
#![allow(clippy::unwrap_used, reason = "tests: they fail by panicking")]

mod batches;
mod estimates;
mod input;
mod java;
mod messages;
mod oracle;
mod primitives;
mod sizes;
mod vectors;

use std::panic::catch_unwind;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A test: its name with that of its module, and its function.
type Test = (&'static str, fn());

/// Lists functions of the current module as tests.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] = &[
            $((concat!(module_path!(), "::", stringify!($name)), $name)),+
        ];
    };
}
pub(crate) use tests;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let of_rust = [
        vectors::TESTS,
        primitives::TESTS,
        messages::TESTS,
        oracle::TESTS,
        batches::TESTS,
        estimates::TESTS,
    ]
    .concat();
    let java_may_run = std::env::var("KAFKA_TESTS").is_ok_and(|value| value == "required");
    let of_java = java::TESTS.iter().map(|test| {
        trial(*test)
            .with_kind("KAFKA_TESTS=required")
            .with_ignored_flag(!java_may_run)
    });
    let trials = of_rust.into_iter().map(trial).chain(of_java).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The folder exists only if Java has run.
    let _ = std::fs::remove_dir_all(java::build_folder());
    conclusion.exit_code()
}

fn trial((path, test): Test) -> Trial {
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    Trial::test(name, move || {
        catch_unwind(test).map_err(|_| "panicked".into())
    })
}
