//! A whole producer for models, on a mock client: the producer, and its sender, which a thread of the model runs.

use std::sync::Arc;
use std::time::Duration;

use super::poller::Poller;
use crate::client::kafka_client::{ClientRequest, ClientResponse, KafkaClient, NotReady};
use crate::client::metadata_source::MetadataSource;
use crate::client::mock_client::MockClient;
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline, Instant};
use crate::compress::CompressionType;
use crate::config::ProducerConfig;
use crate::error::ErrorCode;
use crate::metrics::MetricsRegistry;
use crate::network::selectable::WakeUp;
use crate::producer::accumulator::{AccumulatorFormat, AccumulatorOptions, RecordAccumulator};
use crate::producer::batch::Packer;
use crate::producer::buffer_pool::BufferPool;
use crate::producer::cluster_listeners::ClusterListeners;
use crate::producer::core::{Core, Plugins};
use crate::producer::counters::Counters;
use crate::producer::instance::Instance;
use crate::producer::interceptor::ProducerInterceptors;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::lifecycle::{Running, SenderThread};
use crate::producer::metadata::{ClusterObserver, ProducerMetadata, ProducerMetadataOptions};
use crate::producer::metrics_reporters::MetricsReporters;
use crate::producer::partitioner::{RandomSource, Strategy};
use crate::producer::record::ProducerRecord;
use crate::producer::sender::{Completion, Sender, SenderOptions, SenderShared};
use crate::producer::sensors::ProducerSensors;
use crate::producer::serializer::{PreparedSerializer, StockSerialize};
use crate::producer::wake::SenderWaker;
use crate::protocol::{ApiKey, MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic};
use crate::types::{Cluster, Node, NodeId, ReplicaLists, UsableMagic};
use crate::util::log::LogContext;
use crate::util::process::RecentlyAsked;

pub(super) const TOPIC: &str = "t";
pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) type Producer = KafkaProducer<str, str>;

/// Options of a model.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) linger: Duration,
    /// In bytes; 0 puts each record into a batch of its own.
    pub(super) batch_size: usize,
    /// The size of the buffer pool, in bytes.
    pub(super) memory: usize,
    pub(super) codec: CompressionType,
    /// True if the topic is unknown at first, and its metadata is requested when a call needs it.
    pub(super) asks_for_topic: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            batch_size: 0,
            memory: 1 << 16,
            codec: CompressionType::None,
            asks_for_topic: false,
        }
    }
}

pub(super) struct Rig {
    pub(super) producer: Arc<Producer>,
    pub(super) shared: SenderShared,
    pub(super) sender: ModelSender,
}

/// The sender, run by one thread.
pub(super) struct ModelSender {
    sender: Sender<ModelClient>,
    running: Running,
}

impl ModelSender {
    /// Runs one step of the sender.
    pub(super) fn step(&mut self) {
        self.sender.run_once();
    }

    /// Runs the sender until the producer is closed, as the sender thread does.
    pub(super) fn run(mut self) {
        self.sender.run_until_closed();
        drop(self.running);
    }
}

impl Rig {
    pub(super) fn new(setup: Setup) -> Self {
        let clock = Arc::new(MockClock::new()) as Arc<dyn Clock>;
        let instance = Instance::on_clock(Arc::clone(&clock));
        let poller = Arc::new(Poller::new());
        let shared = shared(setup, &clock, &instance);
        shared.waker.attach(Arc::clone(&poller) as Arc<dyn WakeUp>);
        if !setup.asks_for_topic {
            shared.metadata.add_topic(&TOPIC.into(), clock.now());
            update_topic(&shared.metadata, 2, clock.now());
        }
        let client = ModelClient {
            inner: MockClient::new(Arc::new(Cluster::new(nodes(), Vec::new()))),
            poller,
            metadata: setup.asks_for_topic.then(|| Arc::clone(&shared.metadata)),
        };
        let sender = Sender::new(options(setup), shared.clone(), client, None, None);
        let (producer, running) = producer_of(&shared, &instance);
        Self {
            producer: Arc::new(producer),
            shared,
            sender: ModelSender { sender, running },
        }
    }
}

