//! Many non-blocking connections polled by one thread; the only file that names `mio`.
//!
//! The system tells readiness by edges: once, when it changes. Each channel remembers what it was
//! told; those that have something to do without a further event are on a list of work, and as long
//! as that list is not empty a poll looks for events without waiting for them.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};

use super::channel::{KafkaChannel, Readiness, Turn};
use super::selectable::{CloseReason, ConnectionId, PollEvents, Selectable, SendRefused, WakeUp};
use super::transport::{self, Received, Transport};
use crate::clock::{Clock, Deadline, Instant};
use crate::protocol::Frame;
use crate::util::backoff::SHORTEST_BACKOFF;
use crate::util::log;

/// The cap on one response, without its length: no producer request has an answer near it.
///
/// Kafka's Java producer has no cap; librdkafka's `receive.message.max.bytes` has this default.
pub(crate) const MAX_RESPONSE_BYTES: usize = 100 * 1024 * 1024;

/// One read brings at most this. All connections share the memory.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Events fetched by one poll; the rest waits in the kernel for the next.
const EVENTS: usize = 256;

/// The longest wait in one poll: longer ones do not fit into the system call on every platform.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a poll that the system refuses waits instead.
const PAUSE_AFTER_ERROR: Duration = SHORTEST_BACKOFF;

/// The token of the wake-up handle. No connection may have the id that maps to it.
const WAKE: Token = token(ConnectionId::MIN);

/// Whether a read that leaves room in the buffer has emptied the socket. So mio documents it for
/// epoll and kqueue; elsewhere only `WouldBlock` arms the next event.
const SHORT_READ_DRAINS: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
));

/// How connections are made and kept.
#[derive(Debug, Clone)]
pub(crate) struct SelectorOptions {
    /// `send.buffer.bytes`; `None` leaves it to the system.
    pub(crate) send_buffer: Option<usize>,
    /// `receive.buffer.bytes`; `None` leaves it to the system.
    pub(crate) receive_buffer: Option<usize>,
    /// `connections.max.idle.ms`; `None` keeps idle connections.
    pub(crate) connections_max_idle: Option<Duration>,
    /// A larger frame ends its connection as a bad one; [`MAX_RESPONSE_BYTES`] unless told otherwise.
    pub(crate) max_response_bytes: usize,
}

