//! A batch that expires while it is being written (KAFKA-19012).
//!
//! A paused broker accepts only what the socket buffers hold, so a large request is written in part. Its batch expires,
//! and other records need memory. In Java's 3.0.0 the pool gives the memory of the batch to the other records. The rest
//! of the request then consists of their bytes, so they appear in a partition, or even a topic, to which they were
//! never sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_producer::{Delivery, ProduceErrorKind, ProducerRecord};

use super::{Producer, build, config};
use crate::harness::{Cluster, ClusterOptions};
use crate::runner::{TestResult, tests};
use crate::workload::wait_for;

tests![a_batch_that_expires_during_its_write_is_written_intact_under_memory_pressure];

const VICTIM: &str = "victim";
const OTHERS: &str = "others";
const OTHER_PARTITIONS: i32 = 8;
/// More than the buffers of both sockets hold.
const BATCH_BYTES: usize = 900_000;
const VICTIM_RECORDS: usize = 800;
const RECORD_BYTES: usize = 1000;
/// Memory for two batches, but not for a third.
const MEMORY_BYTES: usize = 2_000_000;
/// Number of records for each of the other partitions, one partition after the other. They fill all free memory. If the
/// memory of the expired batch counts as free, they overwrite the part of it that is not written yet.
const WANTING: usize = 850;
/// How long the batch is queued before it is written. The batch expires this much earlier than its request times out.
const HEAD_START: Duration = Duration::from_secs(4);
const TIMEOUT: Duration = Duration::from_secs(8);

fn a_batch_that_expires_during_its_write_is_written_intact_under_memory_pressure() -> TestResult {
    // The pause must not cost the broker its leadership.
    let options = ClusterOptions::default().config("zookeeper.session.timeout.ms", "60000");
    let cluster = Arc::new(Cluster::start(options)?);
    cluster.create_topic(VICTIM, 1, &[])?;
    cluster.create_topic(OTHERS, OTHER_PARTITIONS, &[])?;
    let producer = build(
        config(&cluster.bootstrap_servers())
            .set("batch.size", BATCH_BYTES.to_string())
            .set("buffer.memory", MEMORY_BYTES.to_string())
            .set("send.buffer.bytes", "65536")
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", "0")
            .max_block(Duration::from_secs(30))
            .request_timeout(TIMEOUT)
            .delivery_timeout(TIMEOUT),
    )?;
    for topic in [VICTIM, OTHERS] {
        send(&producer, topic, 0, 0)?.get()?;
    }

    // One request is in flight to a paused broker; the victim's batch is queued behind it.
    cluster.broker(0).pause()?;
    let again = Arc::clone(&cluster);
    let first = producer.send_with_callback(
        ProducerRecord::new(OTHERS, &value(OTHERS, 0, 1)[..]).with_partition(0),
        // The callback blocks the sender thread: nothing is written until the broker is paused again.
        move |_| again.broker(0).pause().expect("the broker runs"),
    )?;
    wait_for("a request under way", TIMEOUT, || {
        producer.snapshot().batches_in_flight == 1
    });
    let began = Instant::now();
    let victims = fill_victim(&producer)?;
    std::thread::sleep(HEAD_START.saturating_sub(began.elapsed()));
    cluster.broker(0).resume()?;
    first.get()?;

    // The victim expires in the middle of the write.
    let error = victims[0].get().expect_err("the broker is paused");
    assert_eq!(error.kind(), &ProduceErrorKind::DeliveryTimeout, "{error}");
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    println!("    after {:.2?}: {error}", began.elapsed());
    std::thread::scope(|scope| -> TestResult {
        let wanting = scope.spawn(|| -> Result<(), String> {
            for partition in 0..OTHER_PARTITIONS {
                for number in 2..2 + WANTING {
                    drop(
                        send(&producer, OTHERS, partition, number)
                            .map_err(|error| error.to_string())?,
                    );
                }
            }
            Ok(())
        });
        wait_for("a thread that waits", Duration::from_secs(1), || {
            producer.snapshot().threads_waiting_for_memory > 0
        });
        let wanted = producer.snapshot();
        cluster.broker(0).resume()?;
        println!(
            "    resumed after {:.2?}, with {} of {MEMORY_BYTES} bytes free and {} threads waiting",
            began.elapsed(),
            wanted.memory_free_bytes,
            wanted.threads_waiting_for_memory
        );
        Ok(wanting.join().expect("no panic")?)
    })?;
    producer.flush()?;
    let snapshot = producer.snapshot();
    assert_eq!(snapshot.memory_free_bytes, MEMORY_BYTES as u64);
    producer.close()?;

    // All bytes of the victim's batch were written, unchanged.
    let mut seen = 0;
    cluster.read_back(VICTIM, |record| {
        assert_eq!(record.value, Some(&value(VICTIM, 0, seen)[..]));
        seen += 1;
    })?;
    assert_eq!(
        seen,
        VICTIM_RECORDS + 1,
        "the batch that timed out is whole"
    );
    let mut others = 0;
    cluster.read_back(OTHERS, |record| {
        let text = std::str::from_utf8(record.value.expect("a value")).expect("text");
        let prefix = format!("{OTHERS}:{}:", record.partition);
        assert!(text.starts_with(&prefix), "{prefix} holds {text:.40}");
        others += 1;
    })?;
    assert_eq!(others, 2 + WANTING * OTHER_PARTITIONS as usize);
    assert!(cluster.dump_log_segments(VICTIM)?.is_valid());
    println!("    {seen} records of the victim and {others} others, each where it was sent");
    Ok(())
}

type Future = kafka_producer::FutureRecordMetadata;

fn fill_victim(producer: &Producer) -> Result<Vec<Future>, kafka_producer::SendError> {
    (1..=VICTIM_RECORDS)
        .map(|number| send(producer, VICTIM, 0, number))
        .collect()
}

fn send(
    producer: &Producer,
    topic: &str,
    partition: i32,
    number: usize,
) -> Result<Future, kafka_producer::SendError> {
    let value = value(topic, partition, number);
    producer.send(ProducerRecord::new(topic, &value[..]).with_partition(partition))
}

/// The value of a record. It contains the destination, so that a misdirected record is recognised.
fn value(topic: &str, partition: i32, number: usize) -> Vec<u8> {
    let mut text = format!("{topic}:{partition}:{number}:").into_bytes();
    text.resize(RECORD_BYTES, b'.');
    text
}
