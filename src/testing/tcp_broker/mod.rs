//! A node of the embedded cluster on a loopback port: threads that read requests, pass them to the model, and write its
//! responses.

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
use super::wire::{TcpWire, Wires};
use crate::clock::repeat_limiter::RepeatLimiter;
use crate::clock::{Clock, Deadline, SystemClock};
use crate::protocol::Frame;
use crate::sync::{Condvar, Mutex, MutexGuard, Rank};
use crate::types::NodeId;
use crate::util::log::{self, LogContext};

/// The maximum size of a request (`socket.request.max.bytes`).
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;
/// The read buffer grows in steps of this size.
const READ_BYTES: usize = 256 * 1024;
/// The minimum free space for a read call.
const READ_BYTES_MIN: usize = 64 * 1024;
/// The maximum that is reserved for a request before its bytes have arrived.
const READ_BYTES_MAX: usize = 1024 * 1024;
const LENGTH_BYTES: usize = 4;
/// The backlog of the listening socket.
const BACKLOG: i32 = 128;
/// Back-off of the acceptor after a failed accept: without free file descriptors it would fail in a busy loop.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);
/// The maximum of one wait on the condition variable.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// State shared by all nodes.
#[derive(Debug)]
pub(crate) struct BrokerShared {
    cluster: Mutex<SimCluster>,
    /// Condition variable: a request was processed, a rule was removed, or a test has changed the cluster.
    changed: Condvar,
    pub(crate) connections_accepted: AtomicU64,
    /// How new connections are accepted: plain or TLS.
    pub(crate) wires: Mutex<Wires>,
    clock: SystemClock,
}

impl BrokerShared {
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

    /// Locks the cluster, with its clock advanced to now.
    pub(crate) fn cluster(&self) -> MutexGuard<'_, SimCluster> {
        let mut cluster = self.cluster.lock();
        cluster.pass_time(self.clock.timestamp());
        cluster
    }

    /// Changes the cluster, and wakes the waiters of `wait_for`.
    pub(crate) fn change<T>(&self, how: impl FnOnce(&mut SimCluster) -> T) -> T {
        let changed = how(&mut self.cluster());
        self.changed.notify_all();
        changed
    }

    /// Waits until `answer` returns `Some`, or the timeout passes.
    pub(crate) fn wait_for<T>(
        &self,
        timeout: Duration,
        answer: impl Fn(&mut SimCluster) -> Option<T>,
    ) -> Option<T> {
        let deadline = Deadline::after(self.clock.now(), timeout);
        let mut cluster: MutexGuard<'_, SimCluster> = self.cluster.lock();
        loop {
            cluster.pass_time(self.clock.timestamp());
            if let Some(answer) = answer(&mut cluster) {
                return Some(answer);
            }
            let now = self.clock.now();
            if deadline.is_over(now) {
                return None;
            }
            // Transaction timeouts and delayed markers of the model advance with time alone, without a notification.
            let limit = cluster.next_due().unwrap_or(LONGEST_WAIT);
            let left = deadline.remaining_or(now, limit.min(LONGEST_WAIT));
            self.changed.wait_for(&mut cluster, left);
        }
    }
}

/// A bound port of the loopback interface. It is reserved for the node, and refuses connections until it listens.
#[derive(Debug)]
pub(crate) struct Port(Socket);

impl Port {
    /// Binds a port; 0 lets the system choose one.
    pub(crate) fn take(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        // Connections of the node's previous run may still be in TIME_WAIT. On Windows the option has another meaning
        // (it lets any process share the port), and is not needed.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        Ok(Self(socket))
    }

    /// The port number.
    pub(crate) fn number(&self) -> io::Result<u16> {
        let address = self.0.local_addr()?.as_socket();
        Ok(address.map_or(0, |address| address.port()))
    }

    fn listen(self) -> io::Result<TcpListener> {
        self.0.listen(BACKLOG)?;
        Ok(self.0.into())
    }
}

/// A running node. Dropping it closes its sockets and joins its threads.
#[derive(Debug)]
pub(crate) struct TcpBroker {
    address: SocketAddr,
    connections: Arc<Mutex<Connections>>,
    acceptor: Option<JoinHandle<()>>,
    /// Interrupts the acceptor's back-off.
    signals: Sender<Signal>,
    /// A socket that wakes the acceptor at the end by connecting to the node's port. Created at the start, because
    /// there may be no free file descriptor later.
    last_caller: Socket,
}

/// The connections of one node.
#[derive(Debug, Default)]
struct Connections {
    next: u64,
    /// Whether new connections are refused.
    stopped: bool,
    /// A handle for each open connection, to close it.
    open: BTreeMap<u64, ConnectionHandle>,
    threads: Vec<JoinHandle<()>>,
}

/// The handle by which other threads reach a connection and its thread.
#[derive(Debug)]
struct ConnectionHandle {
    stream: TcpStream,
    signals: Sender<Signal>,
}

/// A message to a connection's thread while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// The connection is closed.
    End,
    /// The node was resumed.
    Resumed,
}

