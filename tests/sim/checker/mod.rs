//! Checker of invariants: judges a run by its scenario, its events, and snapshots of the producers.
//!
//! `Facts` derives the current state from the events. Each rule is a small struct that reads the facts and the current
//! event, with tests that show it passing and failing. The documentation of a rule lists its exceptions ("Excused"),
//! which are as narrow as the events allow.

mod acknowledged;
mod at_rest;
mod callbacks;
mod calls_in_state;
mod committed;
mod contents;
mod facts;
mod failure_texts;
mod faults;
mod fenced;
mod glance;
mod in_time;
mod interceptors;
mod isolation;
mod left_open;
mod log_lines;
mod logs;
mod metrics;
mod not_early;
mod not_written;
mod offsets;
mod once;
mod order;
mod outcomes;
mod placement;
mod sequences;
mod settings;
mod storms;
#[cfg(test)]
pub(crate) mod story;
mod stuck;
mod transactions;
mod trust;
mod undisturbed;
mod whole;

use std::collections::BTreeMap;
use std::time::Duration;

use self::facts::Facts;
pub(crate) use self::glance::{Glance, MetricsGlance, Moment, ProducerGlance};
use crate::events::Event;
use crate::scenario::Scenario;

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// Limit on the number of violations reported for each rule: further ones are rarely of use.
const VIOLATIONS_OF_A_RULE: u32 = 5;

/// Violations found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    violations: Vec<Violation>,
    by_rule: BTreeMap<&'static str, u32>,
}

impl Found {
    fn add(&mut self, rule: &'static str, at: Duration, text: String) {
        let count = self.by_rule.entry(rule).or_default();
        *count += 1;
        if *count <= VIOLATIONS_OF_A_RULE {
            self.violations.push(Violation { rule, at, text });
        }
    }
}

/// A rule: an invariant of all runs. The facts already include the current event or snapshot.
trait Rule {
    fn see(&mut self, _facts: &Facts, _event: &Event, _found: &mut Found) {}

    fn step(&mut self, _facts: &Facts, _glance: &Glance, _found: &mut Found) {}

    /// Called at the end of the run.
    fn end(&mut self, _facts: &Facts, _last: &Glance, _found: &mut Found) {}
}

/// All rules, applied to one run.
pub(crate) struct Checker {
    facts: Facts,
    rules: Vec<Box<dyn Rule>>,
    found: Found,
}

impl Checker {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let facts = Facts::new(scenario);
        let rules = rules(scenario, &facts);
        Self {
            facts,
            rules,
            found: Found::default(),
        }
    }

    #[cfg(test)]
    fn of(scenario: &Scenario, rule: impl Rule + 'static) -> Self {
        Self {
            facts: Facts::new(scenario),
            rules: vec![Box::new(rule)],
            found: Found::default(),
        }
    }

    pub(crate) fn see(&mut self, event: &Event) {
        self.facts.see(event);
        for rule in &mut self.rules {
            rule.see(&self.facts, event, &mut self.found);
        }
    }

    pub(crate) fn step(&mut self, glance: &Glance) {
        self.facts.step(glance);
        for rule in &mut self.rules {
            rule.step(&self.facts, glance, &mut self.found);
        }
    }

    /// Ends the run; `last` is the final snapshot, with all outcomes reported.
    pub(crate) fn end(mut self, last: &Glance) -> Vec<Violation> {
        self.step(last);
        for rule in &mut self.rules {
            rule.end(&self.facts, last, &mut self.found);
        }
        self.found.violations
    }

    /// The violations so far, for callers that stop at the first one.
    pub(crate) fn found(&self) -> &[Violation] {
        &self.found.violations
    }
}

