//! Transactions over sockets.

use super::*;
use crate::ErrorCode;
use crate::protocol::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest,
    InitProducerIdRequest, TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitTopic,
};
use crate::record::format::Attributes;
use crate::testing::TransactionState;
use crate::types::TopicPartition;

const ID: &str = "id";
const GROUP: &str = "g";

/// A producer that sends one request at a time.
struct Client {
    stream: TcpStream,
    id: i64,
    epoch: i16,
}

impl Client {
    fn new(cluster: &TestCluster, node: NodeId) -> Self {
        Self {
            stream: connect(cluster, node),
            id: -1,
            epoch: -1,
        }
    }

    fn ask(&mut self, request: &Request) -> Response {
        let (api, version) = (request.api_key(), request.api_key().max_version());
        send(&mut self.stream, request, version, 5);
        receive(&mut self.stream, api, version, 5)
    }

    fn init(&mut self, timeout: Duration) -> ErrorCode {
        let request = InitProducerIdRequest {
            transactional_id: Some(ID.into()),
            transaction_timeout_ms: timeout.as_millis() as i32,
            producer_id: -1,
            producer_epoch: -1,
        };
        let Response::InitProducerId(answer) = self.ask(&Request::InitProducerId(request)) else {
            panic!()
        };
        (self.id, self.epoch) = (answer.producer_id, answer.producer_epoch);
        answer.error
    }

    fn add(&mut self) -> ErrorCode {
        let request = AddPartitionsToTxnRequest {
            transactional_id: ID.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            topics: vec![AddPartitionsToTxnTopic {
                name: "t".into(),
                partitions: vec![0],
            }],
        };
        match self.ask(&Request::AddPartitionsToTxn(Box::new(request))) {
            Response::AddPartitionsToTxn(answer) => answer.topics[0].partitions[0].error,
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, sequence: i32) -> ErrorCode {
        let batch = BatchSpec {
            attributes: Attributes::default().transactional(true),
            ..BatchSpec::sequenced(self.id, self.epoch, sequence, 1)
        };
        let Request::Produce(request) = produce("t", 0, -1, &batch) else {
            panic!()
        };
        let request = ProduceRequest {
            transactional_id: Some(ID.into()),
            ..request
        };
        match self.ask(&Request::Produce(request)) {
            Response::Produce(answer) => answer.topics[0].partitions[0].error,
            other => panic!("{other:?}"),
        }
    }

    fn commit_offset(&mut self, offset: i64, generation: i32) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: ID.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            group_id: GROUP.into(),
        };
        self.ask(&Request::AddOffsetsToTxn(Box::new(request)));
        let request = TxnOffsetCommitRequest {
            transactional_id: ID.into(),
            group_id: GROUP.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            generation_id: generation,
            member_id: "m".into(),
            group_instance_id: None,
            topics: vec![TxnOffsetCommitTopic {
                name: "t".into(),
                partitions: vec![TxnOffsetCommitPartition {
                    index: 0,
                    offset,
                    leader_epoch: 3,
                    metadata: Some("m".into()),
                }],
            }],
        };
        match self.ask(&Request::TxnOffsetCommit(Box::new(request))) {
            Response::TxnOffsetCommit(answer) => answer.topics[0].partitions[0].error,
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, committed: bool) -> ErrorCode {
        let request = EndTxnRequest {
            transactional_id: ID.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
        };
        match self.ask(&Request::EndTxn(request)) {
            Response::EndTxn(answer) => answer.error,
            other => panic!("{other:?}"),
        }
    }
}

fn offsets(records: &[StoredRecord]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

#[test]
fn the_results_of_transactions_can_be_read() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let mut client = Client::new(&cluster, 0);
    assert_eq!(cluster.transaction(ID), None);
    assert_eq!(client.init(Duration::from_secs(60)), ErrorCode::NoError);
    let known = cluster.transaction(ID).unwrap();
    assert_eq!(known.state, TransactionState::Empty);
    assert_eq!(
        (known.producer_id, known.producer_epoch),
        (client.id, client.epoch)
    );
    assert_eq!(known.timeout, Duration::from_secs(60));

    let place = TopicPartition::new("t", 0);
    for (sequence, committed) in [(0, true), (1, false)] {
        client.add();
        assert_eq!(client.write(sequence), ErrorCode::NoError);
        let offset = i64::from(sequence);
        assert_eq!(client.commit_offset(offset, 1), ErrorCode::NoError);
        let known = cluster.transaction(ID).unwrap();
        assert_eq!(known.state, TransactionState::Ongoing);
        assert!(known.partitions.contains(&place) && known.groups.contains(GROUP));
        let pending = cluster.pending_offsets(GROUP);
        assert_eq!(pending[&client.id][&place].offset, offset);
        assert_eq!(cluster.last_stable_offset("t", 0), Some(2 * offset));
        assert_eq!(client.end(committed), ErrorCode::NoError);
    }
    assert_eq!(offsets(&cluster.records("t", 0)), [0, 2]);
    assert_eq!(offsets(&cluster.read_committed("t", 0)), [0]);
    assert_eq!(cluster.last_stable_offset("t", 0), Some(4));
    let aborted = cluster.aborted_transactions("t", 0);
    assert_eq!((aborted.len(), aborted[0].first_offset), (1, 2));
    let markers = cluster.batches("t", 0);
    let markers: Vec<_> = markers.iter().map(StoredBatch::is_control).collect();
    assert_eq!(markers, [false, true, false, true]);
    let summary = cluster.summary("t", 0).unwrap();
    assert_eq!((summary.records, summary.next_offset), (2, 4));
    let committed = cluster.committed_offsets(GROUP);
    let committed = &committed[&place];
    assert_eq!((committed.offset, committed.leader_epoch), (0, 3));
    assert_eq!(&*committed.metadata, "m");
    assert!(cluster.pending_offsets(GROUP).is_empty());

    assert!(cluster.read_committed("none", 0).is_empty());
    assert!(cluster.aborted_transactions("none", 0).is_empty());
    assert_eq!(cluster.last_stable_offset("t", 1), None);
}

