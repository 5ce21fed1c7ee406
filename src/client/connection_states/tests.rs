use super::*;
use crate::clock::Deadline;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000).saturating_add(MS(millis))
}

fn timeouts() -> ConnectionTimeouts {
    ConnectionTimeouts {
        reconnect_backoff: MS(100),
        reconnect_backoff_max: MS(1_000),
        setup_timeout: MS(10_000),
        setup_timeout_max: MS(30_000),
    }
}

fn states() -> ClusterConnectionStates {
    ClusterConnectionStates::new(
        &timeouts(),
        fastrand::Rng::with_seed(7),
        LogContext::for_tests(),
    )
}

fn node(id: NodeId) -> Node {
    Node::new(id, "broker", 9092)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 9092))
}

fn fail(states: &mut ClusterConnectionStates, id: NodeId, now: Instant) {
    states.disconnected(id, now, "it failed".into());
}

/// Connects until the ApiVersions response is outstanding.
fn connect(states: &mut ClusterConnectionStates, id: NodeId, now: Instant) {
    if states.connecting(&node(id), now) == NextStep::Resolve {
        assert_eq!(states.resolved(id, vec![address(1)], now), Some(address(1)));
    }
    states.checking_api_versions(id, now);
}

/// The reconnect back-off, in milliseconds.
fn backoff(states: &ClusterConnectionStates, id: NodeId, now: Instant) -> u128 {
    states
        .connection_deadline(id, now)
        .remaining(now)
        .unwrap()
        .as_millis()
}

/// Java: ClusterConnectionStatesTest#testClusterConnectionStateChanges, NC-22, NC-25
#[test]
fn a_node_becomes_ready_and_may_be_connected_to_again_after_a_disconnect() {
    let mut states = states();
    assert!(states.can_connect(1, at(0)));
    assert_eq!(states.connection_deadline(1, at(0)), Deadline::At(at(0)));

    assert_eq!(states.connecting(&node(1), at(0)), NextStep::Resolve);
    assert!(states.is_preparing(1) && states.is_live(1) && !states.can_connect(1, at(0)));
    assert_eq!(states.connection_deadline(1, at(0)), Deadline::Never);
    assert_eq!(
        states.resolved(1, vec![address(1)], at(0)),
        Some(address(1))
    );
    assert_eq!(states.state(1), Some(&ConnectionState::Connecting));

    states.checking_api_versions(1, at(1));
    assert!(!states.is_ready(1, at(1)) && states.is_preparing(1));
    states.ready(1);
    assert!(states.is_ready(1, at(1)) && !states.is_preparing(1));

    fail(&mut states, 1, at(2));
    assert!(!states.is_ready(1, at(2)) && !states.is_live(1) && !states.can_connect(1, at(2)));
    assert_eq!(states.last_error(1).unwrap().as_ref(), "it failed");
    assert!(states.can_connect(1, at(2 + 120)));
}

/// Java: ClusterConnectionStatesTest#testMultipleNodeConnectionStates
#[test]
fn nodes_do_not_share_their_states() {
    let mut states = states();
    connect(&mut states, 1, at(0));
    states.ready(1);
    connect(&mut states, 2, at(0));
    fail(&mut states, 2, at(0));
    assert!(states.is_ready(1, at(0)));
    assert!(!states.is_live(2));
    assert!(states.last_error(1).is_none());
    assert_eq!(states.nodes().collect::<Vec<_>>(), [1, 2]);
}

/// Java: ClusterConnectionStatesTest#testAuthorizationFailed, NC-25, NC-26
#[test]
fn an_authentication_failure_keeps_its_message_and_counts_as_one_failure() {
    let mut states = states();
    connect(&mut states, 1, at(0));
    states.authentication_failed(1, at(0), "no".into());
    assert_eq!(
        states.state(1),
        Some(&ConnectionState::AuthenticationFailed("no".into()))
    );
    assert!(!states.is_live(1));
    assert_eq!(states.failures(1), 1);
    assert!((80..=120).contains(&backoff(&states, 1, at(0))));
    connect(&mut states, 1, at(200));
    states.ready(1);
    assert!(states.last_error(1).is_none());
}

/// Java: ClusterConnectionStatesTest#testMaxReconnectBackoff, #testExponentialReconnectBackoff
///
/// The reconnect back-off doubles up to its maximum, which it does not exceed with jitter either (NC-18, NC-19).
#[test]
fn the_backoff_doubles_with_each_failure_up_to_the_maximum_and_begins_anew_once_ready() {
    let mut states = states();
    let mut now = at(0);
    for middle in [100, 200, 400, 800, 1_000, 1_000] {
        connect(&mut states, 1, now);
        fail(&mut states, 1, now);
        let wait = backoff(&states, 1, now);
        assert!(
            wait >= middle * 8 / 10 && wait <= (middle * 12 / 10).min(1_000),
            "{wait}"
        );
        now = now.saturating_add(MS(2_000));
    }
    connect(&mut states, 1, now);
    states.ready(1);
    fail(&mut states, 1, now);
    assert!((80..=120).contains(&backoff(&states, 1, now)));
}

