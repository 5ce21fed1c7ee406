//! All keys with their parsed values, while they are being checked against each other and after.

use std::collections::BTreeMap;

use super::definition::{ConfigKey, keys};
use super::password::Password;
use super::value::{self, Value};
use crate::error::ConfigError;

/// Where the value of a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// The key was not given.
    Default,
    /// It was given, and is used as it was given.
    User,
    /// It follows from other keys.
    Derived,
}

#[derive(Clone, Debug)]
struct Entry {
    key: &'static ConfigKey,
    value: Option<Value>,
    source: ConfigSource,
}

/// One entry for each key of the table, in the table's order.
///
/// The accessors take names of the table and panic for others: which keys they are asked for is
/// fixed in this folder, and reading every one of them once is a test.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    entries: Vec<Entry>,
}

impl Draft {
    /// Parses what was given, and the defaults of the rest.
    pub(crate) fn parse(given: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let entries = keys().map(|key| {
            let (text, source) = match given.get(key.name()) {
                Some(text) => (Some(text.as_str()), ConfigSource::User),
                None => (key.default_value(), ConfigSource::Default),
            };
            let value = text.map(|text| value::parse(key, text)).transpose()?;
            Ok(Entry { key, value, source })
        });
        Ok(Self {
            entries: entries.collect::<Result<_, ConfigError>>()?,
        })
    }

    fn entry(&self, name: &str) -> &Entry {
        let found = self.entries.iter().find(|entry| entry.key.name() == name);
        found.expect("only keys of the table are asked for")
    }

    /// Whether the user gave the key.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.entry(name).source == ConfigSource::User
    }

    /// Replaces a value by one that follows from other keys.
    pub(crate) fn derive(&mut self, name: &str, value: Value) {
        let found = self
            .entries
            .iter_mut()
            .find(|entry| entry.key.name() == name);
        let entry = found.expect("only keys of the table are derived");
        entry.value = Some(value);
        entry.source = ConfigSource::Derived;
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.entry(name).value.as_ref()
    }

    /// A number without default, if it is set.
    pub(crate) fn optional_integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Integer(value)) => Some(*value),
            None => None,
            Some(_) => unreachable!("{name} is a number in the table"),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> i64 {
        self.optional_integer(name)
            .expect("a number with a default is always there")
    }

    pub(crate) fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Boolean(true)))
    }

    /// A text or the name of a class, if it is set.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            None => None,
            Some(_) => unreachable!("{name} is a text in the table"),
        }
    }

    /// A number with a fraction, which has a default.
    pub(crate) fn double(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Double(value)) => *value,
            _ => unreachable!("{name} is a number with a default in the table"),
        }
    }

    /// A secret, if it is set.
    pub(crate) fn password(&self, name: &str) -> Option<&Password> {
        match self.value(name) {
            Some(Value::Password(secret)) => Some(secret),
            None => None,
            Some(_) => unreachable!("{name} is a password in the table"),
        }
    }

    /// A list; empty if it is not set.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(Value::List(items)) => items,
            None => &[],
            Some(_) => unreachable!("{name} is a list in the table"),
        }
    }

    /// Every key with its value as it may be printed, and where that comes from.
    pub(crate) fn printable(&self) -> impl Iterator<Item = (&'static str, String, ConfigSource)> {
        self.entries.iter().map(|entry| {
            let text = entry
                .value
                .as_ref()
                .map_or_else(|| "null".to_owned(), Value::to_string);
            (entry.key.name(), text, entry.source)
        })
    }
}
