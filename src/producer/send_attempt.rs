//! One record's way from the caller into a batch, as steps that never wait: who drives it decides how
//! to wait, or whether at all.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::accumulator::{Append, PartitionEntry, RecordAccumulator, TopicEntry, Topics};
use super::buffer_pool::{Denied, Ticket};
use super::core::{Core, Excess, Plugins, SerializedRecord, Strategy};
use super::future::{FutureRecordMetadata, RecordInBatch};
use super::metadata::{TopicState, WaitStart};
use super::partitioner::PartitionInput;
use super::record::ProducerRecord;
use super::serializer::Serialized;
use super::thunks::{AnyCallback, Told};
use super::user_code::{Failure, UserCode};
use crate::client::metadata::{FatalMetadataError, TopicError};
use crate::compress::CompressionType;
use crate::error::{
    BoxError, BrokerError, Delivery, ErrorCode, Misuse, ProduceError, ProduceErrorBuilder,
    ProduceErrorKind, REFUSED_NAME, RecordError, RecordPart, SendError,
};
use crate::record::builder::{RecordParts, batch_size_upper_bound};
use crate::record::header::Headers;
use crate::types::{Magic, PartitionId, topic_name};

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// The record is in a batch.
    Appended(FutureRecordMetadata),
    /// It cannot be yet.
    Wait(Wait),
}

/// What another step is worth waiting for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// The topic's partitions are not known: metadata newer than this.
    Metadata(u32),
    /// There is no memory: [`SendAttempt::ticket`].
    Memory,
}

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Returned by the call: what Java throws (KP-11, KP-27, KP-28).
    Call(SendError),
    /// Goes into the future and the callback: what Java calls an `ApiException` (KP-24).
    Record(ProduceError),
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self::Call(error)
    }
}

/// A record on its way into a batch. Borrows the record, so that a caller who does not want to wait
/// has it back.
///
/// Most records are in their batches without it: see [`send_quickly`](super::quick_send::send_quickly).
///
/// Order and routing of errors are those of `KafkaProducer#doSend` (KP-9).
pub(crate) struct SendAttempt<'r, 'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    core: &'r Core,
    plugins: &'r Plugins<K, V>,
    record: &'r ProducerRecord<'a, K, V>,
    headers: Headers,
    /// It may have been taken.
    callback: Option<&'r mut AnyCallback>,
    /// The partition that was chosen, for errors that come later.
    partition: Option<PartitionId>,
    /// When the topic was first asked for.
    wait_start: Option<WaitStart>,
    memory: Option<MemoryWait<'r>>,
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

/// Everything that is needed once the memory is there.
#[derive(Debug)]
struct MemoryWait<'r> {
    ticket: Ticket,
    entry: Arc<PartitionEntry>,
    bytes: SerializedRecord<Serialized<'r>>,
    timestamp_ms: i64,
    /// The format that the record was checked for. Not asked for again: an older broker that connects
    /// meanwhile would get a batch that must not be.
    magic: Magic,
}

impl<'r, 'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> SendAttempt<'r, 'a, K, V> {
    /// `headers` are the record's own, to be completed by serializers.
    pub(crate) fn new(
        core: &'r Core,
        plugins: &'r Plugins<K, V>,
        record: &'r ProducerRecord<'a, K, V>,
        headers: Headers,
        callback: Option<&'r mut AnyCallback>,
    ) -> Self {
        Self {
            core,
            plugins,
            record,
            headers,
            callback,
            partition: None,
            wait_start: None,
            memory: None,
        }
    }

