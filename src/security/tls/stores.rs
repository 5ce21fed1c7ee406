//! Whom we trust and who we are: the trust store and the key store, in every form that the keys allow.
//!
//! Which keys go together is what `DefaultSslEngineFactory` says, with one difference: a key store in PEM may do
//! without `ssl.key.password`, which Kafka 3.0 asks for even where the key is not encrypted.

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::file;
use super::pem::{self, PemKey};
use super::pkcs12;
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
const PRIVATE_PASSWORD: &str = "ssl.key.password";

/// The beginning of a store in Java's own format.
const JKS_MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS_MAGIC: [u8; 4] = [0xce, 0xce, 0xce, 0xce];

/// Whom we trust.
#[derive(Debug)]
pub(super) struct TrustStore {
    pub(super) roots: RootCertStore,
    /// The certificates that were given; none if they are the system's.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) warnings: Vec<String>,
}

/// Who we are.
pub(super) struct KeyStore {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The key to name if something is wrong with it.
    pub(super) named_by: &'static str,
    pub(super) warnings: Vec<String>,
}

/// What format a store is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Pem,
    /// What Java calls `JKS` and `PKCS12`: it reads files of either format under both names.
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
             key to that",
        )),
    }
}

/// Reads whom we trust; the authorities that the system trusts if nothing says it.
pub(super) fn trust_store(config: &ProducerConfig) -> Result<TrustStore, ConfigError> {
    let format = format_of(config, TRUST_TYPE)?;
    let location = config.text(TRUST_LOCATION);
    let password = config.password(TRUST_PASSWORD);
    if let Some(text) = config.password(TRUST_CERTIFICATES) {
        only_with_pem(format, TRUST_CERTIFICATES, TRUST_TYPE)?;
        not_both(TRUST_CERTIFICATES, TRUST_LOCATION, location.is_some())?;
        no_password_with_pem(TRUST_PASSWORD, TRUST_TYPE, password)?;
        let certificates = pem::certificates(text.expose())
            .map_err(|problem| bad(TRUST_CERTIFICATES, None, problem))?;
        return trusted(TRUST_CERTIFICATES, None, certificates);
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
    let certificates = match format {
        Format::Pem => text_of(TRUST_LOCATION, path, &bytes).and_then(|text| {
            pem::certificates(text).map_err(|why| bad(TRUST_LOCATION, Some(path), why))
        })?,
        Format::Java => {
            expect_pkcs12(TRUST_LOCATION, TRUST_TYPE, path, &bytes)?;
            pkcs12::certificates(&bytes, password.map(Password::expose))
                .map_err(|error| error.of(TRUST_LOCATION, TRUST_PASSWORD, path))?
        }
    };
    trusted(TRUST_LOCATION, Some(path), certificates)
}

/// Reads who we are, if anything says it.
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
                .map_err(|problem| bad(KEY_CHAIN, None, problem))?;
            let key = pem::private_key(key.expose())
                .map_err(|problem| bad(KEY_KEY, None, problem))
                .and_then(|key| opened(KEY_KEY, None, key, private_password))?;
            return Ok(Some(KeyStore {
                chain,
                key,
                named_by: KEY_KEY,
                warnings: Vec::new(),
            }));
        }
        (Some(_), None) => return Err(alone(KEY_KEY, KEY_CHAIN)),
        (None, Some(_)) => return Err(alone(KEY_CHAIN, KEY_KEY)),
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
    let (key, chain) = match format {
        Format::Pem => {
            let text = text_of(KEY_LOCATION, path, &bytes)?;
            let bad = |problem| bad(KEY_LOCATION, Some(path), problem);
            let chain = pem::certificates(text).map_err(bad)?;
            let key = pem::private_key(text).map_err(bad)?;
            (
                opened(KEY_LOCATION, Some(path), key, private_password)?,
                chain,
            )
        }
        Format::Java => {
            expect_pkcs12(KEY_LOCATION, KEY_TYPE, path, &bytes)?;
            pkcs12::key_and_chain(&bytes, password.map(Password::expose))
                .map_err(|error| error.of(KEY_LOCATION, KEY_PASSWORD, path))?
        }
    };
    let mut warnings = Vec::new();
    if is_open_to_all(path.as_ref()) {
        warnings.push(format!(
            "{KEY_LOCATION}={path}: everybody on this machine may read this private key (chmod 600)"
        ));
    }
    Ok(Some(KeyStore {
        chain,
        key,
        named_by: KEY_LOCATION,
        warnings,
    }))
}

fn system_roots() -> Result<TrustStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some stores have a few that are of no use; those that are count.
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
        format!("is not set, and this system names no authorities that it trusts{why}"),
        format!(
            "Set {TRUST_TYPE}=PEM and {TRUST_LOCATION} to a file with the authority of the brokers' certificates, or \
             install the package ca-certificates"
        ),
    ))
}

/// The store of these certificates.
fn trusted(
    key: &'static str,
    path: Option<&str>,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<TrustStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    let mut warnings = Vec::new();
    for (number, certificate) in (1..).zip(&certificates) {
        if let Err(error) = roots.add(certificate.clone()) {
            warnings.push(format!("{key}: certificate {number} is of no use: {error}"));
        }
    }
    if roots.is_empty() {
        return Err(bad(
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

/// The key itself, of one that may be encrypted.
fn opened(
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
        (PemKey::Encrypted(der), Some(password)) => pkcs12::decrypted(&der, password.expose())
            .map_err(|error| error.of(named_by, PRIVATE_PASSWORD, path.unwrap_or_default())),
    }
}

fn text_of<'t>(key: &'static str, path: &str, bytes: &'t [u8]) -> Result<&'t str, ConfigError> {
    std::str::from_utf8(bytes).map_err(|_| {
        bad(
            key,
            Some(path),
            "this is no text, and so not in the format PEM".to_owned(),
        )
    })
}

/// A file that is to be read as a store of Java's is PKCS#12, or we say what it is.
fn expect_pkcs12(
    key: &'static str,
    type_key: &'static str,
    path: &str,
    bytes: &[u8],
) -> Result<(), ConfigError> {
    if bytes.starts_with(&JKS_MAGIC) || bytes.starts_with(&JCEKS_MAGIC) {
        return Err(ConfigError::not_built(
            key,
            Some(path),
            "this is a store in Java's own format, which cannot be read",
            format!(
                "Convert it with `keytool -importkeystore -srckeystore {path} -destkeystore {path}.p12 -deststoretype \
                 PKCS12`, then set {type_key}=PKCS12 and {key}={path}.p12"
            ),
        ));
    }
    if pem::is_pem(bytes) {
        return Err(ConfigError::conflict(
            &[type_key, key],
            format!("{key}={path} is in the format PEM, and {type_key} says otherwise"),
            format!("Set {type_key}=PEM"),
        ));
    }
    if bytes.first() != Some(&0x30) {
        return Err(bad(
            key,
            Some(path),
            "this is no store in the format PKCS12, nor in any that is known".to_owned(),
        ));
    }
    Ok(())
}

fn bad(key: &'static str, path: Option<&str>, problem: String) -> ConfigError {
    ConfigError::invalid(
        key,
        path,
        problem,
        "Check what it holds, for instance with `openssl x509 -text` or `keytool -list`",
    )
}

fn alone(given: &'static str, missing: &'static str) -> ConfigError {
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
        format!("{key} is PEM text, and {type_key} says otherwise"),
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
