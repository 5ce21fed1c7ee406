//! Rule: every accepted record has exactly one outcome.

use super::facts::{Facts, is_final};
use super::{Found, Glance, Moment, Rule};
use crate::events::{Event, EventKind};

/// Future and callback report the same outcome. At the end all outcomes are reported. Whenever nothing is left to send,
/// the producer has counted each accepted record as acknowledged or failed; it may also have counted records whose send
/// calls have not returned yet.
///
/// No report is expected of a record without a callback if its future was dropped, or of a record of an application
/// that crashes. User code may read futures itself, and no event says which: as many records without a callback are
/// excused. The producer's counts include all of these records.
pub(super) struct Outcomes;

const RULE: &str = "outcomes";

impl Rule for Outcomes {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let (EventKind::FutureReported { record, outcome }
        | EventKind::CallbackRan { record, outcome }) = &event.kind
        else {
            return;
        };
        if !is_final(outcome) {
            return;
        }
        let Some(record) = facts.record(*record) else {
            return;
        };
        if let Some(first) = record.outcome.as_ref().filter(|first| *first != outcome) {
            let text = format!(
                "{} first had the outcome {first:?}, then {outcome:?}",
                record.id
            );
            found.add(RULE, event.at, text);
        }
        if record.refused.is_some() {
            let text = format!("{} was refused, and has an outcome: {outcome:?}", record.id);
            found.add(RULE, event.at, text);
        }
    }

    fn step(&mut self, facts: &Facts, glance: &Glance, found: &mut Found) {
        if glance.moment == Moment::Passing {
            return;
        }
        for (index, (own, glanced)) in facts.producers.iter().zip(&glance.producers).enumerate() {
            let Some(snapshot) = glanced.snapshot else {
                continue;
            };
            let counted = snapshot.records_acknowledged + snapshot.records_failed;
            let most = own.accepted + facts.sends_in_progress(index).count() as u64;
            if !(own.accepted..=most).contains(&counted) {
                let text = format!(
                    "producer {index} accepted {} records and counted {counted} as acknowledged or failed",
                    own.accepted
                );
                found.add(RULE, glance.at, text);
            }
        }
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        let mut unidentified_reads: Vec<_> = facts
            .producers
            .iter()
            .map(|it| it.unidentified_reads)
            .collect();
        for record in facts
            .records()
            .filter(|record| !facts.is_of_crashed(record))
        {
            let is_open = record.accepted.is_some() && record.done.is_none();
            if is_open && record.has_observer() {
                if let Some(unidentified_reads) = unidentified_reads
                    .get_mut(record.producer)
                    .filter(|unidentified_reads| **unidentified_reads > 0 && !record.has_callback)
                {
                    *unidentified_reads -= 1;
                    continue;
                }
                let text = format!(
                    "{} for {} was accepted at {:?} and has no outcome",
                    record.id, record.topic_name, record.offered.at
                );
                found.add(RULE, last.at, text);
            }
            if record.accepted.is_none() && record.refused.is_none() {
                let text = format!("{} was neither accepted nor refused", record.id);
                found.add(RULE, last.at, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, acknowledged, failed};

    #[test]
    fn unchanged_outcomes_pass() {
        let mut story = Story::new(Outcomes);
        story.send_calling(0, "t", 0);
        story.reported(0, failed("t-0: not yet", true).kind("Pending"));
        story.ran(0, acknowledged("t", 0, 0));
        story.reported(0, acknowledged("t", 0, 0));
        story.send(1, "t", 0);
        story.drop_future(1);
        story.refuse(2, "t", 0);
        story.snapshot(|snapshot| {
            snapshot.records_acknowledged = 1;
            snapshot.records_failed = 1;
        });
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn a_changed_or_missing_outcome_is_caught() {
        let mut story = Story::new(Outcomes);
        story.send_calling(0, "t", 0);
        story.ran(0, acknowledged("t", 0, 0));
        story.reported(0, acknowledged("t", 0, 1));
        assert_eq!(story.found().len(), 1);
        let mut story = Story::new(Outcomes);
        story.send(0, "t", 0);
        assert_eq!(
            story.end(),
            ["#0 for t was accepted at 0ns and has no outcome"]
        );
    }

    #[test]
    fn futures_that_user_code_drops_or_reads_are_excused() {
        for (act, expected) in [("DropsFutures", 0), ("Gets", 1), ("Flushes", 2)] {
            let mut story = Story::new(Outcomes);
            story.send(0, "t", 0);
            story.send(1, "t", 0);
            story.sender(EventKind::UserCode {
                piece: "callback",
                act: act.into(),
            });
            assert_eq!(story.end().len(), expected, "{act}");
        }
    }

    #[test]
    fn a_record_missing_in_the_producers_counts_is_caught() {
        let mut story = Story::new(Outcomes);
        story.send(0, "t", 0);
        story.drop_future(0);
        story.snapshot(|_| {});
        let text = "producer 0 accepted 1 records and counted 0 as acknowledged or failed";
        assert_eq!(story.end(), [text]);
    }
}