    /// What to wait for after [`Wait::Memory`].
    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        self.memory.as_ref().map(|memory| &memory.ticket)
    }

    /// Gives up the place in the line for memory, if it stands there, with what it was given so far.
    pub(crate) fn leave_line(&mut self) {
        self.memory = None;
    }

    /// The partition that was chosen, or that the record asks for.
    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition.or(self.record.partition)
    }

    /// Calls the callback, if there is one that is not in a batch.
    pub(crate) fn call_back(&mut self, told: Told<'_>) {
        if let Some(callback) = self.callback.as_deref_mut() {
            callback.call(told);
        }
    }

    /// Goes as far as possible without waiting.
    pub(crate) fn step(&mut self) -> Result<Step, Refusal> {
        if self.memory.is_some() {
            return self.step_memory();
        }
        let core = self.core;
        let topics = core.accumulator.topics();
        if topics.is_closed() {
            return Err(core.closed().into());
        }
        match topics.get(&self.record.topic) {
            Some(topic) if self.has_partition(topic) => {
                RecordAccumulator::remember(&topics, topic);
                self.append(&topics, topic)
            }
            _ => {
                drop(topics);
                self.ask_for_metadata()
            }
        }
    }

    /// KP-18, KP-38
    fn has_partition(&self, topic: &TopicEntry) -> bool {
        self.record
            .partition
            .is_none_or(|partition| topic.has_partition(partition))
    }

    /// KP-36 to KP-42
    #[cold]
    fn ask_for_metadata(&mut self) -> Result<Step, Refusal> {
        let core = self.core;
        // Only here: a topic that is known has a name that is one.
        if let Err(fault) = topic_name::check(&self.record.topic) {
            let message = format!("no topic can have this name: {fault}");
            return Err(self.error(ProduceErrorKind::InvalidTopic, message));
        }
        let name: Arc<str> = Arc::from(&*self.record.topic);
        let start = self.wait_start();
        if let Some(error) = core.metadata.topic_error(&name, start) {
            return Err(self.topic_error(error));
        }
        let added = core.metadata.add_topic(&name, core.clock.now());
        let wanted = self.record.partition;
        let version = core.metadata.request_update_for_topic(&name, wanted);
        let version = version.min(added);
        core.waker.wake();
        // It may have become known between the look and the request.
        let topics = core.accumulator.topics();
        match topics.get(&name) {
            Some(topic) if self.has_partition(topic) => self.append(&topics, topic),
            _ => Ok(Step::Wait(Wait::Metadata(version))),
        }
    }

    fn append(&mut self, topics: &Topics, topic: &Arc<TopicEntry>) -> Result<Step, Refusal> {
        topic.mark_used();
        let core = self.core;
        let bytes = self.serialize()?;
        let timestamp_ms = self
            .record
            .timestamp
            .unwrap_or_else(|| core.clock.timestamp().as_millis());
        let parts = bytes.parts(&self.headers, timestamp_ms);
        let partition = self.choose(topics, topic, &parts, None)?;
        self.partition = Some(partition);
        let payload_len = parts.payload_len();
        core.check_size(core.size_upper_bound(&parts, payload_len))
            .map_err(|excess| Refusal::Record(too_large(topic, partition, excess)))?;
        let Some(entry) = topic.partition(partition) else {
            return self.append_to_new_batch(topics, topic, partition, bytes, timestamp_ms);
        };
        let callback = self.callback.as_deref_mut();
        match core
            .accumulator
            .try_append(entry, &parts, payload_len, callback)
        {
            Append::NeedsBatch => {
                self.append_to_new_batch(topics, topic, partition, bytes, timestamp_ms)
            }
            end => finish(core, &parts, end),
        }
    }

    /// The way of the record that finds no room in the open batch of `chosen`.
    #[cold]
    fn append_to_new_batch(
        &mut self,
        topics: &Topics,
        topic: &Arc<TopicEntry>,
        chosen: PartitionId,
        bytes: SerializedRecord<Serialized<'r>>,
        timestamp_ms: i64,
    ) -> Result<Step, Refusal> {
        let core = self.core;
        let ask = || core.producer.is_forked();
        // A timestamp that the caller has set tells no time.
        let forked = match self.record.timestamp {
            None => core.fork_asked.or_ask(timestamp_ms, ask),
            Some(_) => ask(),
        };
        if forked {
            return Err(SendError::Misuse(Misuse::Forked).into());
        }
        let magic = core.usable_magic.load();
        if magic < Magic::V2 {
            self.check_old_format(magic)?;
        }
        let parts = bytes.parts(&self.headers, timestamp_ms);
        // A new batch is the moment to move on to another partition (KP-21).
        self.on_new_batch(topics, topic, chosen)?;
        let partition = self.choose(topics, topic, &parts, Some(chosen))?;
        self.partition = Some(partition);
        let entry = entry_of(core, topic, partition)?;
        let payload_len = parts.payload_len();
        if partition != chosen {
            match core.accumulator.try_append(
                entry,
                &parts,
                payload_len,
                self.callback.as_deref_mut(),
            ) {
                Append::NeedsBatch => {}
                end => return finish(core, &parts, end),
            }
        }
        let size = core
            .accumulator
            .allocation_for(batch_size_upper_bound(payload_len));
        let pool = core.accumulator.pool();
        match pool.try_allocate(size) {
            Ok(lease) => finish(
                core,
                &parts,
                core.accumulator.append_new(
                    entry,
                    &parts,
                    payload_len,
                    self.callback.as_deref_mut(),
                    lease,
                    magic,
                ),
            ),
            Err(Denied::Closed) => Err(core.closed().into()),
            Err(Denied::Exhausted) => {
                let ticket = pool.enqueue(size).map_err(|_| core.closed())?;
                self.memory = Some(MemoryWait {
                    ticket,
                    entry: Arc::clone(entry),
                    bytes,
                    timestamp_ms,
                    magic,
                });
                // Whoever waits for memory makes every batch sendable (BP-15).
                core.waker.wake();
                Ok(Step::Wait(Wait::Memory))
            }
        }
    }

    /// Memory may have come free.
    #[cold]
    fn step_memory(&mut self) -> Result<Step, Refusal> {
        let core = self.core;
        let Some(memory) = &mut self.memory else {
            debug_assert!(false, "only a record that waits for memory comes here");
            return Ok(Step::Wait(Wait::Memory));
        };
        let lease = match memory.ticket.poll() {
            Ok(lease) => lease,
            Err(Denied::Exhausted) => return Ok(Step::Wait(Wait::Memory)),
            Err(Denied::Closed) => return Err(core.closed().into()),
        };
        let parts = memory.bytes.parts(&self.headers, memory.timestamp_ms);
        let payload_len = parts.payload_len();
        let entry = &memory.entry;
        finish(
            core,
            &parts,
            core.accumulator.append_new(
                entry,
                &parts,
                payload_len,
                self.callback.as_deref_mut(),
                lease,
                memory.magic,
            ),
        )
    }

    // ---- user code

    /// Both serializers run in one fence: it costs more than most of them.
    fn serialize(&mut self) -> Result<SerializedRecord<Serialized<'r>>, Refusal> {
        let (plugins, record) = (self.plugins, self.record);
        if let Some(bytes) = plugins.borrow_bytes(record.key(), record.value()) {
            return Ok(bytes.into());
        }
        let topic = &*record.topic;
        let headers = &mut self.headers;
        let part = Cell::new(RecordPart::Key);
        let run = || -> Result<SerializedRecord<Serialized<'r>>, BoxError> {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let key = plugins.key_serializer.serialize(topic, headers, key)?;
            part.set(RecordPart::Value);
            let value = plugins.value_serializer.serialize(topic, headers, value)?;
            Ok(SerializedRecord { key, value })
        };
        match plugins
            .fence
            .call(UserCode::KeySerializer("serialize"), run)
        {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(source)) => Err(SendError::Serialization {
                part: part.get(),
                topic: Arc::from(topic),
                source: Arc::from(source),
            }
            .into()),
            Err(failure) => {
                let who = match part.get() {
                    RecordPart::Key => UserCode::KeySerializer("serialize"),
                    RecordPart::Value => UserCode::ValueSerializer("serialize"),
                };
                Err(panicked(who, Arc::from(topic), failure).into())
            }
        }
    }

    /// The record's own partition, or the partitioner's choice; `previous` when the record would open a
    /// batch there and is asked about again (KP-17, PT-1, PT-9).
    fn choose(
        &self,
        topics: &Topics,
        topic: &TopicEntry,
        parts: &RecordParts<'_>,
        previous: Option<PartitionId>,
    ) -> Result<PartitionId, Refusal> {
        let choice = self
            .plugins
            .choice(self.record.partition, parts.key.is_some());
        match choice {
            Some(choice) => Ok(choice.partition(self.core, topic, parts.key)),
            None => self.ask_partitioner(topics, topic, parts, previous),
        }
    }

    /// The partitioner is shown the cluster that `topic` is from, and not the newest: its answer is one of
    /// the partitions that it has seen.
    fn ask_partitioner(
        &self,
        topics: &Topics,
        topic: &TopicEntry,
        parts: &RecordParts<'_>,
        previous: Option<PartitionId>,
    ) -> Result<PartitionId, Refusal> {
        let Strategy::Custom(partitioner) = &self.plugins.strategy else {
            return Ok(topic.sticky_partition(&self.core.random));
        };
        let mut input = PartitionInput::new(topic.name(), topics.cluster())
            .with_key(self.record.key.as_deref(), parts.key)
            .with_value(self.record.value.as_deref(), parts.value);
        if let Some(previous) = previous {
            input = input.again(previous);
        }
        let who = UserCode::Partitioner("partition");
        let fence = self.plugins.fence;
        let chosen = fence
            .call(who, || partitioner.partition(&input))
            .map_err(|failure| panicked(who, Arc::clone(topic.name()), failure))?
            .map_err(|source| SendError::Partitioner {
                topic: Arc::clone(topic.name()),
                source: Arc::from(source),
            })?;
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
    ) -> Result<(), Refusal> {
        match &self.plugins.strategy {
            Strategy::Default | Strategy::UniformSticky => {
                topic.leave_sticky(previous, &self.core.random);
                Ok(())
            }
            Strategy::Custom(partitioner) => {
                let (cluster, who) = (topics.cluster(), UserCode::Partitioner("on_new_batch"));
                let tell = || partitioner.on_new_batch(topic.name(), cluster, previous);
                let told = self.plugins.fence.call(who, tell);
                told.map_err(|failure| panicked(who, Arc::clone(topic.name()), failure).into())
            }
        }
    }

    // ---- errors

    /// Whether the record may be written in a format before v2 (RA-7, PB-9, PB-11).
    #[cold]
    fn check_old_format(&self, magic: Magic) -> Result<(), Refusal> {
        if self.core.config.enable_idempotence() {
            let kind = ProduceErrorKind::UnsupportedVersion;
            return Err(self.error(kind, IDEMPOTENCE_AND_OLD_BROKERS.to_owned()));
        }
        if self.core.accumulator.codec() == CompressionType::Zstd {
            let kind = ProduceErrorKind::UnsupportedCompressionType;
            return Err(self.error(kind, ZSTD_AND_OLD_BROKERS.to_owned()));
        }
        if !self.headers.is_empty() {
            let magic = magic as u8;
            return Err(SendError::Record(RecordError::HeadersUnsupported { magic }).into());
        }
        Ok(())
    }

    fn topic_error(&self, error: TopicError) -> Refusal {
        let (kind, message, code) = match error {
            TopicError::Invalid => (
                ProduceErrorKind::InvalidTopic,
                REFUSED_NAME,
                ErrorCode::InvalidTopicException,
            ),
            TopicError::Unauthorized => (
                ProduceErrorKind::TopicAuthorization,
                "the client may not use the topic: it needs the Describe and Write permissions",
                ErrorCode::TopicAuthorizationFailed,
            ),
        };
        self.broker_error(kind, message.to_owned(), Some(code))
    }

    /// Where the wait for the topic began, which is now if it has not.
    pub(crate) fn wait_start(&mut self) -> WaitStart {
        let begin = || self.core.metadata.begin_wait();
        *self.wait_start.get_or_insert_with(begin)
    }

    /// No metadata can be had.
    pub(crate) fn fatal_error(&self, fatal: &FatalMetadataError) -> Refusal {
        let (kind, why) = match fatal {
            FatalMetadataError::Authentication(why) => (ProduceErrorKind::Authentication, why),
            FatalMetadataError::UnsupportedVersion(why) => {
                (ProduceErrorKind::UnsupportedVersion, why)
            }
        };
        self.error(kind, why.to_string())
    }

    fn topic_state(&mut self) -> TopicState {
        let (core, start) = (self.core, self.wait_start());
        let now = core.clock.now();
        core.metadata.topic_state(&self.record.topic, start, now)
    }

    /// What keeps the topic, or all metadata, from being had, for somebody who waits no longer.
    fn hindrance(&self, state: &TopicState) -> Option<Refusal> {
        if let Some(error) = state.refused() {
            return Some(self.topic_error(error));
        }
        state.fatal().map(|fatal| self.fatal_error(&fatal))
    }

    /// What is known to keep the record from being taken, for somebody who does not wait: asked for again
    /// it is.
    pub(crate) fn known_hindrance(&mut self) -> Option<Refusal> {
        let state = self.topic_state();
        let wanted = self.record.partition;
        self.hindrance(&state)
            .or_else(|| state.is_missing(wanted).then(|| self.not_found(&state, "")))
    }

    /// `max.block.ms` passed before the topic, or the partition that was asked for, was known (KP-40).
    pub(crate) fn metadata_timeout(&mut self, max_block: Duration) -> Refusal {
        let state = self.topic_state();
        self.hindrance(&state).unwrap_or_else(|| {
            let within = format!(" within max.block.ms ({} ms)", max_block.as_millis());
            self.not_found(&state, &within)
        })
    }

    /// The topic, or the partition that was asked for, is not known.
    fn not_found(&self, state: &TopicState, within: &str) -> Refusal {
        let wanted = self.record.partition;
        let mut message = match (wanted, state.partitions) {
            (Some(wanted), Some(count)) => format!(
                "partition {wanted} did not appear{within}: the topic has {count} partitions"
            ),
            _ => format!("the topic was not found{within}"),
        };
        // A broker's answer is told by itself.
        if state.last_code.is_none() && (wanted.is_none() || state.partitions.is_none()) {
            message = format!("{message}: {state}");
        } else if let (Some(_), Some(ago)) = (state.last_code, state.said_before) {
            message = format!(
                "{message}; a broker was last asked {} ms ago and is being asked again",
                ago.as_millis()
            );
        } else if let Some(failure) = &state.last_failure {
            message = format!("{message}; the last request for metadata failed: {failure}");
        }
        let kind = if state.is_missing(wanted) {
            ProduceErrorKind::UnknownTopicOrPartition
        } else {
            ProduceErrorKind::MetadataTimeout
        };
        self.broker_error(kind, message, state.last_code)
    }

    /// `max.block.ms` passed before there was memory (BP-8).
    pub(crate) fn memory_timeout(&self, max_block: Duration) -> Refusal {
        let pool = self.core.accumulator.pool();
        let message = format!(
            "no memory within max.block.ms ({} ms): {} of {} bytes (buffer.memory) are free and {} \
             threads wait; the brokers take records more slowly than they are sent",
            max_block.as_millis(),
            pool.available_bytes(),
            pool.total_bytes(),
            pool.waiting()
        );
        self.error(ProduceErrorKind::BufferExhausted, message)
    }

    pub(crate) fn error(&self, kind: ProduceErrorKind, message: String) -> Refusal {
        self.broker_error(kind, message, None)
    }

    fn broker_error(
        &self,
        kind: ProduceErrorKind,
        message: String,
        code: Option<ErrorCode>,
    ) -> Refusal {
        let topic = Arc::from(&*self.record.topic);
        Refusal::Record(
            ProduceErrorBuilder::new(kind, Delivery::NotWritten, topic, message)
                .partition(self.partition())
                .broker(code.map(|code| BrokerError::new(code, None, None)))
                .build(),
        )
    }
}

