//! Records of format 2, as a batch is staged in it, into a message set for brokers that know no other.

use std::fmt;

use super::LegacyMagic;
use super::write::{MessageHead, TooLarge, check_size};
use crate::compress::{CompressError, CompressionType, Compressor};
use crate::record::builder::BatchFacts;
use crate::record::split::take_record;
use crate::util::varint::{VarintError, take_varint};

/// Fewer bytes than any record of format 2 has: length, attributes, timestamp, offset, and no key, no
/// value, no headers.
const SMALLEST_STAGED: usize = 7;

/// How large a set became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Converted {
    /// Bytes of the messages before compression.
    pub(crate) message_bytes: usize,
    /// Bytes of the same compressed, without the wrapper; none if the set is not compressed.
    pub(crate) compressed_bytes: Option<usize>,
}

impl Converted {
    /// How large compression made it, compared with what it was; 1 where there was none (PB-7).
    pub(crate) fn compression_ratio(self) -> f32 {
        match self.compressed_bytes {
            Some(compressed) if self.message_bytes > 0 => {
                compressed as f32 / self.message_bytes as f32
            }
            _ => 1.0,
        }
    }
}

/// Why staged records did not become a message set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConvertError {
    /// A message, or the wrapper, has more bytes than the format can count.
    TooLarge { bytes: usize },
    /// The codec failed.
    Compress(CompressError),
    /// Compressed with zstd, which brokers of this age do not know.
    Zstd,
    /// What was staged are not records: they were written here, so this is a defect.
    Staged(VarintError),
    /// There are more or fewer records than the batch counts: a defect likewise.
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
                "zstd needs brokers of Kafka 2.1 or later, and one of these is older than 0.11: set \
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

/// Appends the records to `out` as a message set, compressed if a codec other than `none` is given.
/// `chunks` are the records one after the other as [`RecordsBuilder`](crate::record::builder) writes them,
/// each whole in one chunk. Offsets count from 0; headers are left out, as these formats have none.
///
/// # Errors
/// [`ConvertError`]; `out` is then as it was.
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

/// Writes the messages of `chunks` one after the other.
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

/// At least as many bytes as the messages take, and, but for headers, not many more: so that memory is
/// asked for once.
fn message_bytes_bound(facts: &BatchFacts, chunks: &[&[u8]], magic: LegacyMagic) -> usize {
    let staged: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let count = (facts.record_count as usize).min(staged / SMALLEST_STAGED);
    staged + count * (magic.message_size(0, 0) - SMALLEST_STAGED)
}

/// A key or a value; what follows them, the headers, has no place in these formats.
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
