//! Generator of user code: serializers, partitioners, interceptors, listeners, callbacks, the logger.

use super::Weather;
use super::configuration::Facts;
use super::dice::Dice;
use super::topics::Topics;
use crate::scenario::{self, Act, Behaviour, Every};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Fails,
    Panics,
    Takes,
    Sends,
    TrySends,
    Flushes,
    Closes,
    Asks,
    Drops,
    Gets,
    Reads,
}

const KINDS: [Kind; 11] = [
    Kind::Fails,
    Kind::Panics,
    Kind::Takes,
    Kind::Sends,
    Kind::TrySends,
    Kind::Flushes,
    Kind::Closes,
    Kind::Asks,
    Kind::Drops,
    Kind::Gets,
    Kind::Reads,
];

/// Acts that this seed's user code may perform.
pub(super) struct Plugins {
    kinds: Vec<Kind>,
    /// How often there is a plug-in of each kind, in percent.
    present: u32,
    /// Share of the callbacks that perform acts, in percent.
    active: u32,
    /// Whether the logger performs acts.
    logs: bool,
    /// Topics to which user code sends, and whose partitions it requests.
    topics: Vec<String>,
}

impl Plugins {
    pub(super) fn draw(
        dice: &mut Dice,
        weather: Weather,
        topics: &Topics,
        facts: &[Facts],
    ) -> Self {
        let percent = match weather {
            Weather::Calm => 10,
            Weather::Changing => 25,
            Weather::Storm => 40,
        };
        let mut kinds = dice.some_of(&KINDS, percent);
        // After a close there is little more to observe.
        kinds.retain(|kind| *kind != Kind::Closes || dice.percent(30));
        let mut names = vec![topics.existing(dice).0.to_owned()];
        if facts.iter().all(|facts| facts.max_block_ms <= 5_000) {
            names.extend(topics.missing().first().cloned());
            names.extend(topics.illegal(dice));
        }
        Self {
            kinds,
            present: dice.within(0..=60) as u32,
            active: dice.within(0..=50) as u32,
            logs: dice.percent(40),
            topics: names,
        }
    }

    pub(super) fn of_producer(&self, dice: &mut Dice) -> scenario::Plugins {
        scenario::Plugins {
            key_serializer: self.plugin(dice),
            value_serializer: self.plugin(dice),
            partitioner: self.plugin(dice),
            interceptor: self.plugin(dice),
            cluster_listener: self.plugin(dice),
            metrics_reporter: self.reporter(dice),
        }
    }

    /// A metrics reporter; now and then one that fails the construction of its producer.
    fn reporter(&self, dice: &mut Dice) -> Option<Behaviour> {
        let mut reporter = self.plugin(dice)?;
        if self.kinds.contains(&Kind::Fails) && dice.percent(4) {
            reporter.acts.push(Every {
                every: dice.within(1..=2) as u32,
                act: Act::Fails,
            });
        }
        Some(reporter)
    }

    fn plugin(&self, dice: &mut Dice) -> Option<Behaviour> {
        dice.percent(self.present).then(|| Behaviour {
            acts: dice
                .some_of(&self.kinds, 50)
                .into_iter()
                .map(|kind| Every {
                    every: often(dice, kind),
                    act: self.act(dice, kind),
                })
                .collect(),
        })
    }

    pub(super) fn logger(&self, dice: &mut Dice) -> Behaviour {
        if !self.logs {
            return Behaviour::default();
        }
        let mut kinds = dice.some_of(&self.kinds, 60);
        if kinds.is_empty() {
            kinds.push(Kind::TrySends);
        }
        let acts = kinds
            .into_iter()
            .map(|kind| Every {
                every: (often(dice, kind) / 8).max(1),
                act: self.act(dice, kind),
            })
            .collect();
        Behaviour { acts }
    }

    /// A callback is called for few records, so it acts more often than a plug-in.
    pub(super) fn callback(&self, dice: &mut Dice) -> Behaviour {
        let mut acts = Vec::new();
        if !self.kinds.is_empty() && dice.percent(self.active) {
            let kind = *dice.pick(&self.kinds);
            let every = match kind {
                Kind::Closes => dice.within(10..=60),
                _ => dice.spread(1..=16),
            };
            acts.push(Every {
                every: every as u32,
                act: self.act(dice, kind),
            });
        }
        Behaviour { acts }
    }

    fn act(&self, dice: &mut Dice, kind: Kind) -> Act {
        match kind {
            Kind::Fails => Act::Fails,
            Kind::Panics => Act::Panics,
            Kind::Takes if dice.percent(5) => Act::TakesMs(dice.spread(100..=3_000)),
            Kind::Takes => Act::TakesMs(dice.spread(1..=60)),
            Kind::Sends => Act::Sends(dice.pick(&self.topics).clone()),
            Kind::TrySends => Act::TrySends(dice.pick(&self.topics).clone()),
            Kind::Flushes => Act::Flushes,
            Kind::Closes => Act::Closes,
            Kind::Asks => Act::AsksForPartitions(dice.pick(&self.topics).clone()),
            Kind::Drops => Act::DropsFutures,
            Kind::Gets => Act::Gets,
            Kind::Reads => Act::ReadsMetrics,
        }
    }
}

/// Draws the `every` of an act: the act is performed at each call whose number is a multiple of it. All plug-ins of the
/// producer are called again for a record that user code sends, so acts that send have to be rare enough for the run to
/// end.
fn often(dice: &mut Dice, kind: Kind) -> u32 {
    let every = match kind {
        Kind::Fails => dice.spread(8..=200),
        Kind::Panics => dice.spread(16..=300),
        Kind::Takes | Kind::Asks | Kind::Reads => dice.spread(16..=128),
        Kind::Sends | Kind::TrySends => dice.spread(24..=128),
        Kind::Flushes | Kind::Gets | Kind::Drops => dice.spread(32..=256),
        Kind::Closes => dice.spread(256..=2_048),
    };
    every as u32
}
