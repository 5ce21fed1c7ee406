//! The effect of brokers' errors on the transaction and on the producer.

use super::*;
use crate::error::Misuse;
use crate::producer::waiting::BlockingCall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Retried,
    Abortable,
    Fenced,
    Fatal,
}

use Meaning::*;

/// The effect of a response, judged by the state after it.
fn meaning(tx: &Tx) -> Meaning {
    match tx.state() {
        TransactionManagerState::AbortableError => Abortable,
        TransactionManagerState::FatalError => {
            let error = tx.refused(Operation::Commit);
            if error.is_fenced() { Fenced } else { Fatal }
        }
        _ => Retried,
    }
}

/// The error codes of transactional requests (TM-18 to TM-24, KAFKA-14417, KIP-890).
///
/// Java: TransactionManagerTest#testUnsupportedForMessageFormatInTxnOffsetCommit,
/// #testFencedInstanceIdInTxnOffsetCommitByGroupMetadata, #testUnknownMemberIdInTxnOffsetCommitByGroupMetadata,
/// #testIllegalGenerationInTxnOffsetCommitByGroupMetadata, #testGroupAuthorizationFailureInTxnOffsetCommit,
/// #testTransactionalIdAuthorizationFailureInAddOffsetsToTxn,
/// #testTransactionalIdAuthorizationFailureInTxnOffsetCommit,
/// #testTransactionalIdAuthorizationFailureInAddPartitions,
/// #testBumpTransactionalEpochOnRecoverableAddPartitionRequestError,
/// #testBumpTransactionalEpochOnRecoverableAddOffsetsRequestError
#[test]
fn each_error_of_each_request_is_retriable_abortable_fencing_or_fatal() {
    use ErrorCode as Code;
    let common = [
        (Code::NotCoordinator, Retried),
        (Code::CoordinatorNotAvailable, Retried),
        (Code::CoordinatorLoadInProgress, Retried),
        (Code::ConcurrentTransactions, Retried),
        (Code::RequestTimedOut, Retried),
        (Code::InvalidProducerEpoch, Fenced),
        (Code::ProducerFenced, Fenced),
        (Code::TransactionalIdAuthorizationFailed, Fatal),
        (Code::InvalidTxnState, Fatal),
        (Code::UnknownProducerId, Abortable),
        (Code::InvalidProducerIdMapping, Abortable),
        (Code::TransactionAbortable, Abortable),
    ];
    let of_partitions = [
        (Code::UnknownTopicOrPartition, Retried),
        (Code::TopicAuthorizationFailed, Abortable),
        (Code::OperationNotAttempted, Abortable),
        (Code::InvalidRecord, Abortable),
    ];
    let of_offsets = [
        (Code::GroupAuthorizationFailed, Abortable),
        (Code::UnknownServerError, Fatal),
    ];
    let of_commit = [
        (Code::GroupAuthorizationFailed, Abortable),
        (Code::UnknownTopicOrPartition, Retried),
        (Code::UnknownMemberId, Abortable),
        (Code::IllegalGeneration, Abortable),
        (Code::FencedInstanceId, Abortable),
        (Code::TopicAuthorizationFailed, Abortable),
        (Code::UnsupportedForMessageFormat, Fatal),
    ];
    let of_end = [(Code::UnknownServerError, Fatal)];
    for (kind, own) in [
        (ApiKey::AddPartitionsToTxn, &of_partitions[..]),
        (ApiKey::AddOffsetsToTxn, &of_offsets),
        (ApiKey::TxnOffsetCommit, &of_commit),
        (ApiKey::EndTxn, &of_end),
    ] {
        for &(code, means) in common.iter().chain(own) {
            let mut tx = Tx::begun();
            tx.put(0, "v");
            let operation = match kind {
                ApiKey::EndTxn => Operation::Commit,
                _ => offsets(1),
            };
            if kind == ApiKey::EndTxn {
                tx.settle();
            }
            let outcome = tx.try_call(operation, |tx| {
                tx.answer(kind, code);
                assert_eq!(meaning(tx), means, "{kind} {code}");
                tx.settle();
            });
            let outcome = outcome.expect("the call has ended");
            assert_eq!(
                outcome.is_ok(),
                means == Retried,
                "{kind} {code}: {outcome:?}"
            );
            if let Err(error) = &outcome {
                let is = match means {
                    Abortable => error.is_abortable(),
                    Fenced => error.is_fenced(),
                    _ => error.is_fatal(),
                };
                assert!(is, "{kind} {code}: {error}");
                let in_doubt = kind == ApiKey::EndTxn && code == Code::UnknownServerError;
                assert_eq!(error.may_be_committed(), in_doubt, "{kind} {code}: {error}");
                let reported = match means {
                    Fenced => Code::ProducerFenced,
                    _ => code,
                };
                assert_eq!(error.code(), Some(reported), "{kind} {code}: {error}");
            }
            if means == Abortable {
                assert_eq!(tx.run_call(Operation::Abort), Ok(()), "{kind} {code}");
                assert_eq!(tx.state(), TransactionManagerState::Ready);
                let forgotten = [Code::UnknownProducerId, Code::InvalidProducerIdMapping];
                assert_eq!(tx.epoch, if forgotten.contains(&code) { 2 } else { 1 });
            }
        }
    }
}

