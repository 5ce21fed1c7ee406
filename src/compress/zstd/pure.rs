//! Zstandard backend: pure Rust.

use std::cell::RefCell;

use structured_zstd::decoding::errors::{
    DecodeBlockContentError, DecodeBufferError, DecompressBlockError, ErrorCode,
    ExecuteSequencesError, FrameDecoderError,
};
use structured_zstd::decoding::{FrameContentSize, FrameDecoder, read_frame_content_size};
use structured_zstd::encoding::{CompressionLevel, FrameCompressor};

use super::{DEFAULT_LEVEL, DecompressFailure, decompress_with_growing_buffer};
use crate::compress::blocks::in_one_piece;
use crate::compress::encoder::Encoder;
use crate::compress::error::{CompressError, DecompressError};
use crate::types::Magic;

thread_local! {
    /// The compression context that this thread used last, and its level. Thread-local, since a context is not `Send`.
    static CONTEXT: RefCell<Option<(i32, FrameCompressor)>> = const { RefCell::new(None) };
}

/// Zstandard encoder: one frame per batch.
pub(in crate::compress) struct ZstdEncoder {
    level: i32,
    /// Buffer for a batch in several parts.
    batch: Vec<u8>,
    /// Output buffer, since the backend overwrites its output buffer instead of appending to it.
    frame: Vec<u8>,
}

impl ZstdEncoder {
    #[allow(
        clippy::unnecessary_wraps,
        reason = "the other backend may fail to allocate its context"
    )]
    pub(in crate::compress) fn new(level: Option<i32>) -> Result<Self, CompressError> {
        Ok(Self {
            level: level.unwrap_or(DEFAULT_LEVEL),
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
        // A thread whose thread-locals are destroyed already uses a new context.
        let kept = CONTEXT.try_with(RefCell::take).ok().flatten();
        let mut context = kept
            .filter(|(level, _)| *level == self.level)
            .unwrap_or_else(|| {
                let level = CompressionLevel::from_level(self.level);
                (self.level, FrameCompressor::new(level))
            });
        context
            .1
            .compress_independent_frame_into(batch, &mut self.frame);
        let _ = CONTEXT.try_with(|kept| kept.replace(Some(context)));
        out.extend_from_slice(&self.frame);
        Ok(())
    }
}

/// Decompresses one or more frames.
pub(in crate::compress) fn decode(
    compressed: &[u8],
    limit_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    // An invalid header is ignored here: the decoder reports it. The decoder also skips skippable frames.
    let content_size = match read_frame_content_size(compressed) {
        Ok(FrameContentSize::Known(size)) => Some(size),
        _ => None,
    };
    let mut decoder = FrameDecoder::new();
    decompress_with_growing_buffer(compressed, content_size, limit_bytes, |capacity| {
        let mut out = vec![0; capacity];
        match decoder.decode_all(compressed, &mut out) {
            Ok(len) => {
                out.truncate(len);
                Ok(out)
            }
            Err(error) if is_output_buffer_too_small(&error) => {
                Err(DecompressFailure::BufferTooSmall)
            }
            Err(error) => Err(DecompressFailure::Corrupt(error.to_string())),
        }
    })
}

/// Whether decoding failed because the output buffer is too small. The backend has an error code for that only at the
/// end of a block; within a block it reports an error of the block.
fn is_output_buffer_too_small(error: &FrameDecoderError) -> bool {
    let FrameDecoderError::FailedToReadBlockBody(block) = error else {
        return error.code() == ErrorCode::DstSizeTooSmall;
    };
    match block {
        DecodeBlockContentError::BackendOverflow { .. } => true,
        DecodeBlockContentError::DecompressBlockError(
            DecompressBlockError::ExecuteSequencesError(sequences),
        ) => matches!(
            sequences,
            ExecuteSequencesError::OutputBufferOverflow { .. }
                | ExecuteSequencesError::DecodebufferError(
                    DecodeBufferError::OutputBufferOverflow { .. }
                )
        ),
        _ => false,
    }
}
