//! Allocations of `send`: it allocates nothing for a record itself, only for a batch that it opens.
//!
//! Allocations are counted on the sending thread, against the embedded broker, after a warm-up of the same length. The
//! test is a separate binary, because it replaces the global allocator.
//!
//! ```text
//! cargo test --test allocations -- --nocapture        prints the figures
//! ```
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "the figures are for people, too"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allocation_counter::AllocationInfo;
use kafka_producer::internals::{ByHand, topic_metrics};
use kafka_producer::testing::TestCluster;
use kafka_producer::{FutureRecordMetadata, KafkaProducer, ProducerConfig, ProducerRecord};

type Producer = KafkaProducer<[u8], [u8]>;

const RECORDS: u64 = 100_000;
const TOPIC: &str = "counted";
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Maximum number of allocations per record: those of a batch, divided by the number of its records. A batch needs less
/// than one allocation for every ten records.
const LIMIT: f64 = 0.1;

struct Rig {
    producer: Producer,
    _cluster: TestCluster,
}

impl Rig {
    fn start() -> Self {
        let cluster = TestCluster::builder()
            .sink()
            .topic(TOPIC, 12)
            .start()
            .expect("a port is free");
        let config = ProducerConfig::builder()
            .bootstrap_servers([cluster.bootstrap_servers()])
            // With this linger time all batches are full, regardless of the speed of the machine.
            .linger(Duration::from_millis(200))
            .build()
            .expect("the configuration is good");
        let producer = Producer::new(config).expect("it starts");
        Self {
            producer,
            _cluster: cluster,
        }
    }

    /// Counts the allocations per record on this thread, after a warm-up of as many records.
    fn allocations_per_record(
        &self,
        what: &str,
        send: impl Fn(&Producer, u64) -> FutureRecordMetadata,
    ) -> f64 {
        let all = || (0..RECORDS).for_each(|number| drop(send(&self.producer, number)));
        all();
        self.producer.flush().expect("this is no callback");
        let AllocationInfo {
            count_total,
            bytes_total,
            ..
        } = allocation_counter::measure(all);
        self.producer.flush().expect("this is no callback");
        let snapshot = self.producer.snapshot();
        assert_eq!(snapshot.records_acknowledged, 2 * RECORDS);
        assert_eq!(snapshot.records_failed, 0);
        let per_record = |total: u64| total as f64 / RECORDS as f64;
        println!(
            "{what}: {:.4} allocations and {:.1} bytes a record on the sending thread",
            per_record(count_total),
            per_record(bytes_total)
        );
        assert!(
            count_total > 0,
            "batches allocate: the counter does not count"
        );
        per_record(count_total)
    }
}

#[test]
fn a_plain_record_allocates_nothing() {
    let allocations = Rig::start().allocations_per_record("plain", |producer, _| {
        let record = ProducerRecord::new(TOPIC, &PAYLOAD[..]);
        producer.send(record).expect("it is open")
    });
    assert!(allocations <= LIMIT, "{allocations} a record");
}

#[test]
fn a_keyed_record_allocates_nothing() {
    let allocations = Rig::start().allocations_per_record("keyed", |producer, number| {
        let key = number.to_be_bytes();
        let record = ProducerRecord::keyed(TOPIC, &key[..], &PAYLOAD[..]);
        producer.send(record).expect("it is open")
    });
    assert!(allocations <= LIMIT, "{allocations} a record");
}

/// A batch allocates space for all its callbacks at once.
#[test]
fn a_callback_allocates_nothing_of_its_own() {
    let called = Arc::new(AtomicU64::new(0));
    let rig = Rig::start();
    let allocations = rig.allocations_per_record("callback", |producer, _| {
        let called = Arc::clone(&called);
        let record = ProducerRecord::new(TOPIC, &PAYLOAD[..]);
        let sent = producer.send_with_callback(record, move |outcome| {
            called.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
        });
        sent.expect("it is open").into()
    });
    assert_eq!(called.load(Ordering::Relaxed), 2 * RECORDS);
    assert!(allocations <= LIMIT, "{allocations} a record");
}

/// A producer with a topic for each customer fetches the metadata of the topics one by one. If each fetch copied the
/// whole cache, the cost would grow with the number of topics.
#[test]
fn the_allocations_of_a_new_topic_hardly_grow_with_the_number_of_cached_topics() {
    const AT: [usize; 2] = [2_000, 8_000];
    const MEASURED: usize = 100;
    let mut rig = ByHand::start(ProducerConfig::builder(), "first", 1);
    let mut known = 0;
    let mut learn = |count: usize| {
        for number in known..known + count {
            let topic = format!("topic-{number}");
            rig.create_topic(&topic, 1);
            rig.fetch_metadata(&topic);
        }
        known += count;
        known
    };
    let bytes = AT.map(|at| {
        let before = learn(0);
        learn(at - before - MEASURED);
        let began = std::time::Instant::now();
        let measured = allocation_counter::measure(|| {
            learn(MEASURED);
        });
        let time = began.elapsed() / MEASURED as u32;
        let bytes = measured.bytes_total / MEASURED as u64;
        println!("the next of {at} topics: {bytes} bytes, {time:?}");
        bytes
    });
    assert!(bytes[0] > 0, "the counter does not count");
    let ratio = bytes[1] as f64 / bytes[0] as f64;
    assert!(ratio < 1.5, "{ratio:.2} times as much");
}

/// Each topic that is sent to has nine metrics.
#[test]
fn the_metrics_of_a_thousand_topics_take_little_memory() {
    const TOPICS: u64 = 1_000;
    let mut kept = None;
    let measured = allocation_counter::measure(|| kept = Some(topic_metrics(TOPICS as usize)));
    let bytes = measured.bytes_current as u64 / TOPICS;
    println!("the metrics of {TOPICS} topics: {bytes} bytes for each");
    assert!(kept.is_some() && bytes > 0, "the counter does not count");
    assert!(bytes < 2_500, "{bytes} bytes for each");
}
