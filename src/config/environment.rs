//! Reads keys from environment variables.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::error::ConfigError;

/// The keys and values of environment variables.
pub(super) struct EnvironmentKeys {
    pub(super) entries: BTreeMap<String, String>,
    /// The name of each key's variable.
    pub(super) names: BTreeMap<String, String>,
}

/// The keys of the variables whose names begin with the prefix, and their values.
///
/// In the rest of a name `_` stands for a dot, `__` for an underscore and `___` for a dash; case does not matter.
pub(super) fn read(
    prefix: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<EnvironmentKeys, ConfigError> {
    if prefix.is_empty() {
        return Err(ConfigError::unreadable(
            "every environment variable begins with the empty prefix, also those that are not of this producer",
            "Use a prefix like KAFKA_",
        ));
    }
    let (mut entries, mut problems) = (BTreeMap::new(), Vec::new());
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut variables: Vec<_> = variables.collect();
    // The order of the environment is arbitrary; problems are to come in the same order each time.
    variables.sort();
    for (name, value) in variables {
        // A name that is not Unicode cannot be that of a key.
        let Ok(name) = name.into_string() else {
            continue;
        };
        let Some(rest) = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) else {
            continue;
        };
        let key = key_of(rest);
        if key.starts_with('.') {
            problems.push(ConfigError::invalid(
                &*key,
                None,
                format!(
                    "no key begins with a dot, as that of the environment variable {name} does"
                ),
                format!("End the prefix {prefix} with an underscore"),
            ));
            continue;
        }
        match value.into_string() {
            Err(_) => problems.push(ConfigError::invalid(
                &*key,
                None,
                format!("the environment variable {name} is not valid Unicode"),
                "Write its value in UTF-8",
            )),
            Ok(value) => match names.insert(key.clone(), name.clone()) {
                Some(other) => problems.push(ConfigError::conflict(
                    &[&key],
                    format!("the environment variables {other} and {name} both set {key}"),
                    "Remove one of them",
                )),
                None => {
                    entries.insert(key, value);
                }
            },
        }
    }
    match ConfigError::all(problems) {
        None => Ok(EnvironmentKeys { entries, names }),
        Some(error) => Err(error),
    }
}

/// The key that the rest of a variable's name stands for.
fn key_of(rest: &str) -> String {
    // Longest first: three underscores are a dash, not an underscore and a dot.
    let dashed = rest.to_ascii_lowercase().replace("___", "-");
    let underscored = dashed.replace("__", "\0");
    underscored.replace('_', ".").replace('\0', "_")
}

/// The name of the variable of a key: the inverse of [`key_of`] for keys without two of `.`, `_` and `-` side by side,
/// as all keys of this library are.
pub(super) fn variable_of(prefix: &str, key: &str) -> String {
    let doubled = key.replace('_', "__").replace('-', "___").replace('.', "_");
    format!("{prefix}{}", doubled.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(
        prefix: &str,
        variables: &[(&str, &str)],
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        read(prefix, variables).map(|read| read.entries)
    }

    #[test]
    fn the_variable_of_a_key_stands_for_that_key() {
        for key in ["linger.ms", "acks", "my_level-one", "a.b_c.d-e"] {
            let name = variable_of("K_", key);
            assert_eq!(key_of(name.strip_prefix("K_").unwrap()), key, "{name}");
        }
        assert_eq!(variable_of("KAFKA_", "linger.ms"), "KAFKA_LINGER_MS");
    }

    #[test]
    fn names_with_the_prefix_become_keys_and_others_are_left_out() {
        let read = read_from(
            "KAFKA_",
            &[
                ("KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2"),
                ("KAFKA_linger_ms", "5"),
                ("KAFKA_", "the prefix alone"),
                ("KAFKAESQUE", "of another program"),
                ("PATH", "/bin"),
                ("KAFKA_MY__LEVEL___ONE", "3"),
            ],
        );
        let expected = [
            ("bootstrap.servers", "a:1,b:2"),
            ("linger.ms", "5"),
            ("my_level-one", "3"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(read.unwrap(), BTreeMap::from(expected));
    }

    #[test]
    fn two_variables_of_one_key_are_refused_with_both_names() {
        let error = read_from(
            "K_",
            &[("K_ACKS", "0"), ("K_acks", "1"), ("K_LINGER_MS", "1")],
        );
        let error = error.unwrap_err();
        assert_eq!(error.key(), Some("acks"));
        assert!(error.problem().contains("K_ACKS and K_acks"), "{error}");
    }

    #[test]
    fn a_prefix_without_its_underscore_is_refused() {
        let error = read_from("KAFKA", &[("KAFKA_ACKS", "1")]).unwrap_err();
        assert!(error.remedy().contains("underscore"), "{error}");
    }

    #[test]
    fn an_empty_prefix_is_refused() {
        assert!(read_from("", &[("acks", "1")]).unwrap_err().is_unreadable());
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_unicode_is_refused_with_the_name_and_without_the_value() {
        use std::os::unix::ffi::OsStringExt;

        let value = OsString::from_vec(vec![b's', 0xff]);
        let read = read("K_", [("K_ACKS".into(), value)].into_iter());
        let error = read.err().unwrap();
        assert_eq!((error.key(), error.value()), (Some("acks"), None));
        assert!(error.problem().contains("K_ACKS"), "{error}");
    }
}
