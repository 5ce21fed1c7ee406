//! Rule: records arrive as they were sent: key, value, headers and timestamp.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::{Found, Rule};
use crate::events::{Event, EventKind, Outcome, RecordId};
use crate::scenario::Scenario;

/// A record in a log has the key, value and headers that were offered, and the given timestamp if there was one; its
/// acknowledgement has that timestamp too.
///
/// Excused: timestamps of topics with log append time; and acknowledgements of duplicate batches, for which brokers
/// report only the largest timestamp, as if it were a log append time.
pub(super) struct Contents {
    /// Topics with `message.timestamp.type=LogAppendTime`.
    append_time: Vec<String>,
    duplicates: BTreeSet<RecordId>,
}

const RULE: &str = "contents";

impl Contents {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let topics = scenario.topics.iter().filter(|topic| topic.log_append_time);
        Self {
            append_time: topics.map(|topic| topic.name.clone()).collect(),
            duplicates: BTreeSet::new(),
        }
    }

    fn has_own_time(&self, topic: &str) -> bool {
        !self.append_time.iter().any(|it| it == topic)
    }
}

impl Rule for Contents {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match &event.kind {
            EventKind::Appended {
                topic,
                records,
                contents,
                timestamps,
                ..
            } => {
                if contents.len() != records.len() || timestamps.len() != records.len() {
                    let text = format!("the event of a batch of {topic} is incomplete");
                    return found.add(RULE, event.at, text);
                }
                let stored = contents.iter().zip(timestamps);
                for (id, (contents, timestamp)) in records.iter().zip(stored) {
                    let Some(record) = facts.record(*id) else {
                        let text = format!("a record was written to {topic} that nobody offered");
                        found.add(RULE, event.at, text);
                        continue;
                    };
                    if record.contents != *contents {
                        let text = format!("{id} was written to {topic} with other contents");
                        found.add(RULE, event.at, text);
                    }
                    let is_changed = record.timestamp.is_some_and(|given| given != *timestamp);
                    if is_changed && self.has_own_time(topic) {
                        found.add(RULE, event.at, changed(*id, record.timestamp, *timestamp));
                    }
                }
            }
            EventKind::Duplicate { records, .. } => self.duplicates.extend(records),
            EventKind::FutureReported { record, outcome }
            | EventKind::CallbackRan { record, outcome } => {
                let Outcome::Acknowledged {
                    topic, timestamp, ..
                } = outcome
                else {
                    return;
                };
                let given = facts.record(*record).and_then(|record| record.timestamp);
                let is_changed = given.is_some_and(|given| given != *timestamp);
                let is_duplicate = self.duplicates.contains(record);
                if is_changed && self.has_own_time(topic) && !is_duplicate {
                    found.add(RULE, event.at, changed(*record, given, *timestamp));
                }
            }
            _ => {}
        }
    }
}

fn changed(id: RecordId, given: Option<i64>, stored: i64) -> String {
    format!(
        "{id} was sent with timestamp {} and has {stored}",
        given.unwrap_or(-1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, scenario};

    fn story(append_time: bool) -> Story {
        let mut scenario = scenario(&[], &[]);
        scenario.topics[0].log_append_time = append_time;
        Story::of(Contents::of(&scenario), &scenario)
    }

    #[test]
    fn changed_contents_are_caught() {
        for (contents, timestamp, expected) in [(5, 70, 0), (6, 70, 1), (5, 71, 1), (6, 71, 2)] {
            let mut story = story(false);
            story.send_with(0, "t", 5, Some(70));
            story.append_with("t", 0, &[(0, contents, timestamp)]);
            assert_eq!(story.found().len(), expected, "{contents} {timestamp}");
        }
    }

    #[test]
    fn a_record_that_was_never_offered_is_caught() {
        let mut story = story(false);
        story.append_with("t", 0, &[(3, 5, 70)]);
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn log_append_time_and_missing_timestamps_pass() {
        let mut appended = story(true);
        appended.send_with(0, "t", 5, Some(70));
        appended.append_with("t", 0, &[(0, 5, 71)]);
        assert_eq!(appended.found(), [""; 0]);
        let mut without_timestamp = story(false);
        without_timestamp.send_with(0, "t", 5, None);
        without_timestamp.append_with("t", 0, &[(0, 5, 71)]);
        assert_eq!(without_timestamp.found(), [""; 0]);
    }

    #[test]
    fn a_wrong_acknowledged_timestamp_is_caught_unless_the_batch_is_a_duplicate() {
        for (reported, is_duplicate, expected) in [
            (70, false, 0),
            (71, false, 1),
            (-1, false, 1),
            (71, true, 0),
        ] {
            let mut story = story(false);
            story.send_with(0, "t", 5, Some(70));
            if is_duplicate {
                story.broker(EventKind::Duplicate {
                    topic: "t".into(),
                    partition: 0,
                    base_offset: 0,
                    records: vec![RecordId(0)],
                });
            }
            let outcome = Outcome::Acknowledged {
                topic: "t".into(),
                partition: 0,
                offset: 0,
                timestamp: reported,
            };
            story.reported(0, outcome);
            assert_eq!(story.found().len(), expected, "{reported} {is_duplicate}");
        }
    }
}
