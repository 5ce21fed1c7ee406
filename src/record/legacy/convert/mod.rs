//! Down-conversion: staged records (magic 2) into a message set (magic 0 or 1), for brokers before 0.11.

use std::fmt;

use super::LegacyMagic;
use super::write::{MessageHead, TooLarge, check_size};
use crate::compress::{CompressError, CompressionType, Compressor};
use crate::record::builder::BatchFacts;
use crate::record::split::take_record;
use crate::util::varint::{VarintError, take_varint};

/// Smallest size of a record in magic 2: one byte each for length, attributes, timestamp delta, offset delta, a null
/// key, a null value and the number of headers.
const SMALLEST_STAGED: usize = 7;

/// Sizes of a converted set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Converted {
    /// Size of the messages before compression.
    pub(crate) message_bytes: usize,
    /// Their compressed size, without the wrapper; `None` if the set is not compressed.
    pub(crate) compressed_bytes: Option<usize>,
}

impl Converted {
    /// The compression ratio; 1 without compression (PB-7).
    pub(crate) fn compression_ratio(self) -> f32 {
        match self.compressed_bytes {
            Some(compressed) if self.message_bytes > 0 => {
                compressed as f32 / self.message_bytes as f32
            }
            _ => 1.0,
        }
    }
}

/// Why records could not be converted to a message set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConvertError {
    /// A message, or the wrapper, is too large for its 32-bit length field.
    TooLarge { bytes: usize },
    /// The codec failed.
    Compress(CompressError),
    /// The codec is zstd, which brokers before 2.1 do not support.
    Zstd,
    /// The staged bytes are not valid records. The producer wrote them itself, so this is a bug.
    Staged(VarintError),
    /// The batch's record count is wrong: a bug, too.
    Count { expected: u32, found: u32 },
}

impl From<TooLarge> for ConvertError {
    fn from(error: TooLarge) -> Self {
        Self::TooLarge { bytes: error.bytes }
    }
}

impl From<CompressError> for ConvertError {
    fn from(error: CompressError) -> Self {
        Self::Compress(error)
    }
}

impl From<VarintError> for ConvertError {
    fn from(error: VarintError) -> Self {
        Self::Staged(error)
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "a message of {bytes} bytes is more than brokers of this age can take: \
                 2147483647; send smaller records, or lower batch.size"
            ),
            Self::Compress(error) => error.fmt(f),
            Self::Zstd => f.write_str(
                "zstd needs brokers of Kafka 2.1 or later, and a broker is older than 0.11: set \
                 compression.type to gzip, snappy, lz4 or none",
            ),
            Self::Staged(error) => write!(f, "the batch's own records cannot be read: {error:?}"),
            Self::Count { expected, found } => {
                write!(f, "the batch counts {expected} records and holds {found}")
            }
        }
    }
}

impl std::error::Error for ConvertError {}

/// Converts records to a message set and appends it to `out`, compressed if a codec other than `none` is given.
/// `chunks` hold the records as [`RecordsBuilder`](crate::record::builder) writes them; no record spans two chunks.
/// Offsets count from 0. Headers are dropped, as message sets have none.
///
/// # Errors
/// [`ConvertError`]; `out` is then unchanged.
/// # Kafka
/// `MemoryRecordsBuilder` with a magic below 2, and `RecordsUtil#downConvert`.
pub(crate) fn convert(
    facts: &BatchFacts,
    chunks: &[&[u8]],
    magic: LegacyMagic,
    compressor: Option<&Compressor>,
    out: &mut Vec<u8>,
) -> Result<Converted, ConvertError> {
    let start = out.len();
    let compressor = compressor.filter(|compressor| compressor.codec() != CompressionType::None);
    let Some(compressor) = compressor else {
        let written = put_messages(facts, chunks, magic, out);
        if let Err(error) = written {
            out.truncate(start);
            return Err(error);
        }
        return Ok(Converted {
            message_bytes: out.len() - start,
            compressed_bytes: None,
        });
    };
    if compressor.codec() == CompressionType::Zstd {
        return Err(ConvertError::Zstd);
    }
    let mut messages = Vec::new();
    put_messages(facts, chunks, magic, &mut messages)?;
    // An empty set has no wrapper: the wrapper's offset would be -1.
    let compressed_bytes = if facts.record_count == 0 {
        0
    } else {
        let wrapper = MessageHead {
            magic,
            offset: i64::from(facts.record_count) - 1,
            codec: compressor.codec().id(),
            timestamp_ms: facts.max_timestamp_ms,
        };
        wrapper.put_around(out, |out| -> Result<(), ConvertError> {
            Ok(compressor.compress(magic.magic(), &[&messages], out)?)
        })?
    };
    Ok(Converted {
        message_bytes: messages.len(),
        compressed_bytes: Some(compressed_bytes),
    })
}

/// Writes the records of `chunks` as messages.
fn put_messages(
    facts: &BatchFacts,
    chunks: &[&[u8]],
    magic: LegacyMagic,
    out: &mut Vec<u8>,
) -> Result<(), ConvertError> {
    out.reserve(message_bytes_bound(facts, chunks, magic));
    let mut count = 0;
    for chunk in chunks {
        let mut rest = *chunk;
        while !rest.is_empty() {
            let record = take_record(&mut rest, facts.first_timestamp_ms)?;
            let mut payload = record.payload;
            let key = take_nullable(&mut payload)?;
            let value = take_nullable(&mut payload)?;
            let lens = [key, value].map(|field| field.map_or(0, <[u8]>::len));
            check_size(magic.message_size(lens[0], lens[1]))?;
            let head = MessageHead {
                magic,
                offset: i64::from(count),
                codec: 0,
                timestamp_ms: record.timestamp_ms,
            };
            head.put_message(out, key, value);
            count += 1;
        }
    }
    if count == facts.record_count {
        Ok(())
    } else {
        Err(ConvertError::Count {
            expected: facts.record_count,
            found: count,
        })
    }
}

/// Upper bound of the size of the messages, so that memory is allocated once. It is close to the actual size, unless
/// there are headers.
fn message_bytes_bound(facts: &BatchFacts, chunks: &[&[u8]], magic: LegacyMagic) -> usize {
    let staged: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    // The count is limited by the number of staged bytes: if it were wrong, too much memory would be reserved.
    let count = (facts.record_count as usize).min(staged / SMALLEST_STAGED);
    staged + count * (magic.message_size(0, 0) - SMALLEST_STAGED)
}

/// Takes an encoded key or value off the front of `input`.
#[inline]
fn take_nullable<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, VarintError> {
    let length = take_varint(input)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| VarintError::Truncated)?;
    let (bytes, rest) = input
        .split_at_checked(length)
        .ok_or(VarintError::Truncated)?;
    *input = rest;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
