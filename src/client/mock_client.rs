//! Mock [`KafkaClient`] without a network: the test decides the outcome of each request, and when it completes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::kafka_client::{ClientRequest, ClientResponse, KafkaClient, NotReady, Outcome};
use crate::clock::{Deadline, Instant};
use crate::network::selectable::WakeUp;
use crate::protocol::{ApiKey, Request, Response};
use crate::types::{Cluster, Node, NodeId};

/// Checks that a request is the expected one.
pub(crate) type Matcher = Box<dyn FnMut(&Request) -> bool + Send>;

/// An in-flight request.
#[derive(Debug)]
pub(crate) struct MockRequest<T> {
    pub(crate) node: NodeId,
    pub(crate) request: Request,
    pub(crate) version: i16,
    pub(crate) timeout: Duration,
    pub(crate) tag: T,
    pub(crate) created: Instant,
}

/// A response prepared for a later request.
struct Prepared {
    node: Option<NodeId>,
    matcher: Option<Matcher>,
    outcome: Outcome,
}

/// Counts wake-ups.
#[derive(Debug, Default)]
pub(crate) struct MockWakeUp(AtomicU32);

impl MockWakeUp {}

impl WakeUp for MockWakeUp {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Mock client, scripted by the test.
///
/// A request takes the first prepared response for its node; without one it stays in flight in
/// [`requests`](Self::requests) until [`respond`](Self::respond). Responses are returned by the next poll. Every node
/// is ready at the first call of `ready`, unless the test made it unreachable, throttled, slow or refusing.
///
/// # Kafka
/// `org.apache.kafka.clients.MockClient`.
pub(crate) struct MockClient<T> {
    cluster: Arc<Cluster>,
    connected: BTreeSet<NodeId>,
    unreachable: BTreeMap<NodeId, Instant>,
    throttled: BTreeMap<NodeId, Instant>,
    /// Nodes that stay connecting until the test lets them be ready.
    slow: BTreeSet<NodeId>,
    refused: BTreeMap<NodeId, Arc<str>>,
    versions: BTreeMap<ApiKey, Option<i16>>,
    prepared: VecDeque<Prepared>,
    requests: VecDeque<MockRequest<T>>,
    answered: Vec<ClientResponse<T>>,
    sent: Vec<(NodeId, Request)>,
    max_in_flight: usize,
    poll_timeouts: Vec<Duration>,
    wake_up: Arc<MockWakeUp>,
    /// Nodes to which no byte of the newest request was written.
    untouched: BTreeSet<NodeId>,
    /// Nodes whose responses are left unread by polls.
    left_unread: BTreeSet<NodeId>,
    /// Nodes whose responses were left unread by the last poll.
    unread: BTreeSet<NodeId>,
    is_closed: bool,
}

impl<T> MockClient<T> {
    /// A client of a cluster, with at most five in-flight requests per node.
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            connected: BTreeSet::new(),
            unreachable: BTreeMap::new(),
            throttled: BTreeMap::new(),
            slow: BTreeSet::new(),
            refused: BTreeMap::new(),
            versions: BTreeMap::new(),
            prepared: VecDeque::new(),
            requests: VecDeque::new(),
            answered: Vec::new(),
            sent: Vec::new(),
            max_in_flight: 5,
            poll_timeouts: Vec::new(),
            wake_up: Arc::default(),
            untouched: BTreeSet::new(),
            left_unread: BTreeSet::new(),
            unread: BTreeSet::new(),
            is_closed: false,
        }
    }

    /// Sets the limit of in-flight requests per node.
    pub(crate) fn set_max_in_flight(&mut self, max: usize) {
        self.max_in_flight = max;
    }

    /// Prepares the response to the next request.
    pub(crate) fn prepare_response(&mut self, response: Response) {
        self.prepare(None, None, Outcome::Response(response));
    }

    /// Prepares the outcome of the next request, or of the next request to `node` if that is set. The request must
    /// satisfy `matcher` if that is set.
    pub(crate) fn prepare(
        &mut self,
        node: Option<NodeId>,
        matcher: Option<Matcher>,
        outcome: Outcome,
    ) {
        self.prepared.push_back(Prepared {
            node,
            matcher,
            outcome,
        });
    }

    /// Answers the oldest in-flight request.
    pub(crate) fn respond(&mut self, response: Response, now: Instant) {
        self.finish(0, Outcome::Response(response), now);
    }

    /// Completes the in-flight request with index `at`; index 0 is the oldest.
    pub(crate) fn finish(&mut self, at: usize, outcome: Outcome, now: Instant) {
        let request = self
            .requests
            .remove(at)
            .unwrap_or_else(|| panic!("no request {at} waits"));
        self.answer(request, outcome, now);
    }

    /// Disconnects a node; its in-flight requests complete as disconnected, oldest first. If `newest_untouched` is
    /// true, no byte of the newest request was written.
    pub(crate) fn disconnect(&mut self, node: NodeId, newest_untouched: bool, now: Instant) {
        self.connected.remove(&node);
        let (ended, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|r| r.node == node);
        self.requests = others;
        let count = ended.len();
        for (at, request) in ended.into_iter().enumerate() {
            let handed_over = !(newest_untouched && at + 1 == count);
            self.answer(request, disconnected(handed_over), now);
        }
    }

    /// If `holds` is true, no byte of the newest request to the node is written to its socket; else all of it is.
    pub(crate) fn hold_newest(&mut self, node: NodeId, holds: bool) {
        if holds {
            self.untouched.insert(node);
        } else {
            self.untouched.remove(&node);
        }
    }

    /// Makes polls leave the responses of this node unread, and report that it has unread input; or ends that.
    pub(crate) fn leave_unread(&mut self, node: NodeId, leaves: bool) {
        if leaves {
            self.left_unread.insert(node);
        } else {
            self.left_unread.remove(&node);
        }
    }

    /// Makes connecting to the node fail until `until`.
    pub(crate) fn set_unreachable(&mut self, node: NodeId, until: Instant) {
        self.connected.remove(&node);
        self.unreachable.insert(node, until);
    }

    /// Keeps the node connecting (`delays`), or lets it become ready.
    pub(crate) fn delay_connection(&mut self, node: NodeId, delays: bool) {
        self.connected.remove(&node);
        if delays {
            self.slow.insert(node);
        } else {
            self.slow.remove(&node);
        }
    }

    /// Sets the newest version of an API that brokers support; `None` if they support none.
    pub(crate) fn set_version(&mut self, api: ApiKey, version: Option<i16>) {
        self.versions.insert(api, version);
    }

    /// Throttles the node until `until`.
    pub(crate) fn throttle(&mut self, node: NodeId, until: Instant) {
        self.throttled.insert(node, until);
    }

    /// Makes authentication with the node fail.
    pub(crate) fn refuse_credentials(&mut self, node: NodeId, message: &str) {
        self.connected.remove(&node);
        self.refused.insert(node, message.into());
    }

    /// The in-flight requests, oldest first.
    pub(crate) fn requests(&self) -> &VecDeque<MockRequest<T>> {
        &self.requests
    }

    /// Every request that was ever sent, with its node.
    pub(crate) fn sent(&self) -> &[(NodeId, Request)] {
        &self.sent
    }

    /// Drops the list of sent requests, and with it their handles to batch memory.
    pub(crate) fn forget_sent(&mut self) {
        self.sent.clear();
    }

    /// The timeout of each poll.
    pub(crate) fn poll_timeouts(&self) -> &[Duration] {
        &self.poll_timeouts
    }

    fn in_flight_to(&self, node: NodeId) -> usize {
        self.requests
            .iter()
            .filter(|request| request.node == node)
            .count()
    }

    fn answer(&mut self, request: MockRequest<T>, outcome: Outcome, now: Instant) {
        if matches!(outcome, Outcome::Disconnected { .. }) {
            self.connected.remove(&request.node);
        }
        self.answered.push(ClientResponse {
            node: request.node,
            tag: request.tag,
            version: request.version,
            created: request.created,
            received: now,
            outcome,
        });
    }

    fn take_prepared(&mut self, node: NodeId, request: &Request) -> Option<Outcome> {
        let at = self
            .prepared
            .iter()
            .position(|p| p.node.is_none_or(|wanted| wanted == node))?;
        let mut prepared = self.prepared.remove(at)?;
        if let Some(matcher) = &mut prepared.matcher {
            assert!(
                matcher(request),
                "the next answer is not for this request: {request:?}"
            );
        }
        Some(prepared.outcome)
    }

    fn time_out(&mut self, now: Instant) {
        let is_late = |request: &MockRequest<T>| {
            Deadline::after(request.created, request.timeout).is_over(now)
        };
        while let Some(node) = self.requests.iter().find(|r| is_late(r)).map(|r| r.node) {
            let newest_untouched = self.untouched.remove(&node);
            self.disconnect(node, newest_untouched, now);
        }
    }
}

