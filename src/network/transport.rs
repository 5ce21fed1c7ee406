//! The `Transport` trait: the transport layer between a channel and its stream, plain text or TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;

use super::poller::{Readiness, Stream};

/// Error of a transport.
#[derive(Debug)]
pub(crate) enum TransportError {
    /// I/O error of the stream; `WouldBlock` is no failure: wait for the stream's next event.
    Io(io::Error),
    /// The TLS handshake failed: the peer's certificate is not valid, or the peer rejects ours. Not retriable.
    #[cfg_attr(
        not(any(test, feature = "tls-no-provider")),
        expect(dead_code, reason = "made by the transport of TLS")
    )]
    Authentication(Arc<str>),
    /// The TLS handshake was cut off before either side accepted or rejected the other. Retriable.
    #[cfg_attr(
        not(any(test, feature = "tls-no-provider")),
        expect(dead_code, reason = "made by the transport of TLS")
    )]
    Interrupted(Arc<str>),
}

impl TransportError {
    /// Whether the error is `WouldBlock`.
    pub(crate) fn is_blocked(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Authentication(why) | Self::Interrupted(why) => f.write_str(why),
        }
    }
}

/// TLS cipher suite and protocol version, by their names in Java.
///
/// # Kafka
/// `CipherInformation`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CipherName {
    pub(crate) suite: Arc<str>,
    pub(crate) protocol: Arc<str>,
}

/// Transport layer: a channel reads and writes through it.
///
/// The channel owns the stream's [`Readiness`] and lends it to each call. A transport does all I/O on its stream by
/// [`Readiness::read`] and [`Readiness::write_vectored`], which keep the readiness up to date.
///
/// # Contract
/// - A transport may buffer: decrypted bytes that were not read yet, for which no event comes
///   ([`has_pending_input`](Self::has_pending_input)), and encrypted bytes that the stream has not taken
///   ([`has_pending_writes`](Self::has_pending_writes)).
/// - `WouldBlock` is returned only if the stream is not ready: the caller tries again at its next event. Exception: a
///   read may also return it after much input without any data; the stream is then still marked as readable.
///
/// # Kafka
/// `org.apache.kafka.common.network.TransportLayer`.
pub(crate) trait Transport: Send {
    /// Whether the stream is connected. Called at each event until it is.
    fn finish_connect(&mut self, ready: &mut Readiness) -> Result<bool, TransportError>;

    /// Continues the handshake as far as the stream allows; true when it is done. Reads before it writes, so that an
    /// alert of the peer is found even if writing fails.
    fn handshake(&mut self, ready: &mut Readiness) -> Result<bool, TransportError>;

    /// Reads up to `into.len()` bytes; zero at the end of the stream. Replies of the transport itself (a TLS key
    /// update) become pending writes.
    fn read(&mut self, ready: &mut Readiness, into: &mut [u8]) -> Result<usize, TransportError>;

    /// Takes a prefix of `from`, and returns its length. The prefix may be buffered, and not yet written to the stream.
    fn write_vectored(
        &mut self,
        ready: &mut Readiness,
        from: &[IoSlice<'_>],
    ) -> Result<usize, TransportError>;

    /// Whether bytes are buffered that the stream has not taken.
    fn has_pending_writes(&self) -> bool;

    /// The TLS cipher suite, once the handshake is done.
    fn cipher(&self) -> Option<CipherName> {
        None
    }

    /// TLS version and broker's certificate, once the handshake is done.
    #[cfg(feature = "cli")]
    fn tls_facts(&self) -> Option<super::tls_facts::TlsFacts> {
        None
    }

    /// Writes pending bytes to the stream. Returns false if the rest has to wait for the stream's next event.
    fn flush(&mut self, ready: &mut Readiness) -> Result<bool, TransportError>;

    /// Whether a read would return something without reading the stream.
    fn has_pending_input(&self) -> bool;

    /// Sends TLS `close_notify`, as far as possible without blocking. The transport is dropped next, which closes its
    /// stream.
    fn shutdown(&mut self, ready: &mut Readiness);
}

/// Plain text: the stream itself.
///
/// # Kafka
/// `org.apache.kafka.common.network.PlaintextTransportLayer`.
pub(crate) struct PlaintextTransport<S>(pub(crate) S);

impl<S: Stream> Transport for PlaintextTransport<S> {
    fn finish_connect(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        Ok(ready.finish_connect(&mut self.0)?)
    }

    fn handshake(&mut self, _ready: &mut Readiness) -> Result<bool, TransportError> {
        Ok(true)
    }

    fn read(&mut self, ready: &mut Readiness, into: &mut [u8]) -> Result<usize, TransportError> {
        Ok(ready.read(&mut self.0, into)?)
    }

    fn write_vectored(
        &mut self,
        ready: &mut Readiness,
        from: &[IoSlice<'_>],
    ) -> Result<usize, TransportError> {
        Ok(ready.write_vectored(&mut self.0, from)?)
    }

    fn has_pending_writes(&self) -> bool {
        false
    }

    fn flush(&mut self, _ready: &mut Readiness) -> Result<bool, TransportError> {
        Ok(true)
    }

    fn has_pending_input(&self) -> bool {
        false
    }

    fn shutdown(&mut self, _ready: &mut Readiness) {
        // Dropping closes the descriptor. After a fork, `shutdown(2)` in the child process would also end the parent's
        // connection.
    }
}
