//! The seam between the network client and the system: connections, frames in, frames out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::endpoint::Endpoint;
use crate::protocol::Frame;
use crate::types::NodeId;

/// A connection is known by the node it leads to: there is one per node.
pub(crate) type ConnectionId = NodeId;

/// Ends a poll that is going on, or the next one, from any thread.
///
/// # Threads
/// May be called from every thread; never blocks. A wake-up before a poll is not lost.
pub(crate) trait WakeUp: Send + Sync + std::fmt::Debug {
    fn wake(&self);
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The TCP connection could not be made.
    ConnectFailed(Arc<str>),
    /// The peer closed it.
    ClosedByPeer,
    /// Reading or writing failed.
    Io(Arc<str>),
    /// The broker does not accept the client, or the client the broker, for this reason: another attempt
    /// would end the same way.
    AuthenticationFailed(Arc<str>),
    /// Who the client is could not be proved this time, for this reason: another attempt may succeed.
    AuthenticationInterrupted(Arc<str>),
    /// It had been idle for `connections.max.idle.ms`.
    Idle,
    /// The peer sent something that is no frame (a negative length, or one above the cap), or an answer to
    /// what it cannot have read yet.
    BadFrame(Arc<str>),
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConnectFailed(error) => write!(f, "connecting failed: {error}"),
            Self::ClosedByPeer => write!(f, "the broker closed the connection"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::AuthenticationFailed(why) => write!(f, "authentication failed: {why}"),
            Self::AuthenticationInterrupted(why) => {
                write!(f, "authentication could not be completed: {why}")
            }
            Self::Idle => write!(f, "the connection was idle for connections.max.idle.ms"),
            Self::BadFrame(what) => write!(f, "the broker sent a bad frame: {what}"),
        }
    }
}

/// A connection that ended without the client asking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disconnected {
    pub(crate) id: ConnectionId,
    pub(crate) reason: CloseReason,
    /// True when a frame was queued on the connection and not one byte of it had been given to the
    /// transport: the peer cannot have seen it. All earlier frames were written in full.
    pub(crate) last_frame_untouched: bool,
}

/// What one poll brought.
#[derive(Debug, Default)]
pub(crate) struct PollEvents {
    /// Connections that stand, and on which both sides find out whom they talk to. With plain text, which
    /// does not, connections are only told as connected.
    pub(crate) authenticating: Vec<ConnectionId>,
    /// Connections that are up and ready for frames.
    pub(crate) connected: Vec<ConnectionId>,
    /// Connections that were, and are not until the broker has been told again who the client is. That has
    /// no end of its own: whoever polls closes those that take too long.
    pub(crate) authenticating_again: Vec<ConnectionId>,
    /// Of these, the ones that are ready for frames again.
    pub(crate) authenticated_again: Vec<ConnectionId>,
    /// Connections whose queued frame has been written in full.
    pub(crate) completed_sends: Vec<ConnectionId>,
    /// Frames that arrived, without their length; at most one per connection and poll.
    pub(crate) completed_receives: Vec<(ConnectionId, Bytes)>,
    /// Connections that ended. Frames that had arrived before are delivered in earlier polls.
    pub(crate) disconnected: Vec<Disconnected>,
}

impl PollEvents {
    /// Whether it brought nothing.
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

/// A frame could not be queued: there is no such connection, or one is still being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendRefused {
    NoConnection,
    Busy,
}

/// Non-blocking connections to many nodes, polled by one thread.
///
/// # Contract
/// - `send` queues one frame per connection; a second before the first is reported is refused. Writing
///   starts in `send` itself when the socket can take it, so the completion may be known at once: then
///   `take_completed_send` tells it, or else the very next poll does, which then does not wait.
/// - `poll` waits up to `timeout` (`None`: without limit) unless something is known already, and
///   fills `events`, which it clears first. It may return with nothing.
/// - a locally closed connection is never reported as disconnected.
/// - edge-triggered inside: nothing that is readable is forgotten because one poll did not read it.
///
/// # Kafka
/// `org.apache.kafka.common.network.Selectable`.
pub(crate) trait Selectable: Send {
    /// Begins to connect. A failure that shows at once is returned, as the reason for which the connection
    /// would have ended; later ones are `disconnected`.
    fn connect(&mut self, id: ConnectionId, endpoint: Endpoint) -> Result<(), CloseReason>;

    /// Closes a connection without a word about it. Unknown ids are ignored.
    fn close(&mut self, id: ConnectionId);

    /// Whether the connection is up, and authenticated; not while it is authenticated again.
    fn is_channel_ready(&self, id: ConnectionId) -> bool;

    /// Queues a frame.
    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused>;

    /// Whether the frame that was queued last has been written in full and nobody was told yet; if so,
    /// no poll will tell it.
    fn take_completed_send(&mut self, id: ConnectionId) -> bool;

    /// Whether a frame is queued of which not one byte was given to the transport.
    fn is_send_untouched(&self, id: ConnectionId) -> bool;

    /// Takes such a frame back, so that none of it will ever be given to the transport. Whether there was one.
    fn withdraw_send(&mut self, id: ConnectionId) -> bool;

    /// Does what can be done, waiting up to `timeout` for something to do.
    fn poll(&mut self, timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()>;

    /// A handle that ends a poll from another thread.
    fn wake_up(&self) -> Arc<dyn WakeUp>;

    /// Closes every connection.
    fn close_all(&mut self);
}
