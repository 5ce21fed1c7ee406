use super::*;

impl Harness {
    /// A client that knows these servers to ask.
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

    /// Polls until a metadata request is under way; to which node.
    fn poll_to_metadata_request(&mut self) -> NodeId {
        self.poll();
        let asked = self
            .client
            .selector
            .sent
            .last()
            .expect("versions are asked for")
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

/// NC-31, NC-33
#[test]
fn the_first_poll_goes_from_the_servers_to_the_cluster() {
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
        "none of it is the sender's business"
    );
    assert!(!harness.client.is_metadata_due(harness.now()));
}

/// NC-2
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
    // It is under way: others may go behind it.
    assert!(harness.client.is_ready(1, now));
    harness.send_whole(1, 7);
    assert_eq!(harness.client.in_flight_request_count(), 2);
}

/// NC-31: one request at a time.
#[test]
fn metadata_is_not_asked_for_twice() {
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
fn a_metadata_request_that_is_lost_is_a_failed_attempt_and_waits_for_the_backoff() {
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
        "the client's own request is not told"
    );
    assert_eq!(harness.metadata.failures.lock().len(), 1);
    let now = harness.now();
    assert_eq!(
        harness.metadata.time_to_next_update(now),
        Deadline::after(now, MS(100))
    );
}

/// NC-14
#[test]
fn a_lost_connection_asks_for_metadata() {
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

/// Java: NetworkClientTest#testUnsupportedVersionDuringInternalMetadataRequest, NC-6; afterwards
/// Java's client takes the request for sent and never makes another.
#[test]
fn a_broker_that_knows_no_metadata_request_is_a_fatal_error_and_is_asked_again_later() {
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

/// MD-19
#[test]
fn an_answer_without_brokers_changes_nothing() {
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
fn while_no_node_can_be_asked_the_client_sleeps_until_one_may_be_connected_to() {
    let mut harness = Harness::bootstrapped(1);
    harness
        .client
        .resolver
        .scripted
        .insert("broker-1".into(), Err("no such host".into()));
    harness.poll();
    // Both the attempt and the update have failed; the update waits longer.
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
fn a_server_that_cannot_be_reached_makes_room_for_the_next() {
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
fn the_node_with_the_fewest_unanswered_requests_is_the_least_loaded() {
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
fn of_the_nodes_without_connection_the_one_not_tried_for_longest_is_chosen() {
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
        // Long enough for all backoffs, and metadata is not what this is about.
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

/// NC-30: without any node there is nothing to choose, and nothing to panic about.
#[test]
fn an_empty_cluster_has_no_least_loaded_node() {
    let mut harness = Harness::without_metadata();
    let now = harness.now();
    assert_eq!(harness.client.least_loaded_node(now), None);
    harness.poll();
}

#[test]
fn a_throttle_that_holds_up_an_update_is_told_to_those_who_wait_for_it() {
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
    // No attempt has failed: as soon as the pause is over the request goes.
    assert!(harness.metadata.failures.lock().is_empty());
    assert!(harness.sent_metadata().is_empty());
    harness.advance(MS(u64::from(i32::MAX.unsigned_abs())));
    harness.poll();
    assert_eq!(harness.sent_metadata().len(), 1);
}

/// MD-19
#[test]
fn an_answer_whose_brokers_have_impossible_numbers_names_none() {
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
fn an_advertised_port_that_cannot_be_is_told_as_what_it_is() {
    let mut harness = Harness::bootstrapped(1);
    let asked = harness.poll_to_metadata_request();
    let mut answer = metadata_of(&[node(1)]);
    answer.brokers[0].port = 70_000;
    harness
        .client
        .selector
        .respond(asked, &Response::Metadata(answer));
    harness.poll();
    let said = harness.metadata.failures.lock()[0].to_string();
    assert!(said.contains("broker 1 at broker-1:70000"), "{said}");
    assert!(said.contains("advertised.listeners"), "{said}");
}

/// No setting makes a spin of it.
#[test]
fn without_a_backoff_metadata_is_asked_for_a_hundred_times_a_second_at_most() {
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
