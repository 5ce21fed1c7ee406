//! Metrics of authentication and of times, on the simulated network, whose clock advances only while a poll blocks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::mock::MockClock;
use crate::clock::{Clock, Deadline, Instant};
use crate::metrics::{Metrics, MetricsRegistry, NodeMetrics};
use crate::network::authenticator::{AuthFailure, AuthStep, Authenticator};
use crate::network::channel_builder::{ChannelBuilder, ChannelParts};
use crate::network::endpoint::Endpoint;
use crate::network::metrics::SelectorMetrics;
use crate::network::poller::Stream;
use crate::network::selectable::{PollEvents, Selectable};
use crate::network::selector::{Selector, SelectorOptions};
use crate::network::transport::{CipherName, PlaintextTransport, TransportError};
use crate::protocol::Frame;
use crate::sync::{Mutex, Rank};
use crate::testing::sim::network::{NetworkProfile, PeerActions, SimNetwork, SimPeer, SimPoller};

const MS: fn(u64) -> Duration = Duration::from_millis;

struct Silent;

impl SimPeer for Silent {
    fn receive(&mut self, _: &[u8], _: &mut PeerActions) {}
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScriptedExchange {
    /// The exchange succeeds, and re-authentication is due after a second.
    Complete,
    /// The exchange pauses for this long.
    Pause(Duration),
    Refused,
}

type Exchanges = Arc<Mutex<VecDeque<ScriptedExchange>>>;

struct Scheme {
    exchanges: Exchanges,
    /// End of the pause: `proceed` may be called before it.
    paused: Option<Instant>,
}

impl Authenticator for Scheme {
    fn proceed(&mut self, now: Instant) -> Result<AuthStep, AuthFailure> {
        if let Some(until) = self.paused.filter(|until| now < *until) {
            return Ok(AuthStep::Pause(Deadline::At(until)));
        }
        match self
            .exchanges
            .lock()
            .pop_front()
            .unwrap_or(ScriptedExchange::Refused)
        {
            ScriptedExchange::Complete => Ok(AuthStep::Complete {
                again: Deadline::after(now, MS(1000)),
            }),
            ScriptedExchange::Pause(time) => {
                self.paused = Some(now + time);
                Ok(AuthStep::Pause(Deadline::after(now, time)))
            }
            ScriptedExchange::Refused => Err(AuthFailure::Refused("no".into())),
        }
    }

    fn receive(&mut self, _: &Bytes, _: Instant) -> Result<AuthStep, AuthFailure> {
        unreachable!("nothing is sent to it")
    }

    fn is_answer(&self, _: &Bytes) -> bool {
        true
    }
}

struct Build(Exchanges);

impl<S: Stream + 'static> ChannelBuilder<S> for Build {
    fn build(&self, _: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        Ok(ChannelParts {
            transport: Box::new(PlaintextTransport(stream)),
            authenticator: Box::new(Scheme {
                exchanges: Arc::clone(&self.0),
                paused: None,
            }),
        })
    }
}

struct Rig {
    selector: Selector<SimPoller>,
    clock: Arc<MockClock>,
    metrics: Metrics,
    events: PollEvents,
}

