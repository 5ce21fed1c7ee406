//! Rule: the records of a thread are in a partition's log in the order in which the thread sent them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::{Facts, RecordFacts};
use super::logs::LogId;
use super::settings::Settings;
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind, Outcome, ProducerIndex, RecordId, Who};
use crate::scenario::Fault;

/// The rule applies within one log, to records sent outside of user code: a record that user code sends inside another
/// `send` may be written before the record of that `send`. For duplicates the first copy counts; lost records do not
/// count.
///
/// The order is promised, and excused, as follows:
/// - Idempotent producers: always. Excused if, between the send of the late record and its write, the brokers lost the
///   producer state of the partition or truncated its log, or a fault made them deny its sequence number. Also excused
///   if the producer used up its epochs meanwhile and the late record failed as maybe written, since brokers do not
///   learn that a producer id is given up.
/// - acks=0: while no fault has begun, if the producer does not give up healthy connections.
/// - One request in flight: always. Excused if the late record failed as maybe written: it was given up, and a broker
///   processed its request afterwards.
/// - No retries: as with one request in flight. Also excused once a fault has begun that moves leaders, since requests
///   to two brokers have no order; and once a broker has refused a batch as too large, since the pieces of the batch
///   are sent after the requests in flight.
#[derive(Default)]
pub(super) struct Order {
    /// By log, producer and thread: the written record that the thread sent last.
    last: BTreeMap<(LogId, ProducerIndex, usize), RecordId>,
    /// Late records whose outcome decides whether they are a violation.
    open: Vec<Late>,
    /// Whether a broker has refused a batch as too large.
    is_split: bool,
}

/// A record that was written after a record that the same thread sent later.
struct Late {
    at: Duration,
    record: RecordId,
    text: String,
}

const RULE: &str = "order";

