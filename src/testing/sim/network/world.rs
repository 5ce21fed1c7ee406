//! What happens in the network, and when.

mod streams;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use super::link::{Action, Link, LinkState, PeerActions};
use super::{Accept, Answers, NetworkProfile, SimPeer, micros};
use crate::clock::{Deadline, Instant};
use crate::network::poller::Readiness;
use crate::network::selectable::ConnectionId;

pub(super) type LinkNumber = u64;

/// The longest piece that travels as one.
const LARGEST_PIECE: usize = 64 * 1024;

struct Listener {
    answers: Answers,
    /// None while it is being asked.
    accept: Option<Accept>,
}

#[derive(Debug, Default)]
struct Client {
    /// What the next wait tells.
    events: BTreeMap<ConnectionId, Readiness>,
    is_woken: bool,
    waits_until: Option<Deadline>,
}

#[derive(Debug)]
enum Happening {
    /// A connection stands.
    Established {
        is_told: bool,
    },
    /// The server says no.
    Refused,
    /// The first piece on the way to the server is there, and the server reads it.
    ReachesPeer,
    /// The first piece on the way to the client is there.
    ReachesClient,
    /// The client finds that the server sends no more.
    EndReachesClient,
    /// There is room again for a client that had to wait.
    RoomForClient,
    PeerActs(Action),
    /// The connection breaks for the client.
    Breaks,
    /// The server finds that the connection is over.
    PeerIsTold,
}

/// A question to a server.
pub(super) struct PeerCall {
    link: LinkNumber,
    ask: Ask,
    actions: PeerActions,
}

enum Ask {
    Accept(SocketAddr, Accept, Option<Box<dyn SimPeer>>),
    Receive(Box<dyn SimPeer>, Bytes),
    Ended(Box<dyn SimPeer>),
}

impl PeerCall {
    pub(super) fn make(&mut self) {
        match &mut self.ask {
            Ask::Accept(_, accept, peer) => *peer = Some(accept()),
            Ask::Receive(peer, bytes) => peer.receive(bytes, &mut self.actions),
            Ask::Ended(peer) => peer.ended(),
        }
    }
}

pub(super) struct World {
    profile: NetworkProfile,
    random: fastrand::Rng,
    listeners: BTreeMap<SocketAddr, Listener>,
    /// By their numbers: those that are there still.
    clients: BTreeMap<usize, Client>,
    last_client: usize,
    links: BTreeMap<LinkNumber, Link>,
    last_link: LinkNumber,
    /// By time, and of one time in the order in which they were decided.
    to_come: BTreeMap<(Instant, u64), (LinkNumber, Happening)>,
    decided: u64,
}

impl World {
    pub(super) fn new(profile: NetworkProfile, random: fastrand::Rng) -> Self {
        Self {
            profile,
            random,
            listeners: BTreeMap::new(),
            clients: BTreeMap::new(),
            last_client: 0,
            links: BTreeMap::new(),
            last_link: 0,
            to_come: BTreeMap::new(),
            decided: 0,
        }
    }

    // What a simulation does.

    pub(super) fn listen(&mut self, address: SocketAddr, accept: Accept) {
        let listener = Listener {
            answers: Answers::Accepts,
            accept: Some(accept),
        };
        self.listeners.insert(address, listener);
    }

    pub(super) fn answer(&mut self, address: SocketAddr, answers: Answers) {
        if let Some(listener) = self.listeners.get_mut(&address) {
            listener.answers = answers;
        }
    }

    pub(super) fn cut(&mut self, address: SocketAddr, now: Instant) {
        for number in self.links_to(address) {
            if self.links[&number].state == LinkState::Open {
                self.after_latency(number, Happening::Breaks, now);
                self.after_latency(number, Happening::PeerIsTold, now);
            }
        }
    }

    pub(super) fn silence(&mut self, address: SocketAddr) {
        for link in self.links.values_mut() {
            link.is_silent |= link.address == address;
        }
    }

    fn links_to(&self, address: SocketAddr) -> Vec<LinkNumber> {
        let links = self.links.iter();
        links
            .filter(|(_, link)| link.address == address)
            .map(|(number, _)| *number)
            .collect()
    }

    // Time.

    pub(super) fn next_event(&self) -> Deadline {
        let next = self.to_come.keys().next();
        next.map_or(Deadline::Never, |(at, _)| Deadline::At(*at))
    }

    fn decide(&mut self, link: LinkNumber, what: Happening, at: Instant) {
        self.decided += 1;
        self.to_come.insert((at, self.decided), (link, what));
    }

