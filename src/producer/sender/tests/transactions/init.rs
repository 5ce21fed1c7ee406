//! Initialization of a transactional producer: the request for its producer id.

use super::*;

/// Java: TransactionManagerTest#testDisconnectAndRetry, #testLookupCoordinatorOnDisconnectAfterSend,
/// #testLookupCoordinatorOnNotCoordinatorError
#[test]
fn init_producer_id_is_retried_and_a_lost_coordinator_is_looked_up_again() {
    use ApiKey::{FindCoordinator, InitProducerId};
    let refused = |code| Outcome::Response(init_response(code, -1, -1));
    for (kind, outcome) in [
        (FindCoordinator, lost()),
        (InitProducerId, lost()),
        (InitProducerId, refused(ErrorCode::NotCoordinator)),
        (InitProducerId, refused(ErrorCode::CoordinatorNotAvailable)),
    ] {
        let what = format!("{kind}: {outcome:?}");
        let mut tx = Tx::new();
        let initialized = tx.try_call(Operation::Init, |tx| {
            let at = tx.until_asked(kind);
            tx.finish(at, outcome);
            assert_eq!(tx.state(), TransactionManagerState::Initializing, "{what}");
            tx.settle();
        });
        assert_eq!(initialized, Some(Ok(())), "{what}");
        let mut expected = vec![FindCoordinator, InitProducerId];
        if kind == FindCoordinator {
            expected.insert(0, FindCoordinator);
        } else {
            expected.extend_from_within(..);
        }
        assert_eq!(tx.kinds(), expected, "{what}");
        assert_eq!(tx.state(), TransactionManagerState::Ready, "{what}");
    }
}

/// Java: TransactionManagerTest#testLookupCoordinatorOnDisconnectBeforeSend
#[test]
fn an_unreachable_coordinator_is_looked_up_again_before_init_producer_id_is_sent() {
    use ApiKey::{FindCoordinator, InitProducerId};
    let mut tx = Tx::new();
    let initialized = tx.try_call(Operation::Init, |tx| {
        let at = tx.until_asked(FindCoordinator);
        let soon = tx.rig().now() + BACKOFF;
        tx.rig().client().set_unreachable(COORDINATOR, soon);
        tx.answer_at(at, OK);
        assert_eq!(tx.state(), TransactionManagerState::Initializing);
        tx.settle();
    });
    assert_eq!(initialized, Some(Ok(())));
    let expected = [FindCoordinator, FindCoordinator, InitProducerId];
    assert_eq!(tx.kinds(), expected);
}

/// Java: KafkaProducerTest#testInitTransactionWhileThrottled
#[test]
fn init_producer_id_is_sent_after_the_throttle_time_of_the_coordinator() {
    let mut tx = Tx::new();
    let initialized = tx.try_call(Operation::Init, |tx| {
        let at = tx.until_asked(ApiKey::FindCoordinator);
        let pause = tx.rig().now() + MS(300);
        tx.rig().client().throttle(COORDINATOR, pause);
        tx.answer_at(at, OK);
        tx.rig().advance(MS(299));
        tx.rig().run();
        assert_eq!(tx.asked(), None);
        tx.rig().advance(MS(1));
        tx.rig().run();
        let asked = tx.asked().map(|(kind, ..)| kind);
        assert_eq!(asked, Some(ApiKey::InitProducerId));
        tx.settle();
    });
    assert_eq!(initialized, Some(Ok(())));
}

/// Java: TransactionManagerTest#testUnsupportedFindCoordinator, #testUnsupportedInitTransactions
#[test]
fn brokers_that_do_not_support_transactions_are_fatal_to_the_producer() {
    for kind in [ApiKey::FindCoordinator, ApiKey::InitProducerId] {
        let mut tx = Tx::new();
        let outcome = tx.try_call(Operation::Init, |tx| {
            let at = tx.until_asked(kind);
            tx.finish(at, Outcome::UnsupportedVersion("too old".into()));
        });
        let error = outcome.expect("it has ended").expect_err("refused");
        assert!(error.is_fatal(), "{kind}: {error}");
        assert_eq!(error.code(), Some(ErrorCode::UnsupportedVersion), "{kind}");
        assert!(error.to_string().contains("too old"), "{kind}: {error}");
        assert_eq!(tx.state(), TransactionManagerState::FatalError);
    }
}

/// Java: KafkaProducerTest#testCloseIsForcedOnPendingFindCoordinator, #testCloseIsForcedOnPendingInitProducerId,
/// #testCloseIsForcedOnPendingAddOffsetRequest
#[test]
fn a_call_that_waits_for_a_coordinator_fails_when_the_producer_is_closed_by_force() {
    for (kind, operation) in [
        (ApiKey::FindCoordinator, Operation::Init),
        (ApiKey::InitProducerId, Operation::Init),
        (ApiKey::AddOffsetsToTxn, offsets(1)),
        (ApiKey::TxnOffsetCommit, offsets(1)),
    ] {
        let mut tx = if operation == Operation::Init {
            Tx::new()
        } else {
            Tx::begun()
        };
        let outcome = tx.try_call(operation, |tx| {
            tx.until_asked(kind);
            tx.rig().sender.abort_everything();
        });
        let error = outcome.expect("it has ended").expect_err("it is closed");
        assert_eq!(
            error.kind(),
            TransactionErrorKind::Closed,
            "{kind}: {error}"
        );
    }
}
