//! Offsets of consumer groups in transactions.

use super::*;
use crate::testing::sim::groups::Membership;
use crate::types::TopicPartition;

const GROUP: &str = "g";

fn add_offsets(it: &mut Broker, producer: ProducerIdAndEpoch, version: i16) -> ErrorCode {
    let request = Request::AddOffsetsToTxn(Box::new(AddOffsetsToTxnRequest {
        transactional_id: ID.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        group_id: GROUP.into(),
    }));
    match it.ask(&request, version) {
        Response::AddOffsetsToTxn(answer) => answer.error,
        other => panic!("{other:?}"),
    }
}

fn commit_request(
    producer: ProducerIdAndEpoch,
    partitions: &[(i32, i64)],
) -> TxnOffsetCommitRequest {
    let partition = |(index, offset): &(i32, i64)| TxnOffsetCommitPartition {
        index: *index,
        offset: *offset,
        leader_epoch: -1,
        metadata: None,
    };
    TxnOffsetCommitRequest {
        transactional_id: ID.into(),
        group_id: GROUP.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        generation_id: -1,
        member_id: "".into(),
        group_instance_id: None,
        topics: vec![TxnOffsetCommitTopic {
            name: "t".into(),
            partitions: partitions.iter().map(partition).collect(),
        }],
    }
}

fn commit(
    it: &mut Broker,
    node: NodeId,
    request: TxnOffsetCommitRequest,
    version: i16,
) -> Vec<ErrorCode> {
    match it.ask_node(node, &Request::TxnOffsetCommit(Box::new(request)), version) {
        Response::TxnOffsetCommit(answer) => codes(&answer.topics),
        other => panic!("{other:?}"),
    }
}

/// The offset that the group has committed for a partition.
fn committed(it: &mut Broker, index: i32) -> Option<i64> {
    it.cluster.pass_time(it.now);
    let offsets = it.cluster.transactions().groups.committed(GROUP);
    let offset = offsets.get(&TopicPartition::new("t", index));
    offset.map(|offset| offset.offset)
}

#[test]
fn offsets_are_committed_with_their_transaction_in_every_version() {
    for version in 0..=3 {
        let mut it = Broker::new();
        let producer = it.init().unwrap();
        for (offset, commits, seen) in [(5, true, 5), (9, false, 5)] {
            assert_eq!(add_offsets(&mut it, producer, version), ErrorCode::NoError);
            let request = commit_request(producer, &[(0, offset)]);
            assert_eq!(commit(&mut it, 0, request, version), [ErrorCode::NoError]);
            it.options().marker_delay = Duration::from_millis(1);
            it.end(producer, commits);
            assert_eq!(committed(&mut it, 0) == Some(5), !commits, "not yet");
            it.wait(Duration::from_millis(1));
            assert_eq!(committed(&mut it, 0), Some(seen), "{version}");
            it.options().marker_delay = Duration::ZERO;
        }
    }
}

#[test]
fn each_partition_of_an_offset_commit_has_its_own_result() {
    let mut it = Broker::new();
    let producer = it.init().unwrap();
    add_offsets(&mut it, producer, 3);
    let mut request = commit_request(producer, &[(0, 1), (7, 1), (1, 1)]);
    request.topics[0].partitions[2].metadata = Some("x".repeat(4097).into());
    let expected = [
        ErrorCode::NoError,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::OffsetMetadataTooLarge,
    ];
    assert_eq!(commit(&mut it, 0, request, 3), expected);
    it.end(producer, true);
    assert_eq!(
        (committed(&mut it, 0), committed(&mut it, 1)),
        (Some(1), None)
    );
}

#[test]
fn offsets_of_a_group_that_was_not_added_stay_pending_unless_brokers_verify() {
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
        let request = commit_request(producer, &[(0, 1)]);
        assert_eq!(commit(&mut it, 0, request, 3), [expected]);
        it.end(producer, true);
        assert_eq!(committed(&mut it, 0), None);
        let pending = it.cluster.transactions().groups.pending(GROUP);
        assert_eq!(pending.is_empty(), verify);
        add_offsets(&mut it, producer, 3);
        let request = commit_request(producer, &[(0, 2)]);
        assert_eq!(commit(&mut it, 0, request, 3), [ErrorCode::NoError]);
        it.end(producer, true);
        assert_eq!(committed(&mut it, 0), Some(2));
    }
}

