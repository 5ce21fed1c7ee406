//! Why bytes could not be read as a message, or a message not written as bytes.

use std::fmt;

/// What is wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeErrorKind {
    /// The message ends inside the field.
    Truncated,
    /// A length or a count is negative, larger than the type allows, or not a varint.
    BadLength,
    /// A length or a count is larger than what is left of the message could hold.
    PastEnd,
    /// The field is null and may not be.
    Null,
    /// A string is not UTF-8.
    NotUtf8,
    /// No request of this number is known here.
    #[cfg(any(test, feature = "testing"))]
    UnknownApi(i16),
    /// This version of the message is not known here.
    UnknownVersion(i16),
}

/// Bytes that are no message of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecodeError {
    pub(crate) kind: DecodeErrorKind,
    /// The field that could not be read.
    pub(crate) what: &'static str,
    /// Where the field begins, in bytes from the beginning of the frame.
    pub(crate) at: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, at, .. } = self;
        match self.kind {
            DecodeErrorKind::Truncated => write!(f, "the message ends inside {what}")?,
            DecodeErrorKind::BadLength => write!(f, "{what} has an impossible length")?,
            DecodeErrorKind::PastEnd => write!(f, "{what} is longer than the message")?,
            DecodeErrorKind::Null => write!(f, "{what} is null, which it may not be")?,
            DecodeErrorKind::NotUtf8 => write!(f, "{what} is not UTF-8")?,
            #[cfg(any(test, feature = "testing"))]
            DecodeErrorKind::UnknownApi(key) => write!(f, "{what} {key} is not known")?,
            DecodeErrorKind::UnknownVersion(version) => {
                write!(f, "version {version} of {what} is not known")?;
            }
        }
        write!(f, " (at byte {at})")
    }
}

impl std::error::Error for DecodeError {}

/// A message that cannot be written in the chosen version.
///
/// # Kafka
/// `UnsupportedVersionException`, when it is thrown while a request is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodeError {
    /// There is no such version of the message.
    UnknownVersion { what: &'static str, version: i16 },
    /// The version has no place for a field that is set.
    UnsupportedField { what: &'static str, version: i16 },
    /// A string is longer than the protocol can carry.
    TooLong { what: &'static str },
    /// The whole message is.
    FrameTooLarge,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion { what, version } => {
                write!(f, "there is no version {version} of {what}")
            }
            Self::UnsupportedField { what, version } => {
                write!(f, "version {version} of the request cannot carry {what}")
            }
            Self::TooLong { what } => write!(f, "{what} is too long to be sent"),
            Self::FrameTooLarge => write!(f, "the message is larger than 2 GiB"),
        }
    }
}

impl std::error::Error for EncodeError {}
