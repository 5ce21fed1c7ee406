//! `Metadata`: nodes, topics and leaders.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::SimCluster;
use crate::error::ErrorCode;
use crate::protocol::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic, Response,
};
use crate::testing::sim::script::Decision;
use crate::testing::sim::topics::{PartitionRole, SimTopic, is_internal, is_valid_name};
use crate::types::{NodeId, ReplicaLists};

const NO_NODE: i32 = -1;

impl SimCluster {
    /// # Kafka
    /// `KafkaApis#handleTopicMetadataRequest`.
    pub(super) fn metadata(&mut self, request: &MetadataRequest, decision: &Decision) -> Response {
        let mut response = match &decision.metadata {
            Some(picture) => as_of(picture, request),
            None => self.present_metadata(request, decision),
        };
        for topic in &mut response.topics {
            refuse(topic, decision);
        }
        Response::Metadata(response)
    }

    /// The current metadata of all topics.
    pub(crate) fn metadata_picture(&self) -> MetadataResponse {
        let topics = self.topics.names();
        self.about_the_cluster(topics.map(|name| self.known_topic(name)).collect())
    }

    fn present_metadata(
        &mut self,
        request: &MetadataRequest,
        decision: &Decision,
    ) -> MetadataResponse {
        let Some(names) = &request.topics else {
            return self.metadata_picture();
        };
        let create = request.allow_auto_topic_creation && self.options.auto_create_topics;
        // A topic that is requested twice is reported once.
        let names: BTreeSet<_> = names.iter().collect();
        let topics = names.into_iter().map(|name| {
            let refused = decision.refused(Some(name), None);
            let untouched = refused.is_some_and(|refused| !refused.after_applying);
            self.asked_topic(name, create && !untouched)
        });
        let topics = topics.collect();
        self.about_the_cluster(topics)
    }

    fn about_the_cluster(&self, topics: Vec<MetadataTopic>) -> MetadataResponse {
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
        MetadataResponse {
            throttle_time_ms: 0,
            brokers: brokers.collect(),
            cluster_id: Some(Arc::clone(&self.options.cluster_id)),
            controller_id: self.alive.first().copied().unwrap_or(NO_NODE),
            topics,
        }
    }

    /// A topic that the client named. A missing topic is created if `create` is true. It appears only in the next
    /// response, as if the controller had created it meanwhile.
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
        no_topic(name, error)
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
        let (in_sync, offline): (Vec<NodeId>, Vec<NodeId>) = role
            .replicas
            .iter()
            .partition(|replica| self.alive.contains(replica));
        let leader = role.leader.filter(|leader| self.alive.contains(leader));
        let no_leader = ErrorCode::LeaderNotAvailable;
        MetadataPartition {
            error: leader.map_or(no_leader, |_| ErrorCode::NoError),
            index,
            leader_id: leader.unwrap_or(NO_NODE),
            leader_epoch: (role.epoch - self.reported_epochs_lowered_by).max(0),
            replicas: ReplicaLists::new(&role.replicas, &in_sync, &offline),
        }
    }
}

/// The response to `request` from a snapshot of all topics.
fn as_of(picture: &MetadataResponse, request: &MetadataRequest) -> MetadataResponse {
    let Some(names) = &request.topics else {
        return picture.clone();
    };
    let names: BTreeSet<_> = names.iter().collect();
    let topic = |name: &Arc<str>| {
        let known = picture.topics.iter().find(|topic| topic.name == *name);
        known
            .cloned()
            .unwrap_or_else(|| no_topic(name, ErrorCode::UnknownTopicOrPartition))
    };
    MetadataResponse {
        brokers: picture.brokers.clone(),
        cluster_id: picture.cluster_id.clone(),
        topics: names.into_iter().map(topic).collect(),
        ..*picture
    }
}

fn no_topic(name: &Arc<str>, error: ErrorCode) -> MetadataTopic {
    MetadataTopic {
        error,
        name: Arc::clone(name),
        topic_id: [0; 16],
        is_internal: is_internal(name),
        partitions: Vec::new(),
    }
}

/// Applies the errors of rules to topics and partitions.
fn refuse(topic: &mut MetadataTopic, decision: &Decision) {
    if let Some(refused) = decision.refused(Some(&topic.name), None) {
        topic.error = refused.refusal.code;
        topic.partitions.clear();
        return;
    }
    for partition in &mut topic.partitions {
        let refused = decision.refused(Some(&topic.name), Some(partition.index));
        let Some(refused) = refused else { continue };
        partition.error = refused.refusal.code;
        // With these errors a broker reports no leader.
        if matches!(
            partition.error,
            ErrorCode::LeaderNotAvailable | ErrorCode::ListenerNotFound
        ) {
            partition.leader_id = NO_NODE;
        }
    }
}
