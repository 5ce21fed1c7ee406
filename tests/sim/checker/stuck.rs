//! Rules: a run ends, and no sender panics.

use super::facts::Facts;
use super::{Found, Rule};
use crate::events::{Event, EventKind};

pub(super) struct Stuck;

impl Rule for Stuck {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        if let EventKind::Stuck { why } = &event.kind {
            found.add("stuck", event.at, format!("the run does not end: {why}"));
        }
    }
}

/// Rule: no panic in the library itself. The library catches panics of user code, which are no violation.
pub(super) struct Panicked;

impl Rule for Panicked {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        if let EventKind::LogLine { text, .. } = &event.kind {
            if text.contains("the sender panicked") {
                found.add("panic", event.at, text.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::Story;

    #[test]
    fn a_sender_that_panics_is_caught() {
        let mut story = Story::new(Panicked);
        story.world(EventKind::LogLine {
            level: log::Level::Error,
            text: "[Producer clientId=p0] a callback panicked: x".into(),
        });
        assert_eq!(story.found(), [""; 0]);
        let text = "[Producer clientId=p0] the sender panicked: x";
        story.world(EventKind::LogLine {
            level: log::Level::Error,
            text: text.into(),
        });
        assert_eq!(story.found(), [text]);
    }

    #[test]
    fn a_run_that_never_ends_is_caught() {
        let mut story = Story::new(Stuck);
        assert_eq!(story.found(), [""; 0]);
        story.world(EventKind::Stuck {
            why: "threads wait".into(),
        });
        assert_eq!(story.found(), ["the run does not end: threads wait"]);
    }
}
