//! Stages and time limits of a run, with a scripted selector and a mock clock.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::run::ProbeRun;
use super::{ConnectionProbe, ProbeFailure, ProbeFailureKind, ProbeStage};
use crate::client::mock_selector::MockSelector;
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::config::ProducerConfig;
use crate::error::ErrorCode;
use crate::metrics::MetricsRegistry;
use crate::network::authenticator::{AuthRefusal, AuthRefusalKind};
use crate::network::endpoint::Endpoint;
use crate::network::selectable::{
    CloseReason, ConnectionId, PollEvents, Selectable, SendRefused, WakeUp,
};
use crate::network::tls_facts::TlsFacts;
use crate::protocol::{ApiKey, ApiVersionRange, ApiVersionsResponse, Frame, Response};
use crate::types::Node;

const NODE: ConnectionId = -1;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Changes the selector before a poll, or adds events to those of the poll.
type PollStep = Box<dyn FnMut(&mut MockSelector, &mut PollEvents) + Send>;

/// A selector whose polls take a scripted time each, and those after the last step their whole timeout.
struct ScriptedSelector {
    mock: MockSelector,
    clock: Arc<MockClock>,
    steps: VecDeque<(Duration, PollStep)>,
}

impl Selectable for ScriptedSelector {
    fn connect(&mut self, id: ConnectionId, endpoint: Endpoint) -> Result<(), CloseReason> {
        self.mock.connect(id, endpoint)
    }

    fn close(&mut self, id: ConnectionId) {
        self.mock.close(id);
    }

    fn is_channel_ready(&self, id: ConnectionId) -> bool {
        self.mock.is_channel_ready(id)
    }

    fn tls_facts(&self, id: ConnectionId) -> Option<TlsFacts> {
        self.mock.tls_facts(id)
    }

    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused> {
        self.mock.send(id, frame)
    }

    fn take_completed_send(&mut self, id: ConnectionId) -> bool {
        self.mock.take_completed_send(id)
    }

    fn is_send_untouched(&self, id: ConnectionId) -> bool {
        self.mock.is_send_untouched(id)
    }

    fn withdraw_send(&mut self, id: ConnectionId) -> bool {
        self.mock.withdraw_send(id)
    }

    fn poll(&mut self, timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()> {
        let mut added = PollEvents::default();
        match self.steps.pop_front() {
            Some((takes, mut step)) => {
                self.clock.advance(takes);
                step(&mut self.mock, &mut added);
            }
            None => self.clock.advance(timeout.unwrap()),
        }
        self.mock.poll(timeout, events)?;
        events.connected.append(&mut added.connected);
        Ok(())
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.mock.wake_up()
    }

    fn close_all(&mut self) {
        self.mock.close_all();
    }
}

/// The outcome of connecting.
struct Connected {
    result: Result<(), ProbeFailure>,
    passed: Vec<ProbeStage>,
    took: Duration,
}

/// Connects by a scripted selector.
fn connect(
    properties: &str,
    change: impl FnOnce(&mut MockSelector),
    steps: Vec<(Duration, PollStep)>,
) -> Connected {
    let clock = Arc::new(MockClock::new());
    let text = format!("bootstrap.servers=127.0.0.1:9092\n{properties}");
    let probe = ConnectionProbe {
        config: ProducerConfig::from_properties_str(&text).unwrap(),
        timeout: TIMEOUT,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
    };
    let mut mock = MockSelector::default();
    change(&mut mock);
    let selector = ScriptedSelector {
        mock,
        clock: Arc::clone(&clock),
        steps: steps.into(),
    };
    let registry = MetricsRegistry::for_tests(Arc::clone(&clock) as Arc<dyn Clock>);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9092));
    let client = probe.client(address, selector, &registry);
    let mut passed = Vec::new();
    let mut note = |stage: &super::StagePassed| passed.push(stage.stage);
    let began = clock.now();
    let node = Node::new(NODE, "127.0.0.1", 9092);
    let result = ProbeRun::new(&probe, client, node, &mut note).connect();
    Connected {
        result,
        passed,
        took: clock.now() - began,
    }
}

fn api_versions(throttle_time_ms: i32) -> Response {
    let range = |api: ApiKey| ApiVersionRange {
        api_key: api.code(),
        min: 0,
        max: 3,
    };
    Response::ApiVersions(ApiVersionsResponse {
        error: ErrorCode::NoError,
        api_keys: ApiKey::ALL.into_iter().map(range).collect(),
        throttle_time_ms,
    })
}

