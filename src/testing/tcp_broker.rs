//! One node of the embedded cluster on a loopback port: threads that read requests, hand them to the
//! model, and write its answers.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, Socket, Type};

use super::sim::{Answer, SimCluster};
use crate::clock::{Clock, SystemClock};
use crate::sync::{Mutex, Rank};
use crate::types::NodeId;

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

/// What all nodes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster: Mutex<SimCluster>,
    pub(crate) connections_accepted: AtomicU64,
    clock: SystemClock,
}

impl Shared {
    pub(crate) fn new(cluster: SimCluster) -> Self {
        Self {
            cluster: Mutex::new(Rank::LEAF, cluster),
            connections_accepted: AtomicU64::new(0),
            clock: SystemClock::new(),
        }
    }

    fn handle(&self, node: NodeId, frame: &Bytes) -> Answer {
        let now = self.clock.timestamp();
        self.cluster.lock().handle(node, frame, now)
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
}

/// The connections of one node.
#[derive(Debug, Default)]
struct Connections {
    next: u64,
    /// Nothing is accepted any more.
    stopped: bool,
    /// For each connection a handle to end it with.
    open: BTreeMap<u64, TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl TcpBroker {
    /// Serves what comes to `port`.
    pub(crate) fn start(node: NodeId, port: Port, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = port.listen()?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Mutex::new(Rank::LEAF, Connections::default()));
        let acceptor = Acceptor {
            node,
            listener,
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
}

impl Connections {
    fn shut_down_all(&self) {
        for stream in self.open.values() {
            // One that the peer has closed already is what is wanted.
            let _ = stream.shutdown(Shutdown::Both);
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
        // The acceptor waits for a connection: give it one, and it will see that it is over.
        let _ = TcpStream::connect(self.address);
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
    shared: Arc<Shared>,
    connections: Arc<Mutex<Connections>>,
}

impl Acceptor {
    fn run(self) {
        for stream in self.listener.incoming() {
            if self.connections.lock().stopped {
                return;
            }
            // A peer that is gone again, or no more file descriptors: neither ends the broker.
            if let Err(error) = stream.and_then(|stream| self.serve(stream)) {
                log::warn!(
                    "node {}: a connection could not be served: {error}",
                    self.node
                );
            }
        }
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let to_end_it = stream.try_clone()?;
        let mut connections = self.connections.lock();
        let id = connections.next;
        connections.next += 1;
        let connection = Connection {
            node: self.node,
            id,
            stream,
            shared: Arc::clone(&self.shared),
            connections: Arc::clone(&self.connections),
        };
        // Counted before anything is answered on it.
        self.shared
            .connections_accepted
            .fetch_add(1, Ordering::Relaxed);
        let thread = thread::Builder::new()
            .name(format!("test-broker-{}-{id}", self.node))
            .spawn(move || connection.run())?;
        // Still locked: the thread cannot take itself off the list before it is on it.
        connections.open.insert(id, to_end_it);
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
    stream: TcpStream,
    shared: Arc<Shared>,
    connections: Arc<Mutex<Connections>>,
}

impl Connection {
    fn run(mut self) {
        if let Err(error) = self.serve() {
            log::debug!("node {}, connection {}: {error}", self.node, self.id);
        }
        // The list holds a second handle to the socket, so dropping ours would not close it.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.connections.lock().open.remove(&self.id);
    }

    /// Until one side closes.
    fn serve(&mut self) -> io::Result<()> {
        let mut frames = FrameReader::default();
        let mut out = Vec::new();
        while let Some(frame) = frames.next(&mut self.stream)? {
            match self.shared.handle(self.node, &frame) {
                Answer::Reply(reply) => {
                    out.clear();
                    reply
                        .chunks()
                        .iter()
                        .for_each(|chunk| out.extend_from_slice(chunk));
                    self.stream.write_all(&out)?;
                }
                Answer::Silence => {}
                Answer::Close => return Ok(()),
            }
        }
        Ok(())
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
