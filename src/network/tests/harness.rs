//! One simulated run: a selector, a few connections, and the invariants that are checked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::authenticator::AuthPlan;
use super::parts::{Builder, Cipher, Plan, Plans, Planted};
use super::peer::{ANSWER, CLOSE, Log, RESET, TestPeer, request, response};
use super::plant::Plant;
use super::tally::Tally;
use super::transport::Probe;
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline, Instant};
use crate::network::endpoint::Endpoint;
use crate::network::metrics::SelectorMetrics;
use crate::network::selectable::{
    CloseReason, ConnectionId, Disconnected, PollEvents, Selectable, SendRefused,
};
use crate::network::selector::{Selector, SelectorOptions};
use crate::protocol::{Frame, FrameBuilder};
use crate::sync::{Mutex, Rank};
use crate::testing::sim::network::{Answers, Directions, NetworkProfile, SimNetwork};

/// Idle timeout.
const MAX_IDLE: Duration = Duration::from_secs(20);
/// Limit of connection attempts.
const MAX_ATTEMPTS: usize = 30;
/// Limit of consecutive polls without events while no time passes: more are a busy loop.
const MAX_IDLE_POLLS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Down(Instant),
    Connecting,
    Authenticating,
    Up,
}

struct Connection {
    address: SocketAddr,
    host: Arc<str>,
    standing: Standing,
    plan: Option<Plan>,
    attempts: usize,
    /// Number of requests not sent yet.
    left: usize,
    largest: usize,
    /// The request that is queued and not reported as sent yet.
    writing: Option<u32>,
    /// Number and content of each request without a response, oldest first.
    unanswered: VecDeque<(u32, Bytes)>,
    /// Number of the client's frames that were written in full to the transport of the current connection.
    given: usize,
    /// Whether re-authentication is in progress.
    is_reauthenticating: bool,
    /// Whether the network drops all bytes of the connection, so that no response can arrive.
    is_silent: bool,
}

impl Connection {
    fn is_done(&self) -> bool {
        let is_over = self.left == 0 && self.unanswered.is_empty() && self.writing.is_none();
        is_over || self.attempts >= MAX_ATTEMPTS && matches!(self.standing, Standing::Down(_))
    }

    fn has_something_to_wait_for(&self) -> bool {
        self.writing.is_some()
            || !self.unanswered.is_empty()
            || matches!(
                self.standing,
                Standing::Connecting | Standing::Authenticating
            )
    }
}

struct Run {
    network: SimNetwork,
    clock: Arc<MockClock>,
    random: fastrand::Rng,
    selector: Selector<Planted>,
    plans: Plans,
    connections: Vec<Connection>,
    log: Arc<Log>,
    events: PollEvents,
    last_number: u32,
    max_in_flight: usize,
    /// Requests that were never sent: it is an error if a broker has received one.
    never_sent: BTreeSet<u32>,
    /// Requests that a broker must have received.
    answered: BTreeSet<u32>,
    tally: Tally,
}

type Checked = Result<(), String>;

/// Runs one seed. Returns the coverage counters; if an invariant is violated, the error describes it.
pub(super) fn run(seed: u64, plant: Plant, cipher: &Cipher) -> Result<Tally, String> {
    let mut run = Run::new(seed, plant, cipher);
    let mut idle_polls = 0;
    while !run.connections.iter().all(Connection::is_done) {
        let before = run.clock.now();
        run.act()?;
        run.poll_once()?;
        if run.clock.now() > before || !run.events.is_empty() {
            idle_polls = 0;
        } else {
            idle_polls += 1;
        }
        if idle_polls > MAX_IDLE_POLLS {
            return Err(format!("busy loop: {}", run.describe()));
        }
    }
    run.finish()?;
    Ok(run.tally)
}

