//! Rule: a problem with one topic, partition, broker or record does not change the outcome of other records, and after
//! the healing records are delivered again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::facts::{Facts, RecordFacts, producer_of};
use super::faults::FaultFacts;
use super::logs::TopicId;
use super::settings::Settings;
use super::{Found, Glance, Rule};
use crate::events::{Event, EventKind, Failure, Outcome, ProducerIndex, RecordId, Who};
use crate::scenario::{Api, Fault, Scenario};

/// A record is acknowledged if it was accepted for a legal topic that exists from the start, and for a partition that
/// the topic always has while it exists, and if
/// - no fault that began before the record was complete affects it ([`touches`]), or
/// - it was offered after the faults that affect it were over ([`ends_by_itself`]), or after the healing (topics exist
///   again then);
///
/// and if its time suffices: `delivery.timeout.ms` (`max.block.ms` for waiting for metadata) has to be longer than
/// responses, back-offs, time-outs and the load can take together.
///
/// Records of transactions have rules of their own: `committed.rs`, `undisturbed.rs`.
///
/// Excused whatever the faults: `Closed`, if somebody closes the producer; `BufferExhausted`, since all topics share
/// the buffer memory; records above a size limit; `ProducerFailed`, if a fault may be fatal to a producer; limitations
/// of old brokers; and producers that give up healthy connections.
pub(super) struct Isolation {
    topics: BTreeMap<String, Start>,
    nodes: i32,
    latency: Duration,
    old_brokers: bool,
    takes_tls: bool,
    /// Whether brokers may close a healthy connection: they do so to refuse a request with acks=0.
    closes_without_acks: bool,
    /// The only node that has written to a partition; `None` for several nodes, or if a node was down before.
    writers: BTreeMap<(TopicId, i32), Option<i32>>,
    /// Partitions with an acknowledgement, by producer: the producer knows the topic and has its id.
    established: BTreeSet<(ProducerIndex, TopicId, i32)>,
    /// Records to an established partition, each with the node that leads the partition.
    settled: BTreeMap<RecordId, i32>,
}

/// A topic as it is at the start.
struct Start {
    partitions: u16,
    max_message_bytes: Option<u32>,
}

const RULE: &str = "isolation";
/// Generous bound on the overhead of a batch around its record, in bytes.
const OVERHEAD: usize = 300;
/// Part of the error text after a failure to get a producer id.
const NO_ID: &str = "the broker refused a producer id";
/// Default of `message.max.bytes`, in bytes.
const LIMIT: u32 = 1_048_588;

impl Isolation {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let folded = |name: &str| name.replace('.', "_");
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        for topic in &scenario.topics {
            *names.entry(folded(&topic.name)).or_default() += 1;
        }
        let good = scenario.topics.iter().filter(|topic| {
            topic.partitions > 0 && is_legal(&topic.name) && names[&folded(&topic.name)] == 1
        });
        let topics = good.map(|topic| {
            let start = Start {
                partitions: topic.partitions,
                max_message_bytes: topic.max_message_bytes,
            };
            (topic.name.clone(), start)
        });
        let release = &scenario.brokers.release;
        Self {
            topics: topics.collect(),
            nodes: i32::from(scenario.brokers.nodes),
            takes_tls: scenario.brokers.tls.is_some(),
            latency: Duration::from_micros(scenario.network.latency_us),
            closes_without_acks: scenario
                .topics
                .iter()
                .any(|topic| topic.max_message_bytes.is_some()),
            old_brokers: release.starts_with("V0")
                || release.starts_with("V1")
                || release == "V2_0",
            writers: BTreeMap::new(),
            established: BTreeSet::new(),
            settled: BTreeMap::new(),
        }
    }
}

/// Whether a name is legal by Kafka's rules, and not that of an internal topic.
fn is_legal(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty()
        && name.len() <= 249
        && !matches!(name, "." | "..")
        && !name.starts_with("__")
        && name.chars().all(is_plain)
}

