//! TLS transport layer, by rustls, between a channel and its stream.

use std::io::{self, BufRead, IoSlice, Read, Write};

use rustls::InvalidMessage;

use super::poller::{Readiness, Stream};
use super::transport::{CipherName, Transport, TransportError};
use crate::planted::planted;
use crate::security::tls::{Opening, Session, TlsFailures};

/// Maximum number of reads of the stream in one call that yield no application data, for fairness: a peer that sends
/// one key update after another does not starve other connections. The longest TLS record takes five reads.
const MAX_EMPTY_READS: usize = 6;

/// How a TLS session ended.
#[derive(Debug)]
enum SessionEnd {
    /// `close_notify`, or end of stream without it: between frames there is no difference for the client.
    Closed,
    /// A TLS error. It is returned once, after all data that came before it was read; then this holds `None`.
    Failed(Option<TransportError>),
}

/// TLS over a stream.
///
/// The session (rustls) does no I/O. `read_records` reads encrypted bytes from the stream into the session, and
/// `write_records` writes encrypted bytes of the session to the stream; `read` and `write_vectored` exchange plaintext
/// with the session.
///
/// # Kafka
/// `org.apache.kafka.common.network.SslTransportLayer`.
pub(crate) struct TlsTransport<S> {
    stream: S,
    session: Session,
    /// The first bytes that the broker sent, to explain a failed handshake.
    opening: Opening,
    /// Number of decrypted bytes in the session that were not read yet.
    decrypted: usize,
    /// Whether application data has arrived, which implies that the broker has accepted the client's certificate. With
    /// TLS 1.3 the end of the handshake does not imply that: a rejection arrives afterwards, as an alert.
    is_accepted: bool,
    end: Option<SessionEnd>,
}

impl<S: Stream> TlsTransport<S> {
    pub(crate) fn new(stream: S, session: Session) -> Self {
        Self {
            stream,
            session,
            opening: Opening::default(),
            decrypted: 0,
            is_accepted: false,
            end: None,
        }
    }

    /// Reads the stream once into the session, and decrypts. The session's end is stored, and returned by a later read.
    fn read_records(&mut self, ready: &mut Readiness) -> io::Result<()> {
        let opening = if self.is_accepted {
            None
        } else {
            Some(&mut self.opening)
        };
        let mut source = SessionInput {
            stream: &mut self.stream,
            ready,
            opening,
            was_read: false,
        };
        match self.session.tls.read_tls(&mut source) {
            Ok(0) => {
                self.end = Some(SessionEnd::Closed);
                return Ok(());
            }
            Ok(_) => {}
            // rustls has not called `read` because its buffer is full: a handshake message beyond its limit.
            Err(_) if !source.was_read => {
                self.fail(&InvalidMessage::HandshakePayloadTooLarge.into(), ready);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        match self.session.tls.process_new_packets() {
            Ok(state) => {
                self.decrypted = state.plaintext_bytes_to_read();
                self.is_accepted |= self.decrypted > 0;
                if state.peer_has_closed() {
                    self.end = Some(SessionEnd::Closed);
                }
            }
            Err(error) => {
                // Application data may have arrived before the alert, in the same read.
                let answer = self.session.tls.reader().fill_buf().map_or(0, <[u8]>::len);
                self.is_accepted |= answer > 0;
                self.fail(&error, ready);
            }
        }
        Ok(())
    }

    /// Ends the session with an error.
    fn fail(&mut self, error: &rustls::Error, ready: &mut Readiness) {
        self.end = Some(SessionEnd::Failed(Some(self.failure(error))));
        // Sends the alert, as far as possible without blocking; the result is ignored, since the TLS error is returned.
        let _ = self.write_records(ready);
    }

    /// The transport error of a TLS error. After the broker has accepted the client it is an I/O error, and retriable.
    fn failure(&self, error: &rustls::Error) -> TransportError {
        let opening = (!self.is_accepted).then_some(&self.opening);
        let what = self.session.failures.describe(error, opening);
        if !self.is_accepted && TlsFailures::is_for_good(error) {
            return TransportError::Authentication(what);
        }
        io::Error::new(io::ErrorKind::InvalidData, &*what).into()
    }

    /// Encrypts a prefix of `from`, as much as the session's buffer takes, and returns its length.
    #[allow(
        clippy::disallowed_methods,
        reason = "it writes to the session and to no socket"
    )]
    fn encrypt(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.tls.writer().write_vectored(from)
    }

