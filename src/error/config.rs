//! Configuration errors: key, value, problem and remedy.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::util::secret_text::holds_secret;

/// An invalid configuration: which key, which value, what is wrong and what to do.
///
/// A configuration is validated once, when a [`ProducerConfig`](crate::ProducerConfig) is built, so that a mistake
/// shows at start-up and not with the first record. All [`problems`](Self::problems) are in one error; the other methods
/// return the facts of the first. The value of a password never appears in this error, nor a value that looks as if it
/// contained a secret.
///
/// ```
/// use kafka_producer::ProducerConfig;
///
/// let error = ProducerConfig::from_map([("linger.ms", "soon")]).unwrap_err();
/// assert_eq!((error.key(), error.value()), (Some("linger.ms"), Some("soon")));
/// eprintln!("{}; {}", error.problem(), error.remedy());
/// ```
///
/// # Kafka
/// `ConfigException`. Differs: Kafka's has one problem only.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Arc<Vec<ConfigProblem>>);

/// One of the problems of a [`ConfigError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    kind: ConfigErrorKind,
    keys: Vec<String>,
    value: Option<String>,
    problem: String,
    remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConfigErrorKind {
    Invalid,
    Conflict,
    NotBuilt,
    Unreadable,
}

impl ConfigError {
    /// One key has an invalid value. `value` is `None` where it must not be shown.
    pub(crate) fn invalid(
        key: impl Into<String>,
        value: Option<&str>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(
            ConfigErrorKind::Invalid,
            vec![key.into()],
            value,
            problem,
            remedy,
        )
    }

    /// The values of several keys conflict; `keys` begins with the key to check first.
    pub(crate) fn conflict(
        keys: &[&str],
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        Self::new(ConfigErrorKind::Conflict, keys, None, problem, remedy)
    }

    /// The value is valid for Kafka, but this version of the library does not support it.
    pub(crate) fn not_built(
        key: impl Into<String>,
        value: Option<&str>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(
            ConfigErrorKind::NotBuilt,
            vec![key.into()],
            value,
            problem,
            remedy,
        )
    }

    /// The file or text of the configuration cannot be read.
    pub(crate) fn unreadable(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(
            ConfigErrorKind::Unreadable,
            Vec::new(),
            None,
            problem,
            remedy,
        )
    }

    /// The values of these keys, at least one, cannot be determined.
    pub(crate) fn unresolved(
        keys: Vec<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(ConfigErrorKind::Invalid, keys, None, problem, remedy)
    }

    /// A problem with keys that must not be named, or are too many to be named.
    pub(crate) fn of_unnamed_keys(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::Invalid, Vec::new(), None, problem, remedy)
    }

    fn new(
        kind: ConfigErrorKind,
        keys: Vec<String>,
        value: Option<&str>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self(Arc::new(vec![ConfigProblem {
            kind,
            keys,
            value: value
                .filter(|value| !holds_secret(value))
                .map(str::to_owned),
            problem: problem.into(),
            remedy: remedy.into(),
        }]))
    }

    /// One error with the problems of all these, in their order; `None` if there is none.
    pub(crate) fn all(errors: Vec<Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let mut all = errors.next()?;
        for error in errors {
            Arc::make_mut(&mut all.0).extend_from_slice(error.problems());
        }
        Some(all)
    }

    /// This error without secret values: the value of a key for which `is_secret` is true is left out, and `hide`,
    /// which gets the keys of a problem and a text, replaces all texts.
    pub(crate) fn without_values(
        mut self,
        is_secret: impl Fn(&str) -> bool,
        mut hide: impl FnMut(&[String], &str) -> String,
    ) -> Self {
        for problem in Arc::make_mut(&mut self.0) {
            if problem.keys().any(&is_secret) {
                problem.value = None;
            }
            problem.problem = hide(&problem.keys, &problem.problem);
            problem.remedy = hide(&problem.keys, &problem.remedy);
        }
        self
    }

    /// All problems, at least one. Conflicts of a key with an invalid value are left out: they depend on the value that it
    /// will have.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.0
    }

    fn first(&self) -> &ConfigProblem {
        self.0.first().expect("an error has a problem")
    }

    /// The key to check first; `None` if there is none in [`keys`](Self::keys).
    pub fn key(&self) -> Option<&str> {
        self.first().key()
    }

    /// All keys involved: one for an invalid value, two or more for a conflict, one or more for a config provider that
    /// failed. None for text that could not be read, for a key whose name may be a secret, and for keys that are too
    /// many to be named.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.first().keys()
    }

    /// The invalid value as it was given. `None` if it may be a secret (that of a password, of an unknown key or of a
    /// config provider, or one that looks like a secret), for a conflict (the text has the values), and if the problem
    /// is not the value of one key.
    pub fn value(&self) -> Option<&str> {
        self.first().value()
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        self.first().problem()
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        self.first().remedy()
    }

    /// True if the value is valid for Kafka, but not supported by this version of the library.
    pub fn is_not_built(&self) -> bool {
        self.first().is_not_built()
    }

    /// True if each value is valid by itself, but the values conflict with each other.
    pub fn is_conflict(&self) -> bool {
        self.first().is_conflict()
    }

    /// True if the file or text that holds the configuration could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.first().is_unreadable()
    }
}

