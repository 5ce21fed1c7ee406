//! The selector over real sockets on the loopback interface.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use bytes::Bytes;
use socket2::{Domain, Socket, Type};

use super::*;
use crate::clock::SystemClock;
use crate::clock::mock::MockClock;
use crate::network::channel_builder::PlaintextChannelBuilder;
use crate::network::mio_poller::{MioPoller, SocketOptions};
use crate::network::selectable::Disconnected;

mod idle;
mod metrics;
mod traffic;

/// Timeout of a test that waits for an event.
const PATIENCE: Duration = Duration::from_secs(20);

fn selector(
    options: SelectorOptions,
    sockets: SocketOptions,
    clock: Arc<dyn Clock>,
) -> Selector<MioPoller> {
    let poller = MioPoller::new(sockets, crate::util::log::LogContext::for_tests()).unwrap();
    let metrics = SelectorMetrics::for_tests(Arc::clone(&clock));
    let builder = Box::new(PlaintextChannelBuilder);
    Selector::new(poller, builder, options, clock, metrics)
}

/// A selector, and a listener for it to connect to.
struct Rig {
    selector: Selector<MioPoller>,
    listener: TcpListener,
    clock: Arc<MockClock>,
    /// Events of the last poll.
    events: PollEvents,
}

impl Rig {
    fn new() -> Self {
        Self::with(SelectorOptions::default())
    }

    fn with(options: SelectorOptions) -> Self {
        Self::with_sockets(options, SocketOptions::default())
    }

    fn with_sockets(options: SelectorOptions, sockets: SocketOptions) -> Self {
        let clock = Arc::new(MockClock::new());
        let selector = selector(options, sockets, clock.clone());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            selector,
            listener,
            clock,
            events: PollEvents::default(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Connects, and returns the peer's end.
    fn connect(&mut self, id: ConnectionId) -> Peer {
        self.selector.connect(id, self.address().into()).unwrap();
        let (stream, _) = self.listener.accept().unwrap();
        self.poll_until(|events| events.connected.contains(&id));
        assert!(self.selector.is_channel_ready(id));
        Peer::new(stream)
    }

    /// One poll that does not block.
    fn poll_now(&mut self) -> &PollEvents {
        self.poll(Duration::ZERO)
    }

    fn poll(&mut self, timeout: Duration) -> &PollEvents {
        self.selector.poll(Some(timeout), &mut self.events).unwrap();
        for ended in &self.events.disconnected {
            assert!(
                !self.events.connected.contains(&ended.id),
                "came and went: {:?}",
                self.events
            );
        }
        &self.events
    }

    /// Polls until the condition holds for the events.
    fn poll_until(&mut self, mut wanted: impl FnMut(&PollEvents) -> bool) {
        let clock = SystemClock::new();
        let deadline = Deadline::after(clock.now(), PATIENCE);
        while !deadline.is_over(clock.now()) {
            if wanted(self.poll(Duration::from_millis(100))) {
                return;
            }
        }
        panic!(
            "not within {PATIENCE:?}; the last poll brought {:?}",
            self.events
        );
    }

    /// Polls until a frame arrives on this connection.
    fn receive(&mut self, id: ConnectionId) -> Bytes {
        let mut found = None;
        self.poll_until(|events| {
            found = events
                .completed_receives
                .iter()
                .find(|(from, _)| *from == id)
                .cloned();
            found.is_some()
        });
        found.unwrap().1
    }

    /// Polls until a connection is reported as disconnected.
    fn disconnected(&mut self) -> Disconnected {
        self.poll_until(|events| !events.disconnected.is_empty());
        assert_eq!(self.events.disconnected.len(), 1);
        self.events.disconnected.remove(0)
    }

    fn send(&mut self, id: ConnectionId, body: &[u8]) {
        self.selector.send(id, frame(body)).unwrap();
    }
}

/// The peer of a connection, with blocking I/O.
struct Peer(TcpStream);

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next frame; `None` at the end.
    fn read_frame(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).ok()?;
        let mut body = vec![0; u32::from_be_bytes(header) as usize];
        self.0.read_exact(&mut body).unwrap();
        Some(body)
    }

    fn assert_at_end(&mut self) {
        let mut byte = [0; 1];
        match self.0.read(&mut byte) {
            Ok(0) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("the connection is not closed: {other:?}"),
        }
    }
}

