//! Reading and checking record batches of format 2.
//!
//! Everything here takes bytes of unknown origin: lengths are compared with what is there before
//! they are used, nothing is allocated from them, and whatever is wrong is said by a [`BatchError`].

mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod records;

use std::borrow::Cow;

use bytes::Bytes;

pub(crate) use error::{BatchError, RecordError};
pub(crate) use records::{RecordView, Records};

use super::format::{
    ATTRIBUTES_OFFSET, Attributes, BASE_OFFSET_OFFSET, BASE_SEQUENCE_OFFSET, CRC_OFFSET,
    FIRST_TIMESTAMP_OFFSET, LAST_OFFSET_DELTA_OFFSET, LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_OFFSET,
    MAGIC_V2, MAX_TIMESTAMP_OFFSET, NO_PRODUCER_ID, PRODUCER_EPOCH_OFFSET, PRODUCER_ID_OFFSET,
    RECORD_BATCH_OVERHEAD, RECORDS_COUNT_OFFSET,
};
use crate::compress::{CompressionType, decompress};
use crate::types::Magic;

/// One batch of format 2: its bytes, which it shares, and what its header says.
///
/// # Kafka
/// `org.apache.kafka.common.record.DefaultRecordBatch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordBatch {
    // Invariant: at least a header long, as long as its length field says, magic 2.
    bytes: Bytes,
}

