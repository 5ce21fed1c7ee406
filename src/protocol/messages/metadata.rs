//! Metadata: the cluster's brokers, and the partitions and leaders of topics.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, EncodeError, Reader, Writer};
use crate::types::{ReplicaLists, ReplicaListsMaker};

/// Request: the brokers, and some or all topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataRequest {
    /// `None`: all topics of the cluster.
    pub(crate) topics: Option<Vec<Arc<str>>>,
    /// Whether the broker may create topics that it does not have.
    pub(crate) allow_auto_topic_creation: bool,
}

/// Value of the authorized operations (a bit set) if they were not requested.
#[cfg(any(test, feature = "testing"))]
const NO_OPERATIONS: i32 = i32::MIN;

impl RequestBody for MetadataRequest {
    fn size_hint(&self) -> usize {
        // Name's length, uuid and tags of a topic: 2 + 16 + 1.
        let topics = self.topics.iter().flatten();
        12 + topics.map(|name| name.len() + 19).sum::<usize>()
    }

    fn encode(&self, w: &mut Writer, version: i16) {
        let names = self.topics.as_deref();
        match names {
            // Version 0 has no null: an empty list means all topics.
            None if version == 0 => w.put_length(Some(0), "the topics"),
            Some([]) if version == 0 => {
                w.fail(EncodeError::UnsupportedField {
                    what: "an empty list of topics",
                    version,
                });
            }
            _ => w.put_length(names.map(<[_]>::len), "the topics"),
        }
        for name in names.unwrap_or_default() {
            if version >= 10 {
                w.put_uuid([0; 16]);
            }
            w.put_str(name, "the topic's name");
            w.put_no_tags();
        }
        if version >= 4 {
            w.put_bool(self.allow_auto_topic_creation);
        } else if !self.allow_auto_topic_creation {
            w.fail(EncodeError::UnsupportedField {
                what: "'do not create topics'",
                version,
            });
        }
        if (8..=10).contains(&version) {
            w.put_bool(false);
        }
        if version >= 8 {
            w.put_bool(false);
        }
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let element = |r: &mut Reader<'_>| {
            if version >= 10 {
                r.uuid("a topic's id")?;
            }
            let name = r.string("a topic's name")?;
            r.skip_tags()?;
            Ok(name)
        };
        let topics = if version == 0 {
            Some(r.array("the topics", 2, element)?).filter(|topics| !topics.is_empty())
        } else {
            r.nullable_array("the topics", 2, element)?
        };
        let allow_auto_topic_creation = version < 4 || r.bool("'may create topics'")?;
        if (8..=10).contains(&version) {
            r.bool("'with the cluster's permitted operations'")?;
        }
        if version >= 8 {
            r.bool("'with the topics' permitted operations'")?;
        }
        r.skip_tags()?;
        Ok(Self {
            topics,
            allow_auto_topic_creation,
        })
    }
}

/// Response: the brokers, and the requested topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) brokers: Vec<MetadataBroker>,
    pub(crate) cluster_id: Option<Arc<str>>,
    /// -1 if unknown.
    pub(crate) controller_id: i32,
    pub(crate) topics: Vec<MetadataTopic>,
}

/// A live broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataBroker {
    pub(crate) node_id: i32,
    pub(crate) host: Arc<str>,
    pub(crate) port: i32,
    pub(crate) rack: Option<Arc<str>>,
}

/// A topic, or its error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataTopic {
    pub(crate) error: ErrorCode,
    pub(crate) name: Arc<str>,
    /// All zero in versions without topic ids.
    pub(crate) topic_id: [u8; 16],
    pub(crate) is_internal: bool,
    pub(crate) partitions: Vec<MetadataPartition>,
}

/// A partition: leader, leader epoch and replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataPartition {
    pub(crate) error: ErrorCode,
    pub(crate) index: i32,
    /// -1 if there is no leader.
    pub(crate) leader_id: i32,
    /// -1 in versions without leader epochs.
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: ReplicaLists,
}

