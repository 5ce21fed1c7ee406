//! Topics, their partitions, and which node leads each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::log::{PartitionLog, TopicSettings};
use crate::types::{NodeId, PartitionId};

/// The longest name of a topic.
const NAME_BYTES_MAX: usize = 249;
/// Topics that belong to the cluster itself.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Whether a topic may have this name.
///
/// # Kafka
/// `org.apache.kafka.common.internals.Topic#validate`.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(legal)
        && !matches!(name, "." | "..")
}

/// Whether the topic belongs to the cluster itself.
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Why a change to the cluster was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDone {
    NoSuchTopic(String),
    NoSuchPartition(String, PartitionId),
    NoSuchNode(NodeId),
    TopicExists(String),
    InvalidName(String),
    NoPartitions,
    /// Partitions can only be added.
    FewerPartitions {
        has: usize,
        wanted: usize,
    },
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTopic(topic) => write!(f, "there is no topic {topic:?}"),
            Self::NoSuchPartition(topic, number) => {
                write!(f, "topic {topic:?} has no partition {number}")
            }
            Self::NoSuchNode(node) => write!(f, "there is no node {node}"),
            Self::TopicExists(topic) => write!(f, "there already is a topic {topic:?}"),
            Self::InvalidName(topic) => write!(f, "no topic can be named {topic:?}"),
            Self::NoPartitions => write!(f, "a topic needs at least one partition"),
            Self::FewerPartitions { has, wanted } => {
                write!(
                    f,
                    "the topic has {has} partitions, which cannot become {wanted}"
                )
            }
        }
    }
}

impl std::error::Error for NotDone {}

/// A topic.
#[derive(Debug)]
pub(crate) struct SimTopic {
    pub(crate) id: [u8; 16],
    pub(crate) settings: TopicSettings,
    pub(crate) partitions: Vec<SimPartition>,
}

impl SimTopic {
    /// A partition by its number.
    pub(crate) fn partition(&self, number: PartitionId) -> Option<&SimPartition> {
        usize::try_from(number)
            .ok()
            .and_then(|at| self.partitions.get(at))
    }

    /// A partition by its number.
    pub(crate) fn partition_mut(&mut self, number: PartitionId) -> Option<&mut SimPartition> {
        usize::try_from(number)
            .ok()
            .and_then(|at| self.partitions.get_mut(at))
    }
}

/// Who leads a partition, and who holds copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionRole {
    /// `None` while no node that holds a copy is up.
    pub(crate) leader: Option<NodeId>,
    /// Raised with every change of leader.
    pub(crate) epoch: i32,
    /// The nodes that hold a copy, the preferred leader first.
    pub(crate) replicas: Vec<NodeId>,
}

/// A partition. All copies are one log: nodes never lag behind each other.
#[derive(Debug)]
pub(crate) struct SimPartition {
    pub(crate) role: PartitionRole,
    pub(crate) log: PartitionLog,
}

impl SimPartition {
    pub(crate) fn new(replicas: Vec<NodeId>, alive: &BTreeSet<NodeId>) -> Self {
        let mut role = PartitionRole {
            leader: None,
            epoch: 0,
            replicas,
        };
        role.leader = role.first_alive(alive);
        Self {
            role,
            log: PartitionLog::default(),
        }
    }
}

impl PartitionRole {
    fn first_alive(&self, alive: &BTreeSet<NodeId>) -> Option<NodeId> {
        self.replicas
            .iter()
            .copied()
            .find(|node| alive.contains(node))
    }

    /// Looks for a new leader when the present one is down, or there is none.
    pub(crate) fn elect(&mut self, alive: &BTreeSet<NodeId>) {
        if self.leader.is_some_and(|leader| alive.contains(&leader)) {
            return;
        }
        let leader = self.first_alive(alive);
        if leader != self.leader {
            self.leader = leader;
            self.epoch += 1;
        }
    }

    /// Makes `node` the leader; it holds a copy from now on.
    pub(crate) fn move_to(&mut self, node: NodeId) {
        if self.leader == Some(node) {
            return;
        }
        if !self.replicas.contains(&node) {
            self.replicas.push(node);
        }
        self.leader = Some(node);
        self.epoch += 1;
    }
}

/// Unlike a name, an id is never used again, be it in another cluster of this process.
fn next_topic_id() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(b"topic-id");
    id[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    id
}

/// The topics of a cluster, by name.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<Arc<str>, SimTopic>,
}

impl Topics {
    pub(crate) fn get(&self, name: &str) -> Option<&SimTopic> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut SimTopic> {
        self.by_name.get_mut(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    pub(crate) fn roles_mut(&mut self) -> impl Iterator<Item = &mut PartitionRole> {
        self.by_name
            .values_mut()
            .flat_map(|t| &mut t.partitions)
            .map(|p| &mut p.role)
    }

    /// Puts a topic without partitions in place.
    pub(crate) fn create(
        &mut self,
        name: &str,
        settings: TopicSettings,
    ) -> Result<&mut SimTopic, NotDone> {
        if !is_valid_name(name) {
            return Err(NotDone::InvalidName(name.to_owned()));
        }
        if self.by_name.contains_key(name) {
            return Err(NotDone::TopicExists(name.to_owned()));
        }
        let topic = SimTopic {
            id: next_topic_id(),
            settings,
            partitions: Vec::new(),
        };
        Ok(self.by_name.entry(Arc::from(name)).or_insert(topic))
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<(), NotDone> {
        let gone = self.by_name.remove(name);
        gone.map(drop)
            .ok_or_else(|| NotDone::NoSuchTopic(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: TopicTest#shouldAcceptValidTopicNames, #shouldThrowOnInvalidTopicNames
    #[test]
    fn names_are_letters_digits_dots_underscores_and_dashes() {
        for name in [
            "valid",
            "TOPIC",
            "nAmEs",
            "ar6",
            "VaL1d",
            "_0-9_.",
            "...",
            &"a".repeat(249),
        ] {
            assert!(is_valid_name(name), "{name}");
        }
        for name in [
            "",
            "foo bar",
            "..",
            ".",
            "foo:bar",
            "foo=bar",
            "ä",
            &"a".repeat(250),
        ] {
            assert!(!is_valid_name(name), "{name}");
        }
    }

    #[test]
    fn a_topic_created_again_has_another_id() {
        let mut topics = Topics::default();
        let first = topics.create("t", TopicSettings::DEFAULT).unwrap().id;
        let again = topics.create("t", TopicSettings::DEFAULT).map(|t| t.id);
        assert_eq!(again, Err(NotDone::TopicExists("t".into())));
        topics.delete("t").unwrap();
        assert_ne!(
            topics.create("t", TopicSettings::DEFAULT).unwrap().id,
            first
        );
    }

    #[test]
    fn topics_of_two_clusters_have_different_ids() {
        let mut clusters = [Topics::default(), Topics::default()];
        let ids: BTreeSet<_> = clusters
            .iter_mut()
            .flat_map(|topics| {
                ["a", "b"].map(|name| topics.create(name, TopicSettings::DEFAULT).unwrap().id)
            })
            .collect();
        assert_eq!(ids.len(), 4);
        assert!(!ids.contains(&[0; 16]), "that is no id");
    }
}
