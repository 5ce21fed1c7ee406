//! The parts of a TLS configuration that come from files: the client's certificate with its key, and the trust store.
//! Each has a digest of its content, so that a reload can tell whether it has changed.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::Hash;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, SupportedCipherSuite};

use super::failure::OwnCertificate;
use super::stores::{KeyStore, TrustStore};
use super::verifier::BrokerVerifier;
use super::{date, ec_key, key_proof};
use crate::error::ConfigError;

/// A cryptographic hash of a store's content. It is kept instead of the content, which includes the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentDigest(Box<[u8]>);

/// A hash function of the cryptography provider.
#[derive(Clone, Copy)]
pub(super) struct ContentHash(&'static dyn Hash);

impl ContentHash {
    /// The hash function of the provider's first cipher suite; `None` if the provider has no suite.
    pub(super) fn of_provider(provider: &CryptoProvider) -> Option<Self> {
        let suite = provider.cipher_suites.first()?;
        Some(Self(match suite {
            SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
            SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        }))
    }

    /// The digest of a list of byte strings. Their lengths are hashed too, so other borders give another digest.
    pub(super) fn digest<'a>(self, parts: impl IntoIterator<Item = &'a [u8]>) -> ContentDigest {
        let mut context = self.0.start();
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        ContentDigest(context.finish().as_ref().into())
    }
}

/// The client's certificate chain and private key, which belong together.
pub(super) struct ClientIdentity {
    pair: Arc<CertifiedKey>,
    /// The configuration key that errors name.
    named_by: &'static str,
    pub(super) own: OwnCertificate,
    pub(super) digest: ContentDigest,
    pub(super) warnings: Vec<String>,
}

impl ClientIdentity {
    /// # Errors
    /// The key does not belong to the first certificate of the chain, or the cryptography provider does not support it.
    pub(super) fn of(
        store: KeyStore,
        provider: &CryptoProvider,
        hash: ContentHash,
    ) -> Result<Self, ConfigError> {
        let chain = store.chain;
        let certificates = chain.iter().map(|certificate| &**certificate);
        let digest = hash.digest(certificates.chain([store.key.secret_der()]));
        let own = OwnCertificate {
            valid_until: chain.first().and_then(date::valid_until),
        };
        let key = ec_key::completed(store.key, &chain);
        let pair = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| invalid_own_certificate(store.named_by, &error))?;
        Ok(Self {
            pair: Arc::new(pair),
            named_by: store.named_by,
            own,
            digest,
            warnings: store.warnings,
        })
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.pair)))
    }

    /// Checks with a signature that key and certificate belong together, if the cryptography provider gives out no
    /// public keys that could be compared.
    ///
    /// # Errors
    /// They do not belong together, or the key signs nothing.
    pub(super) fn prove(&self, provider: &CryptoProvider) -> Result<(), ConfigError> {
        let algorithms = &provider.signature_verification_algorithms;
        match self.pair.keys_match() {
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown))
                if !key_proof::signs_for_its_certificate(&self.pair, algorithms) =>
            {
                let mismatch = InconsistentKeys::KeyMismatch.into();
                Err(invalid_own_certificate(self.named_by, &mismatch))
            }
            _ => Ok(()),
        }
    }
}

fn invalid_own_certificate(key: &'static str, error: &rustls::Error) -> ConfigError {
    match error {
        rustls::Error::InconsistentKeys(_) => ConfigError::invalid(
            key,
            None,
            "the private key does not belong to the first certificate of the chain",
            "Put the client's own certificate first, and its own key beside it",
        ),
        other => ConfigError::invalid(
            key,
            None,
            format!("the private key cannot be used: {other}"),
            "Use a key for RSA (2,048 bits or more), ECDSA (P-256, P-384) or Ed25519, as PKCS#8",
        ),
    }
}

/// The trust store, as a verifier of brokers' certificates.
pub(super) struct BrokerTrust {
    pub(super) verifier: Arc<BrokerVerifier>,
    /// The number of trusted certificates.
    pub(super) count: usize,
    pub(super) digest: ContentDigest,
    pub(super) warnings: Vec<String>,
}

impl BrokerTrust {
    pub(super) fn of(
        store: TrustStore,
        checks_name: bool,
        provider: &CryptoProvider,
        hash: ContentHash,
    ) -> Self {
        let certificates = store.certificates.iter();
        let digest = hash.digest(certificates.map(|certificate| &**certificate));
        let count = store.roots.len();
        let verifier = BrokerVerifier::new(
            store.roots,
            store.certificates,
            provider.signature_verification_algorithms,
            checks_name,
        );
        Self {
            verifier: Arc::new(verifier),
            count,
            digest,
            warnings: store.warnings,
        }
    }
}
