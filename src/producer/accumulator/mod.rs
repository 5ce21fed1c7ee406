//! Records on their way from application threads to the sender: the application's half.
//! The sender's half, who is ready and whose turn it is, is [`drain`].

mod drain;
mod entry;
mod flush;
mod packing;
mod recent;
mod registry;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{BatchFormat, BatchId, NewBatch, OpenBatch, Packer, SplitBatch};
use super::buffer_pool::{BufferPool, Lease};
use super::counters::Counters;
use super::future::Place;
use super::instance::Instance;
use super::produce_request_result::ProduceRequestResult;
use super::thunks::{AnyCallback, UntakenCallback};
use super::wake::SenderWaker;
use crate::compress::{CompressionType, Compressor};
use crate::planted::planted;
use crate::record::builder::RecordParts;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{ArcSwap, Guard, Mutex, Rank};
use crate::types::{Magic, PartitionId, UsableMagic};

pub(crate) use drain::{DrainGate, Drained, Drainer, DrainerOptions, HeadOfLine};
pub(crate) use entry::{EntryIndex, PartitionEntry};
pub(crate) use flush::Flush;
use packing::Packing;
use registry::Registry;
use topics::NO_SNAPSHOT;
pub(crate) use topics::{Choice, RandomSource, TopicEntry, Topics};

/// What the accumulator is built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccumulatorOptions {
    pub(crate) batch_size_bytes: usize,
    pub(crate) linger: Duration,
    /// There are interceptors: every record's end is reported.
    pub(crate) track_all: bool,
}

/// What decides how batches are written.
#[derive(Debug, Clone)]
pub(crate) struct AccumulatorFormat {
    /// The newest that all brokers understand, asked when a batch is opened (RA-7).
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) packer: Arc<Packer>,
}

/// The queues of batches, one for each partition.
///
/// # Threads
/// Application threads append; the sender takes its input from the inbox and the queues through a
/// [`Drainer`], which is its alone.
/// # Kafka
/// `RecordAccumulator`. Differs: nothing is counted or looked up by every append but the topic map and
/// the partition's own queue; that an append is in progress is known from the queue's lock.
#[derive(Debug)]
pub(crate) struct RecordAccumulator {
    options: AccumulatorOptions,
    format: AccumulatorFormat,
    packing: Packing,
    instance: Instance,
    topics: ArcSwap<Topics>,
    /// The snapshot in `topics`, once it is there.
    snapshot: AtomicU64,
    registry: Mutex<Registry>,
    inbox: Mutex<Vec<Arc<PartitionEntry>>>,
    incomplete: Mutex<BTreeMap<BatchId, Arc<ProduceRequestResult>>>,
    flushes: AtomicUsize,
    /// Batches below this number were left by a flush whose time was up, and are still to be sent at once;
    /// zero if there are none.
    left_by_flushes: AtomicU64,
    pool: Arc<BufferPool>,
    waker: Arc<SenderWaker>,
    counters: Arc<Counters>,
}

/// What came of an append.
#[derive(Debug)]
pub(crate) enum Append {
    Done(Place),
    /// A new batch is needed for it.
    NeedsBatch,
    Closed,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
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
        Self {
            options,
            format,
            packing: Packing::new(),
            instance,
            topics: ArcSwap::from_pointee(Topics::default()),
            snapshot: AtomicU64::new(NO_SNAPSHOT),
            registry: Mutex::new(Rank::LEAF, Registry::default()),
            inbox: Mutex::new(Rank::LEAF, Vec::new()),
            incomplete: Mutex::new(Rank::LEAF, BTreeMap::new()),
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

    /// The topics that can be sent to, as of now.
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
        self.snapshot.store(id, Ordering::Release);
    }

    /// Appends to an open batch of the topic, if this thread sent to it a moment ago and it has not changed since,
    /// and the batch has room. `choose` chooses the partition.
    #[inline]
    pub(crate) fn append_to_recent<C: UntakenCallback + ?Sized>(
        &self,
        topic: &str,
        choose: impl FnOnce(&TopicEntry) -> PartitionId,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
    ) -> Option<Place> {
        recent::with(self.snapshot.load(Ordering::Acquire), topic, |topic| {
            // Of a negative number there is none.
            let entry = topic.partition(choose(topic))?;
            topic.mark_used();
            match self.try_append(entry, record, payload_len, callback) {
                Append::Done(place) => Some(place),
                Append::NeedsBatch | Append::Closed => None,
            }
        })
    }

