//! Transactional requests of every kind, sent by the sender, with handlers that the test defines.

mod queue;

use super::*;
use crate::producer::transaction::{
    Condition, CoordinatorKey, Destination, FatalError, Priority, RequestFailure, RequestHandler,
    RequestVerdict, RetryReason,
};
use crate::protocol::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddPartitionsToTxnTopic, ApiKey, Coordinator, CoordinatorType,
    EndTxnRequest, EndTxnResponse, FindCoordinatorResponse, PartitionResult, TopicResult,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use crate::sync::{Mutex, Rank};

const TRANSACTION_COORDINATOR: NodeId = 5;
const GROUP_COORDINATOR: NodeId = 6;
/// The wait before a retry while the coordinator still ends another transaction (TM-15).
const CONCURRENT_WAIT: Duration = Duration::from_millis(20);

/// A recorded call of a handler, with the kind of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HandlerCall {
    Code(ApiKey, ErrorCode),
    Failed(ApiKey, RequestFailure),
    GivenUp(ApiKey, Arc<str>),
}

type CallLog = Arc<Mutex<Vec<HandlerCall>>>;

fn call_log() -> CallLog {
    Arc::new(Mutex::new(Rank::LEAF, Vec::new()))
}

fn read(calls: &CallLog) -> Vec<HandlerCall> {
    calls.lock().clone()
}

/// A handler that records its calls. Like the real handlers, it decides by the error code of a response.
#[derive(Debug)]
struct Asked {
    request: Request,
    calls: CallLog,
    is_awaited: bool,
}

/// A handler with the default treatment of an attempt without a response.
#[derive(Debug)]
struct Usual(Asked);

impl Asked {
    fn new(request: Request, calls: &CallLog) -> Self {
        Self {
            request,
            calls: Arc::clone(calls),
            is_awaited: false,
        }
    }

    fn note(&self, recorded: HandlerCall) {
        self.calls.lock().push(recorded);
    }

    fn kind(&self) -> ApiKey {
        self.request.api_key()
    }
}

fn coordinator_key(kind: CoordinatorType, key: &str) -> CoordinatorKey {
    CoordinatorKey {
        kind,
        key: key.into(),
    }
}

fn code_of(response: &Response) -> ErrorCode {
    let first = |topics: &[TopicResult]| topics[0].partitions[0].error;
    match response {
        Response::AddPartitionsToTxn(it) => first(&it.topics),
        Response::AddOffsetsToTxn(it) => it.error,
        Response::TxnOffsetCommit(it) => first(&it.topics),
        Response::EndTxn(it) => it.error,
        other => panic!("not asked for: {other:?}"),
    }
}

impl RequestHandler for Asked {
    fn destination(&self) -> Destination {
        Destination::Coordinator(match &self.request {
            Request::TxnOffsetCommit(it) => coordinator_key(CoordinatorType::GROUP, &it.group_id),
            _ => coordinator_key(CoordinatorType::TRANSACTION, "tx"),
        })
    }

    fn priority(&self) -> Priority {
        match self.kind() {
            ApiKey::EndTxn => Priority::EndTransaction,
            _ => Priority::AddPartitionsOrOffsets,
        }
    }

    fn condition(&self, _manager: &TransactionManager) -> Condition {
        match self.kind() {
            ApiKey::EndTxn => Condition::BatchesEnded,
            _ => Condition::Nothing,
        }
    }

    fn is_awaited(&self, _manager: &TransactionManager) -> bool {
        self.is_awaited
    }

    fn request(&self, _manager: &TransactionManager) -> Request {
        self.request.clone()
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        let code = code_of(&response);
        self.note(HandlerCall::Code(self.kind(), code));
        let wait = manager.retry_backoff();
        let why = RetryReason::new(code.name());
        match code {
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                RequestVerdict::FindCoordinator { wait, why }
            }
            ErrorCode::ConcurrentTransactions => RequestVerdict::Retry {
                wait: CONCURRENT_WAIT,
                why,
            },
            code if code.is_retriable() => RequestVerdict::Retry { wait, why },
            _ => RequestVerdict::Done,
        }
    }

    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        _now: Instant,
    ) -> RequestVerdict {
        self.note(HandlerCall::Failed(self.kind(), failure.clone()));
        match failure {
            RequestFailure::Disconnected(why) => RequestVerdict::FindCoordinator {
                wait: manager.retry_backoff(),
                why: RetryReason::new(why),
            },
            _ => RequestVerdict::Done,
        }
    }

    fn give_up(&mut self, why: &Arc<str>, _manager: &mut TransactionManager) {
        self.note(HandlerCall::GivenUp(self.kind(), Arc::clone(why)));
    }
}

