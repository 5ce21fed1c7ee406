//! The network client over the mock selector.

mod authentication;
mod authentication_again;
mod connecting;
mod coordinator;
mod metadata;
mod recovery;
mod requests;

use std::collections::VecDeque;

use super::*;
use crate::client::kafka_client::ClientRequest;
use crate::client::metadata::MetadataFailure;
use crate::client::metadata::{Metadata, MetadataNews};
use crate::client::metadata_source::MetadataRequestPlan;
use crate::client::mock_selector::MockSelector;
use crate::clock::mock::MockClock;
use crate::error::ErrorCode;
use crate::metrics::{Metrics, MetricsRegistry};
use crate::network::resolver::{DnsLookup, Resolution};
use crate::network::selectable::CloseReason;
use crate::protocol::{
    ApiKey, ApiVersionRange, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse,
    MetadataBroker, MetadataRequest, MetadataResponse, ProduceRequest, Request, Response,
};
use crate::sync::{Mutex, Rank};
use crate::types::Cluster;

const MS: fn(u64) -> Duration = Duration::from_millis;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_AGE: Duration = Duration::from_secs(300);

/// Metadata source of the tests: requests all topics, and holds the metadata under a lock.
#[derive(Debug)]
struct TestMetadata {
    inner: Mutex<Metadata>,
    failures: Mutex<Vec<MetadataFailure>>,
}

impl MetadataSource for TestMetadata {
    fn time_to_next_update(&self, now: Instant) -> Deadline {
        self.inner.lock().time_to_next_update(now)
    }

    fn request_update(&self) -> u32 {
        self.inner.lock().request_update()
    }

    fn new_request(&self, _now: Instant) -> MetadataRequestPlan {
        let request_version = self.inner.lock().request_version();
        MetadataRequestPlan {
            request: MetadataRequest {
                topics: None,
                allow_auto_topic_creation: true,
            },
            planned: PlannedUpdate {
                is_partial: false,
                request_version,
            },
        }
    }

    fn handle_response(
        &self,
        planned: PlannedUpdate,
        version: i16,
        response: MetadataResponse,
        now: Instant,
    ) -> MetadataNews {
        self.inner
            .lock()
            .update(planned, version, response, now, &mut |_| true)
            .news
    }

    fn handle_failure(&self, now: Instant, why: MetadataFailure) {
        self.failures.lock().push(why.clone());
        self.inner.lock().update_failed(now, why);
    }

    fn handle_obstacle(&self, what: MetadataFailure) {
        self.inner.lock().update_held_up(what);
    }

    fn handle_awaited(&self, brokers: Vec<AwaitedBroker>) {
        self.inner.lock().update_awaits(brokers);
    }

    fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(self.inner.lock().cluster())
    }
}

/// Mock resolver: `broker-n` is 127.0.0.n, unless the test sets other addresses.
#[derive(Debug, Default)]
struct TestResolver {
    answers: VecDeque<Resolution>,
    scripted: BTreeMap<String, Result<Vec<std::net::SocketAddr>, Arc<str>>>,
    requests: Vec<NodeId>,
    is_silent: bool,
    /// Requests for canonical names.
    canonical_requests: Vec<Vec<(String, u16)>>,
    canonical_answer: Option<Vec<(String, u16)>>,
}

impl HostResolver for TestResolver {
    fn request(&mut self, node: NodeId, host: &str, port: u16) {
        self.requests.push(node);
        let result = self.scripted.get(host).cloned().unwrap_or_else(|| {
            let last = host
                .rsplit('-')
                .next()
                .and_then(|n| n.parse::<u8>().ok())
                .unwrap_or(1);
            Ok(vec![std::net::SocketAddr::from(([127, 0, 0, last], port))])
        });
        self.answers.push_back(Resolution { node, result });
    }

    fn poll(&mut self) -> Option<Resolution> {
        if self.is_silent {
            None
        } else {
            self.answers.pop_front()
        }
    }

    fn request_canonical(&mut self, servers: Vec<(String, u16)>) {
        self.canonical_requests.push(servers);
    }

