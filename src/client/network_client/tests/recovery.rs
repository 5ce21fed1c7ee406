//! Rebootstrap (KIP-899, KIP-1102).

use super::*;

fn servers(names: &[&str]) -> Vec<(String, u16)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), 9092))
        .collect()
}

/// A client with fresh metadata of these nodes, whose bootstrap server is `boot-9`.
fn harness(nodes: &[Node]) -> Harness {
    harness_with(nodes, DnsLookup::UseAllDnsIps, MS(300_000))
}

fn harness_with(nodes: &[Node], lookup: DnsLookup, trigger: Duration) -> Harness {
    let harness = Harness::recovering(RecoveryOptions {
        servers: servers(&["boot-9"]),
        lookup,
        trigger,
    });
    harness.take_nodes(nodes);
    harness
}

fn address(last: u8) -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, last], 9092))
}

impl Harness {
    fn attempts(&self, id: NodeId) -> usize {
        let attempts = self.client.selector.attempts.iter();
        attempts.filter(|(node, _)| *node == id).count()
    }
}

#[test]
fn when_no_known_broker_is_reachable_metadata_is_requested_from_bootstrap_servers() {
    let mut harness = harness(&[node(1), node(2)]);
    harness
        .client
        .selector
        .refusing
        .extend([address(1), address(2)]);
    harness.advance(MAX_AGE);
    harness.run_for(MS(1_000));
    assert!(harness.attempts(1) > 0 && harness.attempts(2) > 0);
    let sent = harness
        .client
        .selector
        .last_sent(-1)
        .expect("it was connected to");
    assert_eq!(sent.request.api_key(), ApiKey::ApiVersions);
    assert_eq!(harness.client.selector.address(-1), Some(address(9)));
    harness
        .client
        .selector
        .respond(-1, &Response::ApiVersions(all_versions()));
    harness.poll();
    harness.run_for(MS(500));
    let sent = harness.client.selector.last_sent(-1).unwrap();
    assert_eq!(sent.request.api_key(), ApiKey::Metadata);
    // The known brokers are kept until a response arrives.
    assert_eq!(harness.metadata.cluster().nodes().len(), 2);
    harness
        .client
        .selector
        .respond(-1, &Response::Metadata(metadata_of(&[node(5)])));
    harness.poll();
    assert_eq!(harness.metadata.cluster().nodes(), [node(5)]);
    assert!(!harness.client.recovery.is_on());
    let tried = harness.attempts(1) + harness.attempts(2);
    harness.run_for(MS(100_000));
    assert_eq!(harness.attempts(1) + harness.attempts(2), tried);
}

#[test]
fn the_host_name_of_a_bootstrap_server_is_resolved_again() {
    let mut harness = harness(&[node(1)]);
    let both = vec![address(8), address(7)];
    harness
        .client
        .resolver
        .scripted
        .insert("boot-9".into(), Ok(both));
    harness
        .client
        .selector
        .refusing
        .extend([address(1), address(8), address(7)]);
    harness.advance(MAX_AGE);
    harness.run_for(MS(30_000));
    assert!(harness.attempts(-1) > 2);
    // The brokers behind the name are replaced, without any notification.
    harness
        .client
        .resolver
        .scripted
        .insert("boot-9".into(), Ok(vec![address(6)]));
    harness.run_for(MS(30_000));
    let attempts = &harness.client.selector.attempts;
    assert!(attempts.contains(&(-1, address(6))), "{attempts:?}");
}

/// The machines of the brokers are gone: connection attempts hang, since nothing refuses them.
#[test]
fn brokers_that_hang_do_not_prevent_a_rebootstrap() {
    let mut harness = harness(&[node(1), node(2)]);
    harness.client.selector.holds_connects = true;
    harness.advance(MAX_AGE);
    // Each of the two brokers is tried for one setup timeout: at most 12 s, jitter included.
    harness.run_for(MS(24_500));
    assert_eq!(harness.attempts(-1), 1);
    harness.client.selector.holds_connects = false;
    harness.poll();
    assert!(harness.client.selector.last_sent(-1).is_some());
}

