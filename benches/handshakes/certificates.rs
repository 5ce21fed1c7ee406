//! Certificates for brokers and clients, with the usual kinds of keys.

use std::sync::Arc;

use kafka_producer::internals::simulation::World;
use kafka_producer::testing::TestTls;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey,
    date_time_ymd,
};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// The kind of key of brokers, clients and their authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    P256,
    Rsa2048,
    Rsa4096,
}

impl Keys {
    /// A published private key, for benchmarks only.
    fn pem(self) -> &'static str {
        match self {
            Self::P256 => include_str!("p256.pem"),
            Self::Rsa2048 => include_str!("rsa-2048.pem"),
            Self::Rsa4096 => include_str!("rsa-4096.pem"),
        }
    }
}

/// The certificate and key that brokers and clients share.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) authority: String,
    pub(crate) chain: String,
    pub(crate) key: &'static str,
}

impl Identity {
    pub(crate) fn listener(&self, asks_for_certificate: bool) -> TestTls {
        let listener = TestTls::new(&self.chain, self.key);
        if asks_for_certificate {
            listener.require_client_certificate(&self.authority)
        } else {
            listener
        }
    }
}

/// Creates the certificate of this many brokers.
pub(crate) fn identity(keys: Keys, nodes: i32) -> Identity {
    let mut params = params("authority", Vec::new());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages.clear();
    let authority = CertifiedIssuer::self_signed(params, Key::new(keys)).unwrap();
    let hosts = World::hosts(nodes, false, 0);
    let params = self::params("broker", hosts);
    let certificate = params.signed_by(&Key::new(keys), &authority).unwrap();
    Identity {
        authority: authority.pem(),
        chain: certificate.pem(),
        key: keys.pem(),
    }
}

fn params(name: &str, hosts: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(1990, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params.serial_number = Some(7u64.into());
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

/// A private key that rcgen can use.
struct Key {
    kind: Keys,
    private: Arc<dyn rustls::sign::SigningKey>,
    public: Vec<u8>,
}

impl Key {
    fn new(keys: Keys) -> Self {
        let der = PrivateKeyDer::from_pem_slice(keys.pem().as_bytes()).unwrap();
        let key = rustls::crypto::ring::default_provider()
            .key_provider
            .load_private_key(der)
            .unwrap();
        // The key itself is at the end of the encoded public key.
        let encoding = key.public_key().unwrap();
        let bytes = match keys {
            Keys::P256 => 65,
            Keys::Rsa2048 => 270,
            Keys::Rsa4096 => 526,
        };
        let public = encoding[encoding.len() - bytes..].to_vec();
        Self {
            kind: keys,
            private: key,
            public,
        }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.kind {
            Keys::P256 => &PKCS_ECDSA_P256_SHA256,
            Keys::Rsa2048 | Keys::Rsa4096 => &PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.private.choose_scheme(&[
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
        ]);
        Ok(signer.unwrap().sign(message).unwrap())
    }
}
