//! Rule: a record whose error says that it was not written is in no log, neither before nor after the error.

use super::facts::{Facts, RecordFacts, is_final};
use super::{Found, Rule};
use crate::events::{Event, EventKind, Outcome};

/// The rule is checked when a record is refused or fails, and at each write.
///
/// Excused: a fault that makes brokers write and then answer with an error that means "not written", or refuse the
/// sequence number of a batch that they have written.
pub(super) struct NotWritten;

const RULE: &str = "not written";

impl Rule for NotWritten {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match &event.kind {
            EventKind::Appended { records, .. } => {
                for record in records.iter().filter_map(|record| facts.record(*record)) {
                    let is_final =
                        record.refused.is_some() || is_called_so(record.outcome.as_ref());
                    if is_final && !is_excused(facts, record) {
                        let text =
                            format!("{} failed as not written, and is written now", record.id);
                        found.add(RULE, event.at, text);
                    }
                }
            }
            EventKind::RecordRefused { record, .. } => check(facts, *record, event, found),
            EventKind::FutureReported { record, outcome }
            | EventKind::CallbackRan { record, outcome }
                if is_called_so(Some(outcome)) =>
            {
                check(facts, *record, event, found);
            }
            _ => {}
        }
    }
}

fn check(facts: &Facts, id: crate::events::RecordId, event: &Event, found: &mut Found) {
    let Some(record) = facts.record(id) else {
        return;
    };
    if !record.copies.is_empty() && !is_excused(facts, record) {
        let text = format!("{id} failed as not written, and was written before");
        found.add(RULE, event.at, text);
    }
}

fn is_called_so(outcome: Option<&Outcome>) -> bool {
    outcome.is_some_and(|outcome| match outcome {
        Outcome::Failed(failure) => is_final(outcome) && !failure.may_be_written,
        Outcome::Acknowledged { .. } => false,
    })
}

fn is_excused(facts: &Facts, record: &RecordFacts) -> bool {
    let Some(settings) = facts.settings(record) else {
        return false;
    };
    let is_denied = settings.idempotent && facts.faults.may_have_denied_sequence(record);
    is_denied || facts.faults.may_have_lied(record, settings.acks == -1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, error, failed};
    use crate::scenario::Api;

    #[test]
    fn a_written_record_whose_error_says_not_written_is_caught() {
        let mut story = Story::new(NotWritten);
        story.send(0, "t", 0);
        story.append("t", 0, 0, &[0]);
        story.reported(0, failed("t-0: refused", false));
        assert_eq!(story.found().len(), 1);
        let mut story = Story::new(NotWritten);
        story.send(0, "t", 0);
        story.ran(0, failed("t-0: refused", false));
        assert_eq!(story.found().len(), 0);
        story.append("t", 0, 0, &[0]);
        assert_eq!(story.found().len(), 1);
        let mut story = Story::new(NotWritten);
        story.refuse(0, "t", 0);
        story.append("t", 0, 0, &[0]);
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn a_record_that_may_be_written_passes_either_way() {
        let mut story = Story::new(NotWritten);
        story.send(0, "t", 0);
        story.append("t", 0, 0, &[0]);
        story.reported(0, failed("t-0: lost", true));
        story.send(1, "t", 0);
        story.reported(1, failed("t-0: expired", false));
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn only_a_false_error_of_a_broker_is_an_excuse() {
        for (topic, code, after, expected) in [
            ("t", 10, true, 0),
            ("u", 10, true, 1),
            ("t", 10, false, 1),
            ("t", 7, true, 1),
            ("t", 45, false, 0),
        ] {
            let fault = error(Api::Produce, Some(topic), None, code, after);
            let mut story = Story::with(NotWritten, &[], &[fault]);
            story.begins(0);
            story.send(0, "t", 0);
            story.append("t", 0, 0, &[0]);
            story.reported(0, failed("t-0: refused", false));
            assert_eq!(story.found().len(), expected, "{topic} {code} {after}");
        }
    }
}
