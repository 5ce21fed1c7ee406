//! The outcome of a batch for each response or lost request, for a producer that is not idempotent.

use super::*;
use crate::protocol::BatchIndexAndErrorMessage;
use crate::sync::{Mutex, Rank};

/// Java: SenderTest#testSimple
#[test]
fn a_record_is_sent_and_acknowledged_and_its_memory_is_returned() {
    let mut rig = Setup::default().start();
    let mut future = rig.send(0, "v");
    assert!(poll(&mut future).is_none());
    rig.run();
    assert_eq!(rig.waiting(), 1);
    let snapshot = rig.shared.counters.snapshot();
    assert_eq!(
        (snapshot.batches_in_flight, snapshot.requests_in_flight),
        (1, 1)
    );
    rig.respond(ErrorCode::NoError, 42);
    assert_eq!(offset(&future), Some(42));
    rig.run();
    assert_eq!(rig.waiting(), 0);
    rig.assert_memory_is_back();
    assert_eq!(rig.shared.counters.snapshot().records_acknowledged, 1);
}

/// The outcome is published before callbacks run, and waiters are released after them: a callback has run before `get`
/// returns (PB-15).
#[test]
fn a_wait_for_a_record_ends_after_its_callback_has_run() {
    let mut rig = Setup::default().start();
    let handle = Arc::new(std::sync::OnceLock::<FutureRecordMetadata>::new());
    let was_done = Arc::new(std::sync::OnceLock::new());
    let (of_record, set_done) = (Arc::clone(&handle), Arc::clone(&was_done));
    let mut callback = Some(move |_: RecordResultRef<'_>| {
        let is_done = of_record.get().map(FutureRecordMetadata::is_done);
        set_done.set(is_done).expect("a callback runs once");
    });
    let future = rig.send_calling(0, "v", Some(&mut callback));
    assert!(handle.set(future).is_ok());
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(was_done.get(), Some(&Some(false)));
    assert_eq!(handle.get().and_then(offset), Some(0));
}

/// Java: SenderTest#testRetries
#[test]
fn a_lost_batch_is_retried_after_the_backoff_until_its_retries_are_used_up() {
    let mut rig = Setup::default().with(|o| o.retries = 1).start();
    let first = rig.launch(0, "v");
    rig.lose(0, true);
    assert_pending(&[&first]);
    rig.run();
    assert_eq!(rig.waiting(), 0, "the backoff is not over");
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.waiting(), 1);
    rig.respond(ErrorCode::NoError, 5);
    assert_eq!(offset(&first), Some(5));

    let second = rig.launch(0, "v");
    for _ in 0..2 {
        rig.lose(0, true);
        rig.advance(BACKOFF);
        rig.run();
    }
    assert_eq!(rig.waiting(), 0);
    let error = error(&second);
    assert_eq!(*error.kind(), ProduceErrorKind::Network);
    assert_eq!(
        (error.delivery(), error.attempts()),
        (Delivery::MaybeWritten, 2)
    );
    assert_eq!(rig.shared.counters.snapshot().records_retried, 2);
    rig.assert_memory_is_back();
}

/// A batch of which a byte was given to a socket may be written, and the attempt is counted.
#[test]
fn a_batch_of_which_no_byte_was_given_to_a_socket_is_not_written() {
    for (handed_over, delivery) in [
        (false, Delivery::NotWritten),
        (true, Delivery::MaybeWritten),
    ] {
        let mut rig = Setup::default().with(|o| o.retries = 0).start();
        let future = rig.launch(0, "v");
        rig.advance(MS(5));
        rig.lose(0, handed_over);
        let error = error(&future);
        let figures = (error.delivery(), error.attempts(), error.in_flight());
        let expected = if handed_over {
            (delivery, 1, MS(5))
        } else {
            (delivery, 0, MS(0))
        };
        assert_eq!(figures, expected);
        assert_eq!(error.queued() + error.in_flight(), MS(5));
    }
}

#[test]
fn a_batch_may_be_written_after_a_lost_attempt_even_if_a_later_attempt_is_refused() {
    let mut rig = Setup::default().start();
    let future = rig.launch(0, "v");
    rig.lose(0, true);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    let error = error(&future);
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge));
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
}

