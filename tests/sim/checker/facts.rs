//! Facts: the state of the run as derived from its events, shared by all rules.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::faults::Faults;
use super::glance::Glance;
use super::logs::{Batch, LogId, Logs, Marker, Stored, TopicId};
use super::settings::Settings;
use super::transactions::Transactions;
use crate::events::{Call, CallId, Event, EventKind, Outcome, ProducerIndex, RecordId, Who};
use crate::scenario::{self, Scenario};

/// Upper limit on record numbers, above those of any run: a batch in a log may hold bytes that are no valid record
/// number.
const RECORDS_AT_MOST: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) producers: Vec<ProducerFacts>,
    pub(crate) faults: Faults,
    pub(crate) logs: Logs,
    /// Calls in progress.
    pub(crate) open_calls: BTreeMap<CallId, CallFacts>,
    /// The call that the current event has ended.
    pub(crate) ended_call: Option<CallFacts>,
    /// Number of the current event.
    pub(crate) event: u64,
    pub(crate) now: Duration,
    /// Simulated time spent in user code, all threads together: a run has one thread, so everything waits for user
    /// code.
    pub(crate) user_time: Duration,
    /// The producer that writes with each producer id; `None` if several do.
    pub(crate) owners: BTreeMap<i64, Option<ProducerIndex>>,
    pub(crate) network: NetworkFacts,
    /// The longest time for packing a batch, all steps together.
    pub(crate) packing: Duration,
    pub(crate) transactions: Transactions,
    /// Whether the brokers support transactions.
    pub(crate) knows_transactions: bool,
    /// Whether the run reports when futures complete.
    futures_are_looked_at: bool,
    records: Vec<Option<RecordFacts>>,
    topics: BTreeMap<Rc<str>, TopicId>,
    names: Vec<Rc<str>>,
    /// Truncated logs, each with the number of the event that truncated it.
    truncations: Vec<(LogId, u64)>,
}

/// Network properties without faults.
#[derive(Debug)]
pub(crate) struct NetworkFacts {
    /// A generous upper bound on the time of a response, connecting included.
    pub(crate) slowest_answer: Duration,
}

impl NetworkFacts {
    fn of(network: &scenario::Network) -> Self {
        const LARGEST_FRAME: usize = 1_200_000;
        let pieces = 1 + LARGEST_FRAME / network.capacity.max(1);
        let journeys = 20 * u64::try_from(pieces).unwrap_or(u64::MAX);
        let micros = network
            .latency_us
            .saturating_mul(journeys)
            .saturating_add(network.connect_us.saturating_mul(4));
        Self {
            slowest_answer: Duration::from_micros(micros) + Duration::from_millis(100),
        }
    }
}

#[derive(Debug)]
pub(crate) struct ProducerFacts {
    pub(crate) settings: Settings,
    pub(crate) accepted: u64,
    /// Time at which the first close or drop began.
    pub(crate) closing: Option<Duration>,
    /// The moment of the application's crash; `None` if it has not crashed.
    pub(crate) crashed: Option<Moment>,
    /// Number of futures that user code has read. No event tells which futures these are.
    pub(crate) unidentified_reads: u64,
}

/// State of an offered record.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "much of it is yes or no")]
pub(crate) struct RecordFacts {
    pub(crate) id: RecordId,
    pub(crate) who: Who,
    pub(crate) producer: ProducerIndex,
    pub(crate) topic: TopicId,
    pub(crate) topic_name: Rc<str>,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) contents: u64,
    pub(crate) size: usize,
    pub(crate) has_callback: bool,
    pub(crate) inside: bool,
    pub(crate) offered: Moment,
    pub(crate) accepted: Option<Moment>,
    pub(crate) refused: Option<u64>,
    /// The first outcome that was reported.
    pub(crate) outcome: Option<Outcome>,
    /// Time at which the record was first seen complete.
    pub(crate) done: Option<Duration>,
    pub(crate) callback_runs: u32,
    pub(crate) callback_dropped: bool,
    pub(crate) future_dropped: bool,
    pub(crate) copies: Vec<Stored>,
}

impl RecordFacts {
    /// Whether a callback or a future reports the outcome, at the latest at the end of the run.
    pub(crate) fn has_observer(&self) -> bool {
        self.has_callback || !self.future_dropped
    }
}

/// A point in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) event: u64,
    /// Time spent in user code up to this point.
    pub(crate) user_time: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallFacts {
    pub(crate) id: CallId,
    pub(crate) producer: Option<ProducerIndex>,
    pub(crate) who: Who,
    pub(crate) operation: Call,
    pub(crate) began: Moment,
}

