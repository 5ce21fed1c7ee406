//! Decoding of untrusted bytes: nothing here panics, and each length or count is checked against the number of bytes
//! present before memory is allocated for it.

use std::str;
use std::sync::Arc;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::{DecodeError, DecodeErrorKind, MAX_STRING_BYTES};
use crate::error::ErrorCode;
use crate::util::foreign_text::printable_start;
use crate::util::varint::{VarintError, take_unsigned};

/// Maximum memory that is reserved for an array before its first element is read.
const UNREAD_ROOM_BYTES: usize = 16 * 1024;

/// Number of elements for which capacity is reserved in an array of `count` elements. In memory an element may be many
/// times larger than encoded, and the count is untrusted.
fn room_for<T>(count: usize) -> usize {
    count.min(UNREAD_ROOM_BYTES / size_of::<T>().max(1))
}

/// Decodes the fields of a message from a frame, in order.
///
/// Each method takes the field's name, for the error.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    frame: &'a Bytes,
    at: usize,
    flexible: bool,
    /// The first error code that [`ErrorCode`] does not have.
    unknown_error: Option<i16>,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `frame` (without length prefix), set to the classic encoding.
    pub(crate) fn new(frame: &'a Bytes) -> Self {
        Self {
            frame,
            at: 0,
            flexible: false,
            unknown_error: None,
        }
    }

    /// Sets the encoding: flexible (compact strings and arrays, tagged fields), or classic.
    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Number of bytes not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.frame.len() - self.at
    }

    /// An error of the field that begins at the current position.
    pub(crate) fn error(&self, kind: DecodeErrorKind, what: &'static str) -> DecodeError {
        DecodeError {
            kind,
            what,
            at: self.at,
        }
    }

    fn fixed(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        // Cannot overflow: `at` never exceeds the frame's length, and `len` is below `isize::MAX`.
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

    /// An error code; an unknown one is decoded as `UNKNOWN_SERVER_ERROR`, and kept for the log.
    pub(crate) fn error_code(&mut self, what: &'static str) -> Result<ErrorCode, DecodeError> {
        let code = self.i16(what)?;
        Ok(ErrorCode::known(code).unwrap_or_else(|| {
            self.unknown_error.get_or_insert(code);
            ErrorCode::UnknownServerError
        }))
    }

    /// The first unknown error code that was read.
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

    /// The length of a string, byte string or array; `None` for null. In the classic encoding it has two bytes if
    /// `short`, else four.
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

    /// Takes the `len` bytes that follow a length.
    fn body(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        if len > self.remaining() {
            return Err(self.error(DecodeErrorKind::PastEnd, what));
        }
        self.fixed(len, what)
    }

    /// A nullable string, borrowed.
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

    /// A string, borrowed.
    pub(crate) fn str(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let begin = self.at;
        self.nullable_str(what)?.ok_or(DecodeError {
            kind: DecodeErrorKind::Null,
            what,
            at: begin,
        })
    }

    /// A string, copied.
    pub(crate) fn string(&mut self, what: &'static str) -> Result<Arc<str>, DecodeError> {
        self.str(what).map(Arc::from)
    }

    /// A nullable string, copied.
    pub(crate) fn nullable_string(
        &mut self,
        what: &'static str,
    ) -> Result<Option<Arc<str>>, DecodeError> {
        Ok(self.nullable_str(what)?.map(Arc::from))
    }

    /// A nullable error message of the peer, in printable form and truncated: it may be kept for each record, and is
    /// logged. `None` if it is empty, since some brokers send an empty message instead of none.
    pub(crate) fn error_text(
        &mut self,
        what: &'static str,
    ) -> Result<Option<Arc<str>>, DecodeError> {
        let text = self.nullable_str(what)?.filter(|text| !text.is_empty());
        Ok(text.map(|text| Arc::from(&*printable_start(text))))
    }

    /// A nullable byte string, which shares the frame's memory (zero-copy).
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

    /// A byte string, which shares the frame's memory (zero-copy).
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<Bytes, DecodeError> {
        let begin = self.at;
        self.nullable_bytes(what)?.ok_or(DecodeError {
            kind: DecodeErrorKind::Null,
            what,
            at: begin,
        })
    }

    /// The number of elements of an array; `None` for null. Each element has at least `least` bytes.
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

    /// A nullable array.
    ///
    /// `least` is the smallest encoded size of an element (not zero): a count that exceeds the rest of the frame is an
    /// error before anything is allocated.
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

    /// An array of 32-bit numbers, appended to `into`.
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

    /// Skips the tagged fields at the end of a structure, in a flexible version.
    pub(crate) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        // The count needs no check: a count that is too large fails at the first missing field.
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
    fn the_capacity_reserved_for_an_array_does_not_grow_with_its_untrusted_count() {
        assert_eq!(room_for::<i32>(3), 3);
        assert_eq!(room_for::<[u8; 96]>(3), 3);
        for count in [100_000, 25_000_000, i32::MAX as usize] {
            assert!(room_for::<[u8; 96]>(count) * 96 <= UNREAD_ROOM_BYTES);
        }
    }
}