/// KAFKA-13879: a broker that accepts connections and drops them was reconnected to without back-off.
#[test]
fn the_backoff_grows_while_connections_are_made_and_lost_before_the_node_is_ready() {
    let mut states = states();
    for attempt in 0..4 {
        connect(&mut states, 1, at(attempt * 5_000));
        fail(&mut states, 1, at(attempt * 5_000));
    }
    assert!(backoff(&states, 1, at(15_000)) >= 640);
}

/// Java: ClusterConnectionStatesTest#testThrottled, NC-23, NC-24
#[test]
fn a_throttled_node_is_not_ready_until_its_throttle_time_ends_and_the_time_is_never_reduced() {
    let mut states = states();
    connect(&mut states, 1, at(0));
    states.ready(1);
    assert_eq!(states.throttle(1, at(100), at(0)), MS(100));
    assert!(!states.is_ready(1, at(99)) && states.is_throttled(1, at(99)));
    assert_eq!(states.poll_deadline(1, at(50)), Deadline::At(at(100)));
    assert_eq!(states.throttle(1, at(60), at(50)), Duration::ZERO);
    assert_eq!(states.throttle(1, at(130), at(50)), MS(30));
    assert!(!states.is_ready(1, at(129)));
    assert!(states.is_ready(1, at(130)));
    assert_eq!(states.poll_deadline(1, at(130)), Deadline::Never);
    // After a disconnect the deadline is the end of the reconnect back-off, not of the throttle time.
    states.throttle(1, at(9_000), at(140));
    fail(&mut states, 1, at(140));
    assert_eq!(
        states.poll_deadline(1, at(140)),
        states.connection_deadline(1, at(140))
    );
    // Throttle time does not apply to the next connection (in Java it does).
    connect(&mut states, 1, at(300));
    states.ready(1);
    assert!(states.is_ready(1, at(300)) && !states.is_throttled(1, at(300)));
}

/// Java: ClusterConnectionStatesTest#testSingleIP
#[test]
fn a_host_with_one_address_is_resolved_again_for_each_attempt() {
    let mut states = states();
    connect(&mut states, 1, at(0));
    fail(&mut states, 1, at(0));
    assert_eq!(states.connecting(&node(1), at(500)), NextStep::Resolve);
    assert_eq!(
        states.resolved(1, vec![address(1)], at(500)),
        Some(address(1))
    );
}

/// Java: ClusterConnectionStatesTest#testMultipleIPs, NC-28
#[test]
fn each_resolved_address_is_tried_before_the_next_look_up() {
    let mut states = states();
    assert_eq!(states.connecting(&node(1), at(0)), NextStep::Resolve);
    let all = vec![address(1), address(2), address(3)];
    assert_eq!(states.resolved(1, all, at(0)), Some(address(1)));
    fail(&mut states, 1, at(0));
    assert_eq!(
        states.connecting(&node(1), at(2_000)),
        NextStep::Connect(address(2))
    );
    fail(&mut states, 1, at(2_000));
    assert_eq!(
        states.connecting(&node(1), at(4_000)),
        NextStep::Connect(address(3))
    );
    fail(&mut states, 1, at(4_000));
    assert_eq!(states.connecting(&node(1), at(6_000)), NextStep::Resolve);
}

/// KAFKA-15817: after the look-up the address that had just failed was tried first.
#[test]
fn the_address_tried_last_is_not_the_first_after_a_look_up() {
    let mut states = states();
    states.connecting(&node(1), at(0));
    states.resolved(1, vec![address(1)], at(0));
    fail(&mut states, 1, at(0));
    assert_eq!(states.connecting(&node(1), at(2_000)), NextStep::Resolve);
    let both = vec![address(1), address(2)];
    assert_eq!(states.resolved(1, both, at(2_000)), Some(address(2)));
    fail(&mut states, 1, at(2_000));
    assert_eq!(
        states.connecting(&node(1), at(4_000)),
        NextStep::Connect(address(1))
    );
}