impl Rule for Isolation {
    fn see(&mut self, facts: &Facts, event: &Event, _: &mut Found) {
        match &event.kind {
            EventKind::Appended {
                topic, partition, ..
            } => {
                let (Some(topic), Who::Broker(node)) = (facts.topic_id(topic), event.who) else {
                    return;
                };
                let writer = self.writers.entry((topic, *partition)).or_insert_with(|| {
                    let is_down = |begun: &FaultFacts| matches!(begun.fault, Fault::Down { .. });
                    (!facts.faults.begun().any(is_down)).then_some(node)
                });
                if *writer != Some(node) {
                    *writer = None;
                }
            }
            EventKind::FutureReported { record, outcome }
            | EventKind::CallbackRan { record, outcome } => {
                let Outcome::Acknowledged { partition, .. } = outcome else {
                    return;
                };
                if let Some(record) = facts.record(*record) {
                    let place = (record.producer, record.topic, *partition);
                    self.established.insert(place);
                }
            }
            EventKind::RecordOffered {
                record: id,
                partition: Some(partition),
                ..
            } => {
                let Some(record) = facts.record(*id) else {
                    return;
                };
                let place = (record.producer, record.topic, *partition);
                let writer = self.writers.get(&(record.topic, *partition)).copied();
                if let (Some(Some(writer)), true) = (writer, self.established.contains(&place)) {
                    self.settled.insert(*id, writer);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, facts: &Facts, last: &Glance, found: &mut Found) {
        let load = self.load(facts);
        let accepted = facts.records().filter(|record| record.accepted.is_some());
        for record in accepted.filter(|it| facts.transactions.id(it.producer).is_none()) {
            let Some(Outcome::Failed(failure)) = &record.outcome else {
                continue;
            };
            let Some(why) = self.why_acknowledged(facts, record, failure, load) else {
                continue;
            };
            let at = record.done.unwrap_or(last.at);
            let text = format!("{} failed, although {why}: {}", record.id, failure.text);
            found.add(RULE, at, text);
        }
    }
}

impl Isolation {
    /// Time for all records of the run one after the other, without faults.
    fn load(&self, facts: &Facts) -> Duration {
        let count = u32::try_from(facts.records().count()).unwrap_or(u32::MAX);
        let each = (self.latency * 4).saturating_add(Duration::from_millis(1));
        each.saturating_mul(count)
            .saturating_add(facts.network.slowest_answer * 4)
            .saturating_add(facts.user_time)
            .saturating_add(Duration::from_secs(2))
    }

    fn why_acknowledged(
        &self,
        facts: &Facts,
        record: &RecordFacts,
        failure: &Failure,
        load: Duration,
    ) -> Option<&'static str> {
        let settings = facts.settings(record)?;
        let topic = self.topics.get(&*record.topic_name)?;
        let partitions = i32::from(topic.partitions);
        let at_least = facts.faults.begun().map(|begun| match &begun.fault {
            Fault::RecreateTopic { topic, partitions } if **topic == *record.topic_name => {
                i32::from(*partitions)
            }
            _ => i32::MAX,
        });
        let partitions = at_least.fold(partitions, i32::min);
        // A partition chosen by the producer may not exist any more once the topic is recreated.
        let may_shrink = facts.faults.begun().any(|begun| match &begun.fault {
            Fault::RecreateTopic { topic, .. } | Fault::DeleteTopic { topic } => {
                **topic == *record.topic_name
            }
            _ => false,
        });
        let is_there = match record.partition {
            Some(at) => (0..partitions).contains(&at),
            None => !may_shrink,
        };
        if !is_there || self.is_excused(facts, record, failure) || facts.is_hasty(settings) {
            return None;
        }
        let done = record.done?;
        // With acks=0 a broker refuses a request by closing the connection.
        let is_closed_on = settings.acks == 0 && self.closes_without_acks;
        let writer = self.settled.get(&record.id).copied();
        // A response that was sent before the end of a fault may arrive after it.
        let on_its_way = on_its_way(facts);
        let touching = || {
            facts.faults.begun().filter(|begun| {
                begun.begun.is_some_and(|(at, _)| at <= done)
                    && self.has_effect(&begun.fault)
                    && touches(&begun.fault, record, writer)
            })
        };
        let is_over = |begun: &FaultFacts| {
            let over = begun.over().filter(|_| ends_by_itself(&begun.fault));
            over.is_some_and(|at| record.offered.at > at + on_its_way)
        };
        let healed = facts.faults.healed;
        let is_healed = healed.is_some_and(|at| record.offered.at > at + on_its_way);
        let (why, needed) = if touching().next().is_none() {
            // Failures in other partitions may require a new producer epoch, which the producer may request from any
            // broker.
            let may_reconnect = facts.faults.begun().next().is_some()
                || settings.connections_idle.is_some_and(|idle| idle < done)
                || is_closed_on;
            let needed = if may_reconnect {
                load.saturating_add(recovery(settings))
            } else {
                load
            };
            ("no fault affected it", needed)
        } else if is_healed || touching().all(is_over) {
            let needed = load
                .saturating_add(recovery(settings))
                .saturating_add(after_faults(facts, settings)?);
            (
                "all faults that affect it were over before it was sent",
                needed,
            )
        } else {
            return None;
        };
        let patience = if matches!(
            &*failure.kind,
            "MetadataTimeout" | "UnknownTopicOrPartition"
        ) {
            settings.max_block
        } else {
            settings.delivery_timeout
        };
        let may_try =
            settings.retries >= 20 || (facts.faults.begun().next().is_none() && !is_closed_on);
        (patience > needed.saturating_add(settings.linger) && may_try).then_some(why)
    }

    /// Whether the node, topic or partition that a fault names exists.
    fn has_effect(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Slow { node, .. }
            | Fault::Cut { node }
            | Fault::Silence { node, .. }
            | Fault::Refuse { node }
            | Fault::BlackHole { node }
            | Fault::Down { node }
            | Fault::Hang { node }
            | Fault::StaleMetadata { node }
            | Fault::Versions { node, .. } => (0..self.nodes).contains(node),
            Fault::WrongCertificate { node, .. }
            | Fault::NoTls { node, .. }
            | Fault::CutHandshake { node, .. } => self.takes_tls && (0..self.nodes).contains(node),
            _ => true,
        }
    }

    /// Whether a broker's certificate was refused while the record waited.
    fn was_refused(&self, facts: &Facts, record: &RecordFacts) -> bool {
        facts.faults.begun().any(|begun| {
            let is_one = matches!(
                begun.fault,
                Fault::WrongCertificate { .. } | Fault::NoTls { .. }
            );
            let began = begun.begun.map(|(at, _)| at);
            let over = begun.over().map(|at| at + on_its_way(facts));
            is_one
                && self.has_effect(&begun.fault)
                && began
                    .zip(record.done)
                    .is_some_and(|(began, done)| began <= done)
                && over.is_none_or(|over| record.offered.at <= over)
        })
    }

    fn is_excused(&self, facts: &Facts, record: &RecordFacts, failure: &Failure) -> bool {
        let begun = || facts.faults.begun().map(|begun| &begun.fault);
        let producer = &facts.producers[record.producer];
        let topic = self.topics.get(&*record.topic_name);
        match &*failure.kind {
            "Closed" => producer.closing.is_some(),
            "BufferExhausted" => true,
            // If one broker fails authentication, all waiters for metadata get the error.
            "Authentication" => self.was_refused(facts, record),
            "ProducerFailed" => self.old_brokers || begun().any(may_end_producer),
            // A fatal error of the producer is the outcome of all its records.
            "Broker(ProducerFenced)"
            | "Broker(ClusterAuthorizationFailed)"
            | "Broker(TransactionalIdAuthorizationFailed)" => begun().any(may_end_producer),
            kind if kind.starts_with("Broker(") && failure.text.contains(NO_ID) => {
                begun().any(may_end_producer)
            }
            // Brokers from 1.1 to 2.4 return this error when they have lost the producer state. If an earlier response
            // left open whether the batch was written, the batch gets no new sequence number, and fails.
            "Broker(UnknownProducerId)" => {
                failure.may_be_written && begun().any(makes_brokers_forget)
            }
            "Broker(InvalidTimestamp)" => {
                begun().any(|fault| matches!(fault, Fault::WallClock { .. }))
            }
            kind if kind.starts_with("Broker(MessageTooLarge") => {
                let limit = topic.and_then(|topic| topic.max_message_bytes);
                record.size + OVERHEAD > limit.unwrap_or(LIMIT) as usize
            }
            kind if kind.starts_with("RecordTooLarge") => true,
            kind if kind.starts_with("Unsupported") => {
                self.old_brokers || begun().any(may_end_producer)
            }
            _ => producer.settings.idempotent && self.old_brokers,
        }
    }
}

/// Whether a fault may change the outcome of a record. `writer` is the leader of the record's partition, if the leader
/// is certain and the record's producer needed no other broker.
fn touches(fault: &Fault, record: &RecordFacts, writer: Option<i32>) -> bool {
    let is_topic = |topic: &str| *topic == *record.topic_name;
    let is_partition =
        |topic: &str, at: i32| is_topic(topic) && record.partition.is_none_or(|it| it == at);
    match fault {
        Fault::Slow { node, .. }
        | Fault::Cut { node }
        | Fault::Silence { node, .. }
        | Fault::Refuse { node }
        | Fault::BlackHole { node }
        | Fault::WrongCertificate { node, .. }
        | Fault::NoTls { node, .. }
        | Fault::CutHandshake { node, .. }
        | Fault::Down { node }
        | Fault::Hang { node } => writer.is_none_or(|writer| writer == *node),
        Fault::MoveLeader {
            topic, partition, ..
        }
        | Fault::Truncate {
            topic, partition, ..
        }
        | Fault::ForgetProducers { topic, partition } => is_partition(topic, *partition),
        Fault::DeleteTopic { topic }
        | Fault::RecreateTopic { topic, .. }
        | Fault::GrowTopic { topic, .. }
        | Fault::LowerLimit { topic, .. } => is_topic(topic),
        // Other requests are refused as a whole.
        Fault::Error {
            request: Api::Produce | Api::Metadata,
            topic: Some(topic),
            partition,
            ..
        } => match partition {
            Some(partition) => is_partition(topic, *partition),
            None => is_topic(topic),
        },
        Fault::WallClock { .. }
        | Fault::MoveCoordinator { .. }
        | Fault::LoadCoordinators { .. }
        | Fault::DelayMarkers { .. } => false,
        Fault::Error { .. }
        | Fault::StaleMetadata { .. }
        | Fault::EpochsGoBack
        | Fault::Rebuild
        | Fault::MoveBrokers
        | Fault::Lose { .. }
        | Fault::Late { .. }
        | Fault::Throttle { .. }
        | Fault::Versions { .. }
        | Fault::NamesFail
        | Fault::WrongAddresses { .. } => true,
    }
}

/// Whether a fault leaves nothing behind when its time is over, or after its moment if it is instantaneous. Lost data
/// and changed topics are repaired only by the healing.
fn ends_by_itself(fault: &Fault) -> bool {
    matches!(
        fault,
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
            | Fault::Error { .. }
            | Fault::Lose { .. }
            | Fault::Late { .. }
            | Fault::Throttle { .. }
            | Fault::Versions { .. }
    )
}

/// Whether the fault makes brokers lose producer state.
fn makes_brokers_forget(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::RecreateTopic { .. }
            | Fault::DeleteTopic { .. }
            | Fault::Rebuild
            | Fault::ForgetProducers { .. }
            | Fault::Truncate { .. }
    )
}

