//! Sequence numbers and epochs across the end of transactions.

use super::*;

/// A producer with brokers before 2.5, which cannot bump epochs.
fn old_brokers() -> Tx {
    let mut tx = Tx::new();
    let version = Some(1);
    tx.rig()
        .client()
        .set_version(ApiKey::InitProducerId, version);
    tx.initialized()
}

/// The epoch and base sequence of the newest batch.
fn newest(tx: &mut Tx) -> (i16, i32) {
    let sent = tx.rig().last_sent();
    (sent.epoch, sent.sequence)
}

fn commit(tx: &mut Tx) {
    assert_eq!(tx.run_call(Operation::Commit), Ok(()));
}

#[test]
fn sequence_numbers_continue_from_one_transaction_to_the_next() {
    let mut tx = Tx::ready();
    for sequence in 0..3 {
        tx.stepped
            .producer
            .begin_transaction()
            .expect("it is ready");
        tx.put(0, "v");
        tx.settle();
        assert_eq!(newest(&mut tx), (0, sequence));
        commit(&mut tx);
    }
}

/// The epoch bump by the coordinator (KIP-360, TM-33, TM-34).
///
/// Java: TransactionManagerTest#testInvalidProducerEpochFromProduce, #testAllowAbortOnProduceFailure,
/// #testBumpTransactionalEpochOnAbortableError, #testBumpTransactionalEpochOnUnknownProducerIdError
#[test]
fn after_a_sequence_gap_the_coordinator_bumps_the_epoch_when_the_transaction_is_aborted() {
    for code in [
        ErrorCode::InvalidRecord,
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::InvalidProducerEpoch,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::UnknownProducerId,
    ] {
        let mut tx = Tx::begun();
        tx.put(0, "v");
        tx.settle();
        let refused = tx.send(0, "refused").expect("taken");
        tx.rig().run();
        assert_eq!(newest(&mut tx), (0, 1));
        tx.respond(code, -1);
        assert_eq!(error(&refused).code(), Some(code));
        assert_eq!(
            tx.state(),
            TransactionManagerState::AbortableError,
            "{code}"
        );
        assert_eq!(tx.run_call(Operation::Abort), Ok(()), "{code}");
        let Request::InitProducerId(init) = tx.last(ApiKey::InitProducerId) else {
            unreachable!("of that kind");
        };
        assert_eq!((init.producer_id, init.producer_epoch), (PRODUCER_ID, 0));
        let kinds = tx.kinds();
        assert_eq!(
            kinds[kinds.len() - 2..],
            [ApiKey::EndTxn, ApiKey::InitProducerId],
            "{code}"
        );
        tx.stepped.producer.begin_transaction().expect("it goes on");
        tx.put(0, "v");
        tx.settle();
        assert_eq!(newest(&mut tx), (1, 0), "{code}");
        commit(&mut tx);
    }
}

/// Brokers before 2.5 (TM-43).
///
/// Java: TransactionManagerTest#testAbortTransactionAndReuseSequenceNumberOnError
#[test]
fn sequence_numbers_of_refused_batches_are_reused_if_the_brokers_support_no_epoch_bumps() {
    let mut tx = old_brokers();
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    tx.put(0, "v");
    tx.settle();
    assert_eq!(newest(&mut tx), (0, 0));
    tx.put(0, "refused");
    tx.rig().run();
    assert_eq!(newest(&mut tx), (0, 1));
    tx.respond(ErrorCode::InvalidRecord, -1);
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    tx.stepped.producer.begin_transaction().expect("it goes on");
    tx.put(0, "next");
    tx.settle();
    assert_eq!(newest(&mut tx), (0, 1));
    commit(&mut tx);
}

