//! Compressor: one codec at one level, with a pool of encoders shared by all threads of a producer.

use std::fmt;

use super::CompressionType;
use super::encoder::Encoder;
use super::error::{CompressError, FeatureMissing};
use crate::sync::Idle;
use crate::types::Magic;

/// Compresses batches with one codec at one level.
///
/// # Threads
/// May be used by any number of threads concurrently. Each call takes an encoder from a pool, and holds no lock while
/// it compresses.
pub(crate) struct Compressor {
    codec: CompressionType,
    level: Option<i32>,
    /// Idle encoders. An encoder holds 20 KiB to some hundred KiB.
    idle: Idle<Box<dyn Encoder>>,
}

impl Compressor {
    /// A compressor for a level that was validated before; `None` is the codec's default. Allocates nothing before the
    /// first batch.
    ///
    /// # Errors
    /// The codec is not compiled in.
    pub(crate) fn new(codec: CompressionType, level: Option<i32>) -> Result<Self, FeatureMissing> {
        super::available(codec)?;
        Ok(Self {
            codec,
            level,
            idle: Idle::new(),
        })
    }

    pub(crate) fn codec(&self) -> CompressionType {
        self.codec
    }

    #[cfg(test)]
    pub(super) fn idle_encoders(&self) -> usize {
        self.idle.count()
    }

    /// Compresses the concatenated parts, and appends the result to `out`. `magic` matters to lz4 only, whose header
    /// checksum differs in magic 0.
    ///
    /// # Errors
    /// The codec fails; `out` is then unchanged.
    pub(crate) fn compress(
        &self,
        magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let mut encoder = match self.idle.take() {
            Some(encoder) => encoder,
            None => encoder(self.codec, self.level)?,
        };
        let before = out.len();
        let outcome = encoder.encode(magic, parts, out);
        match outcome {
            Ok(()) => self.idle.put(encoder),
            // The encoder's state is unknown after an error: it is dropped, not returned to the pool.
            Err(_) => out.truncate(before),
        }
        outcome
    }
}

/// A codec's encoder, which keeps its buffers between batches.
fn encoder(codec: CompressionType, level: Option<i32>) -> Result<Box<dyn Encoder>, CompressError> {
    // Only some codecs use the level, and their features may be off.
    let _ = level;
    Ok(match codec {
        CompressionType::None => Box::new(Plain),
        #[cfg(feature = "gzip")]
        CompressionType::Gzip => Box::new(super::gzip::GzipEncoder::new(level)),
        #[cfg(feature = "snappy")]
        CompressionType::Snappy => Box::new(super::snappy::SnappyEncoder::new()),
        #[cfg(feature = "lz4")]
        CompressionType::Lz4 => Box::new(super::lz4::Lz4Encoder::new()),
        #[cfg(any(feature = "zstd", feature = "zstd-pure"))]
        CompressionType::Zstd => Box::new(super::zstd::ZstdEncoder::new(level)?),
        #[allow(unreachable_patterns, reason = "reached where a feature is off")]
        _ => return Err(CompressError::new(codec, FeatureMissing::of(codec))),
    })
}

/// Encoder of the codec `none`: copies its input.
struct Plain;

impl Encoder for Plain {
    fn encode(
        &mut self,
        _magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        for part in parts {
            out.extend_from_slice(part);
        }
        Ok(())
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("codec", &self.codec)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
