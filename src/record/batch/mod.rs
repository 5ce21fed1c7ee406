//! Reading and checking record batches (magic 2).
//!
//! All input is untrusted: lengths are checked against the bytes present, no allocation depends on them, and everything
//! invalid is a [`BatchError`].

mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod records;

use std::borrow::Cow;

use bytes::Bytes;

pub(crate) use error::{BatchError, InvalidRecord};
pub(crate) use records::{RecordIterator, RecordView};

use super::format::{
    ATTRIBUTES_OFFSET, Attributes, BASE_OFFSET_OFFSET, BASE_SEQUENCE_OFFSET, CRC_OFFSET,
    FIRST_TIMESTAMP_OFFSET, LAST_OFFSET_DELTA_OFFSET, LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_OFFSET,
    MAGIC_V2, MAX_TIMESTAMP_OFFSET, NO_PRODUCER_ID, PRODUCER_EPOCH_OFFSET, PRODUCER_ID_OFFSET,
    RECORD_BATCH_OVERHEAD, RECORDS_COUNT_OFFSET,
};
use crate::compress::{CompressionType, decompress};
use crate::types::Magic;
use crate::util::crc32c::crc32c;

/// A record batch (magic 2), over shared bytes.
///
/// # Kafka
/// `org.apache.kafka.common.record.DefaultRecordBatch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordBatch {
    // Invariant: at least a header, exactly as long as the length field states, magic 2. The getters rely on it.
    bytes: Bytes,
}

impl RecordBatch {
    /// Parses bytes that are exactly one batch, and verifies its checksum.
    ///
    /// # Errors
    /// [`BatchError`] if they are not one complete batch, or are corrupt.
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

    /// Takes one batch off the front of `input`, by its length field, without verifying the checksum.
    ///
    /// # Errors
    /// [`BatchError`] if there is no complete batch; `input` is then unchanged.
    pub(crate) fn take(input: &mut Bytes) -> Result<Self, BatchError> {
        let available = input.len();
        // Magic first: its offset is the same in all formats, and it determines the meaning of the rest.
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

    /// Verifies the checksum.
    ///
    /// # Errors
    /// [`BatchError::Checksum`] if the stored and the computed checksum differ.
    pub(crate) fn check_crc(&self) -> Result<(), BatchError> {
        let stored = self.crc();
        let computed = crc32c(&self.bytes[ATTRIBUTES_OFFSET..]);
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::Checksum { stored, computed })
        }
    }

    /// The bytes of the batch.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A deep copy, which shares no memory with the frame that contained the batch.
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

    /// The record count in the header. It is not checked, and may be negative.
    pub(crate) fn records_count(&self) -> i32 {
        i32::from_be_bytes(fixed(&self.bytes, RECORDS_COUNT_OFFSET))
    }

    /// The bytes after the header: the records, compressed if the attributes name a codec.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[RECORD_BATCH_OVERHEAD..]
    }

    /// The records of an uncompressed batch.
    ///
    /// # Errors
    /// [`BatchError::Compressed`] if it is compressed, [`BatchError::InvalidCount`] if its record count is negative.
    #[cfg(test)]
    pub(crate) fn records(&self) -> Result<RecordIterator<'_>, BatchError> {
        match self.attributes().codec() {
            0 => self.records_in(self.payload()),
            codec => Err(BatchError::Compressed(codec)),
        }
    }

    /// The decompressed payload, for [`records_in`](Self::records_in).
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`] for an unknown codec id, [`BatchError::Uncompress`] if the payload is invalid,
    /// decompresses to more than `limit_bytes`, or the codec is not compiled in.
    pub(crate) fn uncompressed(&self, limit_bytes: usize) -> Result<Cow<'_, [u8]>, BatchError> {
        let id = self.attributes().codec();
        match CompressionType::from_id(id).ok_or(BatchError::UnknownCodec(id))? {
            CompressionType::None => Ok(Cow::Borrowed(self.payload())),
            codec => decompress(codec, Magic::V2, self.payload(), limit_bytes)
                .map(Cow::Owned)
                .map_err(BatchError::Uncompress),
        }
    }

    /// The records in `payload`, which is this batch's decompressed [`payload`](Self::payload).
    ///
    /// # Errors
    /// [`BatchError::InvalidCount`] if the record count is negative.
    pub(crate) fn records_in<'a>(
        &self,
        payload: &'a [u8],
    ) -> Result<RecordIterator<'a>, BatchError> {
        let count = self.records_count();
        let count = u32::try_from(count).map_err(|_| BatchError::InvalidCount(count))?;
        Ok(RecordIterator::new(payload, count))
    }
}

/// Iterator over consecutive batches.
///
/// Ends after the first error: after an invalid batch, the start of the next is unknown.
#[cfg(test)]
#[derive(Debug, Clone)]
pub(crate) struct RecordBatches {
    rest: Bytes,
}

#[cfg(test)]
impl RecordBatches {
    /// An iterator over the batches in `bytes`, which verifies their checksums.
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

/// The `N` bytes at `offset`. The caller has checked that they exist.
#[inline]
fn fixed<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}

#[cfg(test)]
mod tests;
