//! The trust store and the key store, in every form that the keys allow.
//!
//! The rules for combinations of keys are those of `DefaultSslEngineFactory`, with one difference: a key store in PEM
//! does not need `ssl.key.password` unless its key is encrypted; Kafka 3.0 always requires it.

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::file;
use super::java_store;
use super::key_entry::KeyEntry;
use super::pem::{self, PemKey};
use super::store_names::{JKS_MAGIC, PRIVATE_PASSWORD};
use crate::config::{Password, ProducerConfig, is_open_to_all};
use crate::error::ConfigError;

const TRUST_TYPE: &str = "ssl.truststore.type";
pub(super) const TRUST_LOCATION: &str = "ssl.truststore.location";
const TRUST_PASSWORD: &str = "ssl.truststore.password";
const TRUST_CERTIFICATES: &str = "ssl.truststore.certificates";
const KEY_TYPE: &str = "ssl.keystore.type";
pub(super) const KEY_LOCATION: &str = "ssl.keystore.location";
const KEY_PASSWORD: &str = "ssl.keystore.password";
const KEY_KEY: &str = "ssl.keystore.key";
const KEY_CHAIN: &str = "ssl.keystore.certificate.chain";

/// Magic number of JCEKS, another of Java's own formats.
const JCEKS_MAGIC: [u8; 4] = [0xce, 0xce, 0xce, 0xce];

/// Limit of the warnings about certificates of a trust store, of which there may be thousands.
const MAX_WARNINGS: usize = 10;

/// The trusted CA certificates.
#[derive(Debug)]
pub(super) struct TrustStore {
    pub(super) roots: RootCertStore,
    /// The certificates of the trust store; empty if the system's trust store is used.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) warnings: Vec<String>,
}

/// The client's private key and certificate chain.
pub(super) struct KeyStore {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The configuration key that errors about the key store name.
    pub(super) named_by: &'static str,
    pub(super) warnings: Vec<String>,
}

/// The format of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Pem,
    /// `JKS` and `PKCS12`: as in Java, files of both formats are read under both names.
    Java,
}

fn format_of(config: &ProducerConfig, key: &'static str) -> Result<Format, ConfigError> {
    match config.text(key).unwrap_or("JKS") {
        name if name.eq_ignore_ascii_case("PEM") => Ok(Format::Pem),
        name if name.eq_ignore_ascii_case("JKS") || name.eq_ignore_ascii_case("PKCS12") => {
            Ok(Format::Java)
        }
        other => Err(ConfigError::not_built(
            key,
            Some(other),
            "this format cannot be read",
            "Convert the store to PKCS12 with `keytool -importkeystore -deststoretype PKCS12`, or to PEM, and set the \
             key to that; JKS, PKCS12 and PEM are read",
        )),
    }
}

/// Reads the configured trust store, or that of the operating system if none is configured.
pub(super) fn trust_store(config: &ProducerConfig) -> Result<TrustStore, ConfigError> {
    let format = format_of(config, TRUST_TYPE)?;
    let location = config.text(TRUST_LOCATION);
    let password = config.password(TRUST_PASSWORD);
    if let Some(text) = config.password(TRUST_CERTIFICATES) {
        only_with_pem(format, TRUST_CERTIFICATES, TRUST_TYPE)?;
        not_both(TRUST_CERTIFICATES, TRUST_LOCATION, location.is_some())?;
        no_password_with_pem(TRUST_PASSWORD, TRUST_TYPE, password)?;
        let certificates = pem::certificates(text.expose())
            .map_err(|problem| invalid(TRUST_CERTIFICATES, None, problem))?;
        return trust_store_of(TRUST_CERTIFICATES, None, certificates);
    }
    let Some(path) = location else {
        if password.is_some() {
            return Err(ConfigError::conflict(
                &[TRUST_PASSWORD, TRUST_LOCATION],
                format!("{TRUST_PASSWORD} is set, and {TRUST_LOCATION} is not"),
                format!(
                    "Name the trust store with {TRUST_LOCATION}, or leave {TRUST_PASSWORD} out"
                ),
            ));
        }
        return system_roots();
    };
    if format == Format::Pem {
        no_password_with_pem(TRUST_PASSWORD, TRUST_TYPE, password)?;
    }
    let bytes = file::read(TRUST_LOCATION, path)?;
    trust_store_of_file(config, path, &bytes)
}

