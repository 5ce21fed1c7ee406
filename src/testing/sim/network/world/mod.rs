//! Event queue of the network: scheduling and processing of events.

mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::link::{Link, LinkState, PipeEnd};
use super::link_event::{Action, LinkEvent, Over, Passes, PeerActions};
use super::{Accept, Answers, ConnectionEnd, Directions, NetworkProfile, SimPeer, micros};
use crate::clock::{Deadline, Instant};
use crate::network::poller::Readiness;
use crate::network::selectable::ConnectionId;

pub(super) type LinkNumber = u64;

/// The largest piece that travels as one.
const LARGEST_PIECE: usize = 64 * 1024;

struct Listener {
    answers: Answers,
    /// `None` during its call.
    accept: Option<Accept>,
    extra_latency: Duration,
}

#[derive(Debug, Default)]
struct Client {
    /// Events for the next wait.
    events: BTreeMap<ConnectionId, Readiness>,
    /// The client's connections.
    ids: BTreeSet<ConnectionId>,
    is_woken: bool,
    waits_until: Option<Deadline>,
    /// Whether its last wait returned no events before its time limit.
    is_parked: bool,
}

impl Client {
    /// Whether a thread in the client's wait would return now.
    fn is_due(&self, now: Instant) -> bool {
        let waits_until = self.waits_until.unwrap_or(Deadline::At(now));
        self.is_woken || !self.events.is_empty() || waits_until.is_over(now)
    }
}

/// A call of a server.
pub(super) struct PeerCall {
    link: LinkNumber,
    kind: PeerCallKind,
    actions: PeerActions,
}

enum PeerCallKind {
    Accept(SocketAddr, Accept, Option<Box<dyn SimPeer>>),
    Receive(Box<dyn SimPeer>, Bytes),
    Call(Box<dyn SimPeer>),
    /// With the bytes that had arrived but were not read; `None` for a reset connection.
    Ended(Box<dyn SimPeer>, Option<Bytes>),
}

impl PeerCall {
    pub(super) fn make(&mut self) {
        match &mut self.kind {
            PeerCallKind::Accept(_, accept, peer) => *peer = Some(accept()),
            PeerCallKind::Receive(peer, bytes) => peer.receive(bytes, &mut self.actions),
            PeerCallKind::Call(peer) => peer.called(&mut self.actions),
            PeerCallKind::Ended(peer, rest) => {
                let how = rest
                    .as_deref()
                    .map_or(ConnectionEnd::Broken, ConnectionEnd::Closed);
                peer.ended(how, &mut self.actions);
            }
        }
    }
}

pub(super) struct NetworkWorld {
    profile: NetworkProfile,
    random: fastrand::Rng,
    listeners: BTreeMap<SocketAddr, Listener>,
    /// Present clients by number.
    clients: BTreeMap<usize, Client>,
    last_client: usize,
    links: BTreeMap<LinkNumber, Link>,
    last_link: LinkNumber,
    /// Scheduled events by time; events of the same time are in the order of scheduling.
    to_come: BTreeMap<(Instant, u64), (LinkNumber, LinkEvent)>,
    decided: u64,
}

impl NetworkWorld {
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

    // Interface for simulations.

    pub(super) fn listen(&mut self, address: SocketAddr, accept: Accept) {
        let listener = Listener {
            answers: Answers::Accepts,
            accept: Some(accept),
            extra_latency: Duration::ZERO,
        };
        self.listeners.insert(address, listener);
    }

