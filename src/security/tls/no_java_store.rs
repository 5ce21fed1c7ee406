//! Replacement of `java_store` in builds without the feature `pkcs12`: every call fails.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::key_entry::KeyEntry;
use crate::error::ConfigError;

/// The error of every call: this build cannot open stores and encrypted keys.
#[derive(Debug)]
pub(super) struct OpenError;

impl OpenError {
    /// Converts to a configuration error of `key`.
    #[allow(
        clippy::unused_self,
        reason = "the method has the signature that it has with the feature"
    )]
    pub(super) fn of(self, key: &'static str, _password: &'static str, path: &str) -> ConfigError {
        ConfigError::not_built(
            key,
            Some(path).filter(|path| !path.is_empty()),
            "this build of the library cannot open JKS and PKCS12 stores and encrypted keys",
            "Build it with the feature pkcs12, which reads all of them; or convert to PEM without a password, with \
             `openssl pkcs12 -nodes` or `openssl pkcs8`, and set the type to PEM",
        )
    }
}

pub(super) type Opened<T> = Result<T, OpenError>;

pub(super) fn certificates(
    _store: &[u8],
    _password: Option<&str>,
) -> Opened<Vec<CertificateDer<'static>>> {
    Err(OpenError)
}

pub(super) fn key_entry(
    _store: &[u8],
    _password: Option<&str>,
    _key_password: Option<&str>,
) -> Opened<KeyEntry> {
    Err(OpenError)
}

pub(super) fn decrypted(_key: &[u8], _password: &str) -> Opened<PrivateKeyDer<'static>> {
    Err(OpenError)
}
