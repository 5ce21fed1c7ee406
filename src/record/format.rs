//! Layout of a record batch (magic 2): field offsets and attributes, used by writers and readers.
//!
//! | field | offset | width |
//! |---|---|---|
//! | base offset | 0 | 8 |
//! | length of the rest | 8 | 4 |
//! | partition leader epoch | 12 | 4 |
//! | magic byte: version of the format | 16 | 1 |
//! | CRC-32C of the rest | 17 | 4 |
//! | attributes | 21 | 2 |
//! | last offset delta | 23 | 4 |
//! | first timestamp | 27 | 8 |
//! | largest timestamp | 35 | 8 |
//! | producer id | 43 | 8 |
//! | producer epoch | 51 | 2 |
//! | base sequence | 53 | 4 |
//! | number of records | 57 | 4 |
//! | records, uncompressed or compressed as a whole | 61 | |
//!
//! The first three fields and the magic are not covered by the checksum: a broker sets base offset and leader epoch
//! without recomputing it.

/// Magic byte of record batches, the format since Kafka 0.11.
pub(crate) const MAGIC_V2: i8 = 2;

/// Bytes that the length field does not count: the base offset and the length field.
pub(crate) const LOG_OVERHEAD: usize = 12;
/// Size of a batch's header in bytes.
pub(crate) const RECORD_BATCH_OVERHEAD: usize = 61;

#[cfg(any(test, feature = "testing"))]
pub(crate) const BASE_OFFSET_OFFSET: usize = 0;
pub(crate) const LENGTH_OFFSET: usize = 8;
pub(crate) const PARTITION_LEADER_EPOCH_OFFSET: usize = 12;
/// This offset is the same in all formats.
pub(crate) const MAGIC_OFFSET: usize = 16;
pub(crate) const CRC_OFFSET: usize = 17;
pub(crate) const ATTRIBUTES_OFFSET: usize = 21;
pub(crate) const LAST_OFFSET_DELTA_OFFSET: usize = 23;
pub(crate) const FIRST_TIMESTAMP_OFFSET: usize = 27;
pub(crate) const MAX_TIMESTAMP_OFFSET: usize = 35;
pub(crate) const PRODUCER_ID_OFFSET: usize = 43;
pub(crate) const PRODUCER_EPOCH_OFFSET: usize = 51;
pub(crate) const BASE_SEQUENCE_OFFSET: usize = 53;
pub(crate) const RECORDS_COUNT_OFFSET: usize = 57;

/// The magic of records whose bytes `byte_at` returns; `None` if they are too short.
pub(crate) fn magic_of(byte_at: impl FnOnce(usize) -> Option<u8>) -> Option<u8> {
    byte_at(MAGIC_OFFSET)
}

/// The codec id of a record batch (magic 2); `None` if the bytes are too few.
pub(crate) fn codec_of_batch(byte_at: impl FnOnce(usize) -> Option<u8>) -> Option<u8> {
    let low = byte_at(ATTRIBUTES_OFFSET + 1)?;
    Some(low & Attributes::CODEC as u8)
}

/// Producer id, epoch and sequence of a batch that is not from an idempotent producer.
#[cfg(any(test, feature = "testing"))]
pub(crate) const NO_PRODUCER_ID: i64 = -1;
/// See [`NO_PRODUCER_ID`].
#[cfg(any(test, feature = "testing"))]
pub(crate) const NO_PRODUCER_EPOCH: i16 = -1;
/// See [`NO_PRODUCER_ID`].
#[cfg(any(test, feature = "testing"))]
pub(crate) const NO_SEQUENCE: i32 = -1;
/// Leader epoch as producers write it; the broker replaces it.
pub(crate) const NO_PARTITION_LEADER_EPOCH: i32 = -1;

/// Attributes of a batch: the codec in the low three bits, then one bit each for the timestamp type (create time or
/// log append time), transactional, and control batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const TRANSACTIONAL: i16 = 0x10;

    /// Attributes with this codec id; 0 for no compression.
    pub(crate) const fn with_codec(codec: u8) -> Self {
        Self(codec as i16 & Self::CODEC)
    }

    pub(crate) const fn bits(self) -> i16 {
        self.0
    }

    /// Sets or clears the transactional bit.
    #[must_use]
    pub(crate) const fn transactional(self, yes: bool) -> Self {
        self.set(Self::TRANSACTIONAL, yes)
    }

    const fn set(self, bit: i16, yes: bool) -> Self {
        Self(if yes { self.0 | bit } else { self.0 & !bit })
    }
}

// Attributes that producers do not write, for tests.
#[cfg(test)]
impl Attributes {
    #[must_use]
    pub(crate) const fn log_append_time(self, yes: bool) -> Self {
        self.set(Self::LOG_APPEND_TIME, yes)
    }
}

// For reading, and for the control batches of a broker.
#[cfg(any(test, feature = "testing"))]
impl Attributes {
    const LOG_APPEND_TIME: i16 = 0x08;
    const CONTROL: i16 = 0x20;

    pub(crate) const fn from_bits(bits: i16) -> Self {
        Self(bits)
    }

    /// Sets or clears the control bit. It is set in transaction markers, which the coordinator writes.
    #[must_use]
    pub(crate) const fn control(self, yes: bool) -> Self {
        self.set(Self::CONTROL, yes)
    }

    /// The codec id; 5 to 7 are not assigned.
    pub(crate) const fn codec(self) -> u8 {
        (self.0 & Self::CODEC) as u8
    }

    pub(crate) const fn is_log_append_time(self) -> bool {
        self.0 & Self::LOG_APPEND_TIME != 0
    }

    pub(crate) const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    pub(crate) const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: DefaultRecordBatchTest#testWriteEmptyHeader
    #[test]
    fn attributes_are_separate_bits() {
        let attributes = Attributes::with_codec(4)
            .transactional(true)
            .log_append_time(true);
        assert_eq!(attributes.bits(), 0x1c);
        assert_eq!(attributes.codec(), 4);
        assert!(attributes.is_transactional() && attributes.is_log_append_time());
        assert!(!attributes.is_control());
        assert_eq!(attributes.transactional(false).bits(), 0x0c);
        assert!(Attributes::from_bits(0x20).is_control());
        assert!(Attributes::default().control(true).is_control());
    }
}
