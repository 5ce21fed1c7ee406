//! Strict configurations, in which every key must be known, and the search for the key that was meant.

use std::collections::BTreeSet;

use super::definition::{self, ConfigKey};
use super::given::{GivenKeys, KeyOrigin};
use super::key_name::shown_key;
use super::{environment, not_built, providers};
use crate::error::ConfigError;

/// Whether unknown keys are errors.
#[derive(Clone, Debug, Default)]
pub(super) struct Strictness {
    pub(super) is_strict: bool,
    /// Keys that begin with one of these are read by plug-ins.
    pub(super) plugin_keys: Vec<String>,
}

/// The most unknown keys that are problems of their own: with more of them another file was read by mistake.
const MAX_NAMED: usize = 20;

impl Strictness {
    /// The problems of a strict configuration with its unknown keys. `of_providers` are the keys of config providers
    /// that are used; another one is unknown, as its provider is misspelled or not named.
    pub(super) fn unknown_keys(
        &self,
        given: &GivenKeys,
        of_providers: &BTreeSet<String>,
    ) -> Vec<ConfigError> {
        if !self.is_strict {
            return Vec::new();
        }
        let is_known = |key: &str| {
            definition::key(key).is_some()
                || of_providers.contains(key)
                || not_built::is_known(key)
                || self.is_of_plugin(key)
        };
        let mut unknown = given.entries.keys().filter(|key| !is_known(key));
        let named = unknown.by_ref().take(MAX_NAMED);
        let mut problems: Vec<_> = named.map(|key| refuse(key, given.origin(key))).collect();
        let further = unknown.count();
        if further > 0 {
            problems.push(ConfigError::of_unnamed_keys(
                format!("{further} further keys are unknown"),
                "Check that this is the configuration of a producer. If a plug-in reads these keys, name their prefix \
                 in plugin_keys",
            ));
        }
        problems
    }

    /// Whether the user has said that plug-ins read the key.
    pub(super) fn is_of_plugin(&self, key: &str) -> bool {
        let mut prefixes = self.plugin_keys.iter();
        prefixes.any(|prefix| key.starts_with(prefix))
    }
}

/// The value is left out: that of a misspelled password is a secret. So may be the name of a key that looks like none.
fn refuse(key: &str, origin: Option<&KeyOrigin>) -> ConfigError {
    let nearest = nearest_key(key);
    let (problem, meant) = match origin {
        _ if providers::is_key(key) => (
            "config.providers names no provider with this key".to_owned(),
            None,
        ),
        Some(KeyOrigin::Variable { name, prefix }) => (
            format!("the environment variable {name} stands for no key of this library"),
            nearest.map(|key| environment::variable_of(prefix, key)),
        ),
        _ => (
            "this library has no such key".to_owned(),
            nearest.map(str::to_owned),
        ),
    };
    let remedy = match meant {
        Some(meant) => {
            format!("Did you mean {meant}? If a plug-in reads this key, name it in plugin_keys")
        }
        None if providers::is_key(key) => {
            "Check the name of the provider in it, or leave the key out".to_owned()
        }
        None => "Leave the key out. If a plug-in reads it, name it in plugin_keys".to_owned(),
    };
    match origin {
        Some(KeyOrigin::Variable { .. }) => ConfigError::invalid(key, None, problem, remedy),
        _ if shown_key(key) == key => ConfigError::invalid(key, None, problem, remedy),
        Some(KeyOrigin::Line(line)) => ConfigError::of_unnamed_keys(
            format!(
                "line {line} of the properties has no known key, and is not shown: it may be a secret"
            ),
            "Remove the line, or put a key and = before the text",
        ),
        None => ConfigError::of_unnamed_keys(
            "an unknown key is not shown: its name may be a secret",
            remedy,
        ),
    }
}

/// The key that a misspelled one probably stands for.
pub(crate) fn nearest_key(unknown: &str) -> Option<&'static str> {
    nearest_among(definition::keys().map(ConfigKey::name), unknown)
}

/// Whether a name is like a key with the same first letter. So few keys are compared that the names of many thousand
/// unknown keys can be checked.
pub(super) fn resembles_key(name: &str) -> bool {
    let first = |text: &str| text.bytes().next().map(|b| b.to_ascii_lowercase());
    let initial = first(name.trim());
    let keys = definition::keys().map(ConfigKey::name);
    nearest_among(keys.filter(|key| first(key) == initial), name).is_some()
}

