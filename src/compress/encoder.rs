//! What a codec does for a compressor.

use super::error::CompressError;
use crate::types::Magic;

/// What turns one batch after the other into its compressed form, and keeps its memory between them.
pub(super) trait Encoder: Send {
    /// Appends the compressed form of the parts, taken as one, to `out`. After an error nothing is known
    /// of `out` beyond what stood there before, and the encoder is not used again.
    fn encode(
        &mut self,
        magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError>;
}
