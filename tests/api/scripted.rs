//! Fault injection: responses that are late, lost or truncated, stale metadata, old brokers, brokers that hang.

use std::time::{Duration, Instant};

use kafka_producer::testing::{AndThen, Api, Rule, RuleHandle, TestCluster};
use kafka_producer::{
    Delivery, ErrorCode, ProduceError, ProduceErrorKind, ProducerConfigBuilder, ProducerRecord,
    RecordMetadata, WaitCause,
};

use crate::support::{LONG, Text, cluster, config, producer, record, values};

/// `request.timeout.ms` of tests in which a request times out.
const IMPATIENT: Duration = Duration::from_millis(200);

fn send(producer: &Text, value: &str) -> Result<RecordMetadata, ProduceError> {
    producer.send(record(value)).unwrap().get_timeout(LONG)
}

fn script(cluster: &TestCluster, rule: Rule) -> RuleHandle {
    cluster.script(rule).unwrap()
}

fn produce_once() -> Rule {
    Rule::on(Api::Produce).times(1)
}

fn impatient(config: ProducerConfigBuilder) -> ProducerConfigBuilder {
    config.request_timeout(IMPATIENT).delivery_timeout(LONG)
}

fn not_idempotent(config: ProducerConfigBuilder) -> ProducerConfigBuilder {
    config.set("enable.idempotence", "false")
}

fn two_nodes() -> TestCluster {
    TestCluster::builder()
        .nodes(2)
        .topic("t", 2)
        .start()
        .unwrap()
}

// ---- lost responses

/// All ways to lose a response, and whether the request was applied.
fn lost_response_rules() -> [(&'static str, Rule, bool); 6] {
    let on = produce_once;
    [
        ("closed before", on().close(), false),
        ("closed after", on().close().after_applying(), true),
        ("silent before", on().never_answer(), false),
        ("silent after", on().never_answer().after_applying(), true),
        (
            "half, then closed",
            on().cut_answer(20, AndThen::Close),
            true,
        ),
        (
            "half, then silent",
            on().cut_answer(20, AndThen::Silence),
            true,
        ),
    ]
}

#[test]
fn an_idempotent_producer_writes_once_however_a_response_is_lost() {
    for (how, rule, applied) in lost_response_rules() {
        let cluster = cluster(1);
        let lost = script(&cluster, rule);
        let producer = producer(impatient(config(&cluster)));
        let metadata = send(&producer, "v").unwrap();
        assert_eq!((lost.fired(), metadata.offset()), (1, 0), "{how}");
        assert_eq!(values(&cluster, 0), ["v"], "{how}");
        let duplicates = cluster.summary("t", 0).unwrap().duplicates;
        assert_eq!(duplicates, u64::from(applied), "{how}");
    }
}

#[test]
fn without_idempotence_a_lost_response_may_cause_a_duplicate() {
    for (how, rule, applied) in lost_response_rules() {
        let cluster = cluster(1);
        script(&cluster, rule);
        let producer = producer(not_idempotent(impatient(config(&cluster))));
        send(&producer, "v").unwrap();
        let copies = 1 + usize::from(applied);
        assert_eq!(values(&cluster, 0), vec!["v"; copies], "{how}");
    }
}

#[test]
fn without_retries_a_record_whose_response_is_lost_may_be_written() {
    for (how, rule, applied) in lost_response_rules() {
        let cluster = cluster(1);
        script(&cluster, rule);
        let config = not_idempotent(impatient(config(&cluster))).set("retries", "0");
        let producer = producer(config);
        let error = send(&producer, "v").unwrap_err();
        assert_eq!(error.kind(), &ProduceErrorKind::Network, "{how}: {error}");
        assert_eq!(error.delivery(), Delivery::MaybeWritten, "{how}: {error}");
        assert_eq!(cluster.record_count("t"), u64::from(applied), "{how}");
        // The producer keeps working.
        send(&producer, "next").unwrap();
    }
}

#[test]
fn batches_after_a_lost_one_are_written_once_and_in_order() {
    for (how, rule, _) in lost_response_rules() {
        let cluster = cluster(1);
        let lost = script(&cluster, rule.skip(3));
        let producer = producer(impatient(config(&cluster)).batch_size(0));
        let sent: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let futures: Vec<_> = sent
            .iter()
            .map(|value| producer.send(record(value)).unwrap())
            .collect();
        for future in futures {
            future.get_timeout(LONG).unwrap();
        }
        assert_eq!(lost.fired(), 1, "{how}");
        assert_eq!(values(&cluster, 0), sent, "{how}");
    }
}

#[test]
fn a_producer_id_is_requested_again_after_a_lost_response_or_a_retriable_error() {
    let cluster = cluster(1);
    let on = || Rule::on(Api::InitProducerId).times(1);
    let rules = [
        on().close().after_applying(),
        on().fail(ErrorCode::CoordinatorLoadInProgress),
        on().fail(ErrorCode::NotCoordinator),
        on().cut_answer(6, AndThen::Close),
        on().never_answer(),
    ];
    let rules = rules.map(|rule| script(&cluster, rule));
    let producer = producer(impatient(config(&cluster)));
    send(&producer, "v").unwrap();
    assert!(rules.iter().all(|rule| rule.fired() == 1), "{rules:?}");
    assert_eq!(values(&cluster, 0), ["v"]);
}

// ---- late responses

#[test]
fn a_request_times_out_before_a_late_response() {
    let cluster = cluster(1);
    let late = script(&cluster, produce_once().delay(LONG * 10));
    let producer = producer(impatient(config(&cluster)));
    let began = Instant::now();
    send(&producer, "v").unwrap();
    assert!(began.elapsed() >= IMPATIENT);
    assert_eq!(late.fired(), 1);
    assert_eq!(values(&cluster, 0), ["v"]);
    assert_eq!(cluster.summary("t", 0).unwrap().duplicates, 1);
}

#[test]
fn a_record_that_expires_in_flight_may_be_written() {
    let cluster = cluster(1);
    script(&cluster, Rule::on(Api::Produce).delay(LONG * 10));
    let config = config(&cluster)
        .request_timeout(IMPATIENT)
        .delivery_timeout(IMPATIENT * 3 / 2);
    let producer = producer(config);
    let error = send(&producer, "v").unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::DeliveryTimeout, "{error}");
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    assert!(
        matches!(error.cause(), Some(WaitCause::NotAnswered { node: 0 })),
        "{error}"
    );
    assert_eq!(cluster.record_count("t"), 1);
}

