//! Tests of the network alone.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::*;
use crate::clock::Instant;
use crate::network::poller::{Poller, Readiness, Stream};

/// A server that echoes.
struct Echo;

impl SimPeer for Echo {
    fn receive(&mut self, bytes: &[u8], actions: &mut PeerActions) {
        actions.send(Bytes::copy_from_slice(bytes), Duration::ZERO);
    }
}

fn address() -> SocketAddr {
    "10.0.0.1:9092".parse().unwrap()
}

fn quiet() -> NetworkProfile {
    NetworkProfile {
        connect_us: 500..=500,
        latency_us: 1000..=1000,
        capacity: 100,
        splits: false,
        short_read_drains: true,
        spurious_percent: 0,
        at_once_percent: 0,
    }
}

fn network(profile: NetworkProfile) -> (SimNetwork, Arc<MockClock>) {
    let clock = Arc::new(MockClock::new());
    let network = SimNetwork::new(Arc::clone(&clock), profile, 1);
    network.listen(address(), Box::new(|| Box::new(Echo)));
    (network, clock)
}

fn wait(poller: &mut SimPoller, ms: u64) -> Vec<Readiness> {
    let mut events = Vec::new();
    let timeout = Duration::from_millis(ms);
    poller.wait(timeout, |_, event| events.push(event)).unwrap();
    events
}

#[test]
fn a_wait_advances_the_clock_to_the_next_event_or_to_its_time_limit() {
    let (network, clock) = network(quiet());
    let mut poller = network.poller();
    let start = clock.now();
    assert!(wait(&mut poller, 7).is_empty());
    assert_eq!(clock.now() - start, Duration::from_millis(7));
    let (mut stream, connected) = poller.open(0, address()).unwrap();
    assert!(!connected && !stream.finish_connect().unwrap());
    assert!(wait(&mut poller, 1000)[0].writable);
    assert_eq!(clock.now() - start, micros(7500));
    assert!(stream.finish_connect().unwrap());
}

