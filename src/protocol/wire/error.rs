//! Errors of encoding and decoding a message.

use std::fmt;

/// Kind of a decode error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeErrorKind {
    /// The message ends inside the field.
    Truncated,
    /// A length or a count is negative, larger than the type allows, or not a varint.
    BadLength,
    /// A length or a count exceeds what the rest of the message can hold.
    PastEnd,
    /// A field that is not nullable is null.
    Null,
    /// A string is not UTF-8.
    NotUtf8,
    /// Unknown API key.
    #[cfg(any(test, feature = "testing"))]
    UnknownApi(i16),
    /// Unknown version of the message.
    UnknownVersion(i16),
}

/// The bytes are not a valid message of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecodeError {
    pub(crate) kind: DecodeErrorKind,
    /// The field that could not be read.
    pub(crate) what: &'static str,
    /// Offset of the field in the frame, in bytes.
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

/// The message cannot be encoded in the chosen version.
///
/// # Kafka
/// `UnsupportedVersionException`, when it is thrown while a request is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodeError {
    /// Unknown version of the message.
    UnknownVersion { what: &'static str, version: i16 },
    /// A field is set that the version does not have.
    UnsupportedField { what: &'static str, version: i16 },
    /// A string exceeds the protocol's limit.
    TooLong { what: &'static str },
    /// The message exceeds 2 GiB.
    FrameTooLarge,
}

impl EncodeError {
    /// Whether the message could be encoded in another version, and so be sent to another broker.
    pub(crate) fn is_of_version(self) -> bool {
        match self {
            Self::UnknownVersion { .. } | Self::UnsupportedField { .. } => true,
            Self::TooLong { .. } | Self::FrameTooLarge => false,
        }
    }
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
