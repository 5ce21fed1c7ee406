//! Compression of record batches: Kafka's codecs, in Kafka's framing.
//!
//! | codec | output | crate |
//! |---|---|---|
//! | gzip | one gzip member, as `java.util.zip.GZIPOutputStream` | flate2 on zlib-rs |
//! | snappy | snappy-java's stream: a header, then blocks of 32 KiB | snap |
//! | lz4 | an LZ4 frame of independent blocks of 64 KiB, as `KafkaLZ4BlockOutputStream` | `lz4_flex` |
//! | zstd | one zstd frame | zstd, or a backend in pure Rust |
//!
//! Only this folder uses the codecs' crates. Each codec is a feature; an error names the feature of a codec that is not
//! compiled in.

mod blocks;
mod compression_type;
mod compressor;
mod decompress;
mod encoder;
mod error;
#[cfg(feature = "gzip")]
mod gzip;
mod level;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(any(feature = "zstd", feature = "zstd-pure"))]
mod zstd;

pub use compression_type::{CompressionType, UnknownCompressionType};
pub(crate) use compressor::Compressor;
pub(crate) use decompress::decompress;
pub(crate) use error::{CompressError, DecompressError, FeatureMissing};
pub(crate) use level::check_level;

/// Checks that the codec is compiled in.
///
/// # Errors
/// The codec is not compiled in.
pub(crate) fn available(codec: CompressionType) -> Result<(), FeatureMissing> {
    let available = match codec {
        CompressionType::None => true,
        CompressionType::Gzip => cfg!(feature = "gzip"),
        CompressionType::Snappy => cfg!(feature = "snappy"),
        CompressionType::Lz4 => cfg!(feature = "lz4"),
        CompressionType::Zstd => cfg!(any(feature = "zstd", feature = "zstd-pure")),
    };
    available
        .then_some(())
        .ok_or_else(|| FeatureMissing::of(codec))
}

#[cfg(test)]
mod tests;
