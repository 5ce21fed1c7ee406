//! A TLS server in memory.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConnection, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::certificates::{Authority, Identity, crypto};
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::security::tls::OurTime;

/// TLS 1.2 alone.
pub(crate) static ONLY_12: [&SupportedProtocolVersion; 1] = [&TLS12];
/// TLS 1.3 alone.
pub(crate) static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The settings of a server.
pub(crate) struct Server<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    /// Requires client certificates of this authority; `None` if clients need no certificate.
    pub(crate) asks_for: Option<&'a Authority>,
}

impl<'a> Server<'a> {
    /// A server without client authentication.
    pub(crate) fn new(identity: &'a Identity) -> Self {
        Self {
            identity,
            versions: rustls::ALL_VERSIONS,
            asks_for: None,
        }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let clock: Arc<dyn Clock> = Arc::new(MockClock::new());
        let time: Arc<dyn TimeProvider> = Arc::new(OurTime(clock));
        let builder = ServerConfig::builder_with_details(crypto(), time)
            .with_protocol_versions(self.versions)
            .unwrap();
        let builder = match self.asks_for {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let pem = authority.pem();
                roots
                    .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
                    .unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), crypto());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.identity.chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).unwrap();
        Arc::new(
            builder
                .with_single_cert(chain.map(Result::unwrap).collect(), key)
                .unwrap(),
        )
    }

    pub(crate) fn connection(&self) -> ServerConnection {
        ServerConnection::new(self.config()).unwrap()
    }
}
