//! The sender's half of the accumulator: which partitions have something to send, when, and whose turn
//! it is.
//!
//! Each partition with a batch stands in exactly one [`Place`]. A loop of the sender touches only those
//! that were signalled, whose time has come, or that are drained, however many others there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::RecordAccumulator;
use super::entry::{EntryIndex, PartitionEntry, Popped, QueueHead};
use crate::clock::{Deadline, Instant};
use crate::planted::planted;
use crate::producer::batch::{BatchId, SealedBatch};
use crate::types::{Cluster, Node, NodeId, TopicPartition};

/// Times that decide when a batch is sent and when it is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrainerOptions {
    pub(crate) linger: Duration,
    pub(crate) delivery_timeout: Duration,
}

/// What stands at the head of a partition's line: asked of the gate before it is drained.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HeadOfLine {
    /// A batch that was never sent.
    New,
    /// A batch that was sent before.
    Retried(BatchId),
}

/// Decides whether a partition's next batch may be sent, and numbers it: the idempotent producer's say
/// in draining.
pub(crate) trait DrainGate {
    /// RA-19
    fn may_drain(&self, index: EntryIndex, head: HeadOfLine) -> bool;

    /// Gives a batch its producer id, epoch and sequence if it has none (RA-21).
    fn number(&mut self, index: EntryIndex, batch: &mut SealedBatch);
}

/// A batch that is on its way to a node.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) index: EntryIndex,
    pub(crate) batch: Box<SealedBatch>,
}

/// Who is ready, who is muted, where the next drain of each node starts.
///
/// # Kafka
/// `RecordAccumulator#ready`, `#drain`, `#expiredBatches`, `#reenqueue` and the fields that only the
/// sender uses. Differs: a drain index for each node (KAFKA-13834), and batches that are to be sent
/// again are kept here, in order, instead of at the front of the queue.
#[derive(Debug)]
pub(crate) struct Drainer {
    options: DrainerOptions,
    slots: Vec<Option<Slot>>,
    nodes: BTreeMap<NodeId, NodeLine>,
    /// Partitions whose batch is not due yet.
    timers: BTreeSet<(Instant, EntryIndex)>,
    /// Partitions with a batch and without a leader.
    leaderless: BTreeSet<EntryIndex>,
    /// When the oldest batch of each partition will be given up.
    expiries: BTreeSet<(Instant, EntryIndex)>,
    retries_queued: usize,
    cluster: Arc<Cluster>,
    cluster_version: u32,
    leaderless_news: bool,
    inbox: Vec<Arc<PartitionEntry>>,
}

/// What the sender knows of one partition.
#[derive(Debug)]
struct Slot {
    entry: Arc<PartitionEntry>,
    /// Batches to be sent again, oldest first; all are older than those in the entry's queue.
    retries: VecDeque<Box<SealedBatch>>,
    /// The first batch of the entry's queue when it was last looked at. A head that has become full
    /// since is signalled.
    head: Option<QueueHead>,
    leader: Option<NodeId>,
    /// The cluster version that `leader` is from.
    leader_version: u32,
    muted: bool,
    place: Place,
    expiry: Option<Instant>,
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It has no batch, or is muted.
    Idle,
    Leaderless,
    /// Its batch is due at that time.
    Timed(NodeId, Instant),
    /// Its batch is due.
    Sendable(NodeId),
}

/// The partitions with batches that one node leads.
#[derive(Debug, Default)]
struct NodeLine {
    active: BTreeSet<EntryIndex>,
    sendable: BTreeSet<EntryIndex>,
    /// Where the next drain begins, so that no partition is favoured (RA-16).
    next: EntryIndex,
}

impl NodeLine {
    fn is_ready(&self, everything: bool) -> bool {
        !self.sendable.is_empty() || (everything && !self.active.is_empty())
    }
}

