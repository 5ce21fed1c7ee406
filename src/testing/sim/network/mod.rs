//! Simulated network in memory: connections with latency, short reads and writes, and resets. It is deterministic for a
//! seed, and uses a mock clock.
//!
//! Any number of clients and servers share one [`SimNetwork`] on one thread. Clients see it as a [`Poller`] with
//! streams, as they see the system's sockets. Servers are values that receive bytes ([`SimPeer`]) and request what to
//! send back, at once or later; they may ask to be called later, and the simulation may call all servers at an address.
//!
//! | file | contents |
//! |---|---|
//! | `network` | interface for simulations: listen, inject faults, advance time |
//! | `poller` | the clients' side |
//! | `world` | the event queue and its processing |
//! | `link_event` | the events |
//! | `link` | one connection |
//!
//! Readiness is edge-triggered, as strictly as the contract of [`Poller`] allows: between two "readable" events there
//! is a read that found nothing or reported the stream as drained. A client that loses a readiness flag therefore
//! stalls its connection.

mod link;
mod link_event;
mod poller;
#[cfg(test)]
mod tests;
mod world;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::link_event::PeerActions;
pub(crate) use self::poller::SimPoller;
#[cfg(test)]
pub(crate) use self::poller::SimStream;
use self::world::NetworkWorld;
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline};
use crate::sync::{Mutex, Rank};

/// Properties of the network while no fault is injected.
#[derive(Debug, Clone)]
pub(crate) struct NetworkProfile {
    /// Time to establish a connection, in microseconds.
    pub(crate) connect_us: RangeInclusive<u64>,
    /// Latency of each piece, in microseconds. The pieces of one direction keep their order.
    pub(crate) latency_us: RangeInclusive<u64>,
    /// Buffer size of one direction of a connection, in bytes; a full one blocks its writer.
    pub(crate) capacity: usize,
    /// Whether reads and writes are short: they transfer fewer bytes than they could.
    pub(crate) splits: bool,
    /// If true, a read that empties a stream reports it as drained, as on Linux; if false, only the next read does.
    pub(crate) short_read_drains: bool,
    /// Percentage of waits with spurious events.
    pub(crate) spurious_percent: u8,
    /// Percentage of connections that are established at once.
    pub(crate) at_once_percent: u8,
}

impl NetworkProfile {
    /// A random profile, in which each property varies.
    pub(crate) fn of_seed(random: &mut fastrand::Rng) -> Self {
        let slowest = 1 << random.u32(0..18);
        Self {
            connect_us: 0..=1 << random.u32(0..18),
            latency_us: slowest / 4..=slowest,
            capacity: 1 << random.u32(4..17),
            splits: random.bool(),
            short_read_drains: random.bool(),
            spurious_percent: if random.bool() { 10 } else { 0 },
            at_once_percent: random.u8(0..50),
        }
    }
}

/// How a server responds to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Accepts,
    Refuses,
    /// No response, as behind a firewall.
    Never,
}

/// Directions of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Directions {
    /// Client to server.
    pub(crate) up: bool,
    /// Server to client.
    pub(crate) down: bool,
}

impl Directions {
    pub(crate) const BOTH: Self = Self {
        up: true,
        down: true,
    };
}

/// The server's end of a connection.
pub(crate) trait SimPeer: Send {
    /// Receives bytes, in pieces of any size.
    fn receive(&mut self, bytes: &[u8], actions: &mut PeerActions);

    /// Called on its own request ([`PeerActions::call`]), or by the simulation ([`SimNetwork::call_peers`]).
    fn called(&mut self, _actions: &mut PeerActions) {}

    /// Whether the server reads. While it does not, arriving bytes wait and occupy the client's buffer space. Called
    /// under the network's lock, as is [`is_done`](Self::is_done).
    fn reads(&self) -> bool {
        true
    }

    /// The connection has ended: nothing more arrives in either direction.
    fn ended(&mut self, _how: ConnectionEnd<'_>, _actions: &mut PeerActions) {}

    /// Whether the server will do nothing more. Called after the end of the connection.
    fn is_done(&self) -> bool {
        true
    }
}

/// How a connection ended, as its server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEnd<'a> {
    /// The client closed it; these are the last bytes, which had arrived and were not read.
    Closed(&'a [u8]),
    /// It was reset: bytes that had arrived and were not read are lost.
    Broken,
}

/// Creates the server's end of each connection.
pub(crate) type Accept = Box<dyn FnMut() -> Box<dyn SimPeer> + Send>;

/// A simulated network. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct SimNetwork {
    world: Arc<Mutex<NetworkWorld>>,
    clock: Arc<MockClock>,
}

