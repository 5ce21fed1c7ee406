//! The formats before record batches: message sets, of magic 0 (Kafka up to 0.9) and 1 (0.10).
//!
//! A message set is messages back to back, each with its offset and its own checksum:
//!
//! | field | offset | width |
//! |---|---|---|
//! | offset | 0 | 8 |
//! | length of all that follows this field | 8 | 4 |
//! | CRC-32 over all that follows this field | 12 | 4 |
//! | magic | 16 | 1 |
//! | attributes: the codec, and who set the timestamp | 17 | 1 |
//! | timestamp, in magic 1 only | 18 | 8 |
//! | length of the key, -1 for null | 18 or 26 | 4 |
//! | key | | |
//! | length of the value, -1 for null | | 4 |
//! | value | | |
//!
//! A compressed set is one message, the wrapper: its key is null, its value a whole set, compressed. Its
//! offset is that of the last message inside, whose own offsets count from 0.

mod convert;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod read;
mod restage;
mod write;

pub(crate) use convert::convert;
#[cfg(any(test, feature = "testing"))]
pub(crate) use error::{MessageError, SetError};
#[cfg(any(test, feature = "testing"))]
pub(crate) use read::Messages;
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
pub(crate) use read::visit_records;
pub(crate) use restage::restage;

use super::format::LOG_OVERHEAD;
use crate::types::Magic;

const CRC_OFFSET: usize = 12;
const ATTRIBUTES_OFFSET: usize = 17;
/// What stands before a message's key, with a timestamp.
const MESSAGE_HEAD_MAX: usize = 26;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LegacyMagic {
    /// Without timestamps.
    V0,
    /// With a timestamp in each message.
    V1,
}

impl LegacyMagic {
    /// The format, if it is one of message sets.
    pub(crate) const fn of(magic: Magic) -> Option<Self> {
        match magic {
            Magic::V0 => Some(Self::V0),
            Magic::V1 => Some(Self::V1),
            Magic::V2 => None,
        }
    }

    /// The format among all of them.
    pub(crate) const fn magic(self) -> Magic {
        match self {
            Self::V0 => Magic::V0,
            Self::V1 => Magic::V1,
        }
    }

    /// Bytes before a message's key.
    const fn head_bytes(self) -> usize {
        match self {
            Self::V0 => 18,
            Self::V1 => MESSAGE_HEAD_MAX,
        }
    }

    /// Bytes of a message besides offset, length, key and value.
    ///
    /// # Kafka
    /// `LegacyRecord#recordOverhead`.
    pub(crate) const fn record_overhead(self) -> usize {
        match self {
            Self::V0 => 14,
            Self::V1 => 22,
        }
    }

    /// Bytes of a message, its offset and length included. A null key or value takes none.
    ///
    /// # Kafka
    /// `LegacyRecord#recordSize` and `Records.LOG_OVERHEAD`.
    pub(crate) const fn message_size(self, key_len: usize, value_len: usize) -> usize {
        LOG_OVERHEAD + self.record_overhead() + key_len + value_len
    }

    /// Bytes of a set besides its messages: those of the wrapper, if there is one.
    ///
    /// # Kafka
    /// `AbstractRecords#recordBatchHeaderSizeInBytes`.
    pub(crate) const fn set_overhead(self, is_compressed: bool) -> usize {
        if is_compressed {
            self.message_size(0, 0)
        } else {
            0
        }
    }

    /// The most bytes a set of one such message can take: what a record's size is judged by before it is
    /// sent. What a codec may add is not counted, nor, inside a wrapper, the message's offset and length.
    ///
    /// # Kafka
    /// `AbstractRecords#estimateSizeInBytesUpperBound`.
    pub(crate) const fn set_size_upper_bound(
        self,
        is_compressed: bool,
        key_len: usize,
        value_len: usize,
    ) -> usize {
        if is_compressed {
            self.set_overhead(true) + self.record_overhead() + key_len + value_len
        } else {
            self.message_size(key_len, value_len)
        }
    }
}

#[cfg(test)]
mod tests;