    /// Writes encrypted bytes to the stream. Returns whether all were written.
    fn write_records(&mut self, ready: &mut Readiness) -> io::Result<bool> {
        while self.session.tls.wants_write() {
            let mut sink = Sink {
                stream: &mut self.stream,
                ready,
            };
            match self.session.tls.write_tls(&mut sink) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if is_blocked(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Fails with the error with which the session has ended during the handshake; succeeds if it has not ended so.
    fn end_of_handshake(&mut self) -> Result<(), TransportError> {
        match &mut self.end {
            None => Ok(()),
            Some(SessionEnd::Failed(failure)) => {
                Err(failure.take().unwrap_or_else(already_reported))
            }
            // The handshake was completed in the same read: the next read of data returns the end.
            Some(SessionEnd::Closed) if !self.session.tls.is_handshaking() => Ok(()),
            Some(SessionEnd::Closed) => {
                let what = self.session.failures.hung_up(&self.opening);
                Err(TransportError::Interrupted(what.into()))
            }
        }
    }

    /// Reads handshake messages until the handshake is done or the stream is drained.
    fn read_handshake(&mut self, ready: &mut Readiness) -> Result<(), TransportError> {
        while self.session.tls.is_handshaking() {
            match self.read_records(ready) {
                Ok(()) => self.end_of_handshake()?,
                Err(error) if is_blocked(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl<S: Stream> Transport for TlsTransport<S> {
    fn finish_connect(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        Ok(ready.finish_connect(&mut self.stream)?)
    }

    fn handshake(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        loop {
            // Read before writing: an alert explains more than the failed write that follows it.
            self.read_handshake(ready)?;
            let written = match self.write_records(ready) {
                Ok(written) => written,
                Err(error) if planted!(HandshakeReadsNoRefusal) => return Err(error.into()),
                Err(error) => {
                    // The broker has closed its side; it may have sent an alert before.
                    ready.readable = true;
                    ready.input_ends = true;
                    self.read_handshake(ready)?;
                    return Err(error.into());
                }
            };
            if !self.session.tls.is_handshaking() {
                // Resumption skips certificate verification in the handshake.
                let checked = self.session.check_resumed();
                checked.map_err(|error| self.failure(&error))?;
                return Ok(written);
            }
            if !written || !ready.readable {
                return Ok(false);
            }
        }
    }

    fn read(&mut self, ready: &mut Readiness, into: &mut [u8]) -> Result<usize, TransportError> {
        for _ in 0..MAX_EMPTY_READS {
            // Decrypted data is returned first: the stream may be drained, and the session may have ended after that
            // data.
            match self.session.tls.reader().read(into) {
                Ok(len) if len > 0 => {
                    self.decrypted = self.decrypted.saturating_sub(len);
                    return Ok(len);
                }
                // `WouldBlock`, or the end of the session, whose reason is in `self.end`.
                _ => self.decrypted = 0,
            }
            match &mut self.end {
                None => self.read_records(ready)?,
                Some(SessionEnd::Closed) => return Ok(0),
                Some(SessionEnd::Failed(failure)) => {
                    return Err(failure.take().unwrap_or_else(already_reported));
                }
            }
        }
        Err(io::Error::from(io::ErrorKind::WouldBlock).into())
    }

    fn write_vectored(
        &mut self,
        ready: &mut Readiness,
        from: &[IoSlice<'_>],
    ) -> Result<usize, TransportError> {
        let taken = self.encrypt(from)?;
        if taken > 0 {
            return Ok(taken);
        }
        // The session's buffer is full: make room, then encrypt once more.
        if !self.write_records(ready)? {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        Ok(self.encrypt(from)?)
    }

    fn cipher(&self) -> Option<CipherName> {
        let (suite, protocol) = self.session.cipher()?;
        Some(CipherName {
            suite: suite.into(),
            protocol: protocol.into(),
        })
    }

    #[cfg(feature = "cli")]
    fn tls_facts(&self) -> Option<super::tls_facts::TlsFacts> {
        let (suite, protocol) = self.session.cipher()?;
        Some(super::tls_facts::TlsFacts {
            protocol,
            suite,
            certificate: self.session.certificate(),
        })
    }

    fn has_pending_writes(&self) -> bool {
        self.session.tls.wants_write() && !planted!(SealedBytesNotFlushed)
    }

    fn flush(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        Ok(self.write_records(ready)?)
    }

    fn has_pending_input(&self) -> bool {
        self.decrypted > 0 && !planted!(OpenedBytesForgotten) || self.end.is_some()
    }

    fn shutdown(&mut self, ready: &mut Readiness) {
        self.session.tls.send_close_notify();
        let _ = self.write_records(ready);
    }
}

/// Error of a session that has failed, and whose own error was returned before.
fn already_reported() -> TransportError {
    TransportError::Io(io::ErrorKind::NotConnected.into())
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// [`Read`] adapter by which the session reads from the stream.
struct SessionInput<'t, S> {
    stream: &'t mut S,
    ready: &'t mut Readiness,
    opening: Option<&'t mut Opening>,
    /// Whether the session has called `read`.
    was_read: bool,
}

impl<S: Stream> Read for SessionInput<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.was_read = true;
        let len = self.ready.read(self.stream, into)?;
        if let Some(opening) = &mut self.opening {
            opening.note(&into[..len]);
        }
        Ok(len)
    }
}

/// [`Write`] adapter by which the session writes to the stream.
struct Sink<'t, S> {
    stream: &'t mut S,
    ready: &'t mut Readiness,
}

impl<S: Stream> Write for Sink<'_, S> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.ready
            .write_vectored(self.stream, &[IoSlice::new(from)])
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.ready.write_vectored(self.stream, from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
#[cfg(test)]
mod tests;