impl RecordBatch {
    /// Reads bytes that are exactly one batch, and checks its checksum.
    ///
    /// # Errors
    /// [`BatchError`] if they are not one whole batch of format 2, or damaged.
    #[cfg(test)]
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let mut rest = bytes.clone();
        let batch = Self::take(&mut rest)?;
        if !rest.is_empty() {
            return Err(BatchError::TrailingBytes(rest.len()));
        }
        batch.check_crc()?;
        Ok(batch)
    }

    /// Takes one batch off the front of `input`, by its length; the checksum is not looked at.
    ///
    /// # Errors
    /// [`BatchError`] if there is no whole batch of format 2; `input` is then as before.
    pub(crate) fn take(input: &mut Bytes) -> Result<Self, BatchError> {
        let available = input.len();
        // Magic first: it stands at the same place in all formats, and tells what the rest means.
        if available <= MAGIC_OFFSET {
            return Err(BatchError::Truncated {
                needed: RECORD_BATCH_OVERHEAD,
                available,
            });
        }
        let magic = input[MAGIC_OFFSET] as i8;
        if magic != MAGIC_V2 {
            return Err(BatchError::UnsupportedMagic(magic));
        }
        let length = i32::from_be_bytes(fixed(input, LENGTH_OFFSET));
        let size = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LOG_OVERHEAD))
            .filter(|size| *size >= RECORD_BATCH_OVERHEAD)
            .ok_or(BatchError::InvalidLength(length))?;
        if available < size {
            return Err(BatchError::Truncated {
                needed: size,
                available,
            });
        }
        Ok(Self {
            bytes: input.split_to(size),
        })
    }

    /// Compares the checksum with the bytes it covers.
    ///
    /// # Errors
    /// [`BatchError::Checksum`] if they differ.
    pub(crate) fn check_crc(&self) -> Result<(), BatchError> {
        let stored = self.crc();
        let computed = crc32c::crc32c(&self.bytes[ATTRIBUTES_OFFSET..]);
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::Checksum { stored, computed })
        }
    }

    /// The batch as it came.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same batch in memory that is shared with nothing else.
    pub(crate) fn detached(&self) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes),
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn base_offset(&self) -> i64 {
        i64::from_be_bytes(fixed(&self.bytes, BASE_OFFSET_OFFSET))
    }

    #[cfg(test)]
    pub(crate) fn partition_leader_epoch(&self) -> i32 {
        i32::from_be_bytes(fixed(
            &self.bytes,
            super::format::PARTITION_LEADER_EPOCH_OFFSET,
        ))
    }

    pub(crate) fn crc(&self) -> u32 {
        u32::from_be_bytes(fixed(&self.bytes, CRC_OFFSET))
    }

    pub(crate) fn attributes(&self) -> Attributes {
        Attributes::from_bits(i16::from_be_bytes(fixed(&self.bytes, ATTRIBUTES_OFFSET)))
    }

    pub(crate) fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(fixed(&self.bytes, LAST_OFFSET_DELTA_OFFSET))
    }

    pub(crate) fn first_timestamp(&self) -> i64 {
        i64::from_be_bytes(fixed(&self.bytes, FIRST_TIMESTAMP_OFFSET))
    }

    pub(crate) fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(fixed(&self.bytes, MAX_TIMESTAMP_OFFSET))
    }

    pub(crate) fn producer_id(&self) -> i64 {
        i64::from_be_bytes(fixed(&self.bytes, PRODUCER_ID_OFFSET))
    }

    pub(crate) fn has_producer_id(&self) -> bool {
        self.producer_id() > NO_PRODUCER_ID
    }

    pub(crate) fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(fixed(&self.bytes, PRODUCER_EPOCH_OFFSET))
    }

    pub(crate) fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(fixed(&self.bytes, BASE_SEQUENCE_OFFSET))
    }

    /// How many records the header says there are; not checked, may be negative.
    pub(crate) fn records_count(&self) -> i32 {
        i32::from_be_bytes(fixed(&self.bytes, RECORDS_COUNT_OFFSET))
    }

    /// What follows the header: the records, compressed if the attributes say so.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[RECORD_BATCH_OVERHEAD..]
    }

    /// The records of a batch that is not compressed.
    ///
    /// # Errors
    /// [`BatchError::Compressed`] if it is, [`BatchError::InvalidCount`] if it announces a negative
    /// number of records.
    #[cfg(test)]
    pub(crate) fn records(&self) -> Result<Records<'_>, BatchError> {
        match self.attributes().codec() {
            0 => self.records_in(self.payload()),
            codec => Err(BatchError::Compressed(codec)),
        }
    }

    /// The payload as it was before compression, for [`records_in`](Self::records_in).
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`] if no codec has the number in the attributes,
    /// [`BatchError::Uncompress`] if the payload is not what the codec writes, holds more than
    /// `limit_bytes`, or the codec is not part of this build.
    pub(crate) fn uncompressed(&self, limit_bytes: usize) -> Result<Cow<'_, [u8]>, BatchError> {
        let id = self.attributes().codec();
        match CompressionType::from_id(id).ok_or(BatchError::UnknownCodec(id))? {
            CompressionType::None => Ok(Cow::Borrowed(self.payload())),
            codec => decompress(codec, Magic::V2, self.payload(), limit_bytes)
                .map(Cow::Owned)
                .map_err(BatchError::Uncompress),
        }
    }

    /// The records in `payload`, which is this batch's [`payload`](Self::payload) uncompressed.
    ///
    /// # Errors
    /// [`BatchError::InvalidCount`] if the batch announces a negative number of records.
    pub(crate) fn records_in<'a>(&self, payload: &'a [u8]) -> Result<Records<'a>, BatchError> {
        let count = self.records_count();
        let count = u32::try_from(count).map_err(|_| BatchError::InvalidCount(count))?;
        Ok(Records::new(payload, count))
    }
}

/// Batches that stand back to back.
///
/// Ends after the first error: where one batch is broken, the start of the next is not known.
#[cfg(test)]
#[derive(Debug, Clone)]
pub(crate) struct RecordBatches {
    rest: Bytes,
}

#[cfg(test)]
impl RecordBatches {
    /// Goes through `bytes`; checksums are checked on the way.
    pub(crate) fn new(bytes: &Bytes) -> Self {
        Self {
            rest: bytes.clone(),
        }
    }
}

#[cfg(test)]
impl Iterator for RecordBatches {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch =
            RecordBatch::take(&mut self.rest).and_then(|batch| batch.check_crc().map(|()| batch));
        if batch.is_err() {
            self.rest = Bytes::new();
        }
        Some(batch)
    }
}

/// The `N` bytes at `offset`, which the caller knows to be there.
#[inline]
fn fixed<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}

#[cfg(test)]
mod tests;
