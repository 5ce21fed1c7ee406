//! Partitions of a transaction: how they are added, and which of their records are sent.

use super::*;

/// Java: TransactionManagerTest#testMultipleAddPartitionsPerForOneProduce, #testNoDrainWhenPartitionsPending
#[test]
fn a_partition_used_while_another_is_being_added_is_added_by_the_next_request() {
    let mut tx = Tx::begun();
    let first = tx.send(0, "v").expect("taken");
    let at = tx.until_asked(ApiKey::AddPartitionsToTxn);
    let second = tx.send(1, "v").expect("taken");
    tx.rig().run();
    assert!(tx.rig().sent().is_empty(), "neither is added");
    tx.answer_at(at, OK);
    let at = tx.until_asked(ApiKey::AddPartitionsToTxn);
    let Request::AddPartitionsToTxn(request) = tx.last(ApiKey::AddPartitionsToTxn) else {
        unreachable!("of that kind");
    };
    assert_eq!(request.topics[0].partitions, [1]);
    let sent: Vec<i32> = tx
        .rig()
        .sent()
        .concat()
        .iter()
        .map(|it| it.partition)
        .collect();
    assert_eq!(sent, [0], "the other is not added yet");
    tx.answer_at(at, OK);
    tx.settle();
    assert_eq!([&first, &second].map(offset), [Some(0), Some(0)]);
}

/// The wait is shorter only after `CONCURRENT_TRANSACTIONS` for the first partition: the coordinator may still be
/// ending the previous transaction then.
///
/// Java: TransactionManagerTest#testAddPartitionToTransactionRetainsRetryBackoffForRegularRetriableError,
/// #testAddPartitionToTransactionRetainsRetryBackoffWhenPartitionsAlreadyAdded,
/// #testHandlingOfUnknownTopicPartitionErrorOnAddPartitions
#[test]
fn partitions_that_were_not_added_are_requested_again_after_the_usual_backoff() {
    for (is_first, code) in [
        (true, ErrorCode::CoordinatorNotAvailable),
        (true, ErrorCode::CoordinatorLoadInProgress),
        (true, ErrorCode::UnknownTopicOrPartition),
        (false, ErrorCode::ConcurrentTransactions),
    ] {
        let mut tx = Tx::begun();
        if !is_first {
            tx.put(1, "v");
            tx.settle();
        }
        let record = tx.send(0, "v").expect("taken");
        tx.answer(ApiKey::AddPartitionsToTxn, code);
        tx.rig().advance(BACKOFF.saturating_sub(MS(1)));
        tx.rig().run();
        assert_eq!(tx.asked(), None, "{code}");
        tx.rig().advance(MS(1));
        tx.rig().run();
        let asked = tx.asked().map(|(kind, ..)| kind);
        let expected = match code {
            ErrorCode::CoordinatorNotAvailable => ApiKey::FindCoordinator,
            _ => ApiKey::AddPartitionsToTxn,
        };
        assert_eq!(asked, Some(expected), "{code}");
        assert_eq!(tx.produces(), [0; 0], "{code}: it is not added");
        tx.settle();
        assert_eq!(offset(&record), Some(0), "{code}");
    }
}

/// A response without errors to an AddPartitionsToTxn, for one partition of the test's topic.
fn added(partition: i32) -> Outcome {
    let result = TopicResult {
        name: TOPIC.into(),
        partitions: vec![PartitionResult {
            index: partition,
            error: OK,
        }],
    };
    Outcome::Response(Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
        throttle_time_ms: 0,
        topics: vec![result],
    }))
}

/// Regression: the request was repeated at once, in a busy loop.
#[test]
fn a_response_without_the_requested_partitions_is_retried_after_the_backoff() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    let at = tx.until_asked(ApiKey::AddPartitionsToTxn);
    tx.finish(at, added(7));
    tx.rig().advance(BACKOFF.saturating_sub(MS(1)));
    tx.rig().run();
    assert_eq!((tx.asked(), tx.produces()), (None, vec![]));
    tx.settle();
    assert_eq!(offset(&record), Some(0));
}

#[test]
fn partitions_that_a_response_lacks_are_requested_again_at_once_if_it_contains_others() {
    let mut tx = Tx::begun();
    let records = [0, 1].map(|partition| tx.send(partition, "v").expect("taken"));
    let at = tx.until_asked(ApiKey::AddPartitionsToTxn);
    tx.finish(at, added(0));
    let (kind, ..) = tx.asked().expect("no back-off");
    assert_eq!(kind, ApiKey::AddPartitionsToTxn);
    let Request::AddPartitionsToTxn(request) = tx.last(kind) else {
        unreachable!("of that kind");
    };
    assert_eq!(request.topics[0].partitions, [1]);
    tx.settle();
    assert_eq!([&records[0], &records[1]].map(offset), [Some(0), Some(0)]);
}

