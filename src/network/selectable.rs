//! The `Selectable` trait, between the network client and the selector: connections, frames in, frames out. The
//! client's tests use `MockSelector` instead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::authenticator::AuthRefusal;
use super::endpoint::Endpoint;
use crate::protocol::Frame;
use crate::types::NodeId;

/// The id of a connection is the id of its node: there is one connection per node.
pub(crate) type ConnectionId = NodeId;

/// Waker of a poll: wakes up the poll that blocks, or makes the next one return at once.
///
/// # Threads
/// May be called from any thread; never blocks. A wake-up before a poll is not lost.
pub(crate) trait WakeUp: Send + Sync + std::fmt::Debug {
    fn wake(&self);
}

/// Why a connection was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The TCP connection could not be established.
    ConnectFailed(Arc<str>),
    /// The peer closed the connection.
    ClosedByPeer,
    /// Reading or writing failed.
    Io(Arc<str>),
    /// Authentication of the client or of the broker failed. Not retriable.
    AuthenticationFailed(AuthRefusal),
    /// Authentication could not be completed, for this reason. Retriable.
    AuthenticationInterrupted(Arc<str>),
    /// Idle timeout: idle for `connections.max.idle.ms`.
    Idle,
    /// Invalid frame: a negative length, one above the limit, or a response to a request not yet written in full.
    BadFrame(Arc<str>),
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConnectFailed(error) => write!(f, "connecting failed: {error}"),
            Self::ClosedByPeer => write!(f, "the broker closed the connection"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::AuthenticationFailed(why) => {
                write!(f, "authentication failed: {}", why.reason)
            }
            Self::AuthenticationInterrupted(why) => {
                write!(f, "authentication could not be completed: {why}")
            }
            Self::Idle => write!(f, "the connection was idle for connections.max.idle.ms"),
            Self::BadFrame(what) => write!(f, "the broker sent a bad frame: {what}"),
        }
    }
}

/// A connection that was closed, but not by [`Selectable::close`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disconnected {
    pub(crate) id: ConnectionId,
    pub(crate) reason: CloseReason,
    /// Whether a frame was queued of which no byte was passed to the transport: the peer cannot have seen it. All
    /// earlier frames were written in full.
    pub(crate) last_frame_untouched: bool,
}

/// Events of one poll.
#[derive(Debug, Default)]
pub(crate) struct PollEvents {
    /// Connections that were established and are being authenticated (TLS handshake, SASL). With `PLAINTEXT` they are
    /// reported as connected at once.
    pub(crate) authenticating: Vec<ConnectionId>,
    /// Connections that are authenticated and ready for frames.
    pub(crate) connected: Vec<ConnectionId>,
    /// Ready connections that are being re-authenticated, and accept no frames until that is done. The selector has no
    /// timeout for this: its caller closes those that take too long.
    pub(crate) authenticating_again: Vec<ConnectionId>,
    /// Connections that were re-authenticated, and are ready again.
    pub(crate) authenticated_again: Vec<ConnectionId>,
    /// Connections whose queued frame was written in full.
    pub(crate) completed_sends: Vec<ConnectionId>,
    /// Received frames, without their length prefix; at most one per connection and poll.
    pub(crate) completed_receives: Vec<(ConnectionId, Bytes)>,
    /// Closed connections. Frames received before the close were delivered by earlier polls.
    pub(crate) disconnected: Vec<Disconnected>,
}

impl PollEvents {
    /// Whether there are no events.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.authenticating.is_empty()
            && self.connected.is_empty()
            && self.authenticating_again.is_empty()
            && self.authenticated_again.is_empty()
            && self.completed_sends.is_empty()
            && self.completed_receives.is_empty()
            && self.disconnected.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.authenticating.clear();
        self.connected.clear();
        self.authenticating_again.clear();
        self.authenticated_again.clear();
        self.completed_sends.clear();
        self.completed_receives.clear();
        self.disconnected.clear();
    }
}

/// Why a frame was not queued: there is no such connection, or it is still writing another frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendRefused {
    NoConnection,
    Busy,
}

/// Non-blocking connections to many nodes, polled by one thread.
///
/// # Contract
/// - `send` queues one frame per connection; a second one is refused until the first is reported as written. `send`
///   itself writes as much as the socket takes. If the whole frame was written, `take_completed_send` reports it; if
///   that method is not called, the next poll reports the frame, without blocking.
/// - `poll` blocks up to `timeout` (`None`: without limit) unless events are known already. It clears `events` first,
///   and may return without an event.
/// - A connection closed by [`close`](Self::close) is never reported as disconnected.
/// - Readiness is edge-triggered internally: input that one poll did not read is read by the next, without a new event.
///
/// # Kafka
/// `org.apache.kafka.common.network.Selectable`.
pub(crate) trait Selectable: Send {
    /// Starts connecting. An immediate failure is returned as the close reason; later ones are reported as
    /// `disconnected`.
    fn connect(&mut self, id: ConnectionId, endpoint: Endpoint) -> Result<(), CloseReason>;

    /// Closes a connection without reporting it. Unknown ids are ignored.
    fn close(&mut self, id: ConnectionId);

    /// Whether the connection is established and authenticated, and not being re-authenticated.
    fn is_channel_ready(&self, id: ConnectionId) -> bool;

    /// Whether the last poll left input of the connection unread, which may hold a response: the next poll reads on
    /// without blocking. False if there was no input that could be read without blocking.
    fn has_unread_input(&self, _id: ConnectionId) -> bool {
        false
    }

    /// The event that the TLS handshake or authentication of a connection waits for, for error texts.
    fn waits_for(&self, _id: ConnectionId) -> Option<&'static str> {
        None
    }

    /// TLS version and broker's certificate of a connection, once its handshake is done.
    #[cfg(feature = "cli")]
    fn tls_facts(&self, _id: ConnectionId) -> Option<super::tls_facts::TlsFacts> {
        None
    }

    /// Queues a frame.
    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused>;

    /// Whether the last queued frame was written in full and not reported yet. If so, no poll will report it any more.
    fn take_completed_send(&mut self, id: ConnectionId) -> bool;

    /// Whether a frame is queued of which no byte was passed to the transport.
    fn is_send_untouched(&self, id: ConnectionId) -> bool;

    /// Drops a queued frame of which no byte was passed to the transport: no byte of it will ever be written. Returns
    /// whether there was such a frame.
    fn withdraw_send(&mut self, id: ConnectionId) -> bool;

    /// Does all I/O that is possible, blocking up to `timeout` for an event.
    fn poll(&mut self, timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()>;

    /// A waker, by which other threads wake up a blocked poll.
    fn wake_up(&self) -> Arc<dyn WakeUp>;

    /// Closes every connection.
    fn close_all(&mut self);
}
