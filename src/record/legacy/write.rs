//! Encoding messages of a message set.

use super::{ATTRIBUTES_OFFSET, CRC_OFFSET, LegacyMagic, MESSAGE_HEAD_MAX};
use crate::record::format::{LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_OFFSET};

/// Length of a null key or value.
const NULL_LENGTH: i32 = -1;

/// The fields before a message's key.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageHead {
    pub(super) magic: LegacyMagic,
    pub(super) offset: i64,
    /// Codec id of a wrapper's value; 0 for a message that is not a wrapper. The other attribute bits are written as 0,
    /// which stands for the timestamp type `CreateTime`.
    pub(super) codec: u8,
    /// Not written in magic 0.
    pub(super) timestamp_ms: i64,
}

impl MessageHead {
    /// Writes the head, with length and checksum still 0. Returns the message's offset in `out`.
    fn put(self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let mut head = [0; MESSAGE_HEAD_MAX];
        head[..LENGTH_OFFSET].copy_from_slice(&self.offset.to_be_bytes());
        head[MAGIC_OFFSET] = self.magic.magic() as u8;
        head[ATTRIBUTES_OFFSET] = self.codec;
        head[MESSAGE_HEAD_MAX - 8..].copy_from_slice(&self.timestamp_ms.to_be_bytes());
        out.extend_from_slice(&head[..self.magic.head_bytes()]);
        start
    }

    /// Writes a message, whose size the caller has [checked](check_size).
    #[inline]
    pub(super) fn put_message(self, out: &mut Vec<u8>, key: Option<&[u8]>, value: Option<&[u8]>) {
        let start = self.put(out);
        put_nullable(out, key);
        put_nullable(out, value);
        seal(out, start);
    }

    /// Writes a wrapper: a message with null key, whose value `put_value` writes. Returns the size of the value. On an
    /// error, `out` is unchanged; a message that outgrows its 32-bit length is an error, too (`TooLarge`).
    pub(super) fn put_around<E: From<TooLarge>>(
        self,
        out: &mut Vec<u8>,
        put_value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let start = self.put(out);
        put_nullable(out, None);
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        let value_at = out.len();
        let written = put_value(out).and_then(|()| {
            check_size(out.len() - start)?;
            Ok(out.len() - value_at)
        });
        match written {
            Ok(value_bytes) => {
                put_i32(&mut out[length_at..], value_bytes);
                seal(out, start);
            }
            Err(_) => out.truncate(start),
        }
        written
    }
}

/// A message is too large for its 32-bit length fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub(super) bytes: usize,
}

/// Checks that a message of this size, with offset and length, can be encoded.
pub(super) fn check_size(bytes: usize) -> Result<(), TooLarge> {
    match i32::try_from(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(TooLarge { bytes }),
    }
}

#[inline]
fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(bytes);
        }
        None => out.extend_from_slice(&NULL_LENGTH.to_be_bytes()),
    }
}

fn put_i32(at: &mut [u8], value: usize) {
    at[..4].copy_from_slice(&(value as i32).to_be_bytes());
}

/// Fills in length and checksum of a message that is otherwise complete.
#[inline]
fn seal(out: &mut [u8], start: usize) {
    let message = &mut out[start..];
    let length = message.len() - LOG_OVERHEAD;
    put_i32(&mut message[LENGTH_OFFSET..], length);
    let checksum = crc32fast::hash(&message[MAGIC_OFFSET..]);
    message[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRAPPER: MessageHead = MessageHead {
        magic: LegacyMagic::V0,
        offset: 3,
        codec: 1,
        timestamp_ms: 0,
    };

    #[derive(Debug, PartialEq)]
    enum Failed {
        TooLarge(usize),
        Codec,
    }

    impl From<TooLarge> for Failed {
        fn from(error: TooLarge) -> Self {
            Self::TooLarge(error.bytes)
        }
    }

    #[test]
    fn a_value_that_cannot_be_written_leaves_the_output_unchanged() {
        let mut out = b"before".to_vec();
        let written = WRAPPER.put_around(&mut out, |out| {
            out.extend_from_slice(b"half");
            Err(Failed::Codec)
        });
        assert_eq!((written, &out[..]), (Err(Failed::Codec), &b"before"[..]));
    }

    #[test]
    fn sizes_beyond_31_bits_are_refused() {
        let largest = i32::MAX as usize;
        assert_eq!(check_size(largest), Ok(()));
        let bytes = largest + 1;
        assert_eq!(check_size(bytes), Err(TooLarge { bytes }));
        assert_eq!(Failed::from(TooLarge { bytes }), Failed::TooLarge(bytes));
    }
}
