//! The floor under the selector: byte streams, and waiting until one of them is ready.
//!
//! Two stand on it: `mio_poller`, the system's sockets, and the simulated network of the tests. All above,
//! selector and channels, is the same code on both.
//!
//! Readiness is told by edges: once, when it changes. What was told stays true until the stream itself
//! says otherwise, so whoever forgets it waits for ever. [`Readiness`] is where it is kept, and reading and
//! writing through it keeps it right.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::selectable::{ConnectionId, WakeUp};
use crate::planted::planted;

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes put into the buffer; zero only at the end of the stream.
    pub(crate) len: usize,
    /// True when nothing more can be read until the stream has another event, as if the next read
    /// had already failed with `WouldBlock`.
    pub(crate) drained: bool,
}

/// A non-blocking byte stream to a peer.
///
/// # Contract
/// - `WouldBlock` means: nothing until the stream's next event. `Interrupted` means: again.
/// - Dropping a stream closes it; it has no events any more then.
pub(crate) trait Stream: Send {
    /// Whether the connection stands. Asked when an event came, until it does. An error is the end of
    /// the attempt.
    fn finish_connect(&mut self) -> io::Result<bool>;

    /// Reads what there is, at most `into.len()` bytes.
    fn read(&mut self, into: &mut [u8]) -> io::Result<Received>;

    /// Writes a beginning of `from`, and says how much.
    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// Opens streams, and waits until one of them has something to say.
///
/// # Contract
/// - An event is told once. Between it and the next stands a `WouldBlock`, or a read that said `drained`;
///   there may be more events than that. The end of the peer's stream has an event of its own.
/// - No event is told of a stream that has been dropped, so an id may be used again at once.
///
/// # Kafka
/// `java.nio.channels.Selector`.
pub(crate) trait Poller: Send {
    type Stream: Stream + 'static;

    /// Begins to connect. The flag says that the connection stands already; no event tells it then.
    fn open(&mut self, id: ConnectionId, address: SocketAddr) -> io::Result<(Self::Stream, bool)>;

    /// Waits for events, for a wake-up, or for `timeout`, and hands out the events that came. May return
    /// without any.
    fn wait(
        &mut self,
        timeout: Duration,
        ready: impl FnMut(ConnectionId, Readiness),
    ) -> io::Result<()>;

    /// A handle that ends a wait from another thread.
    fn wake_up(&self) -> Arc<dyn WakeUp>;
}

/// What was told of a stream, and not contradicted by it since. In an event, bits that are not set say
/// nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer will send no more, or the stream has failed: a read will say which.
    pub(crate) input_ends: bool,
}

impl Readiness {
    /// Keeps what an event said.
    pub(crate) fn note(&mut self, event: Self) {
        self.readable |= event.readable;
        self.writable &= !planted!(ReadinessForgotten);
        self.writable |= event.writable;
        self.input_ends |= event.input_ends;
    }

    /// [`Stream::finish_connect`], if an event gives reason to ask.
    pub(crate) fn finish_connect(&mut self, stream: &mut impl Stream) -> io::Result<bool> {
        if !self.readable && !self.writable {
            return Ok(false);
        }
        let connected = again_if_interrupted(|| stream.finish_connect())?;
        if !connected {
            // The event was for nothing; there will be another.
            self.readable = false;
            self.writable = false;
        }
        Ok(connected)
    }

    /// [`Stream::read`]; `WouldBlock` if it is known that there is nothing. Zero is the end of the stream.
    pub(crate) fn read(&mut self, stream: &mut impl Stream, into: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = again_if_interrupted(|| stream.read(into));
        match &read {
            // The stream is empty, unless its end was told along with the bytes: that end has had its
            // event, and only reading on will find it. An end that comes after the last event has an
            // event of its own.
            Ok(received)
                if received.drained && (!self.input_ends || planted!(EndOfInputForgotten)) =>
            {
                self.readable = false;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                self.input_ends = false;
            }
            _ => {}
        }
        read.map(|received| received.len)
    }

    /// [`Stream::write_vectored`]; `WouldBlock` if it is known that there is no room.
    pub(crate) fn write_vectored(
        &mut self,
        stream: &mut impl Stream,
        from: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        if !self.writable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = again_if_interrupted(|| stream.write_vectored(from));
        match &written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
            _ => {}
        }
        written
    }
}

fn again_if_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
