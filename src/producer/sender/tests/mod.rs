//! Tests of the sender: its steps are run by hand, and its brokers return scripted responses.

mod calls;
mod closing;
mod expiry;
mod formats;
mod idempotence;
mod metrics;
mod outcomes;
mod reliability;
mod seeds;
mod spinning;
mod splitting;
mod transactional;
mod transactions;
mod user_code;

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::*;
use crate::client::kafka_client::Outcome;
use crate::client::metadata_source::MetadataSource;
use crate::client::mock_client::MockClient;
use crate::clock::mock::MockClock;
use crate::compress::CompressionType;
use crate::error::{Delivery, ErrorCode, ProduceError, ProduceErrorKind, WaitCause};
use crate::metrics::MetricsRegistry;
use crate::producer::accumulator::{
    AccumulatorFormat, AccumulatorOptions, AnyTransaction, Append, TransactionNumber,
};
use crate::producer::batch::Packer;
use crate::producer::buffer_pool::BufferPool;
use crate::producer::cluster_listeners::ClusterListeners;
use crate::producer::future::{FutureRecordMetadata, RecordInBatch};
use crate::producer::instance::Instance;
use crate::producer::metadata::{ClusterObserver, ProducerMetadataOptions};
use crate::producer::record_metadata::RecordMetadata;
use crate::producer::sensors::ProducerSensors;
use crate::producer::thunks::{AnyCallback, RecordResultRef};
use crate::producer::transaction::TransactionOptions;
use crate::protocol::{
    InitProducerIdResponse, MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, Request, Response,
    TopicProduceResponse,
};
use crate::record::batch::RecordBatch;
use crate::record::builder::{RecordParts, batch_size_upper_bound};
use crate::record::header::Headers;
use crate::types::{Cluster, Magic, Node, ReplicaLists, UsableMagic};

const MS: fn(u64) -> Duration = Duration::from_millis;
const BACKOFF: Duration = Duration::from_millis(100);
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);
const TOPIC: &str = "t";
const PRODUCER_ID: i64 = 7;

/// A batch as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OnWire {
    partition: i32,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
    records: i32,
}

struct Rig {
    clock: Arc<MockClock>,
    pool: Arc<BufferPool>,
    instance: Instance,
    shared: SenderShared,
    sender: Sender<MockClient<Completion>>,
    /// Whether time has passed in the last poll.
    has_slept: Cell<bool>,
}

/// The configuration of a rig.
struct Setup {
    options: SenderOptions,
    idempotent: bool,
    /// The `transactional.id`, if all batches are parts of transactions.
    transactional_id: Option<Arc<str>>,
    /// `batch.size` in bytes; with the default, a batch has room for one record.
    batch_size: usize,
    /// `buffer.memory` in bytes.
    memory: usize,
    listener: Option<Arc<dyn AcknowledgementListener>>,
    codec: CompressionType,
    /// The newest format that all brokers support.
    magic: Magic,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            options: SenderOptions {
                acks: -1,
                max_request_bytes: 1 << 20,
                retries: u32::MAX,
                request_timeout: Duration::from_secs(30),
                retry_backoff: BACKOFF,
                retry_backoff_max: BACKOFF,
                linger: Duration::ZERO,
                delivery_timeout: DELIVERY_TIMEOUT,
                guarantee_order: false,
                log: LogContext::for_tests(),
                seed: 1,
            },
            idempotent: false,
            transactional_id: None,
            batch_size: 0,
            memory: 1 << 20,
            listener: None,
            codec: CompressionType::None,
            magic: Magic::V2,
        }
    }
}

impl Setup {
    fn idempotent() -> Self {
        Self {
            idempotent: true,
            ..Self::default()
        }
    }

