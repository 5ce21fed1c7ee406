//! The clients' side of the network: a poller and its streams.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::SimNetwork;
use super::world::LinkNumber;
use crate::clock::{Clock, Deadline};
use crate::network::poller::{Poller, Readiness, Received, Stream};
use crate::network::selectable::{ConnectionId, WakeUp};

/// A client of a simulated network.
pub(crate) struct SimPoller {
    network: SimNetwork,
    number: usize,
    /// Whether its waits advance the clock.
    moves_time: bool,
}

impl SimPoller {
    pub(super) fn new(network: SimNetwork, number: usize, moves_time: bool) -> Self {
        Self {
            network,
            number,
            moves_time,
        }
    }
}

impl SimPoller {
    /// The client's number in the network.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

impl Drop for SimPoller {
    fn drop(&mut self) {
        self.network.world.lock().remove_poller(self.number);
    }
}

impl Poller for SimPoller {
    type Stream = SimStream;

    fn open(&mut self, id: ConnectionId, address: SocketAddr) -> io::Result<(SimStream, bool)> {
        let now = self.network.clock.now();
        let mut world = self.network.world.lock();
        let (link, connected) = world.open(self.number, id, address, now)?;
        drop(world);
        let network = self.network.clone();
        Ok((SimStream { network, link }, connected))
    }

    fn wait(
        &mut self,
        timeout: Duration,
        mut ready: impl FnMut(ConnectionId, Readiness),
    ) -> io::Result<()> {
        let deadline = Deadline::after(self.network.clock.now(), timeout);
        loop {
            self.network.do_what_is_due();
            let now = self.network.clock.now();
            let mut world = self.network.world.lock();
            let (events, is_woken) = world.take_events(self.number);
            let is_over = is_woken || !events.is_empty() || deadline.is_over(now);
            if is_over || !self.moves_time {
                world.waits_until(self.number, deadline, !is_over);
                drop(world);
                for (id, readiness) in events {
                    ready(id, readiness);
                }
                return Ok(());
            }
            let next = world.next_event().min(deadline);
            drop(world);
            let Deadline::At(at) = next else {
                panic!("nothing will ever end this wait");
            };
            self.network.clock.advance_to(at);
        }
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        Arc::new(SimWakeUp {
            network: self.network.clone(),
            number: self.number,
        })
    }
}

struct SimWakeUp {
    network: SimNetwork,
    number: usize,
}

impl std::fmt::Debug for SimWakeUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimWakeUp({})", self.number)
    }
}

impl WakeUp for SimWakeUp {
    fn wake(&self) {
        self.network.world.lock().wake(self.number);
    }
}

/// The client's end of a connection.
pub(crate) struct SimStream {
    network: SimNetwork,
    link: LinkNumber,
}

impl Stream for SimStream {
    fn finish_connect(&mut self) -> io::Result<bool> {
        self.network.world.lock().finish_connect(self.link)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<Received> {
        let now = self.network.clock.now();
        self.network.world.lock().read(self.link, into, now)
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let now = self.network.clock.now();
        self.network.world.lock().write(self.link, from, now)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let now = self.network.clock.now();
        self.network.world.lock().close(self.link, now);
    }
}
