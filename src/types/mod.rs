//! Value types used by all layers: topic partitions, nodes, the cluster, producer ids and sequences.

mod cluster;
mod consumer_group;
mod producer_id;
mod replicas;
pub(crate) mod topic_name;
mod topic_partition;
mod usable_magic;

pub use cluster::{Cluster, ClusterResourceListener, Node, NodeId, PartitionInfo};
pub(crate) use cluster::{TopicId, TopicInfo};
pub use consumer_group::{ConsumerGroupMetadata, OffsetAndMetadata};
pub(crate) use producer_id::{ProducerIdAndEpoch, Sequence};
pub(crate) use replicas::{ReplicaLists, ReplicaListsMaker};
pub use topic_partition::{PartitionId, TopicPartition};
pub(crate) use usable_magic::{Magic, UsableMagic};