/// Echoes each frame, on any number of connections, until they end.
fn echo(listener: &TcpListener) {
    let listener = listener.try_clone().unwrap();
    spawn(move || {
        // The thread waits here until the process ends: no connection is made after the test.
        while let Ok((stream, _)) = listener.accept() {
            spawn(move || {
                let mut peer = Peer::new(stream);
                while let Some(body) = peer.read_frame() {
                    peer.write(&framed(&body));
                }
            });
        }
    });
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new()
        .name("peer".into())
        .spawn(work)
        .unwrap()
}

fn frame(body: &[u8]) -> Frame {
    Frame::from_payload(Bytes::copy_from_slice(body)).unwrap()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// An address that refuses connections: its socket does not listen, and is bound so that nothing else gets the port.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Java: `SelectorTest#testConnectionRefused`
#[test]
fn a_refused_connection_is_reported_at_once_or_by_a_poll() {
    let mut rig = Rig::new();
    let (_bound, address) = refusing();
    if rig.selector.connect(0, address.into()).is_ok() {
        assert!(!rig.selector.is_channel_ready(0));
        let ended = rig.disconnected();
        assert!(
            matches!(ended.reason, CloseReason::ConnectFailed(_)),
            "{ended:?}"
        );
        assert!(!ended.last_frame_untouched);
    }
    // The id is free again.
    rig.connect(0);
}

/// SL-2; Java: `SelectorTest#testExistingConnectionId`
#[test]
fn a_second_connection_with_the_same_id_is_refused() {
    let mut rig = Rig::new();
    let address = rig.address();
    rig.selector.connect(0, address.into()).unwrap();
    let error = rig.selector.connect(0, address.into()).unwrap_err();
    assert!(
        matches!(&error, CloseReason::ConnectFailed(why) if why.contains("already")),
        "{error:?}"
    );
}

#[test]
fn the_id_of_the_wakers_token_is_refused() {
    let mut rig = Rig::new();
    let address = rig.address();
    let error = rig
        .selector
        .connect(ConnectionId::MIN, address.into())
        .unwrap_err();
    assert!(matches!(error, CloseReason::ConnectFailed(_)), "{error:?}");
    // Bootstrap nodes have negative ids.
    for id in [-1, ConnectionId::MIN + 1, ConnectionId::MAX] {
        rig.connect(id);
    }
}

/// Java: `SelectorTest#testSendWithoutConnecting`
#[test]
fn a_frame_for_an_unknown_connection_is_refused() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.selector.send(0, frame(b"x")),
        Err(SendRefused::NoConnection)
    );
    let address = rig.address();
    rig.selector.connect(0, address.into()).unwrap();
    assert_eq!(
        rig.selector.send(0, frame(b"x")),
        Err(SendRefused::NoConnection),
        "connecting"
    );
}

/// Java: `SelectorTest#testServerDisconnect`
#[test]
fn a_node_that_closed_the_connection_can_be_reconnected() {
    let mut rig = Rig::new();
    for round in 0..3 {
        let mut peer = rig.connect(0);
        rig.send(0, b"hello");
        assert_eq!(peer.read_frame().unwrap(), b"hello", "round {round}");
        peer.write(&framed(b"hello back"));
        assert_eq!(rig.receive(0), "hello back");
        drop(peer);
        let ended = rig.disconnected();
        let expected = Disconnected {
            id: 0,
            reason: CloseReason::ClosedByPeer,
            last_frame_untouched: false,
        };
        assert_eq!(ended, expected);
        assert!(!rig.selector.is_channel_ready(0));
    }
}

/// SL-14; Java: `SelectorTest#testConnectDisconnectDuringInSinglePoll`
#[test]
fn a_connection_established_and_closed_in_one_poll_is_reported_as_disconnected_only() {
    let mut rig = Rig::new();
    let address = rig.address();
    for _ in 0..20 {
        rig.selector.connect(0, address.into()).unwrap();
        drop(rig.listener.accept().unwrap());
        // `Rig::poll` checks that no poll reports both.
        assert_eq!(rig.disconnected().reason, CloseReason::ClosedByPeer);
    }
}

