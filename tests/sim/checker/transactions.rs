//! Transactions as their applications see them, and their ends at the coordinators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_producer::internals::simulation::Coordinated;

use super::facts::{Facts, RecordFacts, producer_of};
use super::logs::{Batch, Fate, Marker, Stored};
use crate::events::{Call, CallId, Event, EventKind, ProducerIndex, Returned};
use crate::scenario::{Fault, Scenario};

/// All transactions of a run, by producer.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    producers: Vec<OfProducer>,
    /// By transactional id: the events at which the coordinator ended a transaction.
    ends: BTreeMap<String, Vec<(u64, Coordinated)>>,
    /// Transactional ids with an open transaction at the coordinator, and the event since which it is open.
    open: BTreeMap<String, u64>,
    calls: BTreeMap<CallId, TransactionalCallFacts>,
    /// Whether brokers refuse batches whose partition was not added to the transaction.
    are_verified: bool,
    /// Faults that replace the cluster.
    rebuilds: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct OfProducer {
    id: Option<String>,
    /// The event of the first call of `init_transactions`.
    first_asked: Option<u64>,
    /// The event at which `init_transactions` first returned success.
    initialized: Option<u64>,
    /// The event of the application's crash.
    crashed: Option<u64>,
    all: Vec<Transaction>,
}

#[derive(Debug)]
struct TransactionalCallFacts {
    producer: ProducerIndex,
    operation: Call,
    known_before: Option<KnownEnd>,
}

/// A transaction, from `begin_transaction` to the result of its end.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) producer: ProducerIndex,
    /// The event at which `begin_transaction` returned.
    pub(crate) began: u64,
    /// The event of the first call to end it.
    pub(crate) ending: Option<u64>,
    pub(crate) known_end: KnownEnd,
    /// Whether the end is known: later results do not change `told`.
    is_settled: bool,
    /// The event at which a commit or an abort returned success.
    pub(crate) ended: Option<u64>,
    pub(crate) offsets: Vec<OffsetsCall>,
}

/// The end of a transaction as reported to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownEnd {
    Committed,
    /// Aborted, refused to be committed, or no commit was requested.
    NotCommitted,
    InDoubt,
}

#[derive(Debug, Clone)]
pub(crate) struct OffsetsCall {
    pub(crate) group: String,
    pub(crate) offset: i64,
    pub(crate) partitions: Vec<(String, i32)>,
    /// Whether the call returned success.
    pub(crate) has_succeeded: bool,
}

impl Transaction {
    /// Whether a record was certainly sent in this transaction, by a call that began after the transaction's beginning
    /// and returned before its end.
    pub(crate) fn holds(&self, record: &RecordFacts) -> bool {
        let Some(accepted) = record.accepted else {
            return false;
        };
        record.producer == self.producer
            && record.offered.event > self.began
            && self.ending.is_none_or(|ending| accepted.event < ending)
    }

    pub(crate) fn records<'f>(
        &'f self,
        facts: &'f Facts,
    ) -> impl Iterator<Item = &'f RecordFacts> + 'f {
        facts.records().filter(|record| self.holds(record))
    }

    pub(crate) fn name(&self) -> String {
        format!(
            "the transaction of producer {} that began at event {}",
            self.producer, self.began
        )
    }
}

