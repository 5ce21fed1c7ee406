//! Rule: the results of transactional calls are consistent with the producer's transaction state.

use super::facts::{CallFacts, Facts, producer_of};
use super::{Found, Rule};
use crate::events::{Call, Event, EventKind, ProducerIndex, Returned};
use crate::scenario::Scenario;

/// The results that each transactional call may have, given the results of the earlier calls:
///
/// - A call that timed out has to be repeated, and other calls are refused until its result is known. A call that
///   commits offsets is an exception: after its time-out the offsets stay queued, and other offsets, a commit or an
///   abort may follow.
/// - A failed transaction can only be aborted. A repeated call that commits offsets may still return the success of
///   the call that timed out before the transaction failed.
/// - After a fatal error every call fails with a fatal error.
/// - A call that the state does not allow is refused and changes nothing; a call that the state allows is not refused.
/// - A record is accepted only while a transaction is open.
///
/// A transaction or the whole producer may fail at any time. Calls that commit offsets may overlap, and may return
/// their results after the state has changed. Such a result does not depend on the new state, and is not checked unless
/// it is fatal.
pub(super) struct CallsInState {
    producers: Vec<Known>,
}

struct Known {
    is_transactional: bool,
    state: State,
    /// Number of the event since which this state holds.
    since: u64,
    /// Number of transactional calls in progress.
    calls: u32,
    /// Offsets of the current transaction whose calls timed out, and whose result a repeated call returns.
    timed_out_offsets: Vec<Call>,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    New,
    Ready,
    Open,
    Failed,
    Fatal,
    /// The call timed out; the state is the one in which it was made.
    Pending(Call, Box<State>),
}

const RULE: &str = "calls in state";

impl CallsInState {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let producers = scenario.producers.iter().map(|producer| Known {
            is_transactional: producer.config.contains_key("transactional.id"),
            state: State::New,
            since: 0,
            calls: 0,
            timed_out_offsets: Vec::new(),
        });
        Self {
            producers: producers.collect(),
        }
    }

    fn ended(
        &mut self,
        facts: &Facts,
        producer: ProducerIndex,
        ended: &CallFacts,
        returned: &Returned,
    ) -> Option<String> {
        let call = &ended.operation;
        let is_closing = facts.producers.get(producer)?.closing.is_some();
        let known = self.producers.get_mut(producer)?;
        known.calls = known.calls.saturating_sub(1);
        let is_overtaken =
            matches!(call, Call::SendOffsets { .. }) && ended.began.event < known.since;
        if is_overtaken && !matches!(returned.kind(), Some("Fatal" | "Fenced")) {
            return None;
        }
        let before = known.state.clone();
        match (call, returned.kind()) {
            (Call::SendOffsets { .. }, Some("TimedOut")) => {
                known.timed_out_offsets.push(call.clone());
            }
            // The offsets may have been committed before the transaction failed.
            (Call::SendOffsets { .. }, None) if known.timed_out_offsets.contains(call) => {
                return None;
            }
            (Call::BeginTransaction, None) => known.timed_out_offsets.clear(),
            _ => {}
        }
        let next = known.state.after(call, returned.kind(), is_closing);
        match next {
            Ok(next) => {
                if next != before {
                    (known.state, known.since) = (next, facts.event);
                }
                None
            }
            Err(expected) => Some(format!(
                "{call:?} of producer {producer}, in {before:?}: expected {expected}, got {returned:?}"
            )),
        }
    }
}

