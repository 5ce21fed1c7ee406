//! Hand-made runs for the tests of rules: a single rule sees their events.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_producer::ProducerSnapshot;
use kafka_producer::internals::simulation::Coordinated;

use super::{Checker, Glance, Moment, ProducerGlance, Rule};
use crate::events::{
    Call, CallId, Event, EventKind, Failure, Outcome, ProducerIndex, RecordId, Returned, Who,
};
use crate::scenario::{
    Api, Begins, Behaviour, Brokers, Fault, Network, Plugins, Producer, Scenario, TimedFault, Topic,
};

/// A scenario with two producers of the same settings, topics "t" and "u" with two partitions each, and a fast network.
pub(crate) fn scenario(keys: &[(&str, &str)], faults: &[TimedFault]) -> Scenario {
    let config: BTreeMap<_, _> = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let producer = Producer {
        config,
        plugins: Plugins::default(),
        threads: Vec::new(),
        begins: Begins::First,
        crashes: None,
    };
    let topic = |name: &str| Topic {
        name: name.into(),
        partitions: 2,
        log_append_time: false,
        max_message_bytes: None,
    };
    Scenario {
        seed: 1,
        network: Network {
            connect_us: 100,
            latency_us: 100,
            capacity: 65_536,
            splits: false,
            short_read_drains: false,
            spurious_percent: 0,
            at_once_percent: 0,
        },
        brokers: Brokers {
            nodes: 3,
            release: "V3_0".into(),
            replication: 1,
            auto_create_topics: false,
            by_name: false,
            first_epoch: 0,
            verify_transactions: false,
            sasl: None,
            tls: None,
        },
        topics: vec![topic("t"), topic("u")],
        producers: vec![producer.clone(), producer],
        logger: Behaviour::default(),
        logs_all: false,
        packing_us: 0,
        faults: faults.to_vec(),
        heal_at_ms: 1_000_000,
    }
}

pub(crate) fn fault(fault: Fault) -> TimedFault {
    TimedFault {
        at_ms: 0,
        for_ms: None,
        fault,
    }
}

pub(crate) fn error(
    request: Api,
    topic: Option<&str>,
    partition: Option<i32>,
    code: i16,
    after_applying: bool,
) -> TimedFault {
    fault(Fault::Error {
        request,
        topic: topic.map(str::to_owned),
        partition,
        code,
        times: None,
        after_applying,
    })
}

pub(crate) fn acknowledged(topic: &str, partition: i32, offset: i64) -> Outcome {
    Outcome::Acknowledged {
        topic: topic.into(),
        partition,
        offset,
        timestamp: -1,
    }
}

pub(crate) fn failed(text: &str, may_be_written: bool) -> Outcome {
    Outcome::Failed(Failure {
        kind: "DeliveryTimeout".into(),
        may_be_written,
        text: text.into(),
    })
}

impl Outcome {
    pub(crate) fn kind(self, kind: &str) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(Failure {
                kind: kind.into(),
                ..failure
            }),
            acknowledged @ Self::Acknowledged { .. } => acknowledged,
        }
    }
}

pub(super) struct Story {
    checker: Checker,
    now: Duration,
    glance: Glance,
    incarnation: u64,
    calls: u64,
    shown: usize,
    polls_futures: bool,
}

const THREAD: Who = Who::Thread {
    producer: 0,
    thread: 0,
};

impl Story {
    pub(super) fn new(rule: impl Rule + 'static) -> Self {
        Self::with(rule, &[], &[])
    }

    pub(super) fn with(
        rule: impl Rule + 'static,
        keys: &[(&str, &str)],
        faults: &[TimedFault],
    ) -> Self {
        Self::of(rule, &scenario(keys, faults))
    }

    pub(super) fn of(rule: impl Rule + 'static, scenario: &Scenario) -> Self {
        Self {
            checker: Checker::of(scenario, rule),
            now: Duration::ZERO,
            glance: Glance {
                at: Duration::ZERO,
                moment: Moment::Passing,
                producers: vec![ProducerGlance::default(); 2],
                done: None,
            },
            incarnation: 1,
            calls: 0,
            shown: 0,
            polls_futures: true,
        }
    }

    /// The violations since the last call.
    pub(super) fn found(&mut self) -> Vec<String> {
        let found = &self.checker.found()[self.shown..];
        self.shown += found.len();
        found.iter().map(|found| found.text.clone()).collect()
    }

