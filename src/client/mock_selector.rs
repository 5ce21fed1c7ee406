//! Mock [`Selectable`] without sockets: the test decides which connections are established, what is received, and how
//! they are closed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::mock_client::MockWakeUp;
use crate::network::authenticator::{AuthRefusal, AuthRefusalKind};
use crate::network::endpoint::Endpoint;
use crate::network::selectable::{
    CloseReason, ConnectionId, Disconnected, PollEvents, Selectable, SendRefused, WakeUp,
};
use crate::protocol::{Frame, Request, RequestHeader, Response};

/// A request that was passed to the selector, decoded.
#[derive(Debug)]
pub(crate) struct SentFrame {
    pub(crate) id: ConnectionId,
    pub(crate) header: RequestHeader,
    pub(crate) request: Request,
    pub(crate) bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MockChannelState {
    Connecting,
    Authenticating,
    Ready,
}

#[derive(Debug)]
struct MockConnection {
    address: SocketAddr,
    stage: MockChannelState,
    is_writing: bool,
    /// Whether part of the frame that is being written went to the socket.
    is_touched: bool,
}

/// Mock selector, scripted by the test.
///
/// The next poll establishes connections and completes sends, unless a `holds_*` switch is set.
///
/// # Kafka
/// `org.apache.kafka.test.MockSelector`.
#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent switches of a test"
)]
pub(crate) struct MockSelector {
    connections: BTreeMap<ConnectionId, MockConnection>,
    next: PollEvents,
    /// New connections stay in authentication.
    pub(crate) holds_authentication: bool,
    /// Return value of [`Selectable::waits_for`].
    pub(crate) waits_for: Option<&'static str>,
    /// Connections stay connecting.
    pub(crate) holds_connects: bool,
    /// Sends do not complete.
    pub(crate) holds_writes: bool,
    /// Frames are written in full by `send` itself, as by a socket with room in its buffer.
    pub(crate) writes_at_once: bool,
    /// Addresses that refuse connections at once.
    pub(crate) refusing: BTreeSet<SocketAddr>,
    /// Addresses whose host name TLS cannot accept: authentication fails in `connect`.
    pub(crate) unacceptable: BTreeSet<SocketAddr>,
    /// Every attempt to connect.
    pub(crate) attempts: Vec<(ConnectionId, SocketAddr)>,
    /// The host names of `attempts`, in the same order.
    pub(crate) names: Vec<Arc<str>>,
    /// Every frame that was accepted.
    pub(crate) sent: Vec<SentFrame>,
    /// Connections that the client closed.
    pub(crate) closed: Vec<ConnectionId>,
    /// Connections of which polls leave input unread.
    pub(crate) unread: BTreeSet<ConnectionId>,
    /// The timeout of each poll.
    pub(crate) poll_timeouts: Vec<Option<Duration>>,
    wake_up: Arc<MockWakeUp>,
}

impl MockSelector {
    /// Makes the next poll receive a frame.
    pub(crate) fn receive(&mut self, id: ConnectionId, payload: Bytes) {
        self.next.completed_receives.push((id, payload));
    }

    /// Makes the next poll receive the response to the last request sent to `id`.
    pub(crate) fn respond(&mut self, id: ConnectionId, response: &Response) {
        let sent = self.sent.iter().rfind(|sent| sent.id == id);
        let header = &sent
            .unwrap_or_else(|| panic!("nothing was sent to {id}"))
            .header;
        let payload = response
            .encode(header.api_version, header.correlation_id)
            .to_payload();
        self.receive(id, payload);
    }

    /// Makes the next poll report that the connection closed.
    pub(crate) fn disconnect(&mut self, id: ConnectionId, reason: CloseReason) {
        let last_frame_untouched = self.is_send_untouched(id);
        self.connections.remove(&id);
        self.next.disconnected.push(Disconnected {
            id,
            reason,
            last_frame_untouched,
        });
    }

    /// Makes the next poll report that the peer closed the connection, after part of the frame that is being written
    /// went to the socket.
    pub(crate) fn disconnect_mid_write(&mut self, id: ConnectionId) {
        self.write_a_part(id);
        self.disconnect(id, CloseReason::ClosedByPeer);
    }

