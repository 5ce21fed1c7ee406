//! A logger that sends log lines to Kafka through the same producer that logs them. The test is a separate binary,
//! because a process has one logger.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "tests: they fail by panicking, and share what they see"
)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use kafka_producer::testing::{Api, Rule, TestCluster, TopicOptions};
use kafka_producer::{
    BoxError, ErrorCode, FlushError, KafkaProducer, MetadataError, Misuse, ProduceError,
    ProducerConfig, ProducerInterceptor, ProducerRecord, RecordMetadata, SendError,
};
use log::{LevelFilter, Log, Metadata, Record};

type Producer = KafkaProducer<str, str>;

/// Timeout of everything that must happen.
const LONG: Duration = Duration::from_secs(60);
const LINES: &str = "lines";
/// The number of log lines sent for each source location. It is limited, because sending a line causes further lines.
const SHIPPED_PER_PLACE: usize = 20;

/// The source locations of log lines.
static SEEN: Mutex<BTreeSet<(String, u32)>> = Mutex::new(BTreeSet::new());
static TEXTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// The targets of the lines that list the configuration.
static TARGETS_OF_CONFIG: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static SHIPPED: [AtomicUsize; 256] = [const { AtomicUsize::new(0) }; 256];
static REFUSED_ON_THE_SENDERS_THREAD: AtomicUsize = AtomicUsize::new(0);
static WRITTEN_BY_SHIPPING: AtomicUsize = AtomicUsize::new(0);
static SHIPS_THROUGH: OnceLock<Producer> = OnceLock::new();

thread_local! {
    /// Whether this thread is sending a log line; lines logged meanwhile are not sent.
    static SHIPPING: Cell<bool> = const { Cell::new(false) };
}

/// An interceptor that fails, so that each `send` logs a line on the sending thread.
struct Failing;

impl ProducerInterceptor<str, str> for Failing {
    fn on_send(&self, _: &mut ProducerRecord<'_, str, str>) -> Result<(), BoxError> {
        Err("as planned".into())
    }
}

struct Shipping;

impl Log for Shipping {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        kafka_producer::internals::assert_unlocked();
        true
    }

    fn log(&self, record: &Record<'_>) {
        kafka_producer::internals::assert_unlocked();
        let place = (
            record.module_path().unwrap_or_default().to_owned(),
            record.line().unwrap_or_default(),
        );
        let text = record.args().to_string();
        let at = (place.0.len() * 31 + place.1 as usize) % SHIPPED.len();
        SEEN.lock().unwrap().insert(place);
        if text.contains("configuration in effect") {
            let target = record.target().to_owned();
            TARGETS_OF_CONFIG.lock().unwrap().insert(target);
        }
        TEXTS.lock().unwrap().push(text.clone());
        let Some(producer) = SHIPS_THROUGH.get() else {
            return;
        };
        // Stopping a broker waits for its threads, so a thread of a broker must not wait for a partition that this
        // broker leads.
        let is_brokers = std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("test-broker"));
        if is_brokers {
            return;
        }
        if SHIPPING.get() {
            WRITTEN_BY_SHIPPING.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if SHIPPED[at].fetch_add(1, Ordering::Relaxed) >= SHIPPED_PER_PLACE {
            return;
        }
        SHIPPING.set(true);
        ship(producer, &text);
        SHIPPING.set(false);
    }

    fn flush(&self) {}
}

/// Makes all calls that a logger may make. On the producer's own thread blocking calls are rejected.
fn ship(producer: &Producer, text: &str) {
    let is_senders = std::thread::current()
        .name()
        .is_some_and(|name| name.starts_with("kafka-producer-network-thread"));
    let _taken_or_not = producer.try_send(ProducerRecord::new(LINES, text));
    let _never_known = producer.try_send(ProducerRecord::new("lines-of-nobody", text));
    let _never_legal = producer.try_send(ProducerRecord::new("no such name", text));
    let _snapshot = producer.snapshot();
    let sent = producer.send(ProducerRecord::new(LINES, text));
    let flushed = producer.flush();
    let known = producer.partitions_for("lines-of-nobody");
    if !is_senders {
        return;
    }
    // If the topic is cached and memory is free, `send` need not block and succeeds.
    match sent {
        Ok(future) => match future.get_timeout(LONG) {
            Ok(_) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        },
        Err(SendError::Misuse(Misuse::InsideCallback) | SendError::Closed) => {}
        Err(other) => panic!("{other:?}"),
    }
    assert!(
        matches!(flushed, Err(FlushError::Misuse(Misuse::InsideCallback))),
        "{flushed:?}"
    );
    assert!(
        matches!(
            known,
            Err(MetadataError::Misuse(Misuse::InsideCallback) | MetadataError::Closed)
        ),
        "{known:?}"
    );
    REFUSED_ON_THE_SENDERS_THREAD.fetch_add(1, Ordering::Relaxed);
}

