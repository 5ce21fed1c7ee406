//! What is wrong with a configuration, told so that it can be put right.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A configuration that cannot be used: which key, which value, what is wrong and what to do.
///
/// Configurations are checked once, when a [`ProducerConfig`](crate::ProducerConfig) is built, so
/// that a mistake shows at start-up and not with the first record. The value of a password never
/// appears in this error.
///
/// # Kafka
/// `ConfigException`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Arc<Inner>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invalid,
    Conflict,
    NotBuilt,
    Unreadable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: Kind,
    keys: Vec<String>,
    value: Option<String>,
    problem: String,
    remedy: String,
}

impl ConfigError {
    /// One key's value is wrong by itself. `value` is `None` where it must not be shown.
    pub(crate) fn invalid(
        key: impl Into<String>,
        value: Option<&str>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Kind::Invalid, vec![key.into()], value, problem, remedy)
    }

    /// The values of several keys do not go together; the key to look at comes first.
    pub(crate) fn conflict(
        keys: &[&str],
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        Self::new(Kind::Conflict, keys, None, problem, remedy)
    }

    /// The value is good Kafka configuration, but this version of the library cannot act on it.
    pub(crate) fn not_built(
        key: impl Into<String>,
        value: Option<&str>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Kind::NotBuilt, vec![key.into()], value, problem, remedy)
    }

    /// The text that holds the configuration cannot be read.
    pub(crate) fn unreadable(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Kind::Unreadable, Vec::new(), None, problem, remedy)
    }

    fn new(
        kind: Kind,
        keys: Vec<String>,
        value: Option<&str>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            keys,
            value: value.map(str::to_owned),
            problem: problem.into(),
            remedy: remedy.into(),
        }))
    }

    /// The key to look at first; `None` if the configuration could not be read at all.
    pub fn key(&self) -> Option<&str> {
        self.0.keys.first().map(String::as_str)
    }

    /// All keys that take part: one for a bad value, two or more for values that do not go
    /// together, none for text that could not be read.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys.iter().map(String::as_str)
    }

    /// The refused value as it was given. `None` for passwords, and where several keys are at
    /// odds (the text of the error names their values then).
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }

    /// True if the value is valid for Kafka and only this version of the library cannot act on it
    /// yet.
    pub fn is_not_built(&self) -> bool {
        self.0.kind == Kind::NotBuilt
    }

    /// True if each value is fine by itself, but together they are not.
    pub fn is_conflict(&self) -> bool {
        self.0.kind == Kind::Conflict
    }

    /// True if the file or text that holds the configuration could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.0.kind == Kind::Unreadable
    }
}

/// So much of a value is shown in the error's text.
const SHOWN_AT_MOST: usize = 500;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            keys,
            value,
            problem,
            remedy,
        } = &*self.0;
        match (kind, keys.first(), value) {
            (Kind::Conflict | Kind::Unreadable, _, _) | (_, None, _) => write!(f, "{problem}")?,
            (_, Some(key), Some(value)) => match value.char_indices().nth(SHOWN_AT_MOST) {
                Some((end, _)) => write!(f, "{key}={:?}...: {problem}", &value[..end])?,
                None => write!(f, "{key}={value:?}: {problem}")?,
            },
            (_, Some(key), None) => write!(f, "{key}: {problem}")?,
        }
        write!(f, ". {remedy}.")
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigError")
            .field("kind", &self.0.kind)
            .field("keys", &self.0.keys)
            .field("value", &self.0.value)
            .field("problem", &self.0.problem)
            .field("remedy", &self.0.remedy)
            .finish()
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_value_is_told_with_key_value_problem_and_remedy() {
        let error = ConfigError::invalid("acks", Some("2"), "there is no such level", "Set all");
        assert_eq!(
            error.to_string(),
            "acks=\"2\": there is no such level. Set all."
        );
        assert_eq!(error.key(), Some("acks"));
        assert_eq!(error.value(), Some("2"));
        assert!(!error.is_conflict() && !error.is_not_built() && !error.is_unreadable());
    }

    #[test]
    fn a_conflict_names_all_its_keys() {
        let error = ConfigError::conflict(&["a", "b"], "a is above b", "Lower a");
        assert_eq!(error.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(error.key(), Some("a"));
        assert!(error.is_conflict());
        assert_eq!(error.to_string(), "a is above b. Lower a.");
    }
}
