//! How a producer's batches are written when they are not plain ones of format v2.

use std::ops::Deref;
use std::sync::Arc;

use crate::util::log::{LogContext, error};

use crate::compress::Compressor;
use crate::record::ratio::CompressionRatio;
use crate::sync::Idle;
use crate::types::Magic;
use crate::util::panic;

/// Compresses batches, with memory that is used again and again.
///
/// # Threads
/// Any number at a time; no lock is held while one compresses.
pub(crate) struct Packer {
    log: LogContext,
    compressor: Option<Compressor>,
    /// Empty buffers, which the pool does not count.
    scratch: Idle<Vec<u8>>,
}

impl Packer {
    pub(crate) fn new(compressor: Option<Compressor>, log: LogContext) -> Self {
        Self {
            log,
            compressor,
            scratch: Idle::new(),
        }
    }

    /// With a codec at its default level.
    #[cfg(test)]
    pub(crate) fn of(codec: crate::compress::CompressionType) -> Self {
        use crate::compress::CompressionType;
        let compressor = match codec {
            CompressionType::None => None,
            codec => Some(Compressor::new(codec, None).expect("tests have all codecs")),
        };
        Self::new(compressor, LogContext::for_tests())
    }

    pub(crate) fn compressor(&self) -> Option<&Compressor> {
        self.compressor.as_ref()
    }

    /// What `write` writes into an empty buffer, and what it says of that. `None` if it fails or panics, which
    /// is a defect of a codec: it is logged.
    pub(super) fn pack<R>(
        self: &Arc<Self>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<R, String>,
    ) -> Option<(Scratch, R)> {
        let mut scratch = Scratch {
            buffer: self.scratch.take().unwrap_or_default(),
            packer: Arc::clone(self),
        };
        match panic::contain(|| write(&mut scratch.buffer)) {
            Ok(Ok(result)) => Some((scratch, result)),
            Ok(Err(why)) | Err(why) => {
                error!(
                    self.log,
                    "cannot write a batch in the format it is for: {why}"
                );
                None
            }
        }
    }
}

/// A buffer of a packer's, back there when dropped.
pub(super) struct Scratch {
    buffer: Vec<u8>,
    packer: Arc<Packer>,
}

impl Scratch {
    /// Takes the buffer away for good.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut buffer = self.take();
        if (1..=LARGEST_SCRATCH).contains(&buffer.capacity()) {
            buffer.clear();
            self.packer.scratch.put(buffer);
        }
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codec = self.compressor.as_ref().map(Compressor::codec);
        f.debug_struct("Packer")
            .field("codec", &codec)
            .finish_non_exhaustive()
    }
}

/// Larger buffers are rare enough to be made anew.
const LARGEST_SCRATCH: usize = 1 << 20;

/// What a batch will be written as, if it is not a plain one of format v2.
#[derive(Debug, Clone)]
pub(crate) struct BatchFormat {
    pub(crate) magic: Magic,
    pub(crate) packer: Arc<Packer>,
    /// What the topic's batches shrink to.
    pub(crate) ratio: Arc<CompressionRatio>,
}
