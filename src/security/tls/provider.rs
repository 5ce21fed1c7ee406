//! Choice of the cryptography provider.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::error::ConfigError;

/// The given provider; or the first of this build's features aws-lc-rs, graviola, *ring*; or the process-wide default
/// provider of rustls.
pub(super) fn choose(
    given: Option<Arc<CryptoProvider>>,
) -> Result<Arc<CryptoProvider>, ConfigError> {
    given
        .or_else(of_features)
        .or_else(|| CryptoProvider::get_default().cloned())
        .ok_or_else(|| {
            ConfigError::not_built(
                "security.protocol",
                None,
                "TLS needs a cryptography provider, and this build of the library has none",
                "Give one to ProducerBuilder::tls_crypto_provider, or build with the feature tls, tls-aws-lc-rs \
                 or tls-graviola",
            )
        })
}

#[cfg(feature = "tls-aws-lc-rs")]
#[allow(clippy::unnecessary_wraps, reason = "other builds have none")]
fn of_features() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "tls-graviola", not(feature = "tls-aws-lc-rs")))]
#[allow(clippy::unnecessary_wraps, reason = "other builds have none")]
fn of_features() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls_graviola::default_provider()))
}

#[cfg(all(
    feature = "tls",
    not(any(feature = "tls-aws-lc-rs", feature = "tls-graviola"))
))]
#[allow(clippy::unnecessary_wraps, reason = "other builds have none")]
fn of_features() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola")))]
fn of_features() -> Option<Arc<CryptoProvider>> {
    None
}
