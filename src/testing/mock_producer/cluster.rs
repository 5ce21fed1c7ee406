//! The topics of a mock producer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::ErrorCode;
use crate::protocol::{MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic};
use crate::types::{Node, NodeId, ReplicaLists};

/// The only broker: the leader of all partitions, and the coordinator of all ids.
pub(super) const BROKER: NodeId = 0;
pub(super) const HOST: &str = "mock";
pub(super) const PORT: u16 = 9092;

pub(super) fn broker() -> Node {
    Node::new(BROKER, HOST, PORT)
}

/// The topics and their partition counts.
#[derive(Debug, Clone)]
pub(super) struct MockedCluster {
    pub(super) topics: BTreeMap<String, i32>,
    /// The partition count of all other topics; `None` if they do not exist.
    pub(super) other_topics: Option<i32>,
    /// The topics that were in an earlier response.
    described: BTreeSet<Arc<str>>,
    /// Whether the broker was in an earlier response.
    is_known: bool,
}

impl MockedCluster {
    pub(super) fn new() -> Self {
        Self {
            topics: BTreeMap::new(),
            other_topics: Some(1),
            described: BTreeSet::new(),
            is_known: false,
        }
    }

    /// Whether a response about these topics would contain nothing new.
    pub(super) fn has_described(&self, topics: &[Arc<str>]) -> bool {
        self.is_known && topics.iter().all(|topic| self.described.contains(topic))
    }

    pub(super) fn describe(&mut self, topics: Vec<Arc<str>>) -> MetadataResponse {
        let described = topics.iter().map(|name| self.topic(name)).collect();
        self.described.extend(topics);
        self.is_known = true;
        MetadataResponse {
            throttle_time_ms: 0,
            brokers: vec![MetadataBroker {
                node_id: BROKER,
                host: HOST.into(),
                port: i32::from(PORT),
                rack: None,
            }],
            cluster_id: Some("mock".into()),
            controller_id: BROKER,
            topics: described,
        }
    }

    fn topic(&self, name: &Arc<str>) -> MetadataTopic {
        let count = self.topics.get(&**name).copied().or(self.other_topics);
        MetadataTopic {
            error: match count {
                Some(_) => ErrorCode::NoError,
                None => ErrorCode::UnknownTopicOrPartition,
            },
            name: Arc::clone(name),
            topic_id: [0; 16],
            is_internal: false,
            partitions: (0..count.unwrap_or(0))
                .map(|index| MetadataPartition {
                    error: ErrorCode::NoError,
                    index,
                    leader_id: BROKER,
                    leader_epoch: 0,
                    replicas: ReplicaLists::new(&[BROKER], &[BROKER], &[]),
                })
                .collect(),
        }
    }
}
