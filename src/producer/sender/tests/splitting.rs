//! Splitting of batches that the broker refuses as too large.

use super::*;

const TWELVE: &str = "twelve bytes";

/// A rig with batches of up to 1,000 bytes: some dozens of records.
fn roomy(setup: Setup) -> Rig {
    Setup {
        batch_size: 1000,
        ..setup
    }
    .start()
}

fn counts(request: &[OnWire]) -> Vec<i32> {
    request.iter().map(|batch| batch.records).collect()
}

impl Rig {
    /// The batch of the oldest request in flight.
    fn oldest(&mut self) -> OnWire {
        match &self.client().requests()[0].request {
            Request::Produce(produce) => batches_of(produce)[0],
            other => panic!("not a produce request: {other:?}"),
        }
    }

    fn send_many(&self, count: usize) -> Vec<FutureRecordMetadata> {
        (0..count).map(|_| self.send(0, TWELVE)).collect()
    }
}

/// Java: RecordAccumulatorTest#testSplitAndReenqueue, SenderTest#testIdempotentSplitBatchAndSend
#[test]
fn a_batch_that_is_too_large_is_split_in_halves_and_each_future_gets_its_own_offset() {
    let mut rig = roomy(Setup::idempotent());
    let futures = rig.send_many(8);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    assert_pending(&futures.iter().collect::<Vec<_>>());
    rig.run();
    // The batch has 61 + 8 · 19 bytes: half of that has room for two records.
    let mut base = 100;
    for at in 0..4 {
        assert_eq!(rig.waiting(), 1, "pieces go one at a time, in order");
        let piece = rig.last_sent();
        assert_eq!((piece.records, piece.sequence), (2, at * 2));
        rig.respond(ErrorCode::NoError, base);
        base += 2;
        rig.run();
    }
    let offsets: Vec<_> = futures.iter().map(offset).collect();
    assert_eq!(offsets, (100..108).map(Some).collect::<Vec<_>>());
    let snapshot = rig.shared.counters.snapshot();
    assert_eq!((snapshot.batches_split, snapshot.records_retried), (1, 0));
    assert_eq!(snapshot.records_acknowledged, 8);
    rig.assert_memory_is_back();
}

/// `batch.size` is above the broker's limit, so splitting by `batch.size` changes nothing (KAFKA-8350).
#[test]
fn a_batch_is_split_until_the_broker_accepts_the_pieces() {
    let mut rig = roomy(Setup::default());
    let futures = rig.send_many(40);
    rig.run();
    let mut turns = 0;
    while rig.waiting() > 0 {
        turns += 1;
        assert!(turns < 100, "every split makes batches smaller");
        let records = rig.oldest().records;
        let answer = if records > 3 {
            ErrorCode::MessageTooLarge
        } else {
            ErrorCode::NoError
        };
        rig.respond(answer, 0);
        rig.run();
    }
    assert!(futures.iter().all(FutureRecordMetadata::is_done));
    assert_eq!(rig.shared.counters.snapshot().records_acknowledged, 40);
    rig.assert_memory_is_back();
}

/// A batch that has only one record cannot be split (SE-14).
#[test]
fn a_single_record_that_is_too_large_fails_and_is_not_written() {
    let mut rig = roomy(Setup::idempotent());
    let futures = rig.send_many(2);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    assert_eq!(counts(&[rig.last_sent()]), [1]);
    rig.respond(ErrorCode::MessageTooLarge, -1);
    let error = error(&futures[0]);
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!(error.attempts(), 2, "the whole batch's attempt counts too");
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    // The record's sequence number is missing now, so the next piece begins a new epoch.
    rig.run();
    let next = rig.last_sent();
    assert_eq!((next.epoch, next.sequence, next.records), (1, 0, 1));
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&futures[1]), Some(0));
    rig.assert_memory_is_back();
}

/// Only `MESSAGE_TOO_LARGE` leads to a split, as in Kafka 3.0.
#[test]
fn other_errors_about_the_size_do_not_lead_to_a_split() {
    let mut rig = roomy(Setup::default());
    let futures = rig.send_many(8);
    rig.run();
    rig.respond(ErrorCode::RecordListTooLarge, -1);
    assert_eq!(
        error(&futures[7]).code(),
        Some(ErrorCode::RecordListTooLarge)
    );
    assert_eq!(rig.shared.counters.snapshot().batches_split, 0);
}

