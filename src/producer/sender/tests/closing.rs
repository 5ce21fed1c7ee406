//! The end of a sender: graceful close, forced close, or panic.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::metrics::Metrics;
use crate::producer::accumulator::held_up;
use crate::protocol::Request;

/// A graceful close sends the queued records, and waits for their results (KP-50).
#[test]
fn a_graceful_close_sends_all_queued_records() {
    let mut rig = Setup::default().start();
    for base in 0..3 {
        rig.client()
            .prepare_response(answer(0, ErrorCode::NoError, base));
    }
    let futures = [rig.send(0, "a"), rig.send(0, "b"), rig.send(0, "c")];
    rig.shared.accumulator.close();
    rig.shared.control.close();
    let Rig {
        sender,
        pool,
        shared,
        ..
    } = rig;
    sender.run();
    assert_eq!(
        futures.map(|future| offset(&future)),
        [Some(0), Some(1), Some(2)]
    );
    assert_eq!(pool.available_bytes(), pool.total_bytes());
    assert_eq!(
        (shared.control.undelivered(), shared.control.failure()),
        (0, None)
    );
}

/// A thread has queued its batch and is delayed before it signals the sender; meanwhile another thread closes the
/// producer.
#[test]
fn a_record_whose_thread_is_delayed_while_the_producer_is_closed_is_still_sent() {
    for forced in [false, true] {
        let mut rig = Setup {
            batch_size: 1000,
            ..Setup::default()
        }
        .start();
        rig.client()
            .prepare_response(answer(0, ErrorCode::NoError, 5));
        let Rig { sender, shared, .. } = rig;
        let closed = shared.clone();
        held_up::once(move || {
            closed.accumulator.close();
            if forced {
                closed.control.force();
            } else {
                closed.control.close();
            }
            sender.run();
        });
        let future = append(&shared, 0, "a", None);
        if forced {
            assert_eq!(*error(&future).kind(), ProduceErrorKind::Closed);
        } else {
            assert_eq!(offset(&future), Some(5));
        }
        assert_eq!(shared.control.undelivered(), u64::from(forced));
        assert_eq!(shared.accumulator.incomplete_count(), 0);
    }
}