/// The sequence number of a batch that may be written is resolved when nothing is in flight (TM-48). This takes an
/// epoch bump, which old brokers do not support.
///
/// Java: TransactionManagerTest#testBumpTransactionalEpochOnTimeout; SenderTest#testUnresolvedSequencesAreNotFatal
#[test]
fn an_abort_after_a_batch_that_may_be_written_is_fatal_if_the_brokers_support_no_epoch_bumps() {
    for bumps in [true, false] {
        let mut tx = if bumps { Tx::ready() } else { old_brokers() };
        tx.stepped
            .producer
            .begin_transaction()
            .expect("it is ready");
        let lost = tx.send(0, "v").expect("taken");
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        tx.rig().advance(DELIVERY_TIMEOUT);
        tx.rig().run();
        assert!(error(&lost).may_be_written());
        assert_eq!(tx.state(), TransactionManagerState::AbortableError);
        let aborted = tx.run_call(Operation::Abort);
        assert_eq!(aborted.is_ok(), bumps, "{aborted:?}");
        assert_eq!(tx.state() == TransactionManagerState::FatalError, !bumps);
        if bumps {
            tx.stepped.producer.begin_transaction().expect("it goes on");
            tx.put(0, "next");
            tx.settle();
            assert_eq!(newest(&mut tx), (1, 0));
        }
    }
}

/// In Java, without epoch bumps, the failure of a batch that was sent is always fatal, whatever its leader has
/// responded.
///
/// Java: TransactionManagerTest#testTransitionToFatalErrorWhenRetriedBatchIsExpired
#[test]
fn an_abort_after_a_retried_batch_expired_is_fatal_without_epoch_bumps_if_it_may_be_written() {
    for (code, may_be_written) in [
        (ErrorCode::NotEnoughReplicas, false),
        (ErrorCode::NotLeaderOrFollower, true),
    ] {
        let mut tx = old_brokers();
        tx.stepped
            .producer
            .begin_transaction()
            .expect("it is ready");
        let record = tx.send(0, "v").expect("taken");
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        tx.respond(code, -1);
        let now = tx.rig().now();
        let long = now + DELIVERY_TIMEOUT * 2;
        tx.rig().client().set_unreachable(0, long);
        let committed = tx.try_call(Operation::Commit, |tx| {
            tx.rig().run();
            tx.rig().advance(DELIVERY_TIMEOUT);
            tx.rig().run();
        });
        let failed = committed.expect("it has ended").expect_err("not sent");
        assert!(failed.is_abortable(), "{failed}");
        let error = error(&record);
        assert_eq!(error.kind(), &ProduceErrorKind::DeliveryTimeout);
        assert_eq!(error.may_be_written(), may_be_written, "{code}: {error}");
        let aborted = tx.run_call(Operation::Abort);
        assert_eq!(aborted.is_err(), may_be_written, "{code}: {aborted:?}");
        assert_eq!(
            tx.state() == TransactionManagerState::FatalError,
            may_be_written,
            "{code}"
        );
        if !may_be_written {
            tx.rig().client().set_unreachable(0, now);
            tx.stepped.producer.begin_transaction().expect("it goes on");
            tx.put(0, "next");
            tx.settle();
            assert_eq!(newest(&mut tx), (0, 0), "the number is given again");
            commit(&mut tx);
        }
    }
}

/// Java: TransactionManagerTest#testAbortTransactionAndResetSequenceNumberOnUnknownProducerId
#[test]
fn sequence_numbers_restart_at_zero_after_a_loss_of_state_if_the_brokers_support_no_epoch_bumps() {
    let mut tx = old_brokers();
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    for partition in [1, 0, 0] {
        tx.put(partition, "v");
        tx.settle();
    }
    let refused = tx.send(0, "refused").expect("taken");
    tx.rig().run();
    assert_eq!(newest(&mut tx), (0, 2));
    tx.respond(ErrorCode::UnknownProducerId, -1);
    assert!(error(&refused).code() == Some(ErrorCode::UnknownProducerId));
    assert_eq!(tx.state(), TransactionManagerState::AbortableError);
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
    tx.stepped.producer.begin_transaction().expect("it goes on");
    for (partition, sequence) in [(0, 0), (1, 1)] {
        tx.put(partition, "next");
        tx.settle();
        assert_eq!(newest(&mut tx), (0, sequence), "partition {partition}");
    }
    commit(&mut tx);
}

