//! Writing record batches (magic 2): records are encoded straight into pooled memory; the header of 61 bytes is written
//! separately, so that a retry can change its sequence or epoch without touching the records.

use super::format::{
    ATTRIBUTES_OFFSET, Attributes, BASE_SEQUENCE_OFFSET, CRC_OFFSET, FIRST_TIMESTAMP_OFFSET,
    LAST_OFFSET_DELTA_OFFSET, LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_OFFSET, MAGIC_V2,
    MAX_TIMESTAMP_OFFSET, NO_PARTITION_LEADER_EPOCH, PARTITION_LEADER_EPOCH_OFFSET,
    PRODUCER_EPOCH_OFFSET, PRODUCER_ID_OFFSET, RECORD_BATCH_OVERHEAD, RECORDS_COUNT_OFFSET,
};
use super::header::Header;
use crate::compress::CompressionType;
use crate::types::{ProducerIdAndEpoch, Sequence};
use crate::util::crc32c::Crc32c;
use crate::util::varint::{
    MAX_VARINT_BYTES, MAX_VARLONG_BYTES, length_len, put_unsigned64, varlong_len, zigzag64,
};

/// A serialized record, all fields borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordParts<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header],
    pub(crate) timestamp_ms: i64,
}

impl RecordParts<'_> {
    /// Encoded size of key, value and headers: the part that does not depend on the record's position in the batch.
    #[inline]
    pub(crate) fn payload_len(&self) -> usize {
        let fields = nullable_len(self.key) + nullable_len(self.value);
        if self.headers.is_empty() {
            fields + 1
        } else {
            fields + self.headers_len()
        }
    }

    /// Not inlined, so that its caller stays small enough to be inlined.
    #[inline(never)]
    fn headers_len(&self) -> usize {
        let headers = self.headers.iter();
        let lens = headers.map(|header| {
            nullable_len(Some(header.key().as_bytes())) + nullable_len(header.value())
        });
        length_len(self.headers.len()) + lens.sum::<usize>()
    }
}

/// Upper bound of the size of a batch with one record of this payload, header included.
///
/// # Kafka
/// `AbstractRecords#estimateSizeInBytesUpperBound`.
#[inline]
pub(crate) const fn batch_size_upper_bound(payload_len: usize) -> usize {
    RECORD_BATCH_OVERHEAD + MAX_RECORD_OVERHEAD_BYTES + payload_len
}

/// Longest encoding of a record's length, attributes, timestamp delta and offset delta.
const MAX_RECORD_OVERHEAD_BYTES: usize =
    MAX_VARINT_BYTES + MAX_VARLONG_BYTES + MAX_VARINT_BYTES + 1;

#[inline]
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| length_len(bytes.len()) + bytes.len())
}

/// Encodes the records of an open batch, in magic 2 and uncompressed. Compression, and conversion to a message set,
/// happen when the batch is closed.
///
/// # Kafka
/// `MemoryRecordsBuilder`.
#[derive(Debug)]
pub(crate) struct RecordsBuilder {
    /// Limit on the size of the batch in bytes, header included. It [changes](Self::set_limit) with the staging buffer
    /// of the records. A single record may exceed it.
    limit_bytes: usize,
    record_count: u32,
    first_timestamp_ms: i64,
    max_timestamp_ms: i64,
    /// Encoded size of the largest record, without its length field.
    max_body_bytes: usize,
    /// The part of `max_body_bytes` that does not depend on the record's position in the batch.
    max_payload_len: usize,
}

/// Encoded size of a record that is appended next, computed by [`RecordsBuilder::size_of_next`] and passed to
/// [`RecordsBuilder::append`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSize {
    /// Bytes after the length field.
    body_bytes: usize,
    timestamp_delta: i64,
}

impl RecordSize {
    pub(crate) fn total_bytes(self) -> usize {
        length_len(self.body_bytes) + self.body_bytes
    }
}

