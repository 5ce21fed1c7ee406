//! Encoding and decoding of the protocol's primitive types.
//!
//! Numbers are big-endian. Strings, byte strings and arrays have two encodings: *classic* (a fixed-width length, -1 for
//! null), and in flexible versions of a message *compact* (an unsigned varint: length plus one, 0 for null). Flexible
//! structures end with tagged fields; unknown ones are skipped. Reader and writer are set to an encoding once per
//! message, so the code of a message is the same for both.

mod error;
mod read;
mod write;

pub(crate) use error::{DecodeError, DecodeErrorKind, EncodeError};
pub(crate) use read::Reader;
pub(crate) use write::{Writer, WrittenFrame};

/// Maximum size of a string, in bytes: the limit of the classic encoding's 16-bit length, which Kafka applies to
/// compact strings, too.
const MAX_STRING_BYTES: usize = i16::MAX as usize;