/// Retries are sent although the transaction is being aborted: otherwise the sequence would have a gap.
///
/// Java: TransactionManagerTest#testAbortResendsProduceRequestIfRetried
#[test]
fn batches_that_wait_for_their_retry_are_retried_in_a_transaction_that_is_being_aborted() {
    let mut tx = Tx::begun();
    let retried = tx.send(0, "v").expect("taken");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    tx.respond(ErrorCode::NotEnoughReplicas, -1);
    let aborted = tx.try_call(Operation::Abort, Tx::settle);
    assert_eq!(aborted, Some(Ok(())));
    assert_eq!(offset(&retried), Some(0));
    assert_eq!(tx.epoch, 1, "the epoch was not bumped");
}

/// Java: TransactionManagerTest#testRecoveryFromAbortableErrorProduceRequestInRetry,
/// #resendFailedProduceRequestAfterAbortableError,
/// #testIsSendToPartitionAllowedWithAddedPartitionAfterAbortableError
#[test]
fn batches_that_wait_for_their_retry_are_retried_in_a_failed_transaction_and_the_next_one_succeeds()
{
    for code in [ErrorCode::RequestTimedOut, ErrorCode::NotLeaderOrFollower] {
        let mut tx = Tx::begun();
        let retried = tx.send(0, "v").expect("taken");
        tx.answer(ApiKey::AddPartitionsToTxn, OK);
        tx.respond(code, -1);
        let refused = tx.send(1, "refused").expect("taken");
        tx.answer(
            ApiKey::AddPartitionsToTxn,
            ErrorCode::TopicAuthorizationFailed,
        );
        assert_eq!(tx.state(), TransactionManagerState::AbortableError);
        assert_eq!(
            error(&refused).kind(),
            &ProduceErrorKind::TransactionAborted
        );
        assert_pending(&[&retried]);
        tx.settle();
        assert_eq!(
            tx.state(),
            TransactionManagerState::AbortableError,
            "no call has aborted it"
        );
        assert_eq!(offset(&retried), Some(0), "{code}");
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        assert!(tx.kinds().contains(&ApiKey::EndTxn));
        tx.stepped.producer.begin_transaction().expect("it goes on");
        tx.put(0, "next");
        tx.settle();
        assert_eq!(newest(&mut tx), (0, 1), "no sequence number is missing");
        commit(&mut tx);
    }
}

/// Java: SenderTest#testTransactionalSplitBatchAndSend, #testTooLargeBatchesAreSafelyRemoved
#[test]
fn a_batch_that_is_too_large_is_split_in_a_transaction_too() {
    let mut tx = Tx::of(|setup| setup.batch_size = 1000).initialized();
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    let records = ["first", "second"].map(|value| tx.send(0, value).expect("taken"));
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    assert_eq!(tx.rig().last_sent().records, 2, "it is one batch");
    tx.respond(ErrorCode::MessageTooLarge, -1);
    for (sequence, record) in (0..).zip(&records) {
        assert_pending(&[record]);
        tx.rig().run();
        assert_eq!(tx.produces().len(), 1, "pieces go one at a time");
        assert_eq!(newest(&mut tx), (0, sequence));
        tx.respond(OK, sequence.into());
        assert_eq!(offset(record), Some(sequence.into()));
    }
    // The split batch is no longer tracked: its expiry has no effect.
    tx.rig().advance(DELIVERY_TIMEOUT);
    tx.rig().run();
    assert_eq!(tx.state(), TransactionManagerState::InTransaction);
    commit(&mut tx);
}

/// A transaction in which a record was acknowledged at offset 1000. `bumps` is true if its coordinator can bump epochs.
fn acknowledged_at_1000(bumps: bool) -> Tx {
    let mut tx = Tx::new();
    if !bumps {
        tx.rig()
            .client()
            .set_version(ApiKey::InitProducerId, Some(1));
    }
    let mut tx = tx.initialized();
    tx.stepped
        .producer
        .begin_transaction()
        .expect("it is ready");
    tx.put(0, "a");
    tx.answer(ApiKey::AddPartitionsToTxn, OK);
    tx.respond(OK, 1000);
    tx
}

