//! Dividing the records of a batch that a broker calls too large.

use super::builder::{BatchFacts, RecordsBuilder};
use crate::util::varint::{VarintError, take_unsigned, take_varint, take_varlong};

/// The records of one part of a batch, and what its header will say of them.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) facts: BatchFacts,
    pub(crate) records: Vec<u8>,
}

/// Divides plain records so that no batch of them is larger than `limit_bytes`, its header included,
/// unless it holds a single record.
///
/// Each record keeps its bytes but for those that depend on its place: its length, its timestamp and its
/// offset, which are relative to the first of the batch.
///
/// # Errors
/// When the bytes are not `facts.record_count` records: they were written here, so this is a defect.
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

/// Takes as many records off the front of `rest` as one piece may hold.
fn take_piece(
    base_timestamp_ms: i64,
    rest: &mut &[u8],
    left: u32,
    limit_bytes: usize,
) -> Result<Piece, VarintError> {
    // First how much it comes to, so that exactly that much memory is asked for.
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
        sizes.count(record.timestamp_ms);
    }
    let facts = sizes.finish();
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

/// A record of which only the place is read: key, value and headers stay as they are.
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
    take_varint(&mut body)?;
    Ok(EncodedRecord {
        timestamp_ms: base_timestamp_ms.wrapping_add(timestamp_delta),
        payload: body,
    })
}

#[cfg(test)]
mod tests;
