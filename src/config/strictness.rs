//! Strict configurations, in which every key must be known, and the search for the key that was meant.

use std::collections::BTreeMap;

use super::definition;
use super::not_built;
use crate::error::ConfigError;

/// Whether unknown keys are errors.
#[derive(Clone, Debug, Default)]
pub(super) struct Strictness {
    pub(super) is_strict: bool,
    /// Keys that begin with one of these are read by plug-ins.
    pub(super) plugin_keys: Vec<String>,
}

impl Strictness {
    /// The problems of a strict configuration with its unknown keys.
    pub(super) fn unknown_keys(&self, given: &BTreeMap<String, String>) -> Vec<ConfigError> {
        if !self.is_strict {
            return Vec::new();
        }
        let is_known = |key: &str| {
            definition::key(key).is_some() || not_built::is_known(key) || self.is_of_plugin(key)
        };
        let unknown = given.keys().filter(|key| !is_known(key));
        unknown.map(|key| refuse(key)).collect()
    }

    /// Whether the user has said that plug-ins read the key.
    pub(super) fn is_of_plugin(&self, key: &str) -> bool {
        let mut prefixes = self.plugin_keys.iter();
        prefixes.any(|prefix| key.starts_with(prefix))
    }
}

/// The value is left out: that of a misspelled password is a secret.
fn refuse(key: &str) -> ConfigError {
    let remedy = match nearest_key(key) {
        Some(nearest) => {
            format!("Did you mean {nearest}? If a plug-in reads this key, name it in plugin_keys")
        }
        None => "Leave the key out. If a plug-in reads it, name it in plugin_keys".to_owned(),
    };
    ConfigError::invalid(key, None, "this library has no such key", remedy)
}

/// The key that a misspelled one probably stands for.
pub(crate) fn nearest_key(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.trim().to_ascii_lowercase().replace(['_', '-'], ".");
    let distance = |name: &str| strsim::osa_distance(&unknown, name);
    let nearest = definition::keys()
        .map(|key| (distance(key.name()), key.name()))
        .min()?;
    // Further away it is a guess: with one wrong letter in four there is mostly a key that is as near by chance.
    let (distance, name) = nearest;
    (distance <= name.len() / 4).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_meant_is_found_among_all_keys() {
        for (misspelled, meant) in [
            ("linger.sm", "linger.ms"),
            ("bootstrap.server", "bootstrap.servers"),
            ("boostrap.servers", "bootstrap.servers"),
            ("bootstrap_servers", "bootstrap.servers"),
            ("Enable.Idempotence", "enable.idempotence"),
            ("compression.typ", "compression.type"),
            ("ack", "acks"),
            (" acks", "acks"),
            ("ssl.keystore.pasword", "ssl.keystore.password"),
        ] {
            assert_eq!(nearest_key(misspelled), Some(meant), "{misspelled}");
        }
    }

    #[test]
    fn for_a_key_that_is_like_no_other_nothing_is_suggested() {
        for unknown in ["", "x", "schema.registry.url", "group.id", "my.level"] {
            assert_eq!(nearest_key(unknown), None, "{unknown}");
        }
    }
}
