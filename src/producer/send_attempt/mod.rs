//! Slow path of `send`: appends one record to a batch as a state machine of non-blocking steps. `send` waits between
//! the steps, `try_send` gives up instead.

mod memory;
mod refusals;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use self::memory::{MemoryWait, MemoryWaitTimer};
use super::accumulator::{
    Append, PartitionEntry, RecordAccumulator, TopicEntry, Topics, TransactionNumber,
};
use super::buffer_pool::Denied;
use super::core::{Core, Plugins, SerializedRecord};
use super::future::{FutureRecordMetadata, RecordInBatch};
use super::partitioner::{PartitionInput, Strategy};
use super::record::{ProducerRecord, RecordData};
use super::send_errors::{out_of_range, outside_transaction, panicked, too_large};
use super::send_refusal::SendRefusal;
use super::serializer::Serialized;
use super::thunks::AnyCallback;
use super::topic_lookup::TopicLookup;
use super::user_code::{Fence, UserCode};
use super::waiting::{BlockingCall, Check, Step, Stopwatch, Wait};
use crate::error::{BoxError, Misuse, PluginKind, RecordPart, SendError, TransactionFailure};
use crate::planted::planted;
use crate::record::builder::{RecordParts, batch_size_upper_bound};
use crate::record::header::Headers;
use crate::types::{Magic, PartitionId};

/// State of a send after a step.
#[derive(Debug)]
pub(crate) enum SendProgress {
    /// The record was appended to a batch.
    Appended(FutureRecordMetadata),
    /// The metadata lacks the topic, or the partition that the record names.
    NeedsTopic,
    /// The buffer pool is exhausted.
    NeedsMemory,
}

/// A send in progress. Borrows the record, so that `try_send` can return it.
///
/// Most records take the fast path instead: [`send_quickly`](super::quick_send::send_quickly).
///
/// Order and routing of errors are those of `KafkaProducer#doSend` (KP-9).
pub(crate) struct SendAttempt<'r, 'a, K: ?Sized + RecordData, V: ?Sized + RecordData> {
    core: &'r Core,
    plugins: &'r Plugins<K, V>,
    /// Number of the transaction that was open when `send` was called. The record becomes part of no other, however
    /// long the send waits.
    of: TransactionNumber,
    record: &'r ProducerRecord<'a, K, V>,
    headers: Headers,
    /// Emptied when a batch takes the callback.
    callback: Option<&'r mut AnyCallback>,
    /// The partition that was chosen; later errors name it.
    partition: Option<PartitionId>,
    lookup: TopicLookup<'r>,
    memory: Option<MemoryWait<'r>>,
    /// Measures the wait against `max.block.ms`.
    time: Stopwatch,
    /// Whether the call waits between steps. If not, it does not join the buffer pool's queue.
    may_wait: bool,
    /// Whether the record was appended: another step would append a duplicate.
    is_appended: bool,
}

impl SerializedRecord<Serialized<'_>> {
    fn parts<'s>(&'s self, headers: &'s Headers, timestamp_ms: i64) -> RecordParts<'s> {
        RecordParts {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: headers.as_slice(),
            timestamp_ms,
        }
    }
}

impl<'r, 'a, K: ?Sized + RecordData, V: ?Sized + RecordData> SendAttempt<'r, 'a, K, V> {
    /// `headers` are those of the record; serializers may add to them.
    pub(crate) fn new(
        core: &'r Core,
        plugins: &'r Plugins<K, V>,
        of: TransactionNumber,
        record: &'r ProducerRecord<'a, K, V>,
        headers: Headers,
        callback: Option<&'r mut AnyCallback>,
    ) -> Self {
        Self {
            core,
            plugins,
            of,
            record,
            headers,
            callback,
            partition: None,
            lookup: TopicLookup::new(core),
            memory: None,
            time: Stopwatch::new(Some(core.config.max_block())),
            may_wait: true,
            is_appended: false,
        }
    }

    /// The same send for a caller that gives up after the first step.
    pub(crate) fn without_waiting(mut self) -> Self {
        self.may_wait = false;
        self
    }

    /// The same send for a caller that waits no longer than `timeout`, if that is less than `max.block.ms`.
    pub(crate) fn waiting_at_most(mut self, timeout: Duration) -> Self {
        let limit = timeout.min(self.core.config.max_block());
        self.time = Stopwatch::new(Some(limit));
        self
    }

