//! The requests of each call, the states in which it is allowed, and the outcome of calls that time out.

use super::super::calls::{producer_on, strings};
use super::*;
use crate::error::Misuse;
use crate::producer::waiting::BlockingCall;

/// Java: TransactionManagerTest#testBasicTransaction, #testIsSendToPartitionAllowedWithPartitionNotAdded
#[test]
fn a_transaction_adds_its_partitions_sends_its_records_and_offsets_and_is_committed() {
    let mut tx = Tx::begun();
    let record = tx.send(0, "v").expect("taken");
    tx.rig().run();
    assert_eq!(tx.produces().len(), 0, "its partition is not added yet");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    tx.respond(OK, 7);
    assert_eq!(offset(&record), Some(7));
    assert_eq!(tx.run_call(offsets(3)), Ok(()));
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    assert_eq!(tx.state(), TransactionManagerState::Ready);
    assert_eq!(
        tx.kinds(),
        [
            ApiKey::AddPartitionsToTxn,
            ApiKey::Produce,
            ApiKey::AddOffsetsToTxn,
            ApiKey::FindCoordinator,
            ApiKey::TxnOffsetCommit,
            ApiKey::EndTxn
        ]
    );
    let Request::EndTxn(end) = tx.last(ApiKey::EndTxn) else {
        unreachable!("of that kind");
    };
    assert!(end.committed);
    assert_eq!((end.producer_id, end.producer_epoch), (PRODUCER_ID, 0));
}

/// The end of a transaction waits for its batches (TM-11), which do not linger meanwhile (TM-31).
///
/// Java: TransactionManagerTest#testEndTxnNotSentIfIncompleteBatches,
/// #testFlushPendingPartitionsOnCommit,
/// #testCommitTransactionWithUnsentProduceRequest; SenderTest#testRecordsFlushedImmediatelyOnTransactionCompletion
#[test]
fn a_commit_sends_lingering_batches_and_waits_for_them() {
    let linger = Duration::from_secs(5);
    let mut tx = Tx::of(|setup| {
        setup.options.linger = linger;
        setup.batch_size = 1000;
    })
    .initialized();
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    let record = tx.send(0, "v").expect("taken");
    let committed = tx.try_call(Operation::Commit, |tx| {
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        tx.rig().run();
        assert_eq!(tx.produces().len(), 1, "it does not linger");
        assert_eq!(tx.asked(), None, "the record has not ended");
        tx.respond(OK, 0);
        tx.answer(ApiKey::EndTxn, OK);
    });
    assert_eq!(committed, Some(Ok(())));
    assert_eq!(offset(&record), Some(0));
    // A batch of the next transaction lingers again.
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    tx.put(0, "next");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    tx.rig().run();
    assert_eq!(tx.produces(), [0; 0], "it lingers");
    tx.rig().advance(linger);
    tx.rig().run();
    assert_eq!(tx.produces().len(), 1);
}

/// A `send` is refused before `init_transactions`, between two transactions, and during a commit (TM-7).
///
/// Java: TransactionManagerTest#testFailIfNotReadyForSendNoProducerId, #testFailIfNotReadyForSendNoOngoingTransaction,
/// #testNotReadyForSendBeforeInitTransactions, #testNotReadyForSendBeforeBeginTransaction
#[test]
fn a_record_is_accepted_only_while_a_transaction_is_open() {
    let mut tx = Tx::new();
    let refused = |tx: &Tx| match tx.send(0, "v").expect_err("refused") {
        SendError::Transaction(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&tx).kind(), TransactionErrorKind::WrongState);
    tx = tx.initialized();
    assert_eq!(refused(&tx).kind(), TransactionErrorKind::WrongState);
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    tx.put(0, "v");
    let committed = tx.try_call(Operation::Commit, |tx| {
        assert_eq!(refused(tx).kind(), TransactionErrorKind::WrongState);
        tx.settle();
    });
    assert_eq!(committed, Some(Ok(())));
    assert_eq!(refused(&tx).kind(), TransactionErrorKind::WrongState);
}

