//! Encodes batches with the producer's own builder.

use bytes::Bytes;

use super::reading::{LIMIT_BYTES, read_batch};
use super::record::BatchRecord;
use crate::compress::{CompressionType, Compressor, FeatureMissing};
use crate::record::builder::{
    BatchFacts, ProducerState, RecordsBuilder, batch_head, batch_size_upper_bound,
};
use crate::record::header::Header;
use crate::record::legacy::{self, LegacyMagic};
use crate::types::{Magic, ProducerIdAndEpoch, Sequence};

/// The header fields of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSpec {
    pub magic: i8,
    /// Kafka's name of the codec.
    pub codec: String,
    /// Producer id, epoch and sequence number are -1 for a producer that is not idempotent. Formats before v2 do not
    /// have them.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
}

/// Encodes a batch as a producer does, without a size limit. An older format is converted from a batch of format v2.
///
/// # Errors
/// If there is no such format or codec, or the format does not support the codec.
pub fn build_batch(spec: &BatchSpec, records: &[BatchRecord]) -> Result<Vec<u8>, String> {
    let compressor = compressor(&spec.codec)?;
    let (facts, staged) = stage(records, usize::MAX);
    match LegacyMagic::of(magic(spec.magic)?) {
        Some(magic) => message_set(&facts, &staged, magic, &compressor),
        None => whole_batch(spec, &facts, staged, &compressor),
    }
}

/// Fills a batch of format v2 with as many of the records as fit into `limit_bytes`, at least one. Returns the number
/// of records in the batch, and the batch.
pub fn fill_batch(records: &[BatchRecord], limit_bytes: usize) -> (usize, Vec<u8>) {
    let (facts, body) = stage(records, limit_bytes);
    let head = batch_head(&facts, ProducerState::NONE, &body);
    (facts.record_count as usize, [&head[..], &body].concat())
}

/// Upper bound of the size of an uncompressed batch with only this record: the producer's criterion for
/// `max.request.size`.
///
/// # Errors
/// If there is no such format.
pub fn size_upper_bound(format: i8, record: &BatchRecord) -> Result<usize, String> {
    let headers: Vec<Header> = record.headers.iter().map(header).collect();
    let parts = record.parts(&headers);
    Ok(match LegacyMagic::of(magic(format)?) {
        None => batch_size_upper_bound(parts.payload_len()),
        Some(magic) => {
            let [key, value] = [parts.key, parts.value].map(|field| field.map_or(0, <[u8]>::len));
            magic.set_size_upper_bound(false, key, value)
        }
    })
}

/// Down-converts a message set or a batch of format v2.
///
/// # Errors
/// If it cannot be parsed, or the format does not support the codec.
pub fn convert_batch(batch: &[u8], codec: &str, to: i8) -> Result<Vec<u8>, String> {
    let to = LegacyMagic::of(magic(to)?).ok_or("format v2 is not an older one")?;
    let compressor = compressor(codec)?;
    let (facts, staged) = match read_batch(batch)? {
        read if read.magic == 2 => stage(&read.records, usize::MAX),
        _ => legacy::restage(batch, LIMIT_BYTES).map_err(|error| error.to_string())?,
    };
    message_set(&facts, &staged, to, &compressor)
}

fn whole_batch(
    spec: &BatchSpec,
    facts: &BatchFacts,
    staged: Vec<u8>,
    compressor: &Compressor,
) -> Result<Vec<u8>, String> {
    let body = if compressor.codec() == CompressionType::None {
        staged
    } else {
        let mut body = Vec::new();
        compressor
            .compress(Magic::V2, &[&staged], &mut body)
            .map_err(|error| error.to_string())?;
        body
    };
    let facts = BatchFacts {
        codec: compressor.codec(),
        ..*facts
    };
    let head = batch_head(&facts, state_of(spec), &body);
    Ok([&head[..], &body].concat())
}

fn message_set(
    facts: &BatchFacts,
    staged: &[u8],
    magic: LegacyMagic,
    compressor: &Compressor,
) -> Result<Vec<u8>, String> {
    let mut set = Vec::new();
    legacy::convert(facts, &[staged], magic, Some(compressor), &mut set)
        .map_err(|error| error.to_string())?;
    Ok(set)
}

fn compressor(codec: &str) -> Result<Compressor, String> {
    let codec: CompressionType = codec.parse().map_err(|_| format!("no codec is {codec}"))?;
    Compressor::new(codec, None).map_err(FeatureMissing::remedy)
}

fn magic(number: i8) -> Result<Magic, String> {
    let all = [Magic::V0, Magic::V1, Magic::V2];
    let mut all = all.into_iter();
    all.find(|magic| *magic as i8 == number)
        .ok_or_else(|| format!("there is no format {number}"))
}

fn state_of(spec: &BatchSpec) -> ProducerState {
    let is_transactional = spec.transactional;
    if spec.producer_id == -1 {
        return ProducerState {
            is_transactional,
            ..ProducerState::NONE
        };
    }
    ProducerState {
        producer: ProducerIdAndEpoch::new(spec.producer_id, spec.producer_epoch),
        base_sequence: Sequence::new(spec.base_sequence),
        is_transactional,
    }
}

/// Appends as many of the records as fit into `limit_bytes`, at least one.
fn stage(records: &[BatchRecord], limit_bytes: usize) -> (BatchFacts, Vec<u8>) {
    let mut builder = RecordsBuilder::new(limit_bytes);
    let mut body = Vec::new();
    for record in records {
        let headers: Vec<Header> = record.headers.iter().map(header).collect();
        let parts = record.parts(&headers);
        let size = builder.size_of_next(record.timestamp, parts.payload_len());
        if !builder.has_room_for(body.len(), size) {
            break;
        }
        builder.append(&mut body, &parts, size);
    }
    (builder.finish(), body)
}

fn header((key, value): &(String, Option<Bytes>)) -> Header {
    match value {
        Some(value) => Header::new(key.clone(), value.clone()),
        None => Header::null(key.clone()),
    }
}
