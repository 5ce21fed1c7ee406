//! TLS settings of an embedded cluster.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::error::TestClusterError;
use crate::security::tls::crypto_provider;

/// The certificate and key of the brokers, and whether clients must have a certificate; all as PEM.
///
/// The certificate must be valid for `127.0.0.1`. The crate `rcgen` creates such certificates in a test.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kafka_producer::ProducerConfig;
/// use kafka_producer::testing::{TestCluster, TestTls};
///
/// let (chain, key) = (std::fs::read_to_string("broker.pem")?, std::fs::read_to_string("broker.key")?);
/// let cluster = TestCluster::builder()
///     .topic("orders", 1)
///     .tls(TestTls::new(chain, key))
///     .start()?;
/// let config = ProducerConfig::builder()
///     .bootstrap_servers(cluster.bootstrap_servers())
///     .set("security.protocol", "SSL")
///     .set("ssl.truststore.type", "PEM")
///     .set("ssl.truststore.location", "authority.pem")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct TestTls {
    chain: String,
    key: String,
    authority: Option<String>,
    provider: Option<Arc<CryptoProvider>>,
}

impl TestTls {
    /// Brokers with this certificate chain, their own certificate first, and this private key. Clients need no
    /// certificate.
    pub fn new(certificate_chain: impl Into<String>, private_key: impl Into<String>) -> Self {
        Self {
            chain: certificate_chain.into(),
            key: private_key.into(),
            authority: None,
            provider: None,
        }
    }

    /// Requires a client certificate of one of these authorities (`ssl.client.auth=required`).
    pub fn require_client_certificate(mut self, authorities: impl Into<String>) -> Self {
        self.authority = Some(authorities.into());
        self
    }

    /// Sets the cryptography provider, instead of the default of this build's features.
    pub fn crypto_provider(mut self, provider: impl Into<Arc<CryptoProvider>>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    pub(crate) fn config(self) -> Result<Arc<ServerConfig>, TestClusterError> {
        let refuse = |why: String| TestClusterError::InvalidTls(why.into());
        let provider = crypto_provider(self.provider).map_err(|error| refuse(error.to_string()))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(error.to_string()))?;
        let builder = match &self.authority {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(pem)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| refuse(format!("the clients' authorities: {error}")))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|error| refuse(format!("the private key: {error}")))?;
        builder
            .with_single_cert(certificates(&self.chain)?, key)
            .map(Arc::new)
            .map_err(|error| refuse(error.to_string()))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TestClusterError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| TestClusterError::InvalidTls(format!("the certificates: {error}").into()))
}

/// Prints no private key.
impl fmt::Debug for TestTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestTls")
            .field("requires_client_certificate", &self.authority.is_some())
            .finish_non_exhaustive()
    }
}
