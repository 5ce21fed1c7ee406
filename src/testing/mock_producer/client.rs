//! The `KafkaClient` of a mock producer: answers all requests at once, except Produce.

use std::sync::Arc;
use std::time::Duration;

use super::clock::MockedClock;
use super::cluster::{BROKER, HOST, PORT, broker};
use super::state::{MockState, Patience};
use crate::client::kafka_client::{ClientRequest, ClientResponse, KafkaClient, NotReady, Outcome};
use crate::client::metadata_source::MetadataSource;
use crate::clock::{Clock, Deadline, Instant};
use crate::error::ErrorCode;
use crate::network::selectable::WakeUp;
use crate::producer::metadata::ProducerMetadata;
use crate::producer::sender::Completion;
use crate::producer::transaction::Transactions;
use crate::protocol::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, ApiKey, Coordinator, EndTxnResponse,
    FindCoordinatorResponse, InitProducerIdResponse, PartitionResult, Request, Response,
    TopicResult, TxnOffsetCommitResponse,
};
use crate::sync::{Mutex, OnceLock};
use crate::types::{Node, NodeId};

/// The version of the Metadata responses.
const METADATA_VERSION: i16 = 9;

/// State shared by the client, the clock and the controller.
#[derive(Debug)]
pub(super) struct Mocked {
    pub(super) state: Mutex<MockState>,
    pub(super) clock: Arc<MockedClock>,
    /// Set once the producer is built.
    pub(super) metadata: OnceLock<Arc<ProducerMetadata>>,
    pub(super) transactions: OnceLock<Option<Arc<Transactions>>>,
}

impl Mocked {
    /// `Some` for a transactional producer.
    pub(super) fn transactions(&self) -> Option<&Arc<Transactions>> {
        self.transactions.get()?.as_ref()
    }

    /// Whether a poll would return a response.
    pub(super) fn has_answers(&self) -> bool {
        let wants_metadata = self.wants_metadata();
        let state = self.state.lock();
        let has_ends = state.has_decided() || !state.answers.is_empty();
        has_ends || wants_metadata && state.patience != Patience::Silent
    }

    /// Ends the silence: a call may have requested metadata again.
    pub(super) fn end_silence(&self) {
        let mut state = self.state.lock();
        if state.patience == Patience::Silent {
            state.patience = Patience::Answers;
        }
        self.clock.set_silent(false);
    }

    fn wants_metadata(&self) -> bool {
        // No back-off between metadata requests: they cost no network.
        let after_pauses = self.clock.now() + Duration::from_secs(60);
        self.metadata.get().is_some_and(|metadata| {
            metadata
                .time_to_next_update(after_pauses)
                .is_over(after_pauses)
        })
    }

    /// Answers a metadata request of the producer. If the same request is repeated although nothing new was in the
    /// response (a call waits for a topic that does not exist), it is no longer answered, and the clock skips the waits
    /// for metadata, so that they time out at once.
    fn answer_metadata(&self, now: Instant) {
        if !self.wants_metadata() {
            return;
        }
        let Some(metadata) = self.metadata.get() else {
            return;
        };
        let plan = metadata.new_request(now);
        let topics = plan.request.topics.unwrap_or_default();
        let response = {
            let mut state = self.state.lock();
            let is_known = state.cluster.has_described(&topics);
            match state.patience {
                _ if !is_known => state.patience = Patience::Answers,
                Patience::Answers => state.patience = Patience::HasRepeated,
                Patience::HasRepeated => {
                    state.patience = Patience::Silent;
                    self.clock.set_silent(true);
                    return;
                }
                Patience::Silent => return,
            }
            self.clock.set_silent(false);
            state.cluster.describe(topics)
        };
        // The result is ignored: it is needed only to log the answers of real brokers.
        let _ = metadata.handle_response(plan.planned, METADATA_VERSION, response, now);
    }
}

/// The client of a mock producer.
#[derive(Debug)]
pub(super) struct MockedClient {
    mocked: Arc<Mocked>,
    wake_up: Arc<dyn WakeUp>,
    epoch: i16,
}

impl MockedClient {
    pub(super) fn new(mocked: Arc<Mocked>, wake_up: Arc<dyn WakeUp>) -> Self {
        Self {
            mocked,
            wake_up,
            epoch: -1,
        }
    }

