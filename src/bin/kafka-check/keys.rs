//! The keys to change after a failed connection.

use kafka_producer::SecurityProtocol;
use kafka_producer::probe::{ProbeFailure, ProbeFailureKind, ProbeStage};

use crate::advice::AddressSource;
use crate::finding::{CheckProblem, KeySide};

/// What the steps before the failed one have proved right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PassedSteps {
    /// SASL has passed on this connection, or a bootstrap server has accepted the same `security.protocol`.
    is_protocol_right: bool,
    /// The address is not one of `bootstrap.servers`, or a Kafka broker has answered there.
    is_bootstrap_right: bool,
    source: AddressSource,
}

impl PassedSteps {
    /// `stages` are those of the security protocol, in their order.
    pub(crate) fn before(failed: ProbeStage, stages: &[ProbeStage], source: AddressSource) -> Self {
        let mut passed = stages.iter().take_while(|stage| **stage != failed);
        let is_elsewhere = source == AddressSource::Advertised;
        Self {
            is_protocol_right: is_elsewhere || passed.any(|stage| *stage == ProbeStage::Sasl),
            is_bootstrap_right: is_elsewhere || failed == ProbeStage::Metadata,
            source,
        }
    }

    fn refute(self, key: &str) -> bool {
        match key {
            "security.protocol" => self.is_protocol_right,
            "bootstrap.servers" => self.is_bootstrap_right,
            _ => false,
        }
    }
}

/// Adds the keys that the problem's text names, and those of the stage, except those that steps before it have proved
/// right. A text about TLS that names keys is precise, and gets no others; so is one about SASL, unless credentials or
/// mechanism are at fault.
pub(crate) fn with_keys(
    mut problem: CheckProblem,
    protocol: SecurityProtocol,
    failure: &ProbeFailure,
    passed: PassedSteps,
) -> CheckProblem {
    let text = problem.text.clone();
    for (key, side, hint) in KEYS {
        if contains_key(&text, key) {
            problem = problem.change(*key, *side, *hint);
        }
    }
    let is_precise = failure.kind == ProbeFailureKind::Tls
        || failure.stage == ProbeStage::Tls
        || (failure.stage == ProbeStage::Sasl && failure.kind == ProbeFailureKind::Other);
    let of_stage: &[&str] = match (failure.stage, failure.kind) {
        (ProbeStage::Metadata, ProbeFailureKind::TimedOut | ProbeFailureKind::Other) => &[],
        (ProbeStage::Metadata, ProbeFailureKind::ConnectionLost)
        | (ProbeStage::Tls | ProbeStage::Sasl, ProbeFailureKind::TimedOut) => {
            &["security.protocol"]
        }
        (ProbeStage::Tls, _) | (_, ProbeFailureKind::Tls) => {
            &["security.protocol", "ssl.truststore.location"]
        }
        (_, ProbeFailureKind::Mechanism) => &["sasl.mechanism"],
        (ProbeStage::Sasl, ProbeFailureKind::ConnectionLost) => {
            &["security.protocol", "sasl.jaas.config", "sasl.mechanism"]
        }
        (ProbeStage::Sasl, _) => &["sasl.jaas.config", "sasl.mechanism"],
        _ => &["security.protocol", "bootstrap.servers"],
    };
    if problem.change.is_empty() || !is_precise {
        for (key, side, hint) in KEYS.iter().filter(|(key, ..)| of_stage.contains(key)) {
            if problem.change.iter().all(|change| change.key != *key) {
                problem = problem.change(*key, *side, *hint);
            }
        }
    }
    let named = problem.change.len();
    problem.change.retain(|change| !passed.refute(&change.key));
    let is_refuted = problem.change.len() < named;
    let mut keys = problem.change.iter().map(|change| &*change.key);
    let names_listeners = keys.any(|key| key == "advertised.listeners");
    if is_refuted && !names_listeners && passed.source == AddressSource::Advertised {
        problem = problem.change(
            "advertised.listeners",
            KeySide::Broker,
            format!("an address and port of the listener for {protocol}"),
        );
    }
    // The value in effect may be the default, which is in no file.
    for change in &mut problem.change {
        if change.key == "security.protocol" {
            change.hint = format!("that of the listener; here it is {protocol}");
        }
    }
    problem
}

