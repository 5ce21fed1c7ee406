use super::*;

impl Harness {
    /// A client with these bootstrap servers.
    fn bootstrapped(count: NodeId) -> Self {
        let harness = Self::without_metadata();
        let servers = (1..=count)
            .map(|n| Node::new(-n, format!("broker-{n}"), 9092))
            .collect();
        harness.metadata.inner.lock().bootstrap(servers);
        harness
    }

    fn sent_metadata(&self) -> Vec<NodeId> {
        let sent = self.client.selector.sent.iter();
        sent.filter(|s| s.request.api_key() == ApiKey::Metadata)
            .map(|s| s.id)
            .collect()
    }

    /// Polls until a metadata request is in flight; returns its node.
    fn poll_to_metadata_request(&mut self) -> NodeId {
        self.poll();
        let asked = self
            .client
            .selector
            .sent
            .last()
            .expect("the API versions are requested")
            .id;
        self.client
            .selector
            .respond(asked, &Response::ApiVersions(all_versions()));
        self.poll();
        self.poll();
        assert_eq!(self.sent_metadata(), [asked]);
        asked
    }
}

/// For the first metadata request the client connects to a single bootstrap server (NC-31). The brokers of the response
/// replace the bootstrap servers (NC-33).
#[test]
fn the_first_polls_replace_the_bootstrap_servers_by_the_cluster() {
    let mut harness = Harness::bootstrapped(2);
    let asked = harness.poll_to_metadata_request();
    assert!(asked == -1 || asked == -2);
    assert_eq!(
        harness.client.selector.attempts.len(),
        1,
        "one server at a time"
    );
    harness
        .client
        .selector
        .respond(asked, &Response::Metadata(metadata_of(&[node(1), node(2)])));
    harness.poll();
    let cluster = harness.metadata.cluster();
    assert_eq!(cluster.nodes(), [node(1), node(2)]);
    assert!(!cluster.is_bootstrap());
    assert!(
        harness.responses.is_empty(),
        "the sender gets no metadata response"
    );
    assert!(!harness.client.is_metadata_due(harness.now()));
}

/// NC-2: while metadata is due, no node counts as ready.
#[test]
fn while_metadata_is_due_no_node_is_ready_for_other_requests() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.advance(MS(100));
    harness.metadata.request_update();
    let now = harness.now();
    assert!(!harness.client.is_ready(1, now));
    assert_eq!(
        harness.client.not_ready_reason(1, now),
        None,
        "which is not the node's fault"
    );
    harness.poll();
    assert_eq!(harness.sent_metadata(), [1]);
    // The metadata request is in flight: other requests may be sent after it.
    assert!(harness.client.is_ready(1, now));
    harness.send_whole(1, 7);
    assert_eq!(harness.client.in_flight_request_count(), 2);
}

/// NC-31: one request at a time.
#[test]
fn only_one_metadata_request_is_in_flight() {
    let mut harness = Harness::new(&[node(1), node(2)]);
    harness.connect(&node(1));
    harness.connect(&node(2));
    harness.advance(MS(100));
    harness.metadata.request_update();
    harness.poll();
    harness.metadata.request_update();
    harness.poll();
    assert_eq!(harness.sent_metadata().len(), 1);
}

/// Java: NetworkClientTest#testDisconnectDuringUserMetadataRequest, NC-13, NC-14
#[test]
fn a_disconnected_metadata_request_is_a_failed_update_and_waits_for_the_backoff() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.advance(MS(100));
    harness.metadata.request_update();
    harness.poll();
    harness.send_whole(1, 7);
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.poll();
    assert_eq!(
        harness.take_disconnected(),
        [(7, true)],
        "the client's own request is not reported"
    );
    assert_eq!(harness.metadata.failures.lock().len(), 1);
    let now = harness.now();
    assert_eq!(
        harness.metadata.time_to_next_update(now),
        Deadline::after(now, MS(100))
    );
}

/// NC-14: a disconnect makes a metadata update due.
#[test]
fn a_disconnect_requests_a_metadata_update() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.advance(MS(1_000));
    assert!(!harness.client.is_metadata_due(harness.now()));
    harness
        .client
        .selector
        .disconnect(1, CloseReason::ClosedByPeer);
    harness.poll();
    assert!(harness.client.is_metadata_due(harness.now()));
}

