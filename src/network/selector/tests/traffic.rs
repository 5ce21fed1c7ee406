//! Sending and receiving frames.

use super::*;

/// Java: `SelectorTest#testNormalOperation`
#[test]
fn many_requests_on_many_connections_are_answered_in_order() {
    const CONNECTIONS: i32 = 5;
    const REQUESTS: usize = 500;
    let mut rig = Rig::new();
    let address = rig.address();
    echo(&rig.listener);
    for id in 0..CONNECTIONS {
        rig.selector.connect(id, address.into()).unwrap();
    }
    let mut up = 0;
    rig.poll_until(|events| {
        up += events.connected.len();
        up == CONNECTIONS as usize
    });
    let mut sent = [0_usize; CONNECTIONS as usize];
    let mut answered = [0_usize; CONNECTIONS as usize];
    for id in 0..CONNECTIONS {
        rig.send(id, format!("{id}-0").as_bytes());
    }
    while answered.iter().sum::<usize>() < REQUESTS * CONNECTIONS as usize {
        rig.poll(PATIENCE);
        assert!(
            !rig.events.is_empty(),
            "nothing came for {PATIENCE:?}: {answered:?}"
        );
        assert!(rig.events.disconnected.is_empty(), "{:?}", rig.events);
        for (id, body) in std::mem::take(&mut rig.events.completed_receives) {
            let count = &mut answered[id as usize];
            assert_eq!(body, format!("{id}-{count}"));
            *count += 1;
        }
        for id in std::mem::take(&mut rig.events.completed_sends) {
            sent[id as usize] += 1;
            if sent[id as usize] < REQUESTS {
                rig.send(id, format!("{id}-{}", sent[id as usize]).as_bytes());
            }
        }
    }
}

/// Java: `SelectorTest#testSendLargeRequest`, `#testLargeMessageSequence`
#[test]
fn large_frames_are_echoed_unchanged() {
    let mut rig = Rig::with_sockets(
        SelectorOptions::default(),
        SocketOptions {
            send_buffer: Some(4096),
            receive_buffer: Some(4096),
        },
    );
    let address = rig.address();
    echo(&rig.listener);
    rig.selector.connect(0, address.into()).unwrap();
    rig.poll_until(|events| !events.connected.is_empty());
    for size in [40_000, 65_532, 65_536, 1_000_000, 3, 300_000] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        rig.send(0, &body);
        assert_eq!(rig.receive(0), body, "{size}");
    }
}

/// A poll delivers at most one frame of a connection: callers must be able to find out that more input is there.
#[test]
fn a_connection_has_unread_input_until_a_poll_has_read_all_of_it() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    assert!(!rig.selector.has_unread_input(0));
    peer.write(&[framed(b"a"), framed(b"b")].concat());
    assert_eq!(rig.receive(0), "a");
    assert!(rig.selector.has_unread_input(0));
    assert_eq!(rig.receive(0), "b");
    rig.poll_now();
    assert!(!rig.selector.has_unread_input(0));
    assert!(!rig.selector.has_unread_input(1));
}

/// SL-9: a frame that is larger than the buffers of both sockets is written in parts, whenever the socket is writable.
#[test]
fn a_frame_for_a_slow_reader_is_complete_only_when_all_is_written() {
    let mut rig = Rig::with_sockets(
        SelectorOptions::default(),
        SocketOptions {
            send_buffer: Some(2048),
            ..SocketOptions::default()
        },
    );
    let mut peer = rig.connect(0);
    let body: Vec<u8> = (0..1_500_000_u32).map(|at| (at % 241) as u8).collect();
    rig.send(0, &body);
    // The frame is larger than the buffers of both sockets, and the peer does not read.
    for _ in 0..10 {
        assert!(
            rig.poll(Duration::from_millis(2)).is_empty(),
            "{:?}",
            rig.events
        );
        assert_eq!(rig.selector.send(0, frame(b"next")), Err(SendRefused::Busy));
    }
    let reader = spawn(move || (peer.read_frame().unwrap(), peer));
    rig.poll_until(|events| events.completed_sends == [0]);
    let (read, mut peer) = reader.join().unwrap();
    assert!(read == body);
    rig.send(0, b"next");
    assert_eq!(peer.read_frame().unwrap(), b"next");
}