impl Run {
    fn new(seed: u64, plant: Plant, cipher: &Cipher) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = Arc::new(MockClock::new());
        let profile = NetworkProfile::of_seed(&mut random);
        let capacity = profile.capacity;
        let network = SimNetwork::new(Arc::clone(&clock), profile, random.u64(..));
        let log = Log::new();
        let plans = Arc::new(Mutex::new(Rank::LEAF, BTreeMap::new()));
        let mut connections = Vec::new();
        for id in 0..random.u8(1..5) {
            let address = SocketAddr::from(([10, 0, 0, id], 9092));
            let (log, mut seed) = (Arc::clone(&log), random.u64(..));
            let cipher = cipher.clone();
            let accept = move || {
                seed += 1;
                Box::new(TestPeer::new(Arc::clone(&log), address, seed, &cipher)) as _
            };
            network.listen(address, Box::new(accept));
            connections.push(Connection {
                address,
                host: format!("broker-{id}").into(),
                standing: Standing::Down(clock.now()),
                plan: None,
                attempts: 0,
                left: random.usize(1..20),
                largest: (capacity * 20).min(1 << random.u32(0..16)),
                writing: None,
                unanswered: VecDeque::new(),
                given: 0,
                is_reauthenticating: false,
                is_silent: false,
            });
        }
        let poller = Planted {
            poller: network.poller(),
            plant,
            random: random.fork(),
        };
        let builder = Builder {
            plans: Arc::clone(&plans),
            plant,
            cipher: cipher.clone(),
        };
        let options = SelectorOptions {
            connections_max_idle: Some(MAX_IDLE),
            ..SelectorOptions::default()
        };
        let metrics = SelectorMetrics::for_tests(clock.clone());
        let selector = Selector::new(poller, Box::new(builder), options, clock.clone(), metrics);
        let max_in_flight = random.usize(1..6);
        Self {
            network,
            clock,
            random,
            selector,
            plans,
            connections,
            log,
            events: PollEvents::default(),
            last_number: 0,
            max_in_flight,
            never_sent: BTreeSet::new(),
            answered: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    /// One random action of the client, of a broker or of the network.
    fn act(&mut self) -> Checked {
        for at in 0..self.connections.len() {
            match self.connections[at].standing {
                Standing::Down(until) if until <= self.clock.now() => self.connect(at),
                Standing::Up => self.send(at)?,
                _ => {}
            }
        }
        if self.random.u16(0..1000) == 0 {
            let at = self.random.usize(0..self.connections.len());
            self.break_something(at);
        }
        Ok(())
    }

    fn connect(&mut self, at: usize) {
        let connection = &self.connections[at];
        if connection.is_done() || connection.attempts >= MAX_ATTEMPTS {
            return;
        }
        // The last attempts succeed.
        let is_late = connection.attempts + 10 > MAX_ATTEMPTS;
        let answers = match self.random.u8(0..20) {
            _ if is_late => Answers::Accepts,
            0 => Answers::Never,
            1 => Answers::Refuses,
            _ => Answers::Accepts,
        };
        let plan = self.plan(is_late);
        let connection = &mut self.connections[at];
        self.network.answer(connection.address, answers);
        connection.attempts += 1;
        connection.is_silent = answers == Answers::Never;
        connection.given = 0;
        connection.is_reauthenticating = false;
        connection.plan = Some(plan.clone());
        self.plans.lock().insert(Arc::clone(&connection.host), plan);
        let endpoint = Endpoint {
            host: Arc::clone(&connection.host),
            address: connection.address,
        };
        if self.selector.connect(at as ConnectionId, endpoint).is_ok() {
            connection.standing = Standing::Connecting;
        } else {
            self.tally.connects_failed += 1;
            connection.standing = Standing::Down(self.clock.now() + Duration::from_millis(50));
        }
    }

    fn plan(&mut self, is_late: bool) -> Plan {
        let random = &mut self.random;
        let ms = |random: &mut fastrand::Rng, most: u64| Duration::from_millis(random.u64(0..most));
        let is_refused = !is_late && random.u8(0..20) == 0;
        let refused_in = match random.u8(0..10) {
            0 | 1 if !is_late => Some(random.u8(0..3)),
            _ => None,
        };
        let session = random.bool() || refused_in.is_some_and(|exchange| exchange > 0);
        Plan {
            hellos: if is_refused { 2 } else { random.u8(0..4) },
            is_refused,
            auth: AuthPlan {
                rounds: random.u8(1..4),
                is_last_unanswered: refused_in.is_none() && random.u8(0..4) == 0,
                refused_in,
                pause: random.bool().then(|| ms(random, 500)),
                session: session.then(|| ms(random, 300)),
            },
            seed: random.u64(..),
            probe: Probe::new(),
        }
    }

    fn send(&mut self, at: usize) -> Checked {
        let id = at as ConnectionId;
        if self.connections[at].writing.is_some() && self.random.u8(0..20) == 0 {
            self.withdraw(at)?;
        }
        if !self.wants_to_send(&self.connections[at]) || self.random.u8(0..3) == 0 {
            return Ok(());
        }
        if !self.selector.is_channel_ready(id) {
            // The last write may have failed; the next poll reports it.
            return Ok(());
        }
        let connection = &mut self.connections[at];
        self.last_number += 1;
        let number = self.last_number;
        let action = match self.random.u8(0..80) {
            0 => CLOSE,
            1 => RESET,
            _ => ANSWER,
        };
        let body = request(
            number,
            action,
            self.random.usize(0..connection.largest.max(1)),
        );
        if let Err(refused) = self.selector.send(id, in_pieces(&body, &mut self.random)) {
            return Err(format!("{refused:?} of a channel that is ready"));
        }
        let again = self.selector.send(id, in_pieces(&body, &mut self.random));
        if again != Err(SendRefused::Busy) {
            return Err(format!("a second frame was accepted: {again:?}"));
        }
        connection.left -= 1;
        connection.writing = Some(number);
        connection.unanswered.push_back((number, body));
        if self.random.bool() && self.selector.take_completed_send(id) {
            self.tally.sent_at_once += 1;
            self.sent(at)?;
        }
        Ok(())
    }

    fn wants_to_send(&self, connection: &Connection) -> bool {
        connection.left > 0
            && connection.writing.is_none()
            && connection.unanswered.len() < self.max_in_flight
    }

    fn withdraw(&mut self, at: usize) -> Checked {
        let untouched = self.is_untouched(at);
        let id = at as ConnectionId;
        let reported = self.selector.is_send_untouched(id);
        if self.selector.withdraw_send(id) != reported {
            return Err("an untouched frame was not withdrawn".into());
        }
        if reported != untouched {
            return Err(format!("untouched: {untouched}, reported as {reported}"));
        }
        if reported {
            let connection = &mut self.connections[at];
            let number = connection.writing.take();
            self.never_sent.extend(number);
            connection.unanswered.pop_back();
            connection.left += 1;
            self.tally.withdrawn += 1;
        }
        Ok(())
    }

    /// Whether a frame is queued of which the transport has taken no byte.
    fn is_untouched(&self, at: usize) -> bool {
        let connection = &self.connections[at];
        let facts = connection.plan.as_ref().map(|plan| plan.probe.facts());
        let facts = facts.unwrap_or_default();
        connection.writing.is_some()
            && facts.client_frames == connection.given
            && !facts.has_part_of_clients()
    }

    /// Handles the report that the queued frame was written in full.
    fn sent(&mut self, at: usize) -> Checked {
        let connection = &mut self.connections[at];
        let Some(number) = connection.writing.take() else {
            return Err(format!("{at} reports a frame that was never queued"));
        };
        connection.given += 1;
        let facts = connection.plan.as_ref().map(|plan| plan.probe.facts());
        let facts = facts.unwrap_or_default();
        if facts.client_frames != connection.given || !facts.is_flushed() {
            return Err(format!(
                "{number} is reported as sent and is not: {facts:?}"
            ));
        }
        Ok(())
    }

    fn break_something(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        if connection.attempts + 10 > MAX_ATTEMPTS {
            return;
        }
        match self.random.u8(0..4) {
            0 => self.network.cut(connection.address),
            1 => {
                self.network.silence(connection.address, Directions::BOTH);
                connection.is_silent = true;
            }
            2 if self.standing(at) != 0 => {
                self.selector.close(at as ConnectionId);
                self.down(at);
            }
            _ => self.selector.wake_up().wake(),
        }
    }

    fn standing(&self, at: usize) -> u8 {
        u8::from(!matches!(self.connections[at].standing, Standing::Down(_)))
    }

    /// Handles the end of a connection: its unanswered requests are lost.
    fn down(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        self.tally.lost += connection.unanswered.len();
        connection.unanswered.clear();
        connection.writing = None;
        connection.standing = Standing::Down(self.clock.now() + Duration::from_millis(50));
    }

    fn poll_once(&mut self) -> Checked {
        let timeout = match self.random.u8(0..4) {
            0 => Duration::ZERO,
            1 => Duration::from_millis(self.random.u64(0..5)),
            _ => self.until_a_retry(),
        };
        let mut events = std::mem::take(&mut self.events);
        let polled = self.selector.poll(Some(timeout), &mut events);
        polled.map_err(|error| error.to_string())?;
        let checked = self.check(&events);
        self.events = events;
        checked
    }

    fn until_a_retry(&self) -> Duration {
        let now = self.clock.now();
        let next = self
            .connections
            .iter()
            .filter_map(|connection| match connection.standing {
                // Whether a frame is sent is drawn again after each poll.
                Standing::Up if self.wants_to_send(connection) => Some(now),
                Standing::Down(until) if !connection.is_done() => Some(until),
                _ => None,
            });
        let next = next.min().map_or(Deadline::Never, Deadline::At);
        next.remaining_or(now, Duration::from_secs(3600))
    }

    fn check(&mut self, events: &PollEvents) -> Checked {
        for &id in &events.completed_sends {
            self.sent(id as usize)?;
        }
        for (id, body) in &events.completed_receives {
            self.received(*id as usize, body)?;
        }
        for &id in &events.authenticating {
            let standing = &mut self.connections[id as usize].standing;
            if *standing != Standing::Connecting {
                return Err(format!("{id} authenticates, but is {standing:?}"));
            }
            *standing = Standing::Authenticating;
        }
        for &id in &events.connected {
            let standing = &mut self.connections[id as usize].standing;
            if !matches!(*standing, Standing::Connecting | Standing::Authenticating) {
                return Err(format!("{id} is connected, but was {standing:?}"));
            }
            *standing = Standing::Up;
            self.tally.connected += 1;
        }
        for &id in &events.authenticating_again {
            let connection = &mut self.connections[id as usize];
            if connection.standing != Standing::Up || connection.is_reauthenticating {
                return Err(format!(
                    "{id} authenticates again, but is {:?}",
                    connection.standing
                ));
            }
            connection.is_reauthenticating = true;
            self.tally.reauthenticating += 1;
        }
        for &id in &events.authenticated_again {
            let connection = &mut self.connections[id as usize];
            if !std::mem::take(&mut connection.is_reauthenticating) {
                return Err(format!("{id} has not started re-authentication"));
            }
        }
        for ended in &events.disconnected {
            self.disconnected(ended)?;
        }
        for (id, connection) in (0..).zip(&self.connections) {
            let is_up = connection.standing == Standing::Up;
            if is_up && connection.is_reauthenticating && self.selector.is_channel_ready(id) {
                return Err(format!("{id} is ready, and no event has reported it"));
            }
        }
        let wrong = self.log.look(|seen| seen.wrong.pop());
        wrong.map_or(Ok(()), Err)
    }

    fn received(&mut self, at: usize, body: &Bytes) -> Checked {
        let connection = &mut self.connections[at];
        let Some((number, request)) = connection.unanswered.pop_front() else {
            return Err(format!("{at} got an unexpected response: {body:?}"));
        };
        if *body != response(&request) {
            let got = &body[..body.len().min(20)];
            return Err(format!("{number} was answered with {got:?}"));
        }
        self.answered.insert(number);
        self.tally.answered += 1;
        // The response may arrive before the poll that reports the request as sent.
        Ok(())
    }

    fn disconnected(&mut self, ended: &Disconnected) -> Checked {
        let at = ended.id as usize;
        let untouched = self.is_untouched(at);
        let connection = &self.connections[at];
        let Some(plan) = &connection.plan else {
            return Err(format!("{at} was never connected"));
        };
        if !plan.probe.facts().is_shut_down {
            return Err(format!("{at} was not shut down"));
        }
        match &ended.reason {
            CloseReason::Idle
                if !connection.is_silent && connection.has_something_to_wait_for() =>
            {
                return Err(format!("stalled: {}", self.describe()));
            }
            CloseReason::Idle => self.tally.idle_after_fault += usize::from(connection.is_silent),
            CloseReason::AuthenticationFailed(why) => match &**why {
                "unknown certificate" if plan.is_refused => self.tally.refused_by_transport += 1,
                why if plan.is_refused && why.contains("is not valid for") => {
                    self.tally.refused_by_transport += 1;
                }
                "who are you?" => match plan.auth.refused_in {
                    Some(0) => self.tally.refused_by_authenticator += 1,
                    Some(_) => self.tally.refused_again += 1,
                    None => return Err("refused, though no refusal was planned".into()),
                },
                other => return Err(format!("refused for {other}")),
            },
            CloseReason::ConnectFailed(_) => self.tally.connects_failed += 1,
            CloseReason::BadFrame(why) => return Err(format!("a bad frame: {why}")),
            // The connection was lost during a pause.
            CloseReason::AuthenticationInterrupted(why)
                if why.starts_with("while the client waited for") => {}
            CloseReason::AuthenticationInterrupted(why) => {
                return Err(format!("interrupted: {why}"));
            }
            CloseReason::ClosedByPeer | CloseReason::Io(_) => {}
        }
        if ended.last_frame_untouched != untouched {
            let reported = ended.last_frame_untouched;
            return Err(format!("untouched: {untouched}, reported as {reported}"));
        }
        if untouched {
            self.tally.untouched += 1;
            self.never_sent.extend(connection.writing);
        }
        let facts = plan.probe.facts();
        let rounds = usize::from(plan.auth.rounds);
        self.tally.authenticated_again += (facts.auth_frames / rounds).saturating_sub(1);
        self.down(at);
        Ok(())
    }

    /// Final checks, once no request is outstanding: nothing more may happen, and the brokers must have received
    /// exactly the requests that were sent.
    fn finish(&mut self) -> Checked {
        let end = self.clock.now() + MAX_IDLE / 2;
        let mut polls = 0;
        while self.clock.now() < end {
            let mut events = std::mem::take(&mut self.events);
            let left = end - self.clock.now();
            let polled = self.selector.poll(Some(left), &mut events);
            polled.map_err(|error| error.to_string())?;
            let checked = self.check(&events);
            self.events = events;
            checked?;
            polls += 1;
            if polls > 100 * MAX_IDLE_POLLS {
                return Err(format!("busy loop at the end: {}", self.describe()));
            }
        }
        for connection in &self.connections {
            let address = connection.address;
            let numbers = self
                .log
                .look(|seen| seen.requests.remove(&address).unwrap_or_default());
            if !numbers.is_sorted_by(|a, b| a < b) {
                return Err(format!("{address} has received {numbers:?}"));
            }
            if let Some(number) = numbers.iter().find(|n| self.never_sent.contains(n)) {
                return Err(format!(
                    "{number} was never sent, but {address} has received it"
                ));
            }
            self.answered.retain(|number| !numbers.contains(number));
            let open = self.log.look(|seen| seen.keys_open.get(&address).copied());
            let (_, open) = open.unwrap_or_default();
            if connection.standing == Standing::Up && !connection.is_silent && open > 0 {
                return Err(format!(
                    "{address} waits for {open} acknowledgements of key updates"
                ));
            }
        }
        if !self.answered.is_empty() {
            return Err(format!("no broker has received {:?}", self.answered));
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let connections = self.connections.iter().map(|connection| {
            let facts = connection.plan.as_ref().map(|plan| plan.probe.facts());
            let facts = facts.map(|mut facts| {
                facts.part.truncate(8);
                facts
            });
            format!(
                "{} is {:?}, {} left, writing {:?}, {} unanswered, attempt {}; {facts:?}\n",
                connection.host,
                connection.standing,
                connection.left,
                connection.writing,
                connection.unanswered.len(),
                connection.attempts,
            )
        });
        connections.collect()
    }
}

/// A frame of several chunks.
fn in_pieces(body: &Bytes, random: &mut fastrand::Rng) -> Frame {
    let mut builder = FrameBuilder::with_capacity(0, 8);
    let mut rest = body.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(random.usize(1..=rest.len()));
        builder.put_shared(piece);
    }
    builder.finish().unwrap()
}
