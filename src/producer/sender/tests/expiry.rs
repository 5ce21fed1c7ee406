//! `delivery.timeout.ms`: batches that expire in the queue or in flight, and responses that arrive after that.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Java: SenderTest#testExpiryOfUnsentBatchesShouldNotCauseUnresolvedSequences
#[test]
fn a_batch_that_was_never_sent_expires_unwritten_and_the_error_names_the_reason() {
    let mut rig = Setup::idempotent().start();
    let forever = rig.now() + Duration::from_secs(1000);
    rig.client().set_unreachable(0, forever);
    let future = rig.send(0, "v");
    rig.run();
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    let error = error(&future);
    assert_eq!(*error.kind(), ProduceErrorKind::DeliveryTimeout);
    assert_eq!(
        (error.delivery(), error.attempts()),
        (Delivery::NotWritten, 0)
    );
    assert_eq!(error.queued(), DELIVERY_TIMEOUT);
    assert!(
        matches!(error.cause(), Some(WaitCause::NotConnected { node: 0, .. })),
        "{error}"
    );
    assert!(!rig.transactions().is_disturbed(0));
    rig.assert_memory_is_back();
}

#[test]
fn the_error_of_an_expired_batch_names_the_reason_why_it_was_not_sent() {
    type Obstacle = fn(&mut Rig);
    let cases: [(Obstacle, WaitCause); 5] = [
        (|rig| rig.lead_by(&[-1, 0]), WaitCause::NoLeader),
        (
            |rig| {
                let until = rig.now() + DELIVERY_TIMEOUT + MS(1);
                rig.client().throttle(0, until);
            },
            WaitCause::Throttled { node: 0 },
        ),
        (
            |rig| rig.client().refuse_credentials(0, "who?"),
            WaitCause::Authentication {
                message: "who?".into(),
            },
        ),
        (
            |rig| rig.client().set_max_in_flight(0),
            WaitCause::BehindInFlight { node: 0 },
        ),
        (
            |rig| {
                let _in_flight = rig.launch(0, "earlier");
            },
            WaitCause::BehindInFlight { node: 0 },
        ),
    ];
    for (hinder, cause) in cases {
        let mut rig = Setup::default()
            .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
            .start();
        hinder(&mut rig);
        if rig.waiting() > 0 {
            rig.client().set_max_in_flight(1);
        }
        let future = rig.send(0, "v");
        rig.run();
        rig.advance(DELIVERY_TIMEOUT);
        rig.run();
        assert_eq!(error(&future).cause(), Some(&cause));
    }
}

/// Java: SenderTest#testInflightBatchesExpireOnDeliveryTimeout
#[test]
fn a_batch_in_flight_expires_and_its_late_answer_changes_nothing() {
    let mut rig = Setup::default()
        .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
        .start();
    let future = rig.launch(0, "v");
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    let error = error(&future);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    assert_eq!(error.cause(), Some(&WaitCause::NotAnswered { node: 0 }));
    assert_eq!((error.attempts(), error.in_flight()), (1, DELIVERY_TIMEOUT));
    rig.respond(ErrorCode::NoError, 3);
    assert_eq!(future.get().expect_err("it stays expired"), error);
    assert_eq!(rig.shared.counters.snapshot().records_acknowledged, 0);
    assert_eq!(rig.shared.counters.snapshot().records_failed, 1);
}

#[test]
fn the_sender_wakes_when_a_batch_in_flight_expires() {
    let mut rig = Setup::default().start();
    let _unsent = rig.launch(0, "v");
    rig.advance(DELIVERY_TIMEOUT.checked_sub(MS(7)).unwrap());
    rig.run();
    assert_eq!(rig.client().poll_timeouts().last(), Some(&MS(7)));
}

/// Java: SenderTest#testExpiredBatchDoesNotRetry
#[test]
fn a_batch_that_has_expired_when_its_error_response_arrives_is_not_retried() {
    let mut rig = Setup::default()
        .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
        .start();
    let future = rig.launch(0, "v");
    rig.advance(DELIVERY_TIMEOUT);
    rig.respond(ErrorCode::NotLeaderOrFollower, -1);
    assert!(future.is_done());
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.waiting(), 0);
    rig.assert_memory_is_back();
}

/// Java: SenderTest#testExpiredBatchDoesNotSplitOnMessageTooLargeError
#[test]
fn a_final_refusal_does_not_change_the_outcome_of_an_expired_batch() {
    let mut rig = Setup::default()
        .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
        .start();
    let future = rig.launch(0, "v");
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    assert_eq!(*error(&future).kind(), ProduceErrorKind::DeliveryTimeout);
    assert_eq!(rig.shared.counters.snapshot().records_failed, 1);
}