    /// The chosen partition, or else the partition that the record names.
    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition.or(self.record.partition)
    }

    /// Takes the send as far as possible without waiting.
    pub(crate) fn advance(&mut self) -> Result<SendProgress, SendRefusal> {
        debug_assert!(
            !self.is_appended,
            "a call that is over is not stepped again"
        );
        // `max.block.ms` limits the time of waiting only. Serializers and the partitioner run inside the step, so the
        // stopwatch stops for the step.
        self.time.stop(&*self.core.clock);
        let progress = self.advance_untimed()?;
        self.is_appended = matches!(progress, SendProgress::Appended(_));
        if !self.is_appended {
            self.time.start(&*self.core.clock);
        }
        Ok(progress)
    }

    fn advance_untimed(&mut self) -> Result<SendProgress, SendRefusal> {
        // A record that is queued in the buffer pool was serialized and has a partition: neither is done again.
        if self.memory.is_some() {
            return self.advance_to_memory();
        }
        // Checked again in each step: the transaction may have ended during a wait for metadata.
        if let Some(transactions) = &self.core.transactions {
            let open = transactions.check_send(self.of);
            open.map_err(|failure| outside_transaction(self.core, failure))?;
        }
        self.record.validate().map_err(SendError::from)?;
        let lookup = &mut self.lookup;
        match lookup.is_awaited(&self.record.topic, &self.time) {
            Ok(false) => {}
            Ok(true) => return Ok(SendProgress::NeedsTopic),
            Err(why) => return Err(self.errors().topic_lookup_error(why)),
        }
        let core = self.core;
        let topics = core.accumulator.topics();
        if topics.is_closed() {
            return Err(core.closed().into());
        }
        match topics.get(&self.record.topic) {
            Some(topic) if has_wanted(topic, self.record.partition) => {
                // Fills this thread's cache, so that its next record for the topic can take the fast path.
                RecordAccumulator::remember(&topics, topic);
                self.append(&topics, topic)
            }
            _ => {
                // This snapshot lacks the topic or the partition; the lookup below loads a newer one.
                drop(topics);
                self.ask_for_topic()
            }
        }
    }

    #[cold]
    fn ask_for_topic(&mut self) -> Result<SendProgress, SendRefusal> {
        let (core, record) = (self.core, self.record);
        let look = || {
            let topics = core.accumulator.topics();
            let topic = topics.get(&record.topic)?;
            let topic = has_wanted(topic, record.partition).then(|| Arc::clone(topic))?;
            Some((topics, topic))
        };
        // `ask` runs `look` after the topic was registered: it finds metadata that has arrived since the check above.
        match self.lookup.ask(&record.topic, record.partition, look) {
            Ok(Some((topics, topic))) => self.append(&topics, &topic),
            Ok(None) => Ok(SendProgress::NeedsTopic),
            Err(why) => Err(self.errors().topic_lookup_error(why)),
        }
    }

    fn append(
        &mut self,
        topics: &Topics,
        topic: &Arc<TopicEntry>,
    ) -> Result<SendProgress, SendRefusal> {
        // Restarts `metadata.max.idle.ms` for the topic.
        topic.mark_used();
        let core = self.core;
        // Serialized before the partition is chosen: partitioners use the serialized key, as in `KafkaProducer#doSend`.
        let bytes = self.serialize()?;
        let timestamp_ms = self
            .record
            .timestamp
            .unwrap_or_else(|| core.clock.timestamp().as_millis());
        let parts = bytes.parts(&self.headers, timestamp_ms);
        let partition = self.choose(topics, topic, &parts, None)?;
        // Kept for errors: interceptors and callbacks get the partition even if the append fails.
        self.partition = Some(partition);
        let payload_len = parts.payload_len();
        let sent = core.size_upper_bound(&parts, payload_len);
        // In the accumulator a record has the newest format, whichever formats the brokers support.
        let staged = batch_size_upper_bound(payload_len);
        core.check_size(
            sent,
            if planted!(StagedSizeUnchecked) {
                sent
            } else {
                staged
            },
        )
        .map_err(|excess| SendRefusal::Record(too_large(topic, partition, excess)))?;
        // The slot is empty until the first record for the partition.
        let Some(entry) = topic.partition(partition) else {
            return self.append_to_new_batch(topics, topic, partition, bytes, timestamp_ms);
        };
        let callback = self.callback.as_deref_mut();
        match core
            .accumulator
            .try_append(self.of, entry, &parts, payload_len, callback)
        {
            // `OutsideTransaction` may only mean that the partition was not added to this transaction yet; the slow
            // path adds it, or finds the transaction ended.
            Append::NeedsBatch | Append::OutsideTransaction => {
                self.append_to_new_batch(topics, topic, partition, bytes, timestamp_ms)
            }
            end => finish(core, self.of, &parts, end),
        }
    }

    /// Appends to a new batch, because the open batch of `chosen` has no room, or there is none.
    #[cold]
    fn append_to_new_batch(
        &mut self,
        topics: &Topics,
        topic: &Arc<TopicEntry>,
        chosen: PartitionId,
        bytes: SerializedRecord<Serialized<'r>>,
        timestamp_ms: i64,
    ) -> Result<SendProgress, SendRefusal> {
        let core = self.core;
        let ask = || core.instance.id().is_forked();
        // The check is limited to one per millisecond of the current time. A timestamp set by the caller is not the
        // current time.
        let forked = match self.record.timestamp {
            None => core.fork_asked.or_ask(timestamp_ms, ask),
            Some(_) => ask(),
        };
        if forked {
            return Err(SendError::Misuse(Misuse::Forked).into());
        }
        // Loaded once: the format that is checked here is the one that the batch is written in.
        let magic = core.usable_magic.load();
        if magic < Magic::V2 {
            self.check_old_format(magic)?;
        }
        let parts = bytes.parts(&self.headers, timestamp_ms);
        // A sticky partition that needs a new batch is left for another one (KP-21).
        self.on_new_batch(topics, topic, chosen)?;
        // The partition is chosen again, as in `doSend` after `abortForNewBatch`. It stays the same for a hashed key or
        // an explicit partition.
        let partition = self.choose(topics, topic, &parts, Some(chosen))?;
        self.partition = Some(partition);
        let entry = entry_of(core, topic, partition)?;
        // Registers the partition with the transaction before the append. The sender then sends AddPartitionsToTxn, and
        // may send a batch of the partition only after the response.
        if let Some(transactions) = &core.transactions {
            let entered = transactions.enter(self.of, entry);
            if entered.map_err(|failure| outside_transaction(core, failure))? {
                core.waker.wake();
            }
        }
        let payload_len = parts.payload_len();
        // The new partition may have an open batch with room: then no memory is needed.
        if partition != chosen {
            match core.accumulator.try_append(
                self.of,
                entry,
                &parts,
                payload_len,
                self.callback.as_deref_mut(),
            ) {
                Append::NeedsBatch => {}
                end => return finish(core, self.of, &parts, end),
            }
        }
        let size = core
            .accumulator
            .allocation_for(batch_size_upper_bound(payload_len));
        // The memory is allocated without the queue's lock. Another thread may create a batch meanwhile, so
        // `append_new` looks for an open batch again; if it finds one with room, the lease goes back to the pool.
        let pool = core.accumulator.pool();
        match pool.try_allocate(size) {
            Ok(lease) => finish(
                core,
                self.of,
                &parts,
                core.accumulator.append_new(
                    self.of,
                    entry,
                    &parts,
                    self.callback.as_deref_mut(),
                    lease,
                    magic,
                ),
            ),
            Err(Denied::Closed) => Err(core.closed().into()),
            // A call that will not wait leaves no trace: refused calls may come in a loop, and must not keep the sender
            // busy.
            Err(Denied::Exhausted) if !self.may_wait => Ok(SendProgress::NeedsMemory),
            Err(Denied::Exhausted) if self.time.is_over(&*core.clock) => {
                Err(self.memory_timed_out())
            }
            Err(Denied::Exhausted) => {
                // A ticket keeps the place in the pool's FIFO queue from step to step.
                let ticket = pool.enqueue(size).map_err(|_| core.closed())?;
                if planted!(BlindEachWaitItsTime) {
                    self.time = Stopwatch::new(Some(core.config.max_block()));
                }
                self.memory = Some(MemoryWait {
                    ticket,
                    time: Some(MemoryWaitTimer::begin(core)),
                    entry: Arc::clone(entry),
                    bytes,
                    timestamp_ms,
                    magic,
                });
                // A thread that waits for memory makes every batch sendable (BP-15).
                core.waker.wake();
                Ok(SendProgress::NeedsMemory)
            }
        }
    }

    /// Step of a send that is queued in the buffer pool.
    #[cold]
    fn advance_to_memory(&mut self) -> Result<SendProgress, SendRefusal> {
        let core = self.core;
        let Some(memory) = &mut self.memory else {
            debug_assert!(false, "only a record that waits for memory comes here");
            return Ok(SendProgress::NeedsMemory);
        };
        let lease = match memory.ticket.poll() {
            Ok(lease) => lease,
            // The timeout is checked after the poll: memory that arrives together with the timeout is used.
            Err(Denied::Exhausted) if self.time.is_over(&*core.clock) => {
                return Err(self.memory_timed_out());
            }
            Err(Denied::Exhausted) => return Ok(SendProgress::NeedsMemory),
            Err(Denied::Closed) => return Err(core.closed().into()),
        };
        // Dropping the timer records the wait; the append is not part of `bufferpool-wait-time`.
        memory.time = None;
        let parts = memory.bytes.parts(&self.headers, memory.timestamp_ms);
        finish(
            core,
            self.of,
            &parts,
            core.accumulator.append_new(
                self.of,
                &memory.entry,
                &parts,
                self.callback.as_deref_mut(),
                lease,
                memory.magic,
            ),
        )
    }

    // ---- user code

    /// Serializes key and value, both in one fence: a fence costs more than most serializers.
    fn serialize(&mut self) -> Result<SerializedRecord<Serialized<'r>>, SendRefusal> {
        let (plugins, record) = (self.plugins, self.record);
        // Stock serializers of strings and bytes run no user code, so no fence is needed.
        if let Some(bytes) = plugins.borrow_bytes(record.key(), record.value()) {
            return Ok(bytes.into());
        }
        let topic = &*record.topic;
        let headers = &mut self.headers;
        // Shows after an error or a panic which of the two serializers ran: the fence is given only one of them.
        let part = Cell::new(RecordPart::Key);
        let run = || -> Result<SerializedRecord<Serialized<'r>>, BoxError> {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let key = plugins.key_serializer.serialize(topic, headers, key)?;
            part.set(RecordPart::Value);
            let value = plugins.value_serializer.serialize(topic, headers, value)?;
            Ok(SerializedRecord { key, value })
        };
        match Fence::of(&plugins.instance).call(
            UserCode::Plugin(PluginKind::KeySerializer, "serialize"),
            run,
        ) {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(source)) => Err(SendError::Serialization {
                part: part.get(),
                topic: Arc::from(topic),
                source: Arc::from(source),
            }
            .into()),
            Err(failure) => {
                let plugin = match part.get() {
                    RecordPart::Key => PluginKind::KeySerializer,
                    RecordPart::Value => PluginKind::ValueSerializer,
                };
                Err(panicked(plugin, Arc::from(topic), failure).into())
            }
        }
    }

    /// The record's own partition, or the partitioner's choice. `previous` is the partitioner's earlier choice, if it
    /// is called a second time because the record needs a new batch in that partition (KP-17, PT-1, PT-9).
    fn choose(
        &self,
        topics: &Topics,
        topic: &TopicEntry,
        parts: &RecordParts<'_>,
        previous: Option<PartitionId>,
    ) -> Result<PartitionId, SendRefusal> {
        let choice = self
            .plugins
            .choice(self.record.partition, parts.key.is_some());
        match choice {
            Some(choice) => Ok(topic.choose(choice, parts.key, &self.core.random)),
            None => self.ask_partitioner(topics, topic, parts, previous),
        }
    }

    /// Calls a custom partitioner. It gets the metadata snapshot that `topic` is from, not a newer one, so its choice
    /// and the topic's partitions match.
    fn ask_partitioner(
        &self,
        topics: &Topics,
        topic: &TopicEntry,
        parts: &RecordParts<'_>,
        previous: Option<PartitionId>,
    ) -> Result<PartitionId, SendRefusal> {
        let Strategy::Custom(partitioner) = &self.plugins.strategy else {
            return Ok(topic.sticky_partition(&self.core.random));
        };
        let mut input = PartitionInput::new(topic.name(), topics.cluster())
            .with_key(self.record.key.as_deref(), parts.key)
            .with_value(self.record.value.as_deref(), parts.value);
        if let Some(previous) = previous {
            input = input.again(previous);
        }
        let who = UserCode::Plugin(PluginKind::Partitioner, "partition");
        let fence = Fence::of(&self.plugins.instance);
        let chosen = fence
            .call(who, || partitioner.partition(&input))
            .map_err(|failure| {
                panicked(PluginKind::Partitioner, Arc::clone(topic.name()), failure)
            })?
            .map_err(|source| SendError::Partitioner {
                topic: Arc::clone(topic.name()),
                source: Arc::from(source),
            })?;
        // Custom code may return anything; an unknown number must not reach the accumulator.
        if topic.has_partition(chosen) {
            Ok(chosen)
        } else {
            Err(out_of_range(topic, chosen))
        }
    }

    fn on_new_batch(
        &self,
        topics: &Topics,
        topic: &TopicEntry,
        previous: PartitionId,
    ) -> Result<(), SendRefusal> {
        match &self.plugins.strategy {
            Strategy::Default | Strategy::UniformSticky => {
                // A no-op unless `previous` is the sticky partition: a new batch of another partition does not change
                // the sticky partition.
                topic.leave_sticky(previous, &self.core.random);
                Ok(())
            }
            Strategy::Custom(partitioner) => {
                let (cluster, who) = (
                    topics.cluster(),
                    UserCode::Plugin(PluginKind::Partitioner, "on_new_batch"),
                );
                let notify = || partitioner.on_new_batch(topic.name(), cluster, previous);
                let notified = Fence::of(&self.plugins.instance).call(who, notify);
                notified.map_err(|failure| {
                    panicked(PluginKind::Partitioner, Arc::clone(topic.name()), failure).into()
                })
            }
        }
    }
}

