//! One run of a probe: connects stage by stage, then requests the metadata.

use std::sync::Arc;
use std::time::Duration;

use super::report::{
    ProbeFailure, ProbeFailureKind, ProbeReport, ProbeStage, ProbedApi, StagePassed,
};
use super::{ConnectionProbe, ProbeClient};
use crate::client::connection_states::ConnectionState;
use crate::client::kafka_client::{ClientRequest, ClientResponse, KafkaClient, NotReady, Outcome};
use crate::clock::{Clock, Deadline, Instant};
use crate::network::selectable::Selectable;
use crate::protocol::{ApiKey, MetadataRequest, Request, Response};
use crate::types::Node;

/// The first version of a metadata request by which a client can ask for a topic without creating it.
const FIRST_VERSION_WITHOUT_CREATION: i16 = 4;

pub(super) struct ProbeRun<'p, S: Selectable> {
    pub(super) client: ProbeClient<S>,
    node: Node,
    clock: Arc<dyn Clock>,
    /// The time limit of each stage.
    timeout: Duration,
    /// The end of the current stage's time.
    deadline: Deadline,
    stages: Vec<ProbeStage>,
    /// The index of the current stage in `stages`.
    current: usize,
    /// When the current stage began.
    since: Instant,
    passed: &'p mut dyn FnMut(&StagePassed),
}

impl<'p, S: Selectable> ProbeRun<'p, S> {
    pub(super) fn new(
        probe: &ConnectionProbe,
        client: ProbeClient<S>,
        node: Node,
        passed: &'p mut dyn FnMut(&StagePassed),
    ) -> Self {
        let now = probe.clock.now();
        Self {
            client,
            node,
            clock: Arc::clone(&probe.clock),
            timeout: probe.timeout,
            deadline: Deadline::after(now, probe.timeout),
            stages: probe.stages(),
            current: 0,
            since: now,
            passed,
        }
    }

    pub(super) fn run(mut self, topics: &[String]) -> Result<ProbeReport, ProbeFailure> {
        let report = self.connect().and_then(|()| self.fetch_metadata(topics));
        self.client.close();
        report
    }

    /// Establishes the connection. Returns when it accepts requests: the API versions are known, and the throttle time
    /// of their response is over.
    pub(super) fn connect(&mut self) -> Result<(), ProbeFailure> {
        let node = self.node.id();
        let mut now = self.clock.now();
        let mut responses = Vec::new();
        self.client.ready(&self.node, now);
        loop {
            self.pass_until(self.stage_now(), now);
            if self.client.is_ready(node, now) {
                return Ok(());
            }
            if self.client.connection_failed(node) {
                self.advance_to_closed_stage(now);
                return Err(self.failure(self.why_failed(), now));
            }
            if self.deadline.is_over(now) {
                return Err(self.timed_out(now));
            }
            let until = self.deadline.min(self.client.poll_deadline(node, now));
            let wait = until.remaining_or(now, self.timeout);
            self.client.poll(wait, now, &mut responses);
            now = self.clock.now();
        }
    }

    /// Requests the metadata of the cluster and of `topics`.
    fn fetch_metadata(&mut self, topics: &[String]) -> Result<ProbeReport, ProbeFailure> {
        let node = self.node.id();
        let mut now = self.clock.now();
        let Some(version) = self.client.usable_version(node, ApiKey::Metadata) else {
            let why = "the broker supports no version of metadata requests that this client has";
            return Err(self.failure(why.into(), now));
        };
        let request = ClientRequest {
            node,
            request: Request::Metadata(metadata_request(topics, version)),
            timeout: self.timeout.saturating_mul(10),
            tag: (),
        };
        self.client.send(request, now);
        // The throttle time of the last response does not count.
        self.deadline = Deadline::after(now, self.timeout);
        let mut responses: Vec<ClientResponse<()>> = Vec::new();
        while responses.is_empty() {
            if self.deadline.is_over(now) {
                return Err(self.timed_out(now));
            }
            let wait = self.deadline.remaining_or(now, self.timeout);
            self.client.poll(wait, now, &mut responses);
            now = self.clock.now();
        }
        match responses.pop().map(|response| response.outcome) {
            Some(Outcome::Response(Response::Metadata(response))) => {
                self.pass_until(self.stages.len(), now);
                Ok(ProbeReport::of(&response, topics))
            }
            Some(
                Outcome::UnsupportedVersion(why)
                | Outcome::Unwritable(why)
                | Outcome::Authentication(why)
                | Outcome::Disconnected { reason: why, .. },
            ) => Err(self.failure(why, now)),
            // The response has the type of its request, and every poll above that ended the loop returned one.
            Some(Outcome::Response(_) | Outcome::Sent) | None => {
                Err(self.failure("the request ended without a response".into(), now))
            }
        }
    }

    /// The index of the stage that the connection is in.
    fn stage_now(&self) -> usize {
        let stage = match self.client.connection_state(self.node.id()) {
            Some(ConnectionState::Authenticating)
                if self.stages.contains(&ProbeStage::Tls) && self.tls_is_missing() =>
            {
                ProbeStage::Tls
            }
            Some(ConnectionState::Authenticating) => ProbeStage::Sasl,
            Some(ConnectionState::CheckingApiVersions) => ProbeStage::ApiVersions,
            Some(ConnectionState::Ready) => ProbeStage::Metadata,
            // The stage of a closed connection is found by its close reason.
            _ => return self.current,
        };
        self.index_from(stage)
    }

