//! Verifies that each record is in the log, once and in order.

use std::collections::BTreeMap;

use kafka_producer::testing::{StoredBatch, TestCluster};
use kafka_producer::{PartitionId, ProduceError, RecordMetadata};

use super::{PER_THREAD, Result, THREADS};

/// The results passed to callbacks.
#[derive(Default)]
pub(crate) struct Outcomes {
    offsets: BTreeMap<PartitionId, Vec<i64>>,
    errors: Vec<ProduceError>,
}

impl Outcomes {
    pub(crate) fn note(&mut self, outcome: std::result::Result<&RecordMetadata, &ProduceError>) {
        match outcome {
            Ok(metadata) => self
                .offsets
                .entry(metadata.partition())
                .or_default()
                .push(metadata.offset()),
            Err(error) => self.errors.push(error.clone()),
        }
    }

    /// Verifies, without reading the log, that every record was acknowledged, each at its own offset.
    pub(crate) fn verify_acknowledgements(mut self) -> Result<()> {
        if let Some(error) = self.errors.first() {
            return Err(format!("{} records failed, the first: {error}", self.errors.len()).into());
        }
        let mut count = 0;
        for (partition, offsets) in &mut self.offsets {
            offsets.sort_unstable();
            count += offsets.len();
            if offsets.windows(2).any(|pair| pair.first() == pair.last()) {
                return Err(format!("partition {partition}: two records, one offset").into());
            }
        }
        if count != THREADS * PER_THREAD {
            return Err(format!(
                "{count} of {} records were acknowledged",
                THREADS * PER_THREAD
            )
            .into());
        }
        println!("every record was acknowledged, each at an offset of its own");
        Ok(())
    }
}

/// Verifies the log of the embedded broker.
pub(crate) fn log(cluster: &TestCluster, topic: &str) -> Result<()> {
    let mut seen = vec![vec![false; PER_THREAD]; THREADS];
    let mut count = 0;
    for partition in 0.. {
        let batches = cluster.batches(topic, partition);
        if cluster.summary(topic, partition).is_none() {
            break;
        }
        let mut next = [0; THREADS];
        for record in batches.iter().flat_map(StoredBatch::records) {
            let stamp = record.value().and_then(|value| value.first_chunk::<16>());
            let (thread, number) = stamp.map(read).ok_or("a record that nobody sent")?;
            if number < next[thread] || std::mem::replace(&mut seen[thread][number], true) {
                return Err(format!(
                    "partition {partition}: {thread}:{number} is there twice or out of order"
                )
                .into());
            }
            next[thread] = number + 1;
            count += 1;
        }
    }
    if count != THREADS * PER_THREAD {
        return Err(format!("{count} of {} records are in the log", THREADS * PER_THREAD).into());
    }
    println!(
        "verified: each of {count} records is in the log once, in order per partition and thread"
    );
    Ok(())
}

fn read(stamp: &[u8; 16]) -> (usize, usize) {
    let (thread, number) = stamp.split_at(8);
    let read = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    (read(thread), read(number))
}
