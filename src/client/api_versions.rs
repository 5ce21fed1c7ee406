//! Which versions of which requests the brokers know, and what follows from it for the format of
//! records.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::protocol::{ApiKey, ApiVersionsResponse};
use crate::types::{Magic, NodeId, UsableMagic};

/// The versions one broker knows. Requests that this client never makes are left out, as are ranges
/// that are empty.
///
/// # Kafka
/// `org.apache.kafka.clients.NodeApiVersions`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NodeApiVersions {
    ranges: BTreeMap<ApiKey, (i16, i16)>,
}

impl NodeApiVersions {
    /// Reads them from a broker's answer.
    pub(crate) fn new(response: &ApiVersionsResponse) -> Self {
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

    /// The versions of a request that the broker knows.
    pub(crate) fn range(&self, api: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&api).copied()
    }

    /// The newest version of a request that the broker knows and that is in `allowed`; else why
    /// there is none.
    pub(crate) fn usable_version(
        &self,
        api: ApiKey,
        allowed: &RangeInclusive<i16>,
    ) -> Result<i16, Arc<str>> {
        let Some((min, max)) = self.range(api) else {
            return Err(format!("the broker does not know {api} requests").into());
        };
        let newest = max.min(*allowed.end());
        if newest >= min.max(*allowed.start()) {
            return Ok(newest);
        }
        Err(format!(
            "the broker does not know {api} requests of version {} to {}: it knows {min} to {max}",
            allowed.start(),
            allowed.end()
        )
        .into())
    }

    /// The newest record format that its Produce requests can carry; `None` if it knows none.
    fn usable_magic(&self) -> Option<Magic> {
        let (_, max) = self.range(ApiKey::Produce)?;
        Some(match max {
            ..=1 => Magic::V0,
            2 => Magic::V1,
            _ => Magic::V2,
        })
    }
}

/// As the debug log shows them.
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

/// The versions that the connected brokers know.
///
/// # Kafka
/// `org.apache.kafka.clients.ApiVersions`.
#[derive(Debug)]
pub(crate) struct ApiVersions {
    nodes: BTreeMap<NodeId, NodeApiVersions>,
    usable_magic: Arc<UsableMagic>,
}

impl ApiVersions {
    /// No broker is known; `usable_magic` is told when that changes.
    pub(crate) fn new(usable_magic: Arc<UsableMagic>) -> Self {
        Self {
            nodes: BTreeMap::new(),
            usable_magic,
        }
    }

    /// A broker told its versions.
    pub(crate) fn update(&mut self, node: NodeId, versions: NodeApiVersions) {
        self.nodes.insert(node, versions);
        self.publish();
    }

    /// A connection ended; the broker may know other versions when it is back.
    pub(crate) fn remove(&mut self, node: NodeId) {
        if self.nodes.remove(&node).is_some() {
            self.publish();
        }
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&NodeApiVersions> {
        self.nodes.get(&node)
    }

    /// The version of a request to a node; see [`NodeApiVersions::usable_version`].
    pub(crate) fn usable_version(
        &self,
        node: NodeId,
        api: ApiKey,
        allowed: &RangeInclusive<i16>,
    ) -> Result<i16, Arc<str>> {
        match self.get(node) {
            Some(versions) => versions.usable_version(api, allowed),
            None => Err(format!("node {node} has not told its versions").into()),
        }
    }

    /// The format that all brokers take: batches are then seldom converted. Nodes that take no
    /// Produce requests have no say.
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
