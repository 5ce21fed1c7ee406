//! Sequence numbers, epochs and producer ids of the batches that are sent.

use super::*;

fn on_wire(partition: i32, epoch: i16, sequence: i32) -> OnWire {
    OnWire {
        partition,
        producer_id: PRODUCER_ID,
        epoch,
        sequence,
        records: 1,
    }
}

/// Java: SenderTest#testInitProducerIdRequest; TransactionManagerTest#testFailIfNotReadyForSendIdempotentProducer
#[test]
fn nothing_is_sent_before_there_is_a_producer_id() {
    let mut rig = Setup::idempotent().build();
    let future = rig.send(0, "v");
    rig.run();
    assert!(
        matches!(&rig.client().requests()[0].request, Request::InitProducerId(request)
        if request.transactional_id.is_none() && request.transaction_timeout_ms == i32::MAX)
    );
    rig.run();
    assert_eq!(rig.waiting(), 1);
    let now = rig.now();
    rig.client()
        .respond(init_response(ErrorCode::NoError, PRODUCER_ID, 0), now);
    rig.run();
    rig.run();
    assert_eq!(rig.sent(), [[on_wire(0, 0, 0)]]);
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&future), Some(0));
}

/// In Java 3.0 some of these errors are fatal (KAFKA-14417).
#[test]
fn a_producer_id_is_requested_again_after_retriable_errors_and_disconnects() {
    for outcome in [
        Outcome::Response(init_response(ErrorCode::CoordinatorLoadInProgress, -1, -1)),
        Outcome::Response(init_response(ErrorCode::RequestTimedOut, -1, -1)),
        Outcome::Response(init_response(ErrorCode::NotCoordinator, -1, -1)),
        Outcome::Response(init_response(ErrorCode::NoError, -1, 0)),
        Outcome::Response(answer(0, ErrorCode::NoError, 0)),
        Outcome::Disconnected {
            handed_over: true,
            reason: "gone".into(),
        },
    ] {
        let mut rig = Setup::idempotent().build();
        let what = format!("{outcome:?}");
        rig.client().prepare(None, None, outcome);
        rig.run();
        rig.run();
        assert_eq!((rig.client().sent().len(), rig.waiting()), (1, 0), "{what}");
        assert_eq!(
            rig.client().poll_timeouts().last(),
            Some(&BACKOFF),
            "{what}"
        );
        rig.advance(BACKOFF);
        rig.run();
        assert_eq!(rig.waiting(), 1, "{what}");
    }
}

/// Java: SenderTest#testClusterAuthorizationExceptionInInitProducerIdRequest (KAFKA-13668)
#[test]
fn a_refused_producer_id_fails_queued_batches_and_is_requested_again_for_later_ones() {
    let mut rig = Setup::idempotent().build();
    let future = rig.send(0, "v");
    rig.client()
        .prepare_response(init_response(ErrorCode::ClusterAuthorizationFailed, -1, -1));
    rig.run();
    let error = error(&future);
    assert_eq!(error.code(), Some(ErrorCode::ClusterAuthorizationFailed));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    rig.assert_memory_is_back();
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.client().requests().len(), 0, "no batch waits for an id");
    let later = rig.send(0, "v");
    rig.client()
        .prepare_response(init_response(ErrorCode::NoError, PRODUCER_ID, 0));
    rig.run();
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&later), Some(0));
}

/// In Java an unsupported version is fatal at once (TM-44, SE-2).
#[test]
fn brokers_without_producer_ids_fail_the_waiting_batches_and_later_batches_request_an_id_again() {
    let mut rig = Setup::idempotent().build();
    for _ in 0..2 {
        let future = rig.send(0, "v");
        rig.client()
            .prepare(None, None, Outcome::UnsupportedVersion("too old".into()));
        rig.run();
        rig.run();
        let error = error(&future);
        assert_eq!(*error.kind(), ProduceErrorKind::UnsupportedVersion);
        assert_eq!(error.delivery(), Delivery::NotWritten);
        assert!(error.to_string().contains("enable.idempotence=false"));
        rig.advance(BACKOFF);
        rig.run();
        assert_eq!(rig.waiting(), 0, "no batch waits for an id");
    }
    assert_eq!(rig.sent().len(), 0);
    let later = rig.send(0, "v");
    rig.client()
        .prepare_response(init_response(ErrorCode::NoError, PRODUCER_ID, 0));
    rig.run();
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&later), Some(0));
    rig.assert_memory_is_back();
}