/// Java: NetworkClientTest#testUnsupportedVersionDuringInternalMetadataRequest, NC-6. Differs: after such a failure,
/// Java's client counts the metadata request as in flight for ever, and sends no other.
#[test]
fn a_missing_shared_metadata_version_is_a_fatal_error_and_the_update_is_retried() {
    let mut harness = Harness::new(&[node(1)]);
    let mut versions = all_versions();
    versions
        .api_keys
        .retain(|range| range.api_key != ApiKey::Metadata.code());
    harness.connect_with(&node(1), versions);
    harness.advance(MS(100));
    harness.metadata.request_update();
    harness.poll();
    let failures = std::mem::take(&mut *harness.metadata.failures.lock());
    assert!(
        matches!(&failures[..], [MetadataFailure::UnsupportedVersion(_)]),
        "{failures:?}"
    );
    assert_eq!(harness.slept(), MS(100), "until the backoff is over");
    harness.advance(MS(100));
    harness.poll();
    assert_eq!(harness.metadata.failures.lock().len(), 1);
}

/// MD-19: an answer without any broker counts as a failed update.
#[test]
fn a_metadata_response_without_brokers_is_ignored() {
    let mut harness = Harness::bootstrapped(1);
    let asked = harness.poll_to_metadata_request();
    harness
        .client
        .selector
        .respond(asked, &Response::Metadata(metadata_of(&[])));
    harness.poll();
    assert!(harness.metadata.cluster().is_bootstrap());
    assert_eq!(
        *harness.metadata.failures.lock(),
        [MetadataFailure::NoBrokers]
    );
    harness.advance(MS(100));
    harness.poll();
    assert_eq!(harness.sent_metadata().len(), 2);
}

#[test]
fn while_no_node_is_available_a_poll_blocks_until_one_may_be_connected_to() {
    let mut harness = Harness::bootstrapped(1);
    harness
        .client
        .resolver
        .scripted
        .insert("broker-1".into(), Err("no such host".into()));
    harness.poll();
    // Both the attempt to connect and the update have failed; the back-off of the update is longer.
    assert_eq!(harness.slept(), MS(100));
    for _ in 0..3 {
        harness.advance(harness.slept());
        harness.poll();
    }
    let now = harness.now();
    let wait = harness
        .client
        .poll_deadline(-1, now)
        .remaining(now)
        .unwrap();
    assert!(wait > MS(100), "{wait:?}");
    harness.advance(MS(100));
    harness.poll();
    assert_eq!(harness.slept(), wait.saturating_sub(MS(100)));
}

#[test]
fn after_an_unreachable_bootstrap_server_the_next_one_is_tried() {
    let mut harness = Harness::bootstrapped(2);
    harness
        .client
        .resolver
        .scripted
        .insert("broker-1".into(), Err("no such host".into()));
    for _ in 0..10 {
        harness.poll();
        if !harness.client.selector.attempts.is_empty() {
            break;
        }
        harness.advance(harness.slept());
    }
    assert_eq!(harness.client.selector.attempts[0].0, -2);
}

/// Java: NetworkClientTest#testLeastLoadedNode, NC-30
#[test]
fn the_node_with_the_fewest_in_flight_requests_is_the_least_loaded() {
    let mut harness = Harness::new(&[node(1), node(2)]);
    harness.connect(&node(1));
    harness.connect(&node(2));
    harness.send_whole(1, 7);
    let now = harness.now();
    assert_eq!(harness.client.least_loaded_node(now), Some(node(2)));
    harness.send_whole(2, 8);
    harness.send_whole(2, 9);
    assert_eq!(harness.client.least_loaded_node(now), Some(node(1)));
}

/// Java: NetworkClientTest#testLeastLoadedNodeConsidersThrottledConnections
#[test]
fn a_throttled_node_is_not_chosen() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness
        .client
        .selector
        .respond(1, &init_producer_id_response(100));
    harness.poll();
    let now = harness.now();
    assert_eq!(harness.client.least_loaded_node(now), None);
    harness.advance(MS(100));
    let now = harness.now();
    assert_eq!(harness.client.least_loaded_node(now), Some(node(1)));
}

/// Java: NetworkClientTest#testLeastLoadedNodeProvideDisconnectedNodesPrioritizedByLastConnectionTimestamp
#[test]
fn of_disconnected_nodes_the_least_recently_tried_one_is_chosen() {
    let nodes = [node(1), node(2), node(3)];
    let mut harness = Harness::new(&nodes);
    let mut chosen = Vec::new();
    for _ in 0..6 {
        let now = harness.now();
        let next = harness.client.least_loaded_node(now).unwrap();
        chosen.push(next.id());
        harness.connect_unchecked(&next);
        harness
            .client
            .selector
            .disconnect(next.id(), CloseReason::ClosedByPeer);
        harness.poll();
        // Long enough for all back-offs to end.
        harness.advance(MS(10_000));
        let planned = PlannedUpdate {
            is_partial: false,
            request_version: 0,
        };
        let _ = harness
            .metadata
            .handle_response(planned, 11, metadata_of(&nodes), harness.now());
    }
    assert_eq!(chosen[..3], chosen[3..]);
    chosen.truncate(3);
    chosen.sort_unstable();
    assert_eq!(chosen, [1, 2, 3]);
}

