//! The parsed values of all keys. The checks across keys may replace values; later the getters read them.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{ConfigKey, keys};
use super::password::Password;
use super::value::{self, ConfigValue};
use crate::error::ConfigError;

/// The source of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// The default: the key was not set.
    Default,
    /// Set by the user, and used as it is.
    User,
    /// Derived from other keys.
    Derived,
}

#[derive(Clone, Debug)]
struct ConfigEntry {
    key: &'static ConfigKey,
    value: Option<ConfigValue>,
    source: ConfigSource,
    /// True if the value has a value of a config provider in it, which is not printed.
    is_resolved: bool,
}

/// One entry for each key of the table, in the table's order.
///
/// The accessors panic for a name that is not in the table. All names are literals of this library, and tests read
/// each of them.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    entries: Vec<ConfigEntry>,
}

impl Draft {
    /// Parses the values of the given keys, and the defaults of all other keys. An invalid value is reported in
    /// `problems`, and the key has its default for the checks that follow. `resolved` are the keys with values of
    /// config providers.
    pub(crate) fn parse(
        given: &BTreeMap<String, String>,
        resolved: &BTreeSet<String>,
        problems: &mut Vec<ConfigError>,
    ) -> Self {
        let entries = keys().map(|key| {
            let by_default = || {
                let text = key.default_value()?;
                Some(value::parse(key, text).expect("every default is valid"))
            };
            let (value, source) = match given.get(key.name()) {
                None => (by_default(), ConfigSource::Default),
                Some(text) => {
                    let value = value::parse(key, text).map_or_else(
                        |problem| {
                            problems.push(problem);
                            by_default()
                        },
                        Some,
                    );
                    (value, ConfigSource::User)
                }
            };
            ConfigEntry {
                key,
                value,
                source,
                is_resolved: resolved.contains(key.name()),
            }
        });
        Self {
            entries: entries.collect(),
        }
    }

    fn entry(&self, name: &str) -> &ConfigEntry {
        let found = self.entries.iter().find(|entry| entry.key.name() == name);
        found.expect("only keys of the table are asked for")
    }

    /// Whether the user set the key.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.entry(name).source == ConfigSource::User
    }

    /// Replaces a value by one derived from the values of the keys `from`, of which it may be one itself. A value
    /// derived from that of a config provider is not printed either.
    pub(crate) fn derive(&mut self, name: &str, value: ConfigValue, from: &[&str]) {
        let is_resolved = from.iter().any(|key| self.entry(key).is_resolved);
        let found = self
            .entries
            .iter_mut()
            .find(|entry| entry.key.name() == name);
        let entry = found.expect("only keys of the table are derived");
        entry.value = Some(value);
        entry.source = ConfigSource::Derived;
        entry.is_resolved = is_resolved;
    }

    pub(crate) fn value(&self, name: &str) -> Option<&ConfigValue> {
        self.entry(name).value.as_ref()
    }

    /// A number; `None` if it is not set and has no default.
    pub(crate) fn optional_integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(ConfigValue::Integer(value)) => Some(*value),
            None => None,
            Some(_) => unreachable!("{name} is a number in the table"),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> i64 {
        self.optional_integer(name)
            .expect("a number with a default is always there")
    }

    pub(crate) fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Some(ConfigValue::Boolean(true)))
    }

    /// A text or a class name; `None` if it is not set.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(ConfigValue::Text(text)) => Some(text),
            None => None,
            Some(_) => unreachable!("{name} is a text in the table"),
        }
    }

    /// A floating-point number with a default.
    pub(crate) fn double(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(ConfigValue::Double(value)) => *value,
            _ => unreachable!("{name} is a number with a default in the table"),
        }
    }

    /// A password; `None` if it is not set.
    pub(crate) fn password(&self, name: &str) -> Option<&Password> {
        match self.value(name) {
            Some(ConfigValue::Password(secret)) => Some(secret),
            None => None,
            Some(_) => unreachable!("{name} is a password in the table"),
        }
    }

    /// A list; empty if it is not set.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(ConfigValue::List(items)) => items,
            None => &[],
            Some(_) => unreachable!("{name} is a list in the table"),
        }
    }

    /// Every key with its value in printable form (passwords and values of config providers hidden), and the source of
    /// the value.
    pub(crate) fn printable(&self) -> impl Iterator<Item = (&'static str, String, ConfigSource)> {
        self.entries.iter().map(|entry| {
            let text = match &entry.value {
                None => "null".to_owned(),
                Some(_) if entry.is_resolved => Password::HIDDEN.to_owned(),
                Some(value) => value.to_string(),
            };
            (entry.key.name(), text, entry.source)
        })
    }
}
