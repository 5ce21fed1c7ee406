//! What a password opens: stores in the format PKCS#12, and encrypted private keys.

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::der::{OCTETS, SEQUENCE, explicit, tagged};
use crate::error::ConfigError;

/// Why something stays closed.
#[derive(Debug)]
pub(super) enum Closed {
    /// The password is wrong or missing.
    Password,
    /// It cannot be read; why.
    Unreadable(String),
    /// What was looked for is not in it.
    Missing(&'static str),
}

impl Closed {
    /// As an error of the key that names the thing; `password` is the key of its password.
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
            Self::Unreadable(why) => {
                ConfigError::invalid(key, path, format!("it cannot be read: {why}"), check)
            }
            Self::Missing(what) => {
                ConfigError::invalid(key, path, format!("{what} is in it"), check)
            }
        }
    }
}

impl From<Error> for Closed {
    fn from(error: Error) -> Self {
        match error {
            // A wrong password shows as a checksum that is wrong, or where there is none as padding or content that is.
            Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => Self::Password,
            other => Self::Unreadable(other.to_string()),
        }
    }
}

type Opened<T> = Result<T, Closed>;

/// The certificates that a store says are trusted; all of them if it says so of none, as those of OpenSSL.
pub(super) fn certificates(
    store: &[u8],
    password: Option<&str>,
) -> Opened<Vec<CertificateDer<'static>>> {
    let bags = Pkcs12Archive::from_pkcs12(store, password.unwrap_or_default())?.certs;
    let are_marked = bags.iter().any(|bag| bag.trusted);
    let trusted = bags.iter().filter(|bag| bag.trusted || !are_marked);
    let certificates: Vec<_> = trusted.map(certificate).collect();
    if certificates.is_empty() {
        return Err(Closed::Missing("no certificate"));
    }
    Ok(certificates)
}

/// The first key of a store that has a certificate, and the chain from that one upwards.
pub(super) fn key_and_chain(
    store: &[u8],
    password: Option<&str>,
) -> Opened<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>)> {
    let archive = Pkcs12Archive::from_pkcs12(store, password.unwrap_or_default())?;
    if archive.keys.is_empty() {
        return Err(Closed::Missing("no private key"));
    }
    let mut pairs = archive.keys.iter().filter_map(|key| {
        let leaf = leaf_of(key, &archive)?;
        Some((key, leaf))
    });
    let Some((key, leaf)) = pairs.next() else {
        return Err(Closed::Missing("no certificate for the private key"));
    };
    let chain = chain_from(leaf, &archive.certs);
    Ok((
        private_key(key),
        chain.into_iter().map(certificate).collect(),
    ))
}

/// The key that a password opens.
///
/// # Kafka
/// `javax.crypto.EncryptedPrivateKeyInfo`
pub(super) fn decrypted(key: &[u8], password: &str) -> Opened<PrivateKeyDer<'static>> {
    // Such a key is what a store keeps its keys as: put into a store of its own, it is opened by the same code, in
    // all the ways of OpenSSL and Java, and with the same bounds.
    let keys = Pkcs12Archive::from_pkcs12(&store_of(key), password)?.keys;
    keys.first()
        .map(private_key)
        .ok_or(Closed::Missing("no private key"))
}

fn certificate(bag: &CertificateBag) -> CertificateDer<'static> {
    CertificateDer::from(bag.cert.as_der().to_vec())
}

fn private_key(bag: &PrivateKeyBag) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()))
}

/// The certificate of a key: they have the same id; or there is no other key and they have none.
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

/// A certificate and those that it leads to.
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

/// A store without a checksum, of this key alone.
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