/// Java: SenderTest#testTransactionalUnknownProducerHandlingWhenRetentionLimitReached
#[test]
fn sequence_numbers_of_a_transaction_start_again_after_retention_deleted_the_acknowledged_records()
{
    for (log_start, goes_on) in [(1000, false), (1001, true), (-1, true)] {
        let mut tx = acknowledged_at_1000(false);
        let next = tx.send(0, "b").expect("taken");
        tx.rig().run();
        assert_eq!(newest(&mut tx), (0, 1));
        tx.respond_from(ErrorCode::UnknownProducerId, -1, log_start);
        if goes_on {
            assert_eq!(tx.state(), TransactionManagerState::InTransaction);
            tx.pass_pauses();
            // If the log start offset is unknown, the batch is retried unchanged.
            let sequence = i32::from(log_start == -1);
            assert_eq!(newest(&mut tx), (0, sequence), "{log_start}");
            tx.respond(OK, 1011);
            assert_eq!(offset(&next), Some(1011));
            tx.put(0, "c");
            tx.rig().run();
            assert_eq!(newest(&mut tx), (0, sequence + 1));
            commit(&mut tx);
        } else {
            assert_eq!(tx.state(), TransactionManagerState::AbortableError);
            assert!(next.get().is_err());
        }
    }
}

#[test]
fn all_unacknowledged_batches_are_renumbered_in_order_if_retention_deleted_the_acknowledged_ones() {
    let mut tx = acknowledged_at_1000(true);
    // The first batch is sent alone, because the partition was idle.
    tx.put(0, "b");
    tx.rig().run();
    tx.respond(OK, 1001);
    tx.put(0, "c");
    tx.rig().run();
    tx.put(0, "d");
    tx.rig().run();
    let under_way = tx.produces().len();
    for _ in 0..under_way {
        tx.respond_from(ErrorCode::UnknownProducerId, -1, 1010);
    }
    for sequence in 0..2 {
        tx.pass_pauses();
        tx.rig().run();
        assert_eq!(newest(&mut tx), (0, sequence), "{under_way} were under way");
        tx.respond(OK, 1010 + i64::from(sequence));
    }
    commit(&mut tx);
    assert_eq!(tx.epoch, 1, "the epoch was not bumped");
}

/// Differs from Java, which renumbers and retries the batch.
#[test]
fn a_batch_that_may_be_written_is_not_renumbered_if_retention_deleted_the_acknowledged_ones() {
    let mut tx = acknowledged_at_1000(true);
    let lost = tx.send(0, "b").expect("taken");
    tx.rig().run();
    let at = tx.produces()[0];
    let reason = "gone".into();
    let handed_over = true;
    tx.finish(
        at,
        Outcome::Disconnected {
            handed_over,
            reason,
        },
    );
    tx.pass_pauses();
    assert_eq!(newest(&mut tx), (0, 1));
    tx.respond_from(ErrorCode::UnknownProducerId, -1, 1010);
    assert_eq!(tx.state(), TransactionManagerState::AbortableError);
    assert!(error(&lost).may_be_written());
    assert_eq!(tx.run_call(Operation::Abort), Ok(()));
}

#[test]
fn a_batch_that_waits_for_its_new_number_is_aborted_and_the_next_one_starts_at_0() {
    for bumps in [true, false] {
        let mut tx = acknowledged_at_1000(bumps);
        let given_up = tx.send(0, "b").expect("taken");
        tx.rig().run();
        tx.put(0, "c");
        tx.respond_from(ErrorCode::UnknownProducerId, -1, 1010);
        assert_eq!(tx.run_call(Operation::Abort), Ok(()));
        assert!(!error(&given_up).may_be_written());
        tx.stepped.producer.begin_transaction().expect("it goes on");
        tx.put(0, "d");
        tx.settle();
        let (_, sequence) = newest(&mut tx);
        assert_eq!(sequence, 0, "{bumps}");
        commit(&mut tx);
    }
}

// ---- requests without a response

/// The outcome of a request that was sent, or not, before the connection was lost.
fn lost_after(handed_over: bool) -> Outcome {
    Outcome::Disconnected {
        handed_over,
        reason: "gone".into(),
    }
}

