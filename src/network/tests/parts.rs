//! The channel builder and poller of a run, with planted bugs.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::authenticator::{AuthPlan, TestAuthenticator};
use super::plant::Plant;
use super::transport::{Probe, SealedTransport};
use crate::network::channel_builder::{ChannelBuilder, ChannelParts};
use crate::network::endpoint::Endpoint;
use crate::network::poller::{Poller, Readiness, Stream};
use crate::network::selectable::{ConnectionId, WakeUp};
use crate::network::transport::{Transport, TransportError};
use crate::sync::Mutex;
use crate::testing::sim::network::{SimPoller, SimStream};

/// Loses events, if that is planted.
pub(super) struct Planted {
    pub(super) poller: SimPoller,
    pub(super) plant: Plant,
    pub(super) random: fastrand::Rng,
}

impl Poller for Planted {
    type Stream = SimStream;

    fn open(&mut self, id: ConnectionId, address: SocketAddr) -> io::Result<(SimStream, bool)> {
        self.poller.open(id, address)
    }

    fn wait(
        &mut self,
        timeout: Duration,
        mut ready: impl FnMut(ConnectionId, Readiness),
    ) -> io::Result<()> {
        let (random, plant) = (&mut self.random, self.plant);
        self.poller.wait(timeout, |id, event| {
            if plant != Plant::EventForgotten || random.u8(0..20) > 0 {
                ready(id, event);
            }
        })
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        self.poller.wake_up()
    }
}

/// What a connection is to be like.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) hellos: u8,
    pub(super) is_refused: bool,
    pub(super) auth: AuthPlan,
    pub(super) seed: u64,
    pub(super) probe: Arc<Probe>,
}

/// What the next connection to each host is to be like.
pub(super) type Plans = Arc<Mutex<BTreeMap<Arc<str>, Plan>>>;

/// Makes channels as they are planned.
pub(super) struct Builder {
    pub(super) plans: Plans,
    pub(super) plant: Plant,
    pub(super) cipher: Cipher,
}

/// What seals.
#[derive(Clone)]
pub(super) enum Cipher {
    /// A cipher of the tests' own, which draws what it does.
    Drawn,
    #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
    Tls(super::tls::Tls),
}

impl<S: Stream + 'static> ChannelBuilder<S> for Builder {
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        // By name: an address would not tell which host is meant.
        let plan = self.plans.lock()[&endpoint.host].clone();
        let random = fastrand::Rng::with_seed(plan.seed);
        let probe = Arc::clone(&plan.probe);
        let transport: Box<dyn Transport> = match &self.cipher {
            Cipher::Drawn => Box::new(SealedTransport::new(
                stream,
                probe,
                self.plant,
                plan.hellos,
                plan.is_refused,
                random,
            )),
            #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
            Cipher::Tls(tls) => tls.transport(stream, endpoint, &plan, self.plant),
        };
        Ok(ChannelParts {
            transport,
            authenticator: Box::new(TestAuthenticator::new(plan.auth, plan.probe)),
        })
    }
}
