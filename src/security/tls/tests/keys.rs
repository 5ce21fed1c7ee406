//! The keys `ssl.*`: every form of store, and every error with the key to change.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::certificates::{Authority, crypto};
use super::{at_once, client_of};
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::security::tls::{TlsClient, pem};
use crate::util::log::LogContext;

const PEM: (&str, &str) = ("ssl.truststore.type", "PEM");

/// A temporary file, deleted on drop.
pub(super) struct TestFile(PathBuf);

impl TestFile {
    pub(super) fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let name = format!("kafka-producer-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[track_caller]
pub(super) fn refusal(entries: &[(&str, &str)]) -> ConfigError {
    let error = client_of(entries).map(drop).unwrap_err();
    println!("{error}");
    error
}

#[test]
fn pem_is_read_inline_from_files_and_on_one_line() {
    let authority = Authority::new(0);
    let own = authority.issue(&["client"]);
    let (blanks, escapes) = (" ", "\\n");
    let trust = TestFile::new("trust.pem", authority.pem());
    let both = TestFile::new("both.pem", format!("{}\n{}", own.key, own.chain));
    client_of(&[
        PEM,
        ("ssl.truststore.location", trust.path()),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", both.path()),
    ])
    .unwrap();
    for line_break in [blanks, escapes, "\\r\\n", "\r\n", ""] {
        let one_line = |text: &str| text.replace('\n', line_break);
        client_of(&[
            PEM,
            ("ssl.truststore.certificates", &one_line(&authority.pem())),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.key", &one_line(own.key)),
            ("ssl.keystore.certificate.chain", &one_line(&own.chain)),
        ])
        .unwrap();
    }
}

#[test]
fn without_a_trust_store_that_of_the_system_is_used() {
    // A system without a trust store results in an error.
    if let Err(error) = client_of(&[]) {
        assert_eq!(error.key(), Some("ssl.truststore.location"), "{error}");
    }
}

#[test]
fn a_provider_that_cannot_complete_a_handshake_is_not_blamed_on_the_versions() {
    let clock: Arc<dyn Clock> = Arc::new(MockClock::new());
    let config = ProducerConfig::from_map([("security.protocol", "SSL")]).unwrap();
    for (has_suites, missing) in [(false, "cipher suites"), (true, "key exchange groups")] {
        let mut provider = (*crypto()).clone();
        if has_suites {
            provider.kx_groups = Vec::new();
        } else {
            provider.cipher_suites = Vec::new();
        }
        let log = LogContext::for_tests();
        let provider = Some(Arc::new(provider));
        let error = TlsClient::from_config(&config, provider, &clock, &log, at_once())
            .expect_err("a provider with nothing");
        let text = error.to_string();
        assert!(
            text.contains(missing) && text.contains("tls_crypto_provider"),
            "{text}"
        );
        assert!(!text.contains("ssl.enabled.protocols"), "{text}");
    }
}

#[test]
fn a_store_in_the_format_jceks_is_refused_with_the_command_that_converts_it() {
    let store = TestFile::new("store.jceks", [0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2]);
    for (key, more) in [
        ("ssl.truststore.location", None),
        (
            "ssl.keystore.location",
            Some(("ssl.keystore.password", "secret")),
        ),
    ] {
        let mut entries = vec![(key, store.path())];
        entries.extend(more);
        let error = refusal(&entries);
        assert_eq!(error.key(), Some(key));
        assert!(error.is_not_built());
        assert!(error.problem().contains("JCEKS"), "{error}");
        let command = format!(
            "keytool -importkeystore -srckeystore {0} -srcstoretype JCEKS -destkeystore {0}.p12 -deststoretype PKCS12",
            store.path()
        );
        assert!(error.remedy().contains(&command), "{error}");
    }
}

#[cfg(not(feature = "pkcs12"))]
#[test]
fn without_the_feature_the_stores_of_java_are_refused_with_its_name() {
    let authority = Authority::new(0).pem();
    for bytes in [&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2][..], &[0x30, 0]] {
        let store = TestFile::new("java.store", bytes);
        let error = refusal(&[
            PEM,
            ("ssl.truststore.certificates", &authority),
            ("ssl.keystore.location", store.path()),
            ("ssl.keystore.password", "secret"),
        ]);
        assert_eq!(error.key(), Some("ssl.keystore.location"));
        assert!(error.is_not_built());
        assert!(error.remedy().contains("feature pkcs12"), "{error}");
    }
}

/// Java: `DefaultSslEngineFactoryTest`; the conflicts of `DefaultSslEngineFactory`
#[test]
fn conflicting_keys_are_rejected_with_the_key_to_change() {
    let authority = Authority::new(0);
    let own = authority.issue(&["client"]);
    let certificates = ("ssl.truststore.certificates", &*authority.pem());
    let (chain, key) = (
        ("ssl.keystore.certificate.chain", &*own.chain),
        ("ssl.keystore.key", own.key),
    );
    let key_pem = ("ssl.keystore.type", "PEM");
    for (entries, named) in [
        (vec![certificates], "ssl.truststore.type"),
        (
            vec![PEM, certificates, ("ssl.truststore.location", "x")],
            "ssl.truststore.certificates",
        ),
        (
            vec![PEM, certificates, ("ssl.truststore.password", "x")],
            "ssl.truststore.password",
        ),
        (
            vec![
                PEM,
                ("ssl.truststore.location", "x"),
                ("ssl.truststore.password", "x"),
            ],
            "ssl.truststore.password",
        ),
        (
            vec![("ssl.truststore.password", "x")],
            "ssl.truststore.password",
        ),
        (vec![("ssl.truststore.type", "BKS")], "ssl.truststore.type"),
        (
            vec![PEM, certificates, key_pem, key],
            "ssl.keystore.certificate.chain",
        ),
        (vec![PEM, certificates, key_pem, chain], "ssl.keystore.key"),
        (vec![PEM, certificates, key, chain], "ssl.keystore.type"),
        (
            vec![
                PEM,
                certificates,
                key_pem,
                key,
                chain,
                ("ssl.keystore.location", "x"),
            ],
            "ssl.keystore.key",
        ),
        (
            vec![
                PEM,
                certificates,
                key_pem,
                key,
                chain,
                ("ssl.keystore.password", "x"),
            ],
            "ssl.keystore.password",
        ),
        (
            vec![
                PEM,
                certificates,
                key_pem,
                ("ssl.keystore.location", "x"),
                ("ssl.keystore.password", "x"),
            ],
            "ssl.keystore.password",
        ),
        (
            vec![PEM, certificates, ("ssl.keystore.password", "x")],
            "ssl.keystore.password",
        ),
        (
            vec![PEM, certificates, ("ssl.keystore.location", "x")],
            "ssl.keystore.password",
        ),
        (
            vec![PEM, certificates, ("ssl.engine.factory.class", "x.Y")],
            "ssl.engine.factory.class",
        ),
        (
            vec![PEM, certificates, ("security.providers", "x.Y")],
            "security.providers",
        ),
        (
            vec![PEM, certificates, ("ssl.provider", "SunJSSE")],
            "ssl.provider",
        ),
        (
            vec![
                PEM,
                certificates,
                ("ssl.secure.random.implementation", "SHA1PRNG"),
            ],
            "ssl.secure.random.implementation",
        ),
        (
            vec![PEM, certificates, ("ssl.trustmanager.algorithm", "x")],
            "ssl.trustmanager.algorithm",
        ),
        (
            vec![PEM, certificates, ("ssl.protocol", "TLSv1.1")],
            "ssl.protocol",
        ),
        (
            vec![PEM, certificates, ("ssl.protocol", "TLSv9")],
            "ssl.protocol",
        ),
        (
            vec![
                PEM,
                certificates,
                ("ssl.enabled.protocols", "TLSv1,TLSv1.1"),
            ],
            "ssl.enabled.protocols",
        ),
        (
            vec![PEM, certificates, ("ssl.enabled.protocols", "TLSv1.2,x")],
            "ssl.enabled.protocols",
        ),
        (
            vec![
                PEM,
                certificates,
                ("ssl.enabled.protocols", "TLSv1.3"),
                ("ssl.protocol", "TLSv1.2"),
            ],
            "ssl.protocol",
        ),
        (
            vec![
                PEM,
                certificates,
                ("ssl.cipher.suites", "TLS_RSA_WITH_AES_128_CBC_SHA"),
            ],
            "ssl.cipher.suites",
        ),
        (
            vec![
                PEM,
                certificates,
                ("ssl.cipher.suites", "TLS_AES_128_GCM_SHA256"),
                ("ssl.enabled.protocols", "TLSv1.2"),
            ],
            "ssl.cipher.suites",
        ),
        (
            vec![
                PEM,
                certificates,
                ("ssl.endpoint.identification.algorithm", "ldap"),
            ],
            "ssl.endpoint.identification.algorithm",
        ),
    ] {
        let error = refusal(&entries);
        assert_eq!(error.key(), Some(named), "{error}");
    }
}

#[test]
fn a_file_of_another_format_is_rejected_with_its_name() {
    let authority = Authority::new(0);
    let (pem, garbage) = (
        TestFile::new("is.pem", authority.pem()),
        TestFile::new("garbage", [7; 100]),
    );
    let key_only = TestFile::new("key.pem", authority.issue(&[]).key);
    let large = TestFile::new("large.pem", vec![b' '; 5 * 1024 * 1024]);
    let folder = std::env::temp_dir();
    for (kind, path, words) in [
        ("PEM", "/no/such/file", "cannot be read"),
        ("PEM", folder.to_str().unwrap(), "not a regular file"),
        ("PEM", key_only.path(), "but PRIVATE KEY"),
        ("PEM", garbage.path(), "no certificate is in it"),
        ("PEM", large.path(), "more than"),
        (
            "JKS",
            garbage.path(),
            "no store in the format JKS or PKCS12",
        ),
        ("PKCS12", pem.path(), "is in the format PEM"),
    ] {
        let error = refusal(&[
            ("ssl.truststore.type", kind),
            ("ssl.truststore.location", path),
        ]);
        assert!(
            error.to_string().contains(words) && error.to_string().contains(path),
            "{error}"
        );
    }
}

#[test]
fn pem_instead_of_a_file_name_is_an_error_that_does_not_quote_it() {
    let own = Authority::new(0).issue(&["client"]);
    let both = format!("{}\n{}", own.key, own.chain);
    let secret = own.key.lines().nth(1).unwrap();
    for (location, kind, remedy) in [
        (
            "ssl.truststore.location",
            "ssl.truststore.type",
            "ssl.truststore.certificates",
        ),
        (
            "ssl.keystore.location",
            "ssl.keystore.type",
            "ssl.keystore.key",
        ),
    ] {
        let error = refusal(&[(kind, "PEM"), (location, &both)]);
        assert_eq!((error.key(), error.value()), (Some(location), None));
        assert!(error.remedy().contains(remedy), "{error}");
        let error = refusal(&[(kind, &both), (location, "x")]);
        assert_eq!((error.key(), error.value()), (Some(kind), None));
        assert!(!format!("{error} {error:?}").contains(secret));
    }
}

#[test]
fn malformed_pem_is_rejected_and_never_quoted() {
    let authority = Authority::new(0);
    let own = authority.issue(&["client"]);
    let secret = own.key.lines().nth(1).unwrap();
    for key in [
        own.key.replace("-----END PRIVATE KEY-----", ""),
        own.key.replace("END PRIVATE", "END PUBLIC"),
        own.key.replace(secret, "!!!"),
        own.key.replace("BEGIN PRIVATE KEY-----", "BEGIN "),
        format!("{}{}", own.key, own.key),
        own.chain.clone(),
        "x".to_owned(),
    ] {
        let error = refusal(&[
            PEM,
            ("ssl.truststore.certificates", &authority.pem()),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.key", &key),
            ("ssl.keystore.certificate.chain", &own.chain),
        ]);
        assert_eq!(error.key(), Some("ssl.keystore.key"));
        assert!(!format!("{error} {error:?}").contains(secret));
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new(0);
    let own = authority.issue(&["client"]);
    let other = super::certificates::self_signed(&["x"], false, (2020, 2090));
    let error = refusal(&[
        PEM,
        ("ssl.truststore.certificates", &authority.pem()),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.key", other.key),
        ("ssl.keystore.certificate.chain", &own.chain),
    ]);
    assert!(error.to_string().contains("does not belong"), "{error}");
}

/// Mutates some bytes, truncates, or repeats a part.
fn damaged(bytes: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..bytes.len());
        match random.u8(0..8) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes.extend_from_within(at..),
            2 => drop(bytes.drain(at..(at + random.usize(1..40)).min(bytes.len()))),
            _ => bytes[at] = random.u8(..),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

#[test]
fn mutated_pem_is_parsed_or_rejected() {
    let authority = Authority::new(0);
    let own = authority.issue(&["client"]);
    let text = format!("{}{}{}", own.key, own.chain, authority.pem());
    let mut random = fastrand::Rng::with_seed(7);
    let mut read = 0;
    for _ in 0..5_000 {
        let damaged = damaged(text.as_bytes(), &mut random);
        let damaged = String::from_utf8_lossy(&damaged);
        read += usize::from(pem::certificates(&damaged).is_ok());
        read += usize::from(pem::private_key(&damaged).is_ok());
    }
    assert!((1_000..9_000).contains(&read), "{read}");
}

/// Tests with files of OpenSSL and keytool, if these are installed.
#[cfg(feature = "pkcs12")]
mod with_passwords {
    use std::process::Command;

    use super::{PEM, TestFile, damaged, refusal};
    use crate::security::tls::java_store::{certificates, decrypted, key_entry};
    use crate::security::tls::open_error::OpenError;
    use crate::security::tls::tests::certificates::Authority;
    use crate::security::tls::tests::client_of;

    const PASSWORD: &str = "sésame-öffne-dich";

    /// Runs a program. Returns false if it is not installed.
    fn run(program: &str, arguments: &[&str]) -> bool {
        let Ok(done) = Command::new(program).args(arguments).output() else {
            println!("{program} is not there");
            return false;
        };
        assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
        true
    }

    #[test]
    fn keys_encrypted_by_openssl_open_only_with_their_password() {
        let authority = Authority::new(0);
        let own = authority.issue(&["client"]);
        let plain = TestFile::new("plain.key", own.key);
        for ways in [
            &["-v2", "aes-256-cbc"][..],
            &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
            &["-v1", "PBE-SHA1-3DES"],
        ] {
            let sealed = TestFile::new("sealed.key", "");
            let password = format!("pass:{PASSWORD}");
            let files = [
                "pkcs8",
                "-topk8",
                "-in",
                plain.path(),
                "-out",
                sealed.path(),
                "-passout",
                &password,
            ];
            if !run("openssl", &[&files[..], ways].concat()) {
                return;
            }
            let key = std::fs::read_to_string(sealed.path()).unwrap();
            let trusted = authority.pem();
            let entries = [
                PEM,
                ("ssl.truststore.certificates", &*trusted),
                ("ssl.keystore.type", "PEM"),
                ("ssl.keystore.key", &key),
                ("ssl.keystore.certificate.chain", &own.chain),
            ];
            let with = |password| [&entries[..], &[("ssl.key.password", password)]].concat();
            client_of(&with(PASSWORD)).unwrap();
            for error in [refusal(&with("wrong")), refusal(&entries)] {
                assert_eq!(error.key(), Some("ssl.key.password"), "{error}");
                assert!(!error.to_string().contains("wrong\""), "{error}");
            }
        }
    }

    #[test]
    fn stores_of_openssl_open_only_with_their_password() {
        let authority = Authority::new(0);
        let own = authority.issue(&["client"]);
        let (key, chain) = (
            TestFile::new("p.key", own.key),
            TestFile::new("p.pem", format!("{}{}", own.chain, authority.pem())),
        );
        let trusted = TestFile::new("p-ca.pem", authority.pem());
        let password = format!("pass:{PASSWORD}");
        for ways in [
            &[][..],
            &["-legacy"],
            &["-keypbe", "NONE", "-certpbe", "NONE"],
        ] {
            let keys = TestFile::new("keys.p12", "");
            let trust = TestFile::new("trust.p12", "");
            let of_keys = [
                "pkcs12",
                "-export",
                "-inkey",
                key.path(),
                "-in",
                chain.path(),
                "-out",
                keys.path(),
                "-passout",
                &password,
            ];
            let of_trust = [
                "pkcs12",
                "-export",
                "-nokeys",
                "-in",
                trusted.path(),
                "-out",
                trust.path(),
                "-passout",
                &password,
            ];
            if !run("openssl", &[&of_keys[..], ways].concat())
                || !run("openssl", &[&of_trust[..], ways].concat())
            {
                return;
            }
            let is_open = ways.contains(&"NONE");
            opens_with(PASSWORD, keys.path(), trust.path(), is_open);
        }
    }

    #[test]
    fn stores_of_keytool_open_only_with_their_password() {
        let authority = Authority::new(0);
        let trusted = TestFile::new("k-ca.pem", authority.pem());
        for (name, ways) in [
            ("pkcs12", &["-storetype", "PKCS12"][..]),
            ("jks", &["-storetype", "JKS"]),
        ] {
            let (keys, trust) = (TestFile::new(name, ""), TestFile::new("keytool-trust", ""));
            // keytool creates the files; it rejects empty ones.
            std::fs::remove_file(keys.path()).unwrap();
            std::fs::remove_file(trust.path()).unwrap();
            let store = ["-storepass", "only-ascii", "-noprompt", "-keystore"];
            let of_keys = [
                "-genkeypair",
                "-alias",
                "me",
                "-keyalg",
                "EC",
                "-dname",
                "CN=client",
            ];
            let of_trust = ["-importcert", "-alias", "ca", "-file", trusted.path()];
            if !run(
                "keytool",
                &[&of_keys[..], ways, &store, &[keys.path()]].concat(),
            ) {
                return;
            }
            run(
                "keytool",
                &[&of_trust[..], ways, &store, &[trust.path()]].concat(),
            );
            let is_open = name == "jks";
            opens_with("only-ascii", keys.path(), trust.path(), is_open);
        }
    }

    /// Checks that stores open with this password only; the trust store also without one, if it is not encrypted.
    #[track_caller]
    fn opens_with(password: &str, keys: &str, trust: &str, is_open: bool) {
        // Java reads both formats under both names; JKS is the default.
        for kind in ["PKCS12", "JKS"] {
            let entries = |first, second| {
                [
                    ("ssl.truststore.type", kind),
                    ("ssl.truststore.location", trust),
                    ("ssl.truststore.password", first),
                    ("ssl.keystore.type", kind),
                    ("ssl.keystore.location", keys),
                    ("ssl.keystore.password", second),
                ]
            };
            client_of(&entries(password, password)).unwrap();
            let without = &entries(password, password)[..2];
            if is_open {
                client_of(without).unwrap();
            } else {
                let error = refusal(without);
                assert_eq!(error.key(), Some("ssl.truststore.password"));
                assert!(error.problem().contains("not set"), "{error}");
            }
            assert_eq!(
                refusal(&entries("wrong", password)).key(),
                Some("ssl.truststore.password")
            );
            assert_eq!(
                refusal(&entries(password, "wrong")).key(),
                Some("ssl.keystore.password")
            );
            let without_key = [
                ("ssl.keystore.location", trust),
                ("ssl.keystore.password", password),
            ];
            let error = refusal(&[&entries(password, password)[..3], &without_key].concat());
            assert!(error.to_string().contains("no private key"), "{error}");
        }
    }

    /// A store that OpenSSL writes with these options; `None` if OpenSSL is not installed.
    fn store_with(ways: &[&str]) -> Option<Vec<u8>> {
        let own = Authority::new(0).issue(&["client"]);
        let key = TestFile::new("i.key", own.key);
        let chain = TestFile::new("i.pem", &own.chain);
        let store = TestFile::new("i.p12", "");
        let files = [
            "pkcs12",
            "-export",
            "-inkey",
            key.path(),
            "-in",
            chain.path(),
            "-out",
            store.path(),
            "-passout",
            "pass:x",
        ];
        run("openssl", &[&files[..], ways].concat()).then(|| std::fs::read(store.path()).unwrap())
    }

    /// An encrypted key that OpenSSL writes with these options, as DER; `None` if OpenSSL is not installed.
    fn sealed_with(ways: &[&str]) -> Option<Vec<u8>> {
        let own = Authority::new(0).issue(&["client"]);
        let plain = TestFile::new("s.key", own.key);
        let sealed = TestFile::new("s.der", "");
        let files = [
            "pkcs8",
            "-topk8",
            "-outform",
            "DER",
            "-in",
            plain.path(),
            "-out",
            sealed.path(),
            "-passout",
            "pass:x",
        ];
        run("openssl", &[&files[..], ways].concat()).then(|| std::fs::read(sealed.path()).unwrap())
    }

    /// The files exceed the limit by one iteration; with larger numbers a failure of the test would take days.
    #[test]
    fn stores_with_expensive_key_derivation_are_rejected_before_opening() {
        const MANY: &str = "1000001";
        let of_one =
            "one of its key derivations has 1000001 iterations, but at most 1000000 are allowed";
        let plain = ["-keypbe", "NONE", "-certpbe", "NONE"];
        let unchecked = ["-nomac", "-iter", MANY];
        for (what, ways, words) in [
            ("checksum", [&plain[..], &["-iter", MANY]].concat(), of_one),
            ("key", [&plain[2..], &unchecked].concat(), of_one),
            ("certificates", [&plain[..2], &unchecked].concat(), of_one),
            (
                "old ciphers",
                [&["-legacy"], &unchecked[..]].concat(),
                of_one,
            ),
        ] {
            let Some(bytes) = store_with(&ways) else {
                return;
            };
            let store = TestFile::new("slow.p12", bytes);
            let error = refusal(&[
                ("ssl.keystore.type", "PKCS12"),
                ("ssl.keystore.location", store.path()),
                ("ssl.keystore.password", "x"),
            ]);
            assert_eq!(
                error.key(),
                Some("ssl.keystore.location"),
                "{what}: {error}"
            );
            assert_eq!(error.value(), Some(store.path()));
            assert!(error.problem().contains(words), "{what}: {error}");
            assert!(error.remedy().contains("10,000"), "{error}");
            let error = refusal(&[
                ("ssl.truststore.location", store.path()),
                ("ssl.truststore.password", "x"),
            ]);
            assert!(error.problem().contains(words), "{what}: {error}");
        }
    }

    #[test]
    fn keys_with_expensive_key_derivation_are_rejected_before_opening() {
        for (ways, words) in [
            (&["-iter", "1000001"][..], "1000001 iterations"),
            (
                &["-v1", "PBE-SHA1-3DES", "-iter", "1000001"],
                "1000001 iterations",
            ),
            (
                &["-scrypt", "-scrypt_p", "17"],
                "scrypt with N * r * p = 2228224",
            ),
        ] {
            let Some(key) = sealed_with(ways) else {
                return;
            };
            match decrypted(&key, "x") {
                Err(OpenError::Slow(why)) => assert!(why.contains(words), "{why}"),
                other => panic!("{ways:?}: {:?}", other.map(drop)),
            }
        }
        let Some(usual) = sealed_with(&["-scrypt"]) else {
            return;
        };
        decrypted(&usual, "x").unwrap();
    }

    #[test]
    fn a_store_of_openssl_with_thousands_of_certificates_is_read() {
        let many = TestFile::new("many.pem", Authority::new(0).pem().repeat(3_000));
        let store = TestFile::new("many.p12", "");
        let files = [
            "pkcs12",
            "-export",
            "-nokeys",
            "-certpbe",
            "NONE",
            "-in",
            many.path(),
            "-out",
            store.path(),
            "-passout",
            "pass:x",
        ];
        if !run("openssl", &files) {
            return;
        }
        let bytes = std::fs::read(store.path()).unwrap();
        assert_eq!(certificates(&bytes, Some("x")).unwrap().len(), 3_000);
    }

    #[test]
    fn a_store_with_an_algorithm_that_is_not_supported_is_rejected_with_that_reason() {
        let Some(store) = store_with(&["-legacy", "-keypbe", "PBE-SHA1-RC2-128"]) else {
            return;
        };
        match key_entry(&store, Some("x"), None).map(drop) {
            Err(OpenError::Unreadable(why)) => assert!(why.contains("not supported"), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mutated_stores_are_parsed_or_rejected() {
        let authority = Authority::new(0);
        let own = authority.issue(&["client"]);
        let key = TestFile::new("d.key", own.key);
        let chain = TestFile::new("d.pem", format!("{}{}", own.chain, authority.pem()));
        for ways in [
            &["-keypbe", "NONE", "-certpbe", "NONE", "-nomac"][..],
            &["-iter", "1", "-nomac"],
        ] {
            let store = TestFile::new("d.p12", "");
            let files = [
                "pkcs12",
                "-export",
                "-inkey",
                key.path(),
                "-in",
                chain.path(),
                "-out",
                store.path(),
                "-passout",
                "pass:x",
            ];
            if !run("openssl", &[&files[..], ways].concat()) {
                return;
            }
            let bytes = std::fs::read(store.path()).unwrap();
            key_entry(&bytes, Some("x"), None).unwrap();
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..3_000 {
                let damaged = damaged(&bytes, &mut random);
                drop(key_entry(&damaged, Some("x"), Some("y")));
                drop(certificates(&damaged, Some("x")));
                drop(decrypted(&damaged, "x"));
            }
        }
    }

    #[test]
    fn corrupt_stores_are_rejected() {
        for bytes in [
            &[0x30][..],
            &[0x30, 0x80],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 3, 2, 1, 3],
        ] {
            let store = TestFile::new("damaged.p12", bytes);
            let error = refusal(&[
                ("ssl.truststore.type", "PKCS12"),
                ("ssl.truststore.location", store.path()),
            ]);
            assert_eq!(error.key(), Some("ssl.truststore.location"));
        }
    }
}