    /// Lets this thread find the topic faster the next time.
    pub(crate) fn remember(topics: &Topics, topic: &Arc<TopicEntry>) {
        recent::remember(topics.id(), topic);
    }

    /// The entry of a partition of the topic, made if this is the first record for it.
    pub(crate) fn partition<'t>(
        &self,
        topic: &'t TopicEntry,
        partition: PartitionId,
    ) -> Option<&'t Arc<PartitionEntry>> {
        let slot = topic.slot(partition)?;
        if let Some(entry) = slot.get() {
            return Some(entry);
        }
        // Not while the slot is filled: it may be the registry's own.
        let entry = self.registry.lock().entry(topic.name(), partition);
        Some(slot.get_or_init(|| entry))
    }

    /// How much memory a batch that begins with this record is given (RA-4).
    pub(crate) fn allocation_for(&self, record_upper_bound: usize) -> usize {
        self.options.batch_size_bytes.max(record_upper_bound)
    }

    /// Appends to a batch that is there already.
    #[inline]
    pub(crate) fn try_append<C: UntakenCallback + ?Sized>(
        &self,
        entry: &Arc<PartitionEntry>,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut C>,
    ) -> Append {
        let mut filled = false;
        let end = entry.try_append(record, payload_len, callback, &mut filled);
        if filled {
            self.handle_filled(entry);
        }
        end
    }

    /// Appends to a batch that is there by now, or to a new one in `lease`, to be written in the format
    /// `magic`, which the caller has found good for the record. A lease that is not needed goes back to the
    /// pool.
    pub(crate) fn append_new(
        &self,
        entry: &Arc<PartitionEntry>,
        record: &RecordParts<'_>,
        payload_len: usize,
        callback: Option<&mut AnyCallback>,
        lease: Lease,
        magic: Magic,
    ) -> Append {
        let mut due = None;
        let mut late = None;
        // Under the queue's lock: numbers and times then rise from batch to batch of the queue, a flush
        // which begins after this append has returned finds the batch, and whoever finds the batch finds
        // the partition in the inbox. A sender that looks there for the last time, because the producer is
        // being closed, thereby misses none, wherever this thread is held up.
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
            if planted!(IncompleteLate) {
                late = Some((id, Arc::clone(&result)));
            } else {
                self.incomplete.lock().insert(id, Arc::clone(&result));
            }
            OpenBatch::new(NewBatch {
                id,
                lease,
                result,
                created,
                limit_bytes: self.options.batch_size_bytes,
                track_all: self.options.track_all,
                format: self.batch_format(entry, magic),
            })
        };
        let mut filled = false;
        let end = entry.append_with(record, payload_len, callback, &mut filled, make);
        if planted!(AnnouncesLate) {
            self.announce(entry);
        }
        if planted!(IncompleteLate) {
            self.incomplete.lock().extend(late);
        }
        #[cfg(test)]
        held_up::here();
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

    /// How a batch that is opened for this format will be written; `None` for format v2 without compression.
    fn batch_format(&self, entry: &PartitionEntry, magic: Magic) -> Option<BatchFormat> {
        let packer = &self.format.packer;
        (magic < Magic::V2 || packer.compressor().is_some()).then(|| BatchFormat {
            magic,
            packer: Arc::clone(packer),
            ratio: Arc::clone(entry.ratio()),
        })
    }

    /// A batch of it takes no more records. What its format asks for is done here, on the thread that filled
    /// it, and not under the queue's lock.
    #[cold]
    fn handle_filled(&self, entry: &Arc<PartitionEntry>) {
        let AccumulatorFormat {
            usable_magic,
            packer,
        } = &self.format;
        if packer.compressor().is_some() || usable_magic.load() < Magic::V2 {
            let mut counted = entry.pack(&self.packing);
            if planted!(PackedBeforeSignalled) {
                counted = None;
            }
            self.signal_now(entry);
            #[cfg(test)]
            held_up::here();
            // Only now: whoever sees that nothing is being packed finds it all in the inbox.
            drop(counted);
            // A sender that ends waits for the count alone, if it has sent the batch already.
            if self.topics.load().is_closed() && !planted!(PackedTellsNobody) {
                self.waker.wake();
            }
        } else {
            self.signal_now(entry);
        }
    }

    /// Lets the sender look at the partition's queue, whenever it wakes.
    fn announce(&self, entry: &Arc<PartitionEntry>) {
        if entry.is_in_inbox() {
            return;
        }
        let mut inbox = self.inbox.lock();
        if entry.enter_inbox() {
            inbox.push(Arc::clone(entry));
        }
    }

    /// How batches are compressed.
    pub(crate) fn codec(&self) -> CompressionType {
        self.format
            .packer
            .compressor()
            .map_or(CompressionType::None, Compressor::codec)
    }

    /// Whether a batch is out of its queue to be packed. What was when this says no is in the inbox.
    pub(crate) fn is_packing(&self) -> bool {
        self.packing.is_any()
    }

    /// Waits until no batch is out of its queue.
    ///
    /// # Blocking
    /// As long as packing one takes.
    pub(crate) fn wait_for_packing(&self) {
        self.packing.wait_until_none();
    }

    /// A batch of it can be sent now. That the partition is in the inbox already does not make the sender
    /// look in time: it was put there for a batch that lingers, or by a thread that has not come to wake
    /// the sender yet.
    #[cold]
    fn signal_now(&self, entry: &Arc<PartitionEntry>) {
        let is_announced = planted!(FullBatchWakesNobody) && entry.is_in_inbox();
        self.announce(entry);
        if !is_announced {
            self.waker.wake();
        }
    }

    /// A batch has ended; nobody need wait for it any more.
    pub(crate) fn forget(&self, batch: BatchId) {
        self.incomplete.lock().remove(&batch);
    }

    /// A batch is gone and its pieces are there instead: a flush finds one or the other.
    pub(crate) fn replace_by_pieces(&self, split: &SplitBatch) {
        let mut incomplete = self.incomplete.lock();
        incomplete.remove(&split.whole());
        if planted!(SplitNotFlushed) {
            return;
        }
        let pieces = split.pieces().iter();
        incomplete.extend(pieces.map(|piece| (piece.id(), Arc::clone(piece.result()))));
    }

    /// Everything that somebody may still wait for: when the sender has failed.
    pub(crate) fn take_incomplete(&self) -> Vec<Arc<ProduceRequestResult>> {
        std::mem::take(&mut *self.incomplete.lock())
            .into_values()
            .collect()
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

    /// A call that sends everything which is incomplete when it is first stepped, and waits until that has ended;
    /// the number of batches left when `timeout` passes first.
    ///
    /// # Kafka
    /// `RecordAccumulator#beginFlush`, `#awaitFlushCompletion` (KP-44, KP-45).
    pub(crate) fn flush(&self, timeout: Option<Duration>) -> Flush<'_> {
        Flush::new(self, timeout)
    }

    /// Lets no more records in, whatever queue they are for, and refuses memory to who waits for it.
    pub(crate) fn close(&self) {
        let entries = {
            let mut registry = self.registry.lock();
            registry.closed = true;
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

    /// Every partition that was ever sent to: for the end, when whatever is left must be found.
    pub(crate) fn all_entries(&self) -> Vec<Arc<PartitionEntry>> {
        self.registry.lock().all_entries()
    }

    /// Batches that lie in queues.
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

/// For tests: what happens while a thread is held up between putting its batch into the queue and waking
/// the sender.
#[cfg(test)]
pub(crate) mod held_up {
    use std::cell::RefCell;

    type Meanwhile = Box<dyn FnOnce()>;

    thread_local! {
        static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
    }

    /// Holds up this thread's next new batch, for as long as `meanwhile` takes.
    pub(crate) fn once(meanwhile: impl FnOnce() + 'static) {
        MEANWHILE.set(Some(Box::new(meanwhile)));
    }

    pub(super) fn here() {
        if let Some(meanwhile) = MEANWHILE.take() {
            meanwhile();
        }
    }
}

#[cfg(test)]
mod tests;
