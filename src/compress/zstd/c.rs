//! Zstandard backend: the C library.

use zstd::bulk::Compressor;
use zstd::zstd_safe::{DCtx, compress_bound, get_error_name, get_frame_content_size};

use super::{DEFAULT_LEVEL, DecompressFailure, corrupt, decompress_with_growing_buffer, failed};
use crate::compress::blocks::in_one_piece;
use crate::compress::encoder::Encoder;
use crate::compress::error::{CompressError, DecompressError};
use crate::types::Magic;

/// The library's error code `ZSTD_error_dstSize_tooSmall`; error codes are part of its stable interface.
const TOO_SMALL: usize = 0_usize.wrapping_sub(70);

/// Zstandard encoder: one frame per batch.
pub(in crate::compress) struct ZstdEncoder {
    compressor: Compressor<'static>,
    /// Buffer for a batch in several parts.
    batch: Vec<u8>,
    /// Output buffer.
    frame: Vec<u8>,
}

impl ZstdEncoder {
    pub(in crate::compress) fn new(level: Option<i32>) -> Result<Self, CompressError> {
        let compressor = Compressor::new(level.unwrap_or(DEFAULT_LEVEL)).map_err(failed)?;
        Ok(Self {
            compressor,
            batch: Vec::new(),
            frame: Vec::new(),
        })
    }
}

impl Encoder for ZstdEncoder {
    fn encode(
        &mut self,
        _magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let batch = in_one_piece(parts, &mut self.batch);
        self.frame.clear();
        // With capacity for the worst case the library needs no internal output buffer.
        self.frame.reserve(compress_bound(batch.len()));
        self.compressor
            .compress_to_buffer(batch, &mut self.frame)
            .map_err(failed)?;
        out.extend_from_slice(&self.frame);
        Ok(())
    }
}

/// Decompresses one or more frames.
pub(in crate::compress) fn decode(
    compressed: &[u8],
    limit_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    // An invalid header is ignored here: the decoder reports it.
    let content_size = get_frame_content_size(compressed).unwrap_or(None);
    let mut context = DCtx::try_create().ok_or_else(|| corrupt("no memory to read it"))?;
    decompress_with_growing_buffer(compressed, content_size, limit_bytes, |capacity| {
        let mut out = Vec::with_capacity(capacity);
        match context.decompress(&mut out, compressed) {
            Ok(_) => Ok(out),
            Err(TOO_SMALL) => Err(DecompressFailure::BufferTooSmall),
            Err(code) => Err(DecompressFailure::Corrupt(get_error_name(code).to_owned())),
        }
    })
}
