//! Splitting a batch that a broker refused with `MESSAGE_TOO_LARGE`.

use super::builder::{BatchFacts, RecordsBuilder};
use crate::util::varint::{VarintError, take_unsigned, take_varint, take_varlong};

/// One of the smaller batches: its records, and the facts for its header.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) facts: BatchFacts,
    pub(crate) records: Vec<u8>,
}

/// Splits uncompressed records into batches of at most `limit_bytes` each, header included. A larger record
/// gets a batch of its own.
///
/// A record's key, value and headers are copied in their encoded form. Its length, timestamp delta and offset delta
/// depend on the batch, and are written anew.
///
/// # Errors
/// The bytes are not `facts.record_count` records. The producer wrote them itself, so this is a bug.
/// # Kafka
/// `ProducerBatch#split`.
pub(crate) fn divide(
    facts: &BatchFacts,
    records: &[u8],
    limit_bytes: usize,
) -> Result<Vec<Piece>, VarintError> {
    let mut pieces = Vec::new();
    let mut rest = records;
    let mut left = facts.record_count;
    while left > 0 {
        let piece = take_piece(facts.first_timestamp_ms, &mut rest, left, limit_bytes)?;
        left -= piece.facts.record_count;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Takes the first records of `rest`, as many as fit into one batch.
fn take_piece(
    base_timestamp_ms: i64,
    rest: &mut &[u8],
    left: u32,
    limit_bytes: usize,
) -> Result<Piece, VarintError> {
    // A first pass computes the size, so that exactly that much memory is allocated.
    let mut sizes = RecordsBuilder::new(limit_bytes);
    let mut size_bytes = 0;
    let mut ahead = *rest;
    while sizes.record_count() < left {
        let record = take_record(&mut ahead, base_timestamp_ms)?;
        let size = sizes.size_of_next(record.timestamp_ms, record.payload.len());
        if !sizes.has_room_for(size_bytes, size) {
            break;
        }
        size_bytes += size.total_bytes();
        sizes.count(record.timestamp_ms, size);
    }
    let facts = sizes.finish();
    // The second pass writes the same records; both passes compute the same sizes, since they begin with the same
    // record.
    let mut builder = RecordsBuilder::new(limit_bytes);
    let mut out = Vec::with_capacity(size_bytes);
    for _ in 0..facts.record_count {
        let record = take_record(rest, base_timestamp_ms)?;
        let size = builder.size_of_next(record.timestamp_ms, record.payload.len());
        builder.append_encoded(&mut out, record.timestamp_ms, record.payload, size);
    }
    Ok(Piece {
        facts,
        records: out,
    })
}

/// An encoded record: its timestamp, and key, value and headers still encoded.
pub(super) struct EncodedRecord<'a> {
    pub(super) timestamp_ms: i64,
    pub(super) payload: &'a [u8],
}

pub(super) fn take_record<'a>(
    rest: &mut &'a [u8],
    base_timestamp_ms: i64,
) -> Result<EncodedRecord<'a>, VarintError> {
    let length = usize::try_from(take_varint(rest)?).map_err(|_| VarintError::Truncated)?;
    let (mut body, after) = rest
        .split_at_checked(length)
        .ok_or(VarintError::Truncated)?;
    *rest = after;
    // The attributes: one byte, 0.
    take_unsigned(&mut body)?;
    let timestamp_delta = take_varlong(&mut body)?;
    // The offset delta, which is computed anew.
    take_varint(&mut body)?;
    Ok(EncodedRecord {
        timestamp_ms: base_timestamp_ms.wrapping_add(timestamp_delta),
        payload: body,
    })
}

#[cfg(test)]
mod tests;
