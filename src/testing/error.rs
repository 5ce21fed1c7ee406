//! Errors of the embedded cluster's API.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::script::RuleError;
use super::sim::NotDone;
use super::transaction::TransactionState;
use crate::types::{NodeId, PartitionId, TopicPartition};

/// Why a method of a [`TestCluster`](super::TestCluster) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum TestClusterError {
    /// There is no topic of this name.
    NoSuchTopic(Arc<str>),
    /// The topic has no such partition.
    NoSuchPartition(TopicPartition),
    /// There is no broker with this id.
    NoSuchNode(NodeId),
    /// There already is a topic of this name.
    TopicExists(Arc<str>),
    /// The topic's name is invalid.
    InvalidTopicName(Arc<str>),
    /// A topic needs at least one partition.
    NoPartitions,
    /// The number of partitions can only grow.
    FewerPartitions {
        /// The current number.
        has: usize,
        /// The requested number.
        wanted: usize,
    },
    /// The rule can never match; the text gives the reason, and what to write instead.
    InvalidRule(Arc<str>),
    /// The rule had not fired often enough when the timeout passed.
    NotFired {
        /// The requests that it matches.
        rule: Arc<str>,
        /// How often it should have fired.
        wanted: u64,
        /// How often it has fired.
        fired: u64,
    },
    /// The rule will never fire often enough; the text says why.
    WillNotFire(Arc<str>),
    /// The transaction was not in the expected state when the timeout passed.
    NotInState {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// The expected state.
        wanted: TransactionState,
        /// The actual state; `None` if no producer was initialized with the id.
        state: Option<TransactionState>,
    },
    /// The brokers' TLS settings are invalid; the text says why.
    InvalidTls(Arc<str>),
    /// The system has no port or thread left, or the port was taken by another process.
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
            Self::NotInState {
                transactional_id,
                wanted,
                state,
            } => match state {
                Some(state) => write!(
                    f,
                    "the transaction of {transactional_id:?} is {state:?} by now, not {wanted:?}"
                ),
                None => write!(
                    f,
                    "no producer was initialized with the transactional id {transactional_id:?} by now"
                ),
            },
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
            Self::Io(error) => error.source(),
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
