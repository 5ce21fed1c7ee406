//! Transactions over bytes, as clients send them.

mod coordinators;
mod errors;
mod markers;
mod offsets;
mod release;

use std::time::Duration;

use super::*;
use crate::protocol::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest,
    TopicResult, TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitTopic,
};
use crate::testing::sim::coordinators::CoordinatorKind;
use crate::testing::sim::log::PartitionLog;
use crate::testing::transaction::TransactionState;
use crate::types::ProducerIdAndEpoch;

const ID: &str = "id";
/// The transaction time-out that `init` requests.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A cluster of one node, with its clock.
struct Broker {
    cluster: SimCluster,
    now: Timestamp,
}

impl Broker {
    fn new() -> Self {
        Self::of(KafkaRelease::default())
    }

    fn of(release: KafkaRelease) -> Self {
        Self::with(cluster_of(release, 1))
    }

    fn with(mut cluster: SimCluster) -> Self {
        cluster
            .create_topic("t", 2, TopicSettings::DEFAULT)
            .unwrap();
        Self { cluster, now: NOW }
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    fn ask(&mut self, request: &Request, version: i16) -> Response {
        self.ask_node(0, request, version)
    }

    fn ask_node(&mut self, node: NodeId, request: &Request, version: i16) -> Response {
        let frame = request.encode(version, 42, Some("test")).unwrap();
        let plan = self.cluster.handle(node, &frame.to_payload(), self.now);
        match plan.answer {
            Answer::Reply(reply) => decode(request.api_key(), version, &reply),
            other => panic!("{other:?}"),
        }
    }

    fn init_as(
        &mut self,
        had: ProducerIdAndEpoch,
        version: i16,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        match self.ask(&init_request(had), version) {
            Response::InitProducerId(answer) => match answer.error {
                ErrorCode::NoError => Ok(ProducerIdAndEpoch::new(
                    answer.producer_id,
                    answer.producer_epoch,
                )),
                error => Err(error),
            },
            other => panic!("{other:?}"),
        }
    }

    fn init(&mut self) -> Result<ProducerIdAndEpoch, ErrorCode> {
        self.init_as(ProducerIdAndEpoch::NONE, 1)
    }

    fn add(&mut self, producer: ProducerIdAndEpoch, partitions: &[i32]) -> Vec<ErrorCode> {
        match self.ask(&add_request(ID, producer, &[("t", partitions)]), 2) {
            Response::AddPartitionsToTxn(answer) => codes(&answer.topics),
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, producer: ProducerIdAndEpoch, committed: bool) -> ErrorCode {
        match self.ask(&end_request(ID, producer, committed), 2) {
            Response::EndTxn(answer) => answer.error,
            other => panic!("{other:?}"),
        }
    }

    /// Writes one record to this partition.
    fn write(&mut self, producer: ProducerIdAndEpoch, index: i32, sequence: i32) -> ErrorCode {
        let batch = transactional(producer, sequence);
        self.write_batch(Some(ID), index, batch).error
    }

    fn write_batch(
        &mut self,
        name: Option<&str>,
        index: i32,
        batch: Bytes,
    ) -> PartitionProduceResponse {
        let mut request = produce_request(-1, vec![("t", index, Some(batch))]);
        request.transactional_id = name.map(Arc::from);
        match self.ask(&Request::Produce(request), 9) {
            Response::Produce(mut answer) => answer.topics[0].partitions.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn state(&mut self) -> TransactionState {
        self.cluster.pass_time(self.now);
        self.cluster.transactions().ids.get(ID).unwrap().state()
    }

    fn log(&self, index: i32) -> &PartitionLog {
        &self.cluster.partition("t", index).unwrap().log
    }

    /// Offsets visible to `read_uncommitted` and to `read_committed` consumers.
    fn seen(&mut self, index: i32) -> (Vec<i64>, Vec<i64>) {
        self.cluster.pass_time(self.now);
        let log = self.log(index);
        let offsets = |batch: &crate::testing::StoredBatch| batch.base_offset();
        (
            log.uncommitted().map(offsets).collect(),
            log.committed().map(offsets).collect(),
        )
    }

    fn options(&mut self) -> &mut crate::testing::sim::transactions::SimTransactionOptions {
        &mut self.cluster.transactions_mut().options
    }
}

fn init_request(had: ProducerIdAndEpoch) -> Request {
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: Some(ID.into()),
        transaction_timeout_ms: TIMEOUT.as_millis() as i32,
        producer_id: had.id,
        producer_epoch: had.epoch,
    })
}

fn add_request(id: &str, producer: ProducerIdAndEpoch, topics: &[(&str, &[i32])]) -> Request {
    let topic = |(name, partitions): &(&str, &[i32])| AddPartitionsToTxnTopic {
        name: (*name).into(),
        partitions: partitions.to_vec(),
    };
    Request::AddPartitionsToTxn(Box::new(AddPartitionsToTxnRequest {
        transactional_id: id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        topics: topics.iter().map(topic).collect(),
    }))
}

fn end_request(id: &str, producer: ProducerIdAndEpoch, committed: bool) -> Request {
    Request::EndTxn(EndTxnRequest {
        transactional_id: id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        committed,
    })
}

fn codes(topics: &[TopicResult]) -> Vec<ErrorCode> {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error).collect()
}

fn transactional(producer: ProducerIdAndEpoch, sequence: i32) -> Bytes {
    let spec = BatchSpec::sequenced(producer.id, producer.epoch, sequence, 1);
    BatchSpec {
        attributes: Attributes::default().transactional(true),
        ..spec
    }
    .encode()
}

fn bumped(producer: ProducerIdAndEpoch) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch::new(producer.id, producer.epoch + 1)
}

