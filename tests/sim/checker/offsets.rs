//! Rule: a group's offsets are committed with their transaction or not at all.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::transactions::{KnownEnd, OffsetsCall, Transaction, is_lied_about, is_lost};
use super::transactions::{has_held_back, is_beyond_promise, seen};
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind};

/// Each call commits an offset of its own, so a committed offset identifies its call.
///
/// - A committed transaction commits the offsets that it accepted last for each partition; a transaction that is not
///   committed commits none.
/// - After a commit in doubt, the offsets are committed if and only if records of the same transaction are visible.
/// - A group's committed offset never goes back: offsets rise from call to call, and each group belongs to one
///   application.
///
/// Excused if a fault has delayed requests: an earlier call of the same transaction, whose request arrives after that
/// of a later call and replaces its offsets; and offsets of an earlier transaction that arrive late, after the producer has
/// begun another transaction, and are committed with the later transaction in place of its own offsets. The producer
/// bumps its epoch after a request without a response, but brokers before 2.5 do not support that, and a group's
/// coordinator accepts the old epoch until it has seen the new one.
#[derive(Default)]
pub(super) struct OffsetsAgree {
    /// By group, topic and partition: all committed offsets, in order.
    committed: BTreeMap<(String, String, i32), Vec<Committed>>,
}

#[derive(Debug, Clone, Copy)]
struct Committed {
    offset: i64,
    event: u64,
}

const RULE: &str = "offsets";

impl Rule for OffsetsAgree {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let EventKind::OffsetsCommitted { group, offsets, .. } = &event.kind else {
            return;
        };
        for (topic, partition, offset) in offsets {
            let place = (group.clone(), topic.clone(), *partition);
            let committed = self.committed.entry(place).or_default();
            let new = Committed {
                offset: *offset,
                event: facts.event,
            };
            let goes_back = committed.last().is_some_and(|last| last.offset > *offset);
            if goes_back && !is_late(facts, new) {
                let committed: Vec<_> = committed.iter().map(|it| it.offset).collect();
                let text = format!(
                    "group {group} went back to offset {offset} of {topic}-{partition}, from {committed:?}"
                );
                found.add(RULE, event.at, text);
            }
            committed.push(new);
        }
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        for transaction in facts.transactions.all() {
            if is_beyond_promise(facts, transaction) {
                continue;
            }
            let expected = match transaction.known_end {
                KnownEnd::Committed => Some(true),
                KnownEnd::NotCommitted => Some(false),
                KnownEnd::InDoubt => is_seen(facts, transaction),
            };
            let Some(expected) = expected else {
                continue;
            };
            for (number, call) in transaction.offsets.iter().enumerate() {
                let later = &transaction.offsets[number + 1..];
                for (topic, partition) in &call.partitions {
                    let committed = self.committed(call, topic, *partition);
                    let own = committed.iter().find(|it| it.offset == call.offset);
                    let is_there = own.is_some();
                    let is_last = !later
                        .iter()
                        .any(|later| gives(later, call, topic, *partition));
                    let is_wrong = if expected {
                        let replaces = |it: &Committed| {
                            it.event > transaction.began
                                && (is_late(facts, *it) || is_reordered(facts, transaction, *it))
                        };
                        call.has_succeeded
                            && is_last
                            && !is_there
                            && !committed.iter().any(replaces)
                    } else {
                        own.is_some_and(|own| !is_late(facts, *own))
                    };
                    if is_wrong {
                        let is_there = if is_there { "is" } else { "is not" };
                        let text = format!(
                            "offset {} of {topic}-{partition} for group {} {is_there} committed, against {}",
                            call.offset,
                            call.group,
                            transaction.name()
                        );
                        found.add(RULE, last.at, text);
                    }
                }
            }
        }
    }
}

impl OffsetsAgree {
    fn committed(&self, call: &OffsetsCall, topic: &str, partition: i32) -> &[Committed] {
        let place = (call.group.clone(), topic.to_owned(), partition);
        self.committed.get(&place).map_or(&[], Vec::as_slice)
    }
}

/// Whether an offset was committed only after its producer had begun another transaction, because a fault delayed
/// requests.
fn is_late(facts: &Facts, committed: Committed) -> bool {
    let known = || facts.transactions.all();
    let gave = |it: &&Transaction| {
        let mut calls = it.offsets.iter();
        calls.any(|call| call.offset == committed.offset)
    };
    let is_held_back = |own: &&Transaction| has_held_back(facts, own.producer, committed.event);
    let own = known().find(gave).filter(is_held_back);
    own.is_some_and(|own| {
        known().any(|other| {
            other.producer == own.producer
                && (own.began + 1..committed.event).contains(&other.began)
        })
    })
}