impl RecordsBuilder {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            record_count: 0,
            first_timestamp_ms: -1,
            max_timestamp_ms: -1,
            max_body_bytes: 0,
            max_payload_len: 0,
        }
    }

    /// Changes the limit when the next records go into another staging buffer.
    pub(crate) fn set_limit(&mut self, limit_bytes: usize) {
        self.limit_bytes = limit_bytes;
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Encoded size of a record that is appended next.
    #[inline]
    pub(crate) fn size_of_next(&self, timestamp_ms: i64, payload_len: usize) -> RecordSize {
        let timestamp_delta = if self.record_count == 0 {
            0
        } else {
            timestamp_ms.wrapping_sub(self.first_timestamp_ms)
        };
        let body_bytes = self.place_bytes(timestamp_delta) + payload_len;
        RecordSize {
            body_bytes,
            timestamp_delta,
        }
    }

    /// Encoded size of the next record's attributes, timestamp delta and offset delta.
    #[inline]
    fn place_bytes(&self, timestamp_delta: i64) -> usize {
        1 + varlong_len(timestamp_delta) + length_len(self.record_count as usize)
    }

    /// Whether a record of this size fits after `written` bytes of records. The first record always fits.
    ///
    /// # Kafka
    /// `MemoryRecordsBuilder#hasRoomFor`.
    #[inline]
    pub(crate) fn has_room_for(&self, written: usize, size: RecordSize) -> bool {
        self.record_count == 0
            || RECORD_BATCH_OVERHEAD + written + size.total_bytes() <= self.limit_bytes
    }

    /// Number of records of this size that fit into the batch, at least one.
    pub(crate) fn expected_count(&self, size: RecordSize) -> usize {
        let room = self.limit_bytes.saturating_sub(RECORD_BATCH_OVERHEAD);
        (room / size.total_bytes()).max(1)
    }

    /// Whether a batch with `written` bytes of records is full.
    ///
    /// # Kafka
    /// `MemoryRecordsBuilder#isFull`.
    #[inline]
    pub(crate) fn is_full(&self, written: usize) -> bool {
        self.record_count > 0 && RECORD_BATCH_OVERHEAD + written >= self.limit_bytes
    }

    /// Encodes a record and appends it to `out`.
    #[inline]
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, record: &RecordParts<'_>, size: RecordSize) {
        let expected_len = out.len() + size.total_bytes();
        let mut writer = self.place(out, size);
        writer.put_nullable(record.key);
        writer.put_nullable(record.value);
        if record.headers.is_empty() {
            writer.put_byte(0);
            writer.flush();
        } else {
            writer.flush();
            put_headers(out, record.headers);
        }
        debug_assert_eq!(
            out.len(),
            expected_len,
            "a record's size is computed as it is written"
        );
        self.count(record.timestamp_ms, size);
    }

    /// Appends a record whose key, value and headers are encoded already.
    pub(crate) fn append_encoded(
        &mut self,
        out: &mut Vec<u8>,
        timestamp_ms: i64,
        payload: &[u8],
        size: RecordSize,
    ) {
        self.place(out, size).put_bytes(payload);
        self.count(timestamp_ms, size);
    }

    /// Writes the fields before the key: length, attributes, timestamp delta, offset delta.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "the writer it makes stays in registers"
    )]
    fn place<'o>(&self, out: &'o mut Vec<u8>, size: RecordSize) -> FieldWriter<'o> {
        let mut writer = FieldWriter::new(out);
        writer.put_length(size.body_bytes);
        writer.put_byte(0); // attributes: none are defined
        writer.put_unsigned(zigzag64(size.timestamp_delta));
        writer.put_length(self.record_count as usize);
        writer
    }

    /// Counts an appended record in the batch's facts.
    #[inline]
    pub(crate) fn count(&mut self, timestamp_ms: i64, size: RecordSize) {
        if self.record_count == 0 {
            self.first_timestamp_ms = timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        // The condition is rarely true, so that the usual cost is one comparison. Computing the payload size of each
        // record would cost more.
        if size.body_bytes > self.max_body_bytes {
            self.max_body_bytes = size.body_bytes;
            self.max_payload_len = size.body_bytes - self.place_bytes(size.timestamp_delta);
        }
        self.record_count += 1;
    }

    pub(crate) fn finish(&self) -> BatchFacts {
        BatchFacts {
            codec: CompressionType::None,
            record_count: self.record_count,
            first_timestamp_ms: self.first_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
            max_payload_len: self.max_payload_len,
        }
    }
}

/// Length -1, which encodes null, as a zig-zag varint.
const NULL_LENGTH: u8 = 1;

/// Writes the fields of a record. Short numbers are buffered in a register (up to 8 bytes) and written together, so
/// that the vector's capacity is checked once for several numbers. Byte strings go straight into the vector.
struct FieldWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Buffered bytes, the first one in the lowest bits; the bits above the last one are zero.
    word: u64,
    /// Number of buffered bytes, at most 8.
    gathered: u32,
}

