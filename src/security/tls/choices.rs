//! Negotiation settings: protocol versions, cipher suites, and host name verification.

use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

use crate::config::ProducerConfig;
use crate::error::ConfigError;

pub(super) const PROTOCOL: &str = "ssl.protocol";
pub(super) const ENABLED_PROTOCOLS: &str = "ssl.enabled.protocols";
pub(super) const CIPHER_SUITES: &str = "ssl.cipher.suites";
pub(super) const IDENTIFICATION: &str = "ssl.endpoint.identification.algorithm";

/// Insecure versions, which Java supports but disables by default.
const OUTDATED: &[&str] = &["SSLv2Hello", "SSLv3", "TLSv1", "TLSv1.1"];

/// The settings, and warnings for the user.
#[derive(Debug)]
pub(super) struct Choices {
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    /// True if host names are verified.
    pub(super) checks_name: bool,
    pub(super) warnings: Vec<String>,
}

/// Reads the keys; removes the disabled suites from `provider`.
pub(super) fn choose(
    config: &ProducerConfig,
    provider: &mut CryptoProvider,
) -> Result<Choices, ConfigError> {
    let mut warnings = Vec::new();
    refuse_java_keys(config)?;
    check_provider(provider)?;
    let versions = versions(config, &mut warnings)?;
    suites(config, provider, &versions, &mut warnings)?;
    let checks_name = checks_name(config)?;
    if !checks_name {
        warnings.push(format!(
            "{IDENTIFICATION} is empty: anybody with a certificate of a trusted authority can impersonate a broker"
        ));
    }
    Ok(Choices {
        versions,
        checks_name,
        warnings,
    })
}

/// Rejects a cryptography provider that cannot complete any handshake. rustls would report it as a problem of the
/// enabled versions.
fn check_provider(provider: &CryptoProvider) -> Result<(), ConfigError> {
    let missing = if provider.cipher_suites.is_empty() {
        "cipher suites"
    } else if provider.kx_groups.is_empty() {
        "key exchange groups"
    } else {
        return Ok(());
    };
    Err(ConfigError::invalid(
        "security.protocol",
        None,
        format!("TLS needs a cryptography provider with {missing}, and this one has none"),
        "Pass another one to ProducerBuilder::tls_crypto_provider",
    ))
}

/// Rejects keys that name parts of a Java virtual machine.
fn refuse_java_keys(config: &ProducerConfig) -> Result<(), ConfigError> {
    let providers = "Leave the key out; to choose the cryptography provider, use ProducerBuilder::tls_crypto_provider";
    let refuse = |key: &str, value: &str, problem: &str, remedy: &str| {
        Err(ConfigError::not_built(key, Some(value), problem, remedy))
    };
    if let Some(class) = config.text("ssl.engine.factory.class") {
        let remedy = "Leave the key out, and configure the trust store and the key store with the other ssl.* keys";
        return refuse(
            "ssl.engine.factory.class",
            class,
            "no Java class can be loaded",
            remedy,
        );
    }
    for key in ["security.providers", "ssl.provider"] {
        if let Some(value) = config.text(key) {
            return refuse(
                key,
                value,
                "there are no security providers of Java here",
                providers,
            );
        }
    }
    if let Some(value) = config.text("ssl.secure.random.implementation") {
        let remedy = "Leave the key out: random numbers come from the cryptography provider";
        let problem = "there are no random number generators of Java here";
        return refuse("ssl.secure.random.implementation", value, problem, remedy);
    }
    for (key, known) in [
        (
            "ssl.keymanager.algorithm",
            &["SunX509", "NewSunX509", "PKIX"][..],
        ),
        (
            "ssl.trustmanager.algorithm",
            &["PKIX", "SunX509", "SunPKIX", "X509"][..],
        ),
    ] {
        let value = config.text(key).unwrap_or(known[0]);
        if !known.iter().any(|name| name.eq_ignore_ascii_case(value)) {
            let problem = "there are no key and trust managers of Java here; Java's own algorithms are accepted without effect";
            return refuse(key, value, problem, "Leave the key out");
        }
    }
    Ok(())
}

