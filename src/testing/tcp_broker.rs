//! One node of the embedded cluster on a loopback port: threads that read requests, hand them to the
//! model, and write its answers.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use socket2::{Domain, Protocol, Socket, Type};

use super::script::AndThen;
use super::sim::sasl::SaslSession;
use super::sim::{Answer, Plan, SimCluster};
use super::wire::{Wire, Wires};
use crate::clock::seldom::Seldom;
use crate::clock::{Clock, Deadline, SystemClock};
use crate::protocol::Frame;
use crate::sync::{Condvar, Mutex, MutexGuard, Rank};
use crate::types::NodeId;
use crate::util::log::{self, LogContext};

/// The largest request a broker reads (`socket.request.max.bytes`).
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Room for reading is made in steps of this size.
const READ_BYTES: usize = 256 * 1024;
/// Less room than this is not worth a system call.
const READ_BYTES_MIN: usize = 64 * 1024;
/// The most room that is made for a request before any of it has come.
const READ_BYTES_MAX: usize = 1024 * 1024;
const LENGTH_BYTES: usize = 4;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// For how long nothing is accepted after that has failed: without file descriptors it fails again and again
/// without any waiting.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);
/// The longest wait in one piece.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What all nodes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster: Mutex<SimCluster>,
    /// A request has been decided about, or a rule was taken away.
    changed: Condvar,
    pub(crate) connections_accepted: AtomicU64,
    /// How connections from here on are accepted.
    pub(crate) wires: Mutex<Wires>,
    clock: SystemClock,
}

impl Shared {
    pub(crate) fn new(cluster: SimCluster, wires: Wires) -> Self {
        Self {
            wires: Mutex::new(Rank::LEAF, wires),
            cluster: Mutex::new(Rank::LEAF, cluster),
            changed: Condvar::new(),
            connections_accepted: AtomicU64::new(0),
            clock: SystemClock::new(),
        }
    }

    fn handle(&self, session: &mut SaslSession, node: NodeId, frame: &Bytes) -> Plan {
        let now = self.clock.timestamp();
        let plan = self.cluster.lock().handle_on(session, node, frame, now);
        self.changed.notify_all();
        plan
    }

    /// Changes the cluster in a way that somebody may be waiting for.
    pub(crate) fn change<T>(&self, how: impl FnOnce(&mut SimCluster) -> T) -> T {
        let changed = how(&mut self.cluster.lock());
        self.changed.notify_all();
        changed
    }

    /// Waits until `answer` has one, or time is over.
    pub(crate) fn wait_for<T>(
        &self,
        timeout: Duration,
        answer: impl Fn(&mut SimCluster) -> Option<T>,
    ) -> Option<T> {
        let deadline = Deadline::after(self.clock.now(), timeout);
        let mut cluster: MutexGuard<'_, SimCluster> = self.cluster.lock();
        loop {
            if let Some(answer) = answer(&mut cluster) {
                return Some(answer);
            }
            let now = self.clock.now();
            if deadline.is_over(now) {
                return None;
            }
            let left = deadline.remaining_or(now, LONGEST_WAIT);
            self.changed.wait_for(&mut cluster, left);
        }
    }
}

/// A port of the loopback interface that nobody else gets, and that refuses connections until it
/// listens.
#[derive(Debug)]
pub(crate) struct Port(Socket);

impl Port {
    /// Takes a port; with 0 the system chooses one.
    pub(crate) fn take(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        // Connections of the node that had the port before may still be waiting for their end. On
        // Windows the same option would let anybody share the port, and is not needed.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        Ok(Self(socket))
    }

    /// Which one it is.
    pub(crate) fn number(&self) -> io::Result<u16> {
        let address = self.0.local_addr()?.as_socket();
        Ok(address.map_or(0, |address| address.port()))
    }

    fn listen(self) -> io::Result<TcpListener> {
        self.0.listen(BACKLOG)?;
        Ok(self.0.into())
    }
}

/// A node that runs. Dropping it closes its sockets and ends its threads.
#[derive(Debug)]
pub(crate) struct TcpBroker {
    address: SocketAddr,
    connections: Arc<Mutex<Connections>>,
    acceptor: Option<JoinHandle<()>>,
    /// Ends a pause of the acceptor.
    signals: Sender<Signal>,
    /// To be connected to the node's port in the end. Made at the start: by then there may be no more file
    /// descriptors.
    last_caller: Socket,
}

/// The connections of one node.
#[derive(Debug, Default)]
struct Connections {
    next: u64,
    /// Nothing is accepted any more.
    stopped: bool,
    /// For each connection a handle to end it with.
    open: BTreeMap<u64, ConnectionHandle>,
    threads: Vec<JoinHandle<()>>,
}

