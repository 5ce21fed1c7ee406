//! What applications were told of their transactions, and when coordinators ended them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_producer::internals::simulation::Coordinated;

use super::facts::{Facts, RecordFacts, producer_of};
use super::logs::{Batch, Fate, Marker, Stored};
use crate::events::{Call, CallId, Event, ProducerIndex, Returned, What};
use crate::scenario::{Fault, Scenario};

/// All transactions of a run, by producer.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    producers: Vec<OfProducer>,
    /// When the coordinator ended those of an id.
    ends: BTreeMap<String, Vec<(u64, Coordinated)>>,
    /// The ids of which the coordinator has an open transaction, and since which event.
    open: BTreeMap<String, u64>,
    calls: BTreeMap<CallId, Begun>,
    /// Brokers refuse batches whose partition was not added.
    are_verified: bool,
    /// The faults after which another cluster answers.
    rebuilds: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct OfProducer {
    id: Option<String>,
    /// When `init_transactions` was called first, and when it returned.
    first_asked: Option<u64>,
    initialized: Option<u64>,
    crashed: Option<u64>,
    all: Vec<Transaction>,
}

#[derive(Debug)]
struct Begun {
    producer: ProducerIndex,
    what: Call,
    told_before: Option<Told>,
}

/// From `begin_transaction` to what the application was told of its end.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) producer: ProducerIndex,
    /// The event at which `begin_transaction` returned.
    pub(crate) begun: u64,
    /// That at which its end was asked for first.
    pub(crate) ending: Option<u64>,
    pub(crate) told: Told,
    /// Nothing that is said later changes that.
    is_settled: bool,
    /// The event at which the call returned, without an error, that ended it.
    pub(crate) ended: Option<u64>,
    pub(crate) offsets: Vec<OffsetsCall>,
}

/// What the application knows of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Committed,
    /// Also while nobody has asked for it.
    NotCommitted,
    InDoubt,
}

#[derive(Debug, Clone)]
pub(crate) struct OffsetsCall {
    pub(crate) group: String,
    pub(crate) offset: i64,
    pub(crate) partitions: Vec<(String, i32)>,
    /// It returned without an error.
    pub(crate) is_taken: bool,
}

impl Transaction {
    /// Whether a record was certainly sent in it: by a call that began after it and ended before its end.
    pub(crate) fn holds(&self, record: &RecordFacts) -> bool {
        let Some(taken) = record.taken else {
            return false;
        };
        record.producer == self.producer
            && record.offered.event > self.begun
            && self.ending.is_none_or(|ending| taken.event < ending)
    }

