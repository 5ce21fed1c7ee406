//! The operating system's poller: TCP streams and their readiness events (epoll, kqueue). The only file that uses
//! `mio`.

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

/// Maximum number of events fetched by one wait; further ones stay in the kernel for the next wait.
const EVENTS: usize = 256;

/// Back-off after a wait that failed.
const PAUSE_AFTER_ERROR: Duration = SHORTEST_BACKOFF;

/// Token of the waker. No connection may have the id that maps to it.
const WAKE: Token = token(ConnectionId::MIN);

/// Whether a short read (less than the buffer) means that the socket is drained. mio documents that for epoll and
/// kqueue; elsewhere only `WouldBlock` re-arms the event.
const SHORT_READ_DRAINS: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
));

/// Poller over TCP sockets.
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
    /// No file descriptor is left, or the system has no epoll or kqueue.
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
                // The caller polls again at once, and the poll may fail at once again: without a pause this would be a
                // busy loop.
                std::thread::park_timeout(timeout.min(PAUSE_AFTER_ERROR));
                return Err(error);
            }
        }
        // The waker's event only ends the wait.
        for event in self.ready.iter().filter(|event| event.token() != WAKE) {
            let failed = event.is_error();
            // An error counts as readable and writable: the next read or write returns it.
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

/// Waker of the poller, by an eventfd or the like.
#[derive(Debug)]
struct PollWaker {
    log: LogContext,
    waker: Waker,
    /// Whether a failure was logged already.
    has_failed: AtomicBool,
}

impl WakeUp for PollWaker {
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            if self.has_failed.swap(true, Ordering::Relaxed) {
                return;
            }
            // Not fatal: the wait still ends by its timeout.
            log::warn!(self.log, "could not wake the network thread: {error}");
        }
    }
}

/// A TCP connection.
pub(crate) struct TcpStream(mio::net::TcpStream);

impl Stream for TcpStream {
    fn finish_connect(&mut self) -> io::Result<bool> {
        // SO_ERROR holds the result of the non-blocking connect.
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        match self.0.peer_addr() {
            // TCP self-connect: if no socket listens on the target port, the kernel may choose it as the local port.
            // The socket is then connected to itself, and a broker could no longer bind that port.
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
