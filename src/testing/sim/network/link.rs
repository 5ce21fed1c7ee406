//! One connection: bytes on the way, bytes that have come.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::SimPeer;
use crate::clock::Instant;
use crate::network::selectable::ConnectionId;

/// What a server does about what has come.
#[derive(Debug, Default)]
pub(crate) struct PeerActions {
    pub(super) actions: Vec<(Duration, Action)>,
}

#[derive(Debug)]
pub(super) enum Action {
    Send(Bytes),
    Close,
    Reset,
}

impl PeerActions {
    /// Sends this, so much later. What is said after it comes after it.
    pub(crate) fn send(&mut self, bytes: Bytes, delay: Duration) {
        self.actions.push((delay, Action::Send(bytes)));
    }

    /// Closes the connection when all has been sent.
    pub(crate) fn close(&mut self, delay: Duration) {
        self.actions.push((delay, Action::Close));
    }

    /// Ends the connection at once.
    pub(crate) fn reset(&mut self, delay: Duration) {
        self.actions.push((delay, Action::Reset));
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Not on the way yet: there is no room.
    pub(super) queued: BytesMut,
    on_the_way: VecDeque<Bytes>,
    bytes_on_the_way: usize,
    pub(super) arrived: BytesMut,
    /// When the last piece arrives: the next is not earlier.
    pub(super) last_arrival: Instant,
    /// The writer was told that there is no room.
    pub(super) is_writer_blocked: bool,
    /// After these bytes there are no more.
    pub(super) ends: bool,
    /// The reader could find that out.
    pub(super) has_ended: bool,
}

impl Pipe {
    /// Bytes that take up room.
    pub(super) fn held(&self) -> usize {
        self.bytes_on_the_way + self.arrived.len()
    }

    pub(super) fn set_off(&mut self, piece: Bytes) {
        self.bytes_on_the_way += piece.len();
        self.on_the_way.push_back(piece);
    }

    /// The first piece on the way is there.
    pub(super) fn arrive(&mut self) -> Option<Bytes> {
        let piece = self.on_the_way.pop_front()?;
        self.bytes_on_the_way -= piece.len();
        Some(piece)
    }

    /// Moves what has arrived out, up to the size of `into`.
    pub(super) fn take(&mut self, into: &mut [u8]) {
        self.arrived.copy_to_slice(into);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    Connecting,
    Refused,
    Open,
    Broken,
}

/// A connection.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each end may be gone, or kept from the other, for itself"
)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    /// Whose it is, and by which name.
    pub(super) poller: usize,
    pub(super) id: ConnectionId,
    pub(super) state: LinkState,
    /// To the server.
    pub(super) up: Pipe,
    /// To the client.
    pub(super) down: Pipe,
    /// None while it is being asked, or before it is there.
    pub(super) peer: Option<Box<dyn SimPeer>>,
    /// When the server does the last of what it has said it would.
    pub(super) peer_busy_until: Instant,
    /// It reads no more.
    pub(super) is_peer_gone: bool,
    /// The client has dropped it.
    pub(super) is_client_gone: bool,
    /// Nothing comes through.
    pub(super) is_silent: bool,
    /// A read found nothing since the last event that said "readable".
    pub(super) tells_readable: bool,
}

impl Link {
    pub(super) fn new(address: SocketAddr, poller: usize, id: ConnectionId) -> Self {
        Self {
            address,
            poller,
            id,
            state: LinkState::Connecting,
            up: Pipe::default(),
            down: Pipe::default(),
            peer: None,
            peer_busy_until: Instant::ORIGIN,
            is_peer_gone: false,
            is_client_gone: false,
            is_silent: false,
            tells_readable: true,
        }
    }
}