#[allow(
    clippy::inline_always,
    reason = "a method that is called, rather than inlined, keeps word and count in memory for all"
)]
impl<'o> FieldWriter<'o> {
    #[inline(always)]
    fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            word: 0,
            gathered: 0,
        }
    }

    /// Buffers the lowest `count` bytes of `bytes`; the other bytes must be zero.
    #[inline(always)]
    fn gather(&mut self, bytes: u64, count: u32) {
        if self.gathered + count > u64::BITS / 8 {
            self.flush();
        }
        self.word |= bytes << (8 * self.gathered);
        self.gathered += count;
    }

    /// Writes the buffered bytes to the vector.
    #[inline(always)]
    fn flush(&mut self) {
        let (bytes, count) = (self.word.to_le_bytes(), self.gathered as usize);
        let end = self.out.len() + count;
        if self.out.capacity() - self.out.len() >= bytes.len() {
            // Copies all 8 bytes and truncates: a copy of constant length is one instruction, a copy of variable length
            // is a call.
            self.out.extend_from_slice(&bytes);
            self.out.truncate(end);
        } else {
            self.out.extend(bytes.into_iter().take(count));
        }
        (self.word, self.gathered) = (0, 0);
    }

    #[inline(always)]
    fn put_byte(&mut self, byte: u8) {
        self.gather(u64::from(byte), 1);
    }

    #[inline(always)]
    fn put_unsigned(&mut self, value: u64) {
        if value < 0x80 {
            self.gather(value, 1);
        } else if value < 0x4000 {
            self.gather(0x80 | value & 0x7f | value >> 7 << 8, 2);
        } else {
            self.flush();
            put_unsigned64(self.out, value);
        }
    }

    /// A non-negative 31-bit number as a zig-zag varint.
    #[inline(always)]
    fn put_length(&mut self, length: usize) {
        self.put_unsigned((length as u64) << 1);
    }

    #[inline(always)]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.flush();
        self.out.extend_from_slice(bytes);
    }

    #[inline(always)]
    fn put_nullable(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.put_length(bytes.len());
                self.put_bytes(bytes);
            }
            None => self.put_byte(NULL_LENGTH),
        }
    }
}

#[inline(never)]
fn put_headers(out: &mut Vec<u8>, headers: &[Header]) {
    let mut writer = FieldWriter::new(out);
    writer.put_length(headers.len());
    for header in headers {
        writer.put_nullable(Some(header.key().as_bytes()));
        writer.put_nullable(header.value());
    }
    writer.flush();
}

/// The facts about a batch's records that its header needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchFacts {
    /// Codec of the records, which are compressed as a whole.
    pub(crate) codec: CompressionType,
    pub(crate) record_count: u32,
    pub(crate) first_timestamp_ms: i64,
    pub(crate) max_timestamp_ms: i64,
    /// Encoded size of key, value and headers of the largest record.
    pub(crate) max_payload_len: usize,
}

/// Producer id, epoch, base sequence and transactional flag of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) base_sequence: Sequence,
    /// Whether the batch is part of a transaction: `read_committed` consumers see the batch once the transaction is
    /// committed.
    pub(crate) is_transactional: bool,
}

impl ProducerState {
    /// State of a batch whose producer is not idempotent.
    pub(crate) const NONE: Self = Self {
        producer: ProducerIdAndEpoch::NONE,
        base_sequence: Sequence::NONE,
        is_transactional: false,
    };
}

/// Header of a batch (61 bytes), with the checksum of header and `body`. `body` holds the records, compressed if the
/// facts name a codec.
///
/// # Kafka
/// `DefaultRecordBatch#writeHeader`.
pub(crate) fn batch_head(
    facts: &BatchFacts,
    state: ProducerState,
    body: &[u8],
) -> [u8; RECORD_BATCH_OVERHEAD] {
    let attributes = Attributes::with_codec(facts.codec.id()).transactional(state.is_transactional);
    let mut head = [0; RECORD_BATCH_OVERHEAD];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    // Base offset (0) and leader epoch are placeholders: the broker assigns them.
    let length = RECORD_BATCH_OVERHEAD - LOG_OVERHEAD + body.len();
    put(LENGTH_OFFSET, &(length as i32).to_be_bytes());
    put(
        PARTITION_LEADER_EPOCH_OFFSET,
        &NO_PARTITION_LEADER_EPOCH.to_be_bytes(),
    );
    put(MAGIC_OFFSET, &MAGIC_V2.to_be_bytes());
    put(ATTRIBUTES_OFFSET, &attributes.bits().to_be_bytes());
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
    let mut checksum = Crc32c::new();
    checksum.update(&head[ATTRIBUTES_OFFSET..]);
    checksum.update(body);
    head[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&checksum.finish().to_be_bytes());
    head
}

#[cfg(test)]
mod tests;
