//! Checks of the records that arrived.

use std::collections::BTreeSet;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::TestCluster;
use serde_json::Value;

use crate::scenarios::{KEY_BYTES, ONE_PARTITION, PARTITIONS, PAYLOAD_BYTES};

/// Blocks, all different.
pub fn blocks(count: usize, size: usize) -> Vec<u8> {
    let block = |i: usize| (0..size).map(move |at| ((i >> (8 * (at % 2))) + at / 2) as u8);
    (0..count).flat_map(block).collect()
}

/// Blocks of compressible text, each with a different number.
pub fn text(count: usize, size: usize) -> Vec<u8> {
    let block = |i: usize| {
        format!("number {i:05}, ")
            .into_bytes()
            .into_iter()
            .cycle()
            .take(size)
    };
    (0..count).flat_map(block).collect()
}

/// The maximum time until records have arrived. Records without acknowledgement arrive without a notification, so the
/// count is polled.
const ARRIVAL_MAX: Duration = Duration::from_secs(5);

/// Checks the number of records that arrived.
pub fn count(cluster: &TestCluster, wanted: u64) -> Result<(), Box<dyn Error>> {
    let end = Instant::now() + ARRIVAL_MAX;
    loop {
        let arrived = cluster.record_count("bench");
        if arrived == wanted {
            return Ok(());
        }
        if arrived > wanted || Instant::now() > end {
            return Err(format!("{arrived} records arrived instead of {wanted}").into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Checks that the batches are smaller than the sent records: the client has compressed them.
pub fn compressed(cluster: &TestCluster, records: u64) -> Result<String, Box<dyn Error>> {
    let logs = (0..PARTITIONS as i32).filter_map(|partition| cluster.summary("bench", partition));
    let arrived: u64 = logs.map(|log| log.bytes).sum();
    let times = (records * PAYLOAD_BYTES as u64) as f64 / arrived as f64;
    if times < COMPRESSED_TIMES {
        return Err(format!("values became only {times:.2} times smaller").into());
    }
    Ok(format!("; {times:.1} times smaller"))
}

/// Minimum compression ratio; any codec exceeds it by far with this text.
const COMPRESSED_TIMES: f64 = 1.5;

/// Checks the number of records, that each value and key is one of those that were sent, and that partitions and
/// producer ids are as the settings require.
pub fn contents(cluster: &TestCluster, setup: &Value, wanted: u64) -> Result<(), Box<dyn Error>> {
    count(cluster, wanted)?;
    let sent = |size, count| -> BTreeSet<Vec<u8>> {
        let blocks = blocks(count, size);
        blocks.chunks(size).map(<[u8]>::to_vec).collect()
    };
    let (values, keys) = (sent(PAYLOAD_BYTES, 1000), sent(KEY_BYTES, 400));
    let is_keyed = !setup["keys"].is_null();
    let mut seen_keys = BTreeSet::new();
    let mut used = 0;
    for partition in 0..PARTITIONS as i32 {
        let mut keys_here = BTreeSet::new();
        for batch in cluster.batches("bench", partition) {
            if setup["defaults"] == false {
                let is_stamped = batch.producer().is_some();
                if setup["idempotent"] != is_stamped {
                    return Err(format!("a batch has a producer id: {is_stamped}").into());
                }
            }
            for record in batch.records() {
                if !record.value().is_some_and(|value| values.contains(value)) {
                    return Err(format!("a value arrived changed: {record:?}").into());
                }
                match record.key() {
                    Some(key) if is_keyed && keys.contains(key) => {
                        keys_here.insert(key.to_vec());
                    }
                    None if !is_keyed => {}
                    _ => return Err(format!("a key arrived changed: {record:?}").into()),
                }
            }
        }
        used += usize::from(
            cluster
                .summary("bench", partition)
                .is_some_and(|s| s.records > 0),
        );
        if let Some(key) = keys_here.iter().find(|key| seen_keys.contains(*key)) {
            return Err(format!("key {key:?} is in more than one partition").into());
        }
        seen_keys.extend(keys_here);
    }
    if setup["partition"] == ONE_PARTITION {
        let elsewhere = cluster
            .summary("bench", ONE_PARTITION)
            .is_none_or(|there| there.records != wanted);
        if elsewhere {
            return Err(format!("not all is in partition {ONE_PARTITION}").into());
        }
    } else if is_keyed && used < PARTITIONS {
        return Err(format!("keys went to {used} partitions only").into());
    }
    Ok(())
}

/// The 50th and 99th percentile of the latencies. Fails unless their number is `timed`.
pub fn latencies(counts: &Value, timed: u64) -> Result<String, Box<dyn Error>> {
    let pair = |pair: &Value| Some((pair.get(0)?.as_u64()?, pair.get(1)?.as_u64()?));
    let counts: Vec<(u64, u64)> = counts
        .as_array()
        .and_then(|counts| counts.iter().map(pair).collect())
        .ok_or("latencies are pairs of numbers")?;
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    if total != timed {
        return Err(format!("{total} latencies where {timed} were to be timed").into());
    }
    let at = |percent: u64| {
        let mut left = (total * percent).div_ceil(100);
        let reached = counts.iter().find(|(_, count)| {
            left = left.saturating_sub(*count);
            left == 0
        });
        reached.map_or(0, |(nanos, _)| nanos / 1000)
    };
    Ok(format!(", 50 % {} µs, 99 % {} µs", at(50), at(99)))
}