fn disconnected(handed_over: bool) -> Outcome {
    Outcome::Disconnected {
        handed_over,
        reason: "disconnected by the test".into(),
    }
}

impl<T: Send> KafkaClient<T> for MockClient<T> {
    fn ready(&mut self, node: &Node, now: Instant) -> bool {
        let id = node.id();
        let is_unreachable = self.unreachable.get(&id).is_some_and(|until| now < *until);
        let is_slow = self.slow.contains(&id);
        if !is_unreachable && !is_slow && !self.refused.contains_key(&id) {
            self.connected.insert(id);
        }
        self.is_ready(id, now)
    }

    fn is_ready(&self, node: NodeId, now: Instant) -> bool {
        self.not_ready_reason(node, now).is_none()
    }

    fn poll_deadline(&self, node: NodeId, now: Instant) -> Deadline {
        if let Some(until) = self.throttled.get(&node).filter(|until| now < **until) {
            return Deadline::At(*until);
        }
        match self.unreachable.get(&node).filter(|until| now < **until) {
            Some(until) => Deadline::At(*until),
            None if self.connected.contains(&node) || self.slow.contains(&node) => Deadline::Never,
            None => Deadline::At(now),
        }
    }

    fn not_ready_reason(&self, node: NodeId, now: Instant) -> Option<NotReady> {
        if let Some(message) = self.refused.get(&node) {
            return Some(NotReady::Authentication(Arc::clone(message)));
        }
        if !self.connected.contains(&node) {
            return Some(NotReady::NotConnected(None));
        }
        if self.throttled.get(&node).is_some_and(|until| now < *until) {
            return Some(NotReady::Throttled);
        }
        (self.in_flight_to(node) >= self.max_in_flight).then_some(NotReady::InFlightFull)
    }