fn versions(
    config: &ProducerConfig,
    warnings: &mut Vec<String>,
) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    let protocol = config.text(PROTOCOL).unwrap_or("TLSv1.3");
    let newest_wanted = match protocol {
        // With `TLS` or `SSL` Java creates a context for any version.
        "TLSv1.3" | "TLS" | "SSL" => &TLS13,
        "TLSv1.2" => &TLS12,
        other => {
            return Err(ConfigError::invalid(
                PROTOCOL,
                Some(other),
                not_a_version(other),
                "Set it to TLSv1.3 or TLSv1.2, or leave the key out",
            ));
        }
    };
    let enabled = config.list(ENABLED_PROTOCOLS);
    let remedy = "Set it to TLSv1.2,TLSv1.3 or to one of them, or leave the key out";
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    let mut outdated = Vec::new();
    for name in enabled {
        match name.as_str() {
            "TLSv1.3" => versions.push(&TLS13),
            "TLSv1.2" => versions.push(&TLS12),
            name if OUTDATED.contains(&name) => outdated.push(name),
            name => {
                return Err(ConfigError::invalid(
                    ENABLED_PROTOCOLS,
                    Some(name),
                    not_a_version(name),
                    remedy,
                ));
            }
        }
    }
    if enabled.is_empty() {
        versions = vec![&TLS12, &TLS13];
    }
    if versions.is_empty() {
        return Err(ConfigError::invalid(
            ENABLED_PROTOCOLS,
            Some(&enabled.join(",")),
            "no secure version is left",
            remedy,
        ));
    }
    if !outdated.is_empty() {
        warnings.push(format!(
            "{ENABLED_PROTOCOLS}: {} is ignored, since it is insecure",
            outdated.join(", ")
        ));
    }
    // As in Java: `ssl.protocol` is the upper bound of the enabled versions.
    if newest_wanted == &TLS12 {
        versions.retain(|version| *version == &TLS12);
        if versions.is_empty() {
            return Err(ConfigError::conflict(
                &[PROTOCOL, ENABLED_PROTOCOLS],
                format!(
                    "{PROTOCOL}={protocol} allows no newer version, but {ENABLED_PROTOCOLS}={} enables only newer ones",
                    enabled.join(",")
                ),
                format!("Leave {PROTOCOL} out, or add TLSv1.2 to {ENABLED_PROTOCOLS}"),
            ));
        }
    }
    Ok(versions)
}

fn not_a_version(name: &str) -> &'static str {
    if OUTDATED.contains(&name) {
        "this version is insecure, and not supported"
    } else {
        "there is no such TLS version"
    }
}

/// The name of a suite in Java, which is that of the IANA registry.
fn java_name(suite: CipherSuite) -> String {
    let name = suite.as_str().unwrap_or_default();
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name.to_owned(),
    }
}

fn suites(
    config: &ProducerConfig,
    provider: &mut CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let wanted = config.list(CIPHER_SUITES);
    if wanted.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = provider
        .cipher_suites
        .iter()
        .map(|suite| java_name(suite.suite()))
        .collect();
    let unknown: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|name| !all.iter().any(|known| known == name))
        .collect();
    // In the order of the key, which is the order of preference in the ClientHello.
    let mut chosen = Vec::new();
    for name in wanted {
        let found = provider
            .cipher_suites
            .iter()
            .find(|suite| java_name(suite.suite()) == *name);
        chosen.extend(found.copied());
    }
    // A suite belongs to one version: drop the suites of versions that are not enabled.
    chosen.retain(|suite| versions.contains(&suite.version()));
    if chosen.is_empty() {
        return Err(ConfigError::invalid(
            CIPHER_SUITES,
            Some(&wanted.join(",")),
            format!("none of these is supported with the current {ENABLED_PROTOCOLS}"),
            format!("Leave the key out, or name some of {}", all.join(", ")),
        ));
    }
    if !unknown.is_empty() {
        warnings.push(format!(
            "{CIPHER_SUITES}: {} is ignored, since it is not supported",
            unknown.join(", ")
        ));
    }
    provider.cipher_suites = chosen;
    Ok(())
}

fn checks_name(config: &ProducerConfig) -> Result<bool, ConfigError> {
    match config.text(IDENTIFICATION).unwrap_or_default() {
        "" => Ok(false),
        name if name.eq_ignore_ascii_case("https") => Ok(true),
        other => Err(ConfigError::invalid(
            IDENTIFICATION,
            Some(other),
            "there is no such way to compare names",
            "Set it to https, or leave the key out",
        )),
    }
}
