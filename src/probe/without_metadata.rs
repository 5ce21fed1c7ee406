//! Metadata source and resolver of a client that connects to one known address: it requests no metadata by itself, and
//! looks no host up.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::client::metadata::{AwaitedBroker, MetadataFailure, MetadataNews, PlannedUpdate};
use crate::client::metadata_source::{MetadataRequestPlan, MetadataSource};
use crate::clock::{Deadline, Instant};
use crate::network::resolver::{HostResolver, Resolution};
use crate::protocol::{MetadataRequest, MetadataResponse};
use crate::types::{Cluster, NodeId};

/// Metadata whose update is never due.
#[derive(Debug)]
pub(super) struct NoMetadata;

impl MetadataSource for NoMetadata {
    fn time_to_next_update(&self, _now: Instant) -> Deadline {
        Deadline::Never
    }

    fn request_update(&self) -> u32 {
        0
    }

    fn new_request(&self, _now: Instant) -> MetadataRequestPlan {
        MetadataRequestPlan {
            request: MetadataRequest {
                // Names no topic, so it creates none; `false` cannot be encoded before version 4.
                topics: Some(Vec::new()),
                allow_auto_topic_creation: true,
            },
            planned: PlannedUpdate {
                is_partial: false,
                request_version: 0,
            },
        }
    }

    fn handle_response(
        &self,
        _planned: PlannedUpdate,
        _version: i16,
        _response: MetadataResponse,
        _now: Instant,
    ) -> MetadataNews {
        MetadataNews::default()
    }

    fn handle_failure(&self, _now: Instant, _why: MetadataFailure) {}

    fn handle_obstacle(&self, _what: MetadataFailure) {}

    fn handle_awaited(&self, _brokers: Vec<AwaitedBroker>) {}

    fn cluster(&self) -> Arc<Cluster> {
        Arc::default()
    }
}

/// Resolves every host to one address.
#[derive(Debug)]
pub(super) struct FixedAddress {
    address: SocketAddr,
    /// The node whose address was requested and not returned yet.
    requested: Option<NodeId>,
}

impl FixedAddress {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            requested: None,
        }
    }
}

impl HostResolver for FixedAddress {
    fn request(&mut self, node: NodeId, _host: &str, _port: u16) {
        self.requested = Some(node);
    }

    fn poll(&mut self) -> Option<Resolution> {
        Some(Resolution {
            node: self.requested.take()?,
            result: Ok(vec![self.address]),
        })
    }

    fn request_canonical(&mut self, _servers: Vec<(String, u16)>) {}

    fn poll_canonical(&mut self) -> Option<Vec<(String, u16)>> {
        None
    }
}
