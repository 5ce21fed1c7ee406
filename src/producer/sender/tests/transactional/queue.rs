//! The request queue: failing brokers, handlers and producers, and requests that are given up.

use super::*;
use crate::producer::waiting::{Event, Latch, SleepPermit};
use crate::util::backoff::SHORTEST_BACKOFF;

/// The way in which a test's handler differs from other handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deviation {
    /// The request is retried after this time when it has failed.
    RetriesAfter(Duration),
    /// The handler panics when its request is answered.
    PanicsWhenAnswered,
    /// The handler panics when its request is answered, and again when it is given up.
    PanicsAlways,
    /// The request is needed only as long as the producer has an id.
    NeedsAnId,
}

#[derive(Debug)]
struct DeviatingHandler(Asked, Deviation);

impl RequestHandler for DeviatingHandler {
    fn destination(&self) -> Destination {
        self.0.destination()
    }

    fn priority(&self) -> Priority {
        self.0.priority()
    }

    fn is_needed(&self, manager: &TransactionManager) -> bool {
        self.1 != Deviation::NeedsAnId || manager.has_producer_id()
    }

    fn handle_unneeded(&mut self, manager: &mut TransactionManager, _now: Instant) {
        self.0.give_up(&"unneeded".into(), manager);
    }

    fn is_awaited(&self, _manager: &TransactionManager) -> bool {
        true
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        self.0.request(manager)
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        match self.1 {
            Deviation::PanicsWhenAnswered | Deviation::PanicsAlways => panic!("a defect"),
            _ => self.0.handle_response(response, manager, now),
        }
    }

    fn handle_failure(
        &mut self,
        failure: RequestFailure,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        let verdict = self.0.handle_failure(failure, manager, now);
        match self.1 {
            Deviation::RetriesAfter(wait) => RequestVerdict::Retry {
                wait,
                why: RetryReason::new("it was lost"),
            },
            _ => verdict,
        }
    }

    fn give_up(&mut self, why: &Arc<str>, manager: &mut TransactionManager) {
        self.0.give_up(why, manager);
        assert!(self.1 != Deviation::PanicsAlways, "another defect");
    }
}

impl Rig {
    fn ask_deviating(&mut self, request: Request, deviation: Deviation, calls: &CallLog) {
        let handler = DeviatingHandler(Asked::new(request, calls), deviation);
        self.transactions().push_request(Box::new(handler));
    }

    fn ask_awaited(&mut self, request: Request, calls: &CallLog) {
        let awaited = Asked {
            is_awaited: true,
            ..Asked::new(request, calls)
        };
        self.transactions().push_request(Box::new(awaited));
    }

    /// The time-out of the last poll.
    fn sleeps(&mut self) -> Duration {
        let last = self.client().poll_timeouts().last().copied();
        last.expect("it has polled")
    }
}

/// A request fails for lack of authentication (SE-3) only when no broker is left that may accept the client.
#[test]
fn a_request_without_a_coordinator_fails_if_every_broker_refuses_the_client() {
    let calls = call_log();
    let mut rig = Setup::idempotent().start();
    rig.client().refuse_credentials(0, "no");
    rig.ask(add_partitions(), &calls);
    rig.run();
    assert_eq!(read(&calls), [], "the other broker may accept it");
    rig.lose_transactional();
    rig.client().refuse_credentials(1, "no");
    rig.advance(BACKOFF);
    rig.run();
    let why = "no".into();
    let failed = HandlerCall::Failed(
        ApiKey::AddPartitionsToTxn,
        RequestFailure::Unauthenticated(why),
    );
    assert_eq!(read(&calls), [failed]);
}

/// After a fatal error, here of a batch, no request is sent any more (TM-44).
#[test]
fn a_request_pushed_after_a_fatal_error_is_given_up_at_once_and_delays_no_close() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    let batch = rig.launch(0, "v");
    rig.respond(ErrorCode::ProducerFenced, -1);
    let _ = error(&batch);
    let fatal = rig.transactions().fatal_error().cloned();
    rig.ask_awaited(end(), &calls);
    let why = fatal.expect("it is at its end").message;
    assert_eq!(read(&calls), [HandlerCall::GivenUp(ApiKey::EndTxn, why)]);
    assert!(!rig.sender.has_work());
}