    fn after_latency(&mut self, link: LinkNumber, what: Happening, now: Instant) {
        let at = now + micros(self.random.u64(self.profile.latency_us.clone()));
        self.decide(link, what, at);
    }

    // Clients.

    pub(super) fn add_poller(&mut self) -> usize {
        self.last_client += 1;
        self.clients.insert(self.last_client, Client::default());
        self.last_client
    }

    /// Nobody waits for it any more.
    pub(super) fn remove_poller(&mut self, client: usize) {
        self.clients.remove(&client);
    }

    pub(super) fn wake(&mut self, client: usize) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.is_woken = true;
        }
    }

    pub(super) fn waits_until(&mut self, client: usize, deadline: Deadline) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.waits_until = Some(deadline);
        }
    }

    pub(super) fn is_any_client_due(&self, now: Instant) -> bool {
        let mut clients = self.clients.values();
        clients.any(|client| {
            let waits_until = client.waits_until.unwrap_or(Deadline::At(now));
            client.is_woken || !client.events.is_empty() || waits_until.is_over(now)
        })
    }

    pub(super) fn first_end_of_a_wait(&self) -> Deadline {
        let clients = self.clients.values();
        let ends = clients.filter_map(|client| client.waits_until);
        ends.min().unwrap_or(Deadline::Never)
    }

    /// What a wait tells, and whether it was woken. Not always all that there is.
    pub(super) fn take_events(&mut self, client: usize) -> (Vec<(ConnectionId, Readiness)>, bool) {
        self.make_something_up(client);
        let Some(Client {
            events, is_woken, ..
        }) = self.clients.get_mut(&client)
        else {
            return (Vec::new(), false);
        };
        let is_woken = std::mem::take(is_woken);
        let keep = if events.len() > 1 && self.random.bool() {
            self.random.usize(0..events.len())
        } else {
            0
        };
        let mut told = Vec::new();
        while events.len() > keep {
            let at = self.random.usize(0..events.len());
            if let Some(id) = events.keys().nth(at).copied() {
                told.extend(events.remove_entry(&id));
            }
        }
        (told, is_woken)
    }

    fn make_something_up(&mut self, client: usize) {
        if self.random.u8(0..100) >= self.profile.spurious_percent {
            return;
        }
        let links = self.links.values();
        let ids: Vec<ConnectionId> = links
            .filter(|link| link.poller == client && !link.is_client_gone)
            .map(|link| link.id)
            .collect();
        if let Some(id) = self.random.choice(ids) {
            let event = Readiness {
                readable: self.random.bool(),
                writable: self.random.bool(),
                input_ends: false,
            };
            self.tell_client(client, id, event);
        }
    }

    fn tell(&mut self, number: LinkNumber, event: Readiness) {
        let Some(link) = self.links.get(&number) else {
            return;
        };
        if !link.is_client_gone && !link.is_silent {
            let (client, id) = (link.poller, link.id);
            self.tell_client(client, id, event);
        }
    }

    fn tell_client(&mut self, client: usize, id: ConnectionId, event: Readiness) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.events.entry(id).or_default().note(event);
        }
    }

    // What travels.

    /// The last piece that was put on the way gets its time.
    fn travel(&mut self, number: LinkNumber, is_up: bool, now: Instant) {
        let latency = micros(self.random.u64(self.profile.latency_us.clone()));
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        let (pipe, what) = if is_up {
            (&mut link.up, Happening::ReachesPeer)
        } else {
            (&mut link.down, Happening::ReachesClient)
        };
        let at = (now + latency).max(pipe.last_arrival);
        pipe.last_arrival = at;
        self.decide(number, what, at);
    }

    /// Puts on the way to the client what there is room for.
    fn send_on(&mut self, number: LinkNumber, now: Instant) {
        loop {
            let capacity = self.profile.capacity;
            let Some(link) = self.links.get_mut(&number) else {
                return;
            };
            let down = &mut link.down;
            let room = capacity.saturating_sub(down.held()).min(LARGEST_PIECE);
            let most = room.min(down.queued.len());
            if most == 0 {
                break;
            }
            let len = if self.profile.splits {
                self.random.usize(1..=most)
            } else {
                most
            };
            let piece = down.queued.split_to(len).freeze();
            down.set_off(piece);
            self.travel(number, false, now);
        }
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        if link.down.ends && link.down.queued.is_empty() {
            link.down.ends = false;
            let at = link.down.last_arrival.max(now);
            self.decide(number, Happening::EndReachesClient, at);
        }
    }

    // What happens.

    /// Does what is due, until a server is to be asked.
    pub(super) fn next_call(&mut self, now: Instant) -> Option<PeerCall> {
        while let Some(first) = self.to_come.first_entry() {
            if first.key().0 > now {
                return None;
            }
            let ((at, _), (number, what)) = first.remove_entry();
            let ask = self.happens(number, what, at);
            if let Some(ask) = ask {
                return Some(PeerCall {
                    link: number,
                    ask,
                    actions: PeerActions::default(),
                });
            }
        }
        None
    }

    fn happens(&mut self, number: LinkNumber, what: Happening, now: Instant) -> Option<Ask> {
        let link = self.links.get_mut(&number)?;
        match what {
            Happening::Established { is_told } => {
                if link.is_silent || link.is_client_gone && !is_told {
                    return None;
                }
                link.state = LinkState::Open;
                let address = link.address;
                if !is_told {
                    self.tell(number, WRITABLE);
                }
                let accept = self.listeners.get_mut(&address)?.accept.take()?;
                return Some(Ask::Accept(address, accept, None));
            }
            Happening::Refused => {
                link.state = LinkState::Refused;
                self.tell(number, ALL);
            }
            Happening::ReachesPeer => {
                let piece = link.up.arrive()?;
                if std::mem::take(&mut link.up.is_writer_blocked) {
                    self.after_latency(number, Happening::RoomForClient, now);
                }
                let link = self.links.get_mut(&number)?;
                if link.is_silent || link.state != LinkState::Open {
                    return None;
                }
                if link.is_peer_gone {
                    self.after_latency(number, Happening::Breaks, now);
                    return None;
                }
                return Some(Ask::Receive(link.peer.take()?, piece));
            }
            Happening::ReachesClient => {
                let piece = link.down.arrive()?;
                if link.is_silent || link.state != LinkState::Open {
                    return None;
                }
                link.down.arrived.extend_from_slice(&piece);
                if std::mem::take(&mut link.tells_readable) {
                    self.tell(number, READABLE);
                }
            }
            Happening::EndReachesClient => {
                if link.state == LinkState::Open {
                    link.down.has_ended = true;
                    let event = Readiness {
                        input_ends: true,
                        ..READABLE
                    };
                    self.tell(number, event);
                }
            }
            Happening::RoomForClient => self.tell(number, WRITABLE),
            Happening::PeerActs(action) => self.peer_acts(number, action, now),
            Happening::Breaks => {
                link.state = LinkState::Broken;
                if self.random.bool() {
                    link.down.arrived.clear();
                }
                self.tell(number, ALL);
            }
            Happening::PeerIsTold => {
                link.is_peer_gone = true;
                let peer = link.peer.take();
                if link.is_client_gone {
                    self.links.remove(&number);
                }
                return peer.map(Ask::Ended);
            }
        }
        None
    }

    fn peer_acts(&mut self, number: LinkNumber, action: Action, now: Instant) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        if link.is_peer_gone {
            return;
        }
        match action {
            Action::Send(bytes) => link.down.queued.extend_from_slice(&bytes),
            Action::Close => {
                link.down.ends = true;
                link.is_peer_gone = true;
            }
            Action::Reset => {
                link.is_peer_gone = true;
                self.after_latency(number, Happening::Breaks, now);
            }
        }
        self.send_on(number, now);
    }

    /// The server has answered: what it wants to be done is decided.
    pub(super) fn take_back(&mut self, call: PeerCall, now: Instant) {
        let number = call.link;
        let peer = match call.ask {
            Ask::Accept(address, accept, peer) => {
                if let Some(listener) = self.listeners.get_mut(&address) {
                    listener.accept = Some(accept);
                }
                peer
            }
            Ask::Receive(peer, _) => Some(peer),
            Ask::Ended(_) => None,
        };
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        link.peer = peer;
        for (delay, action) in call.actions.actions {
            let Some(link) = self.links.get_mut(&number) else {
                return;
            };
            let at = (now + delay).max(link.peer_busy_until);
            link.peer_busy_until = at;
            self.decide(number, Happening::PeerActs(action), at);
        }
    }
}

const READABLE: Readiness = Readiness {
    readable: true,
    writable: false,
    input_ends: false,
};
const WRITABLE: Readiness = Readiness {
    readable: false,
    writable: true,
    input_ends: false,
};
const ALL: Readiness = Readiness {
    readable: true,
    writable: true,
    input_ends: true,
};
