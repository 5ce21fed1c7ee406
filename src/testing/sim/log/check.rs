//! Validation of a batch before the sequence check: format, size, checksum, header, records.

use bytes::Bytes;

use super::{Incoming, Rejected, TopicSettings};
use crate::compress::DecompressError;
use crate::error::ErrorCode;
use crate::record::batch::{BatchError, RecordBatch, RecordIterator};
use crate::testing::stored::MAX_UNCOMPRESSED_BYTES;

/// Codec id of zstd, which brokers accept since version 7 of the request.
const ZSTD: u8 = 4;
const FIRST_VERSION_WITH_ZSTD: i16 = 7;
const FIRST_VERSION_WITH_BATCHES: i16 = 3;
/// The highest codec id.
const LAST_CODEC: u8 = ZSTD;

/// The records of a partition in a produce request of this version.
///
/// # Errors
/// As [`single_batch`] for version 3 and above; older requests are validated by the log.
pub(crate) fn take_records(records: Option<Bytes>, version: i16) -> Result<Incoming, Rejected> {
    if version < FIRST_VERSION_WITH_BATCHES {
        return Ok(Incoming::MessageSet(records.unwrap_or_default()));
    }
    single_batch(records, version).map(Incoming::Batch)
}

/// The single batch of a partition, as versions 3 and above require it.
///
/// # Kafka
/// `ProduceRequest#validateRecords`. Differs: a broker drops an incomplete batch that follows the first; here any byte
/// that follows is an error, because a correct producer writes none.
pub(super) fn single_batch(records: Option<Bytes>, version: i16) -> Result<RecordBatch, Rejected> {
    let mut records = records.unwrap_or_default();
    let batch = RecordBatch::take(&mut records).map_err(|error| {
        Rejected::at_once(match error {
            // Older formats are valid, but not in this version of the request.
            BatchError::UnsupportedMagic(0 | 1) | BatchError::Truncated { .. } => {
                ErrorCode::InvalidRecord
            }
            _ => ErrorCode::CorruptMessage,
        })
    })?;
    if version < FIRST_VERSION_WITH_ZSTD && batch.attributes().codec() == ZSTD {
        return Err(Rejected::at_once(ErrorCode::UnsupportedCompressionType));
    }
    if !records.is_empty() {
        return Err(Rejected::at_once(ErrorCode::InvalidRecord));
    }
    Ok(batch)
}

/// Checks size and checksum.
pub(super) fn framing(batch: &RecordBatch, settings: &TopicSettings) -> Result<(), Rejected> {
    if batch.base_offset() != 0 {
        return Err(Rejected::by_log(ErrorCode::InvalidRecord));
    }
    if batch.size_bytes() > settings.max_message_bytes {
        return Err(Rejected::at_once(ErrorCode::MessageTooLarge));
    }
    batch
        .check_crc()
        .map_err(|_| Rejected::at_once(ErrorCode::CorruptMessage))
}

/// Checks the header.
///
/// # Kafka
/// `LogValidator#validateBatch`.
pub(super) fn header(batch: &RecordBatch) -> Result<(), Rejected> {
    let count = i64::from(batch.records_count());
    let counts_agree = count > 0 && i64::from(batch.last_offset_delta()) + 1 == count;
    let has_its_sequence = !batch.has_producer_id() || batch.base_sequence() >= 0;
    if !counts_agree || batch.attributes().is_control() || !has_its_sequence {
        return Err(Rejected::by_log(ErrorCode::InvalidRecord));
    }
    if batch.attributes().codec() > LAST_CODEC {
        // No codec has this id; a real broker fails with an unexpected exception.
        return Err(Rejected::by_log(ErrorCode::UnknownServerError));
    }
    Ok(())
}

/// Checks every record.
///
/// # Kafka
/// `LogValidator#validateRecord`.
pub(super) fn records(batch: &RecordBatch, settings: &TopicSettings) -> Result<(), Rejected> {
    let payload = batch
        .uncompressed(MAX_UNCOMPRESSED_BYTES)
        .map_err(|error| {
            let code = match &error {
                BatchError::Uncompress(DecompressError::Feature(_)) => {
                    ErrorCode::UnsupportedCompressionType
                }
                // A real broker fails with an unexpected exception.
                _ => ErrorCode::UnknownServerError,
            };
            Rejected {
                message: Some(error.to_string()),
                ..Rejected::by_log(code)
            }
        })?;
    let records = batch
        .records_in(&payload)
        .map_err(|_| Rejected::by_log(ErrorCode::InvalidRecord))?;
    check_each(batch, records, settings)
}

fn check_each(
    batch: &RecordBatch,
    records: RecordIterator<'_>,
    settings: &TopicSettings,
) -> Result<(), Rejected> {
    let mut at_fault = Vec::new();
    let (mut code, mut message) = (ErrorCode::InvalidRecord, "One or more records were refused");
    for (index, record) in (0..).zip(records) {
        let record = record.map_err(|error| Rejected {
            message: Some(error.to_string()),
            ..Rejected::by_log(ErrorCode::InvalidRecord)
        })?;
        if settings.compacted && record.key.is_none() {
            at_fault.push((
                index,
                "A record of a compacted topic needs a key".to_owned(),
            ));
        } else if batch.attributes().is_log_append_time() {
            (code, message) = (
                ErrorCode::InvalidTimestamp,
                "One or more records have a refused timestamp",
            );
            at_fault.push((index, "Only brokers set the log append time".to_owned()));
        }
    }
    if at_fault.is_empty() {
        return Ok(());
    }
    let message = Some(message.to_owned());
    Err(Rejected {
        code,
        message,
        records: at_fault,
        knows_log_start: true,
    })
}