/// An error about an old epoch means that the producer is fenced (TM-22). Errors that may pass are retried; in Java
/// they are fatal (TM-24).
///
/// Java: TransactionManagerTest#testTransactionalIdAuthorizationFailureInInitProducerId
#[test]
fn each_error_of_init_producer_id_is_retriable_or_fatal() {
    use ErrorCode as Code;
    for (code, means) in [
        (Code::NotCoordinator, Retried),
        (Code::CoordinatorNotAvailable, Retried),
        (Code::CoordinatorLoadInProgress, Retried),
        (Code::ConcurrentTransactions, Retried),
        (Code::RequestTimedOut, Retried),
        (Code::InvalidProducerEpoch, Fenced),
        (Code::ProducerFenced, Fenced),
        (Code::TransactionalIdAuthorizationFailed, Fatal),
        (Code::ClusterAuthorizationFailed, Fatal),
        (Code::InvalidTransactionTimeout, Fatal),
    ] {
        let mut tx = Tx::new();
        let outcome = tx.try_call(Operation::Init, |tx| {
            tx.answer(ApiKey::InitProducerId, code);
            tx.settle();
        });
        let outcome = outcome.expect("the call has ended");
        assert_eq!(meaning(&tx), means, "{code}");
        assert_eq!(outcome.is_ok(), means == Retried, "{code}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(
                (error.is_fenced(), error.is_fatal()),
                (means == Fenced, true)
            );
        }
    }
}

/// Java: TransactionManagerTest#testTransactionalIdAuthorizationFailureInFindCoordinator
#[test]
fn an_unauthorized_transactional_id_is_fatal_and_the_error_names_the_missing_permission() {
    let mut tx = Tx::new();
    let outcome = tx.try_call(Operation::Init, |tx| {
        tx.answer(
            ApiKey::FindCoordinator,
            ErrorCode::TransactionalIdAuthorizationFailed,
        );
        tx.settle();
    });
    let error = outcome.expect("it has ended").expect_err("refused");
    let code = Some(ErrorCode::TransactionalIdAuthorizationFailed);
    assert!(error.is_fatal() && error.code() == code, "{error}");
    let text = error.to_string();
    assert!(
        text.contains(ID) && text.contains("grant it Write"),
        "{text}"
    );
}

/// A failed record of a transaction prevents its commit (TM-32, KAFKA-9279).
///
/// Java: TransactionManagerTest#testFailIfNotReadyForSendAfterAbortableError, #testNotReadyForSendAfterAbortableError
#[test]
fn a_record_that_failed_keeps_the_transaction_from_being_committed_until_it_is_aborted() {
    let mut tx = Tx::begun();
    let failed = tx.send(0, "v").expect("taken");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    tx.respond(ErrorCode::InvalidRecord, -1);
    assert!(failed.get().is_err());
    assert_eq!(tx.state(), TransactionManagerState::AbortableError);
    let commit = tx.refused(Operation::Commit);
    assert!(commit.is_abortable() && commit.code() == Some(ErrorCode::InvalidRecord));
    let begin = tx
        .stepped
        .producer
        .begin_transaction()
        .expect_err("it has failed");
    assert!(begin.is_abortable());
    assert!(matches!(tx.send(1, "v"), Err(SendError::Transaction(e)) if e.is_abortable()));
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    tx.stepped.producer.begin_transaction().expect("it goes on");
}

