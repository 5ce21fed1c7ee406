//! Rule: nothing of a fenced producer becomes visible after its successor's initialization.

use super::facts::Facts;
use super::faults::FaultFacts;
use super::transactions::{is_lost, seen};
use super::{Found, Glance, Rule};
use crate::scenario::Fault;

/// When `init_transactions` of a producer has returned, the transactions of earlier producers with the same
/// transactional id are committed or aborted: no record of these producers becomes visible any more. An earlier
/// producer is one that was initialized before the call began.
///
/// Excused: data that logs or brokers have lost; runs in which another cluster replaces the first; and late batches on
/// brokers that do not verify (`transactions::is_late`), which become visible with the successor's next transaction.
pub(super) struct Fenced;

impl Rule for Fenced {
    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        // Another cluster does not know the transactional id, so it does not fence any producer that used the id
        // before.
        let is_other = |begun: &FaultFacts| matches!(begun.fault, Fault::Rebuild);
        if facts.faults.begun().any(is_other) {
            return;
        }
        for transaction in facts.transactions.all() {
            let Some(fenced) = facts.transactions.fenced(transaction.producer) else {
                continue;
            };
            for record in transaction.records(facts) {
                if is_lost(facts, record) {
                    continue;
                }
                let is_shown_since = seen(facts, record).any(|seen| {
                    let is_late = super::transactions::is_late(facts, transaction, seen.batch);
                    !is_late && seen.marker.is_none_or(|marker| marker.written > fenced)
                });
                if is_shown_since {
                    let text = format!(
                        "{} became visible after its producer was fenced, of {}",
                        record.id,
                        transaction.name()
                    );
                    found.add("fenced", last.at, text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, Transactional};

    #[test]
    fn a_record_that_becomes_visible_after_fencing_is_caught() {
        for (shows_first, expected) in [(true, 0), (false, 1)] {
            let mut story = Story::transactional(Fenced);
            story.begins_transaction();
            story.send(0, "t", 0);
            story.append_in_transaction("t", 0, 0, &[0]);
            story.commits(Some("TimedOut"));
            if shows_first {
                story.marker("t", 0, 1, true);
            }
            story.initializes(1);
            if !shows_first {
                story.marker("t", 0, 1, true);
            }
            assert_eq!(story.end().len(), expected, "{shows_first}");
        }
    }
}