/// Parses the file of the configured trust store.
pub(super) fn trust_store_of_file(
    config: &ProducerConfig,
    path: &str,
    bytes: &[u8],
) -> Result<TrustStore, ConfigError> {
    let format = format_of(config, TRUST_TYPE)?;
    let path = shown_path(config, TRUST_LOCATION, path);
    parse_trust_store(format, path, bytes, config.password(TRUST_PASSWORD))
}

/// A file name for messages: `[hidden]` if it comes from a config provider.
fn shown_path<'p>(config: &ProducerConfig, key: &'static str, path: &'p str) -> &'p str {
    let error = ConfigError::invalid(key, Some(path), "", "");
    let is_shown = config.without_resolved_values(error).value().is_some();
    if is_shown { path } else { "[hidden]" }
}

/// A key and its file name, for log lines.
pub(super) fn shown(config: &ProducerConfig, key: &'static str, path: &str) -> String {
    format!("{key}={}", shown_path(config, key, path))
}

/// Parses a trust store file.
fn parse_trust_store(
    format: Format,
    path: &str,
    bytes: &[u8],
    password: Option<&Password>,
) -> Result<TrustStore, ConfigError> {
    let certificates = match format {
        Format::Pem => text_of(TRUST_LOCATION, path, bytes).and_then(|text| {
            pem::certificates(text).map_err(|why| invalid(TRUST_LOCATION, Some(path), why))
        })?,
        Format::Java => {
            expect_java_store(TRUST_LOCATION, TRUST_TYPE, path, bytes)?;
            java_store::certificates(bytes, password.map(Password::expose))
                .map_err(|error| error.of(TRUST_LOCATION, TRUST_PASSWORD, path))?
        }
    };
    trust_store_of(TRUST_LOCATION, Some(path), certificates)
}

/// Reads the key store; `None` if none is configured.
pub(super) fn key_store(config: &ProducerConfig) -> Result<Option<KeyStore>, ConfigError> {
    let format = format_of(config, KEY_TYPE)?;
    let location = config.text(KEY_LOCATION);
    let password = config.password(KEY_PASSWORD);
    let private_password = config.password(PRIVATE_PASSWORD);
    let (key, chain) = (config.password(KEY_KEY), config.password(KEY_CHAIN));
    match (key, chain) {
        (Some(key), Some(chain)) => {
            only_with_pem(format, KEY_KEY, KEY_TYPE)?;
            not_both(KEY_KEY, KEY_LOCATION, location.is_some())?;
            no_password_with_pem(KEY_PASSWORD, KEY_TYPE, password)?;
            let chain = pem::certificates(chain.expose())
                .map_err(|problem| invalid(KEY_CHAIN, None, problem))?;
            let key = pem::private_key(key.expose())
                .map_err(|problem| invalid(KEY_KEY, None, problem))
                .and_then(|key| decrypt_key(KEY_KEY, None, key, private_password))?;
            return Ok(Some(KeyStore {
                chain,
                key,
                named_by: KEY_KEY,
                warnings: Vec::new(),
            }));
        }
        (Some(_), None) => return Err(missing_counterpart(KEY_KEY, KEY_CHAIN)),
        (None, Some(_)) => return Err(missing_counterpart(KEY_CHAIN, KEY_KEY)),
        (None, None) => {}
    }
    let Some(path) = location else {
        if password.is_some() {
            return Err(ConfigError::conflict(
                &[KEY_PASSWORD, KEY_LOCATION],
                format!("{KEY_PASSWORD} is set, and {KEY_LOCATION} is not"),
                format!("Name the key store with {KEY_LOCATION}, or leave {KEY_PASSWORD} out"),
            ));
        }
        return Ok(None);
    };
    if format == Format::Pem {
        no_password_with_pem(KEY_PASSWORD, KEY_TYPE, password)?;
    } else if password.is_none() {
        return Err(ConfigError::conflict(
            &[KEY_PASSWORD, KEY_LOCATION],
            format!("{KEY_LOCATION} is set, and {KEY_PASSWORD} is not"),
            format!("Set {KEY_PASSWORD} to the password of the store"),
        ));
    }
    let bytes = file::read(KEY_LOCATION, path)?;
    key_store_of_file(config, path, &bytes).map(Some)
}

/// Parses the file of the configured key store.
pub(super) fn key_store_of_file(
    config: &ProducerConfig,
    path: &str,
    bytes: &[u8],
) -> Result<KeyStore, ConfigError> {
    let format = format_of(config, KEY_TYPE)?;
    let password = config.password(KEY_PASSWORD);
    let private_password = config.password(PRIVATE_PASSWORD);
    let shown = shown_path(config, KEY_LOCATION, path);
    let entry = parse_key_store(format, shown, bytes, password, private_password)?;
    let mut warnings = Vec::new();
    if let Some(note) = entry.note {
        warnings.push(format!("{KEY_LOCATION}={shown}: {note}"));
    }
    if is_open_to_all(path.as_ref()) {
        warnings.push(format!(
            "{KEY_LOCATION}={shown}: everybody on this machine may read this private key (chmod 600)"
        ));
    }
    Ok(KeyStore {
        chain: entry.chain,
        key: entry.key,
        named_by: KEY_LOCATION,
        warnings,
    })
}