/// Users of a transaction guard drop the futures of their records, and get no other error than that of the commit.
#[test]
fn a_commit_after_an_expired_record_has_the_code_and_the_text_of_the_records_error() {
    for (last, code) in [
        (
            Some(ErrorCode::NotEnoughReplicas),
            Some(ErrorCode::NotEnoughReplicas),
        ),
        (None, None),
    ] {
        let mut tx = Tx::begun();
        let record = tx.send(0, "v").expect("taken");
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        if let Some(code) = last {
            tx.respond(code, -1);
        }
        tx.rig().advance(DELIVERY_TIMEOUT);
        tx.rig().run();
        tx.rig().run();
        let expired = error(&record);
        assert_eq!(expired.kind(), &ProduceErrorKind::DeliveryTimeout);
        let commit = tx.refused(Operation::Commit);
        assert!(commit.is_abortable());
        assert_eq!(commit.code(), code);
        assert!(
            commit.to_string().contains(&expired.to_string()),
            "{commit}"
        );
    }
}

#[test]
fn a_commit_that_times_out_names_the_batches_it_waits_for_and_their_last_error() {
    let mut tx = Tx::begun();
    let _record = tx.send(0, "v").expect("taken");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    let timed_out = |tx: &Tx| {
        let producer = &tx.stepped.producer;
        let commit = step(&mut producer.transaction_call(Operation::Commit, Some(Duration::ZERO)));
        commit
            .expect("at once")
            .expect_err("it times out")
            .to_string()
    };
    assert!(timed_out(&tx).contains("while it waited for 1 batches"));
    tx.rig().run();
    tx.respond(ErrorCode::NotEnoughReplicas, -1);
    let text = timed_out(&tx);
    assert!(
        text.contains("1 batches (t-0: NOT_ENOUGH_REPLICAS"),
        "{text}"
    );
}

#[test]
fn a_record_that_was_not_accepted_keeps_the_transaction_from_being_committed() {
    let tx = Tx::begun();
    let huge = "v".repeat(2 << 20);
    let refused = tx.send(0, &huge).expect("the future has the error");
    let kind = error(&refused).kind().clone();
    assert!(matches!(kind, ProduceErrorKind::RecordTooLarge { .. }));
    let commit = tx.refused(Operation::Commit);
    assert!(commit.is_abortable(), "{commit}");
}

/// Whichever of `send` and `try_send` refuses a record, the transaction lacks the record.
#[test]
fn a_record_that_send_or_try_send_refuses_keeps_the_transaction_from_being_committed() {
    let huge = "v".repeat(2 << 20);
    let refused = [
        ProducerRecord::new(TOPIC, "v").with_partition(-1),
        ProducerRecord::new(TOPIC, "v").with_timestamp(-1),
        ProducerRecord::new(TOPIC, &*huge).with_partition(0),
        ProducerRecord::new("no such!", "v"),
    ];
    for record in refused {
        for tries in [false, true] {
            let mut tx = Tx::begun();
            let producer = &tx.stepped.producer;
            if tries {
                let error = producer.try_send(record.clone()).expect_err("refused");
                assert!(!error.reason().would_block(), "{error}");
            } else {
                drop(step(&mut producer.send_call(&record, Headers::new(), None)));
            }
            let commit = tx.refused(Operation::Commit);
            assert!(commit.is_abortable(), "{record:?}: {commit}");
            assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        }
    }
}