impl RequestHandler for Usual {
    fn destination(&self) -> Destination {
        self.0.destination()
    }

    fn priority(&self) -> Priority {
        self.0.priority()
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        self.0.request(manager)
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        self.0.handle_response(response, manager, now)
    }

    fn give_up(&mut self, why: &Arc<str>, manager: &mut TransactionManager) {
        self.0.give_up(why, manager);
    }
}

fn add_partitions() -> Request {
    Request::AddPartitionsToTxn(Box::new(AddPartitionsToTxnRequest {
        transactional_id: "tx".into(),
        producer_id: PRODUCER_ID,
        producer_epoch: 0,
        topics: vec![AddPartitionsToTxnTopic {
            name: TOPIC.into(),
            partitions: vec![0],
        }],
    }))
}

fn add_offsets() -> Request {
    Request::AddOffsetsToTxn(Box::new(AddOffsetsToTxnRequest {
        transactional_id: "tx".into(),
        producer_id: PRODUCER_ID,
        producer_epoch: 0,
        group_id: "group".into(),
    }))
}

fn commit_offsets(group: &str) -> Request {
    Request::TxnOffsetCommit(Box::new(TxnOffsetCommitRequest {
        transactional_id: "tx".into(),
        group_id: group.into(),
        producer_id: PRODUCER_ID,
        producer_epoch: 0,
        generation_id: -1,
        member_id: "".into(),
        group_instance_id: None,
        topics: Vec::new(),
    }))
}

fn end() -> Request {
    Request::EndTxn(EndTxnRequest {
        transactional_id: "tx".into(),
        producer_id: PRODUCER_ID,
        producer_epoch: 0,
        committed: true,
    })
}

/// The response to a request of that kind.
fn answer_to(kind: ApiKey, error: ErrorCode) -> Response {
    let throttle_time_ms = 0;
    let topics = vec![TopicResult {
        name: TOPIC.into(),
        partitions: vec![PartitionResult { index: 0, error }],
    }];
    match kind {
        ApiKey::AddPartitionsToTxn => Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
            throttle_time_ms,
            topics,
        }),
        ApiKey::TxnOffsetCommit => Response::TxnOffsetCommit(TxnOffsetCommitResponse {
            throttle_time_ms,
            topics,
        }),
        ApiKey::AddOffsetsToTxn => Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
            throttle_time_ms,
            error,
        }),
        ApiKey::EndTxn => Response::EndTxn(EndTxnResponse {
            throttle_time_ms,
            error,
        }),
        other => panic!("{other} is not one of these"),
    }
}

fn coordinator(node_id: NodeId, error: ErrorCode) -> Coordinator {
    Coordinator {
        key: None,
        node_id,
        host: "coordinator".into(),
        port: 9092,
        error,
        error_message: None,
    }
}

fn found(coordinators: Vec<Coordinator>) -> Response {
    Response::FindCoordinator(FindCoordinatorResponse {
        throttle_time_ms: 0,
        coordinators,
    })
}

impl Rig {
    fn ask(&mut self, request: Request, calls: &CallLog) {
        let handler = Box::new(Asked::new(request, calls));
        self.transactions().push_request(handler);
    }

    /// The transactional request in flight: its node, its kind, and its index among all requests in flight.
    fn transactional(&mut self) -> Option<(NodeId, ApiKey, usize)> {
        let requests = self.client().requests().iter().enumerate();
        let mut found = requests.filter_map(|(at, request)| {
            let is_transactional = matches!(request.tag, Completion::Transaction(_));
            is_transactional.then(|| (request.node, request.request.api_key(), at))
        });
        let only = found.next();
        assert!(found.next().is_none(), "one at a time");
        only
    }

    /// Asserts that a request of that kind is in flight, to `node` if that is given. Returns its index.
    fn assert_asked(&mut self, kind: ApiKey, node: Option<NodeId>) -> usize {
        let (to, is, at) = self.transactional().expect("a request under way");
        assert_eq!(is, kind);
        assert_eq!(to, node.unwrap_or(to));
        at
    }