/// Parses a key store file.
fn parse_key_store(
    format: Format,
    path: &str,
    bytes: &[u8],
    password: Option<&Password>,
    private_password: Option<&Password>,
) -> Result<KeyEntry, ConfigError> {
    match format {
        Format::Pem => {
            let text = text_of(KEY_LOCATION, path, bytes)?;
            let invalid = |problem| invalid(KEY_LOCATION, Some(path), problem);
            let chain = pem::certificates(text).map_err(invalid)?;
            let key = pem::private_key(text).map_err(invalid)?;
            let key = decrypt_key(KEY_LOCATION, Some(path), key, private_password)?;
            Ok(KeyEntry {
                key,
                chain,
                note: None,
            })
        }
        Format::Java => {
            expect_java_store(KEY_LOCATION, KEY_TYPE, path, bytes)?;
            let password = password.map(Password::expose);
            let private_password = private_password.map(Password::expose);
            java_store::key_entry(bytes, password, private_password)
                .map_err(|error| error.of(KEY_LOCATION, KEY_PASSWORD, path))
        }
    }
}

fn system_roots() -> Result<TrustStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems have a few certificates that cannot be parsed; the others are used.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable > 0 {
        return Ok(TrustStore {
            roots,
            certificates: Vec::new(),
            warnings: Vec::new(),
        });
    }
    let why = found.errors.first();
    let why = why.map_or_else(String::new, |error| format!(" ({error})"));
    Err(ConfigError::invalid(
        TRUST_LOCATION,
        None,
        format!("is not set, and this system has no trust store{why}"),
        format!(
            "Set {TRUST_TYPE}=PEM and {TRUST_LOCATION} to a file with the authority of the brokers' certificates, or \
             install the package ca-certificates"
        ),
    ))
}

/// The trust store with these certificates.
fn trust_store_of(
    key: &'static str,
    path: Option<&str>,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<TrustStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    let mut warnings = Vec::new();
    let mut ignored = 0;
    for (number, certificate) in (1..).zip(&certificates) {
        if let Err(error) = roots.add(certificate.clone()) {
            ignored += 1;
            if ignored <= MAX_WARNINGS {
                warnings.push(format!("{key}: certificate {number} is ignored: {error}"));
            }
        }
    }
    if ignored > MAX_WARNINGS {
        let more = ignored - MAX_WARNINGS;
        warnings.push(format!("{key}: {more} more certificates are ignored"));
    }
    if roots.is_empty() {
        return Err(invalid(
            key,
            path,
            format!("no certificate in it can be used; {}", warnings.join("; ")),
        ));
    }
    Ok(TrustStore {
        roots,
        certificates,
        warnings,
    })
}

/// The private key, decrypted if necessary.
fn decrypt_key(
    named_by: &'static str,
    path: Option<&str>,
    key: PemKey,
    password: Option<&Password>,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    match (key, password) {
        (PemKey::Plain(key), _) => Ok(key),
        (PemKey::Encrypted(_), None) => Err(ConfigError::conflict(
            &[PRIVATE_PASSWORD, named_by],
            format!(
                "the private key of {named_by} is encrypted, and {PRIVATE_PASSWORD} is not set"
            ),
            format!("Set {PRIVATE_PASSWORD} to the password of the key"),
        )),
        (PemKey::Encrypted(der), Some(password)) => java_store::decrypted(&der, password.expose())
            .map_err(|error| error.of(named_by, PRIVATE_PASSWORD, path.unwrap_or_default())),
    }
}

fn text_of<'t>(key: &'static str, path: &str, bytes: &'t [u8]) -> Result<&'t str, ConfigError> {
    std::str::from_utf8(bytes).map_err(|_| {
        invalid(
            key,
            Some(path),
            "this is not text, and so not in the format PEM".to_owned(),
        )
    })
}