/// How others reach a connection and its thread.
#[derive(Debug)]
struct ConnectionHandle {
    stream: TcpStream,
    signals: Sender<Signal>,
}

/// What a connection's thread is told while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// The connection ends.
    End,
    /// The node works again.
    Resumed,
}

impl TcpBroker {
    /// Serves what comes to `port`.
    pub(crate) fn start(node: NodeId, port: Port, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = port.listen()?;
        let address = listener.local_addr()?;
        let last_caller = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let connections = Arc::new(Mutex::new(Rank::LEAF, Connections::default()));
        let (signals, received) = unbounded();
        let acceptor = Acceptor {
            node,
            listener,
            signals: received,
            shared,
            connections: Arc::clone(&connections),
        };
        let acceptor = thread::Builder::new()
            .name(format!("test-broker-{node}-acceptor"))
            .spawn(move || acceptor.run())?;
        Ok(Self {
            address,
            connections,
            acceptor: Some(acceptor),
            signals,
            last_caller,
        })
    }

    /// Its connections, to be counted or ended without holding on to the broker.
    pub(crate) fn connections(&self) -> OpenConnections {
        OpenConnections(Arc::clone(&self.connections))
    }
}

/// The connections of a broker.
pub(crate) struct OpenConnections(Arc<Mutex<Connections>>);

impl OpenConnections {
    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().open.len()
    }

    /// Ends all of them; new ones are still accepted.
    pub(crate) fn end_all(&self) {
        self.0.lock().shut_down_all();
    }

    /// The node works again: tells those that have waited for it.
    pub(crate) fn resume_all(&self) {
        self.0.lock().signal_all(Signal::Resumed);
    }
}

