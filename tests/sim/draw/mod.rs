//! Scenario generator: draws a scenario from a seed.
//!
//! Each seed enables a random subset of the kinds of faults, calls and acts (swarm testing), at rates of its own, so
//! that one seed is nearly calm and another is a storm of one kind. Each scenario can complete by itself after the
//! healing: if a value would keep a record or a call waiting longer than a run may take, another value is bounded (see
//! [`configuration`]).

mod configuration;
mod dice;
mod faults;
mod load;
mod network;
mod plugins;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;

use std::collections::BTreeMap;

use crate::scenario::{Begins, Brokers, Network, Producer, Scenario};
use configuration::Facts;
use dice::Dice;

/// Intensity of the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Calm,
    Changing,
    Storm,
}

pub(crate) fn scenario(seed: u64) -> Scenario {
    scenario_with(seed, Wishes::default())
}

/// Requirements for a scenario.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// All brokers require TLS.
    pub(crate) tls: bool,
    /// All producers that can deliver records are transactional.
    pub(crate) transactions: bool,
}

pub(crate) fn scenario_with(seed: u64, wishes: Wishes) -> Scenario {
    let mut dice = Dice::new(seed, "scenario");
    let weather = dice.weighted(&[
        (20, Weather::Calm),
        (55, Weather::Changing),
        (25, Weather::Storm),
    ]);
    let heal_at_ms = match weather {
        Weather::Calm => dice.within(500..=5_000),
        _ if dice.percent(4) => dice.within(20_000..=60_000),
        _ => dice.within(1_000..=20_000),
    };
    let network = network::network(&mut Dice::new(seed, "network"));
    let mut brokers = network::brokers(&mut Dice::new(seed, "brokers"));
    brokers.sasl = network::sasl(&mut Dice::new(seed, "sasl"), &brokers.release);
    brokers.tls = network::tls(&mut Dice::new(seed, "tls"), wishes.tls);
    let topics = topics::Topics::draw(&mut Dice::new(seed, "topics"), weather);

    let mut dice = Dice::new(seed, "transactions");
    let has_transactions = dice.percent(20) || wishes.transactions;
    if has_transactions {
        transactions::brokers(&mut dice, &mut brokers);
    }
    let mut configs = configurations(seed, &network, &brokers);
    let applications = if has_transactions {
        let all = wishes.transactions;
        transactions::applications(&mut dice, all, heal_at_ms, &mut configs)
    } else {
        configs.iter().map(|_| None).collect()
    };
    let facts: Vec<Facts> = configs.iter().map(|(_, facts)| facts.clone()).collect();

    let plugins = plugins::Plugins::draw(&mut Dice::new(seed, "plugins"), weather, &topics, &facts);
    let shares = load::shares(&mut Dice::new(seed, "shares"), &facts);
    let producers = configs
        .into_iter()
        .enumerate()
        .map(|(number, (config, facts))| {
            let mut dice = Dice::new(seed, &format!("load {number}"));
            let threads = load::Load {
                facts: &facts,
                network: &network,
                topics: &topics,
                plugins: &plugins,
                has_headers: !brokers.release.starts_with("V0_10"),
                heal_at_ms,
            }
            .threads(&mut dice, shares[number]);
            let application = applications[number].as_ref();
            let threads = match application {
                Some(application) => {
                    let mut dice = Dice::new(seed, &format!("transactions {number}"));
                    transactions::threads(&mut dice, application, &topics, threads)
                }
                None => threads,
            };
            let mut dice = Dice::new(seed, &format!("plugins {number}"));
            Producer {
                config,
                plugins: plugins.of_producer(&mut dice),
                threads,
                begins: application.map_or(Begins::First, |it| it.begins),
                crashes: application.and_then(|it| it.crashes),
            }
        })
        .collect();
    let mut dice = Dice::new(seed, "logger");
    let logger = plugins.logger(&mut dice);
    // With all log levels there are many lines, and a logger that acts at each of them would never finish.
    let logs_all = logger.acts.is_empty() && dice.percent(8);
    let mut dice = Dice::new(seed, "packing");
    let packing_us = if dice.percent(50) {
        dice.spread(100..=200_000)
    } else {
        0
    };
    let faults = faults::Faults {
        weather,
        heal_at_ms,
        brokers: &brokers,
        topics: &topics,
        facts: &facts,
    };
    let mut drawn = faults.draw(&mut Dice::new(seed, "faults"));
    drawn.extend(faults.draw_of_tls(&mut Dice::new(seed, "faults of tls")));
    let of_transactions = transactions::Faults {
        weather,
        heal_at_ms,
        brokers: &brokers,
        applications: &applications,
    };
    let mut dice = Dice::new(seed, "faults of transactions");
    drawn.extend(of_transactions.draw(&mut dice));
    drawn.sort_by_key(|fault| fault.at_ms);
    let faults = drawn;
    Scenario {
        seed,
        network,
        brokers,
        topics: topics.into_all(),
        producers,
        logger,
        logs_all,
        packing_us,
        faults,
        heal_at_ms,
    }
}

/// Configurations of one to three producers, and one more if none of those can deliver records.
fn configurations(
    seed: u64,
    network: &Network,
    brokers: &Brokers,
) -> Vec<(BTreeMap<String, String>, Facts)> {
    let mut dice = Dice::new(seed, "producers");
    let count = dice.weighted(&[(60, 1), (25, 2), (15, 3)]);
    let draw = |number: usize| {
        let mut dice = Dice::new(seed, &format!("configuration {number}"));
        configuration::configuration(&mut dice, network, brokers)
    };
    let mut all: Vec<_> = (0..count).map(draw).collect();
    // At least one producer has to be able to deliver records.
    if all.iter().all(|(_, facts)| facts.hopeless) {
        all.extend((count..).map(draw).find(|(_, facts)| !facts.hopeless));
    }
    all
}
