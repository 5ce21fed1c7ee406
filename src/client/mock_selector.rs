//! A [`Selectable`] without sockets: the test says which connections stand, what arrives and how
//! they end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::mock_client::MockWakeUp;
use crate::network::endpoint::Endpoint;
use crate::network::selectable::{
    CloseReason, ConnectionId, Disconnected, PollEvents, Selectable, SendRefused, WakeUp,
};
use crate::protocol::{Frame, Request, RequestHeader, Response};

/// A request as it was given to the selector.
#[derive(Debug)]
pub(crate) struct SentFrame {
    pub(crate) id: ConnectionId,
    pub(crate) header: RequestHeader,
    pub(crate) request: Request,
    pub(crate) bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Authenticating,
    Ready,
}

#[derive(Debug)]
struct MockConnection {
    address: SocketAddr,
    stage: Stage,
    is_writing: bool,
    /// Some of the frame that is being written has gone out.
    is_touched: bool,
}

/// A selector whose network is a script.
///
/// Connections stand and frames are written in the poll after they were begun, unless they are held.
///
/// # Kafka
/// `org.apache.kafka.test.MockSelector`.
#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "switches of a test, each for itself"
)]
pub(crate) struct MockSelector {
    connections: BTreeMap<ConnectionId, MockConnection>,
    next: PollEvents,
    /// Connections are told as being authenticated, and stay so.
    pub(crate) holds_authentication: bool,
    /// Connections stay in the making.
    pub(crate) holds_connects: bool,
    /// Frames stay unwritten.
    pub(crate) holds_writes: bool,
    /// Frames are written as they are sent, as a socket with room takes them.
    pub(crate) writes_at_once: bool,
    /// Addresses that refuse connections at once.
    pub(crate) refusing: BTreeSet<SocketAddr>,
    /// Addresses that no connection can be made to for good.
    pub(crate) unacceptable: BTreeSet<SocketAddr>,
    /// Every attempt to connect.
    pub(crate) attempts: Vec<(ConnectionId, SocketAddr)>,
    /// The names that came with them.
    pub(crate) names: Vec<Arc<str>>,
    /// Every frame that was taken.
    pub(crate) sent: Vec<SentFrame>,
    /// Connections that the client closed.
    pub(crate) closed: Vec<ConnectionId>,
    /// How long each poll might have waited.
    pub(crate) poll_timeouts: Vec<Option<Duration>>,
    wake_up: Arc<MockWakeUp>,
}

impl MockSelector {
    /// The next poll delivers a frame.
    pub(crate) fn receive(&mut self, id: ConnectionId, payload: Bytes) {
        self.next.completed_receives.push((id, payload));
    }

    /// The next poll delivers the answer to the last request sent to `id`.
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

    /// The next poll reports the connection's end.
    pub(crate) fn disconnect(&mut self, id: ConnectionId, reason: CloseReason) {
        let last_frame_untouched = self.is_send_untouched(id);
        self.connections.remove(&id);
        self.next.disconnected.push(Disconnected {
            id,
            reason,
            last_frame_untouched,
        });
    }

    /// The same, after a part of the frame that is being written has gone out.
    pub(crate) fn disconnect_mid_write(&mut self, id: ConnectionId) {
        self.write_a_part(id);
        self.disconnect(id, CloseReason::ClosedByPeer);
    }

    /// A part of the frame that is being written goes out.
    pub(crate) fn write_a_part(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_touched = true;
        }
    }

    /// A connection that stands is not ready for requests yet, as during a handshake.
    pub(crate) fn set_ready(&mut self, id: ConnectionId, is_ready: bool) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stage = if is_ready {
                Stage::Ready
            } else {
                Stage::Authenticating
            };
        }
    }

    /// The broker is to be told again who the client is, as the next poll says; the connection is not ready.
    pub(crate) fn authenticate_again(&mut self, id: ConnectionId) {
        self.set_ready(id, false);
        self.next.authenticating_again.push(id);
    }

    /// That is over.
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

    /// Connections that stand or are in the making.
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    fn progress(&mut self) {
        for (id, connection) in &mut self.connections {
            match connection.stage {
                Stage::Connecting if self.holds_authentication && !self.holds_connects => {
                    connection.stage = Stage::Authenticating;
                    self.next.authenticating.push(*id);
                }
                Stage::Connecting if !self.holds_connects => {
                    connection.stage = Stage::Ready;
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
            return Err(CloseReason::AuthenticationFailed(
                "no certificate can be for this name".into(),
            ));
        }
        let connection = MockConnection {
            address,
            stage: Stage::Connecting,
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
            .is_some_and(|connection| connection.stage == Stage::Ready)
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