/// In Java an unsupported version is fatal to an idempotent producer, although no broker has received the batch (SE-12,
/// TM-32).
///
/// Java: SenderTest#testUnsupportedVersionInProduceRequest
#[test]
fn a_batch_with_an_unsupported_version_fails_alone_and_the_next_begins_a_new_epoch() {
    let mut rig = Setup::idempotent().start();
    rig.client()
        .prepare(None, None, Outcome::UnsupportedVersion("too old".into()));
    let first = rig.send(0, "a");
    rig.run();
    let error = error(&first);
    assert_eq!(*error.kind(), ProduceErrorKind::UnsupportedVersion);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let second = rig.launch(0, "b");
    assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&second), Some(0));
    rig.assert_memory_is_back();
}

/// In Java batches that are in flight fail at once, and later calls of `send` throw.
///
/// Java: SenderTest#testClusterAuthorizationExceptionInProduceRequest, #testCancelInFlightRequestAfterFatalError;
/// TransactionManagerTest#testFailIfNotReadyForSendIdempotentProducerFatalError
#[test]
fn a_cluster_authorization_failure_is_fatal_to_the_producer() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond(ErrorCode::ClusterAuthorizationFailed, -1);
    assert_eq!(
        error(&first).code(),
        Some(ErrorCode::ClusterAuthorizationFailed)
    );
    let third = rig.send(0, "c");
    rig.run();
    assert_eq!(
        error(&third).code(),
        Some(ErrorCode::ClusterAuthorizationFailed)
    );
    // Batches in flight may still be acknowledged.
    assert_pending(&[&second]);
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!(offset(&second), Some(1));
    rig.assert_memory_is_back();
}

/// Java: SenderTest#testIdempotenceWithMultipleInflights
#[test]
fn several_batches_of_a_partition_are_in_flight_with_consecutive_sequences() {
    let mut rig = Setup::idempotent().start_known();
    let futures = [rig.launch(0, "a"), rig.launch(0, "b"), rig.launch(1, "c")];
    assert_eq!(
        rig.sent(),
        [[on_wire(0, 0, 1)], [on_wire(0, 0, 2)], [on_wire(1, 0, 1)]]
    );
    for at in 0..3 {
        rig.respond(ErrorCode::NoError, at);
    }
    assert_eq!(
        futures.map(|future| offset(&future)),
        [Some(0), Some(1), Some(2)]
    );
}

/// Java: SenderTest#testIdempotenceWithMultipleInflightsRetriedInOrder
#[test]
fn batches_that_failed_together_are_retried_one_at_a_time_and_in_order() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    let third = rig.launch(0, "c");
    rig.respond(ErrorCode::LeaderNotAvailable, -1);
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    rig.advance(BACKOFF);
    for (sequence, future) in (1..).zip([&first, &second, &third]) {
        rig.run();
        rig.run();
        assert_eq!(rig.waiting(), 1, "one at a time while batches are retried");
        assert_eq!(rig.last_sent(), on_wire(0, 0, sequence));
        rig.respond(ErrorCode::NoError, i64::from(sequence));
        assert_eq!(offset(future), Some(i64::from(sequence)));
    }
}

/// Java: SenderTest#testIdempotenceWithMultipleInflightsWhereFirstFailsFatallyAndSequenceOfFutureBatchesIsAdjusted
#[test]
fn a_final_refusal_begins_a_new_epoch_in_which_the_later_batches_are_numbered_again() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond(ErrorCode::MessageTooLarge, -1);
    assert_eq!(error(&first).code(), Some(ErrorCode::MessageTooLarge));
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&second), Some(0));
    let _third = rig.launch(0, "c");
    assert_eq!(rig.last_sent(), on_wire(0, 1, 1));
}

