//! Rule: no record is in a log twice, except where that is allowed.

use super::facts::{Facts, RecordFacts};
use super::logs::Stored;
use super::{Found, Rule};
use crate::events::{Event, EventKind};

/// A second copy of a record while the first still exists is a duplicate, in the same log or in any other. The only
/// exception is a copy in a topic of a cluster that another cluster has replaced.
///
/// With idempotence a duplicate is excused if, for its partition:
/// - the log lost a part of the first copy's batch (brokers do not recognize a partial batch),
/// - or the brokers lost their producer state between the two copies, or the log was truncated between them, which
///   loses later sequence numbers and epochs, so that an old request is accepted again,
/// - or a fault made brokers answer with an out-of-order sequence or an unknown producer although neither error was
///   true,
/// - or a fault made brokers write and then answer with an error that means "not written".
///
/// Without idempotence a duplicate is excused if there may have been a retry: `retries` and `acks` are not 0, and a
/// fault has begun or the producer may give up a healthy connection.
pub(super) struct Once;

const RULE: &str = "once";

impl Rule for Once {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let EventKind::Appended { records, .. } = &event.kind else {
            return;
        };
        for record in records.iter().filter_map(|record| facts.record(*record)) {
            let Some((last, earlier)) = record.copies.split_last() else {
                continue;
            };
            for copy in earlier {
                if facts.logs.is_there(*copy) && !is_excused(facts, record, *copy, *last) {
                    let (first, second) = (describe(facts, *copy), describe(facts, *last));
                    let text = format!(
                        "{} of {} was written twice, {first} and {second}",
                        record.id, record.topic_name
                    );
                    found.add(RULE, event.at, text);
                }
            }
        }
    }
}

fn describe(facts: &Facts, copy: Stored) -> String {
    let batch = &facts.logs.batches[copy.batch];
    format!(
        "at {}@{} (incarnation {}, producer id {}, epoch {}, sequence {})",
        batch.log.partition,
        copy.offset,
        batch.log.incarnation,
        batch.producer_id,
        batch.epoch,
        batch.sequence
    )
}

fn is_excused(facts: &Facts, record: &RecordFacts, first: Stored, second: Stored) -> bool {
    let Some(settings) = facts.settings(record) else {
        return true;
    };
    let batches = &facts.logs.batches;
    let (first, second) = (&batches[first.batch], &batches[second.batch]);
    if (first.log.topic, first.log.partition) != (second.log.topic, second.log.partition)
        || settings.acks == 0
    {
        return false;
    }
    if first.log.incarnation != second.log.incarnation {
        return true;
    }
    let faults = &facts.faults;
    if !settings.idempotent {
        return settings.retries > 0
            && (faults.begun().next().is_some() || facts.is_hasty(settings));
    }
    first.is_cut()
        || facts.lost_state_between(&record.topic_name, first.log, first.written, second.written)
        || faults.may_have_denied_sequence(record)
        || faults.may_have_lied(record, true)
}

/// Rule: a batch that a broker calls a duplicate has the same records as the one in the log.
pub(super) struct TakenForAnother;

