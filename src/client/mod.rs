//! The network client: connection states, in-flight requests, API versions, and the cluster's metadata.
//!
//! `kafka_client` is the trait that the sender calls, `network_client` implements it over a selector.

pub(crate) mod api_versions;
pub(crate) mod connection_states;
pub(crate) mod in_flight_requests;
pub(crate) mod kafka_client;
pub(crate) mod metadata;
pub(crate) mod metadata_source;
pub(crate) mod network_client;

#[cfg(test)]
pub(crate) mod mock_client;
#[cfg(test)]
pub(crate) mod mock_selector;