    /// The index of the current stage or a later one, the first that is not before `stage`.
    fn index_from(&self, stage: ProbeStage) -> usize {
        // With TLS alone a connection is authenticating until the poll after the handshake.
        let index = self.stages.iter().position(|listed| *listed >= stage);
        index.unwrap_or(self.current).max(self.current)
    }

    /// Makes the stage in which the connection was closed the current one. It may be later than the one last observed:
    /// a poll may report a connection that was established and closed since the poll before.
    fn advance_to_closed_stage(&mut self, now: Instant) {
        let first_after_tcp = self.stages[1];
        let stage = match self.kind() {
            ProbeFailureKind::Unconnected => return,
            ProbeFailureKind::Credentials | ProbeFailureKind::Mechanism => ProbeStage::Sasl,
            ProbeFailureKind::Tls => first_after_tcp,
            _ if self.client.selector().is_established() => first_after_tcp,
            _ => return,
        };
        let until = self.index_from(stage);
        if self.client.selector().is_established() {
            self.pass_until(until, now);
        }
        // TLS fails before TCP is connected if no certificate can be valid for the name of the host.
        self.current = until;
    }

    fn tls_is_missing(&self) -> bool {
        self.client.tls_facts(self.node.id()).is_none()
    }

    /// Reports the stages before `until` that were not reported yet, and restarts the time limit if there are any.
    /// Stages that passed in one poll cannot be timed apart: the first of them gets all of the time.
    fn pass_until(&mut self, until: usize, now: Instant) {
        while self.current < until {
            let node = self.node.id();
            let apis = self.client.api_versions(node).map(ProbedApi::all_of);
            (self.passed)(&StagePassed {
                stage: self.stages[self.current],
                took: now - self.since,
                tls: self.client.tls_facts(node),
                apis: apis.unwrap_or_default(),
            });
            self.current += 1;
            self.since = now;
            self.deadline = Deadline::after(now, self.timeout);
        }
    }

    fn why_failed(&self) -> Arc<str> {
        let node = self.node.id();
        match self.client.connection_state(node) {
            Some(ConnectionState::AuthenticationFailed(why)) => Arc::clone(why),
            _ => match self.client.last_error(node) {
                Some(why) => Arc::clone(why),
                None => "the connection was closed".into(),
            },
        }
    }

    fn timed_out(&self, now: Instant) -> ProbeFailure {
        let within = self.timeout.as_millis();
        let missing_event = match self.stage() {
            ProbeStage::Connect => "no TCP connection",
            ProbeStage::Metadata if self.is_throttled(now) => {
                "the broker throttles this client: no request allowed"
            }
            ProbeStage::Metadata => "no response to the metadata request",
            ProbeStage::ApiVersions => "no response to the first request",
            ProbeStage::Tls | ProbeStage::Sasl => "no response",
        };
        let waits_for = match self.client.waits_for(self.node.id()) {
            Some(event) => format!(", waiting for {event}"),
            None => String::new(),
        };
        let reason = format!("{missing_event} within {within} ms{waits_for}");
        ProbeFailure {
            kind: ProbeFailureKind::TimedOut,
            ..self.failure(reason.into(), now)
        }
    }

    fn is_throttled(&self, now: Instant) -> bool {
        let reason = self.client.not_ready_reason(self.node.id(), now);
        matches!(reason, Some(NotReady::Throttled))
    }

    /// The kind of the failure for which the connection was closed.
    fn kind(&self) -> ProbeFailureKind {
        match self.client.selector().close_reason() {
            Some(reason) => ProbeFailureKind::of(reason),
            None => ProbeFailureKind::Other,
        }
    }

    fn failure(&self, reason: Arc<str>, now: Instant) -> ProbeFailure {
        ProbeFailure {
            stage: self.stage(),
            took: now - self.since,
            kind: self.kind(),
            reason,
        }
    }

    fn stage(&self) -> ProbeStage {
        let last = self.stages.len() - 1;
        self.stages[self.current.min(last)]
    }
}

/// A request that creates no topics. Before version 4 the broker may create each topic that a request names: then the
/// request is for all topics.
fn metadata_request(topics: &[String], version: i16) -> MetadataRequest {
    let may_name = version >= FIRST_VERSION_WITHOUT_CREATION;
    let names = || topics.iter().map(|name| name.as_str().into()).collect();
    MetadataRequest {
        topics: (may_name || topics.is_empty()).then(names),
        // Older versions have no such field, and create no topics when none is named.
        allow_auto_topic_creation: !may_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_names_a_topic_that_it_could_create() {
        let asked = vec!["a".to_owned()];
        let named = metadata_request(&asked, 4);
        assert_eq!(named.topics, Some(vec!["a".into()]));
        assert!(!named.allow_auto_topic_creation);
        assert_eq!(metadata_request(&asked, 3).topics, None);
        assert_eq!(metadata_request(&[], 3).topics, Some(Vec::new()));
    }
}
