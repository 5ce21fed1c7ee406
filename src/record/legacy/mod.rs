//! Message sets, the formats before record batches: magic 0 (Kafka up to 0.9) and magic 1 (0.10).
//!
//! A message set is a sequence of messages, each with its offset and its own checksum:
//!
//! | field | offset | width |
//! |---|---|---|
//! | offset | 0 | 8 |
//! | length of the rest | 8 | 4 |
//! | CRC-32 of the rest | 12 | 4 |
//! | magic | 16 | 1 |
//! | attributes: codec, timestamp type | 17 | 1 |
//! | timestamp, in magic 1 only | 18 | 8 |
//! | length of the key, -1 for null | 18 or 26 | 4 |
//! | key | | |
//! | length of the value, -1 for null | | 4 |
//! | value | | |
//!
//! A compressed message set is one wrapper message: its key is null, its value the compressed set. The wrapper's offset
//! is that of the last inner message; inner offsets are relative, and start at 0.

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
/// Size of the fields before a message's key, in magic 1.
const MESSAGE_HEAD_MAX: usize = 26;

/// Magic of a message set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LegacyMagic {
    /// Without timestamps.
    V0,
    /// With a timestamp in each message.
    V1,
}

impl LegacyMagic {
    /// The same magic as a `LegacyMagic`; `None` if it is that of record batches.
    pub(crate) const fn of(magic: Magic) -> Option<Self> {
        match magic {
            Magic::V0 => Some(Self::V0),
            Magic::V1 => Some(Self::V1),
            Magic::V2 => None,
        }
    }

    /// The same magic as a [`Magic`].
    pub(crate) const fn magic(self) -> Magic {
        match self {
            Self::V0 => Magic::V0,
            Self::V1 => Magic::V1,
        }
    }

    /// Size of the fields before a message's key.
    const fn head_bytes(self) -> usize {
        match self {
            Self::V0 => 18,
            Self::V1 => MESSAGE_HEAD_MAX,
        }
    }

    /// Size of a message without offset, length, key and value.
    ///
    /// # Kafka
    /// `LegacyRecord#recordOverhead`.
    pub(crate) const fn record_overhead(self) -> usize {
        match self {
            Self::V0 => 14,
            Self::V1 => 22,
        }
    }

    /// Size of a message, with offset and length. A null key or value has length 0.
    ///
    /// # Kafka
    /// `LegacyRecord#recordSize` and `Records.LOG_OVERHEAD`.
    pub(crate) const fn message_size(self, key_len: usize, value_len: usize) -> usize {
        LOG_OVERHEAD + self.record_overhead() + key_len + value_len
    }

    /// Size of a set without its messages: if the set is compressed, the size of the wrapper without its value, else 0.
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

    /// Upper bound of the size of a set with one message, against which `max.request.size` is checked before sending.
    /// As in Java, it does not include the overhead of a codec, nor the inner message's offset and length.
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
