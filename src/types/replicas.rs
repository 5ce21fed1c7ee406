//! Replica lists of partitions (all, in-sync, offline), shared by partitions with equal lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::NodeId;

/// The replicas of a partition. Cheap to clone: the lists are shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ReplicaLists {
    /// All replicas, then the in-sync ones, then the offline ones, in one allocation.
    nodes: Arc<[NodeId]>,
    all: u32,
    in_sync: u32,
}

impl ReplicaLists {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn new(all: &[NodeId], in_sync: &[NodeId], offline: &[NodeId]) -> Self {
        Self {
            nodes: [all, in_sync, offline].concat().into(),
            all: all.len() as u32,
            in_sync: in_sync.len() as u32,
        }
    }

    /// All replicas.
    pub(crate) fn all(&self) -> &[NodeId] {
        &self.nodes[..self.all as usize]
    }

    /// The in-sync replicas.
    pub(crate) fn in_sync(&self) -> &[NodeId] {
        &self.nodes[self.all as usize..][..self.in_sync as usize]
    }

    /// The offline replicas.
    pub(crate) fn offline(&self) -> &[NodeId] {
        &self.nodes[self.all as usize..][self.in_sync as usize..]
    }
}

/// Interns the replica lists of many partitions: equal lists share one allocation.
#[derive(Debug, Default)]
pub(crate) struct ReplicaListsMaker {
    known: BTreeSet<Arc<[NodeId]>>,
    unfinished: Vec<NodeId>,
}

impl ReplicaListsMaker {
    /// Starts the lists of a partition. The caller appends to the returned vector: all replicas, then the in-sync ones,
    /// then the offline ones.
    pub(crate) fn start(&mut self) -> &mut Vec<NodeId> {
        self.unfinished.clear();
        &mut self.unfinished
    }

    /// Finishes the lists: the first `all` appended ids are all replicas, the next `in_sync` ids are the in-sync
    /// replicas, and the remaining ids are the offline replicas.
    pub(crate) fn finish(&mut self, all: usize, in_sync: usize) -> ReplicaLists {
        debug_assert!(all + in_sync <= self.unfinished.len());
        let nodes = if let Some(known) = self.known.get(self.unfinished.as_slice()) {
            Arc::clone(known)
        } else {
            let new: Arc<[NodeId]> = self.unfinished.as_slice().into();
            self.known.insert(Arc::clone(&new));
            new
        };
        ReplicaLists {
            nodes,
            all: all as u32,
            in_sync: in_sync as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(maker: &mut ReplicaListsMaker, lists: [&[NodeId]; 3]) -> ReplicaLists {
        maker.start().extend(lists.concat());
        maker.finish(lists[0].len(), lists[1].len())
    }

    #[test]
    fn each_list_is_read_as_it_was_given() {
        let mut maker = ReplicaListsMaker::default();
        let lists: [[&[NodeId]; 3]; 5] = [
            [&[1, 2, 3], &[1, 2], &[3]],
            [&[1, 2], &[3, 1, 2], &[3]],
            [&[], &[], &[]],
            [&[], &[], &[4]],
            [&[4], &[], &[]],
        ];
        for given in lists {
            let made = made(&mut maker, given);
            assert_eq!([made.all(), made.in_sync(), made.offline()], given);
            assert_eq!(made, ReplicaLists::new(given[0], given[1], given[2]));
        }
        let [first, second] = [lists[0], lists[1]].map(|given| made(&mut maker, given));
        assert_ne!(first, second, "the same numbers, otherwise divided");
    }

    #[test]
    fn partitions_with_equal_lists_share_them() {
        let mut maker = ReplicaListsMaker::default();
        let first = made(&mut maker, [&[1, 2, 3], &[1, 2, 3], &[]]);
        let other = made(&mut maker, [&[3, 1, 2], &[1, 2, 3], &[]]);
        let again = made(&mut maker, [&[1, 2, 3], &[1, 2, 3], &[]]);
        assert!(Arc::ptr_eq(&first.nodes, &again.nodes));
        assert!(!Arc::ptr_eq(&first.nodes, &other.nodes));
    }
}