impl Transactions {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let ids = scenario.producers.iter();
        let ids = ids.map(|producer| producer.config.get("transactional.id").cloned());
        let producers = ids.map(|id| OfProducer {
            id,
            ..OfProducer::default()
        });
        let faults = scenario.faults.iter().enumerate();
        let rebuilds = faults.filter(|(_, timed)| matches!(timed.fault, Fault::Rebuild));
        Self {
            producers: producers.collect(),
            are_verified: scenario.brokers.verify_transactions,
            rebuilds: rebuilds.map(|(index, _)| index).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn id(&self, producer: ProducerIndex) -> Option<&str> {
        self.producers.get(producer)?.id.as_deref()
    }

    pub(crate) fn are_of_one_id(&self, one: ProducerIndex, other: ProducerIndex) -> bool {
        let id = self.id(one);
        id.is_some() && id == self.id(other)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Transaction> {
        self.producers.iter().flat_map(|producer| &producer.all)
    }

    /// The current or last transaction of a producer.
    pub(crate) fn last_of(&self, producer: ProducerIndex) -> Option<&Transaction> {
        self.producers.get(producer)?.all.last()
    }

    /// The event at which a producer was fenced: the first initialization of another producer with the same id that was
    /// requested after this producer was initialized.
    pub(crate) fn fenced(&self, producer: ProducerIndex) -> Option<u64> {
        let own = self.producers.get(producer)?;
        let initialized = own.initialized?;
        let successors = self.producers.iter().filter(|other| {
            other.id.is_some() && other.id == own.id && other.first_asked > Some(initialized)
        });
        successors.filter_map(|other| other.initialized).min()
    }

    /// The event since which the coordinator has an open transaction of an id; `None` if it has none.
    pub(crate) fn open_since(&self, id: &str) -> Option<u64> {
        self.open.get(id).copied()
    }

    /// The ids with an open transaction at the coordinator.
    pub(crate) fn open(&self) -> impl Iterator<Item = &str> {
        self.open.keys().map(String::as_str)
    }

    /// The last transaction of each producer with this id.
    pub(crate) fn last_with(&self, id: &str) -> impl Iterator<Item = &Transaction> {
        let own = self.producers.iter();
        let own = own.filter(move |producer| producer.id.as_deref() == Some(id));
        own.filter_map(|producer| producer.all.last())
    }

    /// Whether another producer may be using this one's id. Not counted are producers that were initialized, or had
    /// crashed, before this one called `init_transactions`: they are fenced.
    pub(crate) fn may_be_used_by_others(&self, producer: ProducerIndex) -> bool {
        let Some(own) = self.producers.get(producer) else {
            return false;
        };
        let is_before = |event: Option<u64>| event.is_some() && event < own.first_asked;
        let mut others = self.producers.iter().enumerate();
        others.any(|(index, other)| {
            index != producer
                && other.id == own.id
                && other.first_asked.is_some()
                && !is_before(other.initialized)
                && !is_before(other.crashed)
        })
    }

    /// Whether another producer with the same id has called `init_transactions`.
    pub(crate) fn has_rivals(&self, producer: ProducerIndex) -> bool {
        let own = self.id(producer);
        let mut others = self.producers.iter().enumerate();
        others.any(|(index, other)| {
            index != producer && other.id.as_deref() == own && other.first_asked.is_some()
        })
    }

    pub(super) fn see(&mut self, number: u64, event: &Event) {
        match &event.kind {
            EventKind::CallBegins { call, operation } if operation.is_transactional() => {
                if let Some(producer) = producer_of(event.who) {
                    let known_before = self.begins(number, producer, operation);
                    let open_call = TransactionalCallFacts {
                        producer,
                        operation: operation.clone(),
                        known_before,
                    };
                    self.calls.insert(*call, open_call);
                }
            }
            EventKind::CallEnds { call, returned } => {
                if let Some(open_call) = self.calls.remove(call) {
                    self.ended(number, &open_call, returned);
                }
            }
            EventKind::Coordinated {
                transactional_id,
                change,
                ..
            } => match change {
                Coordinated::Initialized => {}
                Coordinated::Opened => {
                    self.open.insert(transactional_id.clone(), number);
                }
                Coordinated::Committed
                | Coordinated::Aborted
                | Coordinated::TimedOut
                | Coordinated::Fenced => {
                    self.open.remove(transactional_id);
                    let ends = self.ends.entry(transactional_id.clone()).or_default();
                    ends.push((number, *change));
                }
            },
            EventKind::Crashed { producer, .. } => {
                if let Some(own) = self.producers.get_mut(*producer) {
                    own.crashed = own.crashed.or(Some(number));
                }
            }
            // The new cluster has no transactions.
            EventKind::FaultBegins { fault } if self.rebuilds.contains(fault) => self.open.clear(),
            _ => {}
        }
    }

    fn begins(
        &mut self,
        number: u64,
        producer: ProducerIndex,
        operation: &Call,
    ) -> Option<KnownEnd> {
        let own = self.producers.get_mut(producer)?;
        if let Call::InitTransactions { .. } = operation {
            own.first_asked = own.first_asked.or(Some(number));
        }
        let open = own.all.last_mut().filter(|last| !last.is_settled)?;
        let before = open.known_end;
        match operation {
            Call::Commit { .. } => {
                open.ending = open.ending.or(Some(number));
                open.known_end = KnownEnd::InDoubt;
            }
            Call::Abort { .. } => open.ending = open.ending.or(Some(number)),
            Call::SendOffsets {
                group,
                offset,
                partitions,
                ..
            } => open.offsets.push(OffsetsCall {
                group: group.clone(),
                offset: *offset,
                partitions: partitions.clone(),
                has_succeeded: false,
            }),
            _ => {}
        }
        Some(before)
    }

    fn ended(&mut self, number: u64, call: &TransactionalCallFacts, returned: &Returned) {
        let Some(own) = self.producers.get_mut(call.producer) else {
            return;
        };
        match (&call.operation, returned) {
            (Call::InitTransactions { .. }, Returned::Ok) => {
                own.initialized = own.initialized.or(Some(number));
            }
            (Call::BeginTransaction, Returned::Ok) => own.all.push(Transaction {
                producer: call.producer,
                began: number,
                ending: None,
                known_end: KnownEnd::NotCommitted,
                is_settled: false,
                ended: None,
                offsets: Vec::new(),
            }),
            (Call::Commit { .. } | Call::Abort { .. }, Returned::Ok) => {
                if let Some(last) = own.all.last_mut() {
                    last.ended = last.ended.or(Some(number));
                }
            }
            _ => {}
        }
        let Some(open) = own.all.last_mut().filter(|last| !last.is_settled) else {
            return;
        };
        let kind = returned.kind();
        match &call.operation {
            Call::Commit { .. } => match kind {
                None => (open.known_end, open.is_settled) = (KnownEnd::Committed, true),
                Some("TimedOut") => {}
                Some("WrongState" | "Misuse") => {
                    if let Some(before) = call.known_before {
                        open.known_end = before;
                    }
                }
                Some(_) => {
                    open.known_end = if returned.may_be_committed() {
                        KnownEnd::InDoubt
                    } else {
                        KnownEnd::NotCommitted
                    };
                    open.is_settled = true;
                }
            },
            Call::Abort { .. } if kind.is_none() => open.is_settled = true,
            Call::SendOffsets { offset, .. } if kind.is_none() => {
                let calls = open.offsets.iter_mut();
                for call in calls.filter(|call| call.offset == *offset) {
                    call.has_succeeded = true;
                }
            }
            _ => {}
        }
    }

    /// Whether the coordinator has ended a transaction of this id between two events.
    fn ended_between(&self, id: &str, from: u64, to: u64) -> bool {
        let ends = self.ends.get(id);
        ends.is_some_and(|ends| ends.iter().any(|(end, _)| (from..to).contains(end)))
    }
}

/// A place in a log at which a record can be read.
pub(crate) struct Seen<'f> {
    pub(crate) batch: &'f Batch,
    /// The marker of its transaction.
    pub(crate) marker: Option<Marker>,
}

/// Places at which a `read_committed` consumer sees a record.
pub(crate) fn seen<'f>(
    facts: &'f Facts,
    record: &'f RecordFacts,
) -> impl Iterator<Item = Seen<'f>> {
    let there = |copy: &&Stored| facts.logs.is_there(**copy);
    record.copies.iter().filter(there).filter_map(|copy| {
        let batch = &facts.logs.batches[copy.batch];
        match facts.logs.fate(batch) {
            Fate::Plain => Some(Seen {
                batch,
                marker: None,
            }),
            Fate::Ended(marker) if marker.committed => Some(Seen {
                batch,
                marker: Some(marker),
            }),
            Fate::Open | Fate::Ended(_) => None,
        }
    })
}