impl TcpBroker {
    /// Starts a node on `port`.
    pub(crate) fn start(node: NodeId, port: Port, shared: Arc<BrokerShared>) -> io::Result<Self> {
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

    /// Its connections, to count or close them without borrowing the broker.
    pub(crate) fn connections(&self) -> OpenConnections {
        OpenConnections(Arc::clone(&self.connections))
    }
}

/// The connections of a broker.
pub(crate) struct OpenConnections(Arc<Mutex<Connections>>);

impl OpenConnections {
    /// The number of open connections.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().open.len()
    }

    /// Closes all connections; new ones are still accepted.
    pub(crate) fn end_all(&self) {
        self.0.lock().shut_down_all();
    }

    /// Wakes the threads that wait for the node to be resumed.
    pub(crate) fn resume_all(&self) {
        self.0.lock().signal_all(Signal::Resumed);
    }
}

impl Connections {
    fn shut_down_all(&self) {
        self.signal_all(Signal::End);
        for connection in self.open.values() {
            // An error means that the peer has closed it: nothing to do.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    fn signal_all(&self, signal: Signal) {
        for connection in self.open.values() {
            // An error means that the thread has ended: nothing to do.
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
        // An error means that the acceptor has already ended.
        let _ = self.signals.send(Signal::End);
        // The acceptor blocks in accept: a connection wakes it, and it sees `stopped`.
        let _ = self.last_caller.connect(&self.address.into());
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        // After the acceptor has ended no thread is added to the list.
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
    shared: Arc<BrokerShared>,
    connections: Arc<Mutex<Connections>>,
}

impl Acceptor {
    fn run(self) {
        self.serve_all(self.listener.incoming(), |time| {
            // A signal only ends the pause: the loop checks `stopped` with the next connection.
            let _ = self.signals.recv_timeout(time);
        });
    }

    /// Accepts connections until the node is stopped.
    fn serve_all(
        &self,
        incoming: impl Iterator<Item = io::Result<TcpStream>>,
        mut pause: impl FnMut(Duration),
    ) {
        let mut failures = RepeatLimiter::default();
        for stream in incoming {
            if self.connections.lock().stopped {
                return;
            }
            // Neither a peer that has gone nor too many open files ends the broker.
            let Err(error) = stream.and_then(|stream| self.serve(stream)) else {
                continue;
            };
            if let Some(suppressed) = failures.happened(self.shared.clock.now()) {
                let log = LogContext::of_test_broker(self.node);
                log::warn!(log, "a connection could not be served: {error}{suppressed}");
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
        let connection = TcpConnection {
            node: self.node,
            id,
            stream,
            signals: received,
            shared: Arc::clone(&self.shared),
            connections: Arc::clone(&self.connections),
            session: SaslSession::new(),
        };
        // Counted before the first response, so that a client with a response finds its connection counted.
        self.shared
            .connections_accepted
            .fetch_add(1, Ordering::Relaxed);
        let thread = thread::Builder::new()
            .name(format!("test-broker-{}-{id}", self.node))
            .spawn(move || connection.run())?;
        // The lock is still held, so the thread cannot remove its entry before it is inserted.
        connections.open.insert(id, handle);
        connections.threads.retain(|thread| !thread.is_finished());
        connections.threads.push(thread);
        // The broker may have been stopped after the check in the acceptor. Its shutdown has then missed this
        // connection.
        if connections.stopped {
            connections.shut_down_all();
        }
        Ok(())
    }
}

/// A connection with its thread: requests are processed and answered in order.
struct TcpConnection {
    node: NodeId,
    id: u64,
    stream: TcpWire,
    signals: Receiver<Signal>,
    shared: Arc<BrokerShared>,
    connections: Arc<Mutex<Connections>>,
    session: SaslSession,
}

impl TcpConnection {
    fn run(mut self) {
        if let Err(error) = self.serve() {
            let log = LogContext::of_test_broker(self.node);
            log::debug!(log, "connection {}: {error}", self.id);
        }
        // The handle in the list duplicates the socket, so dropping ours would not close the connection.
        let _ = self.stream.socket().shutdown(Shutdown::Both);
        self.connections.lock().open.remove(&self.id);
    }

    /// Processes requests until one side closes the connection.
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

    /// The model's plan for a request. Waits while the node hangs; `None` if the connection is closed meanwhile.
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

    /// Waits without a lock. Returns false if the connection is closed before the delay has passed.
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

    /// Sends at most `bytes` bytes of a frame.
    fn send(&mut self, frame: &Frame, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        frame
            .chunks()
            .iter()
            .for_each(|chunk| out.extend_from_slice(chunk));
        out.truncate(bytes);
        self.stream.write_all(out)
    }

    /// Reads and discards until one side closes. Otherwise a full socket would block the peer before its timeout.
    fn ignore(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }
}

/// Splits the received bytes into frames.
///
/// The buffer is reclaimed and reused when the frames sliced from it have been dropped, so a broker that keeps nothing
/// does not allocate.
#[derive(Default)]
struct FrameReader {
    // Invariant: filled <= buffer.len(); the rest of the buffer is free space.
    buffer: BytesMut,
    filled: usize,
}

impl FrameReader {
    /// The next frame without its length field; `None` when the peer has closed between two frames.
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

    /// Reads until `needed` bytes are there. Returns false if the peer closes before.
    fn fill(&mut self, source: &mut impl Read, needed: usize) -> io::Result<bool> {
        while self.filled < needed {
            // The length field is untrusted: the buffer grows as bytes arrive.
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
