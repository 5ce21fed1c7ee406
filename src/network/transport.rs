//! What lies between a channel and its stream: nothing for plain text, a cipher for TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;

use super::poller::{Readiness, Stream};

/// Why a transport cannot go on.
#[derive(Debug)]
pub(crate) enum TransportError {
    /// The stream failed; `WouldBlock` is no failure, but the word that the stream has to be waited for.
    Io(io::Error),
    /// One side does not accept the other: the peer is not who it should be, or refuses us. Another
    /// attempt would end the same way.
    #[cfg_attr(
        not(any(test, feature = "tls-no-provider")),
        expect(dead_code, reason = "made by the transport of TLS")
    )]
    Authentication(Arc<str>),
    /// The introduction ended before either side was accepted or refused. Another attempt may succeed.
    #[cfg_attr(
        not(any(test, feature = "tls-no-provider")),
        expect(dead_code, reason = "made by the transport of TLS")
    )]
    Interrupted(Arc<str>),
}

impl TransportError {
    /// Whether only an event of the stream is waited for.
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

/// What a channel reads from and writes to.
///
/// The channel keeps what was told of the stream, and lends it to each call. A transport reads and writes
/// its stream through it ([`Readiness::read`], [`Readiness::write_vectored`]), as often as it likes: what is
/// known of the stream then stays right.
///
/// # Contract
/// - A transport may keep bytes inside: plain ones that nobody has fetched, which no event tells of
///   ([`has_pending_input`](Self::has_pending_input)), and sealed ones that the stream has not taken
///   ([`has_pending_writes`](Self::has_pending_writes)).
/// - `WouldBlock` is said only when the stream has said so in this call or before: then its next event goes
///   on. Nothing else waits. But a read that has gone on for long and has brought nothing may say it too: what
///   is known of the stream says then that there is more.
///
/// # Kafka
/// `org.apache.kafka.common.network.TransportLayer`.
pub(crate) trait Transport: Send {
    /// Whether the stream is connected. Asked at each event until it is.
    fn finish_connect(&mut self, ready: &mut Readiness) -> Result<bool, TransportError>;

    /// Goes on with the transport's own introduction, as far as the stream allows. False: an event of the
    /// stream is needed. It reads before it writes, so that the peer's reason for ending it is found.
    fn handshake(&mut self, ready: &mut Readiness) -> Result<bool, TransportError>;

    /// Reads what there is, at most `into.len()` bytes; zero at the end of the stream. What it has to
    /// answer by itself (TLS: a new key) becomes a pending write.
    fn read(&mut self, ready: &mut Readiness, into: &mut [u8]) -> Result<usize, TransportError>;

    /// Takes a beginning of `from`, and says how much. What it has taken may be inside it still.
    fn write_vectored(
        &mut self,
        ready: &mut Readiness,
        from: &[IoSlice<'_>],
    ) -> Result<usize, TransportError>;

    /// Whether it has taken, or made, bytes that the stream has not.
    fn has_pending_writes(&self) -> bool;

    /// Gives the stream what is pending. False: an event of the stream is needed for the rest.
    fn flush(&mut self, ready: &mut Readiness) -> Result<bool, TransportError>;

    /// Whether a read would bring something although the stream has nothing.
    fn has_pending_input(&self) -> bool;

    /// Says goodbye, as far as that is possible without waiting; the transport is dropped next, which
    /// closes its stream.
    fn shutdown(&mut self, ready: &mut Readiness);
}

/// The stream as it is.
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
        // Dropping closes. A shutdown before that would end the connection also for a process that
        // this one was forked from, to which it may belong.
    }
}