#[test]
fn a_fenced_producer_commits_no_offsets() {
    let mut it = Broker::new();
    let old = it.init().unwrap();
    add_offsets(&mut it, old, 3);
    commit(&mut it, 0, commit_request(old, &[(0, 1)]), 3);
    assert_eq!(it.init(), Err(ErrorCode::ConcurrentTransactions));
    let refused = commit(&mut it, 0, commit_request(old, &[(0, 1)]), 3);
    assert_eq!(refused, [ErrorCode::InvalidProducerEpoch]);
    assert_eq!(add_offsets(&mut it, old, 2), ErrorCode::ProducerFenced);
    assert_eq!(
        add_offsets(&mut it, old, 1),
        ErrorCode::InvalidProducerEpoch
    );
    let new = it.init().unwrap();
    add_offsets(&mut it, new, 3);
    let taken = commit(&mut it, 0, commit_request(new, &[(0, 2)]), 3);
    assert_eq!(taken, [ErrorCode::NoError]);
    it.end(new, true);
    assert_eq!(committed(&mut it, 0), Some(2));
}

#[test]
fn only_members_of_a_group_commit_its_offsets_if_members_are_configured() {
    let mut it = Broker::new();
    let members = Membership {
        generation: 2,
        members: [(Arc::from("m"), Some(Arc::from("i")))].into(),
    };
    let groups = &mut it.cluster.transactions_mut().groups;
    groups.set_members(&GROUP.into(), members);
    let producer = it.init().unwrap();
    add_offsets(&mut it, producer, 3);
    for (generation, member, instance, expected) in [
        (-1, "", None, ErrorCode::NoError),
        (2, "m", Some("i"), ErrorCode::NoError),
        (1, "m", Some("i"), ErrorCode::IllegalGeneration),
        (2, "n", None, ErrorCode::UnknownMemberId),
        (2, "n", Some("i"), ErrorCode::FencedInstanceId),
    ] {
        let mut request = commit_request(producer, &[(0, 1)]);
        request.generation_id = generation;
        request.member_id = member.into();
        request.group_instance_id = instance.map(Arc::from);
        assert_eq!(commit(&mut it, 0, request, 3), [expected]);
    }
}

#[test]
fn offsets_go_to_the_coordinator_of_their_group() {
    let mut it = Broker::with(cluster(2));
    it.cluster.transactions_mut().coordinators.load_time = Duration::from_millis(10);
    let producer = ProducerIdAndEpoch::new(1, 0);
    let request = || commit_request(producer, &[(0, 1)]);
    let group = Arc::from(GROUP);
    let kind = CoordinatorKind::Group;
    let other = 1 - it.cluster.coordinator(kind, &group).unwrap();
    let away = [ErrorCode::NotCoordinator];
    assert_eq!(commit(&mut it, other, request(), 3), away);
    it.cluster.move_coordinator(kind, &group, other).unwrap();
    assert_eq!(commit(&mut it, 1 - other, request(), 3), away);
    let loading = [ErrorCode::CoordinatorLoadInProgress];
    assert_eq!(commit(&mut it, other, request(), 2), loading);
    let unknown_to_old_ones = [ErrorCode::CoordinatorNotAvailable];
    assert_eq!(commit(&mut it, other, request(), 1), unknown_to_old_ones);
    it.wait(Duration::from_millis(10));
    assert_eq!(commit(&mut it, other, request(), 3), [ErrorCode::NoError]);
    let mut nameless = request();
    nameless.group_id = "".into();
    assert_eq!(
        commit(&mut it, other, nameless, 3),
        [ErrorCode::InvalidGroupId]
    );
}

#[test]
fn a_rule_gives_one_partition_of_a_commit_its_error() {
    use crate::testing::script::{Api, Rule};
    for (after, offset) in [(false, None), (true, Some(1))] {
        let mut it = Broker::new();
        let error = ErrorCode::TopicAuthorizationFailed;
        let rule = Rule::on(Api::TxnOffsetCommit).partition("t", 0).fail(error);
        let rule = if after { rule.after_applying() } else { rule };
        it.cluster.script().add(rule);
        let producer = it.init().unwrap();
        add_offsets(&mut it, producer, 3);
        let request = commit_request(producer, &[(0, 1), (1, 1)]);
        assert_eq!(commit(&mut it, 0, request, 3), [error, ErrorCode::NoError]);
        it.end(producer, true);
        assert_eq!(committed(&mut it, 0), offset);
        assert_eq!(committed(&mut it, 1), Some(1));
    }
}