impl ResponseBody for MetadataResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        if version >= 3 {
            w.put_i32(self.throttle_time_ms);
        }
        w.put_array(&self.brokers, "the brokers", |w, broker| {
            broker.encode(w, version);
        });
        if version >= 2 {
            w.put_nullable_str(self.cluster_id.as_deref(), "the cluster's id");
        }
        if version >= 1 {
            w.put_i32(self.controller_id);
        }
        w.put_array(&self.topics, "the topics", |w, topic| {
            topic.encode(w, version);
        });
        if (8..=10).contains(&version) {
            w.put_i32(NO_OPERATIONS);
        }
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let throttle_time_ms = if version >= 3 {
            r.i32("the throttle time")?
        } else {
            0
        };
        let brokers = r.array("the brokers", 9, |r| MetadataBroker::decode(r, version))?;
        let cluster_id = if version >= 2 {
            r.nullable_string("the cluster's id")?
        } else {
            None
        };
        let controller_id = if version >= 1 {
            r.i32("the controller's id")?
        } else {
            -1
        };
        let mut replicas = ReplicaListsMaker::default();
        let topics = r.array("the topics", 4, |r| {
            MetadataTopic::decode(r, version, &mut replicas)
        })?;
        if (8..=10).contains(&version) {
            r.i32("the cluster's permitted operations")?;
        }
        r.skip_tags()?;
        Ok(Self {
            throttle_time_ms,
            brokers,
            cluster_id,
            controller_id,
            topics,
        })
    }
}

impl MetadataBroker {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_i32(self.node_id);
        w.put_str(&self.host, "the broker's host");
        w.put_i32(self.port);
        if version >= 1 {
            w.put_nullable_str(self.rack.as_deref(), "the broker's rack");
        }
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let node_id = r.i32("a broker's id")?;
        let host = r.string("a broker's host")?;
        let port = r.i32("a broker's port")?;
        let rack = if version >= 1 {
            r.nullable_string("a broker's rack")?
        } else {
            None
        };
        r.skip_tags()?;
        Ok(Self {
            node_id,
            host,
            port,
            rack,
        })
    }
}

impl MetadataTopic {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_i16(self.error.code());
        w.put_str(&self.name, "the topic's name");
        if version >= 10 {
            w.put_uuid(self.topic_id);
        }
        if version >= 1 {
            w.put_bool(self.is_internal);
        }
        w.put_array(&self.partitions, "the partitions", |w, partition| {
            partition.encode(w, version);
        });
        if version >= 8 {
            w.put_i32(NO_OPERATIONS);
        }
        w.put_no_tags();
    }

    fn decode(
        r: &mut Reader<'_>,
        version: i16,
        replicas: &mut ReplicaListsMaker,
    ) -> Result<Self, DecodeError> {
        let error = r.error_code("a topic's error")?;
        let name = r.string("a topic's name")?;
        let topic_id = if version >= 10 {
            r.uuid("a topic's id")?
        } else {
            [0; 16]
        };
        let is_internal = version >= 1 && r.bool("'is internal'")?;
        let partitions = r.array("a topic's partitions", 12, |r| {
            MetadataPartition::decode(r, version, replicas)
        })?;
        if version >= 8 {
            r.i32("a topic's permitted operations")?;
        }
        r.skip_tags()?;
        Ok(Self {
            error,
            name,
            topic_id,
            is_internal,
            partitions,
        })
    }
}

impl MetadataPartition {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        w.put_i16(self.error.code());
        w.put_i32(self.index);
        w.put_i32(self.leader_id);
        if version >= 7 {
            w.put_i32(self.leader_epoch);
        }
        w.put_i32_array(self.replicas.all(), "the replicas");
        w.put_i32_array(self.replicas.in_sync(), "the in-sync replicas");
        if version >= 5 {
            w.put_i32_array(self.replicas.offline(), "the offline replicas");
        }
        w.put_no_tags();
    }

    fn decode(
        r: &mut Reader<'_>,
        version: i16,
        replicas: &mut ReplicaListsMaker,
    ) -> Result<Self, DecodeError> {
        let error = r.error_code("a partition's error")?;
        let index = r.i32("a partition's index")?;
        let leader_id = r.i32("a partition's leader")?;
        let leader_epoch = if version >= 7 {
            r.i32("a leader epoch")?
        } else {
            -1
        };
        let nodes = replicas.start();
        r.i32_array(nodes, "a partition's replicas")?;
        let all = nodes.len();
        r.i32_array(nodes, "a partition's in-sync replicas")?;
        let in_sync = nodes.len() - all;
        if version >= 5 {
            r.i32_array(nodes, "a partition's offline replicas")?;
        }
        r.skip_tags()?;
        Ok(Self {
            error,
            index,
            leader_id,
            leader_epoch,
            replicas: replicas.finish(all, in_sync),
        })
    }
}