/// `try_send` has returned the record, and the caller may try again.
#[test]
fn a_record_that_try_send_returns_for_a_retry_does_not_affect_the_transaction() {
    let mut tx = Tx::of(|setup| {
        setup.batch_size = 100;
        setup.memory = 100;
    })
    .initialized();
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    tx.put(0, "v");
    let later = [
        ProducerRecord::new("new", "v"),
        ProducerRecord::new(TOPIC, "v").with_partition(1),
    ];
    for record in later {
        let error = tx.stepped.producer.try_send(record).expect_err("not now");
        assert!(error.reason().would_block(), "{error}");
    }
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

/// The error of the record is returned to the callback that has sent it; the commit fails even if the callback ignores
/// the error.
#[test]
fn a_record_that_is_refused_inside_a_callback_keeps_the_transaction_from_being_committed() {
    for (misuse, is_abortable) in [
        (Misuse::InsideCallback, true),
        (Misuse::NestedTooDeep, true),
        // The transaction belongs to the parent process.
        (Misuse::Forked, false),
    ] {
        let mut tx = Tx::begun();
        let record = ProducerRecord::new("new", "v");
        let mut send = tx.stepped.producer.send_call(&record, Headers::new(), None);
        assert!(step(&mut send).is_none());
        let refused = send.refuse(misuse);
        assert!(matches!(refused, Err(SendError::Misuse(is)) if is == misuse));
        drop(send);
        let commit = tx.run_call(Operation::Commit);
        assert_eq!(
            commit.is_err_and(|it| it.is_abortable()),
            is_abortable,
            "{misuse}"
        );
    }
}

/// Java: TransactionManagerTest#testProducerFencedExceptionInInitProducerId,
/// #testInvalidProducerEpochConvertToProducerFencedInInitProducerId, #testProducerFencedInAddPartitionToTxn,
/// #testInvalidProducerEpochConvertToProducerFencedInAddPartitionToTxn, #testProducerFencedInAddOffSetsToTxn,
/// #testInvalidProducerEpochConvertToProducerFencedInAddOffSetsToTxn,
/// #testInvalidProducerEpochConvertToProducerFencedInEndTxn, #testFailIfNotReadyForSendAfterFatalError,
/// #testNotReadyForSendAfterFatalError
#[test]
fn a_producer_fenced_by_a_coordinator_fails_in_every_call_and_with_every_queued_record() {
    use ApiKey::{AddOffsetsToTxn, AddPartitionsToTxn, EndTxn, InitProducerId, TxnOffsetCommit};
    for code in [ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch] {
        for kind in [
            InitProducerId,
            AddPartitionsToTxn,
            AddOffsetsToTxn,
            TxnOffsetCommit,
            EndTxn,
        ] {
            let mut tx = match kind {
                InitProducerId => Tx::new(),
                _ => Tx::begun(),
            };
            let mut waits = (kind == AddPartitionsToTxn).then(|| tx.send(0, "v").expect("taken"));
            let operation = match kind {
                InitProducerId => Operation::Init,
                EndTxn => {
                    tx.put(0, "v");
                    tx.settle();
                    Operation::Commit
                }
                _ => offsets(1),
            };
            let outcome = tx.try_call(operation, |tx| {
                let at = tx.until_asked(kind);
                if matches!(kind, AddOffsetsToTxn | TxnOffsetCommit) {
                    waits = Some(tx.send(0, "v").expect("taken"));
                }
                tx.answer_at(at, code);
            });
            let error = outcome.expect("it has ended").expect_err("fenced");
            assert!(error.is_fenced() && error.is_fatal(), "{kind}: {error}");
            if let Some(record) = waits {
                let error = super::error(&record);
                assert_eq!(error.code(), Some(ErrorCode::ProducerFenced), "{kind}");
                assert!(!error.may_be_written(), "{kind}: {error}");
            }
            for operation in [
                Operation::Init,
                offsets(2),
                Operation::Commit,
                Operation::Abort,
            ] {
                let error = tx.refused(operation);
                assert!(error.is_fenced(), "{kind}: {error}");
            }
            let begun = tx.stepped.producer.begin_transaction();
            assert!(begun.is_err_and(|error| error.is_fenced()), "{kind}");
            let sent = tx.send(0, "late");
            let is_fenced = matches!(sent, Err(SendError::Transaction(e)) if e.is_fenced());
            assert!(is_fenced, "{kind}");
        }
    }
}

/// The error codes of Produce (TM-32).
#[test]
fn each_error_of_produce_is_retriable_abortable_fencing_or_fatal() {
    for (code, means) in [
        (ErrorCode::ProducerFenced, Fenced),
        (ErrorCode::TransactionalIdAuthorizationFailed, Fatal),
        (ErrorCode::ClusterAuthorizationFailed, Fatal),
        (ErrorCode::InvalidProducerEpoch, Abortable),
        (ErrorCode::TransactionAbortable, Abortable),
        (ErrorCode::InvalidTxnState, Abortable),
        (ErrorCode::TopicAuthorizationFailed, Abortable),
        (ErrorCode::OutOfOrderSequenceNumber, Abortable),
        // Retried, because no acknowledged record can still be in the log.
        (ErrorCode::UnknownProducerId, Retried),
        (ErrorCode::NotEnoughReplicas, Retried),
    ] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        tx.respond(code, -1);
        assert_eq!(meaning(&tx), means, "{code}");
    }
}