pub(super) fn record(partition: i32) -> ProducerRecord<'static, str, str> {
    ProducerRecord::new(TOPIC, "value").with_partition(partition)
}

fn options(setup: Setup) -> SenderOptions {
    SenderOptions {
        // A record is acknowledged as soon as its request is written.
        acks: 0,
        max_request_bytes: 1 << 20,
        retries: 0,
        request_timeout: HOUR,
        retry_backoff: HOUR,
        retry_backoff_max: HOUR,
        linger: setup.linger,
        delivery_timeout: 2 * HOUR,
        guarantee_order: false,
        log: LogContext::for_tests(),
        seed: 1,
    }
}

fn shared(setup: Setup, clock: &Arc<dyn Clock>, instance: &Instance) -> SenderShared {
    let counters = Arc::new(Counters::default());
    let usable_magic = Arc::new(UsableMagic::new());
    let waker = Arc::new(SenderWaker::new());
    let accumulator = Arc::new(RecordAccumulator::new(
        AccumulatorOptions {
            batch_size_bytes: setup.batch_size,
            linger: setup.linger,
            track_all: false,
            is_transactional: false,
        },
        AccumulatorFormat {
            usable_magic: Arc::clone(&usable_magic),
            packer: Arc::new(Packer::of(setup.codec)),
        },
        instance.clone(),
        BufferPool::new(setup.memory, setup.batch_size.max(1)),
        Arc::clone(&waker),
        Arc::clone(&counters),
    ));
    let metadata = Arc::new(ProducerMetadata::new(
        ProducerMetadataOptions {
            refresh_backoff: Duration::ZERO,
            max_age: HOUR,
            max_idle: HOUR,
        },
        ClusterListeners::new(Vec::new(), instance.clone()),
        Arc::clone(&accumulator) as Arc<dyn ClusterObserver>,
    ));
    let metrics = MetricsRegistry::for_tests(Arc::clone(clock));
    let pool = accumulator.pool();
    let sensors = ProducerSensors::register(&metrics, pool, &metadata, &counters);
    SenderShared {
        accumulator,
        metadata,
        waker,
        control: Arc::default(),
        counters,
        metrics,
        sensors,
        usable_magic,
        clock: Arc::clone(clock),
    }
}

fn producer_of(shared: &SenderShared, instance: &Instance) -> (Producer, Running) {
    let strings = || {
        let strings = str::stock_serializer(str::JAVA_CLASSES[0]);
        PreparedSerializer::new(strings.expect("strings have a stock serializer"))
    };
    let core = Core {
        accumulator: Arc::clone(&shared.accumulator),
        metadata: Arc::clone(&shared.metadata),
        waker: Arc::clone(&shared.waker),
        control: Arc::clone(&shared.control),
        counters: Arc::clone(&shared.counters),
        metrics: Arc::clone(&shared.metrics),
        sensors: Arc::clone(&shared.sensors),
        clock: Arc::clone(&shared.clock),
        usable_magic: Arc::clone(&shared.usable_magic),
        random: RandomSource::new(1),
        instance: instance.clone(),
        fork_asked: RecentlyAsked::new(),
        transactions: None,
        #[cfg(feature = "tls-no-provider")]
        tls: None,
        #[cfg(feature = "testing")]
        call_errors: None,
        config: ProducerConfig::builder()
            .build()
            .expect("the configuration is valid"),
    };
    let plugins = Plugins {
        key_serializer: strings(),
        value_serializer: strings(),
        strategy: Strategy::Default,
        interceptors: Arc::new(ProducerInterceptors::none(instance.clone())),
        metrics: Arc::clone(&shared.metrics),
        reporters: MetricsReporters::none(instance.clone()),
        app_info: None,
        instance: instance.clone(),
    };
    let (thread, running) = SenderThread::without_thread(
        instance.log().clone(),
        Arc::clone(&shared.control),
        Arc::clone(&shared.waker),
    );
    (KafkaProducer::assemble(core, plugins, thread), running)
}

fn nodes() -> Vec<Node> {
    vec![Node::new(0, "a", 9092)]
}