#[test]
fn only_errors_that_can_follow_an_append_leave_the_delivery_unknown() {
    for (code, acks, delivery) in [
        (ErrorCode::NotEnoughReplicas, -1, Delivery::NotWritten),
        (
            ErrorCode::NotEnoughReplicasAfterAppend,
            -1,
            Delivery::MaybeWritten,
        ),
        (ErrorCode::RequestTimedOut, -1, Delivery::MaybeWritten),
        (ErrorCode::NotLeaderOrFollower, -1, Delivery::MaybeWritten),
        (ErrorCode::NotLeaderOrFollower, 1, Delivery::NotWritten),
        (ErrorCode::MessageTooLarge, -1, Delivery::NotWritten),
    ] {
        let mut rig = Setup::default()
            .with(|o| (o.retries, o.acks) = (0, acks))
            .start();
        let future = rig.launch(0, "v");
        rig.respond(code, -1);
        let error = error(&future);
        assert_eq!((error.code(), error.delivery()), (Some(code), delivery));
        assert_eq!(error.broker_error().and_then(|b| b.node), Some(0));
    }
}

/// Java: SenderTest#testCanRetryWithoutIdempotence
#[test]
fn a_retriable_error_leads_to_a_retry_and_a_stale_leader_to_a_metadata_request() {
    let mut rig = Setup::default().start();
    let future = rig.launch(0, "v");
    assert!(!rig.wants_metadata());
    rig.respond(ErrorCode::NotLeaderOrFollower, -1);
    assert_pending(&[&future]);
    assert!(rig.wants_metadata());
    rig.lead_by(&[1, 0]);
    rig.advance(BACKOFF);
    rig.run();
    assert_eq!(rig.client().requests()[0].node, 1, "it follows the leader");
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&future), Some(0));
}

/// If an error indicates stale metadata, metadata is requested after the batch was handled, whether the batch is
/// retried or has failed (SE-13).
#[test]
fn a_refusal_by_a_stale_leader_leads_to_a_metadata_request_even_if_it_is_final() {
    let mut rig = Setup::default().with(|o| o.retries = 0).start();
    let future = rig.launch(0, "v");
    rig.respond(ErrorCode::UnknownTopicOrPartition, -1);
    assert_eq!(
        error(&future).code(),
        Some(ErrorCode::UnknownTopicOrPartition)
    );
    assert!(rig.wants_metadata());
}

/// Both errors name the topic and the partition (SE-17).
#[test]
fn an_unauthorized_and_an_invalid_topic_have_error_kinds_of_their_own() {
    for (code, kind) in [
        (
            ErrorCode::TopicAuthorizationFailed,
            ProduceErrorKind::TopicAuthorization,
        ),
        (
            ErrorCode::InvalidTopicException,
            ProduceErrorKind::InvalidTopic,
        ),
    ] {
        let mut rig = Setup::default().start();
        let future = rig.launch(0, "v");
        rig.respond(code, -1);
        let error = error(&future);
        assert_eq!(
            (error.kind(), error.delivery()),
            (&kind, Delivery::NotWritten)
        );
        assert_eq!((error.topic(), error.partition()), (TOPIC, Some(0)));
    }
}

/// If a response names invalid records, these get the response's messages, and the other records of the batch get a
/// general error (PB-16). If it names only one, this record gets the partition's error code (SE-18).
#[test]
fn records_named_in_a_response_get_its_message_and_the_others_a_general_error() {
    let named = |at, words: &str| BatchIndexAndErrorMessage {
        batch_index: at,
        message: Some(words.into()),
    };
    for (wrong, expected) in [
        (vec![named(1, "no key")], ErrorCode::CorruptMessage),
        (
            vec![named(1, "no key"), named(2, "bad time")],
            ErrorCode::InvalidRecord,
        ),
    ] {
        let mut rig = Setup {
            batch_size: 1000,
            ..Setup::default()
        }
        .with(|o| o.retries = 0)
        .start();
        let futures = [rig.send(0, "a"), rig.send(0, "b"), rig.send(0, "c")];
        rig.run();
        let partition = PartitionProduceResponse {
            record_errors: wrong.clone(),
            ..partition_response(0, ErrorCode::CorruptMessage, -1)
        };
        let now = rig.now();
        rig.client().respond(produce_response(vec![partition]), now);
        rig.run();
        for (at, future) in (0..).zip(&futures) {
            let error = error(future);
            let words = error.broker_error().and_then(|b| b.message.as_deref());
            match wrong.iter().find(|w| w.batch_index == at) {
                Some(wrong) => {
                    assert_eq!(
                        (error.code(), words),
                        (Some(expected), wrong.message.as_deref())
                    );
                }
                None => assert_eq!(
                    (error.code(), words),
                    (Some(ErrorCode::InvalidRecord), None)
                ),
            }
        }
    }
}

