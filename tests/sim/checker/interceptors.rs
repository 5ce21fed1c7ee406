//! Rule: interceptors are called twice for each record, when it is sent and when it is complete.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::{Found, Glance, Rule};
use crate::events::{Event, ProducerIndex, What};

/// `on_acknowledgement` is called as often as `on_send`, and never before it.
///
/// Excused: producers whose sender has not ended, and applications that crash. For those some calls may be missing.
#[derive(Default)]
pub(super) struct Interceptors {
    heard: BTreeMap<ProducerIndex, (u64, u64)>,
}

const RULE: &str = "interceptors";

impl Rule for Interceptors {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        let What::Intercepted { producer, sent } = event.what else {
            return;
        };
        let (sends, ends) = self.heard.entry(producer).or_default();
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
        for (producer, (sends, ends)) in &self.heard {
            let glance = last.producers.get(*producer);
            let is_crashed = facts
                .producers
                .get(*producer)
                .is_some_and(|it| it.crashed.is_some());
            let has_ended = glance.is_some_and(|glance| glance.sender_has_ended) && !is_crashed;
            if has_ended && sends != ends {
                let text = format!(
                    "an interceptor of producer {producer} had {sends} records sent and {ends} acknowledgements"
                );
                found.add(RULE, last.at, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::Story;

    fn hears(calls: &[bool]) -> Story {
        let mut story = Story::new(Interceptors::default());
        for sent in calls {
            story.world(What::Intercepted {
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
}
