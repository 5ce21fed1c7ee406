//! Slow user code: a step uses no time that was read before user code ran.

use super::*;
use crate::metrics::{Metric, MetricsObserver};
use crate::sync::{Mutex, Rank};

const LONG: Duration = Duration::from_secs(10);

/// A slow metrics reporter, which records its calls.
struct Slow {
    clock: Arc<MockClock>,
    calls: Mutex<Vec<String>>,
}

impl Slow {
    fn of(rig: &Rig) -> Arc<Self> {
        let slow = Arc::new(Self {
            clock: Arc::clone(&rig.clock),
            calls: Mutex::new(Rank::LEAF, Vec::new()),
        });
        rig.shared.metrics.observe(Arc::clone(&slow) as _);
        slow
    }

    fn note(&self, what: &str, metrics: &[Metric]) {
        self.clock.advance(LONG);
        let name = metrics[0].name();
        let topic = name.tag("topic").unwrap_or_default();
        self.calls.lock().push(format!("{what} {topic}"));
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock())
    }
}

impl MetricsObserver for Slow {
    fn metrics_added(&self, metrics: &[Metric]) {
        self.note("added", metrics);
    }

    fn metrics_removed(&self, metrics: &[Metric]) {
        self.note("removed", metrics);
    }
}

impl Rig {
    /// The creation times of the requests in flight.
    fn made(&mut self) -> Vec<Instant> {
        let requests = self.client().requests().iter();
        requests.map(|request| request.created).collect()
    }
}

/// The records are for two nodes, so that a second request follows the first.
#[test]
fn slow_reporters_of_topic_metrics_do_not_shorten_the_timeout_of_a_request() {
    let mut rig = Setup::default().start();
    rig.shared.metadata.add_topic(&"u".into(), rig.now());
    rig.show(vec![topic(TOPIC, &[0, 0]), topic("u", &[1])]);
    let slow = Slow::of(&rig);
    let futures = [rig.send(0, "v"), append_to(&rig.shared, "u", 0, "v", None)];
    let began = rig.now();
    rig.run();
    assert_eq!(slow.take_calls(), ["added t", "added u"]);
    assert_eq!(rig.now(), began + 2 * LONG);
    assert_eq!(
        rig.made(),
        [began, began],
        "and reporters were notified afterwards"
    );
    // The time-out of a request starts when it is sent; no reporter is called meanwhile.
    let _third = rig.launch(1, "v");
    let now = rig.now();
    assert_eq!(rig.made()[2], now);
    assert_pending(&[&futures[0], &futures[1]]);
}

#[test]
fn a_batch_that_expires_while_reporters_run_is_not_sent() {
    let mut rig = Setup::default()
        .with(|options| options.delivery_timeout = LONG)
        .start();
    rig.shared.metadata.add_topic(&"u".into(), rig.now());
    rig.show(vec![topic(TOPIC, &[0, 0]), topic("u", &[0])]);
    let slow = Slow::of(&rig);
    let sent = rig.launch(0, "v");
    assert_eq!(slow.take_calls(), ["added t"]);
    let now = rig.now();
    let late = append_to(&rig.shared, "u", 0, "v", None);
    rig.run();
    // The metrics of the topic are reported after the request was sent.
    assert_eq!(rig.made().last(), Some(&now));
    assert_eq!(slow.take_calls(), ["added u"]);
    rig.run();
    for future in [&sent, &late] {
        let error = error(future);
        assert_eq!(*error.kind(), ProduceErrorKind::DeliveryTimeout);
        assert!(
            matches!(error.cause(), Some(WaitCause::NotAnswered { .. })),
            "{error}"
        );
    }
}

