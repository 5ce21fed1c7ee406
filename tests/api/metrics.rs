//! Values of metrics after known traffic.
#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, StoredBatch, TestCluster};
use kafka_producer::{
    Metrics, OffsetAndMetadata, ProducerRecord, SecurityProtocol, TopicPartition,
};

use super::support::{LONG, config, producer, record};

const ALL: &str = "producer-metrics";

#[track_caller]
fn number(metrics: &Metrics, group: &str, name: &str, tags: &[(&str, &str)]) -> f64 {
    let metric = metrics.get(group, name, tags);
    let metric = metric.unwrap_or_else(|| panic!("there is no {group}:{name} of {tags:?}"));
    metric.value().as_f64().expect("a number")
}

/// The sum of a node metric over all nodes, including the bootstrap server.
fn of_nodes(metrics: &Metrics, name: &str) -> f64 {
    let all = metrics.all().into_iter();
    let of_nodes = all.filter(|metric| {
        let own = metric.name();
        own.group() == "producer-node-metrics" && own.name() == name
    });
    of_nodes.filter_map(|metric| metric.value().as_f64()).sum()
}

fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn totals_match_the_brokers_counts() {
    const COUNT: usize = 5_000;
    let builder = TestCluster::builder().topic("t", 3).topic("u", 1);
    let cluster = builder.nodes(2).start().unwrap();
    let producer = producer(config(&cluster));
    let metrics = producer.metrics();
    for number in 0..COUNT {
        let value = "v".repeat(number % 200);
        drop(producer.send(record(&value)).unwrap());
        if number % 10 == 0 {
            let other = ProducerRecord::new("u", value.as_str());
            drop(producer.send(other).unwrap());
        }
    }
    producer.flush().unwrap();
    for (topic, partitions, records) in [("t", 0..3, COUNT), ("u", 0..1, COUNT / 10)] {
        let batches: Vec<_> = partitions
            .flat_map(|at| cluster.batches(topic, at))
            .collect();
        let sizes = batches.iter().map(StoredBatch::size_bytes);
        let of_topic = |name| {
            number(
                &metrics,
                "producer-topic-metrics",
                name,
                &[("topic", topic)],
            )
        };
        assert_eq!(of_topic("record-send-total"), records as f64);
        assert_eq!(of_topic("byte-total"), sizes.sum::<usize>() as f64);
        assert_eq!(of_topic("compression-rate"), 1.0);
    }
    let all = |name| number(&metrics, ALL, name, &[]);
    assert_eq!(all("record-send-total"), (COUNT + COUNT / 10) as f64);
    assert_eq!(all("record-error-total") + all("record-retry-total"), 0.0);
    // The value with its length takes at most 201 bytes, and the lengths of key and headers take one byte each.
    assert_eq!(
        all("record-size-max"),
        61.0 + 21.0 + 1.0 + 2.0 + 199.0 + 1.0
    );
    assert_eq!(all("requests-in-flight"), 0.0);
    assert_eq!(all("buffer-available-bytes"), all("buffer-total-bytes"));
    assert!(all("request-latency-max") >= all("request-latency-avg"));
    // The last responses may have been received, but not recorded yet.
    until(|| all("response-total") == all("request-total"));
    let asked = [
        Api::Produce,
        Api::Metadata,
        Api::ApiVersions,
        Api::InitProducerId,
    ];
    let requests: u64 = asked.iter().map(|api| cluster.request_count(*api)).sum();
    assert_eq!(all("request-total"), requests as f64);
    let bytes = all("request-size-avg") * all("request-total");
    assert!((all("outgoing-byte-total") - bytes).abs() < 0.5);
    for name in [
        "request-total",
        "response-total",
        "outgoing-byte-total",
        "incoming-byte-total",
    ] {
        assert_eq!(of_nodes(&metrics, name), all(name), "{name}");
    }
    let connections = cluster.connections_accepted() as f64;
    assert_eq!(all("connection-creation-total"), connections);
    let open: usize = cluster
        .node_ids()
        .map(|id| cluster.open_connections(id))
        .sum();
    assert_eq!(all("connection-count"), open as f64);
    assert_eq!(all("successful-authentication-total"), 0.0);
    assert!(all("select-total") > 0.0 && all("io-waittime-total") > 0.0);
    producer.close().unwrap();
    assert_eq!(all("connection-count"), 0.0);
    assert_eq!(all("connection-close-total"), connections);
    assert_eq!(all("record-send-total"), (COUNT + COUNT / 10) as f64);
}