    fn with(mut self, change: impl FnOnce(&mut SenderOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn build(self) -> Rig {
        let clock = Arc::new(MockClock::new());
        let counters = Arc::new(Counters::default());
        let usable_magic = Arc::new(UsableMagic::new());
        usable_magic.store(self.magic);
        let waker = Arc::new(SenderWaker::new());
        let pool = BufferPool::new(self.memory, self.batch_size.max(1));
        let instance = Instance::on_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let accumulator = Arc::new(RecordAccumulator::new(
            AccumulatorOptions {
                batch_size_bytes: self.batch_size,
                linger: self.options.linger,
                track_all: self.listener.is_some(),
                is_transactional: self.transactional_id.is_some(),
            },
            AccumulatorFormat {
                usable_magic: Arc::clone(&usable_magic),
                packer: Arc::new(Packer::of(self.codec)),
            },
            instance.clone(),
            Arc::clone(&pool),
            Arc::clone(&waker),
            Arc::clone(&counters),
        ));
        let metadata = Arc::new(ProducerMetadata::new(
            ProducerMetadataOptions {
                refresh_backoff: BACKOFF,
                max_age: Duration::from_secs(300),
                max_idle: Duration::from_secs(300),
            },
            ClusterListeners::new(Vec::new(), instance.clone()),
            Arc::clone(&accumulator) as Arc<dyn ClusterObserver>,
        ));
        metadata.add_topic(&TOPIC.into(), clock.now());
        let metrics = MetricsRegistry::for_tests(Arc::clone(&clock) as Arc<dyn Clock>);
        let sensors = ProducerSensors::register(&metrics, &pool, &metadata, &counters);
        let shared = SenderShared {
            accumulator,
            metadata,
            waker,
            control: Arc::default(),
            counters,
            metrics,
            sensors,
            usable_magic,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        };
        let nodes = vec![Node::new(0, "a", 9092), Node::new(1, "b", 9092)];
        let client = MockClient::new(Arc::new(Cluster::new(nodes, Vec::new())));
        let transactions = self.idempotent.then(|| {
            TransactionManager::new(TransactionOptions {
                log: LogContext::for_tests(),
                retry_backoff: self.options.retry_backoff,
                transactional_id: self.transactional_id,
                transaction_timeout: Duration::from_secs(60),
                max_block: Duration::from_secs(60),
            })
        });
        let sender = Sender::new(
            self.options,
            shared.clone(),
            client,
            transactions,
            self.listener,
        );
        let rig = Rig {
            clock,
            pool,
            instance,
            shared,
            sender,
            has_slept: Cell::new(false),
        };
        rig.lead_by(&[0, 0]);
        rig
    }

    /// A rig whose producer has received its producer id, if it is idempotent.
    fn start(self) -> Rig {
        let mut rig = self.build();
        if rig.sender.transactions.is_some() {
            rig.sender
                .client
                .prepare_response(init_response(ErrorCode::NoError, PRODUCER_ID, 0));
            rig.run();
            assert!(rig.transactions().has_producer_id());
        }
        rig
    }

    /// As `start`, and in each partition a batch of one record with sequence number 0 has been acknowledged. The next
    /// batch has number 1. Several batches of a partition may be in flight, as long as no time passes while none is
    /// queued or in flight.
    fn start_known(self) -> Rig {
        let mut rig = self.start();
        for partition in [0, 1] {
            let future = rig.launch(partition, "0");
            rig.respond(ErrorCode::NoError, 0);
            assert_eq!(offset(&future), Some(0));
        }
        rig.client().forget_sent();
        rig
    }
}

fn init_response(error: ErrorCode, id: i64, epoch: i16) -> Response {
    Response::InitProducerId(InitProducerIdResponse {
        throttle_time_ms: 0,
        error,
        producer_id: id,
        producer_epoch: epoch,
    })
}

fn partition_response(index: i32, error: ErrorCode, base_offset: i64) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error,
        base_offset,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: Vec::new(),
        error_message: None,
    }
}

fn produce_response(partitions: Vec<PartitionProduceResponse>) -> Response {
    Response::Produce(ProduceResponse {
        topics: vec![TopicProduceResponse {
            name: TOPIC.into(),
            partitions,
        }],
        throttle_time_ms: 0,
    })
}