fn nearest_among(
    keys: impl Iterator<Item = &'static str> + Clone,
    unknown: &str,
) -> Option<&'static str> {
    let unknown = unknown.trim().to_ascii_lowercase().replace(['_', '-'], ".");
    // A name that lacks the end, mostly the unit: two keys begin with `retry.backoff`, and many with `ssl`.
    let mut longer = keys
        .clone()
        .filter(|name| {
            let rest = name.strip_prefix(&*unknown);
            !unknown.is_empty() && rest.is_some_and(|rest| rest.starts_with('.'))
        })
        .take(3);
    if let (Some(first), second, None) = (longer.next(), longer.next(), longer.next()) {
        let shorter = second.filter(|second| second.len() < first.len());
        return Some(shorter.unwrap_or(first));
    }
    let length = unknown.chars().count();
    let nearest = keys
        // Further away it is a guess: with one wrong letter in four there is mostly a key that is as near by chance.
        // The difference of the lengths is a lower bound of the distance, and quick to compare.
        .filter(|name| name.len().abs_diff(length) <= name.len() / 4)
        .map(|name| (strsim::osa_distance(&unknown, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 4)
        .min()?;
    Some(nearest.1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::properties;

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
            ("linger", "linger.ms"),
            ("retry.backoff", "retry.backoff.ms"),
            ("Delivery_Timeout", "delivery.timeout.ms"),
        ] {
            assert_eq!(nearest_key(misspelled), Some(meant), "{misspelled}");
        }
    }

    #[test]
    fn for_a_key_that_is_like_no_other_nothing_is_suggested() {
        for unknown in [
            "",
            "x",
            "schema.registry.url",
            "group.id",
            "my.level",
            "ssl",
        ] {
            assert_eq!(nearest_key(unknown), None, "{unknown}");
        }
    }

    /// The problems of these unknown keys in a strict configuration.
    fn problems(given: impl Into<GivenKeys>) -> Vec<ConfigError> {
        let strict = Strictness {
            is_strict: true,
            plugin_keys: Vec::new(),
        };
        strict.unknown_keys(&given.into(), &BTreeSet::new())
    }

    #[test]
    fn an_environment_variable_is_named_together_with_the_one_that_was_meant() {
        let variables = [("KAFKA_LINGER", "5"), ("KAFKA_PORT", "tcp://x")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let read = environment::read("KAFKA_", variables.into_iter())
            .ok()
            .unwrap();
        let mut given = GivenKeys::default();
        given.add_environment("KAFKA_", read);
        let problems = problems(given);
        let [linger, port] = &problems[..] else {
            panic!("{problems:?}");
        };
        assert_eq!(linger.key(), Some("linger"));
        assert!(linger.problem().contains("KAFKA_LINGER "), "{linger}");
        assert!(linger.remedy().contains("Did you mean KAFKA_LINGER_MS?"));
        assert!(port.problem().contains("KAFKA_PORT"), "{port}");
        assert!(!port.remedy().contains("Did you mean"), "{port}");
    }

    #[test]
    fn a_password_on_a_line_of_its_own_is_reported_by_its_line_and_not_shown() {
        let text = "acks=1\nhunter2!secret\nmy.level=3";
        let problems = problems(properties::parse(text).unwrap());
        let [hidden, shown] = &problems[..] else {
            panic!("{problems:?}");
        };
        assert_eq!(hidden.key(), None);
        let text = format!("{hidden} {hidden:?}");
        assert!(text.contains("line 2 of the properties"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(shown.key(), Some("my.level"));
        let given = BTreeMap::from([("hunter2!".to_owned(), String::new())]);
        let text = format!("{:?}", self::problems(given));
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn of_many_unknown_keys_the_first_are_named_and_the_others_counted() {
        let keys = (0..20_000).map(|number| (format!("a.key.{number:05}"), String::new()));
        let problems = problems(keys.collect::<BTreeMap<_, _>>());
        assert_eq!(problems.len(), MAX_NAMED + 1);
        assert_eq!(problems[0].key(), Some("a.key.00000"));
        let last = &problems[MAX_NAMED];
        assert!(last.problem().contains("19980 further keys"), "{last}");
    }

    /// A name of a megabyte is compared with no key.
    #[test]
    fn a_name_that_is_much_longer_than_any_key_is_like_none() {
        assert_eq!(nearest_key(&"linger.ms".repeat(100_000)), None);
    }
}
