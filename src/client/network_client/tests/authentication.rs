//! Connections with authentication (TLS or SASL).

use super::*;
use crate::client::metadata::FatalMetadataError;

const WHY: &str = "Invalid username or password";
/// The error that waiters get, prefixed with the broker.
const FAILURE_TEXT: &str = "broker 1 (broker-1:9092): Invalid username or password";

fn refused() -> CloseReason {
    CloseReason::AuthenticationFailed(WHY.into())
}

/// A client whose connection to a node is established and being authenticated.
fn authenticating(nodes: &[Node]) -> Harness {
    let mut harness = Harness::new(nodes);
    harness.client.selector.holds_authentication = true;
    let now = harness.now();
    harness.client.ready(&node(1), now);
    harness.poll();
    assert_eq!(
        harness.client.states.state(1),
        Some(&ConnectionState::Authenticating)
    );
    harness
}

#[test]
fn the_host_name_is_passed_to_the_selector_with_the_address() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    assert_eq!(*harness.client.selector.names, ["broker-1".into()]);
}

/// Java: NetworkClientTest#testAuthenticationFailureWithInFlightMetadataRequest, NC-14, NC-25
#[test]
fn an_authentication_failure_fails_the_waiters_for_metadata_with_its_message() {
    let mut harness = authenticating(&[node(1), node(2)]);
    assert!(!harness.client.is_metadata_due(harness.now()));
    harness.client.selector.disconnect(1, refused());
    harness.poll();
    let now = harness.now();
    assert_eq!(
        *harness.metadata.failures.lock(),
        [MetadataFailure::Authentication(FAILURE_TEXT.into())]
    );
    assert_eq!(
        harness.metadata.inner.lock().fatal_error(0),
        Some(&FatalMetadataError::Authentication(FAILURE_TEXT.into()))
    );
    let reason = harness.client.not_ready_reason(1, now);
    assert_eq!(reason, Some(NotReady::Authentication(FAILURE_TEXT.into())));
    assert!(harness.client.describe(now).contains(WHY));
    // Another attempt is made after the back-off: the credentials may have been added to the broker.
    assert!(!harness.client.states.can_connect(1, now));
    harness.advance(MS(61));
    assert!(harness.client.states.can_connect(1, harness.now()));
}

#[test]
fn a_request_to_a_node_that_refuses_the_client_fails_for_that_reason() {
    let mut harness = authenticating(&[node(1)]);
    harness.client.selector.disconnect(1, refused());
    harness.poll();
    harness.send(1, init_producer_id(), 7);
    harness.poll();
    let response = harness.take_one();
    assert!(
        matches!(&response.outcome, Outcome::Authentication(why) if &**why == FAILURE_TEXT),
        "{response:?}"
    );
}

#[test]
fn an_authentication_failure_is_reported_when_every_known_node_has_failed() {
    let mut harness = authenticating(&[node(1), node(2)]);
    harness.client.selector.disconnect(1, refused());
    harness.poll();
    assert_eq!(harness.client.authentication_failure(), None);
    let now = harness.now();
    harness.client.ready(&node(2), now);
    harness.poll();
    harness.client.selector.disconnect(2, refused());
    harness.poll();
    let failure = harness.client.authentication_failure();
    assert_eq!(failure.as_deref(), Some(&*FAILURE_TEXT.replace('1', "2")));
    harness.advance(MS(61));
    let now = harness.now();
    harness.client.ready(&node(1), now);
    assert_eq!(harness.client.authentication_failure(), None);
}

/// A request that is queued during re-authentication has not been written.
#[test]
fn a_refused_reauthentication_fails_unwritten_requests_as_refused_and_written_ones_as_disconnected()
{
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.client.selector.holds_writes = true;
    harness.send_whole(1, 8);
    harness.client.selector.disconnect(1, refused());
    harness.poll();
    let outcomes: Vec<String> = harness
        .responses
        .iter()
        .map(|response| format!("{} {:?}", response.tag, response.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            format!("7 Disconnected {{ handed_over: true, reason: {WHY:?} }}"),
            format!("8 Authentication({FAILURE_TEXT:?})"),
        ]
    );
}

#[test]
fn an_authentication_that_times_out_is_named_in_the_error() {
    let mut harness = authenticating(&[node(1)]);
    harness.client.selector.waits_for = Some("a token");
    harness.advance(MS(12_001));
    harness.poll();
    let reason = harness.client.not_ready_reason(1, harness.now());
    let Some(NotReady::NotConnected(Some(error))) = reason else {
        panic!("{reason:?}")
    };
    assert!(
        error.contains("stage: authenticating, waiting for a token"),
        "{error}"
    );
}

/// NC-15: a broker may close a connection because of wrong credentials, but the network may also fail during
/// authentication. So the error names this stage, and calls that wait for metadata do not fail.
#[test]
fn a_connection_lost_during_authentication_is_not_a_fatal_error() {
    let mut harness = authenticating(&[node(1)]);
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.poll();
    let reason = harness.client.not_ready_reason(1, harness.now());
    let Some(NotReady::NotConnected(Some(error))) = reason else {
        panic!("{reason:?}")
    };
    assert!(error.contains("during authentication"), "{error}");
    assert!(
        harness
            .metadata
            .failures
            .lock()
            .iter()
            .all(|failure| failure.as_fatal().is_none()),
        "it may have been the network"
    );
}

/// The number of metadata requests that broker 1 receives in ten seconds. Meanwhile the client keeps connecting to
/// `refusing` other brokers, which reject its credentials.
fn metadata_requests(refusing: i32, refresh_backoff: Duration) -> usize {
    let nodes: Vec<Node> = (1..=1 + refusing).map(node).collect();
    let mut harness = Harness::with_timeouts(&nodes, |options, times| {
        options.reconnect_backoff_max = MS(1000);
        times.refresh_backoff = refresh_backoff;
    });
    harness.connect(&node(1));
    harness.client.selector.sent.clear();
    harness.client.selector.holds_authentication = true;
    harness.metadata.request_update();
    for _ in 0..1000 {
        for other in &nodes[1..] {
            let now = harness.now();
            harness.client.ready(other, now);
        }
        harness.poll();
        for other in &nodes[1..] {
            let id = other.id();
            if harness.client.states.state(id) == Some(&ConnectionState::Authenticating) {
                let refused = CloseReason::AuthenticationFailed("no".into());
                harness.client.selector.disconnect(id, refused);
            }
        }
        harness.poll();
        harness.advance(MS(10));
    }
    assert!(harness.metadata.inner.lock().fatal_error(0).is_some());
    let sent = harness.client.selector.sent.iter();
    let keys = sent.map(|sent| sent.header.api_key);
    keys.filter(|key| *key == ApiKey::Metadata).count()
}

#[test]
fn brokers_that_refuse_the_client_do_not_prevent_metadata_requests_to_others() {
    assert!(metadata_requests(1, MS(2000)) > 0, "a long backoff");
    assert!(metadata_requests(30, MS(100)) > 0, "many brokers");
}
