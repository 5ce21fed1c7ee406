//! A run comes to its end.

use super::facts::Facts;
use super::{Found, Rule};
use crate::events::{Event, What};

pub(super) struct Stuck;

impl Rule for Stuck {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        if let What::Stuck { why } = &event.what {
            found.add("stuck", event.at, format!("the run does not end: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::Story;

    #[test]
    fn a_run_that_never_ends_is_found() {
        let mut story = Story::new(Stuck);
        assert_eq!(story.found(), [""; 0]);
        story.world(What::Stuck {
            why: "threads wait".into(),
        });
        assert_eq!(story.found(), ["the run does not end: threads wait"]);
    }
}