    fn finish(&mut self, at: usize, outcome: Outcome) {
        let now = self.now();
        self.client().finish(at, outcome, now);
        self.run();
        self.run();
    }

    /// Answers the look-up in flight, which must be for this key.
    fn find(&mut self, kind: CoordinatorType, key: &str, node: NodeId) {
        self.assert_looks_up(kind, key);
        self.find_with(vec![coordinator(node, ErrorCode::NoError)]);
    }

    fn find_with(&mut self, coordinators: Vec<Coordinator>) {
        let at = self.assert_asked(ApiKey::FindCoordinator, None);
        self.finish(at, Outcome::Response(found(coordinators)));
    }

    fn assert_looks_up(&mut self, kind: CoordinatorType, key: &str) {
        let at = self.assert_asked(ApiKey::FindCoordinator, None);
        let Request::FindCoordinator(request) = &self.client().requests()[at].request else {
            unreachable!("the kind was checked");
        };
        assert_eq!(request.coordinator_type, kind);
        assert_eq!(request.keys, [Arc::from(key)]);
    }

    /// Asserts that a request of that kind is in flight to that node, and answers it with the code.
    fn answer(&mut self, kind: ApiKey, node: NodeId, code: ErrorCode) {
        let at = self.assert_asked(kind, Some(node));
        self.finish(at, Outcome::Response(answer_to(kind, code)));
    }

    /// Asserts that batches are still sent and acknowledged.
    fn assert_batches_go_on(&mut self, value: &str) {
        let future = self.launch(0, value);
        let at = self.waiting() - 1;
        self.respond_with(at, ErrorCode::NoError, 3, -1);
        assert_eq!(offset(&future), Some(3), "{value}");
    }

    /// Asserts that no transactional request is sent until `wait` has passed, to the millisecond.
    fn assert_waits(&mut self, wait: Duration) {
        self.run();
        assert_eq!(self.transactional(), None);
        let longest = self.client().poll_timeouts().last().copied();
        assert_eq!(
            longest,
            Some(wait),
            "it sleeps in the poll, as long as it may"
        );
        self.advance(wait.saturating_sub(MS(1)));
        self.run();
        assert_eq!(self.transactional(), None);
        self.advance(MS(1));
        self.run();
    }
}

const TRANSACTION: CoordinatorType = CoordinatorType::TRANSACTION;
const GROUP: CoordinatorType = CoordinatorType::GROUP;
const OK: ErrorCode = ErrorCode::NoError;

/// A rig that has found the coordinator of the producer's transactions.
fn knowing_the_coordinator(calls: &CallLog) -> Rig {
    let mut rig = Setup::idempotent().start();
    rig.ask(add_partitions(), calls);
    rig.run();
    rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
    rig.answer(ApiKey::AddPartitionsToTxn, TRANSACTION_COORDINATOR, OK);
    calls.lock().clear();
    rig
}

/// A request is sent to its coordinator, which is looked up if it is unknown (SE-27). The requests are sent by
/// priority, not in the order in which the test creates them (TM-9). The end of the transaction waits for a batch
/// (TM-11).
#[test]
fn each_kind_of_request_is_sent_to_its_coordinator_once_found_and_gets_the_response() {
    let mut rig = Setup::idempotent().start();
    let calls = call_log();
    let batch = rig.launch(0, "v");
    for request in [
        end(),
        add_partitions(),
        add_offsets(),
        commit_offsets("group"),
    ] {
        rig.ask(request, &calls);
    }
    rig.run();
    rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
    rig.answer(ApiKey::AddPartitionsToTxn, TRANSACTION_COORDINATOR, OK);
    // The transaction coordinator is known now; the group coordinator is looked up.
    rig.answer(ApiKey::AddOffsetsToTxn, TRANSACTION_COORDINATOR, OK);
    rig.find(GROUP, "group", GROUP_COORDINATOR);
    rig.answer(ApiKey::TxnOffsetCommit, GROUP_COORDINATOR, OK);
    assert_eq!(rig.transactional(), None, "a batch has not ended");
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&batch), Some(0));
    rig.run();
    rig.answer(
        ApiKey::EndTxn,
        TRANSACTION_COORDINATOR,
        ErrorCode::ProducerFenced,
    );
    let recorded = [
        (ApiKey::AddPartitionsToTxn, OK),
        (ApiKey::AddOffsetsToTxn, OK),
        (ApiKey::TxnOffsetCommit, OK),
        (ApiKey::EndTxn, ErrorCode::ProducerFenced),
    ];
    assert_eq!(
        read(&calls),
        recorded.map(|(kind, code)| HandlerCall::Code(kind, code))
    );
    assert_eq!(rig.transactional(), None);
    rig.assert_memory_is_back();
}

