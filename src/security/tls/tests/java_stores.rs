//! Stores as Java and OpenSSL write them, of several versions, with the keys `ssl.*` that name them.

use std::fs::File;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::{Authority, self_signed};
use super::client_of;
use super::keys::{TestFile, refusal};
use crate::error::ConfigError;
use crate::security::tls::java_store::{certificates, key_entry};
use crate::security::tls::open_error::OpenError;
use crate::security::tls::pem;

macro_rules! store {
    ($name:literal) => {
        ($name, include_bytes!(concat!("stores/", $name)).as_slice())
    };
}

type Named = (&'static str, &'static [u8]);

/// Pairs of key store and trust store, which README in the folder of the stores describes.
const PAIRS: [(Named, Named); 6] = [
    (store!("keys.jks"), store!("trust.jks")),
    (store!("java-11-keys.p12"), store!("java-11-trust.p12")),
    (store!("java-17-keys.p12"), store!("java-17-trust.p12")),
    (store!("java-21-keys.p12"), store!("java-21-trust.p12")),
    (
        store!("openssl-1.1-keys.p12"),
        store!("openssl-1.1-trust.p12"),
    ),
    (store!("openssl-3-keys.p12"), store!("openssl-3-trust.p12")),
];

const PASSWORD: &str = "changeit";
const WRONG: &str = "wr0ng-s3cret";

/// The certificates of a PEM text.
pub(super) fn certificates_of(text: &str) -> Vec<CertificateDer<'static>> {
    pem::certificates(text).unwrap()
}

/// Whether a private key is this test key. The encodings may differ: Java leaves the public key out.
pub(super) fn is_key(key: &PrivateKeyDer<'_>, pem: &str) -> bool {
    let known = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    // The secret number of a P-256 key in PKCS#8.
    let secret = &known.secret_der()[36..68];
    key.secret_der().windows(32).any(|window| window == secret)
}

/// The keys of a client with a trust store and a key store of this type.
fn entries<'a>(kind: &'a str, trust: &'a TestFile, keys: &'a TestFile) -> Vec<(&'a str, &'a str)> {
    vec![
        ("ssl.truststore.type", kind),
        ("ssl.truststore.location", trust.path()),
        ("ssl.truststore.password", PASSWORD),
        ("ssl.keystore.type", kind),
        ("ssl.keystore.location", keys.path()),
        ("ssl.keystore.password", PASSWORD),
    ]
}

/// The error of a client after one of its keys is replaced or added.
#[track_caller]
fn refusal_with(entries: &[(&str, &str)], key: &str, value: &str) -> ConfigError {
    let mut entries = entries.to_vec();
    entries.retain(|(name, _)| *name != key);
    let error = refusal(&[&entries[..], &[(key, value)]].concat());
    let text = format!("{error} {error:?}");
    for secret in [PASSWORD, WRONG, "key-secret"] {
        assert!(!text.contains(secret), "{text}");
    }
    error
}

#[test]
fn stores_of_every_version_of_java_and_openssl_open_with_their_password() {
    let chain = certificates_of(include_str!("stores/keys.pem"));
    let own = Authority::new(0).issue(&[]).key;
    for ((name, keys), (trust_name, trust)) in PAIRS {
        let entry = key_entry(keys, Some(PASSWORD), None)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(is_key(&entry.key, own), "{name}");
        assert_eq!(entry.chain, chain, "{name}");
        let trusted = certificates(trust, Some(PASSWORD));
        assert_eq!(trusted.unwrap(), chain[1..], "{trust_name}");
        let wrong = key_entry(keys, Some(WRONG), None).map(drop);
        assert!(
            matches!(wrong, Err(OpenError::Password)),
            "{name}: {wrong:?}"
        );
        let wrong = certificates(trust, Some(WRONG));
        assert!(matches!(wrong, Err(OpenError::Password)), "{wrong:?}");
    }
}

#[test]
fn both_formats_are_read_under_the_names_of_both() {
    for ((_, keys), (_, trust)) in [PAIRS[0], PAIRS[5]] {
        let (keys, trust) = (
            TestFile::new("n.keys", keys),
            TestFile::new("n.trust", trust),
        );
        for kind in ["JKS", "PKCS12", "jks", "pkcs12"] {
            let entries = entries(kind, &trust, &keys);
            client_of(&entries).unwrap();
            for (key, value, named) in [
                ("ssl.truststore.password", WRONG, "ssl.truststore.password"),
                ("ssl.keystore.password", WRONG, "ssl.keystore.password"),
                (
                    "ssl.keystore.location",
                    trust.path(),
                    "ssl.keystore.location",
                ),
            ] {
                let error = refusal_with(&entries, key, value);
                assert_eq!(error.key(), Some(named), "{error}");
            }
        }
    }
}

#[test]
fn formats_that_cannot_be_read_are_refused_by_name() {
    let trust = TestFile::new("t.trust", PAIRS[0].1.1);
    let keys = TestFile::new("t.keys", PAIRS[0].0.1);
    let good = entries("JKS", &trust, &keys);
    for kind in ["JCEKS", "BKS", "BCFKS", "DKS", "Windows-MY", "CaseExactJKS"] {
        for key in ["ssl.truststore.type", "ssl.keystore.type"] {
            let error = refusal_with(&good, key, kind);
            assert!(error.is_not_built(), "{error}");
            assert_eq!((error.key(), error.value()), (Some(key), Some(kind)));
            assert!(
                error.remedy().contains("keytool -importkeystore"),
                "{error}"
            );
        }
    }
}

