//! API versions that the connected brokers support, and the record format (magic) that all of them accept.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::protocol::{ApiKey, ApiVersionsResponse};
use crate::types::{Magic, NodeId, UsableMagic};

/// The API versions that one broker supports. APIs that this client does not use, and empty ranges, are left out.
///
/// # Kafka
/// `org.apache.kafka.clients.NodeApiVersions`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NodeApiVersions {
    ranges: BTreeMap<ApiKey, (i16, i16)>,
}

impl NodeApiVersions {
    /// The versions listed in an ApiVersions response.
    pub(crate) fn new(response: &ApiVersionsResponse) -> Self {
        // Only a faulty broker lists a minimum above the maximum: the API is treated as not listed.
        let listed = response
            .api_keys
            .iter()
            .filter(|listed| listed.min <= listed.max);
        let ranges = listed
            .filter_map(|listed| {
                Some((ApiKey::from_code(listed.api_key)?, (listed.min, listed.max)))
            })
            .collect();
        Self { ranges }
    }

    /// The lowest and the highest version of an API that the broker supports; `None` if it does not support the API.
    pub(crate) fn range(&self, api: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&api).copied()
    }

    /// The newest version of an API that the broker supports and that is in `allowed`; else the error text.
    pub(crate) fn usable_version(
        &self,
        api: ApiKey,
        allowed: &RangeInclusive<i16>,
    ) -> Result<i16, Arc<str>> {
        let Some((min, max)) = self.range(api) else {
            return Err(format!("the broker does not support {api} requests").into());
        };
        let newest = max.min(*allowed.end());
        if newest >= min.max(*allowed.start()) {
            return Ok(newest);
        }
        Err(format!(
            "the broker does not support {api} requests of version {} to {}: it supports {min} to {max}",
            allowed.start(),
            allowed.end()
        )
        .into())
    }

    /// The newest record format that the broker accepts in Produce requests; `None` if it does not support Produce.
    fn usable_magic(&self) -> Option<Magic> {
        let (_, max) = self.range(ApiKey::Produce)?;
        // Produce 2 was introduced with message format 1 (KIP-32, broker 0.10), Produce 3 with format 2 (KIP-98, broker
        // 0.11).
        Some(match max {
            ..=1 => Magic::V0,
            2 => Magic::V1,
            _ => Magic::V2,
        })
    }
}

/// All APIs with their versions, for the debug log.
impl fmt::Display for NodeApiVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (at, api) in ApiKey::ALL.into_iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{api}({}): ", api.code())?;
            let Some((min, max)) = self.range(api) else {
                f.write_str("UNSUPPORTED")?;
                continue;
            };
            write!(f, "{min} to {max} ")?;
            match api.latest_usable(min, max) {
                Some(version) => write!(f, "[usable: {version}]")?,
                None if min > api.max_version() => f.write_str("[unusable: node too new]")?,
                None => f.write_str("[unusable: node too old]")?,
            }
        }
        f.write_str(")")
    }
}

/// The API versions of all connected brokers.
///
/// # Kafka
/// `org.apache.kafka.clients.ApiVersions`.
#[derive(Debug)]
pub(crate) struct ApiVersions {
    nodes: BTreeMap<NodeId, NodeApiVersions>,
    usable_magic: Arc<UsableMagic>,
}

impl ApiVersions {
    /// Starts without brokers; the record format that all brokers accept is published to `usable_magic`.
    pub(crate) fn new(usable_magic: Arc<UsableMagic>) -> Self {
        Self {
            nodes: BTreeMap::new(),
            usable_magic,
        }
    }

    /// Stores the versions of a broker.
    pub(crate) fn update(&mut self, node: NodeId, versions: NodeApiVersions) {
        self.nodes.insert(node, versions);
        self.publish();
    }

    /// Removes a broker's versions after a disconnect: the broker may be upgraded before the next connection.
    pub(crate) fn remove(&mut self, node: NodeId) {
        if self.nodes.remove(&node).is_some() {
            self.publish();
        }
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&NodeApiVersions> {
        self.nodes.get(&node)
    }

    /// The newest usable version of a request to a node; see [`NodeApiVersions::usable_version`].
    pub(crate) fn usable_version(
        &self,
        node: NodeId,
        api: ApiKey,
        allowed: &RangeInclusive<i16>,
    ) -> Result<i16, Arc<str>> {
        match self.get(node) {
            Some(versions) => versions.usable_version(api, allowed),
            None => Err(format!("the API versions of node {node} are not known yet").into()),
        }
    }

    /// Publishes the newest record format that all connected brokers accept, so that new batches need no
    /// down-conversion. Nodes without Produce (KRaft controllers) are left out.
    fn publish(&self) {
        let oldest = self
            .nodes
            .values()
            .filter_map(NodeApiVersions::usable_magic)
            .min();
        self.usable_magic.store(oldest.unwrap_or(Magic::V2));
    }
}

#[cfg(test)]
mod tests;
