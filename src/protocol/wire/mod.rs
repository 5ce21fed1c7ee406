//! The primitive types of the protocol: checked reads, and writes.
//!
//! Numbers are big-endian. Strings, byte strings and arrays come in two forms: *classic* (a fixed-width
//! length, -1 for null) and, in the "flexible" versions of a message, *compact* (an unsigned varint
//! holding the length plus one, 0 for null). Flexible structures end with tagged fields, which a reader
//! that does not know them skips. Reader and writer are told the form once per message, so that the
//! code of a message is the same for both.

mod error;
mod read;
mod write;

pub(crate) use error::{DecodeError, DecodeErrorKind, EncodeError};
pub(crate) use read::Reader;
pub(crate) use write::{Writer, Written};

/// The longest string of the protocol: what the classic form's 16 bits can count. Kafka holds the
/// compact form to it too.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// Of a longer text about an error the beginning is kept. Those of brokers have a line or two.
const MAX_ERROR_TEXT_BYTES: usize = 1024;