impl ConfigProblem {
    /// The key to check first; `None` if there is none in [`keys`](Self::keys).
    pub fn key(&self) -> Option<&str> {
        self.keys.first().map(String::as_str)
    }

    /// All keys involved: one for an invalid value, two or more for a conflict, one or more for a config provider that
    /// failed. None for text that could not be read, for a key whose name may be a secret, and for keys that are too
    /// many to be named.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// The invalid value as it was given. `None` if it may be a secret (that of a password, of an unknown key or of a
    /// config provider, or one that looks like a secret), for a conflict (the text has the values), and if the problem
    /// is not the value of one key.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// True if the value is valid for Kafka, but not supported by this version of the library.
    pub fn is_not_built(&self) -> bool {
        self.kind == ConfigErrorKind::NotBuilt
    }

    /// True if each value is valid by itself, but the values conflict with each other.
    pub fn is_conflict(&self) -> bool {
        self.kind == ConfigErrorKind::Conflict
    }

    /// True if the file or text that holds the configuration could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.kind == ConfigErrorKind::Unreadable
    }
}

/// Longest part of a value, in characters, that the error's text shows.
const MAX_SHOWN_CHARS: usize = 500;

/// The problem, and what to do about it.
impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            keys,
            value,
            problem,
            remedy,
        } = self;
        match (kind, keys.first(), value) {
            (ConfigErrorKind::Conflict | ConfigErrorKind::Unreadable, _, _) | (_, None, _) => {
                write!(f, "{problem}")?;
            }
            (_, Some(key), Some(value)) => match value.char_indices().nth(MAX_SHOWN_CHARS) {
                Some((end, _)) => write!(f, "{key}={:?}...: {problem}", &value[..end])?,
                None => write!(f, "{key}={value:?}: {problem}")?,
            },
            (_, Some(_), None) => write!(f, "{}: {problem}", keys.join(", "))?,
        }
        write!(f, ". {remedy}.")
    }
}

/// All problems, numbered if there are several.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = self.problems();
        if problems.len() == 1 {
            return write!(f, "{}", self.first());
        }
        write!(f, "{} problems:", problems.len())?;
        for (number, problem) in (1..).zip(problems) {
            write!(f, " ({number}) {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigError").field(&self.0).finish()
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_value_error_has_key_value_problem_and_remedy() {
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
    fn an_error_with_several_problems_prints_all_of_them_and_has_the_facts_of_the_first() {
        let all = ConfigError::all(vec![
            ConfigError::invalid("acks", Some("2"), "there is no such level", "Set all"),
            ConfigError::conflict(&["a", "b"], "a is above b", "Lower a"),
        ]);
        let error = all.expect("there are two");
        assert_eq!(
            error.to_string(),
            "2 problems: (1) acks=\"2\": there is no such level. Set all. (2) a is above b. Lower a."
        );
        assert_eq!((error.key(), error.value()), (Some("acks"), Some("2")));
        assert!(!error.is_conflict() && error.problems()[1].is_conflict());
        assert_eq!(ConfigError::all(Vec::new()), None);
    }

    #[test]
    fn a_conflict_names_all_its_keys() {
        let error = ConfigError::conflict(&["a", "b"], "a is above b", "Lower a");
        assert_eq!(error.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(error.key(), Some("a"));
        assert!(error.is_conflict());
        assert_eq!(error.to_string(), "a is above b. Lower a.");
    }

    #[test]
    fn all_keys_without_a_value_are_printed() {
        let keys = ["a", "b"].map(str::to_owned).to_vec();
        let error = ConfigError::unresolved(keys, "the config provider v failed", "Check it");
        assert_eq!(
            error.to_string(),
            "a, b: the config provider v failed. Check it."
        );
    }
}
