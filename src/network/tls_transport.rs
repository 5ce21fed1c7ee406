//! TLS between a channel and its stream.

use std::io::{self, BufRead, IoSlice, Read, Write};

use super::poller::{Readiness, Stream};
use super::transport::{Transport, TransportError};
use crate::planted::planted;
use crate::security::tls::{Failures, Opening, Session};

/// Reads of the stream in one call that may bring nothing for the channel: a peer that has much to say to the
/// session and nothing to us, such as one new key after another, does not keep others waiting.
const READS_FOR_NOTHING: usize = 16;

/// How a session has ended.
#[derive(Debug)]
enum End {
    /// The broker has said goodbye, or hung up without a word: between frames that is the same to us.
    Closed,
    /// Told once; what came before it has been read by then.
    Failed(Option<TransportError>),
}

/// TLS over a stream.
///
/// # Kafka
/// `org.apache.kafka.common.network.SslTransportLayer`.
pub(crate) struct TlsTransport<S> {
    stream: S,
    session: Session,
    /// How the broker began.
    opening: Opening,
    /// Plain bytes that nobody has fetched.
    opened: usize,
    /// Data has come: the broker has accepted us, which with TLS 1.3 is not said in the handshake.
    is_accepted: bool,
    end: Option<End>,
}

impl<S: Stream> TlsTransport<S> {
    pub(crate) fn new(stream: S, session: Session) -> Self {
        Self {
            stream,
            session,
            opening: Opening::default(),
            opened: 0,
            is_accepted: false,
            end: None,
        }
    }

    /// Takes what one read of the stream brings. An end is kept until it is asked for.
    fn pull(&mut self, ready: &mut Readiness) -> io::Result<()> {
        let opening = if self.is_accepted {
            None
        } else {
            Some(&mut self.opening)
        };
        let mut source = Source {
            stream: &mut self.stream,
            ready,
            opening,
        };
        if self.session.tls.read_tls(&mut source)? == 0 {
            self.end = Some(End::Closed);
            return Ok(());
        }
        match self.session.tls.process_new_packets() {
            Ok(state) => {
                self.opened = state.plaintext_bytes_to_read();
                self.is_accepted |= self.opened > 0;
                if state.peer_has_closed() {
                    self.end = Some(End::Closed);
                }
            }
            Err(error) => {
                // An answer may have come before it, in the same read.
                let answer = self.session.tls.reader().fill_buf().map_or(0, <[u8]>::len);
                self.is_accepted |= answer > 0;
                self.end = Some(End::Failed(Some(self.failure(&error))));
                // Tells the broker why, as far as that is possible.
                let _ = self.push(ready);
            }
        }
        Ok(())
    }

    fn failure(&self, error: &rustls::Error) -> TransportError {
        let opening = (!self.is_accepted).then_some(&self.opening);
        let what = self.session.failures.describe(error, opening);
        if !self.is_accepted && Failures::is_for_good(error) {
            return TransportError::Authentication(what);
        }
        io::Error::new(io::ErrorKind::InvalidData, &*what).into()
    }

    /// Seals a beginning of this, as much as there is room for, and says how much.
    #[allow(
        clippy::disallowed_methods,
        reason = "it writes to the session and to no socket"
    )]
    fn seal(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.tls.writer().write_vectored(from)
    }

    /// Gives the stream what is sealed. Whether that was all.
    fn push(&mut self, ready: &mut Readiness) -> io::Result<bool> {
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

    /// What a session that stands not yet has ended with, if it has.
    fn end_of_handshake(&mut self) -> Result<(), TransportError> {
        match &mut self.end {
            None => Ok(()),
            Some(End::Failed(failure)) => Err(failure.take().unwrap_or_else(gone)),
            Some(End::Closed) if !self.session.tls.is_handshaking() => Ok(()),
            Some(End::Closed) => {
                let what = self.session.failures.hung_up(&self.opening);
                Err(TransportError::Interrupted(what.into()))
            }
        }
    }

    /// Reads and takes in all that the stream has, until the session stands.
    fn listen(&mut self, ready: &mut Readiness) -> Result<(), TransportError> {
        while self.session.tls.is_handshaking() {
            match self.pull(ready) {
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
            self.listen(ready)?;
            let pushed = match self.push(ready) {
                Ok(pushed) => pushed,
                Err(error) if planted!(HandshakeReadsNoRefusal) => return Err(error.into()),
                Err(error) => {
                    // The broker listens no more; it may have said why.
                    ready.readable = true;
                    ready.input_ends = true;
                    self.listen(ready)?;
                    return Err(error.into());
                }
            };
            if !self.session.tls.is_handshaking() {
                return Ok(pushed);
            }
            if !pushed || !ready.readable {
                return Ok(false);
            }
        }
    }

    fn read(&mut self, ready: &mut Readiness, into: &mut [u8]) -> Result<usize, TransportError> {
        for _ in 0..READS_FOR_NOTHING {
            match self.session.tls.reader().read(into) {
                Ok(len) if len > 0 => {
                    self.opened = self.opened.saturating_sub(len);
                    return Ok(len);
                }
                _ => self.opened = 0,
            }
            match &mut self.end {
                None => self.pull(ready)?,
                Some(End::Closed) => return Ok(0),
                Some(End::Failed(failure)) => return Err(failure.take().unwrap_or_else(gone)),
            }
        }
        Err(io::Error::from(io::ErrorKind::WouldBlock).into())
    }

    fn write_vectored(
        &mut self,
        ready: &mut Readiness,
        from: &[IoSlice<'_>],
    ) -> Result<usize, TransportError> {
        let taken = self.seal(from)?;
        if taken > 0 {
            return Ok(taken);
        }
        // It is full of what the stream has not taken.
        if !self.push(ready)? {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        Ok(self.seal(from)?)
    }

    fn has_pending_writes(&self) -> bool {
        self.session.tls.wants_write() && !planted!(SealedBytesNotFlushed)
    }

    fn flush(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        Ok(self.push(ready)?)
    }

    fn has_pending_input(&self) -> bool {
        self.opened > 0 && !planted!(OpenedBytesForgotten) || self.end.is_some()
    }

    fn shutdown(&mut self, ready: &mut Readiness) {
        self.session.tls.send_close_notify();
        let _ = self.push(ready);
    }
}

/// Said by a session that has told its end before.
fn gone() -> TransportError {
    TransportError::Io(io::ErrorKind::NotConnected.into())
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// A stream as the session reads it.
struct Source<'t, S> {
    stream: &'t mut S,
    ready: &'t mut Readiness,
    opening: Option<&'t mut Opening>,
}

impl<S: Stream> Read for Source<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.ready.read(self.stream, into)?;
        if let Some(opening) = &mut self.opening {
            opening.note(&into[..len]);
        }
        Ok(len)
    }
}

/// A stream as the session writes it.
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