/// Installs a cluster snapshot with these topics.
fn show_to(metadata: &ProducerMetadata, now: Instant, topics: Vec<MetadataTopic>) {
    let plan = metadata.new_request(now);
    let broker = |id: NodeId, host: &str| MetadataBroker {
        node_id: id,
        host: host.into(),
        port: 9092,
        rack: None,
    };
    let response = MetadataResponse {
        throttle_time_ms: 0,
        brokers: vec![broker(0, "a"), broker(1, "b")],
        cluster_id: None,
        controller_id: 0,
        topics,
    };
    let _ = metadata.handle_response(plan.planned, 9, response, now);
}

/// A topic with one partition per entry of `leaders`. Each entry is the id of the partition's leader, or -1 for none.
fn topic(name: &str, leaders: &[NodeId]) -> MetadataTopic {
    let partition = |(index, leader): (i32, &NodeId)| MetadataPartition {
        error: if *leader < 0 {
            ErrorCode::LeaderNotAvailable
        } else {
            ErrorCode::NoError
        },
        index,
        leader_id: *leader,
        leader_epoch: -1,
        replicas: ReplicaLists::default(),
    };
    MetadataTopic {
        error: ErrorCode::NoError,
        name: name.into(),
        topic_id: [0; 16],
        is_internal: false,
        partitions: (0..).zip(leaders).map(partition).collect(),
    }
}

fn answer(index: i32, error: ErrorCode, base_offset: i64) -> Response {
    produce_response(vec![partition_response(index, error, base_offset)])
}

/// The result of a future, if it is ready.
fn poll(future: &mut FutureRecordMetadata) -> Option<Result<RecordMetadata, ProduceError>> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// The offset of a record; `None` if the broker returned none.
fn offset(future: &FutureRecordMetadata) -> Option<i64> {
    assert!(future.is_done(), "the record is still under way");
    Some(future.get().expect("the record was written").offset()).filter(|offset| *offset != -1)
}

fn error(future: &FutureRecordMetadata) -> ProduceError {
    assert!(future.is_done(), "the record is still under way");
    future.get().expect_err("the record was not written")
}

fn assert_pending(futures: &[&FutureRecordMetadata]) {
    for (at, future) in futures.iter().enumerate() {
        assert!(!future.is_done(), "the record {at} has ended: {future:?}");
    }
}

fn batches_of(request: &ProduceRequest) -> Vec<OnWire> {
    let mut batches = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let records = partition.records.as_ref().expect("a batch");
            let bytes = [records.head.as_slice(), &records.body].concat();
            let batch = RecordBatch::parse(&Bytes::from(bytes)).expect("a valid batch");
            batches.push(OnWire {
                partition: partition.index,
                producer_id: batch.producer_id(),
                epoch: batch.producer_epoch(),
                sequence: batch.base_sequence(),
                records: batch.records_count(),
            });
        }
    }
    batches
}

impl Rig {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn run(&mut self) {
        if self.has_slept.take() {
            self.sender.polled_at = self.now();
        }
        self.sender.run_once();
    }