#[test]
fn bytes_are_echoed_and_each_event_is_reported_once() {
    let (network, clock) = network(quiet());
    let mut poller = network.poller();
    let (mut stream, _) = poller.open(0, address()).unwrap();
    wait(&mut poller, 1000);
    let long = [7; 150];
    let slice = [std::io::IoSlice::new(&long)];
    assert_eq!(stream.write_vectored(&slice).unwrap(), 100, "the capacity");
    let full = stream.write_vectored(&slice).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
    let start = clock.now();
    let events = [wait(&mut poller, 1000), wait(&mut poller, 1000)].concat();
    assert_eq!(
        events.len(),
        if events[0].readable && events[0].writable {
            1
        } else {
            2
        }
    );
    assert_eq!(
        clock.now() - start,
        Duration::from_millis(2 + 1000 * u64::from(events.len() == 1))
    );
    // Without a read there is no second event.
    assert!(wait(&mut poller, 1000).is_empty());
    let mut buffer = [0; 1000];
    let received = stream.read(&mut buffer).unwrap();
    assert!(received.len == 100 && received.drained);
    let empty = stream.read(&mut buffer).unwrap_err();
    assert_eq!(empty.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn several_clients_share_one_network_and_its_time() {
    let (network, clock) = network(quiet());
    let mut pollers = [network.stepped_poller(), network.stepped_poller()];
    let start = clock.now();
    let mut streams = Vec::new();
    for poller in &mut pollers {
        streams.push(poller.open(3, address()).unwrap().0);
    }
    let (mut rounds, mut up) = (0, BTreeSet::new());
    while up.len() < 2 {
        for (at, poller) in pollers.iter_mut().enumerate() {
            let timeout = if at == 0 { 200 } else { 1000 };
            let timeout = micros(timeout);
            let told = poller.wait(timeout, |id, event| {
                assert!(id == 3 && event.writable);
                up.insert(at);
            });
            told.unwrap();
        }
        rounds += 1;
        if up.len() < 2 {
            assert!(network.pass_time(Deadline::Never));
        }
    }
    assert_eq!(clock.now() - start, micros(500), "when they are connected");
    assert_eq!(rounds, 4, "at 0, 200, 400 and 500 us");
}

#[test]
fn a_client_notices_refused_and_reset_connections_but_not_unanswered_ones() {
    let (network, _clock) = network(quiet());
    let mut poller = network.poller();
    network.answer(address(), Answers::Refuses);
    let refused = (0..20).filter(|_| match poller.open(0, address()) {
        Ok((mut stream, _)) => {
            wait(&mut poller, 1000);
            stream.finish_connect().unwrap_err();
            false
        }
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
    });
    let refused = refused.count();
    assert!((1..20).contains(&refused), "at once and later");
    network.answer(address(), Answers::Never);
    let (mut stream, _) = poller.open(0, address()).unwrap();
    assert!(wait(&mut poller, 100_000).is_empty());
    assert!(!stream.finish_connect().unwrap());
    drop(stream);
    network.answer(address(), Answers::Accepts);
    let (mut stream, _) = poller.open(0, address()).unwrap();
    wait(&mut poller, 1000);
    network.cut(address());
    let event = wait(&mut poller, 1000)[0];
    assert!(event.readable && event.writable && event.input_ends);
    let broken = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_wake_up_ends_the_next_wait() {
    let (network, clock) = network(quiet());
    let mut poller = network.poller();
    let start = clock.now();
    poller.wake_up().wake();
    assert!(wait(&mut poller, 1000).is_empty());
    assert_eq!(clock.now(), start);
}

#[test]
fn time_passes_although_a_removed_client_never_waits() {
    for is_woken in [false, true] {
        let (network, clock) = network(quiet());
        let mut stays = network.stepped_poller();
        let mut goes = network.stepped_poller();
        wait(&mut goes, 10);
        let (stream, _) = goes.open(3, address()).unwrap();
        let wake_up = goes.wake_up();
        drop(goes);
        if is_woken {
            wake_up.wake();
        }
        let start = clock.now();
        for _ in 0..100 {
            wait(&mut stays, 1000);
            assert!(network.pass_time(Deadline::Never));
        }
        assert_eq!(clock.now() - start, Duration::from_secs(100), "{is_woken}");
        drop(stream);
    }
}

#[test]
fn time_passes_up_to_a_limit_and_due_events_happen() {
    let (network, clock) = network(quiet());
    let mut poller = network.stepped_poller();
    wait(&mut poller, 3_600_000);
    let end = clock.now() + Duration::from_millis(500);
    assert!(network.pass_time(Deadline::At(end)));
    assert_eq!(clock.now(), end);
    assert!(network.pass_time(Deadline::At(end)), "it has come already");
    assert_eq!(clock.now(), end);
    let (mut stream, _) = poller.open(0, address()).unwrap();
    assert!(network.pass_time(Deadline::At(end + Duration::from_secs(1))));
    assert_eq!(clock.now(), end + micros(500), "when it is connected");
    assert!(stream.finish_connect().unwrap());
}

/// The records of a [`Slow`] server, and its settings `stops_reading` and `is_kept`.
#[derive(Default)]
struct Notes {
    bytes: Vec<u8>,
    stops_reading: bool,
    calls: Vec<Duration>,
    ends: Vec<(bool, Vec<u8>)>,
    is_kept: bool,
}

/// A server that records the received bytes, the times of its calls, and the ends of its connections. It does not read
/// while `stops_reading` is set; a call clears it.
#[derive(Clone)]
struct Slow(Arc<Mutex<Notes>>, Arc<MockClock>);

impl Slow {
    fn new(clock: &Arc<MockClock>) -> Self {
        // The network calls `reads` under its own lock.
        let notes = Mutex::new(Rank::POOL, Notes::default());
        Self(Arc::new(notes), Arc::clone(clock))
    }

    fn look<T>(&self, how: impl FnOnce(&mut Notes) -> T) -> T {
        how(&mut self.0.lock())
    }
}

impl SimPeer for Slow {
    fn receive(&mut self, bytes: &[u8], actions: &mut PeerActions) {
        self.look(|notes| notes.bytes.extend_from_slice(bytes));
        if bytes == b"call" {
            actions.send(Bytes::from_static(b"first"), Duration::from_millis(5));
            actions.call(Duration::from_millis(3));
        }
    }

    fn called(&mut self, actions: &mut PeerActions) {
        let now = self.1.now();
        self.look(|notes| {
            notes.calls.push(now - Instant::ORIGIN);
            notes.stops_reading = false;
        });
        actions.send(Bytes::from_static(b"called"), Duration::ZERO);
    }

    fn reads(&self) -> bool {
        self.look(|notes| !notes.stops_reading)
    }

    fn ended(&mut self, how: ConnectionEnd<'_>, _: &mut PeerActions) {
        let end = match how {
            ConnectionEnd::Closed(rest) => (true, rest.to_vec()),
            ConnectionEnd::Broken => (false, Vec::new()),
        };
        self.look(|notes| notes.ends.push(end));
    }

    fn is_done(&self) -> bool {
        self.look(|notes| !notes.is_kept)
    }
}

/// A connection to a server that takes notes.
fn noted(profile: NetworkProfile) -> (SimNetwork, SimPoller, SimStream, Slow) {
    let clock = Arc::new(MockClock::new());
    let network = SimNetwork::new(Arc::clone(&clock), profile, 1);
    let peer = Slow::new(&clock);
    let accepted = peer.clone();
    network.listen(address(), Box::new(move || Box::new(accepted.clone())));
    let mut poller = network.poller();
    let (stream, _) = poller.open(0, address()).unwrap();
    wait(&mut poller, 1000);
    (network, poller, stream, peer)
}

/// Advances time, and returns the readiness reported meanwhile.
fn pass(network: &SimNetwork, poller: &mut SimPoller, ms: u64) -> Readiness {
    let end = network.clock.now() + Duration::from_millis(ms);
    let mut told = Readiness::default();
    while network.clock.now() < end {
        let left = end - network.clock.now();
        poller.wait(left, |_, event| told.note(event)).unwrap();
    }
    told
}

fn write(stream: &mut SimStream, bytes: &[u8]) -> usize {
    let written = stream.write_vectored(&[std::io::IoSlice::new(bytes)]);
    written.unwrap_or_else(|error| {
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        0
    })
}

fn read(stream: &mut SimStream) -> Vec<u8> {
    let mut buffer = [0; 1000];
    let received = stream.read(&mut buffer);
    let len = received.map_or(0, |received| received.len);
    buffer[..len].to_vec()
}

#[test]
fn a_server_is_called_after_the_actions_that_it_scheduled_before_the_call() {
    let (network, mut poller, mut stream, peer) = noted(quiet());
    let start = network.clock.now() - Instant::ORIGIN;
    write(&mut stream, b"call");
    pass(&network, &mut poller, 100);
    assert_eq!(read(&mut stream), b"firstcalled");
    let after = Duration::from_millis(1 + 5);
    assert_eq!(peer.look(|notes| notes.calls.clone()), [start + after]);
    network.call_peers(address());
    pass(&network, &mut poller, 100);
    assert_eq!(read(&mut stream), b"called", "unasked");
}

#[test]
fn a_client_is_blocked_while_its_server_does_not_read() {
    let (network, mut poller, mut stream, peer) = noted(quiet());
    peer.look(|notes| notes.stops_reading = true);
    assert_eq!(write(&mut stream, &[1; 60]), 60);
    assert_eq!(write(&mut stream, &[2; 60]), 40);
    assert_eq!(write(&mut stream, &[2; 20]), 0);
    assert!(!pass(&network, &mut poller, 1000).writable);
    assert!(peer.look(|notes| notes.bytes.is_empty()));
    network.call_peers(address());
    assert!(pass(&network, &mut poller, 10).writable);
    assert_eq!(peer.look(|notes| notes.bytes.len()), 100);
    assert_eq!(write(&mut stream, &[2; 20]), 20);
}

#[test]
fn a_server_learns_how_its_connection_ended_and_is_kept_while_it_has_actions_left() {
    for is_cut in [false, true] {
        let (network, mut poller, mut stream, peer) = noted(quiet());
        peer.look(|notes| notes.stops_reading = true);
        peer.look(|notes| notes.is_kept = true);
        write(&mut stream, b"rest");
        pass(&network, &mut poller, 10);
        if is_cut {
            network.cut(address());
            pass(&network, &mut poller, 10);
        }
        drop(stream);
        pass(&network, &mut poller, 10);
        let expected = if is_cut {
            (false, vec![])
        } else {
            (true, b"rest".to_vec())
        };
        assert_eq!(peer.look(|notes| notes.ends.clone()), [expected]);
        network.call_peers(address());
        pass(&network, &mut poller, 10);
        assert_eq!(peer.look(|notes| notes.calls.len()), 1);
        peer.look(|notes| notes.is_kept = false);
        network.call_peers(address());
        pass(&network, &mut poller, 10);
        network.call_peers(address());
        pass(&network, &mut poller, 10);
        assert_eq!(peer.look(|notes| notes.calls.len()), 2, "it is gone then");
        assert_eq!(Arc::strong_count(&peer.0), 2, "here and in the listener");
    }
}

#[test]
fn silence_holds_back_one_or_both_directions_and_keeps_the_order() {
    for (up, down) in [(true, false), (false, true), (true, true)] {
        let (network, mut poller, mut stream, peer) = noted(quiet());
        network.silence(address(), Directions { up, down });
        write(&mut stream, b"one");
        network.call_peers(address());
        let mut told = pass(&network, &mut poller, 10);
        write(&mut stream, b"two");
        told.note(pass(&network, &mut poller, 10_000));
        assert_eq!(peer.look(|notes| notes.bytes.is_empty()), up);
        assert_eq!(told == Readiness::default(), down);
        assert_eq!(read(&mut stream).is_empty(), down);
        network.speak(address());
        write(&mut stream, b"three");
        let told = pass(&network, &mut poller, 10);
        assert_eq!(peer.look(|notes| notes.bytes.clone()), b"onetwothree");
        assert_eq!(told.readable, down);
        assert_eq!(read(&mut stream).is_empty(), !down);
    }
}

#[test]
fn a_connection_attempt_held_back_by_silence_completes_afterwards() {
    let (network, mut poller, _, _) = noted(quiet());
    network.answer(address(), Answers::Never);
    let (mut stream, _) = poller.open(1, address()).unwrap();
    pass(&network, &mut poller, 1000);
    assert!(!stream.finish_connect().unwrap());
    network.speak(address());
    pass(&network, &mut poller, 1000);
    assert!(!stream.finish_connect().unwrap(), "no host answers yet");
    network.answer(address(), Answers::Accepts);
    network.speak(address());
    assert!(pass(&network, &mut poller, 10).writable);
    assert!(stream.finish_connect().unwrap());
}

#[test]
fn the_end_of_a_connection_held_back_by_silence_is_noticed_afterwards() {
    let (network, mut poller, mut stream, peer) = noted(quiet());
    network.silence(address(), Directions::BOTH);
    network.cut(address());
    assert_eq!(pass(&network, &mut poller, 1000), Readiness::default());
    assert!(write(&mut stream, b"x") == 1, "half open");
    network.speak(address());
    assert!(pass(&network, &mut poller, 10).input_ends);
    assert_eq!(peer.look(|notes| notes.ends.len()), 1);
    let broken = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn removed_servers_perform_no_more_actions() {
    let (network, mut poller, mut stream, peer) = noted(quiet());
    write(&mut stream, b"call");
    network.end_peers(address());
    assert!(pass(&network, &mut poller, 1000).input_ends);
    assert!(peer.look(|it| it.bytes.is_empty() && it.ends.is_empty() && it.calls.is_empty()));
}

#[test]
fn added_latency_applies_in_both_directions_and_to_connecting() {
    let (network, mut poller, mut stream, peer) = noted(quiet());
    network.slow_down(address(), Duration::from_millis(100));
    write(&mut stream, b"call");
    pass(&network, &mut poller, 100);
    assert!(peer.look(|notes| notes.bytes.is_empty()));
    pass(&network, &mut poller, 1);
    assert_eq!(peer.look(|notes| notes.bytes.clone()), b"call");
    pass(&network, &mut poller, 105);
    assert!(read(&mut stream).is_empty());
    pass(&network, &mut poller, 1);
    assert_eq!(read(&mut stream), b"firstcalled");
    let (mut other, _) = poller.open(1, address()).unwrap();
    pass(&network, &mut poller, 100);
    assert!(!other.finish_connect().unwrap());
    pass(&network, &mut poller, 1);
    assert!(other.finish_connect().unwrap());
}

#[test]
fn a_large_write_travels_in_few_pieces_even_with_a_small_capacity() {
    let profile = NetworkProfile {
        capacity: 16,
        ..quiet()
    };
    let (network, mut poller, mut stream, peer) = noted(profile);
    let (long, mut written, mut writes) = (vec![7; 100_000], 0, 0);
    while written < long.len() {
        written += write(&mut stream, &long[written..]);
        writes += 1;
        pass(&network, &mut poller, 10);
    }
    assert!((2..=10).contains(&writes), "{writes}");
    assert_eq!(write(&mut stream, &[7; 10]), 10);
    assert_eq!(
        write(&mut stream, &[7; 10]),
        6,
        "the capacity limits small writes again"
    );
    pass(&network, &mut poller, 10);
    assert_eq!(peer.look(|notes| notes.bytes.len()), 100_016);
}

#[test]
fn connections_dropped_by_both_ends_are_removed() {
    let (network, mut poller, stream, peer) = noted(quiet());
    let (connecting, _) = poller.open(1, address()).unwrap();
    drop(connecting);
    network.answer(address(), Answers::Never);
    let (unheard, _) = poller.open(1, address()).unwrap();
    pass(&network, &mut poller, 10);
    assert_eq!(network.links(), 2);
    drop(unheard);
    drop(stream);
    pass(&network, &mut poller, 10);
    assert_eq!(network.links(), 0);
    assert_eq!(peer.look(|notes| notes.ends.len()), 1);
}
