//! A connection to an HTTP server, on which each operation ends by a deadline.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::{HttpError, HttpErrorKind, Url};
use crate::clock::{Clock, Deadline};
use crate::security::tls::{Session, TlsClient, TlsFailures};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::util::foreign_text::printable_start;

/// The beginning of the text of an error of the TLS handshake.
const HANDSHAKE_FAILED: &str = "the TLS handshake failed";
/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;
/// Most name look-ups of a client at the same time. A look-up cannot be cancelled: one that hangs outlives its request.
const MAX_LOOK_UPS: usize = 2;
/// Time of one blocking call if there is no deadline.
const LONGEST_CALL: Duration = Duration::from_secs(3600);

/// Longest sleep in a back-off before its condition is checked again.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// The name look-ups of a client, each on a thread of its own.
#[derive(Debug, Default)]
pub(super) struct LookUps {
    running: Arc<AtomicUsize>,
}

/// Counts a look-up as running until it is dropped.
pub(super) struct RunningLookUp(Arc<AtomicUsize>);

impl Drop for RunningLookUp {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LookUps {
    /// Counts one more look-up. Returns how many were running before.
    fn begin(&self) -> (RunningLookUp, usize) {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        (RunningLookUp(Arc::clone(&self.running)), before)
    }

    /// A look-up that runs until the result is dropped.
    #[cfg(test)]
    pub(super) fn occupied(&self) -> RunningLookUp {
        self.begin().0
    }

    /// The addresses of the URL's host.
    pub(super) fn addresses_of(
        &self,
        url: &Url,
        clock: &Arc<dyn Clock>,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, HttpError> {
        if let Ok(address) = url.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, url.port)]);
        }
        let (running, before) = self.begin();
        if before >= MAX_LOOK_UPS {
            return Err(HttpError::transient(
                "earlier look-ups of its host name have not ended",
            ));
        }
        let (found, addresses) = bounded(1);
        let (host, port) = (url.host.clone(), url.port);
        let look_up = move || {
            let result = (host.as_str(), port).to_socket_addrs();
            let result = result.map(|all| all.take(MAX_ADDRESSES).collect::<Vec<_>>());
            drop(running);
            // Nobody receives it if the deadline has passed.
            let _ = found.send(result);
        };
        thread::Builder::new()
            .name("kafka-producer-http-lookup".to_owned())
            .spawn(look_up)
            .map_err(|error| failure("no thread could be started to look up its name", &error))?;
        let left = deadline.remaining_or(clock.now(), LONGEST_CALL);
        match addresses.recv_timeout(left) {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(_)) => Err(HttpError::transient("its host name has no address")),
            Ok(Err(error)) => Err(failure("its host name was not found", &error)),
            Err(_) => Err(HttpError {
                kind: HttpErrorKind::TimedOut,
                ..HttpError::transient("its host name was not looked up within the time to connect")
            }),
        }
    }
}

/// A TCP connection whose calls block until a deadline.
struct TimedStream {
    stream: TcpStream,
    clock: Arc<dyn Clock>,
    deadline: Deadline,
}

impl TimedStream {
    /// The time that the next call may block.
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.remaining_or(self.clock.now(), LONGEST_CALL);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

// `write_vectored` is the default one, which calls `write`: that of the socket would raise SIGPIPE.
impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, encrypted or not.
pub(super) struct HttpConnection {
    stream: TimedStream,
    tls: Option<Box<Session>>,
}

impl HttpConnection {
    /// Connects to the first reachable address, and completes the TLS handshake.
    pub(super) fn open(
        url: &Url,
        addresses: &[SocketAddr],
        tls: Option<&TlsClient>,
        clock: &Arc<dyn Clock>,
        deadline: Deadline,
    ) -> Result<Self, HttpError> {
        let (stream, address) = connect(addresses, clock, deadline)?;
        let mut connection = Self {
            stream: TimedStream {
                stream,
                clock: Arc::clone(clock),
                deadline,
            },
            tls: None,
        };
        if let Some(tls) = tls {
            let host: Arc<str> = url.host.as_str().into();
            let session = tls
                .session(&host, address)
                .map_err(|_| HttpError::permanent("its host name is not valid in a certificate"))?;
            connection.shake_hands(session)?;
        }
        Ok(connection)
    }

