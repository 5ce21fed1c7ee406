//! The `Poller` and `Stream` traits, below the selector: non-blocking byte streams and their readiness events.
//!
//! Implemented by `mio_poller` (the system's sockets) and by the simulated network of the tests; selector and channels
//! are the same code on both.
//!
//! Events are edge-triggered: reported once, when readiness changes. A stream stays readable or writable until it
//! returns `WouldBlock`; if that readiness is lost, the connection hangs. [`Readiness`] stores it and is kept up to
//! date, since all reads and writes go through it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::selectable::{ConnectionId, WakeUp};
use crate::planted::planted;

/// Result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes read into the buffer; zero only at the end of the stream.
    pub(crate) len: usize,
    /// Whether nothing more can be read before the stream's next event, as if another read had already failed with
    /// `WouldBlock`.
    pub(crate) drained: bool,
}

/// A non-blocking byte stream to a peer.
///
/// # Contract
/// - `WouldBlock` means: not ready until the stream's next event. `Interrupted` means: retry.
/// - Dropping a stream closes it; it has no events any more.
pub(crate) trait Stream: Send {
    /// Whether the connection is established. Called at each event until it is. An error means that connecting failed.
    fn finish_connect(&mut self) -> io::Result<bool>;

    /// Reads up to `into.len()` bytes.
    fn read(&mut self, into: &mut [u8]) -> io::Result<Received>;

    /// Writes a prefix of `from`, and returns its length.
    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// Opens streams, and waits for their readiness events.
///
/// # Contract
/// - An event is reported once. The next one follows after a `WouldBlock`, or after a read that was `drained`; spurious
///   events are allowed. The end of the peer's stream has an event of its own.
/// - No event is reported for a dropped stream, so its id may be reused at once.
///
/// # Kafka
/// `java.nio.channels.Selector`.
pub(crate) trait Poller: Send {
    type Stream: Stream + 'static;

    /// Opens a stream and starts connecting. Returns true if the connection is established already: no event reports it
    /// then.
    fn open(&mut self, id: ConnectionId, address: SocketAddr) -> io::Result<(Self::Stream, bool)>;

    /// Blocks until there are events, a wake-up, or `timeout` is over; calls `ready` for each event. May return without
    /// an event.
    fn wait(
        &mut self,
        timeout: Duration,
        ready: impl FnMut(ConnectionId, Readiness),
    ) -> io::Result<()>;

    /// A waker, by which other threads end a wait.
    fn wake_up(&self) -> Arc<dyn WakeUp>;
}

/// Readiness of a stream: the flags that events have set, and that no `WouldBlock` has cleared since. In an event, a
/// flag that is not set carries no information.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Whether the peer will send no more, or the stream has failed: only a read can distinguish the two.
    pub(crate) input_ends: bool,
}

impl Readiness {
    /// Adds the flags of an event.
    pub(crate) fn note(&mut self, event: Self) {
        // The flags are combined, not replaced: an edge-triggered event does not repeat the flags of earlier ones.
        self.readable |= event.readable;
        self.writable &= !planted!(ReadinessForgotten);
        self.writable |= event.writable;
        self.input_ends |= event.input_ends;
    }

    /// Calls [`Stream::finish_connect`] if there was an event; else returns false.
    pub(crate) fn finish_connect(&mut self, stream: &mut impl Stream) -> io::Result<bool> {
        if !self.readable && !self.writable {
            return Ok(false);
        }
        let connected = again_if_interrupted(|| stream.finish_connect())?;
        if !connected {
            // A spurious event: wait for the next one.
            self.readable = false;
            self.writable = false;
        }
        Ok(connected)
    }

    /// Calls [`Stream::read`], or returns `WouldBlock` without a system call if the stream is not readable. Returns
    /// zero at the end of the stream.
    pub(crate) fn read(&mut self, stream: &mut impl Stream, into: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = again_if_interrupted(|| stream.read(into));
        match &read {
            // Drained: not readable until the next event. Exception: if an event has reported the end of the stream, no
            // further event will, and only another read finds the end. If the end is received later, an event of its
            // own reports it.
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

    /// Calls [`Stream::write_vectored`], or returns `WouldBlock` without a system call if the stream is not writable.
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