#[test]
fn authentications_failures_and_reauthentications_are_counted() {
    let builder = TestCluster::builder()
        .topic("t", 1)
        .sasl_user("alice", "s3cret");
    let cluster = builder
        .sasl_session(Duration::from_millis(50))
        .start()
        .unwrap();
    let login = |password| {
        let config = config(&cluster).security_protocol(SecurityProtocol::SaslPlaintext);
        producer(config.sasl_plain("alice", password))
    };
    let welcome = login("s3cret");
    let metrics = welcome.metrics();
    let all = |name| number(&metrics, ALL, name, &[]);
    until(|| {
        welcome.send(record("v")).unwrap().get().unwrap();
        all("successful-reauthentication-total") > 0.0
    });
    let connections = cluster.connections_accepted() as f64;
    for name in [
        "successful-authentication-total",
        "successful-authentication-no-reauth-total",
    ] {
        assert_eq!(all(name), connections, "{name}");
    }
    assert!(all("reauthentication-latency-max") > 0.0);
    assert_eq!(all("failed-authentication-total"), 0.0);
    let stranger = login("guess");
    let refused = stranger.send(record("v")).unwrap().get().unwrap_err();
    let metrics = stranger.metrics();
    let all = |name| number(&metrics, ALL, name, &[]);
    assert!(all("failed-authentication-total") > 0.0, "{refused}");
    assert_eq!(all("failed-reauthentication-total"), 0.0);
    assert_eq!(all("successful-authentication-total"), 0.0);
    assert!(all("record-error-total") > 0.0);
    assert!(all("metadata-wait-time-ns-total") > 0.0);
}

#[test]
fn transactional_calls_are_timed() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .topic("input", 1)
        .start()
        .unwrap();
    let producer = producer(config(&cluster).transactional_id("payments"));
    let metrics = producer.metrics();
    let took = |call: &str| {
        let name = format!("{call}-time-ns-total");
        number(&metrics, ALL, &name, &[])
    };
    producer.init_transactions().unwrap();
    for commits in [true, false] {
        producer.begin_transaction().unwrap();
        drop(producer.send(record("v")).unwrap());
        let offsets = [(TopicPartition::new("input", 0), OffsetAndMetadata::from(7))];
        producer
            .send_offsets_to_transaction(offsets, "readers")
            .unwrap();
        if commits {
            assert_eq!(
                (took("txn-commit"), took("txn-abort"), took("flush")),
                (0.0, 0.0, 0.0)
            );
            producer.flush().unwrap();
            producer.commit_transaction().unwrap();
        } else {
            producer.abort_transaction().unwrap();
        }
    }
    for call in [
        "txn-init",
        "txn-begin",
        "txn-send-offsets",
        "txn-commit",
        "txn-abort",
        "flush",
    ] {
        assert!(took(call) > 0.0, "{call}");
    }
}

/// Java: MetricsTest#testConcurrentReadUpdate
#[test]
fn metrics_may_be_read_by_any_thread_while_they_are_recorded() {
    let cluster = TestCluster::builder()
        .auto_create_topics(1)
        .start()
        .unwrap();
    let producer = producer(config(&cluster));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for metric in producer.metrics().all() {
                        assert!(
                            metric
                                .value()
                                .as_f64()
                                .is_none_or(|value| value >= 0.0 || value.is_nan())
                        );
                    }
                }
            });
        }
        for topic in 0..20 {
            let name = format!("topic-{topic}");
            for _ in 0..50 {
                let record = ProducerRecord::new(name.as_str(), "v");
                drop(producer.send(record).unwrap());
            }
        }
        producer.flush().unwrap();
        over.store(true, Ordering::Relaxed);
    });
    let of_topics = producer.metrics().all().into_iter();
    let of_topics = of_topics.filter(|metric| metric.name().tag("topic").is_some());
    assert_eq!(of_topics.count(), 20 * 9);
}
