//! Offsets that are committed in a transaction.

use super::super::calls::{producer_on, strings};
use super::*;

/// Offsets of two partitions.
fn two(group: ConsumerGroupMetadata) -> Operation {
    let of = |partition| {
        let name = TopicPartition::new("input", partition);
        (name, OffsetAndMetadata::new(5))
    };
    let offsets = crate::producer::transaction::OffsetsToCommit::new(group, [of(0), of(1)]);
    Operation::SendOffsets(Arc::new(offsets))
}

fn member() -> ConsumerGroupMetadata {
    let group = ConsumerGroupMetadata::new("group").member("member", 5);
    group.group_instance_id("instance")
}

/// The group's member and the partitions in the newest request that commits offsets.
fn committed(tx: &mut Tx) -> (ConsumerGroupMetadata, Vec<i32>) {
    let Request::TxnOffsetCommit(request) = tx.last(ApiKey::TxnOffsetCommit) else {
        unreachable!("of that kind");
    };
    assert_eq!(&*request.transactional_id, ID);
    assert_eq!(
        (request.producer_id, request.producer_epoch),
        (PRODUCER_ID, 0)
    );
    let group = ConsumerGroupMetadata {
        group_id: request.group_id,
        generation_id: request.generation_id,
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
    };
    let partitions = request.topics.iter().flat_map(|it| &it.partitions);
    (group, partitions.map(|it| it.index).collect())
}

/// Java: TransactionManagerTest#testSendOffsetsWithGroupMetadata,
/// #testHandlingOfUnknownTopicPartitionErrorOnTxnOffsetCommit, #testHandlingOfCoordinatorLoadingErrorOnTxnOffsetCommit;
/// KafkaProducerTest#testSendTxnOffsetsWithGroupId, #testSendTxnOffsetsWithGroupMetadata
#[test]
fn offsets_are_sent_with_their_group_metadata_and_only_refused_ones_are_retried() {
    for group in [ConsumerGroupMetadata::new("group"), member()] {
        for code in [
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::NotCoordinator,
        ] {
            let mut tx = Tx::begun();
            let operation = two(group.clone());
            let sent = tx.try_call(operation.clone(), |tx| {
                tx.answer_each(ApiKey::TxnOffsetCommit, &[OK, code]);
                assert_eq!(committed(tx), (group.clone(), vec![0, 1]));
                let outcome = step(
                    &mut tx
                        .stepped
                        .producer
                        .transaction_call(operation.clone(), None),
                );
                assert_eq!(outcome, None, "{code}: one was not taken");
                let at = tx.until_asked(ApiKey::TxnOffsetCommit);
                assert_eq!(committed(tx), (group.clone(), vec![1]), "{code}");
                tx.answer_at(at, OK);
            });
            assert_eq!(sent, Some(Ok(())), "{code}");
            assert_eq!(tx.run_call(Operation::Commit), Ok(()));
        }
    }
}

/// Java: TransactionManagerTest#testHandlingOfProducerFencedErrorOnTxnOffsetCommit,
/// #testHandlingOfTransactionalIdAuthorizationFailedErrorOnTxnOffsetCommit,
/// #testHandlingOfInvalidProducerEpochErrorOnTxnOffsetCommit,
/// #testHandlingOfUnsupportedForMessageFormatErrorOnTxnOffsetCommit
#[test]
fn an_offset_with_a_fatal_error_fails_the_producer_although_others_were_accepted() {
    for (code, is_fenced) in [
        (ErrorCode::ProducerFenced, true),
        (ErrorCode::InvalidProducerEpoch, true),
        (ErrorCode::TransactionalIdAuthorizationFailed, false),
        (ErrorCode::UnsupportedForMessageFormat, false),
    ] {
        let mut tx = Tx::begun();
        let sent = tx.try_call(two("group".into()), |tx| {
            tx.answer_each(ApiKey::TxnOffsetCommit, &[OK, code]);
        });
        let error = sent.expect("it has ended").expect_err("refused");
        assert!(error.is_fatal(), "{code}: {error}");
        assert_eq!(error.is_fenced(), is_fenced, "{code}: {error}");
        assert_eq!(tx.state(), TransactionManagerState::FatalError, "{code}");
    }
}

/// Java: TransactionManagerTest#testSendOffsetWithGroupMetadataFailAsAutoDowngradeTxnCommitNotEnabled
#[test]
fn a_coordinator_that_cannot_check_the_group_metadata_is_fatal_and_the_error_names_the_remedy() {
    let mut tx = Tx::begun();
    let sent = tx.try_call(two(member()), |tx| {
        let at = tx.until_asked(ApiKey::TxnOffsetCommit);
        tx.finish(at, Outcome::UnsupportedVersion("too old".into()));
    });
    let error = sent.expect("it has ended").expect_err("refused");
    assert!(error.is_fatal(), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::UnsupportedVersion));
    let remedy = "ConsumerGroupMetadata::new";
    assert!(error.to_string().contains(remedy), "{error}");
}

/// Java: TransactionManagerTest#testGroupAuthorizationFailureInFindCoordinator
#[test]
fn an_unauthorized_group_makes_the_transaction_abortable_and_the_error_names_the_group() {
    let mut tx = Tx::begun();
    let sent = tx.try_call(offsets(1), |tx| {
        tx.answer(ApiKey::FindCoordinator, ErrorCode::GroupAuthorizationFailed);
    });
    let error = sent.expect("it has ended").expect_err("refused");
    assert!(error.is_abortable(), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::GroupAuthorizationFailed));
    let text = error.to_string();
    assert!(
        text.contains("group group") && text.contains("Read"),
        "{text}"
    );
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    // The transaction coordinator had added the offsets, so an EndTxn is sent.
    assert!(tx.kinds().contains(&ApiKey::EndTxn));
    assert_eq!(tx.state(), TransactionManagerState::Ready);
}

