//! A full batch is not delayed by batches that linger.

use std::time::{Duration, Instant};

use kafka_producer::ProducerRecord;

use crate::support::{cluster, config, producer};

/// The number of rounds without `LINGER_ROUNDS`.
/// `LINGER_ROUNDS=1000 cargo test --release --test api lingering -- --nocapture` measures more precisely.
const USUAL_ROUNDS: usize = 60;

/// Upper bound of the latency of a full batch, on a machine that is also busy with other tests.
const BOUND: Duration = Duration::from_millis(50);

fn rounds() -> usize {
    let asked = std::env::var("LINGER_ROUNDS").ok();
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(USUAL_ROUNDS)
}

/// The sorted latencies of full batches that are sent one after the other, while the batches of `lingering` other
/// partitions linger.
fn latencies(linger: Duration, lingering: usize) -> Vec<Duration> {
    let cluster = cluster(lingering + 1);
    let producer = producer(config(&cluster).linger(linger).set("batch.size", "1000"));
    producer.partitions_for("t").unwrap();
    let (full, small) = ("x".repeat(1000), "lingers");
    let mut took = Vec::new();
    for round in 0..rounds() {
        if round % 20 == 0 {
            for partition in 1..=lingering {
                let record = ProducerRecord::new("t", small).with_partition(partition as i32);
                drop(producer.send(record).unwrap());
            }
        }
        let began = Instant::now();
        let record = ProducerRecord::new("t", &*full).with_partition(0);
        producer.send(record).unwrap().get().unwrap();
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took
}

#[test]
fn lingering_batches_do_not_delay_a_full_batch() {
    for lingering in [1, 8, 64] {
        for linger in [0, 100, 5000].map(Duration::from_millis) {
            let took = latencies(linger, lingering);
            let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
            println!("linger {linger:?}, {lingering} lingering: p50 {median:?}, p99 {p99:?}");
            assert!(
                median < BOUND && took[took.len() * 9 / 10] < BOUND,
                "linger {linger:?}, {lingering} lingering: {took:?}"
            );
        }
    }
}
