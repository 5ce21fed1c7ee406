//! Reading and checking message sets.
//!
//! Everything here takes bytes of unknown origin: lengths are compared with what is there before they are
//! used, nothing is allocated from them, and what a wrapper uncompresses to is bounded by the caller.

use super::error::{MessageError, SetError};
use super::{ATTRIBUTES_OFFSET, CRC_OFFSET, LegacyMagic};
use crate::compress::{CompressionType, decompress};
use crate::record::format::{LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_OFFSET};

/// The bits of the attributes that name a codec.
const CODEC_BITS: u8 = 0x07;
/// The timestamp is the broker's.
const LOG_APPEND_TIME_BIT: u8 = 0x08;
/// What stands for the timestamp where there is none.
const NO_TIMESTAMP: i64 = -1;

/// A message, read in place.
///
/// # Kafka
/// `org.apache.kafka.common.record.LegacyRecord`, with its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) magic: LegacyMagic,
    pub(crate) offset: i64,
    attributes: u8,
    /// -1 for none.
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// All of it, offset and length included.
    pub(crate) size_bytes: usize,
}

impl<'a> Message<'a> {
    /// Takes a message off the front of `input`, which is not empty, and checks its checksum.
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

    /// Reads a message that takes up all of `bytes`, which are as many as the smallest one at least.
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

    /// The number of the codec of what is inside; 0 if this is no wrapper.
    pub(crate) fn codec(&self) -> u8 {
        self.attributes & CODEC_BITS
    }

    /// Whether the timestamp is the broker's.
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.magic == LegacyMagic::V1 && self.attributes & LOG_APPEND_TIME_BIT != 0
    }

    /// What is inside a wrapper; none if this is no wrapper. Takes no more than `limit_bytes`, and a
    /// constant.
    ///
    /// # Errors
    /// If that is more, or no good message set of the same format and without wrappers.
    pub(crate) fn open(&self, limit_bytes: usize) -> Result<Option<Opened>, MessageError> {
        let codec = match CompressionType::from_id(self.codec()) {
            Some(CompressionType::None) => return Ok(None),
            None | Some(CompressionType::Zstd) => return Err(MessageError::Codec(self.codec())),
            Some(codec) => codec,
        };
        let compressed = self.value.ok_or(MessageError::EmptyWrapper)?;
        let set = decompress(codec, self.magic.magic(), compressed, limit_bytes);
        let set = set.map_err(MessageError::Decompress)?;
        Ok(Some(Opened {
            set,
            wrapper: Wrapper {
                magic: self.magic,
                offset: self.offset,
                append_time_ms: self.is_log_append_time().then_some(self.timestamp_ms),
            },
        }))
    }
}

/// What a wrapper says of the messages in it.
#[derive(Debug, Clone, Copy)]
struct Wrapper {
    magic: LegacyMagic,
    offset: i64,
    append_time_ms: Option<i64>,
}

/// The messages of a wrapper, uncompressed.
#[derive(Debug)]
pub(crate) struct Opened {
    set: Vec<u8>,
    wrapper: Wrapper,
}

impl Opened {
    /// The messages, with the offsets and timestamps that the wrapper gives them.
    ///
    /// # Errors
    /// If they are no good set, without wrappers and of the wrapper's format.
    pub(crate) fn messages(&self) -> Result<impl Iterator<Item = Message<'_>> + use<'_>, SetError> {
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
        // They were all read once without an error.
        let messages = Messages::new(&self.set).filter_map(Result::ok);
        Ok(messages.map(move |(_, message)| Message {
            offset: base_offset.wrapping_add(message.offset),
            timestamp_ms: append_time_ms.unwrap_or(message.timestamp_ms),
            ..message
        }))
    }
}

impl Wrapper {
    /// What the offsets inside count from.
    ///
    /// # Kafka
    /// `AbstractLegacyRecordBatch.DeepRecordsIterator`.
    fn base_offset(self, last_inside: i64) -> Result<i64, MessageError> {
        match self.magic {
            LegacyMagic::V0 => Ok(0),
            // Some versions of librdkafka leave the wrapper's offset at 0.
            LegacyMagic::V1 if self.offset == 0 => Ok(0),
            LegacyMagic::V1 if self.offset < last_inside => Err(MessageError::WrapperOffset {
                wrapper: self.offset,
                last_inside,
            }),
            LegacyMagic::V1 => Ok(self.offset.wrapping_sub(last_inside)),
        }
    }
}

/// The messages that stand back to back, each with where it begins; wrappers are not opened. Ends after
/// the first error: where one message is broken, the start of the next is not known.
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
    type Item = Result<(usize, Message<'a>), SetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at_byte = self.at_byte;
        let message = Message::take(&mut self.rest);
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

/// Shows `visit` every record of a set: its messages, and in place of a wrapper the messages in it. At most
/// `limit_bytes` are held uncompressed, one wrapper's at a time.
///
/// # Errors
/// At the first message that is not good; what stands before it was visited.
pub(crate) fn visit_records(
    set: &[u8],
    limit_bytes: usize,
    mut visit: impl FnMut(&Message<'_>),
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

/// The `N` bytes at `offset`, which the caller knows to be there.
#[inline]
fn fixed<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}

#[cfg(test)]
mod tests;
