//! In-flight batches: handed to the client, and without a response yet.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::producer::accumulator::EntryIndex;
use crate::producer::batch::{BatchId, BatchSummary, SealedBatch};
use crate::producer::counters::Counters;
use crate::types::NodeId;
use crate::util::hash::FixedHashMap;

/// A batch whose request has not completed.
#[derive(Debug)]
pub(crate) enum UnansweredBatch {
    /// The futures of its records are pending, and the batch holds buffer memory.
    Live(InFlightBatch),
    /// Its delivery timeout has passed: the futures have failed and the memory is being freed. The summary lets a late
    /// response still update the sequence bookkeeping.
    Expired(BatchSummary),
}

#[derive(Debug)]
pub(crate) struct InFlightBatch {
    pub(crate) index: EntryIndex,
    pub(crate) node: NodeId,
    pub(crate) batch: Box<SealedBatch>,
    /// The time at which its delivery timeout passes.
    expiry: Instant,
}

/// In-flight batches by id, with their expiry times.
///
/// # Kafka
/// `Sender#inFlightBatches`. A batch is in here or in a queue, never in both: it moves by value.
#[derive(Debug)]
pub(crate) struct InFlightBatches {
    tracked: FixedHashMap<BatchId, UnansweredBatch>,
    expiries: Expiries,
    /// Updated on every change, before any callback of a batch runs.
    counters: Arc<Counters>,
}

/// Expiry times of batches, a sorted queue, earliest first.
///
/// Batches are sent roughly in the order they were opened in, and answered in the order they were sent in: nearly all
/// are inserted at the back and removed near the front.
#[derive(Debug, Default)]
struct Expiries(VecDeque<(Instant, BatchId)>);

impl InFlightBatches {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            tracked: FixedHashMap::default(),
            expiries: Expiries::default(),
            counters,
        }
    }

    pub(crate) fn insert(
        &mut self,
        index: EntryIndex,
        node: NodeId,
        batch: Box<SealedBatch>,
        expiry: Instant,
    ) {
        let id = batch.id();
        self.expiries.insert(expiry, id);
        let before = self.tracked.insert(
            id,
            UnansweredBatch::Live(InFlightBatch {
                index,
                node,
                batch,
                expiry,
            }),
        );
        debug_assert!(
            !matches!(before, Some(UnansweredBatch::Live(_))),
            "a batch is in flight at most once"
        );
        self.count();
    }

    /// Removes a batch because its request has completed.
    pub(crate) fn take(&mut self, id: BatchId) -> Option<UnansweredBatch> {
        let tracked = self.tracked.remove(&id)?;
        if let UnansweredBatch::Live(live) = &tracked {
            self.expiries.remove(live.expiry, id);
            self.count();
        }
        Some(tracked)
    }

    /// Removes the first batch whose delivery timeout had passed at `read_at`, when the sockets were last read; its
    /// summary stays for a late response. Leaves out the batches of `unread` partitions.
    pub(crate) fn take_expired(
        &mut self,
        read_at: Instant,
        unread: &[EntryIndex],
    ) -> Option<InFlightBatch> {
        let (expiry, id) = self.overdue_but_for(read_at, unread).next()?;
        self.expiries.remove(expiry, id);
        if !planted!(ExpiredStaysCounted) {
            self.count();
        }
        match self.tracked.remove(&id)? {
            UnansweredBatch::Live(live) => {
                self.tracked
                    // The summary stays, without an expiry, until the request completes; the client completes every
                    // request.
                    .insert(id, UnansweredBatch::Expired(live.batch.summary()));
                Some(live)
            }
            UnansweredBatch::Expired(_) => None,
        }
    }

    /// Removes the live batch that expires first, for a forced close or a panic.
    pub(crate) fn take_any(&mut self) -> Option<InFlightBatch> {
        let (_, id) = self.expiries.first()?;
        match self.take(id)? {
            UnansweredBatch::Live(live) => Some(live),
            UnansweredBatch::Expired(_) => None,
        }
    }

    /// The earliest expiry of a live batch.
    pub(crate) fn next_expiry(&self) -> Deadline {
        self.expiries
            .first()
            .filter(|_| !planted!(ExpiryNotWaitedFor))
            .map_or(Deadline::Never, |(expiry, _)| Deadline::At(expiry))
    }

    /// Whether the delivery timeout of a live batch has passed, but for those of `unread` partitions.
    pub(crate) fn is_overdue(&self, now: Instant, unread: &[EntryIndex]) -> bool {
        self.overdue_but_for(now, unread).next().is_some()
    }

    /// The partitions with an overdue batch whose response may be in the input of its node, which has not been read to
    /// the end.
    pub(crate) fn unread_partitions(
        &self,
        now: Instant,
        is_read: impl Fn(NodeId) -> bool,
    ) -> Vec<EntryIndex> {
        let mut unread: Vec<_> = self
            .overdue(now)
            .filter(|(_, _, live)| !is_read(live.node))
            .map(|(_, _, live)| live.index)
            .collect();
        unread.sort_unstable();
        unread.dedup();
        unread
    }

    fn overdue_but_for(
        &self,
        now: Instant,
        unread: &[EntryIndex],
    ) -> impl Iterator<Item = (Instant, BatchId)> {
        self.overdue(now)
            .filter(|(_, _, live)| !unread.contains(&live.index))
            .map(|(expiry, id, _)| (expiry, id))
    }

    /// The live batches whose delivery timeout has passed, in the order of their expiry.
    fn overdue(&self, now: Instant) -> impl Iterator<Item = (Instant, BatchId, &InFlightBatch)> {
        let due = self
            .expiries
            .0
            .iter()
            .take_while(move |(expiry, _)| *expiry <= now);
        due.filter_map(|&(expiry, id)| match self.tracked.get(&id)? {
            UnansweredBatch::Live(live) => Some((expiry, id, live)),
            UnansweredBatch::Expired(_) => None,
        })
    }

    fn count(&self) {
        self.counters.in_flight(self.live_count());
    }

    /// The number of live batches: those whose futures are pending.
    pub(crate) fn live_count(&self) -> usize {
        self.expiries.0.len()
    }
}