    /// Ends the run, and returns the violations since the last call.
    pub(super) fn end(mut self) -> Vec<String> {
        self.glance.at = self.now;
        self.glance.moment = Moment::End;
        let found = self.checker.end(&self.glance);
        found
            .into_iter()
            .skip(self.shown)
            .map(|found| found.text)
            .collect()
    }

    pub(super) fn at_ms(&mut self, millis: u64) -> &mut Self {
        self.now = Duration::from_millis(millis);
        self
    }

    pub(super) fn at_us(&mut self, micros: u64) -> &mut Self {
        self.now = Duration::from_micros(micros);
        self
    }

    pub(super) fn see(&mut self, who: Who, kind: EventKind) {
        self.checker.see(&Event {
            at: self.now,
            who,
            kind,
        });
    }

    pub(super) fn world(&mut self, kind: EventKind) {
        self.see(Who::World, kind);
    }

    pub(super) fn broker(&mut self, kind: EventKind) {
        self.see(Who::Broker(0), kind);
    }

    pub(super) fn sender(&mut self, kind: EventKind) {
        self.see(Who::Sender(0), kind);
    }

    pub(super) fn thread(&mut self, kind: EventKind) {
        self.see(THREAD, kind);
    }

    pub(super) fn begins(&mut self, fault: usize) {
        self.world(EventKind::FaultBegins { fault });
    }

    /// Takes a snapshot in which these records have become complete.
    pub(super) fn glance(&mut self, done: &[u64]) {
        self.glance.at = self.now;
        let done = done.iter().copied().map(RecordId).collect();
        self.glance.done = self.polls_futures.then_some(done);
        self.checker.step(&self.glance);
        self.glance.done = None;
    }

    /// Changes the first producer in later snapshots.
    pub(super) fn producer(&mut self, change: impl FnOnce(&mut ProducerGlance)) {
        change(&mut self.glance.producers[0]);
    }

    pub(super) fn snapshot(&mut self, change: impl FnOnce(&mut ProducerSnapshot)) {
        let producer = &mut self.glance.producers[0];
        change(producer.snapshot.get_or_insert_default());
    }

    pub(super) fn moment(&mut self, moment: Moment) {
        self.glance.moment = moment;
    }

    /// From here on the snapshots do not report complete futures.
    pub(super) fn stop_polling_futures(&mut self) {
        self.polls_futures = false;
    }

    pub(super) fn offer(
        &mut self,
        record: u64,
        producer: ProducerIndex,
        topic: &str,
        partition: Option<i32>,
        has_callback: bool,
    ) {
        let who = Who::Thread {
            producer,
            thread: 0,
        };
        let offered = EventKind::RecordOffered {
            record: RecordId(record),
            producer,
            topic: topic.into(),
            partition,
            key: None,
            timestamp: None,
            contents: 0,
            size: 8,
            has_callback,
            inside: false,
        };
        self.see(who, offered);
    }

    pub(super) fn send_with(
        &mut self,
        record: u64,
        topic: &str,
        contents: u64,
        timestamp: Option<i64>,
    ) {
        self.see(
            THREAD,
            EventKind::RecordOffered {
                record: RecordId(record),
                producer: 0,
                topic: topic.into(),
                partition: None,
                key: None,
                timestamp,
                contents,
                size: 8,
                has_callback: false,
                inside: false,
            },
        );
        self.take(record);
    }

    pub(super) fn send_keyed(
        &mut self,
        record: u64,
        topic: &str,
        partition: Option<i32>,
        key: &[u8],
    ) {
        self.see(
            THREAD,
            EventKind::RecordOffered {
                record: RecordId(record),
                producer: 0,
                topic: topic.into(),
                partition,
                key: Some(key.to_vec()),
                timestamp: None,
                contents: 0,
                size: 8,
                has_callback: false,
                inside: false,
            },
        );
        self.take(record);
    }

    /// Writes a batch of records with given contents and timestamps.
    pub(super) fn append_with(&mut self, topic: &str, partition: i32, stored: &[(u64, u64, i64)]) {
        let incarnation = self.incarnation;
        self.broker(EventKind::Appended {
            topic: topic.into(),
            incarnation,
            partition,
            base_offset: 0,
            records: stored
                .iter()
                .map(|(record, ..)| RecordId(*record))
                .collect(),
            contents: stored.iter().map(|(_, contents, _)| *contents).collect(),
            timestamps: stored.iter().map(|(.., timestamp)| *timestamp).collect(),
            producer_id: -1,
            epoch: -1,
            sequence: -1,
            transactional: false,
            digest: 0,
        });
    }

