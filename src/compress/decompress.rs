//! Decompression of untrusted bytes.

use super::CompressionType;
use super::error::{DecompressError, FeatureMissing};
use crate::types::Magic;

/// Decompresses `bytes`. Memory stays below twice `limit_bytes` plus a few MiB, whatever sizes the input claims.
///
/// # Errors
/// [`DecompressError`] if the bytes are invalid, decompress to more than `limit_bytes`, or the codec is not compiled
/// in.
pub(crate) fn decompress(
    codec: CompressionType,
    magic: Magic,
    compressed: &[u8],
    limit_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    // Only lz4 uses it, and its feature may be off.
    let _ = magic;
    match codec {
        CompressionType::None if compressed.len() <= limit_bytes => Ok(compressed.to_vec()),
        CompressionType::None => Err(DecompressError::TooLarge { limit_bytes }),
        #[cfg(feature = "gzip")]
        CompressionType::Gzip => super::gzip::decode(compressed, limit_bytes),
        #[cfg(feature = "snappy")]
        CompressionType::Snappy => super::snappy::decode(compressed, limit_bytes),
        #[cfg(feature = "lz4")]
        CompressionType::Lz4 => super::lz4::decode(magic, compressed, limit_bytes),
        #[cfg(any(feature = "zstd", feature = "zstd-pure"))]
        CompressionType::Zstd => super::zstd::decode(compressed, limit_bytes),
        #[allow(unreachable_patterns, reason = "reached where a feature is off")]
        _ => Err(FeatureMissing::of(codec).into()),
    }
}