/// The blocking `send`: a refusal is reported to callback and interceptors.
impl<K: ?Sized + RecordData, V: ?Sized + RecordData> BlockingCall for SendAttempt<'_, '_, K, V> {
    type Output = Result<FutureRecordMetadata, SendError>;

    const CHECK: Check = Check::BeforeWaiting;

    fn step(&mut self) -> Step<'_, Self::Output> {
        match self.advance() {
            Ok(SendProgress::Appended(future)) => Step::Done(Ok(future)),
            Ok(SendProgress::NeedsTopic) => Step::Wait(self.lookup.wait(&self.time)),
            Ok(SendProgress::NeedsMemory) => Step::Wait(match &self.memory {
                Some(memory) => Wait {
                    event: &memory.ticket,
                    until: self.time.deadline(),
                },
                None => Wait::NOTHING,
            }),
            Err(refusal) => Step::Done(self.refused(refusal)),
        }
    }

    fn refuse(&mut self, why: Misuse) -> Self::Output {
        self.refused(SendRefusal::Call(SendError::Misuse(why)))
    }
}

/// Whether the topic has the partition that the record names; true for a record without one. KP-18: a record for a
/// partition that is not known yet waits for metadata up to `max.block.ms`. KP-38: a send does not wait for metadata if
/// the topic's partitions are known and include the record's own partition.
fn has_wanted(topic: &TopicEntry, wanted: Option<PartitionId>) -> bool {
    wanted.is_none_or(|partition| topic.has_partition(partition))
}

