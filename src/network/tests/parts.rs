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

/// Poller that loses events, if that bug is planted.
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

/// The script of a connection.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) hellos: u8,
    pub(super) is_refused: bool,
    pub(super) auth: AuthPlan,
    pub(super) seed: u64,
    pub(super) probe: Arc<Probe>,
}

/// The script of the next connection to each host.
pub(super) type Plans = Arc<Mutex<BTreeMap<Arc<str>, Plan>>>;

/// Channel builder that follows the scripts.
pub(super) struct Builder {
    pub(super) plans: Plans,
    pub(super) plant: Plant,
    pub(super) cipher: Cipher,
}

/// The encryption of a run.
#[derive(Clone)]
pub(super) enum Cipher {
    /// The mock cipher, whose behaviour is drawn from the seed.
    Drawn,
    #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
    Tls(super::tls::Tls),
}

impl<S: Stream + 'static> ChannelBuilder<S> for Builder {
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        // Plans are found by host name, since several hosts may have the same address.
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