    fn poll_canonical(&mut self) -> Option<Vec<(String, u16)>> {
        self.canonical_answer.take()
    }
}

/// Refresh back-off and maximum age of a test's metadata.
struct MetadataTimes {
    refresh_backoff: Duration,
    max_age: Duration,
}

type TestClient = NetworkClient<MockSelector, TestResolver, u32>;

struct Harness {
    client: TestClient,
    metadata: Arc<TestMetadata>,
    clock: Arc<MockClock>,
    magic: Arc<UsableMagic>,
    metrics: Metrics,
    responses: Vec<ClientResponse<u32>>,
}

fn node(id: NodeId) -> Node {
    Node::new(id, format!("broker-{id}"), 9092)
}

fn metadata_of(nodes: &[Node]) -> MetadataResponse {
    let brokers = nodes.iter().map(|node| MetadataBroker {
        node_id: node.id(),
        host: node.host().into(),
        port: i32::from(node.port()),
        rack: None,
    });
    MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers.collect(),
        cluster_id: Some("c".into()),
        controller_id: -1,
        topics: Vec::new(),
    }
}

fn all_versions() -> ApiVersionsResponse {
    let ranges = ApiKey::ALL.iter().map(|api| ApiVersionRange {
        api_key: api.code(),
        min: 0,
        max: api.max_version(),
    });
    ApiVersionsResponse {
        error: ErrorCode::NoError,
        api_keys: ranges.collect(),
        throttle_time_ms: 0,
    }
}

fn init_producer_id() -> Request {
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
    })
}

fn init_producer_id_response(throttle_time_ms: i32) -> Response {
    Response::InitProducerId(InitProducerIdResponse {
        throttle_time_ms,
        error: ErrorCode::NoError,
        producer_id: 5,
        producer_epoch: 0,
    })
}

fn produce(acks: i16) -> Request {
    Request::Produce(ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 1_000,
        topics: Vec::new(),
    })
}

impl Harness {
    /// A client whose metadata names these nodes and is fresh.
    fn new(nodes: &[Node]) -> Self {
        let harness = Self::without_metadata();
        harness.take_nodes(nodes);
        harness
    }

    /// A client without nodes.
    fn without_metadata() -> Self {
        Self::recovering(RecoveryOptions {
            servers: Vec::new(),
            lookup: DnsLookup::UseAllDnsIps,
            trigger: Duration::ZERO,
        })
    }

    /// A client with rebootstrap enabled, and without nodes.
    fn recovering(recovery: RecoveryOptions) -> Self {
        Self::with_options(recovery, |_, _| {})
    }

    /// A client whose metadata names these nodes and is fresh, with options and times as changed by `change`.
    fn with_timeouts(
        nodes: &[Node],
        change: impl FnOnce(&mut NetworkClientOptions, &mut MetadataTimes),
    ) -> Self {
        let recovery = RecoveryOptions {
            servers: Vec::new(),
            lookup: DnsLookup::UseAllDnsIps,
            trigger: Duration::ZERO,
        };
        let harness = Self::with_options(recovery, change);
        harness.take_nodes(nodes);
        harness
    }

    fn take_nodes(&self, nodes: &[Node]) {
        let planned = PlannedUpdate {
            is_partial: false,
            request_version: 0,
        };
        let now = self.now();
        let _ = self
            .metadata
            .handle_response(planned, 11, metadata_of(nodes), now);
    }

