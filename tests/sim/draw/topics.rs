//! Generator of topics: existing ones, missing ones, and illegal names.

use super::Weather;
use super::dice::Dice;
use crate::scenario::Topic;

pub(crate) struct Topics {
    all: Vec<Topic>,
    /// Names of the topics that exist at the start, with their partition counts.
    there: Vec<(String, u16)>,
    /// Legal names of topics that do not exist at the start; a fault may create them.
    missing: Vec<String>,
    /// Whether records are sent to illegal names.
    illegal: bool,
}

const NAMES: [&str; 10] = [
    "orders",
    "payments",
    "clicks",
    "a",
    "A.b_c-d",
    "logs.2026",
    "0",
    "__internal",
    "orders_eu",
    "audit",
];

const MISSING: [&str; 3] = ["later", "never", "some-day"];

impl Topics {
    pub(super) fn draw(dice: &mut Dice, weather: Weather) -> Self {
        let many = dice.percent(3);
        let count = if many {
            dice.within(7..=24)
        } else {
            dice.within(1..=6)
        };
        let mut all: Vec<Topic> = Vec::new();
        for number in 0..count as usize {
            let name = match NAMES.get(number) {
                Some(_) if number > 0 && dice.permille(15) => "l".repeat(249),
                Some(name) => (*name).to_owned(),
                None => format!("topic-{number}"),
            };
            if all.iter().any(|topic| topic.name == name) {
                continue;
            }
            let partitions = match dice.within(0..=9) {
                0..=2 => 1,
                3 if many => dice.within(12..=50),
                _ => dice.within(1..=12),
            };
            all.push(Topic {
                name,
                partitions: partitions as u16,
                log_append_time: dice.percent(15),
                max_message_bytes: dice.percent(15).then(|| dice.spread(350..=20_000) as u32),
            });
        }
        let there = all
            .iter()
            .map(|topic| (topic.name.clone(), topic.partitions))
            .collect();
        let mut missing = Vec::new();
        if weather != Weather::Calm && dice.percent(50) {
            for name in dice.some_of(&MISSING, 50) {
                missing.push(name.to_owned());
                all.push(Topic {
                    name: name.to_owned(),
                    partitions: 0,
                    log_append_time: false,
                    max_message_bytes: None,
                });
            }
        }
        Self {
            all,
            there,
            missing,
            illegal: dice.percent(30),
        }
    }

    pub(super) fn into_all(self) -> Vec<Topic> {
        self.all
    }

    /// A topic that exists at the start, with its partition count. Earlier ones are drawn more often.
    pub(super) fn existing(&self, dice: &mut Dice) -> (&str, u16) {
        let number = dice.within(0..=self.there.len() as u64 - 1);
        let number = dice.within(0..=number) as usize;
        let (name, partitions) = &self.there[number];
        (name, *partitions)
    }

    /// The topic's batch size limit, if it has one.
    pub(super) fn limit(&self, name: &str) -> Option<u32> {
        let topic = self.all.iter().find(|topic| topic.name == name)?;
        topic.max_message_bytes
    }

    /// Partition count at the start.
    pub(super) fn partitions(&self, name: &str) -> u16 {
        let topic = self.all.iter().find(|topic| topic.name == name);
        topic.map_or(0, |topic| topic.partitions)
    }

    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    pub(super) fn illegal(&self, dice: &mut Dice) -> Option<String> {
        if !self.illegal {
            return None;
        }
        Some(match dice.within(0..=7) {
            0 => String::new(),
            1 => ".".to_owned(),
            2 => "..".to_owned(),
            3 => "with spaces in it".to_owned(),
            4 => "x".repeat(250),
            5 => "größer".to_owned(),
            6 => "a/b".to_owned(),
            _ => "two\nlines".to_owned(),
        })
    }
}