const IDEMPOTENCE_AND_OLD_BROKERS: &str = "a broker of the cluster is older than 0.11 and knows no \
     idempotent producers; set enable.idempotence=false, or upgrade the broker";

const ZSTD_AND_OLD_BROKERS: &str = "compression.type=zstd needs brokers of 2.1 or later, and one of the \
     cluster is older than 0.11; choose another compression.type, or upgrade the broker";

fn finish(core: &Core, record: &RecordParts<'_>, append: Append) -> Result<Step, Refusal> {
    match append {
        Append::Done(place) => {
            let appended = RecordInBatch::new(place, record);
            Ok(Step::Appended(FutureRecordMetadata::pending(appended)))
        }
        Append::Closed => Err(core.closed().into()),
        Append::NeedsBatch => {
            debug_assert!(false, "a new batch takes its first record");
            Err(core.closed().into())
        }
    }
}

fn entry_of<'t>(
    core: &Core,
    topic: &'t TopicEntry,
    partition: PartitionId,
) -> Result<&'t Arc<PartitionEntry>, Refusal> {
    core.accumulator
        .partition(topic, partition)
        .ok_or_else(|| out_of_range(topic, partition))
}

/// KP-35: Java of 3.0 does not check.
#[cold]
fn out_of_range(topic: &TopicEntry, partition: PartitionId) -> Refusal {
    let count = topic.partition_count();
    let topic = Arc::clone(topic.name());
    SendError::PartitionOutOfRange {
        topic,
        partition,
        count,
    }
    .into()
}

#[cold]
fn panicked(who: UserCode, topic: Arc<str>, failure: Failure) -> SendError {
    SendError::Panicked {
        what: who.name(),
        topic,
        message: failure.into_words().into(),
    }
}

#[cold]
fn too_large(topic: &TopicEntry, partition: PartitionId, excess: Excess) -> ProduceError {
    let Excess { size, limit, key } = excess;
    ProduceErrorBuilder::new(
        ProduceErrorKind::RecordTooLarge { size, limit, key },
        Delivery::NotWritten,
        Arc::clone(topic.name()),
        format!("the record takes up to {size} bytes, {key} allows {limit}"),
    )
    .partition(Some(partition))
    .build()
}
