//! Transactions: the calls of an application and the sender are stepped by hand, with a client that returns scripted
//! responses. Counterparts of Kafka's `TransactionManagerTest`.

mod calls;
mod ending;
mod errors;
mod init;
mod lanes;
mod late;
mod offsets;
mod partitions;
mod sequences;

use super::calls::{MAX_BLOCK, ProducerRig, step};
use super::*;
use crate::error::{SendError, TransactionError, TransactionErrorKind};
use crate::producer::record::ProducerRecord;
use crate::producer::transaction::{Operation, TransactionManagerState};
use crate::protocol::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, ApiKey, Coordinator, EndTxnResponse,
    FindCoordinatorResponse, PartitionResult, TopicResult, TxnOffsetCommitResponse,
};
use crate::types::{ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition};

const ID: &str = "tx";
const COORDINATOR: NodeId = 5;
const GROUP_COORDINATOR: NodeId = 6;
const OK: ErrorCode = ErrorCode::NoError;

/// A transactional producer whose coordinators return the responses that a test sets, and success otherwise.
struct Tx {
    stepped: ProducerRig,
    epoch: i16,
}

impl Tx {
    /// A producer that is not initialized yet.
    fn new() -> Self {
        Self::of(|_| {})
    }

    fn of(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            transactional_id: Some(ID.into()),
            ..Setup::idempotent()
        };
        change(&mut setup);
        Self {
            stepped: ProducerRig::of(setup.build()),
            epoch: 0,
        }
    }

    /// An initialized producer.
    fn ready() -> Self {
        Self::new().initialized()
    }

    fn initialized(mut self) -> Self {
        assert_eq!(self.run_call(Operation::Init), Ok(()));
        assert_eq!(self.state(), TransactionManagerState::Ready);
        self.stepped.rig.client().forget_sent();
        self
    }

    /// A producer with an open transaction.
    fn begun() -> Self {
        let tx = Self::ready();
        assert_eq!(tx.stepped.producer.begin_transaction(), Ok(()));
        tx
    }

    fn state(&self) -> TransactionManagerState {
        let transactions = self.stepped.rig.sender.transactions.as_ref();
        let transactions = transactions.expect("it is idempotent").transactions();
        transactions.expect("it is transactional").state()
    }

    fn rig(&mut self) -> &mut Rig {
        &mut self.stepped.rig
    }

    /// Sends a record as an application does.
    fn send(&self, partition: i32, value: &str) -> Result<FutureRecordMetadata, SendError> {
        let record = ProducerRecord::new(TOPIC, value).with_partition(partition);
        let mut call = self
            .stepped
            .producer
            .send_call(&record, Headers::new(), None);
        step(&mut call).expect("it has nothing to wait for")
    }

    /// As `send`, but drops the future.
    fn put(&self, partition: i32, value: &str) {
        drop(self.send(partition, value).expect("taken"));
    }

    /// The transactional request in flight: its kind, its node, and its index among all requests in flight.
    fn asked(&mut self) -> Option<(ApiKey, NodeId, usize)> {
        let requests = self.rig().client().requests().iter().enumerate();
        let mut found = requests.filter_map(|(at, request)| {
            let is_transactional = matches!(request.tag, Completion::Transaction(_));
            is_transactional.then(|| (request.request.api_key(), request.node, at))
        });
        let first = found.next();
        assert!(found.next().is_none(), "one at a time");
        first
    }

    /// Steps until a request of that kind is in flight; all requests before it succeed.
    fn until_asked(&mut self, kind: ApiKey) -> usize {
        for _ in 0..30 {
            match self.asked() {
                Some((is, _, at)) if is == kind => return at,
                Some((_, _, at)) => self.answer_at(at, OK),
                None => {}
            }
            self.rig().run();
            self.pass_pauses();
        }
        panic!("{kind} was not asked for; state {:?}", self.state());
    }

    /// Steps until a request of that kind is in flight, and answers it with the code.
    fn answer(&mut self, kind: ApiKey, code: ErrorCode) {
        let at = self.until_asked(kind);
        self.answer_at(at, code);
    }

    fn answer_at(&mut self, at: usize, code: ErrorCode) {
        let epoch = self.epoch;
        let request = &self.rig().client().requests()[at].request;
        let response = answer_to(request, code, epoch);
        if matches!(request, Request::InitProducerId(_)) && code == OK {
            self.epoch += 1;
        }
        self.finish(at, Outcome::Response(response));
    }

    /// Steps until a request of that kind is in flight, and answers it with a code for each of its partitions.
    fn answer_each(&mut self, kind: ApiKey, codes: &[ErrorCode]) {
        let at = self.until_asked(kind);
        let epoch = self.epoch;
        let mut response = answer_to(&self.rig().client().requests()[at].request, OK, epoch);
        let topics = match &mut response {
            Response::AddPartitionsToTxn(it) => &mut it.topics,
            Response::TxnOffsetCommit(it) => &mut it.topics,
            other => panic!("it is of no partitions: {other:?}"),
        };
        let results: Vec<_> = topics
            .iter_mut()
            .flat_map(|it| &mut it.partitions)
            .collect();
        assert_eq!(results.len(), codes.len());
        for (result, code) in results.into_iter().zip(codes) {
            result.error = *code;
        }
        self.finish(at, Outcome::Response(response));
    }

    fn finish(&mut self, at: usize, outcome: Outcome) {
        let now = self.rig().now();
        self.rig().client().finish(at, outcome, now);
        self.rig().run();
        self.rig().run();
    }

    /// The indices of the Produce requests in flight.
    fn produces(&mut self) -> Vec<usize> {
        let requests = self.rig().client().requests().iter().enumerate();
        let produces = requests.filter(|(_, it)| matches!(it.tag, Completion::Produce(_)));
        produces.map(|(at, _)| at).collect()
    }

    /// Answers the oldest Produce in flight, which is for partition 0.
    fn respond(&mut self, code: ErrorCode, offset: i64) {
        self.respond_from(code, offset, 0);
    }

    /// As `respond`, with the log start offset of the partition.
    fn respond_from(&mut self, code: ErrorCode, offset: i64, log_start: i64) {
        let at = self.produces()[0];
        let mut answer = partition_response(0, code, offset);
        answer.log_start_offset = log_start;
        self.finish(at, Outcome::Response(produce_response(vec![answer])));
    }

    /// Acknowledges the oldest Produce in flight.
    fn acknowledge(&mut self) {
        let at = self.produces()[0];
        let Request::Produce(request) = &self.rig().client().requests()[at].request else {
            unreachable!("of that kind");
        };
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        let answers = partitions
            .map(|it| partition_response(it.index, OK, 0))
            .collect();
        self.finish(at, Outcome::Response(produce_response(answers)));
    }

    fn lose(&mut self, kind: ApiKey) {
        let at = self.until_asked(kind);
        self.finish(at, lost());
    }

    fn pass_pauses(&mut self) {
        self.rig().advance(BACKOFF);
        self.rig().run();
    }

    /// Lets all requests succeed, also Produce, until none is in flight.
    fn settle(&mut self) {
        for _ in 0..30 {
            self.rig().run();
            if let Some((_, _, at)) = self.asked() {
                self.answer_at(at, OK);
            } else if !self.produces().is_empty() {
                self.acknowledge();
            } else {
                self.pass_pauses();
                if self.rig().client().requests().is_empty() {
                    return;
                }
            }
        }
    }

    /// Runs a call whose requests all succeed.
    fn run_call(&mut self, operation: Operation) -> Result<(), TransactionError> {
        let result = self.try_call(operation, Self::settle);
        result.expect("the call ends")
    }

    /// Begins a call, runs `meanwhile`, and returns the result of the call, if it has ended.
    fn try_call(
        &mut self,
        operation: Operation,
        meanwhile: impl FnOnce(&mut Self),
    ) -> Option<Result<(), TransactionError>> {
        let first = step(
            &mut self
                .stepped
                .producer
                .transaction_call(operation.clone(), None),
        );
        if first.is_some() {
            return first;
        }
        meanwhile(self);
        // A repeated call resumes the first one.
        step(&mut self.stepped.producer.transaction_call(operation, None))
    }

    /// The error of a call that is refused at once.
    fn refused(&self, operation: Operation) -> TransactionError {
        let outcome = step(&mut self.stepped.producer.transaction_call(operation, None));
        outcome.expect("at once").expect_err("it is refused")
    }

    /// Closes the producer by force, like a `close` that has timed out.
    fn close_by_force(&mut self) {
        let control = &self.rig().shared.control;
        control.close();
        control.force();
        self.rig().sender.run_until_closed();
    }

    /// The kinds of the requests sent since the last `forget_sent`, in order.
    fn kinds(&mut self) -> Vec<ApiKey> {
        let sent = self.rig().client().sent().iter();
        sent.map(|(_, request)| request.api_key()).collect()
    }

    /// The newest request of that kind.
    fn last(&mut self, kind: ApiKey) -> Request {
        let sent = self.rig().client().sent().iter().rev();
        let mut of_kind = sent.filter(|(_, request)| request.api_key() == kind);
        let (_, request) = of_kind.next().expect("one was sent");
        request.clone()
    }
}