impl Connections {
    fn shut_down_all(&self) {
        self.signal_all(Signal::End);
        for connection in self.open.values() {
            // One that the peer has closed already is what is wanted.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    fn signal_all(&self, signal: Signal) {
        for connection in self.open.values() {
            // One whose thread is gone needs no telling.
            let _ = connection.signals.send(signal);
        }
    }
}

impl Drop for TcpBroker {
    fn drop(&mut self) {
        {
            let mut connections = self.connections.lock();
            connections.stopped = true;
            connections.shut_down_all();
        }
        // The acceptor is gone already if nobody hears this.
        let _ = self.signals.send(Signal::End);
        // The acceptor waits for a connection: give it one, and it will see that it is over.
        let _ = self.last_caller.connect(&self.address.into());
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        // No thread is added after the acceptor is gone.
        let threads = std::mem::take(&mut self.connections.lock().threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Accepts connections and starts a thread for each.
struct Acceptor {
    node: NodeId,
    listener: TcpListener,
    signals: Receiver<Signal>,
    shared: Arc<Shared>,
    connections: Arc<Mutex<Connections>>,
}

impl Acceptor {
    fn run(self) {
        self.serve_all(self.listener.incoming(), |time| {
            // What it is told is seen where the next connection is.
            let _ = self.signals.recv_timeout(time);
        });
    }

    /// Serves what comes, until the node is stopped.
    fn serve_all(
        &self,
        incoming: impl Iterator<Item = io::Result<TcpStream>>,
        mut pause: impl FnMut(Duration),
    ) {
        let mut failures = Seldom::default();
        for stream in incoming {
            if self.connections.lock().stopped {
                return;
            }
            // A peer that is gone again, or no more file descriptors: neither ends the broker.
            let Err(error) = stream.and_then(|stream| self.serve(stream)) else {
                continue;
            };
            if let Some(unsaid) = failures.happened(self.shared.clock.now()) {
                let log = LogContext::of_test_broker(self.node);
                log::warn!(log, "a connection could not be served: {error}{unsaid}");
            }
            pause(PAUSE_AFTER_FAILURE);
        }
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (signals, received) = unbounded();
        let handle = ConnectionHandle {
            stream: stream.try_clone()?,
            signals,
        };
        let wires = self.shared.wires.lock().clone();
        let stream = wires.on(stream)?;
        let mut connections = self.connections.lock();
        let id = connections.next;
        connections.next += 1;
        let connection = Connection {
            node: self.node,
            id,
            stream,
            signals: received,
            shared: Arc::clone(&self.shared),
            connections: Arc::clone(&self.connections),
            session: SaslSession::new(),
        };
        // Counted before anything is answered on it.
        self.shared
            .connections_accepted
            .fetch_add(1, Ordering::Relaxed);
        let thread = thread::Builder::new()
            .name(format!("test-broker-{}-{id}", self.node))
            .spawn(move || connection.run())?;
        // Still locked: the thread cannot take itself off the list before it is on it.
        connections.open.insert(id, handle);
        connections.threads.retain(|thread| !thread.is_finished());
        connections.threads.push(thread);
        // The broker may have been stopped since the acceptor looked; what is on the list now was not
        // there to be shut down.
        if connections.stopped {
            connections.shut_down_all();
        }
        Ok(())
    }
}

/// One connection, served by one thread: requests are answered in the order they came.
struct Connection {
    node: NodeId,
    id: u64,
    stream: Wire,
    signals: Receiver<Signal>,
    shared: Arc<Shared>,
    connections: Arc<Mutex<Connections>>,
    session: SaslSession,
}

impl Connection {
    fn run(mut self) {
        if let Err(error) = self.serve() {
            let log = LogContext::of_test_broker(self.node);
            log::debug!(log, "connection {}: {error}", self.id);
        }
        // The list holds a second handle to the socket, so dropping ours would not close it.
        let _ = self.stream.socket().shutdown(Shutdown::Both);
        self.connections.lock().open.remove(&self.id);
    }

    /// Until one side closes.
    fn serve(&mut self) -> io::Result<()> {
        let mut frames = FrameReader::default();
        let mut out = Vec::new();
        while let Some(frame) = frames.next(&mut self.stream)? {
            let Some(plan) = self.ask(&frame) else {
                return Ok(());
            };
            drop(frame);
            if !self.pause(plan.delay) {
                return Ok(());
            }
            match plan.answer {
                Answer::Reply(reply) => self.send(&reply, usize::MAX, &mut out)?,
                Answer::Part { frame, bytes, then } => {
                    self.send(&frame, bytes, &mut out)?;
                    return match then {
                        AndThen::Close => Ok(()),
                        AndThen::Silence => self.ignore(),
                    };
                }
                Answer::Silence => {}
                Answer::Stall => return self.ignore(),
                Answer::Close | Answer::Hang => return Ok(()),
            }
        }
        Ok(())
    }

    /// What the model makes of a request, once the node works; `None` if the connection ends before.
    fn ask(&mut self, frame: &Bytes) -> Option<Plan> {
        loop {
            let plan = self.shared.handle(&mut self.session, self.node, frame);
            if !matches!(plan.answer, Answer::Hang) {
                return Some(plan);
            }
            match self.signals.recv() {
                Ok(Signal::Resumed) => {}
                Ok(Signal::End) | Err(_) => return None,
            }
        }
    }

    /// Waits, with no lock held; false if the connection ends before time is over.
    fn pause(&self, delay: Duration) -> bool {
        if delay.is_zero() {
            return true;
        }
        let deadline = Deadline::after(self.shared.clock.now(), delay);
        loop {
            let now = self.shared.clock.now();
            if deadline.is_over(now) {
                return true;
            }
            match self
                .signals
                .recv_timeout(deadline.remaining_or(now, LONGEST_WAIT))
            {
                Ok(Signal::Resumed) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Signal::End) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Sends no more than `bytes` bytes of a frame.
    fn send(&mut self, frame: &Frame, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        frame
            .chunks()
            .iter()
            .for_each(|chunk| out.extend_from_slice(chunk));
        out.truncate(bytes);
        self.stream.write_all(out)
    }

    /// Reads and forgets what comes, until one side closes: a peer must not be held up by a full
    /// socket before it runs out of patience.
    fn ignore(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }
}

/// Cuts what is read into frames.
///
/// Memory is taken back and filled again when the frames cut from it have been dropped, so a broker
/// that keeps nothing also allocates nothing.
#[derive(Default)]
struct FrameReader {
    // Invariant: filled <= buffer.len(); what lies behind `filled` is room to read into.
    buffer: BytesMut,
    filled: usize,
}

impl FrameReader {
    /// The next frame without its length; `None` when the peer has closed between two.
    fn next(&mut self, source: &mut impl Read) -> io::Result<Option<Bytes>> {
        if !self.fill(source, LENGTH_BYTES)? {
            return Ok(None);
        }
        let length = [
            self.buffer[0],
            self.buffer[1],
            self.buffer[2],
            self.buffer[3],
        ];
        let length = usize::try_from(i32::from_be_bytes(length))
            .ok()
            .filter(|length| *length <= REQUEST_BYTES_MAX)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no length of a request"))?;
        let size = LENGTH_BYTES + length;
        if !self.fill(source, size)? {
            return Ok(None);
        }
        self.filled -= size;
        Ok(Some(
            self.buffer.split_to(size).freeze().slice(LENGTH_BYTES..),
        ))
    }

    /// Reads until `needed` bytes are there; false if the peer closes before.
    fn fill(&mut self, source: &mut impl Read, needed: usize) -> io::Result<bool> {
        while self.filled < needed {
            // A length from the peer is not believed: memory is taken as bytes arrive.
            let room = (needed - self.filled).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
            if self.buffer.len() < self.filled + room {
                self.buffer.resize(self.filled + room.max(READ_BYTES), 0);
            }
            match source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
