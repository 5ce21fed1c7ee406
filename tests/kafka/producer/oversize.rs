//! Batches larger than the topic's limit, which are split until the broker accepts them.

use super::{build, config};
use crate::ledger::{Ledger, Reading};
use crate::runner::{TestResult, tests};
use crate::shared;
use crate::workload::{THREADS, send};

tests![
    batches_of_1_mib_arrive_in_a_topic_that_takes_64_kib,
    batches_of_1_mib_without_idempotence_arrive_in_a_topic_that_takes_64_kib,
];

const PER_THREAD: usize = 50_000;
const PARTITIONS: usize = 3;

/// Java splits a batch into pieces of `batch.size`. Here the pieces are as large as the batch, so Java repeats the
/// split until the batch expires (KAFKA-8350).
fn batches_of_1_mib_arrive_in_a_topic_that_takes_64_kib() -> TestResult {
    everything_arrives("oversize", true)
}

fn batches_of_1_mib_without_idempotence_arrive_in_a_topic_that_takes_64_kib() -> TestResult {
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
    let ledger = Ledger::new(topic, THREADS, PER_THREAD);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, ledger) = (&producer, &ledger);
            scope.spawn(move || {
                for number in 0..PER_THREAD {
                    // The callback stores the result in the ledger.
                    drop(send(producer, ledger, thread, number, None));
                }
            });
        }
    });
    producer.flush()?;
    let tally = ledger.tally();
    let snapshot = producer.snapshot();
    assert_eq!(tally.acknowledged, THREADS * PER_THREAD, "{tally:?}");
    assert_eq!(snapshot.memory_free_bytes, snapshot.memory_total_bytes);
    producer.close()?;

    let mut reading = Reading::new(&ledger);
    cluster.read_back(topic, |record| {
        reading.see(&record);
    })?;
    let mut findings = reading.finish();
    if !idempotent {
        // Without idempotence later batches may overtake the pieces of a split batch, as in Java's 3.0.
        findings.late.clear();
    }
    findings.assert_exactly_once();
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
    // Each split makes at least two batches from one.
    assert!(snapshot.batches_split > 0 && snapshot.batches_split < written);
    Ok(())
}
