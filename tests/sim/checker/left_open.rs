//! Rule: a transaction that was reported as ended has ended at its coordinator and in the logs.

use super::facts::{Facts, RecordFacts};
use super::faults::FaultFacts;
use super::logs::Fate;
use super::transactions::{
    Transaction, has_held_back, is_beyond_promise, is_late, is_lied_about, is_lost,
};
use super::{Found, Glance, Rule};
use crate::events::{Call, Event, EventKind, ProducerIndex};
use crate::scenario::{Api, Fault};

/// When `commit_transaction` or `abort_transaction` has returned success,
///
/// - the coordinator has no open transaction for the id. It would take the next transaction for a part of the open one,
///   or abort the open one after its time-out and fence the producer;
/// - the coordinator does not open a transaction later. At the end of a run a transaction is open only if the end of
///   the producer's last transaction was not reported as a success: the application has crashed or given up, or the
///   producer had a fatal error or was closed meanwhile;
/// - at the end of a run none of the records is undecided in a log, where it would block `read_committed` consumers for
///   ever.
///
/// Excused:
///
/// - another producer may use the id at the same time, and own the open transaction (this excuses only an open
///   transaction at the return of the call);
/// - a fault has delayed requests, or the producer gives up healthy connections: a request that adds to the
///   transaction, and was repeated or given up meanwhile, may arrive after the request that ended it;
/// - a fault made a coordinator refuse `EndTxn` with `INVALID_TXN_STATE`, as if the transaction had ended;
/// - the transaction state was lost with the whole cluster;
/// - for records: data that logs or brokers have lost, and late batches (as in `committed.rs`).
pub(super) struct LeftOpen;

const RULE: &str = "left open";
const INVALID_TXN_STATE: i16 = 48;

impl Rule for LeftOpen {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let EventKind::CallEnds { returned, .. } = &event.kind else {
            return;
        };
        let Some(call) = facts
            .ended_call
            .as_ref()
            .filter(|_| returned.kind().is_none())
        else {
            return;
        };
        let (Call::Commit { .. } | Call::Abort { .. }, Some(producer)) =
            (&call.operation, call.producer)
        else {
            return;
        };
        let known = &facts.transactions;
        let since = known.id(producer).and_then(|id| known.open_since(id));
        let Some(since) = since.filter(|_| !known.may_be_used_by_others(producer)) else {
            return;
        };
        if may_be_open(facts, producer) {
            return;
        }
        let text = format!(
            "{:?} of producer {producer} returned, and a transaction is open at the coordinator since event {since}",
            call.operation
        );
        found.add(RULE, event.at, text);
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        for id in facts.transactions.open() {
            let of_it = || facts.transactions.last_with(id);
            let have_all_ended = of_it().all(|last| last.ended.is_some());
            if have_all_ended && !of_it().any(|last| may_be_open(facts, last.producer)) {
                let text = format!(
                    "a transaction of {id} is left open, although all its producers have ended theirs with success"
                );
                found.add(RULE, last.at, text);
            }
        }
        for transaction in facts.transactions.all() {
            if transaction.ended.is_none()
                || is_beyond_promise(facts, transaction)
                || may_be_open(facts, transaction.producer)
            {
                continue;
            }
            for record in transaction.records(facts) {
                if is_undecided(facts, transaction, record) {
                    let text = format!(
                        "{} is undecided in its log, of {}",
                        record.id,
                        transaction.name()
                    );
                    found.add(RULE, last.at, text);
                }
            }
        }
    }
}

/// Whether a transaction may be open that the producer has ended, without the producer being at fault.
fn may_be_open(facts: &Facts, producer: ProducerIndex) -> bool {
    let refuses_end_txn = |begun: &FaultFacts| {
        matches!(
            begun.fault,
            Fault::Error {
                request: Api::EndTxn,
                code: INVALID_TXN_STATE,
                ..
            }
        )
    };
    let own = facts.producers.get(producer);
    has_held_back(facts, producer, facts.event)
        || own.is_some_and(|own| facts.is_hasty(&own.settings))
        || facts.faults.begun().any(refuses_end_txn)
}

