//! Faults of a single broker: down, killed, paused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_producer::{ProduceErrorKind, ProducerRecord};

use super::{Producer, build, config};
use crate::harness::{Cluster, ClusterOptions};
use crate::ledger::{Ledger, Reading};
use crate::runner::{TestResult, tests};
use crate::workload::{THREADS, Workload, Workloads, send, wait_for};

tests![
    a_broker_that_is_not_up_yet_is_used_later,
    a_killed_broker_costs_no_acknowledged_record,
    a_paused_broker_exhausts_the_memory_which_is_returned_later,
];

const PARTITIONS: usize = 12;

/// `send` fails after `max.block.ms` and lists the attempts; the same producer works once the broker is up.
fn a_broker_that_is_not_up_yet_is_used_later() -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("late", 3, &[])?;
    cluster.broker(0).stop_clean()?;
    let max_block = Duration::from_secs(2);
    let producer = build(config(&cluster.bootstrap_servers()).max_block(max_block))?;
    let began = Instant::now();
    let error = producer
        .send(ProducerRecord::new("late", &b"early"[..]))?
        .get()
        .expect_err("no broker is there");
    let took = began.elapsed();
    println!("    after {took:.2?}: {error}");
    assert_eq!(error.kind(), &ProduceErrorKind::MetadataTimeout);
    assert!(!error.may_be_written());
    assert!(
        took >= max_block && took < max_block + Duration::from_secs(1),
        "{took:?}"
    );
    let address = cluster.bootstrap_servers();
    assert!(
        error.to_string().contains(&address),
        "{error} does not name {address}"
    );

    cluster.broker(0).start()?;
    let metadata = producer
        .send(ProducerRecord::new("late", &b"now"[..]))?
        .get()?;
    assert_eq!(metadata.offset(), 0);
    producer.close()?;
    Ok(())
}

/// The broker gets SIGKILL and is restarted, while four threads send until 10 s after the recovery.
fn a_killed_broker_costs_no_acknowledged_record() -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("killed", PARTITIONS as i32, &[])?;
    let config = config(&cluster.bootstrap_servers()).linger(Duration::from_millis(5));
    let workload = Workload::start("one broker", "killed", config, 50)?;
    let mut workloads = Workloads::new(&cluster, vec![workload], PARTITIONS);
    workloads.disturb("kill -9", || cluster.broker(0).kill())?;
    wait_for("batches sent again", Duration::from_secs(30), || {
        workloads.get(0).snapshot().batches_retried > 0
    });
    cluster.broker(0).start()?;
    workloads.until_recovered(PARTITIONS);
    for report in workloads.finish()? {
        report.assert_was_felt();
        report.findings.assert_exactly_once();
    }
    Ok(())
}

/// Senders block when `buffer.memory` is exhausted, and fail after `max.block.ms`; after the broker is resumed all
/// memory is returned.
fn a_paused_broker_exhausts_the_memory_which_is_returned_later() -> TestResult {
    const MEMORY: usize = 1024 * 1024;
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("paused", PARTITIONS as i32, &[])?;
    let max_block = Duration::from_secs(2);
    let producer = build(
        config(&cluster.bootstrap_servers())
            .buffer_memory(MEMORY)
            .max_block(max_block),
    )?;
    let ledger = Ledger::new("paused", THREADS + 1, 100_000);
    send(&producer, &ledger, THREADS, 0, None).get()?;
    cluster.broker(0).pause()?;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, ledger) = (&producer, &ledger);
            scope.spawn(move || until_exhausted(producer, ledger, thread, max_block));
        }
    });
    let full = producer.snapshot();
    println!(
        "    paused: {} of {MEMORY} bytes free",
        full.memory_free_bytes
    );
    assert!(full.memory_free_bytes < 16 * 1024, "{full:?}");
    cluster.broker(0).resume()?;
    producer.flush()?;
    let snapshot = producer.snapshot();
    println!("    resumed: {:?}", ledger.tally());
    assert_eq!(snapshot.memory_free_bytes, MEMORY as u64);
    assert_eq!(snapshot.threads_waiting_for_memory, 0);
    assert_eq!(ledger.tally().not_written, THREADS);
    producer.close()?;
    let mut reading = Reading::new(&ledger);
    cluster.read_back("paused", |record| {
        reading.see(&record);
    })?;
    reading.finish().assert_exactly_once();
    Ok(())
}

/// Sends until a record fails for lack of memory.
pub(crate) fn until_exhausted(
    producer: &Producer,
    ledger: &Arc<Ledger>,
    thread: usize,
    max_block: Duration,
) {
    for number in 0.. {
        let began = Instant::now();
        let future = send(producer, ledger, thread, number, None);
        if !future.is_done() {
            continue;
        }
        if let Err(error) = future.get() {
            assert_eq!(error.kind(), &ProduceErrorKind::BufferExhausted, "{error}");
            let took = began.elapsed();
            assert!(took >= max_block && took < max_block * 2, "{took:?}");
            return;
        }
    }
}
