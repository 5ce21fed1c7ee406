//! Models of what threads share. Loom runs each in every order of its threads' steps that has no more than so many
//! preemptions, and with every value that an atomic may show; a thread that nobody wakes is a deadlock, which it finds.
//!
//! ```text
//! .ci/run models
//! ```
//!
//! runs all, and prints how many orders there were. The library's own code is run, on loom's locks and atomics
//! (`sync`), up to whole producers ([`rig`]). No time passes: that some time is up is a step of a thread's.
//!
//! Each model names the defects ([planted](crate::planted)) that it is there for, and is run once more with each, in a
//! process of its own, where it has to fail.

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
mod topics;
mod wake;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::planted::{Defect, choose};

/// Names the defect that is to be at work, in a process that is to fail.
const DEFECT: &str = "KAFKA_PRODUCER_DEFECT";

/// A model that takes more steps in one order never ends.
const MOST_STEPS: usize = 5_000;

/// Says that a process failed as it was to.
const CAUGHT: &str = "caught in order";

/// Runs a model in every order with up to so many preemptions, and once more with each defect, which must be caught.
///
/// The model is the body of a test: its name is taken from there.
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
    // It may be set from outside: `LOOM_MAX_PREEMPTIONS`.
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

#[allow(clippy::disallowed_methods, reason = "says how long models take")]
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

/// How the model fails with that defect; `None` if it does not.
fn run_planted(name: &str, defect: Defect) -> Option<String> {
    let this = std::env::current_exe().expect("a test knows its program");
    let mut again = Command::new(this);
    again.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let output = again.env(DEFECT, defect.name()).output();
    let output = output.expect("it can be run again");
    let said = String::from_utf8_lossy(&output.stderr);
    let caught = said.lines().find(|line| line.starts_with(CAUGHT));
    caught
        .filter(|_| !output.status.success())
        .map(str::to_owned)
}

/// Of a closure in a test, as the test's runner knows it.
fn test_name<F>() -> &'static str {
    let name = std::any::type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_crate, rest)| rest);
    name.trim_end_matches("::{{closure}}")
}