/// SL-8; Java: `SelectorTest#testCantSendWithInProgress`
#[test]
fn a_second_frame_is_refused_until_the_first_is_reported() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    rig.send(0, b"first");
    assert_eq!(
        rig.selector.send(0, frame(b"second")),
        Err(SendRefused::Busy)
    );
    assert_eq!(rig.poll_now().completed_sends, [0]);
    rig.send(0, b"second");
    assert_eq!(peer.read_frame().unwrap(), b"first");
    assert_eq!(peer.read_frame().unwrap(), b"second");
}

#[test]
fn a_frame_is_written_by_send_and_reported_by_a_poll_that_does_not_block() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    rig.send(0, b"now");
    assert_eq!(peer.read_frame().unwrap(), b"now", "no poll since");
    // Without a time-out, a poll that blocked would never return.
    rig.selector.poll(None, &mut rig.events).unwrap();
    assert_eq!(rig.events.completed_sends, [0]);
}

#[test]
fn a_completed_send_that_was_taken_is_not_reported_by_a_poll_and_does_not_keep_it_from_blocking() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    assert!(!rig.selector.take_completed_send(0), "nothing was sent");
    for body in [&b"one"[..], b"two"] {
        rig.send(0, body);
        assert!(rig.selector.take_completed_send(0));
        assert!(!rig.selector.take_completed_send(0), "reported before");
        assert_eq!(peer.read_frame().unwrap(), body);
    }
    assert_ne!(rig.selector.wait_limit(None), Duration::ZERO);
    assert!(rig.poll_now().completed_sends.is_empty());
}

/// Java: `SelectorTest#testEmptyRequest`
#[test]
fn an_empty_frame_is_sent_and_received() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    rig.send(0, b"");
    assert_eq!(peer.read_frame().unwrap(), b"");
    peer.write(&framed(b""));
    assert_eq!(rig.receive(0), "");
}

/// SL-4; Java: `SelectorTest#testClearCompletedSendsAndReceives`
#[test]
fn each_poll_reports_only_its_own_events() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    rig.send(0, b"one");
    peer.write(&framed(b"back"));
    let (mut sends, mut receives) = (0, 0);
    rig.poll_until(|events| {
        sends += events.completed_sends.len();
        receives += events.completed_receives.len();
        (sends, receives) == (1, 1)
    });
    assert!(rig.poll_now().is_empty(), "{:?}", rig.events);
}

/// SL-5: a poll delivers at most one frame of each connection.
#[test]
fn a_poll_delivers_one_frame_of_each_connection() {
    const FRAMES: usize = 7;
    let mut rig = Rig::new();
    let mut peers: Vec<Peer> = (0..3).map(|id| rig.connect(id)).collect();
    for peer in &mut peers {
        let frames: Vec<u8> = (0..FRAMES as u8).flat_map(|n| framed(&[n; 10])).collect();
        peer.write(&frames);
    }
    let mut counts = [0_usize; 3];
    while counts != [FRAMES; 3] {
        // Bytes in the buffers have no event any more, so the poll must not block.
        rig.selector.poll(None, &mut rig.events).unwrap();
        let mut of_this_poll = [0; 3];
        for (id, body) in &rig.events.completed_receives {
            assert_eq!(body[..], [counts[*id as usize] as u8; 10]);
            counts[*id as usize] += 1;
            of_this_poll[*id as usize] += 1;
        }
        assert!(
            of_this_poll.iter().all(|count| *count <= 1),
            "{of_this_poll:?}"
        );
    }
    assert!(rig.poll_now().is_empty());
}