#[test]
fn one_reachable_broker_prevents_a_rebootstrap() {
    let mut harness = harness(&[node(1), node(2)]);
    harness.connect(&node(1));
    harness.client.selector.refusing.insert(address(2));
    let now = harness.now();
    assert!(!harness.client.ready(&node(2), now));
    harness.advance(MAX_AGE);
    harness.run_for(MS(20_000));
    assert_eq!(harness.attempts(-1), 0);
}

#[test]
fn a_known_broker_that_is_ready_again_is_used_if_the_bootstrap_servers_are_unreachable() {
    let mut harness = harness(&[node(1)]);
    harness
        .client
        .selector
        .refusing
        .extend([address(1), address(9)]);
    harness.advance(MAX_AGE);
    harness.run_for(MS(10_000));
    assert!(harness.client.recovery.is_on());
    harness.client.selector.refusing.remove(&address(1));
    harness.run_for(MS(10_000));
    harness
        .client
        .selector
        .respond(1, &Response::ApiVersions(all_versions()));
    harness.poll();
    harness.run_for(MS(500));
    let sent = harness.client.selector.last_sent(1).unwrap();
    assert_eq!(sent.request.api_key(), ApiKey::Metadata);
}

/// KIP-1102
#[test]
fn brokers_that_do_not_answer_metadata_requests_trigger_a_rebootstrap() {
    let mut harness = harness_with(&[node(1)], DnsLookup::UseAllDnsIps, MS(45_000));
    harness.connect(&node(1));
    harness.advance(MAX_AGE);
    harness.run_for(MS(29_000));
    assert_eq!(
        harness
            .client
            .selector
            .last_sent(1)
            .unwrap()
            .request
            .api_key(),
        ApiKey::Metadata
    );
    assert_eq!(harness.attempts(-1), 0);
    for _ in 0..3 {
        harness.run_for(MS(5_000));
        if harness.client.states.state(1) == Some(&ConnectionState::CheckingApiVersions) {
            harness
                .client
                .selector
                .respond(1, &Response::ApiVersions(all_versions()));
        }
    }
    harness.run_for(MS(30_000));
    assert_eq!(harness.attempts(-1), 1);
}

#[test]
fn canonical_names_are_resolved_again_off_the_network_thread() {
    let canonical = DnsLookup::ResolveCanonicalBootstrapServersOnly;
    let mut harness = harness_with(&[node(1)], canonical, MS(300_000));
    harness.client.selector.refusing.insert(address(1));
    harness.advance(MAX_AGE);
    harness.run_for(MS(5_000));
    assert_eq!(
        harness.client.resolver.canonical_requests,
        [servers(&["boot-9"])]
    );
    assert_eq!(harness.attempts(-1), 0, "nothing is known of the names");
    harness.client.resolver.canonical_answer = Some(servers(&["name-4", "name-5"]));
    harness.run_for(MS(1_500));
    assert!(harness.attempts(-1) + harness.attempts(-2) > 0);
    assert!(
        harness
            .client
            .selector
            .attempts
            .iter()
            .all(|(_, to)| *to != address(9))
    );
}

#[test]
fn a_rebootstrap_without_success_is_limited_by_the_reconnect_backoff() {
    let mut harness = harness(&[node(1), node(2)]);
    harness
        .client
        .selector
        .refusing
        .extend([address(1), address(2), address(9)]);
    harness.advance(MAX_AGE);
    let polls = harness.run_for(MS(60_000));
    let attempts = harness.client.selector.attempts.len();
    // The back-offs of three nodes double up to 10 s: about ten attempts each.
    assert!((15..=60).contains(&attempts), "{attempts}");
    assert!(
        polls <= 4 * attempts,
        "{polls} polls for {attempts} attempts"
    );
}
