//! Reading and checking message sets.
//!
//! All input is untrusted: lengths are checked against the bytes present, no allocation depends on them, and the caller
//! limits the decompressed size of a wrapper.
use super::error::{MessageError, SetError};
use super::{ATTRIBUTES_OFFSET, CRC_OFFSET, LegacyMagic};
use crate::compress::{CompressionType, decompress};
use crate::record::format::{LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_OFFSET};

/// Codec bits of the attributes.
const CODEC_BITS: u8 = 0x07;
/// Attribute: the timestamp is the log append time.
const LOG_APPEND_TIME_BIT: u8 = 0x08;
/// Timestamp of a message without one.
const NO_TIMESTAMP: i64 = -1;

/// A message, borrowed from its set.
///
/// # Kafka
/// `org.apache.kafka.common.record.LegacyRecord`, with its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LegacyRecord<'a> {
    pub(crate) magic: LegacyMagic,
    pub(crate) offset: i64,
    attributes: u8,
    /// -1 for none.
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// Size of the whole message, with offset and length.
    pub(crate) size_bytes: usize,
}

impl<'a> LegacyRecord<'a> {
    /// Takes a message off the front of `input` and verifies its checksum.
    fn take(input: &mut &'a [u8]) -> Result<Self, MessageError> {
        let available = input.len();
        let smallest = LegacyMagic::V0.message_size(0, 0);
        if available < smallest {
            return Err(MessageError::Truncated {
                needed: smallest,
                available,
            });
        }
        let magic = match input[MAGIC_OFFSET] as i8 {
            0 => LegacyMagic::V0,
            1 => LegacyMagic::V1,
            other => return Err(MessageError::UnsupportedMagic(other)),
        };
        let length = i32::from_be_bytes(fixed(input, LENGTH_OFFSET));
        let size = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LOG_OVERHEAD))
            .filter(|size| *size >= magic.message_size(0, 0))
            .ok_or(MessageError::InvalidLength(length))?;
        let (bytes, rest) = input
            .split_at_checked(size)
            .ok_or(MessageError::Truncated {
                needed: size,
                available,
            })?;
        let message = Self::parse(bytes, magic)?;
        *input = rest;
        Ok(message)
    }

    /// Parses a message that is exactly `bytes`, at least as long as the smallest message.
    fn parse(bytes: &'a [u8], magic: LegacyMagic) -> Result<Self, MessageError> {
        let stored = u32::from_be_bytes(fixed(bytes, CRC_OFFSET));
        let computed = crc32fast::hash(&bytes[MAGIC_OFFSET..]);
        if stored != computed {
            return Err(MessageError::Checksum { stored, computed });
        }
        let (head, mut fields) = bytes.split_at(magic.head_bytes());
        let timestamp_ms = match magic {
            LegacyMagic::V0 => NO_TIMESTAMP,
            LegacyMagic::V1 => i64::from_be_bytes(fixed(head, ATTRIBUTES_OFFSET + 1)),
        };
        let key = take_nullable(&mut fields, "key")?;
        let value = take_nullable(&mut fields, "value")?;
        if !fields.is_empty() {
            return Err(MessageError::Unused(fields.len()));
        }
        Ok(Self {
            magic,
            offset: i64::from_be_bytes(fixed(head, 0)),
            attributes: head[ATTRIBUTES_OFFSET],
            timestamp_ms,
            key,
            value,
            size_bytes: bytes.len(),
        })
    }

    /// The codec id of a wrapper; 0 if this is no wrapper.
    pub(crate) fn codec(&self) -> u8 {
        self.attributes & CODEC_BITS
    }

    /// Whether the timestamp is the log append time, set by the broker.
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.magic == LegacyMagic::V1 && self.attributes & LOG_APPEND_TIME_BIT != 0
    }

    /// Decompresses a wrapper; `None` if this is no wrapper. Memory is limited to `limit_bytes` plus a constant.
    ///
    /// # Errors
    /// Unknown codec, invalid compressed data, or more than `limit_bytes`.
    pub(crate) fn open(
        &self,
        limit_bytes: usize,
    ) -> Result<Option<UncompressedWrapper>, MessageError> {
        let codec = match CompressionType::from_id(self.codec()) {
            Some(CompressionType::None) => return Ok(None),
            None | Some(CompressionType::Zstd) => return Err(MessageError::Codec(self.codec())),
            Some(codec) => codec,
        };
        let compressed = self.value.ok_or(MessageError::EmptyWrapper)?;
        let set = decompress(codec, self.magic.magic(), compressed, limit_bytes);
        let set = set.map_err(MessageError::Decompress)?;
        Ok(Some(UncompressedWrapper {
            set,
            wrapper: Wrapper {
                magic: self.magic,
                offset: self.offset,
                append_time_ms: self.is_log_append_time().then_some(self.timestamp_ms),
            },
        }))
    }
}