fn send(topic: &str) -> Result<RecordMetadata, ProduceError> {
    let producer = SHIPS_THROUGH.get().unwrap();
    let record = ProducerRecord::new(topic, "v");
    producer.send(record).unwrap().get_timeout(LONG)
}

fn script(cluster: &TestCluster, rule: Rule) {
    cluster.script(rule).unwrap();
}

/// Makes the producer log lines for various reasons.
fn go_through_much() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 2)
        .topic(LINES, 3)
        .topic("undelivered", 1)
        .start()
        .unwrap();
    close_before_delivery_and_drop(&cluster);
    let config = ProducerConfig::builder()
        .bootstrap_servers([cluster.bootstrap_servers()])
        .max_block(Duration::from_millis(500))
        .retry_backoff(Duration::from_millis(10))
        .reconnect_backoff(Duration::from_millis(10))
        .client_id("shipping")
        .set("metadata.max.age.ms", "100")
        .build()
        .unwrap();
    let producer = Producer::builder(config)
        .stock_serializers()
        .interceptor(Failing)
        .build();
    let producer = producer.unwrap();
    assert!(SHIPS_THROUGH.set(producer).is_ok());
    send("t").unwrap();
    for (topic, code) in [
        ("refused", ErrorCode::InvalidTopicException),
        ("secret", ErrorCode::TopicAuthorizationFailed),
        ("coming", ErrorCode::LeaderNotAvailable),
    ] {
        script(&cluster, Rule::on(Api::Metadata).topic(topic).fail(code));
        send(topic).unwrap_err();
    }
    send("missing").unwrap_err();
    send("no topic can have this name").unwrap_err();
    let retried = Rule::on(Api::Produce)
        .times(2)
        .fail(ErrorCode::NotLeaderOrFollower);
    script(&cluster, retried);
    send("t").unwrap();
    let no_leader = Rule::on(Api::Metadata)
        .partition("t", 0)
        .times(3)
        .fail(ErrorCode::LeaderNotAvailable);
    script(&cluster, no_leader);
    let moved = 1 - cluster.leader("t", 0).unwrap();
    cluster.move_leader("t", 0, moved).unwrap();
    send("t").unwrap();
    cluster.delete_topic("t").unwrap();
    cluster.create_topic("t", &TopicOptions::new(2)).unwrap();
    while send("t").is_err() {}
    cluster.stop_node(0);
    cluster.start_node(0).unwrap();
    while send("t").is_err() {}
    SHIPS_THROUGH.get().unwrap().close().unwrap();
}

/// A producer that is closed before its record is delivered, then dropped. Its lines are not shipped.
fn close_before_delivery_and_drop(cluster: &TestCluster) {
    let config = ProducerConfig::builder()
        .bootstrap_servers([cluster.bootstrap_servers()])
        .client_id("shipping")
        .linger(LONG)
        .build();
    let producer = Producer::new(config.unwrap()).unwrap();
    let silent = Rule::on(Api::Produce).topic("undelivered");
    script(cluster, silent.never_answer());
    let future = producer
        .send(ProducerRecord::new("undelivered", "v"))
        .unwrap();
    let closed = producer.close_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(
        closed.to_string(),
        "the producer was closed with 1 record undelivered"
    );
    assert!(future.is_done());
    drop(producer);
}

#[test]
fn a_logger_may_send_every_line_through_the_producer_that_writes_it() {
    log::set_logger(&Shipping).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let (done, is_done) = channel();
    let work = std::thread::Builder::new().spawn(move || {
        go_through_much();
        done.send(()).unwrap();
    });
    work.unwrap();
    if is_done.recv_timeout(LONG).is_err() {
        let texts = TEXTS.lock().unwrap();
        panic!("it stands still, or has failed, after: {:?}", texts.last());
    }
    let seen = SEEN.lock().unwrap();
    for part in ["client::", "producer::"] {
        let places = seen.iter().filter(|(module, _)| module.contains(part));
        assert!(places.count() > 5, "{seen:?}");
    }
    let texts = TEXTS.lock().unwrap();
    for text in [
        "Cluster ID: test-cluster",
        "Error while fetching metadata",
        "refused",
        "secret",
        "the sender thread ends",
    ] {
        assert!(texts.iter().any(|line| line.contains(text)), "{text}");
    }
    for line in texts.iter() {
        let of_producer = line.starts_with("[Producer clientId=shipping] ");
        assert!(
            of_producer || line.starts_with("[TestCluster node="),
            "{line}"
        );
    }
    // Programs filter the long list out by this name, as the README says.
    let of_config = TARGETS_OF_CONFIG.lock().unwrap().clone();
    assert_eq!(of_config, BTreeSet::from(["kafka_producer::config".into()]));
    let dropped = |line: &&String| line.contains("a producer was dropped");
    assert_eq!(texts.iter().find(dropped), None);
    assert_eq!(WRITTEN_BY_SHIPPING.load(Ordering::Relaxed), 0);
    assert!(texts.iter().any(|line| line.contains("as planned")));
    assert!(REFUSED_ON_THE_SENDERS_THREAD.load(Ordering::Relaxed) > 10);
}