/// A record that fits into an open batch is appended without a look at the transaction's state, so the queue itself must
/// refuse it from the moment that the call is made (TM-7).
#[test]
fn a_record_that_fits_into_an_open_batch_is_refused_while_the_transaction_is_ending() {
    let send = |tx: &Tx| {
        let record = ProducerRecord::new(TOPIC, "v").with_partition(0);
        tx.stepped.producer.send(record)
    };
    for operation in [Operation::Commit, Operation::Abort] {
        let mut tx = Tx::of(|setup| {
            setup.options.linger = Duration::from_secs(5);
            setup.batch_size = 1000;
        })
        .initialized();
        tx.stepped
            .producer
            .begin_transaction()
            .expect("it is ready");
        let records = [(); 2].map(|()| send(&tx).expect("a transaction is open"));
        assert_eq!(
            tx.rig().shared.accumulator.queued_batches(),
            1,
            "the second one fitted"
        );
        let ended = tx.try_call(operation.clone(), |tx| {
            match send(tx) {
                Err(SendError::Transaction(error)) => {
                    assert_eq!(error.kind(), TransactionErrorKind::WrongState);
                }
                other => panic!("{operation:?}: {other:?}"),
            }
            tx.settle();
        });
        assert_eq!(ended, Some(Ok(())), "{operation:?}");
        for record in records {
            assert!(record.is_done(), "{operation:?}");
            assert_eq!(record.get().is_ok(), operation == Operation::Commit);
        }
    }
}

/// The coordinator has not begun a transaction without partitions and offsets (TM-13).
///
/// Java: KafkaProducerTest#testAbortTransaction
#[test]
fn an_empty_transaction_ends_without_a_request() {
    for operation in [Operation::Commit, Operation::Abort] {
        let mut tx = Tx::begun();
        assert_eq!(tx.run_call(operation), Ok(()));
        assert_eq!(tx.kinds(), []);
        assert_eq!(tx.state(), TransactionManagerState::Ready);
    }
}

/// An abort drops the partitions that were not added yet, and fails their batches (TM-30).
///
/// Java: SenderTest#testTransactionAbortedExceptionOnAbortWithoutError
#[test]
fn an_abort_fails_unsent_batches_and_waits_for_those_in_flight() {
    let mut tx = Tx::begun();
    let sent = tx.send(0, "sent").expect("taken");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    assert_eq!(tx.produces().len(), 1);
    let queued = tx.send(1, "queued").expect("taken");
    let aborted = tx.try_call(Operation::Abort, |tx| {
        tx.rig().run();
        tx.rig().run();
        assert_eq!(error(&queued).kind(), &ProduceErrorKind::TransactionAborted);
        assert!(!error(&queued).may_be_written());
        assert_eq!(tx.asked(), None, "a batch has not ended");
        tx.respond(OK, 0);
        tx.answer(ApiKey::EndTxn, OK);
    });
    assert_eq!(aborted, Some(Ok(())));
    assert_eq!(offset(&sent), Some(0));
    let Request::EndTxn(end) = tx.last(ApiKey::EndTxn) else {
        unreachable!("of that kind");
    };
    assert!(!end.committed);
}

/// Partitions that are new to the transaction are added in one request (TM-10).
///
/// Java: TransactionManagerTest#testMaybeAddPartitionToTransaction
#[test]
fn partitions_used_together_are_added_in_one_request_and_later_ones_in_the_next() {
    let mut tx = Tx::begun();
    let records = [0, 1].map(|partition| tx.send(partition, "v").expect("taken"));
    let at = tx.until_asked(ApiKey::AddPartitionsToTxn);
    let Request::AddPartitionsToTxn(request) = tx.last(ApiKey::AddPartitionsToTxn) else {
        unreachable!("of that kind");
    };
    assert_eq!(request.topics.len(), 1);
    assert_eq!(request.topics[0].partitions, [0, 1]);
    tx.answer_at(at, OK);
    tx.settle();
    assert!(records.iter().all(|it| it.get().is_ok()));
    tx.put(0, "again");
    tx.settle();
    let added = |kinds: Vec<ApiKey>| {
        let kinds = kinds.into_iter();
        kinds.filter(|it| *it == ApiKey::AddPartitionsToTxn).count()
    };
    assert_eq!(added(tx.kinds()), 1, "it is added");
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    tx.put(0, "next");
    tx.settle();
    assert_eq!(added(tx.kinds()), 2, "to the next transaction, too");
}