/// Also if the first of them fails the transaction.
#[test]
fn records_that_expire_before_their_partition_is_added_have_the_error_of_the_coordinator() {
    let load = ErrorCode::CoordinatorLoadInProgress;
    for (kind, outcome, code, text) in [
        (ApiKey::AddPartitionsToTxn, None, Some(load), load.name()),
        (ApiKey::AddPartitionsToTxn, Some(added(7)), None, "lacks t-"),
        (ApiKey::AddPartitionsToTxn, Some(lost()), None, "gone"),
        (ApiKey::FindCoordinator, None, Some(load), load.name()),
    ] {
        let mut tx = Tx::begun();
        let records = [0, 1].map(|partition| tx.send(partition, "v").expect("taken"));
        if kind == ApiKey::FindCoordinator {
            tx.answer(ApiKey::AddPartitionsToTxn, ErrorCode::NotCoordinator);
        }
        let at = tx.until_asked(kind);
        match outcome {
            Some(outcome) => tx.finish(at, outcome),
            None => tx.answer_at(at, load),
        }
        tx.rig().advance(DELIVERY_TIMEOUT);
        tx.rig().run();
        for record in &records {
            let error = error(record);
            let Some(WaitCause::AddingPartition {
                last_error: Some(last_error),
                code: found,
            }) = error.cause()
            else {
                panic!("{kind} {code:?}: {error}");
            };
            assert!(last_error.contains(text), "{last_error}");
            assert!(error.to_string().contains(&**last_error), "{error}");
            assert_eq!(*found, code, "{error}");
        }
    }
    // The request of the last partition has no response yet, whatever was the response to an earlier one.
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.answer(ApiKey::AddPartitionsToTxn, load);
    tx.settle();
    let record = tx.send(1, "v").expect("taken");
    tx.until_asked(ApiKey::AddPartitionsToTxn);
    tx.rig().advance(DELIVERY_TIMEOUT);
    tx.rig().run();
    let error = error(&record);
    let expected = WaitCause::AddingPartition {
        last_error: None,
        code: None,
    };
    assert_eq!(error.cause(), Some(&expected), "{error}");
}

// ---- refused partitions

/// Java: TransactionManagerTest#testTopicAuthorizationFailureInAddPartitions,
/// #testCommitWithTopicAuthorizationFailureInAddPartitionsInFlight,
/// #shouldNotAddPartitionsToTransactionWhenTopicAuthorizationFailed
#[test]
fn an_unauthorized_partition_fails_its_transaction_with_all_queued_records() {
    for commits in [false, true] {
        let mut tx = Tx::begun();
        let records = [0, 1].map(|partition| tx.send(partition, "v").expect("taken"));
        let refuse = |tx: &mut Tx| {
            let codes = [
                ErrorCode::TopicAuthorizationFailed,
                ErrorCode::OperationNotAttempted,
            ];
            tx.answer_each(ApiKey::AddPartitionsToTxn, &codes);
        };
        let error = if commits {
            let committed = tx.try_call(Operation::Commit, refuse);
            committed.expect("it has ended").expect_err("refused")
        } else {
            refuse(&mut tx);
            tx.refused(Operation::Commit)
        };
        assert_eq!(tx.state(), TransactionManagerState::AbortableError);
        assert!(error.is_abortable(), "{error}");
        assert_eq!(error.code(), Some(ErrorCode::TopicAuthorizationFailed));
        let text = error.to_string();
        assert!(
            text.contains("may not write to t: grant it Write"),
            "{text}"
        );
        for record in &records {
            let error = super::error(record);
            assert_eq!(error.kind(), &ProduceErrorKind::TransactionAborted);
            assert!(!error.may_be_written(), "{error}");
        }
        assert_eq!(tx.kinds(), [ApiKey::AddPartitionsToTxn]);
    }
}

