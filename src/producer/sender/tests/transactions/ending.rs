//! Failures, records and closes while a transaction is being ended.

use std::sync::mpsc;

use super::*;
use crate::compress::CompressionType;
use crate::metrics::Metrics;
use crate::producer::accumulator::{Append, held_up};
use crate::producer::thunks::AnyCallback;
use crate::record::builder::RecordParts;

/// Java: TransactionManagerTest#testAbortableErrorWhileAbortInProgress
#[test]
fn a_batch_that_fails_while_its_transaction_is_aborted_changes_nothing() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    assert_eq!(tx.produces().len(), 1);
    let aborted = tx.try_call(Operation::Abort, |tx| {
        tx.rig().run();
        tx.respond(ErrorCode::MessageTooLarge, -1);
        assert_eq!(tx.state(), TransactionManagerState::Aborting);
        tx.settle();
    });
    assert_eq!(aborted, Some(Ok(())));
    assert_eq!(error(&record).code(), Some(ErrorCode::MessageTooLarge));
    assert_eq!(tx.state(), TransactionManagerState::Ready);
}

/// Java: TransactionManagerTest#testRetryAbortTransaction, #testRetryCommitTransaction,
/// #testRetryAbortTransactionAfterCommitTimeout, #testRetryCommitTransactionAfterAbortTimeout
#[test]
fn after_an_end_that_timed_out_only_the_same_call_is_accepted() {
    for (first, other) in [
        (Operation::Commit, Operation::Abort),
        (Operation::Abort, Operation::Commit),
    ] {
        let mut tx = Tx::begun();
        let _sent = tx.send(0, "v").expect("taken");
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        tx.acknowledge();
        let ended = tx.try_call(first.clone(), |tx| {
            tx.lose(ApiKey::EndTxn);
            let refused = tx.refused(other);
            assert_eq!(
                refused.kind(),
                TransactionErrorKind::WrongState,
                "{refused}"
            );
            tx.settle();
        });
        assert_eq!(ended, Some(Ok(())), "{first:?}");
        assert_eq!(tx.state(), TransactionManagerState::Ready);
        let Request::EndTxn(end) = tx.last(ApiKey::EndTxn) else {
            unreachable!("of that kind");
        };
        assert_eq!(end.committed, first == Operation::Commit);
    }
}

/// Java: TransactionManagerTest#testDropCommitOnBatchExpiry
#[test]
fn a_commit_fails_when_an_unsent_record_expires() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    let committed = tx.try_call(Operation::Commit, |tx| {
        tx.rig().run();
        tx.rig().advance(DELIVERY_TIMEOUT);
        tx.rig().run();
    });
    let failed = committed
        .expect("it has ended")
        .expect_err("it was not sent");
    assert!(failed.is_abortable(), "{failed}");
    assert_eq!(error(&record).kind(), &ProduceErrorKind::DeliveryTimeout);
    assert!(!tx.kinds().contains(&ApiKey::EndTxn));
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    assert_eq!(tx.state(), TransactionManagerState::Ready);
}

/// Regression: the batch stayed queued until the next transaction, which did not contain the batch's partition and
/// could not be committed.
#[test]
fn an_abort_waits_for_a_batch_being_packed_even_if_the_coordinator_has_no_partition() {
    let mut tx = Tx::of(|setup| {
        setup.codec = CompressionType::Lz4;
        setup.batch_size = 500;
    })
    .initialized();
    assert_eq!(tx.stepped.producer.begin_transaction(), Ok(()));
    let first = tx.send(0, "first").expect("taken");
    let accumulator = Arc::clone(&tx.rig().shared.accumulator);
    let (is_packing, packs) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let filler = scope.spawn(move || {
            held_up::once_while_packing(move || {
                is_packing.send(()).expect("the test waits");
                may_go_on.recv().expect("the test lets it go on");
            });
            let entry = Arc::clone(&accumulator.all_entries()[0]);
            let record = RecordParts {
                key: None,
                value: Some(&[b'v'; 100]),
                headers: &[],
                timestamp_ms: 0,
            };
            let payload = record.payload_len();
            while let Append::Done(_) = accumulator.try_append::<AnyCallback>(
                AnyTransaction,
                &entry,
                &record,
                payload,
                None,
            ) {}
        });
        packs.recv().expect("it fills a batch");
        let aborted = tx.try_call(Operation::Abort, |tx| {
            tx.rig().run();
            tx.rig().run();
            assert_eq!(
                tx.state(),
                TransactionManagerState::Aborting,
                "a batch has not ended"
            );
            go_on.send(()).expect("it waits");
            filler.join().expect("it ends");
            tx.rig().run();
            tx.rig().run();
        });
        assert_eq!(aborted, Some(Ok(())));
    });
    assert_eq!(error(&first).kind(), &ProduceErrorKind::TransactionAborted);
    assert_eq!(tx.rig().shared.accumulator.queued_batches(), 0);
    assert_eq!(tx.kinds(), []);
}