/// A call that timed out may be repeated. The repeated call returns the result of the first one, and only once
/// (KAFKA-13412, TM-26).
///
/// Java: KafkaProducerTest#testInitTransactionTimeout,
/// #testOnlyCanExecuteCloseAfterInitTransactionsTimeout
#[test]
fn a_call_repeated_after_a_timeout_resumes_the_first_one() {
    let mut tx = Tx::new();
    for (operation, kind) in [
        (Operation::Init, ApiKey::InitProducerId),
        (offsets(5), ApiKey::TxnOffsetCommit),
        (Operation::Commit, ApiKey::EndTxn),
    ] {
        let timed_out = {
            let mut call = tx
                .stepped
                .producer
                .transaction_call(operation.clone(), None);
            assert!(step(&mut call).is_none());
            tx.stepped.rig.clock.advance(MAX_BLOCK);
            step(&mut call).expect("its time is up")
        };
        let timed_out = timed_out.expect_err("its time is up");
        assert!(
            timed_out.is_retriable() && !timed_out.is_fatal(),
            "{timed_out}"
        );
        assert_eq!(timed_out.may_be_committed(), operation == Operation::Commit);
        let other = tx
            .stepped
            .producer
            .begin_transaction()
            .expect_err("another call");
        assert_eq!(other.kind(), TransactionErrorKind::WrongState, "{other}");
        tx.settle();
        let again = step(
            &mut tx
                .stepped
                .producer
                .transaction_call(operation.clone(), None),
        );
        assert_eq!(again, Some(Ok(())), "{operation:?}");
        let asked = tx.kinds().into_iter().filter(|it| *it == kind).count();
        assert_eq!(asked, 1, "{kind}");
        if operation == Operation::Init {
            tx.stepped
                .producer
                .begin_transaction()
                .expect("it is ready");
            tx.put(0, "v");
        }
    }
}

/// Offsets whose call timed out do not prevent the end of the transaction.
#[test]
fn a_transaction_can_be_committed_or_aborted_after_sending_offsets_timed_out() {
    for operation in [Operation::Commit, Operation::Abort] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        assert!(tx.try_call(offsets(5), |_| {}).is_none());
        assert_eq!(tx.run_call(operation.clone()), Ok(()), "{operation:?}");
        let committed = tx.kinds().contains(&ApiKey::TxnOffsetCommit);
        assert_eq!(committed, operation == Operation::Commit);
    }
}

/// Tests each call in each state in which the call is not allowed (TM-2, TM-6).
///
/// Java: TransactionManagerTest#testInitializeTransactionsTwiceRaisesError
#[test]
fn a_call_in_a_wrong_state_is_refused_and_changes_nothing() {
    let all = [
        Operation::Init,
        offsets(1),
        Operation::Commit,
        Operation::Abort,
    ];
    for (tx, fits) in [
        (Tx::new(), vec![Operation::Init]),
        (Tx::ready(), vec![]),
        (
            Tx::begun(),
            vec![offsets(1), Operation::Commit, Operation::Abort],
        ),
    ] {
        let before = tx.state();
        for operation in all.iter().filter(|it| !fits.contains(it)) {
            let error = tx.refused(operation.clone());
            assert_eq!(error.kind(), TransactionErrorKind::WrongState);
            assert_eq!(error.call(), operation.call());
            assert!(error.to_string().contains(&before.to_string()), "{error}");
            assert_eq!(tx.state(), before);
        }
        let begun = tx.stepped.producer.begin_transaction();
        assert_eq!(begun.is_ok(), before == TransactionManagerState::Ready);
    }
}

