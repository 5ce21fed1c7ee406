//! `Metadata`: who is there, and who leads what.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::SimCluster;
use crate::error::ErrorCode;
use crate::protocol::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic, Response,
};
use crate::testing::sim::topics::{PartitionRole, SimTopic, is_internal, is_valid_name};

const NO_NODE: i32 = -1;

impl SimCluster {
    /// # Kafka
    /// `KafkaApis#handleTopicMetadataRequest`.
    pub(super) fn metadata(&mut self, request: &MetadataRequest) -> Response {
        let topics = match &request.topics {
            None => self
                .topics
                .names()
                .map(|name| self.known_topic(name))
                .collect(),
            Some(names) => {
                // A name that is asked for twice is answered once.
                let names: BTreeSet<_> = names.iter().collect();
                let create = request.allow_auto_topic_creation && self.options.auto_create_topics;
                names
                    .into_iter()
                    .map(|name| self.asked_topic(name, create))
                    .collect()
            }
        };
        let brokers = self.alive.iter().filter_map(|id| {
            let node = self.nodes.get(id)?;
            let (host, port) = (Arc::clone(&node.host), i32::from(node.port));
            Some(MetadataBroker {
                node_id: *id,
                host,
                port,
                rack: None,
            })
        });
        Response::Metadata(MetadataResponse {
            throttle_time_ms: 0,
            brokers: brokers.collect(),
            cluster_id: Some(Arc::clone(&self.options.cluster_id)),
            controller_id: self.alive.first().copied().unwrap_or(NO_NODE),
            topics,
        })
    }

    /// A topic that a client named. One that is missing is created if it may be; it shows in the
    /// answer to the next request, as when a controller creates it.
    fn asked_topic(&mut self, name: &Arc<str>, create: bool) -> MetadataTopic {
        if self.topics.get(name).is_some() {
            return self.known_topic(name);
        }
        let error = if !is_valid_name(name) {
            ErrorCode::InvalidTopicException
        } else if create {
            let (partitions, settings) = (self.options.default_partitions, self.options.settings);
            match self.create_topic(name, partitions, settings) {
                Ok(()) => ErrorCode::UnknownTopicOrPartition,
                Err(_) => ErrorCode::InvalidPartitions,
            }
        } else {
            ErrorCode::UnknownTopicOrPartition
        };
        MetadataTopic {
            error,
            name: Arc::clone(name),
            topic_id: [0; 16],
            is_internal: is_internal(name),
            partitions: Vec::new(),
        }
    }

    fn known_topic(&self, name: &Arc<str>) -> MetadataTopic {
        let topic = self.topics.get(name);
        let partition = |(index, role): (i32, &PartitionRole)| self.partition_metadata(index, role);
        let roles = topic
            .into_iter()
            .flat_map(|topic| topic.partitions.iter().map(|p| &p.role));
        MetadataTopic {
            error: ErrorCode::NoError,
            name: Arc::clone(name),
            topic_id: topic.map_or([0; 16], |topic: &SimTopic| topic.id),
            is_internal: is_internal(name),
            partitions: (0..).zip(roles).map(partition).collect(),
        }
    }

    /// # Kafka
    /// `ZkMetadataCache#getPartitionMetadata`.
    fn partition_metadata(&self, index: i32, role: &PartitionRole) -> MetadataPartition {
        let (isr, offline_replicas) = role
            .replicas
            .iter()
            .partition(|replica| self.alive.contains(replica));
        let leader = role.leader.filter(|leader| self.alive.contains(leader));
        let no_leader = ErrorCode::LeaderNotAvailable;
        MetadataPartition {
            error: leader.map_or(no_leader, |_| ErrorCode::NoError),
            index,
            leader_id: leader.unwrap_or(NO_NODE),
            leader_epoch: role.epoch,
            replicas: role.replicas.clone(),
            isr,
            offline_replicas,
        }
    }
}