/// A way in which a producer's last batch ends: its name and its steps.
type LastEnd = (&'static str, fn(&mut Rig));

/// Completes the batch's request with an outcome that the next poll returns.
fn ends_with(rig: &mut Rig, outcome: Outcome) {
    let now = rig.now();
    rig.client().finish(0, outcome, now);
    rig.run();
}

#[test]
fn a_closing_sender_does_not_sleep_once_its_last_batch_is_complete() {
    const ENDS: [LastEnd; 8] = [
        ("acknowledged", |rig| {
            ends_with(rig, Outcome::Response(answer(0, ErrorCode::NoError, 0)));
        }),
        ("refused", |rig| {
            ends_with(
                rig,
                Outcome::Response(answer(0, ErrorCode::InvalidRecord, 0)),
            );
        }),
        ("not to be sent", |rig| {
            ends_with(rig, Outcome::UnsupportedVersion("too old".into()));
        }),
        ("expired under way", |rig| {
            rig.advance(DELIVERY_TIMEOUT);
            rig.run();
        }),
        ("expired while it waits for another attempt", |rig| {
            rig.lose(0, true);
            rig.advance(DELIVERY_TIMEOUT);
            rig.run();
        }),
        ("lost when its time was over", |rig| {
            let now = rig.now() + DELIVERY_TIMEOUT;
            rig.client().disconnect(0, false, now);
            rig.advance(DELIVERY_TIMEOUT);
            rig.run();
        }),
        ("refused again, and expired", |rig| {
            rig.respond(ErrorCode::CorruptMessage, -1);
            rig.advance(DELIVERY_TIMEOUT);
            rig.run();
        }),
        ("aborted by a forced close", |rig| {
            rig.shared.control.force();
            rig.run();
            rig.sender.abort_everything();
        }),
    ];
    for idempotent in [false, true] {
        for (how, end) in ENDS {
            let mut rig = Setup {
                idempotent,
                ..Setup::default()
            }
            .start();
            let future = rig.launch(0, "a");
            rig.shared.accumulator.close();
            rig.shared.control.close();
            end(&mut rig);
            assert!(future.is_done(), "{how}");
            rig.run();
            let slept = rig.client().poll_timeouts().last().copied();
            assert_eq!(slept, Some(Duration::ZERO), "{how}, {idempotent}");
            // The poll of the step in which the batch expired did not block either: nothing was left to wait for.
            if how.contains("expired") {
                let polls = rig.client().poll_timeouts();
                assert_eq!(polls[polls.len() - 2], Duration::ZERO, "{how}");
            }
        }
    }
}

/// The time limit for the end of a transaction does not matter if the producer is not transactional.
#[test]
fn a_closing_producer_sleeps_until_its_response_arrives_however_late() {
    let mut rig = Setup::idempotent().start();
    let future = rig.launch(0, "a");
    rig.shared.accumulator.close();
    rig.shared.control.close();
    rig.run();
    rig.advance(Duration::from_secs(61));
    rig.run();
    assert!(!future.is_done());
    let slept = rig.client().poll_timeouts().last().copied();
    assert!(slept > Some(Duration::ZERO), "{slept:?}");
}

/// A forced close fails all incomplete batches at once, as does a close with a time-out of zero (KP-52). Only a batch
/// in flight may have been written.
#[test]
fn a_forced_close_fails_queued_and_in_flight_batches() {
    let mut rig = Setup::default().start();
    let in_flight = rig.launch(0, "a");
    let queued = rig.send(0, "b");
    rig.shared.accumulator.close();
    rig.shared.control.force();
    let Rig {
        sender,
        pool,
        shared,
        ..
    } = rig;
    sender.run();
    for (future, delivery) in [
        (&in_flight, Delivery::MaybeWritten),
        (&queued, Delivery::NotWritten),
    ] {
        let error = error(future);
        assert_eq!(
            (error.kind(), error.delivery()),
            (&ProduceErrorKind::Closed, delivery)
        );
    }
    assert_eq!(shared.control.undelivered(), 2);
    assert_eq!(shared.accumulator.incomplete_count(), 0);
    assert_eq!(pool.available_bytes(), pool.total_bytes());
}

#[test]
fn the_error_of_a_record_that_a_close_fails_names_the_reason_why_it_was_not_sent() {
    let mut rig = Setup::default().start();
    rig.client().refuse_credentials(0, "who?");
    let queued = rig.send(0, "a");
    rig.run();
    rig.shared.accumulator.close();
    rig.shared.control.force();
    let Rig { sender, .. } = rig;
    sender.run();
    let error = error(&queued);
    assert_eq!(error.kind(), &ProduceErrorKind::Closed);
    let message = "who?".into();
    let cause = WaitCause::Authentication { message };
    assert_eq!(error.cause(), Some(&cause), "{error}");
}

#[test]
fn a_forced_close_fails_a_batch_in_the_retry_queue_which_may_be_written() {
    let mut rig = Setup::default().start();
    let future = rig.launch(0, "a");
    rig.lose(0, true);
    rig.shared.control.force();
    let Rig { sender, .. } = rig;
    sender.run();
    let error = error(&future);
    assert_eq!(
        (error.kind(), error.delivery()),
        (&ProduceErrorKind::Closed, Delivery::MaybeWritten)
    );
}

/// Differs: in Java an exception in the sender loop is logged, and the loop continues (SE-1, XX-5).
#[test]
fn a_panic_in_the_loop_fails_every_pending_record_and_the_producer() {
    let mut rig = Setup::default().start();
    let in_flight = rig.launch(0, "a");
    rig.client().prepare(
        None,
        Some(Box::new(|_: &Request| panic!("the network fell over"))),
        Outcome::Sent,
    );
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let mut callback = Some(move |result: RecordResultRef<'_>| {
        assert!(result.is_err());
        count.fetch_add(1, Ordering::SeqCst);
    });
    let sent = rig.send_calling(0, "b", Some(&mut callback));
    let queued = rig.send(0, "c");
    let Rig {
        sender,
        pool,
        shared,
        ..
    } = rig;
    sender.run();
    for future in [&in_flight, &sent, &queued] {
        let error = error(future);
        assert_eq!(*error.kind(), ProduceErrorKind::ProducerFailed);
        assert!(
            error.to_string().contains("the network fell over"),
            "{error}"
        );
    }
    assert_eq!(called.load(Ordering::SeqCst), 1);
    assert!(
        shared
            .control
            .failure()
            .is_some_and(|why| why.panic_message().contains("the network fell over"))
    );
    assert!(shared.accumulator.topics().is_closed());
    assert_eq!(shared.accumulator.incomplete_count(), 0);
    assert_eq!(pool.available_bytes(), pool.total_bytes());
}

