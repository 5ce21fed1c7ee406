//! Rules for the sequence numbers of idempotent producers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::{Facts, RecordFacts};
use super::logs::{Batch, LogId, TopicId};
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind, Outcome};

/// The batch that this event has written; `None` if it has no sequence number.
fn numbered<'f>(facts: &'f Facts, event: &Event) -> Option<&'f Batch> {
    match event.kind {
        EventKind::Appended { producer_id, .. } if producer_id >= 0 => facts.logs.batches.last(),
        _ => None,
    }
}

fn name(facts: &Facts, batch: &Batch) -> String {
    let topic = facts.topic_name(batch.log.topic);
    format!(
        "{topic}-{} (incarnation {}) with producer id {} and epoch {}",
        batch.log.partition, batch.log.incarnation, batch.producer_id, batch.epoch
    )
}

/// In one log the sequence numbers of a producer id and epoch are consecutive and start at 0.
///
/// Excused: the next number after the brokers have lost the producer state of the partition or have truncated its log;
/// the first number in a recreated topic, if the producer wrote to the old topic with the same epoch; and the first
/// number of all, if earlier records of the same producer and partition failed as maybe written or have an unknown
/// outcome: brokers such as 3.0 accept any number from a producer that they do not know. In a transaction that is not
/// committed, the first number is also excused if such records have definitely failed: before the abort, a batch that
/// may have been written is retried, and its number follows theirs.
#[derive(Default)]
pub(super) struct Gapless {
    /// First numbers other than 0. They are judged at the end, by the outcomes of other records of the partition.
    firsts: Vec<First>,
    /// The next number, and the event that wrote the last one. By topic, partition, producer id and epoch; then by
    /// incarnation of the topic.
    next: BTreeMap<SequenceKey, BTreeMap<u64, (i32, u64)>>,
}

type SequenceKey = (TopicId, i32, i64, i16);

/// A first number other than 0.
struct First {
    /// Index of its batch.
    batch: usize,
    at: Duration,
    text: String,
}

impl First {
    /// Whether one of the missing numbers may have been that of this record.
    fn may_follow(&self, facts: &Facts, record: &RecordFacts) -> bool {
        let batch = &facts.logs.batches[self.batch];
        let owner = facts.owners.get(&batch.producer_id).copied().flatten();
        let has_copies_elsewhere = || {
            let mut copies = record.copies.iter();
            record.partition.is_none()
                && !record.copies.is_empty()
                && !copies
                    .any(|copy| facts.logs.batches[copy.batch].log.partition == batch.log.partition)
        };
        let is_elsewhere =
            record.partition.is_some_and(|it| it != batch.log.partition) || has_copies_elsewhere();
        let is_before = record.accepted.is_some() && record.offered.event < batch.written;
        // Successive producers with one transactional id share their producer id.
        let is_own = owner.is_none_or(|owner| {
            owner == record.producer || facts.transactions.are_of_one_id(owner, record.producer)
        });
        if record.topic != batch.log.topic || is_elsewhere || !is_before || !is_own {
            return false;
        }
        // In a committed transaction no record may be left out.
        let may_be_left_out = batch.transactional && !facts.logs.fate(batch).is_visible();
        let is_in_doubt = match &record.outcome {
            Some(Outcome::Failed(failure)) => failure.may_be_written || may_be_left_out,
            Some(Outcome::Acknowledged { .. }) => false,
            // The outcome of a dropped future is unknown.
            None => !record.has_observer() || may_be_left_out,
        };
        // The producer counts a record that a broker calls a duplicate as written, whether or not it was written.
        is_in_doubt || facts.faults.may_have_called_duplicate(record)
    }
}