/// Whether a fault may be fatal to a producer.
fn may_end_producer(fault: &Fault) -> bool {
    // CLUSTER_AUTHORIZATION_FAILED, UNSUPPORTED_VERSION, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, PRODUCER_FENCED.
    const FATAL: [i16; 4] = [31, 35, 53, 90];
    match fault {
        Fault::Error { request, code, .. } => {
            FATAL.contains(code) || *request == Api::InitProducerId
        }
        Fault::Versions { .. } => true,
        _ => false,
    }
}

/// Time in which a producer notices dead connections and reconnects.
pub(super) fn recovery(settings: &Settings) -> Duration {
    let times = [
        settings.request_timeout.saturating_mul(3),
        settings.setup_timeout_max.saturating_mul(3),
        settings.reconnect_backoff_max.saturating_mul(5),
        settings.retry_backoff_max.saturating_mul(5),
    ];
    times
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
}

/// Time that a response in flight may take.
fn on_its_way(facts: &Facts) -> Duration {
    let late = facts.faults.begun().map(|begun| match begun.fault {
        Fault::Slow { ms, .. } | Fault::Late { ms, .. } => Duration::from_millis(ms),
        _ => Duration::ZERO,
    });
    let late = late.max().unwrap_or_default();
    let answer = facts.network.slowest_answer.saturating_add(late);
    answer.saturating_add(facts.packing)
}

