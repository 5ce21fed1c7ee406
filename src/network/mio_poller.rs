//! Streams and events of the operating system; the only file that names `mio`.

use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};

use super::poller::{Poller, Readiness, Received, Stream};
use super::selectable::{ConnectionId, WakeUp};
pub(crate) use super::socket::SocketOptions;
use super::socket::{open, send_vectored};
use crate::util::backoff::SHORTEST_BACKOFF;
use crate::util::log::{self, LogContext};

/// Events fetched by one wait; the rest stays in the kernel for the next.
const EVENTS: usize = 256;

/// How long a wait that the system refuses takes instead.
const PAUSE_AFTER_ERROR: Duration = SHORTEST_BACKOFF;

/// The token of the wake-up handle. No connection may have the id that maps to it.
const WAKE: Token = token(ConnectionId::MIN);

/// Whether a read that leaves room in the buffer has emptied the socket. So mio documents it for
/// epoll and kqueue; elsewhere only `WouldBlock` arms the next event.
const SHORT_READ_DRAINS: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
));

/// Connections over TCP.
pub(crate) struct MioPoller {
    poll: Poll,
    ready: Events,
    waker: Arc<PollWaker>,
    options: SocketOptions,
}

impl MioPoller {
    /// A poller without streams.
    ///
    /// # Errors
    /// The system has no more file descriptors, or none of this kind.
    pub(crate) fn new(options: SocketOptions, log: LogContext) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(PollWaker {
            log,
            waker: Waker::new(poll.registry(), WAKE)?,
            has_failed: AtomicBool::new(false),
        });
        Ok(Self {
            poll,
            ready: Events::with_capacity(EVENTS),
            waker,
            options,
        })
    }
}

impl Poller for MioPoller {
    type Stream = TcpStream;

    fn open(&mut self, id: ConnectionId, address: SocketAddr) -> io::Result<(TcpStream, bool)> {
        if token(id) == WAKE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a node's id",
            ));
        }
        let (stream, connected) = open(address, self.options)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut stream, token(id), interest)?;
        Ok((TcpStream(stream), connected))
    }

    fn wait(
        &mut self,
        timeout: Duration,
        mut ready: impl FnMut(ConnectionId, Readiness),
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.ready, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                // The caller comes back at once, and the poll may fail at once again.
                std::thread::park_timeout(timeout.min(PAUSE_AFTER_ERROR));
                return Err(error);
            }
        }
        // That of the waker only ends the wait.
        for event in self.ready.iter().filter(|event| event.token() != WAKE) {
            let failed = event.is_error();
            let readiness = Readiness {
                readable: event.is_readable() || event.is_read_closed() || failed,
                writable: event.is_writable() || event.is_write_closed() || failed,
                input_ends: event.is_read_closed() || failed,
            };
            ready(connection(event.token()), readiness);
        }
        Ok(())
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.waker.clone()
    }
}

const fn token(id: ConnectionId) -> Token {
    Token(id as u32 as usize)
}

const fn connection(token: Token) -> ConnectionId {
    token.0 as u32 as ConnectionId
}

/// The handle that ends a wait.
#[derive(Debug)]
struct PollWaker {
    log: LogContext,
    waker: Waker,
    /// That it fails was logged.
    has_failed: AtomicBool,
}

impl WakeUp for PollWaker {
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            if self.has_failed.swap(true, Ordering::Relaxed) {
                return;
            }
            // The wait still ends by its timeout.
            log::warn!(self.log, "could not wake the network thread: {error}");
        }
    }
}

/// A TCP connection.
pub(crate) struct TcpStream(mio::net::TcpStream);

impl Stream for TcpStream {
    fn finish_connect(&mut self) -> io::Result<bool> {
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        match self.0.peer_addr() {
            // A port that nobody listens on may be chosen as our own end's, and then the system
            // connects the socket to itself; a broker could not open that port any more.
            Ok(peer) if peer == self.0.local_addr()? => Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "connected to itself",
            )),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<Received> {
        let len = self.0.read(into)?;
        Ok(Received {
            len,
            drained: SHORT_READ_DRAINS && len < into.len(),
        })
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        send_vectored(&self.0, from)
    }
}

#[cfg(test)]
mod tests;