/// The response of a commit is lost, and its retry is refused by the coordinator: the outcome is unknown.
#[test]
fn a_commit_without_a_response_that_is_refused_on_its_retry_may_have_been_executed() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    let outcome = tx.try_call(Operation::Commit, |tx| {
        tx.lose(ApiKey::EndTxn);
        tx.answer(ApiKey::EndTxn, ErrorCode::ProducerFenced);
    });
    let error = outcome.expect("it has ended").expect_err("refused");
    assert!(error.is_fenced() && error.may_be_committed(), "{error}");
    // Every later call reports that the outcome is unknown.
    let begin = tx.stepped.producer.begin_transaction().expect_err("fenced");
    let later = [Operation::Commit, Operation::Abort, offsets(1)].map(|it| tx.refused(it));
    for error in later.iter().chain([&begin]) {
        assert!(error.is_fenced() && error.may_be_committed(), "{error}");
    }
}

/// As in the test above, followed by an abort: the coordinator may have committed the transaction that the client
/// aborts.
#[test]
fn a_commit_without_a_response_that_must_be_aborted_may_have_been_executed() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    let outcome = tx.try_call(Operation::Commit, |tx| {
        tx.lose(ApiKey::EndTxn);
        tx.answer(ApiKey::EndTxn, ErrorCode::TransactionAbortable);
    });
    let error = outcome.expect("it has ended").expect_err("refused");
    assert!(error.is_abortable() && error.may_be_committed(), "{error}");
    let begin = tx
        .stepped
        .producer
        .begin_transaction()
        .expect_err("it is open");
    assert!(begin.is_abortable() && begin.may_be_committed(), "{begin}");
    // A coordinator that executes the abort has not committed the transaction.
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    tx.stepped.producer.begin_transaction().expect("it goes on");
    let huge = "v".repeat(2 << 20);
    drop(tx.send(0, &huge));
    let commit = tx.refused(Operation::Commit);
    assert!(
        commit.is_abortable() && !commit.may_be_committed(),
        "{commit}"
    );
}

/// The transaction may have been committed, so the abort is not executed: its error must say so. A coordinator that has
/// lost the producer id may have committed before.
#[test]
fn a_fatal_abort_after_a_commit_in_doubt_reports_the_doubt() {
    for code in [
        ErrorCode::InvalidTxnState,
        ErrorCode::UnknownProducerId,
        ErrorCode::InvalidProducerIdMapping,
    ] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        tx.settle();
        let outcome = tx.try_call(Operation::Commit, |tx| {
            tx.lose(ApiKey::EndTxn);
            tx.answer(ApiKey::EndTxn, ErrorCode::TransactionAbortable);
        });
        outcome.expect("it has ended").expect_err("refused");
        let outcome = tx.try_call(Operation::Abort, |tx| {
            tx.answer(ApiKey::EndTxn, code);
        });
        let error = outcome.expect("it has ended").expect_err("refused");
        assert!(
            error.is_fatal() && error.may_be_committed(),
            "{code}: {error}"
        );
    }
}