impl Rule for Gapless {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let Some(batch) = numbered(facts, event) else {
            return;
        };
        let log = batch.log;
        let line = (log.topic, log.partition, batch.producer_id, batch.epoch);
        let incarnations = self.next.entry(line).or_default();
        let expected = match incarnations.get(&log.incarnation) {
            Some((next, written)) => {
                let topic = facts.topic_name(log.topic);
                let is_lost = facts.lost_state_between(topic, log, *written, facts.event);
                (!is_lost).then_some(*next)
            }
            None => incarnations.is_empty().then_some(0),
        };
        if let Some(expected) = expected.filter(|expected| *expected != batch.sequence) {
            let text = format!(
                "sequence {} was written to {} where {expected} was next",
                batch.sequence,
                name(facts, batch)
            );
            if expected == 0 && incarnations.is_empty() {
                self.firsts.push(First {
                    batch: facts.logs.batches.len() - 1,
                    at: event.at,
                    text,
                });
            } else {
                found.add("gapless", event.at, text);
            }
        }
        let count = batch.records.len() as i64;
        // Sequence numbers wrap to 0 after the maximum.
        let next = ((i64::from(batch.sequence) + count) % (i64::from(i32::MAX) + 1)) as i32;
        incarnations.insert(log.incarnation, (next, facts.event));
    }

    fn end(&mut self, facts: &Facts, _: &Glance, found: &mut Found) {
        for first in self.firsts.drain(..) {
            if !facts
                .records()
                .any(|record| first.may_follow(facts, record))
            {
                found.add("gapless", first.at, first.text);
            }
        }
    }
}

/// A sequence number of a producer id and epoch always carries the same bytes, however often it is written.
///
/// Excused: a fault that makes brokers write and then answer with an error that means "not written", since the batch
/// may then be split and sent in pieces; and transactions whose brokers have lost their producer state.
#[derive(Default)]
pub(super) struct SameBytes {
    digests: BTreeMap<(LogId, i64, i16, i32), (u64, u64)>,
}

impl Rule for SameBytes {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let Some(batch) = numbered(facts, event) else {
            return;
        };
        let number = (batch.log, batch.producer_id, batch.epoch, batch.sequence);
        let first = self.digests.entry(number);
        let (digest, written) = *first.or_insert((batch.digest, facts.event));
        if digest == batch.digest {
            return;
        }
        // Brokers before 2.5 cannot bump the epoch of a transactional producer, so after a loss of its state a number
        // may be used again.
        let topic = facts.topic_name(batch.log.topic);
        let is_lost = facts.lost_state_between(topic, batch.log, written, facts.event);
        if batch.transactional && is_lost {
            self.digests.insert(number, (batch.digest, facts.event));
            return;
        }
        let mut records = batch
            .records
            .iter()
            .filter_map(|record| facts.record(*record));
        if !records.any(|record| facts.faults.may_have_lied(record, true)) {
            let text = format!(
                "sequence {} of {} was written twice, with other bytes",
                batch.sequence,
                name(facts, batch)
            );
            found.add("same bytes", event.at, text);
        }
    }
}

/// Rule: a producer id belongs to one producer. A cluster that replaces another one does not use its producer ids
/// again, so there is no excuse.
pub(super) struct OwnId;

