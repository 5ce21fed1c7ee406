//! Zstandard backend: pure Rust.

use std::cell::RefCell;

use structured_zstd::decoding::errors::{
    DecodeBlockContentError, DecodeBufferError, DecompressBlockError, ErrorCode,
    ExecuteSequencesError, FrameDecoderError,
};
use structured_zstd::decoding::{FrameContentSize, FrameDecoder, read_frame_content_size};
use structured_zstd::encoding::{CompressionLevel, FrameCompressor};

use super::{DEFAULT_LEVEL, DecompressFailure, in_growing_room};
use crate::compress::blocks::in_one_piece;
use crate::compress::encoder::Encoder;
use crate::compress::error::{CompressError, DecompressError};
use crate::types::Magic;

thread_local! {
    /// The backend's context, which is not `Send`: each thread keeps its last one, with its level.
    static CONTEXT: RefCell<Option<(i32, FrameCompressor)>> = const { RefCell::new(None) };
}

/// Zstandard encoder: one frame per batch.
pub(in crate::compress) struct ZstdEncoder {
    level: i32,
    /// Buffer for a batch in several parts.
    batch: Vec<u8>,
    /// Output buffer: the backend cannot append to another.
    frame: Vec<u8>,
}

impl ZstdEncoder {
    #[allow(
        clippy::unnecessary_wraps,
        reason = "the other backend may fail to get its memory"
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
    // An invalid header is ignored here: the decoder reports it. It also handles skippable frames.
    let told = match read_frame_content_size(compressed) {
        Ok(FrameContentSize::Known(size)) => Some(size),
        _ => None,
    };
    let mut decoder = FrameDecoder::new();
    in_growing_room(compressed, told, limit_bytes, |room| {
        let mut out = vec![0; room];
        match decoder.decode_all(compressed, &mut out) {
            Ok(len) => {
                out.truncate(len);
                Ok(out)
            }
            Err(error) if is_for_want_of_room(&error) => Err(DecompressFailure::NoRoom),
            Err(error) => Err(DecompressFailure::Corrupt(error.to_string())),
        }
    })
}

/// Whether the error is a too small output buffer. The backend has an error code for it only at the end of a block;
/// within a block it reports an error of the block.
fn is_for_want_of_room(error: &FrameDecoderError) -> bool {
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
