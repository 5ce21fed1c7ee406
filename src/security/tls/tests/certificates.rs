//! Certificates for tests, generated on demand and signed with the tested cryptography provider. Tests with real
//! brokers and embedded ones use this file too.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests: they fail by panicking, and each uses a part"
)]

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// Public test keys.
const KEYS: [&str; 3] = [
    "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4qLwWaUUhXxgyL6s
6z7QTTv0rnW2unhPbmyAsrkZV5ahRANCAARtvQcnEolrS++VxbXS7yOXeWTzEB2w
xg/LjbtkKDTyRvBt/x6xXOJT/VF91zLkBH6pE+vYGjZLiTdL+7c6rJRV
-----END PRIVATE KEY-----",
    "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQNdF1Kp0JlNcxB7s
qdbdtyyv/ri6FE3xRKCP9KgoViehRANCAAQgnYm++LWzv2lGCpLBIFMFBDVxy+iU
TTAWVzUfMUod7lRtISHCs0oI/lZxNLJnJpzmhOPdYersjUuPJHy9rAs3
-----END PRIVATE KEY-----",
    "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKdiWg40p2bIdX4Ax
fqn+LWO1qGYnul19Rx/n6d5HAtqhRANCAARUj8cHMlg/iipC/y60bBKUZ2rloNTc
bXs7jn8p8c3lUqchOy9MDu063cVgieuvYj1sRChIuNcKwYU5jPzwuitM
-----END PRIVATE KEY-----",
];

/// The cryptography provider of this build.
pub(crate) fn crypto() -> Arc<CryptoProvider> {
    #[cfg(feature = "tls-aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(all(feature = "tls-graviola", not(feature = "tls-aws-lc-rs")))]
    let provider = rustls_graviola::default_provider();
    #[cfg(all(
        feature = "tls",
        not(any(feature = "tls-aws-lc-rs", feature = "tls-graviola"))
    ))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

/// A private key in rcgen's form.
struct TestKey {
    pem: &'static str,
    key: Arc<dyn rustls::sign::SigningKey>,
    point: Vec<u8>,
}

impl TestKey {
    fn new(pem: &'static str) -> Self {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = crypto()
            .key_provider
            .load_private_key(der.clone_key())
            .unwrap();
        // The last bytes of the PKCS#8 are the public point.
        let der = der.secret_der();
        let point = der[der.len() - 65..].to_vec();
        Self { pem, key, point }
    }
}

impl PublicKeyData for TestKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for TestKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self
            .key
            .choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        Ok(signer.unwrap().sign(message).unwrap())
    }
}

/// A key that signs tokens, and its public point.
pub(crate) fn token_key() -> (Arc<dyn rustls::sign::SigningKey>, Vec<u8>) {
    let TestKey { key, point, .. } = TestKey::new(KEYS[2]);
    (key, point)
}

/// The validity of a certificate: from the beginning of the first year to the beginning of the second.
type Years = (i32, i32);

const VALID: Years = (2020, 2090);

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: &'static str,
}

impl Identity {
    /// A key store in PEM: the key, then the certificates.
    pub(crate) fn pem(&self) -> String {
        format!("{}\n{}", self.key, self.chain)
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, TestKey>,
}

impl Authority {
    /// One of three independent authorities.
    pub(crate) fn new(number: usize) -> Self {
        let mut params = params(&format!("authority {number}"), &[], VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages.clear();
        let issuer = CertifiedIssuer::self_signed(params, TestKey::new(KEYS[number])).unwrap();
        Self { issuer }
    }

    /// The CA certificate of the authority, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for these names.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_for(names, VALID)
    }

    /// Issues a certificate with this validity.
    pub(crate) fn issue_for(&self, names: &[&str], years: Years) -> Identity {
        self.issue_with(1, names, years)
    }

    /// Issues a client certificate that expires at the beginning of this year.
    pub(crate) fn client_until(&self, year: i32) -> Identity {
        self.issue_for(&["client"], (2020, year))
    }

    /// As `issue_for`, with one of three keys.
    pub(crate) fn issue_with(&self, key: usize, names: &[&str], years: Years) -> Identity {
        let key = TestKey::new(KEYS[key]);
        let certificate = params("broker", names, years)
            .signed_by(&key, &self.issuer)
            .unwrap();
        Identity {
            chain: certificate.pem(),
            key: key.pem,
        }
    }
}

/// A self-signed certificate, marked as that of a CA if `is_authority` is true.
pub(crate) fn self_signed(names: &[&str], is_authority: bool, years: Years) -> Identity {
    let key = TestKey::new(KEYS[2]);
    let mut params = params("broker", names, years);
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    Identity {
        chain: params.self_signed(&key).unwrap().pem(),
        key: key.pem,
    }
}

fn params(name: &str, names: &[&str], (from, to): Years) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params.serial_number = Some(u64::from(name.len() as u32 + 1).into());
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}
