//! One codec at one level, for all threads of a producer.

use std::fmt;

use super::CompressionType;
use super::encoder::Encoder;
use super::error::{CompressError, FeatureMissing};
use crate::sync::Idle;
use crate::types::Magic;

/// Compresses batches with one codec at one level.
///
/// # Threads
/// Any number at once. Each takes an encoder out of a pool, so that no lock is held while it compresses.
pub(crate) struct Compressor {
    codec: CompressionType,
    level: Option<i32>,
    /// An encoder holds 20 KiB to some hundred.
    idle: Idle<Box<dyn Encoder>>,
}

impl Compressor {
    /// A compressor for a level that was checked before; `None` is the codec's default. Takes no memory
    /// before the first batch.
    ///
    /// # Errors
    /// If the codec was left out when the library was built.
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

    /// Compresses the parts as if they stood back to back, and appends the result to `out`. The format
    /// of the records matters to lz4.
    ///
    /// # Errors
    /// If the codec fails; `out` is then as it was.
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
            // Its state is unknown: dropped.
            Err(_) => out.truncate(before),
        }
        outcome
    }
}

/// A codec's encoder, with memory of its own.
fn encoder(codec: CompressionType, level: Option<i32>) -> Result<Box<dyn Encoder>, CompressError> {
    // Of use to some codecs only, each of which is a feature.
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

/// The codec `none`.
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
