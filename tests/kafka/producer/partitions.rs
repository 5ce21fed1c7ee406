//! A record with a key is sent to the partition that Java's client chooses.

use kafka_producer::ProducerRecord;

use super::{build, config};
use crate::runner::{TestResult, tests};
use crate::shared;

tests![keyed_records_land_on_the_partition_that_javas_client_picks];

/// Java's client and this one compute the same partition for a key (PT-1), also for an empty key (PT-3).
fn keyed_records_land_on_the_partition_that_javas_client_picks() -> TestResult {
    const PARTITIONS: i32 = 12;
    let cluster = shared::cluster()?;
    cluster.create_topic("keyed", PARTITIONS, &[])?;
    let keys: Vec<Vec<u8>> = (0..=200)
        .flat_map(|length| (0..6).map(move |variant| key(length, variant)))
        .collect();
    let producer = build(config(&cluster.bootstrap_servers()))?;
    let futures: Vec<_> = keys
        .iter()
        .map(|key| producer.send(ProducerRecord::keyed("keyed", &key[..], &key[..])))
        .collect::<Result<_, _>>()?;
    let picked = cluster.partition_for_keys(keys.iter().map(Vec::as_slice), PARTITIONS)?;
    for ((future, java), key) in futures.iter().zip(&picked).zip(&keys) {
        let metadata = future.get()?;
        assert_eq!(metadata.partition(), java.partition, "key {key:?}");
    }
    producer.close()?;
    println!("    {} keys of 0 to 200 bytes", keys.len());
    Ok(())
}

/// Keys that together have all byte values. Keys of the same length differ, except for the empty ones.
fn key(length: usize, variant: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 31 + variant * 97 + length * 7) as u8)
        .collect()
}