/// NC-30: without any node, none is chosen, and nothing panics.
#[test]
fn an_empty_cluster_has_no_least_loaded_node() {
    let mut harness = Harness::without_metadata();
    let now = harness.now();
    assert_eq!(harness.client.least_loaded_node(now), None);
    harness.poll();
}

#[test]
fn a_metadata_update_delayed_by_throttling_is_reported_to_its_waiters() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    let throttling = init_producer_id_response(i32::MAX);
    harness.client.selector.respond(1, &throttling);
    harness.poll();
    harness.advance(MS(100));
    harness.metadata.request_update();
    harness.poll();
    let last_failure = harness.metadata.inner.lock().last_failure().cloned();
    assert_eq!(last_failure, Some(MetadataFailure::Throttled(1)));
    // No attempt has failed: the request is sent as soon as the throttle time is over.
    assert!(harness.metadata.failures.lock().is_empty());
    assert!(harness.sent_metadata().is_empty());
    harness.advance(MS(u64::from(i32::MAX.unsigned_abs())));
    harness.poll();
    assert_eq!(harness.sent_metadata().len(), 1);
}

/// Brokers with a negative id are left out. A response in which all brokers have one is a failed update, like a
/// response without brokers (MD-19).
#[test]
fn a_response_with_only_invalid_broker_ids_is_a_failed_update() {
    let mut harness = Harness::bootstrapped(1);
    let asked = harness.poll_to_metadata_request();
    let answer = metadata_of(&[node(-1), node(i32::MIN)]);
    harness
        .client
        .selector
        .respond(asked, &Response::Metadata(answer));
    harness.poll();
    assert!(harness.metadata.cluster().is_bootstrap());
    let failures = harness.metadata.failures.lock().clone();
    let [MetadataFailure::UnusableBrokers(first)] = &failures[..] else {
        panic!("{failures:?}");
    };
    assert_eq!(&**first, "broker -1 at broker--1:9092");
}

#[test]
fn an_invalid_advertised_port_is_named_in_the_error() {
    let mut harness = Harness::bootstrapped(1);
    let asked = harness.poll_to_metadata_request();
    let mut answer = metadata_of(&[node(1)]);
    answer.brokers[0].port = 70_000;
    harness
        .client
        .selector
        .respond(asked, &Response::Metadata(answer));
    harness.poll();
    let text = harness.metadata.failures.lock()[0].to_string();
    assert!(text.contains("broker 1 at broker-1:70000"), "{text}");
    assert!(text.contains("advertised.listeners"), "{text}");
}

/// No configuration causes a busy loop.
#[test]
fn without_a_backoff_metadata_is_requested_at_most_a_hundred_times_a_second() {
    let mut harness = Harness::with_timeouts(&[node(1)], |_, times| {
        times.refresh_backoff = Duration::ZERO;
        times.max_age = Duration::ZERO;
    });
    harness.connect_with(&node(1), all_versions());
    let before = harness.client.selector.sent.len();
    let end = harness.now().saturating_add(MS(10_000));
    let mut polls = 0_usize;
    while harness.now() < end && polls < 20_000 {
        harness.poll_for(MS(1_000));
        polls += 1;
        let last = harness.client.selector.last_sent(1).unwrap();
        if last.request.api_key() == ApiKey::Metadata
            && harness.client.in_flight_request_count() > 0
        {
            harness
                .client
                .selector
                .respond(1, &Response::Metadata(metadata_of(&[node(1)])));
            harness.poll_for(Duration::ZERO);
        } else {
            harness.advance(harness.slept());
        }
    }
    let requests = harness.client.selector.sent.len() - before;
    assert!((100..=1_001).contains(&requests), "{requests}");
    assert!(polls <= 3 * requests, "{polls}");
}

impl Harness {
    /// The awaited brokers that were reported to the metadata, as text.
    fn awaited(&self) -> Vec<String> {
        let now = self.now();
        let inner = self.metadata.inner.lock();
        let of_each = inner.awaited().iter().map(|broker| {
            let missing = broker.missing.unwrap_or("-");
            let ms = (now - broker.since).as_millis();
            format!(
                "{} {}:{} {}, {missing}, {ms}",
                broker.node, broker.host, broker.port, broker.stage
            )
        });
        of_each.collect()
    }
}

