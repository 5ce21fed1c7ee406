//! A fixed number of sends, to be counted by callgrind.
//!
//! ```text
//! cargo build --release --example icount
//! valgrind --tool=callgrind --fair-sched=yes target/release/examples/icount 200000
//! ```
//!
//! Two runs with different counts, subtracted, give the instructions of one record without those of
//! start and end. `--separate-threads=yes` tells the caller's thread from the producer's.
#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::error::Error;
use std::time::Duration;

use kafka_producer::testing::TestCluster;
use kafka_producer::{Acks, KafkaProducer, ProducerConfig, ProducerRecord};

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(Ok(100_000), |text| text.parse())?;
    // A broker elsewhere keeps its own instructions out of the count.
    let given = std::env::args().nth(2);
    let embedded = match given {
        Some(_) => None,
        None => Some(TestCluster::builder().sink().topic("bench", 12).start()?),
    };
    let servers = given
        .or_else(|| embedded.as_ref().map(TestCluster::bootstrap_servers))
        .unwrap_or_default();
    let config = ProducerConfig::builder()
        .bootstrap_servers([servers])
        .acks(Acks::Leader)
        .linger(Duration::from_millis(5))
        .build()?;
    let producer = KafkaProducer::<[u8], [u8]>::new(config)?;
    producer.partitions_for("bench")?;
    send_records(&producer, count)?;
    producer.flush()?;
    let snapshot = producer.snapshot();
    println!(
        "{} records, {} requests",
        snapshot.records_acknowledged, snapshot.produce_requests
    );
    producer.close()?;
    Ok(())
}

/// Not inlined, so that the count of what it calls can be read off by its name.
#[inline(never)]
fn send_records(
    producer: &KafkaProducer<[u8], [u8]>,
    count: usize,
) -> Result<(), kafka_producer::SendError> {
    let payload = [b'x'; 100];
    for _ in 0..count {
        drop(producer.send(ProducerRecord::<[u8], [u8]>::new("bench", &payload[..]))?);
    }
    Ok(())
}