/// The batch fails without being sent, after the step has already checked the request queue (TM-11).
#[test]
fn a_request_that_waits_for_batches_is_sent_in_the_step_that_fails_the_last_batch() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    let pause = rig.now() + MS(100);
    rig.client().throttle(0, pause);
    let batch = rig.send(0, "v");
    rig.ask(end(), &calls);
    rig.run();
    rig.run();
    assert!(!batch.is_done());
    rig.shared.usable_magic.store(Magic::V1);
    rig.advance(MS(100));
    rig.run();
    let _ = error(&batch);
    rig.assert_asked(ApiKey::EndTxn, Some(TRANSACTION_COORDINATOR));
}

#[test]
fn a_retry_after_a_wait_of_zero_waits_for_the_shortest_backoff() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    let long = rig.now() + Duration::from_secs(1000);
    rig.client().set_unreachable(TRANSACTION_COORDINATOR, long);
    let eager = Deviation::RetriesAfter(Duration::ZERO);
    rig.ask_deviating(add_partitions(), eager, &calls);
    for count in 1..4 {
        rig.run();
        assert_eq!(read(&calls).len(), count);
        assert_eq!(rig.sleeps(), SHORTEST_BACKOFF);
        rig.advance(SHORTEST_BACKOFF);
    }
}

/// A refused producer id is requested again only when batches wait.
#[test]
fn a_request_that_waits_for_batches_to_arrive_does_not_block_others() {
    let calls = call_log();
    let mut rig = Setup::idempotent().build();
    let refused = init_response(ErrorCode::ClusterAuthorizationFailed, -1, -1);
    rig.client().prepare_response(refused);
    rig.run();
    rig.run();
    rig.ask_awaited(add_offsets(), &calls);
    rig.run();
    rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
    rig.answer(ApiKey::AddOffsetsToTxn, TRANSACTION_COORDINATOR, OK);
    assert_eq!(read(&calls).len(), 1);
    let _batch = rig.send(0, "v");
    rig.advance(BACKOFF);
    rig.run();
    rig.assert_asked(ApiKey::InitProducerId, None);
}

/// No call may wait for ever after a panic.
#[test]
fn all_requests_fail_when_the_handler_of_one_panics() {
    for deviation in [Deviation::PanicsWhenAnswered, Deviation::PanicsAlways] {
        let calls = call_log();
        let mut rig = knowing_the_coordinator(&calls);
        rig.ask_deviating(add_partitions(), deviation, &calls);
        rig.ask(add_offsets(), &calls);
        rig.run();
        let at = rig.assert_asked(ApiKey::AddPartitionsToTxn, None);
        let now = rig.now();
        let answer = Outcome::Response(answer_to(ApiKey::AddPartitionsToTxn, OK));
        rig.client().finish(at, answer, now);
        let Rig { sender, .. } = rig;
        sender.run();
        let recorded = read(&calls);
        assert!(
            matches!(&recorded[..], [
                HandlerCall::GivenUp(ApiKey::AddPartitionsToTxn, why),
                HandlerCall::GivenUp(ApiKey::AddOffsetsToTxn, _),
            ] if why.contains("a defect")),
            "{recorded:?}"
        );
    }
}

/// The version of InitProducerId shows whether the coordinator can bump epochs (KIP-360).
///
/// Java: TransactionManagerTest#testCanBumpEpochDuringCoordinatorDisconnect
#[test]
fn the_coordinators_supported_versions_are_kept_while_it_stays_the_coordinator() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    assert!(rig.transactions().can_bump_epoch());
    let soon = rig.now() + MS(1);
    rig.client().set_unreachable(TRANSACTION_COORDINATOR, soon);
    rig.ask_deviating(add_partitions(), Deviation::RetriesAfter(BACKOFF), &calls);
    rig.run();
    assert_eq!(read(&calls).len(), 1);
    assert!(rig.transactions().can_bump_epoch());
}

