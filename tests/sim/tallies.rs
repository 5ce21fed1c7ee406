//! Tallies: counts of the faults, error codes, calls, failures, acts of user code and named states that runs have
//! reached. An expected name that was never reached is shown with zero.

use std::collections::BTreeMap;
use std::fmt;

use kafka_producer::internals::simulation::Coordinated;

use crate::checker::{Glance, Moment};
use crate::events::{Call, Event, EventKind, Outcome, ProducerIndex, Report, Returned, Who};
use crate::scenario::{Fault, Scenario};

/// Group of a tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Fault,
    /// The result of a request: an error code, or no response.
    Fate,
    Call,
    /// How a call failed.
    CallError,
    /// Why a record failed.
    Failure,
    UserCode,
    State,
}

const GROUPS: [Group; 7] = [
    Group::Fault,
    Group::Fate,
    Group::Call,
    Group::CallError,
    Group::Failure,
    Group::UserCode,
    Group::State,
];

/// Counts by name, of one run or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    groups: [BTreeMap<String, u64>; GROUPS.len()],
    pub(crate) runs: u64,
    pub(crate) records_offered: u64,
    pub(crate) records_acknowledged: u64,
}

impl Counts {
    fn add(&mut self, group: Group, name: &str, count: u64) {
        let names = &mut self.groups[group as usize];
        match names.get_mut(name) {
            Some(there) => *there += count,
            None => {
                names.insert(name.to_owned(), count);
            }
        }
    }

    pub(crate) fn get(&self, group: Group, name: &str) -> u64 {
        let names = &self.groups[group as usize];
        names.get(name).copied().unwrap_or(0)
    }

    /// All counts, including expected names that were not reached, as `Group/name`.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, u64)> {
        let expected = expected_names().map(|(group, name)| (format!("{group:?}/{name}"), 0));
        let counted = GROUPS.into_iter().flat_map(|group| {
            let names = self.groups[group as usize].iter();
            names.map(move |(name, count)| (format!("{group:?}/{name}"), *count))
        });
        expected.chain(counted)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.records_offered += other.records_offered;
        self.records_acknowledged += other.records_acknowledged;
        for group in GROUPS {
            for (name, count) in &other.groups[group as usize] {
                self.add(group, name, *count);
            }
        }
    }

    /// Expected names that were not reached.
    pub(crate) fn missing(&self) -> Vec<(Group, &'static str)> {
        let expected = expected_names();
        let missing = expected.filter(|(group, name)| self.get(*group, name) == 0);
        missing.collect()
    }
}

/// A table: first the expected names, in their order and with zeros; then all other names.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offered, acknowledged) = (self.records_offered, self.records_acknowledged);
        let percent = acknowledged as f64 * 100.0 / offered.max(1) as f64;
        writeln!(
            f,
            "{} runs, {offered} records, {acknowledged} acknowledged ({percent:.1} %)",
            self.runs
        )?;
        for group in GROUPS {
            writeln!(f, "\n{group:?}")?;
            for name in expected_of(group) {
                writeln!(f, "  {:>12}  {name}", self.get(group, name))?;
            }
            for (name, count) in &self.groups[group as usize] {
                if !expected_of(group).contains(&name.as_str()) {
                    writeln!(f, "  {count:>12}  {name} (not expected)")?;
                }
            }
        }
        Ok(())
    }
}

/// The names that many runs together have to reach.
pub(crate) fn expected_names() -> impl Iterator<Item = (Group, &'static str)> {
    GROUPS
        .into_iter()
        .flat_map(|group| expected_of(group).iter().map(move |name| (group, *name)))
}

