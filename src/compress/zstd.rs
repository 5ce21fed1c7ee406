//! Zstandard: one frame for each batch, made in one call.
//!
//! Knowing the whole batch, an encoder sizes its tables by it: under 300 KiB for one of 16 KiB, where one
//! that is fed piece by piece holds 800. The frame then also tells how much is in it, which Java's does not, and
//! saves its readers the window.
//!
//! There are two backends: the C library, and one in Rust for builds without a C compiler. Where both
//! are built the C library is used.

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

/// Kafka's default, and Zstandard's.
const DEFAULT_LEVEL: i32 = 3;
/// How much is expected in a frame that does not tell, for each compressed byte.
const USUAL_RATIO: usize = 8;
/// How much at most is made room for at once because a frame tells so, for each compressed byte.
const BELIEVED_RATIO: usize = 64;

/// Why a frame was not uncompressed into some room.
enum Refusal {
    /// There is more in it.
    NoRoom,
    /// It is not good, for this reason.
    Corrupt(String),
}

/// Uncompresses with `attempt`, which is given room for so many bytes, and given more until it suffices
/// or has `limit_bytes`.
///
/// A frame may ask its reader for a window of 128 MiB however little is in it, as those of Java's
/// highest level do. Where all of the output stands in one buffer, that is the window.
fn in_growing_room(
    compressed: &[u8],
    told: Option<u64>,
    limit_bytes: usize,
    mut attempt: impl FnMut(usize) -> Result<Vec<u8>, Refusal>,
) -> Result<Vec<u8>, DecompressError> {
    if compressed.is_empty() {
        // Java writes no frame where there is nothing to put into it.
        return Ok(Vec::new());
    }
    let too_large = DecompressError::TooLarge { limit_bytes };
    let per_byte = |ratio| compressed.len().saturating_mul(ratio);
    let mut room = match told {
        Some(told) if told > limit_bytes as u64 => return Err(too_large),
        Some(told) => (told as usize).min(per_byte(BELIEVED_RATIO)),
        None => per_byte(USUAL_RATIO).min(limit_bytes),
    };
    loop {
        match attempt(room) {
            Ok(out) if out.len() <= limit_bytes => return Ok(out),
            Err(Refusal::NoRoom) if room < limit_bytes => {
                room = room.saturating_mul(2).clamp(1, limit_bytes);
            }
            Ok(_) | Err(Refusal::NoRoom) => return Err(too_large),
            Err(Refusal::Corrupt(reason)) => return Err(corrupt(reason)),
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
