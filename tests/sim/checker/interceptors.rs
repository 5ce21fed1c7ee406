//! Rule: interceptors are called twice for each record, when it is sent and when it is complete.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind, ProducerIndex, RecordId};

/// `on_acknowledgement` is called as often as `on_send`, and never before it.
///
/// Excused: producers whose sender has not ended, and applications that crash. In these cases some calls may be
/// missing. So may the `on_acknowledgement` of a record that `send` refuses while its producer is being closed:
/// interceptors are not called after their `close`.
#[derive(Default)]
pub(super) struct Interceptors {
    calls: BTreeMap<ProducerIndex, (u64, u64)>,
    /// Records that `send` refused after the close of their producer had begun.
    refused_late: BTreeMap<ProducerIndex, u64>,
}

const RULE: &str = "interceptors";

impl Rule for Interceptors {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        if let EventKind::RecordRefused { record, .. } = event.kind {
            self.note_refused(facts, record);
        }
        let EventKind::Intercepted { producer, sent } = event.kind else {
            return;
        };
        let (sends, ends) = self.calls.entry(producer).or_default();
        if sent {
            *sends += 1;
            return;
        }
        *ends += 1;
        if *ends == *sends + 1 {
            let text = format!(
                "an interceptor of producer {producer} had {ends} acknowledgements of {sends} records"
            );
            found.add(RULE, event.at, text);
        }
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        for (producer, (sends, ends)) in &self.calls {
            let glance = last.producers.get(*producer);
            let is_crashed = facts
                .producers
                .get(*producer)
                .is_some_and(|it| it.crashed.is_some());
            let has_ended = glance.is_some_and(|glance| glance.sender_has_ended) && !is_crashed;
            let late = self.refused_late.get(producer).copied().unwrap_or(0);
            if has_ended && *sends > ends + late {
                let text = format!(
                    "an interceptor of producer {producer} had {sends} records sent and {ends} acknowledgements"
                );
                found.add(RULE, last.at, text);
            }
        }
    }
}

impl Interceptors {
    fn note_refused(&mut self, facts: &Facts, record: RecordId) {
        let Some(record) = facts.record(record) else {
            return;
        };
        let producer = facts.producers.get(record.producer);
        if producer.is_some_and(|it| it.closing.is_some()) {
            *self.refused_late.entry(record.producer).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::Story;
    use crate::events::Call;

    fn hears(calls: &[bool]) -> Story {
        let mut story = Story::new(Interceptors::default());
        for sent in calls {
            story.world(EventKind::Intercepted {
                producer: 0,
                sent: *sent,
            });
        }
        story
    }

    #[test]
    fn both_interceptor_calls_of_a_record_pass() {
        assert_eq!(hears(&[true, true, false, false]).found(), [""; 0]);
        assert_eq!(hears(&[true, false, false]).found().len(), 1);
        assert_eq!(hears(&[false, true]).found().len(), 1);
    }

    #[test]
    fn a_missing_interceptor_call_is_caught_when_the_sender_has_ended() {
        for (has_ended, expected) in [(true, 1), (false, 0)] {
            let mut story = hears(&[true, true, false]);
            story.producer(|producer| producer.sender_has_ended = has_ended);
            assert_eq!(story.end().len(), expected);
        }
    }

    #[test]
    fn a_record_refused_during_the_close_may_lack_its_acknowledgement() {
        for (is_closing, expected) in [(true, 0), (false, 1)] {
            let mut story = hears(&[true]);
            if is_closing {
                story.call(Call::Close { timeout: None });
            }
            story.refuse_as(0, "Closed");
            story.producer(|producer| producer.sender_has_ended = true);
            assert_eq!(story.end().len(), expected);
        }
    }
}
