use super::*;
use crate::clock::Clock;
use crate::internals::simulation::{BrokersOptions, NetworkOptions};
use crate::protocol::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, BatchHead,
    EndTxnRequest, InitProducerIdRequest, MemoryRecords, PartitionProduceData, ProduceRequest,
    Request, TopicProduceData, TxnOffsetCommitPartition, TxnOffsetCommitRequest,
    TxnOffsetCommitTopic,
};
use crate::record::batch::fixture::{BatchSpec, Plain};
use crate::record::format::Attributes;
use crate::testing::KafkaRelease;
use crate::testing::sim::journal::BrokerEvent;

const ID: &str = "id";
/// The id of a world's first producer.
const PRODUCER: i64 = 1000;

fn world() -> World {
    let network = NetworkOptions {
        connect_us: 0,
        latency_us: 1000,
        capacity: 64 * 1024,
        splits: false,
        short_read_drains: true,
        spurious_percent: 0,
        at_once_percent: 0,
    };
    let brokers = BrokersOptions {
        verify_transactions: false,
        nodes: 2,
        release: KafkaRelease::V3_0,
        replication: 2,
        auto_create_topics: false,
        by_name: false,
        first_epoch: 0,
        sasl: None,
        #[cfg(feature = "tls-no-provider")]
        tls: None,
    };
    let world = World::new(&network, &brokers, 1);
    assert!(world.create_topic("t", 1, false, None));
    world.move_transaction_coordinator(ID, 0);
    world.move_group_coordinator("g", 0);
    world
}

/// Sends a request to node 0. The response is checked elsewhere.
fn ask(world: &World, request: &Request) {
    let version = request.api_key().max_version();
    let frame = request.encode(version, 1, None).unwrap().to_payload();
    let now = world.clock.timestamp();
    world.carrier.with(|cluster| cluster.handle(0, &frame, now));
}

