//! Re-authentication that gets no response, or waits for a token that never arrives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline, Instant};
use crate::network::authenticator::{AuthFailure, AuthStep, Authenticator};
use crate::network::channel_builder::{ChannelBuilder, ChannelParts};
use crate::network::endpoint::Endpoint;
use crate::network::metrics::SelectorMetrics;
use crate::network::poller::Stream;
use crate::network::selectable::{CloseReason, PollEvents, Selectable};
use crate::network::selector::{Selector, SelectorOptions};
use crate::network::transport::{PlaintextTransport, TransportError};
use crate::protocol::Frame;
use crate::testing::sim::network::{NetworkProfile, PeerActions, SimNetwork, SimPeer, SimPoller};

const IDLE: Duration = Duration::from_secs(540);

struct Silent;

impl SimPeer for Silent {
    fn receive(&mut self, _: &[u8], _: &mut PeerActions) {}
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    Unanswered,
    Pauses(Deadline),
}

/// Authenticator that completes at once, re-authenticates after a second, and then never completes.
struct Again {
    is_begun: bool,
    second: Second,
}

impl Authenticator for Again {
    fn proceed(&mut self, now: Instant) -> Result<AuthStep, AuthFailure> {
        if !std::mem::replace(&mut self.is_begun, true) {
            let again = Deadline::after(now, Duration::from_secs(1));
            return Ok(AuthStep::Complete { again });
        }
        Ok(match self.second {
            Second::Unanswered => AuthStep::Receive,
            Second::Pauses(until) => AuthStep::Pause(until),
        })
    }

    fn receive(&mut self, _: &Bytes, _: Instant) -> Result<AuthStep, AuthFailure> {
        unreachable!("nothing is sent to it")
    }

    fn is_answer(&self, _: &Bytes) -> bool {
        true
    }
}

struct Build(Second);

impl<S: Stream + 'static> ChannelBuilder<S> for Build {
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        if &*endpoint.host == "nameless" {
            let why = "no certificate can be for this name";
            return Err(TransportError::Authentication(why.into()));
        }
        Ok(ChannelParts {
            transport: Box::new(PlaintextTransport(stream)),
            authenticator: Box::new(Again {
                is_begun: false,
                second: self.0,
            }),
        })
    }
}

fn address() -> SocketAddr {
    "10.0.0.1:9092".parse().unwrap()
}

fn selector(second: Second) -> (Selector<SimPoller>, Arc<MockClock>) {
    let clock = Arc::new(MockClock::new());
    let profile = NetworkProfile {
        connect_us: 500..=500,
        latency_us: 1000..=1000,
        capacity: 100,
        splits: false,
        short_read_drains: true,
        spurious_percent: 0,
        at_once_percent: 0,
    };
    let network = SimNetwork::new(Arc::clone(&clock), profile, 1);
    network.listen(address(), Box::new(|| Box::new(Silent)));
    let options = SelectorOptions {
        connections_max_idle: Some(IDLE),
        ..SelectorOptions::default()
    };
    let builder = Box::new(Build(second));
    let metrics = SelectorMetrics::for_tests(clock.clone());
    let poller = network.poller();
    let selector = Selector::new(poller, builder, options, clock.clone(), metrics);
    (selector, clock)
}

/// A selector whose only connection has started re-authentication, for a frame that was withdrawn afterwards.
fn reauthenticating(second: Second) -> (Selector<SimPoller>, Arc<MockClock>) {
    let (mut selector, clock) = selector(second);
    let mut events = PollEvents::default();
    selector.connect(1, address().into()).unwrap();
    while !selector.is_channel_ready(1) {
        selector.poll(None, &mut events).unwrap();
    }
    clock.advance(Duration::from_secs(2));
    let frame = Frame::from_payload(Bytes::from_static(b"frame")).unwrap();
    selector.send(1, frame).unwrap();
    let before = clock.now();
    selector.poll(None, &mut events).unwrap();
    assert_eq!(events.authenticating_again, [1]);
    assert_eq!(clock.now(), before, "it is reported at once");
    assert!(selector.withdraw_send(1));
    (selector, clock)
}

#[test]
fn a_reauthentication_that_never_completes_does_not_prevent_the_idle_timeout() {
    for second in [Second::Unanswered, Second::Pauses(Deadline::Never)] {
        let (mut selector, clock) = reauthenticating(second);
        let mut events = PollEvents::default();
        let end = clock.now() + IDLE;
        while events.disconnected.is_empty() {
            assert!(clock.now() <= end, "{second:?}");
            let timeout = Some(Duration::from_secs(5));
            selector.poll(timeout, &mut events).unwrap();
        }
        assert_eq!(events.disconnected[0].reason, CloseReason::Idle);
    }
}

#[test]
fn a_pause_that_is_over_does_not_cause_a_busy_loop() {
    let over = Second::Pauses(Deadline::At(Instant::ORIGIN));
    let (mut selector, clock) = reauthenticating(over);
    let mut events = PollEvents::default();
    let before = clock.now();
    for _ in 0..100 {
        let timeout = Some(Duration::from_secs(5));
        selector.poll(timeout, &mut events).unwrap();
    }
    assert!(clock.now() - before >= Duration::from_millis(900));
}

#[test]
fn an_endpoint_that_no_channel_can_be_built_for_is_an_authentication_failure() {
    let (mut selector, _clock) = selector(Second::Unanswered);
    let endpoint = Endpoint {
        host: "nameless".into(),
        address: address(),
    };
    let refused = selector.connect(1, endpoint).unwrap_err();
    assert!(
        matches!(refused, CloseReason::AuthenticationFailed(_)),
        "{refused:?}"
    );
    selector.connect(1, address().into()).unwrap();
}