impl Facts {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let producers = scenario.producers.iter().map(|producer| ProducerFacts {
            settings: Settings::of(producer),
            accepted: 0,
            closing: None,
            crashed: None,
            unidentified_reads: 0,
        });
        Self {
            producers: producers.collect(),
            faults: Faults::new(&scenario.faults),
            logs: Logs::default(),
            open_calls: BTreeMap::new(),
            ended_call: None,
            event: 0,
            now: Duration::ZERO,
            user_time: Duration::ZERO,
            owners: BTreeMap::new(),
            network: NetworkFacts::of(&scenario.network),
            packing: Duration::from_micros(scenario.packing_us.saturating_mul(5)),
            transactions: Transactions::of(scenario),
            knows_transactions: !scenario.brokers.release.starts_with("V0_10"),
            futures_are_looked_at: false,
            records: Vec::new(),
            topics: BTreeMap::new(),
            names: Vec::new(),
            truncations: Vec::new(),
        }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment {
            at: self.now,
            event: self.event,
            user_time: self.user_time,
        }
    }

    /// Time since `moment`, without the time that user code has taken.
    pub(crate) fn since(&self, moment: Moment) -> Duration {
        let user = self.user_time.saturating_sub(moment.user_time);
        self.now.saturating_sub(moment.at).saturating_sub(user)
    }

    pub(crate) fn record(&self, id: RecordId) -> Option<&RecordFacts> {
        self.records.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    /// Whether the completion of the record is noticed soon.
    pub(crate) fn is_watched(&self, record: &RecordFacts) -> bool {
        let has_unidentified_reads = || {
            self.producers
                .get(record.producer)
                .is_some_and(|producer| producer.unidentified_reads > 0)
        };
        record.has_callback
            || self.futures_are_looked_at && !record.future_dropped && !has_unidentified_reads()
    }

    fn record_mut(&mut self, id: RecordId) -> Option<&mut RecordFacts> {
        self.records.get_mut(usize::try_from(id.0).ok()?)?.as_mut()
    }

    /// All offered records, in the order of their numbers.
    pub(crate) fn records(&self) -> impl Iterator<Item = &RecordFacts> {
        self.records.iter().flatten()
    }

    pub(crate) fn settings(&self, record: &RecordFacts) -> Option<&Settings> {
        Some(&self.producers.get(record.producer)?.settings)
    }

    pub(crate) fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topics.get(name).copied()
    }

    /// Whether the record's application has crashed, so that its outcome is not reported.
    pub(crate) fn is_of_crashed(&self, record: &RecordFacts) -> bool {
        let producer = self.producers.get(record.producer);
        producer.is_some_and(|producer| producer.crashed.is_some())
    }

    /// Records whose send calls have not returned. Such a record may be complete already: its batch may be sent while
    /// the thread still packs this batch or another one.
    pub(crate) fn sends_in_progress(
        &self,
        producer: ProducerIndex,
    ) -> impl Iterator<Item = RecordId> {
        let calls = self.open_calls.values();
        let calls = calls.filter(move |call| call.producer == Some(producer));
        calls.filter_map(|call| match call.operation {
            Call::Send(record) | Call::TrySend(record) => Some(record),
            _ => None,
        })
    }

    /// Whether several producers have written with a producer id.
    pub(crate) fn is_shared(&self, producer_id: i64) -> bool {
        matches!(self.owners.get(&producer_id), Some(None))
    }

    /// Whether brokers lost the producer state of a log between two events, by themselves or by a truncation.
    pub(crate) fn lost_state_between(&self, topic: &str, log: LogId, from: u64, to: u64) -> bool {
        let is_between = |(cut, event): &(LogId, u64)| *cut == log && (from..=to).contains(event);
        self.truncations.iter().any(is_between)
            || self.faults.was_forgotten(topic, log.partition, from, to)
    }

    /// Whether the producer may give up a healthy connection: its time-outs are shorter than the time that a response
    /// may take, including user code that runs meanwhile.
    pub(crate) fn is_hasty(&self, settings: &Settings) -> bool {
        let slowest = self.network.slowest_answer.saturating_add(self.user_time);
        settings.request_timeout < slowest
            || settings.connections_idle.is_some_and(|idle| idle < slowest)
    }

    pub(crate) fn topic_name(&self, topic: TopicId) -> &str {
        self.names.get(topic.0).map_or("?", |name| name)
    }

    pub(crate) fn topic(&mut self, name: &str) -> (TopicId, Rc<str>) {
        if let Some((name, id)) = self.topics.get_key_value(name) {
            return (*id, Rc::clone(name));
        }
        let name: Rc<str> = name.into();
        let id = TopicId(self.topics.len());
        self.topics.insert(Rc::clone(&name), id);
        self.names.push(Rc::clone(&name));
        (id, name)
    }

    pub(crate) fn see(&mut self, event: &Event) {
        self.event += 1;
        self.now = event.at;
        self.ended_call = None;
        self.transactions.see(self.event, event);
        match &event.kind {
            EventKind::CallBegins { call, operation } => {
                self.call_begins(event.who, *call, operation);
            }
            EventKind::CallEnds { call, .. } => self.ended_call = self.open_calls.remove(call),
            EventKind::RecordOffered { .. } => self.offered(event),
            EventKind::RecordAccepted { record } => self.accepted(*record),
            EventKind::RecordRefused { record, .. } => {
                let event = self.event;
                if let Some(record) = self.record_mut(*record) {
                    record.refused = record.refused.or(Some(event));
                }
            }
            EventKind::FutureReported { record, outcome } => self.reported(*record, outcome),
            EventKind::CallbackRan { record, outcome } => {
                self.reported(*record, outcome);
                if let Some(record) = self.record_mut(*record) {
                    record.callback_runs += 1;
                }
            }
            EventKind::CallbackDropped { record } => {
                if let Some(record) = self.record_mut(*record) {
                    record.callback_dropped = true;
                }
            }
            EventKind::UserCode { piece, act } => self.user_code(event.who, piece, act),
            EventKind::Appended { .. } => self.appended(event),
            EventKind::Truncated {
                topic,
                incarnation,
                partition,
                from_offset,
            } => {
                let log = LogId {
                    topic: self.topic(topic).0,
                    incarnation: *incarnation,
                    partition: *partition,
                };
                self.logs.truncate(log, *from_offset);
                self.truncations.push((log, self.event));
            }
            EventKind::Marker {
                topic,
                incarnation,
                partition,
                offset,
                producer_id,
                committed,
                ..
            } => {
                let log = LogId {
                    topic: self.topic(topic).0,
                    incarnation: *incarnation,
                    partition: *partition,
                };
                let marker = Marker {
                    offset: *offset,
                    producer_id: *producer_id,
                    committed: *committed,
                    written: self.event,
                };
                self.logs.mark(log, marker);
            }
            EventKind::Crashed { producer, .. } => {
                let moment = self.moment();
                if let Some(producer) = self.producers.get_mut(*producer) {
                    producer.crashed = Some(moment);
                }
                let producer = Some(*producer);
                self.open_calls.retain(|_, call| call.producer != producer);
            }
            EventKind::TopicGone { topic, incarnation } => {
                let topic = self.topic(topic).0;
                self.logs.remove(topic, *incarnation);
            }
            EventKind::FaultBegins { fault } => self.faults.begins(*fault, event.at, self.event),
            EventKind::FaultEnds { fault } => self.faults.ends(*fault, event.at, self.event),
            EventKind::Healed => self.faults.heals(event.at, self.event),
            EventKind::CallWaits { .. }
            | EventKind::Duplicate { .. }
            | EventKind::Request { .. }
            | EventKind::Handshake { .. }
            | EventKind::LogLine { .. }
            | EventKind::SenderStep { .. }
            | EventKind::SenderEnded
            | EventKind::Intercepted { .. }
            | EventKind::Reported { .. }
            | EventKind::OffsetsCommitted { .. }
            | EventKind::Coordinated { .. }
            | EventKind::Stuck { .. } => {}
        }
    }

    pub(crate) fn step(&mut self, glance: &Glance) {
        self.now = self.now.max(glance.at);
        self.ended_call = None;
        self.futures_are_looked_at |= glance.done.is_some();
        for record in glance.done.iter().flatten() {
            let now = self.now;
            if let Some(record) = self.record_mut(*record) {
                record.done = record.done.or(Some(now));
            }
        }
    }

    fn call_begins(&mut self, who: Who, id: CallId, operation: &Call) {
        let record = match operation {
            Call::Send(record)
            | Call::TrySend(record)
            | Call::Get { record, .. }
            | Call::Await { record } => Some(*record),
            Call::DropFuture { record } => {
                if let Some(record) = self.record_mut(*record) {
                    record.future_dropped = true;
                }
                Some(*record)
            }
            _ => None,
        };
        let of_record = record
            .and_then(|record| self.record(record))
            .map(|record| record.producer);
        let producer = of_record.or_else(|| producer_of(who));
        if matches!(operation, Call::Close { .. } | Call::DropProducer) {
            let now = self.now;
            if let Some(facts) = producer.and_then(|producer| self.producers.get_mut(producer)) {
                facts.closing = facts.closing.or(Some(now));
            }
        }
        let facts = CallFacts {
            id,
            producer,
            who,
            operation: operation.clone(),
            began: self.moment(),
        };
        self.open_calls.insert(id, facts);
    }

    fn user_code(&mut self, who: Who, piece: &str, act: &str) {
        self.user_time += taken_by(act);
        // The logger is attributed to the first producer, whichever wrote the line.
        let producer = if piece == "logger" {
            Some(0)
        } else {
            producer_of(who)
        };
        let Some(producer) = producer else {
            return;
        };
        match act {
            "DropsFutures" => {
                let kept = self.records.iter_mut().flatten();
                for record in kept.filter(|record| record.producer == producer) {
                    record.future_dropped |= record.accepted.is_some();
                }
            }
            "Gets" => {
                if let Some(producer) = self.producers.get_mut(producer) {
                    producer.unidentified_reads += 1;
                }
            }
            _ => {}
        }
    }

    fn offered(&mut self, event: &Event) {
        let EventKind::RecordOffered {
            record: id,
            producer,
            topic,
            partition,
            timestamp,
            contents,
            size,
            has_callback,
            inside,
            ..
        } = &event.kind
        else {
            return;
        };
        if id.0 >= RECORDS_AT_MOST {
            return;
        }
        let (topic, topic_name) = self.topic(topic);
        let facts = RecordFacts {
            id: *id,
            who: event.who,
            producer: *producer,
            topic,
            topic_name,
            partition: *partition,
            timestamp: *timestamp,
            contents: *contents,
            size: *size,
            has_callback: *has_callback,
            inside: *inside,
            offered: self.moment(),
            accepted: None,
            refused: None,
            outcome: None,
            done: None,
            callback_runs: 0,
            callback_dropped: false,
            future_dropped: false,
            copies: Vec::new(),
        };
        let place = id.0 as usize;
        if self.records.len() <= place {
            self.records.resize_with(place + 1, || None);
        }
        self.records[place] = Some(facts);
    }

    fn accepted(&mut self, id: RecordId) {
        let moment = self.moment();
        let Some(record) = self.record_mut(id) else {
            return;
        };
        if record.accepted.is_some() {
            return;
        }
        record.accepted = Some(moment);
        let producer = record.producer;
        if let Some(producer) = self.producers.get_mut(producer) {
            producer.accepted += 1;
        }
    }

    fn reported(&mut self, id: RecordId, outcome: &Outcome) {
        if !is_final(outcome) {
            return;
        }
        let now = self.now;
        if let Some(record) = self.record_mut(id) {
            record.done = record.done.or(Some(now));
            if record.outcome.is_none() {
                record.outcome = Some(outcome.clone());
            }
        }
    }

    fn appended(&mut self, event: &Event) {
        let EventKind::Appended {
            topic,
            incarnation,
            partition,
            base_offset,
            records,
            producer_id,
            epoch,
            sequence,
            transactional,
            digest,
            ..
        } = &event.kind
        else {
            return;
        };
        let topic = self.topic(topic).0;
        let log = LogId {
            topic,
            incarnation: *incarnation,
            partition: *partition,
        };
        let producer = (*producer_id, *epoch, *sequence);
        let batch = Batch::new(
            log,
            *base_offset,
            records,
            producer,
            *transactional,
            *digest,
            self.event,
        );
        let place = self.logs.append(batch);
        for (offset, id) in (*base_offset..).zip(records) {
            let Some(record) = self.record_mut(*id) else {
                continue;
            };
            record.copies.push(Stored {
                batch: place,
                offset,
            });
            if *producer_id >= 0 {
                let owner = record.producer;
                let known = self.owners.entry(*producer_id).or_insert(Some(owner));
                // Successive producers with one transactional id share their producer id.
                let is_one = known.is_some_and(|known| {
                    known == owner || self.transactions.are_of_one_id(known, owner)
                });
                if !is_one {
                    *known = None;
                }
            }
        }
    }
}

/// The producer to which a source of events belongs; `None` for a broker and for the world.
pub(crate) fn producer_of(who: Who) -> Option<ProducerIndex> {
    match who {
        Who::Thread { producer, .. } | Who::Sender(producer) => Some(producer),
        Who::Broker(_) | Who::World => None,
    }
}

/// Whether an outcome is the record's own. An error because `get` timed out, or was refused in a callback, is not the
/// outcome of the record.
pub(crate) fn is_final(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Acknowledged { .. } => true,
        Outcome::Failed(failure) => !matches!(&*failure.kind, "Pending" | "Misuse"),
    }
}

/// Simulated time that an act of user code takes.
fn taken_by(act: &str) -> Duration {
    let millis = act
        .strip_prefix("TakesMs(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|millis| millis.parse().ok());
    Duration::from_millis(millis.unwrap_or(0))
}