fn after(
    secs: u64,
    step: impl FnMut(&mut MockSelector, &mut PollEvents) + Send + 'static,
) -> (Duration, PollStep) {
    (Duration::from_secs(secs), Box::new(step))
}

const SASL: &str = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=\
    org.apache.kafka.common.security.plain.PlainLoginModule required username=a password=b;\n";

#[test]
fn each_stage_has_the_whole_time_limit() {
    let steps = vec![
        after(4, |mock, _| mock.holds_authentication = true),
        after(4, |mock, events| {
            mock.set_ready(NODE, true);
            events.connected.push(NODE);
        }),
        after(4, |_, _| {}),
    ];
    let connected = connect(SASL, |_| {}, steps);
    let failure = connected.result.unwrap_err();
    assert_eq!(failure.stage, ProbeStage::ApiVersions);
    assert_eq!(failure.kind, ProbeFailureKind::TimedOut);
    assert_eq!(connected.passed, [ProbeStage::Connect, ProbeStage::Sasl]);
    assert_eq!(connected.took, Duration::from_secs(4 + 4) + TIMEOUT);
}

#[test]
fn a_throttle_time_in_the_first_response_is_waited_for_and_no_longer() {
    let steps = vec![
        after(0, |_, _| {}),
        after(0, |mock, _| mock.respond(NODE, &api_versions(1500))),
    ];
    let connected = connect("", |_| {}, steps);
    assert!(connected.result.is_ok(), "{:?}", connected.result);
    assert_eq!(connected.took, Duration::from_millis(1500));

    let steps = vec![
        after(0, |_, _| {}),
        after(0, |mock, _| mock.respond(NODE, &api_versions(60_000))),
    ];
    let failure = connect("", |_| {}, steps).result.unwrap_err();
    assert_eq!(failure.stage, ProbeStage::Metadata);
    assert!(failure.reason.contains("throttles"), "{failure:?}");
}

#[test]
fn a_connection_that_is_established_and_closed_in_one_poll_has_not_failed_in_tcp() {
    let refused = CloseReason::ConnectFailed("refused".into());
    let rejected = |kind| {
        let reason = "no".into();
        CloseReason::AuthenticationFailed(AuthRefusal { kind, reason })
    };
    for (properties, reason, stage, kind) in [
        (
            "",
            refused,
            ProbeStage::Connect,
            ProbeFailureKind::Unconnected,
        ),
        (
            "",
            CloseReason::ClosedByPeer,
            ProbeStage::ApiVersions,
            ProbeFailureKind::ConnectionLost,
        ),
        (
            SASL,
            CloseReason::ClosedByPeer,
            ProbeStage::Sasl,
            ProbeFailureKind::ConnectionLost,
        ),
        (
            SASL,
            rejected(AuthRefusalKind::Credentials),
            ProbeStage::Sasl,
            ProbeFailureKind::Credentials,
        ),
        (
            SASL,
            rejected(AuthRefusalKind::Mechanism),
            ProbeStage::Sasl,
            ProbeFailureKind::Mechanism,
        ),
        (
            "security.protocol=SSL",
            rejected(AuthRefusalKind::Tls),
            ProbeStage::Tls,
            ProbeFailureKind::Tls,
        ),
    ] {
        let steps = vec![after(0, {
            let reason = reason.clone();
            move |mock, _| mock.disconnect(NODE, reason.clone())
        })];
        let connected = connect(properties, |_| {}, steps);
        let failure = connected.result.unwrap_err();
        assert_eq!((failure.stage, failure.kind), (stage, kind), "{reason:?}");
        let expected: &[ProbeStage] = match stage {
            ProbeStage::Connect => &[],
            _ => &[ProbeStage::Connect],
        };
        assert_eq!(connected.passed, expected, "{reason:?}");
    }
}

#[test]
fn a_host_that_no_certificate_can_name_fails_in_tls() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9092));
    let unacceptable = |mock: &mut MockSelector| {
        mock.unacceptable.insert(address);
    };
    let connected = connect("security.protocol=SSL", unacceptable, Vec::new());
    assert_eq!(connected.result.unwrap_err().stage, ProbeStage::Tls);
    assert!(connected.passed.is_empty());
}
