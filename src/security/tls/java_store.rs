//! Opens password-protected data: key stores in both formats of Java, JKS and PKCS#12, and encrypted private keys.
//!
//! The content shows the format. Java, too, reads both formats under the names of both.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::key_entry::KeyEntry;
use super::open_error::Opened;
use super::store_names::JKS_MAGIC;
use super::{jks, pkcs12};

/// The trusted certificates of a store.
pub(super) fn certificates(
    store: &[u8],
    password: Option<&str>,
) -> Opened<Vec<CertificateDer<'static>>> {
    if store.starts_with(&JKS_MAGIC) {
        jks::certificates(store, password)
    } else {
        pkcs12::certificates(store, password)
    }
}

/// The private key of a store, and its certificate chain. The key has the password of the store if it has none of its
/// own.
pub(super) fn key_entry(
    store: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Opened<KeyEntry> {
    if store.starts_with(&JKS_MAGIC) {
        jks::key_entry(store, password, key_password)
    } else {
        pkcs12::key_entry(store, password, key_password)
    }
}

/// Decrypts a private key.
///
/// # Kafka
/// `javax.crypto.EncryptedPrivateKeyInfo`
pub(super) fn decrypted(key: &[u8], password: &str) -> Opened<PrivateKeyDer<'static>> {
    pkcs12::decrypted(key, password)
}