    pub(super) fn add_unreachable_address(&mut self, address: SocketAddr) {
        let listener = Listener {
            answers: Answers::Never,
            accept: None,
            extra_latency: Duration::ZERO,
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
                self.after_latency(number, LinkEvent::Breaks, now);
                self.after_latency(number, LinkEvent::EndReachesPeer(Over::Broken), now);
            }
        }
    }

    pub(super) fn silence(&mut self, address: SocketAddr, directions: Directions) {
        for link in self.links.values_mut().filter(|it| it.address == address) {
            link.up.is_silent |= directions.up;
            link.down.is_silent |= directions.down;
        }
    }

    pub(super) fn speak(&mut self, address: SocketAddr, now: Instant) {
        for number in self.links_to(address) {
            let latency = self.latency(number);
            let Some(link) = self.links.get_mut(&number) else {
                continue;
            };
            let mut goes_on = Vec::new();
            for pipe in [&mut link.up, &mut link.down] {
                pipe.is_silent = false;
                if pipe.held_back.is_empty() {
                    continue;
                }
                let at = (now + latency).max(pipe.last_arrival);
                pipe.last_arrival = at;
                goes_on.extend(pipe.held_back.drain(..).map(|what| (what, at)));
            }
            for (what, at) in goes_on {
                self.decide(number, what, at);
            }
        }
    }

    pub(super) fn slow_down(&mut self, address: SocketAddr, by: Duration) {
        if let Some(listener) = self.listeners.get_mut(&address) {
            listener.extra_latency = by;
        }
        for link in self.links.values_mut().filter(|it| it.address == address) {
            link.extra_latency = by;
        }
    }

    pub(super) fn call_peers(&mut self, address: SocketAddr, now: Instant) {
        for number in self.links_to(address) {
            self.decide_act(number, Action::Call, now);
        }
    }

    pub(super) fn end_peers(&mut self, address: SocketAddr, now: Instant) {
        for number in self.links_to(address) {
            let Some(link) = self.links.get_mut(&number) else {
                continue;
            };
            link.peer = None;
            link.is_peer_gone = true;
            link.is_end_reported = true;
            if link.state == LinkState::Open {
                self.after_latency(number, LinkEvent::Breaks, now);
            }
            self.remove_if_over(number);
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

    #[cfg(test)]
    pub(super) fn links(&self) -> usize {
        self.links.len()
    }

    #[cfg(test)]
    pub(super) fn events_decided(&self) -> u64 {
        self.decided
    }

    fn decide(&mut self, link: LinkNumber, what: LinkEvent, at: Instant) {
        self.decided += 1;
        self.to_come.insert((at, self.decided), (link, what));
    }

    fn decide_act(&mut self, number: LinkNumber, action: Action, at: Instant) {
        if let Some(link) = self.links.get_mut(&number) {
            link.pending_actions += 1;
            self.decide(number, LinkEvent::PeerActs(action), at);
        }
    }

    /// Latency of the next piece of a connection.
    fn latency(&mut self, link: LinkNumber) -> Duration {
        let latency = micros(self.random.u64(self.profile.latency_us.clone()));
        let extra = self.links.get(&link).map(|link| link.extra_latency);
        latency + extra.unwrap_or_default()
    }

    fn after_latency(&mut self, link: LinkNumber, what: LinkEvent, now: Instant) {
        let at = now + self.latency(link);
        self.decide(link, what, at);
    }

    // Clients.

    pub(super) fn add_poller(&mut self) -> usize {
        self.last_client += 1;
        self.clients.insert(self.last_client, Client::default());
        self.last_client
    }

    /// Removes a client. From now on time passes without its waits.
    pub(super) fn remove_poller(&mut self, client: usize) {
        self.clients.remove(&client);
    }

    pub(super) fn wake(&mut self, client: usize) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.is_woken = true;
        }
    }

    pub(super) fn waits_until(&mut self, client: usize, deadline: Deadline, is_parked: bool) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.waits_until = Some(deadline);
            client.is_parked = is_parked;
        }
    }

    pub(super) fn is_client_parked(&self, client: usize) -> bool {
        self.clients
            .get(&client)
            .is_some_and(|client| client.is_parked)
    }

    pub(super) fn is_client_due(&self, client: usize, now: Instant) -> bool {
        self.clients
            .get(&client)
            .is_some_and(|client| client.is_due(now))
    }

    pub(super) fn client_waits_until(&self, client: usize) -> Deadline {
        let client = self.clients.get(&client);
        client
            .and_then(|client| client.waits_until)
            .unwrap_or(Deadline::Never)
    }

    pub(super) fn is_any_client_due(&self, now: Instant) -> bool {
        let mut clients = self.clients.values();
        clients.any(|client| client.is_due(now))
    }

    pub(super) fn first_end_of_a_wait(&self) -> Deadline {
        let clients = self.clients.values();
        let ends = clients.filter_map(|client| client.waits_until);
        ends.min().unwrap_or(Deadline::Never)
    }

    /// The events of a wait, and whether the client was woken. Some events may be left for a later wait.
    pub(super) fn take_events(&mut self, client: usize) -> (Vec<(ConnectionId, Readiness)>, bool) {
        self.add_spurious_event(client);
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
        let mut taken = Vec::new();
        while events.len() > keep {
            let at = self.random.usize(0..events.len());
            if let Some(id) = events.keys().nth(at).copied() {
                taken.extend(events.remove_entry(&id));
            }
        }
        (taken, is_woken)
    }

    fn add_spurious_event(&mut self, client: usize) {
        if self.random.u8(0..100) >= self.profile.spurious_percent {
            return;
        }
        let Some(Client { ids, .. }) = self.clients.get(&client) else {
            return;
        };
        if ids.is_empty() {
            return;
        }
        let at = self.random.usize(0..ids.len());
        if let Some(id) = ids.iter().nth(at).copied() {
            let event = Readiness {
                readable: self.random.bool(),
                writable: self.random.bool(),
                input_ends: false,
            };
            self.notify_client(client, id, event);
        }
    }

    fn notify_client_of(&mut self, number: LinkNumber, event: Readiness) {
        let Some(link) = self.links.get(&number) else {
            return;
        };
        if !link.is_client_gone {
            let (client, id) = (link.poller, link.id);
            self.notify_client(client, id, event);
        }
    }

    fn notify_client(&mut self, client: usize, id: ConnectionId, event: Readiness) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.events.entry(id).or_default().note(event);
        }
    }

    // Transport.

    /// Schedules the arrival of the last piece put in flight.
    fn travel(&mut self, number: LinkNumber, is_up: bool, now: Instant) {
        let latency = self.latency(number);
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        let (pipe, what) = if is_up {
            (&mut link.up, LinkEvent::ReachesPeer)
        } else {
            (&mut link.down, LinkEvent::ReachesClient)
        };
        let at = (now + latency).max(pipe.last_arrival);
        pipe.last_arrival = at;
        self.decide(number, what, at);
    }

    /// Puts queued bytes in flight to the client, as far as they fit.
    fn send_on(&mut self, number: LinkNumber, now: Instant) {
        loop {
            let capacity = self.profile.capacity;
            let Some(link) = self.links.get_mut(&number) else {
                return;
            };
            let down = &mut link.down;
            let most = down.room(capacity, down.queued.len()).min(LARGEST_PIECE);
            if most == 0 {
                break;
            }
            let len = if self.profile.splits && self.random.bool() {
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
        if link.down.end == PipeEnd::Closed && link.down.queued.is_empty() {
            link.down.end = PipeEnd::InFlight;
            let at = link.down.last_arrival.max(now);
            self.decide(number, LinkEvent::EndReachesClient, at);
        }
    }

    // Events.

    /// Processes due events until a server has to be called.
    pub(super) fn next_call(&mut self, now: Instant) -> Option<PeerCall> {
        while let Some(first) = self.to_come.first_entry() {
            if first.key().0 > now {
                return None;
            }
            let ((at, _), (number, what)) = first.remove_entry();
            let kind = self.happens(number, what, at);
            if let Some(kind) = kind {
                return Some(PeerCall {
                    link: number,
                    kind,
                    actions: PeerActions::default(),
                });
            }
        }
        None
    }

    fn happens(
        &mut self,
        number: LinkNumber,
        what: LinkEvent,
        now: Instant,
    ) -> Option<PeerCallKind> {
        let link = self.links.get_mut(&number)?;
        let passes = what.passes();
        for (pipe, direction) in [(&mut link.up, Passes::Up), (&mut link.down, Passes::Down)] {
            if pipe.is_silent && (passes == direction || passes == Passes::Both) {
                pipe.held_back.push(what);
                return None;
            }
        }
        match what {
            LinkEvent::Established { is_immediate } => {
                return self.established(number, is_immediate, now);
            }
            LinkEvent::Refused => {
                link.state = LinkState::Refused;
                self.notify_client_of(number, ALL);
            }
            LinkEvent::ReachesPeer => {
                let piece = link.up.arrive()?;
                if link.state != LinkState::Open {
                    return None;
                }
                if link.is_peer_gone {
                    self.after_latency(number, LinkEvent::Breaks, now);
                    return None;
                }
                if link.peer.as_ref().is_some_and(|peer| !peer.reads()) {
                    link.up.arrived.extend_from_slice(&piece);
                    return None;
                }
                let peer = link.peer.take()?;
                self.unblock_writer(number, now);
                return Some(PeerCallKind::Receive(peer, piece));
            }
            LinkEvent::ReachesClient => {
                let piece = link.down.arrive()?;
                if link.state != LinkState::Open {
                    return None;
                }
                link.down.arrived.extend_from_slice(&piece);
                if std::mem::take(&mut link.is_readable_armed) {
                    self.notify_client_of(number, READABLE);
                }
            }
            LinkEvent::EndReachesClient => {
                if link.state == LinkState::Open {
                    link.down.end = PipeEnd::Arrived;
                    let event = Readiness {
                        input_ends: true,
                        ..READABLE
                    };
                    self.notify_client_of(number, event);
                }
            }
            LinkEvent::RoomForClient => self.notify_client_of(number, WRITABLE),
            LinkEvent::PeerActs(action) => {
                link.pending_actions -= 1;
                if matches!(action, Action::Call) {
                    return Some(PeerCallKind::Call(link.peer.take()?));
                }
                self.peer_acts(number, action, now);
            }
            LinkEvent::Breaks => {
                link.state = LinkState::Broken;
                if self.random.bool() {
                    link.down.arrived.clear();
                }
                self.notify_client_of(number, ALL);
            }
            LinkEvent::EndReachesPeer(over) => {
                link.is_peer_gone = true;
                let was_reported = std::mem::replace(&mut link.is_end_reported, true);
                if let Some(peer) = link.peer.take_if(|_| !was_reported) {
                    let rest = std::mem::take(&mut link.up.arrived).freeze();
                    let rest = matches!(over, Over::Closed).then_some(rest);
                    return Some(PeerCallKind::Ended(peer, rest));
                }
                self.remove_if_over(number);
            }
        }
        None
    }

    /// A connection attempt reaches the server.
    fn established(
        &mut self,
        number: LinkNumber,
        is_immediate: bool,
        now: Instant,
    ) -> Option<PeerCallKind> {
        let link = self.links.get_mut(&number)?;
        if link.is_client_gone && !is_immediate {
            return None;
        }
        let address = link.address;
        let listener = self.listeners.get_mut(&address);
        match listener.as_ref().map(|listener| listener.answers) {
            Some(Answers::Accepts) => {}
            Some(Answers::Never) if !is_immediate => {
                link.hold_at_missing_host(LinkEvent::Established { is_immediate });
                return None;
            }
            _ if is_immediate => {
                self.decide(number, LinkEvent::Breaks, now);
                return None;
            }
            _ => {
                self.decide(number, LinkEvent::Refused, now);
                return None;
            }
        }
        let accept = listener?.accept.take()?;
        link.state = LinkState::Open;
        if !is_immediate {
            self.notify_client_of(number, WRITABLE);
        }
        Some(PeerCallKind::Accept(address, accept, None))
    }

    /// Tells a blocked client, after a latency, that the server has read.
    fn unblock_writer(&mut self, number: LinkNumber, now: Instant) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        if std::mem::take(&mut link.up.is_writer_blocked) {
            self.after_latency(number, LinkEvent::RoomForClient, now);
        }
    }

    /// Removes a connection once both ends know that it is over.
    fn remove_if_over(&mut self, number: LinkNumber) {
        let link = self.links.get(&number);
        if link.is_some_and(|it| it.is_client_gone && it.is_end_reported && it.peer.is_none()) {
            self.links.remove(&number);
        }
    }

    fn peer_acts(&mut self, number: LinkNumber, action: Action, now: Instant) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        if link.is_peer_gone {
            return;
        }
        match action {
            Action::Call => {}
            Action::Send(bytes) => link.down.queued.extend_from_slice(&bytes),
            Action::Close => {
                link.down.end = PipeEnd::Closed;
                link.is_peer_gone = true;
            }
            Action::Reset => {
                link.is_peer_gone = true;
                self.after_latency(number, LinkEvent::Breaks, now);
            }
        }
        self.send_on(number, now);
    }

    /// Takes a server back after its call, and schedules its actions. Returns another call if one is needed at once.
    pub(super) fn take_peer_back(&mut self, call: PeerCall, now: Instant) -> Option<PeerCall> {
        let number = call.link;
        let peer = match call.kind {
            PeerCallKind::Accept(address, accept, peer) => {
                if let Some(listener) = self.listeners.get_mut(&address) {
                    listener.accept = Some(accept);
                }
                peer
            }
            PeerCallKind::Receive(peer, _)
            | PeerCallKind::Call(peer)
            | PeerCallKind::Ended(peer, _) => Some(peer),
        };
        let link = self.links.get_mut(&number)?;
        link.peer = peer.filter(|peer| !link.is_end_reported || !peer.is_done());
        for (delay, action) in call.actions.actions {
            let link = self.links.get_mut(&number)?;
            let at = (now + delay).max(link.peer_busy_until);
            link.peer_busy_until = at;
            // Most responses are sent without delay: performing them directly saves an event each.
            if at <= now && link.pending_actions == 0 && !matches!(action, Action::Call) {
                self.peer_acts(number, action, now);
            } else {
                self.decide_act(number, action, at);
            }
        }
        self.remove_if_over(number);
        self.read_on(number, now).map(|kind| PeerCall {
            link: number,
            kind,
            actions: PeerActions::default(),
        })
    }

    /// Passes waiting bytes to a server that reads again.
    fn read_on(&mut self, number: LinkNumber, now: Instant) -> Option<PeerCallKind> {
        let link = self.links.get_mut(&number)?;
        let has_some = !link.up.arrived.is_empty() && !link.is_peer_gone;
        let peer = link.peer.take_if(|peer| has_some && peer.reads())?;
        let bytes = link.up.arrived.split().freeze();
        self.unblock_writer(number, now);
        Some(PeerCallKind::Receive(peer, bytes))
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
