//! Certificates for a scenario's brokers and clients, made when they are needed.
//!
//! All keys are of Ed25519: its signatures have one length, and are the same each time.

use std::sync::Arc;

use kafka_producer::internals::simulation::{TlsOptions, World};
use kafka_producer::testing::TestTls;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    PKCS_ED25519, PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::scenario::{Brokers, Tls};

/// Keys for tests, and nothing else: everybody knows them.
const AUTHORITY: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIOWkbzJecQqcNylMIuohsYa71SsSeeSF4VoxWN0xFr5T
-----END PRIVATE KEY-----";
const STRANGER: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICsn+y0Mf1V2xk11b8Iqs9JTJk+1kNKTbJ1pLFGT0vkv
-----END PRIVATE KEY-----";
const BROKER: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBlY8cfMcNkY+bc3xoGiE18RAWJyDTJw9TiQBuVQl0lG
-----END PRIVATE KEY-----";
const CLIENT: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICReXlWY0DPI5fEWJ6wnIG0MNeyCWDLXYqQKeXylmTmx
-----END PRIVATE KEY-----";

/// Years in which a certificate is valid: from the beginning of the first to that of the second. The simulated clock
/// begins in 2021.
type Years = (i32, i32);

const VALID: Years = (1990, 2090);
const OVER: Years = (1990, 2010);

/// How the brokers of a scenario listen, whatever `moves` they make.
pub(crate) fn brokers(brokers: &Brokers, tls: &Tls, moves: u8) -> TlsOptions {
    let hosts = World::hosts(i32::from(brokers.nodes), brokers.by_name, moves);
    let (authority, stranger) = (authority(AUTHORITY), authority(STRANGER));
    let listener = |chain: String| {
        let listener = TestTls::new(chain, BROKER);
        if tls.client_certificates {
            listener.require_client_certificate(authority.pem())
        } else {
            listener
        }
    };
    let elsewhere = ["elsewhere.sim".to_owned()];
    TlsOptions {
        right: listener(issue(&authority, BROKER, &hosts, VALID)),
        expired: listener(issue(&authority, BROKER, &hosts, OVER)),
        other_name: listener(issue(&authority, BROKER, &elsewhere, VALID)),
        other_authority: listener(issue(&stranger, BROKER, &hosts, VALID)),
    }
}

/// Whom clients trust, as PEM.
pub(crate) fn trusted() -> String {
    authority(AUTHORITY).pem()
}

/// Who clients are, as PEM: certificate and key.
pub(crate) fn client() -> (String, &'static str) {
    let names = ["client.sim".to_owned()];
    let chain = issue(&authority(AUTHORITY), CLIENT, &names, VALID);
    (chain, CLIENT)
}

/// A private key that rcgen can use.
struct Key {
    key: Arc<dyn rustls::sign::SigningKey>,
    public: Vec<u8>,
}

impl Key {
    fn new(pem: &str) -> Self {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = rustls::crypto::ring::default_provider()
            .key_provider
            .load_private_key(der)
            .unwrap();
        // The public key is the end of how it is told.
        let told = key.public_key().unwrap();
        let public = told[told.len() - 32..].to_vec();
        Self { key, public }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.key.choose_scheme(&[SignatureScheme::ED25519]);
        Ok(signer.unwrap().sign(message).unwrap())
    }
}

fn authority(key: &str) -> CertifiedIssuer<'static, Key> {
    let mut params = params("authority", &[], VALID);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages.clear();
    CertifiedIssuer::self_signed(params, Key::new(key)).unwrap()
}

fn issue(
    authority: &CertifiedIssuer<'static, Key>,
    key: &str,
    names: &[String],
    years: Years,
) -> String {
    let certificate = params("one of those", names, years).signed_by(&Key::new(key), authority);
    certificate.unwrap().pem()
}

fn params(name: &str, names: &[String], (from, to): Years) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params.serial_number = Some(7u64.into());
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}
