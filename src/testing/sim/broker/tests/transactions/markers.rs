//! When and where transaction markers are written.

use super::*;
use crate::record::format::ATTRIBUTES_OFFSET;

#[test]
fn delayed_markers_delay_the_next_transaction() {
    let mut it = Broker::new();
    it.options().marker_delay = Duration::from_millis(20);
    let producer = it.init().unwrap();
    it.add(producer, &[0]);
    it.write(producer, 0, 0);
    assert_eq!(it.end(producer, true), ErrorCode::NoError);
    assert_eq!(it.state(), TransactionState::PrepareCommit);
    assert_eq!(it.seen(0), (vec![0], vec![]));
    let wait = ErrorCode::ConcurrentTransactions;
    assert_eq!(it.add(producer, &[0]), [wait]);
    assert_eq!(it.end(producer, true), wait);
    assert_eq!(it.end(producer, false), ErrorCode::InvalidTxnState);
    assert_eq!(it.init(), Err(wait));
    it.wait(Duration::from_millis(19));
    assert_eq!(it.add(producer, &[0]), [wait]);
    it.wait(Duration::from_millis(1));
    assert_eq!(it.add(producer, &[0]), [ErrorCode::NoError]);
    assert_eq!(it.seen(0), (vec![0], vec![0]));
}

#[test]
fn markers_wait_for_the_leader_of_their_partition() {
    let mut cluster = cluster(2);
    cluster
        .create_topic("u", 1, TopicSettings::DEFAULT)
        .unwrap();
    // Leaders are assigned round-robin: the partition of "u" is on the first node, those of "t" are on the second and
    // the first.
    let mut it = Broker::with(cluster);
    let id = Arc::from(ID);
    let kind = CoordinatorKind::Transaction;
    it.cluster.move_coordinator(kind, &id, 0).unwrap();
    let producer = it.init().unwrap();
    it.add(producer, &[0, 1]);
    it.cluster.node_down(1);
    it.end(producer, true);
    assert_eq!(it.state(), TransactionState::PrepareCommit);
    assert_eq!(
        it.log(1).next_offset(),
        1,
        "a leader that is up has its marker"
    );
    it.cluster.node_up(1);
    assert_eq!(it.state(), TransactionState::CompleteCommit);
    assert_eq!((it.log(0).next_offset(), it.log(1).next_offset()), (1, 1));

    it.add(producer, &[0]);
    it.cluster.hang(1);
    it.end(producer, true);
    assert_eq!(it.state(), TransactionState::PrepareCommit);
    it.cluster.delete_topic("t").unwrap();
    assert_eq!(it.state(), TransactionState::CompleteCommit);
}

/// Only coordinators write markers.
#[test]
fn a_producer_may_not_write_a_marker() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    it.add(producer, &[0]);
    it.end(producer, true);
    let marker = it.log(0).batches()[0].bytes().clone();
    assert_ne!(marker[ATTRIBUTES_OFFSET + 1] & 0x20, 0);
    let answer = it.write_batch(Some(ID), 0, marker);
    assert_eq!(answer.error, ErrorCode::InvalidRecord);
}

#[test]
fn a_truncated_log_keeps_its_remaining_transactions() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    for (sequence, committed) in [(0, false), (1, false)] {
        it.add(producer, &[0]);
        it.write(producer, 0, sequence);
        it.end(producer, committed);
    }
    assert_eq!(it.log(0).aborted_transactions().len(), 2);
    it.cluster.truncate("t", 0, 1).unwrap();
    let log = it.log(0);
    assert_eq!(log.aborted_transactions().len(), 1);
    assert_eq!((log.next_offset(), log.last_stable_offset()), (3, 2));
    assert_eq!((log.size().records, log.size().batches), (2, 2));
    assert_eq!(it.seen(0), (vec![0, 2], vec![]));
}