/// Whether brokers have lost the record or the state of its producer, so that nothing is promised.
pub(crate) fn is_lost(facts: &Facts, record: &RecordFacts) -> bool {
    record.copies.iter().any(|copy| {
        let log = facts.logs.batches[copy.batch].log;
        facts.logs.has_lost(log)
            || facts.lost_state_between(&record.topic_name, log, 0, facts.event)
    })
}

/// Whether nothing is promised of a transaction, without its producer being at fault:
/// - after it had begun, its state was lost with the whole cluster;
/// - the coordinator ended it before its end was requested, and a fault has delayed requests: a request to end the
///   previous transaction, which was repeated meanwhile, arrived late. Brokers can tell the two transactions apart only
///   by their epochs, which the producer bumps after a request without a response, if brokers support that (from 2.5
///   on). Even then an InitProducerId that arrives late aborts the open transaction.
pub(crate) fn is_beyond_promise(facts: &Facts, transaction: &Transaction) -> bool {
    let is_lost = facts.faults.begun().any(|fault| {
        let since = fault
            .begun
            .is_some_and(|(_, event)| event > transaction.began);
        matches!(fault.fault, Fault::Rebuild) && since
    });
    let known = &facts.transactions;
    let ends = known
        .id(transaction.producer)
        .and_then(|id| known.ends.get(id));
    let is_unasked = |(event, change): &(u64, Coordinated)| {
        matches!(change, Coordinated::Committed | Coordinated::Aborted)
            && *event > transaction.began
            && transaction.ending.is_none_or(|ending| *event < ending)
    };
    let comes_late = |(event, change): &(u64, Coordinated)| {
        is_unasked(&(*event, *change)) && has_held_back(facts, transaction.producer, *event)
    };
    is_lost || ends.is_some_and(|ends| ends.iter().any(comes_late))
}