/// Java: SenderTest#testEpochBumpOnOutOfOrderSequenceForNextBatch
#[test]
fn an_out_of_order_error_for_the_next_expected_batch_begins_a_new_epoch() {
    let mut rig = Setup::idempotent().start();
    let first = rig.launch(0, "a");
    rig.respond(ErrorCode::NoError, 0);
    let second = rig.launch(0, "b");
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!((offset(&first), offset(&second)), (Some(0), Some(1)));
}

/// Java: SenderTest#testCorrectHandlingOfDuplicateSequenceError
#[test]
fn a_duplicate_is_a_success_without_an_offset() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond_with(1, ErrorCode::NoError, 1000, -1);
    rig.respond(ErrorCode::DuplicateSequenceNumber, -1);
    assert_eq!((offset(&first), offset(&second)), (None, Some(1000)));
    let _third = rig.launch(0, "c");
    assert_eq!(rig.last_sent(), on_wire(0, 0, 3));
}

/// Java: SenderTest#testCorrectHandlingOfOutOfOrderResponses
#[test]
fn answers_that_come_out_of_order_do_not_reorder_the_retries() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond_with(1, ErrorCode::OutOfOrderSequenceNumber, -1, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.waiting(), 1, "the second waits for the first's answer");
    rig.respond(ErrorCode::NotLeaderOrFollower, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 0, 1));
    rig.respond(ErrorCode::NoError, 0);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 0, 2));
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!((offset(&first), offset(&second)), (Some(0), Some(1)));
}

/// Java: SenderTest#testCorrectHandlingOfOutOfOrderResponsesWhenSecondSucceeds
#[test]
fn a_second_batch_that_succeeds_first_leaves_the_first_to_be_retried() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond_with(1, ErrorCode::NoError, 1, -1);
    rig.respond(ErrorCode::RequestTimedOut, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 0, 1));
    rig.respond(ErrorCode::DuplicateSequenceNumber, 0);
    assert_eq!((offset(&first), offset(&second)), (Some(0), Some(1)));
}

/// The epoch is bumped whether retention has deleted the acknowledged records or not.
///
/// Java: SenderTest#testIdempotentUnknownProducerHandlingWhenRetentionLimitReached,
/// #testShouldRaiseOutOfOrderSequenceExceptionToUserIfLogWasNotTruncated
#[test]
fn an_unknown_producer_id_with_a_log_start_offset_begins_a_new_epoch() {
    for log_start in [1010, 10] {
        let mut rig = Setup::idempotent().start();
        let _first = rig.launch(0, "a");
        rig.respond(ErrorCode::NoError, 1000);
        let second = rig.launch(0, "b");
        rig.respond_with(0, ErrorCode::UnknownProducerId, -1, log_start);
        rig.advance(BACKOFF);
        rig.run();
        assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
        rig.respond(ErrorCode::NoError, 1011);
        assert_eq!(offset(&second), Some(1011));
    }
}

/// Java: SenderTest#testUnknownProducerErrorShouldBeRetriedWhenLogStartOffsetIsUnknown
#[test]
fn a_batch_is_retried_unchanged_after_an_unknown_producer_id_without_a_log_start_offset() {
    let mut rig = Setup::idempotent().start();
    let _first = rig.launch(0, "a");
    rig.respond(ErrorCode::NoError, 1000);
    let _second = rig.launch(0, "b");
    rig.respond_with(0, ErrorCode::UnknownProducerId, -1, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 0, 1));
}