/// A coordinator that loses leadership of its log during a write answers `NOT_COORDINATOR`, and the next coordinator
/// may find the write in the log.
#[test]
fn a_commit_that_is_refused_after_an_ambiguous_response_may_have_been_executed() {
    for code in [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::RequestTimedOut,
    ] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        tx.settle();
        let outcome = tx.try_call(Operation::Commit, |tx| {
            tx.answer(ApiKey::EndTxn, code);
            tx.answer(ApiKey::EndTxn, ErrorCode::ProducerFenced);
        });
        let error = outcome.expect("it has ended").expect_err("refused");
        assert!(
            error.is_fenced() && error.may_be_committed(),
            "{code}: {error}"
        );
    }
}

/// A transaction that cannot be committed can be aborted, or the error is fatal: no call waits for ever.
#[test]
fn an_abort_that_the_coordinator_refuses_succeeds_or_is_fatal() {
    for (code, is_fatal) in [
        (ErrorCode::TransactionAbortable, true),
        (ErrorCode::InvalidTxnState, true),
        (ErrorCode::UnknownServerError, true),
        (ErrorCode::UnknownProducerId, false),
        (ErrorCode::InvalidProducerIdMapping, false),
    ] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        tx.settle();
        let outcome = tx.try_call(Operation::Abort, |tx| {
            tx.answer(ApiKey::EndTxn, code);
            tx.settle();
        });
        let outcome = outcome.unwrap_or_else(|| panic!("{code}: the call ends"));
        let was_fatal = outcome.is_err_and(|error| error.is_fatal());
        assert_eq!(was_fatal, is_fatal, "{code}");
    }
}

/// After a lost connection the coordinator is looked up again, and the request is retried (TM-14).
#[test]
fn a_request_whose_connection_is_lost_is_sent_again_to_the_coordinator_found_afterwards() {
    for kind in [
        ApiKey::AddPartitionsToTxn,
        ApiKey::AddOffsetsToTxn,
        ApiKey::TxnOffsetCommit,
    ] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        let outcome = tx.try_call(offsets(1), |tx| {
            tx.lose(kind);
            tx.settle();
        });
        assert_eq!(outcome, Some(Ok(())), "{kind}");
        let kinds = tx.kinds();
        let lost = kinds.iter().position(|it| *it == kind).expect("sent");
        assert!(
            kinds[lost..].contains(&ApiKey::FindCoordinator),
            "{kinds:?}"
        );
        assert_eq!(kinds.iter().filter(|it| **it == kind).count(), 2);
        assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    }
}

/// If it were left open, the transaction would time out at the coordinator, which would fence the producer.
#[test]
fn a_transaction_that_fails_while_its_first_partition_is_added_is_ended_at_the_coordinator() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    let at = tx.until_asked(ApiKey::AddPartitionsToTxn);
    let huge = "v".repeat(2 << 20);
    assert!(
        tx.send(0, &huge)
            .expect("the future has the error")
            .get()
            .is_err()
    );
    tx.rig().run();
    assert_eq!(tx.state(), TransactionManagerState::AbortableError);
    tx.answer_at(at, OK);
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    assert!(tx.kinds().contains(&ApiKey::EndTxn), "{:?}", tx.kinds());
}

/// A coordinator that loses leadership of its log during a write answers `NOT_COORDINATOR`, and the next coordinator
/// may find the write in the log.
#[test]
fn a_transaction_that_a_coordinator_may_have_begun_is_ended_there() {
    for kind in [ApiKey::AddPartitionsToTxn, ApiKey::AddOffsetsToTxn] {
        for (code, may_be_begun) in [
            (ErrorCode::NotCoordinator, true),
            (ErrorCode::CoordinatorNotAvailable, true),
            (ErrorCode::RequestTimedOut, true),
            (ErrorCode::CoordinatorLoadInProgress, true),
            (ErrorCode::ConcurrentTransactions, false),
        ] {
            let mut tx = Tx::begun();
            let _asked = if kind == ApiKey::AddPartitionsToTxn {
                tx.put(0, "v");
                None
            } else {
                tx.try_call(offsets(1), |tx| tx.rig().run())
            };
            tx.answer(kind, code);
            let huge = "v".repeat(2 << 20);
            assert!(
                tx.send(0, &huge)
                    .expect("the future has the error")
                    .get()
                    .is_err()
            );
            assert_eq!(tx.run_call(Operation::Abort), Ok(()), "{kind} {code}");
            let is_ended = tx.kinds().contains(&ApiKey::EndTxn);
            assert_eq!(is_ended, may_be_begun, "{kind} {code}");
        }
    }
}

