//! Immutable snapshot of a cluster's metadata: nodes, topics, partitions and their leaders.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{PartitionId, ReplicaLists, TopicPartition};
use crate::util::foreign_text::printable;
use crate::util::hash::FixedHashMap;
use crate::util::shared_map::SharedMap;

/// A broker's id. Bootstrap servers, whose ids are not known yet, have ids from -1 downwards.
pub type NodeId = i32;

/// A broker.
///
/// # Kafka
/// `org.apache.kafka.common.Node`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    id: NodeId,
    host: Arc<str>,
    port: u16,
    rack: Option<Arc<str>>,
}

impl Node {
    /// A broker `id` that listens on `host:port`.
    pub fn new(id: NodeId, host: impl Into<Arc<str>>, port: u16) -> Self {
        let host = host.into();
        Self {
            id,
            // Errors and log lines contain it, and it may come from a broker. A host with control characters cannot be
            // resolved in either form.
            host: match printable(&host) {
                Cow::Borrowed(_) => host,
                Cow::Owned(escaped) => escaped.into(),
            },
            port,
            rack: None,
        }
    }

    /// The same node in a rack.
    #[must_use]
    pub fn with_rack(mut self, rack: impl Into<Arc<str>>) -> Self {
        self.rack = Some(rack.into());
        self
    }

    /// The broker's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The host name or IP address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The broker's rack (`broker.rack`), if configured.
    pub fn rack(&self) -> Option<&str> {
        self.rack.as_deref()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (id: {})", self.host, self.port, self.id)
    }
}

/// Metadata of one partition.
///
/// # Kafka
/// `org.apache.kafka.common.PartitionInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    pub(crate) topic_partition: TopicPartition,
    /// The leader; the node is shared by all partitions that it leads.
    pub(crate) leader: Option<Arc<Node>>,
    /// The leader's id, which may be known while its broker is not listed; -1 if there is no leader.
    pub(crate) leader_id: NodeId,
    /// The leader epoch; -1 if unknown.
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: ReplicaLists,
}

impl PartitionInfo {
    /// A partition with this leader, if any, and without replicas.
    pub fn new(topic_partition: TopicPartition, leader: Option<Node>) -> Self {
        Self {
            topic_partition,
            leader_id: leader.as_ref().map_or(-1, Node::id),
            leader: leader.map(Arc::new),
            leader_epoch: -1,
            replicas: ReplicaLists::default(),
        }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        self.topic_partition.topic()
    }

    /// The partition's id.
    pub fn partition(&self) -> PartitionId {
        self.topic_partition.partition()
    }

    /// The leader, if there is one.
    pub fn leader(&self) -> Option<&Node> {
        self.leader.as_deref()
    }

    /// All replicas.
    pub fn replicas(&self) -> &[NodeId] {
        self.replicas.all()
    }

    /// The in-sync replicas.
    pub fn in_sync_replicas(&self) -> &[NodeId] {
        self.replicas.in_sync()
    }

    /// The offline replicas.
    pub fn offline_replicas(&self) -> &[NodeId] {
        self.replicas.offline()
    }
}

/// A topic's id (UUID), which brokers send since 2.8.
pub(crate) type TopicId = [u8; 16];

/// One topic of a [`Cluster`], with its partitions sorted by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TopicInfo {
    pub(crate) partitions: Vec<PartitionInfo>,
    pub(crate) is_internal: bool,
    pub(crate) id: Option<TopicId>,
}

/// Immutable snapshot of a cluster's metadata: brokers, topics, partitions and their leaders.
///
/// # Kafka
/// `org.apache.kafka.common.Cluster`. Partitions are sorted by id; in Java they have the order of a hash map.
#[derive(Debug, Clone, Default)]
#[allow(
    clippy::struct_field_names,
    reason = "a cluster's id is called cluster id in every Kafka tool"
)]
pub struct Cluster {
    pub(crate) cluster_id: Option<Arc<str>>,
    pub(crate) is_bootstrap: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) controller: Option<NodeId>,
    /// Topics without any known partition are included.
    pub(crate) topics: SharedMap<Arc<TopicInfo>>,
    pub(crate) unauthorized_topics: SharedMap<()>,
    pub(crate) invalid_topics: SharedMap<()>,
}

impl Cluster {
    /// A cluster of which only the bootstrap servers are known.
    pub(crate) fn bootstrap(nodes: Vec<Node>) -> Self {
        Self {
            is_bootstrap: true,
            nodes,
            ..Self::default()
        }
    }

    /// A cluster with these nodes and partitions, for example for the test of a partitioner.
    pub fn new(nodes: Vec<Node>, partitions: Vec<PartitionInfo>) -> Self {
        let mut by_topic: FixedHashMap<Arc<str>, TopicInfo> = FixedHashMap::default();
        for partition in partitions {
            let topic = Arc::clone(partition.topic_partition.shared_topic());
            by_topic
                .entry(topic)
                .or_default()
                .partitions
                .push(partition);
        }
        let topics = by_topic
            .into_iter()
            .map(|(topic, mut info)| {
                info.partitions.sort_by_key(PartitionInfo::partition);
                (topic, Arc::new(info))
            })
            .collect();
        Self {
            nodes,
            topics,
            ..Self::default()
        }
    }