#[test]
fn markers_are_delayed_until_a_test_releases_them() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    cluster.delay_markers(Duration::MAX);
    let mut client = Client::new(&cluster, 0);
    client.init(Duration::from_secs(60));
    client.add();
    client.write(0);
    client.end(true);
    let state = || cluster.transaction(ID).unwrap().state;
    assert_eq!(state(), TransactionState::PrepareCommit);
    assert_eq!(client.add(), ErrorCode::ConcurrentTransactions);
    assert!(cluster.read_committed("t", 0).is_empty());
    cluster.delay_markers(Duration::ZERO);
    assert_eq!(state(), TransactionState::CompleteCommit);
    assert_eq!(cluster.read_committed("t", 0).len(), 1);
}

#[test]
fn moved_coordinators_load_for_the_configured_time() {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("t", 1)
        .start()
        .unwrap();
    let first = cluster.transaction_coordinator(ID).unwrap();
    let mut client = Client::new(&cluster, first);
    client.init(Duration::from_secs(60));
    cluster.move_transaction_coordinator(ID, 1 - first).unwrap();
    assert_eq!(cluster.transaction_coordinator(ID), Some(1 - first));
    assert_eq!(client.add(), ErrorCode::NotCoordinator);
    cluster.set_coordinator_load_time(Duration::MAX);
    cluster.move_transaction_coordinator(ID, first).unwrap();
    assert_eq!(client.add(), ErrorCode::CoordinatorLoadInProgress);
    cluster.move_group_coordinator(GROUP, 1).unwrap();
    assert_eq!(cluster.group_coordinator(GROUP), Some(1));
    cluster.stop_node(1);
    assert!(matches!(
        cluster.move_group_coordinator(GROUP, 2),
        Err(TestClusterError::NoSuchNode(2))
    ));
}

#[test]
fn verification_timeout_limit_and_members_are_configurable() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .verify_transactions(true)
        .transaction_max_timeout(Duration::from_secs(9))
        .start()
        .unwrap();
    let mut client = Client::new(&cluster, 0);
    let too_long = client.init(Duration::from_secs(10));
    assert_eq!(too_long, ErrorCode::InvalidTransactionTimeout);
    assert_eq!(client.init(Duration::from_secs(9)), ErrorCode::NoError);
    assert_eq!(client.write(0), ErrorCode::InvalidTxnState);
    client.add();
    assert_eq!(client.write(0), ErrorCode::NoError);
    cluster.set_group_members(GROUP, 4, &[("m", None)]);
    assert_eq!(client.commit_offset(1, 3), ErrorCode::IllegalGeneration);
    assert_eq!(client.commit_offset(1, 4), ErrorCode::NoError);
}

#[test]
fn a_transaction_that_is_not_ended_is_aborted_after_its_timeout() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let mut client = Client::new(&cluster, 0);
    let wait = |state, timeout| cluster.wait_for_transaction(ID, state, timeout);
    let nothing = wait(TransactionState::Empty, Duration::ZERO).unwrap_err();
    let text = "no producer was initialized with the transactional id \"id\" by now";
    assert_eq!(nothing.to_string(), text);
    client.init(Duration::from_millis(20));
    client.add();
    let early = wait(TransactionState::CompleteCommit, Duration::ZERO).unwrap_err();
    assert!(
        early.to_string().ends_with("by now, not CompleteCommit"),
        "{early}"
    );
    let known = wait(TransactionState::CompleteAbort, Duration::from_secs(60)).unwrap();
    assert_eq!(known.producer_epoch, client.epoch + 1);
    assert_eq!(client.end(true), ErrorCode::ProducerFenced);
}