/// Java: SenderTest#testUnknownProducerErrorShouldBeRetriedForFutureBatchesWhenFirstFails;
/// TransactionManagerTest#testBumpEpochAndResetSequenceNumbersAfterUnknownProducerId
#[test]
fn several_batches_of_an_unknown_producer_move_to_one_new_epoch() {
    let mut rig = Setup::idempotent().start();
    let _first = rig.launch(0, "a");
    rig.respond(ErrorCode::NoError, 1000);
    let second = rig.launch(0, "b");
    let third = rig.launch(0, "c");
    rig.respond_with(0, ErrorCode::UnknownProducerId, -1, 1010);
    rig.respond_with(0, ErrorCode::UnknownProducerId, -1, 1010);
    rig.advance(BACKOFF);
    for (sequence, future) in [(0, &second), (1, &third)] {
        rig.run();
        rig.run();
        assert_eq!(
            (rig.waiting(), rig.last_sent()),
            (1, on_wire(0, 1, sequence))
        );
        rig.respond(ErrorCode::NoError, 1011 + i64::from(sequence));
        assert_eq!(offset(future), Some(1011 + i64::from(sequence)));
    }
}

/// Java: SenderTest#testSequenceNumberIncrement
#[test]
fn a_retried_batch_keeps_its_sequence() {
    let mut rig = Setup::idempotent().start();
    let future = rig.launch(0, "a");
    rig.lose(0, true);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.sent(), [[on_wire(0, 0, 0)], [on_wire(0, 0, 0)]]);
    rig.respond(ErrorCode::NoError, 0);
    let _next = rig.launch(0, "b");
    assert_eq!(rig.last_sent(), on_wire(0, 0, 1));
    assert_eq!(offset(&future), Some(0));
}

/// A retried batch keeps the epoch in which it was numbered.
///
/// Java: SenderTest#testRetryWhenProducerIdChanges, #testBatchesDrainedWithOldProducerIdShouldSucceedOnSubsequentRetry;
/// TransactionManagerTest#testHealthyPartitionRetriesDuringEpochBump, #testFailedInflightBatchAfterEpochBump
#[test]
fn a_new_epoch_for_one_partition_leaves_the_retries_of_another_as_they_were() {
    let mut rig = Setup::idempotent().start();
    let other = rig.launch(1, "o");
    rig.lose(0, true);
    let _failed = rig.launch(0, "a");
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    assert_eq!(rig.transactions().producer().epoch, 1);
    let next = rig.send(1, "n");
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(1, 0, 0));
    rig.run();
    assert_eq!(
        rig.waiting(),
        1,
        "a new epoch waits for the batches of the old one"
    );
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&other), Some(0));
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(1, 1, 0));
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!(offset(&next), Some(1));
}

/// After the last epoch, an idempotent producer requests another producer id instead of bumping the epoch (TM-40). A
/// partition with a gap adopts the new id at once (TM-52).
#[test]
fn when_the_epochs_are_used_up_another_producer_id_is_requested() {
    let mut rig = Setup::idempotent().build();
    rig.client()
        .prepare_response(init_response(ErrorCode::NoError, PRODUCER_ID, i16::MAX));
    rig.run();
    let _known = rig.launch(0, "0");
    rig.respond(ErrorCode::NoError, 0);
    let _failed = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.client()
        .prepare_response(init_response(ErrorCode::NoError, 8, 0));
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    rig.run();
    rig.advance(BACKOFF);
    rig.run();
    rig.run();
    let last = rig.last_sent();
    assert_eq!((last.producer_id, last.sequence), (8, 0));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&second), Some(0));
}

#[test]
fn a_batch_that_fails_without_a_response_is_unresolved_and_begins_a_new_epoch() {
    let mut rig = Setup::idempotent().with(|o| o.retries = 0).start();
    let lost = rig.launch(0, "a");
    rig.lose(0, true);
    assert_eq!(*error(&lost).kind(), ProduceErrorKind::Network);
    rig.run();
    let next = rig.launch(0, "b");
    assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&next), Some(0));
}

