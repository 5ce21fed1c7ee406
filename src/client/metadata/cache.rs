//! Metadata cache: the current cluster snapshot, and the builder that makes the next one from it and a response.

use std::sync::Arc;

use crate::util::log::Level;

use super::news::MetadataNews;
use crate::protocol::{MetadataBroker, MetadataPartition};
use crate::types::{
    Cluster, Node, NodeId, PartitionId, PartitionInfo, TopicId, TopicInfo, TopicPartition,
};
use crate::util::shared_map::SharedMap;

/// The current cluster snapshot. Partitions keep their leader's node id, so that a leader missing from the broker list
/// for a while is found again when it is listed.
///
/// # Kafka
/// `org.apache.kafka.clients.MetadataCache`.
#[derive(Debug, Default)]
pub(super) struct MetadataCache {
    cluster: Arc<Cluster>,
}

impl MetadataCache {
    /// A cluster of which only the bootstrap servers are known.
    pub(super) fn bootstrap(nodes: Vec<Node>) -> Self {
        Self {
            cluster: Arc::new(Cluster::bootstrap(nodes)),
        }
    }

    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(super) fn topic_id(&self, topic: &str) -> Option<TopicId> {
        self.cluster.topics.get(topic).and_then(|topic| topic.id)
    }

    pub(super) fn partition(&self, topic: &str, number: PartitionId) -> Option<&PartitionInfo> {
        let partitions = &self.cluster.topics.get(topic)?.partitions;
        let at = partitions
            .binary_search_by_key(&number, PartitionInfo::partition)
            .ok()?;
        partitions.get(at)
    }

    /// Begins the next snapshot, with the brokers of a response, the topic errors of this snapshot, and no topics yet.
    pub(super) fn successor(
        &self,
        brokers: Vec<MetadataBroker>,
        cluster_id: Option<Arc<str>>,
        controller: NodeId,
        news: &mut MetadataNews,
    ) -> Successor {
        let brokers = brokers.into_iter();
        let mut nodes: Vec<Node> = brokers.filter_map(|broker| node_of(broker, news)).collect();
        // The sort is stable: if a node id is listed twice, the first entry is kept.
        nodes.sort_by_key(Node::id);
        nodes.dedup_by(|next, first| {
            let is_again = next.id() == first.id();
            if is_again && next != first {
                news.note(Level::Warn, || {
                    format!("Ignoring broker {next}, which was listed before as {first}")
                });
            }
            is_again
        });
        let controller = Some(controller).filter(|id| nodes.iter().any(|node| node.id() == *id));
        // With the same brokers, topics of the old snapshot can be shared: they point to equal leader nodes.
        let has_same_nodes = nodes == self.cluster.nodes;
        Successor {
            topics: SharedMap::default(),
            unauthorized: self.cluster.unauthorized_topics.clone(),
            invalid: self.cluster.invalid_topics.clone(),
            leaders: nodes.iter().cloned().map(Arc::new).collect(),
            nodes,
            cluster_id,
            controller,
            has_same_nodes,
        }
    }
}

/// Whether a broker's node id and port are valid. Negative ids are those of bootstrap servers.
pub(in crate::client) fn is_reachable(broker: &MetadataBroker) -> bool {
    broker.node_id >= 0 && port_of(broker).is_some()
}

fn port_of(broker: &MetadataBroker) -> Option<u16> {
    u16::try_from(broker.port).ok()
}

fn node_of(broker: MetadataBroker, news: &mut MetadataNews) -> Option<Node> {
    let port = port_of(&broker).filter(|_| is_reachable(&broker));
    let MetadataBroker {
        node_id,
        host,
        port: listed,
        rack,
    } = broker;
    let Some(port) = port else {
        news.note(Level::Warn, || {
            format!("Ignoring broker {node_id} ({host}:{listed}): its node id or port is invalid")
        });
        return None;
    };
    let node = Node::new(node_id, host, port);
    Some(match rack {
        Some(rack) => node.with_rack(rack),
        None => node,
    })
}

/// Builder of the next cluster snapshot.
#[derive(Debug)]
pub(super) struct Successor {
    topics: SharedMap<Arc<TopicInfo>>,
    unauthorized: SharedMap<()>,
    invalid: SharedMap<()>,
    nodes: Vec<Node>,
    /// The same nodes, shared by the partitions that they lead.
    leaders: Vec<Arc<Node>>,
    cluster_id: Option<Arc<str>>,
    controller: Option<NodeId>,
    has_same_nodes: bool,
}

