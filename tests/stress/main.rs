//! Stress test: many threads call the producers of one process, over real sockets, while brokers fail. The calls are
//! random. The simulator (`tests/sim`) runs everything on one thread, in an order that a seed determines. Here the
//! operating system schedules the threads, so the test finds defects that need real concurrency: a lost wake-up, locks
//! taken in the wrong order, memory that is returned twice.
//!
//! | variable | meaning |
//! |---|---|
//! | `STRESS_SECONDS=60` | duration; 5 by default |
//! | `STRESS_SEED=17` | seed of each thread's random calls; the scheduling differs from run to run |
//!
//! Checked, for each record by its number:
//! - every call returns and every future is ready in time; otherwise the watchdog prints the calls in progress and
//!   aborts the process;
//! - the callback of an accepted record is called once, that of a refused record never;
//! - the callback and all methods of the future return the same outcome;
//! - an acknowledged record is in the log at the reported offset, once if the producer is idempotent; a record reported
//!   as not written is not in the log;
//! - a closed producer has all its memory back and has reported the outcome of every record it accepted;
//! - dropped producers leave no thread and no connection behind;
//! - no panic except the planted ones; locks are taken in the order of their ranks (debug builds), and no lock is held
//!   while a line is logged or user code runs.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests: they fail by panicking, and measure real time"
)]

mod brokers;
mod end;
mod ledger;
mod producers;
mod user_code;
mod watchdog;
mod worker;
mod world;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use world::World;

const THREADS: usize = 16;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// Prints to standard error directly: captured output of a test would be lost when the watchdog aborts the process.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[test]
fn every_call_returns_and_every_future_resolves_while_brokers_fail() {
    let length = Duration::from_secs(from_environment("STRESS_SECONDS").unwrap_or(5));
    let seed = from_environment("STRESS_SEED").unwrap_or_else(|| fastrand::u64(..) >> 16);
    say(&format!(
        "\nstress: STRESS_SEED={seed}, {length:?}, {THREADS} threads"
    ));
    // Fails if a producer logs a line while it holds a lock.
    kafka_producer::internals::watch_log_lines();
    let world = World::new();
    user_code::watch_panics(&world);
    let descriptors = end::open_descriptors();
    world.fill_slots(&mut fastrand::Rng::with_seed(seed));

    let watchdog = watchdog::start(&world);
    let until = Instant::now() + length;
    std::thread::scope(|scope| {
        let inject_faults = || brokers::inject_faults(&world, seed, until);
        scope.spawn(inject_faults);
        for index in 0..THREADS {
            let world = Arc::clone(&world);
            scope.spawn(move || worker::work(world, index, seed, until));
        }
    });
    end::settle(&world);
    watchdog.stop();
    end::check(&world, descriptors, length);
    say(&world.summary());
    world.assert_no_violations();
}
