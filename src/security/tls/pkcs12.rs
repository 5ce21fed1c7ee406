//! What a password opens: stores in the format PKCS#12, and encrypted private keys. Without the feature
//! `pkcs12` both are refused.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::ConfigError;

/// Why something could not be opened.
#[derive(Debug)]
pub(super) enum Closed {
    /// This build cannot.
    NotBuilt,
}

impl Closed {
    /// As an error of the key that names the thing; `password` is the key of its password.
    pub(super) fn of(self, key: &'static str, _password: &'static str, path: &str) -> ConfigError {
        let path = Some(path).filter(|path| !path.is_empty());
        match self {
            Self::NotBuilt => ConfigError::not_built(
                key,
                path,
                "this build of the library cannot open stores in the format PKCS12 and encrypted keys",
                "Build with the feature pkcs12, or convert to PEM without a password with `openssl pkcs12 -nodes` or \
                 `openssl pkcs8`",
            ),
        }
    }
}

pub(super) fn certificates(
    _store: &[u8],
    _password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, Closed> {
    Err(Closed::NotBuilt)
}

pub(super) fn key_and_chain(
    _store: &[u8],
    _password: Option<&str>,
) -> Result<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>), Closed> {
    Err(Closed::NotBuilt)
}

pub(super) fn decrypted(_key: &[u8], _password: &str) -> Result<PrivateKeyDer<'static>, Closed> {
    Err(Closed::NotBuilt)
}
