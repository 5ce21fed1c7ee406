//! Reader of PKCS#12, the key store format of OpenSSL and of Java since version 9, and of encrypted private keys.

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::der::{INTEGER, OCTETS, SEQUENCE, expect, explicit, tagged, take};
use super::key_derivation;
use super::key_entry::{KeyEntry, first_in_java, note_of};
use super::open_error::{OpenError, Opened};

/// Limit of the number of certificates in a chain; Java's brokers accept ten.
const MAX_CHAIN: usize = 100;

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        match error {
            // A wrong password shows as a wrong MAC, or in a store without a MAC as invalid padding or content.
            Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => Self::Password,
            Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => Self::Unreadable(
                "an algorithm in it is not supported; the default ones of keytool and OpenSSL are"
                    .to_owned(),
            ),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

fn open(store: &[u8], password: &str) -> Opened<Pkcs12Archive> {
    key_derivation::check(store).map_err(OpenError::Slow)?;
    Ok(Pkcs12Archive::from_pkcs12(store, password)?)
}

/// The trusted certificates of a store: those with Java's attribute for trusted certificates, and the own certificate
/// of each private key. If there are neither, as in trust stores of OpenSSL, all certificates are trusted. Without a
/// password the MAC is not checked, as in Java.
///
/// # Kafka
/// Java's trust managers trust the own certificate of a private key as well (`TrustStoreUtil`). Differs: in a store
/// without the attribute and without keys Java trusts no certificate.
pub(super) fn certificates(
    store: &[u8],
    password: Option<&str>,
) -> Opened<Vec<CertificateDer<'static>>> {
    let archive = match (open(store, password.unwrap_or_default()), password) {
        (Err(OpenError::Password), None) => without_mac(store)
            .and_then(|store| open(&store, "").ok())
            // Its content is encrypted: the password is missing rather than wrong.
            .ok_or(OpenError::NoPassword)?,
        (opened, _) => opened?,
    };
    let bags = &archive.certs;
    let trusts_all = archive.keys.is_empty() && !bags.iter().any(|bag| bag.trusted);
    let trusted = bags.iter().filter(|bag| bag.trusted || trusts_all);
    let of_keys = archive.keys.iter().filter_map(|key| leaf_of(key, &archive));
    let certificates: Vec<_> = trusted.chain(of_keys).map(certificate).collect();
    if certificates.is_empty() {
        return Err(OpenError::Missing("no certificate"));
    }
    Ok(certificates)
}

/// The private key that Java would use, of those that have a certificate, and its certificate chain. The key has the
/// password of the store if it has none of its own.
pub(super) fn key_entry(
    store: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Opened<KeyEntry> {
    let archive = open_with_keys(store, password.unwrap_or_default(), key_password)?;
    if archive.keys.is_empty() {
        return Err(OpenError::Missing("no private key"));
    }
    let pairs: Vec<_> = archive
        .keys
        .iter()
        .filter_map(|key| Some((key, leaf_of(key, &archive)?)))
        .collect();
    let aliases: Vec<String> = (1..)
        .zip(&pairs)
        .map(|(number, (key, _))| alias_of(key, number))
        .collect();
    let Some(first) = first_in_java(&aliases) else {
        return Err(OpenError::Missing("no certificate for the private key"));
    };
    let (key, leaf) = pairs[first];
    let chain = chain_from(leaf, &archive.certs);
    Ok(KeyEntry {
        key: private_key(key),
        chain: chain.into_iter().map(certificate).collect(),
        note: note_of(&aliases[first], aliases.len()),
    })
}

/// The alias of a key in Java: in lower case, or a number if the key has none.
fn alias_of(key: &PrivateKeyBag, number: usize) -> String {
    match &key.friendly_name {
        Some(name) => name.to_lowercase(),
        None => number.to_string(),
    }
}

/// Opens a store whose keys may have another password than its certificates and its MAC.
fn open_with_keys(
    store: &[u8],
    password: &str,
    key_password: Option<&str>,
) -> Opened<Pkcs12Archive> {
    key_derivation::check(store).map_err(OpenError::Slow)?;
    let error = match Pkcs12Archive::from_pkcs12(store, password) {
        Ok(archive) => return Ok(archive),
        Err(error) => error,
    };
    // The MAC is checked first: these errors follow when it is right, or when there is none.
    let is_content_closed = matches!(
        error,
        Error::UnpadError | Error::Pkcs5Error(_) | Error::InvalidPrivateKey
    );
    match key_password.filter(|own| *own != password) {
        _ if !is_content_closed => Err(error.into()),
        Some(own) => open_each_safe(store, password, own),
        None if without_mac(store).is_some() => Err(OpenError::KeyPassword {
            alias: None,
            is_set: key_password.is_some(),
        }),
        None => Err(error.into()),
    }
}

/// Opens each safe with the password that opens it: Java and OpenSSL store keys and certificates in separate safes.
fn open_each_safe(store: &[u8], password: &str, own: &str) -> Opened<Pkcs12Archive> {
    let safes =
        safes(store).ok_or_else(|| OpenError::Unreadable("its safes are malformed".to_owned()))?;
    let mut archive = Pkcs12Archive::default();
    for safe in safes {
        let safe = store_of_safe(&safe);
        let opened = Pkcs12Archive::from_pkcs12(&safe, password)
            .or_else(|_| Pkcs12Archive::from_pkcs12(&safe, own))
            .map_err(|_| OpenError::KeyPassword {
                alias: None,
                is_set: true,
            })?;
        archive.keys.extend(opened.keys);
        archive.certs.extend(opened.certs);
    }
    Ok(archive)
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
    while let Some(last) = chain.last().filter(|_| chain.len() < MAX_CHAIN) {
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
    let bag = tagged(
        SEQUENCE,
        &[&SHROUDED_KEY_BAG, &tagged(explicit(0), key)[..]].concat(),
    );
    store_of_safe(&data_of(&tagged(SEQUENCE, &bag)))
}

/// Encodes a store without a MAC that contains only this safe.
fn store_of_safe(safe: &[u8]) -> Vec<u8> {
    let content = data_of(&tagged(SEQUENCE, safe));
    tagged(SEQUENCE, &[&[INTEGER, 1, 3], &content[..]].concat())
}

/// Encodes a `ContentInfo` that is not encrypted.
fn data_of(content: &[u8]) -> Vec<u8> {
    let octets = tagged(explicit(0), &tagged(OCTETS, content));
    tagged(SEQUENCE, &[&DATA, &octets[..]].concat())
}

/// The safes of a store, each as a `ContentInfo`; `None` if the store is malformed.
fn safes(mut store: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = expect(&mut store, SEQUENCE)?;
    let _version = take(&mut parts)?;
    let mut content = expect(&mut parts, SEQUENCE)?;
    let _kind = take(&mut content)?;
    let mut data = expect(&mut content, explicit(0))?;
    let mut octets = expect(&mut data, OCTETS)?;
    let mut all = expect(&mut octets, SEQUENCE)?;
    let mut safes = Vec::new();
    while !all.is_empty() {
        let (tag, safe) = take(&mut all)?;
        safes.push(tagged(tag, safe));
    }
    Some(safes)
}

/// The store without its MAC; `None` if it has none.
fn without_mac(mut store: &[u8]) -> Option<Vec<u8>> {
    let parts = expect(&mut store, SEQUENCE)?;
    let mut mac = parts;
    let _version = take(&mut mac)?;
    let _content = take(&mut mac)?;
    (!mac.is_empty()).then(|| tagged(SEQUENCE, &parts[..parts.len() - mac.len()]))
}
