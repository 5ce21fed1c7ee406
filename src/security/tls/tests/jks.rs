//! JKS stores of `keytool`, and damaged, hostile and unusual ones.

use std::sync::LazyLock;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha1::{Digest, Sha1};

use super::certificates::{Authority, self_signed};
use super::java_stores::{certificates_of, is_key};
use super::keys::{TestFile, refusal};
use crate::security::tls::der::{OCTETS, SEQUENCE, tagged};
use crate::security::tls::java_store::{certificates, key_entry};
use crate::security::tls::open_error::OpenError;

const KEYS: &[u8] = include_bytes!("stores/keys.jks");
const TRUST: &[u8] = include_bytes!("stores/trust.jks");
const TWO_PASSWORDS: &[u8] = include_bytes!("stores/two-passwords.jks");
const SEVERAL: &[u8] = include_bytes!("stores/several.jks");
const UNICODE: &[u8] = include_bytes!("stores/unicode.jks");
const VERSION_1: &[u8] = include_bytes!("stores/version-1.jks");

const PASSWORD: &str = "changeit";

/// The certificates of the keys in the stores: the own one, and the authority.
fn chain() -> &'static [CertificateDer<'static>] {
    static CHAIN: LazyLock<Vec<CertificateDer<'static>>> =
        LazyLock::new(|| certificates_of(include_str!("stores/keys.pem")));
    &CHAIN
}

fn own_key() -> &'static str {
    Authority::new(0).issue(&[]).key
}