/// Java: KafkaProducerTest#testInvalidGenerationIdAndMemberIdCombinedInSendOffsets
#[test]
fn offsets_of_no_partition_need_no_request_and_invalid_offsets_are_refused() {
    let tx = Tx::begun();
    let producer = &tx.stepped.producer;
    let name = || TopicPartition::new("input", 0);
    assert_eq!(producer.send_offsets_to_transaction([], "group"), Ok(()));
    let odd = [
        producer.send_offsets_to_transaction([(name(), 1.into())], ""),
        producer.send_offsets_to_transaction([(name(), (-1).into())], "group"),
        producer.send_offsets_to_transaction(
            [(name(), 1.into())],
            ConsumerGroupMetadata::new("group").member("", 7),
        ),
    ];
    for refused in odd {
        let error = refused.expect_err("odd");
        let kind = TransactionErrorKind::InvalidOffsets;
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(tx.state(), TransactionManagerState::InTransaction);
}

#[test]
fn begin_transaction_without_a_transactional_id_fails_with_an_error_that_names_the_key() {
    let stepped = ProducerRig::of(Setup::idempotent().start());
    let error = stepped.producer.begin_transaction().expect_err("no id");
    assert_eq!(error.kind(), TransactionErrorKind::WrongState);
    assert!(error.to_string().contains("transactional.id"), "{error}");
}

/// Java: SenderTest#testIncompleteTransactionAbortOnShutdown, KP-53
#[test]
fn a_producer_that_is_closed_aborts_the_transaction_that_is_open() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    tx.stepped.rig.client().forget_sent();
    tx.stepped.rig.shared.control.close();
    while tx.rig().sender.goes_on() {
        if let Some((_, _, at)) = tx.asked() {
            tx.answer_at(at, OK);
        }
        tx.rig().run();
    }
    let Request::EndTxn(end) = tx.last(ApiKey::EndTxn) else {
        unreachable!("of that kind");
    };
    assert!(!end.committed);
}

/// The end of a transaction removes its partitions. In Java partitions of a failed one could remain (TM-35).
#[test]
fn a_partition_of_the_previous_transaction_waits_until_it_is_added_to_the_next() {
    let mut tx = Tx::begun();
    for _ in 0..2 {
        tx.put(0, "v");
        tx.until_asked(ApiKey::AddPartitionsToTxn);
        tx.rig().run();
        assert_eq!(tx.produces(), [0; 0]);
        tx.settle();
        assert_eq!(tx.run_call(Operation::Commit), Ok(()));
        assert_eq!(tx.stepped.producer.begin_transaction(), Ok(()));
    }
}

/// Another thread may close the producer while a commit that timed out is still in progress.
#[test]
fn a_repeated_commit_of_a_closing_producer_returns_the_outcome_of_the_first() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    let commit = |tx: &Tx| {
        let no_time = Some(Duration::ZERO);
        step(
            &mut tx
                .stepped
                .producer
                .transaction_call(Operation::Commit, no_time),
        )
        .expect("at once")
    };
    let first = commit(&tx).expect_err("there is no time");
    tx.stepped.rig.shared.control.close();
    let again = commit(&tx).expect_err("there is no time");
    for error in [first, again] {
        assert_eq!(error.kind(), TransactionErrorKind::TimedOut);
        assert!(error.may_be_committed(), "{error}");
    }
    while tx.rig().sender.goes_on() {
        if let Some((_, _, at)) = tx.asked() {
            tx.answer_at(at, OK);
        }
        tx.rig().run();
    }
    assert_eq!(commit(&tx), Ok(()));
    let error = commit(&tx).expect_err("it has ended");
    assert_eq!(error.kind(), TransactionErrorKind::Closed);
}

