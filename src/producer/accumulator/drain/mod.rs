//! The sender's half of the accumulator: which partitions are ready and when, draining them round-robin, retries,
//! muting and the expiry of batches.
//!
//! Each partition is in exactly one [`DrainState`]. An iteration of the sender's loop touches only partitions that were
//! signalled, whose timer has fired, or that are drained, however many partitions there are.

mod gate;
mod node_line;
mod slot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::gate::{DrainGate, NextBatch};
use self::node_line::{LineWalk, NodeLine};
pub(crate) use self::slot::Drained;
use self::slot::{DrainState, Slot, TakenBatch};
use super::RecordAccumulator;
use super::entry::{EntryIndex, PartitionEntry};
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::producer::batch::{BatchId, SealedBatch};
use crate::types::{Cluster, Node, NodeId, TopicPartition};

/// `linger.ms` and `delivery.timeout.ms`: when a batch is sent, and when it expires.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrainerOptions {
    pub(crate) linger: Duration,
    pub(crate) delivery_timeout: Duration,
}

/// The sender's half of the accumulator: ready, muted and leaderless partitions, retry queues, and the drain index of
/// each node.
///
/// # Kafka
/// `RecordAccumulator#ready`, `#drain`, `#expiredBatches`, `#reenqueue` and the fields that only the sender uses.
/// Differs: each node has its own drain index (KAFKA-13834), and retries are queued here, in order, instead of at the
/// front of the accumulator's queue.
#[derive(Debug)]
pub(crate) struct Drainer {
    options: DrainerOptions,
    /// The sender's state of each partition, by entry index.
    slots: Vec<Option<Slot>>,
    nodes: BTreeMap<NodeId, NodeLine>,
    /// Timers of partitions whose batch lingers or is in retry back-off.
    timers: BTreeSet<(Instant, EntryIndex)>,
    /// Partitions with a batch and without a leader.
    leaderless: BTreeSet<EntryIndex>,
    /// When the oldest batch of each partition expires (`delivery.timeout.ms`).
    expiries: BTreeSet<(Instant, EntryIndex)>,
    /// The number of batches in all retry queues.
    retries_queued: usize,
    cluster: Arc<Cluster>,
    cluster_version: u32,
    /// Whether a partition became leaderless, or the cluster snapshot was replaced, since the last
    /// `take_leaderless_topics`.
    leaderless_news: bool,
    /// Empty between calls: exchanged for the accumulator's inbox, so that both vectors keep their capacity.
    inbox: Vec<Arc<PartitionEntry>>,
}

/// The result of draining one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DrainResult {
    pub(crate) batches: usize,
    /// Whether `max.request.size` ended the drain. If so, further batches are sendable at once.
    pub(crate) cut_short: bool,
}

impl Drainer {
    pub(crate) fn new(options: DrainerOptions) -> Self {
        Self {
            options,
            slots: Vec::new(),
            nodes: BTreeMap::new(),
            timers: BTreeSet::new(),
            leaderless: BTreeSet::new(),
            expiries: BTreeSet::new(),
            retries_queued: 0,
            cluster: Arc::new(Cluster::default()),
            cluster_version: 0,
            leaderless_news: false,
            inbox: Vec::new(),
        }
    }

    // ---- inputs

    /// Takes the partitions out of the inbox, and reads the head of each one's queue. Returns false if there were none.
    pub(crate) fn handle_inbox(&mut self, accumulator: &RecordAccumulator, now: Instant) -> bool {
        // The two vectors are swapped: both keep their capacity, and nothing is allocated under the lock.
        let mut inbox = std::mem::take(&mut self.inbox);
        accumulator.swap_inbox(&mut inbox);
        let any = !inbox.is_empty();
        for entry in inbox.drain(..) {
            // The flag is cleared before the queue is read: an append in between announces the partition again. The
            // other way round, an append after the read would find the flag still set, and its batch would be
            // overlooked.
            if !planted!(LeavesInboxLate) {
                entry.leave_inbox();
            }
            let head = entry.head();
            if planted!(LeavesInboxLate) {
                entry.leave_inbox();
            }
            let index = entry.index();
            self.slot_for(&entry).head = head;
            self.settle(index, now);
        }
        self.inbox = inbox;
        any
    }

