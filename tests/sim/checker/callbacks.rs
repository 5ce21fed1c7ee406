//! Rule: each callback runs once, or is dropped if its record was refused.

use super::facts::{Facts, is_final};
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind, Who};

/// An application thread learns a record's outcome only after the record's callback has run. Code on the sender's
/// thread may run between completion and callback, and see that the record is complete.
///
/// Excused: applications that crash.
pub(super) struct Callbacks;

const RULE: &str = "callbacks";

impl Rule for Callbacks {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let mut add = |text| found.add(RULE, event.at, text);
        match &event.kind {
            EventKind::CallbackRan { record: id, .. } => {
                let Some(record) = facts.record(*id) else {
                    return add(format!("the callback of {id} ran, which was never offered"));
                };
                if record.callback_runs > 1 {
                    add(format!(
                        "the callback of {id} ran {} times",
                        record.callback_runs
                    ));
                }
                if !record.has_callback {
                    add(format!("{id} has no callback, and one ran"));
                }
                if record.refused.is_some() {
                    add(format!("{id} was refused, and its callback ran"));
                }
                if record.callback_dropped {
                    add(format!("the callback of {id} ran after it was dropped"));
                }
            }
            EventKind::CallbackDropped { record: id } => {
                let Some(record) = facts.record(*id) else {
                    return;
                };
                if record.accepted.is_some() && !facts.is_of_crashed(record) {
                    add(format!(
                        "{id} was accepted, and its callback was dropped without running"
                    ));
                }
            }
            EventKind::RecordRefused { record: id, .. }
                if facts
                    .record(*id)
                    .is_some_and(|record| record.callback_runs > 0) =>
            {
                add(format!("{id} was refused, and its callback has run"));
            }
            EventKind::FutureReported {
                record: id,
                outcome,
            } if is_final(outcome) => {
                let is_told_first = facts
                    .record(*id)
                    .is_some_and(|record| record.has_callback && record.callback_runs == 0);
                if is_told_first && matches!(event.who, Who::Thread { .. }) {
                    add(format!(
                        "a thread learned the outcome of {id} before its callback ran"
                    ));
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        let records = facts
            .records()
            .filter(|record| !facts.is_of_crashed(record));
        for record in records.filter(|record| record.has_callback) {
            let text = if record.accepted.is_some() && record.callback_runs == 0 {
                "was accepted, and its callback never ran"
            } else if record.refused.is_some() && !record.callback_dropped {
                "was refused, and its callback was never dropped"
            } else {
                continue;
            };
            found.add(RULE, last.at, format!("{} {text}", record.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, acknowledged};
    use crate::events::RecordId;

    #[test]
    fn a_callback_that_runs_once_before_the_future_is_read_passes() {
        let mut story = Story::new(Callbacks);
        story.send_calling(0, "t", 0);
        story.ran(0, acknowledged("t", 0, 0));
        story.reported(0, acknowledged("t", 0, 0));
        story.refuse_calling(1, "t", 0);
        story.world(EventKind::CallbackDropped {
            record: RecordId(1),
        });
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn callbacks_that_run_twice_never_or_too_late_are_caught() {
        let mut story = Story::new(Callbacks);
        story.send_calling(0, "t", 0);
        story.ran(0, acknowledged("t", 0, 0));
        story.ran(0, acknowledged("t", 0, 0));
        assert_eq!(story.found(), ["the callback of #0 ran 2 times"]);

        let mut story = Story::new(Callbacks);
        story.send_calling(0, "t", 0);
        assert_eq!(story.found(), [""; 0]);
        assert_eq!(story.end(), ["#0 was accepted, and its callback never ran"]);

        let mut story = Story::new(Callbacks);
        story.send_calling(0, "t", 0);
        story.reported(0, acknowledged("t", 0, 0));
        assert_eq!(
            story.found(),
            ["a thread learned the outcome of #0 before its callback ran"]
        );

        let mut story = Story::new(Callbacks);
        story.send_calling(0, "t", 0);
        story.world(EventKind::CallbackDropped {
            record: RecordId(0),
        });
        assert_eq!(
            story.found(),
            ["#0 was accepted, and its callback was dropped without running"]
        );

        let mut story = Story::new(Callbacks);
        story.refuse_calling(0, "t", 0);
        story.ran(0, acknowledged("t", 0, 0));
        assert_eq!(story.found(), ["#0 was refused, and its callback ran"]);
        let mut story = Story::new(Callbacks);
        story.refuse_calling(0, "t", 0);
        assert_eq!(
            story.end(),
            ["#0 was refused, and its callback was never dropped"]
        );
    }
}
