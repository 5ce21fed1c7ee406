//! Many threads on the producers of one process, over real sockets, while brokers fail: whatever an application may call, at
//! moments drawn from seeds. In the simulator (`tests/sim`) one thread does all in an order that can be repeated; here the
//! order is the machine's, and what is looked for is what no order of steps shows: a wake-up that is lost between two
//! threads, locks taken the wrong way round, memory that two give back.
//!
//! | variable | what it says |
//! |---|---|
//! | `STRESS_SECONDS=60` | how long; 5 without it |
//! | `STRESS_SEED=17` | what each thread draws; the order in which they meet is never the same |
//!
//! Checked, by the record's number:
//! - every call returns and every future is ready within its time, or the watchdog says who waits for what and ends
//!   the process;
//! - a record that was taken has its callback called once, one that was refused never;
//! - its callback, and each way to ask its future, tell the same;
//! - what was acknowledged is in the log where it was said to be, once if the producer is idempotent; what is said not to be
//!   written is not;
//! - a producer that is closed has all its memory back and has told the fate of every record it took;
//! - producers that are gone leave no thread and no connection behind;
//! - nothing panics but what is meant to; locks are taken in the order of their ranks (debug builds), and none is held where a
//!   line is logged or user code runs.
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
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// To standard error itself: what is printed in a test is kept back, and lost when the process is ended.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[test]
fn whatever_threads_call_while_brokers_fail_every_handle_resolves() {
    let length = Duration::from_secs(from_environment("STRESS_SECONDS").unwrap_or(5));
    let seed = from_environment("STRESS_SEED").unwrap_or_else(|| fastrand::u64(..) >> 16);
    say(&format!(
        "\nstress: STRESS_SEED={seed}, {length:?}, {THREADS} threads"
    ));
    // Whatever the producers say, they say without holding a lock.
    kafka_producer::internals::watch_log_lines();
    let world = World::new();
    user_code::watch_panics(&world);
    let descriptors = end::open_descriptors();
    world.fill_slots(&mut fastrand::Rng::with_seed(seed));

    let watchdog = watchdog::start(&world);
    let until = Instant::now() + length;
    std::thread::scope(|scope| {
        let cause_trouble = || brokers::cause_trouble(&world, seed, until);
        scope.spawn(cause_trouble);
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
