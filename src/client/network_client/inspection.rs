//! The state of a connection, for a probe that reports each stage.

use std::sync::Arc;

use super::NetworkClient;
use crate::client::api_versions::NodeApiVersions;
use crate::client::connection_states::ConnectionState;
use crate::network::resolver::HostResolver;
use crate::network::selectable::Selectable;
use crate::network::tls_facts::TlsFacts;
use crate::types::NodeId;

impl<S: Selectable, R: HostResolver, T> NetworkClient<S, R, T> {
    pub(crate) fn selector(&self) -> &S {
        &self.selector
    }

    /// The state of the connection to a node; `None` if none was ever tried.
    pub(crate) fn connection_state(&self, node: NodeId) -> Option<&ConnectionState> {
        self.states.state(node)
    }

    /// The error of the last connection, or attempt to connect, to a node.
    pub(crate) fn last_error(&self, node: NodeId) -> Option<&Arc<str>> {
        self.states.last_error(node)
    }

    /// The API versions of a connected node.
    pub(crate) fn api_versions(&self, node: NodeId) -> Option<&NodeApiVersions> {
        self.api_versions.get(node)
    }

    /// TLS version and certificate of a connection, once its handshake is done.
    pub(crate) fn tls_facts(&self, node: NodeId) -> Option<TlsFacts> {
        self.selector.tls_facts(node)
    }

    /// The event that the TLS handshake or authentication of a connection waits for.
    pub(crate) fn waits_for(&self, node: NodeId) -> Option<&'static str> {
        self.selector.waits_for(node)
    }
}