/// In Java no batch is sent during the back-off, because the sender sleeps (TM-14, TM-17, SE-29).
#[test]
fn a_coordinator_that_is_lost_is_looked_up_again_after_the_backoff_while_batches_go_on() {
    for (kind, key, request) in [
        (TRANSACTION, "tx", add_partitions()),
        (GROUP, "group", commit_offsets("group")),
    ] {
        let api = request.api_key();
        let outcomes = [
            Outcome::Response(answer_to(api, ErrorCode::NotCoordinator)),
            Outcome::Response(answer_to(api, ErrorCode::CoordinatorNotAvailable)),
            Outcome::Disconnected {
                handed_over: true,
                reason: "gone".into(),
            },
        ];
        let mut rig = Setup::idempotent().start();
        let calls = call_log();
        rig.ask(request, &calls);
        rig.run();
        rig.find(kind, key, TRANSACTION_COORDINATOR);
        for (node, outcome) in (10..).zip(outcomes) {
            let at = rig.assert_asked(api, None);
            rig.assert_batches_go_on("while it is under way");
            rig.finish(at, outcome);
            rig.assert_batches_go_on("while it waits");
            rig.assert_waits(BACKOFF);
            rig.assert_batches_go_on("while the coordinator is looked up");
            rig.find(kind, key, node);
            rig.assert_asked(api, Some(node));
        }
        rig.answer(api, 12, OK);
        assert_eq!(read(&calls).last(), Some(&HandlerCall::Code(api, OK)));
        assert_eq!(read(&calls).len(), 4);
        assert_eq!(rig.transactional(), None);
    }
}

/// The coordinator stays the same (TM-15).
#[test]
fn a_request_is_sent_again_when_its_own_wait_is_over_and_no_other_request_overtakes_it() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    rig.ask(add_partitions(), &calls);
    rig.run();
    rig.ask(add_offsets(), &calls);
    for (code, wait) in [
        (ErrorCode::ConcurrentTransactions, CONCURRENT_WAIT),
        (ErrorCode::CoordinatorLoadInProgress, BACKOFF),
    ] {
        rig.answer(ApiKey::AddPartitionsToTxn, TRANSACTION_COORDINATOR, code);
        rig.assert_batches_go_on("while it waits");
        rig.assert_waits(wait);
    }
    rig.answer(ApiKey::AddPartitionsToTxn, TRANSACTION_COORDINATOR, OK);
    rig.answer(ApiKey::AddOffsetsToTxn, TRANSACTION_COORDINATOR, OK);
    assert_eq!(read(&calls).len(), 4);
}

/// In Java the sender thread waits here for up to `request.timeout.ms` (SE-27).
///
/// Java: SenderTest#testNodeNotReady
#[test]
fn a_connecting_coordinator_blocks_no_other_request_and_an_unreachable_one_is_looked_up_again() {
    let calls = call_log();
    let mut rig = Setup::idempotent().start();
    rig.ask(add_partitions(), &calls);
    rig.run();
    rig.client().delay_connection(TRANSACTION_COORDINATOR, true);
    rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
    for _ in 0..3 {
        rig.assert_batches_go_on("while it connects");
        assert_eq!(rig.transactional(), None);
        rig.advance(BACKOFF);
    }
    assert_eq!(read(&calls), []);
    // The connection attempt fails.
    rig.client()
        .delay_connection(TRANSACTION_COORDINATOR, false);
    let long = rig.now() + Duration::from_secs(1000);
    rig.client().set_unreachable(TRANSACTION_COORDINATOR, long);
    rig.run();
    assert!(matches!(
        &read(&calls)[..],
        [HandlerCall::Failed(
            ApiKey::AddPartitionsToTxn,
            RequestFailure::Disconnected(_)
        )]
    ));
    rig.assert_waits(BACKOFF);
    // Brokers still return the old coordinator: the lookup is repeated after the back-off.
    rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
    rig.assert_waits(BACKOFF);
    rig.find(TRANSACTION, "tx", 1);
    rig.answer(ApiKey::AddPartitionsToTxn, 1, OK);
    assert_eq!(read(&calls).len(), 3);
}