impl Successor {
    /// A partition as a response describes it.
    pub(super) fn partition_from_response(
        &self,
        topic: &Arc<str>,
        partition: MetadataPartition,
    ) -> PartitionInfo {
        PartitionInfo {
            topic_partition: TopicPartition::new(Arc::clone(topic), partition.index),
            leader: self.leader(partition.leader_id),
            leader_id: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replicas,
        }
    }

    /// A cached partition, with its leader looked up among the new brokers.
    pub(super) fn partition_from_cache(&self, partition: &PartitionInfo) -> PartitionInfo {
        PartitionInfo {
            leader: self.leader(partition.leader_id),
            ..partition.clone()
        }
    }

    pub(super) fn add_topic(
        &mut self,
        name: Arc<str>,
        id: Option<TopicId>,
        is_internal: bool,
        mut partitions: Vec<PartitionInfo>,
        news: &mut MetadataNews,
    ) {
        let listed = partitions.len();
        // The response is untrusted, and lookups need sorted, unique numbers.
        partitions.retain(|partition| partition.partition() >= 0);
        if partitions.len() < listed {
            let count = listed - partitions.len();
            news.note(Level::Warn, || {
                format!("Ignoring {count} partitions of topic {name}, whose numbers are negative")
            });
        }
        partitions.sort_by_key(PartitionInfo::partition);
        partitions.dedup_by_key(|partition| partition.partition());
        let info = TopicInfo {
            partitions,
            is_internal,
            id,
        };
        self.topics.insert(name, Arc::new(info));
    }

    pub(super) fn add_invalid(&mut self, topic: Arc<str>) {
        self.invalid.insert(topic, ());
    }

    pub(super) fn add_unauthorized(&mut self, topic: Arc<str>) {
        self.unauthorized.insert(topic, ());
    }

    /// Takes over all topics of the old snapshot. Returns true if they are shared unchanged: only then the cost does
    /// not depend on the number of topics.
    pub(super) fn keep_topics(&mut self, old: &MetadataCache) -> bool {
        let topics = &old.cluster.topics;
        self.topics = if self.has_same_nodes {
            topics.clone()
        } else {
            let all = topics.iter();
            all.map(|(name, info)| (Arc::clone(name), self.with_new_leaders(info)))
                .collect()
        };
        self.has_same_nodes
    }

    fn with_new_leaders(&self, info: &TopicInfo) -> Arc<TopicInfo> {
        let partitions = info.partitions.iter();
        Arc::new(TopicInfo {
            partitions: partitions
                .map(|partition| self.partition_from_cache(partition))
                .collect(),
            ..*info
        })
    }

    /// Removes a topic, and its errors.
    pub(super) fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.unauthorized.remove(topic);
        self.invalid.remove(topic);
    }

    /// Removes the errors of topics for which `retain` returns false (evicted ones).
    pub(super) fn retain_refused(&mut self, retain: &mut dyn FnMut(&str) -> bool) {
        for refused in [&mut self.unauthorized, &mut self.invalid] {
            let forgotten: Vec<_> = refused
                .names()
                .filter(|topic| !retain(topic))
                .cloned()
                .collect();
            for topic in forgotten {
                refused.remove(&topic);
            }
        }
    }

    /// Builds the snapshot.
    pub(super) fn build(self) -> MetadataCache {
        let cluster = Cluster {
            cluster_id: self.cluster_id,
            is_bootstrap: false,
            nodes: self.nodes,
            controller: self.controller,
            topics: self.topics,
            unauthorized_topics: self.unauthorized,
            invalid_topics: self.invalid,
        };
        MetadataCache {
            cluster: Arc::new(cluster),
        }
    }

    /// The leader's node; `None` if it is not among the brokers. The search is binary, since a response may list any
    /// number of brokers and partitions.
    fn leader(&self, id: NodeId) -> Option<Arc<Node>> {
        let at = self
            .leaders
            .binary_search_by_key(&id, |node| node.id())
            .ok()?;
        self.leaders.get(at).cloned()
    }
}