#[track_caller]
fn unreadable(store: &[u8]) -> String {
    match certificates(store, None) {
        Err(OpenError::Unreadable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_key_and_the_certificates_of_a_store_are_those_that_keytool_stored() {
    let entry = key_entry(KEYS, Some(PASSWORD), None).unwrap();
    assert!(is_key(&entry.key, own_key()));
    assert_eq!(entry.chain, chain());
    assert_eq!(entry.note, None);
    let authority = &chain()[1..];
    assert_eq!(certificates(TRUST, Some(PASSWORD)).unwrap(), authority);
    // Java trusts the own certificate of a key.
    assert_eq!(certificates(KEYS, Some(PASSWORD)).unwrap(), chain()[..1]);
}

#[test]
fn a_store_of_version_1_is_read() {
    let entry = key_entry(VERSION_1, Some(PASSWORD), None).unwrap();
    assert!(is_key(&entry.key, own_key()));
    assert_eq!(entry.chain, chain());
    let trusted = certificates(VERSION_1, Some(PASSWORD)).unwrap();
    assert_eq!(trusted, [chain()[1].clone(), chain()[0].clone()]);
}

#[test]
fn a_wrong_password_is_detected_and_a_trust_store_opens_without_one() {
    for store in [TRUST, KEYS, VERSION_1] {
        for wrong in ["", "changeit ", "Changeit"] {
            let opened = certificates(store, Some(wrong));
            assert!(matches!(opened, Err(OpenError::Password)), "{opened:?}");
            let opened = key_entry(store, Some(wrong), Some(PASSWORD));
            assert!(matches!(opened, Err(OpenError::Password)));
        }
        certificates(store, None).unwrap();
    }
}

#[test]
fn a_key_may_have_a_password_of_its_own() {
    let open = |key_password| key_entry(TWO_PASSWORDS, Some(PASSWORD), key_password);
    let entry = open(Some("key-secret")).unwrap();
    assert!(is_key(&entry.key, own_key()));
    assert_eq!(entry.chain, chain());
    for (wrong, was_set) in [(None, false), (Some("other"), true), (Some(""), true)] {
        match open(wrong).map(drop) {
            Err(OpenError::KeyPassword { alias, is_set }) => {
                assert_eq!((alias.as_deref(), is_set), (Some("client"), was_set));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn passwords_and_aliases_may_contain_any_characters() {
    let entry = key_entry(UNICODE, Some("sésame-öffne-😀"), None).unwrap();
    assert!(is_key(&entry.key, own_key()));
    match key_entry(UNICODE, None, Some(PASSWORD)).map(drop) {
        Err(OpenError::KeyPassword { alias, .. }) => assert_eq!(alias.unwrap(), "schlüssel-😀"),
        other => panic!("{other:?}"),
    }
}

/// Java 17 uses the key of the alias `server`, too, with a broker that accepts any authority.
#[test]
fn of_several_keys_the_first_in_the_order_of_java_is_used() {
    let entry = key_entry(SEVERAL, Some(PASSWORD), None).unwrap();
    assert!(is_key(
        &entry.key,
        self_signed(&[], false, (2020, 2090)).key
    ));
    let note = entry.note.unwrap();
    assert!(
        note.contains("3 private keys") && note.contains("\"server\""),
        "{note}"
    );
}

#[test]
fn a_store_that_is_truncated_anywhere_is_rejected() {
    for store in [KEYS, TRUST, SEVERAL, VERSION_1, UNICODE] {
        for end in 0..store.len() {
            let cut = &store[..end];
            assert!(certificates(cut, Some(PASSWORD)).is_err(), "{end}");
            assert!(key_entry(cut, Some(PASSWORD), None).is_err(), "{end}");
            // The digest is the only part that is not needed without a password.
            let is_whole = end >= store.len() - 20;
            assert_eq!(certificates(cut, None).is_ok(), is_whole, "{end}");
        }
    }
}

#[test]
fn every_changed_byte_of_a_store_is_detected() {
    for store in [KEYS, TRUST] {
        for at in 0..store.len() {
            let mut changed = store.to_vec();
            changed[at] ^= 0x40;
            assert!(certificates(&changed, Some(PASSWORD)).is_err(), "{at}");
            drop(certificates(&changed, None));
            drop(key_entry(&changed, None, Some(PASSWORD)));
        }
    }
}

#[test]
fn numbers_that_exceed_the_store_are_rejected() {
    for number in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        for at in 0..KEYS.len() - 3 {
            let mut hostile = KEYS.to_vec();
            hostile[at..at + 4].copy_from_slice(&number.to_be_bytes());
            assert!(certificates(&hostile, Some(PASSWORD)).is_err() || hostile == KEYS);
            drop(certificates(&hostile, None));
            drop(key_entry(&hostile, None, Some(PASSWORD)));
        }
    }
    let mut endless = TRUST.to_vec();
    endless[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(unreadable(&endless).contains("its entry 2 "));
}

/// An encoded text of a store.
fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text].concat()
}

/// Encoded data of a store.
fn data(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn entry(kind: u32, alias: &[u8], content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &text(alias), &[0; 8], content].concat()
}

fn trusted(alias: &[u8], kind: &[u8]) -> Vec<u8> {
    entry(2, alias, &[text(kind), data(&chain()[1])].concat())
}

/// A private key entry with the own certificate.
fn private(alias: &[u8], sealed: &[u8]) -> Vec<u8> {
    let certificate = [text(b"X.509"), data(&chain()[0])].concat();
    let chain = [&1_u32.to_be_bytes()[..], &certificate].concat();
    entry(1, alias, &[data(sealed), chain].concat())
}

/// A store of version 2, without a digest.
fn store_of(entries: &[Vec<u8>]) -> Vec<u8> {
    let count = (entries.len() as u32).to_be_bytes();
    let header = [&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2], &count[..]].concat();
    [header, entries.concat()].concat()
}

/// `EncryptedPrivateKeyInfo` with these content octets, and the algorithm of JKS if its last number is 1.
fn sealed_as(last: u8, content: &[u8]) -> Vec<u8> {
    let name = tagged(6, &[0x2b, 6, 1, 4, 1, 0x2a, 2, 17, 1, last]);
    let algorithm = tagged(SEQUENCE, &[&name[..], &[5, 0]].concat());
    tagged(SEQUENCE, &[algorithm, tagged(OCTETS, content)].concat())
}

/// Encrypts bytes of at most one block of the key stream, with the password `p`.
fn sealed(key: &[u8]) -> Vec<u8> {
    let digest_of = |data: &[u8]| -> [u8; 20] {
        Sha1::new()
            .chain_update(b"\0p")
            .chain_update(data)
            .finalize()
            .into()
    };
    let salt = [7; 20];
    let stream = digest_of(&salt);
    let bytes: Vec<u8> = key.iter().zip(stream).map(|(a, b)| a ^ b).collect();
    sealed_as(1, &[&salt[..], &bytes, &digest_of(key)].concat())
}

#[test]
fn malformed_entries_are_rejected_with_their_number() {
    let good = trusted(b"ca", b"X.509");
    let of = |entry: Vec<u8>| unreadable(&store_of(&[good.clone(), entry]));
    for (entry, words) in [
        (entry(3, b"a", b""), "its entry 2 has an unknown kind"),
        (
            trusted(b"ca", b"PGP"),
            "its entry 2 contains a certificate of another type",
        ),
        (
            trusted(b"\xff", b"X.509"),
            "its entry 2 contains a malformed text",
        ),
        (
            trusted(b"\xc3", b"X.509"),
            "its entry 2 contains a malformed text",
        ),
        (
            trusted(b"\xe2\x82A", b"X.509"),
            "its entry 2 contains a malformed text",
        ),
        (
            trusted(b"\x80", b"X.509"),
            "its entry 2 contains a malformed text",
        ),
        (good[..20].to_vec(), "its entry 2 is truncated"),
    ] {
        let why = of(entry);
        assert!(why.contains(words), "{why}");
    }
    let mut version_3 = store_of(&[]);
    version_3[7] = 3;
    assert!(unreadable(&version_3).contains("its version of JKS is 3"));
    let none = certificates(&store_of(&[]), None);
    assert!(matches!(none, Err(OpenError::Missing("no certificate"))));
    let none = key_entry(&store_of(&[good]), None, None);
    assert!(matches!(none, Err(OpenError::Missing("no private key"))));
}

#[test]
fn a_key_of_another_algorithm_or_without_its_digest_is_rejected() {
    for sealed in [
        sealed_as(2, &[0; 60]),
        sealed_as(1, &[0; 39]),
        sealed_as(1, &[]),
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        Vec::new(),
    ] {
        let opened = key_entry(&store_of(&[private(b"a", &sealed)]), None, Some("p"));
        match opened.map(drop) {
            Err(OpenError::Unreadable(why)) => assert!(why.contains("not encrypted as in JKS")),
            other => panic!("{sealed:?}: {other:?}"),
        }
    }
    // The shortest content that is well-formed: an empty key.
    let empty = key_entry(&store_of(&[private(b"a", &sealed(b""))]), None, Some("p"));
    assert_eq!(empty.unwrap().key.secret_der(), b"");
}

/// Java: `DataOutputStream#writeUTF`
#[test]
fn aliases_are_decoded_from_modified_utf_8() {
    for (bytes, alias) in [
        (&b"plain"[..], "\"plain\""),
        (b"", "\"\""),
        (b"a\xc0\x80b", "\"a\\0b\""),
        ("é€".as_bytes(), "\"é€\""),
        (b"\xed\xa0\xbd\xed\xb8\x80", "\"😀\""),
        (b"\xed\xa0\xbd!", "\"\u{fffd}!\""),
    ] {
        let key = private(bytes, &sealed(b"key"));
        let entry = key_entry(&store_of(&[key.clone(), key]), None, Some("p")).unwrap();
        assert!(matches!(&entry.key, PrivateKeyDer::Pkcs8(_)));
        assert_eq!(entry.key.secret_der(), b"key");
        let note = entry.note.unwrap();
        assert!(
            note.contains(&format!("of the alias {alias} is used")),
            "{note}"
        );
    }
}

#[test]
fn thousands_of_certificates_that_cannot_be_used_make_a_short_error() {
    let garbage = entry(2, b"a", &[text(b"X.509"), data(b"no certificate")].concat());
    let store = TestFile::new("garbage.jks", store_of(&vec![garbage; 5_000]));
    let error = refusal(&[("ssl.truststore.location", store.path())]);
    assert_eq!(error.key(), Some("ssl.truststore.location"));
    assert!(
        error.problem().contains("4990 more certificates"),
        "{error}"
    );
    assert!(error.to_string().len() < 2_000, "{error}");
}

#[test]
fn stores_with_thousands_of_entries_are_read() {
    let many: Vec<_> = (0..3_000)
        .flat_map(|number: u32| {
            let alias = number.to_string();
            [
                trusted(alias.as_bytes(), b"X.509"),
                private(alias.as_bytes(), &sealed(b"key")),
            ]
        })
        .collect();
    let store = store_of(&many);
    assert_eq!(certificates(&store, None).unwrap().len(), 6_000);
    let note = key_entry(&store, None, Some("p")).unwrap().note.unwrap();
    assert!(note.contains("3000 private keys"), "{note}");
}
