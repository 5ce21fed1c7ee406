//! The brokers that hold the copies of a partition: three lists, which many partitions have in common.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::NodeId;

/// Which brokers hold a partition's copies. Cheap to clone: the lists are shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ReplicaLists {
    /// All replicas, then those in sync, then those offline.
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

    /// All brokers that hold a copy.
    pub(crate) fn all(&self) -> &[NodeId] {
        &self.nodes[..self.all as usize]
    }

    /// Those whose copy is up to date.
    pub(crate) fn in_sync(&self) -> &[NodeId] {
        &self.nodes[self.all as usize..][..self.in_sync as usize]
    }

    /// Those whose copy cannot be reached.
    pub(crate) fn offline(&self) -> &[NodeId] {
        &self.nodes[self.all as usize..][self.in_sync as usize..]
    }
}

/// Makes the lists of many partitions: those that are equal are kept once.
#[derive(Debug, Default)]
pub(crate) struct ReplicaListsMaker {
    known: BTreeSet<Arc<[NodeId]>>,
    unfinished: Vec<NodeId>,
}

impl ReplicaListsMaker {
    /// Begins with the lists of another partition: they are to be appended here, all replicas first, then
    /// those in sync, then those offline.
    pub(crate) fn start(&mut self) -> &mut Vec<NodeId> {
        self.unfinished.clear();
        &mut self.unfinished
    }

    /// The lists of the partition: of what was appended, the first `all` numbers are the replicas, and the
    /// `in_sync` that follow are those in sync.
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