/// The request that would have begun the transaction was lost, and may have reached the coordinator. Java does not end
/// the transaction then, and leaves it open if it was begun.
#[test]
fn a_transaction_that_may_have_begun_is_aborted_whether_it_has_begun_or_not() {
    for code in [OK, ErrorCode::InvalidTxnState] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        tx.lose(ApiKey::AddPartitionsToTxn);
        let aborted = tx.try_call(Operation::Abort, |tx| {
            tx.answer(ApiKey::EndTxn, code);
            tx.settle();
        });
        assert_eq!(aborted, Some(Ok(())), "{code}");
        assert_eq!(tx.state(), TransactionManagerState::Ready);
    }
}

/// In Java the first wait is as long as the others (TM-15).
///
/// Java: TransactionManagerTest#testAddPartitionToTransactionOverridesRetryBackoffForConcurrentTransactions
#[test]
fn the_first_wait_for_the_end_of_the_previous_transaction_is_shorter_than_the_others() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    for wait in [MS(10), MS(20), MS(20)] {
        tx.answer(
            ApiKey::AddPartitionsToTxn,
            ErrorCode::ConcurrentTransactions,
        );
        tx.rig().advance(wait.saturating_sub(MS(1)));
        tx.rig().run();
        assert_eq!(tx.asked(), None, "{wait:?} are not over");
        tx.rig().advance(MS(1));
        tx.rig().run();
        let asked = tx.asked().map(|(kind, ..)| kind);
        assert_eq!(asked, Some(ApiKey::AddPartitionsToTxn), "{wait:?}");
    }
}

/// Installs a cluster snapshot in which topic "new" has two partitions, just before a call reads the topic's state.
fn answer_in_the_last_moment(tx: &Tx) {
    let metadata = Arc::clone(&tx.stepped.rig.shared.metadata);
    let now = tx.stepped.rig.now();
    let topics = || vec![topic(TOPIC, &[0, 1]), topic("new", &[0, 1])];
    crate::producer::topic_lookup::held_up::once(move || show_to(&metadata, now, topics()));
}

/// The partition becomes known while `try_send` determines the reason why it is unknown.
#[test]
fn a_partition_that_appears_while_try_send_gives_up_is_not_reported_missing() {
    for (partition, exists) in [(0, true), (1, true), (2, false)] {
        let tx = Tx::begun();
        let record = ProducerRecord::new("new", "v").with_partition(partition);
        answer_in_the_last_moment(&tx);
        let refused = tx.stepped.producer.try_send(record.clone());
        let error = refused.expect_err("it was not known");
        assert_eq!(error.reason().would_block(), exists, "{error}");
        if exists {
            drop(tx.stepped.producer.try_send(record).expect("it is known"));
            assert_eq!(tx.state(), TransactionManagerState::InTransaction);
        }
    }
}

/// As in the test above, but for a `send` that times out at that moment: it uses the new metadata.
#[test]
fn a_record_is_accepted_if_its_partition_appears_while_send_times_out() {
    let tx = Tx::begun();
    let record = ProducerRecord::new("new", "v").with_partition(1);
    let mut send = tx.stepped.producer.send_call(&record, Headers::new(), None);
    assert!(step(&mut send).is_none());
    answer_in_the_last_moment(&tx);
    tx.stepped.rig.clock.advance(MAX_BLOCK);
    let future = step(&mut send).expect("it ends").expect("it is taken");
    drop(send);
    assert!(!future.is_done(), "it is in a batch");
    assert_eq!(tx.state(), TransactionManagerState::InTransaction);
}
