//! Connections of a [`SimCluster`] on the simulated network: the counterpart of `tcp_broker`, which uses sockets.
//!
//! As with real brokers, a connection processes one request at a time. While a response is delayed or the node hangs,
//! nothing more is read, so the client's writes fill the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::journal::{BrokerEvent, BrokerNews};
use super::network::{Accept, ConnectionEnd, PeerActions, SimPeer};
use super::reply::Then;
use super::sasl::SaslSession;
#[cfg(feature = "tls-no-provider")]
use super::tls::TlsListener;
use super::wire::Wire;
use super::{Answer, Plan, SimCluster};
use crate::clock::mock::MockClock;
use crate::clock::{Clock, Instant};
use crate::protocol::Frame;
use crate::sync::{Mutex, Rank};
use crate::testing::script::AndThen;
use crate::types::NodeId;

const LENGTH_BYTES: usize = 4;
/// A broker's `socket.request.max.bytes`.
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// A cluster with its clock. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Carrier {
    carried: Arc<Mutex<Carried>>,
    clock: Arc<MockClock>,
    start: Instant,
}

struct Carried {
    cluster: SimCluster,
    news: Vec<BrokerNews>,
    /// TLS settings, if brokers require it.
    #[cfg(feature = "tls-no-provider")]
    tls: Option<TlsListener>,
}

impl Carried {
    /// Takes new actions from the cluster's journal, with node and time.
    fn note(&mut self, node: Option<NodeId>, at: Duration) {
        let news = self
            .cluster
            .take_broker_events()
            .map(|what| BrokerNews { at, node, what });
        self.news.extend(news);
    }
}

impl Carrier {
    pub(crate) fn new(cluster: SimCluster, clock: Arc<MockClock>) -> Self {
        let news = Vec::new();
        Self {
            carried: Arc::new(Mutex::new(
                Rank::LEAF,
                Carried {
                    cluster,
                    news,
                    #[cfg(feature = "tls-no-provider")]
                    tls: None,
                },
            )),
            start: clock.now(),
            clock,
        }
    }

    /// Accesses the cluster.
    pub(crate) fn with<T>(&self, how: impl FnOnce(&mut SimCluster) -> T) -> T {
        let mut carried = self.carried.lock();
        carried.cluster.pass_time(self.clock.timestamp());
        let result = how(&mut carried.cluster);
        carried.note(None, self.clock.now() - self.start);
        result
    }

    /// New connections use TLS from now on.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) fn listen_with_tls(&self, listener: TlsListener) {
        self.carried.lock().tls = Some(listener);
    }

    /// Changes the TLS settings. Does nothing without TLS, or if the node does not exist.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) fn with_tls(&self, node: NodeId, how: impl FnOnce(&mut TlsListener)) -> bool {
        let mut carried = self.carried.lock();
        let carried = &mut *carried;
        match &mut carried.tls {
            Some(tls) if carried.cluster.has_node(node) => {
                how(tls);
                true
            }
            _ => false,
        }
    }

    /// The transport of a new connection to a node: plaintext or TLS.
    #[cfg(feature = "tls-no-provider")]
    fn wire(&self, node: NodeId) -> Wire {
        let mut carried = self.carried.lock();
        let listener = carried.tls.as_mut();
        match listener.map(|listener| listener.accept(node)) {
            None => Wire::Plain,
            Some(Ok(tls)) => Wire::Tls(Box::new(tls)),
            Some(Err(_)) => Wire::Broken,
        }
    }

    #[cfg(not(feature = "tls-no-provider"))]
    #[allow(clippy::unused_self, reason = "with TLS it is asked")]
    fn wire(&self, _node: NodeId) -> Wire {
        Wire::Plain
    }

    /// Records a broker event that the cluster does not see, such as a TLS handshake.
    fn record(&self, node: NodeId, what: BrokerEvent) {
        let at = self.clock.now() - self.start;
        let node = Some(node);
        self.carried.lock().news.push(BrokerNews { at, node, what });
    }

    fn hangs(&self, node: NodeId) -> bool {
        self.carried.lock().cluster.hangs(node)
    }

    /// The broker events since the last call, in order, if there is a journal.
    pub(crate) fn take_news(&self) -> Vec<BrokerNews> {
        std::mem::take(&mut self.carried.lock().news)
    }

    /// Accepts connections for a node.
    pub(crate) fn accept(&self, node: NodeId) -> Accept {
        let carrier = self.clone();
        Box::new(move || Box::new(Connection::new(carrier.clone(), node)))
    }

    fn handle(&self, session: &mut SaslSession, node: NodeId, frame: &Bytes) -> Plan {
        let now = self.clock.timestamp();
        let mut carried = self.carried.lock();
        let plan = carried.cluster.handle_on(session, node, frame, now);
        carried.note(Some(node), self.clock.now() - self.start);
        plan
    }
}

/// State of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CarrierState {
    /// Processes requests one after the other.
    Serves,
    /// The last response is not sent yet, or the client is throttled.
    IsBusy { until: Instant },
    /// The node hangs. The first buffered request is the one that it has not processed.
    Hangs,
    /// Discards all further bytes.
    Ignores,
}

/// The broker's end of one connection.
struct Connection {
    carrier: Carrier,
    node: NodeId,
    wire: Wire,
    /// Handshake bytes received while the node hangs.
    sealed: BytesMut,
    /// Received bytes (decrypted) that are not processed yet.
    bytes: BytesMut,
    state: CarrierState,
    session: SaslSession,
    has_ended: bool,
}

impl Connection {
    fn new(carrier: Carrier, node: NodeId) -> Self {
        let wire = carrier.wire(node);
        Self {
            carrier,
            node,
            wire,
            sealed: BytesMut::new(),
            bytes: BytesMut::new(),
            state: CarrierState::Serves,
            session: SaslSession::new(),
            has_ended: false,
        }
    }