    fn connection_failed(&self, node: NodeId) -> bool {
        !self.connected.contains(&node) && !self.slow.contains(&node)
    }

    fn authentication_failure(&self) -> Option<Arc<str>> {
        let nodes = self.cluster.nodes().iter();
        let refused = nodes.map(|node| self.refused.get(&node.id()).cloned());
        refused.collect::<Option<Vec<_>>>()?.into_iter().next()
    }

    fn usable_version(&self, _node: NodeId, api: ApiKey) -> Option<i16> {
        let set = self.versions.get(&api).copied();
        set.unwrap_or_else(|| Some(api.max_version()))
    }

    fn send(&mut self, request: ClientRequest<T>, now: Instant) {
        let ClientRequest {
            node,
            request,
            timeout,
            tag,
        } = request;
        assert!(
            self.is_ready(node, now),
            "a request to node {node}, which is not ready"
        );
        let api = request.api_key();
        let chosen = self.usable_version(node, api);
        let sent = MockRequest {
            node,
            version: chosen.unwrap_or(0),
            timeout,
            tag,
            created: now,
            request: request.clone(),
        };
        if chosen.is_none() {
            let outcome = Outcome::UnsupportedVersion(format!("no version of {api}").into());
            self.answer(sent, outcome, now);
            return;
        }
        self.sent.push((node, request));
        match self.take_prepared(node, &sent.request) {
            Some(outcome) => self.answer(sent, outcome, now),
            None => self.requests.push_back(sent),
        }
    }