/// A split uses up no retry (SE-14), and each piece has retries of its own (PB-21).
#[test]
fn a_split_uses_up_no_retry() {
    let mut rig = roomy(Setup::default().with(|o| (o.retries, o.guarantee_order) = (1, true)));
    let futures = rig.send_many(2);
    rig.run();
    rig.lose(0, true);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    rig.lose(0, true);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::NoError, 3);
    assert_eq!(offset(&futures[0]), Some(3));
    rig.run();
    rig.respond(ErrorCode::CorruptMessage, -1);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::CorruptMessage, -1);
    // The whole batch was lost once, so any part of it may be written.
    let error = error(&futures[1]);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    assert_eq!(error.attempts(), 4);
}

/// Java: SenderTest#testExpiredBatchDoesNotSplitOnMessageTooLargeError
#[test]
fn an_expired_batch_is_not_split_when_the_broker_calls_it_too_large() {
    let patient = |o: &mut SenderOptions| o.request_timeout = DELIVERY_TIMEOUT * 2;
    let mut rig = roomy(Setup::default().with(patient));
    let futures = rig.send_many(2);
    rig.run();
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    assert_eq!(
        *error(&futures[0]).kind(),
        ProduceErrorKind::DeliveryTimeout
    );
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    assert_eq!(rig.waiting(), 0);
    assert_eq!(rig.shared.counters.snapshot().batches_split, 0);
    rig.assert_memory_is_back();
}

/// The pieces are as old as the batch (PB-21).
#[test]
fn pieces_expire_when_the_whole_batch_would_have_expired() {
    let mut rig = roomy(Setup::idempotent());
    let futures = rig.send_many(2);
    rig.run();
    rig.advance(DELIVERY_TIMEOUT.saturating_sub(MS(1)));
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.advance(MS(1));
    rig.run();
    for future in &futures {
        let error = error(future);
        assert_eq!(*error.kind(), ProduceErrorKind::DeliveryTimeout);
        assert_eq!(error.delivery(), Delivery::NotWritten);
    }
    rig.assert_memory_is_back();
}

/// Batches behind the split one are refused as out of order, and retried after its pieces (TM-50).
#[test]
fn later_batches_in_flight_follow_the_pieces_with_their_own_sequences() {
    let mut rig = Setup {
        batch_size: 1000,
        ..Setup::idempotent()
    }
    .start_known();
    let first = rig.send_many(8);
    rig.run();
    let second = rig.send_many(1);
    rig.run();
    assert_eq!(rig.waiting(), 2);
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    rig.respond_with(0, ErrorCode::OutOfOrderSequenceNumber, -1, -1);
    rig.advance(BACKOFF);
    for base in [1, 3, 5, 7, 9] {
        rig.run();
        assert_eq!(i64::from(rig.last_sent().sequence), base);
        rig.respond(ErrorCode::NoError, base);
    }
    assert_eq!(offset(&first[7]), Some(8));
    assert_eq!(offset(&second[0]), Some(9));
    assert!(rig.sent().iter().flatten().all(|batch| batch.epoch == 0));
    rig.assert_memory_is_back();
}

/// A new epoch renumbers pieces like any other batch.
#[test]
fn pieces_are_renumbered_when_an_epoch_begins() {
    let mut rig = roomy(Setup::idempotent());
    let futures = rig.send_many(4);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    assert_eq!(counts(&[rig.last_sent()]), [1]);
    rig.respond(ErrorCode::NoError, 0);
    rig.run();
    rig.respond(ErrorCode::InvalidRecord, -1);
    for sequence in [0, 1] {
        rig.run();
        let piece = rig.last_sent();
        assert_eq!((piece.epoch, piece.sequence), (1, sequence));
        rig.respond(ErrorCode::NoError, i64::from(sequence) + 1);
    }
    assert_eq!(offset(&futures[3]), Some(2));
    rig.assert_memory_is_back();
}

/// With one request in flight, a partition sends its next batch when the previous one is complete, and the pieces of a
/// split batch one after the other (SE-22).
#[test]
fn a_muted_partition_is_unmuted_by_a_split() {
    let mut rig = roomy(Setup::default().with(|o| o.guarantee_order = true));
    let futures = rig.send_many(2);
    rig.run();
    let behind = rig.send(0, "behind");
    rig.respond(ErrorCode::MessageTooLarge, -1);
    for base in 0..3 {
        rig.run();
        assert_eq!(rig.waiting(), 1);
        rig.respond(ErrorCode::NoError, base);
    }
    let offsets = [&futures[0], &futures[1], &behind].map(offset);
    assert_eq!(offsets, [Some(0), Some(1), Some(2)]);
}

