//! The keys that a failed connection has to do with.

use kafka_producer::SecurityProtocol;
use kafka_producer::probe::{ProbeFailure, ProbeStage};

use crate::finding::{CheckProblem, KeySide};

/// Adds the keys that the problem's text names. Except for TLS, whose texts are precise, those of the stage are added.
pub(crate) fn with_keys(
    mut problem: CheckProblem,
    protocol: SecurityProtocol,
    failure: &ProbeFailure,
) -> CheckProblem {
    let what = problem.what.clone();
    for (key, side, hint) in KEYS {
        if names(&what, key) {
            problem = problem.change(*key, *side, *hint);
        }
    }
    let stage = failure.stage;
    let of_stage: &[&str] = match stage {
        ProbeStage::Metadata if failure.timed_out => &[],
        ProbeStage::Tls | ProbeStage::Sasl if failure.timed_out => &["security.protocol"],
        ProbeStage::Tls => &["security.protocol", "ssl.truststore.location"],
        ProbeStage::Sasl => &["sasl.jaas.config", "sasl.mechanism"],
        _ => &["security.protocol", "bootstrap.servers"],
    };
    if problem.change.is_empty() || stage != ProbeStage::Tls {
        for (key, side, hint) in KEYS.iter().filter(|(key, ..)| of_stage.contains(key)) {
            if problem.change.iter().all(|change| change.key != *key) {
                problem = problem.change(*key, *side, *hint);
            }
        }
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

/// Whether a text names a key; `ssl.keystore.location` does not name `ssl.key`.
fn names(text: &str, key: &str) -> bool {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '.';
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
    fn a_key_is_named_by_its_whole_name_only() {
        for (text, key, is_named) in [
            (
                "check ssl.keystore.location.",
                "ssl.keystore.location",
                true,
            ),
            ("(security.protocol, x)", "security.protocol", true),
            ("ssl.keystore.location", "keystore.location", false),
            ("ssl.truststore.location", "ssl.truststore", false),
            ("sasl.mechanisms", "sasl.mechanism", false),
        ] {
            assert_eq!(names(text, key), is_named, "{text}");
        }
    }
}