/// SL-19: a frame is four bytes of size and that many bytes, which may arrive in several parts. A size of zero is
/// valid.
#[test]
fn a_frame_is_whole_wherever_its_bytes_are_split() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    let stream = [framed(b"split"), framed(b""), framed(b"next")].concat();
    for at in 1..stream.len() {
        let mut frames = Vec::new();
        peer.write(&stream[..at]);
        let before_the_rest = match at {
            ..9 => 0,
            9..13 => 1,
            _ => 2,
        };
        while frames.len() < before_the_rest {
            frames.push(rig.receive(0));
        }
        assert!(
            rig.poll(Duration::from_millis(1)).is_empty(),
            "{at}: {:?}",
            rig.events
        );
        peer.write(&stream[at..]);
        while frames.len() < 3 {
            frames.push(rig.receive(0));
        }
        assert_eq!(frames, ["split", "", "next"], "split at {at}");
    }
}

/// SL-11, SL-12; Java: `SelectorTest#testGracefulClose`
#[test]
fn frames_received_before_the_end_of_stream_are_delivered_before_the_disconnect() {
    for frames in [1, 2, 50] {
        let mut rig = Rig::new();
        let mut peer = rig.connect(0);
        let stream: Vec<u8> = (0..frames).flat_map(|n: u8| framed(&[n; 3000])).collect();
        peer.write(&stream);
        drop(peer);
        let mut delivered = 0;
        loop {
            // The end of stream has a single event, which was reported with the bytes.
            rig.selector.poll(None, &mut rig.events).unwrap();
            assert!(rig.events.completed_receives.len() <= 1);
            for (_, body) in &rig.events.completed_receives {
                assert_eq!(body[..], [delivered; 3000]);
                delivered += 1;
            }
            if let [ended] = &rig.events.disconnected[..] {
                assert_eq!(ended.reason, CloseReason::ClosedByPeer);
                break;
            }
        }
        assert_eq!(delivered, frames);
    }
}

#[test]
fn a_half_closed_connection_counts_as_closed_by_the_peer() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    peer.write(&framed(b"last"));
    peer.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.receive(0), "last");
    assert_eq!(rig.disconnected().reason, CloseReason::ClosedByPeer);
    peer.assert_at_end();
}

/// Java: `SelectorTest#testPartialReceiveGracefulClose`
#[test]
fn an_end_of_stream_within_a_frame_is_reported_without_the_frame() {
    let mut rig = Rig::new();
    let mut peer = rig.connect(0);
    peer.write(&framed(b"cut")[..6]);
    drop(peer);
    let mut receives = 0;
    rig.poll_until(|events| {
        receives += events.completed_receives.len();
        !events.disconnected.is_empty()
    });
    assert_eq!(receives, 0);
}

/// SL-19: the size of a frame is invalid if it is negative, or above the configured limit.
#[test]
fn an_invalid_length_ends_the_connection() {
    for len in [-1, i32::MIN, 1025, i32::MAX] {
        let mut rig = Rig::with(SelectorOptions {
            max_response_bytes: 1024,
            ..SelectorOptions::default()
        });
        let mut peer = rig.connect(0);
        peer.write(&framed(&[1; 1024]));
        assert_eq!(rig.receive(0).len(), 1024, "the maximum size");
        peer.write(&len.to_be_bytes());
        let ended = rig.disconnected();
        assert!(
            matches!(ended.reason, CloseReason::BadFrame(_)),
            "{len}: {ended:?}"
        );
        peer.assert_at_end();
    }
}

#[test]
fn a_frame_that_was_written_in_part_is_reported_as_touched() {
    let mut rig = Rig::with_sockets(
        SelectorOptions::default(),
        SocketOptions {
            send_buffer: Some(2048),
            ..SocketOptions::default()
        },
    );
    let peer = rig.connect(0);
    rig.send(0, &vec![1; 20_000_000]);
    drop(peer);
    let ended = rig.disconnected();
    assert!(!ended.last_frame_untouched, "{ended:?}");
    assert!(rig.poll_now().completed_sends.is_empty());
}
