//! Enums for the keys that have a fixed set of values. Each is parsed from, and printed as, its text in a
//! configuration.

use std::fmt;
use std::str::FromStr;

use super::{definition, value};
use crate::error::ConfigError;

/// The acknowledgement that a record needs to count as delivered (`acks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Acks {
    /// Fire and forget: the broker sends no response (`0`).
    None,
    /// The leader has written the record (`1`).
    Leader,
    /// Every in-sync replica has the record (`all`, `-1`).
    All,
}

impl Acks {
    /// The text used in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Leader => "1",
            Self::All => "all",
        }
    }

    /// The number used in produce requests.
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self::None),
            "1" => Some(Self::Leader),
            "all" | "-1" => Some(Self::All),
            _ => None,
        }
    }
}

impl fmt::Display for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a host name with several addresses is used (`client.dns.lookup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientDnsLookup {
    /// Try all addresses, one after the other.
    UseAllDnsIps,
    /// Replace each bootstrap entry by the canonical names of its addresses.
    ResolveCanonicalBootstrapServersOnly,
}

impl ClientDnsLookup {
    /// The text used in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UseAllDnsIps => "use_all_dns_ips",
            Self::ResolveCanonicalBootstrapServersOnly => {
                "resolve_canonical_bootstrap_servers_only"
            }
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [
            Self::UseAllDnsIps,
            Self::ResolveCanonicalBootstrapServersOnly,
        ]
        .into_iter()
        .find(|lookup| lookup.as_str() == text)
    }
}

impl fmt::Display for ClientDnsLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to do when the known brokers cannot be reached (`metadata.recovery.strategy`).
///
/// # Kafka
/// `MetadataRecoveryStrategy`, from KIP-899.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetadataRecoveryStrategy {
    /// Retry the known brokers for ever.
    None,
    /// Resolve and try `bootstrap.servers` again.
    Rebootstrap,
}

impl MetadataRecoveryStrategy {
    /// The text used in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rebootstrap => "rebootstrap",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Rebootstrap]
            .into_iter()
            .find(|strategy| strategy.as_str() == text)
    }
}

impl fmt::Display for MetadataRecoveryStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The level of detail up to which metrics are recorded (`metrics.recording.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordingLevel {
    /// The metrics that operators need.
    Info,
    /// More metrics, at some cost.
    Debug,
    /// All metrics.
    Trace,
}

impl RecordingLevel {
    /// The text used in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Info, Self::Debug, Self::Trace]
            .into_iter()
            .find(|level| level.as_str() == text)
    }
}

impl fmt::Display for RecordingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The protocol of connections to brokers (`security.protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecurityProtocol {
    /// Neither encryption nor authentication.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [
        Self::Plaintext,
        Self::Ssl,
        Self::SaslPlaintext,
        Self::SaslSsl,
    ];

    /// The text used in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Parses case-insensitively, as Kafka does for this key alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.as_str().eq_ignore_ascii_case(text))
    }

    pub(crate) fn uses_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub(crate) fn uses_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Implements `FromStr`: the same texts are valid as in a configuration, and the error is the same.
macro_rules! from_text {
    ($($kind:ident: $key:literal;)*) => {$(
        #[doc = concat!("Parses a value of `", $key, "`, as in a configuration.")]
        impl FromStr for $kind {
            type Err = ConfigError;

            fn from_str(text: &str) -> Result<Self, ConfigError> {
                Self::parse(value::trim(text)).ok_or_else(|| no_such_value($key, text))
            }
        }
    )*};
}

from_text! {
    Acks: "acks";
    ClientDnsLookup: "client.dns.lookup";
    MetadataRecoveryStrategy: "metadata.recovery.strategy";
    RecordingLevel: "metrics.recording.level";
    SecurityProtocol: "security.protocol";
}

#[cold]
fn no_such_value(key: &str, text: &str) -> ConfigError {
    let refused = definition::key(key).and_then(|row| value::parse(row, text).err());
    // The table has no list of the protocols: Kafka checks them apart from other values.
    refused.unwrap_or_else(|| {
        ConfigError::invalid(
            key,
            Some(text),
            "there is no such protocol",
            "Set it to PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
        )
    })
}