    pub(super) fn take(&mut self, record: u64) {
        self.thread(EventKind::RecordAccepted {
            record: RecordId(record),
        });
    }

    pub(super) fn send(&mut self, record: u64, topic: &str, partition: impl Into<Option<i32>>) {
        self.offer(record, 0, topic, partition.into(), false);
        self.take(record);
    }

    pub(super) fn send_of(
        &mut self,
        producer: ProducerIndex,
        record: u64,
        topic: &str,
        partition: i32,
    ) {
        self.offer(record, producer, topic, Some(partition), false);
        self.take(record);
    }

    pub(super) fn send_calling(&mut self, record: u64, topic: &str, partition: i32) {
        self.offer(record, 0, topic, Some(partition), true);
        self.take(record);
    }

    pub(super) fn refuse(&mut self, record: u64, topic: &str, partition: i32) {
        self.offer(record, 0, topic, Some(partition), false);
        self.refused(record);
    }

    pub(super) fn refuse_calling(&mut self, record: u64, topic: &str, partition: i32) {
        self.offer(record, 0, topic, Some(partition), true);
        self.refused(record);
    }

    fn refused(&mut self, record: u64) {
        self.refused_as(record, "Closed");
    }

    fn refused_as(&mut self, record: u64, kind: &str) {
        self.thread(EventKind::RecordRefused {
            record: RecordId(record),
            kind: kind.into(),
            text: "why".into(),
        });
    }

    pub(super) fn refuse_as(&mut self, record: u64, kind: &str) {
        self.offer(record, 0, "t", Some(0), false);
        self.refused_as(record, kind);
    }

    pub(super) fn reported(&mut self, record: u64, outcome: Outcome) {
        self.thread(EventKind::FutureReported {
            record: RecordId(record),
            outcome,
        });
    }

    pub(super) fn ran(&mut self, record: u64, outcome: Outcome) {
        self.sender(EventKind::CallbackRan {
            record: RecordId(record),
            outcome,
        });
    }

    pub(super) fn user_code_takes(&mut self, millis: u64) {
        self.sender(EventKind::UserCode {
            piece: "callback",
            act: format!("TakesMs({millis})"),
        });
        self.now += Duration::from_millis(millis);
    }

    pub(super) fn drop_future(&mut self, record: u64) {
        let call = self.call(Call::DropFuture {
            record: RecordId(record),
        });
        self.ends(call, Returned::Ok);
    }

    pub(super) fn call(&mut self, operation: Call) -> CallId {
        let call = CallId(self.calls);
        self.calls += 1;
        self.thread(EventKind::CallBegins { call, operation });
        call
    }

    pub(super) fn ends(&mut self, call: CallId, returned: Returned) {
        self.thread(EventKind::CallEnds { call, returned });
    }

    /// Writes a batch without a sequence number.
    pub(super) fn append(&mut self, topic: &str, partition: i32, base: i64, records: &[u64]) {
        self.append_as(topic, partition, base, records, (-1, -1, -1), 0);
    }

    pub(super) fn append_as(
        &mut self,
        topic: &str,
        partition: i32,
        base_offset: i64,
        records: &[u64],
        (producer_id, epoch, sequence): (i64, i16, i32),
        digest: u64,
    ) {
        let incarnation = self.incarnation;
        self.broker(EventKind::Appended {
            topic: topic.into(),
            incarnation,
            partition,
            base_offset,
            records: records.iter().copied().map(RecordId).collect(),
            contents: vec![0; records.len()],
            timestamps: vec![-1; records.len()],
            producer_id,
            epoch,
            sequence,
            transactional: false,
            digest,
        });
    }

    pub(super) fn truncated(&mut self, topic: &str, partition: i32, from_offset: i64) {
        let incarnation = self.incarnation;
        self.broker(EventKind::Truncated {
            topic: topic.into(),
            incarnation,
            partition,
            from_offset,
        });
    }

    /// Deletes a topic; a later topic of the same name is another incarnation.
    pub(super) fn gone(&mut self, topic: &str) {
        let incarnation = self.incarnation;
        self.incarnation += 1;
        self.broker(EventKind::TopicGone {
            topic: topic.into(),
            incarnation,
        });
    }
}

