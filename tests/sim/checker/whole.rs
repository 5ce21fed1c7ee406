//! Rule: a transaction is visible as a whole or not at all.

use super::facts::Facts;
use super::transactions::{KnownEnd, is_beyond_promise, is_late, is_lied_about, is_lost, seen};
use super::{Found, Glance, Rule};

/// The rule applies to transactions whose commit was requested with an unknown result: a `read_committed` consumer sees
/// all accepted records or none.
///
/// The exceptions are those of `committed.rs`.
pub(super) struct Whole;

const RULE: &str = "whole";

impl Rule for Whole {
    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        let in_doubt = facts.transactions.all().filter(|transaction| {
            transaction.known_end == KnownEnd::InDoubt && !is_beyond_promise(facts, transaction)
        });
        for transaction in in_doubt {
            let records = transaction.records(facts);
            let (mut shown, mut hidden) = (None, None);
            for record in records.filter(|record| !is_lost(facts, record)) {
                let mut places = seen(facts, record);
                let is_seen = places.any(|seen| !is_late(facts, transaction, seen.batch));
                if is_seen {
                    shown = shown.or(Some(record.id));
                } else if !is_lied_about(facts, record) {
                    hidden = hidden.or(Some(record.id));
                }
            }
            if let (Some(shown), Some(hidden)) = (shown, hidden) {
                let text = format!(
                    "{shown} is visible and {hidden} is not, of {}",
                    transaction.name()
                );
                found.add(RULE, last.at, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, Transactional};

    #[test]
    fn a_partly_visible_transaction_in_doubt_is_caught() {
        for (first, second, expected) in [
            (true, true, 0),
            (false, false, 0),
            (true, false, 1),
            (false, true, 1),
        ] {
            let mut story = Story::transactional(Whole);
            story.begins_transaction();
            story.send(0, "t", 0);
            story.send(1, "u", 0);
            story.append_in_transaction("t", 0, 0, &[0]);
            story.append_in_transaction("u", 0, 0, &[1]);
            story.commits(Some("TimedOut"));
            story.marker("t", 0, 1, first);
            story.marker("u", 0, 1, second);
            assert_eq!(story.end().len(), expected, "{first} {second}");
        }
    }

    #[test]
    fn an_accepted_record_that_was_never_written_breaks_a_visible_transaction() {
        let mut story = Story::transactional(Whole);
        story.begins_transaction();
        story.send(0, "t", 0);
        story.send(1, "u", 0);
        story.append_in_transaction("t", 0, 0, &[0]);
        story.commits(Some("TimedOut"));
        story.marker("t", 0, 1, true);
        assert_eq!(story.end().len(), 1);
    }
}