/// A forced close fails queued requests and the calls that wait for them (TM-25).
///
/// Java: SenderTest#testForceShutdownWithIncompleteTransaction
#[test]
fn a_call_that_waits_for_the_end_of_a_transaction_fails_when_the_producer_is_closed_by_force() {
    for asked in [ApiKey::AddPartitionsToTxn, ApiKey::EndTxn] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        if asked == ApiKey::EndTxn {
            tx.settle();
        }
        let error = tx.try_call(Operation::Commit, |tx| {
            tx.until_asked(asked);
            tx.stepped.rig.sender.abort_everything();
            tx.stepped.rig.shared.control.close();
        });
        let waiting = error.expect("it has ended").expect_err("it is closed");
        let later = [Operation::Commit, Operation::Abort].map(|it| tx.refused(it));
        let begin = tx.stepped.producer.begin_transaction();
        // No EndTxn is sent while the transaction waits for its first partition to be added.
        let may_be_committed = asked == ApiKey::EndTxn;
        for error in [waiting, begin.expect_err("it is closed")]
            .iter()
            .chain(&later)
        {
            assert_eq!(error.kind(), TransactionErrorKind::Closed);
            assert_eq!(
                error.may_be_committed(),
                may_be_committed,
                "{asked}: {error}"
            );
        }
    }
}

/// While a commit that timed out is in progress, each error of another call reports that the transaction may be
/// committed.
#[test]
fn every_error_reports_the_doubt_while_a_commit_is_in_doubt() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    let no_time = Some(Duration::ZERO);
    let mut call = tx
        .stepped
        .producer
        .transaction_call(Operation::Commit, no_time);
    let commit = step(&mut call).expect("at once");
    let producer = &tx.stepped.producer;
    let bad = (TopicPartition::new("input", 0), (-1).into());
    let mut errors = vec![
        commit.expect_err("there is no time"),
        producer.begin_transaction().expect_err("one is open"),
        producer
            .send_offsets_to_transaction([bad], "group")
            .expect_err("they are bad"),
        producer
            .transaction_call(Operation::Abort, None)
            .refuse(Misuse::InsideCallback)
            .expect_err("it is refused"),
    ];
    errors.extend([Operation::Init, Operation::Abort, offsets(1)].map(|it| tx.refused(it)));
    match tx.send(0, "late") {
        Err(SendError::Transaction(error)) => errors.push(error),
        other => panic!("{other:?}"),
    }
    for error in &errors {
        assert!(error.may_be_committed(), "{:?} {error}", error.kind());
    }
    // The commit has ended, but no call has returned its result.
    tx.settle();
    let unaware = tx.refused(Operation::Abort);
    assert!(unaware.may_be_committed(), "{unaware}");
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
    // After a call has returned the result, a later call is not about this transaction.
    let aware = tx.refused(Operation::Abort);
    assert!(!aware.may_be_committed(), "{aware}");
}

/// The abort has not ended, so the transaction may still be committed.
#[test]
fn an_abort_that_times_out_after_a_commit_in_doubt_reports_the_doubt() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    let outcome = tx.try_call(Operation::Commit, |tx| {
        tx.lose(ApiKey::EndTxn);
        tx.answer(ApiKey::EndTxn, ErrorCode::TransactionAbortable);
    });
    outcome.expect("it has ended").expect_err("refused");
    let no_time = Some(Duration::ZERO);
    let mut call = tx
        .stepped
        .producer
        .transaction_call(Operation::Abort, no_time);
    let timed_out = step(&mut call).expect("at once").expect_err("no time");
    let begin = tx
        .stepped
        .producer
        .begin_transaction()
        .expect_err("it is open");
    for error in [timed_out, begin, tx.refused(offsets(1))] {
        assert!(error.may_be_committed(), "{error}");
    }
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    let none = tx.refused(Operation::Abort);
    assert!(!none.may_be_committed(), "{none}");
}