impl Rule for TakenForAnother {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let EventKind::Duplicate {
            topic,
            partition,
            base_offset,
            records,
        } = &event.kind
        else {
            return;
        };
        let topic_id = facts.topic_id(topic);
        for (offset, id) in (*base_offset..).zip(records) {
            let Some(record) = facts.record(*id) else {
                continue;
            };
            let is_here = record.copies.iter().any(|copy| {
                let log = facts.logs.batches[copy.batch].log;
                Some(log.topic) == topic_id && log.partition == *partition && copy.offset == offset
            });
            if !is_here {
                let text = format!(
                    "{id} has the number of another record: a broker takes it for the one at \
                     {topic}-{partition}@{offset}"
                );
                return found.add("taken for another", event.at, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, error, fault};
    use crate::events::RecordId;
    use crate::scenario::{Api, Fault};

    const PLAIN: &[(&str, &str)] = &[("enable.idempotence", "false")];

    fn twice(story: &mut Story) -> usize {
        story.send(0, "t", 0);
        story.append("t", 0, 0, &[0]);
        story.append("t", 0, 1, &[0]);
        story.found().len()
    }

    #[test]
    fn a_duplicate_is_caught() {
        assert_eq!(twice(&mut Story::new(Once)), 1);
        let mut other_partition = Story::new(Once);
        other_partition.send(0, "t", None);
        other_partition.append("t", 0, 0, &[0]);
        other_partition.append("t", 1, 0, &[0]);
        assert_eq!(other_partition.found().len(), 1);
    }

    #[test]
    fn a_single_copy_passes_and_so_does_a_retry_after_a_loss() {
        let mut story = Story::new(Once);
        story.send(0, "t", 0);
        story.append("t", 0, 0, &[0]);
        story.truncated("t", 0, 0);
        story.append("t", 0, 0, &[0]);
        assert_eq!(story.found(), [""; 0]);
        let mut story = Story::new(Once);
        story.send(0, "t", 0);
        story.append("t", 0, 0, &[0]);
        story.gone("t");
        story.append("t", 0, 0, &[0]);
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn lost_producer_state_is_an_excuse_for_its_partition_and_time_only() {
        let forget = |partition| {
            fault(Fault::ForgetProducers {
                topic: "t".into(),
                partition,
            })
        };
        for (partition, before, expected) in [(0, false, 0), (1, false, 1), (0, true, 1)] {
            let mut story = Story::with(Once, &[], &[forget(partition)]);
            story.send(0, "t", 0);
            if before {
                story.begins(0);
            }
            story.append("t", 0, 0, &[0]);
            if !before {
                story.begins(0);
            }
            story.append("t", 0, 1, &[0]);
            assert_eq!(story.found().len(), expected, "{partition} {before}");
        }
    }

    #[test]
    fn only_an_error_that_falsely_denies_the_write_or_the_sequence_number_is_an_excuse() {
        for (code, after, expected) in [(45, false, 0), (6, true, 1), (10, true, 0), (7, true, 1)] {
            let fault = error(Api::Produce, Some("t"), None, code, after);
            let mut story = Story::with(Once, &[], &[fault]);
            story.begins(0);
            assert_eq!(twice(&mut story), expected, "{code}");
        }
    }

    #[test]
    fn without_idempotence_only_a_possible_retry_is_an_excuse() {
        let cut = fault(Fault::Cut { node: 0 });
        assert_eq!(twice(&mut Story::with(Once, PLAIN, &[])), 1);
        let mut story = Story::with(Once, PLAIN, std::slice::from_ref(&cut));
        story.begins(0);
        assert_eq!(twice(&mut story), 0);
        for keys in [
            &[("retries", "0"), ("enable.idempotence", "false")][..],
            &[("acks", "0")],
        ] {
            let mut story = Story::with(Once, keys, std::slice::from_ref(&cut));
            story.begins(0);
            assert_eq!(twice(&mut story), 1, "{keys:?}");
        }
        let hasty = [("enable.idempotence", "false"), ("request.timeout.ms", "1")];
        assert_eq!(twice(&mut Story::with(Once, &hasty, &[])), 0);
    }

    #[test]
    fn a_batch_wrongly_taken_for_a_duplicate_is_caught() {
        let mut story = Story::new(TakenForAnother);
        story.send(0, "t", 0);
        story.send(1, "t", 0);
        story.append("t", 0, 0, &[0]);
        let duplicate = |record| EventKind::Duplicate {
            topic: "t".into(),
            partition: 0,
            base_offset: 0,
            records: vec![RecordId(record)],
        };
        story.broker(duplicate(0));
        assert_eq!(story.found(), [""; 0]);
        story.broker(duplicate(1));
        assert_eq!(story.found().len(), 1);
    }
}
