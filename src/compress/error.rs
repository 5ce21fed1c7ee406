//! Errors of compression and decompression.

use std::fmt;

use super::CompressionType;

/// Error: the codec is not compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeatureMissing {
    codec: CompressionType,
}

impl FeatureMissing {
    pub(crate) fn of(codec: CompressionType) -> Self {
        Self { codec }
    }

    /// The remedy: which feature to enable.
    pub(crate) fn remedy(self) -> String {
        let name = self.codec.name();
        match self.codec {
            CompressionType::Zstd => {
                "Build kafka-producer with its feature `zstd`, or `zstd-pure` where there is no C \
                 compiler"
                    .to_owned()
            }
            _ => format!("Build kafka-producer with its feature `{name}`"),
        }
    }
}

impl fmt::Display for FeatureMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the codec {} is not part of this build", self.codec)
    }
}

impl std::error::Error for FeatureMissing {}

/// Error of compressing: a failure of the codec or of memory allocation, never of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompressError {
    codec: CompressionType,
    reason: String,
}

impl CompressError {
    #[allow(dead_code, reason = "used by codecs, each of which is a feature")]
    pub(super) fn new(codec: CompressionType, reason: impl fmt::Display) -> Self {
        Self {
            codec,
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for CompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot compress: {}", self.codec, self.reason)
    }
}

impl std::error::Error for CompressError {}

/// Error of decompressing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecompressError {
    /// The codec is not compiled in.
    Feature(FeatureMissing),
    /// The decompressed size exceeds the caller's limit.
    TooLarge { limit_bytes: usize },
    /// The compressed data is invalid.
    Corrupt {
        codec: CompressionType,
        reason: String,
    },
}

impl DecompressError {
    #[allow(dead_code, reason = "used by codecs, each of which is a feature")]
    pub(super) fn corrupt(codec: CompressionType, reason: impl fmt::Display) -> Self {
        Self::Corrupt {
            codec,
            reason: reason.to_string(),
        }
    }
}

impl From<FeatureMissing> for DecompressError {
    fn from(missing: FeatureMissing) -> Self {
        Self::Feature(missing)
    }
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature(missing) => write!(f, "{missing}"),
            Self::TooLarge { limit_bytes } => {
                write!(f, "more than {limit_bytes} bytes when uncompressed")
            }
            Self::Corrupt { codec, reason } => write!(f, "invalid {codec} data: {reason}"),
        }
    }
}

impl std::error::Error for DecompressError {}