fn expected_of(group: Group) -> &'static [&'static str] {
    match group {
        Group::Fault => &[
            "Slow",
            "Cut",
            "Silence",
            "Refuse",
            "BlackHole",
            "WrongCertificate",
            "NoTls",
            "CutHandshake",
            "Down",
            "Hang",
            "MoveLeader",
            "StaleMetadata",
            "EpochsGoBack",
            "Rebuild",
            "MoveBrokers",
            "DeleteTopic",
            "RecreateTopic",
            "GrowTopic",
            "Truncate",
            "ForgetProducers",
            "LowerLimit",
            "MoveCoordinator",
            "LoadCoordinators",
            "DelayMarkers",
            "Error",
            "Error after applying",
            "Error for ever",
            "Lose",
            "Late",
            "Throttle",
            "Versions",
            "NamesFail",
            "WrongAddresses",
            "WallClock",
        ],
        Group::Fate => &[
            "NONE",
            "closed",
            "silent",
            "never answered",
            "cut",
            "CORRUPT_MESSAGE",
            "UNKNOWN_TOPIC_OR_PARTITION",
            "LEADER_NOT_AVAILABLE",
            "NOT_LEADER_OR_FOLLOWER",
            "REPLICA_NOT_AVAILABLE",
            "FENCED_LEADER_EPOCH",
            "UNKNOWN_LEADER_EPOCH",
            "KAFKA_STORAGE_ERROR",
            "REQUEST_TIMED_OUT",
            "NOT_ENOUGH_REPLICAS",
            "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
            "THROTTLING_QUOTA_EXCEEDED",
            "NETWORK_EXCEPTION",
            "UNKNOWN_SERVER_ERROR",
            "MESSAGE_TOO_LARGE",
            "RECORD_LIST_TOO_LARGE",
            "INVALID_TOPIC_EXCEPTION",
            "INVALID_REQUIRED_ACKS",
            "TOPIC_AUTHORIZATION_FAILED",
            "CLUSTER_AUTHORIZATION_FAILED",
            "INVALID_TIMESTAMP",
            "INVALID_RECORD",
            "UNSUPPORTED_FOR_MESSAGE_FORMAT",
            "UNSUPPORTED_COMPRESSION_TYPE",
            "UNSUPPORTED_VERSION",
            "INVALID_REQUEST",
            "POLICY_VIOLATION",
            "OUT_OF_ORDER_SEQUENCE_NUMBER",
            "DUPLICATE_SEQUENCE_NUMBER",
            "UNKNOWN_PRODUCER_ID",
            "INVALID_PRODUCER_EPOCH",
            "PRODUCER_FENCED",
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
            "COORDINATOR_LOAD_IN_PROGRESS",
            "COORDINATOR_NOT_AVAILABLE",
            "NOT_COORDINATOR",
            "CONCURRENT_TRANSACTIONS",
            "INVALID_TXN_STATE",
            "INVALID_PRODUCER_ID_MAPPING",
            "INVALID_TRANSACTION_TIMEOUT",
            "OPERATION_NOT_ATTEMPTED",
            "GROUP_AUTHORIZATION_FAILED",
            "UNKNOWN_MEMBER_ID",
            "ILLEGAL_GENERATION",
            "FENCED_INSTANCE_ID",
            "TRANSACTION_ABORTABLE",
        ],
        Group::Call => &[
            "Build",
            "Send",
            "TrySend",
            "Flush",
            "Flush with a timeout",
            "Close",
            "Close with a timeout",
            "PartitionsFor",
            "Get",
            "Get with a timeout",
            "Await",
            "DropFuture",
            "DropProducer",
            "InitTransactions",
            "BeginTransaction",
            "SendOffsets",
            "Commit",
            "Abort",
        ],
        Group::CallError => &[
            "Send: Closed",
            "Send: Serialization",
            "Send: Partitioner",
            "Send: Panicked",
            "Send: Misuse",
            "TrySend: TopicNotKnown",
            "TrySend: MemoryFull",
            "TrySend: Call",
            "TrySend: Record",
            "Flush: TimedOut",
            "Flush: Misuse",
            "Close: Undelivered",
            "Close: Misuse",
            "PartitionsFor: TimedOut",
            "PartitionsFor: UnknownTopic",
            "PartitionsFor: InvalidTopic",
            "PartitionsFor: Authentication",
            "PartitionsFor: Misuse",
            "PartitionsFor: Closed",
            "Get: Pending",
            "Get: Misuse",
            "InitTransactions: TimedOut",
            "InitTransactions: Fatal",
            "InitTransactions: Fenced",
            "InitTransactions: WrongState",
            "InitTransactions: Closed",
            "BeginTransaction: Abortable",
            "BeginTransaction: Fatal",
            "BeginTransaction: Fenced",
            "BeginTransaction: WrongState",
            "BeginTransaction: Closed",
            "SendOffsets: TimedOut",
            "SendOffsets: Abortable",
            "SendOffsets: Fatal",
            "SendOffsets: Fenced",
            "SendOffsets: WrongState",
            "Commit: TimedOut",
            "Commit: Abortable",
            "Commit: Fatal",
            "Commit: Fenced",
            "Commit: WrongState",
            "Commit: Closed",
            "Abort: TimedOut",
            "Abort: Fatal",
            "Abort: Fenced",
            "Abort: WrongState",
            "Abort: Closed",
        ],
        Group::Failure => &[
            "DeliveryTimeout",
            "MetadataTimeout",
            "UnknownTopicOrPartition",
            "BufferExhausted",
            "RecordTooLarge",
            "InvalidTopic",
            "TopicAuthorization",
            "UnsupportedVersion",
            "UnsupportedCompressionType",
            "Broker",
            "Network",
            "Authentication",
            "Closed",
            "ProducerFailed",
            "TransactionAborted",
        ],
        Group::UserCode => &[
            "Fails",
            "Panics",
            "TakesMs",
            "Sends",
            "TrySends",
            "Flushes",
            "Closes",
            "AsksForPartitions",
            "DropsFutures",
            "Gets",
            "ReadsMetrics",
        ],
        Group::State => &[
            "a call waits",
            "a send waits for memory",
            "a send waits for metadata",
            "the sender waits",
            "the sender goes on at once",
            "all is idle",
            "a batch is sent again",
            "a batch is split",
            "a record expires in the queue",
            "a record expires under way",
            "a record that failed may be written",
            "a record is sent inside user code",
            "an interceptor is called",
            "a metrics reporter gets a metric",
            "a metrics reporter loses a metric",
            "a record is refused",
            "a callback is dropped unused",
            "a future is dropped unread",
            "a new epoch",
            "a new producer id",
            "a duplicate is answered",
            "a new leader appends records",
            "a request is throttled",
            "the log is truncated",
            "a topic goes",
            "a topic that was made again is written to",
            "a producer is closed gracefully",
            "a producer is closed by a forced close",
            "a producer is dropped open",
            "a record offered after the healing is acknowledged",
            "a handshake of TLS 1.2",
            "a handshake of TLS 1.3",
            "a session of TLS is resumed",
            "a client shows a certificate",
            "a transaction is opened",
            "a transaction is committed",
            "a transaction is aborted",
            "a transaction is aborted by its time-out",
            "a transaction is aborted for another producer",
            "a transactional producer gets its next epoch",
            "the coordinator of an open transaction moves",
            "a call is continued after its time-out",
            "a commit ends in doubt",
            "a call returns that the producer is fenced",
            "offsets are committed",
            "an application crashes: Initializing",
            "an application crashes: Begun",
            "an application crashes: SendingOffsets",
            "an application crashes: Committing",
            "an application crashes: Aborting",
            "an application crashes: Between",
            "a line of the log at Error",
            "a line of the log at Warn",
            "a line of the log at Info",
        ],
    }
}