/// Handles a metadata response that contains the topic with `partitions` partitions.
pub(super) fn update_topic(metadata: &ProducerMetadata, partitions: i32, now: Instant) {
    let partition = |index| MetadataPartition {
        error: ErrorCode::NoError,
        index,
        leader_id: 0,
        leader_epoch: -1,
        replicas: ReplicaLists::default(),
    };
    let topic = MetadataTopic {
        error: ErrorCode::NoError,
        name: TOPIC.into(),
        topic_id: [0; 16],
        is_internal: false,
        partitions: (0..partitions).map(partition).collect(),
    };
    let broker = MetadataBroker {
        node_id: 0,
        host: "a".into(),
        port: 9092,
        rack: None,
    };
    let response = MetadataResponse {
        throttle_time_ms: 0,
        brokers: vec![broker],
        cluster_id: None,
        controller_id: 0,
        topics: vec![topic],
    };
    let plan = metadata.new_request(now);
    let _news = metadata.handle_response(plan.planned, 9, response, now);
}

/// A client whose polls sleep on the model's poller. A poll does not time out: only a wake-up ends it.
struct ModelClient {
    inner: MockClient<Completion>,
    poller: Arc<Poller>,
    /// Metadata whose due request is answered in the next poll; `None` if the topic is known from the start.
    metadata: Option<Arc<ProducerMetadata>>,
}

impl KafkaClient<Completion> for ModelClient {
    fn poll(
        &mut self,
        timeout: Duration,
        now: Instant,
        responses: &mut Vec<ClientResponse<Completion>>,
    ) -> Instant {
        let asking = self
            .metadata
            .as_ref()
            .filter(|metadata| metadata.time_to_next_update(now).is_over(now));
        if let Some(metadata) = asking {
            update_topic(metadata, 1, now);
        }
        // A request that is to be written ends a poll.
        if timeout.is_zero() || asking.is_some() || !self.inner.requests().is_empty() {
            self.poller.look();
        } else {
            self.poller.sleep();
        }
        self.inner.poll(timeout, now, responses)
    }

    fn has_unread_input(&self, node: NodeId) -> bool {
        self.inner.has_unread_input(node)
    }

    fn ready(&mut self, node: &Node, now: Instant) -> bool {
        self.inner.ready(node, now)
    }

    fn is_ready(&self, node: NodeId, now: Instant) -> bool {
        self.inner.is_ready(node, now)
    }

    fn poll_deadline(&self, node: NodeId, now: Instant) -> Deadline {
        self.inner.poll_deadline(node, now)
    }

    fn not_ready_reason(&self, node: NodeId, now: Instant) -> Option<NotReady> {
        self.inner.not_ready_reason(node, now)
    }

    fn connection_failed(&self, node: NodeId) -> bool {
        self.inner.connection_failed(node)
    }

    fn authentication_failure(&self) -> Option<Arc<str>> {
        self.inner.authentication_failure()
    }

    fn usable_version(&self, node: NodeId, api: ApiKey) -> Option<i16> {
        self.inner.usable_version(node, api)
    }

    fn send(&mut self, request: ClientRequest<Completion>, now: Instant) {
        self.inner.send(request, now);
        // Dropped at once: a request keeps references to the memory of its batches.
        self.inner.forget_sent();
    }

    fn newest_untouched(&self, node: NodeId) -> Option<&Completion> {
        self.inner.newest_untouched(node)
    }

    fn withdraw_untouched(&mut self, node: NodeId, reason: &str, now: Instant) -> bool {
        self.inner.withdraw_untouched(node, reason, now)
    }

    fn least_loaded_node(&mut self, now: Instant) -> Option<Node> {
        self.inner.least_loaded_node(now)
    }

    fn in_flight_request_count(&self) -> usize {
        self.inner.in_flight_request_count()
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        Arc::clone(&self.poller) as Arc<dyn WakeUp>
    }

    fn close(&mut self) {
        self.inner.close();
    }

    fn describe(&self, now: Instant) -> String {
        self.inner.describe(now)
    }
}
