//! Reader of JKS, Java's own key store format and the default of `keytool` before Java 9.
//!
//! Numbers are big-endian. A text has two bytes of length and modified UTF-8; data has four bytes of length.
//!
//! ```text
//! store:       FE ED FE ED, version (1 or 2), number of entries, entries, SHA-1 digest of all this and the password
//! private key: 1, alias as text, date (8 bytes), encrypted key as data, number of certificates, certificates
//! trusted:     2, alias as text, date (8 bytes), certificate
//! certificate: type as text (only in version 2), DER as data
//! ```
//!
//! A store is parsed without copying keys and certificates, so the cost is proportional to the size of the file, which
//! `file` limits. A private key is decrypted only if it is used.

mod key_protector;
mod unread;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use self::key_protector::recovered;
use self::unread::Unread;
use super::key_entry::{KeyEntry, first_in_java, note_of};
use super::open_error::{OpenError, Opened};
use super::store_names::JKS_MAGIC;

const PRIVATE_KEY: u32 = 1;
const TRUSTED: u32 = 2;

/// The number of bytes of a SHA-1 digest.
const DIGEST_BYTES: usize = 20;
/// A constant of the format, between the password and the data of the digest.
const DIGEST_PHRASE: &[u8] = b"Mighty Aphrodite";

/// The trusted certificates of a store: its entries for them, and the own certificate of each private key. Without a
/// password the digest is not checked.
///
/// # Kafka
/// Java's trust managers trust the own certificate of a private key as well (`TrustStoreUtil`).
pub(super) fn certificates(
    store: &[u8],
    password: Option<&str>,
) -> Opened<Vec<CertificateDer<'static>>> {
    let entries = open(store, password)?;
    let of_keys = entries.keys.iter().filter_map(|key| key.chain.first());
    let certificates: Vec<_> = entries
        .trusted
        .iter()
        .chain(of_keys)
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    if certificates.is_empty() {
        return Err(OpenError::Missing("no certificate"));
    }
    Ok(certificates)
}

/// The private key that Java would use, and its certificate chain. The key has the password of the store if it has none
/// of its own.
pub(super) fn key_entry(
    store: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Opened<KeyEntry> {
    let mut keys = open(store, password)?.keys;
    if keys.is_empty() {
        return Err(OpenError::Missing("no private key"));
    }
    keys.retain(|key| !key.chain.is_empty());
    let aliases: Vec<String> = keys.iter().map(|key| key.alias.clone()).collect();
    let Some(first) = first_in_java(&aliases) else {
        return Err(OpenError::Missing("no certificate for the private key"));
    };
    let key = &keys[first];
    let secret = utf16(key_password.or(password).unwrap_or_default());
    let Some(mut plain) = recovered(key.sealed, &secret)? else {
        return Err(OpenError::KeyPassword {
            alias: Some(key.alias.clone()),
            is_set: key_password.is_some(),
        });
    };
    let chain = key
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()));
    Ok(KeyEntry {
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(std::mem::take(&mut *plain))),
        chain: chain.collect(),
        note: note_of(&key.alias, keys.len()),
    })
}

/// The entries of a store.
#[derive(Debug, Default)]
struct JksEntries<'s> {
    keys: Vec<SealedKey<'s>>,
    /// Trusted certificates, as DER.
    trusted: Vec<&'s [u8]>,
}

/// An encrypted private key, and its certificates.
#[derive(Debug)]
struct SealedKey<'s> {
    alias: String,
    /// `EncryptedPrivateKeyInfo`, as DER.
    sealed: &'s [u8],
    /// As DER, the key's own certificate first.
    chain: Vec<&'s [u8]>,
}

/// Parses a store, and checks its digest if there is a password.
fn open<'s>(store: &'s [u8], password: Option<&str>) -> Opened<JksEntries<'s>> {
    let (entries, end) = parse(store)?;
    if let Some(password) = password {
        let (data, after) = store.split_at(end);
        let Some((digest, _)) = after.split_first_chunk::<DIGEST_BYTES>() else {
            return Err(OpenError::Unreadable("its digest is missing".to_owned()));
        };
        if sha1(&[&utf16(password), DIGEST_PHRASE, data]) != *digest {
            return Err(OpenError::Password);
        }
    }
    Ok(entries)
}

/// Parses the entries of a store. Returns also the offset of their end, where the digest is.
fn parse(store: &[u8]) -> Opened<(JksEntries<'_>, usize)> {
    let mut unread = Unread {
        bytes: store,
        entry: 0,
    };
    if unread.array::<4>()? != JKS_MAGIC {
        return Err(OpenError::Unreadable("it does not begin as JKS".to_owned()));
    }
    let version = unread.number()?;
    if version != 1 && version != 2 {
        return Err(OpenError::Unreadable(format!(
            "its version of JKS is {version}, and only 1 and 2 are known"
        )));
    }
    let has_types = version == 2;
    let mut entries = JksEntries::default();
    for entry in 1..=unread.number()? {
        unread.entry = entry;
        let kind = unread.number()?;
        if kind != PRIVATE_KEY && kind != TRUSTED {
            return Err(unread.problem("has an unknown kind"));
        }
        let alias = unread.text()?;
        let _date: [u8; 8] = unread.array()?;
        if kind == TRUSTED {
            entries.trusted.push(unread.certificate(has_types)?);
            continue;
        }
        let sealed = unread.data()?;
        let mut chain = Vec::new();
        for _ in 0..unread.number()? {
            chain.push(unread.certificate(has_types)?);
        }
        entries.keys.push(SealedKey {
            alias,
            sealed,
            chain,
        });
    }
    Ok((entries, store.len() - unread.bytes.len()))
}

/// A password as JKS uses it.
fn utf16(password: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * password.len()));
    bytes.extend(password.encode_utf16().flat_map(u16::to_be_bytes));
    bytes
}

fn sha1(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Entry point of a fuzz target: parses a store, gives it the digest of a password, and opens it with that password and
/// with another. Returns the number of entries; `None` if the store is malformed.
///
/// # Panics
/// If the store opens with another password, or in part, or if its entries are larger than the input.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) fn check_any(input: &[u8]) -> Option<usize> {
    /// The password of the seeds.
    const PASSWORD: &str = "changeit";
    let Ok((entries, end)) = parse(input) else {
        assert!(open(input, Some(PASSWORD)).is_err());
        return None;
    };
    let data = &input[..end];
    let digest = sha1(&[&utf16(PASSWORD), DIGEST_PHRASE, data]);
    let store = [data, &digest].concat();
    assert!(open(&store, Some(PASSWORD)).is_ok());
    let with_another = open(&store, Some("another"));
    assert!(matches!(with_another, Err(OpenError::Password)));
    let cut = open(&store[..store.len() - 1], Some(PASSWORD));
    assert!(matches!(cut, Err(OpenError::Unreadable(_))));
    let of_keys = entries.keys.iter().map(|key| {
        let chain: usize = key.chain.iter().map(|der| der.len()).sum();
        key.alias.len() + key.sealed.len() + chain
    });
    let trusted = entries.trusted.iter().map(|der| der.len());
    let size: usize = of_keys.chain(trusted).sum();
    assert!(size <= end, "{size} of {end}");
    drop(certificates(&store, Some(PASSWORD)));
    if let Ok(entry) = key_entry(&store, Some(PASSWORD), None) {
        assert!(!entry.chain.is_empty());
    }
    Some(entries.keys.len() + entries.trusted.len())
}