/// Observer that counts during one run.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    counts: Counts,
    calls: BTreeMap<crate::events::CallId, &'static str>,
    records: Vec<RecordTally>,
    producers: Vec<ProducerTally>,
    /// By topic and partition: the incarnation of the topic and the broker at the last append.
    writers: BTreeMap<String, BTreeMap<i32, (u64, i32)>>,
    /// Number of throttling faults in progress.
    throttles: u64,
    healed: bool,
    transactional: TransactionTally,
}

#[derive(Debug, Default)]
struct TransactionTally {
    /// Producer id and last epoch by transactional id.
    epochs: BTreeMap<String, (i64, i16)>,
    /// Open transactions in the applications' view: transactional ids by producer.
    open: BTreeMap<ProducerIndex, String>,
    /// Producers whose last call timed out, with that call.
    timed_out: BTreeMap<ProducerIndex, &'static str>,
    /// Transactional id by producer.
    ids: Vec<Option<String>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct RecordTally {
    producer: ProducerIndex,
    offered: bool,
    done: bool,
    after_healing: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct ProducerTally {
    /// Producer id and epoch of the last idempotent batch.
    id: Option<(i64, i16)>,
    retried: u64,
    split: u64,
    waits_for_memory: bool,
    is_open: bool,
}

/// Records beyond this number are not tracked one by one.
const RECORDS_AT_MOST: u64 = 1_000_000;

impl Tallies {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut tallies = Self::default();
        tallies.counts.runs = 1;
        let producers = scenario.producers.len();
        let ids = scenario.producers.iter();
        let ids = ids.map(|it| it.config.get("transactional.id").cloned());
        tallies.transactional.ids = ids.collect();
        tallies
            .producers
            .resize_with(producers, ProducerTally::default);
        tallies
    }

    pub(crate) fn end(self) -> Counts {
        self.counts
    }

    pub(crate) fn see(&mut self, scenario: &Scenario, event: &Event) {
        match &event.kind {
            EventKind::CallBegins { call, operation } => {
                let name = call_name(operation);
                self.counts.add(Group::Call, name, 1);
                self.calls.insert(*call, name);
                match (operation, event.who) {
                    (Call::DropFuture { .. }, _) => self.state("a future is dropped unread"),
                    (Call::DropProducer, Who::Thread { producer, .. }) => {
                        let tally = self.producers.get(producer);
                        if tally.is_some_and(|producer| producer.is_open) {
                            self.state("a producer is dropped open");
                        }
                    }
                    _ => {}
                }
            }
            EventKind::CallWaits { call, .. } => self.call_waits(*call, event.who),
            EventKind::CallEnds { call, returned } => {
                let name = self.calls.remove(call).unwrap_or("?");
                self.call_ends(name, returned);
                if let Who::Thread { producer, .. } = event.who {
                    self.transactional_call_ends(producer, name, returned);
                }
            }
            EventKind::RecordOffered {
                record,
                producer,
                inside,
                ..
            } => {
                self.counts.records_offered += 1;
                if *inside {
                    self.state("a record is sent inside user code");
                }
                if record.0 < RECORDS_AT_MOST {
                    let place = record.0 as usize;
                    if self.records.len() <= place {
                        self.records.resize(place + 1, RecordTally::default());
                    }
                    self.records[place] = RecordTally {
                        producer: *producer,
                        offered: true,
                        done: false,
                        after_healing: self.healed,
                    };
                }
            }
            EventKind::RecordRefused { .. } => self.state("a record is refused"),
            EventKind::FutureReported { record, outcome }
            | EventKind::CallbackRan { record, outcome } => {
                self.reported(record.0, outcome);
            }
            EventKind::CallbackDropped { .. } => self.state("a callback is dropped unused"),
            EventKind::UserCode { act, .. } => {
                self.counts.add(Group::UserCode, first_word(act), 1);
            }
            EventKind::Appended { .. } => self.appended(event),
            EventKind::Intercepted { .. } => self.state("an interceptor is called"),
            EventKind::Reported { report, .. } => match report {
                Report::Change(_) => self.state("a metrics reporter gets a metric"),
                Report::Removal(_) => {
                    self.state("a metrics reporter loses a metric");
                }
                Report::Context | Report::Init | Report::Close => {}
            },
            EventKind::Duplicate { .. } => self.state("a duplicate is answered"),
            EventKind::OffsetsCommitted { .. } => self.state("offsets are committed"),
            EventKind::Coordinated {
                transactional_id,
                producer_id,
                epoch,
                change,
            } => self.coordinated(transactional_id, (*producer_id, *epoch), *change),
            EventKind::Crashed { producer, stage } => {
                self.transactional.open.remove(producer);
                let name = format!("an application crashes: {stage:?}");
                self.counts.add(Group::State, &name, 1);
            }
            EventKind::Truncated { .. } => self.state("the log is truncated"),
            EventKind::TopicGone { .. } => self.state("a topic goes"),
            EventKind::Request { fate, .. } => {
                for fate in fate.split(", ") {
                    self.counts.add(Group::Fate, fate, 1);
                }
                if self.throttles > 0 {
                    self.state("a request is throttled");
                }
            }
            EventKind::Handshake {
                is_newest,
                is_resumed,
                has_certificate,
                ..
            } => {
                self.state(if *is_newest {
                    "a handshake of TLS 1.3"
                } else {
                    "a handshake of TLS 1.2"
                });
                if *is_resumed {
                    self.state("a session of TLS is resumed");
                }
                if *has_certificate {
                    self.state("a client shows a certificate");
                }
            }
            EventKind::FaultBegins { fault } => self.fault(scenario, *fault),
            EventKind::FaultEnds { fault } => {
                let ended = scenario.faults.get(*fault).map(|timed| &timed.fault);
                if let Some(Fault::Throttle { .. }) = ended {
                    self.throttles = self.throttles.saturating_sub(1);
                }
            }
            EventKind::Healed => {
                self.healed = true;
                self.throttles = 0;
            }
            EventKind::LogLine { level, .. } => match level {
                log::Level::Error => self.state("a line of the log at Error"),
                log::Level::Warn => self.state("a line of the log at Warn"),
                log::Level::Info => self.state("a line of the log at Info"),
                log::Level::Debug | log::Level::Trace => {}
            },
            EventKind::SenderStep { waits, .. } => self.state(if *waits {
                "the sender waits"
            } else {
                "the sender goes on at once"
            }),
            EventKind::RecordAccepted { .. }
            | EventKind::Marker { .. }
            | EventKind::SenderEnded
            | EventKind::Stuck { .. } => {}
        }
    }

    pub(crate) fn step(&mut self, glance: &Glance) {
        if glance.moment == Moment::Idle {
            self.state("all is idle");
        }
        for (index, glance) in glance.producers.iter().enumerate() {
            let Some(producer) = self.producers.get_mut(index) else {
                continue;
            };
            producer.is_open = glance.snapshot.is_some() && !glance.sender_has_ended;
            let Some(snapshot) = glance.snapshot else {
                continue;
            };
            producer.waits_for_memory = snapshot.threads_waiting_for_memory > 0;
            let again = snapshot.batches_retried.saturating_sub(producer.retried);
            let split = snapshot.batches_split.saturating_sub(producer.split);
            producer.retried = snapshot.batches_retried;
            producer.split = snapshot.batches_split;
            let waits = producer.waits_for_memory && producer.is_open;
            let states = [
                ("a batch is sent again", again),
                ("a batch is split", split),
                ("a send waits for memory", u64::from(waits)),
            ];
            for (state, count) in states.into_iter().filter(|(_, count)| *count > 0) {
                self.counts.add(Group::State, state, count);
            }
        }
    }

    fn coordinated(&mut self, id: &str, now: (i64, i16), change: Coordinated) {
        let before = self.transactional.epochs.insert(id.to_owned(), now);
        match change {
            Coordinated::Initialized => {
                // If no `init_transactions` is in progress, this is an epoch bump of the same producer.
                let is_same = self.calls.values().all(|call| *call != "InitTransactions");
                if before.is_some() && is_same {
                    self.state("a transactional producer gets its next epoch");
                }
            }
            Coordinated::Opened => self.state("a transaction is opened"),
            Coordinated::Committed => self.state("a transaction is committed"),
            Coordinated::Aborted => self.state("a transaction is aborted"),
            Coordinated::TimedOut => self.state("a transaction is aborted by its time-out"),
            Coordinated::Fenced => self.state("a transaction is aborted for another producer"),
        }
    }

    fn transactional_call_ends(
        &mut self,
        producer: ProducerIndex,
        name: &'static str,
        returned: &Returned,
    ) {
        let tally = &mut self.transactional;
        if !TRANSACTIONAL.contains(&name) {
            return;
        }
        let kind = returned.kind();
        let was_timed_out = tally.timed_out.get(&producer) == Some(&name);
        match kind {
            Some("TimedOut") => {
                tally.timed_out.insert(producer, name);
            }
            Some("WrongState") => return,
            _ => {
                tally.timed_out.remove(&producer);
            }
        }
        match (name, kind) {
            ("BeginTransaction", None) => {
                if let Some(Some(id)) = tally.ids.get(producer) {
                    tally.open.insert(producer, id.clone());
                }
            }
            ("Commit" | "Abort", None | Some("Fatal" | "Fenced")) => {
                tally.open.remove(&producer);
            }
            _ => {}
        }
        if was_timed_out && kind != Some("TimedOut") {
            self.state("a call is continued after its time-out");
        }
        if kind != Some("TimedOut") && returned.may_be_committed() {
            self.state("a commit ends in doubt");
        }
        if kind == Some("Fenced") {
            self.state("a call returns that the producer is fenced");
        }
    }

    fn state(&mut self, name: &'static str) {
        self.counts.add(Group::State, name, 1);
    }

    fn call_waits(&mut self, call: crate::events::CallId, who: Who) {
        self.state("a call waits");
        let Who::Thread { producer, .. } = who else {
            return;
        };
        // Calls that wait for memory are counted from the snapshots.
        let for_memory = self
            .producers
            .get(producer)
            .is_some_and(|producer| producer.waits_for_memory);
        if self.calls.get(&call) == Some(&"Send") && !for_memory {
            self.state("a send waits for metadata");
        }
    }

    fn call_ends(&mut self, name: &'static str, returned: &Returned) {
        match returned {
            Returned::Ok if name.starts_with("Close") => {
                self.state("a producer is closed gracefully");
            }
            Returned::Ok => {}
            Returned::Error { kind, .. } => {
                let name = name.split(' ').next().unwrap_or(name);
                let kind = kind_of(kind);
                if (name, kind) == ("Close", "Undelivered") {
                    self.state("a producer is closed by a forced close");
                }
                // The failure of a record is counted with the record, not with the call that reads it.
                let is_of_record = matches!(name, "Get" | "Await");
                if !is_of_record || matches!(kind, "Pending" | "Misuse") {
                    self.counts
                        .add(Group::CallError, &format!("{name}: {kind}"), 1);
                }
            }
        }
    }

    fn reported(&mut self, record: u64, outcome: &Outcome) {
        let place = usize::try_from(record).unwrap_or(usize::MAX);
        let Some(record) = self.records.get_mut(place).filter(|it| it.offered) else {
            return;
        };
        if let Outcome::Failed(failure) = outcome {
            if matches!(&*failure.kind, "Pending" | "Misuse") {
                return;
            }
        }
        if std::mem::replace(&mut record.done, true) {
            return;
        }
        let record = *record;
        match outcome {
            Outcome::Acknowledged { .. } => {
                self.counts.records_acknowledged += 1;
                if record.after_healing {
                    self.state("a record offered after the healing is acknowledged");
                }
            }
            Outcome::Failed(failure) => {
                let kind = first_word(&failure.kind);
                self.counts.add(Group::Failure, kind, 1);
                match (kind, failure.may_be_written) {
                    ("DeliveryTimeout", true) => self.state("a record expires under way"),
                    ("DeliveryTimeout", false) => self.state("a record expires in the queue"),
                    _ => {}
                }
                if failure.may_be_written {
                    self.state("a record that failed may be written");
                }
            }
        }
    }

    fn appended(&mut self, event: &Event) {
        let EventKind::Appended {
            topic,
            incarnation,
            partition,
            records,
            producer_id,
            epoch,
            ..
        } = &event.kind
        else {
            return;
        };
        let Who::Broker(node) = event.who else {
            return;
        };
        if !self.writers.contains_key(topic) {
            self.writers.insert(topic.clone(), BTreeMap::new());
        }
        let before = self
            .writers
            .get_mut(topic)
            .and_then(|partitions| partitions.insert(*partition, (*incarnation, node)));
        if let Some((old, writer)) = before {
            if old != *incarnation {
                self.state("a topic that was made again is written to");
            } else if writer != node {
                self.state("a new leader appends records");
            }
        }
        let record = records.first().map_or(u64::MAX, |record| record.0);
        let place = usize::try_from(record).unwrap_or(usize::MAX);
        let producer = self.records.get(place).map(|record| record.producer);
        let tally = producer.and_then(|producer| self.producers.get_mut(producer));
        let Some(tally) = tally.filter(|_| *producer_id >= 0) else {
            return;
        };
        let before = tally.id.replace((*producer_id, *epoch));
        match before {
            Some((id, _)) if id != *producer_id => self.state("a new producer id"),
            Some((_, old)) if old < *epoch => self.state("a new epoch"),
            _ => {}
        }
    }

    fn fault(&mut self, scenario: &Scenario, fault: usize) {
        let Some(timed) = scenario.faults.get(fault) else {
            return;
        };
        let debug = format!("{:?}", timed.fault);
        self.counts.add(Group::Fault, first_word(&debug), 1);
        match &timed.fault {
            Fault::Error {
                times,
                after_applying,
                ..
            } => {
                if *after_applying {
                    self.counts.add(Group::Fault, "Error after applying", 1);
                }
                if times.is_none() && timed.for_ms.is_none() {
                    self.counts.add(Group::Fault, "Error for ever", 1);
                }
            }
            Fault::Throttle { .. } => self.throttles += 1,
            Fault::MoveCoordinator { key, .. }
                if self.transactional.open.values().any(|id| id == key) =>
            {
                self.state("the coordinator of an open transaction moves");
            }
            _ => {}
        }
    }
}

const TRANSACTIONAL: [&str; 5] = [
    "InitTransactions",
    "BeginTransaction",
    "SendOffsets",
    "Commit",
    "Abort",
];

fn call_name(call: &Call) -> &'static str {
    match call {
        Call::Build => "Build",
        Call::Send(_) => "Send",
        Call::TrySend(_) => "TrySend",
        Call::Flush { timeout: None } => "Flush",
        Call::Flush { timeout: Some(_) } => "Flush with a timeout",
        Call::Close { timeout: None } => "Close",
        Call::Close { timeout: Some(_) } => "Close with a timeout",
        Call::PartitionsFor { .. } => "PartitionsFor",
        Call::Get { timeout: None, .. } => "Get",
        Call::Get {
            timeout: Some(_), ..
        } => "Get with a timeout",
        Call::Await { .. } => "Await",
        Call::DropFuture { .. } => "DropFuture",
        Call::DropProducer => "DropProducer",
        Call::InitTransactions { .. } => "InitTransactions",
        Call::BeginTransaction => "BeginTransaction",
        Call::SendOffsets { .. } => "SendOffsets",
        Call::Commit { .. } => "Commit",
        Call::Abort { .. } => "Abort",
    }
}

