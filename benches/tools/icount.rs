//! Sends a fixed number of records, for an instruction count by callgrind.
//!
//! ```text
//! cargo build --release --example icount
//! valgrind --tool=callgrind --fair-sched=yes target/release/examples/icount 200000
//! ```
//!
//! Further arguments are the address of a broker; the kind of records: `plain` (the default), `keyed`, or
//! `callback`; and `idempotent` for an idempotent producer with acks=all.
//!
//! The difference of two runs with different counts, divided by the difference of the counts, is the number of
//! instructions of one record without start and end. `--separate-threads=yes` separates the caller's thread from the
//! producer's.
#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{Acks, KafkaProducer, ProducerConfig, ProducerRecord, SendError};

type Producer = KafkaProducer<[u8], [u8]>;

const PAYLOAD: [u8; 100] = [b'x'; 100];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    // With a broker in another process its instructions are not counted.
    let given = arguments.next();
    let kind = arguments.next();
    let idempotent = match arguments.next().as_deref() {
        None => false,
        Some("idempotent") => true,
        Some(other) => return Err(format!("not 'idempotent': {other}").into()),
    };
    let embedded = match given {
        Some(_) => None,
        None => Some(TestCluster::builder().sink().topic("bench", 12).start()?),
    };
    let servers = given
        .or_else(|| embedded.as_ref().map(TestCluster::bootstrap_servers))
        .unwrap_or_default();
    let config = ProducerConfig::builder()
        .bootstrap_servers([servers])
        .acks(if idempotent { Acks::All } else { Acks::Leader })
        .enable_idempotence(idempotent)
        .linger(Duration::from_millis(5))
        .build()?;
    let producer = Producer::new(config)?;
    producer.partitions_for("bench")?;
    match kind.as_deref() {
        None | Some("plain") => send_plain(&producer, count)?,
        Some("keyed") => send_keyed(&producer, count)?,
        Some("callback") => send_with_callbacks(&producer, count)?,
        Some(other) => return Err(format!("no such kind of records: {other}").into()),
    }
    producer.flush()?;
    let snapshot = producer.snapshot();
    println!(
        "{} records, {} requests, {} turns of the loop",
        snapshot.records_acknowledged, snapshot.produce_requests, snapshot.sender_loops
    );
    producer.close()?;
    Ok(())
}

// Not inlined, so that callgrind lists the count of each function by its name.

#[inline(never)]
fn send_plain(producer: &Producer, count: usize) -> Result<(), SendError> {
    for _ in 0..count {
        drop(producer.send(ProducerRecord::new("bench", &PAYLOAD[..]))?);
    }
    Ok(())
}

#[inline(never)]
fn send_keyed(producer: &Producer, count: usize) -> Result<(), SendError> {
    for number in 0..count {
        let key = (number as u64).to_be_bytes();
        drop(producer.send(ProducerRecord::keyed("bench", &key[..], &PAYLOAD[..]))?);
    }
    Ok(())
}

/// Sends records with callbacks that own a value, as most callbacks do.
#[inline(never)]
fn send_with_callbacks(producer: &Producer, count: usize) -> Result<(), SendError> {
    let failures = Arc::new(AtomicUsize::new(0));
    for _ in 0..count {
        let failures = Arc::clone(&failures);
        let record = ProducerRecord::new("bench", &PAYLOAD[..]);
        drop(producer.send_with_callback(record, move |outcome| {
            if outcome.is_err() {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        })?);
    }
    Ok(())
}