#[test]
fn a_coordinator_that_throttles_or_is_busy_stays_the_coordinator() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    let pause = rig.now() + MS(300);
    rig.client().throttle(TRANSACTION_COORDINATOR, pause);
    rig.ask(add_partitions(), &calls);
    rig.assert_waits(MS(300));
    rig.answer(ApiKey::AddPartitionsToTxn, TRANSACTION_COORDINATOR, OK);
    // The coordinator has as many requests in flight as are allowed. The next free slot is for the transactional
    // request, not for another batch.
    rig.client().set_max_in_flight(1);
    rig.ask(commit_offsets("group"), &calls);
    rig.run();
    rig.find(GROUP, "group", 0);
    rig.answer(ApiKey::TxnOffsetCommit, 0, OK);
    let futures = [rig.launch(0, "a"), rig.send(0, "b")];
    rig.ask(commit_offsets("group"), &calls);
    rig.run();
    assert_eq!(rig.transactional(), None);
    rig.respond(ErrorCode::NoError, 0);
    rig.run();
    rig.answer(ApiKey::TxnOffsetCommit, 0, OK);
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!(futures.map(|it| offset(&it)), [Some(0), Some(1)]);
    let recorded = [
        HandlerCall::Code(ApiKey::AddPartitionsToTxn, OK),
        HandlerCall::Code(ApiKey::TxnOffsetCommit, OK),
        HandlerCall::Code(ApiKey::TxnOffsetCommit, OK),
    ];
    assert_eq!(read(&calls), recorded);
}

/// The lookup is repeated after the back-off, and may be sent to any node (TM-16).
#[test]
fn a_look_up_response_without_a_usable_coordinator_repeats_the_look_up() {
    let broken = |change: fn(&mut Coordinator)| {
        let mut it = coordinator(TRANSACTION_COORDINATOR, ErrorCode::NoError);
        change(&mut it);
        found(vec![it])
    };
    let both = [1, 2].map(|node| coordinator(node, ErrorCode::NoError));
    for response in [
        found(vec![coordinator(-1, ErrorCode::CoordinatorNotAvailable)]),
        found(Vec::new()),
        found(both.to_vec()),
        broken(|it| it.key = Some("another".into())),
        broken(|it| it.node_id = -1),
        broken(|it| it.port = 0),
        broken(|it| it.port = 1 << 16),
        broken(|it| it.host = "".into()),
        answer_to(ApiKey::EndTxn, ErrorCode::NoError),
    ] {
        let calls = call_log();
        let mut rig = Setup::idempotent().start();
        rig.ask(add_partitions(), &calls);
        rig.run();
        let at = rig.assert_asked(ApiKey::FindCoordinator, None);
        rig.finish(at, Outcome::Response(response));
        rig.assert_batches_go_on("while it waits");
        rig.assert_waits(BACKOFF);
        rig.lose_transactional();
        rig.assert_waits(BACKOFF);
        rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
        rig.answer(ApiKey::AddPartitionsToTxn, TRANSACTION_COORDINATOR, OK);
        assert_eq!(
            read(&calls),
            [HandlerCall::Code(ApiKey::AddPartitionsToTxn, OK)]
        );
    }
}

impl Rig {
    fn lose_transactional(&mut self) {
        let (_, _, at) = self.transactional().expect("a request under way");
        self.finish(
            at,
            Outcome::Disconnected {
                handed_over: false,
                reason: "gone".into(),
            },
        );
    }
}

