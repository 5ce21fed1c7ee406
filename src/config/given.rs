//! The keys and values that the sources of a configuration gave, before they are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::environment::EnvironmentKeys;
use super::key_name::shown_key;
use super::properties::Properties;
use super::providers::ConfigProvider;

/// A config provider that was given in code.
pub(super) type SharedProvider = Arc<dyn ConfigProvider>;

/// The source of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyOrigin {
    /// The line of the properties in which the entry begins, starting at 1.
    Line(usize),
    /// An environment variable, and the prefix of the variables that were read.
    Variable { name: String, prefix: String },
}

/// What the config providers of another configuration did.
#[derive(Clone)]
pub(super) struct ResolvedBefore {
    /// The keys with values of providers.
    pub(super) resolved: BTreeSet<String>,
    /// The keys of the providers that were used.
    pub(super) used: BTreeSet<String>,
}

/// Keys and values as they were given, from all sources together.
#[derive(Clone, Default)]
pub(super) struct GivenKeys {
    pub(super) entries: BTreeMap<String, String>,
    /// The origins of the keys that were read from properties or from the environment.
    origins: BTreeMap<String, KeyOrigin>,
    /// The config providers that were given in code, by their names.
    pub(super) providers: BTreeMap<String, SharedProvider>,
    /// If the entries are those of another configuration: what its config providers did. No value is resolved again,
    /// because a value of a provider may look like a variable.
    pub(super) resolved_before: Option<ResolvedBefore>,
    /// Warnings about the sources, logged once the configuration is valid.
    pub(super) warnings: Vec<String>,
}

impl From<BTreeMap<String, String>> for GivenKeys {
    fn from(entries: BTreeMap<String, String>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }
}

impl From<Properties> for GivenKeys {
    fn from(properties: Properties) -> Self {
        let mut given = Self::default();
        given.add_properties(properties);
        given
    }
}

impl GivenKeys {
    pub(super) fn set(&mut self, key: String, value: String) {
        self.origins.remove(&key);
        self.entries.insert(key, value);
    }

    /// Sets the keys of a properties file.
    pub(super) fn add_properties(&mut self, properties: Properties) {
        let warnings = properties.repeated.iter().map(|it| {
            let (key, earlier, later) = (shown_key(&it.key), it.earlier, it.later);
            format!(
                "{key} is set in line {earlier} and again in line {later} of the properties: the later value is used"
            )
        });
        self.warnings.extend(warnings);
        let further = properties.further_repeated;
        if further > 0 {
            self.warnings.push(format!(
                "{further} further lines of the properties set a key again"
            ));
        }
        let lines = properties.lines.into_iter();
        self.origins
            .extend(lines.map(|(key, line)| (key, KeyOrigin::Line(line))));
        self.entries.extend(properties.entries);
    }

    /// Sets the keys of environment variables with this prefix.
    pub(super) fn add_environment(&mut self, prefix: &str, read: EnvironmentKeys) {
        let origins = read.names.into_iter().map(|(key, name)| {
            let prefix = prefix.to_owned();
            (key, KeyOrigin::Variable { name, prefix })
        });
        self.origins.extend(origins);
        self.entries.extend(read.entries);
    }

    /// The origin of a key; `None` if it was given in code.
    pub(super) fn origin(&self, key: &str) -> Option<&KeyOrigin> {
        self.origins.get(key)
    }

    /// The unknown keys whose names are not shown, because they may be secrets, each with the text that is shown
    /// instead.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let is_hidden = |key: &&String| {
            let is_variable = matches!(self.origin(key), Some(KeyOrigin::Variable { .. }));
            // The name of an environment variable is no secret.
            !is_variable && shown_key(key) != key.as_str()
        };
        let hidden = self.entries.keys().filter(is_hidden);
        let labelled = hidden.map(|key| {
            let label = match self.origin(key) {
                Some(KeyOrigin::Line(line)) => format!("[hidden, line {line}]"),
                _ => shown_key(key).to_owned(),
            };
            (key.clone(), label)
        });
        labelled.collect()
    }
}

/// Prints the number of keys only: any value, and the name of an unknown key, may be a secret.
impl fmt::Debug for GivenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenKeys")
            .field("keys", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::properties;

    fn of(text: &str) -> GivenKeys {
        properties::parse(text).unwrap().into()
    }

    #[test]
    fn a_key_with_several_entries_in_a_file_is_warned_of_by_name_and_without_values() {
        let warnings = of("acks=hunter1\nlinger.ms=1\nacks=hunter2").warnings;
        let [warning] = &warnings[..] else {
            panic!("{warnings:?}");
        };
        assert!(warning.starts_with("acks is set in line 1 and again in line 3"));
        assert!(!warning.contains("hunter"), "{warning}");
        // A line without a key may be a secret.
        let warnings = of("hunter2!\nhunter2!").warnings;
        assert!(!warnings[0].contains("hunter"), "{warnings:?}");
        let many = of(&"acks=1\n".repeat(10_000)).warnings;
        let [.., last] = &many[..] else {
            panic!("{many:?}");
        };
        assert_eq!(many.len(), properties::MAX_REPEATED + 1);
        assert!(last.starts_with("9979 further lines"), "{last}");
    }

    #[test]
    fn the_label_of_a_line_without_a_key_is_its_number() {
        let mut given = of("acks=1\nhunter2!\nmy.key=2");
        given.set("k\u{f6}der".to_owned(), String::new());
        let labels: Vec<_> = given.labels().into_values().collect();
        assert_eq!(labels, ["[hidden, line 2]", "[hidden]"]);
        // A key that is set again in code has no line.
        given.set("hunter2!".to_owned(), String::new());
        assert_eq!(given.labels()["hunter2!"], "[hidden]");
    }
}
