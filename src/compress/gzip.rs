//! gzip codec: output like that of `java.util.zip.GZIPOutputStream` (minimal header, one deflate stream, trailer).

use std::fmt::Display;
use std::io::Read;

use crc32fast::Hasher;
use flate2::bufread::MultiGzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::CompressionType;
use super::encoder::Encoder;
use super::error::{CompressError, DecompressError};
use crate::types::Magic;

/// Header: deflate; no flags, time or extra flags; operating system unknown, as Java writes since 16.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// Capacity that is reserved when the output buffer is full.
const ROOM_BYTES: usize = 4 * 1024;
/// Kafka's value for the default level.
const DEFAULT_LEVEL: i32 = -1;

/// gzip encoder.
pub(super) struct GzipEncoder {
    deflate: Compress,
}

impl GzipEncoder {
    /// An encoder for a level from 1 to 9; -1 and `None` are the default.
    pub(super) fn new(level: Option<i32>) -> Self {
        let level = match level.unwrap_or(DEFAULT_LEVEL) {
            DEFAULT_LEVEL => Compression::default(),
            // The range is validated before. Level 1 of zlib-rs trades size for speed: its output is a quarter to a
            // third larger than that of Java's zlib; level 2 of zlib-rs is smaller than Java's level 1.
            level => Compression::new(level.clamp(2, 9) as u32),
        };
        Self {
            deflate: Compress::new(level, false),
        }
    }

    /// Compresses `input` into `out`; ends the deflate stream if `flush` is `Finish`.
    fn deflate(
        &mut self,
        mut input: &[u8],
        flush: FlushCompress,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let finish = matches!(flush, FlushCompress::Finish);
        loop {
            if out.len() == out.capacity() {
                out.reserve(ROOM_BYTES);
            }
            let before = (self.deflate.total_in(), out.len());
            let status = self
                .deflate
                .compress_vec(input, out, flush)
                .map_err(failed)?;
            let taken = (self.deflate.total_in() - before.0) as usize;
            input = &input[taken..];
            let done = if finish {
                status == Status::StreamEnd
            } else {
                input.is_empty()
            };
            if done {
                return Ok(());
            }
            if taken == 0 && out.len() == before.1 && out.len() < out.capacity() {
                return Err(failed("deflate makes no progress"));
            }
        }
    }
}

impl Encoder for GzipEncoder {
    fn encode(
        &mut self,
        _magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let mut checksum = Hasher::new();
        self.deflate.reset();
        out.extend_from_slice(&HEADER);
        for part in parts.iter().filter(|part| !part.is_empty()) {
            checksum.update(part);
            self.deflate(part, FlushCompress::None, out)?;
        }
        self.deflate(&[], FlushCompress::Finish, out)?;
        out.extend_from_slice(&checksum.finalize().to_le_bytes());
        // The trailer holds the uncompressed size modulo 2^32.
        out.extend_from_slice(&(self.deflate.total_in() as u32).to_le_bytes());
        Ok(())
    }
}

/// Decompresses one or more gzip members.
///
/// # Kafka
/// `java.util.zip.GZIPInputStream`. Differs: trailing bytes that are no member are an error.
pub(super) fn decode(compressed: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    let one_too_many = (limit_bytes as u64).saturating_add(1);
    MultiGzDecoder::new(compressed)
        .take(one_too_many)
        .read_to_end(&mut out)
        .map_err(|error| DecompressError::corrupt(CompressionType::Gzip, error))?;
    if out.len() > limit_bytes {
        return Err(DecompressError::TooLarge { limit_bytes });
    }
    Ok(out)
}

fn failed(reason: impl Display) -> CompressError {
    CompressError::new(CompressionType::Gzip, reason)
}