/// A response is handled at the time of its arrival; later steps use the time at which they begin.
#[test]
fn slow_callbacks_do_not_shorten_the_timeout_of_requests_sent_in_the_same_step() {
    let mut rig = Setup::default().start();
    let forever = rig.now() + 10 * DELIVERY_TIMEOUT;
    rig.client().set_unreachable(0, forever);
    let clock = Arc::clone(&rig.clock);
    let mut callback = Some(move |_: RecordResultRef<'_>| clock.advance(LONG));
    let expires = rig.send_calling(0, "v", Some(&mut callback));
    rig.run();
    rig.advance(DELIVERY_TIMEOUT);
    rig.lead_by(&[0, 1]);
    let sent = rig.send(1, "v");
    let began = rig.now();
    rig.run();
    assert_eq!(*error(&expires).kind(), ProduceErrorKind::DeliveryTimeout);
    assert_eq!(rig.now(), began + LONG, "the callback has run");
    assert_eq!(rig.made(), [began]);
    assert_pending(&[&sent]);
    rig.run();
    rig.respond(ErrorCode::NoError, 3);
    assert_eq!(offset(&sent), Some(3));
}

/// The order is the same for written and failed batches.
#[test]
fn callbacks_run_in_the_order_in_which_their_batches_completed() {
    let mut rig = Setup::default().start();
    let called = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
    let futures = ["a", "b", "c"].map(|value| {
        let called = Arc::clone(&called);
        let mut callback = Some(move |result: RecordResultRef<'_>| {
            called.lock().push((value, result.is_ok()));
        });
        rig.send_calling(0, value, Some(&mut callback))
    });
    for _ in 0..3 {
        rig.run();
    }
    assert_eq!(rig.waiting(), 3);
    let now = rig.now();
    for (code, offset) in [
        (ErrorCode::NoError, 0),
        (ErrorCode::TopicAuthorizationFailed, -1),
        (ErrorCode::NoError, 1),
    ] {
        rig.client().respond(answer(0, code, offset), now);
    }
    rig.run();
    assert_eq!(*called.lock(), [("a", true), ("b", false), ("c", true)]);
    assert!(futures.iter().all(FutureRecordMetadata::is_done));
    rig.assert_memory_is_back();
}

/// Metrics are removed when a topic expires from the metadata; the removal, like every change of metrics, is reported
/// after the step has sent its requests.
#[test]
fn the_removal_of_a_topics_metrics_is_reported_after_the_step_has_sent_its_requests() {
    let mut rig = Setup::default().start();
    rig.shared.metadata.add_topic(&"u".into(), rig.now());
    rig.show(vec![topic(TOPIC, &[0, 0]), topic("u", &[0])]);
    let _of_u = append_to(&rig.shared, "u", 0, "v", None);
    rig.run();
    rig.client().respond(
        Response::Produce(ProduceResponse {
            topics: vec![TopicProduceResponse {
                name: "u".into(),
                partitions: vec![partition_response(0, ErrorCode::NoError, 0)],
            }],
            throttle_time_ms: 0,
        }),
        Instant::ORIGIN,
    );
    rig.run();
    let slow = Slow::of(&rig);
    for _ in 0..3 {
        rig.advance(Duration::from_secs(200));
        rig.shared.metadata.add_topic(&TOPIC.into(), rig.now());
        rig.shared.metadata.request_update();
        rig.show(vec![topic(TOPIC, &[0, 0])]);
    }
    let _sent = rig.send(0, "v");
    let began = rig.now();
    rig.run();
    assert_eq!(rig.made(), [began]);
    assert_eq!(slow.take_calls(), ["removed u", "added t"]);
}

/// The record of `other` waits for its response. Meanwhile, the callback of another record has run for
/// `delivery.timeout.ms`.
struct Overdue {
    rig: Rig,
    other: FutureRecordMetadata,
    /// Names of records in the order of their callbacks.
    ended: Arc<Mutex<Vec<&'static str>>>,
}

