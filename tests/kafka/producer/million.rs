//! A million records, each of them verified.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_producer::{Acks, ProducerConfigBuilder, ProducerRecord};

use super::{Producer, build, config};
use crate::harness::{Cluster, ReadRecord};
use crate::ledger::{Id, Ledger, Reading, Tally};
use crate::runner::{TestResult, tests};
use crate::shared;

tests![
    a_million_records_with_defaults_arrive_once_and_in_order,
    a_million_records_with_acks_1_arrive_once_and_in_order,
    a_million_records_with_acks_0_arrive_once_and_in_order,
    a_million_records_with_one_request_in_flight_arrive_once_and_in_order,
];

const THREADS: usize = 4;
const PER_THREAD: usize = 250_000;
const PARTITIONS: usize = 12;
const SIZE: usize = 100;
const EPOCH_MS: i64 = 1_600_000_000_000;

fn a_million_records_with_defaults_arrive_once_and_in_order() -> TestResult {
    million("million-defaults", |config| config, true)
}

fn a_million_records_with_acks_1_arrive_once_and_in_order() -> TestResult {
    million("million-acks-1", |config| config.acks(Acks::Leader), false)
}

fn a_million_records_with_acks_0_arrive_once_and_in_order() -> TestResult {
    million("million-acks-0", |config| config.acks(Acks::None), false)
}

fn a_million_records_with_one_request_in_flight_arrive_once_and_in_order() -> TestResult {
    million(
        "million-one-in-flight",
        |config| config.max_in_flight_requests_per_connection(1),
        true,
    )
}

fn million(
    topic: &str,
    configure: impl FnOnce(ProducerConfigBuilder) -> ProducerConfigBuilder,
    idempotent: bool,
) -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic(topic, PARTITIONS as i32, &[])?;
    let producer = build(configure(config(&cluster.bootstrap_servers())))?;
    let ledger = Ledger::new(topic, THREADS, PER_THREAD);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, ledger) = (&producer, &ledger);
            scope.spawn(move || {
                for number in 0..PER_THREAD {
                    send(producer, ledger, thread, number);
                }
            });
        }
    });
    producer.flush()?;
    let took = began.elapsed();
    let all = Tally {
        acknowledged: THREADS * PER_THREAD,
        ..Tally::default()
    };
    assert_eq!(ledger.tally(), all);
    let snapshot = producer.snapshot();
    assert_eq!(snapshot.memory_free_bytes, snapshot.memory_total_bytes);
    producer.close()?;
    println!(
        "    {topic}: 1,000,000 records acknowledged in {took:.2?} ({} requests)",
        snapshot.produce_requests
    );
    wait_until_appended(&cluster, topic)?;
    read_and_check(&cluster, topic, &ledger)?;
    check_segments(&cluster, topic, idempotent)
}

/// With acks=0 a record completes when it is written to a socket: the broker may append it a moment later.
fn wait_until_appended(cluster: &Cluster, topic: &str) -> TestResult {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut count = 0;
        cluster.read_back(topic, |_| count += 1)?;
        if count >= THREADS * PER_THREAD {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "{count} records after 30 s");
    }
}

/// Sends one record. All records together have all variants: keys null and not, values null and not, timestamps set and
/// not, no headers and several.
fn send(producer: &Producer, ledger: &Arc<Ledger>, thread: usize, number: usize) {
    let topic = ledger.topic();
    let value = ledger.payload(thread, number, SIZE);
    let key = key_of(number);
    let mut record = if has_value(number) {
        ProducerRecord::<[u8], [u8]>::new(topic, &value[..])
    } else {
        ProducerRecord::tombstone(topic, &b""[..]).with_header("id", value.clone())
    };
    match &key {
        Some(key) => record.set_key(&key[..]),
        None => record.clear_key(),
    }
    if number % 2 == 0 {
        record = record.with_timestamp(EPOCH_MS + number as i64);
    }
    if number % 10 == 0 {
        record = record
            .with_header("first", b"1".to_vec())
            .with_header("first", value.clone());
    }
    // The callback stores the result in the ledger.
    drop(
        producer
            .send_with_callback(record, ledger.callback(thread, number))
            .expect("the producer takes records"),
    );
}

fn key_of(number: usize) -> Option<Vec<u8>> {
    (number % 3 != 0).then(|| format!("key-{}", number % 1000).into_bytes())
}

fn has_value(number: usize) -> bool {
    number % 1000 != 7
}

fn read_and_check(cluster: &Cluster, topic: &str, ledger: &Arc<Ledger>) -> TestResult {
    let mut reading = Reading::new(ledger);
    cluster.read_back(topic, |record| {
        let id = reading.see(&record);
        check_content(&record, ledger, id);
    })?;
    reading.finish().assert_exactly_once();
    Ok(())
}

fn check_content(record: &ReadRecord<'_>, ledger: &Ledger, id: Id) {
    let Id { thread, number } = id;
    let value = ledger.payload(thread, number, SIZE);
    assert_eq!(record.key, key_of(number).as_deref());
    assert_eq!(record.value, has_value(number).then_some(&value[..]));
    if number % 2 == 0 {
        assert_eq!(record.timestamp, EPOCH_MS + number as i64);
    } else {
        assert!(
            record.timestamp > EPOCH_MS,
            "a record without timestamp gets the time of sending"
        );
    }
    let mut headers: Vec<(&str, Option<&[u8]>)> = Vec::new();
    if !has_value(number) {
        headers.push(("id", Some(&value)));
    }
    if number % 10 == 0 {
        headers.push(("first", Some(b"1")));
        headers.push(("first", Some(&value)));
    }
    assert_eq!(record.headers, headers);
}

fn check_segments(cluster: &Cluster, topic: &str, idempotent: bool) -> TestResult {
    let report = cluster.dump_log_segments(topic)?;
    assert!(report.is_valid(), "{:?}", report.complaints);
    assert_eq!(report.records, (THREADS * PER_THREAD) as u64);
    for batch in &report.batches {
        assert_eq!(batch.magic, 2);
        assert_eq!(batch.producer_id >= 0, idempotent, "{batch:?}");
    }
    println!(
        "    {topic}: {} batches, all accepted by DumpLogSegments",
        report.batches.len()
    );
    Ok(())
}
