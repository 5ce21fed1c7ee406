//! Batches that are larger than the topic allows, split until the broker takes them.

use std::collections::BTreeSet;

use kafka_producer::ProducerRecord;

use super::ledger::{Ledger, Order, identity, payload};
use super::{build, config};
use crate::runner::{TestResult, tests};
use crate::shared;

tests![
    batches_of_1_mib_arrive_in_a_topic_that_takes_64_kib,
    the_same_without_idempotence,
];

const THREADS: usize = 4;
const PER_THREAD: usize = 50_000;
const PARTITIONS: usize = 3;

/// KAFKA-8350: Java splits by `batch.size`, which changes nothing here, until the batch expires.
fn batches_of_1_mib_arrive_in_a_topic_that_takes_64_kib() -> TestResult {
    everything_arrives("oversize", true)
}

fn the_same_without_idempotence() -> TestResult {
    everything_arrives("oversize-plain", false)
}

fn everything_arrives(topic: &str, idempotent: bool) -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic(topic, PARTITIONS as i32, &[("max.message.bytes", "65536")])?;
    let producer = build(
        config(&cluster.bootstrap_servers())
            .set("batch.size", "1048576")
            .set("linger.ms", "200")
            .set(
                "enable.idempotence",
                if idempotent { "true" } else { "false" },
            ),
    )?;
    let ledger = Ledger::new(THREADS, PER_THREAD);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, ledger) = (&producer, &ledger);
            scope.spawn(move || {
                for number in 0..PER_THREAD {
                    let value = payload(thread, number, 100);
                    let record = ProducerRecord::new(topic, &value[..]);
                    drop(
                        producer
                            .send_with_callback(record, ledger.callback(thread, number))
                            .expect("the producer takes records"),
                    );
                }
            });
        }
    });
    producer.flush()?;
    let sent = [PER_THREAD; THREADS];
    let tally = ledger.tally(&sent);
    let snapshot = producer.snapshot();
    assert_eq!(tally.acknowledged, THREADS * PER_THREAD, "{tally:?}");
    assert_eq!(snapshot.memory_free_bytes, snapshot.memory_total_bytes);
    producer.close()?;

    let mut order = Order::new(PARTITIONS, THREADS);
    let mut places = BTreeSet::new();
    cluster.read_back(topic, |record| {
        let (thread, number) = identity(&record);
        ledger.saw(thread, number);
        assert!(places.insert((record.partition, record.offset)));
        // Without idempotence, batches behind one that is split may overtake its pieces, as in 3.0.
        if idempotent {
            order.check(record.partition, thread, number);
        }
    })?;
    ledger.check(&sent, false);
    let dump = cluster.dump_log_segments(topic)?;
    assert!(dump.is_valid());
    let written = dump.of_broker(0).count() as u64;
    let attempts = written + snapshot.batches_split;
    println!(
        "    {} splits, {written} batches written: {:.2} attempts for each batch written, in {} requests",
        snapshot.batches_split,
        attempts as f64 / written as f64,
        snapshot.produce_requests
    );
    // Each split makes two batches of one, at the least.
    assert!(snapshot.batches_split > 0 && snapshot.batches_split < written);
    Ok(())
}