/// Whether a fault that began before the event `by` has delayed requests of a producer, so that a repeated request may
/// arrive late. Late responses have this effect too, since brokers process the requests of a connection one after the
/// other.
///
/// Throttling also has this effect: brokers do not read from a throttled connection. But clients add the throttle time
/// to their wait, so a delayed request is repeated only if the connection broke meanwhile, or was given up because the
/// response with the throttle time was itself delayed for longer than `request.timeout.ms`, as brokers before 2.0 do
/// (KIP-219).
pub(crate) fn has_held_back(facts: &Facts, producer: ProducerIndex, by: u64) -> bool {
    let begun = || {
        let begun = facts.faults.begun();
        begun.filter(|it| it.begun.is_some_and(|(_, event)| event <= by))
    };
    let is_given_up = |ms: u64| {
        let own = facts.producers.get(producer);
        own.is_none_or(|own| {
            own.settings.request_timeout <= Duration::from_millis(ms)
                || facts.is_hasty(&own.settings)
        }) || begun().any(|it| breaks_connections(&it.fault))
    };
    begun().any(|it| match it.fault {
        Fault::Silence { .. }
        | Fault::BlackHole { .. }
        | Fault::Hang { .. }
        | Fault::Slow { .. }
        | Fault::Late { .. } => true,
        Fault::Throttle { ms, .. } => is_given_up(ms),
        _ => false,
    })
}

fn breaks_connections(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Cut { .. }
            | Fault::Refuse { .. }
            | Fault::WrongCertificate { .. }
            | Fault::NoTls { .. }
            | Fault::CutHandshake { .. }
            | Fault::Down { .. }
            | Fault::Rebuild
            | Fault::MoveBrokers
            | Fault::Lose { .. }
            | Fault::Versions { .. }
    )
}

/// Whether a batch was written after the coordinator had ended its transaction. Brokers before 3.6, and later ones
/// without verification, take it as the beginning of the producer's next transaction (KAFKA-14402, KIP-890), which a
/// producer cannot prevent.
pub(crate) fn is_late(facts: &Facts, transaction: &Transaction, batch: &Batch) -> bool {
    let known = &facts.transactions;
    let id = known
        .id(transaction.producer)
        .filter(|_| !known.are_verified);
    id.is_some_and(|id| known.ended_between(id, transaction.began, batch.written))
}

/// Whether a fault may have made a broker acknowledge a record that it did not write.
pub(crate) fn is_lied_about(facts: &Facts, record: &RecordFacts) -> bool {
    facts.faults.may_have_called_duplicate(record)
}
