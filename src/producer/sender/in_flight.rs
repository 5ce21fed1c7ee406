//! The batches that are under way.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::producer::accumulator::EntryIndex;
use crate::producer::batch::{BatchId, BatchSummary, SealedBatch};
use crate::producer::counters::Counters;
use crate::types::NodeId;
use crate::util::hash::FixedHashMap;

/// A batch that was handed to the client and is not answered yet.
#[derive(Debug)]
pub(crate) enum Tracked {
    /// It has a future, and memory.
    Live(InFlightBatch),
    /// It timed out: its future has failed and its memory is on its way back. What is left keeps the
    /// sequences right when the answer comes after all.
    Expired(BatchSummary),
}

#[derive(Debug)]
pub(crate) struct InFlightBatch {
    pub(crate) index: EntryIndex,
    pub(crate) node: NodeId,
    pub(crate) batch: Box<SealedBatch>,
    expiry: Instant,
}

/// Batches under way, by number, with the times at which they are given up.
///
/// # Kafka
/// `Sender#inFlightBatches`. A batch is in here or in a queue, never in both: it moves by value.
#[derive(Debug)]
pub(crate) struct InFlightBatches {
    tracked: FixedHashMap<BatchId, Tracked>,
    expiries: Expiries,
    /// Told of every change before a batch's end is told to anybody.
    counters: Arc<Counters>,
}

/// When batches are given up, earliest first, each with its batch.
///
/// Batches are sent about in the order they were opened in, and answered in the order they were sent in:
/// nearly all come at the end and go near the front.
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
            Tracked::Live(InFlightBatch {
                index,
                node,
                batch,
                expiry,
            }),
        );
        debug_assert!(
            !matches!(before, Some(Tracked::Live(_))),
            "a batch is under way once"
        );
        self.count();
    }

    /// Takes a batch because its answer has come.
    pub(crate) fn take(&mut self, id: BatchId) -> Option<Tracked> {
        let tracked = self.tracked.remove(&id)?;
        if let Tracked::Live(live) = &tracked {
            self.expiries.remove(live.expiry, id);
            self.count();
        }
        Some(tracked)
    }

    /// Takes a batch because its time is over, leaving its summary behind.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<InFlightBatch> {
        let (expiry, id) = self.expiries.first()?;
        if expiry > now {
            return None;
        }
        self.expiries.remove(expiry, id);
        if !planted!(ExpiredStaysCounted) {
            self.count();
        }
        match self.tracked.remove(&id)? {
            Tracked::Live(live) => {
                self.tracked
                    .insert(id, Tracked::Expired(live.batch.summary()));
                Some(live)
            }
            Tracked::Expired(_) => None,
        }
    }

    /// Takes any batch that still has a future.
    pub(crate) fn take_any(&mut self) -> Option<InFlightBatch> {
        let (_, id) = self.expiries.first()?;
        match self.take(id)? {
            Tracked::Live(live) => Some(live),
            Tracked::Expired(_) => None,
        }
    }

    /// When the next batch is given up.
    pub(crate) fn next_expiry(&self) -> Deadline {
        self.expiries
            .first()
            .filter(|_| !planted!(ExpiryNotWaitedFor))
            .map_or(Deadline::Never, |(expiry, _)| Deadline::At(expiry))
    }

    fn count(&self) {
        self.counters.in_flight(self.live_count());
    }

    /// Batches whose futures wait for an answer.
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
    fn the_earliest_expiry_is_first_in_whatever_order_batches_come_and_go() {
        let mut expiries = Expiries::default();
        let entries = [(5, 0), (3, 1), (9, 2), (3, 3), (7, 4), (9, 5)].map(|(t, n)| entry(t, n));
        let mut left = std::collections::BTreeSet::new();
        for (at, id) in entries {
            expiries.insert(at, id);
            left.insert((at, id));
            assert_eq!(expiries.first(), left.first().copied());
        }
        for at in [4, 1, 1, 0, 9, 1, 0] {
            // The last removals find nothing, which changes nothing.
            let (expiry, id) = entries.get(at).copied().unwrap_or_else(|| entry(1, 1));
            expiries.remove(expiry, id);
            left.remove(&(expiry, id));
            assert_eq!(expiries.first(), left.first().copied());
            assert_eq!(expiries.0.len(), left.len());
        }
    }
}
