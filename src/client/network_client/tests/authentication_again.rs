//! Re-authentication (KIP-368), and endpoints that cannot be authenticated at all.

use super::*;
use crate::client::metadata::FatalMetadataError;

/// A client whose connection to node 1 is being re-authenticated.
fn authenticating_again() -> Harness {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.client.selector.holds_writes = true;
    harness.send(1, produce(1), 7);
    harness.client.selector.authenticate_again(1);
    harness.poll();
    assert_eq!(
        harness.client.states.state(1),
        Some(&ConnectionState::AuthenticatingAgain)
    );
    harness
}

fn reason(harness: &Harness) -> String {
    match harness.client.not_ready_reason(1, harness.now()) {
        Some(NotReady::NotConnected(Some(why))) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reauthentication_times_out_even_if_no_request_waits_for_it() {
    let mut harness = authenticating_again();
    let now = harness.now();
    assert!(
        harness
            .client
            .withdraw_untouched(1, "delivery.timeout.ms", now)
    );
    harness.poll();
    assert!(reason(&harness).contains("again"), "{}", reason(&harness));
    harness.poll();
    let slept = harness.client.selector.poll_timeouts.last();
    assert!(slept.unwrap().unwrap() <= MS(12_000), "{slept:?}");
    harness.advance(MS(12_001));
    harness.poll();
    assert_eq!(harness.client.selector.closed, [1]);
    let reason = reason(&harness);
    assert!(reason.contains("not authenticated again"), "{reason}");
}

#[test]
fn a_reauthentication_does_not_time_out_while_input_of_its_connection_is_unread() {
    let mut harness = authenticating_again();
    let now = harness.now();
    assert!(harness.client.withdraw_untouched(1, "a test", now));
    harness.advance(MS(15_000));
    harness.client.selector.unread.insert(1);
    harness.poll();
    assert!(harness.client.selector.closed.is_empty());
    harness.client.selector.unread.clear();
    harness.poll();
    assert_eq!(harness.client.selector.closed, [1]);
}

#[test]
fn a_reauthenticated_node_is_ready_without_an_api_versions_request() {
    let mut harness = authenticating_again();
    let now = harness.now();
    assert!(!harness.client.ready(&node(1), now));
    let asked = harness.client.selector.sent.len();
    harness.client.selector.authenticated_again(1);
    harness.client.selector.holds_writes = false;
    harness.poll();
    harness.poll();
    let now = harness.now();
    assert!(harness.client.ready(&node(1), now));
    assert_eq!(harness.client.selector.sent.len(), asked);
    harness.advance(MS(12_001));
    harness.poll();
    assert!(harness.client.selector.closed.is_empty());
}

#[test]
fn a_failure_to_get_a_token_is_not_blamed_on_the_broker() {
    let mut harness = Harness::new(&[node(1)]);
    harness.client.selector.holds_authentication = true;
    let now = harness.now();
    harness.client.ready(&node(1), now);
    harness.poll();
    let why = CloseReason::AuthenticationInterrupted("the token endpoint is down".into());
    harness.client.selector.disconnect(1, why);
    harness.poll();
    let reason = reason(&harness);
    assert!(reason.contains("the token endpoint is down"), "{reason}");
    assert!(!reason.contains("brokers before 1.0"), "{reason}");
    let metadata = harness.metadata.inner.lock();
    assert_eq!(metadata.fatal_error(0), None, "it may yet be had");
}

#[test]
fn an_endpoint_that_tls_cannot_accept_is_an_authentication_failure() {
    let mut harness = Harness::new(&[node(1)]);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9092));
    harness.client.selector.unacceptable.insert(address);
    let now = harness.now();
    harness.client.ready(&node(1), now);
    harness.poll();
    let reason = harness.client.not_ready_reason(1, now);
    assert!(
        matches!(&reason, Some(NotReady::Authentication(_))),
        "{reason:?}"
    );
    let metadata = harness.metadata.inner.lock();
    assert!(matches!(
        metadata.fatal_error(0),
        Some(FatalMetadataError::Authentication(_))
    ));
}
