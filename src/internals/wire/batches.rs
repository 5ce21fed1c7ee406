//! Batches from their records, as the producer builds them, and back.

use bytes::Bytes;

use crate::record::batch::RecordBatch;
use crate::record::builder::{ProducerState, RecordParts, RecordsBuilder, batch_head};
use crate::record::format::RECORD_BATCH_OVERHEAD;
use crate::record::header::Header;
use crate::types::{ProducerIdAndEpoch, Sequence};

/// A record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// What a batch says beside its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSpec {
    pub magic: i8,
    /// Kafka's name of the codec.
    pub codec: String,
    /// -1, like the next two, for a producer that is not idempotent.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
}

/// The batch as a producer writes it, however large.
///
/// # Errors
/// In words, if such batches are not built here.
pub fn build_batch(spec: &BatchSpec, records: &[BatchRecord]) -> Result<Vec<u8>, String> {
    if spec.magic != 2 || spec.codec != "none" || spec.transactional {
        return Err(format!("such batches are not built yet: {spec:?}"));
    }
    let (builder, body) = body_of(records, usize::MAX);
    let head = batch_head(&builder.finish(), state_of(spec), &body);
    Ok([&head[..], &body].concat())
}

fn state_of(spec: &BatchSpec) -> ProducerState {
    if spec.producer_id == -1 {
        return ProducerState::NONE;
    }
    ProducerState {
        producer: ProducerIdAndEpoch::new(spec.producer_id, spec.producer_epoch),
        base_sequence: Sequence::new(spec.base_sequence),
    }
}

/// As many of the records as a batch of that size takes, one at least.
fn body_of(records: &[BatchRecord], limit_bytes: usize) -> (RecordsBuilder, Bytes) {
    let mut builder = RecordsBuilder::new(limit_bytes);
    let mut body = Vec::new();
    for record in records {
        let headers: Vec<Header> = record.headers.iter().map(header).collect();
        let parts = RecordParts {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp_ms: record.timestamp,
        };
        let size = builder.size_of_next(record.timestamp, parts.payload_len());
        if !builder.has_room_for(body.len(), size) {
            break;
        }
        builder.append(&mut body, &parts, size);
    }
    (builder, body.into())
}

fn header((key, value): &(String, Option<Bytes>)) -> Header {
    match value {
        Some(value) => Header::new(key.clone(), value.clone()),
        None => Header::null(key.clone()),
    }
}

/// Reads one batch of format v2 that is not compressed: its records with their timestamps.
///
/// # Errors
/// In words, if it is not such a batch.
pub fn read_batch(bytes: &[u8]) -> Result<Vec<BatchRecord>, String> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let batch = RecordBatch::take(&mut rest).map_err(|error| error.to_string())?;
    batch.check_crc().map_err(|error| error.to_string())?;
    let copy = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
    let mut records = Vec::new();
    for read in batch.records().map_err(|error| error.to_string())? {
        let read = read.map_err(|error| error.to_string())?;
        records.push(BatchRecord {
            timestamp: batch.first_timestamp().wrapping_add(read.timestamp_delta),
            key: copy(read.key),
            value: copy(read.value),
            headers: read
                .headers
                .iter()
                .map(|(key, value)| (key.to_owned(), copy(value)))
                .collect(),
        });
    }
    debug_assert!(batch.size_bytes() >= RECORD_BATCH_OVERHEAD);
    Ok(records)
}