/// Checks that a file is JKS or PKCS#12; otherwise names its actual format.
fn expect_java_store(
    key: &'static str,
    type_key: &'static str,
    path: &str,
    bytes: &[u8],
) -> Result<(), ConfigError> {
    if bytes.starts_with(&JKS_MAGIC) {
        return Ok(());
    }
    if bytes.starts_with(&JCEKS_MAGIC) {
        return Err(ConfigError::not_built(
            key,
            Some(path),
            "this is a store in the format JCEKS, which cannot be read",
            format!(
                "Convert it with `keytool -importkeystore -srckeystore {path} -srcstoretype JCEKS -destkeystore \
                 {path}.p12 -deststoretype PKCS12`, then set {type_key}=PKCS12 and {key}={path}.p12"
            ),
        ));
    }
    if pem::is_pem(bytes) {
        return Err(ConfigError::conflict(
            &[type_key, key],
            format!("{key}={path} is in the format PEM, but {type_key} is not PEM"),
            format!("Set {type_key}=PEM"),
        ));
    }
    if bytes.first() != Some(&0x30) {
        return Err(invalid(
            key,
            Some(path),
            "this is no store in the format JKS or PKCS12, nor in any other known format"
                .to_owned(),
        ));
    }
    Ok(())
}

fn invalid(key: &'static str, path: Option<&str>, problem: String) -> ConfigError {
    ConfigError::invalid(
        key,
        path,
        problem,
        "Check what it holds, for instance with `openssl x509 -text` or `keytool -list`",
    )
}

fn missing_counterpart(given: &'static str, missing: &'static str) -> ConfigError {
    ConfigError::conflict(
        &[missing, given],
        format!("{given} is set, and {missing} is not"),
        "Set both, or neither",
    )
}

fn only_with_pem(
    format: Format,
    key: &'static str,
    type_key: &'static str,
) -> Result<(), ConfigError> {
    if format == Format::Pem {
        return Ok(());
    }
    Err(ConfigError::conflict(
        &[type_key, key],
        format!("{key} is PEM text, but {type_key} is not PEM"),
        format!("Set {type_key}=PEM"),
    ))
}

fn not_both(
    key: &'static str,
    location: &'static str,
    is_located: bool,
) -> Result<(), ConfigError> {
    if !is_located {
        return Ok(());
    }
    Err(ConfigError::conflict(
        &[key, location],
        format!("{key} and {location} are both set"),
        "Leave one of the two out",
    ))
}

fn no_password_with_pem(
    key: &'static str,
    type_key: &'static str,
    password: Option<&Password>,
) -> Result<(), ConfigError> {
    if password.is_none() {
        return Ok(());
    }
    Err(ConfigError::conflict(
        &[key, type_key],
        format!("a store in the format PEM has no password, and {key} is set"),
        format!("Leave {key} out; the password of an encrypted key is {PRIVATE_PASSWORD}"),
    ))
}

/// Entry point of a fuzz target: parses bytes as a store of the kind that the first byte chooses, and loads its private
/// key as a producer does. Returns the number of certificates.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) fn read_any(input: &[u8]) -> Result<usize, ConfigError> {
    const NAME: &str = "a.store";
    /// The password of the seeds, and that of their keys where it is another.
    const PASSWORD: &str = "changeit";
    const PASSWORD_OF_KEYS: &str = "key-secret";
    let (&kind, bytes) = input.split_first().unwrap_or((&0, input));
    let password = Password::new(PASSWORD);
    let KeyEntry { key, chain, .. } = match kind % 6 {
        0 => {
            return parse_trust_store(Format::Pem, NAME, bytes, None)
                .map(|store| store.roots.len());
        }
        1 => {
            let store = parse_trust_store(Format::Java, NAME, bytes, Some(&password))?;
            return Ok(store.roots.len());
        }
        2 => parse_key_store(Format::Pem, NAME, bytes, None, Some(&password))?,
        3 => parse_key_store(Format::Java, NAME, bytes, Some(&password), None)?,
        4 => {
            let key = PemKey::Encrypted(bytes.to_vec().into());
            KeyEntry {
                key: decrypt_key(KEY_KEY, None, key, Some(&password))?,
                chain: Vec::new(),
                note: None,
            }
        }
        _ => {
            let own = Password::new(PASSWORD_OF_KEYS);
            parse_key_store(Format::Java, NAME, bytes, Some(&password), Some(&own))?
        }
    };
    let key = super::ec_key::completed(key, &chain);
    let count = chain.len();
    // The provider decides whether it supports the key.
    if let Ok(provider) = super::provider::choose(None) {
        if chain.is_empty() {
            drop(provider.key_provider.load_private_key(key));
        } else {
            drop(rustls::sign::CertifiedKey::from_der(chain, key, &provider));
        }
    }
    Ok(count)
}
