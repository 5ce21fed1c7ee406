//! Writing record batches of format v2: records straight into leased memory, and the 61 bytes that
//! stand before them, kept apart so that a retry can rewrite them without touching a record.

use bytes::Bytes;

use super::format::{
    ATTRIBUTES_OFFSET, BASE_SEQUENCE_OFFSET, CRC_OFFSET, FIRST_TIMESTAMP_OFFSET,
    LAST_OFFSET_DELTA_OFFSET, LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_OFFSET, MAGIC_V2,
    MAX_TIMESTAMP_OFFSET, NO_PARTITION_LEADER_EPOCH, PARTITION_LEADER_EPOCH_OFFSET,
    PRODUCER_EPOCH_OFFSET, PRODUCER_ID_OFFSET, RECORD_BATCH_OVERHEAD, RECORDS_COUNT_OFFSET,
};
use super::header::Headers;
use crate::types::{ProducerIdAndEpoch, Sequence};
use crate::util::varint::{
    MAX_VARINT_BYTES, MAX_VARLONG_BYTES, varint_len, varlong_len, write_varint, write_varlong,
};

/// One record as the batch takes it: everything borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordParts<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a Headers,
    pub(crate) timestamp_ms: i64,
}

impl RecordParts<'_> {
    /// Bytes of key, value and headers with their lengths: what does not depend on the place in the
    /// batch.
    #[inline]
    pub(crate) fn payload_len(&self) -> usize {
        let mut len = nullable_len(self.key) + nullable_len(self.value);
        if self.headers.is_empty() {
            len += 1;
        } else {
            len += varint_len(self.headers.len() as i32);
            for header in self.headers {
                len += varint_len(header.key().len() as i32)
                    + header.key().len()
                    + nullable_len(header.value());
            }
        }
        len
    }
}

/// The most bytes a batch of one record with so large a payload can take, its header included.
///
/// # Kafka
/// `AbstractRecords#estimateSizeInBytesUpperBound`.
#[inline]
pub(crate) const fn batch_size_upper_bound(payload_len: usize) -> usize {
    RECORD_BATCH_OVERHEAD + MAX_RECORD_OVERHEAD_BYTES + payload_len
}

/// Length, attributes, timestamp and offset of a record at their longest.
const MAX_RECORD_OVERHEAD_BYTES: usize =
    MAX_VARINT_BYTES + MAX_VARLONG_BYTES + MAX_VARINT_BYTES + 1;

#[inline]
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_len(bytes.len() as i32) + bytes.len())
}

/// The records of a batch being filled.
///
/// # Kafka
/// `MemoryRecordsBuilder`, for format v2 without compression.
#[derive(Debug)]
pub(crate) struct RecordsBuilder {
    /// Largest size of the batch, its header included; one record may exceed it.
    limit_bytes: usize,
    record_count: u32,
    first_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

/// A record's size at its place in the batch: what [`RecordsBuilder::fits`] computed and
/// [`RecordsBuilder::append`] needs again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSize {
    /// Bytes after the length field.
    body_bytes: usize,
    timestamp_delta: i64,
}

impl RecordSize {
    pub(crate) fn total_bytes(self) -> usize {
        varint_len(self.body_bytes as i32) + self.body_bytes
    }
}

impl RecordsBuilder {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            record_count: 0,
            first_timestamp_ms: -1,
            max_timestamp_ms: -1,
        }
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.record_count
    }

    /// The record's size as the next one of this batch.
    #[inline]
    pub(crate) fn size_of_next(&self, record: &RecordParts<'_>, payload_len: usize) -> RecordSize {
        let timestamp_delta = if self.record_count == 0 {
            0
        } else {
            record.timestamp_ms.wrapping_sub(self.first_timestamp_ms)
        };
        let body_bytes =
            1 + varlong_len(timestamp_delta) + varint_len(self.record_count as i32) + payload_len;
        RecordSize {
            body_bytes,
            timestamp_delta,
        }
    }

    /// Whether a record of that size has room after `written` bytes of records. The first always has.
    ///
    /// # Kafka
    /// `MemoryRecordsBuilder#hasRoomFor`.
    #[inline]
    pub(crate) fn has_room_for(&self, written: usize, size: RecordSize) -> bool {
        self.record_count == 0
            || RECORD_BATCH_OVERHEAD + written + size.total_bytes() <= self.limit_bytes
    }

    /// Whether a batch with `written` bytes of records takes no more.
    ///
    /// # Kafka
    /// `MemoryRecordsBuilder#isFull`.
    #[inline]
    pub(crate) fn is_full(&self, written: usize) -> bool {
        self.record_count > 0 && RECORD_BATCH_OVERHEAD + written >= self.limit_bytes
    }

    /// Writes the record after those in `out`.
    #[inline]
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, record: &RecordParts<'_>, size: RecordSize) {
        let expected_len = out.len() + size.total_bytes();
        let mut writer = RecordWriter::new(out);
        writer.put_varint(size.body_bytes as i32);
        writer.put_byte(0); // attributes: none are defined
        writer.put_varlong(size.timestamp_delta);
        writer.put_varint(self.record_count as i32);
        writer.put_nullable(record.key);
        writer.put_nullable(record.value);
        writer.put_varint(record.headers.len() as i32);
        for header in record.headers {
            writer.put_bytes(header.key().as_bytes());
            writer.put_nullable(header.value());
        }
        writer.finish();
        debug_assert_eq!(
            out.len(),
            expected_len,
            "a record's size is computed as it is written"
        );
        if self.record_count == 0 {
            self.first_timestamp_ms = record.timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        self.record_count += 1;
    }

    pub(crate) fn finish(&self) -> BatchFacts {
        BatchFacts {
            record_count: self.record_count,
            first_timestamp_ms: self.first_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
        }
    }
}