impl Rule for Order {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match &event.kind {
            EventKind::Appended { records, .. } => {
                for record in records.iter().filter_map(|record| facts.record(*record)) {
                    self.written(facts, record, event, found);
                }
            }
            EventKind::Request { fate, .. } => {
                self.is_split |= fate.contains("MESSAGE_TOO_LARGE");
            }
            EventKind::Truncated {
                topic,
                incarnation,
                partition,
                ..
            } => {
                if let Some(topic) = facts.topic_id(topic) {
                    self.read_again(
                        facts,
                        LogId {
                            topic,
                            incarnation: *incarnation,
                            partition: *partition,
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, facts: &Facts, _: &Glance, found: &mut Found) {
        for Late { at, record, text } in self.open.drain(..) {
            let outcome = facts.record(record).and_then(|it| it.outcome.as_ref());
            let was_given_up =
                matches!(outcome, Some(Outcome::Failed(failure)) if failure.may_be_written);
            // The outcome of a dropped future is unknown, and excused.
            if !was_given_up && outcome.is_some() {
                found.add(RULE, at, text);
            }
        }
    }
}

impl Order {
    fn written(&mut self, facts: &Facts, record: &RecordFacts, event: &Event, found: &mut Found) {
        let Who::Thread { producer, thread } = record.who else {
            return;
        };
        let Some((copy, earlier)) = record.copies.split_last() else {
            return;
        };
        let log = facts.logs.batches[copy.batch].log;
        let is_there = |copy: &super::logs::Stored| {
            facts.logs.batches[copy.batch].log == log && facts.logs.is_there(*copy)
        };
        if record.inside || earlier.iter().any(is_there) {
            return;
        }
        let last = self
            .last
            .entry((log, producer, thread))
            .or_insert(record.id);
        if *last <= record.id {
            *last = record.id;
            return;
        }
        let Some(settings) = facts.settings(record) else {
            return;
        };
        let text = format!(
            "{} of {}-{} was written at {} after {last}, which the same thread sent after it",
            record.id, record.topic_name, log.partition, copy.offset
        );
        let is_split = self.is_split && settings.in_flight > 1;
        match promise(facts, settings) {
            Promise::None => {}
            Promise::UnlessGivenUp if is_split => {}
            Promise::Always => {
                let from = record.offered.event;
                let is_excused =
                    facts.lost_state_between(&record.topic_name, log, from, facts.event)
                        || facts.faults.may_have_denied_sequence(record);
                let id_of = |record: &RecordFacts| {
                    let copy = record.copies.last()?;
                    Some(facts.logs.batches[copy.batch].producer_id)
                };
                let later = facts.record(*last).and_then(id_of);
                if is_excused {
                    return;
                }
                if id_of(record) == later {
                    found.add(RULE, event.at, text);
                } else {
                    self.open.push(Late {
                        at: event.at,
                        record: record.id,
                        text,
                    });
                }
            }
            Promise::UnlessGivenUp => self.open.push(Late {
                at: event.at,
                record: record.id,
                text,
            }),
        }
    }

    /// Rebuilds `last` for a log after its truncation.
    fn read_again(&mut self, facts: &Facts, id: LogId) {
        self.last.retain(|(log, ..), _| *log != id);
        let places = facts.logs.get(id).map_or(&[][..], |log| &log.batches);
        for batch in places.iter().map(|place| &facts.logs.batches[*place]) {
            for (offset, record) in (batch.base_offset..).zip(&batch.records) {
                let Some(record) = facts.record(*record).filter(|record| !record.inside) else {
                    continue;
                };
                if let (Who::Thread { producer, thread }, true) = (record.who, batch.holds(offset))
                {
                    let last = self.last.entry((id, producer, thread)).or_insert(record.id);
                    *last = (*last).max(record.id);
                }
            }
        }
    }
}

enum Promise {
    None,
    Always,
    /// The order is promised unless the late record failed as maybe written.
    UnlessGivenUp,
}

fn promise(facts: &Facts, settings: &Settings) -> Promise {
    let mut begun = facts.faults.begun();
    if settings.idempotent {
        return Promise::Always;
    }
    if settings.acks == 0 {
        return if begun.next().is_none() && !facts.is_hasty(settings) {
            Promise::Always
        } else {
            Promise::None
        };
    }
    if settings.in_flight == 1 {
        return Promise::UnlessGivenUp;
    }
    if settings.retries == 0 && !begun.any(|facts| moves_leaders(&facts.fault)) {
        return Promise::UnlessGivenUp;
    }
    Promise::None
}

fn moves_leaders(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::MoveLeader { .. }
            | Fault::Down { .. }
            | Fault::Hang { .. }
            | Fault::StaleMetadata { .. }
            | Fault::EpochsGoBack
            | Fault::Rebuild
            | Fault::MoveBrokers
            | Fault::RecreateTopic { .. }
            | Fault::Truncate { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, acknowledged, error, failed, fault};
    use crate::scenario::{Api, TimedFault};

    fn two(keys: &[(&str, &str)], faults: &[TimedFault]) -> Story {
        let mut story = Story::with(Order::default(), keys, faults);
        story.send(0, "t", 0);
        story.send(1, "t", 0);
        story
    }

    fn turned(mut story: Story) -> Story {
        story.append("t", 0, 0, &[1]);
        story.append("t", 0, 1, &[0]);
        story
    }

    #[test]
    fn reordered_records_are_caught() {
        assert_eq!(turned(two(&[], &[])).found().len(), 1);
        let mut story = two(&[], &[]);
        story.append("t", 0, 0, &[0]);
        story.append("t", 0, 1, &[1]);
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn order_is_checked_by_partition_and_incarnation_and_without_duplicates() {
        let mut story = two(&[], &[]);
        story.append("t", 1, 0, &[1]);
        story.append("t", 0, 0, &[0]);
        story.gone("t");
        story.append("t", 1, 0, &[0]);
        story.append("t", 0, 0, &[0]);
        story.append("t", 0, 1, &[1]);
        story.append("t", 0, 2, &[0]);
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn lost_records_do_not_count_for_the_order() {
        let mut story = two(&[], &[]);
        story.append("t", 0, 0, &[1]);
        story.truncated("t", 0, 0);
        story.append("t", 0, 0, &[0]);
        story.append("t", 0, 1, &[1]);
        assert_eq!(story.found(), [""; 0]);
        // These two records are sent after the truncation, which therefore does not excuse their order.
        story.send(2, "t", 0);
        story.send(3, "t", 0);
        story.append("t", 0, 2, &[3]);
        story.append("t", 0, 3, &[2]);
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn lost_producer_state_and_denied_sequences_excuse_an_idempotent_producer() {
        let forget = fault(Fault::ForgetProducers {
            topic: "t".into(),
            partition: 0,
        });
        let mut story = two(&[], &[forget]);
        story.begins(0);
        assert_eq!(turned(story).found().len(), 0);
        let denies = error(Api::Produce, None, None, 45, false);
        let mut story = two(&[], &[denies]);
        story.begins(0);
        assert_eq!(turned(story).found().len(), 0);
        let mut story = two(&[], &[fault(Fault::Cut { node: 0 })]);
        story.begins(0);
        assert_eq!(turned(story).found().len(), 1);
    }

    const ONE: &[(&str, &str)] = &[
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", "1"),
    ];

    #[test]
    fn with_one_request_in_flight_only_an_expired_record_may_be_late() {
        for (outcome, expected) in [
            (failed("t-0: lost", true), 0),
            (failed("t-0: lost", false), 1),
            (acknowledged("t", 0, 1), 1),
        ] {
            let mut story = turned(two(ONE, &[]));
            assert_eq!(story.found().len(), 0);
            story.reported(0, outcome);
            assert_eq!(story.end().len(), expected);
        }
    }

    #[test]
    fn without_retries_a_moved_leader_is_an_excuse_and_with_retries_no_order_is_promised() {
        let keys = [("retries", "0")];
        let moved = fault(Fault::MoveLeader {
            topic: "t".into(),
            partition: 0,
            to: 1,
        });
        for (begins, expected) in [(false, 1), (true, 0)] {
            let mut story = two(&keys, std::slice::from_ref(&moved));
            if begins {
                story.begins(0);
            }
            let mut story = turned(story);
            story.reported(0, acknowledged("t", 0, 1));
            assert_eq!(story.end().len(), expected, "{begins}");
        }
        let mut story = turned(two(&[("enable.idempotence", "false")], &[]));
        story.reported(0, acknowledged("t", 0, 1));
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn with_acks_0_order_is_promised_while_no_fault_has_begun() {
        let keys = [("acks", "0")];
        let cut = fault(Fault::Cut { node: 0 });
        assert_eq!(
            turned(two(&keys, std::slice::from_ref(&cut))).found().len(),
            1
        );
        let mut story = two(&keys, &[cut]);
        story.begins(0);
        assert_eq!(turned(story).found().len(), 0);
    }
}