fn is_undecided(facts: &Facts, transaction: &Transaction, record: &RecordFacts) -> bool {
    let mut copies = record
        .copies
        .iter()
        .filter(|copy| facts.logs.is_there(**copy));
    let is_open = copies.any(|copy| {
        let batch = &facts.logs.batches[copy.batch];
        facts.logs.fate(batch) == Fate::Open && !is_late(facts, transaction, batch)
    });
    is_open && !is_lost(facts, record) && !is_lied_about(facts, record)
}

#[cfg(test)]
mod tests {
    use kafka_producer::internals::simulation::Coordinated;

    use super::*;
    use crate::checker::story::{Story, Transactional, error, fault, transactional_scenario};
    use crate::events::Returned;

    #[test]
    fn an_ended_transaction_that_is_open_at_the_coordinator_is_caught() {
        for (ends_there, kind, expected) in [
            (true, None, 0),
            (false, None, 1),
            (false, Some("TimedOut"), 0),
            (false, Some("Fenced"), 0),
        ] {
            for commits in [true, false] {
                let mut story = Story::transactional(LeftOpen);
                story.begins_transaction();
                story.coordinated(Coordinated::Opened);
                if ends_there {
                    story.coordinator_ends();
                }
                if commits {
                    story.commits(kind);
                } else {
                    story.aborts(kind);
                }
                assert_eq!(story.found().len(), expected, "{ends_there} {kind:?}");
            }
        }
    }

    #[test]
    fn open_transactions_beyond_the_producers_control_are_excused() {
        let faults = [
            fault(Fault::Hang { node: 0 }),
            fault(Fault::Rebuild),
            error(Api::EndTxn, None, None, INVALID_TXN_STATE, false),
            error(Api::EndTxn, None, None, 51, false),
        ];
        for (begins, expected) in [
            (Some(0), 0),
            (Some(1), 0),
            (Some(2), 0),
            (Some(3), 1),
            (None, 1),
        ] {
            let mut story = Story::of(LeftOpen, &transactional_scenario(&faults));
            story.initializes(0);
            story.begins_transaction();
            story.coordinated(Coordinated::Opened);
            if let Some(fault) = begins {
                story.begins(fault);
            }
            story.aborts(None);
            assert_eq!(story.found().len(), expected, "{begins:?}");
        }
    }

    #[test]
    fn an_open_transaction_of_another_unfenced_producer_is_excused() {
        for (is_before, expected) in [(true, 1), (false, 0)] {
            let mut story = Story::of(LeftOpen, &transactional_scenario(&[]));
            if is_before {
                story.initializes(1);
            }
            story.initializes(0);
            story.begins_transaction();
            if !is_before {
                story.initializes(1);
            }
            story.coordinated(Coordinated::Opened);
            story.commits(None);
            assert_eq!(story.found().len(), expected, "{is_before}");
        }
    }

    #[test]
    fn a_transaction_opened_after_all_were_reported_as_ended_is_caught_at_the_end() {
        for (have_all_ended, expected) in [(true, 1), (false, 0)] {
            let mut story = Story::transactional(LeftOpen);
            story.begins_transaction();
            story.aborts(None);
            if !have_all_ended {
                story.begins_transaction();
            }
            story.coordinated(Coordinated::Opened);
            assert_eq!(story.end().len(), expected, "{have_all_ended}");
        }
    }

    #[test]
    fn a_transaction_that_stays_open_after_a_failed_commit_and_an_abort_is_caught() {
        let mut story = Story::transactional(LeftOpen);
        story.begins_transaction();
        story.coordinated(Coordinated::Opened);
        story.commits(Some("Abortable"));
        assert_eq!(story.found().len(), 0);
        story.aborts(None);
        assert_eq!(story.found().len(), 1);
    }

    #[test]
    fn an_undecided_record_of_an_ended_transaction_is_caught() {
        for (marked, late, ends, expected) in [
            (true, false, true, 0),
            (false, false, true, 1),
            (false, true, true, 0),
            (false, false, false, 0),
        ] {
            let mut story = Story::transactional(LeftOpen);
            story.begins_transaction();
            story.send(0, "t", 0);
            if late {
                story.coordinator_ends();
            }
            story.append_in_transaction("t", 0, 0, &[0]);
            if marked {
                story.marker("t", 0, 1, false);
            }
            let call = story.call(Call::Abort { timeout: None });
            if ends {
                story.ends(call, Returned::Ok);
            }
            assert_eq!(story.end().len(), expected, "{marked} {late} {ends}");
        }
    }
}
