//! The packer: compresses batches, and converts them to formats before v2.

use std::ops::Deref;
use std::sync::Arc;

use crate::util::log::{LogContext, error};

use crate::compress::Compressor;
use crate::record::ratio::CompressionRatio;
use crate::sync::Idle;
use crate::types::Magic;
use crate::util::panic;

/// Compresses batches, with reused scratch buffers.
///
/// # Threads
/// Any number of threads at the same time; no lock is held while a batch is packed.
pub(crate) struct Packer {
    log: LogContext,
    compressor: Option<Compressor>,
    /// Idle scratch buffers, which are not part of `buffer.memory`.
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

    /// A packer with this codec, at its default level.
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

    /// Runs `write` on an empty scratch buffer; returns the buffer and the result. `None` if `write` fails or panics: a
    /// defect of a codec, which is logged.
    pub(super) fn pack<R>(
        self: &Arc<Self>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<R, String>,
    ) -> Option<(PackingBuffer, R)> {
        let mut scratch = PackingBuffer {
            buffer: self.scratch.take().unwrap_or_default(),
            packer: Arc::clone(self),
        };
        // A panic of the codec is caught: it must not end the calling thread, which may be the sender.
        match panic::contain(|| write(&mut scratch.buffer)) {
            Ok(Ok(result)) => Some((scratch, result)),
            Ok(Err(why)) | Err(why) => {
                error!(self.log, "cannot pack a batch in its format: {why}");
                None
            }
        }
    }
}

/// A scratch buffer, returned to its packer on drop.
pub(super) struct PackingBuffer {
    buffer: Vec<u8>,
    packer: Arc<Packer>,
}

impl PackingBuffer {
    /// Takes the buffer out: it will not return to the packer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }
}

impl Deref for PackingBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for PackingBuffer {
    fn drop(&mut self) {
        let mut buffer = self.take();
        // A buffer without capacity is not returned: `take` has moved its memory out.
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

/// The largest capacity, in bytes, of a scratch buffer that is kept. Larger ones are freed: they are rare.
const LARGEST_SCRATCH: usize = 1 << 20;

/// The format that a batch is packed in. A batch of format v2 without compression has none.
#[derive(Debug, Clone)]
pub(crate) struct BatchFormat {
    pub(crate) magic: Magic,
    pub(crate) packer: Arc<Packer>,
    /// The topic's estimate of the compression ratio.
    pub(crate) ratio: Arc<CompressionRatio>,
}
