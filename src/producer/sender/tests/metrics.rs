//! The sender's metrics: the values that are recorded, and the time at which they are recorded.

use super::*;
use crate::clock::Deadline;
use crate::metrics::Metrics;

const ALL: &str = "producer-metrics";
const OF_TOPIC: &str = "producer-topic-metrics";
/// A record with this value takes 61 + 21 + 1 + 1 + 6 + 1 bytes at most.
const VALUE: &str = "record";
const LARGEST: f64 = 91.0;

impl Rig {
    fn metrics(&self) -> Metrics {
        Metrics::new(Arc::clone(&self.shared.metrics))
    }

    #[track_caller]
    fn assert_metrics<const N: usize>(&self, expected: [(&str, f64); N]) {
        assert_equal(&self.metrics(), ALL, &[], expected);
    }

    #[track_caller]
    fn assert_topic<const N: usize>(&self, topic: &str, expected: [(&str, f64); N]) {
        assert_equal(&self.metrics(), OF_TOPIC, &[("topic", topic)], expected);
    }

    fn topic_metrics(&self) -> usize {
        let all = self.metrics().all();
        let of_topics = all.iter().filter(|it| it.name().group() == OF_TOPIC);
        of_topics.count()
    }
}

#[track_caller]
fn assert_equal<const N: usize>(
    metrics: &Metrics,
    group: &str,
    tags: &[(&str, &str)],
    expected: [(&str, f64); N],
) {
    for (name, expected) in expected {
        let value = metrics.number(group, name, tags);
        let is_close = (value - expected).abs() <= expected.abs() * 1e-6;
        assert!(
            is_close || value.is_nan() && expected.is_nan(),
            "{name} of {tags:?} is {value}, not {expected}"
        );
    }
}

fn roomy(change: impl FnOnce(&mut SenderOptions)) -> Rig {
    Setup {
        batch_size: 1000,
        ..Setup::default().with(change)
    }
    .start()
}

/// Java: SenderTest#testSenderMetricsTemplates; SenderMetrics#updateProduceRequestMetrics
#[test]
fn each_request_records_its_batches_its_records_and_its_topics() {
    let mut rig = roomy(|options| options.linger = MS(40));
    rig.shared.metadata.add_topic(&"u".into(), rig.now());
    rig.show(vec![topic(TOPIC, &[0, 0]), topic("u", &[0])]);
    assert_eq!(
        rig.topic_metrics(),
        0,
        "none before the first batch is sent"
    );
    let mut futures = vec![rig.send(0, VALUE), rig.send(0, "7"), rig.send(1, VALUE)];
    rig.advance(MS(30));
    futures.push(append_to(&rig.shared, "u", 0, VALUE, None));
    rig.advance(MS(10));
    rig.run();
    assert_eq!(
        rig.waiting(),
        1,
        "one request: batches that are not due are included"
    );
    // A record takes 7 bytes besides its value.
    let (two, one) = (61.0 + 13.0 + 8.0, 61.0 + 13.0);
    rig.assert_metrics([
        ("batch-size-max", two),
        ("batch-size-avg", (two + one + one) / 3.0),
        ("compression-rate-avg", 1.0),
        ("record-queue-time-max", 40.0),
        ("record-queue-time-avg", (40.0 + 40.0 + 10.0) / 3.0),
        ("record-send-total", 4.0),
        ("records-per-request-avg", 4.0),
        ("record-size-max", LARGEST),
        ("record-size-avg", LARGEST),
        ("request-latency-max", f64::NAN),
    ]);
    rig.assert_topic(
        TOPIC,
        [
            ("record-send-total", 3.0),
            ("record-send-rate", 3.0 / 30.0),
            ("byte-total", two + one),
            ("compression-rate", 1.0),
            ("record-retry-total", 0.0),
            ("record-error-total", 0.0),
        ],
    );
    rig.assert_topic("u", [("record-send-total", 1.0), ("byte-total", one)]);
    assert_eq!(rig.topic_metrics(), 2 * 9);
}