/// Java: TransactionManagerTest#testRecoveryFromAbortableErrorTransactionNotStarted,
/// #testRecoveryFromAbortableErrorTransactionStarted, #shouldNotSendAbortTxnRequestWhenOnlyAddPartitionsRequestFailed
#[test]
fn a_transaction_with_a_refused_partition_is_aborted_and_the_next_one_succeeds() {
    for is_begun in [false, true] {
        let mut tx = Tx::begun();
        let now = tx.rig().now();
        let later = now + Duration::from_secs(60);
        tx.rig().client().throttle(0, later);
        let mut records = Vec::new();
        if is_begun {
            records.push(tx.send(0, "v").expect("taken"));
            tx.answer(ApiKey::AddPartitionsToTxn, OK);
        }
        records.push(tx.send(1, "v").expect("taken"));
        tx.answer(
            ApiKey::AddPartitionsToTxn,
            ErrorCode::TopicAuthorizationFailed,
        );
        assert_eq!(tx.state(), TransactionManagerState::AbortableError);
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        assert_eq!(tx.state(), TransactionManagerState::Ready);
        for record in &records {
            assert_eq!(error(record).kind(), &ProduceErrorKind::TransactionAborted);
        }
        let kinds = tx.kinds();
        assert!(!kinds.contains(&ApiKey::Produce), "{kinds:?}");
        assert_eq!(kinds.contains(&ApiKey::EndTxn), is_begun, "{kinds:?}");
        tx.rig().client().throttle(0, now);
        tx.stepped.producer.begin_transaction().expect("it goes on");
        let next = tx.send(0, "next").expect("taken");
        tx.settle();
        assert_eq!(offset(&next), Some(0));
        assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    }
}

/// In Java, partitions that were not added because of a retriable error are requested once more, only to be aborted.
///
/// Java: TransactionManagerTest#testCancelUnsentAddPartitionsAndProduceOnAbort,
/// #testAbortResendsAddPartitionErrorIfRetried
#[test]
fn a_partition_that_is_not_added_before_an_abort_is_never_added() {
    for is_asked in [false, true] {
        let mut tx = Tx::begun();
        let record = tx.send(0, "v").expect("taken");
        if is_asked {
            tx.answer(
                ApiKey::AddPartitionsToTxn,
                ErrorCode::UnknownTopicOrPartition,
            );
        }
        tx.rig().client().forget_sent();
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        assert_eq!(tx.kinds(), [], "asked: {is_asked}");
        assert_eq!(tx.state(), TransactionManagerState::Ready);
        assert_eq!(error(&record).kind(), &ProduceErrorKind::TransactionAborted);
    }
}

/// In Java the coordinator is looked up at once.
///
/// Java: TransactionManagerTest#testFindCoordinatorAllowedInAbortableErrorState
#[test]
fn a_coordinator_that_is_lost_while_a_transaction_fails_is_looked_up_when_it_is_needed_again() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    let at = tx.until_asked(ApiKey::AddPartitionsToTxn);
    tx.rig().transactions().fail_transaction(None, "it failed");
    tx.answer_at(at, ErrorCode::NotCoordinator);
    assert_eq!(tx.state(), TransactionManagerState::AbortableError);
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    tx.stepped.producer.begin_transaction().expect("it goes on");
    let next = tx.send(0, "next").expect("taken");
    tx.settle();
    assert_eq!(offset(&next), Some(0));
    assert!(tx.kinds().contains(&ApiKey::FindCoordinator));
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

// ---- records that are no longer sent

/// Whether the partition of a record was added to the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partition {
    Waits,
    IsBeingAdded,
    IsAdded,
}

/// Java: TransactionManagerTest#testIsSendToPartitionAllowedWithPendingPartitionAfterAbortableError,
/// #testIsSendToPartitionAllowedWithInFlightPartitionAddAfterAbortableError,
/// #testIsSendToPartitionAllowedWithPendingPartitionAfterFatalError,
/// #testIsSendToPartitionAllowedWithInFlightPartitionAddAfterFatalError,
/// #testIsSendToPartitionAllowedWithAddedPartitionAfterFatalError, #testAllowDrainInAbortableErrorState
#[test]
fn no_new_batch_is_sent_in_a_failed_transaction_even_if_its_partition_was_added() {
    for is_fatal in [false, true] {
        for partition in [
            Partition::Waits,
            Partition::IsBeingAdded,
            Partition::IsAdded,
        ] {
            let what = format!("{partition:?}, fatal: {is_fatal}");
            let mut tx = Tx::begun();
            let first = tx.send(0, "first").expect("taken");
            tx.answer(ApiKey::AddPartitionsToTxn, OK);
            let index = i32::from(partition != Partition::IsAdded);
            let record = tx.send(index, "v").expect("taken");
            let asked = (partition == Partition::IsBeingAdded)
                .then(|| tx.until_asked(ApiKey::AddPartitionsToTxn));
            let transactions = tx.rig().transactions();
            if is_fatal {
                transactions.fenced();
            } else {
                transactions.fail_transaction(None, "it failed");
            }
            tx.rig().run();
            if let Some(at) = asked {
                tx.answer_at(at, OK);
            }
            assert_eq!(tx.asked(), None, "{what}");
            // The batch in flight may still be acknowledged.
            tx.acknowledge();
            assert_eq!(offset(&first), Some(0), "{what}");
            assert!(!error(&record).may_be_written(), "{what}");
            assert_eq!(tx.produces(), [0; 0], "{what}");
            assert_eq!(tx.rig().sent().len(), 1, "{what}");
        }
    }
}