/// Keys that errors of connections name, and what to check about them.
const KEYS: &[(&str, KeySide, &str)] = &[
    ("security.protocol", KeySide::Client, ""),
    (
        "bootstrap.servers",
        KeySide::Client,
        "host and port of a broker",
    ),
    (
        "ssl.truststore.location",
        KeySide::Client,
        "the certificate authority of the brokers",
    ),
    (
        "ssl.truststore.certificates",
        KeySide::Client,
        "the certificate authority of the brokers",
    ),
    (
        "ssl.keystore.location",
        KeySide::Client,
        "a certificate of this client that the broker trusts",
    ),
    (
        "ssl.endpoint.identification.algorithm",
        KeySide::Client,
        "whether the name in the certificate is verified",
    ),
    (
        "ssl.enabled.protocols",
        KeySide::Client,
        "TLS versions that the broker has too",
    ),
    (
        "ssl.cipher.suites",
        KeySide::Client,
        "cipher suites that the broker has too",
    ),
    (
        "sasl.jaas.config",
        KeySide::Client,
        "user and password, or the token",
    ),
    (
        "sasl.mechanism",
        KeySide::Client,
        "a mechanism of the broker's sasl.enabled.mechanisms",
    ),
    (
        "advertised.listeners",
        KeySide::Broker,
        "an address for its clients; with TLS, a name of its certificate",
    ),
];

/// Whether a text contains a whole key; `ssl.keystore.location` does not contain `ssl.key`.
fn contains_key(text: &str, key: &str) -> bool {
    // An apostrophe is part of a word, not a quotation mark.
    let is_of_name = |c: char| c.is_alphanumeric() || c == '.' || c == '\'';
    text.match_indices(key).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + key.len()..].chars();
        let goes_on = match after.next() {
            Some('.') => after.next().is_some_and(char::is_alphanumeric),
            next => next.is_some_and(char::is_alphanumeric),
        };
        !before.is_some_and(is_of_name) && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_step_before_has_proved_right_is_refuted() {
        use AddressSource::{Advertised, Bootstrap};
        use ProbeStage::{ApiVersions, Connect, Metadata, Sasl, Tls};

        let (plain, sasl) = (
            [Connect, ApiVersions, Metadata],
            [Connect, Tls, Sasl, ApiVersions, Metadata],
        );
        for (failed, stages, source, refuted) in [
            (ApiVersions, &plain[..], Bootstrap, [false, false]),
            // A listener that expects SASL answers the request for the API versions.
            (Metadata, &plain, Bootstrap, [false, true]),
            (ApiVersions, &plain, Advertised, [true, true]),
            (Sasl, &sasl, Bootstrap, [false, false]),
            (ApiVersions, &sasl, Bootstrap, [true, false]),
            (Metadata, &sasl, Bootstrap, [true, true]),
        ] {
            let passed = PassedSteps::before(failed, stages, source);
            let keys = ["security.protocol", "bootstrap.servers"];
            assert_eq!(keys.map(|key| passed.refute(key)), refuted, "{passed:?}");
        }
    }

    #[test]
    fn only_a_whole_key_is_found_in_a_text() {
        for (text, key, is_found) in [
            (
                "check ssl.keystore.location.",
                "ssl.keystore.location",
                true,
            ),
            ("(security.protocol, x)", "security.protocol", true),
            ("ssl.keystore.location", "keystore.location", false),
            ("ssl.truststore.location", "ssl.truststore", false),
            ("sasl.mechanisms", "sasl.mechanism", false),
            ("acks=all sends", "s", false),
            ("the record's key", "s", false),
        ] {
            assert_eq!(contains_key(text, key), is_found, "{text}");
        }
    }
}