    /// Passes received bytes through the transport.
    fn take_in(&mut self, bytes: &[u8], actions: &mut PeerActions) {
        if self.wire.is_handshaking() && self.carrier.hangs(self.node) {
            self.sealed.extend_from_slice(bytes);
            self.state = CarrierState::Hangs;
            return;
        }
        let reply = self.wire.receive(bytes, &mut self.bytes);
        if let Some(handshake) = reply.handshake {
            self.carrier
                .record(self.node, BrokerEvent::Handshake(handshake));
        }
        if !reply.bytes.is_empty() {
            actions.send(reply.bytes, Duration::ZERO);
        }
        match reply.then {
            Then::GoesOn => return,
            Then::Closes => actions.close(Duration::ZERO),
            Then::Resets => actions.reset(Duration::ZERO),
        }
        self.ignore();
    }

    /// Processes the buffered requests, until a delay or a hang stops it.
    fn serve(&mut self, actions: &mut PeerActions) {
        while self.state == CarrierState::Serves {
            let Ok(next) = self.next_length() else {
                return self.close(actions, Duration::ZERO);
            };
            let Some(length) = next else {
                return;
            };
            let size = LENGTH_BYTES + length;
            let frame = self.bytes.split_to(size).freeze();
            let request = frame.slice(LENGTH_BYTES..);
            let plan = self.carrier.handle(&mut self.session, self.node, &request);
            if matches!(plan.answer, Answer::Hang) {
                let behind = std::mem::take(&mut self.bytes);
                self.bytes.extend_from_slice(&frame);
                self.bytes.unsplit(behind);
                self.state = CarrierState::Hangs;
                return;
            }
            self.carry_out(plan, actions);
        }
    }

    fn carry_out(&mut self, plan: Plan, actions: &mut PeerActions) {
        let Plan {
            delay,
            answer,
            pause,
        } = plan;
        match answer {
            Answer::Reply(frame) => {
                let sealed = self.wire.seal(joined(&frame));
                actions.send(sealed, delay);
            }
            Answer::Part { frame, bytes, then } => {
                let sealed = self.wire.seal_part(joined(&frame), bytes);
                actions.send(sealed, delay);
                return match then {
                    AndThen::Close => self.close(actions, delay),
                    AndThen::Silence => self.ignore(),
                };
            }
            Answer::Silence => {}
            Answer::Close => return self.close(actions, delay),
            Answer::Stall | Answer::Hang => return self.ignore(),
        }
        let busy = delay + pause;
        if !busy.is_zero() {
            let until = self.carrier.clock.now() + busy;
            self.state = CarrierState::IsBusy { until };
            actions.call(busy);
        }
    }

    fn close(&mut self, actions: &mut PeerActions, delay: Duration) {
        let alert = self.wire.close_notify();
        if !alert.is_empty() {
            actions.send(alert, delay);
        }
        actions.close(delay);
        self.ignore();
    }

    fn ignore(&mut self) {
        self.state = CarrierState::Ignores;
        self.bytes.clear();
    }

    /// The length of the next request, if it is complete.
    fn next_length(&self) -> Result<Option<usize>, NoLength> {
        let Some(length) = self.bytes.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| NoLength)?;
        if length > REQUEST_BYTES_MAX {
            return Err(NoLength);
        }
        Ok(Some(length).filter(|length| self.bytes.len() >= LENGTH_BYTES + length))
    }

    /// Discards all requests but the one being processed.
    fn keep_first(&mut self) {
        let first = self.next_length().ok().flatten();
        match first.filter(|_| self.state == CarrierState::Hangs) {
            Some(length) => self.bytes.truncate(LENGTH_BYTES + length),
            None => self.bytes.clear(),
        }
    }
}

/// The length field of a request is invalid.
struct NoLength;

fn joined(frame: &Frame) -> Bytes {
    frame.chunks().concat().into()
}

impl SimPeer for Connection {
    fn receive(&mut self, bytes: &[u8], actions: &mut PeerActions) {
        if self.state != CarrierState::Ignores {
            self.take_in(bytes, actions);
            self.serve(actions);
        }
    }

    fn called(&mut self, actions: &mut PeerActions) {
        match self.state {
            // The delay is not over: this call has another reason.
            CarrierState::IsBusy { until } if until > self.carrier.clock.now() => {}
            CarrierState::IsBusy { .. } | CarrierState::Hangs => {
                self.state = CarrierState::Serves;
                let sealed = std::mem::take(&mut self.sealed);
                if !sealed.is_empty() {
                    self.take_in(&sealed, actions);
                }
                self.serve(actions);
            }
            CarrierState::Serves | CarrierState::Ignores => {}
        }
    }

    fn reads(&self) -> bool {
        matches!(self.state, CarrierState::Serves | CarrierState::Ignores)
    }

    /// A broker finishes the requests that it has received, although nobody gets the responses.
    fn ended(&mut self, how: ConnectionEnd<'_>, actions: &mut PeerActions) {
        self.has_ended = true;
        match how {
            ConnectionEnd::Closed(rest)
                if self.state != CarrierState::Ignores && !rest.is_empty() =>
            {
                self.take_in(rest, actions);
            }
            ConnectionEnd::Closed(_) => {}
            ConnectionEnd::Broken => self.keep_first(),
        }
        self.serve(actions);
    }

    fn is_done(&self) -> bool {
        let has_request = matches!(self.next_length(), Ok(Some(_)));
        self.has_ended && (self.state == CarrierState::Ignores || !has_request)
    }
}

#[cfg(test)]
mod tests;
