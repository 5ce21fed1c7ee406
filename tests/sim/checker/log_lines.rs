//! Rules: the log is not flooded.

use std::collections::BTreeMap;

use super::facts::{Facts, producer_of};
use super::storms::Bucket;
use super::{Found, Rule};
use crate::events::{Call, Event, EventKind, ProducerIndex};
use crate::scenario::Scenario;

/// Limit on log lines of level Info and above, by producer and simulated second: 10 for each of the four rate-limited
/// kinds, and 5 for each broker. In addition one for each call and two for each act of user code. A burst may be longer
/// by 200 lines, and by 40 for each broker, for lines that are logged the first time.
pub(super) struct LogLines {
    new: Bucket,
    buckets: BTreeMap<ProducerIndex, Bucket>,
}

impl LogLines {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let nodes = f64::from(scenario.brokers.nodes) + 1.0;
        Self {
            new: Bucket::new(40.0 + 5.0 * nodes, 240.0 + 45.0 * nodes),
            buckets: BTreeMap::new(),
        }
    }
}

impl Rule for LogLines {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        let Some(producer) = producer_of(event.who) else {
            return;
        };
        let earned = match event.kind {
            EventKind::UserCode { .. } => 2.0,
            EventKind::CallBegins { .. } => 1.0,
            EventKind::LogLine { level, .. } if level <= log::Level::Info => 0.0,
            _ => return,
        };
        let bucket = self
            .buckets
            .entry(producer)
            .or_insert_with(|| self.new.clone());
        if earned > 0.0 {
            bucket.earn(earned);
        } else if bucket.take(event.at) {
            let text = format!(
                "producer {producer} logs more than {} lines a second",
                bucket.rate
            );
            found.add("log storm", event.at, text);
        }
    }
}

/// Limit on warnings and errors that differ only in numbers: 12 a second for each producer, with a burst of 24. One
/// more is allowed for each act of user code, and for each call that is not for a single record.
#[derive(Default)]
pub(super) struct AlikeLines {
    buckets: BTreeMap<ProducerIndex, BTreeMap<String, Bucket>>,
    /// Number of additional lines that each producer has earned.
    earned: BTreeMap<ProducerIndex, f64>,
    /// The part of the earned lines that each bucket has received.
    given: BTreeMap<(ProducerIndex, String), f64>,
}

impl Rule for AlikeLines {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        let Some(producer) = producer_of(event.who) else {
            return;
        };
        match &event.kind {
            EventKind::UserCode { .. } => *self.earned.entry(producer).or_default() += 1.0,
            EventKind::CallBegins { operation, .. } => {
                let is_of_record = matches!(
                    operation,
                    Call::Send(_)
                        | Call::TrySend(_)
                        | Call::Get { .. }
                        | Call::Await { .. }
                        | Call::DropFuture { .. }
                );
                if !is_of_record {
                    *self.earned.entry(producer).or_default() += 1.0;
                }
            }
            EventKind::LogLine { level, text } if *level <= log::Level::Warn => {
                let kind = without_numbers(text);
                let earned = self.earned.get(&producer).copied().unwrap_or_default();
                let given = self.given.entry((producer, kind.clone())).or_default();
                let buckets = self.buckets.entry(producer).or_default();
                let bucket = buckets
                    .entry(kind)
                    .or_insert_with(|| Bucket::new(RATE, AT_ONCE));
                bucket.earn(earned - *given);
                *given = earned;
                if bucket.take(event.at) {
                    let text = format!(
                        "producer {producer} logs more than {RATE} lines a second of one kind: {text}"
                    );
                    found.add("log storm", event.at, text);
                }
            }
            _ => {}
        }
    }
}

const RATE: f64 = 12.0;
const AT_ONCE: f64 = 24.0;

/// The text without digits: lines that differ only in numbers are of one kind.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, scenario};

    #[test]
    fn a_flood_of_log_lines_is_caught_but_not_one_line_for_each_failing_callback() {
        let line = || EventKind::LogLine {
            level: log::Level::Warn,
            text: "again".into(),
        };
        let mut story = Story::of(LogLines::of(&scenario(&[], &[])), &scenario(&[], &[]));
        for number in 0..2_000 {
            story.at_us(number * 1_000);
            story.sender(EventKind::UserCode {
                piece: "callback",
                act: "Panics".into(),
            });
            story.sender(line());
        }
        assert_eq!(story.found(), [""; 0]);
        let mut story = Story::of(LogLines::of(&scenario(&[], &[])), &scenario(&[], &[]));
        for number in 0..2_000 {
            story.at_us(number * 1_000).sender(line());
        }
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn lines_that_differ_only_in_numbers_have_a_lower_limit() {
        for (pause_us, user_code, expected) in
            [(100_000, false, 0), (20_000, false, 1), (20_000, true, 0)]
        {
            let mut story = Story::new(AlikeLines::default());
            for number in 0..200 {
                story.at_us(number * pause_us);
                if user_code {
                    story.sender(EventKind::UserCode {
                        piece: "callback",
                        act: "Panics".into(),
                    });
                }
                story.sender(EventKind::LogLine {
                    level: log::Level::Warn,
                    text: format!("batch {number} again"),
                });
            }
            assert_eq!(story.found().len(), expected, "{pause_us} {user_code}");
        }
    }
}
