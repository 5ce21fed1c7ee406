//! Rules for transactions without faults, and after the healing.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use super::facts::{CallFacts, Facts, Moment, RecordFacts};
use super::isolation::recovery;
use super::{Found, Glance, Rule};
use crate::events::{Call, Event, EventKind, Outcome, ProducerIndex, Who};

/// Transactional calls end only with success, a time-out, or a refusal because of the state, if
/// - no fault has begun, and the producer does not give up healthy connections;
/// - no other producer with the same transactional id has called `init_transactions`;
/// - the transaction is younger than `transaction.timeout.ms`, with some margin;
/// - no record of the producer has failed or was refused since the transaction began;
/// - the producer has not been closed.
#[derive(Default)]
pub(super) struct Undisturbed {
    /// The event at which a record of a producer last failed or was refused.
    failures: BTreeMap<ProducerIndex, u64>,
    /// The time at which a producer began its last transaction.
    begun: BTreeMap<ProducerIndex, Duration>,
    /// Failures that a record's outcome, reported later, may still explain: the producer, the event after which such a
    /// record was offered, the time of the failure, and the text.
    open: Vec<(ProducerIndex, u64, Duration, String)>,
}

/// After the healing a transactional call does not time out if it had enough time for everything to recover. The time
/// of its repetitions counts too, since each repetition resumes the operation of the call before.
#[derive(Default)]
pub(super) struct EndsAfterHealing {
    /// The call that each producer repeats, and the beginning of the first of these calls.
    asked: BTreeMap<ProducerIndex, (Discriminant<Call>, Moment)>,
}

/// Without faults, while a transaction's end is awaited, the sender does not sleep for longer than a response, a
/// back-off or the packing of a batch takes: the completion of the awaited work has to wake the sender.
///
/// The rule applies while no fault has begun, no other producer uses the transactional id, and the producer does not
/// give up healthy connections.
#[derive(Default)]
pub(super) struct Awake {
    /// Since when the end of a transaction has been awaited.
    awaited: BTreeMap<ProducerIndex, Moment>,
    /// When the sender of each producer made its last step.
    steps: BTreeMap<ProducerIndex, Moment>,
}

impl Rule for Awake {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match (&event.kind, event.who) {
            (EventKind::CallBegins { call, operation }, _) if is_end(operation) => {
                let call = facts.open_calls.get(call);
                if let Some(producer) = call.and_then(|call| call.producer) {
                    self.awaited.insert(producer, facts.moment());
                }
            }
            (EventKind::SenderStep { .. }, Who::Sender(producer)) => {
                self.check_sleep(facts, producer, event.at, found);
                self.steps.insert(producer, facts.moment());
            }
            (EventKind::CallEnds { .. }, _) => {
                let ended = ended(facts).filter(|call| is_end(&call.operation));
                if let Some(producer) = ended.and_then(|call| call.producer) {
                    self.check_sleep(facts, producer, event.at, found);
                    self.awaited.remove(&producer);
                }
            }
            _ => {}
        }
    }
}

/// `connections.max.idle.ms` above which connections are not expected to be closed as idle during a run.
const LONG_IDLE: Duration = Duration::from_secs(60);

impl Awake {
    fn check_sleep(&self, facts: &Facts, producer: ProducerIndex, at: Duration, found: &mut Found) {
        let since = [self.awaited.get(&producer), self.steps.get(&producer)];
        let [Some(awaited), Some(step)] = since else {
            return;
        };
        let Some(own) = facts.producers.get(producer) else {
            return;
        };
        let slept = facts.since(*awaited).min(facts.since(*step));
        let most = facts
            .network
            .slowest_answer
            .saturating_add(own.settings.retry_backoff_max)
            .saturating_add(facts.packing)
            .saturating_add(Duration::from_millis(100));
        // A connection that was closed as idle is made again, after its back-off.
        let most = match own.settings.connections_idle {
            Some(idle) if idle < LONG_IDLE => {
                most.saturating_add(own.settings.reconnect_backoff_max)
            }
            _ => most,
        };
        let is_quiet = facts.faults.begun().next().is_none()
            && facts.knows_transactions
            && own.closing.is_none()
            && !facts.transactions.has_rivals(producer)
            && !facts.is_hasty(&own.settings);
        if slept > most && is_quiet {
            let text = format!(
                "the sender of producer {producer} sleeps for {slept:?} while the end of a transaction is awaited; {most:?} is enough"
            );
            found.add("awake", at, text);
        }
    }
}

