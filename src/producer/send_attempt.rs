//! One record's way from the caller into a batch, as steps that never wait: `send` waits between them,
//! `try_send` gives up.

use std::cell::Cell;
use std::sync::Arc;

use crate::util::log;

use super::accumulator::{Append, PartitionEntry, RecordAccumulator, TopicEntry, Topics};
use super::buffer_pool::{Denied, Ticket};
use super::core::{Core, Excess, Plugins, SerializedRecord, Strategy};
use super::future::{FutureRecordMetadata, RecordInBatch};
use super::metadata::TopicState;
use super::partitioner::PartitionInput;
use super::record::ProducerRecord;
use super::send_refusal::{Refusal, not_taken};
use super::serializer::Serialized;
use super::thunks::AnyCallback;
use super::topic_lookup::{Obstacle, TopicLookup};
use super::user_code::{Failure, Fence, UserCode};
use super::waiting::{BlockingCall, Check, Step, Stopwatch, Wait};
use crate::client::metadata::{FatalMetadataError, TopicError};
use crate::compress::CompressionType;
use crate::error::{
    BoxError, BrokerError, Delivery, ErrorCode, Misuse, PluginKind, ProduceError,
    ProduceErrorBuilder, ProduceErrorKind, REFUSED_NAME, RecordError, RecordPart, SendError,
};
use crate::planted::planted;
use crate::record::builder::{RecordParts, batch_size_upper_bound};
use crate::record::header::Headers;
use crate::types::{Magic, PartitionId};

