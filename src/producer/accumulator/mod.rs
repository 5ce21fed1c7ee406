//! The record accumulator: queues of batches, one for each partition, to which application threads append.
//! The sender's half, which selects ready partitions and drains their queues, is [`drain`].

#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) mod by_hand;
mod drain;
mod entry;
mod flush;
mod incomplete;
mod packing;
mod recent;
mod registry;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use super::batch::{BatchFormat, BatchId, NewBatch, OpenBatch, Packer, SplitBatch};
use super::buffer_pool::{BufferPool, Lease};
use super::counters::Counters;
use super::future::PlaceInBatch;
use super::instance::Instance;
use super::produce_request_result::ProduceRequestResult;
use super::thunks::{AnyCallback, SpareVector, UntakenCallback};
use super::wake::SenderWaker;
use crate::compress::{CompressionType, Compressor};
use crate::planted::planted;
use crate::record::builder::RecordParts;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{self, ArcSwap, Guard, Mutex, Padded, Rank};
use crate::types::{Magic, PartitionId, UsableMagic};

pub(crate) use drain::{DrainGate, Drained, Drainer, DrainerOptions, NextBatch};
use entry::QueueState;
pub(crate) use entry::{Admission, AnyTransaction, EntryIndex, PartitionEntry, TransactionNumber};
pub(crate) use flush::Flush;
use incomplete::IncompleteBatches;
use packing::{Packing, PackingStep};
use registry::Registry;
use topics::NO_SNAPSHOT;
pub(crate) use topics::{Choice, TopicEntry, Topics};

/// The options of the accumulator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccumulatorOptions {
    pub(crate) batch_size_bytes: usize,
    pub(crate) linger: Duration,
    /// Whether there are interceptors, which are called for every record, with or without a callback.
    pub(crate) track_all: bool,
    /// Whether queues admit records only while their partition is part of a transaction.
    pub(crate) is_transactional: bool,
}

/// The format of batches: magic and compression.
#[derive(Debug, Clone)]
pub(crate) struct AccumulatorFormat {
    /// The newest magic that all brokers understand, read when a batch is opened (RA-7).
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) packer: Arc<Packer>,
}

/// The record accumulator: the queues of batches, one for each partition.
///
/// # Threads
/// Application threads append; the sender drains the inbox and the queues through a [`Drainer`], which it owns.
/// # Kafka
/// `RecordAccumulator`. Differs: every append accesses the topic map and its partition's own queue, and no other shared
/// state. There is no `appendsInProgress` counter: an append in progress holds the queue's lock.
#[derive(Debug)]
pub(crate) struct RecordAccumulator {
    options: AccumulatorOptions,
    format: AccumulatorFormat,
    packing: Arc<Packing>,
    instance: Instance,
    topics: ArcSwap<Topics>,
    /// The id of the snapshot in `topics`, stored after the snapshot itself.
    snapshot: AtomicU64,
    registry: Mutex<Registry>,
    /// Partitions whose queues the sender is to read.
    inbox: Padded<Mutex<Vec<Arc<PartitionEntry>>>>,
    /// Batches that are open, queued or in flight; and the spare vectors for callbacks.
    incomplete: Padded<Mutex<IncompleteBatches>>,
    /// The number of flushes in progress.
    flushes: AtomicUsize,
    /// Batches below this number belong to a flush that timed out: they are still sent without linger. Zero if
    /// there are none.
    left_by_flushes: AtomicU64,
    pool: Arc<BufferPool>,
    waker: Arc<SenderWaker>,
    counters: Arc<Counters>,
}

/// The result of an append.
#[derive(Debug)]
pub(crate) enum Append {
    Done(PlaceInBatch),
    /// No open batch has room: a new one is needed.
    NeedsBatch,
    /// The partition was not added to the record's transaction, or that transaction is no longer open.
    OutsideTransaction,
    Closed,
}

