//! The network by itself.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::*;
use crate::network::poller::{Poller, Readiness, Stream};

/// Sends back what comes.
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
fn a_wait_moves_the_clock_to_what_happens_next_or_to_its_end() {
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
fn bytes_come_back_and_each_event_is_told_once() {
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
    // Nobody reads, so nothing more is told of what is there.
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
fn what_is_refused_silent_or_cut_looks_so() {
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
fn a_client_that_is_gone_holds_up_time_for_nobody() {
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
fn time_passes_up_to_the_end_of_a_call_and_what_is_due_by_then_happens() {
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