/// Java: ClusterConnectionStatesTest#testHostResolveChange
#[test]
fn after_an_established_connection_the_host_is_resolved_again() {
    let mut states = states();
    states.connecting(&node(1), at(0));
    states.resolved(1, vec![address(1), address(2)], at(0));
    states.checking_api_versions(1, at(0));
    states.ready(1);
    fail(&mut states, 1, at(0));
    assert_eq!(states.connecting(&node(1), at(500)), NextStep::Resolve);
    assert_eq!(
        states.resolved(1, vec![address(9)], at(500)),
        Some(address(9))
    );
}

/// Java: ClusterConnectionStatesTest#testNodeWithNewHostname, NC-27
#[test]
fn a_node_with_a_new_host_name_starts_afresh() {
    let mut states = states();
    states.connecting(&node(1), at(0));
    states.resolved(1, vec![address(1), address(2)], at(0));
    fail(&mut states, 1, at(0));
    let moved = Node::new(1, "elsewhere", 9092);
    assert_eq!(states.connecting(&moved, at(500)), NextStep::Resolve);
    assert_eq!(states.endpoint(1).unwrap().0.as_ref(), "elsewhere");
    assert_eq!(states.failures(1), 0);
}

#[test]
fn a_node_with_a_new_host_name_does_not_wait_for_the_look_up_of_the_old_one() {
    let mut states = states();
    states.connecting(&node(1), at(0));
    fail(&mut states, 1, at(0));
    let moved = Node::new(1, "elsewhere", 9092);
    assert_eq!(states.connecting(&moved, at(500)), NextStep::Resolve);
    assert_eq!(
        states.resolved(1, vec![address(2)], at(502)),
        Some(address(2))
    );
}

#[test]
fn addresses_that_come_after_the_attempt_timed_out_are_used_by_the_next_attempt() {
    let mut states = states();
    assert_eq!(states.connecting(&node(1), at(0)), NextStep::Resolve);
    fail(&mut states, 1, at(10_000));
    assert_eq!(states.connecting(&node(1), at(11_000)), NextStep::Wait);
    fail(&mut states, 1, at(21_000));
    assert_eq!(states.resolved(1, vec![address(1)], at(21_500)), None);
    assert_eq!(
        states.connecting(&node(1), at(22_000)),
        NextStep::Connect(address(1))
    );
}

/// Java: ClusterConnectionStatesTest#testIsPreparingConnection
#[test]
fn a_node_is_preparing_from_the_look_up_until_it_is_ready() {
    let mut states = states();
    assert!(!states.is_preparing(1));
    states.connecting(&node(1), at(0));
    assert!(states.is_preparing(1));
    states.resolved(1, vec![address(1)], at(0));
    assert!(states.is_preparing(1));
    states.checking_api_versions(1, at(0));
    assert!(states.is_preparing(1));
    fail(&mut states, 1, at(0));
    assert!(!states.is_preparing(1));
}

/// Java: ClusterConnectionStatesTest#testExponentialConnectionSetupTimeout, NC-21
#[test]
fn the_setup_timeout_grows_to_its_maximum_and_begins_anew_once_ready() {
    let mut states = states();
    let mut now = at(0);
    let mut last = Duration::ZERO;
    for middle in [10_000, 20_000, 30_000, 30_000] {
        states.connecting(&node(1), now);
        states.resolved(1, vec![address(1)], now);
        last = states.setup_timeout(1).unwrap();
        assert!(last >= MS(middle * 8 / 10) && last <= MS((middle * 12 / 10).min(30_000)));
        fail(&mut states, 1, now);
        now = now.saturating_add(MS(60_000));
    }
    assert!(last >= MS(24_000));
    connect(&mut states, 1, now);
    states.ready(1);
    fail(&mut states, 1, now);
    assert!(states.setup_timeout(1).unwrap() <= MS(12_000));
}

/// Java: ClusterConnectionStatesTest#testTimedOutConnections; KAFKA-13388: a node whose versions
/// never arrived stayed in that state for ever.
#[test]
fn resolving_connecting_and_checking_versions_all_time_out() {
    let mut states = states();
    assert_eq!(states.next_setup_deadline(), Deadline::Never);
    states.connecting(&node(1), at(0));
    states.connecting(&node(2), at(1_000));
    states.resolved(2, vec![address(2)], at(1_000));
    connect(&mut states, 3, at(2_000));
    assert_eq!(states.timed_out_setup(at(5_000), |_| true), None);
    for id in [1, 2, 3] {
        let deadline = states.next_setup_deadline();
        let Deadline::At(now) = deadline else {
            panic!("node {id} has no deadline")
        };
        let late = states.timed_out_setup(now, |_| true).unwrap();
        fail(&mut states, late, now);
    }
    assert_eq!(states.next_setup_deadline(), Deadline::Never);
}