fn overdue() -> Overdue {
    let mut rig = Setup::default()
        .with(|options| options.request_timeout = 9 * DELIVERY_TIMEOUT)
        .start();
    rig.lead_by(&[0, 1]);
    let clock = Arc::clone(&rig.clock);
    let mut callback = Some(move |_: RecordResultRef<'_>| clock.advance(DELIVERY_TIMEOUT));
    let first = rig.send_calling(0, "a", Some(&mut callback));
    let ended = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
    let note = Arc::clone(&ended);
    let mut callback = Some(move |_: RecordResultRef<'_>| note.lock().push("other"));
    let other = rig.send_calling(1, "b", Some(&mut callback));
    rig.run();
    let now = rig.now();
    rig.client().respond(answer(0, ErrorCode::NoError, 3), now);
    rig.run();
    assert_eq!(rig.now(), now + DELIVERY_TIMEOUT);
    assert_eq!(offset(&first), Some(3));
    assert_pending(&[&other]);
    Overdue { rig, other, ended }
}

#[test]
fn a_batch_whose_answer_came_while_a_callback_ran_does_not_expire() {
    let Overdue { mut rig, other, .. } = overdue();
    let now = rig.now();
    rig.client().respond(answer(1, ErrorCode::NoError, 5), now);
    rig.run();
    assert_eq!(offset(&other), Some(5));
    rig.assert_memory_is_back();
}

/// A poll reads one response of each connection, so the response to the batch may be read several polls later.
#[test]
fn a_batch_does_not_expire_while_answers_of_its_broker_are_unread() {
    let Overdue { mut rig, other, .. } = overdue();
    let now = rig.now();
    rig.client().respond(answer(1, ErrorCode::NoError, 5), now);
    rig.client().leave_unread(1, true);
    for _ in 0..3 {
        rig.run();
        assert_pending(&[&other]);
    }
    assert_eq!(rig.client().poll_timeouts().last(), Some(&Duration::ZERO));
    rig.client().leave_unread(1, false);
    rig.run();
    assert_eq!(offset(&other), Some(5));
}

/// A node that sends one large response in many parts must not hold up the others.
#[test]
fn batches_of_other_nodes_are_sent_and_expire_while_the_input_of_one_is_unread() {
    let Overdue {
        mut rig,
        other: unread,
        ..
    } = overdue();
    let now = rig.now();
    rig.client().respond(answer(1, ErrorCode::NoError, 5), now);
    rig.client().leave_unread(1, true);
    // The first step reads the sockets only.
    rig.run();
    let sent = rig.launch(0, "to the other node");
    rig.client().respond(answer(0, ErrorCode::NoError, 4), now);
    rig.run();
    assert_eq!(offset(&sent), Some(4));
    let behind = rig.launch(1, "behind the unread one");
    let unanswered = rig.launch(0, "to the other node, without a response");
    rig.advance(DELIVERY_TIMEOUT);
    rig.run();
    let error = error(&unanswered);
    assert_eq!(error.cause(), Some(&WaitCause::NotAnswered { node: 0 }));
    assert_pending(&[&unread, &behind]);
    assert_eq!(rig.client().poll_timeouts().last(), Some(&Duration::ZERO));
    rig.client().leave_unread(1, false);
    rig.run();
    rig.run();
    assert_eq!(offset(&unread), Some(5));
    assert!(behind.is_done());
}

#[test]
fn a_batch_without_an_answer_expires_one_poll_after_a_long_callback_and_before_younger_batches() {
    let Overdue {
        mut rig,
        other,
        ended,
    } = overdue();
    let note = Arc::clone(&ended);
    let mut callback = Some(move |_: RecordResultRef<'_>| note.lock().push("younger"));
    let younger = rig.send_calling(1, "c", Some(&mut callback));
    // The younger batch is overdue now, too.
    rig.clock.advance(DELIVERY_TIMEOUT);
    rig.run();
    assert_pending(&[&other, &younger]);
    assert_eq!(rig.client().poll_timeouts().last(), Some(&Duration::ZERO));
    rig.run();
    let error = error(&other);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    assert_eq!(error.cause(), Some(&WaitCause::NotAnswered { node: 1 }));
    assert!(younger.is_done());
    assert_eq!(*ended.lock(), ["other", "younger"]);
}
