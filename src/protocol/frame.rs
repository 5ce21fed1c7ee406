//! One message ready for the wire, in pieces that are written back to back.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::wire::{EncodeError, Writer, Written};

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// A message and its length before it, as chunks.
///
/// The bytes of batches are the batches' own buffers, not copies; everything else is in one buffer,
/// of which the other chunks are slices. Cloning shares all of them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Frame {
    /// Bytes of all chunks together.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A frame around bytes that are a whole message already.
    pub(crate) fn from_payload(payload: Bytes) -> Result<Self, EncodeError> {
        let mut builder = FrameBuilder::with_capacity(0, 1);
        builder.put_shared(payload);
        builder.finish()
    }

    /// What is to be written, in this order. The first chunk begins with the frame's length; none is
    /// empty.
    pub(crate) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The message in one piece, without its length, as a peer receives it.
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
    /// A builder with room for `bytes` written and `shared` buffers referenced.
    pub(crate) fn with_capacity(bytes: usize, shared: usize) -> Self {
        let mut writer = Writer::with_capacity(LENGTH_BYTES + bytes, shared);
        // The length takes its place when it is known.
        writer.put_i32(0);
        Self { writer }
    }

    /// Writes what is copied into the frame.
    pub(crate) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Appends bytes without copying them.
    pub(crate) fn put_shared(&mut self, bytes: Bytes) {
        self.writer.put_shared(bytes);
    }

    /// Puts the length in its place and the pieces in order.
    ///
    /// # Errors
    /// What the writer met on the way, or a message of more than 2 GiB.
    pub(crate) fn finish(self) -> Result<Frame, EncodeError> {
        let Written { mut own, shared } = self.writer.finish()?;
        let len = own.len() + shared.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let payload = i32::try_from(len - LENGTH_BYTES).map_err(|_| EncodeError::FrameTooLarge)?;
        BigEndian::write_i32(&mut own[..LENGTH_BYTES], payload);
        Ok(Frame {
            chunks: interleave(own.into(), shared),
            len,
        })
    }
}

/// Cuts `own` where shared buffers go in between.
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