fn rules(scenario: &Scenario, facts: &Facts) -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(acknowledged::Acknowledged::default()),
        Box::new(contents::Contents::of(scenario)),
        Box::new(placement::Placement::of(scenario)),
        Box::new(once::Once),
        Box::new(once::TakenForAnother),
        Box::new(order::Order::default()),
        Box::new(sequences::Gapless::default()),
        Box::new(sequences::SameBytes::default()),
        Box::new(sequences::OwnId),
        Box::new(not_written::NotWritten),
        Box::new(callbacks::Callbacks),
        Box::new(interceptors::Interceptors::default()),
        Box::new(metrics::Reporters::default()),
        Box::new(metrics::Totals::default()),
        Box::new(outcomes::Outcomes),
        Box::new(in_time::DeliveryTime::default()),
        Box::new(in_time::CallTime::default()),
        Box::new(not_early::NotEarly::default()),
        Box::new(at_rest::Memory::of(scenario)),
        Box::new(at_rest::Sizes::of(scenario)),
        Box::new(storms::Requests::of(scenario, facts)),
        Box::new(log_lines::LogLines::of(scenario)),
        Box::new(log_lines::AlikeLines::default()),
        Box::new(storms::Spinning::of(scenario)),
        Box::new(isolation::Isolation::of(scenario)),
        Box::new(isolation::ClosedByNobody),
        Box::new(failure_texts::FailureTexts),
        Box::new(stuck::Stuck),
        Box::new(trust::Trust),
        Box::new(stuck::Panicked),
        Box::new(whole::Whole),
        Box::new(committed::Committed),
        Box::new(offsets::OffsetsAgree::default()),
        Box::new(fenced::Fenced),
        Box::new(left_open::LeftOpen),
        Box::new(undisturbed::Undisturbed::default()),
        Box::new(undisturbed::EndsAfterHealing::default()),
        Box::new(undisturbed::Awake::default()),
        Box::new(calls_in_state::CallsInState::of(scenario)),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::story::{acknowledged, fault, scenario};
    use super::*;
    use crate::events::{Call, CallId, EventKind, RecordId, Returned, Who};
    use crate::scenario::Fault;

    const THREAD: Who = Who::Thread {
        producer: 0,
        thread: 0,
    };

    /// A run without any problem: batches of ten records, each sent by a call, with a callback, and read.
    struct GoodRun {
        events: Vec<Event>,
        now: Duration,
    }

    impl GoodRun {
        fn see(&mut self, who: Who, kind: EventKind) {
            self.events.push(Event {
                at: self.now,
                who,
                kind,
            });
        }

        fn call(&mut self, call: u64, operation: Call, within: Option<EventKind>) {
            let call = CallId(call);
            self.see(THREAD, EventKind::CallBegins { call, operation });
            if let Some(within) = within {
                self.see(THREAD, within);
            }
            let returned = Returned::Ok;
            self.see(THREAD, EventKind::CallEnds { call, returned });
        }

        fn of(batches: u64) -> Vec<Event> {
            let mut run = Self {
                events: Vec::new(),
                now: Duration::ZERO,
            };
            for batch in 0..batches {
                let records = batch * 10..batch * 10 + 10;
                run.now += Duration::from_millis(1);
                for record in records.clone().map(RecordId) {
                    let offered = EventKind::RecordOffered {
                        record,
                        producer: 0,
                        topic: "t".into(),
                        partition: Some(0),
                        key: None,
                        timestamp: None,
                        contents: 0,
                        size: 100,
                        has_callback: true,
                        inside: false,
                    };
                    run.see(THREAD, offered);
                    run.call(
                        record.0 * 2,
                        Call::Send(record),
                        Some(EventKind::RecordAccepted { record }),
                    );
                }
                for _ in 0..20 {
                    run.now += Duration::from_micros(500);
                    let step = EventKind::SenderStep {
                        waits: true,
                        until: None,
                    };
                    run.see(Who::Sender(0), step);
                }
                let request = EventKind::Request {
                    api: "Produce",
                    version: 9,
                    bytes: 1_000,
                    fate: "NONE".into(),
                };
                run.see(Who::Broker(0), request);
                let appended = EventKind::Appended {
                    topic: "t".into(),
                    incarnation: 1,
                    partition: 0,
                    base_offset: batch as i64 * 10,
                    records: records.clone().map(RecordId).collect(),
                    contents: vec![0; 10],
                    timestamps: vec![-1; 10],
                    producer_id: 7,
                    epoch: 0,
                    sequence: batch as i32 * 10,
                    transactional: false,
                    digest: batch,
                };
                run.see(Who::Broker(0), appended);
                for record in records.clone().map(RecordId) {
                    let outcome = acknowledged("t", 0, record.0 as i64);
                    let code = EventKind::UserCode {
                        piece: "callback",
                        act: String::new(),
                    };
                    run.see(Who::Sender(0), code);
                    run.see(Who::Sender(0), EventKind::CallbackRan { record, outcome });
                }
                for record in records.map(RecordId) {
                    let outcome = acknowledged("t", 0, record.0 as i64);
                    let reported = EventKind::FutureReported { record, outcome };
                    let get = Call::Get {
                        record,
                        timeout: None,
                    };
                    run.call(record.0 * 2 + 1, get, Some(reported));
                }
            }
            run.call(u64::MAX, Call::Close { timeout: None }, None);
            run.events
        }
    }

    fn last(records: u64) -> Glance {
        let mut snapshot = kafka_producer::ProducerSnapshot::default();
        snapshot.records_acknowledged = records;
        Glance {
            at: Duration::from_secs(10),
            moment: Moment::End,
            producers: vec![ProducerGlance {
                snapshot: Some(snapshot),
                metrics: None,
                sender_has_ended: true,
                sizes: Vec::new(),
            }],
            done: None,
        }
    }

    #[test]
    fn a_good_run_passes_all_rules() {
        let scenario = scenario(&[], &[]);
        let mut checker = Checker::new(&scenario);
        for event in GoodRun::of(5) {
            checker.see(&event);
        }
        assert_eq!(checker.found(), []);
        assert_eq!(checker.end(&last(50)), []);
    }

    #[test]
    fn leaving_out_any_event_of_a_good_run_is_caught() {
        let scenario = scenario(&[], &[]);
        let events = GoodRun::of(2);
        for left_out in 0..events.len() {
            let mut checker = Checker::new(&scenario);
            for (number, event) in events.iter().enumerate() {
                if number != left_out {
                    checker.see(event);
                }
            }
            let is_seen = !checker.end(&last(20)).is_empty();
            // Reads of a future, sender steps, user code and requests may be missing. A call whose beginning is missing
            // does not exist for the checker.
            let may_be_missing = matches!(
                events[left_out].kind,
                EventKind::SenderStep { .. }
                    | EventKind::UserCode { .. }
                    | EventKind::Request { .. }
                    | EventKind::CallBegins { .. }
                    | EventKind::FutureReported { .. }
            );
            assert_eq!(is_seen, !may_be_missing, "without {:?}", events[left_out]);
        }
    }

    #[test]
    fn repeated_violations_of_a_rule_are_limited() {
        let mut found = Found::default();
        for number in 0..100 {
            found.add("a", Duration::ZERO, number.to_string());
            found.add("b", Duration::ZERO, number.to_string());
        }
        assert_eq!(found.violations.len(), 2 * VIOLATIONS_OF_A_RULE as usize);
    }

    /// Benchmark for changes of rules: `cargo test --release --test … checker_benchmark -- --nocapture --ignored`.
    #[test]
    #[ignore = "it measures"]
    #[allow(clippy::disallowed_methods, reason = "real time is what it measures")]
    fn checker_benchmark() {
        let faults: Vec<_> = (0..20).map(|_| fault(Fault::Cut { node: 0 })).collect();
        let scenario = scenario(&[], &faults);
        let events = GoodRun::of(70);
        let times = 20_000 / events.len() + 1;
        let began = Instant::now();
        for _ in 0..100 {
            let mut checker = Checker::new(&scenario);
            for event in &events {
                checker.see(event);
            }
            let glance = last(700);
            let passing = Glance {
                moment: Moment::Passing,
                ..glance.clone()
            };
            for _ in 0..events.len() {
                checker.step(&passing);
            }
            checker.end(&glance);
        }
        let run = began.elapsed() / 100;
        println!(
            "{} events and as many glances: {run:?}; 20,000: {:?}",
            events.len(),
            run * times as u32
        );
    }
}