/// Java: TransactionManagerTest#testHasOngoingTransactionSuccessfulAbort, #testHasOngoingTransactionSuccessfulCommit,
/// #testHasOngoingTransactionAbortableError, #testHasOngoingTransactionFatalError
#[test]
fn a_transaction_is_open_until_it_has_ended_or_the_producer_has_failed() {
    for (fails, operation, ends) in [
        (
            false,
            Operation::Commit,
            TransactionManagerState::Committing,
        ),
        (false, Operation::Abort, TransactionManagerState::Aborting),
        (true, Operation::Abort, TransactionManagerState::Aborting),
    ] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        tx.settle();
        assert_eq!(tx.state(), TransactionManagerState::InTransaction);
        if fails {
            tx.rig().transactions().fail_transaction(None, "it failed");
            assert_eq!(tx.state(), TransactionManagerState::AbortableError);
        }
        let ended = tx.try_call(operation, |tx| {
            let at = tx.until_asked(ApiKey::EndTxn);
            assert_eq!(tx.state(), ends);
            tx.answer_at(at, OK);
        });
        assert_eq!(ended, Some(Ok(())));
        assert_eq!(tx.state(), TransactionManagerState::Ready);
    }
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    tx.rig().transactions().fenced();
    assert_eq!(tx.state(), TransactionManagerState::FatalError);
    assert!(!tx.rig().sender.has_work(), "there is nothing to be ended");
}

// ---- conditions of a commit

/// Java: TransactionManagerTest#testCommitTransactionWithInFlightProduceRequest;
/// SenderTest#testAwaitPendingRecordsBeforeCommittingTransaction
#[test]
fn a_commit_waits_for_batches_in_flight_and_for_batches_queued_behind_them() {
    let mut tx = Tx::begun();
    let records = ["first", "second"].map(|value| tx.send(0, value).expect("taken"));
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    let committed = tx.try_call(Operation::Commit, |tx| {
        for (at, record) in (0..).zip(&records) {
            for _ in 0..4 {
                tx.rig().run();
                assert_eq!(tx.produces().len(), 1, "one is under way");
                assert_eq!(tx.asked(), None, "it has not ended");
                assert_eq!(tx.state(), TransactionManagerState::Committing);
            }
            tx.respond(OK, at);
            assert_eq!(offset(record), Some(at));
        }
        tx.answer(ApiKey::EndTxn, OK);
    });
    assert_eq!(committed, Some(Ok(())));
}

/// Java: TransactionManagerTest#testDisallowCommitOnProduceFailure
#[test]
fn a_commit_fails_when_a_record_is_refused_and_only_an_abort_can_follow() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    let code = ErrorCode::OutOfOrderSequenceNumber;
    let committed = tx.try_call(Operation::Commit, |tx| {
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        tx.respond(code, -1);
    });
    let failed = committed.expect("it has ended").expect_err("refused");
    assert!(
        failed.is_abortable() && !failed.may_be_committed(),
        "{failed}"
    );
    assert_eq!(failed.code(), Some(code));
    assert_eq!(error(&record).code(), Some(code));
    assert!(!tx.kinds().contains(&ApiKey::EndTxn));
    assert!(tx.refused(Operation::Commit).is_abortable());
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    assert_eq!(tx.state(), TransactionManagerState::Ready);
    let Request::EndTxn(end) = tx.last(ApiKey::EndTxn) else {
        unreachable!("of that kind");
    };
    assert!(!end.committed);
}

/// Java: TransactionManagerTest#testTransitionToAbortableErrorOnBatchExpiry,
/// #testTransitionToAbortableErrorOnMultipleBatchExpiry
#[test]
fn records_that_expire_before_they_are_sent_fail_their_transaction() {
    for partitions in [&[0][..], &[0, 1]] {
        let mut tx = Tx::begun();
        let long = tx.rig().now() + DELIVERY_TIMEOUT * 2;
        tx.rig().client().set_unreachable(0, long);
        let sends = partitions
            .iter()
            .map(|it| tx.send(*it, "v").expect("taken"));
        let records: Vec<_> = sends.collect();
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        assert_pending(&records.iter().collect::<Vec<_>>());
        assert_eq!(tx.state(), TransactionManagerState::InTransaction);
        tx.rig().advance(DELIVERY_TIMEOUT);
        tx.rig().run();
        for record in &records {
            let error = error(record);
            assert_eq!(error.kind(), &ProduceErrorKind::DeliveryTimeout);
            assert!(!error.may_be_written(), "{error}");
        }
        assert_eq!(tx.state(), TransactionManagerState::AbortableError);
        assert!(tx.rig().sent().is_empty());
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    }
}