#[test]
fn a_retried_batch_is_recorded_again_and_its_records_are_counted_as_retries() {
    let mut rig = Setup::default().start();
    let _future = rig.launch(0, VALUE);
    rig.advance(MS(7));
    rig.respond(ErrorCode::NotLeaderOrFollower, -1);
    rig.advance(MS(500));
    rig.lead_by(&[0, 0]);
    rig.run();
    assert_eq!(rig.sent().len(), 2);
    rig.assert_metrics([
        ("record-send-total", 2.0),
        ("record-retry-total", 1.0),
        ("record-error-total", 0.0),
        ("record-queue-time-max", 507.0),
        ("request-latency-max", 7.0),
    ]);
    rig.assert_topic(
        TOPIC,
        [("record-retry-total", 1.0), ("record-send-total", 2.0)],
    );
}

/// Java: SenderMetrics#recordErrors, which finds no sensor of a topic that was never drained.
#[test]
fn failed_records_are_counted_and_also_by_topic_once_a_batch_of_the_topic_was_sent() {
    let mut rig = roomy(|_| {});
    let unreachable = rig.now() + DELIVERY_TIMEOUT;
    rig.client().set_unreachable(0, unreachable);
    let _unsent = [rig.send(0, VALUE), rig.send(0, VALUE)];
    rig.run();
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    rig.assert_metrics([("record-error-total", 2.0), ("record-send-total", 0.0)]);
    assert_eq!(rig.topic_metrics(), 0);
    let _refused = rig.launch(0, VALUE);
    rig.respond(ErrorCode::TopicAuthorizationFailed, -1);
    rig.assert_metrics([("record-error-total", 3.0), ("record-send-total", 1.0)]);
    rig.assert_topic(TOPIC, [("record-error-total", 1.0)]);
}