fn init(world: &World) {
    let request = InitProducerIdRequest {
        transactional_id: Some(ID.into()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    ask(world, &Request::InitProducerId(request));
}

/// Runs a transaction with one record and one committed offset, both with this number.
fn transaction(world: &World, number: u64, sequence: i32, committed: bool) {
    let add = AddPartitionsToTxnRequest {
        transactional_id: ID.into(),
        producer_id: PRODUCER,
        producer_epoch: 0,
        topics: vec![AddPartitionsToTxnTopic {
            name: "t".into(),
            partitions: vec![0],
        }],
    };
    ask(world, &Request::AddPartitionsToTxn(Box::new(add)));
    let add = AddOffsetsToTxnRequest {
        transactional_id: ID.into(),
        producer_id: PRODUCER,
        producer_epoch: 0,
        group_id: "g".into(),
    };
    ask(world, &Request::AddOffsetsToTxn(Box::new(add)));
    let batch = BatchSpec {
        attributes: Attributes::default().transactional(true),
        records: vec![Plain::value(number.to_be_bytes())],
        ..BatchSpec::sequenced(PRODUCER, 0, sequence, 1)
    };
    let records = MemoryRecords {
        head: BatchHead::EMPTY,
        body: batch.encode(),
    };
    let produce = ProduceRequest {
        transactional_id: Some(ID.into()),
        acks: -1,
        timeout_ms: 1000,
        topics: vec![TopicProduceData {
            name: "t".into(),
            partitions: vec![PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
        }],
    };
    ask(world, &Request::Produce(produce));
    let commit = TxnOffsetCommitRequest {
        transactional_id: ID.into(),
        group_id: "g".into(),
        producer_id: PRODUCER,
        producer_epoch: 0,
        generation_id: -1,
        member_id: "".into(),
        group_instance_id: None,
        topics: vec![TxnOffsetCommitTopic {
            name: "t".into(),
            partitions: vec![TxnOffsetCommitPartition {
                index: 0,
                offset: number as i64,
                leader_epoch: -1,
                metadata: None,
            }],
        }],
    };
    ask(world, &Request::TxnOffsetCommit(Box::new(commit)));
    end(world, committed);
}

fn end(world: &World, committed: bool) {
    let end = EndTxnRequest {
        transactional_id: ID.into(),
        producer_id: PRODUCER,
        producer_epoch: 0,
        committed,
    };
    ask(world, &Request::EndTxn(end));
}

#[test]
fn results_of_transactions_are_visible_and_reported() {
    let world = world();
    assert_eq!(world.transaction_state(ID), None);
    init(&world);
    transaction(&world, 7, 0, true);
    transaction(&world, 8, 1, false);
    assert_eq!(world.read_uncommitted("t", 0), [(0, 7), (2, 8)]);
    assert_eq!(world.read_committed("t", 0), [(0, 7)]);
    assert_eq!(world.last_stable_offset("t", 0), Some(4));
    assert_eq!(world.committed_offsets("g"), [("t".to_owned(), 0, 7)]);
    let news = world.take_news().into_iter();
    let of_transactions = news.filter_map(|news| match news.what {
        BrokerEvent::Appended {
            base_offset,
            transactional: true,
            ..
        } => Some(("record", base_offset, true)),
        BrokerEvent::Marker {
            offset,
            producer_id: PRODUCER,
            epoch: 0,
            committed,
            ..
        } => Some(("marker", offset, committed)),
        BrokerEvent::OffsetsCommitted {
            producer_id: PRODUCER,
            offsets,
            ..
        } => Some(("offsets", offsets.len() as i64, true)),
        _ => None,
    });
    let expected = [
        ("record", 0, true),
        ("marker", 1, true),
        ("offsets", 1, true),
        ("record", 2, true),
        ("marker", 3, false),
    ];
    assert_eq!(of_transactions.collect::<Vec<_>>(), expected);
}

#[test]
fn markers_are_delayed_until_the_world_is_healed() {
    let world = world();
    init(&world);
    world.delay_markers(50);
    transaction(&world, 7, 0, true);
    let state = || world.transaction_state(ID);
    assert_eq!(state(), Some(TransactionState::PrepareCommit));
    assert!(world.read_committed("t", 0).is_empty());
    assert_eq!(world.next_event(), Some(Duration::from_millis(50)));
    world.advance_to(Duration::from_millis(50));
    world.take_news();
    world.do_what_is_due();
    let news = world.take_news();
    assert!(
        news.iter()
            .any(|news| matches!(news.what, BrokerEvent::Marker { .. })
                && news.at == Duration::from_millis(50)),
        "{news:?}"
    );
    assert_eq!(state(), Some(TransactionState::CompleteCommit));
    transaction(&world, 8, 1, true);
    assert_eq!(state(), Some(TransactionState::PrepareCommit));
    world.heal();
    assert_eq!(state(), Some(TransactionState::CompleteCommit));
}

#[test]
fn a_moved_coordinator_loads_for_the_configured_time() {
    let world = world();
    init(&world);
    world.delay_markers(5);
    transaction(&world, 7, 0, true);
    world.load_coordinators_for(50);
    world.move_transaction_coordinator(ID, 1);
    world.advance_to(Duration::from_millis(49));
    let state = || world.transaction_state(ID);
    assert_eq!(state(), Some(TransactionState::PrepareCommit));
    world.advance_to(Duration::from_millis(50));
    assert_eq!(state(), Some(TransactionState::CompleteCommit));
    // Node 0 is not the coordinator any more.
    init(&world);
    assert_eq!(state(), Some(TransactionState::CompleteCommit));
}

#[test]
fn a_rebuilt_cluster_has_no_transactions() {
    let world = world();
    init(&world);
    transaction(&world, 7, 0, true);
    world.rebuild();
    assert_eq!(world.transaction_state(ID), None);
    assert!(world.committed_offsets("g").is_empty());
    assert!(world.read_uncommitted("t", 0).is_empty());
}