/// What one node's drain came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DrainResult {
    pub(crate) batches: usize,
    /// `max.request.size` ended it: there is more to send at once.
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

    /// Looks at the queues that have something to say.
    pub(crate) fn handle_inbox(&mut self, accumulator: &RecordAccumulator, now: Instant) {
        let mut inbox = std::mem::take(&mut self.inbox);
        accumulator.swap_inbox(&mut inbox);
        for entry in inbox.drain(..) {
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
    }

    /// Learns who leads what.
    pub(crate) fn handle_cluster(&mut self, cluster: Arc<Cluster>, version: u32, now: Instant) {
        self.cluster = cluster;
        self.cluster_version = version;
        // Whoever still has no leader is asked for again.
        self.leaderless_news = !self.leaderless.is_empty();
        let mut busy: Vec<EntryIndex> = self.leaderless.iter().copied().collect();
        busy.extend(
            self.nodes
                .values()
                .flat_map(|line| line.active.iter().copied()),
        );
        for index in busy {
            self.settle(index, now);
        }
        self.nodes.retain(|_, line| !line.active.is_empty());
    }

    /// The version of the picture that `handle_cluster` was last given.
    pub(crate) fn cluster_version(&self) -> u32 {
        self.cluster_version
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Moves those whose time has come.
    pub(crate) fn handle_timers(&mut self, now: Instant) {
        while let Some(&(due, index)) = self.timers.first() {
            if due > now {
                break;
            }
            self.settle(index, now);
        }
    }

    /// Puts a batch that failed back in line, at its place among the older ones (RA-27).
    pub(crate) fn reenqueue(&mut self, index: EntryIndex, batch: Box<SealedBatch>, now: Instant) {
        let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
            debug_assert!(false, "a batch in flight came out of a slot");
            return;
        };
        // Batches are numbered in the order they were opened, which is the order of their sequences.
        let at = slot
            .retries
            .partition_point(|queued| queued.id() < batch.id() || planted!(ReenqueuedLast));
        slot.retries.insert(at, batch);
        self.retries_queued += 1;
        self.settle(index, now);
    }

    /// Keeps the partition from being drained: with one request in flight, order is kept by having one
    /// batch of a partition under way (SE-22).
    pub(crate) fn mute(&mut self, index: EntryIndex, now: Instant) {
        self.set_muted(index, true, now);
    }

    pub(crate) fn unmute(&mut self, index: EntryIndex, now: Instant) {
        self.set_muted(index, false, now);
    }

    fn set_muted(&mut self, index: EntryIndex, muted: bool, now: Instant) {
        if let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) {
            slot.muted = muted;
            self.settle(index, now);
        }
    }

    /// Applies `change` to a batch that waits to be sent again; false if it is not there.
    pub(crate) fn with_retry(
        &mut self,
        index: EntryIndex,
        batch: BatchId,
        change: impl FnOnce(&mut SealedBatch),
    ) -> bool {
        let slot = self.slots.get_mut(index as usize).and_then(Option::as_mut);
        let found = slot.and_then(|slot| slot.retries.iter_mut().find(|b| b.id() == batch));
        found.map(|batch| change(batch)).is_some()
    }

    /// Takes a batch that waits to be sent again out of the line.
    pub(crate) fn take_retry(
        &mut self,
        index: EntryIndex,
        batch: BatchId,
        now: Instant,
    ) -> Option<Box<SealedBatch>> {
        let slot = self.slots.get_mut(index as usize)?.as_mut()?;
        let at = slot.retries.iter().position(|b| b.id() == batch)?;
        let taken = slot.retries.remove(at);
        self.retries_queued -= usize::from(taken.is_some());
        self.settle(index, now);
        taken
    }

    // ---- questions

    /// Topics of which a batch waits for a leader, if that is news since the last call.
    pub(crate) fn take_leaderless_topics(&mut self) -> BTreeSet<Arc<str>> {
        if !std::mem::take(&mut self.leaderless_news) {
            return BTreeSet::new();
        }
        let slots = &self.slots;
        let topic = |index: &EntryIndex| {
            let slot = slots.get(*index as usize).and_then(Option::as_ref)?;
            Some(Arc::clone(slot.entry.topic_partition().shared_topic()))
        };
        self.leaderless.iter().filter_map(topic).collect()
    }

    /// Nodes with a batch to send now; with `everything`, also those whose batches are not due yet.
    pub(crate) fn ready_nodes(&self, everything: bool, into: &mut Vec<NodeId>) {
        let ready = self
            .nodes
            .iter()
            .filter(|(_, line)| line.is_ready(everything));
        into.extend(ready.map(|(id, _)| *id));
    }

    /// Whether one node is among them.
    pub(crate) fn is_ready(&self, node: NodeId, everything: bool) -> bool {
        self.nodes
            .get(&node)
            .is_some_and(|line| line.is_ready(everything))
    }

    /// When the next partition becomes due.
    pub(crate) fn next_due(&self) -> Deadline {
        self.timers
            .first()
            .filter(|_| !planted!(LingerNotWaitedFor))
            .map_or(Deadline::Never, |(due, _)| Deadline::At(*due))
    }

    /// When the next batch will be given up.
    pub(crate) fn next_expiry(&self) -> Deadline {
        self.expiries
            .first()
            .map_or(Deadline::Never, |(expiry, _)| Deadline::At(*expiry))
    }

    /// Whether any partition has a batch that is not under way.
    pub(crate) fn has_undrained(&self) -> bool {
        !self.expiries.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn retries_queued(&self) -> usize {
        self.retries_queued
    }

    /// Who leads the partition, as far as is known.
    pub(crate) fn leader(&self, index: EntryIndex) -> Option<NodeId> {
        self.slots
            .get(index as usize)
            .and_then(Option::as_ref)
            .and_then(|slot| slot.leader)
    }

    pub(crate) fn topic_partition(&self, index: EntryIndex) -> Option<&TopicPartition> {
        let slot = self.slots.get(index as usize).and_then(Option::as_ref)?;
        Some(slot.entry.topic_partition())
    }

    // ---- outputs

    /// Takes at most one batch of each partition of a node, in turn, up to `max_bytes` in all; one
    /// batch is taken however large it is (RA-15 to RA-18). A partition that the gate holds back is
    /// skipped; in Java it ends the node's turn.
    ///
    /// A batch that is not due goes along with those that are. If it must be packed, this thread does that, before
    /// the request is sent.
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
        let Some(start) = self.nodes.get(&node).map(|line| line.next) else {
            return result;
        };
        let mut cursor = Some(start);
        let mut wrapped = false;
        while let Some(index) = self.next_in_line(node, &mut cursor, &mut wrapped, start) {
            let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
                continue;
            };
            let head = match slot.retries.front() {
                Some(batch) if batch.retry_at() > now => continue,
                Some(batch) => HeadOfLine::Retried(batch.id()),
                None => HeadOfLine::New,
            };
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
            let taken = slot.take(|size| size <= room || result.batches == 0);
            let mut batch = match taken {
                Taken::Batch(batch) => batch,
                Taken::TooLarge => {
                    // It begins the next request.
                    self.set_next(node, index);
                    result.cut_short = true;
                    return result;
                }
                Taken::Empty => {
                    self.settle(index, now);
                    continue;
                }
            };
            if matches!(head, HeadOfLine::Retried(_)) {
                self.retries_queued -= 1;
            }
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

    /// The next partition of a node in circular order from `start`, each once.
    fn next_in_line(
        &self,
        node: NodeId,
        cursor: &mut Option<EntryIndex>,
        wrapped: &mut bool,
        start: EntryIndex,
    ) -> Option<EntryIndex> {
        let line = self.nodes.get(&node)?;
        let mut from = (*cursor)?;
        loop {
            match line.active.range(from..).next() {
                Some(&index) if !*wrapped || index < start => {
                    *cursor = Some(index + 1);
                    return Some(index);
                }
                None if !*wrapped => {
                    *wrapped = true;
                    from = 0;
                }
                _ => {
                    *cursor = None;
                    return None;
                }
            }
        }
    }

    fn set_next(&mut self, node: NodeId, next: EntryIndex) {
        if planted!(DrainIndexShared) {
            self.nodes.values_mut().for_each(|line| line.next = next);
        }
        if let Some(line) = self.nodes.get_mut(&node) {
            line.next = next;
        }
    }

    /// Takes every batch whose `delivery.timeout.ms` has passed, muted partitions' too (RA-24, RA-26).
    pub(crate) fn take_expired(&mut self, now: Instant, into: &mut Vec<Drained>) {
        while let Some(&(expiry, index)) = self.expiries.first() {
            if expiry > now {
                break;
            }
            let timeout = self.options.delivery_timeout;
            let is_over = |created: Instant| created + timeout <= now;
            let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
                break;
            };
            while slot
                .retries
                .front()
                .is_some_and(|batch| is_over(batch.created()))
            {
                if let Some(batch) = slot.retries.pop_front() {
                    self.retries_queued -= 1;
                    into.push(Drained { index, batch });
                }
            }
            if slot.retries.is_empty() {
                let cutoff =
                    Instant::from_nanos(now.as_nanos().saturating_sub(timeout.as_nanos() as u64));
                while let Some(batch) = slot.entry.pop_older(cutoff) {
                    into.push(Drained {
                        index,
                        batch: SealedBatch::seal_to_fail(batch),
                    });
                }
                slot.head = slot.entry.head();
            }
            self.settle(index, now);
        }
    }

    /// Takes every batch there is, but for those that are being packed and those behind them, which will be
    /// signalled: the end, or a fatal error.
    pub(crate) fn take_all(
        &mut self,
        accumulator: &RecordAccumulator,
        now: Instant,
        into: &mut Vec<Drained>,
    ) {
        self.handle_inbox(accumulator, now);
        for entry in accumulator.all_entries() {
            let index = entry.index();
            let slot = self.slot_for(&entry);
            let retries = std::mem::take(&mut slot.retries);
            into.extend(retries.into_iter().map(|batch| Drained { index, batch }));
            while let Popped::Batch { batch, .. } = entry.pop(|_| true) {
                into.push(Drained {
                    index,
                    batch: SealedBatch::seal_to_fail(batch),
                });
            }
            slot.head = None;
            self.settle(index, now);
        }
        self.retries_queued = 0;
    }

    // ---- inside

    fn slot_for(&mut self, entry: &Arc<PartitionEntry>) -> &mut Slot {
        let at = entry.index() as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at].get_or_insert_with(|| Slot {
            entry: Arc::clone(entry),
            retries: VecDeque::new(),
            head: None,
            leader: None,
            leader_version: u32::MAX,
            muted: false,
            place: Place::Idle,
            expiry: None,
        })
    }

    /// Puts a partition where it belongs by what is known of it now.
    fn settle(&mut self, index: EntryIndex, now: Instant) {
        let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
            return;
        };
        let keeps_leader = planted!(StaleLeader) && slot.leader.is_some();
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
        let place = slot.place_now(&self.options, now);
        let expiry = slot
            .oldest()
            .map(|created| created + self.options.delivery_timeout);
        let (old_place, old_expiry) = (slot.place, slot.expiry);
        slot.place = place;
        slot.expiry = expiry;
        if expiry != old_expiry {
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

    fn leave(&mut self, index: EntryIndex, old: Place, new: Place) {
        match old {
            Place::Idle => {}
            Place::Leaderless => {
                self.leaderless.remove(&index);
            }
            Place::Timed(node, due) => {
                self.timers.remove(&(due, index));
                self.leave_node(index, node, new);
            }
            Place::Sendable(node) => self.leave_node(index, node, new),
        }
    }

    fn leave_node(&mut self, index: EntryIndex, node: NodeId, new: Place) {
        if let Some(line) = self.nodes.get_mut(&node) {
            line.sendable.remove(&index);
            let stays = matches!(new, Place::Timed(n, _) | Place::Sendable(n) if n == node);
            if !stays {
                line.active.remove(&index);
            }
        }
    }

    fn enter(&mut self, index: EntryIndex, place: Place) {
        match place {
            Place::Idle => {}
            Place::Leaderless => {
                self.leaderless.insert(index);
                self.leaderless_news = true;
            }
            Place::Timed(node, due) => {
                self.timers.insert((due, index));
                self.nodes.entry(node).or_default().active.insert(index);
            }
            Place::Sendable(node) => {
                let line = self.nodes.entry(node).or_default();
                line.active.insert(index);
                line.sendable.insert(index);
            }
        }
    }
}

