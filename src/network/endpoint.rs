//! The endpoint of a connection: host name and resolved address.

use std::net::SocketAddr;
use std::sync::Arc;

/// One address of a node, and the host name that it was resolved from.
///
/// The name is the one in `bootstrap.servers` or in the cluster's metadata. TLS verifies the certificate against it,
/// and keeps session tickets by it; the name cannot be derived from the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: Arc<str>,
    pub(crate) address: SocketAddr,
}

#[cfg(test)]
impl From<SocketAddr> for Endpoint {
    /// An endpoint whose host name is its IP address.
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string().into(),
            address,
        }
    }
}
