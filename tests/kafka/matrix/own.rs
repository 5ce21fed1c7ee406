//! Validates the harness first: records of that version's own producer must be parsed correctly.

use super::releases::{CODECS, Release};
use crate::harness::{Cluster, Failure, Result};

const COUNT: u64 = 1_000;
const SIZE: usize = 100;

/// Sends with the broker's own producer and each codec, and checks what the harness reads.
pub(super) fn is_understood(cluster: &Cluster, release: &Release) -> Result<()> {
    for codec in CODECS.iter().filter(|codec| release.takes(codec)) {
        let topic = &format!("own-{codec}");
        cluster.create_topic(topic, 1, &[])?;
        let configs = [("compression.type", *codec), ("linger.ms", "20")];
        cluster.fill_with_own_producer(&configs, topic, COUNT, SIZE)?;
        let mut next = 0;
        let mut strangers = 0;
        cluster.read_back_with_own_consumer(topic, |record| {
            let value = record.value.unwrap_or_default();
            let is_next = value.len() == SIZE && value[..8] == u64::to_be_bytes(next);
            strangers += usize::from(!is_next);
            next += 1;
        })?;
        let dump = cluster.dump_with_own_tool(topic)?;
        let is_expected = dump.is_valid()
            && dump.records == COUNT
            && !dump.batches.is_empty()
            && dump
                .batches
                .iter()
                .all(|batch| batch.magic == release.magic && batch.compression == *codec);
        if (next, strangers, is_expected) != (COUNT, 0, true) {
            return Err(Failure::new(format!(
                "of {COUNT} records that Java's own producer wrote with {codec}, {next} were read, \
                 {strangers} of them others; the log has {} records and batches like {:?}; {:?}",
                dump.records,
                dump.batches.first(),
                dump.complaints
            )));
        }
    }
    Ok(())
}