/// The callbacks of one batch run in the order of sending. The callbacks of several batches run in the order in which
/// the batches complete.
#[test]
fn callbacks_of_a_batch_that_fails_run_before_those_of_an_earlier_one_that_is_retried() {
    let mut rig = Setup::default().start();
    let order = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
    let _futures = ["first", "second"].map(|name| {
        let order = Arc::clone(&order);
        let mut callback = Some(move |_: RecordResultRef<'_>| order.lock().push(name));
        let future = rig.send_calling(0, name, Some(&mut callback));
        rig.run();
        future
    });
    assert_eq!(rig.waiting(), 2);
    rig.lose(0, true);
    rig.respond(ErrorCode::MessageTooLarge, -1);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(*order.lock(), ["second", "first"]);
}

/// Sends records that the broker refuses with these errors, and returns the error of each.
fn refused(records: usize, names: Vec<BatchIndexAndErrorMessage>) -> Vec<ProduceError> {
    let mut rig = Setup {
        batch_size: 1 << 20,
        ..Setup::default()
    }
    .with(|o| o.retries = 0)
    .start();
    let futures: Vec<_> = (0..records).map(|_| rig.send(0, "v")).collect();
    rig.run();
    let partition = PartitionProduceResponse {
        record_errors: names,
        error_message: Some("the batch is bad".into()),
        ..partition_response(0, ErrorCode::InvalidRecord, -1)
    };
    let now = rig.now();
    rig.client().respond(produce_response(vec![partition]), now);
    rig.run();
    futures.iter().map(error).collect()
}

fn words_of(error: &ProduceError) -> &str {
    let broker = error.broker_error().unwrap();
    broker.message.as_deref().unwrap()
}

fn name(batch_index: i32, words: String) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage {
        batch_index,
        message: Some(words.into()),
    }
}

#[test]
fn the_first_error_for_a_record_counts_and_errors_for_unknown_records_are_ignored() {
    let names = [(7, "a"), (1, "b"), (-1, "c"), (2, "d"), (1, "e"), (0, "f")];
    let names = names.map(|(at, words)| name(at, words.to_owned()));
    let words: Vec<_> = refused(2, names.to_vec())
        .iter()
        .map(words_of)
        .map(str::to_owned)
        .collect();
    assert_eq!(words, ["f", "b"]);
    // The response is treated as if it named no record.
    let errors = refused(2, vec![name(2, "nobody".to_owned())]);
    assert_eq!(words_of(&errors[0]), "the batch is bad");
    assert!(
        errors[0]
            .to_string()
            .contains("the broker refused the batch")
    );
}

#[test]
fn stored_error_messages_are_bounded_by_the_batch_size_and_equal_ones_are_stored_once() {
    let long = |at: i32| format!("{at} is wrong: {}", "very ".repeat(190));
    let alike = refused(1000, (0..1000).map(|at| name(at, long(0))).collect());
    let first = alike[0].broker_error().unwrap().message.as_ref().unwrap();
    assert!(alike.iter().all(|error| {
        Arc::ptr_eq(
            first,
            error.broker_error().unwrap().message.as_ref().unwrap(),
        )
    }));
    // All messages differ: only as many are kept as the bound allows.
    let unlike = refused(1000, (0..1000).map(|at| name(at, long(at))).collect());
    let own = unlike
        .iter()
        .zip(0..)
        .take_while(|(error, at)| words_of(error) == long(*at));
    let own = own.count();
    assert!((10..100).contains(&own), "{own}");
    assert!(
        unlike[own..]
            .iter()
            .all(|error| words_of(error) == "the batch is bad")
    );
}

#[test]
fn the_error_of_a_timeout_contains_the_error_of_the_last_attempt() {
    let mut rig = Setup::default().start();
    let future = rig.launch(0, "v");
    let now = rig.now();
    rig.client().respond(produce_response(Vec::new()), now);
    rig.run();
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    let error = error(&future);
    assert_eq!(*error.kind(), ProduceErrorKind::DeliveryTimeout);
    let words = "the response did not name the partition";
    assert_eq!(error.last_failure(), Some(words));
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn an_error_response_replaces_the_failure_of_an_earlier_attempt_without_a_response() {
    let mut rig = Setup::default().with(|o| o.retries = 1).start();
    let future = rig.launch(0, "v");
    rig.lose(0, true);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::MessageTooLarge, -1);
    assert_eq!(error(&future).last_failure(), None);
}