/// SL-13; Java: `SelectorTest#testCloseAllChannels`
#[test]
fn a_connection_closed_by_the_client_is_not_reported() {
    let mut rig = Rig::new();
    let mut peers: Vec<Peer> = (0..4).map(|id| rig.connect(id)).collect();
    rig.send(0, b"x");
    peers[1].write(&framed(b"unread"));
    rig.selector.close(0);
    rig.selector.close(1);
    rig.selector.close(99);
    assert!(!rig.selector.is_channel_ready(0));
    peers[0].read_frame();
    peers[0].assert_at_end();
    peers[1].assert_at_end();
    assert!(rig.poll_now().is_empty(), "{:?}", rig.events);
    rig.selector.close_all();
    peers[2].assert_at_end();
    peers[3].assert_at_end();
    assert!(rig.poll_now().is_empty(), "{:?}", rig.events);
    rig.connect(0);
}

/// Java: `SelectorTest#testChannelCloseWhileProcessingReceives`
#[test]
fn connections_may_be_closed_while_their_frames_are_read() {
    let mut rig = Rig::new();
    let mut peers: Vec<Peer> = (0..4).map(|id| rig.connect(id)).collect();
    for peer in &mut peers {
        peer.write(&[framed(b"one"), framed(b"two")].concat());
    }
    let mut firsts = 0;
    while firsts < 4 {
        rig.poll(PATIENCE);
        for (id, body) in std::mem::take(&mut rig.events.completed_receives) {
            if body == "one" {
                firsts += 1;
                rig.selector.close(id);
            }
        }
        assert!(rig.events.disconnected.is_empty());
    }
    assert!(rig.poll_now().is_empty(), "{:?}", rig.events);
}

/// SL-18: a wake-up may come before the poll that it is to end.
#[test]
fn a_wake_up_before_a_poll_is_not_lost() {
    let mut rig = Rig::new();
    let wake = rig.selector.wake_up();
    for timeout in [
        None,
        Some(Duration::MAX),
        Some(Duration::from_secs(1 << 40)),
    ] {
        wake.wake();
        wake.wake();
        // Without a wake-up this poll would block for ever.
        rig.selector.poll(timeout, &mut rig.events).unwrap();
        assert!(rig.events.is_empty());
    }
}

/// SL-18: a wake-up may come from any thread.
#[test]
fn a_wake_up_ends_a_blocked_poll() {
    let mut rig = Rig::new();
    let wake = rig.selector.wake_up();
    let (ready, go) = crossbeam_channel::bounded::<()>(0);
    let waker = spawn(move || {
        while go.recv().is_ok() {
            wake.wake();
        }
    });
    // The two threads race, so that in some rounds the wake-up comes first and in some the poll.
    for _ in 0..1000 {
        ready.send(()).unwrap();
        rig.selector.poll(None, &mut rig.events).unwrap();
    }
    drop(ready);
    waker.join().unwrap();
}

#[test]
fn a_wake_up_outlives_its_selector() {
    let rig = Rig::new();
    let wake = rig.selector.wake_up();
    drop(rig);
    wake.wake();
}

#[test]
fn a_poll_without_events_blocks_for_its_timeout() {
    let mut rig = Rig::new();
    let _peer = rig.connect(0);
    let clock = SystemClock::new();
    let before = clock.now();
    let mut polls = 0;
    while clock.now().saturating_since(before) < Duration::from_millis(100) {
        rig.poll(Duration::from_millis(50));
        polls += 1;
    }
    assert!(
        polls <= 4,
        "a poll returned without news or waiting: {polls}"
    );
}

/// Runs in a process of its own: other tests open and close descriptors at the same time.
#[test]
#[cfg(target_os = "linux")]
fn dropping_a_selector_leaves_no_file_descriptor() {
    const CHILD: &str = "KAFKA_PRODUCER_TEST_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let name = format!(
            "{}::{}",
            module_path!(),
            "dropping_a_selector_leaves_no_file_descriptor"
        );
        let (_crate, name) = name.split_once("::").unwrap();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let mut rig = Rig::new();
    let peers: Vec<Peer> = (0..5).map(|id| rig.connect(id)).collect();
    rig.send(0, &[0; 1000]);
    let (bound, refused) = refusing();
    let _ = rig.selector.connect(9, refused.into());
    let wake = rig.selector.wake_up();
    assert!(open() > before + 2 * peers.len());
    drop((rig, peers, bound, wake));
    assert_eq!(open(), before);
}
