//! Coordinators: which node coordinates each transactional id and each consumer group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::topics::PartitionRole;
use crate::error::ErrorCode;
use crate::types::NodeId;

/// Type of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CoordinatorKind {
    Transaction,
    Group,
}

/// The coordinator of one key.
#[derive(Debug)]
struct SimCoordinator {
    role: PartitionRole,
    /// The end of the time in which the new coordinator loads its state; in the cluster's time.
    loading_until: Duration,
}

/// The coordinators of all keys that were ever looked up.
///
/// In Kafka many keys share a partition of an internal topic, whose leader coordinates all of them. Here each key has a
/// partition of its own, which moves independently of the others.
#[derive(Debug, Default)]
pub(crate) struct SimCoordinators {
    by_key: BTreeMap<(CoordinatorKind, Arc<str>), SimCoordinator>,
    /// How long a new coordinator loads.
    pub(crate) load_time: Duration,
}

impl SimCoordinators {
    /// The coordinator's node, if there is one; `make` gives the replicas at the first look-up of a key.
    pub(crate) fn leader(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
        make: impl FnOnce(usize) -> PartitionRole,
    ) -> Option<NodeId> {
        self.known(kind, key, make).role.leader
    }

    /// Checks that this node is the coordinator of the key and has loaded its state.
    ///
    /// # Errors
    /// The error code that it answers with otherwise.
    pub(crate) fn check(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
        node: NodeId,
        time: Duration,
        make: impl FnOnce(usize) -> PartitionRole,
    ) -> Result<(), ErrorCode> {
        let known = self.known(kind, key, make);
        if known.role.leader != Some(node) {
            return Err(ErrorCode::NotCoordinator);
        }
        if time < known.loading_until {
            return Err(ErrorCode::CoordinatorLoadInProgress);
        }
        Ok(())
    }

    /// Makes another node the coordinator, with all state.
    pub(crate) fn move_to(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
        node: NodeId,
        time: Duration,
        make: impl FnOnce(usize) -> PartitionRole,
    ) {
        let loading_until = time.saturating_add(self.load_time);
        let known = self.known(kind, key, make);
        if known.role.leader != Some(node) {
            known.loading_until = loading_until;
        }
        known.role.move_to(node);
    }

    /// Elects coordinators after nodes went down or came up.
    pub(crate) fn elect(&mut self, alive: &BTreeSet<NodeId>, time: Duration) {
        for coordinator in self.by_key.values_mut() {
            let before = coordinator.role.epoch;
            coordinator.role.elect(alive);
            if coordinator.role.epoch != before {
                coordinator.loading_until = time.saturating_add(self.load_time);
            }
        }
    }

    fn known(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
        make: impl FnOnce(usize) -> PartitionRole,
    ) -> &mut SimCoordinator {
        let place = (kind, Arc::clone(key));
        self.by_key.entry(place).or_insert_with(|| SimCoordinator {
            role: make(hash(key)),
            loading_until: Duration::ZERO,
        })
    }
}

/// Java's hash code of an ASCII text, without the sign bit.
fn hash(key: &str) -> usize {
    let add = |hash: u32, byte: u8| hash.wrapping_mul(31).wrapping_add(u32::from(byte));
    (key.bytes().fold(0, add) & (u32::MAX >> 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);
    const KIND: CoordinatorKind = CoordinatorKind::Transaction;

    fn three(first: usize) -> PartitionRole {
        let nodes = (0..3).map(|at| ((first + at) % 3) as NodeId).collect();
        let alive = BTreeSet::from([0, 1, 2]);
        PartitionRole::new(nodes, &alive, 0)
    }

    #[test]
    fn keys_are_hashed_as_java_does() {
        assert_eq!(hash(""), 0);
        assert_eq!(hash("ab"), 97 * 31 + 98);
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE.
        assert_eq!(hash("polygenelubricants"), 0);
    }

    #[test]
    fn a_key_has_one_coordinator_and_another_after_a_move() {
        let mut all = SimCoordinators::default();
        let key: Arc<str> = "t".into();
        let first = all.leader(KIND, &key, three).unwrap();
        let other = (first + 1) % 3;
        assert_eq!(all.check(KIND, &key, first, NOW, three), Ok(()));
        let not = Err(ErrorCode::NotCoordinator);
        assert_eq!(all.check(KIND, &key, other, NOW, three), not);
        all.move_to(KIND, &key, other, NOW, three);
        assert_eq!(all.check(KIND, &key, first, NOW, three), not);
        assert_eq!(all.check(KIND, &key, other, NOW, three), Ok(()));
        let of_group = all.leader(CoordinatorKind::Group, &key, three);
        assert_eq!(of_group, Some(first), "another kind stays where it is");
    }

    #[test]
    fn a_coordinator_that_takes_over_loads_first() {
        let mut all = SimCoordinators {
            load_time: Duration::from_secs(1),
            ..SimCoordinators::default()
        };
        let key: Arc<str> = "t".into();
        let first = all.leader(KIND, &key, three).unwrap();
        assert_eq!(all.check(KIND, &key, first, NOW, three), Ok(()));
        all.elect(&BTreeSet::from([(first + 1) % 3]), NOW);
        let next = all.leader(KIND, &key, three).unwrap();
        assert_ne!(next, first);
        let loading = Err(ErrorCode::CoordinatorLoadInProgress);
        assert_eq!(all.check(KIND, &key, next, NOW, three), loading);
        let later = NOW + all.load_time;
        assert_eq!(all.check(KIND, &key, next, later, three), Ok(()));
        all.elect(&BTreeSet::new(), later);
        assert_eq!(all.leader(KIND, &key, three), None);
    }
}
