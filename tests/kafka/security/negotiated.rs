//! The negotiated parameters of connections, from a broker's log: Java logs each TLS handshake, and Kafka each
//! mechanism. The thread name of a line contains the name of the listener.

use std::collections::BTreeSet;
use std::fmt;

use super::rig::{Mechanism, Wire};

/// The negotiated parameters, with their names in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Negotiated {
    /// Named as in `ssl.enabled.protocols`.
    versions: BTreeSet<String>,
    /// Named as in `sasl.mechanism`.
    mechanisms: BTreeSet<String>,
    /// Whether clients have sent certificates.
    has_certificates: bool,
}

impl Negotiated {
    /// Parses a part of a log, for one listener.
    pub(super) fn of(log: &str, listener: &str) -> Self {
        // `…-0-ListenerName(PLAIN_TLS13)-SASL_SSL-5`; in later versions `…-0-PLAIN_TLS13-SASL_SSL-5`.
        let threads = [
            format!("ListenerName({listener})-"),
            format!("-{listener}-"),
        ];
        let is_of_listener = |line: &&str| threads.iter().any(|thread| line.contains(thread));
        let mut negotiated = Self::default();
        for line in log.lines().filter(is_of_listener) {
            if let Some((_, version)) = line.split_once("Negotiated protocol version: ") {
                negotiated.versions.insert(version.trim().to_owned());
            }
            if let Some((_, rest)) = line.split_once("Using SASL mechanism '") {
                let name = rest.split('\'').next().unwrap_or_default();
                negotiated.mechanisms.insert(name.to_owned());
            }
            negotiated.has_certificates |= line.contains("Consuming client Certificate handshake");
        }
        negotiated
    }

    /// The parameters that must be negotiated, and no others.
    pub(super) fn expected(mechanism: Mechanism, wire: Wire) -> Self {
        Self {
            versions: wire.protocol().map(str::to_owned).into_iter().collect(),
            mechanisms: mechanism.sasl().map(str::to_owned).into_iter().collect(),
            has_certificates: mechanism == Mechanism::Mtls,
        }
    }
}

/// `TLSv1.3, SCRAM-SHA-256`.
impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = self.has_certificates.then_some("certificate");
        let parts = self
            .versions
            .iter()
            .chain(&self.mechanisms)
            .map(String::as_str);
        let parts: Vec<&str> = parts.chain(certificate).collect();
        f.write_str(&parts.join(", "))
    }
}
