use std::net::SocketAddr;

use super::*;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 9092))
}

fn error(harness: &Harness, id: NodeId) -> String {
    match harness.client.not_ready_reason(id, harness.now()) {
        Some(NotReady::NotConnected(Some(error))) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Java: NetworkClientTest#testApiVersionsRequest, NC-16
#[test]
fn a_connection_is_ready_after_the_api_versions_response() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect_unchecked(&node(1));
    let sent = harness.client.selector.last_sent(1).unwrap();
    assert_eq!(
        (sent.header.api_version, sent.header.client_id.as_deref()),
        (3, Some("test"))
    );
    assert!(!harness.client.is_ready(1, harness.now()));
    harness
        .client
        .selector
        .respond(1, &Response::ApiVersions(all_versions()));
    harness.poll();
    assert!(harness.client.is_ready(1, harness.now()));
    assert!(harness.responses.is_empty());
    assert_eq!(harness.client.not_ready_reason(1, harness.now()), None);
}

/// Java: NetworkClientTest#testInvalidApiVersionsRequest, NC-17
#[test]
fn an_error_in_the_api_versions_response_closes_the_connection() {
    let mut harness = Harness::new(&[node(1)]);
    let refusal = ApiVersionsResponse {
        error: ErrorCode::InvalidRequest,
        ..all_versions()
    };
    harness.connect_with(&node(1), refusal);
    assert_eq!(harness.client.selector.closed, [1]);
    assert!(error(&harness, 1).contains("INVALID_REQUEST"));
}

/// Java: NetworkClientTest#testUnsupportedApiVersionsRequestWithVersionProvidedByTheBroker
#[test]
fn the_api_versions_request_falls_back_to_the_version_that_the_broker_lists() {
    let mut harness = Harness::new(&[node(1)]);
    let refusal = ApiVersionsResponse {
        error: ErrorCode::UnsupportedVersion,
        api_keys: vec![ApiVersionRange {
            api_key: 18,
            min: 0,
            max: 2,
        }],
        throttle_time_ms: 0,
    };
    harness.connect_unchecked(&node(1));
    let id = harness
        .client
        .selector
        .last_sent(1)
        .unwrap()
        .header
        .correlation_id;
    // A broker that does not support the request's version responds in version 0.
    let payload = Response::ApiVersions(refusal).encode(0, id).to_payload();
    harness.client.selector.receive(1, payload);
    harness.poll();
    let again = harness.client.selector.last_sent(1).unwrap();
    assert_eq!(
        (again.request.api_key(), again.header.api_version),
        (ApiKey::ApiVersions, 2)
    );
    harness
        .client
        .selector
        .respond(1, &Response::ApiVersions(all_versions()));
    harness.poll();
    assert!(harness.client.is_ready(1, harness.now()));
}

/// Java: NetworkClientTest#testUnsupportedApiVersionsRequestWithoutVersionProvidedByTheBroker
#[test]
fn the_api_versions_request_falls_back_to_version_0_if_the_broker_lists_none() {
    let mut harness = Harness::new(&[node(1)]);
    let refusal = ApiVersionsResponse {
        error: ErrorCode::UnsupportedVersion,
        api_keys: Vec::new(),
        throttle_time_ms: 0,
    };
    harness.connect_unchecked(&node(1));
    for version in [3, 0] {
        let header = &harness.client.selector.last_sent(1).unwrap().header;
        assert_eq!(header.api_version, version);
        let payload = Response::ApiVersions(refusal.clone()).encode(0, header.correlation_id);
        harness.client.selector.receive(1, payload.to_payload());
        harness.poll();
    }
    // If version 0 is rejected, too, the connection is closed.
    assert_eq!(harness.client.selector.closed, [1]);
}

/// Brokers before 0.10 close the connection on an ApiVersions request.
#[test]
fn a_broker_that_disconnects_during_the_api_versions_request_is_named_as_the_cause() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect_unchecked(&node(1));
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.poll();
    assert!(error(&harness, 1).contains("brokers before 0.10"));
}