/// Java: TransactionManagerTest#testSenderShutdownWithPendingTransactions,
/// SenderTest#testTransactionalRequestsSentOnShutdown
#[test]
fn a_commit_that_was_called_before_the_producer_is_closed_is_executed() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    let committed = tx.try_call(Operation::Commit, |tx| {
        tx.stepped.rig.shared.control.close();
        while tx.rig().sender.goes_on() {
            if let Some((_, _, at)) = tx.asked() {
                tx.answer_at(at, OK);
            } else if !tx.produces().is_empty() {
                tx.acknowledge();
            }
            tx.rig().run();
        }
    });
    assert_eq!(committed, Some(Ok(())));
    assert_eq!(offset(&record), Some(0));
    let Request::EndTxn(end) = tx.last(ApiKey::EndTxn) else {
        unreachable!("of that kind");
    };
    assert!(end.committed);
}

/// Java: `RecordAccumulator#abortUndrainedBatches`, which records no metric.
#[test]
fn records_aborted_with_their_transaction_are_not_counted_as_failed() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    assert_eq!(error(&record).kind(), &ProduceErrorKind::TransactionAborted);
    let metrics = Metrics::new(Arc::clone(&tx.rig().shared.metrics));
    let errors = metrics.number("producer-metrics", "record-error-total", &[]);
    assert!(errors.abs() < 0.5, "{errors}");
}

/// When a transaction has ended, all its callbacks have run, even slow ones.
#[test]
fn an_abort_without_a_coordinator_request_ends_after_the_callbacks_of_its_records() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    let ended = tx.try_call(Operation::Abort, |tx| {
        assert!(!record.is_done());
        tx.rig().run();
        assert!(record.is_done(), "completed in the step that gives it up");
    });
    assert_eq!(ended, Some(Ok(())), "and the call with it");
}

/// The coordinator may have begun the transaction as soon as the request is sent.
#[test]
fn a_close_reports_a_transaction_that_the_coordinator_may_have_begun() {
    for kind in [ApiKey::AddPartitionsToTxn, ApiKey::AddOffsetsToTxn] {
        for aborts in [false, true] {
            let refused = ErrorCode::TopicAuthorizationFailed;
            for (answer, leaves) in [(None, true), (Some(OK), true), (Some(refused), false)] {
                let mut tx = Tx::begun();
                if kind == ApiKey::AddPartitionsToTxn {
                    tx.put(0, "v");
                } else {
                    assert!(tx.try_call(offsets(1), |_| {}).is_none());
                }
                let leaves_one = |tx: &mut Tx| {
                    let manager = tx.rig().sender.transactions.as_ref();
                    manager.is_some_and(TransactionManager::leaves_transaction)
                };
                assert!(!leaves_one(&mut tx), "{kind} was not sent yet");
                let at = tx.until_asked(kind);
                if aborts {
                    assert!(tx.try_call(Operation::Abort, |_| {}).is_none());
                }
                if let Some(code) = answer {
                    tx.answer_at(at, code);
                }
                assert_eq!(leaves_one(&mut tx), leaves, "{kind} {aborts} {answer:?}");
                tx.close_by_force();
                let has_left = tx.rig().shared.control.has_left_transaction();
                assert_eq!(has_left, leaves, "{kind} {aborts} {answer:?}");
            }
        }
    }
}

/// A producer that failed for good cannot end its transaction. A fenced producer has no open transaction: the
/// coordinator has aborted it, or it belongs to the producer that has taken over the id.
#[test]
fn a_close_reports_the_transaction_of_a_producer_that_has_failed_unless_it_was_fenced() {
    for loses in [false, true] {
        for (code, leaves) in [
            (ErrorCode::TransactionalIdAuthorizationFailed, true),
            (ErrorCode::InvalidTxnState, true),
            (ErrorCode::ProducerFenced, false),
        ] {
            let mut tx = Tx::begun();
            tx.put(0, "v");
            tx.settle();
            let outcome = tx.try_call(Operation::Commit, |tx| {
                if loses {
                    tx.lose(ApiKey::EndTxn);
                }
                tx.answer(ApiKey::EndTxn, code);
            });
            let error = outcome.expect("it has ended").expect_err("refused");
            assert_eq!((error.is_fatal(), error.may_be_committed()), (true, loses));
            tx.rig().shared.control.close();
            tx.rig().sender.run_until_closed();
            let has_left = tx.rig().shared.control.has_left_transaction();
            assert_eq!(has_left, leaves, "{code}");
        }
    }
    // A producer that was not initialized has no transaction.
    let mut tx = Tx::new();
    let code = ErrorCode::TransactionalIdAuthorizationFailed;
    let init = tx.try_call(Operation::Init, |tx| {
        tx.answer(ApiKey::InitProducerId, code);
    });
    init.expect("it has ended").expect_err("refused");
    tx.close_by_force();
    assert!(!tx.rig().shared.control.has_left_transaction());
}