#[test]
fn a_committed_transaction_is_visible_as_a_whole_after_its_markers() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    assert_eq!(it.state(), TransactionState::Empty);
    assert_eq!(it.add(producer, &[0, 1]), [ErrorCode::NoError; 2]);
    for (index, sequence) in [(0, 0), (1, 0), (0, 1)] {
        assert_eq!(it.write(producer, index, sequence), ErrorCode::NoError);
    }
    let plain = BatchSpec::of(vec![Plain::value("of nobody")]).encode();
    assert_eq!(it.write_batch(None, 0, plain).base_offset, 2);
    assert_eq!(it.state(), TransactionState::Ongoing);
    assert_eq!(it.seen(0), (vec![0, 1, 2], vec![]));
    assert_eq!(it.log(0).last_stable_offset(), 0);

    assert_eq!(it.end(producer, true), ErrorCode::NoError);
    assert_eq!(it.state(), TransactionState::CompleteCommit);
    assert_eq!(it.seen(0), (vec![0, 1, 2], vec![0, 1, 2]));
    assert_eq!(it.seen(1), (vec![0], vec![0]));
    let marker = it.log(0).batches().last().unwrap();
    assert!(marker.is_control() && marker.is_transactional());
    assert_eq!(marker.base_offset(), 3);
    assert_eq!(marker.producer().map(|stamp| stamp.id), Some(producer.id));
    let log = it.log(0);
    assert_eq!((log.next_offset(), log.last_stable_offset()), (4, 4));
    assert_eq!((log.size().records, log.size().batches), (3, 3));
    assert!(log.aborted_transactions().is_empty());
}

#[test]
fn an_aborted_transaction_is_invisible_to_read_committed() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    for (sequence, committed) in [(0, false), (1, true), (2, false)] {
        it.add(producer, &[0]);
        assert_eq!(it.write(producer, 0, sequence), ErrorCode::NoError);
        assert_eq!(it.end(producer, committed), ErrorCode::NoError);
    }
    assert_eq!(it.seen(0), (vec![0, 2, 4], vec![2]));
    let aborted = it.log(0).aborted_transactions().iter();
    let aborted = aborted.map(|it| (it.producer_id, it.first_offset, it.last_offset));
    let id = producer.id;
    assert_eq!(aborted.collect::<Vec<_>>(), [(id, 0, 1), (id, 4, 5)]);
    assert_eq!(it.state(), TransactionState::CompleteAbort);
}

#[test]
fn records_after_an_open_transaction_wait_for_its_end() {
    let mut it = Broker::new();
    let first = it.init().unwrap();
    it.add(first, &[0]);
    it.write(first, 0, 0);
    let request = InitProducerIdRequest {
        transactional_id: Some("other".into()),
        transaction_timeout_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
    };
    let Response::InitProducerId(given) = it.ask(&Request::InitProducerId(request), 4) else {
        panic!()
    };
    let other = ProducerIdAndEpoch::new(given.producer_id, given.producer_epoch);
    it.ask(&add_request("other", other, &[("t", &[0])]), 3);
    it.write_batch(Some("other"), 0, transactional(other, 0));
    it.ask(&end_request("other", other, true), 3);
    assert_eq!(it.seen(0), (vec![0, 1], vec![]));
    it.end(first, false);
    assert_eq!(it.seen(0), (vec![0, 1], vec![1]));
}