/// Java: NetworkClientTest#testServerDisconnectAfterInternalApiVersionRequest, #testConnectionDelay*
/// and KAFKA-13879
#[test]
fn the_reconnect_backoff_grows_while_the_broker_drops_every_new_connection() {
    let mut harness = Harness::new(&[node(1)]);
    let mut last = Duration::ZERO;
    for _ in 0..5 {
        harness.connect_unchecked(&node(1));
        harness
            .client
            .selector
            .disconnect(1, CloseReason::ClosedByPeer);
        harness.poll();
        let now = harness.now();
        let deadline = harness.client.poll_deadline(1, now);
        last = deadline.remaining(now).unwrap();
        harness.advance(last);
    }
    assert!(last >= MS(640), "{last:?}");
}

/// A listener with SASL closes the connection of a client without SASL at the first request after ApiVersions
/// (`IllegalSaslStateException` in Java).
#[test]
fn a_broker_that_rejects_the_first_request_is_reconnected_to_with_backoff_and_the_keys_are_named() {
    for uses_sasl in [false, true] {
        let mut harness = Harness::with_timeouts(&[node(1)], |options, _| {
            options.uses_sasl = uses_sasl;
        });
        let lose = |harness: &mut Harness| {
            harness
                .client
                .selector
                .disconnect(1, CloseReason::ClosedByPeer);
            harness.poll();
            let now = harness.now();
            let deadline = harness.client.poll_deadline(1, now);
            let backoff = deadline.remaining(now).unwrap();
            harness.advance(backoff.max(MS(100)));
            backoff
        };
        harness.connect(&node(1));
        harness.send_whole(1, 0);
        lose(&mut harness);
        let Outcome::Disconnected { reason, .. } = harness.take_one().outcome else {
            panic!("answered");
        };
        assert_eq!(reason.contains("sasl.mechanism"), !uses_sasl, "{reason}");
        // The first request is one for metadata now, since the disconnect has requested an update.
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            harness.connect_with(&node(1), all_versions());
            harness.poll();
            last = lose(&mut harness);
            assert_eq!(error(&harness, 1).contains("sasl.mechanism"), !uses_sasl);
        }
        assert_eq!(last >= MS(640), !uses_sasl, "{last:?}");
        // After a response the back-off begins anew, and the broker is no longer under suspicion.
        harness.connect_with(&node(1), all_versions());
        harness.poll();
        let metadata = Response::Metadata(metadata_of(&[node(1)]));
        harness.client.selector.respond(1, &metadata);
        harness.poll();
        harness.send_whole(1, 1);
        assert!(lose(&mut harness) <= MS(60));
        assert!(!error(&harness, 1).contains("sasl.mechanism"));
    }
}

/// Java: NetworkClientTest#testConnectionDelay, #testConnectionDelayConnected,
/// #testConnectionDelayDisconnected, NC-22
#[test]
fn the_poll_deadline_is_the_end_of_the_backoff_if_disconnected_and_never_while_connected() {
    let mut harness = Harness::new(&[node(1)]);
    let now = harness.now();
    assert_eq!(harness.client.poll_deadline(1, now), Deadline::At(now));
    harness.connect(&node(1));
    assert_eq!(harness.client.poll_deadline(1, now), Deadline::Never);
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.poll();
    let left = harness.client.poll_deadline(1, now).remaining(now).unwrap();
    assert!(left >= MS(40) && left <= MS(60), "{left:?}");
}

/// Java: NetworkClientTest#testConnectionSetupTimeout, NC-21
#[test]
fn a_connection_that_is_not_established_is_closed_after_the_setup_timeout() {
    let mut harness = Harness::new(&[node(1)]);
    harness.client.selector.holds_connects = true;
    let now = harness.now();
    harness.client.ready(&node(1), now);
    harness.poll();
    let timeout = harness.slept();
    assert!(timeout >= MS(8_000) && timeout <= MS(12_000), "{timeout:?}");
    harness.advance(timeout);
    harness.poll();
    assert_eq!(harness.client.selector.closed, [1]);
    assert!(error(&harness, 1).contains("stage: connecting"));
}

/// KAFKA-13388: a node whose channel never became ready stayed connecting for ever.
#[test]
fn a_missing_api_versions_response_times_out_too() {
    let mut harness = Harness::new(&[node(1)]);
    let now = harness.now();
    harness.client.ready(&node(1), now);
    harness.poll();
    harness.client.selector.set_ready(1, false);
    harness.client.selector.holds_connects = true;
    harness.advance(harness.slept());
    harness.poll();
    harness.advance(MS(12_000));
    harness.poll();
    assert_eq!(harness.client.selector.closed, [1]);
    assert!(error(&harness, 1).contains("stage: checking API versions"));
}