    fn with_options(
        recovery: RecoveryOptions,
        change: impl FnOnce(&mut NetworkClientOptions, &mut MetadataTimes),
    ) -> Self {
        let clock = Arc::new(MockClock::new());
        let mut times = MetadataTimes {
            refresh_backoff: MS(100),
            max_age: MAX_AGE,
        };
        let mut options = NetworkClientOptions {
            client_id: "test".into(),
            log: LogContext::for_tests(),
            uses_sasl: false,
            max_in_flight: 5,
            reconnect_backoff: MS(50),
            reconnect_backoff_max: MS(10_000),
            setup_timeout: MS(10_000),
            setup_timeout_max: MS(30_000),
            request_timeout: REQUEST_TIMEOUT,
            recovery,
            seed: 3,
        };
        change(&mut options, &mut times);
        let metadata = Arc::new(TestMetadata {
            inner: Mutex::new(
                Rank::METADATA,
                Metadata::new(times.refresh_backoff, times.max_age),
            ),
            failures: Mutex::new(Rank::METADATA, Vec::new()),
        });
        let magic = Arc::new(UsableMagic::new());
        let registry = MetricsRegistry::for_tests(Arc::clone(&clock) as Arc<dyn Clock>);
        let client = NetworkClient::new(
            options,
            MockSelector::default(),
            TestResolver::default(),
            Arc::clone(&metadata) as Arc<dyn MetadataSource>,
            Arc::clone(&magic),
            Arc::clone(&clock) as Arc<dyn Clock>,
            registry.add(&[]),
        );
        Self {
            client,
            metadata,
            clock,
            magic,
            metrics: Metrics::new(registry),
            responses: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn poll(&mut self) {
        self.poll_for(Duration::from_secs(3_600));
    }

    fn poll_for(&mut self, timeout: Duration) {
        let now = self.now();
        self.client.poll(timeout, now, &mut self.responses);
    }

    /// The timeout of the last poll.
    fn slept(&self) -> Duration {
        self.client
            .selector
            .poll_timeouts
            .last()
            .copied()
            .flatten()
            .unwrap()
    }

    /// Connects to a node, whose broker responds with these API versions.
    fn connect_with(&mut self, node: &Node, versions: ApiVersionsResponse) {
        self.connect_unchecked(node);
        self.client
            .selector
            .respond(node.id(), &Response::ApiVersions(versions));
        self.poll();
    }

    /// Connects to a node and sends the ApiVersions request, whose response is then outstanding.
    fn connect_unchecked(&mut self, node: &Node) {
        let now = self.now();
        assert!(!self.client.ready(node, now));
        self.poll();
        let sent = self
            .client
            .selector
            .last_sent(node.id())
            .expect("the API versions are requested");
        assert_eq!(sent.request.api_key(), ApiKey::ApiVersions);
    }

    fn connect(&mut self, node: &Node) {
        self.connect_with(node, all_versions());
        assert!(
            self.client.is_ready(node.id(), self.now()),
            "{}",
            self.client.describe(self.now())
        );
    }

    fn send(&mut self, node: NodeId, request: Request, tag: u32) {
        let now = self.now();
        let request = ClientRequest {
            node,
            request,
            timeout: REQUEST_TIMEOUT,
            tag,
        };
        self.client.send(request, now);
    }

    /// Sends a request and lets it be written.
    fn send_whole(&mut self, node: NodeId, tag: u32) {
        self.send(node, init_producer_id(), tag);
        self.poll();
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Polls for this time, advancing the clock by the timeout of each poll. Returns the number of polls.
    fn run_for(&mut self, time: Duration) -> usize {
        self.run_with(time, |_| {})
    }

    /// Like [`run_for`](Self::run_for), but calls `before` before each poll.
    fn run_with(&mut self, time: Duration, before: impl Fn(&mut TestClient)) -> usize {
        let end = self.now().saturating_add(time);
        let mut polls = 0;
        while self.now() < end && polls < 100_000 {
            before(&mut self.client);
            self.poll_for(end - self.now());
            polls += 1;
            self.advance(self.slept());
        }
        polls
    }

    fn take_one(&mut self) -> ClientResponse<u32> {
        assert_eq!(self.responses.len(), 1, "{:?}", self.responses);
        self.responses.remove(0)
    }

    /// Takes all responses, each of which must be a disconnect. Returns their tags, and whether the requests were
    /// handed over.
    fn take_disconnected(&mut self) -> Vec<(u32, bool)> {
        let all = std::mem::take(&mut self.responses).into_iter();
        all.map(|response| match response.outcome {
            Outcome::Disconnected { handed_over, .. } => (response.tag, handed_over),
            other => panic!("{other:?}"),
        })
        .collect()
    }
}