#[test]
fn the_next_producer_of_an_id_aborts_the_open_transaction_and_fences_its_producer() {
    let mut it = Broker::new();
    let old = it.init().unwrap();
    it.add(old, &[0]);
    it.write(old, 0, 0);
    assert_eq!(it.init(), Err(ErrorCode::ConcurrentTransactions));
    let new = it.init().unwrap();
    assert_eq!(new, bumped(bumped(old)));
    assert_eq!(it.seen(0), (vec![0], vec![]));
    assert_eq!(it.write(old, 0, 1), ErrorCode::InvalidProducerEpoch);
    assert_eq!(it.add(old, &[0]), [ErrorCode::ProducerFenced]);
    assert_eq!(it.end(old, true), ErrorCode::ProducerFenced);
    assert_eq!(
        it.init_as(old, 4),
        Err(ErrorCode::ProducerFenced),
        "nor does it get the id back"
    );
    it.add(new, &[0]);
    assert_eq!(it.write(new, 0, 0), ErrorCode::NoError);
    it.end(new, true);
    assert_eq!(it.seen(0), (vec![0, 2], vec![2]));
}

#[test]
fn a_transaction_that_times_out_is_aborted_and_its_producer_fenced() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    it.wait(TIMEOUT * 2);
    assert_eq!(it.add(producer, &[0]), [ErrorCode::NoError], "it was idle");
    it.write(producer, 0, 0);
    it.wait(TIMEOUT);
    assert_eq!(it.state(), TransactionState::Ongoing);
    it.wait(Duration::from_millis(1));
    assert_eq!(it.state(), TransactionState::CompleteAbort);
    assert_eq!(it.seen(0), (vec![0], vec![]));
    assert_eq!(it.write(producer, 0, 1), ErrorCode::InvalidProducerEpoch);
    assert_eq!(it.end(producer, true), ErrorCode::ProducerFenced);
    assert_eq!(it.init().unwrap(), bumped(bumped(producer)));
}

#[test]
fn a_producer_bumps_its_epoch_and_starts_again_at_sequence_0() {
    let mut it = Broker::new();
    let first = it.init().unwrap();
    it.add(first, &[0]);
    it.write(first, 0, 0);
    it.end(first, false);
    let next = it.init_as(first, 3).unwrap();
    assert_eq!(next, bumped(first));
    assert_eq!(it.init_as(first, 3), Ok(next), "the answer was lost");
    it.add(next, &[0]);
    assert_eq!(it.write(next, 0, 1), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(it.write(next, 0, 0), ErrorCode::NoError);
    assert_eq!(it.write(first, 0, 1), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn a_transactional_producer_cannot_write_outside_a_transaction() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    it.add(producer, &[0]);
    it.write(producer, 0, 0);
    let outside = BatchSpec::sequenced(producer.id, producer.epoch, 1, 1).encode();
    let answer = it.write_batch(Some(ID), 0, outside.clone());
    assert_eq!(answer.error, ErrorCode::InvalidTxnState);
    it.end(producer, true);
    let answer = it.write_batch(Some(ID), 0, outside);
    assert_eq!(answer.error, ErrorCode::NoError);
}

#[test]
fn a_batch_for_a_partition_not_added_is_refused_only_by_verifying_brokers() {
    for verify in [false, true] {
        let mut it = Broker::new();
        it.options().verify = verify;
        let producer = it.init().unwrap();
        it.add(producer, &[0]);
        let expected = if verify {
            ErrorCode::InvalidTxnState
        } else {
            ErrorCode::NoError
        };
        assert_eq!(it.write(producer, 1, 0), expected);
        assert_eq!(it.write(producer, 0, 0), ErrorCode::NoError);
        // Only the first batch of a transaction is verified.
        assert_eq!(it.write(producer, 0, 1), ErrorCode::NoError);
        it.end(producer, true);
        assert_eq!(it.write(producer, 0, 2), expected);
        let plain = BatchSpec::of(vec![Plain::value("a")]).encode();
        assert_eq!(it.write_batch(None, 1, plain).error, ErrorCode::NoError);
    }
}