/// Kafka: `ssl.key.password`, of which the password of the store is the default
#[test]
fn the_password_of_a_key_may_differ_in_both_formats() {
    let trust = TestFile::new("two.trust", PAIRS[0].1.1);
    for (name, store) in [store!("two-passwords.jks"), store!("two-passwords.p12")] {
        let keys = TestFile::new(name, store);
        let entries = entries("JKS", &trust, &keys);
        client_of(&[&entries[..], &[("ssl.key.password", "key-secret")]].concat()).unwrap();
        let error = refusal(&entries);
        assert_eq!(error.key(), Some("ssl.key.password"), "{error}");
        let problem = error.problem();
        assert!(
            problem.contains("not set") && problem.contains(keys.path()),
            "{error}"
        );
        let error = refusal_with(&entries, "ssl.key.password", WRONG);
        assert_eq!(error.key(), Some("ssl.key.password"), "{error}");
        assert!(error.problem().contains("does not open"), "{error}");
        let with_wrong = [&entries[..], &[("ssl.key.password", "key-secret")]].concat();
        let error = refusal_with(&with_wrong, "ssl.keystore.password", WRONG);
        assert_eq!(error.key(), Some("ssl.keystore.password"), "{error}");
    }
    // The key has the password of the store, which is set twice.
    let keys = TestFile::new("one.keys", PAIRS[0].0.1);
    let twice = [
        &entries("JKS", &trust, &keys)[..],
        &[("ssl.key.password", PASSWORD)],
    ]
    .concat();
    client_of(&twice).unwrap();
}

/// Java: `TrustStoreUtil`
#[test]
fn a_store_with_private_keys_trusts_the_same_certificates_in_both_formats() {
    for ((jks_name, jks), (name, pkcs12)) in [
        (store!("several.jks"), store!("several.p12")),
        (store!("keys.jks"), store!("java-17-keys.p12")),
        (store!("keys.jks"), store!("openssl-3-keys.p12")),
    ] {
        let [jks, pkcs12] = [jks, pkcs12].map(|store| {
            let mut all = certificates(store, Some(PASSWORD)).unwrap();
            all.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
            all.dedup();
            all
        });
        assert_eq!(jks, pkcs12, "{jks_name} and {name}");
    }
}

#[test]
fn of_several_keys_in_pkcs12_the_first_in_the_order_of_java_is_used() {
    let (_, store) = store!("several.p12");
    let entry = key_entry(store, Some(PASSWORD), None).unwrap();
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

/// Java: a trust store without a password is read, and its integrity is not checked
#[test]
fn a_trust_store_that_is_not_encrypted_needs_no_password() {
    let (_, store) = store!("open-trust.p12");
    assert_eq!(certificates(store, None).unwrap().len(), 1);
    assert_eq!(certificates(store, Some(PASSWORD)).unwrap().len(), 1);
    let wrong = certificates(store, Some(WRONG));
    assert!(matches!(wrong, Err(OpenError::Password)), "{wrong:?}");
    let (_, sealed) = store!("trust.p12");
    let without = certificates(sealed, None);
    assert!(matches!(without, Err(OpenError::NoPassword)), "{without:?}");
    for trust in [store, PAIRS[0].1.1] {
        let trust = TestFile::new("open.trust", trust);
        client_of(&[("ssl.truststore.location", trust.path())]).unwrap();
    }
}

#[test]
fn a_store_of_one_gibibyte_is_rejected_without_being_read() {
    let trust = TestFile::new("large.trust", PAIRS[0].1.1);
    let large = TestFile::new("large.jks", PAIRS[0].0.1);
    let file = File::options().write(true).open(large.path()).unwrap();
    file.set_len(1 << 30).unwrap();
    for key in ["ssl.truststore.location", "ssl.keystore.location"] {
        let error = refusal_with(&entries("JKS", &trust, &large), key, large.path());
        assert_eq!(error.key(), Some(key), "{error}");
        assert!(
            error.problem().contains("more than 4194304 bytes"),
            "{error}"
        );
    }
}

#[test]
fn truncated_stores_are_rejected_with_the_key_of_their_location() {
    for ((name, store), (_, trust)) in [PAIRS[0], PAIRS[5]] {
        let trust = TestFile::new("cut.trust", trust);
        for end in (0..store.len()).step_by(37) {
            let cut = TestFile::new(name, &store[..end]);
            let error = refusal(&entries("JKS", &trust, &cut));
            assert_eq!(error.key(), Some("ssl.keystore.location"), "{end}: {error}");
            assert!(!error.remedy().is_empty());
        }
    }
}

#[test]
fn pkcs12_stores_that_are_truncated_anywhere_are_rejected() {
    for (name, store) in [store!("keys.p12"), store!("two-passwords.p12")] {
        for end in 0..store.len() {
            assert!(
                key_entry(&store[..end], Some(PASSWORD), Some("key-secret")).is_err(),
                "{name} {end}"
            );
            assert!(certificates(&store[..end], None).is_err(), "{name} {end}");
        }
    }
}