    fn answer(&mut self, request: &Request) -> Outcome {
        const OK: ErrorCode = ErrorCode::NoError;
        let throttle_time_ms = 0;
        let response = match request {
            Request::FindCoordinator(request) => {
                let coordinator = |key: &Arc<str>| Coordinator {
                    key: Some(Arc::clone(key)),
                    node_id: BROKER,
                    host: HOST.into(),
                    port: i32::from(PORT),
                    error: OK,
                    error_message: None,
                };
                Response::FindCoordinator(FindCoordinatorResponse {
                    throttle_time_ms,
                    coordinators: request.keys.iter().map(coordinator).collect(),
                })
            }
            Request::InitProducerId(_) => {
                // As a coordinator does, each initialization bumps the epoch, which starts at 0.
                self.epoch = self.epoch.wrapping_add(1).max(0);
                Response::InitProducerId(InitProducerIdResponse {
                    throttle_time_ms,
                    error: OK,
                    producer_id: 1,
                    producer_epoch: self.epoch,
                })
            }
            Request::AddPartitionsToTxn(request) => {
                let topics = request.topics.iter();
                let topics =
                    topics.map(|topic| results(&topic.name, topic.partitions.iter().copied()));
                Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
                    throttle_time_ms,
                    topics: topics.collect(),
                })
            }
            Request::AddOffsetsToTxn(_) => Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
                throttle_time_ms,
                error: OK,
            }),
            Request::TxnOffsetCommit(request) => {
                let transactions = self.mocked.transactions();
                let begun = transactions.map_or(0, |transactions| transactions.tally().begun);
                self.mocked.state.lock().take_offsets(request, begun);
                let topics = request
                    .topics
                    .iter()
                    .map(|topic| results(&topic.name, topic.partitions.iter().map(|it| it.index)));
                Response::TxnOffsetCommit(TxnOffsetCommitResponse {
                    throttle_time_ms,
                    topics: topics.collect(),
                })
            }
            Request::EndTxn(request) => {
                self.mocked.state.lock().end_transaction(request.committed);
                Response::EndTxn(EndTxnResponse {
                    throttle_time_ms,
                    error: OK,
                })
            }
            other => {
                debug_assert!(false, "no request of a sender: {other:?}");
                return Outcome::UnsupportedVersion("it is not mocked".into());
            }
        };
        Outcome::Response(response)
    }
}

fn results(name: &Arc<str>, partitions: impl Iterator<Item = i32>) -> TopicResult {
    let error = ErrorCode::NoError;
    TopicResult {
        name: Arc::clone(name),
        partitions: partitions
            .map(|index| PartitionResult { index, error })
            .collect(),
    }
}

impl KafkaClient<Completion> for MockedClient {
    fn ready(&mut self, _node: &Node, _now: Instant) -> bool {
        true
    }

    fn is_ready(&self, _node: NodeId, _now: Instant) -> bool {
        true
    }

    fn poll_deadline(&self, _node: NodeId, _now: Instant) -> Deadline {
        Deadline::Never
    }

    fn not_ready_reason(&self, _node: NodeId, _now: Instant) -> Option<NotReady> {
        None
    }

    fn connection_failed(&self, _node: NodeId) -> bool {
        false
    }

    fn authentication_failure(&self) -> Option<Arc<str>> {
        None
    }

    fn usable_version(&self, _node: NodeId, api: ApiKey) -> Option<i16> {
        Some(api.max_version())
    }

    fn send(&mut self, request: ClientRequest<Completion>, now: Instant) {
        let ClientRequest {
            node, request, tag, ..
        } = request;
        let version = request.api_key().max_version();
        match (request, tag) {
            (Request::Produce(request), Completion::Produce(batches)) => {
                self.mocked.state.lock().take(request, batches);
            }
            (request, tag) => {
                let outcome = self.answer(&request);
                self.mocked.state.lock().answers.push(ClientResponse {
                    node,
                    tag,
                    version,
                    created: now,
                    received: now,
                    outcome,
                });
            }
        }
    }

    fn poll(
        &mut self,
        _timeout: Duration,
        now: Instant,
        responses: &mut Vec<ClientResponse<Completion>>,
    ) -> Instant {
        self.mocked.answer_metadata(now);
        responses.append(&mut self.mocked.state.lock().answers);
        now
    }

    fn has_unread_input(&self, _node: NodeId) -> bool {
        false
    }

    fn newest_untouched(&self, _node: NodeId) -> Option<&Completion> {
        None
    }

    fn withdraw_untouched(&mut self, _node: NodeId, _reason: &str, _now: Instant) -> bool {
        false
    }

    fn least_loaded_node(&mut self, _now: Instant) -> Option<Node> {
        Some(broker())
    }

    fn in_flight_request_count(&self) -> usize {
        self.mocked.state.lock().answers.len()
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        Arc::clone(&self.wake_up)
    }

    fn close(&mut self) {}

    fn describe(&self, _now: Instant) -> String {
        "a mock producer has no brokers".to_owned()
    }
}