/// Java: NetworkClientTest#testDnsLookupFailure, NC-39
#[test]
fn a_failed_dns_look_up_is_a_failed_attempt() {
    let mut harness = Harness::new(&[node(1)]);
    harness
        .client
        .resolver
        .scripted
        .insert("broker-1".into(), Err("no such host".into()));
    let now = harness.now();
    assert!(!harness.client.ready(&node(1), now));
    assert!(harness.client.selector.attempts.is_empty());
    assert!(error(&harness, 1).contains("no such host"));
    assert!(!harness.client.ready(&node(1), now));
    assert_eq!(
        harness.client.resolver.requests,
        [1],
        "it waits for the backoff"
    );
}

#[test]
fn slow_dns_look_ups_are_limited_by_the_setup_timeout() {
    let mut harness = Harness::new(&[node(1), node(2)]);
    harness.client.resolver.is_silent = true;
    let now = harness.now();
    harness.client.ready(&node(1), now);
    harness.client.ready(&node(2), now);
    harness.poll();
    assert!(harness.client.selector.attempts.is_empty());
    harness.advance(MS(12_000));
    harness.poll();
    assert!(error(&harness, 1).contains("resolving the host name"));
    // The addresses are used by the next attempts.
    harness.client.resolver.is_silent = false;
    harness.poll();
    harness.advance(MS(60));
    harness.connect_unchecked(&node(1));
    assert_eq!(harness.client.resolver.requests, [1, 2]);
}

#[test]
fn an_attempt_that_fails_at_once_waits_for_the_reconnect_backoff() {
    let mut harness = Harness::new(&[node(1)]);
    harness.client.selector.refusing.insert(address(1));
    let now = harness.now();
    assert!(!harness.client.ready(&node(1), now));
    assert!(error(&harness, 1).contains("127.0.0.1:9092"));
    assert!(!harness.client.ready(&node(1), now));
    assert_eq!(harness.client.selector.attempts.len(), 1);
}

/// Java: NetworkClientTest#testFailedConnectionToFirstAddress
#[test]
fn the_second_address_is_tried_when_the_first_fails() {
    let mut harness = Harness::new(&[node(1)]);
    let both = Ok(vec![address(11), address(12)]);
    harness
        .client
        .resolver
        .scripted
        .insert("broker-1".into(), both);
    harness.client.selector.refusing.insert(address(11));
    let now = harness.now();
    harness.client.ready(&node(1), now);
    harness.advance(MS(60));
    harness.connect_unchecked(&node(1));
    assert_eq!(harness.client.selector.address(1), Some(address(12)));
    assert_eq!(harness.client.resolver.requests.len(), 1);
}

/// Java: NetworkClientTest#testReconnectAfterAddressChange,
/// #testFailedConnectionToFirstAddressAfterReconnect
#[test]
fn after_a_disconnect_the_host_is_resolved_again() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    let moved = Ok(vec![address(21), address(22)]);
    harness
        .client
        .resolver
        .scripted
        .insert("broker-1".into(), moved);
    harness.client.selector.refusing.insert(address(21));
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.poll();
    for _ in 0..2 {
        harness.advance(MS(120));
        let now = harness.now();
        harness.client.ready(&node(1), now);
    }
    assert_eq!(harness.client.selector.address(1), Some(address(22)));
}

/// Java: NetworkClientTest#testCloseConnectingNode, #testClientDisconnectAfterInternalApiVersionRequest
#[test]
fn events_of_a_connection_that_the_client_closed_are_ignored() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect_unchecked(&node(1));
    let late = harness
        .client
        .selector
        .last_sent(1)
        .unwrap()
        .header
        .correlation_id;
    harness.advance(MS(12_000));
    harness.poll();
    assert_eq!(harness.client.selector.closed, [1]);
    let payload = Response::ApiVersions(all_versions())
        .encode(3, late)
        .to_payload();
    harness.client.selector.receive(1, payload);
    harness.poll();
    assert_eq!(harness.client.selector.closed, [1]);
    assert!(!harness.client.is_ready(1, harness.now()));
}

