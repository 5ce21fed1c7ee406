//! The addresses of one host, and whose turn it is.

use std::net::SocketAddr;

/// The addresses that a look-up gave, each of which gets one attempt before the next look-up.
///
/// The address tried last goes to the end of a new list: it was either not reachable or lost its
/// connection (KAFKA-15817 is about a dead address that stayed first).
///
/// # Kafka
/// The address half of `ClusterConnectionStates.NodeConnectionState`.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    list: Vec<SocketAddr>,
    next: usize,
    last_tried: Option<SocketAddr>,
}

impl Addresses {
    /// The address whose turn it is; `None` when all have had theirs and a look-up is due.
    pub(super) fn next(&mut self) -> Option<SocketAddr> {
        let address = self.list.get(self.next).copied()?;
        self.next += 1;
        self.last_tried = Some(address);
        Some(address)
    }

    /// Forgets the addresses, but not which was tried last.
    pub(super) fn expire(&mut self) {
        self.list.clear();
        self.next = 0;
    }

    /// Takes the answer of a look-up.
    pub(super) fn replace(&mut self, addresses: Vec<SocketAddr>) {
        self.list = addresses;
        self.next = 0;
        if let Some(last) = self.last_tried {
            self.list.sort_by_key(|address| *address == last);
        }
    }
}