/// Two threads send offsets, or one thread sends other offsets after its first call has timed out: both calls are
/// executed, as in Kafka.
///
/// Kafka: `TransactionManager#sendOffsetsToTransaction`, which queues a request for each call.
#[test]
fn offsets_that_are_sent_while_others_are_in_flight_are_committed_after_them() {
    let mut tx = Tx::begun();
    let (another, _running) = producer_on(&tx.stepped.rig, strings());
    let mut first = tx.stepped.producer.transaction_call(offsets(1), None);
    let mut second = another.transaction_call(offsets(2), None);
    assert!(step(&mut first).is_none());
    assert!(step(&mut second).is_none());
    drop(first);
    tx.settle();
    assert_eq!(step(&mut second), Some(Ok(())));
    let kinds = tx.kinds();
    let count = |kind| kinds.iter().filter(|it| **it == kind).count();
    assert_eq!(count(ApiKey::TxnOffsetCommit), 2);
    let Request::TxnOffsetCommit(last) = tx.last(ApiKey::TxnOffsetCommit) else {
        unreachable!("of that kind");
    };
    assert_eq!(last.topics[0].partitions[0].offset, 2);
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

/// Regression: some responses that were retried were not in the text.
#[test]
fn a_call_that_times_out_has_the_reason_of_the_last_retry() {
    let no_partitions = |kind| {
        Outcome::Response(match kind {
            ApiKey::AddPartitionsToTxn => {
                Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
                    throttle_time_ms: 0,
                    topics: vec![],
                })
            }
            _ => Response::TxnOffsetCommit(TxnOffsetCommitResponse {
                throttle_time_ms: 0,
                topics: vec![],
            }),
        })
    };
    let nowhere = Outcome::Response(Response::FindCoordinator(FindCoordinatorResponse {
        throttle_time_ms: 0,
        coordinators: vec![Coordinator {
            key: None,
            node_id: -1,
            host: "".into(),
            port: -1,
            error: OK,
            error_message: None,
        }],
    }));
    let wrong_type = || Outcome::Response(init_response(OK, PRODUCER_ID, 0));
    let (commit, init) = (Operation::Commit, Operation::Init);
    for (operation, kind, outcome, text) in [
        (
            &init,
            ApiKey::FindCoordinator,
            Some(nowhere),
            "no usable node",
        ),
        (
            &init,
            ApiKey::FindCoordinator,
            Some(wrong_type()),
            "cannot be used",
        ),
        (&init, ApiKey::FindCoordinator, Some(lost()), "gone"),
        (
            &init,
            ApiKey::InitProducerId,
            None,
            "CONCURRENT_TRANSACTIONS",
        ),
        (&init, ApiKey::InitProducerId, Some(lost()), "gone"),
        (
            &commit,
            ApiKey::AddPartitionsToTxn,
            None,
            "CONCURRENT_TRANSACTIONS",
        ),
        (
            &commit,
            ApiKey::AddPartitionsToTxn,
            Some(no_partitions(ApiKey::AddPartitionsToTxn)),
            "lacks t-0",
        ),
        (
            &commit,
            ApiKey::AddPartitionsToTxn,
            Some(wrong_type()),
            "not of the type",
        ),
        (
            &offsets(1),
            ApiKey::AddOffsetsToTxn,
            None,
            "CONCURRENT_TRANSACTIONS",
        ),
        (
            &offsets(1),
            ApiKey::TxnOffsetCommit,
            Some(no_partitions(ApiKey::TxnOffsetCommit)),
            "lacks the offset of input-0",
        ),
        (&commit, ApiKey::EndTxn, None, "CONCURRENT_TRANSACTIONS"),
        (&commit, ApiKey::EndTxn, Some(lost()), "gone"),
    ] {
        let mut tx = if *operation == init {
            Tx::new()
        } else {
            Tx::begun()
        };
        if *operation == commit {
            tx.put(0, "v");
        }
        if kind == ApiKey::EndTxn {
            tx.settle();
        }
        let began = step(
            &mut tx
                .stepped
                .producer
                .transaction_call(operation.clone(), None),
        );
        assert!(began.is_none(), "{kind}");
        let at = tx.until_asked(kind);
        match outcome {
            Some(outcome) => tx.finish(at, outcome),
            None => tx.answer_at(at, ErrorCode::ConcurrentTransactions),
        }
        let no_time = Some(Duration::ZERO);
        let mut again = tx
            .stepped
            .producer
            .transaction_call(operation.clone(), no_time);
        let error = step(&mut again).expect("at once").expect_err("no time");
        assert_eq!(error.kind(), TransactionErrorKind::TimedOut, "{error}");
        assert!(error.to_string().contains(text), "{kind}: {error}");
    }
}