impl Default for SelectorOptions {
    fn default() -> Self {
        Self {
            send_buffer: None,
            receive_buffer: None,
            connections_max_idle: None,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// Connections over TCP.
///
/// # Threads
/// One thread owns it; only [`wake_up`](Selectable::wake_up)'s handle is for others.
/// # Kafka
/// `org.apache.kafka.common.network.Selector`.
pub(crate) struct Selector {
    poll: Poll,
    ready: Events,
    waker: Arc<PollWaker>,
    options: SelectorOptions,
    clock: Arc<dyn Clock>,
    channels: BTreeMap<ConnectionId, KafkaChannel>,
    /// Channels that need a turn in the next poll, each once.
    work: Vec<ConnectionId>,
    /// The list that was worked off last, kept for its memory.
    worked: Vec<ConnectionId>,
    /// No connection is idle for too long before this; the true time may be later.
    next_idle_check: Deadline,
    scratch: Box<[u8]>,
}

impl Selector {
    /// A selector without connections.
    ///
    /// # Errors
    /// The system has no more file descriptors, or none of this kind.
    pub(crate) fn new(options: SelectorOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(PollWaker {
            waker: Waker::new(poll.registry(), WAKE)?,
            has_failed: AtomicBool::new(false),
        });
        Ok(Self {
            poll,
            ready: Events::with_capacity(EVENTS),
            waker,
            options,
            clock,
            channels: BTreeMap::new(),
            work: Vec::new(),
            worked: Vec::new(),
            next_idle_check: Deadline::Never,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        })
    }

    /// How long a poll may wait for events.
    fn wait_limit(&self, timeout: Option<Duration>) -> Duration {
        if !self.work.is_empty() {
            return Duration::ZERO;
        }
        let limit = timeout.unwrap_or(MAX_WAIT).min(MAX_WAIT);
        match self.next_idle_check {
            Deadline::Never => limit,
            check @ Deadline::At(_) => check.remaining_or(self.clock.now(), limit),
        }
    }

    /// Waits for events and gives them to their channels.
    fn gather(&mut self, wait: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.ready, Some(wait)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                // The caller comes back at once, and the poll may fail at once again.
                std::thread::park_timeout(wait.min(PAUSE_AFTER_ERROR));
                return Err(error);
            }
        }
        for event in &self.ready {
            // The waker's token belongs to no channel: its event only ends the wait.
            let id = connection(event.token());
            let Some(channel) = self.channels.get_mut(&id) else {
                continue;
            };
            let failed = event.is_error();
            channel.note(Readiness {
                readable: event.is_readable() || event.is_read_closed() || failed,
                writable: event.is_writable() || event.is_write_closed() || failed,
                input_ends: event.is_read_closed() || failed,
            });
            list(&mut self.work, id, channel);
        }
        Ok(())
    }

    /// Gives each listed channel one turn.
    fn work_off(&mut self, now: Instant, events: &mut PollEvents) {
        std::mem::swap(&mut self.work, &mut self.worked);
        for id in self.worked.drain(..) {
            let Some(channel) = self.channels.get_mut(&id) else {
                continue;
            };
            channel.listed = false;
            channel.last_active = now;
            match channel.turn(&mut self.scratch, events) {
                Turn::Wait => {}
                Turn::Again => list(&mut self.work, id, channel),
                Turn::Ended(reason) => end(&mut self.channels, id, reason, events),
            }
        }
    }

    /// Closes the connection that has been idle for longest, if that is too long.
    fn expire_idle(&mut self, now: Instant, events: &mut PollEvents) {
        let Some(max_idle) = self.options.connections_max_idle else {
            return;
        };
        if !self.next_idle_check.is_over(now) {
            return;
        }
        if let Some((id, idle_until)) = oldest(&self.channels, max_idle) {
            if idle_until.is_over(now) {
                self.work.retain(|listed| *listed != id);
                end(&mut self.channels, id, CloseReason::Idle, events);
            }
        }
        // Only one a poll: if the next one is due too, the next poll will not wait.
        self.next_idle_check =
            oldest(&self.channels, max_idle).map_or(Deadline::Never, |(_, idle_until)| idle_until);
    }
}

impl Selectable for Selector {
    fn connect(&mut self, id: ConnectionId, address: SocketAddr) -> io::Result<()> {
        if token(id) == WAKE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a node's id",
            ));
        }
        if self.channels.contains_key(&id) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("there is a connection to node {id} already"),
            ));
        }
        let (stream, connected) = transport::open(
            address,
            self.options.send_buffer,
            self.options.receive_buffer,
        )?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, token(id), interest)?;

        let now = self.clock.now();
        let max_response = self.options.max_response_bytes;
        let mut channel = KafkaChannel::new(
            id,
            Box::new(Plaintext(stream)),
            connected,
            max_response,
            now,
        );
        if connected {
            list(&mut self.work, id, &mut channel);
        }
        self.channels.insert(id, channel);
        if let Some(max_idle) = self.options.connections_max_idle {
            self.next_idle_check = self.next_idle_check.min(Deadline::after(now, max_idle));
        }
        Ok(())
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(channel) = self.channels.remove(&id) {
            // A new connection of this id must not find the old one's place on the list.
            self.work.retain(|listed| *listed != id);
            channel.close();
        }
    }

    fn is_channel_ready(&self, id: ConnectionId) -> bool {
        self.channels.get(&id).is_some_and(KafkaChannel::is_ready)
    }

    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused> {
        let channel = self
            .channels
            .get_mut(&id)
            .ok_or(SendRefused::NoConnection)?;
        channel.send(frame)?;
        if channel.has_work() {
            list(&mut self.work, id, channel);
        }
        Ok(())
    }

    fn take_completed_send(&mut self, id: ConnectionId) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else {
            return false;
        };
        let sent = channel.take_sent();
        // `send` has just put it at the end of the list, if that was all it had to do.
        if sent && !channel.has_work() && self.work.last() == Some(&id) {
            self.work.pop();
            channel.listed = false;
        }
        sent
    }

    fn is_send_untouched(&self, id: ConnectionId) -> bool {
        let channel = self.channels.get(&id);
        channel.is_some_and(KafkaChannel::is_send_untouched)
    }

    fn withdraw_send(&mut self, id: ConnectionId) -> bool {
        let channel = self.channels.get_mut(&id);
        channel.is_some_and(KafkaChannel::withdraw_send)
    }

    fn mute(&mut self, id: ConnectionId) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.set_muted(true);
        }
    }

    fn unmute(&mut self, id: ConnectionId) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.set_muted(false);
            if channel.has_work() {
                list(&mut self.work, id, channel);
            }
        }
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()> {
        events.clear();
        self.gather(self.wait_limit(timeout))?;
        let now = self.clock.now();
        self.work_off(now, events);
        self.expire_idle(now, events);
        Ok(())
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.waker.clone()
    }

    fn close_all(&mut self) {
        self.work.clear();
        self.next_idle_check = Deadline::Never;
        while let Some((_, channel)) = self.channels.pop_first() {
            channel.close();
        }
    }
}