/// In Java, a partition in the response that was not requested led to a null pointer (SE-35), and a batch whose
/// partition the response lacked stayed in flight until it expired (SE-36).
#[test]
fn a_partition_missing_in_the_response_is_retried_and_an_unrequested_one_is_ignored() {
    let mut rig = Setup::default().start();
    let (first, second) = (rig.send(0, "v"), rig.send(1, "v"));
    rig.run();
    let now = rig.now();
    let strange = partition_response(9, ErrorCode::NoError, 1);
    let known = partition_response(1, ErrorCode::NoError, 2);
    rig.client()
        .respond(produce_response(vec![strange, known]), now);
    rig.run();
    assert_eq!(offset(&second), Some(2));
    assert_pending(&[&first]);
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::NoError, 3);
    assert_eq!(offset(&first), Some(3));
    rig.assert_memory_is_back();
}

#[test]
fn partitions_of_a_response_are_matched_in_any_order() {
    let mut rig = Setup::default().start();
    let (first, second) = (rig.send(0, "v"), rig.send(1, "v"));
    rig.run();
    let now = rig.now();
    let partitions = vec![
        partition_response(1, ErrorCode::NoError, 11),
        partition_response(0, ErrorCode::NoError, 10),
    ];
    rig.client().respond(produce_response(partitions), now);
    rig.run();
    assert_eq!((offset(&first), offset(&second)), (Some(10), Some(11)));
}

/// With acks=0 there is no response: a request is complete when it is written, and its records succeed without offsets
/// (SE-11).
#[test]
fn without_acknowledgements_a_record_is_done_once_it_is_written_to_the_socket() {
    let mut rig = Setup::default().with(|o| o.acks = 0).start();
    let future = rig.send(0, "v");
    rig.run();
    assert_eq!(offset(&future), None);
    rig.assert_memory_is_back();
}

/// If no request was sent, the kind of the error shows why (SE-12).
#[test]
fn an_unsupported_version_or_refused_credentials_fail_the_batch_as_not_written() {
    for (outcome, kind) in [
        (
            Outcome::UnsupportedVersion("too old".into()),
            ProduceErrorKind::UnsupportedVersion,
        ),
        (
            Outcome::Authentication("who?".into()),
            ProduceErrorKind::Authentication,
        ),
    ] {
        let mut rig = Setup::default().start();
        rig.client().prepare(None, None, outcome);
        let future = rig.send(0, "v");
        rig.run();
        let error = error(&future);
        assert_eq!(
            (error.kind(), error.delivery()),
            (&kind, Delivery::NotWritten)
        );
        rig.assert_memory_is_back();
    }
}

/// Java: SenderTest#testSendInOrder
#[test]
fn with_one_request_in_flight_a_partition_has_one_batch_in_flight() {
    let mut rig = Setup::default().with(|o| o.guarantee_order = true).start();
    let first = rig.launch(0, "a");
    rig.lead_by(&[1, 0]);
    let second = rig.send(0, "b");
    let other = rig.launch(1, "c");
    assert_eq!(
        rig.waiting(),
        2,
        "the second batch waits although its leader is free"
    );
    rig.respond(ErrorCode::NoError, 0);
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!((offset(&first), offset(&other)), (Some(0), Some(0)));
    rig.run();
    assert_eq!(rig.client().requests()[0].node, 1);
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!(offset(&second), Some(1));
}

/// With one request in flight, a partition stays muted until its batch has ended, also while the batch waits for a
/// retry (SE-22).
#[test]
fn with_one_request_in_flight_a_retry_is_sent_before_the_next_batch() {
    let mut rig = Setup::default().with(|o| o.guarantee_order = true).start();
    let (first, second) = (rig.launch(0, "a"), rig.send(0, "b"));
    rig.lose(0, true);
    rig.run();
    assert_eq!(
        rig.waiting(),
        0,
        "the next batch must not overtake one that waits for its backoff"
    );
    rig.advance(BACKOFF);
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_pending(&[&second]);
    rig.run();
    rig.respond(ErrorCode::NoError, 1);
    assert_eq!((offset(&first), offset(&second)), (Some(0), Some(1)));
}

#[test]
fn batches_of_a_node_that_is_not_ready_stay_queued_and_the_poll_ends_when_it_may_be_ready() {
    let mut rig = Setup::default().start();
    let until = rig.now() + MS(50);
    rig.client().set_unreachable(0, until);
    let future = rig.send(0, "v");
    rig.run();
    rig.run(); // consumes the wake-up of the append
    assert_eq!(rig.client().poll_timeouts().last(), Some(&MS(50)));
    rig.advance(MS(50));
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&future), Some(0));
}