    pub(crate) fn records<'f>(
        &'f self,
        facts: &'f Facts,
    ) -> impl Iterator<Item = &'f RecordFacts> + 'f {
        facts.records().filter(|record| self.holds(record))
    }

    pub(crate) fn name(&self) -> String {
        format!(
            "the transaction of producer {} that was begun with event {}",
            self.producer, self.begun
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

    /// The present transaction of a producer, or its last.
    pub(crate) fn last_of(&self, producer: ProducerIndex) -> Option<&Transaction> {
        self.producers.get(producer)?.all.last()
    }

    /// When another producer of the same id was initialized that began to after this one had been: from then on this
    /// one is fenced.
    pub(crate) fn fenced(&self, producer: ProducerIndex) -> Option<u64> {
        let own = self.producers.get(producer)?;
        let initialized = own.initialized?;
        let successors = self.producers.iter().filter(|other| {
            other.id.is_some() && other.id == own.id && other.first_asked > Some(initialized)
        });
        successors.filter_map(|other| other.initialized).min()
    }

    /// Since when the coordinator has an open transaction of an id.
    pub(crate) fn open_since(&self, id: &str) -> Option<u64> {
        self.open.get(id).copied()
    }

    /// The ids of which the coordinator has an open transaction.
    pub(crate) fn open(&self) -> impl Iterator<Item = &str> {
        self.open.keys().map(String::as_str)
    }

    /// The last transactions of all producers with an id.
    pub(crate) fn last_with(&self, id: &str) -> impl Iterator<Item = &Transaction> {
        let own = self.producers.iter();
        let own = own.filter(move |producer| producer.id.as_deref() == Some(id));
        own.filter_map(|producer| producer.all.last())
    }

    /// Whether another producer may do something with the id of this one: any but those that were initialized, or had
    /// crashed, before this one asked to be, which are fenced.
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

    /// Whether another producer has the same id and was initialized, or asked to be.
    pub(crate) fn has_rivals(&self, producer: ProducerIndex) -> bool {
        let own = self.id(producer);
        let mut others = self.producers.iter().enumerate();
        others.any(|(index, other)| {
            index != producer && other.id.as_deref() == own && other.first_asked.is_some()
        })
    }

    pub(super) fn see(&mut self, number: u64, event: &Event) {
        match &event.what {
            What::CallBegins { call, what } if what.is_transactional() => {
                if let Some(producer) = producer_of(event.who) {
                    let told_before = self.begins(number, producer, what);
                    let begun = Begun {
                        producer,
                        what: what.clone(),
                        told_before,
                    };
                    self.calls.insert(*call, begun);
                }
            }
            What::CallEnds { call, returned } => {
                if let Some(begun) = self.calls.remove(call) {
                    self.ended(number, &begun, returned);
                }
            }
            What::Coordinated {
                transactional_id,
                did,
                ..
            } => match did {
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
                    ends.push((number, *did));
                }
            },
            What::Crashed { producer, .. } => {
                if let Some(own) = self.producers.get_mut(*producer) {
                    own.crashed = own.crashed.or(Some(number));
                }
            }
            // Another cluster knows of no transaction.
            What::FaultBegins { fault } if self.rebuilds.contains(fault) => self.open.clear(),
            _ => {}
        }
    }

    fn begins(&mut self, number: u64, producer: ProducerIndex, what: &Call) -> Option<Told> {
        let own = self.producers.get_mut(producer)?;
        if let Call::InitTransactions { .. } = what {
            own.first_asked = own.first_asked.or(Some(number));
        }
        let open = own.all.last_mut().filter(|last| !last.is_settled)?;
        let before = open.told;
        match what {
            Call::Commit { .. } => {
                open.ending = open.ending.or(Some(number));
                open.told = Told::InDoubt;
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
                is_taken: false,
            }),
            _ => {}
        }
        Some(before)
    }

    fn ended(&mut self, number: u64, begun: &Begun, returned: &Returned) {
        let Some(own) = self.producers.get_mut(begun.producer) else {
            return;
        };
        match (&begun.what, returned) {
            (Call::InitTransactions { .. }, Returned::Ok) => {
                own.initialized = own.initialized.or(Some(number));
            }
            (Call::BeginTransaction, Returned::Ok) => own.all.push(Transaction {
                producer: begun.producer,
                begun: number,
                ending: None,
                told: Told::NotCommitted,
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
        match &begun.what {
            Call::Commit { .. } => match kind {
                None => (open.told, open.is_settled) = (Told::Committed, true),
                Some("TimedOut") => {}
                Some("WrongState" | "Misuse") => {
                    if let Some(before) = begun.told_before {
                        open.told = before;
                    }
                }
                Some(_) => {
                    open.told = if returned.may_be_committed() {
                        Told::InDoubt
                    } else {
                        Told::NotCommitted
                    };
                    open.is_settled = true;
                }
            },
            Call::Abort { .. } if kind.is_none() => open.is_settled = true,
            Call::SendOffsets { offset, .. } if kind.is_none() => {
                let calls = open.offsets.iter_mut();
                for call in calls.filter(|call| call.offset == *offset) {
                    call.is_taken = true;
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
    /// The end of its transaction.
    pub(crate) marker: Option<Marker>,
}

/// Where a consumer sees a record that reads what is committed.
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

/// Whether brokers have lost what they had of a record, or what they knew of its producer: then nothing is promised.
pub(crate) fn is_lost(facts: &Facts, record: &RecordFacts) -> bool {
    record.copies.iter().any(|copy| {
        let log = facts.logs.batches[copy.batch].log;
        facts.logs.has_lost(log)
            || facts.lost_state_between(&record.topic_name, log, 0, facts.event)
    })
}

/// Whether nothing is promised of a transaction, by no fault of its producer's:
/// - all that is known of transactions was lost after it was begun, with the cluster;
/// - the coordinator ended it before anybody asked for that, and a fault has held requests back: one to end the transaction
///   before, that was made again meanwhile, came late. Only epochs of their own tell transactions apart (KIP-890, from
///   `transaction.version` 2 on).
pub(crate) fn is_beyond_promise(facts: &Facts, transaction: &Transaction) -> bool {
    let is_lost = facts.faults.begun().any(|begun| {
        let since = begun
            .begun
            .is_some_and(|(_, event)| event > transaction.begun);
        matches!(begun.fault, Fault::Rebuild) && since
    });
    let known = &facts.transactions;
    let ends = known
        .id(transaction.producer)
        .and_then(|id| known.ends.get(id));
    let is_unasked = |(event, did): &(u64, Coordinated)| {
        matches!(did, Coordinated::Committed | Coordinated::Aborted)
            && *event > transaction.begun
            && transaction.ending.is_none_or(|ending| *event < ending)
    };
    let comes_late = |(event, did): &(u64, Coordinated)| {
        is_unasked(&(*event, *did)) && has_held_back(facts, transaction.producer, *event)
    };
    is_lost || ends.is_some_and(|ends| ends.iter().any(comes_late))
}

/// Whether a fault had held requests of a producer back by an event, so that one which was made again meanwhile may come
/// late. Late answers do, as brokers look at the requests of a connection one after the other.
///
/// So does throttling: brokers do not read from a connection that is to wait. But clients give it that time, so what is held
/// back is made again only if the connection broke meanwhile, or was given up because the answer that tells of the
/// throttling was itself held back for longer than `request.timeout.ms`, as brokers before 2.0 do (KIP-219).
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

/// Whether a batch came to its log after the coordinator had ended its transaction. Brokers before 3.6, and those that
/// do not verify, take it as the beginning of the producer's next one (KAFKA-14402, KIP-890): it is up to them.
pub(crate) fn is_late(facts: &Facts, transaction: &Transaction, batch: &Batch) -> bool {
    let known = &facts.transactions;
    let id = known
        .id(transaction.producer)
        .filter(|_| !known.are_verified);
    id.is_some_and(|id| known.ended_between(id, transaction.begun, batch.written))
}

/// Whether a broker may have been told to call a record written that is not.
pub(crate) fn is_lied_about(facts: &Facts, record: &RecordFacts) -> bool {
    facts.faults.may_have_called_duplicate(record)
}