/// Callbacks move to the pieces (PB-21).
#[test]
fn callbacks_of_a_split_batch_run_once_each_with_their_records_offset() {
    let mut rig = roomy(Setup::default());
    let seen = Arc::new(crate::sync::Mutex::new(crate::sync::Rank::LEAF, Vec::new()));
    let mut futures = Vec::new();
    for at in 0..6 {
        let seen = Arc::clone(&seen);
        let note = move |result: Result<&RecordMetadata, &ProduceError>| {
            let offset = result.map(RecordMetadata::offset).ok();
            seen.lock().push((at, offset));
        };
        // Some records have no callback, which shows that each callback stays with its record. A callback of another
        // type than the first is boxed: a later piece may have only such callbacks.
        let future = match at {
            1 => rig.send_calling(0, TWELVE, Some(&mut Some(note))),
            3 | 5 => {
                let other = move |result: Result<&RecordMetadata, &ProduceError>| note(result);
                rig.send_calling(0, TWELVE, Some(&mut Some(other)))
            }
            _ => rig.send_calling(0, TWELVE, None),
        };
        futures.push(future);
    }
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    assert!(seen.lock().is_empty());
    let mut base = 50;
    rig.run();
    while rig.waiting() > 0 {
        let records = rig.oldest().records;
        rig.respond(ErrorCode::NoError, base);
        base += i64::from(records);
        rig.run();
    }
    let expected: Vec<_> = [1, 3, 5].map(|at| (at, Some(50 + at))).into();
    assert_eq!(*seen.lock(), expected);
}

/// Kafka had this bug (KAFKA-19479).
#[test]
fn a_flush_ends_after_the_pieces_also_when_it_began_before_the_split() {
    let mut rig = roomy(Setup::default());
    let futures = rig.send_many(2);
    rig.run();
    let accumulator = Arc::clone(&rig.shared.accumulator);
    let mut before = accumulator.flush(None);
    assert_eq!(before.stepped(), None);
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    let mut after = accumulator.flush(Some(MS(1)));
    assert_eq!(after.stepped(), None);
    rig.advance(MS(1));
    assert_eq!(after.stepped(), Some(Err(2)));
    for base in [0, 1] {
        assert_eq!(before.stepped(), None);
        rig.respond(ErrorCode::NoError, base);
        rig.run();
    }
    assert_eq!(before.stepped(), Some(Ok(())));
    assert_eq!(offset(&futures[1]), Some(1));
}

/// A forced close fails pieces in flight and in the queue.
#[test]
fn pieces_are_failed_by_a_forced_close() {
    let mut rig = roomy(Setup::default());
    let futures = rig.send_many(8);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.run();
    rig.sender.abort_everything();
    let errors: Vec<_> = futures.iter().map(error).collect();
    assert!(errors.iter().all(|e| *e.kind() == ProduceErrorKind::Closed));
    // One piece was in flight.
    let maybe = errors.iter().filter(|e| e.may_be_written()).count();
    assert_eq!(maybe, 2);
    assert_eq!(rig.shared.accumulator.incomplete_count(), 0);
}

/// The whole batch is in the log, and its retry is refused as too large, because `max.message.bytes` was lowered: the
/// broker does not recognize the sequence numbers of the pieces.
#[test]
fn pieces_of_a_batch_that_may_be_written_are_not_renumbered() {
    for code in [
        Some(ErrorCode::RequestTimedOut),
        Some(ErrorCode::NotLeaderOrFollower),
        None,
    ] {
        let mut rig = Setup {
            batch_size: 1000,
            ..Setup::idempotent()
        }
        .start();
        let futures = ["a", "b"].map(|value| rig.send(0, value));
        rig.run();
        match code {
            Some(code) => rig.respond(code, -1),
            None => rig.lose(0, true),
        }
        rig.advance(BACKOFF);
        rig.run();
        rig.respond(ErrorCode::MessageTooLarge, -1);
        for _ in 0..2 {
            rig.advance(BACKOFF);
            rig.run();
            rig.respond(ErrorCode::OutOfOrderSequenceNumber, -1);
        }
        for future in &futures {
            assert!(error(future).may_be_written(), "{code:?}");
        }
        assert!(rig.sent().iter().flatten().all(|batch| batch.epoch == 0));
        rig.assert_memory_is_back();
    }
}
