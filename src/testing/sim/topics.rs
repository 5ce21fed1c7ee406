//! Topics with their partitions, replicas and leaders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::log::{PartitionLog, TopicSettings};
use crate::types::{NodeId, PartitionId};

/// Maximum length of a topic's name.
const NAME_BYTES_MAX: usize = 249;
/// Kafka's internal topics.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Whether a topic's name is valid.
///
/// # Kafka
/// `org.apache.kafka.common.internals.Topic#validate`.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(legal)
        && !matches!(name, "." | "..")
}

/// Whether a topic is internal.
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Why a change to the cluster was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDone {
    NoSuchTopic(String),
    NoSuchPartition(String, PartitionId),
    NoSuchNode(NodeId),
    TopicExists(String),
    InvalidName(String),
    NoPartitions,
    /// The partition count cannot be lowered.
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
    /// How often a topic of this name has been created, this one included.
    pub(crate) incarnation: u64,
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

/// Leader and replicas of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionRole {
    /// `None` while no replica is up.
    pub(crate) leader: Option<NodeId>,
    /// Incremented with every change of leader.
    pub(crate) epoch: i32,
    /// The replicas, the preferred leader first.
    pub(crate) replicas: Vec<NodeId>,
    /// Whether elections are disabled, so that there is no leader although replicas are up.
    pub(crate) elects_nobody: bool,
}

/// A partition. All replicas share one log: they never lag.
#[derive(Debug)]
pub(crate) struct SimPartition {
    pub(crate) role: PartitionRole,
    pub(crate) log: PartitionLog,
}

impl SimPartition {
    pub(crate) fn new(
        replicas: Vec<NodeId>,
        alive: &BTreeSet<NodeId>,
        epoch: i32,
        log: PartitionLog,
    ) -> Self {
        let role = PartitionRole::new(replicas, alive, epoch);
        Self { role, log }
    }
}

impl PartitionRole {
    pub(crate) fn new(replicas: Vec<NodeId>, alive: &BTreeSet<NodeId>, epoch: i32) -> Self {
        let mut role = Self {
            leader: None,
            epoch,
            replicas,
            elects_nobody: false,
        };
        role.leader = role.first_alive(alive);
        role
    }

    fn first_alive(&self, alive: &BTreeSet<NodeId>) -> Option<NodeId> {
        if self.elects_nobody {
            return None;
        }
        self.replicas
            .iter()
            .copied()
            .find(|node| alive.contains(node))
    }

    /// Elects a leader if the present one is down, or there is none.
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

    /// Makes `node` the leader, and adds it to the replicas if necessary.
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

    #[cfg(any(test, feature = "_internals"))]
    /// Removes the leader, until [`elects_nobody`](Self::elects_nobody) is reset.
    pub(crate) fn lose_leader(&mut self) {
        self.elects_nobody = true;
        if self.leader.take().is_some() {
            self.epoch += 1;
        }
    }
}

/// Allocates topic ids, which are never reused, unlike names.
#[derive(Debug)]
struct TopicIds {
    family: u64,
    last: u64,
}

impl TopicIds {
    /// The id family of a simulated cluster.
    const ALONE: u64 = 0;

    fn next(&mut self) -> [u8; 16] {
        self.last += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.family.to_be_bytes());
        id[8..].copy_from_slice(&self.last.to_be_bytes());
        id
    }
}

impl Default for TopicIds {
    /// Ids that no other cluster in this process has.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(TopicIds::ALONE + 1);
        Self {
            family: NEXT.fetch_add(1, Ordering::Relaxed),
            last: 0,
        }
    }
}

/// The topics of a cluster, by name.
#[derive(Debug, Default)]
pub(crate) struct SimTopics {
    by_name: BTreeMap<Arc<str>, SimTopic>,
    ids: TopicIds,
    /// By name, how often each topic was created.
    made: BTreeMap<Arc<str>, u64>,
}

impl SimTopics {
    /// Topics with deterministic ids.
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn with_deterministic_ids() -> Self {
        Self {
            by_name: BTreeMap::new(),
            ids: TopicIds {
                family: TopicIds::ALONE,
                last: 0,
            },
            made: BTreeMap::new(),
        }
    }

    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &SimTopic)> {
        self.by_name.iter()
    }

    #[cfg(any(test, feature = "_internals"))]
    /// Recreates all topics empty, as in another cluster.
    pub(crate) fn recreate_all(&mut self) {
        for (name, topic) in &mut self.by_name {
            topic.id = self.ids.next();
            topic.incarnation = count_up(&mut self.made, name);
        }
    }

    pub(crate) fn partitions_mut(&mut self) -> impl Iterator<Item = &mut SimPartition> {
        self.by_name.values_mut().flat_map(|t| &mut t.partitions)
    }

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
        self.partitions_mut().map(|p| &mut p.role)
    }

    /// Adds a topic without partitions.
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
        let name: Arc<str> = name.into();
        let topic = SimTopic {
            id: self.ids.next(),
            incarnation: count_up(&mut self.made, &name),
            settings,
            partitions: Vec::new(),
        };
        Ok(self.by_name.entry(name).or_insert(topic))
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<SimTopic, NotDone> {
        let gone = self.by_name.remove(name);
        gone.ok_or_else(|| NotDone::NoSuchTopic(name.to_owned()))
    }
}

fn count_up(made: &mut BTreeMap<Arc<str>, u64>, name: &Arc<str>) -> u64 {
    let count = made.entry(Arc::clone(name)).or_default();
    *count += 1;
    *count
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
        let mut topics = SimTopics::default();
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
        let mut clusters = [SimTopics::default(), SimTopics::default()];
        let ids: BTreeSet<_> = clusters
            .iter_mut()
            .flat_map(|topics| {
                ["a", "b"].map(|name| topics.create(name, TopicSettings::DEFAULT).unwrap().id)
            })
            .collect();
        assert_eq!(ids.len(), 4);
        assert!(!ids.contains(&[0; 16]), "that is no id");
    }

    #[test]
    fn topic_ids_of_a_simulation_are_deterministic() {
        let run = || {
            let mut topics = SimTopics::with_deterministic_ids();
            let mut made = Vec::new();
            for name in ["a", "b", "a"] {
                let _ = topics.delete(name);
                let topic = topics.create(name, TopicSettings::DEFAULT).unwrap();
                made.push((topic.id, topic.incarnation));
            }
            topics.recreate_all();
            made.extend(
                topics
                    .iter()
                    .map(|(_, topic)| (topic.id, topic.incarnation)),
            );
            made
        };
        let made = run();
        assert_eq!(made, run());
        let counts = made.iter().map(|(_, count)| *count);
        assert_eq!(counts.collect::<Vec<_>>(), [1, 1, 2, 3, 2]);
        let ids: BTreeSet<_> = made.iter().map(|(id, _)| *id).collect();
        assert!(ids.len() == 5 && !ids.contains(&[0; 16]));
    }

    #[test]
    fn a_partition_without_elections_stays_without_a_leader() {
        let alive = BTreeSet::from([0, 1]);
        let mut role = SimPartition::new(vec![0, 1], &alive, 7, PartitionLog::default()).role;
        assert_eq!((role.leader, role.epoch), (Some(0), 7));
        role.lose_leader();
        role.elect(&alive);
        assert_eq!((role.leader, role.epoch), (None, 8));
        role.elects_nobody = false;
        role.elect(&alive);
        assert_eq!((role.leader, role.epoch), (Some(0), 9));
    }
}