enum Taken {
    Batch(Box<SealedBatch>),
    TooLarge,
    Empty,
}

impl Slot {
    /// When its oldest batch was opened.
    fn oldest(&self) -> Option<Instant> {
        let retried = self.retries.front().map(|batch| batch.created());
        retried.or_else(|| self.head.map(|head| head.created))
    }

    /// RA-11 to RA-14
    fn place_now(&self, options: &DrainerOptions, now: Instant) -> Place {
        let due = match (self.retries.front(), self.head) {
            (Some(batch), _) => batch.retry_at(),
            (None, Some(head)) if head.is_full => now,
            (None, Some(head)) => head.created + options.linger,
            (None, None) => return Place::Idle,
        };
        match self.leader {
            None => Place::Leaderless,
            Some(_) if self.muted && !planted!(MutedDrained) => Place::Idle,
            Some(node) if due <= now => Place::Sendable(node),
            Some(node) => Place::Timed(node, due),
        }
    }

    fn take(&mut self, may_take: impl FnOnce(usize) -> bool) -> Taken {
        if let Some(batch) = self.retries.front() {
            if !may_take(batch.size_bytes()) {
                return Taken::TooLarge;
            }
            return self.retries.pop_front().map_or(Taken::Empty, Taken::Batch);
        }
        match self.entry.pop(may_take) {
            Popped::Batch { batch, next } => {
                self.head = next;
                Taken::Batch(SealedBatch::seal(batch))
            }
            Popped::TooLarge => Taken::TooLarge,
            Popped::Nothing => {
                self.head = None;
                Taken::Empty
            }
        }
    }
}

#[cfg(test)]
mod tests;