/// A way in which accepted records fail: its name, and its steps.
type Ending = (&'static str, fn(&mut Rig));

/// Endings of a producer that has a batch in flight, and another one queued behind it.
const ENDINGS_OF_SENT: [Ending; 6] = [
    ("refused by the broker", |rig| {
        rig.respond(ErrorCode::InvalidRecord, -1);
        rig.run();
        rig.respond(ErrorCode::InvalidRecord, -1);
    }),
    ("expired", |rig| {
        rig.advance(DELIVERY_TIMEOUT);
        // The sockets are read before a batch in flight expires.
        rig.run();
    }),
    ("not authorized", |rig| {
        rig.respond(ErrorCode::ClusterAuthorizationFailed, -1);
    }),
    ("fenced", |rig| rig.respond(ErrorCode::ProducerFenced, -1)),
    ("panicked", |rig| {
        rig.sender.fail_everything_poisoned("it panicked");
    }),
    (FORCED_CLOSE, |rig| {
        rig.shared.control.force();
        rig.sender.abort_everything();
    }),
];

const FORCED_CLOSE: &str = "closed by force";

/// Endings of a producer that has asked for its producer id.
const ENDINGS_WITHOUT_ID: [Ending; 3] = [
    ("no id, for now", |rig| {
        refuse_id(rig, ErrorCode::ClusterAuthorizationFailed);
    }),
    ("no id, a fatal error", |rig| {
        refuse_id(rig, ErrorCode::InvalidRequest);
    }),
    ("no broker gives ids", |rig| {
        let now = rig.now();
        let old = Outcome::UnsupportedVersion("too old".into());
        rig.client().finish(0, old, now);
    }),
];

fn refuse_id(rig: &mut Rig, code: ErrorCode) {
    let now = rig.now();
    rig.client().respond(init_response(code, -1, -1), now);
}

/// Whether a failed record is counted depends on its error, not on where its batch was. Records aborted with their
/// transaction are not counted either, see `transactions/ending.rs`.
#[test]
fn every_failed_record_is_counted_except_those_that_a_forced_close_reports() {
    let sent = ENDINGS_OF_SENT.map(|ending| (ending, true));
    let unsent = ENDINGS_WITHOUT_ID.map(|ending| (ending, false));
    for ((ending, fail), has_id) in sent.into_iter().chain(unsent) {
        let setup = Setup::idempotent();
        let mut rig = if has_id { setup.start() } else { setup.build() };
        let futures = [rig.send(0, VALUE), rig.send(0, VALUE)];
        rig.run();
        fail(&mut rig);
        // The first step handles a response, the second the failure of the producer.
        rig.run();
        rig.run();
        assert!(
            futures.iter().all(FutureRecordMetadata::is_done),
            "{ending}"
        );
        let kinds = futures.map(|future| error(&future).kind().clone());
        let failed = rig.shared.counters.snapshot().records_failed;
        assert_eq!(failed, 2, "{ending}: {kinds:?}");
        let reported = if ending == FORCED_CLOSE { 2 } else { 0 };
        if reported > 0 {
            assert_eq!(rig.shared.control.undelivered(), reported);
        }
        let counted = rig.metrics().number(ALL, "record-error-total", &[]);
        let expected = (failed - reported) as f64;
        assert!((counted - expected).abs() < 0.5, "{ending}: {counted}");
    }
}

/// Java: SenderTest#testSplitBatchAndSend (batch-split-rate)
#[test]
fn a_split_batch_is_counted_once_and_its_pieces_are_counted_as_batches() {
    let mut rig = roomy(|_| {});
    let futures = [(); 2].map(|()| rig.send(0, VALUE));
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    while !futures.iter().all(FutureRecordMetadata::is_done) {
        rig.run();
        rig.respond(ErrorCode::NoError, 0);
    }
    rig.assert_metrics([
        ("batch-split-total", 1.0),
        ("record-retry-total", 0.0),
        ("record-send-total", 4.0),
        ("record-size-avg", LARGEST),
    ]);
}

/// Java: SenderMetrics#recordLatency, which is called for responses only, and records the node's latency only if the
/// node was connected.
#[test]
fn only_a_response_to_a_produce_request_has_a_latency() {
    let mut rig = Setup::default().start();
    let latency = |rig: &Rig| {
        let node = [("node-id", "node-0")];
        let metrics = rig.metrics();
        let of_node = metrics.get("producer-node-metrics", "request-latency-max", &node);
        (
            metrics.number(ALL, "request-latency-max", &[]),
            of_node.map(|metric| metric.value().to_string()),
        )
    };
    let _first = rig.launch(0, VALUE);
    rig.advance(MS(5));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(
        latency(&rig),
        (5.0, None),
        "no connection has a node's metrics"
    );
    rig.shared.sensors.nodes.register(0);
    let _second = rig.launch(1, VALUE);
    rig.advance(MS(9));
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!(latency(&rig), (9.0, Some("9".to_owned())));
    let _lost = rig.launch(0, VALUE);
    rig.advance(MS(100));
    rig.lose(0, true);
    let _unanswered = rig.launch(1, VALUE);
    rig.advance(MS(100));
    let now = rig.now();
    rig.client().finish(0, Outcome::Sent, now);
    rig.run();
    assert_eq!(latency(&rig), (9.0, Some("9".to_owned())));
}

#[test]
fn the_compression_rate_excludes_the_batch_header_and_sizes_are_those_on_the_wire() {
    let mut rig = Setup {
        batch_size: 10_000,
        codec: CompressionType::Gzip,
        ..Setup::default()
    }
    .start();
    let value = "a".repeat(1000);
    let _future = rig.launch(0, &value);
    let Request::Produce(produce) = &rig.client().requests()[0].request else {
        panic!("not a produce request")
    };
    let records = produce.topics[0].partitions[0].records.as_ref().unwrap();
    let (sent, plain) = (
        records.body.len() as f64,
        2.0 + 1.0 + 1.0 + 1.0 + 1.0 + 2.0 + 1000.0 + 1.0,
    );
    assert!(sent < 100.0);
    rig.assert_metrics([
        ("batch-size-max", 61.0 + sent),
        ("compression-rate-avg", sent / plain),
        ("record-size-max", 61.0 + 21.0 + 1.0 + 2.0 + 1000.0 + 1.0),
    ]);
    rig.assert_topic(
        TOPIC,
        [
            ("byte-total", 61.0 + sent),
            ("compression-rate", sent / plain),
        ],
    );
}

/// The upper bound of a record's size depends on the message format.
#[test]
fn the_largest_record_of_an_old_format_has_its_size_in_that_format() {
    let mut rig = Setup {
        magic: Magic::V1,
        ..Setup::default()
    }
    .start();
    let _future = rig.launch(0, VALUE);
    rig.assert_metrics([("record-size-max", 12.0 + 22.0 + 6.0)]);
}

/// Differs from Kafka, which keeps the metrics (MT-7).
#[test]
fn the_metrics_of_an_expired_topic_are_removed_and_begin_again_at_zero() {
    let mut rig = Setup::default().start();
    rig.shared.metadata.add_topic(&"u".into(), rig.now());
    let both = || vec![topic(TOPIC, &[0, 0]), topic("u", &[0])];
    rig.show(both());
    let _futures = [
        rig.send(0, VALUE),
        append_to(&rig.shared, "u", 0, VALUE, None),
    ];
    rig.run();
    assert_eq!(rig.topic_metrics(), 18);
    let kept = rig
        .metrics()
        .get(OF_TOPIC, "record-send-total", &[("topic", "u")]);
    // Three full metadata responses, while only one topic is in use.
    for _ in 0..3 {
        rig.advance(Duration::from_secs(200));
        rig.shared.metadata.add_topic(&TOPIC.into(), rig.now());
        rig.shared.metadata.request_update();
        rig.show(vec![topic(TOPIC, &[0, 0])]);
        rig.run();
    }
    assert_eq!(rig.topic_metrics(), 9);
    rig.assert_topic(TOPIC, [("record-send-total", 1.0)]);
    assert_eq!(
        kept.unwrap().value().to_string(),
        "1",
        "a kept metric is still readable"
    );
    rig.shared.metadata.add_topic(&"u".into(), rig.now());
    rig.show(both());
    let _again = append_to(&rig.shared, "u", 0, VALUE, None);
    rig.run();
    rig.assert_topic("u", [("record-send-total", 1.0)]);
}

/// Java: `SenderMetrics` (requests-in-flight, metadata-age), RecordAccumulator#registerMetrics
#[test]
fn gauges_show_the_current_state_and_keep_no_object_alive() {
    let mut rig = Setup {
        batch_size: 100,
        memory: 1000,
        ..Setup::default()
    }
    .start();
    rig.advance(MS(2500));
    let future = rig.launch(0, VALUE);
    let expected = [
        ("requests-in-flight", 1.0),
        ("metadata-age", 2.5),
        ("buffer-total-bytes", 1000.0),
        ("buffer-available-bytes", 900.0),
        ("waiting-threads", 0.0),
    ];
    rig.assert_metrics(expected);
    let metrics = rig.metrics();
    let pool = Arc::downgrade(&rig.pool);
    let metadata = Arc::downgrade(&rig.shared.metadata);
    drop((rig, future));
    assert!(pool.upgrade().is_none() && metadata.upgrade().is_none());
    let gone = [
        ("metadata-age", f64::NAN),
        ("buffer-total-bytes", 1000.0),
        ("buffer-available-bytes", 1000.0),
    ];
    assert_equal(&metrics, ALL, &[], gone);
}

#[test]
fn the_age_of_the_metadata_is_that_of_the_producer_until_the_first_full_response() {
    let rig = Setup::default().build();
    // The rig's own snapshot counts as a full response.
    rig.assert_metrics([("metadata-age", 0.0)]);
    let metadata = Arc::new(ProducerMetadata::new(
        ProducerMetadataOptions {
            refresh_backoff: BACKOFF,
            max_age: MS(1),
            max_idle: MS(1),
        },
        ClusterListeners::new(Vec::new(), rig.instance.clone()),
        Arc::clone(&rig.shared.accumulator) as Arc<dyn ClusterObserver>,
    ));
    assert_eq!(metadata.age(rig.now()), None);
    assert_ne!(metadata.time_to_next_update(rig.now()), Deadline::Never);
    let registry = MetricsRegistry::for_tests(Arc::clone(&rig.clock) as Arc<dyn Clock>);
    let counters = &rig.shared.counters;
    let _sensors = ProducerSensors::register(&registry, &rig.pool, &metadata, counters);
    rig.advance(Duration::from_secs(400));
    let metrics = Metrics::new(registry);
    assert_equal(&metrics, ALL, &[], [("metadata-age", 400.0)]);
    drop(metadata);
    assert_equal(&metrics, ALL, &[], [("metadata-age", f64::NAN)]);
}