/// The effect depends on the requests that need the coordinator: a missing group coordinator makes the transaction
/// abortable, a missing transaction coordinator is fatal.
#[test]
fn a_missing_coordinator_fails_only_the_requests_that_need_it() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    for request in [
        commit_offsets("group"),
        commit_offsets("group"),
        add_offsets(),
    ] {
        rig.ask(request, &calls);
    }
    rig.run();
    rig.find_with(vec![coordinator(-1, ErrorCode::GroupAuthorizationFailed)]);
    rig.answer(ApiKey::AddOffsetsToTxn, TRANSACTION_COORDINATOR, OK);
    let recorded = read(&calls);
    assert_eq!(recorded.len(), 3);
    for recorded in &recorded[..2] {
        assert!(
            matches!(recorded, HandlerCall::Failed(
                ApiKey::TxnOffsetCommit,
                RequestFailure::NoCoordinator { code, message },
            ) if *code == ErrorCode::GroupAuthorizationFailed && message.contains("\"group\"")),
            "{recorded:?}"
        );
    }
    assert_eq!(recorded[2], HandlerCall::Code(ApiKey::AddOffsetsToTxn, OK));
    rig.assert_batches_go_on("afterwards");
}

/// Java would send the offsets to the coordinator of the previous group.
#[test]
fn the_coordinator_of_another_group_is_looked_up() {
    let calls = call_log();
    let mut rig = Setup::idempotent().start();
    for (group, node) in [("a", 7), ("b", 8), ("a", 7)] {
        rig.ask(commit_offsets(group), &calls);
        rig.run();
        rig.find(GROUP, group, node);
        rig.answer(ApiKey::TxnOffsetCommit, node, OK);
    }
    assert_eq!(read(&calls).len(), 3);
}

#[test]
fn a_coordinator_that_is_too_old_or_refuses_the_client_is_reported_by_kind() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    rig.client().set_version(ApiKey::AddOffsetsToTxn, None);
    rig.ask(add_offsets(), &calls);
    rig.run();
    rig.run();
    rig.client()
        .refuse_credentials(TRANSACTION_COORDINATOR, "no");
    rig.ask(end(), &calls);
    rig.run();
    let recorded = read(&calls);
    assert!(
        matches!(&recorded[..], [
            HandlerCall::Failed(ApiKey::AddOffsetsToTxn, RequestFailure::UnsupportedVersion(why)),
            HandlerCall::Failed(ApiKey::EndTxn, RequestFailure::Unauthenticated(no)),
        ] if why.contains("AddOffsetsToTxn") && &**no == "no"),
        "{recorded:?}"
    );
    rig.assert_batches_go_on("afterwards");
}

/// The default handling of an attempt without a response (TM-5, TM-12, TM-14, SE-3).
#[test]
fn by_default_an_unsupported_version_or_refused_credentials_are_fatal() {
    for (ends, code) in [
        (
            Outcome::UnsupportedVersion("too old".into()),
            ErrorCode::UnsupportedVersion,
        ),
        (
            Outcome::Authentication("no".into()),
            ErrorCode::SaslAuthenticationFailed,
        ),
    ] {
        let calls = call_log();
        let mut rig = knowing_the_coordinator(&calls);
        // By default, a request that loses its connection is retried after a lookup of its coordinator.
        let usual = Box::new(Usual(Asked::new(add_offsets(), &calls)));
        rig.transactions().push_request(usual);
        rig.run();
        rig.lose_transactional();
        rig.assert_waits(BACKOFF);
        rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
        rig.ask(add_partitions(), &calls);
        rig.client()
            .set_unreachable(0, Instant::from_nanos(u64::MAX));
        let batch = rig.send(0, "v");
        let at = rig.assert_asked(ApiKey::AddOffsetsToTxn, Some(TRANSACTION_COORDINATOR));
        rig.finish(at, ends);
        let fatal = rig.transactions().fatal_error().cloned();
        let Some(FatalError { code: is, message }) = fatal else {
            panic!("the producer goes on");
        };
        assert_eq!(is, code);
        assert_eq!(
            read(&calls),
            [HandlerCall::GivenUp(ApiKey::AddPartitionsToTxn, message)]
        );
        assert!(error(&batch).kind() != &ProduceErrorKind::DeliveryTimeout);
        rig.run();
        assert_eq!(rig.transactional(), None);
    }
}