/// Java renumbers here, and the second batch, which is in the log, is written twice (TM-42).
#[test]
fn a_refusal_after_a_lost_attempt_does_not_renumber_batches_that_may_be_written() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.lose(0, true);
    rig.lose(0, true);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 0, 1));
    rig.respond(ErrorCode::TopicAuthorizationFailed, -1);
    assert_eq!(error(&first).delivery(), Delivery::MaybeWritten);
    rig.run();
    assert_eq!(
        rig.last_sent(),
        on_wire(0, 0, 2),
        "the number it had before"
    );
    let third = rig.send(0, "c");
    rig.run();
    assert_eq!(
        rig.waiting(),
        1,
        "the third waits for the results of the others"
    );
    // The broker has the batch already: both were written.
    rig.respond(ErrorCode::DuplicateSequenceNumber, 1);
    assert!(second.get().is_ok());
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 0, 3), "no sequence gap");
    rig.respond(ErrorCode::NoError, 2);
    assert_eq!(offset(&third), Some(2));
}

/// As in the test above, but the second batch is not in the log yet (TM-40). Under another number it could be written
/// twice: the broker may still process the attempt that got no response.
#[test]
fn a_batch_without_a_response_is_not_renumbered_behind_a_gap() {
    let mut rig = Setup::idempotent().start_known();
    let _first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.lose(0, true);
    rig.lose(0, true);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::TopicAuthorizationFailed, -1);
    rig.run();
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    let error = error(&second);
    assert_eq!(error.code(), Some(ErrorCode::OutOfOrderSequenceNumber));
    assert!(error.may_be_written(), "{error}");
    let third = rig.send(0, "c");
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&third), Some(0));
    rig.assert_memory_is_back();
}

/// If all attempts got a response, "out of order" proves that none of them was written.
#[test]
fn a_batch_whose_attempts_all_got_a_response_gets_new_sequence_numbers_once_the_gap_is_certain() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond(ErrorCode::NotEnoughReplicasAfterAppend, -1);
    rig.respond(ErrorCode::NotLeaderOrFollower, -1);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::TopicAuthorizationFailed, -1);
    assert!(error(&first).may_be_written());
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 0, 2));
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&second), Some(0));
}

/// Java renumbers the first batch as soon as the second is refused, and the first is written twice (TM-40).
#[test]
fn a_batch_that_may_be_written_keeps_its_number_when_a_later_batch_is_refused_for_good() {
    for lost in [false, true] {
        let mut rig = Setup::idempotent().start_known();
        let first = rig.launch(0, "a");
        let second = rig.launch(0, "b");
        let third = rig.launch(0, "c");
        if lost {
            rig.lose(0, true);
        } else {
            rig.respond(ErrorCode::NotEnoughReplicasAfterAppend, -1);
        }
        rig.respond(ErrorCode::InvalidRecord, -1);
        assert_eq!(error(&second).delivery(), Delivery::NotWritten);
        rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
        rig.advance(BACKOFF);
        rig.run();
        assert_eq!(rig.last_sent(), on_wire(0, 0, 1), "as it was");
        rig.respond(ErrorCode::DuplicateSequenceNumber, 0);
        assert!(first.get().is_ok());
        rig.run();
        assert_eq!(
            rig.last_sent(),
            on_wire(0, 1, 0),
            "the batches behind it begin a new epoch"
        );
        rig.respond(ErrorCode::NoError, 1);
        assert_eq!(offset(&third), Some(1));
        rig.assert_memory_is_back();
    }
}

#[test]
fn a_gap_waits_for_the_responses_of_later_batches_in_flight() {
    let mut rig = Setup::idempotent().start_known();
    let _first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    let third = rig.launch(0, "c");
    rig.respond(ErrorCode::InvalidRecord, -1);
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(
        rig.waiting(),
        1,
        "the answer to the third is for its old number"
    );
    assert_eq!(rig.transactions().producer().epoch, 0);
    // The third batch gets no response: a broker that has lost the producer state may have accepted it. The second
    // would then be written after it.
    rig.lose(0, true);
    rig.run();
    let error = error(&third);
    assert_eq!(error.code(), Some(ErrorCode::OutOfOrderSequenceNumber));
    assert!(error.may_be_written(), "{error}");
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&second), Some(0));
    rig.assert_memory_is_back();
}