fn finish(
    core: &Core,
    of: TransactionNumber,
    record: &RecordParts<'_>,
    append: Append,
) -> Result<SendProgress, SendRefusal> {
    match append {
        Append::Done(place) => {
            let appended = RecordInBatch::new(place, record);
            Ok(SendProgress::Appended(FutureRecordMetadata::pending(
                appended,
            )))
        }
        Append::Closed => Err(core.closed().into()),
        // The transaction was ended while the record waited.
        Append::OutsideTransaction => {
            // The queue has refused the record already; the transaction manager supplies the reason.
            let check = core.transactions.as_ref().map(|it| it.check_send(of));
            let failure = check.and_then(Result::err).unwrap_or_else(|| {
                TransactionFailure::wrong_state(
                    "the transaction that it was sent in has ended meanwhile",
                )
            });
            Err(outside_transaction(core, failure))
        }
        Append::NeedsBatch => {
            // The batch was allocated for this very record, so it has room whatever `batch.size` says.
            debug_assert!(false, "a new batch takes its first record");
            Err(core.closed().into())
        }
    }
}

fn entry_of<'t>(
    core: &Core,
    topic: &'t TopicEntry,
    partition: PartitionId,
) -> Result<&'t Arc<PartitionEntry>, SendRefusal> {
    core.accumulator
        .partition(topic, partition)
        .ok_or_else(|| out_of_range(topic, partition))
}
