//! Faults that have begun, and the violations that they excuse. Each excuse is as narrow as possible.

use std::time::Duration;

use super::facts::RecordFacts;
use crate::scenario::{Api, Fault, TimedFault};

/// The state of the scenario's faults at the current event.
#[derive(Debug)]
pub(crate) struct Faults {
    all: Vec<FaultFacts>,
    /// Time of the healing; `None` before it.
    pub(crate) healed: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct FaultFacts {
    pub(crate) fault: Fault,
    /// Whether the scenario gives the fault a duration.
    pub(crate) lasts: bool,
    /// Time and event number of its start.
    pub(crate) begun: Option<(Duration, u64)>,
    /// Time and event number of its end.
    pub(crate) ended: Option<(Duration, u64)>,
}

impl FaultFacts {
    /// The time from which the fault has no effect: its end, or its start if it is instantaneous.
    pub(crate) fn over(&self) -> Option<Duration> {
        let is_moment = matches!(self.fault, Fault::Cut { .. } | Fault::MoveLeader { .. });
        let over = if is_moment { self.begun } else { self.ended };
        over.map(|(at, _)| at)
    }
}

impl Faults {
    pub(super) fn new(faults: &[TimedFault]) -> Self {
        let all = faults.iter().map(|timed| FaultFacts {
            fault: timed.fault.clone(),
            lasts: timed.for_ms.is_some(),
            begun: None,
            ended: None,
        });
        Self {
            all: all.collect(),
            healed: None,
        }
    }

    pub(super) fn begins(&mut self, fault: usize, at: Duration, event: u64) {
        if let Some(fault) = self.all.get_mut(fault) {
            fault.begun = fault.begun.or(Some((at, event)));
        }
    }

    pub(super) fn ends(&mut self, fault: usize, at: Duration, event: u64) {
        if let Some(fault) = self.all.get_mut(fault) {
            fault.ended = fault.ended.or(Some((at, event)));
        }
    }

    pub(super) fn heals(&mut self, at: Duration, event: u64) {
        self.healed = self.healed.or(Some(at));
        for fault in &mut self.all {
            fault.ended = fault.ended.or(Some((at, event)));
        }
    }

    /// Faults that have begun, whether or not they have ended.
    pub(crate) fn begun(&self) -> impl Iterator<Item = &FaultFacts> {
        self.all.iter().filter(|fault| fault.begun.is_some())
    }

    /// Whether brokers lost the producer state of this partition between two events, both included.
    pub(crate) fn was_forgotten(&self, topic: &str, partition: i32, from: u64, to: u64) -> bool {
        self.begun().any(|facts| {
            let Fault::ForgetProducers {
                topic: forgotten,
                partition: at,
            } = &facts.fault
            else {
                return false;
            };
            let begun = facts.begun.map_or(u64::MAX, |(_, event)| event);
            let ended = if facts.lasts {
                facts.ended.map_or(u64::MAX, |(_, event)| event)
            } else {
                begun
            };
            forgotten == topic && *at == partition && begun <= to && ended >= from
        })
    }

    /// Injected Produce errors that may have hit this record.
    fn produce_errors(&self, record: &RecordFacts) -> impl Iterator<Item = (i16, bool)> {
        self.begun().filter_map(|facts| match &facts.fault {
            Fault::Error {
                request: Api::Produce,
                topic,
                partition,
                code,
                after_applying,
                ..
            } => {
                let same_topic = topic
                    .as_ref()
                    .is_none_or(|topic| **topic == *record.topic_name);
                let other_partition = record
                    .partition
                    .zip(*partition)
                    .is_some_and(|(record, fault)| record != fault);
                (same_topic && !other_partition).then_some((*code, *after_applying))
            }
            _ => None,
        })
    }

    /// Whether a broker may have written the record and answered with an error that means that it did not.
    pub(crate) fn may_have_lied(&self, record: &RecordFacts, all_acks: bool) -> bool {
        self.produce_errors(record)
            .any(|(code, after)| after && !is_said_after_writing(code, all_acks))
    }

