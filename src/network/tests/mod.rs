//! Simulation tests of selector and channels over the simulated network, with a mock transport that encrypts, splits
//! and buffers, and a mock authenticator of several rounds.
//!
//! `SEED=n` replays the seed `n`, `SEEDS=n` runs `n` seeds.

mod authenticator;
mod endless_authentication;
mod harness;
mod metrics;
mod parts;
mod peer;
mod plant;
mod record;
mod tally;
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
mod tls;
mod transport;

use std::env;

use self::harness::run;
use self::parts::Cipher;
use self::plant::Plant;
use self::tally::Tally;

/// Default number of seeds; `SEEDS` overrides it.
const SEEDS: u64 = 200;
/// Number of seeds that each planted bug is run with.
const PLANT_SEEDS: u64 = 40;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn frames_arrive_whole_in_order_and_once_through_any_transport() {
    if let Some(seed) = number("SEED") {
        let tally = run(seed, Plant::Nothing, &Cipher::Drawn);
        println!("seed {seed}: {tally:?}");
        tally.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        return;
    }
    let mut all = Tally::default();
    for seed in 0..number("SEEDS").unwrap_or(SEEDS) {
        match run(seed, Plant::Nothing, &Cipher::Drawn) {
            Ok(tally) => all.add(&tally),
            Err(error) => panic!("seed {seed} (replay it with SEED={seed}): {error}"),
        }
    }
    println!("{all:?}");
    all.assert_everything_happened();
}

/// Plants bugs in the poller and the transport, and checks that each is found.
#[test]
fn planted_bugs_of_poller_and_transport_are_found() {
    for plant in [
        Plant::EventForgotten,
        Plant::ReadinessForgotten,
        Plant::InputForgotten,
        Plant::FlushForgotten,
        Plant::RoomForgotten,
    ] {
        let seeds = 0..PLANT_SEEDS;
        let found: Vec<String> = seeds
            .filter_map(|seed| run(seed, plant, &Cipher::Drawn).err())
            .collect();
        println!(
            "{plant:?}: {} of {PLANT_SEEDS} seeds, as {:?}",
            found.len(),
            found.first()
        );
        assert!(found.len() >= 5, "{plant:?} is found by {found:?} only");
    }
}