/// A listener that panics at each acknowledgement.
struct PanickingListener;

impl AcknowledgementListener for PanickingListener {
    fn on_acknowledgement(&self, _: &RecordMetadata, _: Option<&ProduceError>) {
        panic!("the listener fell over");
    }
}

#[test]
fn a_panic_in_a_listener_leaves_no_future_pending() {
    let listener: Option<Arc<dyn AcknowledgementListener>> = Some(Arc::new(PanickingListener));
    let mut rig = Setup {
        listener,
        ..Setup::default()
    }
    .start();
    rig.client()
        .prepare_response(answer(0, ErrorCode::NoError, 9));
    let written = rig.send(0, "a");
    let queued = rig.send(1, "b");
    let Rig { sender, shared, .. } = rig;
    sender.run();
    // The outcome of the written record was published before the panic.
    assert_eq!(offset(&written), Some(9));
    assert_eq!(*error(&queued).kind(), ProduceErrorKind::ProducerFailed);
    assert_eq!(shared.accumulator.incomplete_count(), 0);
}

/// The callbacks of a partition run in the order of their sends (KP-34). If one panics, the next is still called.
#[test]
fn a_panic_in_a_callback_affects_neither_other_callbacks_nor_the_sender() {
    let mut rig = Setup {
        batch_size: 1000,
        ..Setup::default()
    }
    .start();
    let order = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&order);
    let mut bad = Some(|_: RecordResultRef<'_>| panic!("the callback fell over"));
    let mut good = Some(move |_: RecordResultRef<'_>| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let futures = [
        rig.send_calling(0, "a", Some(&mut bad)),
        rig.send_calling(0, "b", Some(&mut good)),
    ];
    rig.run();
    rig.respond(ErrorCode::NoError, 0);
    assert_eq!(futures.map(|future| offset(&future)), [Some(0), Some(1)]);
    assert_eq!(order.load(Ordering::SeqCst), 1);
}

/// Java: `RecordAccumulator#abortIncompleteBatches`, which records no metric.
#[test]
fn records_aborted_by_a_forced_close_are_undelivered_and_not_counted_as_failed() {
    let mut rig = Setup::default().start();
    let futures = [rig.launch(0, "under way"), rig.send(0, "queued")];
    rig.shared.control.force();
    rig.sender.abort_everything();
    for future in &futures {
        assert_eq!(*error(future).kind(), ProduceErrorKind::Closed);
    }
    assert_eq!(rig.shared.control.undelivered(), 2);
    let metrics = Metrics::new(Arc::clone(&rig.shared.metrics));
    let errors = metrics.number("producer-metrics", "record-error-total", &[]);
    assert!(errors.abs() < 0.5, "{errors}");
}