/// Java: SenderTest#testWhenFirstBatchExpireNoSendSecondBatchIfGuaranteeOrder
#[test]
fn with_one_request_in_flight_an_expired_batch_blocks_the_next_until_its_request_has_completed() {
    let mut rig = Setup::default()
        .with(|o| (o.guarantee_order, o.request_timeout) = (true, DELIVERY_TIMEOUT * 2))
        .start();
    rig.client().set_max_in_flight(1);
    let first = rig.launch(0, "a");
    rig.advance(DELIVERY_TIMEOUT / 2);
    let second = rig.send(0, "b");
    rig.advance(DELIVERY_TIMEOUT / 2);
    rig.run();
    rig.run();
    assert!(first.is_done());
    assert_eq!(rig.waiting(), 1);
    rig.lose(0, true);
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&second), Some(0));
}

/// A next batch to the same leader would wait, not for the expired batch, but for the connection, which has at most one
/// request in flight. In Java the partition stays muted until the request to the old leader times out.
#[test]
fn with_one_request_in_flight_an_expired_batch_does_not_block_the_next_batch_to_another_leader() {
    for idempotent in [false, true] {
        let mut rig = Setup {
            idempotent,
            ..Setup::default()
        }
        .with(|o| (o.guarantee_order, o.request_timeout) = (true, DELIVERY_TIMEOUT * 2))
        .start();
        rig.client().set_max_in_flight(1);
        let first = rig.launch(0, "a");
        rig.advance(DELIVERY_TIMEOUT / 2);
        let second = rig.send(0, "b");
        rig.lead_by(&[1, 0]);
        rig.advance(DELIVERY_TIMEOUT / 2);
        rig.run();
        rig.run();
        assert!(first.is_done());
        assert_eq!(rig.waiting(), 2, "the new leader is sent to");
        // The late response of the old leader does not unmute the partition: a batch is in flight to the new leader.
        rig.respond(ErrorCode::NotLeaderOrFollower, -1);
        let third = rig.send(0, "c");
        rig.run();
        assert_eq!(rig.waiting(), 1);
        rig.respond(ErrorCode::NoError, 0);
        rig.run();
        rig.respond(ErrorCode::NoError, 1);
        assert_eq!([&second, &third].map(offset), [Some(0), Some(1)]);
    }
}

/// Batches of muted partitions expire like other batches (RA-26).
#[test]
fn a_queued_batch_of_a_muted_partition_expires() {
    let mut rig = Setup::default()
        .with(|o| (o.guarantee_order, o.request_timeout) = (true, DELIVERY_TIMEOUT * 2))
        .start();
    let first = rig.launch(0, "a");
    let second = rig.send(0, "b");
    rig.run();
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    assert_eq!(error(&first).delivery(), Delivery::MaybeWritten);
    assert_eq!(error(&second).delivery(), Delivery::NotWritten);
}

/// Java: SenderTest#testExpiryOfFirstBatchShouldNotCauseUnresolvedSequencesIfFutureBatchesSucceed;
/// TransactionManagerTest#testNoProducerIdResetAfterLastInFlightBatchSucceeds
#[test]
fn a_batch_expired_in_flight_blocks_new_batches_until_later_batches_in_flight_are_answered() {
    let mut rig = Setup::idempotent()
        .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
        .start_known();
    let first = rig.launch(0, "a");
    rig.advance(MS(1000));
    let second = rig.launch(0, "b");
    rig.advance(DELIVERY_TIMEOUT.saturating_sub(MS(1000)));
    rig.run();
    assert!(first.is_done());
    assert!(rig.transactions().is_disturbed(0));
    let third = rig.send(0, "c");
    rig.run();
    assert_eq!(
        rig.waiting(),
        2,
        "nothing new is numbered while the first is unresolved"
    );
    // The second can only have been written after the first: both are in the log.
    rig.respond_with(1, ErrorCode::NoError, 1, -1);
    assert_eq!(offset(&second), Some(1));
    rig.run();
    assert!(!rig.transactions().is_disturbed(0));
    rig.run();
    let last = rig.last_sent();
    assert_eq!(
        (last.epoch, last.sequence),
        (0, 3),
        "no new epoch was needed"
    );
    assert_pending(&[&third]);
}

