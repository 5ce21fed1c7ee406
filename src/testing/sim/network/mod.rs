//! A network in memory: connections that are slow, split what they carry, and break, all by one seed and on
//! one clock that nobody waits for.
//!
//! Any number of clients and servers share one [`SimNetwork`] on one thread. Clients see it as a [`Poller`]
//! and its streams, exactly as they see the system's sockets; servers are values that are given bytes
//! ([`SimPeer`]) and say what is to be sent back, at once or later; they may ask to be called, and the
//! simulation may call all that stand at an address.
//!
//! | file | what is in it |
//! |---|---|
//! | `network` | what a simulation does with it: listen, break, let time pass |
//! | `poller` | the clients' side |
//! | `world` | what happens, and when |
//! | `happening` | what can happen |
//! | `link` | one connection: bytes on the way, bytes that have come |
//!
//! Readiness is told by edges, as strictly as the contract of [`Poller`] allows: between two events that say
//! "readable" lies a read that found nothing, or said that nothing is left. So a bit that is forgotten is a
//! connection that stands still.

mod happening;
mod link;
mod poller;
#[cfg(test)]
mod tests;
mod world;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::happening::PeerActions;
pub(crate) use self::poller::SimPoller;
#[cfg(test)]
pub(crate) use self::poller::SimStream;
use self::world::NetworkWorld;
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline};
use crate::sync::{Mutex, Rank};

/// What the network does without being told.
#[derive(Debug, Clone)]
pub(crate) struct NetworkProfile {
    /// How long making a connection takes, in microseconds.
    pub(crate) connect_us: RangeInclusive<u64>,
    /// How long each piece is on its way, in microseconds. Pieces of one direction keep their order.
    pub(crate) latency_us: RangeInclusive<u64>,
    /// Bytes that one direction of a connection holds before its writer has to wait.
    pub(crate) capacity: usize,
    /// Reads and writes take less than they could.
    pub(crate) splits: bool,
    /// A read that empties a stream says so, as on Linux; otherwise only the next one does.
    pub(crate) short_read_drains: bool,
    /// Of 100 waits, so many tell of something that is not so.
    pub(crate) spurious_percent: u8,
    /// Of 100 connections, so many stand at once.
    pub(crate) at_once_percent: u8,
}

impl NetworkProfile {
    /// One that does everything that it may, as a seed has it.
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

/// What a server says of new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Accepts,
    Refuses,
    /// Nothing at all, as behind a firewall.
    Never,
}

/// What of a connection is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Directions {
    /// To the server.
    pub(crate) up: bool,
    /// To the client.
    pub(crate) down: bool,
}

impl Directions {
    pub(crate) const BOTH: Self = Self {
        up: true,
        down: true,
    };
}

/// The server's end of one connection.
pub(crate) trait SimPeer: Send {
    /// Bytes have come, wherever they are split.
    fn receive(&mut self, bytes: &[u8], actions: &mut PeerActions);

    /// It asked for it ([`PeerActions::call`]), or the simulation did ([`SimNetwork::call_peers`]).
    fn called(&mut self, _actions: &mut PeerActions) {}

    /// Whether it takes bytes. While it does not they wait, and take up the room that its client has. Asked with the
    /// network's lock held, as is [`is_done`](Self::is_done).
    fn reads(&self) -> bool {
        true
    }

    /// The connection is over: nothing comes any more, and nothing that it sends arrives.
    fn ended(&mut self, _how: ConnectionEnd<'_>, _actions: &mut PeerActions) {}

    /// Asked once the connection is over: whether it will do no more.
    fn is_done(&self) -> bool {
        true
    }
}

/// How a connection came to its end, as its server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEnd<'a> {
    /// The client closed it; these are the last bytes, which had come and were not read.
    Closed(&'a [u8]),
    /// It broke: what had come and was not read is lost.
    Broken,
}

/// Makes a server's end for each connection.
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

    /// A server at an address.
    pub(crate) fn listen(&self, address: SocketAddr, accept: Accept) {
        self.world.lock().listen(address, accept);
    }

