//! Errors of reading a record batch.

use std::fmt;

use crate::compress::DecompressError;
use crate::util::varint::VarintError;

/// Why bytes are not a valid record batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchError {
    /// The bytes end before the batch does.
    Truncated { needed: usize, available: usize },
    /// The length field is negative, or smaller than a header.
    InvalidLength(i32),
    /// The magic is not 2.
    UnsupportedMagic(i8),
    /// The checksum does not match: the bytes are corrupt.
    Checksum { stored: u32, computed: u32 },
    /// More bytes follow where one batch was expected.
    #[cfg(test)]
    TrailingBytes(usize),
    /// The record count is negative.
    InvalidCount(i32),
    /// The records are compressed with the codec of this id, and must be decompressed first.
    #[cfg(test)]
    Compressed(u8),
    /// Unknown codec id.
    UnknownCodec(u8),
    /// The records cannot be decompressed.
    Uncompress(DecompressError),
    /// A record is invalid.
    Record { index: u32, error: InvalidRecord },
    /// Bytes follow the last record.
    BytesAfterRecords(usize),
}

/// Why bytes are not a valid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidRecord {
    /// A varint is truncated or too long.
    Varint(VarintError),
    /// A field's length is negative, or exceeds the rest of the record.
    Length {
        field: &'static str,
        length: i32,
        available: usize,
    },
    /// The record's fields are shorter than its length field states.
    Unused(usize),
    /// A header's key is not UTF-8.
    HeaderKey,
}

impl From<VarintError> for InvalidRecord {
    fn from(error: VarintError) -> Self {
        Self::Varint(error)
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => {
                write!(f, "the batch needs {needed} bytes, there are {available}")
            }
            Self::InvalidLength(length) => write!(f, "{length} is not a valid batch length"),
            Self::UnsupportedMagic(magic) => write!(f, "format {magic} where 2 was expected"),
            Self::Checksum { stored, computed } => {
                write!(
                    f,
                    "checksum {stored:#010x} stored, {computed:#010x} computed"
                )
            }
            #[cfg(test)]
            Self::TrailingBytes(count) => write!(f, "{count} bytes follow the batch"),
            Self::InvalidCount(count) => write!(f, "{count} is not a valid record count"),
            #[cfg(test)]
            Self::Compressed(codec) => write!(f, "records are compressed with codec {codec}"),
            Self::UnknownCodec(codec) => write!(f, "there is no codec {codec}"),
            Self::Uncompress(error) => write!(f, "records cannot be uncompressed: {error}"),
            Self::Record { index, error } => write!(f, "record {index}: {error}"),
            Self::BytesAfterRecords(count) => write!(f, "{count} bytes follow the last record"),
        }
    }
}

impl std::error::Error for BatchError {}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Varint(VarintError::Truncated) => f.write_str("a number is cut off"),
            Self::Varint(VarintError::TooLong) => f.write_str("a number is too long"),
            Self::Length {
                field,
                length,
                available,
            } => {
                write!(
                    f,
                    "{field} of length {length} where {available} bytes are left"
                )
            }
            Self::Unused(count) => write!(f, "{count} bytes follow its last field"),
            Self::HeaderKey => f.write_str("a header's key is not UTF-8"),
        }
    }
}

impl std::error::Error for InvalidRecord {}