/// A drain takes one batch of each partition. The poll after a drain does not wait (SE-5), so that the next batch
/// follows at once.
#[test]
fn a_partition_with_several_full_batches_is_drained_again_at_once() {
    let mut rig = Setup::default().start();
    let futures = [rig.send(0, "a"), rig.send(0, "b"), rig.send(0, "c")];
    rig.run();
    rig.run(); // consumes the wake-up of the appends
    assert_eq!(rig.client().poll_timeouts().last(), Some(&Duration::ZERO));
    rig.run();
    assert_eq!(rig.waiting(), 3);
    assert!(
        rig.client().poll_timeouts().last() > Some(&Duration::ZERO),
        "nothing is left to send"
    );
    for offset in 0..3 {
        rig.respond(ErrorCode::NoError, offset);
    }
    assert_eq!(
        futures.map(|future| offset(&future)),
        [Some(0), Some(1), Some(2)]
    );
}

#[test]
fn an_idle_sender_sleeps_without_a_deadline() {
    let mut rig = Setup::default().start();
    rig.run();
    rig.run();
    assert_eq!(rig.client().poll_timeouts().last(), Some(&LONGEST_POLL));
}

/// Java: RecordAccumulatorTest#testLinger
#[test]
fn a_batch_that_is_not_full_waits_for_its_linger() {
    let mut rig = Setup {
        batch_size: 1000,
        ..Setup::default()
    }
    .with(|o| o.linger = MS(10))
    .start();
    let future = rig.send(0, "v");
    rig.run();
    rig.run();
    assert_eq!(rig.waiting(), 0);
    assert_eq!(rig.client().poll_timeouts().last(), Some(&MS(10)));
    rig.advance(MS(10));
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&future), Some(0));
}

/// The sender requests metadata for topics that have batches but no known leader (MD-28).
#[test]
fn a_partition_without_a_leader_requests_metadata_and_its_batch_waits_for_a_leader() {
    let mut rig = Setup::default().start();
    rig.lead_by(&[-1, 0]);
    let future = rig.send(0, "v");
    rig.run();
    assert_eq!(rig.waiting(), 0);
    assert!(rig.wants_metadata());
    rig.lead_by(&[1, 0]);
    rig.run();
    assert_eq!(rig.client().requests()[0].node, 1);
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(offset(&future), Some(0));
}

#[test]
fn a_request_names_each_topic_and_partition_once() {
    let mut rig = Setup::default().start();
    let _futures = [rig.send(0, "a"), rig.send(1, "b"), rig.send(0, "c")];
    rig.run();
    let sent = rig.sent();
    assert_eq!(
        sent[0].iter().map(|b| b.partition).collect::<Vec<_>>(),
        [0, 1]
    );
    let Request::Produce(request) = &rig.client().sent()[0].1 else {
        unreachable!()
    };
    assert_eq!(request.topics.len(), 1);
    assert_eq!((request.acks, request.timeout_ms), (-1, 30_000));
}

#[test]
fn without_a_backoff_a_batch_is_retried_a_hundred_times_a_second_at_most() {
    for idempotent in [false, true] {
        let mut rig = Setup {
            idempotent,
            ..Setup::default()
        }
        .with(|o| (o.retry_backoff, o.retry_backoff_max) = (MS(0), MS(0)))
        .start();
        let future = rig.send(0, "v");
        let mut attempts = 0;
        for _ in 0..1000 {
            rig.run();
            if rig.waiting() > 0 {
                attempts += 1;
                rig.respond(ErrorCode::NotEnoughReplicas, -1);
            }
            rig.advance(MS(1));
        }
        assert!((50..=101).contains(&attempts), "{attempts} in a second");
        rig.run();
        if rig.waiting() == 0 {
            rig.advance(MS(10));
            rig.run();
        }
        rig.respond(ErrorCode::NoError, 0);
        assert_eq!(offset(&future), Some(0));
    }
}

#[test]
fn partitions_that_are_refused_at_different_moments_are_retried_in_one_request() {
    let mut rig = Setup::default()
        .with(|o| (o.retry_backoff, o.retry_backoff_max) = (MS(0), MS(0)))
        .start();
    let _first = rig.launch(0, "a");
    rig.respond(ErrorCode::NotEnoughReplicas, -1);
    rig.advance(MS(3));
    let _second = rig.launch(1, "b");
    rig.respond(ErrorCode::NotEnoughReplicas, -1);
    let before = rig.sent().len();
    for _ in 0..1000 {
        rig.run();
        while rig.waiting() > 0 {
            rig.respond(ErrorCode::NotEnoughReplicas, -1);
        }
        rig.advance(MS(1));
    }
    let requests = rig.sent().len() - before;
    assert!((80..=101).contains(&requests), "{requests} in a second");
}
