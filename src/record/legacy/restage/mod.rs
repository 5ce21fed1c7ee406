//! Up-conversion: the records of a message set, staged again in magic 2.

use super::error::SetError;
use super::read::visit_records;
use crate::record::builder::{BatchFacts, RecordParts, RecordsBuilder};

/// Converts a message set back to records in magic 2, so that it can be split, or converted to an older magic. Headers
/// are lost; timestamps are -1 if the set is of magic 0.
///
/// # Errors
/// The set is invalid, or a wrapper decompresses to more than `limit_bytes`.
pub(crate) fn restage(set: &[u8], limit_bytes: usize) -> Result<(BatchFacts, Vec<u8>), SetError> {
    let mut builder = RecordsBuilder::new(usize::MAX);
    // Enough for an uncompressed set: a message has more overhead than a record in magic 2.
    let mut out = Vec::with_capacity(set.len());
    visit_records(set, limit_bytes, |message| {
        let parts = RecordParts {
            key: message.key,
            value: message.value,
            headers: &[],
            timestamp_ms: message.timestamp_ms,
        };
        let size = builder.size_of_next(parts.timestamp_ms, parts.payload_len());
        builder.append(&mut out, &parts, size);
    })?;
    Ok((builder.finish(), out))
}

#[cfg(test)]
mod tests;