impl State {
    /// The next state; if the result is not allowed, the expected result as an error.
    fn after(
        &self,
        call: &Call,
        kind: Option<&str>,
        is_closing: bool,
    ) -> Result<Self, &'static str> {
        match kind {
            Some("Fatal" | "Fenced") => return Ok(Self::Fatal),
            // While the producer closes, the pending call can still return its own result.
            Some("Closed") if is_closing => match self {
                Self::Pending(pending, _) if !is_same(pending, call) => return Ok(self.clone()),
                _ => return Ok(Self::Fatal),
            },
            Some("Misuse") => return Err("no misuse"),
            _ => {}
        }
        match self {
            // Offsets that were pending when the close began can still return their own result.
            Self::Fatal if is_closing && matches!(call, Call::SendOffsets { .. }) => {
                Ok(Self::Fatal)
            }
            Self::Fatal => Err("a fatal error"),
            Self::Pending(pending, before) => {
                if is_same(pending, call) {
                    return before.after(call, kind, is_closing);
                }
                match kind {
                    Some("WrongState") => Ok(self.clone()),
                    _ => Err("a refusal until the pending call is repeated"),
                }
            }
            _ => self.after_right(call, kind),
        }
    }

    fn after_right(&self, call: &Call, kind: Option<&str>) -> Result<Self, &'static str> {
        let timed_out = || Self::Pending(call.clone(), Box::new(self.clone()));
        match (self, call, kind) {
            (Self::New, Call::InitTransactions { .. }, None)
            | (Self::Open, Call::Commit { .. }, None)
            | (Self::Open | Self::Failed, Call::Abort { .. }, None) => Ok(Self::Ready),
            (Self::Ready, Call::BeginTransaction, None)
            | (Self::Open, Call::SendOffsets { .. }, None | Some("TimedOut")) => Ok(Self::Open),
            (Self::New, Call::InitTransactions { .. }, Some("TimedOut"))
            | (Self::Open, Call::Commit { .. }, Some("TimedOut"))
            | (Self::Open | Self::Failed, Call::Abort { .. }, Some("TimedOut")) => Ok(timed_out()),
            (Self::New, Call::InitTransactions { .. }, _) => {
                Err("success or a time-out of the initialization")
            }
            (Self::Ready, Call::BeginTransaction, _) => Err("a transaction"),
            (Self::Open | Self::Failed, Call::Abort { .. }, _) => {
                Err("success or a time-out of the abort")
            }
            // The transaction failed during the call or before it.
            (Self::Open | Self::Failed, _, Some("Abortable"))
            // Repeated offsets may time out: their request may be queued behind the look-up of a coordinator.
            | (Self::Failed, Call::SendOffsets { .. }, Some("TimedOut")) => Ok(Self::Failed),
            (Self::Failed, _, _) => Err("an abortable error"),
            (Self::Open, Call::SendOffsets { .. } | Call::Commit { .. }, _) => {
                Err("success, a time-out, or an abortable error")
            }
            (Self::New | Self::Ready | Self::Open, _, Some("WrongState")) => Ok(self.clone()),
            _ => Err("a refusal because of the state"),
        }
    }
}

/// Whether a call repeats another one.
fn is_same(one: &Call, other: &Call) -> bool {
    matches!(
        (one, other),
        (Call::InitTransactions { .. }, Call::InitTransactions { .. })
            | (Call::Commit { .. }, Call::Commit { .. })
            | (Call::Abort { .. }, Call::Abort { .. })
    )
}

