//! Rule: time-outs do not fire early.

use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::{Facts, RecordFacts};
use super::logs::TopicId;
use super::{Found, Glance, Rule};
use crate::events::{Call, Event, EventKind, Outcome, ProducerIndex, Returned};

/// A time-out error comes no earlier than its time-out.
///
/// - `send` and `partitions_for` that fail for lack of metadata or memory have waited for `max.block.ms`.
/// - A record fails with `DeliveryTimeout` only when its batch is at least `delivery.timeout.ms` old. The events do not
///   show batches. So there must be a record of the same producer and topic that is that old and may have been in the
///   batch: it was not complete before, or failed with `DeliveryTimeout` too. If the producer has split a batch, it may
///   also have completed otherwise, in an earlier piece of the batch.
#[derive(Default)]
pub(super) struct NotEarly {
    /// Whether each producer has split a batch.
    splits: Vec<bool>,
    /// For each producer and topic, the time at which records last failed with a time-out that was found correct.
    checked: BTreeMap<(ProducerIndex, TopicId), Duration>,
}

const RULE: &str = "too soon";

impl Rule for NotEarly {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match &event.kind {
            EventKind::CallEnds {
                returned: Returned::Error { kind, .. },
                ..
            } => {
                let Some(call) = &facts.ended_call else {
                    return;
                };
                let is_time = kind.contains("MetadataTimeout") || kind.contains("BufferExhausted");
                let waits = matches!(call.operation, Call::Send(_) | Call::PartitionsFor { .. });
                let producer = call.producer.and_then(|it| facts.producers.get(it));
                let Some(producer) = producer.filter(|_| is_time && waits) else {
                    return;
                };
                let waited = event.at.saturating_sub(call.began.at);
                if waited + TICK < producer.settings.max_block {
                    let text = format!(
                        "{} ({:?}) timed out after {waited:?}, and max.block.ms={}: {kind}",
                        call.id,
                        call.operation,
                        producer.settings.max_block.as_millis()
                    );
                    found.add(RULE, event.at, text);
                }
            }
            EventKind::CallbackRan {
                record,
                outcome: Outcome::Failed(failure),
            }
            | EventKind::FutureReported {
                record,
                outcome: Outcome::Failed(failure),
            } if failure.kind == "DeliveryTimeout" => {
                if let Some(record) = facts.record(*record) {
                    self.expired(facts, record, event, found);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, _: &Facts, glance: &Glance, _: &mut Found) {
        self.splits.resize(glance.producers.len(), false);
        for (splits, producer) in self.splits.iter_mut().zip(&glance.producers) {
            *splits |= producer.snapshot.is_some_and(|it| it.batches_split > 0);
        }
    }
}

fn failed_so(record: &RecordFacts) -> bool {
    matches!(&record.outcome, Some(Outcome::Failed(failure)) if failure.kind == "DeliveryTimeout")
}

impl NotEarly {
    fn expired(&mut self, facts: &Facts, record: &RecordFacts, event: &Event, found: &mut Found) {
        let place = (record.producer, record.topic);
        let (Some(settings), Some(done)) = (facts.settings(record), record.done) else {
            return;
        };
        if self.checked.get(&place) == Some(&done) {
            return;
        }
        let splits = self.splits.get(record.producer) == Some(&true);
        let is_old = |other: &RecordFacts| {
            let is_fellow = (other.producer, other.topic) == place;
            let is_open =
                splits || other.done.is_none_or(|other| other >= done) || failed_so(other);
            let offered = other.offered.at;
            is_fellow && is_open && done.saturating_sub(offered) + TICK >= settings.delivery_timeout
        };
        if facts.records().any(is_old) {
            self.checked.insert(place, done);
            return;
        }
        let text = format!(
            "{} for {} was offered at {:?} and failed at {done:?}, and delivery.timeout.ms={}",
            record.id,
            record.topic_name,
            record.offered.at,
            settings.delivery_timeout.as_millis()
        );
        found.add(RULE, event.at, text);
    }
}

/// Some times are rounded to milliseconds.
const TICK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, acknowledged, failed};
    use crate::events::RecordId;

    const SHORT: &[(&str, &str)] = &[
        ("request.timeout.ms", "500"),
        ("delivery.timeout.ms", "1000"),
        ("max.block.ms", "200"),
    ];

    #[test]
    fn a_call_that_times_out_before_max_block_is_caught() {
        for (kind, after_ms, expected) in [
            ("MetadataTimeout", 199, 0),
            ("MetadataTimeout", 198, 1),
            ("BufferExhausted", 200, 0),
            ("BufferExhausted", 0, 1),
            ("Closed", 0, 0),
        ] {
            let mut story = Story::with(NotEarly::default(), SHORT, &[]);
            let call = story.at_ms(50).call(Call::Send(RecordId(0)));
            let returned = Returned::Error {
                kind: kind.into(),
                text: String::new(),
            };
            story.at_ms(50 + after_ms).ends(call, returned);
            assert_eq!(story.found().len(), expected, "{kind} after {after_ms}");
        }
    }

    #[test]
    fn an_early_delivery_time_out_is_caught_unless_the_batch_is_older() {
        for (is_older, after_ms, expected) in [
            (false, 999, 0),
            (false, 998, 1),
            (true, 600, 0),
            (true, 500, 1),
        ] {
            let mut story = Story::with(NotEarly::default(), SHORT, &[]);
            if is_older {
                story.send(1, "t", 0);
            }
            story.at_ms(400).send(0, "t", 0);
            story.at_ms(400 + after_ms).glance(&[0, 1]);
            story.reported(0, failed("t-0: too late", false));
            assert_eq!(story.found().len(), expected, "{is_older} {after_ms}");
        }
    }

    #[test]
    fn a_complete_older_record_counts_only_if_it_expired_too_or_a_batch_was_split() {
        for (fails, splits, expected) in [(false, false, 1), (true, false, 0), (false, true, 0)] {
            let mut story = Story::with(NotEarly::default(), SHORT, &[]);
            story.send(1, "t", 0);
            if splits {
                story.snapshot(|it| it.batches_split = 1);
            }
            story.glance(&[]);
            let outcome = if fails {
                failed("t-0: too late", false)
            } else {
                acknowledged("t", 0, 0)
            };
            story.at_ms(1_100).reported(1, outcome);
            story.found();
            story.at_ms(1_101).send(0, "t", 0);
            story
                .at_ms(1_200)
                .reported(0, failed("t-0: too late", false));
            assert_eq!(story.found().len(), expected, "{fails} {splits}");
        }
    }
}