/// The outcome of a request whose connection was lost.
fn lost() -> Outcome {
    Outcome::Disconnected {
        handed_over: true,
        reason: "gone".into(),
    }
}

fn answer_to(request: &Request, error: ErrorCode, epoch: i16) -> Response {
    let throttle_time_ms = 0;
    match request {
        Request::FindCoordinator(it) => {
            let node_id = match it.coordinator_type {
                crate::protocol::CoordinatorType::GROUP => GROUP_COORDINATOR,
                _ => COORDINATOR,
            };
            Response::FindCoordinator(FindCoordinatorResponse {
                throttle_time_ms,
                coordinators: vec![Coordinator {
                    key: None,
                    node_id,
                    host: "coordinator".into(),
                    port: 9092,
                    error,
                    error_message: None,
                }],
            })
        }
        Request::InitProducerId(_) => init_response(error, PRODUCER_ID, epoch),
        Request::AddPartitionsToTxn(it) => {
            let topics = it.topics.iter().map(|topic| TopicResult {
                name: Arc::clone(&topic.name),
                partitions: topic
                    .partitions
                    .iter()
                    .map(|&index| PartitionResult { index, error })
                    .collect(),
            });
            Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
                throttle_time_ms,
                topics: topics.collect(),
            })
        }
        Request::AddOffsetsToTxn(_) => Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
            throttle_time_ms,
            error,
        }),
        Request::TxnOffsetCommit(it) => {
            let topics = it.topics.iter().map(|topic| TopicResult {
                name: Arc::clone(&topic.name),
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| PartitionResult {
                        index: partition.index,
                        error,
                    })
                    .collect(),
            });
            Response::TxnOffsetCommit(TxnOffsetCommitResponse {
                throttle_time_ms,
                topics: topics.collect(),
            })
        }
        Request::EndTxn(_) => Response::EndTxn(EndTxnResponse {
            throttle_time_ms,
            error,
        }),
        other => panic!("no request of a transaction: {other:?}"),
    }
}

/// Offsets of one partition.
fn offsets(offset: i64) -> Operation {
    let name = TopicPartition::new("input", 0);
    let offsets = crate::producer::transaction::OffsetsToCommit::new(
        ConsumerGroupMetadata::new("group"),
        [(name, OffsetAndMetadata::new(offset))],
    );
    Operation::SendOffsets(Arc::new(offsets))
}