    fn shake_hands(&mut self, session: Session) -> Result<(), HttpError> {
        let mut session = Box::new(session);
        while session.tls.is_handshaking() {
            session
                .tls
                .complete_io(&mut self.stream)
                .map_err(|error| failure(HANDSHAKE_FAILED, &error))?;
        }
        session
            .check_resumed()
            .map_err(|error| of_tls(HANDSHAKE_FAILED, &error))?;
        self.tls = Some(session);
        Ok(())
    }

    /// Replaces the deadline of the calls that follow.
    pub(super) fn extend_to(&mut self, deadline: Deadline) {
        self.stream.deadline = deadline;
    }
}

impl Read for HttpConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(session) => rustls::Stream::new(&mut session.tls, &mut self.stream).read(buffer),
            None => self.stream.read(buffer),
        }
    }
}

impl Write for HttpConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(session) => rustls::Stream::new(&mut session.tls, &mut self.stream).write(bytes),
            None => self.stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(session) => rustls::Stream::new(&mut session.tls, &mut self.stream).flush(),
            None => Ok(()),
        }
    }
}

/// Blocks the calling thread for the back-off between two requests. The back-off ends early, within
/// [`LONGEST_SLEEP`], if `is_over` returns true.
#[allow(
    clippy::disallowed_methods,
    reason = "a helper thread, which has nothing to wait for"
)]
pub(crate) fn pause_unless(mut time: Duration, is_over: impl Fn() -> bool) {
    while !time.is_zero() && !is_over() {
        let part = time.min(LONGEST_SLEEP);
        thread::sleep(part);
        time -= part;
    }
}

fn connect(
    addresses: &[SocketAddr],
    clock: &Arc<dyn Clock>,
    deadline: Deadline,
) -> Result<(TcpStream, SocketAddr), HttpError> {
    let mut last = HttpError::transient(if addresses.is_empty() {
        "its host name has no address"
    } else {
        "the time to connect had passed before a connection was attempted"
    });
    for (after, address) in (0..addresses.len()).rev().zip(addresses) {
        let left = deadline.remaining_or(clock.now(), LONGEST_CALL);
        // An address that does not respond leaves half of the time to those after it.
        let time = if after == 0 { left } else { left / 2 };
        if time.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, time) {
            Ok(stream) => {
                // Without it the connection works too, only slower.
                let _ = stream.set_nodelay(true);
                return Ok((stream, *address));
            }
            Err(error) => last = failure(&format!("no connection to {address}"), &error),
        }
    }
    Err(last)
}

/// The error of an operation on a connection.
pub(super) fn failure(problem: &str, error: &io::Error) -> HttpError {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return of_tls(problem, tls);
    }
    match error.kind() {
        // The operating system reports an expired time-out as either.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => HttpError {
            kind: HttpErrorKind::TimedOut,
            ..HttpError::transient(format!("{problem}: timed out"))
        },
        _ => HttpError::transient(format!("{problem}: {error}")),
    }
}

fn of_tls(problem: &str, error: &rustls::Error) -> HttpError {
    let text = error.to_string();
    HttpError {
        text: format!("{problem}: {}", printable_start(&text)),
        kind: match error {
            _ if problem != HANDSHAKE_FAILED => HttpErrorKind::Other,
            rustls::Error::InvalidMessage(_) => HttpErrorKind::NotTls,
            _ => HttpErrorKind::Handshake,
        },
        is_transient: !TlsFailures::is_for_good(error),
    }
}