#[test]
fn the_description_has_a_line_for_each_node() {
    let mut harness = Harness::new(&[node(1), node(2), node(3)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.client.selector.refusing.insert(address(2));
    let now = harness.now();
    harness.client.ready(&node(2), now);
    let text = harness.client.describe(now);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("node 1 (broker-1:9092): ready, 1 in flight"),
        "{text}"
    );
    assert!(
        text.contains("node 2 (broker-2:9092): disconnected"),
        "{text}"
    );
    assert!(
        text.contains("last error: connecting to 127.0.0.2:9092 failed"),
        "{text}"
    );
    assert!(
        text.contains("broker-3:9092 (id: 3): never connected to"),
        "{text}"
    );
}

/// Java: NetworkClientTest#testClose, NC-38
#[test]
fn a_closed_client_connects_to_no_node_and_completes_requests_as_disconnected() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.client.close();
    assert_eq!(harness.client.selector.connection_count(), 0);
    harness.send(1, init_producer_id(), 7);
    harness.poll();
    assert_eq!(harness.take_disconnected(), [(7, false)]);
    let now = harness.now();
    assert!(!harness.client.ready(&node(1), now));
}

/// A TLS alert and an HTTP response begin with bytes that are an invalid length prefix.
#[test]
fn an_invalid_frame_before_the_api_versions_response_names_the_possible_causes() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect_unchecked(&node(1));
    let reason = || CloseReason::BadFrame("a length of 1213486160 bytes".into());
    harness.client.selector.disconnect(1, reason());
    harness.poll();
    let first = error(&harness, 1);
    assert!(
        first.contains("TLS") && first.contains("not a Kafka broker"),
        "{first}"
    );
    // After its ApiVersions response the peer is known to be a Kafka broker.
    harness.advance(MS(100));
    harness.connect_with(&node(1), all_versions());
    harness.client.selector.disconnect(1, reason());
    harness.poll();
    let later = error(&harness, 1);
    assert!(
        !later.contains("TLS") && later.contains("1213486160"),
        "{later}"
    );
}

#[test]
fn the_reason_for_not_ready_names_the_address_that_was_tried() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect_unchecked(&node(1));
    let refused = CloseReason::ConnectFailed("refused".into());
    harness.client.selector.disconnect(1, refused);
    harness.poll();
    let reason = harness.client.not_ready_reason(1, harness.now());
    let Some(NotReady::NotConnected(Some(reason))) = reason else {
        panic!("{reason:?}");
    };
    assert_eq!(&*reason, "broker-1:9092: connecting failed: refused");
}

/// No configuration causes a busy loop.
#[test]
fn without_a_backoff_a_dead_broker_is_tried_a_hundred_times_a_second_at_most() {
    for (backoff, max) in [(0, 0), (0, 1_000), (1, 1), (10, 10)] {
        let mut harness = Harness::with_timeouts(&[node(1)], |options, times| {
            times.refresh_backoff = Duration::ZERO;
            options.reconnect_backoff = MS(backoff);
            options.reconnect_backoff_max = MS(max);
        });
        let dead = SocketAddr::from(([127, 0, 0, 1], 9092));
        harness.client.selector.refusing.insert(dead);
        let now = Arc::clone(&harness.clock);
        let polls = harness.run_with(MS(10_000), |client| {
            client.ready(&node(1), now.now());
        });
        let attempts = harness.client.selector.attempts.len();
        assert!(attempts <= 1_000, "{backoff}, {max}: {attempts}");
        assert!(polls <= 2 * attempts + 10, "{backoff}, {max}: {polls}");
    }
}

#[test]
fn a_setup_timeout_of_zero_causes_no_busy_loop() {
    let mut harness = Harness::with_timeouts(&[node(1)], |options, times| {
        times.refresh_backoff = Duration::ZERO;
        options.setup_timeout = Duration::ZERO;
        options.setup_timeout_max = Duration::ZERO;
        options.reconnect_backoff = Duration::ZERO;
        options.reconnect_backoff_max = Duration::ZERO;
    });
    harness.client.selector.holds_connects = true;
    let now = Arc::clone(&harness.clock);
    let polls = harness.run_with(MS(10_000), |client| {
        client.ready(&node(1), now.now());
    });
    let attempts = harness.client.selector.attempts.len();
    assert!((1..=1_000).contains(&attempts), "{attempts}");
    assert!(polls <= 3 * attempts + 10, "{polls} polls");
}
