//! Rules for metrics reporters, and for the values of metrics when the run is idle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use kafka_producer::ProducerSnapshot;

use super::facts::{Facts, producer_of};
use super::{Found, Glance, Moment, Rule};
use crate::events::{Event, EventKind, ProducerIndex, RecordId, Report};

/// A reporter's calls come in order: `context_change`, `init`, metric changes and removals, `close`; the first two and
/// the last once each. A metric is added once, and removed only if it was added. When the run is idle, the metrics
/// added and not removed are those that the producer has. The version metrics (`app-info`) are removed before `close`.
///
/// Excused: producers whose sender has not ended, and applications that crash. In these cases `close` may be missing.
#[derive(Default)]
pub(super) struct Reporters {
    calls: BTreeMap<ProducerIndex, ReporterCalls>,
}

#[derive(Default)]
struct ReporterCalls {
    phase: Phase,
    metrics: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    New,
    HasContext,
    HasBegun,
    IsClosed,
}

const REPORTERS: &str = "reporters";

/// Prefix of the metrics that exist only while a producer is open.
const APP_INFO: &str = "app-info:";

impl ReporterCalls {
    /// The text of the violation; `None` if this call is legal at this time.
    fn note(&mut self, report: &Report) -> Option<String> {
        let phase = self.phase;
        let is_right = match report {
            Report::Context => {
                self.phase = Phase::HasContext;
                phase == Phase::New
            }
            Report::Init => {
                self.phase = Phase::HasBegun;
                phase == Phase::HasContext
            }
            Report::Change(name) => self.metrics.insert(name.clone()) && phase == Phase::HasBegun,
            Report::Removal(name) => self.metrics.remove(name) && phase == Phase::HasBegun,
            Report::Close => {
                self.phase = Phase::IsClosed;
                let is_open = self.metrics.iter().any(|name| name.starts_with(APP_INFO));
                phase != Phase::IsClosed && !is_open
            }
        };
        (!is_right).then(|| format!("{report:?} in phase {phase:?}"))
    }
}

impl Rule for Reporters {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        let EventKind::Reported { producer, report } = &event.kind else {
            return;
        };
        if let Some(wrong) = self.calls.entry(*producer).or_default().note(report) {
            let text = format!("a reporter of producer {producer} is called with {wrong}");
            found.add(REPORTERS, event.at, text);
        }
    }

    fn step(&mut self, _: &Facts, glance: &Glance, found: &mut Found) {
        for (producer, calls) in &self.calls {
            let metrics = glance.producers.get(*producer);
            let Some(metrics) = metrics.and_then(|it| it.metrics.as_ref()) else {
                continue;
            };
            let is_open = calls.phase == Phase::HasBegun;
            let mut differ = calls.metrics.symmetric_difference(&metrics.names);
            if let Some(name) = differ.next().filter(|_| is_open) {
                let text = format!(
                    "{name} is a metric or was reported to a reporter of producer {producer}, but not both: {} reported, {} metrics",
                    calls.metrics.len(),
                    metrics.names.len()
                );
                found.add(REPORTERS, glance.at, text);
            }
        }
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        for (producer, calls) in &self.calls {
            let has_ended = last.producers.get(*producer);
            let has_ended = has_ended.is_some_and(|glance| glance.sender_has_ended);
            let own = facts.producers.get(*producer);
            let is_crashed = own.is_some_and(|it| it.crashed.is_some());
            if has_ended && !is_crashed && calls.phase != Phase::IsClosed {
                let text = format!("a reporter of producer {producer} is never closed");
                found.add(REPORTERS, last.at, text);
            }
        }
    }
}

/// When the run is idle, metrics agree with the producer's counts and the results of calls:
/// - one error for each record that failed or was refused, except records that an abort or a forced close gave up, and
///   except misuse;
/// - as many retries and split batches as there were;
/// - each acknowledged record was sent at least once, and, if no batch was split, not more often than it was
///   acknowledged, failed or retried.
#[derive(Default)]
pub(super) struct Totals {
    /// Records refused by calls, by producer.
    refused: BTreeMap<ProducerIndex, Refused>,
    /// Producers that may abort a transaction, and give up its records.
    transactional: BTreeSet<ProducerIndex>,
}

#[derive(Clone, Copy, Default)]
struct Refused {
    /// Refusals that count as an error each.
    counted: u64,
    /// Refusals that may count as an error: they do after a failed transaction, but not when no transaction is open.
    perhaps: u64,
}

const TOTALS: &str = "metrics";

impl Totals {
    fn note(&mut self, facts: &Facts, record: RecordId, kind: &str) {
        let Some(record) = facts.record(record) else {
            return;
        };
        let refused = self.refused.entry(record.producer).or_default();
        // The kind from `try_send` wraps that of a call's error, which `send` returns directly.
        let error = kind.strip_prefix("Call(").unwrap_or(kind);
        if error.starts_with("Serialization") || kind.starts_with("Record(") {
            refused.counted += 1;
        } else if error.starts_with("Transaction") {
            refused.perhaps += 1;
        }
    }

    /// The range of error counts that a producer may report.
    fn errors(
        &self,
        facts: &Facts,
        producer: ProducerIndex,
        counts: &ProducerSnapshot,
    ) -> RangeInclusive<u64> {
        let Refused { counted, perhaps } = self.refused.get(&producer).copied().unwrap_or_default();
        let own = facts.producers.get(producer);
        // An abort and a forced close give up records that did not fail by themselves.
        let gives_up =
            own.is_some_and(|it| it.closing.is_some()) || self.transactional.contains(&producer);
        let failed = if gives_up { 0 } else { counts.records_failed };
        failed + counted..=counts.records_failed + counted + perhaps
    }
}

