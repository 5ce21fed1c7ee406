//! Loom models of the state that threads share. Loom runs each model in every order of its threads' steps with at most
//! a given number of preemptions, and with every value that an atomic load may return. A lost wake-up is a deadlock,
//! which loom reports.
//!
//! ```text
//! .ci/run models
//! ```
//!
//! runs all models, and prints the number of orders of each. The models run the library's own code, up to whole
//! producers ([`rig`]), on loom's locks and atomics (`sync`). No time passes: a time-out is a step of a thread.
//!
//! Each model names the [planted](crate::planted) defects that it must catch. It runs once more with each of them, in a
//! child process, where it has to fail.

mod accumulator;
mod buffer_pool;
mod close;
mod flush;
mod latch;
mod metadata;
mod poller;
mod produce_request_result;
mod rig;
mod send;
mod seqlock;
mod topics;
mod wake;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::planted::{Defect, choose};

/// Environment variable that names the planted defect, in a child process that has to fail.
const DEFECT: &str = "KAFKA_PRODUCER_DEFECT";

/// Limit of steps in one order. A model that takes more is in an endless loop.
const MOST_STEPS: usize = 5_000;

/// Prefix of the line that a child process prints when its model fails.
const CAUGHT: &str = "caught in order number";

/// Runs a model in every order with at most `preemptions` preemptions, and once more with each defect, which it must
/// catch.
///
/// The model is named after the test that defines the closure.
fn check<F: Fn() + Send + Sync + 'static>(preemptions: usize, defects: &[Defect], model: F) {
    let name = test_name::<F>();
    let planted = std::env::var(DEFECT).ok();
    if let Some(defect) = &planted {
        let defect = defects.iter().find(|one| one.name() == defect);
        choose(Some(*defect.expect("a defect of this model")));
    }
    let orders = Arc::new(AtomicUsize::new(0));
    if planted.is_some() {
        let orders = Arc::clone(&orders);
        std::panic::set_hook(Box::new(move |panic| {
            let why = panic.to_string();
            let why = why.lines().next_back().unwrap_or_default();
            eprintln!("{CAUGHT} {}: {why}", orders.load(Ordering::SeqCst));
        }));
    }
    let mut builder = loom::model::Builder::new();
    // `LOOM_MAX_PREEMPTIONS` takes precedence.
    let preemptions = *builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = MOST_STEPS;
    let took = run(&builder, &orders, model);
    if planted.is_some() {
        return;
    }
    let orders = orders.load(Ordering::SeqCst);
    println!("\n{name}: {orders} orders with {preemptions} preemptions in {took} ms");
    let mut missed = Vec::new();
    for defect in defects {
        match run_planted(name, *defect) {
            Some(caught) => println!("    {}: {caught}", defect.name()),
            None => missed.push(*defect),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[allow(clippy::disallowed_methods, reason = "measures how long models take")]
fn run<F: Fn() + Send + Sync + 'static>(
    builder: &loom::model::Builder,
    orders: &Arc<AtomicUsize>,
    model: F,
) -> u128 {
    let counted = Arc::clone(orders);
    let began = std::time::Instant::now();
    builder.check(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        model();
    });
    began.elapsed().as_millis()
}

/// Runs the model with a defect in a child process. Returns the line that reports the failure; `None` if the model
/// passed.
fn run_planted(name: &str, defect: Defect) -> Option<String> {
    let this = std::env::current_exe().expect("the test program has a path");
    let mut again = Command::new(this);
    again.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let output = again.env(DEFECT, defect.name()).output();
    let output = output.expect("the test program can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let caught = stderr.lines().find(|line| line.starts_with(CAUGHT));
    caught
        .filter(|_| !output.status.success())
        .map(str::to_owned)
}

/// The path of the test that defines a closure, as the test runner takes it.
fn test_name<F>() -> &'static str {
    let name = std::any::type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_crate, rest)| rest);
    name.trim_end_matches("::{{closure}}")
}
