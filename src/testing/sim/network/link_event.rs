//! Scheduled events of the network, and actions of servers.

use std::time::Duration;

use bytes::Bytes;

#[cfg(doc)]
use super::SimPeer;

/// Actions that a server requests when it is called.
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
    /// Sends bytes after a delay. Later actions are performed after this one.
    pub(crate) fn send(&mut self, bytes: Bytes, delay: Duration) {
        self.actions.push((delay, Action::Send(bytes)));
    }

    /// Closes the connection after a delay, once all bytes are sent.
    pub(crate) fn close(&mut self, delay: Duration) {
        self.actions.push((delay, Action::Close));
    }

    /// Requests a call of [`called`](SimPeer::called) after a delay, and after all earlier actions.
    pub(crate) fn call(&mut self, delay: Duration) {
        self.actions.push((delay, Action::Call));
    }

    /// Resets the connection after a delay, whether or not all bytes are sent.
    pub(crate) fn reset(&mut self, delay: Duration) {
        self.actions.push((delay, Action::Reset));
    }
}

/// An event of a connection.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// The connection attempt reaches the server. With `is_told` the client already considers it established.
    Established {
        is_immediate: bool,
    },
    /// The connection is refused.
    Refused,
    /// The first piece in flight reaches the server, which reads it.
    ReachesPeer,
    /// The first piece in flight reaches the client.
    ReachesClient,
    /// The end of the server's stream reaches the client.
    EndReachesClient,
    /// A blocked client can write again.
    RoomForClient,
    PeerActs(Action),
    /// The client finds the connection reset.
    Breaks,
    /// The server finds the connection closed or reset.
    EndReachesPeer(Over),
}

/// How a connection ended for its server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Over {
    Closed,
    Broken,
}

/// The direction of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passes {
    Up,
    Down,
    Both,
    Nowhere,
}

impl LinkEvent {
    /// The direction in which a silence holds this event back.
    pub(super) fn passes(&self) -> Passes {
        match self {
            // If the client already considers the connection established, the event has to reach only the server.
            Self::Established { is_immediate: true }
            | Self::ReachesPeer
            | Self::EndReachesPeer(_) => Passes::Up,
            Self::Established {
                is_immediate: false,
            } => Passes::Both,
            Self::Refused
            | Self::ReachesClient
            | Self::EndReachesClient
            | Self::RoomForClient
            | Self::Breaks => Passes::Down,
            Self::PeerActs(_) => Passes::Nowhere,
        }
    }
}
