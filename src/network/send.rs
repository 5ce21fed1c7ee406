//! Writes a frame in parts: keeps the number of bytes that the transport has taken, and writes the following bytes by
//! vectored writes, without a copy.

use std::io::{self, IoSlice};

use super::poller::Readiness;
use super::transport::{Transport, TransportError};
use crate::protocol::Frame;

/// Maximum number of slices in one vectored write. The slices are on the stack. A produce request has one or two per
/// partition, so that more are rare; those beyond the limit need another write.
const MAX_SLICES: usize = 64;

/// The frame that a channel is writing, and the progress of the write.
///
/// # Kafka
/// `org.apache.kafka.common.network.NetworkSend`.
#[derive(Debug)]
pub(super) struct NetworkSend {
    frame: Frame,
    /// Index of the first chunk that is not written in full. Empty chunks are skipped, so that the index is past the
    /// last chunk as soon as the frame is complete.
    chunk: usize,
    /// Bytes of that chunk that are written.
    offset: usize,
    touched: bool,
    /// Bytes of the frame that are written: taken by the transport.
    written: usize,
}

impl NetworkSend {
    pub(super) fn new(frame: Frame) -> Self {
        let mut send = Self {
            frame,
            chunk: 0,
            offset: 0,
            touched: false,
            written: 0,
        };
        send.advance(0);
        send
    }

    /// Whether the transport has taken the whole frame.
    pub(super) fn is_complete(&self) -> bool {
        self.chunk == self.frame.chunks().len()
    }

    /// Size of the whole frame, with its length prefix.
    pub(super) fn len(&self) -> usize {
        self.frame.len()
    }

    /// Bytes that the transport has taken.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Whether the transport has taken any byte: from then on the peer may have seen the frame.
    pub(super) fn is_touched(&self) -> bool {
        self.touched
    }

    /// Does one vectored write of bytes that are not written yet.
    pub(super) fn write_to(
        &mut self,
        transport: &mut dyn Transport,
        ready: &mut Readiness,
    ) -> Result<(), TransportError> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let mut skip = self.offset;
        for chunk in &self.frame.chunks()[self.chunk..] {
            let rest = &chunk[skip..];
            skip = 0;
            if rest.is_empty() {
                continue;
            }
            slices[count] = IoSlice::new(rest);
            count += 1;
            if count == MAX_SLICES {
                break;
            }
        }
        if count == 0 {
            return Ok(());
        }
        let written = transport.write_vectored(ready, &slices[..count])?;
        // Never happens for a non-empty write to a socket; without this check the caller would loop without end.
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        self.touched = true;
        self.written += written;
        self.advance(written);
        Ok(())
    }

    /// Advances by `written` bytes, and past empty chunks that follow.
    fn advance(&mut self, mut written: usize) {
        while let Some(chunk) = self.frame.chunks().get(self.chunk) {
            let rest = chunk.len() - self.offset;
            if written < rest {
                self.offset += written;
                return;
            }
            written -= rest;
            self.chunk += 1;
            self.offset = 0;
        }
    }
}