fn is_end(call: &Call) -> bool {
    matches!(call, Call::Commit { .. } | Call::Abort { .. })
}

impl Rule for Undisturbed {
    fn see(&mut self, facts: &Facts, event: &Event, _: &mut Found) {
        match &event.kind {
            EventKind::RecordRefused { record, .. } => self.note(facts, *record),
            EventKind::FutureReported { record, outcome }
            | EventKind::CallbackRan { record, outcome } => {
                // `TransactionAborted` follows from a failed transaction, so it does not explain the failure.
                let is_reason = matches!(
                    outcome,
                    Outcome::Failed(failure) if failure.kind != "TransactionAborted"
                );
                if is_reason {
                    self.note(facts, *record);
                }
            }
            EventKind::CallEnds { returned, .. } => {
                let Some(call) = ended(facts) else {
                    return;
                };
                let Some(producer) = call.producer else {
                    return;
                };
                if call.operation == Call::BeginTransaction && returned.kind().is_none() {
                    self.begun.insert(producer, event.at);
                }
                let Some(kind) = returned.kind() else {
                    return;
                };
                let is_failure = matches!(kind, "Abortable" | "Fatal" | "Fenced" | "Closed");
                if is_failure && self.is_undisturbed(facts, producer, event.at) {
                    let text = format!(
                        "{:?} returned {returned:?} without any fault",
                        call.operation
                    );
                    let last = facts.transactions.last_of(producer);
                    let since = last.map_or(0, |last| last.began);
                    self.open.push((producer, since, event.at, text));
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, facts: &Facts, _: &Glance, found: &mut Found) {
        for (producer, since, at, text) in self.open.drain(..) {
            // The outcome of a record may be reported later, or never.
            let is_reason = |record: &RecordFacts| {
                let is_acknowledged = matches!(record.outcome, Some(Outcome::Acknowledged { .. }));
                record.producer == producer && record.offered.event > since && !is_acknowledged
            };
            if !facts.records().any(is_reason) {
                found.add("undisturbed", at, text);
            }
        }
    }
}

impl Undisturbed {
    fn note(&mut self, facts: &Facts, record: crate::events::RecordId) {
        if let Some(record) = facts.record(record) {
            self.failures.insert(record.producer, facts.event);
        }
    }

    fn is_undisturbed(&self, facts: &Facts, producer: ProducerIndex, at: Duration) -> bool {
        let Some(own) = facts.producers.get(producer) else {
            return false;
        };
        let settings = &own.settings;
        let since = facts
            .transactions
            .last_of(producer)
            .map_or(0, |last| last.began);
        let has_failed = self
            .failures
            .get(&producer)
            .is_some_and(|failed| *failed > since);
        let begun = self.begun.get(&producer).copied().unwrap_or_default();
        let took = at.saturating_sub(begun) + Duration::from_millis(10);
        let is_right = settings.transaction_timeout.is_some_and(|timeout| {
            // The default of the brokers' `transaction.max.timeout.ms`.
            timeout <= Duration::from_secs(15 * 60) && took < timeout
        });
        facts.faults.begun().next().is_none()
            && facts.knows_transactions
            && is_right
            && !has_failed
            && own.closing.is_none()
            && !facts.transactions.has_rivals(producer)
            && !facts.is_hasty(settings)
    }
}

impl Rule for EndsAfterHealing {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let EventKind::CallEnds { returned, .. } = &event.kind else {
            return;
        };
        let Some(call) = ended(facts) else {
            return;
        };
        let Some((producer, own)) = call
            .producer
            .and_then(|it| Some((it, facts.producers.get(it)?)))
        else {
            return;
        };
        match returned.kind() {
            Some("TimedOut") => {}
            // A refused call does not change which call is repeated.
            Some("WrongState" | "Misuse") => return,
            _ => {
                self.asked.remove(&producer);
                return;
            }
        }
        let healed = facts.faults.healed;
        if healed.is_none_or(|healed| call.began.at < healed) || facts.is_hasty(&own.settings) {
            return;
        }
        let needed = recovery(&own.settings)
            .saturating_add(own.settings.delivery_timeout)
            .saturating_add(facts.network.slowest_answer.saturating_mul(20))
            .saturating_add(facts.user_time)
            .saturating_add(facts.packing.saturating_mul(4))
            .saturating_add(Duration::from_secs(8));
        let kind = discriminant(&call.operation);
        let asked = self.asked.entry(producer).or_insert((kind, call.began));
        if asked.0 != kind {
            *asked = (kind, call.began);
        }
        let had = facts.since(asked.1);
        if had > needed {
            let text = format!(
                "{:?} of producer {producer} timed out {had:?} after the first call, after the healing",
                call.operation
            );
            found.add("ends after healing", event.at, text);
        }
    }
}

/// The transactional call that has just returned.
fn ended(facts: &Facts) -> Option<&CallFacts> {
    let ended = facts.ended_call.as_ref();
    ended.filter(|call| call.operation.is_transactional())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, Transactional, failed, fault, transactional_scenario};
    use crate::events::Returned;
    use crate::scenario::Fault;

    #[test]
    fn a_sender_that_sleeps_while_a_transactions_end_is_awaited_is_caught() {
        for (slept_ms, is_wrong, expected) in
            [(100, false, 0), (60_000, false, 1), (60_000, true, 0)]
        {
            let scenario = transactional_scenario(&[fault(Fault::Cut { node: 0 })]);
            let mut story = Story::of(Awake::default(), &scenario);
            story.initializes(0);
            story.begins_transaction();
            let step = || EventKind::SenderStep {
                waits: true,
                until: None,
            };
            story.at_ms(1_000).sender(step());
            story.at_ms(70_000);
            if is_wrong {
                story.begins(0);
            }
            let call = story.call(Call::Abort { timeout: None });
            story.sender(step());
            story.at_ms(70_000 + slept_ms).ends(call, Returned::Ok);
            assert_eq!(story.found().len(), expected, "{slept_ms} {is_wrong}");
        }
    }

    #[test]
    fn a_transaction_that_fails_without_faults_is_caught() {
        for (reason, expected) in [
            ("", 1),
            ("fault", 0),
            ("record", 0),
            ("time", 0),
            ("rival", 0),
        ] {
            let scenario = transactional_scenario(&[fault(Fault::Cut { node: 0 })]);
            let mut story = Story::of(Undisturbed::default(), &scenario);
            story.initializes(0);
            story.begins_transaction();
            match reason {
                "fault" => story.begins(0),
                "record" => {
                    story.send(0, "t", 0);
                    story.reported(0, failed("t-0: lost", true));
                }
                "time" => {
                    story.at_ms(60_000);
                }
                "rival" => story.initializes(1),
                _ => {}
            }
            story.commits(Some("Abortable"));
            assert_eq!(story.end().len(), expected, "{reason}");
        }
    }

    const SHORT: &[(&str, &str)] = &[
        ("transactional.id", "x"),
        ("request.timeout.ms", "500"),
        ("delivery.timeout.ms", "1000"),
        ("socket.connection.setup.timeout.max.ms", "500"),
        ("socket.connection.setup.timeout.ms", "500"),
    ];

    #[test]
    fn a_call_that_times_out_after_the_healing_with_enough_time_is_caught() {
        for (is_healed, after_ms, expected) in
            [(true, 60_000, 1), (true, 5_000, 0), (false, 60_000, 0)]
        {
            let mut story = Story::with(EndsAfterHealing::default(), SHORT, &[]);
            if is_healed {
                story.world(EventKind::Healed);
            }
            let call = story.call(Call::Commit { timeout: None });
            let returned = Returned::Error {
                kind: "TimedOut".into(),
                text: String::new(),
            };
            story.at_ms(after_ms).ends(call, returned);
            assert_eq!(story.found().len(), expected, "{is_healed} {after_ms}");
        }
    }

    #[test]
    fn repeated_time_outs_after_the_healing_with_enough_time_together_are_caught() {
        for (between, expected) in [(None, 1), (Some("WrongState"), 1), (Some("Abortable"), 0)] {
            let mut story = Story::with(EndsAfterHealing::default(), SHORT, &[]);
            story.world(EventKind::Healed);
            for second in (5..=30).step_by(5) {
                story.at_ms(second * 1_000 - 4_999);
                let call = story.call(Call::Abort { timeout: None });
                let returned = Returned::Error {
                    kind: "TimedOut".into(),
                    text: String::new(),
                };
                story.at_ms(second * 1_000).ends(call, returned);
                if second == 15 {
                    if let Some(kind) = between {
                        story.aborts(Some(kind));
                    }
                }
            }
            assert_eq!(story.found().len().min(1), expected, "{between:?}");
        }
    }
}
