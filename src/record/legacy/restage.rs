//! The records of a message set, staged again as records of format 2.

use super::error::SetError;
use super::read::visit_records;
use crate::record::builder::{BatchFacts, RecordParts, RecordsBuilder};

/// Reads a message set back into what it was made from, headers excepted: so that a set can be divided, or
/// become one of an older format. Without timestamps, as in magic 0, they are -1.
///
/// # Errors
/// If the set is not good, or there is more than `limit_bytes` in one of its wrappers.
pub(crate) fn restage(set: &[u8], limit_bytes: usize) -> Result<(BatchFacts, Vec<u8>), SetError> {
    let mut builder = RecordsBuilder::new(usize::MAX);
    // A message has more bytes of its own than a record of format 2.
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