/// Writes a record: gathers its many numbers of a byte or two, so that the vector is asked for room
/// once for all that stand together.
struct RecordWriter<'a> {
    out: &'a mut Vec<u8>,
    numbers: [u8; NUMBERS_ROOM],
    /// How many bytes of `numbers` are to be written.
    gathered: usize,
}

/// What stands before a key, a null one, and the length of a value make 27 bytes at most.
const NUMBERS_ROOM: usize = 32;

impl<'a> RecordWriter<'a> {
    #[inline]
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            numbers: [0; NUMBERS_ROOM],
            gathered: 0,
        }
    }

    #[inline]
    fn put_byte(&mut self, value: u8) {
        self.numbers[self.gathered] = value;
        self.gathered += 1;
    }

    #[inline]
    fn put_varint(&mut self, value: i32) {
        self.gathered += write_varint(&mut self.numbers[self.gathered..], value);
    }

    #[inline]
    fn put_varlong(&mut self, value: i64) {
        self.gathered += write_varlong(&mut self.numbers[self.gathered..], value);
    }

    #[inline]
    fn put_nullable(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.put_bytes(bytes),
            None => self.put_varint(-1),
        }
    }

    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as i32);
        self.write_numbers();
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    fn write_numbers(&mut self) {
        let end = self.out.len() + self.gathered;
        if self.out.capacity() - self.out.len() >= NUMBERS_ROOM {
            // A copy of constant length is a few instructions, one of variable length is a call.
            self.out.extend_from_slice(&self.numbers);
            self.out.truncate(end);
        } else {
            self.out.extend_from_slice(&self.numbers[..self.gathered]);
        }
        self.gathered = 0;
    }

    #[inline]
    fn finish(mut self) {
        self.write_numbers();
    }
}

/// What a batch's header says of its records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchFacts {
    pub(crate) record_count: u32,
    pub(crate) first_timestamp_ms: i64,
    pub(crate) max_timestamp_ms: i64,
}

/// Who wrote a batch, and the number of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) base_sequence: Sequence,
}

impl ProducerState {
    /// A producer that is not idempotent.
    pub(crate) const NONE: Self = Self {
        producer: ProducerIdAndEpoch::NONE,
        base_sequence: Sequence::NONE,
    };
}

/// The 61 bytes before the records, the checksum over both included.
///
/// # Kafka
/// `DefaultRecordBatch#writeHeader`.
pub(crate) fn batch_head(
    facts: &BatchFacts,
    state: ProducerState,
    body: &Bytes,
) -> [u8; RECORD_BATCH_OVERHEAD] {
    let mut head = [0; RECORD_BATCH_OVERHEAD];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    // The base offset, which stays 0, and the leader epoch are the broker's to give.
    let length = RECORD_BATCH_OVERHEAD - LOG_OVERHEAD + body.len();
    put(LENGTH_OFFSET, &(length as i32).to_be_bytes());
    put(
        PARTITION_LEADER_EPOCH_OFFSET,
        &NO_PARTITION_LEADER_EPOCH.to_be_bytes(),
    );
    put(MAGIC_OFFSET, &MAGIC_V2.to_be_bytes());
    // Attributes stay 0: no codec, the producer's timestamps, no transaction.
    put(
        LAST_OFFSET_DELTA_OFFSET,
        &(facts.record_count as i32 - 1).to_be_bytes(),
    );
    put(
        FIRST_TIMESTAMP_OFFSET,
        &facts.first_timestamp_ms.to_be_bytes(),
    );
    put(MAX_TIMESTAMP_OFFSET, &facts.max_timestamp_ms.to_be_bytes());
    put(PRODUCER_ID_OFFSET, &state.producer.id.to_be_bytes());
    put(PRODUCER_EPOCH_OFFSET, &state.producer.epoch.to_be_bytes());
    put(
        BASE_SEQUENCE_OFFSET,
        &state.base_sequence.as_i32().to_be_bytes(),
    );
    put(RECORDS_COUNT_OFFSET, &facts.record_count.to_be_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&head[ATTRIBUTES_OFFSET..]), body);
    head[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&checksum.to_be_bytes());
    head
}

#[cfg(test)]
mod tests;