#[test]
fn a_slow_broker_does_not_delay_the_others() {
    let cluster = two_nodes();
    let slow = cluster.leader("t", 0).unwrap();
    let producer = producer(config(&cluster));
    for partition in 0..2 {
        let record = record("first").with_partition(partition);
        producer.send(record).unwrap().get_timeout(LONG).unwrap();
    }
    let slow = script(&cluster, Rule::on(Api::Produce).node(slow).delay(LONG * 10));
    let stuck = producer.send(record("v").with_partition(0)).unwrap();
    slow.wait_fired(1, LONG).unwrap();
    let quick = producer.send(record("v").with_partition(1)).unwrap();
    quick.get_timeout(LONG).unwrap();
    assert!(!stuck.is_done());
    slow.remove();
    cluster.disconnect_clients(cluster.leader("t", 0).unwrap());
    stuck.get_timeout(LONG).unwrap();
    assert_eq!(values(&cluster, 0), ["first", "v"]);
}

/// Unlike a Kafka broker, the embedded broker also processes requests during the throttle time, so only the producer
/// delays them (KIP-219).
#[test]
fn a_throttled_producer_waits_for_the_throttle_time() {
    let quiet = Duration::from_millis(800);
    let cluster = cluster(1);
    let producer = producer(config(&cluster));
    send(&producer, "first").unwrap();
    let throttled = script(&cluster, produce_once().throttle(quiet));
    let requests = script(&cluster, Rule::on(Api::Produce));
    let began = Instant::now();
    send(&producer, "second").unwrap();
    let responded = Instant::now();
    assert_eq!(throttled.fired(), 1);
    assert!(
        responded - began < quiet,
        "the answer itself is not held back"
    );
    send(&producer, "third").unwrap();
    assert!(began.elapsed() >= quiet, "{:?}", began.elapsed());
    assert_eq!(requests.fired(), 2);
}

#[test]
fn the_error_of_an_expired_record_names_the_throttled_broker() {
    let cluster = cluster(1);
    let config = config(&cluster)
        .request_timeout(IMPATIENT)
        .delivery_timeout(IMPATIENT);
    let producer = producer(config);
    script(&cluster, produce_once().throttle(LONG * 10));
    send(&producer, "first").unwrap();
    let error = send(&producer, "second").unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotWritten, "{error}");
    assert!(
        matches!(error.cause(), Some(WaitCause::Throttled { node: 0 })),
        "{error}"
    );
}

// ---- stale metadata

#[test]
fn a_producer_finds_the_new_leader_despite_one_brokers_stale_metadata() {
    let cluster = two_nodes();
    let old = cluster.leader("t", 0).unwrap();
    let new = 1 - old;
    let before = cluster.metadata_snapshot();
    let producer = producer(config(&cluster));
    let to_partition = |partition, value| {
        let record = record(value).with_partition(partition);
        producer.send(record).unwrap().get_timeout(LONG)
    };
    // The producer has connections to both brokers, so each of its metadata requests may go to either of them.
    to_partition(1, "elsewhere").unwrap();
    to_partition(0, "first").unwrap();
    let stale = Rule::on(Api::Metadata).node(old).answer_as_of(&before);
    script(&cluster, stale);
    cluster.move_leader("t", 0, new).unwrap();
    to_partition(0, "second").unwrap();
    assert_eq!(values(&cluster, 0), ["first", "second"]);
}