    /// Whether a broker may have answered for the record with an out-of-order sequence or an unknown producer although
    /// neither error was true.
    pub(crate) fn may_have_denied_sequence(&self, record: &RecordFacts) -> bool {
        self.produce_errors(record)
            .any(|(code, _)| matches!(code, OUT_OF_ORDER_SEQUENCE_NUMBER | UNKNOWN_PRODUCER_ID))
    }

    /// Whether a fault may have made a broker answer that the record is a duplicate, without an offset. The record may
    /// or may not be one.
    pub(crate) fn may_have_called_duplicate(&self, record: &RecordFacts) -> bool {
        self.produce_errors(record)
            .any(|(code, _)| code == DUPLICATE_SEQUENCE_NUMBER)
    }
}

const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
const UNKNOWN_PRODUCER_ID: i16 = 59;

/// Whether brokers may answer with this code after writing the batch: the column "maybe written" in
/// `docs/RELIABILITY.md`.
pub(crate) fn is_said_after_writing(code: i16, all_acks: bool) -> bool {
    // UNKNOWN_SERVER_ERROR, REQUEST_TIMED_OUT, NETWORK_EXCEPTION, NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    // DUPLICATE_SEQUENCE_NUMBER, KAFKA_STORAGE_ERROR; and with acks=all the codes of a broker that is not the leader
    // any more.
    let always = matches!(code, -1 | 7 | 13 | 20 | DUPLICATE_SEQUENCE_NUMBER | 56);
    always || (all_acks && matches!(code, 3 | 5 | 6 | 9 | 74 | 75))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producer_state_is_lost_at_once_or_while_a_fault_lasts() {
        let forget = |for_ms| TimedFault {
            at_ms: 1,
            for_ms,
            fault: Fault::ForgetProducers {
                topic: "t".into(),
                partition: 1,
            },
        };
        let mut faults = Faults::new(&[forget(None)]);
        assert!(!faults.was_forgotten("t", 1, 0, 100));
        faults.begins(0, Duration::ZERO, 10);
        assert!(faults.was_forgotten("t", 1, 5, 10));
        assert!(!faults.was_forgotten("t", 1, 11, 20));
        assert!(!faults.was_forgotten("t", 0, 5, 10));
        assert!(!faults.was_forgotten("u", 1, 5, 10));
        let mut faults = Faults::new(&[forget(Some(5))]);
        faults.begins(0, Duration::ZERO, 10);
        assert!(faults.was_forgotten("t", 1, 11, 20));
        faults.heals(Duration::ZERO, 15);
        assert!(faults.was_forgotten("t", 1, 11, 20));
        assert!(!faults.was_forgotten("t", 1, 16, 20));
    }

    #[test]
    fn the_error_codes_after_a_write_are_those_of_the_document() {
        let document = include_str!("../../../docs/RELIABILITY.md");
        let mut rows = 0;
        for line in document.lines().filter(|line| line.starts_with("| `")) {
            let columns: Vec<_> = line.split('|').map(str::trim).collect();
            let name = columns[1].trim_matches('`');
            let Some(code) = (-1..=120)
                .map(kafka_producer::ErrorCode::from_code)
                .find(|code| code.name() == name)
            else {
                continue;
            };
            rows += 1;
            let number = (-1..=120)
                .find(|number| {
                    kafka_producer::ErrorCode::from_code(*number) == code
                        && (*number == -1 || code.name() != "UNKNOWN_SERVER_ERROR")
                })
                .unwrap();
            for (all_acks, expectation) in [(true, columns[2]), (false, columns[3])] {
                let expected = expectation.contains("maybe written") || expectation == "written";
                assert_eq!(is_said_after_writing(number, all_acks), expected, "{line}");
            }
        }
        assert!(rows > 30, "{rows}");
    }
}