impl Expiries {
    fn first(&self) -> Option<(Instant, BatchId)> {
        self.0.front().copied()
    }

    fn insert(&mut self, expiry: Instant, id: BatchId) {
        let entry = (expiry, id);
        match self.0.back() {
            Some(last) if *last > entry => {
                let at = self.0.partition_point(|other| *other < entry);
                self.0.insert(at, entry);
            }
            _ => self.0.push_back(entry),
        }
    }

    fn remove(&mut self, expiry: Instant, id: BatchId) {
        let entry = (expiry, id);
        if self.0.front() == Some(&entry) {
            self.0.pop_front();
        } else if let Ok(at) = self.0.binary_search(&entry) {
            self.0.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(nanos: u64, number: u64) -> (Instant, BatchId) {
        (Instant::from_nanos(nanos), BatchId::new(number))
    }

    #[test]
    fn the_earliest_expiry_is_first_for_every_order_of_insertion_and_removal() {
        let mut expiries = Expiries::default();
        let entries = [(5, 0), (3, 1), (9, 2), (3, 3), (7, 4), (9, 5)].map(|(t, n)| entry(t, n));
        let mut left = std::collections::BTreeSet::new();
        for (at, id) in entries {
            expiries.insert(at, id);
            left.insert((at, id));
            assert_eq!(expiries.first(), left.first().copied());
        }
        for at in [4, 1, 1, 0, 9, 1, 0] {
            // Some of these entries were removed before: removing them again changes nothing.
            let (expiry, id) = entries.get(at).copied().unwrap_or_else(|| entry(1, 1));
            expiries.remove(expiry, id);
            left.remove(&(expiry, id));
            assert_eq!(expiries.first(), left.first().copied());
            assert_eq!(expiries.0.len(), left.len());
        }
    }
}
