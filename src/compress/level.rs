//! Compression levels.

use std::fmt;

use super::CompressionType;

/// The level of `compression.lz4.level` that selects LZ4's fast compressor.
const LZ4_QUICK: i32 = 9;

/// Checks that this build supports the codec at this level. Kafka's range is validated with the configuration; some
/// levels in that range are not implemented here.
///
/// # Errors
/// The level is not supported, with the reason.
///
/// # Kafka
/// `Lz4BlockOutputStream`: level 9, the default, is LZ4's fast compressor; every other level is LZ4 HC (high
/// compression).
pub(crate) fn check_level(codec: CompressionType, level: i32) -> Result<(), LevelError> {
    match codec {
        CompressionType::Lz4 if level != LZ4_QUICK => Err(LevelError {
            problem: "this library compresses lz4 only at level 9: all other levels need LZ4 HC, a slower \
                      compressor that it does not include",
            remedy: "Leave the key out, or set compression.type=zstd for smaller batches",
        }),
        _ => Ok(()),
    }
}

/// Error: a valid level that is not implemented here.
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
    fn lz4_supports_only_level_9() {
        assert_eq!(check_level(CompressionType::Lz4, 9), Ok(()));
        for level in [1, 8, 10, 17] {
            assert!(check_level(CompressionType::Lz4, level).is_err());
        }
        assert_eq!(check_level(CompressionType::Gzip, 1), Ok(()));
    }
}