    /// Writes part of the frame that is being written.
    pub(crate) fn write_a_part(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_touched = true;
        }
    }

    /// Makes an established connection ready for requests, or not ready, as it is during a handshake.
    pub(crate) fn set_ready(&mut self, id: ConnectionId, is_ready: bool) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stage = if is_ready {
                MockChannelState::Ready
            } else {
                MockChannelState::Authenticating
            };
        }
    }

    /// Starts re-authentication: the next poll reports it, and the connection is not ready.
    pub(crate) fn authenticate_again(&mut self, id: ConnectionId) {
        self.set_ready(id, false);
        self.next.authenticating_again.push(id);
    }

    /// Completes re-authentication.
    pub(crate) fn authenticated_again(&mut self, id: ConnectionId) {
        self.set_ready(id, true);
        self.next.authenticated_again.push(id);
    }

    /// The address of a connection.
    pub(crate) fn address(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.connections
            .get(&id)
            .map(|connection| connection.address)
    }

    /// The last request sent to a node.
    pub(crate) fn last_sent(&self, id: ConnectionId) -> Option<&SentFrame> {
        self.sent.iter().rfind(|sent| sent.id == id)
    }

    /// Number of connections, established or connecting.
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    fn progress(&mut self) {
        for (id, connection) in &mut self.connections {
            match connection.stage {
                MockChannelState::Connecting
                    if self.holds_authentication && !self.holds_connects =>
                {
                    connection.stage = MockChannelState::Authenticating;
                    self.next.authenticating.push(*id);
                }
                MockChannelState::Connecting if !self.holds_connects => {
                    connection.stage = MockChannelState::Ready;
                    self.next.connected.push(*id);
                }
                _ => {}
            }
            if connection.is_writing && !self.holds_writes {
                connection.is_writing = false;
                self.next.completed_sends.push(*id);
            }
        }
    }
}

impl Selectable for MockSelector {
    fn connect(&mut self, id: ConnectionId, endpoint: Endpoint) -> Result<(), CloseReason> {
        let Endpoint { host, address } = endpoint;
        self.names.push(host);
        self.attempts.push((id, address));
        if self.refusing.contains(&address) {
            return Err(CloseReason::ConnectFailed("connection refused".into()));
        }
        if self.unacceptable.contains(&address) {
            return Err(CloseReason::AuthenticationFailed(AuthRefusal {
                kind: AuthRefusalKind::Tls,
                reason: "no certificate can be for this name".into(),
            }));
        }
        let connection = MockConnection {
            address,
            stage: MockChannelState::Connecting,
            is_writing: false,
            is_touched: false,
        };
        assert!(
            self.connections.insert(id, connection).is_none(),
            "{id} is connected already"
        );
        Ok(())
    }

    fn close(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
        self.closed.push(id);
    }

    fn is_channel_ready(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id)
            .is_some_and(|connection| connection.stage == MockChannelState::Ready)
    }

    fn has_unread_input(&self, id: ConnectionId) -> bool {
        self.unread.contains(&id)
    }

    fn waits_for(&self, _id: ConnectionId) -> Option<&'static str> {
        self.waits_for
    }

    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused> {
        let connection = self
            .connections
            .get_mut(&id)
            .ok_or(SendRefused::NoConnection)?;
        if connection.is_writing {
            return Err(SendRefused::Busy);
        }
        connection.is_writing = true;
        connection.is_touched = false;
        let (header, request) =
            Request::decode(&frame.to_payload()).expect("the client's requests can be read");
        self.sent.push(SentFrame {
            id,
            header,
            request,
            bytes: frame.len(),
        });
        Ok(())
    }

    fn take_completed_send(&mut self, id: ConnectionId) -> bool {
        let connection = self.connections.get_mut(&id);
        self.writes_at_once && connection.is_some_and(|c| std::mem::take(&mut c.is_writing))
    }

    fn is_send_untouched(&self, id: ConnectionId) -> bool {
        let connection = self.connections.get(&id);
        connection.is_some_and(|connection| connection.is_writing && !connection.is_touched)
    }

    fn withdraw_send(&mut self, id: ConnectionId) -> bool {
        let withdraws = self.is_send_untouched(id);
        if let Some(connection) = self.connections.get_mut(&id).filter(|_| withdraws) {
            connection.is_writing = false;
        }
        withdraws
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()> {
        self.poll_timeouts.push(timeout);
        self.progress();
        *events = std::mem::take(&mut self.next);
        Ok(())
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        Arc::clone(&self.wake_up) as Arc<dyn WakeUp>
    }

    fn close_all(&mut self) {
        self.connections.clear();
    }
}
