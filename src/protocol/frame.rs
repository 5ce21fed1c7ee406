//! An encoded message with its length prefix, as a list of chunks for vectored writes.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::wire::{EncodeError, Writer, WrittenFrame};

/// Size of the length prefix.
const LENGTH_BYTES: usize = 4;

/// A length prefix and a message, as chunks.
///
/// Record batches are chunks of their own, which reference the batches' buffers (zero-copy). All other chunks are
/// slices of one buffer. A clone shares the memory of all chunks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Frame {
    /// Size of all chunks in bytes, with the length prefix.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A frame of an encoded message.
    pub(crate) fn from_payload(payload: Bytes) -> Result<Self, EncodeError> {
        let mut builder = FrameBuilder::with_capacity(0, 1);
        builder.put_shared(payload);
        builder.finish()
    }

    /// The chunks, in the order in which they are written. The first begins with the length prefix; none is empty.
    pub(crate) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The message in one buffer, without length prefix, as a peer receives it.
    #[cfg(test)]
    pub(crate) fn to_payload(&self) -> Bytes {
        let whole = self.chunks.concat();
        Bytes::from(whole).slice(LENGTH_BYTES..)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Frame({} bytes in {} chunks)",
            self.len,
            self.chunks.len()
        )
    }
}

/// Builds a [`Frame`].
#[derive(Debug)]
pub(crate) struct FrameBuilder {
    writer: Writer,
}

impl FrameBuilder {
    /// A builder with capacity for `bytes` copied bytes and `shared` referenced buffers.
    pub(crate) fn with_capacity(bytes: usize, shared: usize) -> Self {
        let mut writer = Writer::with_capacity(LENGTH_BYTES + bytes, shared);
        // Placeholder of the length prefix, filled in by `finish`.
        writer.put_i32(0);
        Self { writer }
    }

    /// The writer for fields, which are copied into the frame.
    pub(crate) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Appends bytes without copying them.
    pub(crate) fn put_shared(&mut self, bytes: Bytes) {
        self.writer.put_shared(bytes);
    }

    /// Fills in the length prefix, and makes the chunks.
    ///
    /// # Errors
    /// The writer's first error, or a message of more than 2 GiB.
    pub(crate) fn finish(self) -> Result<Frame, EncodeError> {
        let WrittenFrame { mut own, shared } = self.writer.finish()?;
        let len = own.len() + shared.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let payload = i32::try_from(len - LENGTH_BYTES).map_err(|_| EncodeError::FrameTooLarge)?;
        BigEndian::write_i32(&mut own[..LENGTH_BYTES], payload);
        Ok(Frame {
            chunks: interleave(own.into(), shared),
            len,
        })
    }
}

/// Splits `own` at the positions of the shared buffers, and puts these in between.
fn interleave(mut own: Bytes, shared: Vec<(usize, Bytes)>) -> Vec<Bytes> {
    let mut chunks = Vec::with_capacity(2 * shared.len() + 1);
    let mut cut = 0;
    for (before, bytes) in shared {
        if before > cut {
            chunks.push(own.split_to(before - cut));
            cut = before;
        }
        chunks.push(bytes);
    }
    if !own.is_empty() {
        chunks.push(own);
    }
    chunks
}
