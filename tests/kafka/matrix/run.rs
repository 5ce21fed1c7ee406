//! One cell of the matrix: writes records, and verifies them with the broker's own code.

use std::time::Instant;

use super::content::Content;
use super::releases::Release;
use super::table::Cell;
use crate::harness::{Cluster, DumpReport, DumpedBatch, Failure, Result};
use crate::producer::{build, config};

pub(super) const COUNT: usize = 100_000;
const PARTITIONS: usize = 3;

/// Writes, reads back, and inspects the log.
pub(super) fn codec(cluster: &Cluster, release: &Release, codec: &str) -> Result<Cell> {
    let topic = format!("matrix-{codec}");
    cluster.create_topic(&topic, PARTITIONS as i32, &[])?;
    let began = Instant::now();
    let offsets = produce(cluster, release, codec, &topic).map_err(|why| {
        Failure::new(format!("producing failed: {why}")).with_details(&cluster.log_tails())
    })?;
    let produced = began.elapsed();
    let began = Instant::now();
    read(cluster, release, &topic, &offsets)?;
    let read = began.elapsed();
    let began = Instant::now();
    let dump = cluster.dump_with_own_tool(&topic)?;
    check_dump(&dump, release, codec)?;
    let batches = dump.batches.len();
    println!(
        "    Kafka {}, {codec}: {COUNT} records in {batches} batches of format {}; produced in \
         {produced:.2?}, read in {read:.2?}, dumped in {:.2?}",
        release.version,
        release.magic,
        began.elapsed()
    );
    Ok(Cell::Equal { batches })
}

/// The number of the record at each offset of each partition, from the acknowledgements.
type Offsets = Vec<Vec<Option<usize>>>;

fn produce(
    cluster: &Cluster,
    release: &Release,
    codec: &str,
    topic: &str,
) -> std::result::Result<Offsets, Box<dyn std::error::Error>> {
    let mut config = config(&cluster.bootstrap_servers())
        .set("compression.type", codec)
        .set("linger.ms", "5");
    if !release.has_idempotence() {
        // Keeps the order if a batch is retried.
        config = config
            .enable_idempotence(false)
            .max_in_flight_requests_per_connection(1);
    }
    let producer = build(config)?;
    let mut futures = Vec::with_capacity(COUNT);
    for number in 0..COUNT {
        let content = Content::of(number, release);
        futures.push((
            number,
            content.timestamp,
            producer.send(content.record(topic))?,
        ));
    }
    producer.flush()?;
    let mut offsets: Offsets = vec![Vec::new(); PARTITIONS];
    for (number, timestamp, future) in futures {
        let metadata = future.get()?;
        if metadata.timestamp() != timestamp {
            return Err(format!("record {number} is acknowledged as {metadata:?}").into());
        }
        let places = &mut offsets[usize::try_from(metadata.partition())?];
        let offset = usize::try_from(metadata.offset())?;
        if places.len() <= offset {
            places.resize(offset + 1, None);
        }
        if let Some(other) = places[offset].replace(number) {
            return Err(format!("{number} and {other} are acknowledged as {metadata:?}").into());
        }
    }
    producer.close()?;
    Ok(offsets)
}

/// Checks that every record is at its acknowledged offset, unchanged, and after the records of its partition that were
/// sent before it.
fn read(cluster: &Cluster, release: &Release, topic: &str, offsets: &Offsets) -> Result<()> {
    let mut next = [(0, None); PARTITIONS];
    let mut complaints = Vec::new();
    let mut count = 0;
    cluster.read_back_with_own_consumer(topic, |record| {
        count += 1;
        let partition = record.partition as usize;
        let (offset, last) = &mut next[partition];
        let number = offsets[partition].get(*offset).copied().flatten();
        let outcome = match number {
            _ if record.offset != *offset as i64 => {
                Err(format!("{offset} is not read: {record:?}"))
            }
            None => Err(format!("no acknowledgement has the offset of {record:?}")),
            Some(_) if number < *last => Err(format!("{number:?} is read after {last:?}")),
            Some(number) => Content::of(number, release).compare(&record),
        };
        *offset += 1;
        *last = number;
        if let (Err(why), true) = (outcome, complaints.len() < 5) {
            complaints.push(why);
        }
    })?;
    if count != COUNT {
        complaints.insert(0, format!("{count} records were read"));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "what was read is not what was sent:\n{}",
        complaints.join("\n")
    )))
}

fn check_dump(dump: &DumpReport, release: &Release, codec: &str) -> Result<()> {
    let is_expected = |batch: &DumpedBatch| {
        batch.is_valid
            && batch.magic == release.magic
            && batch.compression == codec
            && (batch.producer_id >= 0) == release.has_idempotence()
    };
    let problem = if let Some(complaint) = dump.complaints.first() {
        format!("DumpLogSegments reports {complaint:?}")
    } else if let Some(batch) = dump.batches.iter().find(|batch| !is_expected(batch)) {
        format!("the log has {batch:?}")
    } else if dump.records != COUNT as u64 {
        format!("DumpLogSegments finds {} records", dump.records)
    } else if (release.magic >= 2 || codec != "none") && dump.batches.len() * 2 > COUNT {
        format!("{} batches for {COUNT} records", dump.batches.len())
    } else {
        return Ok(());
    };
    Err(Failure::new(problem))
}