#[test]
fn an_unneeded_request_is_not_sent_and_needs_no_coordinator() {
    let calls = call_log();
    let mut rig = Setup::idempotent().build();
    rig.ask_deviating(end(), Deviation::NeedsAnId, &calls);
    rig.ask_deviating(add_offsets(), Deviation::NeedsAnId, &calls);
    let refused = init_response(ErrorCode::ClusterAuthorizationFailed, -1, -1);
    rig.client().prepare_response(refused);
    rig.run();
    rig.run();
    let unneeded = |kind| HandlerCall::GivenUp(kind, "unneeded".into());
    assert_eq!(
        read(&calls),
        [ApiKey::AddOffsetsToTxn, ApiKey::EndTxn].map(unneeded)
    );
    assert_eq!(rig.transactional(), None);
    assert!(!rig.sender.has_work());
}

#[test]
fn some_queued_requests_can_be_given_up_without_the_others() {
    let calls = call_log();
    let mut rig = knowing_the_coordinator(&calls);
    for request in [add_partitions(), add_offsets(), end()] {
        rig.ask(request, &calls);
    }
    let aborted = "the transaction is aborted".into();
    let which = |it: &dyn RequestHandler| it.priority() == Priority::AddPartitionsOrOffsets;
    rig.transactions().give_up_waiting(&aborted, which);
    let given_up = |kind| HandlerCall::GivenUp(kind, Arc::clone(&aborted));
    assert_eq!(
        read(&calls),
        [ApiKey::AddPartitionsToTxn, ApiKey::AddOffsetsToTxn].map(given_up)
    );
    rig.run();
    rig.answer(ApiKey::EndTxn, TRANSACTION_COORDINATOR, OK);
}

// ---- requests of application threads

/// A handler that sets the result of the call that it was created for.
#[derive(Debug)]
struct ForACall {
    asked: Asked,
    result: Arc<Latch<Result<(), Arc<str>>>>,
}

impl RequestHandler for ForACall {
    fn destination(&self) -> Destination {
        self.asked.destination()
    }

    fn priority(&self) -> Priority {
        self.asked.priority()
    }

    fn is_awaited(&self, _manager: &TransactionManager) -> bool {
        true
    }

    fn request(&self, manager: &TransactionManager) -> Request {
        self.asked.request(manager)
    }

    fn handle_response(
        &mut self,
        response: Response,
        manager: &mut TransactionManager,
        now: Instant,
    ) -> RequestVerdict {
        let verdict = self.asked.handle_response(response, manager, now);
        if verdict == RequestVerdict::Done {
            self.result.set(Ok(()));
        }
        verdict
    }

    fn give_up(&mut self, why: &Arc<str>, _manager: &mut TransactionManager) {
        self.result.set(Err(Arc::clone(why)));
    }
}

#[test]
fn a_request_of_an_application_thread_wakes_the_sender_and_always_ends() {
    let calls = call_log();
    let mut rig = Setup {
        transactional_id: Some("tx".into()),
        ..Setup::idempotent()
    }
    .build();
    rig.transactions().request_producer_id();
    rig.run();
    rig.find(TRANSACTION, "tx", TRANSACTION_COORDINATOR);
    let at = rig.assert_asked(ApiKey::InitProducerId, None);
    rig.finish(at, Outcome::Response(init_response(OK, PRODUCER_ID, 0)));
    let inbox = rig.transactions().inbox();
    let waker = Arc::clone(&rig.shared.waker);
    let ask = || {
        let result = Arc::new(Latch::new());
        let handler = ForACall {
            asked: Asked::new(add_offsets(), &calls),
            result: Arc::clone(&result),
        };
        let taken = inbox.push(Box::new(handler), &waker);
        (taken.is_ok(), result)
    };
    let result = std::thread::scope(|scope| {
        let (is_taken, result) = scope.spawn(ask).join().expect("it asks");
        assert!(is_taken);
        rig.run();
        assert_eq!(
            rig.sleeps(),
            Duration::ZERO,
            "the sender is woken for the new request"
        );
        rig.answer(ApiKey::AddOffsetsToTxn, TRANSACTION_COORDINATOR, OK);
        result.sleep(SleepPermit::of(DELIVERY_TIMEOUT));
        result
    });
    assert_eq!(result.get(), Some(&Ok(())));
    let (_, result) = ask();
    assert!(rig.sender.has_work(), "a graceful close makes it first");
    rig.shared.control.force();
    let Rig { sender, .. } = rig;
    sender.run();
    assert!(matches!(result.get(), Some(Err(_))));
    let (is_taken, _) = ask();
    assert!(!is_taken, "no sender would send it");
}