/// Time for which effects of faults last after the healing; `None` if a producer need not recover at all.
fn after_faults(facts: &Facts, settings: &Settings) -> Option<Duration> {
    let mut longest = Duration::ZERO;
    for begun in facts.faults.begun() {
        let left = match begun.fault {
            Fault::Slow { ms, .. } | Fault::Late { ms, .. } | Fault::Throttle { ms, .. } => {
                Duration::from_millis(ms)
            }
            // The producer may know only old addresses.
            Fault::MoveBrokers
            | Fault::Rebuild
            | Fault::NamesFail
            | Fault::WrongAddresses { .. }
            | Fault::EpochsGoBack
            | Fault::StaleMetadata { .. } => settings.rebootstrap?,
            _ => continue,
        };
        longest = longest.max(left);
    }
    Some(longest)
}

/// Rule: no record fails with `Closed` and no call is refused as closed before somebody has begun to close the
/// producer.
pub(super) struct ClosedByNobody;

impl Rule for ClosedByNobody {
    fn see(&mut self, facts: &Facts, event: &Event, found: &mut Found) {
        let (record, kind) = match &event.kind {
            EventKind::RecordRefused { record, kind, .. } => (*record, kind),
            EventKind::FutureReported { record, outcome }
            | EventKind::CallbackRan { record, outcome } => match outcome {
                Outcome::Failed(failure) => (*record, &failure.kind),
                Outcome::Acknowledged { .. } => return,
            },
            _ => return,
        };
        let producer = facts.record(record).map(|record| record.producer);
        let producer = producer.or_else(|| producer_of(event.who));
        let facts = producer.and_then(|producer| facts.producers.get(producer));
        let is_closed = matches!(&**kind, "Closed" | "Call(Closed)");
        if is_closed && facts.is_some_and(|producer| producer.closing.is_none()) {
            let text = format!("{record} is refused as closed, and nobody has closed the producer");
            found.add("closed by nobody", event.at, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::{Story, acknowledged, error, failed, fault, scenario};
    use crate::events::Call;
    use crate::scenario::TimedFault;

    fn isolation(keys: &[(&str, &str)], faults: &[TimedFault]) -> Story {
        let scenario = scenario(keys, faults);
        Story::of(Isolation::of(&scenario), &scenario)
    }

    fn expired() -> Outcome {
        failed("t-0: expired", false)
    }

    const SHORT: &[(&str, &str)] = &[
        ("request.timeout.ms", "1000"),
        ("socket.connection.setup.timeout.max.ms", "1000"),
        ("socket.connection.setup.timeout.ms", "1000"),
    ];

    #[test]
    fn without_faults_every_record_is_delivered() {
        let mut story = isolation(&[], &[]);
        story.send(0, "t", 0);
        story.reported(0, acknowledged("t", 0, 0));
        assert_eq!(story.end(), [""; 0]);
        let mut story = isolation(&[], &[]);
        story.send(0, "t", 0);
        story.reported(0, expired());
        assert_eq!(story.end().len(), 1);
    }

    #[test]
    fn missing_topics_and_partitions_are_excused() {
        for (topic, partition) in [("x", 0), ("t", 2), ("not legal", 0)] {
            let mut story = isolation(&[], &[]);
            story.send(0, topic, partition);
            story.reported(0, expired());
            assert_eq!(story.end(), [""; 0], "{topic}-{partition}");
        }
    }

    #[test]
    fn a_fault_of_another_topic_or_partition_is_no_excuse() {
        let of = |topic: &str, partition: i32| {
            fault(Fault::Truncate {
                topic: topic.into(),
                partition,
                records: 1,
            })
        };
        let faults = [
            (of("t", 0), 0),
            (of("t", 1), 1),
            (of("u", 0), 1),
            (fault(Fault::DeleteTopic { topic: "u".into() }), 1),
            (fault(Fault::DeleteTopic { topic: "t".into() }), 0),
            (error(Api::Produce, Some("u"), None, 6, false), 1),
            (error(Api::Metadata, Some("t"), None, 6, false), 0),
            (error(Api::Metadata, None, None, 6, false), 0),
            (fault(Fault::Rebuild), 0),
            (fault(Fault::WallClock { by_ms: 5 }), 1),
        ];
        for (fault, expected) in faults {
            let mut story = isolation(SHORT, std::slice::from_ref(&fault));
            story.begins(0);
            story.send(0, "t", 0);
            story.reported(0, expired());
            assert_eq!(story.end().len(), expected, "{fault:?}");
        }
    }

    #[test]
    fn a_later_fault_is_no_excuse_and_a_short_time_out_is_one() {
        let rebuild = fault(Fault::Rebuild);
        let mut story = isolation(SHORT, &[rebuild]);
        story.send(0, "t", 0);
        story.reported(0, expired());
        story.at_ms(1).begins(0);
        assert_eq!(story.end().len(), 1);
        let hurry = [
            ("request.timeout.ms", "1000"),
            ("delivery.timeout.ms", "1500"),
        ];
        let mut story = isolation(&hurry, &[]);
        story.send(0, "t", 0);
        story.reported(0, expired());
        assert_eq!(story.end(), [""; 0]);
    }

    #[test]
    fn a_fault_of_another_broker_is_no_excuse_for_an_established_partition() {
        for (node, established, expected) in [(1, true, 1), (0, true, 0), (1, false, 0)] {
            let mut story = isolation(SHORT, &[fault(Fault::Hang { node })]);
            if established {
                story.send(0, "t", 0);
                story.append("t", 0, 0, &[0]);
                story.reported(0, acknowledged("t", 0, 0));
            }
            story.begins(0);
            story.send(1, "t", 0);
            story.reported(1, expired());
            assert_eq!(story.end().len(), expected, "{node} {established}");
        }
    }

    #[test]
    fn after_a_fault_records_are_delivered_unless_it_has_lasting_effects() {
        let deletes = Fault::DeleteTopic { topic: "t".into() };
        for (what, ends, expected) in [
            (Fault::Hang { node: 0 }, true, 1),
            (Fault::Hang { node: 0 }, false, 0),
            (Fault::Cut { node: 0 }, false, 1),
            (deletes, true, 0),
        ] {
            let mut story = isolation(SHORT, &[fault(what.clone())]);
            story.begins(0);
            if ends {
                story.at_ms(5).world(EventKind::FaultEnds { fault: 0 });
            }
            story.at_ms(200).send(0, "t", 0);
            story.reported(0, expired());
            assert_eq!(story.end().len(), expected, "{what:?}");
        }
    }

    #[test]
    fn a_fault_of_a_missing_broker_is_no_excuse() {
        for (node, expected) in [(2, 0), (3, 1)] {
            let mut story = isolation(SHORT, &[fault(Fault::Hang { node })]);
            story.begins(0);
            story.send(0, "t", 0);
            story.reported(0, expired());
            assert_eq!(story.end().len(), expected, "{node}");
        }
    }

    #[test]
    fn after_the_healing_records_are_delivered() {
        for (sent_ms, expected) in [(4, 0), (200, 1)] {
            let mut story = isolation(SHORT, &[fault(Fault::Hang { node: 0 })]);
            story.begins(0);
            story.at_ms(sent_ms).send(0, "t", 0);
            story.at_ms(5);
            if sent_ms < 5 {
                story.world(EventKind::Healed);
            } else {
                story = isolation(SHORT, &[fault(Fault::Hang { node: 0 })]);
                story.begins(0);
                story.at_ms(5).world(EventKind::Healed);
                story.at_ms(sent_ms).send(0, "t", 0);
            }
            story.reported(0, expired());
            assert_eq!(story.end().len(), expected, "{sent_ms}");
        }
    }

    #[test]
    fn a_partition_missing_in_the_recreated_topic_need_not_recover() {
        for (partition, expected) in [(0, 1), (1, 0)] {
            let again = fault(Fault::RecreateTopic {
                topic: "t".into(),
                partitions: 1,
            });
            let mut story = isolation(SHORT, &[again]);
            story.begins(0);
            story.world(EventKind::Healed);
            story.at_ms(200).send(0, "t", partition);
            story.reported(0, expired());
            assert_eq!(story.end().len(), expected, "{partition}");
        }
    }

    #[test]
    fn some_failures_are_excused_by_their_kind() {
        for (kind, closes, expected) in [
            ("Closed", true, 0),
            ("Closed", false, 1),
            ("BufferExhausted", false, 0),
            ("ProducerFailed", false, 1),
            ("UnsupportedVersion", false, 1),
            ("MetadataTimeout", false, 1),
            ("Broker(MessageTooLarge)", false, 1),
        ] {
            let mut story = isolation(&[], &[]);
            story.send(0, "t", 0);
            if closes {
                story.call(Call::Close { timeout: None });
            }
            story.reported(0, expired().kind(kind));
            assert_eq!(story.end().len(), expected, "{kind} {closes}");
        }
    }

    #[test]
    fn a_closed_error_without_a_close_is_caught() {
        for closes in [false, true] {
            let mut story = Story::new(ClosedByNobody);
            story.send(0, "t", 0);
            if closes {
                story.call(Call::DropProducer);
            }
            story.refuse(1, "t", 0);
            story.reported(0, expired().kind("Closed"));
            assert_eq!(story.found().len(), if closes { 0 } else { 2 });
        }
    }
}