/// Puts a channel on the list of work, unless it is there.
fn list(work: &mut Vec<ConnectionId>, id: ConnectionId, channel: &mut KafkaChannel) {
    if !channel.listed {
        channel.listed = true;
        work.push(id);
    }
}

/// Removes a channel that ended, and tells so.
fn end(
    channels: &mut BTreeMap<ConnectionId, KafkaChannel>,
    id: ConnectionId,
    reason: CloseReason,
    events: &mut PollEvents,
) {
    if let Some(channel) = channels.remove(&id) {
        // One that came and went in the same poll has not been there.
        events.connected.retain(|connected| *connected != id);
        events.disconnected.push(channel.end(reason));
    }
}

/// The connection that has been idle for longest, and when that is too long.
fn oldest(
    channels: &BTreeMap<ConnectionId, KafkaChannel>,
    max_idle: Duration,
) -> Option<(ConnectionId, Deadline)> {
    channels
        .iter()
        .min_by_key(|(_, channel)| channel.last_active)
        .map(|(id, channel)| (*id, Deadline::after(channel.last_active, max_idle)))
}

const fn token(id: ConnectionId) -> Token {
    Token(id as u32 as usize)
}

const fn connection(token: Token) -> ConnectionId {
    token.0 as u32 as ConnectionId
}

/// The selector's wake-up handle.
#[derive(Debug)]
struct PollWaker {
    waker: Waker,
    /// That it fails was logged.
    has_failed: AtomicBool,
}

impl WakeUp for PollWaker {
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            if self.has_failed.swap(true, Ordering::Relaxed) {
                return;
            }
            // The poll still ends by its timeout.
            log::warn!("could not wake the network thread: {error}");
        }
    }
}

/// A TCP connection as it is.
struct Plaintext(mio::net::TcpStream);

impl Transport for Plaintext {
    fn finish_connect(&mut self) -> io::Result<bool> {
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        match self.0.peer_addr() {
            // A port that nobody listens on may be chosen as our own end's, and then the system
            // connects the socket to itself; a broker could not open that port any more.
            Ok(peer) if peer == self.0.local_addr()? => Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "connected to itself",
            )),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<Received> {
        let len = self.0.read(into)?;
        Ok(Received {
            len,
            drained: SHORT_READ_DRAINS && len < into.len(),
        })
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        transport::send_vectored(&self.0, from)
    }

    fn shutdown(&mut self) {
        // Dropping closes. A shutdown before that would end the connection also for a process that
        // this one was forked from, to which it may belong.
    }
}

#[cfg(test)]
mod tests;