#[test]
fn a_producer_waits_while_all_brokers_have_stale_metadata() {
    let cluster = two_nodes();
    let old = cluster.leader("t", 0).unwrap();
    let producer = producer(config(&cluster));
    let to_partition = |value| producer.send(record(value).with_partition(0)).unwrap();
    to_partition("first").get_timeout(LONG).unwrap();
    let before = cluster.metadata_snapshot();
    let frozen = script(&cluster, Rule::on(Api::Metadata).answer_as_of(&before));
    cluster.move_leader("t", 0, 1 - old).unwrap();
    let refused = script(&cluster, Rule::on(Api::Produce).node(old));
    let future = to_partition("second");
    refused.wait_fired(3, LONG).unwrap();
    frozen.wait_fired(2, LONG).unwrap();
    assert!(!future.is_done());
    frozen.remove();
    future.get_timeout(LONG).unwrap();
    assert_eq!(values(&cluster, 0), ["first", "second"]);
}

#[test]
fn send_waits_for_a_topic_that_the_brokers_do_not_list_yet() {
    let cluster = cluster(1);
    let on = || Rule::on(Api::Metadata).topic("t").times(2);
    let rules = [
        on().fail(ErrorCode::UnknownTopicOrPartition),
        on().fail(ErrorCode::LeaderNotAvailable),
    ];
    let rules = rules.map(|rule| script(&cluster, rule));
    let producer = producer(config(&cluster));
    send(&producer, "v").unwrap();
    assert!(rules.iter().all(|rule| rule.fired() == 2), "{rules:?}");
}

#[test]
fn a_record_waits_for_a_partition_without_leader() {
    let cluster = cluster(1);
    let leaderless = Rule::on(Api::Metadata)
        .partition("t", 0)
        .fail(ErrorCode::LeaderNotAvailable);
    let leaderless = script(&cluster, leaderless);
    let producer = producer(config(&cluster));
    let future = producer.send(record("v").with_partition(0)).unwrap();
    leaderless.wait_fired(3, LONG).unwrap();
    assert!(!future.is_done());
    leaderless.remove();
    future.get_timeout(LONG).unwrap();
}

// ---- old brokers

#[test]
fn the_oldest_brokers_with_idempotence_get_requests_in_their_versions() {
    let cluster = cluster(1);
    let rules = [
        Rule::on(Api::Produce).versions(..=3),
        Rule::on(Api::Metadata).versions(..=4),
        Rule::on(Api::ApiVersions).versions(..=1),
        Rule::on(Api::InitProducerId).versions(..=0),
    ];
    let rules = rules.map(|rule| script(&cluster, rule));
    let producer = producer(config(&cluster));
    assert_eq!(send(&producer, "v").unwrap().offset(), 0);
    assert_eq!(values(&cluster, 0), ["v"]);
    assert!(cluster.records("t", 0)[0].producer.is_some());
    assert!(rules.iter().all(|rule| rule.fired() > 0), "{rules:?}");
}

/// Before KIP-219 the broker itself delayed the response.
#[test]
fn an_old_broker_delays_the_response_itself_and_the_producer_does_not_wait_again() {
    let cluster = cluster(1);
    script(&cluster, Rule::on(Api::Produce).versions(..=5));
    let producer = producer(config(&cluster));
    send(&producer, "first").unwrap();
    let quiet = Duration::from_millis(800);
    script(&cluster, produce_once().throttle(quiet));
    let began = Instant::now();
    send(&producer, "second").unwrap();
    let answered = Instant::now();
    assert!(answered - began >= quiet);
    send(&producer, "third").unwrap();
    assert!(answered.elapsed() < quiet, "{:?}", answered.elapsed());
}

#[test]
fn brokers_without_producer_ids_are_rejected_with_the_remedy() {
    let cluster = cluster(1);
    script(&cluster, Rule::on(Api::InitProducerId).unsupported());
    let idempotent = producer(config(&cluster));
    let error = send(&idempotent, "v").unwrap_err();
    assert!(
        error.to_string().contains("enable.idempotence=false"),
        "{error}"
    );
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let plain = producer(not_idempotent(config(&cluster)));
    send(&plain, "v").unwrap();
    assert_eq!(values(&cluster, 0), ["v"]);
}

