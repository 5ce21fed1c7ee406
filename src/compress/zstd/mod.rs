//! Zstandard codec: one frame per batch, compressed in one call.
//!
//! An encoder that gets the whole batch sizes its tables accordingly: less than 300 KiB for a batch of 16 KiB, whereas
//! a streaming encoder holds 800 KiB. The frame also contains its content size, which Java's frames do not contain, so
//! that readers need no window buffer.
//!
//! There are two backends: the C library, and one in pure Rust for builds without a C compiler. If both are compiled
//! in, the C library is used.

#[cfg(feature = "zstd")]
mod c;
#[cfg(all(feature = "zstd-pure", any(test, not(feature = "zstd"))))]
pub(super) mod pure;

use std::fmt::Display;

#[cfg(feature = "zstd")]
pub(super) use c::{ZstdEncoder, decode};
#[cfg(not(feature = "zstd"))]
pub(super) use pure::{ZstdEncoder, decode};

use super::CompressionType;
use super::error::{CompressError, DecompressError};

/// Default level, of Kafka and of Zstandard.
const DEFAULT_LEVEL: i32 = 3;
/// Ratio by which the output buffer is sized at first, if the frame has no content size.
const USUAL_RATIO: usize = 8;
/// Limit on the first size of the output buffer, as a ratio: the frame's content size is untrusted.
const BELIEVED_RATIO: usize = 64;

/// Why a frame was not decompressed.
enum DecompressFailure {
    /// The output buffer is too small.
    BufferTooSmall,
    /// The frame is invalid, for this reason.
    Corrupt(String),
}

/// Decompresses with an output buffer of growing size: calls `attempt` with a capacity, and doubles the capacity until
/// the buffer suffices or `limit_bytes` is reached.
///
/// The whole output is in one buffer, which serves as the window. A streaming decoder would have to allocate the window
/// that the frame declares, which may be 128 MiB even for little content, as with Java's highest level.
fn decompress_with_growing_buffer(
    compressed: &[u8],
    content_size: Option<u64>,
    limit_bytes: usize,
    mut attempt: impl FnMut(usize) -> Result<Vec<u8>, DecompressFailure>,
) -> Result<Vec<u8>, DecompressError> {
    if compressed.is_empty() {
        // For an empty batch Java writes no frame at all.
        return Ok(Vec::new());
    }
    let too_large = DecompressError::TooLarge { limit_bytes };
    let per_byte = |ratio| compressed.len().saturating_mul(ratio);
    let mut capacity = match content_size {
        Some(size) if size > limit_bytes as u64 => return Err(too_large),
        Some(size) => (size as usize).min(per_byte(BELIEVED_RATIO)),
        None => per_byte(USUAL_RATIO).min(limit_bytes),
    };
    loop {
        match attempt(capacity) {
            Ok(out) if out.len() <= limit_bytes => return Ok(out),
            Err(DecompressFailure::BufferTooSmall) if capacity < limit_bytes => {
                capacity = capacity.saturating_mul(2).clamp(1, limit_bytes);
            }
            Ok(_) | Err(DecompressFailure::BufferTooSmall) => return Err(too_large),
            Err(DecompressFailure::Corrupt(reason)) => return Err(corrupt(reason)),
        }
    }
}

#[allow(dead_code, reason = "one of the backends cannot fail")]
fn failed(reason: impl Display) -> CompressError {
    CompressError::new(CompressionType::Zstd, reason)
}

fn corrupt(reason: impl Display) -> DecompressError {
    DecompressError::corrupt(CompressionType::Zstd, reason)
}
