//! One connection: bytes on the way, bytes that have come.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::SimPeer;
use super::happening::Happening;
use crate::clock::Instant;
use crate::network::selectable::ConnectionId;

/// In so many pieces goes what a writer has at hand, if nothing but the capacity cuts it.
const MOST_PIECES: usize = 8;

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
    /// There is room for so much at the least: however little a pipe holds, what its writer has at hand goes in few
    /// pieces.
    least_room: usize,
    /// Nothing comes through.
    pub(super) is_silent: bool,
    /// What would have happened if it did, in order.
    pub(super) held_back: Vec<Happening>,
    /// The writer was told that there is no room.
    pub(super) is_writer_blocked: bool,
    /// Whether there are no more bytes after these.
    pub(super) end: PipeEnd,
}

/// The end of what a writer has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum PipeEnd {
    #[default]
    NotInSight,
    /// Behind the bytes that are not on the way yet.
    Said,
    OnTheWay,
    /// The reader can find it.
    There,
}

impl Pipe {
    /// Bytes that take up room.
    pub(super) fn held(&self) -> usize {
        self.bytes_on_the_way + self.arrived.len()
    }

    /// How much of `offered` bytes there is room for in a pipe of this capacity.
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
    /// Things that it has said it would do, and has not done.
    pub(super) acts_to_come: usize,
    /// It reads no more.
    pub(super) is_peer_gone: bool,
    /// It knows that the connection is over, or is not there to be told.
    pub(super) is_peer_told: bool,
    /// The client has dropped it.
    pub(super) is_client_gone: bool,
    /// All that travels takes so much longer.
    pub(super) extra_latency: Duration,
    /// A read found nothing since the last event that said "readable".
    pub(super) tells_readable: bool,
}

impl Link {
    /// Nobody is there to whom it could get through, for now.
    pub(super) fn never_hears(&mut self, what: Happening) {
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
            acts_to_come: 0,
            is_peer_gone: false,
            is_peer_told: false,
            is_client_gone: false,
            extra_latency: Duration::ZERO,
            tells_readable: true,
        }
    }
}