/// The kind of an error, from its `{:?}` text.
fn kind_of(debug: &str) -> &str {
    let of_record = debug
        .strip_prefix("ProduceError")
        .and_then(|rest| rest.split_once("kind: "));
    first_word(of_record.map_or(debug, |(_, kind)| kind))
}

/// The name of a variant, from its `{:?}` text.
fn first_word(debug: &str) -> &str {
    let end = debug.find(|c: char| !c.is_alphanumeric() && c != '_');
    &debug[..end.unwrap_or(debug.len())]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kafka_producer::{ErrorCode, ProduceErrorKind, ProducerSnapshot};

    use super::*;
    use crate::checker::ProducerGlance;
    use crate::checker::story::{acknowledged, error, failed, fault, scenario};
    use crate::events::{CallId, RecordId};
    use crate::scenario::{self, Api, TimedFault, TxnStage};

    /// One fault of each kind. The compiler checks that the `match` below is complete, but not that the list is.
    fn faults() -> Vec<TimedFault> {
        let (topic, partition, node) = (String::from("t"), 0, 0);
        let request = Api::Produce;
        let faults = vec![
            Fault::Slow { node, ms: 1 },
            Fault::Cut { node },
            Fault::Silence {
                node,
                up: true,
                down: true,
            },
            Fault::Refuse { node },
            Fault::BlackHole { node },
            Fault::WrongCertificate {
                node,
                wrong: scenario::WrongCertificate::Expired,
            },
            Fault::NoTls {
                node,
                instead: scenario::InsteadOfTls::Web,
            },
            Fault::CutHandshake {
                node,
                turn: 0,
                permille: 500,
                resets: false,
            },
            Fault::Down { node },
            Fault::Hang { node },
            Fault::MoveLeader {
                topic: topic.clone(),
                partition,
                to: 1,
            },
            Fault::StaleMetadata { node },
            Fault::EpochsGoBack,
            Fault::Rebuild,
            Fault::MoveBrokers,
            Fault::DeleteTopic {
                topic: topic.clone(),
            },
            Fault::RecreateTopic {
                topic: topic.clone(),
                partitions: 1,
            },
            Fault::GrowTopic {
                topic: topic.clone(),
                to: 2,
            },
            Fault::Truncate {
                topic: topic.clone(),
                partition,
                records: 1,
            },
            Fault::ForgetProducers {
                topic: topic.clone(),
                partition,
            },
            Fault::LowerLimit { topic, bytes: 1 },
            Fault::MoveCoordinator {
                of_group: false,
                key: "x".into(),
                to: 0,
            },
            Fault::LoadCoordinators { ms: 1 },
            Fault::DelayMarkers { ms: 1 },
            Fault::Lose {
                request,
                moment: scenario::Moment::AfterApplied,
                times: None,
                closes: true,
            },
            Fault::Late {
                request: None,
                ms: 1,
            },
            Fault::Throttle {
                request: None,
                ms: 1,
            },
            Fault::Versions {
                node,
                request,
                up_to: None,
            },
            Fault::NamesFail,
            Fault::WrongAddresses { instead: true },
            Fault::WallClock { by_ms: 1 },
        ];
        let has_a_name = |fault: &Fault| match fault {
            Fault::Slow { .. }
            | Fault::Cut { .. }
            | Fault::Silence { .. }
            | Fault::Refuse { .. }
            | Fault::BlackHole { .. }
            | Fault::WrongCertificate { .. }
            | Fault::NoTls { .. }
            | Fault::CutHandshake { .. }
            | Fault::Down { .. }
            | Fault::Hang { .. }
            | Fault::MoveLeader { .. }
            | Fault::StaleMetadata { .. }
            | Fault::EpochsGoBack
            | Fault::Rebuild
            | Fault::MoveBrokers
            | Fault::DeleteTopic { .. }
            | Fault::RecreateTopic { .. }
            | Fault::GrowTopic { .. }
            | Fault::Truncate { .. }
            | Fault::ForgetProducers { .. }
            | Fault::LowerLimit { .. }
            | Fault::MoveCoordinator { .. }
            | Fault::LoadCoordinators { .. }
            | Fault::DelayMarkers { .. }
            | Fault::Error { .. }
            | Fault::Lose { .. }
            | Fault::Late { .. }
            | Fault::Throttle { .. }
            | Fault::Versions { .. }
            | Fault::NamesFail
            | Fault::WrongAddresses { .. }
            | Fault::WallClock { .. } => true,
        };
        assert!(faults.iter().all(has_a_name));
        let mut faults: Vec<_> = faults.into_iter().map(fault).collect();
        faults.push(error(request, None, None, 7, true));
        faults
    }

    struct Watched {
        scenario: Scenario,
        tallies: Tallies,
    }

    const THREAD: Who = Who::Thread {
        producer: 0,
        thread: 0,
    };

    impl Watched {
        fn new() -> Self {
            let scenario = scenario(&[("transactional.id", "x")], &faults());
            let tallies = Tallies::new(&scenario);
            Self { scenario, tallies }
        }

        fn see(&mut self, who: Who, kind: EventKind) {
            let event = Event {
                at: Duration::ZERO,
                who,
                kind,
            };
            self.tallies.see(&self.scenario, &event);
        }

        fn glance(&mut self, moment: Moment, snapshot: ProducerSnapshot) {
            let producer = ProducerGlance {
                snapshot: Some(snapshot),
                ..ProducerGlance::default()
            };
            self.tallies.step(&Glance {
                at: Duration::ZERO,
                moment,
                producers: vec![producer],
                done: None,
            });
        }

        fn call(&mut self, id: u64, operation: Call, returned: Option<(&str, &str)>) {
            let call = CallId(id);
            self.see(THREAD, EventKind::CallBegins { call, operation });
            self.see(THREAD, EventKind::CallWaits { call, until: None });
            let returned = match returned {
                None => Returned::Ok,
                Some((kind, text)) => Returned::Error {
                    kind: kind.into(),
                    text: text.into(),
                },
            };
            self.see(THREAD, EventKind::CallEnds { call, returned });
        }

        fn offer(&mut self, record: u64, inside: bool) {
            let offered = EventKind::RecordOffered {
                record: RecordId(record),
                producer: 0,
                topic: "t".into(),
                partition: None,
                key: None,
                timestamp: None,
                contents: 0,
                size: 8,
                has_callback: true,
                inside,
            };
            self.see(THREAD, offered);
        }

        fn append(&mut self, node: i32, incarnation: u64, producer_id: i64, epoch: i16) {
            let appended = EventKind::Appended {
                topic: "t".into(),
                incarnation,
                partition: 0,
                base_offset: 0,
                records: vec![RecordId(0)],
                contents: Vec::new(),
                timestamps: Vec::new(),
                producer_id,
                epoch,
                sequence: 0,
                transactional: false,
                digest: 0,
            };
            self.see(Who::Broker(node), appended);
        }
    }

    fn all_calls() -> Vec<Call> {
        let record = RecordId(0);
        let timeout = Some(Duration::ZERO);
        vec![
            Call::Build,
            Call::Send(record),
            Call::TrySend(record),
            Call::Flush { timeout: None },
            Call::Flush { timeout },
            Call::Close { timeout: None },
            Call::Close { timeout },
            Call::PartitionsFor { topic: "t".into() },
            Call::Get {
                record,
                timeout: None,
            },
            Call::Get { record, timeout },
            Call::Await { record },
            Call::DropFuture { record },
            Call::DropProducer,
            Call::InitTransactions { timeout },
            Call::BeginTransaction,
            Call::SendOffsets {
                group: "g".into(),
                offset: 1,
                partitions: Vec::new(),
                timeout,
            },
            Call::Commit { timeout },
            Call::Abort { timeout },
        ]
    }

    /// Transactions of all kinds.
    fn transactions(run: &mut Watched) {
        let coordinated = |change| EventKind::Coordinated {
            transactional_id: "x".into(),
            producer_id: 7,
            epoch: 0,
            change,
        };
        for change in [
            Coordinated::Initialized,
            Coordinated::Initialized,
            Coordinated::Opened,
            Coordinated::Committed,
            Coordinated::Aborted,
            Coordinated::TimedOut,
            Coordinated::Fenced,
        ] {
            run.see(Who::Broker(0), coordinated(change));
        }
        run.see(
            Who::Broker(0),
            EventKind::OffsetsCommitted {
                group: "g".into(),
                producer_id: 7,
                offsets: Vec::new(),
            },
        );
        run.call(100, Call::BeginTransaction, None);
        let moves = |timed: &TimedFault| matches!(timed.fault, Fault::MoveCoordinator { .. });
        let fault = run.scenario.faults.iter().position(moves).unwrap();
        run.see(Who::World, EventKind::FaultBegins { fault });
        let commit = || Call::Commit { timeout: None };
        run.call(101, commit(), Some(("TimedOut", "")));
        let text = "commit_transaction: gone (the transaction may have been committed)";
        run.call(102, commit(), Some(("Fenced", text)));
        for stage in [
            TxnStage::Initializing,
            TxnStage::Begun,
            TxnStage::SendingOffsets,
            TxnStage::Committing,
            TxnStage::Aborting,
            TxnStage::Between,
        ] {
            let producer = 0;
            run.see(Who::World, EventKind::Crashed { producer, stage });
        }
    }

    #[test]
    fn each_expected_fault_call_and_state_can_be_counted() {
        let mut run = Watched::new();
        for fault in 0..run.scenario.faults.len() {
            run.see(Who::World, EventKind::FaultBegins { fault });
        }
        run.see(
            Who::Broker(0),
            EventKind::Request {
                api: "Produce",
                version: 9,
                bytes: 1,
                fate: "NONE".into(),
            },
        );
        run.glance(Moment::Idle, ProducerSnapshot::default());
        let mut snapshot = ProducerSnapshot::default();
        snapshot.threads_waiting_for_memory = 1;
        snapshot.batches_retried = 2;
        snapshot.batches_split = 3;
        for (id, call) in all_calls().into_iter().enumerate() {
            run.call(id as u64, call, None);
        }
        run.glance(Moment::Passing, snapshot);
        run.call(
            90,
            Call::Close { timeout: None },
            Some(("Undelivered { records: 1 }", "")),
        );
        run.call(
            92,
            Call::Get {
                record: RecordId(0),
                timeout: None,
            },
            Some(("ProduceError(Inner { kind: Pending, delivery: x })", "")),
        );
        run.call(
            91,
            Call::Close { timeout: None },
            Some(("Misuse(InsideCallback)", "")),
        );
        run.offer(0, true);
        run.offer(1, false);
        run.offer(2, false);
        let (producer, sent) = (0, true);
        run.see(THREAD, EventKind::Intercepted { producer, sent });
        for report in [Report::Change("a".into()), Report::Removal("a".into())] {
            run.see(THREAD, EventKind::Reported { producer, report });
        }
        run.see(
            THREAD,
            EventKind::RecordRefused {
                record: RecordId(2),
                kind: "Closed".into(),
                text: String::new(),
            },
        );
        run.see(
            THREAD,
            EventKind::CallbackDropped {
                record: RecordId(2),
            },
        );
        for (record, may_be_written) in [(0, true), (1, false)] {
            let outcome = failed("t: expired", may_be_written);
            run.see(
                THREAD,
                EventKind::CallbackRan {
                    record: RecordId(record),
                    outcome,
                },
            );
        }
        for (node, incarnation, id, epoch) in [(0, 1, 5, 0), (1, 1, 5, 1), (1, 2, 6, 0)] {
            run.append(node, incarnation, id, epoch);
        }
        transactions(&mut run);
        run.see(
            Who::Broker(0),
            EventKind::Duplicate {
                topic: "t".into(),
                partition: 0,
                base_offset: 0,
                records: Vec::new(),
            },
        );
        run.see(
            Who::Broker(0),
            EventKind::Truncated {
                topic: "t".into(),
                incarnation: 1,
                partition: 0,
                from_offset: 0,
            },
        );
        run.see(
            Who::Broker(0),
            EventKind::TopicGone {
                topic: "t".into(),
                incarnation: 1,
            },
        );
        for is_newest in [false, true] {
            run.see(
                Who::Broker(0),
                EventKind::Handshake {
                    is_newest,
                    is_resumed: true,
                    has_certificate: true,
                    is_trusted: true,
                },
            );
        }
        for level in [log::Level::Error, log::Level::Warn, log::Level::Info] {
            run.see(
                Who::Sender(0),
                EventKind::LogLine {
                    level,
                    text: String::new(),
                },
            );
        }
        for (waits, until) in [(false, None), (true, None), (true, Some(Duration::ZERO))] {
            run.see(Who::Sender(0), EventKind::SenderStep { waits, until });
        }
        run.see(Who::World, EventKind::Healed);
        run.offer(3, false);
        let outcome = acknowledged("t", 0, 0);
        run.see(
            THREAD,
            EventKind::FutureReported {
                record: RecordId(3),
                outcome: outcome.clone(),
            },
        );
        run.see(
            THREAD,
            EventKind::FutureReported {
                record: RecordId(3),
                outcome,
            },
        );
        let counts = run.tallies.end();
        assert_eq!(
            (counts.records_offered, counts.records_acknowledged),
            (4, 1)
        );
        let groups = [Group::Fault, Group::Call, Group::State];
        let missing = counts.missing().into_iter();
        let missing: Vec<_> = missing
            .filter(|(group, _)| groups.contains(group))
            .collect();
        assert_eq!(missing, []);
        for group in groups {
            for name in counts.groups[group as usize].keys() {
                assert!(expected_of(group).contains(&name.as_str()), "{name}");
            }
        }
        assert_eq!(counts.get(Group::State, "a batch is split"), 3);
        assert_eq!(counts.get(Group::CallError, "Close: Undelivered"), 1);
        assert_eq!(counts.get(Group::CallError, "Get: Pending"), 1);
    }

    #[test]
    fn expected_error_codes_and_failures_are_those_of_the_library() {
        let codes: Vec<_> = (-1..=120)
            .map(|code| ErrorCode::from_code(code).name())
            .collect();
        for fate in expected_of(Group::Fate) {
            let is_no_code = matches!(*fate, "closed" | "silent" | "never answered" | "cut");
            assert!(is_no_code || codes.contains(fate), "{fate}");
        }
        let kinds = [
            ProduceErrorKind::DeliveryTimeout,
            ProduceErrorKind::MetadataTimeout,
            ProduceErrorKind::UnknownTopicOrPartition,
            ProduceErrorKind::BufferExhausted,
            ProduceErrorKind::RecordTooLarge {
                size: 1,
                limit: 1,
                key: "k",
            },
            ProduceErrorKind::InvalidTopic,
            ProduceErrorKind::TopicAuthorization,
            ProduceErrorKind::UnsupportedVersion,
            ProduceErrorKind::UnsupportedCompressionType,
            ProduceErrorKind::Broker(ErrorCode::NoError),
            ProduceErrorKind::Network,
            ProduceErrorKind::Authentication,
            ProduceErrorKind::Closed,
            ProduceErrorKind::ProducerFailed,
            ProduceErrorKind::TransactionAborted,
        ];
        let names = kinds.map(|kind| first_word(&format!("{kind:?}")).to_owned());
        assert_eq!(
            names.each_ref().map(String::as_str),
            expected_of(Group::Failure)
        );
    }

    #[test]
    fn counts_add_up_and_the_table_shows_zeros() {
        let mut run = Watched::new();
        run.see(
            THREAD,
            EventKind::UserCode {
                piece: "callback",
                act: "TakesMs(5)".into(),
            },
        );
        run.see(
            THREAD,
            EventKind::UserCode {
                piece: "callback",
                act: "Dances".into(),
            },
        );
        let mut counts = Counts::default();
        let one = run.tallies.end();
        counts.merge(&one);
        counts.merge(&one);
        assert_eq!(counts.runs, 2);
        assert_eq!(counts.get(Group::UserCode, "TakesMs"), 2);
        let missing = counts.missing();
        assert!(missing.contains(&(Group::UserCode, "Panics")));
        assert!(!missing.contains(&(Group::UserCode, "TakesMs")));
        let table = counts.to_string();
        assert!(table.contains("  2  TakesMs\n"), "{table}");
        assert!(table.contains("  0  Panics\n"), "{table}");
        assert!(table.contains("  2  Dances (not expected)\n"), "{table}");
    }
}
