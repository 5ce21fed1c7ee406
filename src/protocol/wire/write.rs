//! Encoding: fields are copied into one vector; shared buffers in between are referenced.

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::{EncodeError, MAX_STRING_BYTES};
use crate::util::varint::put_unsigned;

/// The encoded message: copied bytes, and references to shared buffers.
#[derive(Debug)]
pub(crate) struct WrittenFrame {
    /// The copied bytes.
    pub(crate) own: Vec<u8>,
    /// The shared buffers, each with the number of copied bytes before it.
    pub(crate) shared: Vec<(usize, Bytes)>,
}

/// Encodes the fields of a message, in order.
///
/// The first error is stored, and returned by [`finish`](Self::finish).
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    shared: Vec<(usize, Bytes)>,
    flexible: bool,
    error: Option<EncodeError>,
}

impl Writer {
    /// A writer with capacity for `bytes` copied bytes and `shared` buffers, set to the classic encoding.
    pub(crate) fn with_capacity(bytes: usize, shared: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
            shared: Vec::with_capacity(shared),
            ..Self::default()
        }
    }

    /// Sets the encoding: flexible (compact strings and arrays, tagged fields), or classic.
    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Stores the error with which encoding fails; the first one stays.
    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    /// The encoded message, or the first error.
    pub(crate) fn finish(self) -> Result<WrittenFrame, EncodeError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(WrittenFrame {
                own: self.out,
                shared: self.shared,
            }),
        }
    }

    /// A boolean: one byte, 1 for true.
    pub(crate) fn put_bool(&mut self, value: bool) {
        self.out.push(value.into());
    }

    /// A signed 8-bit number.
    pub(crate) fn put_i8(&mut self, value: i8) {
        self.out.push(value as u8);
    }

    /// A signed 16-bit number.
    pub(crate) fn put_i16(&mut self, value: i16) {
        let mut bytes = [0; 2];
        BigEndian::write_i16(&mut bytes, value);
        self.out.extend_from_slice(&bytes);
    }

    /// A signed 32-bit number.
    pub(crate) fn put_i32(&mut self, value: i32) {
        let mut bytes = [0; 4];
        BigEndian::write_i32(&mut bytes, value);
        self.out.extend_from_slice(&bytes);
    }

    /// A signed 64-bit number.
    pub(crate) fn put_i64(&mut self, value: i64) {
        let mut bytes = [0; 8];
        BigEndian::write_i64(&mut bytes, value);
        self.out.extend_from_slice(&bytes);
    }

    /// A UUID's sixteen bytes.
    pub(crate) fn put_uuid(&mut self, uuid: [u8; 16]) {
        self.out.extend_from_slice(&uuid);
    }

    /// Raw bytes without a length, copied.
    pub(crate) fn put_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Raw bytes without a length, referenced (zero-copy).
    pub(crate) fn put_shared(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.shared.push((self.out.len(), bytes));
        }
    }

    /// The length of a byte string or array; `None` for null.
    pub(crate) fn put_length(&mut self, len: Option<usize>, what: &'static str) {
        match len.map(i32::try_from) {
            None if self.flexible => self.out.push(0),
            None => self.put_i32(-1),
            Some(Ok(len)) if self.flexible => put_unsigned(&mut self.out, len as u32 + 1),
            Some(Ok(len)) => self.put_i32(len),
            Some(Err(_)) => self.fail(EncodeError::TooLong { what }),
        }
    }

    /// A nullable string.
    pub(crate) fn put_nullable_str(&mut self, value: Option<&str>, what: &'static str) {
        let Some(value) = value else {
            if self.flexible {
                self.out.push(0);
            } else {
                self.put_i16(-1);
            }
            return;
        };
        if value.len() > MAX_STRING_BYTES {
            self.fail(EncodeError::TooLong { what });
            return;
        }
        if self.flexible {
            put_unsigned(&mut self.out, value.len() as u32 + 1);
        } else {
            self.put_i16(value.len() as i16);
        }
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A string.
    pub(crate) fn put_str(&mut self, value: &str, what: &'static str) {
        self.put_nullable_str(Some(value), what);
    }

    /// A byte string, copied.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8], what: &'static str) {
        self.put_length(Some(bytes.len()), what);
        self.put_raw(bytes);
    }

    /// An array.
    pub(crate) fn put_array<T>(
        &mut self,
        elements: &[T],
        what: &'static str,
        mut element: impl FnMut(&mut Self, &T),
    ) {
        self.put_length(Some(elements.len()), what);
        for each in elements {
            element(self, each);
        }
    }

    /// An array of 32-bit numbers.
    pub(crate) fn put_i32_array(&mut self, numbers: &[i32], what: &'static str) {
        self.put_array(numbers, what, |w, number| w.put_i32(*number));
    }

    /// The end of a structure: an empty list of tagged fields, in a flexible version.
    pub(crate) fn put_no_tags(&mut self) {
        if self.flexible {
            self.out.push(0);
        }
    }
}
