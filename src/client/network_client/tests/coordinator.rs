//! Requests to a coordinator: a node that need not be in the metadata.

use super::*;

#[test]
fn requests_can_be_sent_to_a_node_that_is_not_in_the_metadata() {
    let mut harness = Harness::new(&[node(1)]);
    harness.connect(&node(7));
    let address = harness.client.selector.address(7);
    assert_eq!(address, Some("127.0.0.7:9092".parse().unwrap()));
    harness.send_whole(7, 3);
    harness
        .client
        .selector
        .respond(7, &init_producer_id_response(0));
    harness.poll();
    let response = harness.take_one();
    assert_eq!((response.node, response.tag), (7, 3));
    assert!(matches!(response.outcome, Outcome::Response(_)));
}

/// Java: NetworkClientTest#testConnectionDelayDisconnected
#[test]
fn a_connection_has_failed_from_its_disconnect_until_the_next_attempt() {
    let mut harness = Harness::new(&[node(1)]);
    assert!(!harness.client.connection_failed(7), "none was begun");
    harness.connect_unchecked(&node(7));
    assert!(!harness.client.connection_failed(7), "on the way");
    harness
        .client
        .selector
        .respond(7, &Response::ApiVersions(all_versions()));
    harness.poll();
    assert!(!harness.client.connection_failed(7), "ready");
    harness
        .client
        .selector
        .disconnect(7, CloseReason::ClosedByPeer);
    harness.poll();
    assert!(harness.client.connection_failed(7));
    let now = harness.now();
    assert!(!harness.client.ready(&node(7), now));
    assert!(
        harness.client.connection_failed(7),
        "no new attempt during the back-off"
    );
    harness.advance(MS(100));
    let now = harness.now();
    assert!(!harness.client.ready(&node(7), now));
    assert!(!harness.client.connection_failed(7), "on the way again");
}

#[test]
fn the_version_of_a_request_is_available_after_the_api_versions_response() {
    let mut harness = Harness::new(&[node(1)]);
    let api = ApiKey::InitProducerId;
    assert_eq!(harness.client.usable_version(7, api), None);
    let mut versions = all_versions();
    for range in &mut versions.api_keys {
        if range.api_key == api.code() {
            range.max = 2;
        }
    }
    versions
        .api_keys
        .retain(|range| range.api_key != ApiKey::EndTxn.code());
    harness.connect_with(&node(7), versions);
    assert_eq!(harness.client.usable_version(7, api), Some(2));
    assert_eq!(harness.client.usable_version(7, ApiKey::EndTxn), None);
    let newest = ApiKey::FindCoordinator.max_version();
    let version = harness.client.usable_version(7, ApiKey::FindCoordinator);
    assert_eq!(version, Some(newest));
}