    /// An address where nobody is, which not even says no.
    pub(crate) fn nobody_answers_at(&self, address: SocketAddr) {
        self.world.lock().nobody_answers_at(address);
    }

    /// What the server at an address says of new connections from now on.
    pub(crate) fn answer(&self, address: SocketAddr, answers: Answers) {
        self.world.lock().answer(address, answers);
    }

    /// Breaks all connections to an address: both ends find out some time later.
    pub(crate) fn cut(&self, address: SocketAddr) {
        self.world.lock().cut(address, self.clock.now());
    }

    /// Nothing comes through any more on the connections to an address that there are, in the directions that are
    /// said, and nobody is told. It is kept, not lost: [`speak`](Self::speak) lets it go on, late as it is.
    pub(crate) fn silence(&self, address: SocketAddr, directions: Directions) {
        self.world.lock().silence(address, directions);
    }

    /// The end of all silence at an address, also that with which it met new connections.
    pub(crate) fn speak(&self, address: SocketAddr) {
        self.world.lock().speak(address, self.clock.now());
    }

    /// All that is sent from now on to and from an address takes so much longer.
    pub(crate) fn slow_down(&self, address: SocketAddr, by: Duration) {
        self.world.lock().slow_down(address, by);
    }

    /// The servers at an address are called.
    pub(crate) fn call_peers(&self, address: SocketAddr) {
        self.world.lock().call_peers(address, self.clock.now());
    }

    /// The servers at an address are gone, with all that they had in mind. Their clients find out some time later.
    pub(crate) fn end_peers(&self, address: SocketAddr) {
        self.world.lock().end_peers(address, self.clock.now());
    }

    /// How many things were decided so far that happen later.
    #[cfg(test)]
    pub(crate) fn events_decided(&self) -> u64 {
        self.world.lock().events_decided()
    }

    /// Connections that somebody may still hear of.
    #[cfg(test)]
    pub(crate) fn links(&self) -> usize {
        self.world.lock().links()
    }

    /// When something happens next.
    pub(crate) fn next_event(&self) -> Deadline {
        self.world.lock().next_event()
    }

    /// A client whose waits let time pass: up to what happens next, or to their time limit.
    pub(crate) fn poller(&self) -> SimPoller {
        self.new_poller(true)
    }

    /// One of several clients. Its waits let no time pass and come back at once;
    /// [`pass_time`](Self::pass_time) does that when all of them have waited.
    pub(crate) fn stepped_poller(&self) -> SimPoller {
        self.new_poller(false)
    }

    /// Whether the last wait of a stepped client had nothing to tell and time left: a thread would be in it still.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn is_client_parked(&self, client: usize) -> bool {
        self.world.lock().is_client_parked(client)
    }

    /// Whether a thread that waits in its place would come back now.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn is_client_due(&self, client: usize) -> bool {
        self.world.lock().is_client_due(client, self.clock.now())
    }

    /// The end of its wait.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn client_waits_until(&self, client: usize) -> Deadline {
        self.world.lock().client_waits_until(client)
    }

    fn new_poller(&self, moves_time: bool) -> SimPoller {
        let number = self.world.lock().add_poller();
        SimPoller::new(self.clone(), number, moves_time)
    }

    /// Lets time pass until one of the stepped clients has something to do (an event, a wake-up, or the end
    /// of its wait), but not beyond `until`: something else may be due then, such as the end of a call.
    /// False: nothing will ever happen again.
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

    /// Does what should have happened by now.
    pub(crate) fn do_what_is_due(&self) {
        loop {
            let now = self.clock.now();
            // Servers are asked with no lock held: they may use other locks.
            let mut next = self.world.lock().next_call(now);
            if next.is_none() {
                return;
            }
            while let Some(mut call) = next {
                call.make();
                next = self.world.lock().take_back(call, now);
            }
        }
    }
}

/// So many microseconds.
const fn micros(us: u64) -> Duration {
    Duration::from_micros(us)
}
