//! Opens password-protected data: PKCS#12 stores, and encrypted private keys.

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::der::{OCTETS, SEQUENCE, explicit, tagged};
use super::key_derivation;
use crate::error::ConfigError;

/// Why a store or key could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// The password is wrong.
    Password,
    /// The password is not set.
    NoPassword,
    /// The data is malformed, for this reason.
    Unreadable(String),
    /// The key derivation is too expensive: the parameter that exceeds its limit.
    Slow(String),
    /// A required part is missing, as in "no private key".
    Missing(&'static str),
}

impl OpenError {
    /// Converts to a configuration error of `key`; `password` is the configuration key of the password.
    pub(super) fn of(self, key: &'static str, password: &'static str, path: &str) -> ConfigError {
        let path = Some(path).filter(|path| !path.is_empty());
        let check = "Check it with `keytool -list` or `openssl pkcs12 -info`";
        match self {
            Self::Password => ConfigError::invalid(
                password,
                None,
                match path {
                    Some(path) => {
                        format!("this password does not open {path}, or the file is damaged")
                    }
                    None => format!("this password does not open the private key of {key}"),
                },
                "Set it to the right one",
            ),
            Self::NoPassword => ConfigError::invalid(
                password,
                None,
                format!(
                    "the key is not set, and {} does not open without it",
                    path.unwrap_or(key)
                ),
                "Set it to the password of the store",
            ),
            Self::Unreadable(why) => {
                ConfigError::invalid(key, path, format!("it cannot be read: {why}"), check)
            }
            Self::Slow(why) => ConfigError::invalid(
                key,
                path,
                why,
                "Write it again with 10,000 iterations, as is usual (`openssl pkcs12 -export -iter 10000`, `openssl \
                 pkcs8 -topk8 -iter 10000`, `keytool -importkeystore`)",
            ),
            Self::Missing(what) => {
                ConfigError::invalid(key, path, format!("{what} is in it"), check)
            }
        }
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        match error {
            // A wrong password shows as a wrong MAC, or in a store without a MAC as invalid padding or content.
            Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => Self::Password,
            other => Self::Unreadable(other.to_string()),
        }
    }
}

type Opened<T> = Result<T, OpenError>;

fn open(store: &[u8], password: &str) -> Opened<Pkcs12Archive> {
    key_derivation::check(store).map_err(OpenError::Slow)?;
    Ok(Pkcs12Archive::from_pkcs12(store, password)?)
}

/// The trusted certificates of a store: those with Java's attribute for trusted certificates, or all certificates if
/// none has the attribute, as in stores of OpenSSL.
pub(super) fn certificates(
    store: &[u8],
    password: Option<&str>,
) -> Opened<Vec<CertificateDer<'static>>> {
    let archive = open(store, password.unwrap_or_default());
    // If no password is set, the empty password was tried, which opens a store without encryption and MAC. If the
    // store does not open, the password is missing rather than wrong.
    let archive = archive.map_err(|why| match (why, password) {
        (OpenError::Password, None) => OpenError::NoPassword,
        (closed, _) => closed,
    })?;
    let bags = archive.certs;
    let are_marked = bags.iter().any(|bag| bag.trusted);
    let trusted = bags.iter().filter(|bag| bag.trusted || !are_marked);
    let certificates: Vec<_> = trusted.map(certificate).collect();
    if certificates.is_empty() {
        return Err(OpenError::Missing("no certificate"));
    }
    Ok(certificates)
}

/// The first private key of a store that has a certificate, and its certificate chain.
pub(super) fn key_and_chain(
    store: &[u8],
    password: Option<&str>,
) -> Opened<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>)> {
    let archive = open(store, password.unwrap_or_default())?;
    if archive.keys.is_empty() {
        return Err(OpenError::Missing("no private key"));
    }
    let mut pairs = archive.keys.iter().filter_map(|key| {
        let leaf = leaf_of(key, &archive)?;
        Some((key, leaf))
    });
    let Some((key, leaf)) = pairs.next() else {
        return Err(OpenError::Missing("no certificate for the private key"));
    };
    let chain = chain_from(leaf, &archive.certs);
    Ok((
        private_key(key),
        chain.into_iter().map(certificate).collect(),
    ))
}

/// Decrypts a private key.
///
/// # Kafka
/// `javax.crypto.EncryptedPrivateKeyInfo`
pub(super) fn decrypted(key: &[u8], password: &str) -> Opened<PrivateKeyDer<'static>> {
    // A store keeps its keys in the same encrypted form. Wrapping the key in a store of its own reuses the code and its
    // limits, for all algorithms of OpenSSL and Java.
    let keys = open(&store_of(key), password)?.keys;
    keys.first()
        .map(private_key)
        .ok_or(OpenError::Missing("no private key"))
}

fn certificate(bag: &CertificateBag) -> CertificateDer<'static> {
    CertificateDer::from(bag.cert.as_der().to_vec())
}

fn private_key(bag: &PrivateKeyBag) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()))
}

/// The certificate of a key: that with the same local key id. A key without an id gets the first certificate, if it is
/// the only key of the store.
fn leaf_of<'a>(key: &PrivateKeyBag, archive: &'a Pkcs12Archive) -> Option<&'a CertificateBag> {
    match &key.local_key_id {
        Some(id) => archive
            .certs
            .iter()
            .find(|bag| bag.local_key_id.as_ref() == Some(&id.0)),
        None if archive.keys.len() == 1 => archive.certs.first(),
        None => None,
    }
}

/// The certificate `leaf`, followed by its issuer, the issuer of that, and so on, as far as they are in the store.
fn chain_from<'a>(leaf: &'a CertificateBag, all: &'a [CertificateBag]) -> Vec<&'a CertificateBag> {
    let mut chain = vec![leaf];
    while let Some(last) = chain.last() {
        let issuer = all.iter().find(|bag| {
            bag.cert.subject() == last.cert.issuer()
                && !chain
                    .iter()
                    .any(|known| known.cert.as_der() == bag.cert.as_der())
        });
        match issuer {
            Some(issuer) => chain.push(issuer),
            None => break,
        }
    }
    chain
}

const DATA: [u8; 11] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SHROUDED_KEY_BAG: [u8; 13] = [
    0x06, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 2,
];

/// Encodes a store without a MAC that contains only this key.
fn store_of(key: &[u8]) -> Vec<u8> {
    let data = |content: &[u8]| {
        let octets = tagged(explicit(0), &tagged(OCTETS, content));
        tagged(SEQUENCE, &[&DATA, &octets[..]].concat())
    };
    let bag = tagged(
        SEQUENCE,
        &[&SHROUDED_KEY_BAG, &tagged(explicit(0), key)[..]].concat(),
    );
    let safe = tagged(SEQUENCE, &data(&tagged(SEQUENCE, &bag)));
    tagged(SEQUENCE, &[&[0x02, 1, 3], &data(&safe)[..]].concat())
}