/// Whether an offset belongs to the same transaction, and a fault delayed requests: then the request of an earlier call
/// may have arrived last.
fn is_reordered(facts: &Facts, transaction: &Transaction, committed: Committed) -> bool {
    let mut calls = transaction.offsets.iter();
    calls.any(|call| call.offset == committed.offset)
        && has_held_back(facts, transaction.producer, committed.event)
}

/// Whether a later call commits another offset for the same group and partition.
fn gives(later: &OffsetsCall, call: &OffsetsCall, topic: &str, partition: i32) -> bool {
    let mut places = later.partitions.iter();
    later.offset != call.offset
        && later.group == call.group
        && places.any(|place| place.0 == topic && place.1 == partition)
}

/// Whether the records of a transaction are visible; `None` if no record shows this.
fn is_seen(facts: &Facts, transaction: &Transaction) -> Option<bool> {
    let mut records = transaction
        .records(facts)
        .filter(|record| !is_lost(facts, record) && !is_lied_about(facts, record));
    let record = records.next()?;
    Some(seen(facts, record).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, Transactional, fault, transactional_scenario};
    use crate::scenario::Fault;

    #[test]
    fn offsets_that_disagree_with_their_transaction_are_caught() {
        for (commits, given, expected) in [
            (true, Some(5), 0),
            (true, None, 1),
            (false, None, 0),
            (false, Some(5), 1),
        ] {
            let mut story = Story::transactional(OffsetsAgree::default());
            story.begins_transaction();
            story.sends_offset("g", 5, "t", 0, None);
            if commits {
                story.commits(None);
            } else {
                story.aborts(None);
            }
            if let Some(offset) = given {
                story.offset_committed("g", "t", 0, offset);
            }
            assert_eq!(story.end().len(), expected, "{commits} {given:?}");
        }
    }

    #[test]
    fn the_last_accepted_offsets_of_a_transaction_count() {
        for (kind, given, expected) in [
            (None, 6, 0),
            (None, 5, 1),
            (Some("TimedOut"), 6, 0),
            (Some("TimedOut"), 5, 0),
        ] {
            let mut story = Story::transactional(OffsetsAgree::default());
            story.begins_transaction();
            story.sends_offset("g", 5, "t", 0, None);
            story.sends_offset("g", 6, "t", 0, kind);
            story.commits(None);
            story.offset_committed("g", "t", 0, given);
            assert_eq!(story.end().len(), expected, "{kind:?} {given}");
        }
    }

    #[test]
    fn after_a_commit_in_doubt_offsets_are_committed_if_the_records_are() {
        for (seen, given, expected) in [
            (true, true, 0),
            (true, false, 1),
            (false, true, 1),
            (false, false, 0),
        ] {
            let mut story = Story::transactional(OffsetsAgree::default());
            story.begins_transaction();
            story.send(0, "t", 0);
            story.append_in_transaction("t", 0, 0, &[0]);
            story.sends_offset("g", 5, "t", 0, None);
            story.commits(Some("TimedOut"));
            story.marker("t", 0, 1, seen);
            if given {
                story.offset_committed("g", "t", 0, 5);
            }
            assert_eq!(story.end().len(), expected, "{seen} {given}");
        }
    }

    #[test]
    fn delayed_offsets_are_excused() {
        for (is_held_back, goes_back, expected) in [
            (true, false, 0),
            (true, true, 0),
            (false, false, 2),
            (false, true, 1),
        ] {
            let late = fault(Fault::Late {
                request: None,
                ms: 1,
            });
            let mut story = Story::of(OffsetsAgree::default(), &transactional_scenario(&[late]));
            story.initializes(0);
            if is_held_back {
                story.begins(0);
            }
            for (offset, commits) in [(5, goes_back), (6, true), (7, true)] {
                story.begins_transaction();
                story.sends_offset("g", offset, "t", 0, None);
                if commits {
                    story.commits(None);
                } else {
                    story.aborts(None);
                }
            }
            // The offsets of the first transaction arrive in place of those of the second.
            let given = if goes_back {
                [5, 6, 5, 7]
            } else {
                [5, 5, 7, 7]
            };
            for offset in given {
                story.offset_committed("g", "t", 0, offset);
            }
            let found = story.end().len();
            assert_eq!(found, expected, "{is_held_back} {goes_back}");
        }
    }

    #[test]
    fn a_group_offset_that_goes_back_is_caught() {
        let mut story = Story::transactional(OffsetsAgree::default());
        for (offset, expected) in [(5, 0), (6, 0), (5, 1)] {
            story.offset_committed("g", "t", 0, offset);
            assert_eq!(story.found().len(), expected, "{offset}");
        }
    }
}