    /// Lets time pass in the sender's poll. For user code that takes long, a test advances the clock directly.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.has_slept.set(true);
    }

    fn client(&mut self) -> &mut MockClient<Completion> {
        &mut self.sender.client
    }

    fn transactions(&mut self) -> &mut TransactionManager {
        self.sender
            .transactions
            .as_mut()
            .expect("an idempotent producer")
    }

    /// Installs a cluster snapshot with one partition per entry of `leaders`. Each entry is the id of the partition's
    /// leader, or -1 for none.
    fn lead_by(&self, leaders: &[NodeId]) {
        self.show(vec![topic(TOPIC, leaders)]);
    }

    /// Installs a cluster snapshot with these topics.
    fn show(&self, topics: Vec<MetadataTopic>) {
        show_to(&self.shared.metadata, self.now(), topics);
    }

    fn wants_metadata(&self) -> bool {
        // Long after the backoff, and long before the snapshot is too old.
        let later = self.now() + BACKOFF + MS(1);
        self.shared
            .metadata
            .time_to_next_update(later)
            .is_over(later)
    }

    fn send(&self, partition: i32, value: &str) -> FutureRecordMetadata {
        self.send_calling(partition, value, None)
    }

    fn send_calling(
        &self,
        partition: i32,
        value: &str,
        callback: Option<&mut AnyCallback>,
    ) -> FutureRecordMetadata {
        append(&self.shared, partition, value, callback)
    }

    /// Sends a record and runs a step, so that the record is in flight.
    fn launch(&mut self, partition: i32, value: &str) -> FutureRecordMetadata {
        let before = self.client().sent().len();
        let future = self.send(partition, value);
        self.run();
        assert_eq!(
            self.client().sent().len(),
            before + 1,
            "the record was not sent"
        );
        future
    }

    fn waiting(&mut self) -> usize {
        self.client().requests().len()
    }

    /// Answers the oldest request, which is for one partition, and runs a step.
    fn respond(&mut self, error: ErrorCode, base_offset: i64) {
        self.respond_with(0, error, base_offset, -1);
    }

    fn respond_with(&mut self, at: usize, error: ErrorCode, base_offset: i64, log_start: i64) {
        let now = self.now();
        let request = &self.client().requests()[at].request;
        let Request::Produce(produce) = request else {
            panic!("not a produce request: {request:?}")
        };
        let partitions = batches_of(produce)
            .iter()
            .map(|batch| PartitionProduceResponse {
                log_start_offset: log_start,
                ..partition_response(batch.partition, error, base_offset)
            })
            .collect();
        let outcome = Outcome::Response(produce_response(partitions));
        self.client().finish(at, outcome, now);
        self.run();
    }

    fn lose(&mut self, at: usize, handed_over: bool) {
        let now = self.now();
        let reason = "gone".into();
        self.client().finish(
            at,
            Outcome::Disconnected {
                handed_over,
                reason,
            },
            now,
        );
        self.run();
    }

    /// Every produce request that was sent.
    fn sent(&mut self) -> Vec<Vec<OnWire>> {
        let produce = |(_, request): &(NodeId, Request)| match request {
            Request::Produce(produce) => Some(batches_of(produce)),
            _ => None,
        };
        self.client().sent().iter().filter_map(produce).collect()
    }

    fn last_sent(&mut self) -> OnWire {
        *self
            .sent()
            .last()
            .and_then(|request| request.first())
            .expect("a batch was sent")
    }

    /// Asserts that all memory was returned to the pool.
    fn assert_memory_is_back(&mut self) {
        self.client().forget_sent();
        assert_eq!(self.pool.available_bytes(), self.pool.total_bytes());
        assert_eq!(self.shared.accumulator.incomplete_count(), 0);
    }
}

/// Puts a record into a batch, as an application thread does.
fn append(
    shared: &SenderShared,
    partition: i32,
    value: &str,
    callback: Option<&mut AnyCallback>,
) -> FutureRecordMetadata {
    append_to(shared, TOPIC, partition, value, callback)
}

fn append_to(
    shared: &SenderShared,
    topic: &str,
    partition: i32,
    value: &str,
    mut callback: Option<&mut AnyCallback>,
) -> FutureRecordMetadata {
    let accumulator = &shared.accumulator;
    let topics = accumulator.topics();
    let entry = topics
        .get(topic)
        .and_then(|t| accumulator.partition(t, partition))
        .expect("a partition");
    let headers = Headers::new();
    let record = RecordParts {
        key: None,
        value: Some(value.as_bytes()),
        headers: headers.as_slice(),
        timestamp_ms: 1000,
    };
    let payload = record.payload_len();
    let mut appended = accumulator.try_append(
        AnyTransaction,
        entry,
        &record,
        payload,
        callback.as_deref_mut(),
    );
    if matches!(appended, Append::NeedsBatch) {
        let magic = shared.usable_magic.load();
        let of = TransactionNumber::NONE;
        let size = accumulator.allocation_for(batch_size_upper_bound(payload));
        let lease = accumulator.pool().try_allocate(size).expect("memory");
        appended = accumulator.append_new(of, entry, &record, callback, lease, magic);
    }
    match appended {
        Append::Done(place) => FutureRecordMetadata::pending(RecordInBatch::new(place, &record)),
        other => panic!("not appended: {other:?}"),
    }
}
