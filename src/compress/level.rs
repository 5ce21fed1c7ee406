//! How hard a codec tries.

use std::fmt;

use super::CompressionType;

/// The level of `compression.lz4.level` that stands for LZ4's quick compressor.
const LZ4_QUICK: i32 = 9;

/// Whether this build compresses with the codec at that level. Ranges are Kafka's business and checked
/// with the configuration; this is about what is left of them here.
///
/// # Errors
/// If it cannot, with the reason.
///
/// # Kafka
/// `Lz4BlockOutputStream`: level 9, the default, is LZ4's quick compressor, and each other level is one
/// of the high-compression kind.
pub(crate) fn check_level(codec: CompressionType, level: i32) -> Result<(), LevelError> {
    match codec {
        CompressionType::Lz4 if level != LZ4_QUICK => Err(LevelError {
            problem: "lz4 is compressed at one level here, which Kafka calls 9: the others belong to a \
                      slower compressor that this library does not have",
            remedy: "Leave the key out, or set compression.type=zstd for smaller batches",
        }),
        _ => Ok(()),
    }
}

/// A level that is good for Kafka and cannot be had here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelError {
    pub(crate) problem: &'static str,
    pub(crate) remedy: &'static str,
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem)
    }
}

impl std::error::Error for LevelError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_level_that_kafka_calls_9_can_be_had_of_lz4() {
        assert_eq!(check_level(CompressionType::Lz4, 9), Ok(()));
        for level in [1, 8, 10, 17] {
            assert!(check_level(CompressionType::Lz4, level).is_err());
        }
        assert_eq!(check_level(CompressionType::Gzip, 1), Ok(()));
    }
}
