//! Rule: `read_committed` consumers see the records of committed transactions and no others.

use super::facts::{Facts, RecordFacts};
use super::transactions::{
    KnownEnd, Transaction, is_beyond_promise, is_late, is_lied_about, is_lost, seen,
};
use super::{Found, Glance, Rule};
use crate::events::Outcome;

/// A `read_committed` consumer sees each record of a transaction for which `commit_transaction` returned success, and
/// each of those records was acknowledged. It sees no record of a transaction that was aborted, that could not be
/// committed, or whose commit was never requested.
///
/// A record belongs to a transaction if it was sent between the return of `begin_transaction` and the call that ended
/// the transaction.
///
/// Excused: transactions without any promise ([`is_beyond_promise`]); data that logs or brokers have lost; batches that
/// a fault made brokers call duplicates; and, for uncommitted records, batches that arrived after the end of their
/// transaction ([`is_late`]).
pub(super) struct Committed;

const RULE: &str = "committed";

impl Rule for Committed {
    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        for transaction in facts.transactions.all() {
            if is_beyond_promise(facts, transaction) {
                continue;
            }
            for record in transaction.records(facts) {
                let what = match transaction.known_end {
                    KnownEnd::Committed => why_not_committed(facts, record),
                    KnownEnd::NotCommitted => why_not_aborted(facts, transaction, record),
                    KnownEnd::InDoubt => None,
                };
                if let Some(what) = what {
                    let text = format!("{} {what}, of {}", record.id, transaction.name());
                    found.add(RULE, last.at, text);
                }
            }
        }
    }
}

fn why_not_committed(facts: &Facts, record: &RecordFacts) -> Option<&'static str> {
    if is_lost(facts, record) || is_lied_about(facts, record) {
        return None;
    }
    if let Some(Outcome::Failed(_)) = record.outcome {
        return Some("failed, and its transaction was reported as committed");
    }
    let is_seen = seen(facts, record).next().is_some();
    (!is_seen).then_some("is not visible, and its transaction was reported as committed")
}

fn why_not_aborted(
    facts: &Facts,
    transaction: &Transaction,
    record: &RecordFacts,
) -> Option<&'static str> {
    let is_seen = seen(facts, record).any(|seen| !is_late(facts, transaction, seen.batch));
    (is_seen && !is_lost(facts, record))
        .then_some("is visible, and its transaction was not committed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{
        Story, Transactional, acknowledged, failed, fault, transactional_scenario,
    };
    use crate::scenario::Fault;

    #[test]
    fn an_invisible_record_of_a_committed_transaction_is_caught() {
        for (committed, outcome, expected) in [
            (Some(true), acknowledged("t", 0, 0), 0),
            (Some(false), acknowledged("t", 0, 0), 1),
            (None, acknowledged("t", 0, 0), 1),
            (Some(true), failed("t-0: lost", true), 1),
        ] {
            let mut story = Story::transactional(Committed);
            story.begins_transaction();
            story.send(0, "t", 0);
            story.append_in_transaction("t", 0, 0, &[0]);
            story.reported(0, outcome);
            if let Some(committed) = committed {
                story.marker("t", 0, 1, committed);
            }
            story.commits(None);
            assert_eq!(story.end().len(), expected, "{committed:?}");
        }
    }

    #[test]
    fn a_visible_record_of_an_uncommitted_transaction_is_caught() {
        for (ends, marker, expected) in [
            (Some((false, None)), true, 1),
            (Some((false, None)), false, 0),
            (None, true, 1),
            (Some((true, Some("Abortable"))), true, 1),
            (Some((true, Some("TimedOut"))), true, 0),
        ] {
            let mut story = Story::transactional(Committed);
            story.begins_transaction();
            story.send(0, "t", 0);
            story.append_in_transaction("t", 0, 0, &[0]);
            match ends {
                Some((true, kind)) => story.commits(kind),
                Some((false, kind)) => story.aborts(kind),
                None => {}
            }
            story.marker("t", 0, 1, marker);
            assert_eq!(story.end().len(), expected, "{ends:?} {marker}");
        }
    }

    #[test]
    fn a_transaction_ended_by_a_delayed_request_is_excused() {
        for (is_held_back, is_unasked, expected) in
            [(true, true, 0), (false, true, 1), (true, false, 1)]
        {
            let hang = fault(Fault::Hang { node: 0 });
            let mut story = Story::of(Committed, &transactional_scenario(&[hang]));
            story.initializes(0);
            if is_held_back {
                story.begins(0);
            }
            story.begins_transaction();
            story.send(0, "t", 0);
            story.append_in_transaction("t", 0, 0, &[0]);
            if is_unasked {
                story.coordinator_ends();
            }
            story.marker("t", 0, 1, false);
            story.commits(None);
            assert_eq!(story.end().len(), expected, "{is_held_back} {is_unasked}");
        }
    }

    #[test]
    fn late_batches_and_truncated_logs_are_excused() {
        for (late, cut, expected) in [(false, false, 1), (true, false, 0), (false, true, 0)] {
            let mut story = Story::transactional(Committed);
            story.begins_transaction();
            story.send(0, "t", 0);
            if late {
                story.coordinator_ends();
            }
            story.append_in_transaction("t", 0, 0, &[0]);
            story.aborts(None);
            if cut {
                story.truncated("t", 0, 1);
            }
            story.marker("t", 0, 1, true);
            assert_eq!(story.end().len(), expected, "{late} {cut}");
        }
    }
}
