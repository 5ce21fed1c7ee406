use super::*;

const PRODUCER: ProducerIdAndEpoch = ProducerIdAndEpoch::new(7, 3);

fn member(generation: i32, id: &str, instance: Option<&str>) -> GroupMember {
    GroupMember {
        generation,
        member_id: id.into(),
        instance_id: instance.map(Arc::from),
    }
}

fn nobody() -> GroupMember {
    member(-1, "", None)
}

fn offset(offset: i64) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: -1,
        metadata: "".into(),
    }
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn commit(
    groups: &mut SimGroups,
    producer: ProducerIdAndEpoch,
    member: &GroupMember,
    at: i64,
) -> Result<(), ErrorCode> {
    let offsets = [(partition(), offset(at))];
    let mut results = groups.commit_in_transaction(&"g".into(), producer, member, offsets);
    results.remove(0).1
}

/// Java: GroupCoordinatorTest#testFetchPendingTxnOffsetsWithCommit, #testFetchTxnOffsetsWithAbort
#[test]
fn offsets_are_committed_when_their_transaction_is_and_dropped_when_it_is_aborted() {
    let mut groups = SimGroups::default();
    for (at, committed) in [(5, true), (9, false)] {
        commit(&mut groups, PRODUCER, &nobody(), at).unwrap();
        assert_eq!(groups.pending("g")[&7][&partition()].offset, at);
        groups.end_transaction(&"g".into(), PRODUCER, committed);
        assert!(groups.pending("g").is_empty());
        assert_eq!(groups.committed("g")[&partition()].offset, 5);
    }
    assert!(groups.committed("none").is_empty());
}

#[test]
fn a_producer_with_an_old_epoch_commits_no_offsets() {
    let mut groups = SimGroups::default();
    let bumped = ProducerIdAndEpoch::new(PRODUCER.id, PRODUCER.epoch + 1);
    groups.end_transaction(&"g".into(), bumped, false);
    let refused = Err(ErrorCode::InvalidProducerEpoch);
    assert_eq!(commit(&mut groups, PRODUCER, &nobody(), 1), refused);
    assert_eq!(commit(&mut groups, bumped, &nobody(), 1), Ok(()));
}

/// Java: GroupCoordinatorTest#testTxnCommitOffsetWithFencedInstanceId, #testTxnCommitOffsetWithInvalidMemberId,
/// #testTxnCommitOffsetWithKnownMemberId, #testTxnCommitOffsetWithIllegalGeneration,
/// #testTxnCommitOffsetWithLegalGeneration, #testBasicFetchTxnOffsets
#[test]
fn a_consumer_that_claims_membership_has_to_be_a_member() {
    let mut groups = SimGroups::default();
    let known = [("a", None), ("b", Some("named"))];
    let members = Membership {
        generation: 4,
        members: known
            .map(|(id, name)| (Arc::from(id), name.map(Arc::from)))
            .into(),
    };
    groups.set_members(&"g".into(), members);
    for (given, expected) in [
        (nobody(), Ok(())),
        (member(4, "a", None), Ok(())),
        (member(4, "b", Some("named")), Ok(())),
        (member(3, "a", None), Err(ErrorCode::IllegalGeneration)),
        (member(4, "c", None), Err(ErrorCode::UnknownMemberId)),
        (member(4, "", None), Err(ErrorCode::UnknownMemberId)),
        (
            member(4, "a", Some("named")),
            Err(ErrorCode::FencedInstanceId),
        ),
        (
            member(4, "a", Some("other")),
            Err(ErrorCode::UnknownMemberId),
        ),
    ] {
        assert_eq!(
            commit(&mut groups, PRODUCER, &given, 1),
            expected,
            "{given:?}"
        );
    }
    let offsets = [(partition(), offset(1))];
    let stranger = member(9, "z", None);
    let of_another = groups.commit_in_transaction(&"h".into(), PRODUCER, &stranger, offsets);
    assert_eq!(of_another[0].1, Ok(()), "a group without known members");
}

#[test]
fn offset_metadata_has_a_size_limit() {
    let mut groups = SimGroups::default();
    let mut with = |length| {
        let offset = CommittedOffset {
            metadata: "x".repeat(length).into(),
            ..offset(1)
        };
        let offsets = [(partition(), offset)];
        groups.commit_in_transaction(&"g".into(), PRODUCER, &nobody(), offsets)[0].1
    };
    assert_eq!(with(4096), Ok(()));
    assert_eq!(with(4097), Err(ErrorCode::OffsetMetadataTooLarge));
}