    fn poll(
        &mut self,
        timeout: Duration,
        now: Instant,
        responses: &mut Vec<ClientResponse<T>>,
    ) -> Instant {
        self.poll_timeouts.push(timeout);
        self.time_out(now);
        // Requests without a response (acks=0) complete when they are written, which they are by the next poll.
        while let Some(at) = self
            .requests
            .iter()
            .position(|r| !r.request.expects_response())
        {
            self.finish(at, Outcome::Sent, now);
        }
        self.unread.clone_from(&self.left_unread);
        let answered = std::mem::take(&mut self.answered).into_iter();
        let (left, read): (Vec<_>, Vec<_>) =
            answered.partition(|response| self.unread.contains(&response.node));
        self.answered = left;
        responses.extend(read);
        now
    }

    fn has_unread_input(&self, node: NodeId) -> bool {
        self.unread.contains(&node)
    }

    fn newest_untouched(&self, node: NodeId) -> Option<&T> {
        let newest = self.requests.iter().rfind(|r| r.node == node);
        newest
            .filter(|_| self.untouched.contains(&node))
            .map(|request| &request.tag)
    }

    fn withdraw_untouched(&mut self, node: NodeId, _reason: &str, now: Instant) -> bool {
        let is_untouched = self.untouched.remove(&node);
        let newest = self.requests.iter().rposition(|r| r.node == node);
        let Some(request) = newest
            .filter(|_| is_untouched)
            .and_then(|at| self.requests.remove(at))
        else {
            return false;
        };
        let is_connected = self.connected.contains(&node);
        self.answer(request, disconnected(false), now);
        if is_connected {
            self.connected.insert(node);
        }
        true
    }

    fn least_loaded_node(&mut self, now: Instant) -> Option<Node> {
        let cluster = Arc::clone(&self.cluster);
        let reachable = cluster.nodes().iter().filter(|node| {
            let until = self.unreachable.get(&node.id());
            until.is_none_or(|until| now >= *until) && !self.refused.contains_key(&node.id())
        });
        reachable
            .min_by_key(|node| self.in_flight_to(node.id()))
            .cloned()
    }

    fn in_flight_request_count(&self) -> usize {
        self.requests.len()
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        Arc::clone(&self.wake_up) as Arc<dyn WakeUp>
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.requests.clear();
        self.answered.clear();
    }

    fn describe(&self, now: Instant) -> String {
        let nodes = self.cluster.nodes().iter();
        let lines = nodes.map(|n| format!("{n}: {:?}", self.not_ready_reason(n.id(), now)));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl<T> fmt::Debug for MockClient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockClient")
            .field("waiting", &self.requests.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{InitProducerIdRequest, InitProducerIdResponse};

    fn request(tag: u8) -> ClientRequest<u8> {
        ClientRequest {
            node: 1,
            request: Request::InitProducerId(InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                producer_id: -1,
                producer_epoch: -1,
            }),
            timeout: Duration::from_secs(1),
            tag,
        }
    }

    fn response() -> Response {
        Response::InitProducerId(InitProducerIdResponse {
            throttle_time_ms: 0,
            error: crate::error::ErrorCode::NoError,
            producer_id: 5,
            producer_epoch: 0,
        })
    }

    #[test]
    fn prepared_responses_are_used_in_order_and_other_requests_stay_in_flight_until_they_time_out()
    {
        let node = Node::new(1, "a", 9092);
        let cluster = Arc::new(Cluster::new(vec![node.clone()], Vec::new()));
        let mut client = MockClient::new(cluster);
        let now = Instant::from_nanos(1);
        assert!(client.ready(&node, now));
        client.prepare_response(response());
        client.send(request(1), now);
        client.send(request(2), now);
        let mut out = Vec::new();
        client.poll(Duration::ZERO, now, &mut out);
        assert_eq!(out.len(), 1);
        assert!(out[0].tag == 1 && matches!(out[0].outcome, Outcome::Response(_)));
        let later = now.saturating_add(Duration::from_secs(1));
        client.poll(Duration::ZERO, later, &mut out);
        assert_eq!(out[1].tag, 2);
        assert!(matches!(
            out[1].outcome,
            Outcome::Disconnected {
                handed_over: true,
                ..
            }
        ));
        assert!(!client.is_ready(1, later));
    }
}
