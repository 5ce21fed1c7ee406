//! Zstandard in Rust alone.

use std::cell::RefCell;

use structured_zstd::decoding::errors::{
    DecodeBlockContentError, DecodeBufferError, DecompressBlockError, ErrorCode,
    ExecuteSequencesError, FrameDecoderError,
};
use structured_zstd::decoding::{FrameContentSize, FrameDecoder, read_frame_content_size};
use structured_zstd::encoding::{CompressionLevel, FrameCompressor};

use super::{DEFAULT_LEVEL, Refusal, in_growing_room};
use crate::compress::blocks::in_one_piece;
use crate::compress::encoder::Encoder;
use crate::compress::error::{CompressError, DecompressError};
use crate::types::Magic;

thread_local! {
    /// The backend's context, which cannot go from thread to thread: each keeps the one that it used
    /// last, with its level.
    static CONTEXT: RefCell<Option<(i32, FrameCompressor)>> = const { RefCell::new(None) };
}

/// Writes one frame for each batch.
pub(in crate::compress) struct ZstdEncoder {
    level: i32,
    /// A batch that comes in several parts.
    batch: Vec<u8>,
    /// A frame: the backend wants a buffer of its own.
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
        // A thread whose locals are gone already gets a new one.
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

/// Reads one frame, or several back to back.
pub(in crate::compress) fn decode(
    compressed: &[u8],
    limit_bytes: usize,
) -> Result<Vec<u8>, DecompressError> {
    // What is wrong with a header is told by the decoder, which also knows frames to be skipped.
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
            Err(error) if is_for_want_of_room(&error) => Err(Refusal::NoRoom),
            Err(error) => Err(Refusal::Corrupt(error.to_string())),
        }
    })
}

/// Whether there is more in a frame than there was room for. The backend says so with a code of its own only
/// where a block ends with the room; within a block it calls it an error of the block.
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