impl Rule for OwnId {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let Some(batch) = numbered(facts, event) else {
            return;
        };
        if facts.is_shared(batch.producer_id) {
            let text = format!("several producers wrote to {}", name(facts, batch));
            found.add("own id", event.at, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, Transactional, error, failed, fault};
    use crate::scenario::{Api, Fault};

    #[test]
    fn a_sequence_gap_or_a_first_sequence_above_0_is_caught() {
        let mut story = Story::new(Gapless::default());
        story.append_as("t", 0, 0, &[0, 1], (7, 0, 0), 0);
        story.append_as("t", 0, 2, &[2], (7, 0, 2), 0);
        story.append_as("t", 0, 3, &[3], (7, 1, 0), 0);
        story.append_as("t", 1, 0, &[4], (7, 1, 0), 0);
        assert_eq!(story.found(), [""; 0]);
        story.append_as("t", 0, 4, &[5], (7, 1, 2), 0);
        assert_eq!(story.found().len(), 1);
        story.append_as("u", 0, 0, &[6], (7, 1, 3), 0);
        assert_eq!(story.end().len(), 1);
    }

    #[test]
    fn a_first_sequence_above_0_passes_after_records_that_may_be_written() {
        let mut story = Story::new(Gapless::default());
        story.send(0, "t", 0);
        story.append_as("t", 0, 0, &[1], (7, 0, 1), 0);
        story.reported(0, failed("t-0: lost", true));
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn a_first_sequence_above_0_passes_after_a_refused_record_in_transactions_only() {
        for transactional in [true, false] {
            let mut story = Story::transactional(Gapless::default());
            story.send(0, "t", 0);
            if transactional {
                story.append_in_transaction("t", 0, 1, &[1]);
            } else {
                story.append_as("t", 0, 0, &[1], (7, 0, 1), 0);
            }
            story.reported(0, failed("t-0: refused", false));
            assert_eq!(story.end().len(), usize::from(!transactional));
        }
    }

    #[test]
    fn a_refused_record_of_another_partition_and_one_of_a_committed_transaction_are_no_excuse() {
        for (partition, committed, expected) in [
            (0, None, 0),
            (0, Some(false), 0),
            (0, Some(true), 1),
            (1, Some(false), 1),
        ] {
            let mut story = Story::transactional(Gapless::default());
            story.send(0, "t", partition);
            story.append_in_transaction("t", 0, 1, &[1]);
            if let Some(committed) = committed {
                story.marker("t", 0, 2, committed);
            }
            story.reported(0, failed("t: refused", false));
            assert_eq!(story.end().len(), expected, "{partition} {committed:?}");
        }
    }

    #[test]
    fn sequence_numbers_wrap_to_0() {
        let forget = Fault::ForgetProducers {
            topic: "t".into(),
            partition: 0,
        };
        let mut story = Story::with(Gapless::default(), &[], &[fault(forget)]);
        story.append_as("t", 0, 0, &[0], (7, 0, 0), 0);
        story.begins(0);
        story.append_as("t", 0, 1, &[1, 2], (7, 0, i32::MAX), 0);
        story.append_as("t", 0, 3, &[3], (7, 0, 1), 0);
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn lost_state_truncation_and_a_recreated_topic_excuse_the_next_sequence() {
        let forget = Fault::ForgetProducers {
            topic: "t".into(),
            partition: 0,
        };
        for excuse in 0..4 {
            let mut story = Story::with(Gapless::default(), &[], &[fault(forget.clone())]);
            story.append_as("t", 0, 0, &[0], (7, 0, 0), 0);
            match excuse {
                0 => story.begins(0),
                1 => story.truncated("t", 0, 0),
                2 => story.gone("t"),
                _ => {}
            }
            story.append_as("t", 0, 1, &[1], (7, 0, 9), 0);
            assert_eq!(story.found().len(), usize::from(excuse == 3), "{excuse}");
            // Only one number is excused.
            story.append_as("t", 0, 2, &[1], (7, 0, 19), 0);
            assert_eq!(story.found().len(), 1, "{excuse}");
        }
    }

    #[test]
    fn other_bytes_with_the_same_sequence_are_caught() {
        let lie = error(Api::Produce, Some("t"), None, 10, true);
        let mut story = Story::with(SameBytes::default(), &[], &[lie]);
        story.send(0, "t", 0);
        story.append_as("t", 0, 0, &[0], (7, 0, 0), 11);
        story.append_as("t", 0, 1, &[0], (7, 0, 0), 11);
        story.append_as("t", 0, 2, &[0], (7, 1, 0), 12);
        assert_eq!(story.found(), [""; 0]);
        story.append_as("t", 0, 3, &[0], (7, 0, 0), 12);
        assert_eq!(story.found().len(), 1);
        story.begins(0);
        story.append_as("t", 0, 4, &[0], (7, 0, 0), 13);
        assert_eq!(story.found().len(), 0);
    }

    #[test]
    fn a_producer_id_of_two_producers_is_caught() {
        let mut story = Story::new(OwnId);
        story.send(0, "t", 0);
        story.send_of(1, 1, "t", 0);
        story.append_as("t", 0, 0, &[0], (7, 0, 0), 0);
        story.append_as("t", 0, 1, &[1], (8, 0, 0), 0);
        assert_eq!(story.found(), [""; 0]);
        story.append_as("t", 0, 2, &[1], (7, 0, 1), 0);
        assert_eq!(story.found().len(), 1);
    }
}
