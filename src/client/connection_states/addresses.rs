//! Resolved addresses of one host, and which of them to try next.

use std::net::SocketAddr;

/// The addresses of the last look-up. Each is tried once; then the host name is resolved again (KIP-302).
///
/// The address tried last moves to the end of the next list: it was unreachable or lost its connection (KAFKA-15817:
/// a dead address stayed first).
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
    /// The next address to try; `None` if all were tried and a look-up is due.
    pub(super) fn next(&mut self) -> Option<SocketAddr> {
        let address = self.list.get(self.next).copied()?;
        self.next += 1;
        self.last_tried = Some(address);
        Some(address)
    }

    /// Drops the addresses, but remembers which was tried last.
    pub(super) fn expire(&mut self) {
        self.list.clear();
        self.next = 0;
    }

    /// Replaces the addresses by those of a look-up; the address tried last moves to the end.
    pub(super) fn replace(&mut self, addresses: Vec<SocketAddr>) {
        self.list = addresses;
        self.next = 0;
        // A stable sort: all other addresses keep the resolver's order.
        if let Some(last) = self.last_tried {
            self.list.sort_by_key(|address| *address == last);
        }
    }
}