impl Rule for CallsInState {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        match &event.kind {
            EventKind::CallBegins { operation, .. } if operation.is_transactional() => {
                let known = producer_of(event.who).and_then(|it| self.producers.get_mut(it));
                if let Some(known) = known {
                    known.calls += 1;
                }
            }
            EventKind::CallEnds { returned, .. } => {
                let ended = facts.ended_call.as_ref();
                let Some(call) = ended.filter(|call| call.operation.is_transactional()) else {
                    return;
                };
                let Some(producer) = call.producer else {
                    return;
                };
                if let Some(text) = self.ended(facts, producer, call, returned) {
                    found.add(RULE, event.at, text);
                }
            }
            EventKind::RecordAccepted { record } => {
                let Some(record) = facts.record(*record) else {
                    return;
                };
                let Some(known) = self.producers.get(record.producer) else {
                    return;
                };
                let is_shut = matches!(known.state, State::New | State::Ready | State::Fatal);
                let is_since = known.calls == 0 && record.offered.event > known.since;
                if known.is_transactional && is_shut && is_since {
                    let text = format!("{} was accepted without a transaction", record.id);
                    found.add(RULE, event.at, text);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, Transactional, transactional_scenario};

    fn story() -> Story {
        let scenario = transactional_scenario(&[]);
        Story::of(CallsInState::of(&scenario), &scenario)
    }

    #[test]
    fn results_consistent_with_the_transaction_state_pass() {
        let mut story = story();
        story.transactional_call(Call::BeginTransaction, Some("WrongState"));
        story.transactional_call(init(), Some("TimedOut"));
        story.transactional_call(Call::BeginTransaction, Some("WrongState"));
        story.transactional_call(init(), None);
        story.begins_transaction();
        story.send(0, "t", 0);
        story.sends_offset("g", 1, "t", 0, Some("TimedOut"));
        story.transactional_call(init(), Some("WrongState"));
        story.sends_offset("g", 2, "t", 0, None);
        story.commits(Some("TimedOut"));
        story.aborts(Some("WrongState"));
        story.commits(Some("Abortable"));
        story.transactional_call(Call::BeginTransaction, Some("Abortable"));
        story.aborts(Some("TimedOut"));
        story.aborts(None);
        story.begins_transaction();
        story.commits(None);
        story.begins_transaction();
        story.sends_offset("g", 3, "t", 0, Some("TimedOut"));
        story.sends_offset("g", 4, "t", 0, Some("Abortable"));
        story.sends_offset("g", 3, "t", 0, None);
        story.aborts(None);
        story.begins_transaction();
        story.commits(Some("Fenced"));
        story.aborts(Some("Fenced"));
        story.transactional_call(Call::BeginTransaction, Some("Fatal"));
        assert_eq!(story.found(), [""; 0]);
    }

    #[test]
    fn results_inconsistent_with_the_transaction_state_are_caught() {
        type Calls = &'static [(fn() -> Call, Option<&'static str>)];
        let cases: [Calls; 9] = [
            &[(|| Call::BeginTransaction, None)],
            &[(init, Some("Abortable"))],
            &[(init, Some("TimedOut")), (|| Call::BeginTransaction, None)],
            &[
                (init, None),
                (|| Call::BeginTransaction, Some("WrongState")),
            ],
            &[(init, None), (commit, None)],
            &[
                (init, None),
                (|| Call::BeginTransaction, None),
                (commit, Some("WrongState")),
            ],
            &[
                (init, None),
                (|| Call::BeginTransaction, None),
                (commit, Some("Abortable")),
                (|| Call::BeginTransaction, None),
            ],
            &[
                (init, None),
                (|| Call::BeginTransaction, None),
                (commit, Some("Abortable")),
                (abort, Some("Abortable")),
            ],
            &[(init, Some("Fatal")), (init, Some("WrongState"))],
        ];
        for calls in cases {
            let mut story = story();
            for (number, (call, kind)) in calls.iter().enumerate() {
                assert_eq!(story.found(), [""; 0], "before {number}");
                story.transactional_call(call(), *kind);
            }
            assert_eq!(story.found().len(), 1, "{:?}", calls.len());
        }
    }

    #[test]
    fn new_offsets_that_a_failed_transaction_accepts_are_caught() {
        let mut story = story();
        story.transactional_call(init(), None);
        story.begins_transaction();
        story.sends_offset("g", 1, "t", 0, Some("TimedOut"));
        story.aborts(None);
        story.begins_transaction();
        story.commits(Some("Abortable"));
        assert_eq!(story.found(), [""; 0]);
        story.sends_offset("g", 1, "t", 0, None);
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn a_record_accepted_without_a_transaction_is_caught() {
        let mut story = story();
        story.transactional_call(init(), None);
        story.begins_transaction();
        story.send(0, "t", 0);
        story.commits(None);
        assert_eq!(story.found(), [""; 0]);
        story.send(1, "t", 0);
        assert_eq!(story.found().len(), 1);
    }

    fn init() -> Call {
        Call::InitTransactions { timeout: None }
    }

    fn commit() -> Call {
        Call::Commit { timeout: None }
    }

    fn abort() -> Call {
        Call::Abort { timeout: None }
    }
}
