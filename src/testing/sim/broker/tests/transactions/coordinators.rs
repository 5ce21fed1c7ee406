//! Finding coordinators, moving them, and coordinators that are down, loading or hung.

use super::*;
use crate::protocol::{Coordinator, CoordinatorType, FindCoordinatorRequest};

const KIND: CoordinatorKind = CoordinatorKind::Transaction;

fn find(
    it: &mut Broker,
    node: NodeId,
    kind: CoordinatorType,
    keys: &[&str],
    version: i16,
) -> Vec<Coordinator> {
    let request = Request::FindCoordinator(FindCoordinatorRequest {
        coordinator_type: kind,
        keys: keys.iter().map(|key| Arc::from(*key)).collect(),
    });
    match it.ask_node(node, &request, version) {
        Response::FindCoordinator(answer) => answer.coordinators,
        other => panic!("{other:?}"),
    }
}

fn end_on(it: &mut Broker, node: NodeId, producer: ProducerIdAndEpoch) -> ErrorCode {
    match it.ask_node(node, &end_request(ID, producer, true), 3) {
        Response::EndTxn(answer) => answer.error,
        other => panic!("{other:?}"),
    }
}

fn copied(copies: usize) -> Broker {
    let mut options = cluster(1).options;
    options.replication_factor = copies;
    Broker::with(with_options(options, 3))
}

/// A transaction in progress, coordinated by node 0.
fn with_ongoing(copies: usize) -> (Broker, ProducerIdAndEpoch) {
    let mut it = copied(copies);
    let id = Arc::from(ID);
    it.cluster.move_coordinator(KIND, &id, 0).unwrap();
    let producer = it.init().unwrap();
    assert_eq!(it.add(producer, &[0]), [ErrorCode::NoError]);
    (it, producer)
}

#[test]
fn every_node_names_the_same_coordinator_in_every_version() {
    let mut it = copied(1);
    for version in 0..=4 {
        let kind = if version == 0 {
            CoordinatorType::GROUP
        } else {
            CoordinatorType::TRANSACTION
        };
        let found: Vec<_> = (0..3)
            .map(|node| find(&mut it, node, kind, &["some"], version).remove(0))
            .collect();
        let first = &found[0];
        assert_eq!(first.error, ErrorCode::NoError);
        assert_eq!((&*first.host, first.port), ("h", 9092 + first.node_id));
        assert!(found.iter().all(|other| other == first), "{version}");
    }
}

#[test]
fn several_coordinators_are_found_at_once_from_version_4_on() {
    let mut it = copied(1);
    let keys: Vec<_> = (0..20).map(|number| format!("key-{number}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let found = find(&mut it, 0, CoordinatorType::TRANSACTION, &keys, 4);
    let named: Vec<_> = found.iter().filter_map(|it| it.key.as_deref()).collect();
    assert_eq!(named, keys);
    let mut nodes: Vec<_> = found.iter().map(|it| it.node_id).collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes, [0, 1, 2], "they are spread");
}

#[test]
fn there_is_no_coordinator_of_an_unknown_type() {
    let mut it = copied(1);
    let found = find(&mut it, 0, CoordinatorType(7), &["some"], 4);
    assert_eq!(
        (found[0].error, found[0].node_id),
        (ErrorCode::InvalidRequest, -1)
    );
}

#[test]
fn a_moved_coordinator_keeps_its_state_and_the_old_one_answers_not_coordinator() {
    let (mut it, producer) = with_ongoing(1);
    let id = Arc::from(ID);
    it.cluster.move_coordinator(KIND, &id, 1).unwrap();
    let found = find(&mut it, 2, CoordinatorType::TRANSACTION, &[ID], 4);
    assert_eq!(found[0].node_id, 1);
    let away = ErrorCode::NotCoordinator;
    assert_eq!(it.init(), Err(away));
    assert_eq!(it.add(producer, &[1]), [away]);
    assert_eq!(it.end(producer, true), away);
    assert_eq!(end_on(&mut it, 1, producer), ErrorCode::NoError);
    assert_eq!(it.state(), TransactionState::CompleteCommit);
    assert_eq!(
        it.cluster.move_coordinator(KIND, &id, 7),
        Err(NotDone::NoSuchNode(7))
    );
}

#[test]
fn a_new_coordinator_loads_first() {
    let (mut it, producer) = with_ongoing(1);
    it.cluster.transactions_mut().coordinators.load_time = Duration::from_millis(10);
    let id = Arc::from(ID);
    it.cluster.move_coordinator(KIND, &id, 1).unwrap();
    let loading = ErrorCode::CoordinatorLoadInProgress;
    assert_eq!(end_on(&mut it, 1, producer), loading);
    it.wait(Duration::from_millis(10));
    assert_eq!(end_on(&mut it, 1, producer), ErrorCode::NoError);
}

#[test]
fn without_replicas_nobody_replaces_a_coordinator_that_is_down() {
    let mut it = copied(1);
    let first = it.cluster.coordinator(KIND, &ID.into()).unwrap();
    let found = |it: &mut Broker| {
        let asked = (first + 1) % 3;
        find(it, asked, CoordinatorType::TRANSACTION, &[ID], 4).remove(0)
    };
    it.cluster.node_down(first);
    let answer = found(&mut it);
    let none = (ErrorCode::CoordinatorNotAvailable, -1);
    assert_eq!((answer.error, answer.node_id), none);
    it.cluster.node_up(first);
    assert_eq!(found(&mut it).node_id, first);
}

#[test]
fn with_replicas_another_node_replaces_a_coordinator_that_is_down() {
    let (mut it, producer) = with_ongoing(3);
    it.cluster.node_down(0);
    let found = find(&mut it, 2, CoordinatorType::TRANSACTION, &[ID], 4);
    let next = found[0].node_id;
    assert!(next == 1 || next == 2);
    assert_eq!(end_on(&mut it, next, producer), ErrorCode::NoError);
}

#[test]
fn a_hung_coordinator_neither_writes_markers_nor_aborts_on_time_out() {
    let (mut it, producer) = with_ongoing(1);
    it.options().marker_delay = Duration::from_millis(5);
    it.cluster.hang(0);
    it.wait(TIMEOUT * 2);
    assert_eq!(it.state(), TransactionState::Ongoing);
    it.cluster.resume(0);
    assert_eq!(it.state(), TransactionState::PrepareAbort);
    it.cluster.hang(0);
    it.wait(Duration::from_millis(5));
    assert_eq!(it.state(), TransactionState::PrepareAbort);
    it.cluster.resume(0);
    assert_eq!(it.state(), TransactionState::CompleteAbort);
    assert_eq!(it.end(producer, true), ErrorCode::ProducerFenced);
}