/// Waiters for metadata can display the step that an update waits for, even while a poll blocks.
#[test]
fn the_awaited_brokers_are_reported_with_their_current_step() {
    let mut harness = Harness::bootstrapped(1);
    assert_eq!(harness.awaited(), [""; 0]);
    harness.client.resolver.is_silent = true;
    harness.poll();
    assert_eq!(
        harness.awaited(),
        ["-1 broker-1:9092 resolving the host name, -, 0"]
    );
    harness.advance(MS(5));
    assert_eq!(
        harness.awaited(),
        ["-1 broker-1:9092 resolving the host name, -, 5"]
    );

    harness.client.resolver.is_silent = false;
    harness.client.selector.holds_connects = true;
    harness.poll();
    harness.poll();
    assert_eq!(harness.awaited(), ["-1 broker-1:9092 connecting, -, 0"]);

    harness.client.selector.holds_connects = false;
    harness.client.selector.holds_authentication = true;
    harness.client.selector.waits_for = Some("the broker's part of the TLS handshake");
    harness.poll();
    harness.poll();
    let of_tls = "-1 broker-1:9092 authenticating, the broker's part of the TLS handshake, 0";
    assert_eq!(harness.awaited(), [of_tls]);
    // In the same stage the client waits for other data.
    harness.client.selector.waits_for = Some("the broker's response to SaslHandshake");
    harness.poll();
    let of_sasl = "-1 broker-1:9092 authenticating, the broker's response to SaslHandshake, 0";
    assert_eq!(harness.awaited(), [of_sasl]);

    harness
        .client
        .selector
        .disconnect(-1, CloseReason::ClosedByPeer);
    harness.poll();
    harness.poll();
    assert_eq!(
        harness.awaited(),
        [""; 0],
        "no broker, until the next attempt may start"
    );
}

#[test]
fn the_awaited_broker_is_the_one_with_the_metadata_request_in_flight() {
    let mut harness = Harness::bootstrapped(1);
    harness.poll();
    assert_eq!(harness.poll_to_metadata_request(), -1);
    harness.advance(MS(7));
    assert_eq!(
        harness.awaited(),
        ["-1 broker-1:9092 metadata request sent, the broker's response, 7"]
    );
    harness
        .client
        .selector
        .respond(-1, &Response::Metadata(metadata_of(&[node(1)])));
    harness.poll();
    harness.poll();
    assert_eq!(harness.awaited(), [""; 0]);
}

impl Harness {
    /// The nodes to which a connection was attempted, in order.
    fn attempted(&self) -> Vec<NodeId> {
        let attempts = self.client.selector.attempts.iter();
        attempts.map(|(id, ..)| *id).collect()
    }

    /// Responds to the ApiVersions request of a node that is being connected to.
    fn answer_api_versions(&mut self, id: NodeId) {
        let versions = Response::ApiVersions(all_versions());
        self.client.selector.respond(id, &versions);
        self.poll_for(Duration::ZERO);
    }

    /// Three nodes, the first of which is connected. Metadata is due, and will be requested from it.
    fn with_due_metadata() -> Self {
        let mut harness = Self::new(&[node(1), node(2), node(3)]);
        harness.connect(&node(1));
        harness.advance(MS(100));
        harness.metadata.request_update();
        harness
    }

    /// Polls until metadata, which was requested from the hung node 1, is requested from another node; returns that
    /// node.
    fn poll_to_request_from_another(&mut self) -> NodeId {
        // The first poll finds that no response has arrived.
        self.poll_for(Duration::ZERO);
        self.poll_for(Duration::ZERO);
        let [1, other] = self.attempted()[..] else {
            panic!("{:?}", self.attempted());
        };
        self.poll_for(Duration::ZERO);
        self.answer_api_versions(other);
        self.poll_for(Duration::ZERO);
        assert_eq!(self.sent_metadata(), [1, other]);
        other
    }
}