/// Java: SenderTest#testExpiryOfFirstBatchShouldCauseEpochBumpIfFutureBatchesFail
#[test]
fn a_batch_expired_in_flight_begins_a_new_epoch_when_a_later_batch_is_out_of_order() {
    let mut rig = Setup::idempotent()
        .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
        .start_known();
    let first = rig.launch(0, "a");
    rig.advance(MS(1000));
    let second = rig.launch(0, "b");
    rig.advance(DELIVERY_TIMEOUT.saturating_sub(MS(1000)));
    rig.run();
    assert_eq!(error(&first).delivery(), Delivery::MaybeWritten);
    rig.respond_with(1, ErrorCode::OutOfOrderSequenceNumber, -1, -1);
    rig.advance(BACKOFF);
    rig.run();
    let last = rig.last_sent();
    assert_eq!((last.epoch, last.sequence), (1, 0));
    rig.respond_with(1, ErrorCode::NoError, 0, -1);
    assert_eq!(offset(&second), Some(0));
}

/// Differs from Java: the batch is unresolved also after its first attempt (SE-9). It is resolved when nothing is in
/// flight, here by an epoch bump (TM-48).
///
/// Java: TransactionManagerTest#testBumpEpochAfterTimeoutWithoutPendingInflightRequests
#[test]
fn a_single_batch_expired_in_flight_begins_a_new_epoch_and_its_late_response_is_ignored() {
    let mut rig = Setup::idempotent()
        .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
        .start();
    let _first = rig.launch(0, "a");
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    rig.run();
    let _second = rig.launch(0, "b");
    let second = rig.last_sent();
    assert_eq!((second.epoch, second.sequence), (1, 0));
    let _third = rig.send(0, "c");
    rig.respond(ErrorCode::NoError, 0);
    rig.run();
    assert_eq!(rig.waiting(), 1, "the second is not acknowledged by that");
    rig.respond(ErrorCode::NoError, 1);
    rig.run();
    let third = rig.last_sent();
    assert_eq!((third.epoch, third.sequence), (1, 1));
}

/// Java: SenderTest#testExpiryOfAllSentBatchesShouldCauseUnresolvedSequences
#[test]
fn a_batch_that_was_sent_and_expires_in_the_queue_is_unresolved() {
    let mut rig = Setup::idempotent().start();
    let future = rig.launch(0, "a");
    rig.lose(0, true);
    rig.advance(DELIVERY_TIMEOUT);
    let forever = rig.now() + Duration::from_secs(1000);
    rig.client().set_unreachable(0, forever);
    rig.run();
    assert_eq!(error(&future).delivery(), Delivery::MaybeWritten);
    rig.run();
    assert_eq!(rig.transactions().producer().epoch, 1);
}

/// Java: SenderTest#testResetOfProducerStateShouldAllowQueuedBatchesToDrain
#[test]
fn a_batch_out_of_order_in_one_partition_does_not_block_another_partition() {
    let mut rig = Setup::idempotent().with(|o| o.retries = 0).start();
    let failed = rig.send(0, "a");
    let written = rig.send(1, "b");
    rig.run();
    let now = rig.now();
    let partitions = vec![
        partition_response(0, ErrorCode::OutOfOrderSequenceNumber, -1),
        partition_response(1, ErrorCode::NoError, 4),
    ];
    rig.client().respond(produce_response(partitions), now);
    rig.run();
    assert_eq!(
        error(&failed).code(),
        Some(ErrorCode::OutOfOrderSequenceNumber)
    );
    assert_eq!(offset(&written), Some(4));
    for partition in [0, 1] {
        let _next = rig.launch(partition, "c");
        let last = rig.last_sent();
        assert_eq!(
            (last.partition, last.epoch, last.sequence),
            (partition, 1, 0)
        );
    }
}

/// `request.timeout.ms` may equal `delivery.timeout.ms`: the error is the same, whichever time-out passes first.
#[test]
fn a_request_that_is_lost_as_its_batch_expires_is_a_delivery_timeout() {
    for handed_over in [true, false] {
        let patient = |o: &mut SenderOptions| o.request_timeout = DELIVERY_TIMEOUT;
        let mut rig = Setup::default().with(patient).start();
        let future = rig.launch(0, "v");
        let before = rig.now();
        let lost = Outcome::Disconnected {
            handed_over,
            reason: "request timed out".into(),
        };
        rig.client().finish(0, lost, before);
        // Time passes while the sender polls.
        rig.advance(DELIVERY_TIMEOUT);
        rig.sender.poll(Sleep::No);
        rig.sender.end_step();
        let error = error(&future);
        assert_eq!(*error.kind(), ProduceErrorKind::DeliveryTimeout, "{error}");
        assert!(error.is_timeout() && error.to_string().contains("request timed out"));
        assert_eq!(error.may_be_written(), handed_over);
        rig.assert_memory_is_back();
    }
}