/// Java: TransactionManagerTest#shouldNotSendAbortTxnRequestWhenOnlyAddOffsetsRequestFailed
#[test]
fn no_end_txn_is_sent_for_offsets_that_were_not_added() {
    for is_refused in [false, true] {
        let mut tx = Tx::begun();
        let sent = tx.try_call(offsets(1), |tx| {
            if is_refused {
                tx.answer(ApiKey::AddOffsetsToTxn, ErrorCode::GroupAuthorizationFailed);
            }
        });
        assert_eq!(sent.is_some(), is_refused);
        tx.rig().client().forget_sent();
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        assert_eq!(tx.kinds(), [], "refused: {is_refused}");
        assert_eq!(tx.state(), TransactionManagerState::Ready);
    }
}

/// Java: TransactionManagerTest#shouldFailAbortIfAddOffsetsFailsWithFatalError
#[test]
fn an_abort_fails_when_offsets_in_flight_get_a_fatal_error() {
    let mut tx = Tx::begun();
    let sent = tx.try_call(offsets(1), |_| {});
    assert!(sent.is_none());
    let at = tx.until_asked(ApiKey::AddOffsetsToTxn);
    let aborted = tx.try_call(Operation::Abort, |tx| {
        tx.answer_at(at, ErrorCode::UnknownServerError);
    });
    let error = aborted.expect("it has ended").expect_err("it failed");
    assert!(error.is_fatal(), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::UnknownServerError));
    assert_eq!(tx.state(), TransactionManagerState::FatalError);
}

/// A thread may wait long for the offsets; the thread that ends the transaction does not wait for them.
#[test]
fn a_commit_gives_up_offsets_of_an_unknown_partition_that_another_thread_waits_for() {
    let mut tx = Tx::begun();
    let (waiting, _running) = producer_on(&tx.stepped.rig, strings());
    let mut sent = waiting.transaction_call(offsets(1), None);
    assert!(step(&mut sent).is_none());
    tx.answer(ApiKey::TxnOffsetCommit, ErrorCode::UnknownTopicOrPartition);
    assert!(step(&mut sent).is_none(), "it may come to exist");
    let committed = tx.try_call(Operation::Commit, |tx| {
        tx.answer(ApiKey::TxnOffsetCommit, ErrorCode::UnknownTopicOrPartition);
    });
    let outcomes = [
        committed.expect("it does not wait"),
        step(&mut sent).expect("it has ended"),
    ];
    for outcome in outcomes {
        let error = outcome.expect_err("they are not committed");
        assert!(error.is_abortable() && !error.may_be_committed(), "{error}");
        assert!(error.to_string().contains("input-0"), "{error}");
    }
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    tx.stepped.producer.begin_transaction().expect("it goes on");
}

/// The waiting call also ends when the transaction is aborted.
#[test]
fn an_abort_gives_up_offsets_that_another_thread_waits_for() {
    let mut tx = Tx::begun();
    let (waiting, _running) = producer_on(&tx.stepped.rig, strings());
    let mut sent = waiting.transaction_call(offsets(1), None);
    assert!(step(&mut sent).is_none());
    tx.answer(ApiKey::TxnOffsetCommit, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    let error = step(&mut sent).expect("it has ended").expect_err("aborted");
    assert!(error.is_abortable(), "{error}");
}

/// Differs from Java, where this error is fatal: the coordinator has not stored these offsets, and drops the other ones
/// when the transaction is aborted.
#[test]
fn offsets_too_large_for_the_coordinator_fail_the_transaction_and_not_the_producer() {
    for code in [
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::InvalidCommitOffsetSize,
    ] {
        let mut tx = Tx::begun();
        let sent = tx.try_call(two("group".into()), |tx| {
            tx.answer_each(ApiKey::TxnOffsetCommit, &[OK, code]);
        });
        let error = sent.expect("it has ended").expect_err("refused");
        assert!(error.is_abortable(), "{code}: {error}");
        assert_eq!(error.code(), Some(code));
        let text = error.to_string();
        assert!(
            text.contains("input-1") && text.contains("offset.metadata.max.bytes"),
            "{text}"
        );
        assert!(!text.contains("  "), "{text}");
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        tx.stepped.producer.begin_transaction().expect("it goes on");
    }
}

/// Offsets contain texts of the user. If these are too long for a request, the error does not blame old brokers, and
/// the producer can still be used.
#[test]
fn offsets_that_cannot_be_encoded_fail_the_transaction_and_not_the_producer() {
    for kind in [ApiKey::AddOffsetsToTxn, ApiKey::TxnOffsetCommit] {
        let mut tx = Tx::begun();
        let sent = tx.try_call(two(member()), |tx| {
            let at = tx.until_asked(kind);
            tx.finish(at, Outcome::Unwritable("it is too long".into()));
        });
        let error = sent.expect("it has ended").expect_err("refused");
        assert!(error.is_abortable(), "{kind}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("it is too long") && !text.contains("2.5"),
            "{text}"
        );
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        tx.stepped.producer.begin_transaction().expect("it goes on");
    }
}
