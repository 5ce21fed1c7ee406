//! Rule: an acknowledged record is in the log at the acknowledged offset.

use super::facts::{Facts, RecordFacts};
use super::settings::Settings;
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind, Outcome};

/// At the time of the acknowledgement the log holds, or has held, a copy of the record at that offset. Later losses are
/// not the producer's fault: events of the brokers name the lost copies.
///
/// With acks=0 the offset is unknown. But if neither a fault nor a refused request has disturbed the run, a record
/// acknowledged with acks=0 is in the log at the end.
///
/// Excused: `DUPLICATE_SEQUENCE_NUMBER` injected by a fault. The producer takes this error for an acknowledgement
/// without an offset.
#[derive(Default)]
pub(super) struct Acknowledged {
    /// Whether a broker has closed a connection, as brokers do to refuse a request with acks=0.
    has_closed: bool,
}

const RULE: &str = "acknowledged";

impl Rule for Acknowledged {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        if let EventKind::Appended {
            topic,
            partition,
            records,
            ..
        } = &event.kind
        {
            for record in records.iter().filter_map(|record| facts.record(*record)) {
                let is_elsewhere = record.partition.is_some_and(|sent| sent != *partition);
                if is_elsewhere || **topic != *record.topic_name {
                    let text = format!(
                        "{} was sent to {}-{:?} and written to {topic}-{partition}",
                        record.id, record.topic_name, record.partition
                    );
                    found.add(RULE, event.at, text);
                }
            }
        }
        if let EventKind::Request { fate, .. } = &event.kind {
            self.has_closed |= fate == "closed";
        }
        let (EventKind::FutureReported { record, outcome }
        | EventKind::CallbackRan { record, outcome }) = &event.kind
        else {
            return;
        };
        let Outcome::Acknowledged {
            topic,
            partition,
            offset,
            ..
        } = outcome
        else {
            return;
        };
        let Some(record) = facts.record(*record) else {
            let text = format!("{record} was acknowledged and never offered");
            return found.add(RULE, event.at, text);
        };
        let reported = (topic.as_str(), *partition, *offset);
        if let Some(text) = fault(facts, record, reported) {
            found.add(RULE, event.at, format!("{} {text}", record.id));
        }
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        if self.has_closed || facts.faults.begun().next().is_some() {
            return;
        }
        for record in facts.records().filter(|record| record.copies.is_empty()) {
            let is_acknowledged = matches!(record.outcome, Some(Outcome::Acknowledged { .. }));
            let without_acks =
                |settings: &Settings| settings.acks == 0 && !facts.is_hasty(settings);
            if is_acknowledged && facts.settings(record).is_some_and(without_acks) {
                let text = format!("{} was sent with acks=0, and is in no log", record.id);
                found.add(RULE, last.at, text);
            }
        }
    }
}

fn fault(facts: &Facts, record: &RecordFacts, reported: (&str, i32, i64)) -> Option<String> {
    let (topic, partition, offset) = reported;
    if topic != &*record.topic_name {
        return Some(format!(
            "was sent to {} and acknowledged in {topic}",
            record.topic_name
        ));
    }
    if record.partition.is_some_and(|sent| sent != partition) {
        return Some(format!(
            "was sent to partition {:?} and acknowledged in {partition}",
            record.partition
        ));
    }
    let settings = facts.settings(record)?;
    if settings.acks == 0 {
        return (offset != -1)
            .then(|| format!("has offset {offset}, which is unknown with acks=0"));
    }
    if offset == -1 {
        return (!facts.faults.may_have_called_duplicate(record))
            .then(|| "has no offset, although brokers report it".to_owned());
    }
    let batches = &facts.logs.batches;
    let is_at_offset = |copy: &&super::logs::Stored| {
        let log = batches[copy.batch].log;
        log.topic == record.topic && log.partition == partition && copy.offset == offset
    };
    if record.copies.iter().any(|copy| is_at_offset(&copy)) {
        return None;
    }
    let copies: Vec<_> = record
        .copies
        .iter()
        .map(|copy| (batches[copy.batch].log.partition, copy.offset))
        .collect();
    Some(format!(
        "was acknowledged at {topic}-{partition}@{offset}, where it never was; (partition, offset) of its copies: \
         {copies:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, acknowledged, error, fault};
    use crate::scenario::{Api, Fault};

    #[test]
    fn a_record_at_the_acknowledged_offset_passes_even_if_it_is_lost_later() {
        let mut story = Story::new(Acknowledged::default());
        story.send(0, "t", 0);
        story.append("t", 0, 0, &[0]);
        story.truncated("t", 0, 0);
        story.reported(0, acknowledged("t", 0, 0));
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn an_acknowledged_record_that_is_missing_or_misplaced_is_caught() {
        for (topic, partition, offset) in [("t", 0, 1), ("t", 1, 0), ("u", 0, 0), ("t", 0, -1)] {
            let mut story = Story::new(Acknowledged::default());
            story.send(0, "t", 0);
            story.append("t", 0, 0, &[0]);
            story.reported(0, acknowledged(topic, partition, offset));
            assert_eq!(story.found().len(), 1, "{topic} {partition} {offset}");
        }
        let mut story = Story::new(Acknowledged::default());
        story.send(0, "t", 0);
        story.ran(0, acknowledged("t", 0, 0));
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn a_record_in_another_partition_is_caught() {
        for (topic, partition, expected) in [("t", 0, 0), ("t", 1, 1), ("u", 0, 1)] {
            let mut story = Story::new(Acknowledged::default());
            story.send(0, "t", 0);
            story.append(topic, partition, 0, &[0]);
            assert_eq!(story.found().len(), expected, "{topic} {partition}");
        }
    }

    #[test]
    fn with_acks_0_an_acknowledged_offset_is_caught() {
        let mut story = Story::with(Acknowledged::default(), &[("acks", "0")], &[]);
        story.send(0, "t", 0);
        story.reported(0, acknowledged("t", 0, -1));
        assert_eq!(story.found(), [""; 0]);
        story.reported(0, acknowledged("t", 0, 3));
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn a_record_that_a_fault_calls_a_duplicate_may_be_acknowledged_without_an_offset() {
        let fault = error(Api::Produce, Some("t"), None, 46, false);
        let mut story = Story::with(Acknowledged::default(), &[], &[fault]);
        story.send(0, "t", 0);
        story.reported(0, acknowledged("t", 0, -1));
        assert_eq!(story.found().len(), 1, "the fault has not begun");
        story.begins(0);
        story.reported(0, acknowledged("t", 0, -1));
        assert_eq!(story.found(), [""; 0]);
    }
    #[test]
    fn with_acks_0_a_missing_record_is_caught_if_nothing_went_wrong() {
        for (is_written, fate, begins, expected) in [
            (true, "silent", false, 0),
            (false, "silent", false, 1),
            (false, "closed", false, 0),
            (false, "silent", true, 0),
        ] {
            let cut = fault(Fault::Cut { node: 0 });
            let mut story = Story::with(Acknowledged::default(), &[("acks", "0")], &[cut]);
            story.send(0, "t", 0);
            story.reported(0, acknowledged("t", 0, -1));
            if is_written {
                story.append("t", 0, 0, &[0]);
            }
            if begins {
                story.begins(0);
            }
            story.broker(EventKind::Request {
                api: "Produce",
                version: 9,
                bytes: 100,
                fate: fate.into(),
            });
            assert_eq!(story.end().len(), expected, "{is_written} {fate} {begins}");
        }
    }
}
