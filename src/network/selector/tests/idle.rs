//! Idle connections and the idle timeout.

use super::*;

const MAX_IDLE: Duration = Duration::from_secs(5);
const LONGER: Duration = Duration::from_secs(6);

fn rig() -> Rig {
    Rig::with(SelectorOptions {
        connections_max_idle: Some(MAX_IDLE),
        ..Default::default()
    })
}

fn idle(id: ConnectionId) -> Disconnected {
    Disconnected {
        id,
        reason: CloseReason::Idle,
        last_frame_untouched: false,
    }
}

/// SL-15; Java: `SelectorTest#testCloseOldestConnection`
#[test]
fn an_idle_connection_is_closed_and_reported() {
    let mut rig = rig();
    let mut peer = rig.connect(0);
    rig.clock.advance(MAX_IDLE / 2);
    assert!(rig.poll_now().is_empty());
    // Expired at exactly this instant: a poll that blocks until then must find the connection idle.
    rig.clock.advance(MAX_IDLE / 2);
    assert_eq!(rig.poll_now().disconnected, [idle(0)]);
    peer.assert_at_end();
    assert!(rig.poll_now().is_empty());
}

/// A request that was just sent would be lost with the connection, or be written twice.
#[test]
fn a_connection_with_a_recent_send_is_not_idle() {
    let mut rig = rig();
    let _peer = rig.connect(0);
    rig.clock.advance(MAX_IDLE / 5 * 4);
    assert!(rig.poll_now().is_empty());
    rig.send(0, b"hello");
    assert!(rig.selector.take_completed_send(0));
    rig.clock.advance(MAX_IDLE / 5 * 4);
    assert!(rig.poll_now().is_empty());
    rig.clock.advance(MAX_IDLE / 5);
    assert_eq!(rig.poll_now().disconnected, [idle(0)]);
}

/// Java: `SelectorTest#testIdleExpiryWithoutReadyKeys`
#[test]
#[cfg(target_os = "linux")]
fn a_connection_that_is_never_established_has_the_idle_timeout_too() {
    let mut rig = rig();
    // The backlog of a listener that never accepts fills up; further connection attempts stay in progress.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    for id in 0..8 {
        rig.selector.connect(id, address.into()).unwrap();
    }
    let mut up = rig.poll(Duration::from_millis(20)).connected.len();
    up += rig.poll(Duration::from_millis(20)).connected.len();
    assert!(up < 8, "no connection attempt stays in progress");
    rig.clock.advance(LONGER);
    let mut gone = 0;
    rig.poll_until(|events| {
        gone += events.disconnected.len();
        gone == 8
    });
}

/// SL-15: the longest idle connection is closed when its idle timeout is over, one per poll.
#[test]
fn one_idle_connection_is_closed_per_poll_the_longest_idle_first() {
    let mut rig = rig();
    let _peers: Vec<Peer> = [3, 1, 2]
        .into_iter()
        .map(|id| {
            let peer = rig.connect(id);
            rig.clock.advance(Duration::from_millis(100));
            peer
        })
        .collect();
    // Traffic on the first connection.
    rig.send(3, b"x");
    assert_eq!(rig.poll_now().completed_sends, [3]);
    rig.clock.advance(LONGER);
    for id in [1, 2, 3] {
        // The second and third are due as well, so these polls do not wait.
        rig.selector.poll(None, &mut rig.events).unwrap();
        assert_eq!(rig.events.disconnected, [idle(id)]);
    }
}

#[test]
fn a_poll_blocks_no_longer_than_until_a_connection_is_idle() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let options = SelectorOptions {
        connections_max_idle: Some(Duration::from_millis(50)),
        ..Default::default()
    };
    let mut selector = selector(
        options,
        SocketOptions::default(),
        Arc::new(SystemClock::new()),
    );
    selector
        .connect(0, listener.local_addr().unwrap().into())
        .unwrap();
    let mut events = PollEvents::default();
    let mut polls = 0;
    while events.disconnected.is_empty() {
        // Without a time-out: only the idle connection can end the last poll.
        selector.poll(None, &mut events).unwrap();
        polls += 1;
    }
    assert_eq!(events.disconnected, [idle(0)]);
    assert!(polls <= 6, "polls that did not wait: {polls}");
}

/// Java: `SelectorTest#testCloseOldestConnectionWithMultiplePendingReceives`
#[test]
fn a_connection_with_frames_to_deliver_is_not_idle() {
    let mut rig = rig();
    let mut peer = rig.connect(0);
    peer.write(&framed(b"one").repeat(5));
    // One write is one segment here, so the other frames have arrived, too.
    assert_eq!(rig.receive(0), "one");
    let mut receives = 1;
    while receives < 5 {
        rig.clock.advance(LONGER);
        rig.selector.poll(Some(PATIENCE), &mut rig.events).unwrap();
        assert_eq!(rig.events.completed_receives.len(), 1);
        assert!(rig.events.disconnected.is_empty());
        receives += 1;
    }
    rig.clock.advance(LONGER);
    assert_eq!(rig.poll_now().disconnected, [idle(0)]);
}