#[test]
fn brokers_without_a_common_version_of_produce_are_refused_and_the_error_names_the_request() {
    let cluster = cluster(1);
    script(&cluster, Rule::on(Api::Produce).versions(10..=12));
    let producer = producer(config(&cluster));
    let error = send(&producer, "v").unwrap_err();
    assert_eq!(
        error.kind(),
        &ProduceErrorKind::UnsupportedVersion,
        "{error}"
    );
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert!(error.to_string().contains("Produce"), "{error}");
}

// ---- brokers that hang or are down

#[test]
fn requests_to_a_hanging_broker_time_out_and_others_continue() {
    let cluster = two_nodes();
    let hung = cluster.leader("t", 0).unwrap();
    let producer = producer(impatient(config(&cluster)));
    let to_partition = |partition| {
        let record = record("v").with_partition(partition);
        producer.send(record).unwrap()
    };
    for partition in 0..2 {
        to_partition(partition).get_timeout(LONG).unwrap();
    }
    cluster.hang_node(hung);
    let connections = cluster.connections_accepted();
    let stuck = to_partition(0);
    to_partition(1).get_timeout(LONG).unwrap();
    // The broker hangs, so the request times out, and the producer closes the connection and opens another.
    let deadline = Instant::now() + LONG;
    while cluster.connections_accepted() == connections {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert!(!stuck.is_done());
    assert_eq!(cluster.summary("t", 0).unwrap().records, 1);
    cluster.resume_node(hung);
    stuck.get_timeout(LONG).unwrap();
    // The first attempt is applied too when the broker is resumed; the log has the record once.
    assert_eq!(cluster.summary("t", 0).unwrap().records, 2);
}

/// The metadata of the new topic may be requested from the hung broker first.
#[test]
fn a_new_topic_of_another_broker_is_written_to_while_a_broker_hangs() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 1)
        .topic("u", 1)
        .start()
        .unwrap();
    cluster.move_leader("t", 0, 1).unwrap();
    cluster.move_leader("u", 0, 0).unwrap();
    let producer = producer(
        config(&cluster)
            .request_timeout(LONG)
            .delivery_timeout(LONG * 2)
            .max_block(LONG / 2),
    );
    send(&producer, "v").unwrap();
    cluster.hang_node(1);
    let stuck = producer.send(record("v")).unwrap();
    let other = producer.send(ProducerRecord::new("u", "v")).unwrap();
    other.get_timeout(LONG).unwrap();
    assert!(!stuck.is_done());
    cluster.resume_node(1);
    stuck.get_timeout(LONG).unwrap();
}

#[test]
fn send_times_out_while_a_cluster_hangs_from_the_start_and_succeeds_after_it_is_resumed() {
    let cluster = cluster(1);
    cluster.hang_node(0);
    let producer = producer(
        config(&cluster)
            .request_timeout(IMPATIENT)
            .delivery_timeout(LONG)
            .max_block(IMPATIENT * 2),
    );
    let error = send(&producer, "v").unwrap_err();
    assert_eq!(error.kind(), &ProduceErrorKind::MetadataTimeout, "{error}");
    assert_eq!(error.delivery(), Delivery::NotWritten);
    cluster.resume_node(0);
    send(&producer, "v").unwrap();
    assert_eq!(values(&cluster, 0), ["v"]);
}

#[test]
fn a_broker_restart_loses_no_record() {
    let cluster = cluster(1);
    let producer = producer(config(&cluster).batch_size(0));
    let requests = script(&cluster, Rule::on(Api::Produce));
    let sent: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let futures: Vec<_> = sent
        .iter()
        .map(|value| producer.send(record(value)).unwrap())
        .collect();
    requests.wait_fired(20, LONG).unwrap();
    cluster.stop_node(0);
    cluster.start_node(0).unwrap();
    for future in futures {
        future.get_timeout(LONG).unwrap();
    }
    assert_eq!(values(&cluster, 0), sent);
}

/// A broker without state of a producer accepts any sequence number as the first: a batch that is rejected temporarily,
/// for example during a leader election, must not be overtaken by later ones.
#[test]
fn a_first_batch_that_is_rejected_is_not_overtaken() {
    const RECORDS: usize = 200;
    let cluster = cluster(1);
    script(
        &cluster,
        produce_once().fail(ErrorCode::NotLeaderOrFollower),
    );
    let late = Rule::on(Api::Produce).times(6);
    script(&cluster, late.delay(Duration::from_millis(50)));
    // Each record is a batch, and requests are sent without a pause.
    let producer = producer(config(&cluster).batch_size(0));
    let futures: Vec<_> = (0..RECORDS)
        .map(|number| producer.send(record(&number.to_string())).unwrap())
        .collect();
    for future in &futures {
        future.get_timeout(LONG).unwrap();
    }
    let expected: Vec<_> = (0..RECORDS).map(|number| number.to_string()).collect();
    assert_eq!(values(&cluster, 0), expected);
}
