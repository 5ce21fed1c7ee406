//! Why something was not done in the embedded cluster.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::script::RuleError;
use super::sim::NotDone;
use crate::types::{NodeId, PartitionId, TopicPartition};

/// Why a [`TestCluster`](super::TestCluster) did not do what it was told to.
#[derive(Debug)]
#[non_exhaustive]
pub enum TestClusterError {
    /// There is no topic of this name.
    NoSuchTopic(Arc<str>),
    /// The topic has no such partition.
    NoSuchPartition(TopicPartition),
    /// There is no broker with this number.
    NoSuchNode(NodeId),
    /// There already is a topic of this name.
    TopicExists(Arc<str>),
    /// Kafka allows no such name for a topic.
    InvalidTopicName(Arc<str>),
    /// A topic without partitions was asked for.
    NoPartitions,
    /// Partitions can only be added.
    FewerPartitions {
        /// How many there are.
        has: usize,
        /// How many were asked for.
        wanted: usize,
    },
    /// The rule can mean nothing; the text says why, and what to write.
    InvalidRule(Arc<str>),
    /// The rule has not fired in time as often as was waited for.
    NotFired {
        /// Which requests it is about.
        rule: Arc<str>,
        /// How often it was to fire.
        wanted: u64,
        /// How often it has.
        fired: u64,
    },
    /// The rule will never fire as often as was waited for; the text says why.
    WillNotFire(Arc<str>),
    /// The brokers cannot speak TLS as they were told; the text says why.
    InvalidTls(Arc<str>),
    /// The system has no port or thread left, or the port was taken by somebody else.
    Io(io::Error),
}

impl fmt::Display for TestClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTopic(topic) => write!(f, "there is no topic {topic:?}"),
            Self::NoSuchPartition(partition) => write!(f, "there is no partition {partition}"),
            Self::NoSuchNode(node) => write!(f, "there is no node {node}"),
            Self::TopicExists(topic) => write!(f, "there already is a topic {topic:?}"),
            Self::InvalidTopicName(topic) => write!(f, "no topic can be named {topic:?}"),
            Self::NoPartitions => f.write_str("a topic needs at least one partition"),
            Self::FewerPartitions { has, wanted } => write!(
                f,
                "the topic has {has} partitions, which cannot become {wanted}"
            ),
            Self::InvalidRule(why) | Self::WillNotFire(why) => f.write_str(why),
            Self::InvalidTls(why) => write!(f, "the brokers' TLS cannot be used: {why}"),
            Self::NotFired {
                rule,
                wanted,
                fired,
            } => write!(f, "{rule} has fired {fired} times by now, not {wanted}"),
            Self::Io(error) => write!(f, "a broker cannot run: {error}"),
        }
    }
}

impl std::error::Error for TestClusterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for TestClusterError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NotDone> for TestClusterError {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::NoSuchTopic(topic) => Self::NoSuchTopic(topic.into()),
            NotDone::NoSuchPartition(topic, partition) => no_partition(topic, partition),
            NotDone::NoSuchNode(node) => Self::NoSuchNode(node),
            NotDone::TopicExists(topic) => Self::TopicExists(topic.into()),
            NotDone::InvalidName(topic) => Self::InvalidTopicName(topic.into()),
            NotDone::NoPartitions => Self::NoPartitions,
            NotDone::FewerPartitions { has, wanted } => Self::FewerPartitions { has, wanted },
        }
    }
}

fn no_partition(topic: String, partition: PartitionId) -> TestClusterError {
    TestClusterError::NoSuchPartition(TopicPartition::new(topic, partition))
}

impl From<RuleError> for TestClusterError {
    fn from(error: RuleError) -> Self {
        Self::InvalidRule(error.to_string().into())
    }
}