/// A hung broker delays the metadata of a new topic by a second, not by `request.timeout.ms`.
#[test]
fn a_metadata_request_that_a_hung_node_does_not_answer_is_sent_to_another_node() {
    let mut harness = Harness::with_due_metadata();
    harness.poll();
    assert_eq!(harness.sent_metadata(), [1]);
    assert_eq!(harness.slept(), MS(1_000));
    harness.advance(MS(1_000));
    let other = harness.poll_to_request_from_another();
    let awaited = harness.awaited();
    assert!(
        awaited.len() == 2 && awaited[1].starts_with(&format!("{other} ")),
        "{awaited:?}"
    );

    let response = Response::Metadata(metadata_of(&[node(1), node(2), node(3), node(4)]));
    harness.client.selector.respond(other, &response);
    harness.poll_for(Duration::ZERO);
    assert_eq!(harness.metadata.cluster().nodes().len(), 4);
    assert!(!harness.client.is_metadata_due(harness.now()));

    // The late response is out of date.
    let late = Response::Metadata(metadata_of(&[node(1)]));
    harness.client.selector.respond(1, &late);
    harness.poll_for(Duration::ZERO);
    assert_eq!(harness.metadata.cluster().nodes().len(), 4);
    assert_eq!(harness.client.in_flight_request_count(), 0);
    assert!(harness.metadata.failures.lock().is_empty());
}

/// The age of all requests of the node counts.
#[test]
fn a_metadata_request_behind_an_overdue_request_is_sent_to_another_node() {
    let mut harness = Harness::new(&[node(1), node(2)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.advance(MS(900));
    harness.metadata.request_update();
    harness.poll();
    assert_eq!(harness.sent_metadata(), [1]);
    assert_eq!(harness.slept(), MS(100));
    harness.advance(MS(100));
    assert_eq!(harness.poll_to_request_from_another(), 2);
}

/// User code may hold up the sender thread for longer than a second.
#[test]
fn a_response_that_arrived_while_the_sender_was_held_up_is_read_before_another_node_is_asked() {
    let mut harness = Harness::with_due_metadata();
    harness.poll();
    harness.advance(MS(5_000));
    let response = Response::Metadata(metadata_of(&[node(1), node(2)]));
    harness.client.selector.respond(1, &response);
    harness.poll();
    assert_eq!(harness.slept(), Duration::ZERO);
    harness.poll();
    assert_eq!(harness.attempted(), [1]);
    assert_eq!(harness.metadata.cluster().nodes().len(), 2);
}

#[test]
fn an_update_fails_only_when_the_last_of_its_requests_is_lost() {
    let mut harness = Harness::with_due_metadata();
    harness.poll();
    harness.advance(MS(1_000));
    let other = harness.poll_to_request_from_another();
    let lose = |harness: &mut Harness, id| {
        let selector = &mut harness.client.selector;
        selector.disconnect(id, CloseReason::ClosedByPeer);
        harness.poll_for(Duration::ZERO);
        harness.metadata.failures.lock().len()
    };
    assert_eq!(lose(&mut harness, 1), 0);
    assert_eq!(lose(&mut harness, other), 1);
}

#[test]
fn metadata_is_requested_from_a_new_connection_rather_than_from_a_node_with_an_overdue_request() {
    let mut harness = Harness::new(&[node(1), node(2), node(3)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.advance(MS(1_000));
    harness.poll_for(Duration::ZERO);
    harness.metadata.request_update();
    harness.poll();
    let [1, other] = harness.attempted()[..] else {
        panic!("{:?}", harness.attempted());
    };
    // One connection at a time, until its ApiVersions request is overdue, too.
    harness.run_for(MS(999));
    assert_eq!(harness.attempted(), [1, other]);
    harness.run_for(MS(10));
    assert_eq!(harness.attempted().len(), 3);
    assert!(harness.sent_metadata().is_empty());
}

#[test]
fn a_node_whose_request_timed_out_ranks_last_until_it_is_ready_again() {
    let mut harness = Harness::new(&[node(1), node(2)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.advance(REQUEST_TIMEOUT);
    harness.poll_for(Duration::ZERO);
    assert_eq!(harness.take_disconnected(), [(7, true)]);
    harness.advance(MS(10_000));
    // The sender reconnects, and the broker accepts the connection.
    let now = harness.now();
    assert!(!harness.client.ready(&node(1), now));
    assert_eq!(harness.client.least_loaded_node(now), Some(node(2)));
    harness.poll();
    harness.poll_for(Duration::ZERO);
    assert_eq!(harness.attempted(), [1, 1, 2]);
    let now = harness.now();
    harness.answer_api_versions(1);
    assert_eq!(harness.client.least_loaded_node(now), Some(node(1)));
}

#[test]
fn without_another_node_an_unresponsive_one_is_used_and_the_poll_does_not_spin() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(1));
    harness.send_whole(1, 7);
    harness.advance(MS(1_000));
    harness.metadata.request_update();
    let polls = harness.run_for(MS(60_000));
    assert_eq!(harness.sent_metadata(), [1]);
    assert!(polls < 100, "{polls}");
}
