//! From compressed bytes of unknown origin to records.

use super::CompressionType;
use super::error::{DecompressError, FeatureMissing};
use crate::types::Magic;

/// Undoes a codec. Memory stays below `limit_bytes` and a constant, whatever the bytes announce.
///
/// # Errors
/// [`DecompressError`] if the bytes are not what the codec writes, if there is more than `limit_bytes`
/// in them, or if the codec was left out when the library was built.
pub(crate) fn decompress(
    codec: CompressionType,
    magic: Magic,
    compressed: &[u8],
    limit_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    let _ = magic;
    match codec {
        CompressionType::None if compressed.len() <= limit_bytes => Ok(compressed.to_vec()),
        CompressionType::None => Err(DecompressError::TooLarge { limit_bytes }),
        #[cfg(feature = "snappy")]
        CompressionType::Snappy => super::snappy::decode(compressed, limit_bytes),
        #[allow(unreachable_patterns, reason = "reached where a feature is off")]
        _ => Err(FeatureMissing::of(codec).into()),
    }
}