/// Runs a transaction in which the first request of that kind gets no response. All other requests succeed.
fn end_after_a_loss_of(tx: &mut Tx, kind: ApiKey, handed_over: bool, ends_by: &Operation) {
    let lose = |tx: &mut Tx| {
        let at = tx.until_asked(kind);
        tx.finish(at, lost_after(handed_over));
    };
    tx.put(0, "v");
    if kind == ApiKey::AddPartitionsToTxn {
        lose(tx);
    }
    tx.settle();
    if matches!(kind, ApiKey::AddOffsetsToTxn | ApiKey::TxnOffsetCommit) {
        let sent = tx.try_call(offsets(1), |tx| {
            lose(tx);
            tx.settle();
        });
        assert_eq!(sent, Some(Ok(())), "{kind}");
    }
    let ended = tx.try_call(ends_by.clone(), |tx| {
        if kind == ApiKey::EndTxn {
            lose(tx);
        }
        tx.settle();
    });
    assert_eq!(ended, Some(Ok(())), "{kind} {ends_by:?}");
}

/// Regression: a coordinator may execute a request long after the producer has sent it again on another connection.
/// Within the same epoch the late request would change the next transaction: a late EndTxn ended it, and the offsets of
/// a late TxnOffsetCommit were committed with it.
#[test]
fn a_request_without_a_response_requires_a_new_epoch_before_the_next_transaction() {
    for kind in [
        ApiKey::AddPartitionsToTxn,
        ApiKey::AddOffsetsToTxn,
        ApiKey::TxnOffsetCommit,
        ApiKey::EndTxn,
    ] {
        for ends_by in [Operation::Commit, Operation::Abort] {
            let mut tx = Tx::begun();
            end_after_a_loss_of(&mut tx, kind, true, &ends_by);
            let Request::InitProducerId(init) = tx.last(ApiKey::InitProducerId) else {
                unreachable!("of that kind");
            };
            assert_eq!((init.producer_id, init.producer_epoch), (PRODUCER_ID, 0));
            assert_eq!(tx.kinds().last(), Some(&ApiKey::InitProducerId), "{kind}");
            tx.rig().client().forget_sent();
            tx.stepped.producer.begin_transaction().expect("it goes on");
            tx.put(0, "v");
            tx.settle();
            assert_eq!(newest(&mut tx), (1, 0), "{kind}");
            commit(&mut tx);
            let kinds = tx.kinds();
            assert!(!kinds.contains(&ApiKey::InitProducerId), "once: {kinds:?}");
        }
    }
}

/// A request that was not sent cannot arrive later, and brokers before 2.5 cannot bump epochs.
#[test]
fn the_epoch_stays_after_a_request_that_was_not_sent_and_with_brokers_that_cannot_bump_it() {
    for (mut tx, handed_over) in [(Tx::ready(), false), (old_brokers(), true)] {
        for kind in [ApiKey::AddPartitionsToTxn, ApiKey::EndTxn] {
            tx.stepped.producer.begin_transaction().expect("it goes on");
            end_after_a_loss_of(&mut tx, kind, handed_over, &Operation::Commit);
        }
        assert!(!tx.kinds().contains(&ApiKey::InitProducerId));
        assert_eq!(newest(&mut tx), (0, 1));
    }
}

/// An InitProducerId without a response is repeated with the same epoch, and requires no other epoch.
#[test]
fn an_epoch_bump_without_a_response_is_repeated_and_requires_no_other_bump() {
    let mut tx = Tx::begun();
    tx.put(0, "v");
    tx.settle();
    let committed = tx.try_call(Operation::Commit, |tx| {
        tx.lose(ApiKey::EndTxn);
        tx.lose(ApiKey::InitProducerId);
        let begin = tx.stepped.producer.begin_transaction();
        assert!(begin.is_err(), "the epoch is not known yet");
        tx.settle();
    });
    assert_eq!(committed, Some(Ok(())));
    tx.stepped.producer.begin_transaction().expect("it goes on");
    tx.put(0, "v");
    tx.settle();
    commit(&mut tx);
    let kinds = tx.kinds();
    let bumps = kinds.iter().filter(|it| **it == ApiKey::InitProducerId);
    assert_eq!(bumps.count(), 2, "{kinds:?}");
}
