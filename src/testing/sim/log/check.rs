//! What a broker checks in a batch before it asks whether it is the producer's next one.

use bytes::Bytes;

use super::{Incoming, Rejected, TopicSettings};
use crate::compress::DecompressError;
use crate::error::ErrorCode;
use crate::record::batch::{BatchError, RecordBatch, RecordIterator};
use crate::testing::stored::MAX_UNCOMPRESSED_BYTES;

/// The number of the zstd codec, which brokers take from version 7 of the request on.
const ZSTD: u8 = 4;
const FIRST_VERSION_WITH_ZSTD: i16 = 7;
const FIRST_VERSION_WITH_BATCHES: i16 = 3;
/// The highest number that names a codec.
const LAST_CODEC: u8 = ZSTD;

/// What a produce request of this version has for a partition.
///
/// # Errors
/// As [`single_batch`], from version 3 on; older requests are not looked into before the log is known.
pub(crate) fn take_records(records: Option<Bytes>, version: i16) -> Result<Incoming, Rejected> {
    if version < FIRST_VERSION_WITH_BATCHES {
        return Ok(Incoming::MessageSet(records.unwrap_or_default()));
    }
    single_batch(records, version).map(Incoming::Batch)
}

/// Takes the one batch out of a produce request's records, as versions 3 and above have it.
///
/// # Kafka
/// `ProduceRequest#validateRecords`. Differs: a broker drops an incomplete batch that follows the
/// first; here any byte that follows is an error, since a good producer writes none.
pub(super) fn single_batch(records: Option<Bytes>, version: i16) -> Result<RecordBatch, Rejected> {
    let mut records = records.unwrap_or_default();
    let batch = RecordBatch::take(&mut records).map_err(|error| {
        Rejected::at_once(match error {
            // Older formats are well known, but do not belong into this version of the request.
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

/// Size and checksum.
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

/// What the header says of itself.
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
        // No codec has this number; a broker trips over it without an error of its own.
        return Err(Rejected::by_log(ErrorCode::UnknownServerError));
    }
    Ok(())
}

/// Every record.
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
                // A broker trips over it without an error of its own.
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
