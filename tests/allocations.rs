//! How often `send` allocates: nothing for a record itself, only for the batch that it opens.
//!
//! Counted on the thread that sends, against the embedded broker, after a warm-up of the same length. A
//! binary of its own, because what counts takes the allocator's place.
//!
//! ```text
//! cargo test --test allocations -- --nocapture        prints the figures
//! ```
#![allow(clippy::print_stdout, reason = "the figures are for people, too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allocation_counter::AllocationInfo;
use kafka_producer::testing::TestCluster;
use kafka_producer::{FutureRecordMetadata, KafkaProducer, ProducerConfig, ProducerRecord};

type Producer = KafkaProducer<[u8], [u8]>;

const RECORDS: u64 = 100_000;
const TOPIC: &str = "counted";
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Allocations per record: what a batch needs, divided by its records. More than one for every ten
/// records is more than batches need.
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
            // Batches are sent full, however fast this machine's brokers and threads are.
            .linger(Duration::from_millis(200))
            .build()
            .expect("the configuration is good");
        let producer = Producer::new(config).expect("it starts");
        Self {
            producer,
            _cluster: cluster,
        }
    }

    /// Allocations that a record takes on this thread, after as many that were not counted.
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

/// Room for a batch's callbacks is made once for all of them.
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
        sent.expect("it is open")
    });
    assert_eq!(called.load(Ordering::Relaxed), 2 * RECORDS);
    assert!(allocations <= LIMIT, "{allocations} a record");
}
