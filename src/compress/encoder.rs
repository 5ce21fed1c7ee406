//! The `Encoder` trait, which each codec implements.

use super::error::CompressError;
use crate::types::Magic;

/// Encoder of one codec: compresses one batch at a time, and reuses its buffers.
pub(super) trait Encoder: Send {
    /// Compresses the concatenated parts, and appends the result to `out`. After an error `out` may end with garbage,
    /// and the encoder must not be used again.
    fn encode(
        &mut self,
        magic: Magic,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError>;
}
