//! What a broker answers to a request.

mod api_versions;
mod init_producer_id;
mod metadata;
mod produce;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::log::{Depth, TopicSettings};
use super::topics::{NotDone, SimPartition, SimTopic, Topics};
use super::transactional_ids::ProducerIds;
use crate::clock::Timestamp;
use crate::protocol::{ApiKey, Frame, Reader, Request, RequestHeader, Response};
use crate::types::{NodeId, PartitionId};

/// What a broker does about a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It sends this.
    Reply(Frame),
    /// It says nothing: the producer asked for no acknowledgement.
    Silence,
    /// It closes the connection.
    Close,
}

/// What a cluster is made with.
#[derive(Debug, Clone)]
pub(crate) struct SimOptions {
    pub(crate) cluster_id: Arc<str>,
    /// Whether a request for metadata creates the topics it names (`auto.create.topics.enable`).
    pub(crate) auto_create_topics: bool,
    /// Partitions of a topic so created (`num.partitions`).
    pub(crate) default_partitions: usize,
    /// How many nodes hold a copy of each partition; no more than there are nodes.
    pub(crate) replication_factor: usize,
    /// Settings of a topic so created.
    pub(crate) settings: TopicSettings,
    pub(crate) depth: Depth,
}

/// Where a node listens.
#[derive(Debug, Clone)]
pub(crate) struct SimNode {
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

impl SimNode {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

/// A cluster: nodes, topics, and all that its brokers remember.
///
/// All nodes share one state, as if news travelled between them in no time.
#[derive(Debug)]
pub(crate) struct SimCluster {
    options: SimOptions,
    nodes: BTreeMap<NodeId, SimNode>,
    alive: BTreeSet<NodeId>,
    topics: Topics,
    producer_ids: ProducerIds,
    /// Which node the next topic's first partition is put on.
    next_leader: usize,
    requests: BTreeMap<ApiKey, u64>,
}

impl SimCluster {
    /// A cluster of these nodes, all alive, without topics.
    pub(crate) fn new(options: SimOptions, nodes: BTreeMap<NodeId, SimNode>) -> Self {
        let alive = nodes.keys().copied().collect();
        Self {
            options,
            nodes,
            alive,
            topics: Topics::default(),
            producer_ids: ProducerIds::default(),
            next_leader: 0,
            requests: BTreeMap::new(),
        }
    }

    /// Answers the request in `frame`, which came without its length to `node`.
    ///
    /// What cannot be read closes the connection, as does a version that is not spoken here; only
    /// `ApiVersions` is answered in any version.
    ///
    /// # Kafka
    /// `kafka.server.KafkaApis#handle`.
    pub(crate) fn handle(&mut self, node: NodeId, frame: &Bytes, now: Timestamp) -> Answer {
        if !self.alive.contains(&node) {
            return Answer::Close;
        }
        let mut reader = Reader::new(frame);
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            return Answer::Close;
        };
        let (api, version) = (header.api_key, header.api_version);
        *self.requests.entry(api).or_default() += 1;
        if !api_versions::speaks(api, version) {
            return match api {
                ApiKey::ApiVersions => reply(&header, 0, &api_versions::unsupported()),
                _ => Answer::Close,
            };
        }
        let Ok(request) = Request::decode_body(api, version, &mut reader) else {
            return Answer::Close;
        };
        match request {
            Request::ApiVersions(request) => {
                reply(&header, version, &api_versions::answer(&request, version))
            }
            Request::Metadata(request) => reply(&header, version, &self.metadata(&request)),
            Request::InitProducerId(request) => {
                reply(&header, version, &self.init_producer_id(&request, version))
            }
            Request::Produce(request) => {
                let acks = request.acks;
                let (response, failed) = self.produce(node, request, version, now);
                match (acks, failed) {
                    (0, false) => Answer::Silence,
                    // With nothing to say it in, closing is how a broker tells of an error.
                    (0, true) => Answer::Close,
                    _ => reply(&header, version, &response),
                }
            }
        }
    }

    /// Makes a topic; its partitions' leaders go around the nodes.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: usize,
        settings: TopicSettings,
    ) -> Result<(), NotDone> {
        if partitions == 0 {
            return Err(NotDone::NoPartitions);
        }
        self.topics.create(name, settings)?;
        self.add_partitions(name, partitions)
    }

    /// Adds partitions to a topic until there are `count`.
    pub(crate) fn add_partitions(&mut self, name: &str, count: usize) -> Result<(), NotDone> {
        let has = self.topic(name)?.partitions.len();
        if count < has {
            return Err(NotDone::FewerPartitions { has, wanted: count });
        }
        let new: Vec<_> = (has..count)
            .map(|_| SimPartition::new(self.next_replicas(), &self.alive))
            .collect();
        self.topic_mut(name)?.partitions.extend(new);
        Ok(())
    }

    /// The nodes for the next partition, each time beginning one further.
    fn next_replicas(&mut self) -> Vec<NodeId> {
        let start = self.next_leader;
        self.next_leader = (start + 1) % self.nodes.len().max(1);
        let around = self.nodes.keys().cycle().skip(start);
        around
            .take(self.options.replication_factor.clamp(1, self.nodes.len()))
            .copied()
            .collect()
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<(), NotDone> {
        self.topics.delete(name)
    }

    /// Makes `node` the leader of a partition, whether it is alive or not.
    pub(crate) fn move_leader(
        &mut self,
        name: &str,
        partition: PartitionId,
        node: NodeId,
    ) -> Result<(), NotDone> {
        if !self.nodes.contains_key(&node) {
            return Err(NotDone::NoSuchNode(node));
        }
        self.partition_mut(name, partition)?.role.move_to(node);
        Ok(())
    }

    /// A node goes down: its partitions go to other nodes that hold a copy, or are without leader.
    pub(crate) fn node_down(&mut self, node: NodeId) {
        self.alive.remove(&node);
        self.elect();
    }

    /// A node comes up: partitions without leader of which it holds a copy are its own.
    pub(crate) fn node_up(&mut self, node: NodeId) {
        if self.nodes.contains_key(&node) {
            self.alive.insert(node);
        }
        self.elect();
    }

    fn elect(&mut self) {
        for role in self.topics.roles_mut() {
            role.elect(&self.alive);
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<&SimTopic, NotDone> {
        self.topics
            .get(name)
            .ok_or_else(|| NotDone::NoSuchTopic(name.to_owned()))
    }

    fn topic_mut(&mut self, name: &str) -> Result<&mut SimTopic, NotDone> {
        self.topics
            .get_mut(name)
            .ok_or_else(|| NotDone::NoSuchTopic(name.to_owned()))
    }

    pub(crate) fn partition(
        &self,
        name: &str,
        partition: PartitionId,
    ) -> Result<&SimPartition, NotDone> {
        let missing = || NotDone::NoSuchPartition(name.to_owned(), partition);
        self.topic(name)?.partition(partition).ok_or_else(missing)
    }

    fn partition_mut(
        &mut self,
        name: &str,
        partition: PartitionId,
    ) -> Result<&mut SimPartition, NotDone> {
        let missing = || NotDone::NoSuchPartition(name.to_owned(), partition);
        self.topic_mut(name)?
            .partition_mut(partition)
            .ok_or_else(missing)
    }

    /// How many requests of a kind have come, answered or not.
    pub(crate) fn requests(&self) -> &BTreeMap<ApiKey, u64> {
        &self.requests
    }
}

fn reply(header: &RequestHeader, version: i16, response: &Response) -> Answer {
    Answer::Reply(response.encode(version, header.correlation_id))
}

#[cfg(test)]
mod tests;