    /// Takes a new cluster snapshot: partition leaders may have changed by a leader election, or be missing during one.
    pub(crate) fn handle_cluster(&mut self, cluster: Arc<Cluster>, version: u32, now: Instant) {
        self.cluster = cluster;
        self.cluster_version = version;
        // Topics of partitions that still lack a leader are requested from metadata again.
        self.leaderless_news = !self.leaderless.is_empty();
        // Only partitions that are not idle are settled. The leader of an idle partition is looked up by its next
        // `settle`, which compares versions.
        let mut busy: Vec<EntryIndex> = self.leaderless.iter().copied().collect();
        busy.extend(
            self.nodes
                .values()
                .flat_map(|line| line.active.iter().copied()),
        );
        for index in busy {
            self.settle(index, now);
        }
        // Brokers come and go: nodes without batches are dropped, and with them their drain index.
        self.nodes.retain(|_, line| !line.active.is_empty());
    }

    /// The version of the cluster snapshot last given to `handle_cluster`.
    pub(crate) fn cluster_version(&self) -> u32 {
        self.cluster_version
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Fires the timers that are due: makes their partitions sendable.
    pub(crate) fn handle_timers(&mut self, now: Instant) {
        while let Some(&(due, index)) = self.timers.first() {
            if due > now {
                break;
            }
            // `settle` removes the timer, so the loop ends: a partition whose batch is due is no longer `Timed`.
            self.settle(index, now);
        }
    }

    /// Queues a failed batch for a retry, in the order of batch ids (RA-27).
    pub(crate) fn reenqueue(&mut self, index: EntryIndex, batch: Box<SealedBatch>, now: Instant) {
        let Some(slot) = self.slot_mut(index) else {
            debug_assert!(false, "a batch in flight came out of a slot");
            return;
        };
        slot.reenqueue(batch);
        self.retries_queued += 1;
        self.settle(index, now);
    }

    /// Mutes a partition: a muted partition is not drained. With `max.in.flight.requests.per.connection=1` order is
    /// kept by having at most one batch of a partition in flight (SE-22).
    pub(crate) fn mute(&mut self, index: EntryIndex, now: Instant) {
        self.set_muted(index, true, now);
    }

    pub(crate) fn unmute(&mut self, index: EntryIndex, now: Instant) {
        self.set_muted(index, false, now);
    }

    fn set_muted(&mut self, index: EntryIndex, muted: bool, now: Instant) {
        if let Some(slot) = self.slot_mut(index) {
            slot.muted = muted;
            self.settle(index, now);
        }
    }

    /// Applies `change` to a batch in the retry queue; returns false if the batch is not in the queue.
    pub(crate) fn with_retry(
        &mut self,
        index: EntryIndex,
        batch: BatchId,
        change: impl FnOnce(&mut SealedBatch),
    ) -> bool {
        let slot = self.slot_mut(index);
        let found = slot.and_then(|slot| slot.retries.iter_mut().find(|b| b.id() == batch));
        found.map(|batch| change(batch)).is_some()
    }

    /// Removes a batch from the retry queue.
    pub(crate) fn take_retry(
        &mut self,
        index: EntryIndex,
        batch: BatchId,
        now: Instant,
    ) -> Option<Box<SealedBatch>> {
        let slot = self.slot_mut(index)?;
        let at = slot.retries.iter().position(|b| b.id() == batch)?;
        let taken = slot.retries.remove(at);
        self.retries_queued -= usize::from(taken.is_some());
        self.settle(index, now);
        taken
    }

    // ---- queries

    /// All topics of partitions with a batch and without a leader, if such a partition was added or the cluster was
    /// replaced since the last call; otherwise empty.
    pub(crate) fn take_leaderless_topics(&mut self) -> BTreeSet<Arc<str>> {
        if !std::mem::take(&mut self.leaderless_news) {
            return BTreeSet::new();
        }
        let topic = |index: &EntryIndex| {
            let slot = self.slot(*index)?;
            Some(Arc::clone(slot.entry.topic_partition().shared_topic()))
        };
        self.leaderless.iter().filter_map(topic).collect()
    }

    /// Ready nodes: those with a sendable batch; with `everything`, also those whose batches still linger or are in
    /// retry back-off.
    pub(crate) fn ready_nodes(&self, everything: bool, into: &mut Vec<NodeId>) {
        let ready = self
            .nodes
            .iter()
            .filter(|(_, line)| line.is_ready(everything));
        into.extend(ready.map(|(id, _)| *id));
    }

    /// Whether one node is ready, see [`Self::ready_nodes`].
    pub(crate) fn is_ready(&self, node: NodeId, everything: bool) -> bool {
        self.nodes
            .get(&node)
            .is_some_and(|line| line.is_ready(everything))
    }

    /// When the next timer fires.
    pub(crate) fn next_due(&self) -> Deadline {
        self.timers
            .first()
            .filter(|_| !planted!(LingerNotWaitedFor))
            .map_or(Deadline::Never, |(due, _)| Deadline::At(*due))
    }

    /// When the next batch expires.
    pub(crate) fn next_expiry(&self) -> Deadline {
        self.expiries
            .first()
            .map_or(Deadline::Never, |(expiry, _)| Deadline::At(*expiry))
    }

    /// Whether any partition has a batch that is queued, not in flight.
    pub(crate) fn has_undrained(&self) -> bool {
        !self.expiries.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn retries_queued(&self) -> usize {
        self.retries_queued
    }

    /// The partition's leader, if it is known.
    pub(crate) fn leader(&self, index: EntryIndex) -> Option<NodeId> {
        self.slot(index).and_then(|slot| slot.leader)
    }

    pub(crate) fn topic_partition(&self, index: EntryIndex) -> Option<&TopicPartition> {
        let slot = self.slot(index)?;
        Some(slot.entry.topic_partition())
    }

    // ---- outputs

    /// Drains a node: takes at most one batch of each partition it leads, round-robin, up to `max_bytes` in all; the
    /// first batch is taken however large it is (RA-15 to RA-18). A partition that the gate holds back is skipped; in
    /// Java it ends the drain of the node.
    ///
    /// A batch that still lingers is taken along with those that are due. If it must be packed, the calling thread
    /// packs it before the request is sent.
    pub(crate) fn drain(
        &mut self,
        node: NodeId,
        max_bytes: usize,
        mut gate: Option<&mut dyn DrainGate>,
        now: Instant,
        into: &mut Vec<Drained>,
    ) -> DrainResult {
        let mut result = DrainResult::default();
        let mut size_bytes = 0;
        let Some(mut walk) = self.nodes.get(&node).map(LineWalk::along) else {
            return result;
        };
        while let Some(index) = self.nodes.get(&node).and_then(|line| walk.next_of(line)) {
            let Some(slot) = self.slot_mut(index) else {
                continue;
            };
            // `None` during a retry back-off: later batches of the partition must not overtake the retry.
            let Some(head) = slot.head_of_line(now) else {
                continue;
            };
            // The gate decides before the batch is taken: taking an open batch closes it, which cannot be undone.
            if gate
                .as_ref()
                .is_some_and(|gate| !gate.may_drain(index, head))
            {
                if planted!(GatedPartitionEndsTurn) {
                    break;
                }
                continue;
            }
            let room = max_bytes.saturating_sub(size_bytes);
            // The first batch is taken whatever its size is: otherwise one larger than `max.request.size` would never
            // be sent.
            let taken = slot.take(|size| size <= room || result.batches == 0);
            let mut batch = match taken {
                TakenBatch::Batch(batch) => batch,
                TakenBatch::TooLarge => {
                    // The next drain of the node starts with this partition, so that a large batch is not starved.
                    self.set_next(node, index);
                    result.cut_short = true;
                    return result;
                }
                // The remembered head is stale: a thread took the batch out to pack it, and will signal it.
                TakenBatch::Empty => {
                    self.settle(index, now);
                    continue;
                }
            };
            if matches!(head, NextBatch::Retried(_)) {
                self.retries_queued -= 1;
            }
            // Sequences are assigned in the order of draining. A retry keeps its own, by which the broker detects
            // duplicates.
            if let Some(gate) = gate.as_mut() {
                gate.number(index, &mut batch);
            }
            batch.mark_drained(now);
            size_bytes += batch.size_bytes();
            result.batches += 1;
            into.push(Drained { index, batch });
            self.settle(index, now);
            self.set_next(node, index + 1);
        }
        result
    }

    fn set_next(&mut self, node: NodeId, next: EntryIndex) {
        if planted!(DrainIndexShared) {
            self.nodes.values_mut().for_each(|line| line.next = next);
        }
        if let Some(line) = self.nodes.get_mut(&node) {
            line.next = next;
        }
    }

    /// Takes the expired batches: those whose `delivery.timeout.ms` has passed, also of muted partitions (RA-24,
    /// RA-26). Leaves out the partitions `but_for`.
    pub(crate) fn take_expired(
        &mut self,
        now: Instant,
        but_for: &[EntryIndex],
        into: &mut Vec<Drained>,
    ) {
        loop {
            let mut expiries = self.expiries.iter();
            let first = expiries.find(|(_, index)| !but_for.contains(index));
            let Some(&(expiry, index)) = first else {
                break;
            };
            if expiry > now {
                break;
            }
            let timeout = self.options.delivery_timeout;
            let Some(slot) = self.slot_mut(index) else {
                break;
            };
            self.retries_queued -= slot.take_expired(timeout, now, into);
            self.settle(index, now);
        }
    }

    /// Takes every queued batch, to abort it on close or after a fatal error. Batches that are being packed, and those
    /// behind them in their queues, stay: their packing thread signals them.
    pub(crate) fn take_all(
        &mut self,
        accumulator: &RecordAccumulator,
        now: Instant,
        into: &mut Vec<Drained>,
    ) {
        self.take_all_but(accumulator, now, |_, _| false, into);
    }

    /// As [`Self::take_all`], but leaves the retries for which `keeps` is true.
    pub(crate) fn take_all_but(
        &mut self,
        accumulator: &RecordAccumulator,
        now: Instant,
        keeps: impl Fn(EntryIndex, &SealedBatch) -> bool,
        into: &mut Vec<Drained>,
    ) {
        self.handle_inbox(accumulator, now);
        for entry in accumulator.all_entries() {
            let index = entry.index();
            let slot = self.slot_for(&entry);
            let taken = slot.take_all_but(&keeps, into);
            self.retries_queued -= taken;
            self.settle(index, now);
        }
    }

    // ---- internals

    fn slot_for(&mut self, entry: &Arc<PartitionEntry>) -> &mut Slot {
        let at = entry.index() as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at].get_or_insert_with(|| Slot::new(Arc::clone(entry)))
    }

    fn slot(&self, index: EntryIndex) -> Option<&Slot> {
        self.slots.get(index as usize).and_then(Option::as_ref)
    }

    fn slot_mut(&mut self, index: EntryIndex) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize).and_then(Option::as_mut)
    }

    /// Recomputes a partition's [`DrainState`] and expiry, and moves it between the sets accordingly.
    fn settle(&mut self, index: EntryIndex, now: Instant) {
        let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
            return;
        };
        let keeps_leader = planted!(StaleLeader) && slot.leader.is_some();
        // The leader is looked up once for each cluster version, not for every batch.
        if slot.leader_version != self.cluster_version && !keeps_leader {
            let leader = self
                .cluster
                .leader_for(slot.entry.topic_partition())
                .map(Node::id);
            if planted!(BlindUnmutedByNewLeader) && leader != slot.leader {
                slot.muted = false;
            }
            slot.leader = leader;
            slot.leader_version = self.cluster_version;
        }
        // A partition's state is decided only here: every change of a slot is followed by a call of `settle`.
        let place = slot.place_now(self.options.linger, now);
        // Muted and leaderless partitions have an expiry, too: `delivery.timeout.ms` does not depend on sendability.
        let expiry = slot
            .oldest()
            .map(|created| created + self.options.delivery_timeout);
        let (old_place, old_expiry) = (slot.place, slot.expiry);
        slot.place = place;
        slot.expiry = expiry;
        if expiry != old_expiry {
            // The time is part of the key, so the key with the old time must be removed.
            if let Some(at) = old_expiry {
                self.expiries.remove(&(at, index));
            }
            self.expiries.extend(expiry.map(|at| (at, index)));
        }
        if place != old_place {
            self.leave(index, old_place, place);
            self.enter(index, place);
        }
    }

    fn leave(&mut self, index: EntryIndex, old: DrainState, new: DrainState) {
        match old {
            DrainState::Idle => {}
            DrainState::Leaderless => {
                self.leaderless.remove(&index);
            }
            DrainState::Timed(node, due) => {
                self.timers.remove(&(due, index));
                self.leave_node(index, node, new);
            }
            DrainState::Sendable(node) => self.leave_node(index, node, new),
        }
    }

    fn leave_node(&mut self, index: EntryIndex, node: NodeId, new: DrainState) {
        if let Some(line) = self.nodes.get_mut(&node) {
            line.sendable.remove(&index);
            // A partition that changes between `Timed` and `Sendable` of one node stays in `active`, which contains
            // both.
            let stays =
                matches!(new, DrainState::Timed(n, _) | DrainState::Sendable(n) if n == node);
            if !stays {
                line.active.remove(&index);
            }
        }
    }

    fn enter(&mut self, index: EntryIndex, place: DrainState) {
        match place {
            DrainState::Idle => {}
            DrainState::Leaderless => {
                self.leaderless.insert(index);
                self.leaderless_news = true;
            }
            DrainState::Timed(node, due) => {
                self.timers.insert((due, index));
                self.nodes.entry(node).or_default().active.insert(index);
            }
            DrainState::Sendable(node) => {
                let line = self.nodes.entry(node).or_default();
                line.active.insert(index);
                line.sendable.insert(index);
            }
        }
    }
}

#[cfg(test)]
mod tests;