/// How far a record has come.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It is in a batch.
    Appended(FutureRecordMetadata),
    /// The topic's partitions are not known, or not the one that it is for.
    NeedsTopic,
    /// There is no memory.
    NeedsMemory,
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
    lookup: TopicLookup<'r>,
    memory: Option<MemoryWait<'r>>,
    /// `max.block.ms`
    time: Stopwatch,
    /// It is in a batch: another step would put it into one again.
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
            lookup: TopicLookup::new(core),
            memory: None,
            time: Stopwatch::new(Some(core.config.max_block())),
            is_appended: false,
        }
    }

    /// Gives up the place in the line for memory, if it stands there, with what it was given so far.
    pub(crate) fn leave_line(&mut self) {
        self.memory = None;
    }

    /// The partition that was chosen, or that the record asks for.
    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition.or(self.record.partition)
    }

    /// Goes as far as possible without waiting.
    pub(crate) fn advance(&mut self) -> Result<Progress, Refusal> {
        debug_assert!(
            !self.is_appended,
            "a call that is over is not stepped again"
        );
        self.time.stop(&*self.core.clock);
        let progress = self.advance_untimed()?;
        self.is_appended = matches!(progress, Progress::Appended(_));
        if !self.is_appended {
            self.time.start(&*self.core.clock);
        }
        Ok(progress)
    }

    fn advance_untimed(&mut self) -> Result<Progress, Refusal> {
        if self.memory.is_some() {
            return self.advance_to_memory();
        }
        self.record.validate().map_err(SendError::from)?;
        let lookup = &mut self.lookup;
        match lookup.is_awaited(&self.record.topic, &self.time) {
            Ok(false) => {}
            Ok(true) => return Ok(Progress::NeedsTopic),
            Err(obstacle) => return Err(self.obstructed(obstacle)),
        }
        let core = self.core;
        let topics = core.accumulator.topics();
        if topics.is_closed() {
            return Err(core.closed().into());
        }
        match topics.get(&self.record.topic) {
            Some(topic) if has_wanted(topic, self.record.partition) => {
                RecordAccumulator::remember(&topics, topic);
                self.append(&topics, topic)
            }
            _ => {
                drop(topics);
                self.ask_for_topic()
            }
        }
    }

    #[cold]
    fn ask_for_topic(&mut self) -> Result<Progress, Refusal> {
        let (core, record) = (self.core, self.record);
        let look = || {
            let topics = core.accumulator.topics();
            let topic = topics.get(&record.topic)?;
            let topic = has_wanted(topic, record.partition).then(|| Arc::clone(topic))?;
            Some((topics, topic))
        };
        match self.lookup.ask(&record.topic, record.partition, look) {
            Ok(Some((topics, topic))) => self.append(&topics, &topic),
            Ok(None) => Ok(Progress::NeedsTopic),
            Err(obstacle) => Err(self.obstructed(obstacle)),
        }
    }

    fn append(&mut self, topics: &Topics, topic: &Arc<TopicEntry>) -> Result<Progress, Refusal> {
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
        let sent = core.size_upper_bound(&parts, payload_len);
        // Whatever the brokers understand, records wait in the newest format.
        let staged = batch_size_upper_bound(payload_len);
        core.check_size(
            sent,
            if planted!(StagedSizeUnchecked) {
                sent
            } else {
                staged
            },
        )
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
    ) -> Result<Progress, Refusal> {
        let core = self.core;
        let ask = || core.instance.id().is_forked();
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
                if planted!(BlindEachWaitItsTime) {
                    self.time = Stopwatch::new(Some(core.config.max_block()));
                }
                self.memory = Some(MemoryWait {
                    ticket,
                    entry: Arc::clone(entry),
                    bytes,
                    timestamp_ms,
                    magic,
                });
                // Whoever waits for memory makes every batch sendable (BP-15).
                core.waker.wake();
                Ok(Progress::NeedsMemory)
            }
        }
    }

    /// Memory may have come free.
    #[cold]
    fn advance_to_memory(&mut self) -> Result<Progress, Refusal> {
        let core = self.core;
        let Some(memory) = &mut self.memory else {
            debug_assert!(false, "only a record that waits for memory comes here");
            return Ok(Progress::NeedsMemory);
        };
        let lease = match memory.ticket.poll() {
            Ok(lease) => lease,
            Err(Denied::Exhausted) if self.time.is_over(&*core.clock) => {
                return Err(self.memory_timeout());
            }
            Err(Denied::Exhausted) => return Ok(Progress::NeedsMemory),
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
            Some(choice) => Ok(topic.choose(choice, parts.key, &self.core.random)),
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
                let (cluster, who) = (
                    topics.cluster(),
                    UserCode::Plugin(PluginKind::Partitioner, "on_new_batch"),
                );
                let tell = || partitioner.on_new_batch(topic.name(), cluster, previous);
                let told = Fence::of(&self.plugins.instance).call(who, tell);
                told.map_err(|failure| {
                    panicked(PluginKind::Partitioner, Arc::clone(topic.name()), failure).into()
                })
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

    /// No metadata can be had.
    fn fatal_error(&self, fatal: &FatalMetadataError) -> Refusal {
        let (kind, why) = match fatal {
            FatalMetadataError::Authentication(why) => (ProduceErrorKind::Authentication, why),
            FatalMetadataError::UnsupportedVersion(why) => {
                (ProduceErrorKind::UnsupportedVersion, why)
            }
        };
        self.error(kind, why.to_string())
    }

    /// The topic, or the partition that was asked for, cannot be had (KP-40).
    #[cold]
    fn obstructed(&self, obstacle: Obstacle) -> Refusal {
        match obstacle {
            // Only here: a topic that is known has a name that is one.
            Obstacle::Name(fault) => {
                let message = format!("no topic can have this name: {fault}");
                self.error(ProduceErrorKind::InvalidTopic, message)
            }
            Obstacle::Closed => self.core.closed().into(),
            Obstacle::Refused(error) => self.topic_error(error),
            Obstacle::Fatal(fatal) => self.fatal_error(&fatal),
            Obstacle::TimedOut(state) => {
                let max_block = self.core.config.max_block();
                let within = format!(" within max.block.ms ({} ms)", max_block.as_millis());
                self.not_found(&state, &within)
            }
        }
    }

    /// What is known to keep the record from being taken, for somebody who does not wait: asked for again
    /// it is.
    pub(crate) fn known_hindrance(&mut self) -> Option<Refusal> {
        match self.lookup.obstacle_so_far(&self.record.topic) {
            Err(obstacle) => Some(self.obstructed(obstacle)),
            Ok(state) => {
                let is_missing = state.is_missing(self.record.partition);
                is_missing.then(|| self.not_found(&state, ""))
            }
        }
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
    fn memory_timeout(&self) -> Refusal {
        let max_block = self.core.config.max_block();
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

    fn error(&self, kind: ProduceErrorKind, message: String) -> Refusal {
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

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> SendAttempt<'_, '_, K, V> {
    /// Tells who wants to know that a record was not taken (KP-24 to KP-28).
    #[cold]
    fn refused(&mut self, refusal: Refusal) -> Result<FutureRecordMetadata, SendError> {
        // Others wait for memory as well, and user code may take its time.
        self.leave_line();
        let (plugins, record) = (self.plugins, self.record);
        let (interceptors, topic) = (&plugins.interceptors, &*record.topic);
        match refusal {
            Refusal::Call(error) => {
                if !interceptors.is_empty() {
                    let told = not_taken(topic, &error);
                    interceptors.on_send_error(topic, self.partition(), &told);
                }
                Err(error)
            }
            Refusal::Record(error) => {
                self.core.counters.rejected();
                interceptors.on_send_error(topic, self.partition(), &error);
                if let Some(callback) = self.callback.as_deref_mut() {
                    // Nothing is called if it is in a batch.
                    let call = || callback.call(Err(&error));
                    if let Err(failure) =
                        Fence::of(&plugins.instance).call(UserCode::Callback, call)
                    {
                        log::error!(
                            plugins.instance.log(),
                            "{}",
                            failure.about(format_args!("topic {topic}"))
                        );
                    }
                }
                Ok(FutureRecordMetadata::failed(error))
            }
        }
    }
}

/// As `send` does it: what the record is refused for is told to callback and interceptors.
impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> BlockingCall for SendAttempt<'_, '_, K, V> {
    type Output = Result<FutureRecordMetadata, SendError>;

    const CHECK: Check = Check::BeforeWaiting;

    fn step(&mut self) -> Step<'_, Self::Output> {
        match self.advance() {
            Ok(Progress::Appended(future)) => Step::Done(Ok(future)),
            Ok(Progress::NeedsTopic) => Step::Wait(self.lookup.wait(&self.time)),
            Ok(Progress::NeedsMemory) => Step::Wait(match &self.memory {
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
        self.refused(Refusal::Call(SendError::Misuse(why)))
    }
}

const IDEMPOTENCE_AND_OLD_BROKERS: &str = "a broker of the cluster is older than 0.11 and knows no \
     idempotent producers; set enable.idempotence=false, or upgrade the broker";

const ZSTD_AND_OLD_BROKERS: &str = "compression.type=zstd needs brokers of 2.1 or later, and one of the \
     cluster is older than 0.11; choose another compression.type, or upgrade the broker";

/// KP-18, KP-38
fn has_wanted(topic: &TopicEntry, wanted: Option<PartitionId>) -> bool {
    wanted.is_none_or(|partition| topic.has_partition(partition))
}

fn finish(core: &Core, record: &RecordParts<'_>, append: Append) -> Result<Progress, Refusal> {
    match append {
        Append::Done(place) => {
            let appended = RecordInBatch::new(place, record);
            Ok(Progress::Appended(FutureRecordMetadata::pending(appended)))
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
fn panicked(plugin: PluginKind, topic: Arc<str>, failure: Failure) -> SendError {
    SendError::Panicked {
        plugin,
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
