//! Parses batches, so that two of them can be compared regardless of differences in compression.

use bytes::Bytes;

use super::record::BatchRecord;
use crate::compress::{CompressionType, decompress};
use crate::record::batch::RecordBatch;
use crate::record::format::{
    ATTRIBUTES_OFFSET, LENGTH_OFFSET, MAGIC_OFFSET, MAGIC_V2, RECORD_BATCH_OVERHEAD,
};
use crate::record::legacy::{Messages, visit_records};
use crate::types::Magic;

/// Limit of the uncompressed records of a batch, larger than any batch in the tests.
pub(super) const LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// A batch of format v2, or a message set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBatch {
    pub magic: i8,
    /// The header fields except size and checksum. For a message set they are the fields of its wrapper; empty without
    /// a wrapper.
    pub head: Vec<u8>,
    /// The encoded records, uncompressed.
    pub payload: Vec<u8>,
    pub records: Vec<BatchRecord>,
}

/// Parses one batch of format v2, or one message set, compressed or not.
///
/// # Errors
/// If it is neither, is corrupt, or its offsets do not count from 0.
pub fn read_batch(bytes: &[u8]) -> Result<ReadBatch, String> {
    if bytes.get(MAGIC_OFFSET) == Some(&(MAGIC_V2 as u8)) {
        read_record_batch(bytes)
    } else {
        read_message_set(bytes)
    }
}

fn read_record_batch(bytes: &[u8]) -> Result<ReadBatch, String> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let batch = RecordBatch::take(&mut rest).map_err(|error| error.to_string())?;
    batch.check_crc().map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the batch", rest.len()));
    }
    let payload = uncompressed(batch.attributes().codec(), Magic::V2, batch.payload())?;
    let mut records = Vec::new();
    for read in batch
        .records_in(&payload)
        .map_err(|error| error.to_string())?
    {
        let read = read.map_err(|error| error.to_string())?;
        check_offset(i64::from(read.offset_delta), records.len())?;
        let headers = read.headers.iter();
        records.push(BatchRecord {
            timestamp: batch.first_timestamp().wrapping_add(read.timestamp_delta),
            key: copy(read.key),
            value: copy(read.value),
            headers: headers
                .map(|(key, value)| (key.to_owned(), copy(value)))
                .collect(),
        });
    }
    let head = [
        &bytes[..LENGTH_OFFSET],
        &bytes[MAGIC_OFFSET..=MAGIC_OFFSET],
        &bytes[ATTRIBUTES_OFFSET..RECORD_BATCH_OVERHEAD],
    ];
    Ok(ReadBatch {
        magic: 2,
        head: head.concat(),
        payload,
        records,
    })
}

fn read_message_set(bytes: &[u8]) -> Result<ReadBatch, String> {
    let first = Messages::new(bytes)
        .next()
        .ok_or("there is no message")?
        .map_err(|error| error.to_string())?
        .1;
    let (head, payload) = if first.codec() == 0 {
        (Vec::new(), bytes.to_vec())
    } else if first.size_bytes == bytes.len() {
        let value = first.value.ok_or("a wrapper message has no value")?;
        let payload = uncompressed(first.codec(), first.magic.magic(), value)?;
        (wrapper_head(&bytes[..bytes.len() - value.len()]), payload)
    } else {
        return Err("messages follow a wrapper".into());
    };
    let mut records = Vec::new();
    let mut offsets = Ok(());
    visit_records(bytes, LIMIT_BYTES, |message| {
        let checked = check_offset(message.offset, records.len());
        if offsets.is_ok() {
            offsets = checked;
        }
        records.push(BatchRecord {
            timestamp: message.timestamp_ms,
            key: copy(message.key),
            value: copy(message.value),
            headers: Vec::new(),
        });
    })
    .map_err(|error| error.to_string())?;
    offsets?;
    Ok(ReadBatch {
        magic: first.magic.magic() as i8,
        head,
        payload,
        records,
    })
}

/// The fields before a wrapper's value, except lengths and checksum.
fn wrapper_head(before_value: &[u8]) -> Vec<u8> {
    let value_length = before_value.len() - 4;
    [
        &before_value[..LENGTH_OFFSET],
        &before_value[MAGIC_OFFSET..value_length],
    ]
    .concat()
}

fn uncompressed(codec: u8, magic: Magic, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let codec = CompressionType::from_id(codec).ok_or_else(|| format!("no codec is {codec}"))?;
    decompress(codec, magic, bytes, LIMIT_BYTES).map_err(|error| error.to_string())
}

fn check_offset(found: i64, place: usize) -> Result<(), String> {
    if found == place as i64 {
        Ok(())
    } else {
        Err(format!("record {place} has offset {found}"))
    }
}

fn copy(bytes: Option<&[u8]>) -> Option<Bytes> {
    bytes.map(Bytes::copy_from_slice)
}