impl SimNetwork {
    pub(crate) fn new(clock: Arc<MockClock>, profile: NetworkProfile, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self {
            world: Arc::new(Mutex::new(Rank::LEAF, NetworkWorld::new(profile, random))),
            clock,
        }
    }

    /// Adds a server at an address.
    pub(crate) fn listen(&self, address: SocketAddr, accept: Accept) {
        self.world.lock().listen(address, accept);
    }

    /// Adds an address without a host, where connection attempts get no response.
    pub(crate) fn add_unreachable_address(&self, address: SocketAddr) {
        self.world.lock().add_unreachable_address(address);
    }

    /// Changes how an address responds to new connections.
    pub(crate) fn answer(&self, address: SocketAddr, answers: Answers) {
        self.world.lock().answer(address, answers);
    }

    /// Resets all connections to an address. Both ends notice it some time later.
    pub(crate) fn cut(&self, address: SocketAddr) {
        self.world.lock().cut(address, self.clock.now());
    }

    /// Holds back everything on the present connections to an address, in these directions, without any notice. Nothing
    /// is lost: [`speak`](Self::speak) delivers it late.
    pub(crate) fn silence(&self, address: SocketAddr, directions: Directions) {
        self.world.lock().silence(address, directions);
    }

    /// Ends all silence at an address, also for connection attempts without a response.
    pub(crate) fn speak(&self, address: SocketAddr) {
        self.world.lock().speak(address, self.clock.now());
    }

    /// Adds latency to everything that is sent to and from an address from now on.
    pub(crate) fn slow_down(&self, address: SocketAddr, by: Duration) {
        self.world.lock().slow_down(address, by);
    }

    /// Calls the servers of all connections to an address.
    pub(crate) fn call_peers(&self, address: SocketAddr) {
        self.world.lock().call_peers(address, self.clock.now());
    }

    /// Removes the servers of all connections to an address, with their requested actions. Their clients notice it some
    /// time later.
    pub(crate) fn end_peers(&self, address: SocketAddr) {
        self.world.lock().end_peers(address, self.clock.now());
    }

    /// Number of events scheduled so far.
    #[cfg(test)]
    pub(crate) fn events_decided(&self) -> u64 {
        self.world.lock().events_decided()
    }

    /// Number of connections that are not removed yet.
    #[cfg(test)]
    pub(crate) fn links(&self) -> usize {
        self.world.lock().links()
    }

    /// The time of the next event.
    pub(crate) fn next_event(&self) -> Deadline {
        self.world.lock().next_event()
    }

    /// A client whose waits advance the clock to the next event, or to their time limit.
    pub(crate) fn poller(&self) -> SimPoller {
        self.new_poller(true)
    }

    /// One of several clients. Its waits return at once and do not advance the clock: [`pass_time`](Self::pass_time)
    /// advances it when all clients have waited.
    pub(crate) fn stepped_poller(&self) -> SimPoller {
        self.new_poller(false)
    }

    /// Whether the last wait of a stepped client returned no events before its time limit, so that a thread would still
    /// be waiting.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn is_client_parked(&self, client: usize) -> bool {
        self.world.lock().is_client_parked(client)
    }

    /// Whether a thread in this client's wait would return now.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn is_client_due(&self, client: usize) -> bool {
        self.world.lock().is_client_due(client, self.clock.now())
    }

    /// The time limit of this client's wait.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn client_waits_until(&self, client: usize) -> Deadline {
        self.world.lock().client_waits_until(client)
    }

    fn new_poller(&self, moves_time: bool) -> SimPoller {
        let number = self.world.lock().add_poller();
        SimPoller::new(self.clone(), number, moves_time)
    }

    /// Advances the clock until one of the stepped clients has something to do (an event, a wake-up, or the end of its
    /// wait), but not beyond `until`, when something else may be due, such as the end of a call. Returns false if no
    /// event and no time limit is left to wait for.
    pub(crate) fn pass_time(&self, until: Deadline) -> bool {
        loop {
            self.do_what_is_due();
            let next = {
                let world = self.world.lock();
                let now = self.clock.now();
                if world.is_any_client_due(now) || until.is_over(now) {
                    return true;
                }
                let next = world.next_event().min(world.first_end_of_a_wait());
                next.min(until)
            };
            let Deadline::At(at) = next else {
                return false;
            };
            self.clock.advance_to(at);
        }
    }

    /// Processes the events that are due.
    pub(crate) fn do_what_is_due(&self) {
        loop {
            let now = self.clock.now();
            // Servers are called without the network's lock: they may take other locks.
            let mut next = self.world.lock().next_call(now);
            if next.is_none() {
                return;
            }
            while let Some(mut call) = next {
                call.make();
                next = self.world.lock().take_peer_back(call, now);
            }
        }
    }
}

/// A duration in microseconds.
const fn micros(us: u64) -> Duration {
    Duration::from_micros(us)
}