/// A scenario with two producers that share a transactional id.
pub(crate) fn transactional_scenario(faults: &[TimedFault]) -> Scenario {
    scenario(&[("transactional.id", "x")], faults)
}

/// Events of the first producer's transactions; its producer id is 7. `kind` is the kind of the error that a call
/// returns; `None` for success.
pub(super) trait Transactional {
    fn transactional(rule: impl Rule + 'static) -> Self;

    fn transactional_call(&mut self, call: Call, kind: Option<&str>);

    fn begins_transaction(&mut self);

    fn commits(&mut self, kind: Option<&str>);

    fn aborts(&mut self, kind: Option<&str>);

    fn sends_offset(
        &mut self,
        group: &str,
        offset: i64,
        topic: &str,
        partition: i32,
        kind: Option<&str>,
    );

    /// Initializes a producer, which calls `init_transactions` with success.
    fn initializes(&mut self, producer: ProducerIndex);

    fn append_in_transaction(&mut self, topic: &str, partition: i32, base: i64, records: &[u64]);

    fn marker(&mut self, topic: &str, partition: i32, offset: i64, committed: bool);

    fn coordinated(&mut self, change: Coordinated);

    fn coordinator_ends(&mut self);

    fn offset_committed(&mut self, group: &str, topic: &str, partition: i32, offset: i64);
}

impl Transactional for Story {
    fn transactional(rule: impl Rule + 'static) -> Self {
        let mut story = Self::of(rule, &transactional_scenario(&[]));
        story.initializes(0);
        story
    }

    fn transactional_call(&mut self, call: Call, kind: Option<&str>) {
        let call = self.call(call);
        let returned = match kind {
            None => Returned::Ok,
            Some(kind) => Returned::Error {
                kind: kind.into(),
                text: String::new(),
            },
        };
        self.ends(call, returned);
    }

    fn begins_transaction(&mut self) {
        self.transactional_call(Call::BeginTransaction, None);
    }

    fn commits(&mut self, kind: Option<&str>) {
        self.transactional_call(Call::Commit { timeout: None }, kind);
    }

    fn aborts(&mut self, kind: Option<&str>) {
        self.transactional_call(Call::Abort { timeout: None }, kind);
    }

    fn sends_offset(
        &mut self,
        group: &str,
        offset: i64,
        topic: &str,
        partition: i32,
        kind: Option<&str>,
    ) {
        let call = Call::SendOffsets {
            group: group.into(),
            offset,
            partitions: vec![(topic.into(), partition)],
            timeout: None,
        };
        self.transactional_call(call, kind);
    }

    fn initializes(&mut self, producer: ProducerIndex) {
        let who = Who::Thread {
            producer,
            thread: 0,
        };
        let call = CallId(self.calls);
        self.calls += 1;
        let operation = Call::InitTransactions { timeout: None };
        self.see(who, EventKind::CallBegins { call, operation });
        let returned = Returned::Ok;
        self.see(who, EventKind::CallEnds { call, returned });
    }

    fn append_in_transaction(&mut self, topic: &str, partition: i32, base: i64, records: &[u64]) {
        let incarnation = self.incarnation;
        self.broker(EventKind::Appended {
            topic: topic.into(),
            incarnation,
            partition,
            base_offset: base,
            records: records.iter().copied().map(RecordId).collect(),
            contents: vec![0; records.len()],
            timestamps: vec![-1; records.len()],
            producer_id: 7,
            epoch: 0,
            sequence: base as i32,
            transactional: true,
            digest: 0,
        });
    }

    fn marker(&mut self, topic: &str, partition: i32, offset: i64, committed: bool) {
        let incarnation = self.incarnation;
        self.broker(EventKind::Marker {
            topic: topic.into(),
            incarnation,
            partition,
            offset,
            producer_id: 7,
            epoch: 0,
            committed,
        });
    }

    fn coordinated(&mut self, change: Coordinated) {
        self.broker(EventKind::Coordinated {
            transactional_id: "x".into(),
            producer_id: 7,
            epoch: 0,
            change,
        });
    }

    fn coordinator_ends(&mut self) {
        self.coordinated(Coordinated::Aborted);
    }

    fn offset_committed(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        self.broker(EventKind::OffsetsCommitted {
            group: group.into(),
            producer_id: 7,
            offsets: vec![(topic.into(), partition, offset)],
        });
    }
}