impl std::fmt::Debug for PlaceInBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaceInBatch")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl RecordAccumulator {
    pub(crate) fn new(
        options: AccumulatorOptions,
        format: AccumulatorFormat,
        instance: Instance,
        pool: Arc<BufferPool>,
        waker: Arc<SenderWaker>,
        counters: Arc<Counters>,
    ) -> Self {
        let queue_state = if options.is_transactional {
            QueueState::OutsideTransaction
        } else {
            QueueState::Open(TransactionNumber::NONE)
        };
        Self {
            options,
            format,
            packing: Packing::new(),
            instance,
            topics: ArcSwap::from_pointee(Topics::default()),
            snapshot: AtomicU64::new(NO_SNAPSHOT),
            registry: Mutex::new(Rank::LEAF, Registry::new(queue_state)),
            inbox: Padded::new(Mutex::new(Rank::LEAF, Vec::new())),
            incomplete: Padded::new(Mutex::new(Rank::LEAF, IncompleteBatches::default())),
            flushes: AtomicUsize::new(0),
            left_by_flushes: AtomicU64::new(0),
            pool,
            waker,
            counters,
        }
    }

    #[inline]
    pub(crate) fn pool(&self) -> &Arc<BufferPool> {
        &self.pool
    }

    /// The current snapshot of the topic map.
    #[inline]
    pub(crate) fn topics(&self) -> Guard<Arc<Topics>> {
        self.topics.load()
    }

    fn publish(&self, topics: Topics) {
        let id = topics.id();
        self.topics.store(Arc::new(topics));
        if planted!(SnapshotStays) && self.snapshot.load(Ordering::Acquire) != NO_SNAPSHOT {
            return;
        }
        // From here on threads do not use cached topics of other snapshots: they look topics up in the map that was
        // stored above.
        self.snapshot.store(id, Ordering::Release);
    }

    /// The fast path: appends to an open batch of a topic in this thread's cache of recent topics, if the topic has not
    /// changed since and the batch has room. `choose` chooses the partition. `None` if the slow path must be taken.
    #[inline]
    pub(crate) fn append_to_recent<C: UntakenCallback + ?Sized>(
        &self,
        of: impl Admission,
        topic: &str,
        choose: impl FnOnce(&TopicEntry) -> PartitionId,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
    ) -> Option<PlaceInBatch> {
        recent::with(self.snapshot.load(Ordering::Acquire), topic, |topic| {
            // A negative partition number has no entry: the slow path refuses the record.
            let entry = topic.partition(choose(topic))?;
            topic.mark_used();
            match self.try_append(of, entry, record, payload_len, callback) {
                Append::Done(place) => Some(place),
                Append::NeedsBatch | Append::OutsideTransaction | Append::Closed => None,
            }
        })
    }

    /// Puts the topic into this thread's cache of recent topics.
    pub(crate) fn remember(topics: &Topics, topic: &Arc<TopicEntry>) {
        recent::remember(topics.id(), topic);
    }

    /// The partition's entry, created for its first record; `None` if the topic has no such partition.
    pub(crate) fn partition<'t>(
        &self,
        topic: &'t TopicEntry,
        partition: PartitionId,
    ) -> Option<&'t Arc<PartitionEntry>> {
        let slot = topic.slot(partition)?;
        if let Some(entry) = slot.get() {
            return Some(entry);
        }
        // The entry is looked up before `get_or_init`: the slot may be the registry's own, which the look-up
        // initializes. A `OnceLock` must not be initialized from within its own initializer.
        let entry = self.registry.lock().entry(topic.name(), partition);
        Some(slot.get_or_init(|| entry))
    }

    /// Bytes to allocate for a batch that begins with this record (RA-4).
    pub(crate) fn allocation_for(&self, record_upper_bound: usize) -> usize {
        self.options.batch_size_bytes.max(record_upper_bound)
    }

    /// Appends to the partition's open batch.
    #[inline]
    pub(crate) fn try_append<C: UntakenCallback + ?Sized>(
        &self,
        of: impl Admission,
        entry: &Arc<PartitionEntry>,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
    ) -> Append {
        let mut filled = false;
        let end = entry.try_append(of, record, payload_len, callback, &mut filled);
        if filled {
            self.handle_filled(entry);
        }
        end
    }

    /// Appends to an open batch that another thread has made meanwhile, or else to a new one in `lease`. The new batch
    /// has the format `magic`, which the caller has checked against the record. A lease that is not needed returns to
    /// the pool.
    pub(crate) fn append_new(
        &self,
        of: TransactionNumber,
        entry: &Arc<PartitionEntry>,
        record: &RecordParts<'_>,
        callback: Option<&mut AnyCallback>,
        lease: Lease,
        magic: Magic,
    ) -> Append {
        let mut due = None;
        let mut late = None;
        // Runs under the queue's lock, for three reasons. Ids and creation times ascend within the queue. A flush that
        // begins after this append has returned finds the batch. A thread that finds the batch finds the partition in
        // the inbox: a closing sender that reads the inbox for the last time misses no batch, wherever this thread is
        // preempted.
        let make = || {
            if !planted!(AnnouncesLate | WakesBeforeAnnouncing) {
                self.announce(entry);
            }
            let created = self.instance.clock().now();
            due = Some(created + self.options.linger);
            let id = self.counters.next_batch_id();
            let result = Arc::new(ProduceRequestResult::new(
                entry.topic_partition().clone(),
                self.instance.clone(),
            ));
            let spare = {
                let mut incomplete = self.incomplete.lock();
                if planted!(IncompleteLate) {
                    late = Some((id, Arc::clone(&result)));
                } else {
                    incomplete.add(id, Arc::clone(&result));
                }
                incomplete.take_spare()
            };
            OpenBatch::new(NewBatch {
                id,
                lease,
                result,
                created,
                limit_bytes: self.options.batch_size_bytes,
                track_all: self.options.track_all,
                format: self.batch_format(entry, magic),
                spare,
            })
        };
        let mut filled = false;
        let end = entry.append_with(of, record, callback, &mut filled, make);
        if planted!(AnnouncesLate) {
            self.announce(entry);
        }
        if let Some((id, result)) = late.filter(|_| planted!(IncompleteLate)) {
            self.incomplete.lock().add(id, result);
        }
        #[cfg(test)]
        held_up::here();
        // A full batch is sendable now. During a flush, while a thread waits for memory, or on close, a new batch does
        // not linger either. Otherwise the sender is woken only if it sleeps past the end of the linger. An append to
        // an existing batch does not wake the sender: the thread that opened the batch has done so.
        match due {
            _ if filled => self.handle_filled(entry),
            Some(_) if self.sends_everything() => self.waker.wake(),
            Some(due) => self.waker.wake_by(due),
            None => {}
        }
        if planted!(WakesBeforeAnnouncing) {
            self.announce(entry);
        }
        end
    }

    /// The format of a new batch; `None` for format v2 without compression.
    fn batch_format(&self, entry: &PartitionEntry, magic: Magic) -> Option<BatchFormat> {
        let packer = &self.format.packer;
        (magic < Magic::V2 || packer.compressor().is_some()).then(|| BatchFormat {
            magic,
            packer: Arc::clone(packer),
            ratio: Arc::clone(entry.ratio()),
        })
    }

    /// Handles a batch that has become full: compresses or down-converts it on the thread that filled it, outside the
    /// queue's lock, then signals the sender.
    #[cold]
    fn handle_filled(&self, entry: &Arc<PartitionEntry>) {
        let AccumulatorFormat {
            usable_magic,
            packer,
        } = &self.format;
        if packer.compressor().is_some() || usable_magic.load() < Magic::V2 {
            let away = PackingStep::Away(entry.take_away(&self.packing));
            #[cfg(all(feature = "testing", feature = "_internals"))]
            let Some(away) = by_hand::leave(self, entry, away) else {
                return;
            };
            // All steps run in a row on this thread; the simulator runs them one at a time (`by_hand`).
            let mut step = Some(away);
            while let Some(next) = step {
                step = self.pack_on(entry, next);
            }
        } else {
            self.signal_now(entry);
        }
    }

    /// Takes one step of packing: compress, put back into the queue, announce, wake the sender. Returns the next step;
    /// `None` when packing is done.
    fn pack_on(&self, entry: &Arc<PartitionEntry>, step: PackingStep) -> Option<PackingStep> {
        let wakes_early = planted!(PackedTellsNobody);
        match step {
            PackingStep::Away(away) => {
                sync::assert_unlocked();
                let back = away.map(|(batch, counted)| {
                    #[cfg(test)]
                    held_up::while_packing();
                    entry.put_back(batch.packed());
                    counted
                });
                let back = back.filter(|_| !planted!(PackedBeforeSignalled));
                Some(PackingStep::Back(back))
            }
            PackingStep::Back(counted) => {
                self.announce(entry);
                if wakes_early {
                    self.waker.wake();
                }
                Some(PackingStep::Announced(counted))
            }
            PackingStep::Announced(counted) => {
                #[cfg(test)]
                held_up::here();
                // Dropped after the announcement: a thread that sees that no batch is being packed finds every packed
                // batch through the inbox.
                drop(counted);
                Some(PackingStep::CountedOut)
            }
            PackingStep::CountedOut => {
                // The wake-up comes last: a sender that closes, or that ends a transaction, waits for the count as well
                // as for the batch.
                if !wakes_early {
                    self.waker.wake();
                }
                None
            }
        }
    }

    /// Puts the partition into the inbox, so that the sender reads its queue when it wakes. Does not wake the sender.
    fn announce(&self, entry: &Arc<PartitionEntry>) {
        // If the flag is set, the sender has not read the queue yet, since it clears the flag before it reads. It will
        // see the batch that this thread has put into the queue.
        if entry.is_in_inbox() {
            return;
        }
        let mut inbox = self.inbox.lock();
        // Checked again under the lock: another thread may have pushed the entry meanwhile.
        if entry.enter_inbox() {
            inbox.push(Arc::clone(entry));
        }
    }

    /// The compression codec (`compression.type`).
    pub(crate) fn codec(&self) -> CompressionType {
        self.format
            .packer
            .compressor()
            .map_or(CompressionType::None, Compressor::codec)
    }

    /// Whether a thread is packing a batch, which is then out of its queue. Once this is false, the partitions of all
    /// packed batches have been put into the inbox.
    pub(crate) fn is_packing(&self) -> bool {
        self.packing.is_any()
    }

    /// Waits until no thread is packing a batch.
    ///
    /// # Blocking
    /// For as long as other threads pack the batches that they have taken out.
    pub(crate) fn wait_for_packing(&self) {
        #[cfg(all(feature = "testing", feature = "_internals"))]
        by_hand::finish_all(self);
        self.packing.wait_until_none();
    }

    /// Wakes the sender for a batch that is sendable now, also if the partition is in the inbox already: it may have
    /// been put there for a batch that lingers, or by a thread that has not woken the sender yet.
    #[cold]
    fn signal_now(&self, entry: &Arc<PartitionEntry>) {
        let is_announced = planted!(FullBatchWakesNobody) && entry.is_in_inbox();
        self.announce(entry);
        if !is_announced {
            self.waker.wake();
        }
    }

    /// Removes a completed batch from the incomplete ones, for which flushes wait, and keeps the emptied vector of its
    /// callbacks for a later batch.
    pub(crate) fn forget(&self, batch: BatchId, spare: Option<SpareVector>) {
        let unused = self.incomplete.lock().remove(batch, spare);
        drop(unused);
    }

    /// Replaces a split batch by its pieces among the incomplete batches.
    pub(crate) fn replace_by_pieces(&self, split: &SplitBatch) {
        // One critical section: a flush that begins now waits either for the whole batch or for its pieces.
        self.incomplete.lock().replace_by_pieces(split);
    }

    /// Takes the results of all incomplete batches, to fail them when the sender has failed.
    pub(crate) fn take_incomplete(&self) -> Vec<Arc<ProduceRequestResult>> {
        self.incomplete.lock().take_all()
    }

    pub(crate) fn incomplete_count(&self) -> usize {
        self.incomplete.lock().len()
    }

    /// Whether batches are to be sent without waiting for `linger.ms` (RA-12).
    pub(crate) fn sends_everything(&self) -> bool {
        self.flushes.load(Ordering::Acquire) > 0
            || self.has_left_by_flushes()
            || self.pool.waiting() > 0 && !planted!(BlindLingerOverMemory)
            || self.topics.load().is_closed()
    }

    /// A flush: sends all batches that are incomplete at its first step, without linger, and waits until they complete.
    /// If `timeout` passes first, the error holds the number of batches left.
    ///
    /// # Kafka
    /// `RecordAccumulator#beginFlush`, `#awaitFlushCompletion` (KP-44, KP-45).
    pub(crate) fn flush(&self, timeout: Option<Duration>) -> Flush<'_> {
        Flush::new(self, timeout)
    }

    /// Closes all queues, present and future, to records, and closes the buffer pool, which fails its waiters.
    pub(crate) fn close(&self) {
        let entries = {
            // One critical section: entries that were created earlier are in the list, and entries that are created
            // later are closed from the start.
            let mut registry = self.registry.lock();
            registry.queue_state = QueueState::Closed;
            let topics = self.topics.load();
            self.publish(topics.to_closed());
            registry.all_entries()
        };
        for entry in entries {
            if !planted!(CloseForgetsQueues) {
                entry.close();
            }
        }
        self.pool.close();
    }

    /// The entries of all partitions that were ever sent to: on close all queued batches must be found.
    pub(crate) fn all_entries(&self) -> Vec<Arc<PartitionEntry>> {
        self.registry.lock().all_entries()
    }

    /// The number of queued batches.
    #[cfg(test)]
    pub(crate) fn queued_batches(&self) -> usize {
        self.all_entries().iter().map(|entry| entry.len()).sum()
    }

    /// Hands the inbox to the sender, in exchange for an empty one.
    pub(crate) fn swap_inbox(&self, into: &mut Vec<Arc<PartitionEntry>>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut *self.inbox.lock(), into);
    }
}

/// Test hooks: code that runs while a thread is held up between putting a batch into its queue and waking the sender,
/// or while it packs a batch.
#[cfg(test)]
pub(crate) mod held_up {
    use std::cell::RefCell;

    type Meanwhile = Box<dyn FnOnce()>;

    thread_local! {
        static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
        static WHILE_PACKING: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
    }

    /// Runs `meanwhile` once on this thread, after it has queued its next new or packed batch and before it wakes the
    /// sender.
    pub(crate) fn once(meanwhile: impl FnOnce() + 'static) {
        MEANWHILE.set(Some(Box::new(meanwhile)));
    }

    /// Runs `meanwhile` once on this thread, while the next batch that it packs is out of its queue.
    pub(crate) fn once_while_packing(meanwhile: impl FnOnce() + 'static) {
        WHILE_PACKING.set(Some(Box::new(meanwhile)));
    }

    pub(super) fn while_packing() {
        if let Some(meanwhile) = WHILE_PACKING.take() {
            meanwhile();
        }
    }

    pub(super) fn here() {
        if let Some(meanwhile) = MEANWHILE.take() {
            meanwhile();
        }
    }
}

#[cfg(test)]
mod tests;
