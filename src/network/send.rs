//! A frame on its way out: how much of it the transport has taken, and the vectored writes that hand
//! over the rest without copying it.

use std::io::{self, IoSlice};

use super::poller::Readiness;
use super::transport::{Transport, TransportError};
use crate::protocol::Frame;

/// Slices given to one write. They live on the stack; a produce request to a node has one or two per
/// partition, so that more than this is rare and takes another write.
const MAX_SLICES: usize = 64;

/// The frame that a connection is writing.
///
/// # Kafka
/// `org.apache.kafka.common.network.NetworkSend`.
#[derive(Debug)]
pub(super) struct NetworkSend {
    frame: Frame,
    /// The first chunk that is not written in full. Never stands on an empty chunk, so that
    /// "nothing is left" and "past the last chunk" are the same.
    chunk: usize,
    /// How much of that chunk is written.
    offset: usize,
    touched: bool,
}

impl NetworkSend {
    pub(super) fn new(frame: Frame) -> Self {
        let mut send = Self {
            frame,
            chunk: 0,
            offset: 0,
            touched: false,
        };
        send.advance(0);
        send
    }

    /// Whether the transport has all of it.
    pub(super) fn is_complete(&self) -> bool {
        self.chunk == self.frame.chunks().len()
    }

    /// Whether the transport has any of it.
    pub(super) fn is_touched(&self) -> bool {
        self.touched
    }

    /// One write of what is left.
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
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        self.touched = true;
        self.advance(written);
        Ok(())
    }

    /// Moves past `written` bytes, and past empty chunks after them.
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
