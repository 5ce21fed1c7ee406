//! Metrics of connections over real sockets, compared with the bytes that the peer counts.
#![allow(clippy::float_cmp, reason = "the counted values are whole numbers")]

use super::*;
use crate::metrics::Metrics;

impl Rig {
    fn number(&self, name: &str) -> f64 {
        self.selector
            .metrics
            .all()
            .number("producer-metrics", name, &[])
    }

    fn of_node(&self, id: &str, name: &str) -> f64 {
        let tags = [("node-id", id)];
        let all = self.selector.metrics.all();
        all.number("producer-node-metrics", name, &tags)
    }

    /// Asserts that the values for all nodes equal those of the only node.
    #[track_caller]
    fn assert_traffic<const N: usize>(&self, expected: [(&str, usize); N]) {
        for (name, expected) in expected {
            let values = (self.number(name), self.of_node("node-0", name));
            assert_eq!(values, (expected as f64, expected as f64), "{name}");
        }
    }

    fn node_metrics(&self) -> usize {
        let all: Metrics = self.selector.metrics.all();
        let all = all.all().into_iter();
        all.filter(|metric| metric.name().tag("node-id").is_some())
            .count()
    }
}

/// Java: SelectorTest#testOutboundConnectionsCountInConnectionCreationMetric, #testNormalOperation
#[test]
fn requests_responses_and_bytes_are_counted_in_total_and_per_node() {
    let mut rig = Rig::new();
    assert_eq!(
        (rig.number("connection-count"), rig.node_metrics()),
        (0.0, 0)
    );
    let mut peer = rig.connect(0);
    assert_eq!(rig.node_metrics(), 12);
    for (name, expected) in [
        ("connection-count", 1.0),
        ("connection-creation-total", 1.0),
        ("connection-close-total", 0.0),
        // `PLAINTEXT`: no authentication.
        ("successful-authentication-total", 0.0),
        ("successful-authentication-no-reauth-total", 0.0),
    ] {
        assert_eq!(rig.number(name), expected, "{name}");
    }
    rig.send(0, b"hello");
    // `send` itself has written the frame.
    rig.assert_traffic([
        ("request-total", 1),
        ("request-size-max", 9),
        ("outgoing-byte-total", 9),
        ("response-total", 0),
    ]);
    assert_eq!(peer.read_frame().as_deref(), Some(&b"hello"[..]));
    peer.write(&framed(b"world!!"));
    assert_eq!(rig.receive(0), "world!!");
    rig.send(0, b"");
    rig.assert_traffic([
        ("request-total", 2),
        ("request-size-max", 9),
        ("outgoing-byte-total", 13),
        ("response-total", 1),
        ("incoming-byte-total", 11),
    ]);
    assert_eq!(rig.number("network-io-total"), 3.0);
    assert_eq!(rig.number("request-size-avg"), 6.5);
    let rate = rig.number("outgoing-byte-rate");
    assert!((rate - 13.0 / 30.0).abs() < 1e-9, "{rate}");
    rig.selector.close(0);
    assert_eq!(rig.number("connection-count"), 0.0);
    assert_eq!(rig.number("connection-close-total"), 1.0);
    assert_eq!(rig.node_metrics(), 12, "they stay as long as the producer");
}

/// Java: SelectorTest#testPartialSendAndReceiveReflectedInMetrics
#[test]
fn partial_frames_count_as_bytes_and_whole_ones_as_requests_and_responses() {
    let sockets = SocketOptions {
        send_buffer: Some(2048),
        ..SocketOptions::default()
    };
    let mut rig = Rig::with_sockets(SelectorOptions::default(), sockets);
    let mut peer = rig.connect(0);
    let body = vec![7; 3_000_000];
    rig.send(0, &body);
    let begun = rig.number("outgoing-byte-total");
    assert!(begun > 0.0 && begun < 3e6, "{begun}");
    assert_eq!(rig.number("request-total"), 0.0);
    let reader = spawn(move || {
        assert_eq!(peer.read_frame().map(|frame| frame.len()), Some(3_000_000));
        peer.write(&[0, 0, 0, 8, 1, 2]);
        peer
    });
    rig.poll_until(|events| events.completed_sends == [0]);
    rig.assert_traffic([("request-total", 1), ("outgoing-byte-total", 3_000_004)]);
    let mut peer = reader.join().unwrap();
    let clock = SystemClock::new();
    let deadline = Deadline::after(clock.now(), PATIENCE);
    while rig.number("incoming-byte-total") < 6.0 {
        assert!(!deadline.is_over(clock.now()));
        rig.poll(Duration::from_millis(100));
    }
    rig.assert_traffic([("response-total", 0), ("incoming-byte-total", 6)]);
    peer.write(&[3, 4, 5, 6, 7, 8]);
    assert_eq!(rig.receive(0).len(), 8);
    rig.assert_traffic([("response-total", 1), ("incoming-byte-total", 12)]);
}

/// Java: SelectorTest#testConnectionRefused
#[test]
fn a_failed_attempt_counts_as_a_closed_connection_but_not_as_a_created_one() {
    let mut rig = Rig::new();
    let (_socket, address) = refusing();
    if rig.selector.connect(-1, address.into()).is_ok() {
        rig.disconnected();
        assert_eq!(rig.number("connection-close-total"), 1.0);
        assert_eq!(rig.of_node("node--1", "request-total"), 0.0);
    }
    assert_eq!(rig.number("connection-creation-total"), 0.0);
    assert_eq!(rig.number("connection-count"), 0.0);
    assert_eq!(rig.number("failed-authentication-total"), 0.0);
}

/// Java: SelectorTest#testCloseAllChannels
#[test]
fn each_poll_and_every_connection_closed_at_the_end_are_counted() {
    let mut rig = Rig::new();
    let _peers = [rig.connect(0), rig.connect(1)];
    let before = rig.number("select-total");
    for _ in 0..3 {
        rig.poll_now();
    }
    assert_eq!(rig.number("select-total"), before + 3.0);
    rig.selector.close_all();
    assert_eq!(rig.number("connection-close-total"), 2.0);
    assert_eq!(rig.number("connection-count"), 0.0);
}