impl Rule for Totals {
    fn see(&mut self, facts: &Facts, event: &Event, _: &mut Found) {
        match &event.kind {
            EventKind::RecordRefused { record, kind, .. } => self.note(facts, *record, kind),
            EventKind::CallBegins { operation, .. } if operation.is_transactional() => {
                self.transactional.extend(producer_of(event.who));
            }
            _ => {}
        }
    }

    fn step(&mut self, facts: &Facts, glance: &Glance, found: &mut Found) {
        if glance.moment != Moment::Idle {
            return;
        }
        for (producer, it) in glance.producers.iter().enumerate() {
            let (Some(metrics), Some(counts)) = (&it.metrics, &it.snapshot) else {
                continue;
            };
            let errors = self.errors(facts, producer, counts);
            let least = counts.records_acknowledged;
            let most = least + counts.records_failed + counts.records_retried;
            let most = if counts.batches_split == 0 {
                most as f64
            } else {
                f64::INFINITY
            };
            let mut expect = |is_right: bool, text: String| {
                if !is_right {
                    let text = format!("of producer {producer} {text}: {counts:?}");
                    found.add(TOTALS, glance.at, text);
                }
            };
            expect(
                (*errors.start() as f64..=*errors.end() as f64).contains(&metrics.errors),
                format!("{} errors are counted, not {errors:?}", metrics.errors),
            );
            expect(
                is(metrics.retries, counts.records_retried),
                format!("{} retries are counted", metrics.retries),
            );
            expect(
                is(metrics.splits, counts.batches_split),
                format!("{} split batches are counted", metrics.splits),
            );
            expect(
                (least as f64..=most).contains(&metrics.sent),
                format!(
                    "{} sent records are counted, not {least} to {most}",
                    metrics.sent
                ),
            );
        }
    }
}

fn is(reported: f64, counted: u64) -> bool {
    (reported - counted as f64).abs() < 0.5
}

/// Tests: the order of calls, and the totals.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::MetricsGlance;
    use crate::checker::story::Story;

    fn story_of(reports: &[Report]) -> Story {
        let mut story = Story::new(Reporters::default());
        for report in reports {
            let report = report.clone();
            story.world(EventKind::Reported {
                producer: 0,
                report,
            });
        }
        story
    }

    fn change(name: &str) -> Report {
        Report::Change(name.to_owned())
    }

    fn removal(name: &str) -> Report {
        Report::Removal(name.to_owned())
    }

    #[test]
    fn reporter_calls_out_of_order_are_caught() {
        use Report::{Close, Context, Init};
        for (reports, expected) in [
            (
                vec![Context, Init, change("a"), removal("a"), change("a"), Close],
                0,
            ),
            (vec![Context, Close], 0),
            (vec![Init, change("a")], 1),
            (vec![Context, change("a"), Init], 1),
            (vec![Context, Init, removal("a")], 1),
            (vec![Context, Init, change("a"), change("a")], 1),
            (vec![Context, Init, Close, Close], 1),
            (vec![Context, Init, Close, change("a")], 1),
            (vec![Context, Init, change("app-info:x"), Close], 1),
            (vec![Context, Init, Init], 1),
        ] {
            let mut story = story_of(&reports);
            assert_eq!(story.found().len(), expected, "{reports:?}");
        }
    }

    #[test]
    fn a_reporter_that_is_never_closed_is_caught_when_its_sender_has_ended() {
        for (has_ended, expected) in [(true, 1), (false, 0)] {
            let mut story = story_of(&[Report::Context, Report::Init]);
            story.producer(|producer| producer.sender_has_ended = has_ended);
            assert_eq!(story.end().len(), expected);
        }
    }

    #[test]
    fn metrics_that_were_not_reported_as_added_or_removed_are_caught() {
        for (names, expected) in [(["a", "b"], 0), (["a", "c"], 1)] {
            let mut story = story_of(&[Report::Context, Report::Init, change("a"), change("b")]);
            let metrics = MetricsGlance {
                names: names.map(str::to_owned).into(),
                ..MetricsGlance::default()
            };
            story.producer(|producer| producer.metrics = Some(metrics));
            story.moment(Moment::Idle);
            story.glance(&[]);
            assert_eq!(story.found().len(), expected, "{names:?}");
        }
    }

    #[test]
    fn wrong_totals_are_caught() {
        for (sent, errors, retries, splits, expected) in [
            (3.0, 3.0, 0.0, 0.0, 0),
            (3.0, 4.0, 0.0, 0.0, 0),
            (2.0, 3.0, 0.0, 0.0, 0),
            (1.0, 3.0, 0.0, 0.0, 1),
            (4.0, 3.0, 0.0, 0.0, 1),
            (3.0, 2.0, 0.0, 0.0, 1),
            (3.0, 5.0, 1.0, 1.0, 3),
            (f64::NAN, 3.0, 0.0, 0.0, 1),
        ] {
            let mut story = Story::with(Totals::default(), &[], &[]);
            story.refuse_as(0, "Serialization { .. }");
            story.refuse_as(1, "Call(Serialization { .. })");
            story.refuse_as(2, "Transaction(..)");
            story.refuse_as(3, "Call(Closed)");
            story.producer(|producer| {
                let snapshot = producer.snapshot.get_or_insert_default();
                snapshot.records_acknowledged = 2;
                snapshot.records_failed = 1;
                producer.metrics = Some(MetricsGlance {
                    sent,
                    errors,
                    retries,
                    splits,
                    ..MetricsGlance::default()
                });
            });
            story.moment(Moment::Idle);
            story.glance(&[]);
            assert_eq!(story.found().len(), expected, "{sent} {errors}");
        }
    }
}
