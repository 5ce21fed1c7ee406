//! Reading: nothing here panics or allocates beyond what the bytes at hand can fill.

use std::str;
use std::sync::Arc;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::{DecodeError, DecodeErrorKind, MAX_ERROR_TEXT_BYTES, MAX_STRING_BYTES};
use crate::error::ErrorCode;
use crate::util::varint::{VarintError, take_unsigned};

/// Room that is made for the elements of an array before the first of them has been read.
const UNREAD_ROOM_BYTES: usize = 16 * 1024;

/// As many elements of a type as room is made for when `count` of them are announced. In memory an
/// element may take many times what it takes in the message, and the bytes need not be elements at all.
fn room_for<T>(count: usize) -> usize {
    count.min(UNREAD_ROOM_BYTES / size_of::<T>().max(1))
}

/// Reads the fields of a message, one after the other, from a frame.
///
/// Each read takes the field's name, for the error.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    frame: &'a Bytes,
    at: usize,
    flexible: bool,
    /// The first error code that is not in Kafka's table as we know it.
    unknown_error: Option<i16>,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `frame` (which does not include the frame's length). It reads the
    /// classic forms until told otherwise.
    pub(crate) fn new(frame: &'a Bytes) -> Self {
        Self {
            frame,
            at: 0,
            flexible: false,
            unknown_error: None,
        }
    }

    /// Whether strings and arrays that follow are in compact form, and structures have tagged fields.
    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Bytes that are left.
    pub(crate) fn remaining(&self) -> usize {
        self.frame.len() - self.at
    }

    /// An error about what begins at the current position.
    pub(crate) fn error(&self, kind: DecodeErrorKind, what: &'static str) -> DecodeError {
        DecodeError {
            kind,
            what,
            at: self.at,
        }
    }

    fn fixed(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        // `at` never passes the end, so the sum cannot be larger than twice a buffer's length.
        let bytes = self.frame.get(self.at..self.at + len);
        let bytes = bytes.ok_or_else(|| self.error(DecodeErrorKind::Truncated, what))?;
        self.at += len;
        Ok(bytes)
    }

    /// A byte that is zero for false.
    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        Ok(self.fixed(1, what)?[0] != 0)
    }

    /// A signed 8-bit number.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn i8(&mut self, what: &'static str) -> Result<i8, DecodeError> {
        Ok(self.fixed(1, what)?[0] as i8)
    }

    /// A signed 16-bit number.
    pub(crate) fn i16(&mut self, what: &'static str) -> Result<i16, DecodeError> {
        self.fixed(2, what).map(BigEndian::read_i16)
    }

    /// An error code; one that is not known reads as `UNKNOWN_SERVER_ERROR` and is kept for the log.
    pub(crate) fn error_code(&mut self, what: &'static str) -> Result<ErrorCode, DecodeError> {
        let code = self.i16(what)?;
        Ok(ErrorCode::known(code).unwrap_or_else(|| {
            self.unknown_error.get_or_insert(code);
            ErrorCode::UnknownServerError
        }))
    }

    /// The first error code that was read and is not known.
    pub(crate) fn unknown_error(&self) -> Option<i16> {
        self.unknown_error
    }

    /// A signed 32-bit number.
    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.fixed(4, what).map(BigEndian::read_i32)
    }

    /// A signed 64-bit number.
    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.fixed(8, what).map(BigEndian::read_i64)
    }

    /// A UUID's sixteen bytes.
    pub(crate) fn uuid(&mut self, what: &'static str) -> Result<[u8; 16], DecodeError> {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(self.fixed(16, what)?);
        Ok(uuid)
    }

    fn unsigned(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        let mut rest = &self.frame[self.at..];
        let value = take_unsigned(&mut rest).map_err(|error| match error {
            VarintError::Truncated => self.error(DecodeErrorKind::Truncated, what),
            VarintError::TooLong => self.error(DecodeErrorKind::BadLength, what),
        })?;
        self.at = self.frame.len() - rest.len();
        Ok(value)
    }

    /// The length of a string, byte string or array; `None` for null. In classic form `short` ones
    /// take two bytes, others four.
    fn length(&mut self, short: bool, what: &'static str) -> Result<Option<usize>, DecodeError> {
        let begin = self.at;
        let length = if self.flexible {
            i64::from(self.unsigned(what)?) - 1
        } else if short {
            i64::from(self.i16(what)?)
        } else {
            i64::from(self.i32(what)?)
        };
        match length {
            -1 => Ok(None),
            0..=0x7fff_ffff => Ok(Some(length as usize)),
            _ => Err(DecodeError {
                kind: DecodeErrorKind::BadLength,
                what,
                at: begin,
            }),
        }
    }

    /// Takes `len` bytes of a field that begins at `begin`.
    fn body(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        if len > self.remaining() {
            return Err(self.error(DecodeErrorKind::PastEnd, what));
        }
        self.fixed(len, what)
    }

    /// A string that may be null.
    pub(crate) fn nullable_str(
        &mut self,
        what: &'static str,
    ) -> Result<Option<&'a str>, DecodeError> {
        let begin = self.at;
        let Some(len) = self.length(true, what)? else {
            return Ok(None);
        };
        if len > MAX_STRING_BYTES {
            return Err(DecodeError {
                kind: DecodeErrorKind::BadLength,
                what,
                at: begin,
            });
        }
        let bytes = self.body(len, what)?;
        let text = str::from_utf8(bytes).map_err(|_| DecodeError {
            kind: DecodeErrorKind::NotUtf8,
            what,
            at: begin,
        })?;
        Ok(Some(text))
    }

    /// A string.
    pub(crate) fn str(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let begin = self.at;
        self.nullable_str(what)?.ok_or(DecodeError {
            kind: DecodeErrorKind::Null,
            what,
            at: begin,
        })
    }

    /// A string of our own.
    pub(crate) fn string(&mut self, what: &'static str) -> Result<Arc<str>, DecodeError> {
        self.str(what).map(Arc::from)
    }

    /// A string of our own, that may be null.
    pub(crate) fn nullable_string(
        &mut self,
        what: &'static str,
    ) -> Result<Option<Arc<str>>, DecodeError> {
        Ok(self.nullable_str(what)?.map(Arc::from))
    }

    /// The peer's words about an error, if it has any: as much of them as is worth keeping. They may be kept
    /// for each record, and are said in logs.
    pub(crate) fn error_text(
        &mut self,
        what: &'static str,
    ) -> Result<Option<Arc<str>>, DecodeError> {
        Ok(self.nullable_str(what)?.map(|text| {
            let mut end = MAX_ERROR_TEXT_BYTES;
            if text.len() <= end {
                return Arc::from(text);
            }
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Arc::from(format!("{}...", &text[..end]))
        }))
    }

    /// A byte string that may be null; it shares the frame's memory.
    pub(crate) fn nullable_bytes(
        &mut self,
        what: &'static str,
    ) -> Result<Option<Bytes>, DecodeError> {
        let Some(len) = self.length(false, what)? else {
            return Ok(None);
        };
        let begin = self.at;
        self.body(len, what)?;
        Ok(Some(self.frame.slice(begin..begin + len)))
    }

    /// A byte string; it shares the frame's memory.
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<Bytes, DecodeError> {
        let begin = self.at;
        self.nullable_bytes(what)?.ok_or(DecodeError {
            kind: DecodeErrorKind::Null,
            what,
            at: begin,
        })
    }

    /// The number of elements of an array; `None` for null. Each has `least` bytes or more.
    fn count(&mut self, what: &'static str, least: usize) -> Result<Option<usize>, DecodeError> {
        let begin = self.at;
        match self.length(false, what)? {
            Some(count) if count > self.remaining() / least.max(1) => Err(DecodeError {
                kind: DecodeErrorKind::PastEnd,
                what,
                at: begin,
            }),
            count => Ok(count),
        }
    }

    /// An array that may be null.
    ///
    /// `least` is the number of bytes that an element has at the very least (so not zero): a count
    /// that what is left of the frame cannot hold is refused before anything is reserved for it.
    pub(crate) fn nullable_array<T>(
        &mut self,
        what: &'static str,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.count(what, least)? else {
            return Ok(None);
        };
        let mut elements = Vec::with_capacity(room_for::<T>(count));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// An array; see [`nullable_array`](Self::nullable_array).
    pub(crate) fn array<T>(
        &mut self,
        what: &'static str,
        least: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let begin = self.at;
        self.nullable_array(what, least, element)?
            .ok_or(DecodeError {
                kind: DecodeErrorKind::Null,
                what,
                at: begin,
            })
    }

    /// An array of 32-bit numbers, which are appended to `into`.
    pub(crate) fn i32_array(
        &mut self,
        into: &mut Vec<i32>,
        what: &'static str,
    ) -> Result<(), DecodeError> {
        let begin = self.at;
        let count = self.count(what, 4)?.ok_or(DecodeError {
            kind: DecodeErrorKind::Null,
            what,
            at: begin,
        })?;
        let numbers = self.fixed(count * 4, what)?;
        into.extend(numbers.chunks_exact(4).map(BigEndian::read_i32));
        Ok(())
    }

    /// Skips the tagged fields that end a structure, if this message has them.
    pub(crate) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        // A count without the fields to it fails at the first that is missing.
        for _ in 0..self.unsigned("the count of tagged fields")? {
            self.unsigned("the tag of a tagged field")?;
            let size = self.unsigned("the size of a tagged field")?;
            self.body(size as usize, "a tagged field")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_made_for_an_array_does_not_grow_with_the_count_that_is_announced() {
        assert_eq!(room_for::<i32>(3), 3);
        assert_eq!(room_for::<[u8; 96]>(3), 3);
        for count in [100_000, 25_000_000, i32::MAX as usize] {
            assert!(room_for::<[u8; 96]>(count) * 96 <= UNREAD_ROOM_BYTES);
        }
    }
}
