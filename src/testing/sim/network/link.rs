//! A connection: bytes in flight and bytes that have arrived, in both directions.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::SimPeer;
use super::link_event::LinkEvent;
use crate::clock::Instant;
use crate::network::selectable::ConnectionId;

/// Limit on the pieces of one write, so that small capacities do not cause too many events.
const MOST_PIECES: usize = 8;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Written bytes that are not in flight yet, because the buffer is full.
    pub(super) queued: BytesMut,
    on_the_way: VecDeque<Bytes>,
    bytes_on_the_way: usize,
    pub(super) arrived: BytesMut,
    /// Arrival time of the last piece; the next one does not arrive earlier.
    pub(super) last_arrival: Instant,
    /// Minimum capacity: raised for large writes, so that they travel in few pieces.
    least_room: usize,
    /// Whether nothing gets through, because of a silence.
    pub(super) is_silent: bool,
    /// Events held back by a silence, in order.
    pub(super) held_back: Vec<LinkEvent>,
    /// Whether the writer was told that the buffer is full.
    pub(super) is_writer_blocked: bool,
    /// How far the end of the stream has come.
    pub(super) end: PipeEnd,
}

/// Progress of the end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum PipeEnd {
    #[default]
    Open,
    /// The writer has closed; its last bytes are not in flight yet.
    Closed,
    InFlight,
    /// The reader can read the end.
    Arrived,
}

impl Pipe {
    /// Bytes that occupy the buffer.
    pub(super) fn held(&self) -> usize {
        self.bytes_on_the_way + self.arrived.len()
    }

    /// How many of `offered` bytes fit into a pipe of this capacity.
    pub(super) fn room(&mut self, capacity: usize, offered: usize) -> usize {
        self.least_room = if offered > capacity {
            self.least_room.max(offered / MOST_PIECES)
        } else {
            0
        };
        let room = capacity.max(self.least_room).saturating_sub(self.held());
        room.min(offered)
    }

    pub(super) fn set_off(&mut self, piece: Bytes) {
        self.bytes_on_the_way += piece.len();
        self.on_the_way.push_back(piece);
    }

    /// Takes the first piece in flight, which has arrived.
    pub(super) fn arrive(&mut self) -> Option<Bytes> {
        let piece = self.on_the_way.pop_front()?;
        self.bytes_on_the_way -= piece.len();
        Some(piece)
    }

    /// Reads arrived bytes into a buffer, filling it.
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
    /// The client, and its id of the connection.
    pub(super) poller: usize,
    pub(super) id: ConnectionId,
    pub(super) state: LinkState,
    /// Client to server.
    pub(super) up: Pipe,
    /// Server to client.
    pub(super) down: Pipe,
    /// `None` before the connection is established, and during a call of the server.
    pub(super) peer: Option<Box<dyn SimPeer>>,
    /// Time of the last action that the server has requested.
    pub(super) peer_busy_until: Instant,
    /// Number of requested actions that are not performed yet.
    pub(super) pending_actions: usize,
    /// Whether the server has stopped reading.
    pub(super) is_peer_gone: bool,
    /// Whether the server knows that the connection is over, or never knew of the connection.
    pub(super) is_end_reported: bool,
    /// Whether the client has dropped its stream.
    pub(super) is_client_gone: bool,
    /// Additional latency in both directions.
    pub(super) extra_latency: Duration,
    /// Whether a read found nothing since the last "readable" event, so that arriving bytes cause the next event.
    pub(super) is_readable_armed: bool,
}

impl Link {
    /// Holds an event back for lack of a host at the address.
    pub(super) fn hold_at_missing_host(&mut self, what: LinkEvent) {
        self.up.is_silent = true;
        self.down.is_silent = true;
        self.up.held_back.push(what);
    }

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
            pending_actions: 0,
            is_peer_gone: false,
            is_end_reported: false,
            is_client_gone: false,
            extra_latency: Duration::ZERO,
            is_readable_armed: true,
        }
    }
}