#[test]
fn a_timed_out_batch_is_not_counted_as_in_flight_once_its_future_is_done() {
    let mut rig = Setup::default().start();
    let counters = Arc::clone(&rig.shared.counters);
    let seen = Arc::new(AtomicU64::new(u64::MAX));
    let note = Arc::clone(&seen);
    let mut callback = Some(move |_: RecordResultRef<'_>| {
        note.store(counters.snapshot().batches_in_flight, Ordering::Relaxed);
    });
    let _future = rig.send_calling(0, "v", Some(&mut callback));
    rig.run();
    assert_eq!(rig.shared.counters.snapshot().batches_in_flight, 1);
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    assert_eq!(seen.load(Ordering::Relaxed), 0);
    assert_eq!(rig.shared.counters.snapshot().batches_in_flight, 0);
}

#[test]
fn no_batch_is_counted_as_in_flight_after_all_were_aborted() {
    let mut rig = Setup::default().start();
    let futures = [0, 1].map(|partition| rig.send(partition, "v"));
    rig.run();
    assert_eq!(rig.shared.counters.snapshot().batches_in_flight, 2);
    rig.sender.abort_everything();
    assert!(futures.iter().all(FutureRecordMetadata::is_done));
    assert_eq!(rig.shared.counters.snapshot().batches_in_flight, 0);
}

/// The broker has not read for so long that the socket's buffer is full: no byte of the request is written.
#[test]
fn a_batch_that_expires_before_a_byte_of_it_was_given_to_the_socket_is_not_written() {
    for idempotent in [false, true] {
        let mut rig = Setup {
            idempotent,
            ..Setup::default()
        }
        .with(|o| o.request_timeout = DELIVERY_TIMEOUT * 2)
        .start();
        let expired = rig.send(0, "a");
        rig.advance(MS(119_000));
        let other = rig.launch(1, "b");
        rig.client().hold_newest(0, true);
        rig.advance(MS(1000));
        rig.run();
        let error = error(&expired);
        assert_eq!(error.delivery(), Delivery::NotWritten, "{error}");
        assert_eq!(*error.kind(), ProduceErrorKind::DeliveryTimeout);
        assert_eq!(error.attempts(), 0);
        assert!(matches!(
            error.cause(),
            Some(WaitCause::BehindInFlight { node: 0 })
        ));
        // The request contained another batch, which is retried.
        assert_pending(&[&other]);
        assert_eq!(rig.waiting(), 0);
        rig.advance(BACKOFF);
        rig.run();
        rig.respond(ErrorCode::NoError, 3);
        assert_eq!(offset(&other), Some(3));
        rig.assert_memory_is_back();
    }
}

/// A clock that jumps when it is read for the second time, as if the drain had spent that time on compression.
#[derive(Debug)]
struct Jumping {
    clock: Arc<MockClock>,
    reads: AtomicU64,
    by: Duration,
}

impl Clock for Jumping {
    fn now(&self) -> Instant {
        if self.reads.fetch_add(1, Ordering::Relaxed) == 1 {
            self.clock.advance(self.by);
        }
        self.clock.now()
    }

    fn timestamp(&self) -> crate::clock::Timestamp {
        self.clock.timestamp()
    }
}

#[test]
fn compression_time_does_not_count_towards_the_request_timeout_and_batches_expired_after_it_are_not_sent()
 {
    for (by, is_sent) in [(MS(200), true), (DELIVERY_TIMEOUT, false)] {
        let mut rig = Setup::idempotent()
            .with(|o| o.request_timeout = MS(100))
            .start();
        let future = rig.send(0, "v");
        rig.sender.shared.clock = Arc::new(Jumping {
            clock: Arc::clone(&rig.clock),
            reads: AtomicU64::new(0),
            by,
        });
        rig.run();
        rig.sender.shared.clock = Arc::clone(&rig.clock) as Arc<dyn Clock>;
        assert_eq!(rig.waiting(), usize::from(is_sent));
        if is_sent {
            rig.run();
            assert_eq!(rig.waiting(), 1, "its time has just begun");
            rig.respond(ErrorCode::NoError, 0);
            assert_eq!(offset(&future), Some(0));
        } else {
            let error = error(&future);
            assert_eq!(*error.kind(), ProduceErrorKind::DeliveryTimeout);
            assert_eq!(error.delivery(), Delivery::NotWritten);
            assert_eq!(error.attempts(), 0);
        }
        rig.assert_memory_is_back();
    }
}