    /// The cluster id; `None` until a broker has sent it.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// True if only bootstrap servers are known so far.
    pub fn is_bootstrap(&self) -> bool {
        self.is_bootstrap
    }

    /// The brokers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The broker with this id; `None` if it is not known.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The broker that is the controller, if known.
    pub fn controller(&self) -> Option<&Node> {
        self.controller.and_then(|id| self.node(id))
    }

    /// The number of partitions of a topic; `None` for an unknown topic.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.topics
            .get(topic)
            .map(|info| info.partitions.len())
            .filter(|count| *count > 0)
    }

    /// The partitions of a topic, sorted by id; empty for a topic that is not known.
    pub fn partitions(&self, topic: &str) -> &[PartitionInfo] {
        self.topics.get(topic).map_or(&[], |info| &info.partitions)
    }

    /// The partitions of a topic that have a leader.
    pub fn available_partitions(&self, topic: &str) -> impl Iterator<Item = &PartitionInfo> {
        self.partitions(topic)
            .iter()
            .filter(|partition| partition.leader.is_some())
    }

    /// The metadata of a partition; `None` if the partition is not known.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionInfo> {
        let partitions = self.partitions(partition.topic());
        let number = partition.partition();
        // Fast path: partition n is nearly always at index n; a topic being created may have gaps.
        let guess = usize::try_from(number)
            .ok()
            .and_then(|at| partitions.get(at));
        guess
            .filter(|info| info.partition() == number)
            .or_else(|| partitions.iter().find(|info| info.partition() == number))
    }

    /// The leader of a partition, if there is one.
    pub fn leader_for(&self, partition: &TopicPartition) -> Option<&Node> {
        self.partition(partition).and_then(PartitionInfo::leader)
    }

    /// The topics of which partitions are known.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        let described = self.topics.iter();
        let described = described.filter(|(_, info)| !info.partitions.is_empty());
        described.map(|(topic, _)| &**topic)
    }

    /// Topics that the client is not authorized to use.
    pub fn unauthorized_topics(&self) -> impl Iterator<Item = &str> {
        self.unauthorized_topics.names().map(|topic| &**topic)
    }

    /// Topics whose names brokers reject as invalid.
    pub fn invalid_topics(&self) -> impl Iterator<Item = &str> {
        self.invalid_topics.names().map(|topic| &**topic)
    }
}

/// Listener that gets the cluster id whenever metadata is updated.
///
/// ```
/// use std::sync::{Arc, OnceLock};
/// use kafka_producer::ClusterResourceListener;
///
/// /// Remembers the cluster id, for the log lines of an interceptor.
/// #[derive(Clone, Default)]
/// struct ClusterId(Arc<OnceLock<String>>);
///
/// impl ClusterResourceListener for ClusterId {
///     fn on_update(&self, cluster_id: Option<&str>) {
///         if let Some(id) = cluster_id {
///             self.0.get_or_init(|| id.to_owned());
///         }
///     }
/// }
/// ```
///
/// # Threads
/// Called on the sender thread; must not block. Calls of the producer that would wait for that thread are rejected
/// inside the listener. A panic is logged and has no other effect. The listener is not called after the plug-ins of
/// the producer have been closed.
/// # Kafka
/// `org.apache.kafka.common.ClusterResourceListener`.
pub trait ClusterResourceListener: Send + Sync {
    /// Called after a metadata update; `cluster_id` is `None` until a broker has sent it.
    fn on_update(&self, cluster_id: Option<&str>);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MD-24: a partition without a leader is a partition of its topic, but not an available one. MD-25: in Java a
    /// topic's partitions are in the order of a hash map.
    #[test]
    fn partitions_are_listed_by_number_and_those_without_leader_are_not_available() {
        let node = Node::new(1, "a", 9092);
        let cluster = Cluster::new(
            vec![node.clone()],
            vec![
                PartitionInfo::new(TopicPartition::new("t", 2), Some(node.clone())),
                PartitionInfo::new(TopicPartition::new("t", 0), None),
                PartitionInfo::new(TopicPartition::new("t", 1), Some(node.clone())),
            ],
        );
        let numbers: Vec<_> = cluster
            .partitions("t")
            .iter()
            .map(PartitionInfo::partition)
            .collect();
        assert_eq!(numbers, [0, 1, 2]);
        let available: Vec<_> = cluster
            .available_partitions("t")
            .map(PartitionInfo::partition)
            .collect();
        assert_eq!(available, [1, 2]);
        assert_eq!(cluster.leader_for(&TopicPartition::new("t", 0)), None);
        assert_eq!(
            cluster.leader_for(&TopicPartition::new("t", 2)),
            Some(&node)
        );
        assert_eq!(cluster.partition_count("unknown"), None);
    }
}