impl Rig {
    fn new(exchanges: impl IntoIterator<Item = ScriptedExchange>) -> Self {
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
        network.listen(
            "10.0.0.1:9092".parse().unwrap(),
            Box::new(|| Box::new(Silent)),
        );
        let exchanges = Arc::new(Mutex::new(Rank::LEAF, exchanges.into_iter().collect()));
        let registry = MetricsRegistry::for_tests(Arc::clone(&clock) as Arc<dyn Clock>);
        let nodes = NodeMetrics::new(Arc::clone(&registry));
        let selector = Selector::new(
            network.poller(),
            Box::new(Build(exchanges)),
            SelectorOptions::default(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            SelectorMetrics::new(Arc::clone(&registry), nodes),
        );
        let mut rig = Self {
            selector,
            clock,
            metrics: Metrics::new(registry),
            events: PollEvents::default(),
        };
        let address = "10.0.0.1:9092".parse::<std::net::SocketAddr>().unwrap();
        rig.selector.connect(1, address.into()).unwrap();
        rig
    }

    fn poll(&mut self) {
        let timeout = Some(MS(5000));
        self.selector.poll(timeout, &mut self.events).unwrap();
    }

    #[track_caller]
    fn assert_metrics<const N: usize>(&self, expected: [(&str, f64); N]) {
        for (name, expected) in expected {
            let value = self.metrics.number("producer-metrics", name, &[]);
            let is_close = (value - expected).abs() <= expected.abs() * 1e-9;
            assert!(
                is_close || value.is_nan() && expected.is_nan(),
                "{name} is {value}, not {expected}"
            );
        }
    }

    /// Sends a frame after the session has expired, which starts re-authentication.
    fn reauthenticate(&mut self) {
        self.clock.advance(MS(2000));
        let frame = Frame::from_payload(Bytes::from_static(b"frame")).unwrap();
        self.selector.send(1, frame).unwrap();
    }
}

/// Java: SelectorTest#testNormalOperation (select-rate), Selector#poll (selectTime, ioTime)
#[test]
fn the_time_a_poll_blocks_is_its_select_time() {
    let mut rig = Rig::new([ScriptedExchange::Complete]);
    rig.poll();
    rig.assert_metrics([
        ("select-total", 1.0),
        ("io-wait-time-ns-avg", 500e3),
        ("io-waittime-total", 500e3),
        ("io-wait-time-ns-total", 500e3),
        ("iotime-total", 0.0),
    ]);
    rig.poll();
    rig.assert_metrics([
        ("select-total", 2.0),
        ("io-waittime-total", 5000.5e6),
        ("io-wait-ratio", 5000.5 / 35_000.0),
    ]);
}

/// Java: `SaslAuthenticatorTest` (successful-authentication, -reauthentication, reauthentication-latency)
#[test]
fn first_authentications_and_reauthentications_are_counted_separately() {
    let pause = ScriptedExchange::Pause(MS(30));
    let mut rig = Rig::new([
        pause,
        ScriptedExchange::Complete,
        ScriptedExchange::Complete,
        pause,
        ScriptedExchange::Complete,
    ]);
    while !rig.selector.is_channel_ready(1) {
        rig.poll();
    }
    rig.assert_metrics([
        ("successful-authentication-total", 1.0),
        ("successful-authentication-no-reauth-total", 1.0),
        ("reauthentication-latency-max", f64::NAN),
    ]);
    // The first re-authentication completes at once, the second takes 30 ms.
    rig.reauthenticate();
    rig.assert_metrics([
        ("successful-reauthentication-total", 1.0),
        ("reauthentication-latency-max", 0.0),
    ]);
    rig.poll();
    rig.reauthenticate();
    while !rig.selector.is_channel_ready(1) {
        rig.poll();
    }
    rig.assert_metrics([
        ("successful-authentication-total", 1.0),
        ("successful-reauthentication-total", 2.0),
        ("reauthentication-latency-max", 30.0),
        ("reauthentication-latency-avg", 15.0),
        ("failed-authentication-total", 0.0),
        ("failed-reauthentication-total", 0.0),
    ]);
}

/// Java: `SaslAuthenticatorTest` (failed-authentication, failed-reauthentication)
#[test]
fn a_failed_authentication_and_a_failed_reauthentication_are_counted_separately() {
    for (exchanges, first, again) in [
        (vec![ScriptedExchange::Refused], 1.0, 0.0),
        (
            vec![ScriptedExchange::Complete, ScriptedExchange::Refused],
            0.0,
            1.0,
        ),
    ] {
        let mut rig = Rig::new(exchanges);
        while rig.events.connected.is_empty() && rig.events.disconnected.is_empty() {
            rig.poll();
        }
        if rig.selector.is_channel_ready(1) {
            rig.reauthenticate();
        }
        while rig.events.disconnected.is_empty() {
            rig.poll();
        }
        rig.assert_metrics([
            ("failed-authentication-total", first),
            ("failed-reauthentication-total", again),
            ("connection-close-total", 1.0),
            ("connection-creation-total", 1.0),
            ("connection-count", 0.0),
        ]);
    }
}

/// Java: IntGaugeSuiteTest#testCreateAndClose, #testCreateMetrics, #testCannotAddMoreThanMaxEntries
#[test]
fn connections_are_counted_by_cipher_and_unused_ciphers_are_evicted_at_a_hundred() {
    let registry = MetricsRegistry::for_tests(Arc::new(MockClock::new()));
    let nodes = NodeMetrics::new(Arc::clone(&registry));
    let mut selector = SelectorMetrics::new(Arc::clone(&registry), nodes);
    let metrics = Metrics::new(registry);
    let name = |at: usize| CipherName {
        suite: format!("SUITE_{at}").into(),
        protocol: "TLSv1.3".into(),
    };
    let count = |at: usize| {
        let suite = format!("SUITE_{at}");
        let tags = [("cipher", suite.as_str()), ("protocol", "TLSv1.3")];
        let gauge = metrics.get("producer-metrics", "connections", &tags);
        gauge.map(|gauge| gauge.value().to_string())
    };
    let value = |count: usize| Some(count.to_string());
    let twice = [
        selector.count_cipher(name(0)),
        selector.count_cipher(name(0)),
    ];
    assert_eq!((count(0), count(1)), (value(2), None));
    drop(twice);
    assert_eq!(count(0), value(0), "it stays");
    let many: Vec<_> = (1..100).map(|at| selector.count_cipher(name(at))).collect();
    assert!(many.iter().all(Option::is_some));
    let one_more = selector.count_cipher(name(100));
    assert!(one_more.is_some());
    assert_eq!((count(0), count(100)), (None, value(1)));
    assert!(selector.count_cipher(name(101)).is_none(), "all are in use");
    assert_eq!(count(101), None);
    assert!(selector.count_cipher(name(7)).is_some());
}
