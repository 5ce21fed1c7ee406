//! Errors of reading a message set.

use std::fmt;

use crate::compress::DecompressError;

/// Error of a message set: which message is invalid, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetError {
    /// Offset of the message in its set, in bytes.
    pub(crate) at_byte: usize,
    /// Offset of the message's wrapper, in bytes, if it is an inner message.
    pub(crate) wrapper_at_byte: Option<usize>,
    pub(crate) problem: MessageError,
}

impl SetError {
    pub(super) fn at(at_byte: usize, problem: MessageError) -> Self {
        Self {
            at_byte,
            wrapper_at_byte: None,
            problem,
        }
    }

    /// The same error, of an inner message whose wrapper is at `wrapper_at_byte`.
    pub(super) fn inside(self, wrapper_at_byte: usize) -> Self {
        Self {
            wrapper_at_byte: Some(wrapper_at_byte),
            ..self
        }
    }
}

/// Why bytes are not a valid message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// The bytes end before the message does.
    Truncated { needed: usize, available: usize },
    /// The length field is negative, or smaller than a message.
    InvalidLength(i32),
    /// The magic is neither 0 nor 1.
    UnsupportedMagic(i8),
    /// The checksum does not match: the bytes are corrupt.
    Checksum { stored: u32, computed: u32 },
    /// A key's or value's length is negative, or exceeds the rest of the message.
    Field {
        field: &'static str,
        length: i32,
        available: usize,
    },
    /// The message's fields are shorter than its length field states.
    Unused(usize),
    /// Unknown codec id, or zstd, which message sets do not have.
    Codec(u8),
    /// A wrapper without value, or without inner messages.
    EmptyWrapper,
    /// A wrapper's value cannot be decompressed.
    Decompress(DecompressError),
    /// A wrapper inside a wrapper.
    Nested,
    /// An inner message whose magic is not its wrapper's.
    MixedMagic,
    /// A wrapper's offset is below that of its last inner message.
    WrapperOffset { wrapper: i64, last_inside: i64 },
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message at byte {}", self.at_byte)?;
        if let Some(wrapper) = self.wrapper_at_byte {
            write!(f, " in the wrapper at byte {wrapper}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for SetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => {
                write!(f, "{needed} bytes are needed, there are {available}")
            }
            Self::InvalidLength(length) => write!(f, "{length} is not a valid message length"),
            Self::UnsupportedMagic(magic) => {
                write!(f, "format {magic} where 0 or 1 was expected")
            }
            Self::Checksum { stored, computed } => {
                write!(
                    f,
                    "checksum {stored:#010x} stored, {computed:#010x} computed"
                )
            }
            Self::Field {
                field,
                length,
                available,
            } => write!(
                f,
                "{field} of length {length} where {available} bytes are left"
            ),
            Self::Unused(count) => write!(f, "{count} bytes follow its value"),
            Self::Codec(codec) => write!(f, "no codec of this format has the number {codec}"),
            Self::EmptyWrapper => f.write_str("a compressed message with no messages in it"),
            Self::Decompress(error) => error.fmt(f),
            Self::Nested => f.write_str("a compressed message in a compressed message"),
            Self::MixedMagic => f.write_str("another format than that of its wrapper"),
            Self::WrapperOffset {
                wrapper,
                last_inside,
            } => write!(
                f,
                "its offset {wrapper} is below {last_inside}, that of the last message in it"
            ),
        }
    }
}

impl std::error::Error for MessageError {}
