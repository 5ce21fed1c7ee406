//! What is to come, and what servers may do.

use std::time::Duration;

use bytes::Bytes;

#[cfg(doc)]
use super::SimPeer;

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
    Call,
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

    /// [`called`](SimPeer::called) so much later, and after all that is said before it.
    pub(crate) fn call(&mut self, delay: Duration) {
        self.actions.push((delay, Action::Call));
    }

    /// Ends the connection at once.
    pub(crate) fn reset(&mut self, delay: Duration) {
        self.actions.push((delay, Action::Reset));
    }
}

/// Something that happens to a connection.
#[derive(Debug)]
pub(super) enum Happening {
    /// A connection stands.
    Established {
        is_told: bool,
    },
    /// The server says no.
    Refused,
    /// The first piece on the way to the server is there, and the server reads it.
    ReachesPeer,
    /// The first piece on the way to the client is there.
    ReachesClient,
    /// The client finds that the server sends no more.
    EndReachesClient,
    /// There is room again for a client that had to wait.
    RoomForClient,
    PeerActs(Action),
    /// The connection breaks for the client.
    Breaks,
    /// The server finds that the connection is over.
    PeerIsTold(Over),
}

/// Why a connection is over for its server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Over {
    Closed,
    Broken,
}

/// Between which ends something passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passes {
    Up,
    Down,
    Both,
    Nowhere,
}

impl Happening {
    /// Where silence holds it back.
    pub(super) fn passes(&self) -> Passes {
        match self {
            // One that the client takes for established has only its server to reach.
            Self::Established { is_told: true } | Self::ReachesPeer | Self::PeerIsTold(_) => {
                Passes::Up
            }
            Self::Established { is_told: false } => Passes::Both,
            Self::Refused
            | Self::ReachesClient
            | Self::EndReachesClient
            | Self::RoomForClient
            | Self::Breaks => Passes::Down,
            Self::PeerActs(_) => Passes::Nowhere,
        }
    }
}
