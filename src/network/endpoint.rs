//! Where a connection leads.

use std::net::SocketAddr;
use std::sync::Arc;

/// One address of a node, and the name it was found by.
///
/// The name is the one that was configured or that the cluster gave out: certificates and tickets are
/// for names, and an address does not tell which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: Arc<str>,
    pub(crate) address: SocketAddr,
}

#[cfg(test)]
impl From<SocketAddr> for Endpoint {
    /// An endpoint that has no other name than its address.
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string().into(),
            address,
        }
    }
}
