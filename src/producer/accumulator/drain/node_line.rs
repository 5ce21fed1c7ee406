//! A node's partitions, and its drain index for the round-robin order.

use std::collections::BTreeSet;

use crate::producer::accumulator::entry::EntryIndex;

/// The partitions with queued batches that one node leads.
#[derive(Debug, Default)]
pub(super) struct NodeLine {
    /// Partitions whose batch is sendable, lingers, or is in retry back-off.
    pub(super) active: BTreeSet<EntryIndex>,
    /// Partitions whose batch is sendable now.
    pub(super) sendable: BTreeSet<EntryIndex>,
    /// The drain index, where the next drain starts, so that no partition is starved (RA-16).
    pub(super) next: EntryIndex,
}

impl NodeLine {
    #[inline]
    pub(super) fn is_ready(&self, everything: bool) -> bool {
        !self.sendable.is_empty() || (everything && !self.active.is_empty())
    }
}

/// A round-robin walk over a node's partitions, from the drain index on: each partition once.
pub(super) struct LineWalk {
    start: EntryIndex,
    /// The next index to look for; `None` when the walk is over.
    from: Option<EntryIndex>,
    wrapped: bool,
}

impl LineWalk {
    #[inline]
    pub(super) fn along(line: &NodeLine) -> Self {
        Self {
            start: line.next,
            from: Some(line.next),
            wrapped: false,
        }
    }

    /// The next partition. Partitions that were drained may have left the node's set meanwhile.
    #[inline]
    pub(super) fn next_of(&mut self, line: &NodeLine) -> Option<EntryIndex> {
        let mut from = self.from?;
        loop {
            match line.active.range(from..).next() {
                // The walk goes by index, not by iterator: draining a partition may remove it from the set during the
                // walk.
                Some(&index) if !self.wrapped || index < self.start => {
                    self.from = Some(index + 1);
                    return Some(index);
                }
                None if !self.wrapped => {
                    self.wrapped = true;
                    from = 0;
                }
                _ => {
                    self.from = None;
                    return None;
                }
            }
        }
    }
}