/// The fields of a wrapper that apply to its inner messages.
#[derive(Debug, Clone, Copy)]
struct Wrapper {
    magic: LegacyMagic,
    offset: i64,
    append_time_ms: Option<i64>,
}

/// A decompressed wrapper.
#[derive(Debug)]
pub(crate) struct UncompressedWrapper {
    set: Vec<u8>,
    wrapper: Wrapper,
}

impl UncompressedWrapper {
    /// The inner messages, with absolute offsets, and the wrapper's timestamp if that is the log append time.
    ///
    /// # Errors
    /// An inner message is invalid, a wrapper itself, or of another magic than its wrapper.
    pub(crate) fn messages(
        &self,
    ) -> Result<impl Iterator<Item = LegacyRecord<'_>> + use<'_>, SetError> {
        // A first pass checks all messages, and finds the last inner offset, from which the absolute offsets are
        // computed.
        let mut last = None;
        for message in Messages::new(&self.set) {
            let (at_byte, message) = message?;
            if message.codec() != 0 {
                return Err(SetError::at(at_byte, MessageError::Nested));
            }
            if message.magic != self.wrapper.magic {
                return Err(SetError::at(at_byte, MessageError::MixedMagic));
            }
            last = Some((at_byte, message.offset));
        }
        let (at_byte, last_inside) =
            last.ok_or_else(|| SetError::at(0, MessageError::EmptyWrapper))?;
        let base_offset = self
            .wrapper
            .base_offset(last_inside)
            .map_err(|error| SetError::at(at_byte, error))?;
        let append_time_ms = self.wrapper.append_time_ms;
        // Cannot fail: the first pass has read them all.
        let messages = Messages::new(&self.set).filter_map(Result::ok);
        Ok(messages.map(move |(_, message)| LegacyRecord {
            offset: base_offset.wrapping_add(message.offset),
            timestamp_ms: append_time_ms.unwrap_or(message.timestamp_ms),
            ..message
        }))
    }
}

impl Wrapper {
    /// The absolute offset of inner offset 0.
    ///
    /// # Kafka
    /// `AbstractLegacyRecordBatch.DeepRecordsIterator`.
    fn base_offset(self, last_inside: i64) -> Result<i64, MessageError> {
        match self.magic {
            LegacyMagic::V0 => Ok(0),
            // Some versions of librdkafka write 0 as the wrapper's offset.
            LegacyMagic::V1 if self.offset == 0 => Ok(0),
            LegacyMagic::V1 if self.offset < last_inside => Err(MessageError::WrapperOffset {
                wrapper: self.offset,
                last_inside,
            }),
            LegacyMagic::V1 => Ok(self.offset.wrapping_sub(last_inside)),
        }
    }
}

/// Iterator over the messages of a set, each with its offset in bytes; wrappers are not decompressed. Ends after the
/// first error: after an invalid message, the start of the next is unknown.
#[derive(Debug, Clone)]
pub(crate) struct Messages<'a> {
    rest: &'a [u8],
    at_byte: usize,
}

impl<'a> Messages<'a> {
    pub(crate) fn new(set: &'a [u8]) -> Self {
        Self {
            rest: set,
            at_byte: 0,
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<(usize, LegacyRecord<'a>), SetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at_byte = self.at_byte;
        let message = LegacyRecord::take(&mut self.rest);
        match &message {
            Ok(message) => self.at_byte += message.size_bytes,
            Err(_) => self.rest = &[],
        }
        Some(match message {
            Ok(message) => Ok((at_byte, message)),
            Err(problem) => Err(SetError::at(at_byte, problem)),
        })
    }
}

/// Calls `visit` with every record of a set, inner messages of wrappers included. Wrappers are decompressed one at a
/// time, each to at most `limit_bytes`.
///
/// # Errors
/// The first invalid message; those before it were visited.
pub(crate) fn visit_records(
    set: &[u8],
    limit_bytes: usize,
    mut visit: impl FnMut(&LegacyRecord<'_>),
) -> Result<(), SetError> {
    for message in Messages::new(set) {
        let (at_byte, message) = message?;
        let opened = message
            .open(limit_bytes)
            .map_err(|problem| SetError::at(at_byte, problem))?;
        match opened {
            None => visit(&message),
            Some(opened) => {
                let inside = opened.messages().map_err(|error| error.inside(at_byte))?;
                inside.for_each(|message| visit(&message));
            }
        }
    }
    Ok(())
}

fn take_nullable<'a>(
    input: &mut &'a [u8],
    field: &'static str,
) -> Result<Option<&'a [u8]>, MessageError> {
    let available = input.len();
    let (length, rest) = input.split_first_chunk().ok_or(MessageError::Truncated {
        needed: 4,
        available,
    })?;
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        *input = rest;
        return Ok(None);
    }
    let bytes = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let (bytes, rest) = bytes.ok_or(MessageError::Field {
        field,
        length,
        available: rest.len(),
    })?;
    *input = rest;
    Ok(Some(bytes))
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
