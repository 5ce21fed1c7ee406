//! What can be wrong with a message set.

use std::fmt;

use crate::compress::DecompressError;

/// Why bytes are not a good message set: which message, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetError {
    /// Where the message begins among the messages it stands with.
    pub(crate) at_byte: usize,
    /// Where the wrapper begins that it stands in, if it does.
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

    /// The same of a message inside a wrapper.
    pub(super) fn inside(self, wrapper_at_byte: usize) -> Self {
        Self {
            wrapper_at_byte: Some(wrapper_at_byte),
            ..self
        }
    }
}

/// Why bytes are not a good message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// The bytes end before the message does.
    Truncated { needed: usize, available: usize },
    /// The length field is smaller than a message, or negative.
    InvalidLength(i32),
    /// A format that has no messages.
    UnsupportedMagic(i8),
    /// The bytes are not those the checksum was made for.
    Checksum { stored: u32, computed: u32 },
    /// A length that is negative, or larger than what is left.
    Field {
        field: &'static str,
        length: i32,
        available: usize,
    },
    /// The message's fields are shorter than its length says.
    Unused(usize),
    /// No codec of these formats has this number.
    Codec(u8),
    /// A wrapper has no value, or no messages in it.
    EmptyWrapper,
    /// What is in a wrapper cannot be uncompressed.
    Decompress(DecompressError),
    /// A wrapper stands in a wrapper.
    Nested,
    /// A message is of another format than its wrapper.
    MixedMagic,
    /// A wrapper has a smaller offset than the last message in it.
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
        Some(&self.problem)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => {
                write!(f, "{needed} bytes are needed, there are {available}")
            }
            Self::InvalidLength(length) => write!(f, "{length} is no length of a message"),
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
