//! The parts of a TLS configuration that come from files: the client's certificate with its key, and the trust store.
//! Each has a digest of its content, which a reload compares.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::Hash;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, SupportedCipherSuite};

use super::failure::OwnCertificate;
use super::reload::FileRefusal;
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

/// The digest of a store in use, and the warnings about the store.
pub(super) struct StoreInUse {
    pub(super) digest: ContentDigest,
    pub(super) warnings: Vec<String>,
}

/// The client's certificate chain and private key, which belong together.
pub(super) struct ClientIdentity {
    pair: Arc<CertifiedKey>,
    pub(super) own: OwnCertificate,
    pub(super) digest: ContentDigest,
    pub(super) warnings: Vec<String>,
}

impl ClientIdentity {
    /// Checks also that key and certificate belong together: by their public keys, or by a signature if the
    /// cryptography provider gives out no public key of a private one.
    ///
    /// # Errors
    /// The key does not belong to the first certificate of the chain, or the cryptography provider cannot use it.
    pub(super) fn of(
        store: KeyStore,
        provider: &CryptoProvider,
        hash: ContentHash,
    ) -> Result<Self, FileRefusal> {
        let chain = store.chain;
        let certificates = chain.iter().map(|certificate| &**certificate);
        let digest = hash.digest(certificates.chain([store.key.secret_der()]));
        let (valid_from, valid_until) = chain.first().map_or((None, None), date::validity);
        let key = ec_key::completed(store.key, &chain);
        let pair = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| invalid_own_certificate(store.named_by, &error))?;
        let is_unknown = matches!(
            pair.keys_match(),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown))
        );
        if is_unknown {
            key_proof::prove(&pair, &provider.signature_verification_algorithms)
                .map_err(|error| invalid_own_certificate(store.named_by, &error))?;
        }
        Ok(Self {
            pair: Arc::new(pair),
            own: OwnCertificate {
                valid_from,
                valid_until,
            },
            digest,
            warnings: store.warnings,
        })
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.pair)))
    }
}

fn invalid_own_certificate(key: &'static str, error: &rustls::Error) -> FileRefusal {
    match error {
        rustls::Error::InconsistentKeys(_) => FileRefusal::Content(ConfigError::invalid(
            key,
            None,
            "the private key does not belong to the first certificate of the chain",
            "Put the client's own certificate first, and its own key beside it",
        )),
        // A provider may fail for a time, for instance if it uses a hardware module.
        other => FileRefusal::Passing(ConfigError::invalid(
            key,
            None,
            format!("the private key cannot be used: {other}"),
            "Use a key for RSA (2,048 bits or more), ECDSA (P-256, P-384) or Ed25519, as PKCS#8",
        )),
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