/// The topic is deleted and recreated while batches are in flight. The new leader has no state of the producer and
/// accepts the second batch, but its response is lost or ambiguous.
#[test]
fn a_batch_that_may_be_written_is_not_renumbered_when_an_earlier_batch_is_out_of_order() {
    for code in [
        Some(ErrorCode::RequestTimedOut),
        Some(ErrorCode::NotEnoughReplicasAfterAppend),
        None,
    ] {
        let mut rig = Setup::idempotent().start_known();
        let _before = rig.launch(0, "before");
        let first = rig.launch(0, "a");
        let second = rig.launch(0, "b");
        rig.respond(ErrorCode::NoError, 0);
        rig.respond(ErrorCode::NotEnoughReplicas, -1);
        match code {
            Some(code) => rig.respond(code, -1),
            None => rig.lose(0, true),
        }
        rig.advance(BACKOFF);
        rig.run();
        rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
        rig.run();
        assert!(error(&second).may_be_written(), "{code:?}");
        rig.advance(BACKOFF);
        rig.run();
        assert_eq!(rig.last_sent(), on_wire(0, 1, 0));
        rig.respond(ErrorCode::NoError, 2);
        assert_eq!(offset(&first), Some(2));
        rig.assert_memory_is_back();
    }
}

/// Java bumps the epoch only once, and retries the batch unchanged until it times out (TM-46).
///
/// Java: SenderTest#testBumpEpochWhenOutOfOrderSequenceReceived
#[test]
fn a_batch_that_is_out_of_order_in_its_new_epoch_too_gets_another_epoch() {
    let mut rig = Setup::idempotent().start();
    let future = rig.launch(0, "a");
    for epoch in 1..4 {
        rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
        rig.advance(BACKOFF);
        rig.run();
        assert_eq!(rig.last_sent(), on_wire(0, epoch, 0));
    }
    rig.respond(ErrorCode::NoError, 9);
    assert_eq!(offset(&future), Some(9));
}

/// The leader has lost the producer state while nothing was in flight: the topic was deleted and recreated, or
/// `producer.id.expiration.ms` has passed. It then accepts any first sequence number.
#[test]
fn the_first_batch_of_an_idle_partition_is_sent_alone_until_it_is_acknowledged() {
    let mut rig = Setup::idempotent().start();
    let before = rig.launch(0, "before");
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&before), Some(0));
    rig.advance(MS(10));
    let first = rig.launch(0, "a");
    let second = rig.send(0, "b");
    rig.run();
    assert_eq!(rig.waiting(), 1, "the second waits for the first");
    rig.respond(ErrorCode::NotEnoughReplicas, -1);
    rig.run();
    assert_eq!(rig.waiting(), 0, "the first's turn comes after the backoff");
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!((rig.waiting(), rig.last_sent().sequence), (1, 1));
    rig.respond(ErrorCode::NoError, 1);
    // The partition is not idle: several batches may be in flight now.
    rig.run();
    let third = rig.launch(0, "c");
    assert_eq!(rig.waiting(), 2);
    rig.respond(ErrorCode::NoError, 2);
    rig.respond(ErrorCode::NoError, 3);
    assert_eq!(
        [&first, &second, &third].map(offset),
        [Some(1), Some(2), Some(3)]
    );
}

#[test]
fn a_retried_batch_is_sent_alone_until_it_is_acknowledged() {
    let mut rig = Setup::idempotent().start();
    let first = rig.launch(0, "a");
    rig.respond(ErrorCode::NotEnoughReplicas, -1);
    rig.advance(BACKOFF);
    rig.run();
    let second = rig.send(0, "b");
    rig.run();
    assert_eq!(rig.waiting(), 1);
    rig.respond(ErrorCode::NoError, 0);
    rig.run();
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!([&first, &second].map(offset), [Some(0), Some(1)]);
}

