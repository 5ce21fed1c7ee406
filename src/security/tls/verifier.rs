//! Verification of a broker's certificate: its chain, and host name verification.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::planted::planted;

/// Verifies the certificate chain against the trust store, and the host name if host name verification is enabled.
///
/// # Kafka
/// The trust manager that the default `SslEngineFactory` creates from the trust store.
#[derive(Debug)]
pub(super) struct BrokerVerifier {
    roots: RootCertStore,
    /// The certificates of the trust store, in full.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
    /// True if host names are verified: `ssl.endpoint.identification.algorithm` is `https`.
    checks_name: bool,
}

impl BrokerVerifier {
    pub(super) fn new(
        roots: RootCertStore,
        trusted: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
        checks_name: bool,
    ) -> Self {
        Self {
            roots,
            trusted,
            algorithms,
            checks_name,
        }
    }
}

impl ServerCertVerifier for BrokerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        match chain {
            // A self-signed certificate of `keytool -genkeypair` or `openssl req -x509` is marked as a CA, which webpki
            // rejects as an end-entity certificate. Java accepts it if the trust store contains that very certificate,
            // and so do we. Its validity period has been checked before.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.contains(end_entity) => {}
            _ if planted!(AnyCertificateTaken) => {}
            other => other?,
        }
        if self.checks_name && !planted!(AnyNameTaken) {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