/// A graceful close ends the open transaction; a forced close fails the waiting calls.
#[test]
fn a_close_waits_for_awaited_requests_unless_it_is_forced() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    rig.ask(add_offsets(), &calls);
    assert!(!rig.sender.has_work(), "no call waits for it");
    let awaited = Asked {
        is_awaited: true,
        ..Asked::new(end(), &calls)
    };
    rig.transactions().push_request(Box::new(awaited));
    assert!(rig.sender.has_work());
    rig.run();
    rig.answer(ApiKey::AddOffsetsToTxn, TRANSACTION_COORDINATOR, OK);
    rig.assert_asked(ApiKey::EndTxn, Some(TRANSACTION_COORDINATOR));
    rig.ask(commit_offsets("group"), &calls);
    assert!(rig.sender.has_work(), "also while it is under way");
    calls.lock().clear();
    rig.sender.abort_everything();
    assert!(!rig.sender.has_work());
    let recorded = read(&calls);
    assert!(
        matches!(
            &recorded[..],
            [
                HandlerCall::GivenUp(ApiKey::EndTxn, _),
                HandlerCall::GivenUp(ApiKey::TxnOffsetCommit, _)
            ]
        ),
        "{recorded:?}"
    );
}

#[test]
fn a_look_up_without_a_reachable_node_waits_without_blocking_the_sender() {
    let calls = call_log();
    let mut rig = Setup::idempotent().start();
    let until = rig.now() + BACKOFF;
    for node in [0, 1] {
        rig.client().set_unreachable(node, until);
    }
    rig.ask(add_partitions(), &calls);
    rig.assert_waits(BACKOFF);
    rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
    rig.assert_asked(ApiKey::AddPartitionsToTxn, Some(TRANSACTION_COORDINATOR));
}

/// For any responses of the brokers, each request ends once, one is in flight at a time, and batches are still sent.
/// When the faults have ended, all requests end soon.
#[test]
fn in_any_order_of_faults_each_request_ends_once_and_soon_after_the_last_fault() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let calls = call_log();
        let mut rig = Setup::idempotent().start();
        let mut asked = 0;
        for step in 0..200 {
            let is_healed = step >= 100;
            if !is_healed && random.u8(..4) == 0 {
                let kinds = [add_partitions, add_offsets, end, || commit_offsets("group")];
                rig.ask(kinds[random.usize(..4)](), &calls);
                asked += 1;
            }
            let node = random.i32(0..4);
            if !is_healed && random.u8(..8) == 0 {
                let until = rig.now() + MS(random.u64(..500));
                rig.client().set_unreachable(node, until);
            }
            if let Some((_, kind, at)) = rig.transactional() {
                let fault = if is_healed { 9 } else { random.u8(..10) };
                let of_coordinator = kind == ApiKey::FindCoordinator;
                let outcome = match (fault, of_coordinator) {
                    (0, _) => Outcome::Disconnected {
                        handed_over: random.bool(),
                        reason: "gone".into(),
                    },
                    (1, _) => Outcome::UnsupportedVersion("too old".into()),
                    (2, true) => Outcome::Response(found(vec![coordinator(
                        -1,
                        ErrorCode::GroupAuthorizationFailed,
                    )])),
                    (3, true) => Outcome::Response(found(Vec::new())),
                    (_, true) => {
                        let it = coordinator(node, ErrorCode::NoError);
                        Outcome::Response(found(vec![it]))
                    }
                    (2, false) => Outcome::Response(answer_to(kind, ErrorCode::NotCoordinator)),
                    (3, false) => {
                        Outcome::Response(answer_to(kind, ErrorCode::ConcurrentTransactions))
                    }
                    (_, false) => Outcome::Response(answer_to(kind, OK)),
                };
                if is_healed || random.bool() {
                    rig.finish(at, outcome);
                }
            }
            rig.advance(MS(random.u64(..100)));
            rig.run();
            let now = rig.now();
            if random.u8(..4) == 0 && rig.client().is_ready(0, now) {
                rig.assert_batches_go_on("whatever happens to requests");
            }
        }
        let recorded = read(&calls);
        let ended = recorded.iter().filter(|recorded| match recorded {
            HandlerCall::Code(_, code) => *code == OK,
            HandlerCall::Failed(_, failure) => !matches!(failure, RequestFailure::Disconnected(_)),
            HandlerCall::GivenUp(..) => unreachable!("the producer goes on"),
        });
        assert_eq!(ended.count(), asked, "seed {seed}: {recorded:?}");
        assert_eq!(rig.transactional(), None, "seed {seed}");
    }
}