/// The broker would never accept the batch under its number, and it must not be written after later records.
#[test]
fn a_batch_that_a_later_batch_has_overtaken_fails_at_once_and_no_other_batch_fails() {
    let mut rig = Setup::idempotent().start_known();
    let first = rig.launch(0, "a");
    let second = rig.launch(0, "b");
    rig.respond(ErrorCode::NotEnoughReplicas, -1);
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&second), Some(0));
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
    let error = error(&first);
    assert_eq!(error.delivery(), Delivery::NotWritten, "{error}");
    let third = rig.launch(0, "c");
    assert_eq!(rig.last_sent(), on_wire(0, 0, 3), "no sequence gap");
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!(offset(&third), Some(1));
    rig.assert_memory_is_back();
}

/// A broker without state of a producer accepts any first sequence number. If the first batch were refused for a
/// moment, as during a leader election, while the second is in flight, the second would be accepted, and the first
/// would never be accepted.
#[test]
fn the_first_batch_of_a_partition_and_epoch_is_answered_before_the_next_is_sent() {
    let mut rig = Setup::idempotent().start();
    let first = rig.launch(0, "a");
    let second = rig.send(0, "b");
    let elsewhere = rig.launch(1, "c");
    assert_eq!(rig.waiting(), 2, "only the other partition's is sent");
    rig.respond(ErrorCode::NotLeaderOrFollower, -1);
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&elsewhere), Some(0));
    rig.lead_by(&[0, 0]);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!((rig.waiting(), rig.last_sent().sequence), (1, 0));
    rig.respond(ErrorCode::NoError, 7);
    rig.run();
    assert_eq!((rig.waiting(), rig.last_sent().sequence), (1, 1));
    // From now on several batches may be in flight.
    let third = rig.launch(0, "d");
    assert_eq!(rig.waiting(), 2);
    rig.respond(ErrorCode::NoError, 8);
    rig.respond(ErrorCode::NoError, 9);
    let offsets = [&first, &second, &third].map(offset);
    assert_eq!(offsets, [Some(7), Some(8), Some(9)]);
    rig.assert_memory_is_back();
}

/// Java: SenderTest#testEpochBumpOnOutOfOrderSequenceForNextBatchWhenThereIsNoBatchInFlight,
/// #testEpochBumpOnOutOfOrderSequenceForNextBatchWhenBatchInFlightFails
#[test]
fn another_partition_adopts_the_new_epoch_when_it_has_no_batches_in_flight() {
    for is_under_way in [false, true] {
        let mut rig = Setup::idempotent().with(|o| o.retries = 1).start_known();
        rig.lead_by(&[0, 1]);
        let gap = rig.launch(0, "a");
        let other = is_under_way.then(|| rig.launch(1, "b"));
        rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
        rig.run();
        assert_eq!(rig.transactions().producer().epoch, 1);
        if let Some(other) = other {
            // The batch of the other partition is retried in the old epoch until its retries are used up.
            for _ in 0..2 {
                assert_pending(&[&other]);
                let requests = rig.client().requests().iter();
                let mut batches = requests.map(|it| match &it.request {
                    Request::Produce(produce) => batches_of(produce)[0],
                    other => panic!("not asked for: {other:?}"),
                });
                let at = batches.position(|it| it == on_wire(1, 0, 1));
                let at = at.expect("it is under way");
                rig.respond_with(at, ErrorCode::NotLeaderOrFollower, -1, -1);
                rig.lead_by(&[0, 1]);
                rig.advance(BACKOFF);
                rig.run();
            }
            assert_eq!(error(&other).code(), Some(ErrorCode::NotLeaderOrFollower));
        }
        rig.advance(BACKOFF);
        rig.run();
        while rig.waiting() > 0 {
            rig.respond(ErrorCode::NoError, 1);
        }
        assert_eq!(offset(&gap), Some(1));
        for (partition, sequence) in [(1, 0), (0, 1), (1, 1)] {
            let future = rig.launch(partition, "next");
            assert_eq!(rig.last_sent(), on_wire(partition, 1, sequence));
            rig.respond(ErrorCode::NoError, 2);
            assert_eq!(offset(&future), Some(2));
        }
        rig.assert_memory_is_back();
    }
}

