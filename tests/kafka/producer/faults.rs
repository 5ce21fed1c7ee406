//! One broker, and what happens to it: not there, killed, paused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kafka_producer::{ProduceErrorKind, ProducerRecord};

use super::ledger::{Ledger, Order, identity, payload};
use super::{build, config, wait_for};
use crate::harness::{Cluster, ClusterOptions};
use crate::runner::{TestResult, tests};

tests![
    a_broker_that_is_not_there_yet_is_waited_for_and_then_used,
    a_killed_broker_costs_no_acknowledged_record,
    a_paused_broker_fills_the_memory_and_gives_it_back,
];

const THREADS: usize = 4;
const PARTITIONS: usize = 12;

/// `send` fails after `max.block.ms` and says what was tried; the same producer works once the broker
/// is there.
fn a_broker_that_is_not_there_yet_is_waited_for_and_then_used() -> TestResult {
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

/// kill -9 and restart, while four threads send until 10 s after the restart.
fn a_killed_broker_costs_no_acknowledged_record() -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("killed", PARTITIONS as i32, &[])?;
    let producer = build(config(&cluster.bootstrap_servers()).linger(Duration::from_millis(5)))?;
    let ledger = Ledger::new(THREADS, 500_000);
    let stop = AtomicBool::new(false);
    let mut sent = [0; THREADS];
    std::thread::scope(|scope| -> TestResult {
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (producer, ledger, stop) = (&producer, &ledger, &stop);
                scope.spawn(move || paced(producer, "killed", thread, ledger, stop))
            })
            .collect();
        let outcome = disturb(&cluster, &producer);
        stop.store(true, Ordering::Release);
        for (thread, sender) in senders.into_iter().enumerate() {
            sent[thread] = sender.join().expect("senders do not panic");
        }
        outcome
    })?;
    let began = Instant::now();
    producer.flush()?;
    let tally = ledger.tally(&sent);
    let snapshot = producer.snapshot();
    println!(
        "    {} sent, {tally:?}; {} records in {} batches were sent again; flushed in {:.2?}",
        sent.iter().sum::<usize>(),
        snapshot.records_retried,
        snapshot.batches_retried,
        began.elapsed()
    );
    assert_eq!(tally.open, 0, "every future is resolved");
    assert!(snapshot.batches_retried > 0, "the kill was felt");
    assert_eq!(snapshot.memory_free_bytes, snapshot.memory_total_bytes);
    producer.close()?;
    let mut order = Order::new(PARTITIONS, THREADS);
    cluster.read_back("killed", |record| {
        let (thread, number) = identity(&record);
        ledger.saw(thread, number);
        order.check(record.partition, thread, number);
    })?;
    ledger.check(&sent, false);
    Ok(())
}

fn disturb(cluster: &Cluster, producer: &super::Producer) -> TestResult {
    wait_for(Duration::from_secs(30), || {
        producer.snapshot().records_acknowledged > 10_000
    });
    cluster.broker(0).kill()?;
    wait_for(Duration::from_secs(30), || {
        producer.snapshot().batches_retried > 0
    });
    cluster.broker(0).start()?;
    std::thread::sleep(Duration::from_secs(10));
    Ok(())
}

/// About 5,000 records a second, until told to stop. How many it was.
fn paced(
    producer: &super::Producer,
    topic: &str,
    thread: usize,
    ledger: &std::sync::Arc<Ledger>,
    stop: &AtomicBool,
) -> usize {
    const PER_TICK: usize = 50;
    let mut number = 0;
    let began = Instant::now();
    let mut ticks = 0;
    while !stop.load(Ordering::Acquire) {
        for _ in 0..PER_TICK {
            let value = payload(thread, number, 100);
            let record = ProducerRecord::new(topic, &value[..]);
            drop(
                producer
                    .send_with_callback(record, ledger.callback(thread, number))
                    .expect("the producer takes records"),
            );
            number += 1;
        }
        ticks += 1;
        let due = began + Duration::from_millis(10) * ticks;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    number
}

/// Senders block at `buffer.memory`, fail at `max.block.ms`, and when the broker goes on the pool is
/// whole again.
fn a_paused_broker_fills_the_memory_and_gives_it_back() -> TestResult {
    const MEMORY: usize = 1024 * 1024;
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("paused", PARTITIONS as i32, &[])?;
    let max_block = Duration::from_secs(2);
    let producer = build(
        config(&cluster.bootstrap_servers())
            .buffer_memory(MEMORY)
            .max_block(max_block),
    )?;
    producer
        .send(ProducerRecord::new("paused", &b"0:0:"[..]))?
        .get()?;
    cluster.broker(0).pause()?;
    let ledger = Ledger::new(THREADS, 100_000);
    let mut sent = [0; THREADS];
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (producer, ledger) = (&producer, &ledger);
                scope.spawn(move || until_exhausted(producer, thread, ledger, max_block))
            })
            .collect();
        for (thread, sender) in senders.into_iter().enumerate() {
            sent[thread] = sender.join().expect("senders do not panic");
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
    println!("    resumed: {:?}", ledger.tally(&sent));
    assert_eq!(snapshot.memory_free_bytes, MEMORY as u64);
    assert_eq!(snapshot.threads_waiting_for_memory, 0);
    assert_eq!(ledger.tally(&sent).not_written, THREADS);
    producer.close()?;
    cluster.read_back("paused", |record| {
        let (thread, number) = identity(&record);
        if record.value != Some(b"0:0:") {
            ledger.saw(thread, number);
        }
    })?;
    ledger.check(&sent, false);
    Ok(())
}

/// Sends until a record finds no memory; how many were sent, that one included.
fn until_exhausted(
    producer: &super::Producer,
    thread: usize,
    ledger: &std::sync::Arc<Ledger>,
    max_block: Duration,
) -> usize {
    for number in 0.. {
        let value = payload(thread, number, 100);
        let record = ProducerRecord::new("paused", &value[..]);
        let began = Instant::now();
        let future = producer
            .send_with_callback(record, ledger.callback(thread, number))
            .expect("the producer takes records");
        if future.is_done() {
            if let Err(error) = future.get() {
                assert_eq!(error.kind(), &ProduceErrorKind::BufferExhausted, "{error}");
                let took = began.elapsed();
                assert!(took >= max_block && took < max_block * 2, "{took:?}");
                return number + 1;
            }
        }
    }
    unreachable!("memory is finite")
}
