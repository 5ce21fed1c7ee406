//! The values that every layer speaks of: partitions, nodes, the cluster, producer ids.

mod cluster;
mod producer_id;
mod replicas;
pub(crate) mod topic_name;
mod topic_partition;
mod usable_magic;

pub use cluster::{Cluster, ClusterResourceListener, Node, NodeId, PartitionInfo};
pub(crate) use cluster::{TopicId, TopicInfo};
pub(crate) use producer_id::{ProducerIdAndEpoch, Sequence};
pub(crate) use replicas::{ReplicaLists, ReplicaListsMaker};
pub use topic_partition::{PartitionId, TopicPartition};
pub(crate) use usable_magic::{Magic, UsableMagic};