/// Java: SenderTest#testCloseWithProducerIdReset, #testForceCloseWithProducerIdReset,
/// #testResetOfProducerStateShouldAllowQueuedBatchesToDrain
#[test]
fn a_close_during_a_request_for_another_id_delivers_queued_batches_unless_it_is_forced() {
    for forced in [false, true] {
        let mut rig = Setup::idempotent().build();
        rig.client()
            .prepare_response(init_response(ErrorCode::NoError, PRODUCER_ID, i16::MAX));
        rig.run();
        let records = [rig.send(0, "a"), rig.send(1, "b")];
        rig.run();
        let now = rig.now();
        let partitions = vec![
            partition_response(0, ErrorCode::OutOfOrderSequenceNumber, -1),
            partition_response(1, ErrorCode::NotLeaderOrFollower, -1),
        ];
        rig.client().respond(produce_response(partitions), now);
        rig.run();
        rig.lead_by(&[0, 0]);
        rig.run();
        let asked = rig.client().requests().iter();
        let asks = |it: &Request| matches!(it, Request::InitProducerId(_));
        assert_eq!(asked.filter(|it| asks(&it.request)).count(), 1);
        if forced {
            rig.shared.control.force();
            let Rig { sender, .. } = rig;
            sender.run();
            for record in &records {
                assert_eq!(error(record).kind(), &ProduceErrorKind::Closed);
            }
            continue;
        }
        rig.shared.control.close();
        while rig.sender.goes_on() {
            if rig.waiting() > 0 {
                let now = rig.now();
                if asks(&rig.client().requests()[0].request) {
                    let response = init_response(ErrorCode::NoError, PRODUCER_ID + 1, 0);
                    rig.client().respond(response, now);
                } else {
                    rig.respond(ErrorCode::NoError, 4);
                }
            }
            rig.advance(BACKOFF);
            rig.run();
        }
        assert_eq!(records.map(|it| offset(&it)), [Some(4), Some(4)]);
    }
}

/// Java: SenderTest#testUnsupportedForMessageFormatInProduceRequest
#[test]
fn a_batch_refused_for_its_format_is_not_fatal_to_the_producer() {
    let mut rig = Setup::idempotent().start();
    let refused = rig.launch(0, "a");
    let code = ErrorCode::UnsupportedForMessageFormat;
    rig.respond(code, -1);
    assert_eq!(error(&refused).code(), Some(code));
    assert!(rig.transactions().fatal_error().is_none());
    rig.run();
    let next = rig.launch(0, "b");
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&next), Some(0));
}

/// No node accepts a request, for example, if each has a metadata request in flight and accepts only one request at a
/// time.
///
/// Java: SenderTest#testIdempotentInitProducerIdWithMaxInFlightOne, #testInitProducerIdWithMaxInFlightOne
#[test]
fn while_no_node_accepts_a_request_an_id_is_awaited_without_blocking_the_sender() {
    for id in [None, Some("tx")] {
        let mut rig = Setup {
            transactional_id: id.map(Into::into),
            ..Setup::idempotent()
        }
        .build();
        rig.client().set_max_in_flight(0);
        if id.is_some() {
            rig.transactions().request_producer_id();
        }
        for _ in 0..3 {
            rig.run();
            assert_eq!(rig.waiting(), 0, "{id:?}");
        }
        // A response makes room for another request, and ends the poll.
        rig.client().set_max_in_flight(1);
        rig.run();
        assert_eq!(rig.waiting(), 1, "{id:?}");
        let asked = &rig.client().requests()[0].request;
        assert_eq!(matches!(asked, Request::FindCoordinator(_)), id.is_some());
    }
}
