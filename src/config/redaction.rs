//! Removes the values of config providers from errors. They come from secret stores, so none of them is shown, whatever
//! its key.

use std::collections::{BTreeMap, BTreeSet};

use super::Password;
use crate::error::ConfigError;

/// Shortest part of a value, in bytes, that is replaced in a text: shorter ones are in almost any text.
const MIN_PART_BYTES: usize = 4;

/// The error without the values of the keys in `resolved`. The texts may quote a value, or a part of it such as a host
/// name: the value, and each word in it, is replaced by `[hidden]`.
pub(super) fn without_values(
    error: ConfigError,
    entries: &BTreeMap<String, String>,
    resolved: &BTreeSet<String>,
) -> ConfigError {
    error.without_values(
        |key| resolved.contains(key),
        |key, text| match entries.get(key) {
            Some(value) => hidden_in(text, value),
            None => text.to_owned(),
        },
    )
}

fn hidden_in(text: &str, value: &str) -> String {
    let is_separator = |c: char| !c.is_alphanumeric() && !"._-".contains(c);
    let mut parts: Vec<&str> = value.split(is_separator).collect();
    parts.push(value.trim());
    parts.retain(|part| part.len() >= MIN_PART_BYTES);
    // The longest first: a part may be in another one.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts.dedup();
    let hide = |text: String, part: &str| Password::new(part).hidden_in(&text).into_owned();
    parts.into_iter().fold(text.to_owned(), hide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_words_of_a_resolved_key_are_hidden_in_its_problems_and_in_no_others() {
        let entries = [
            ("bootstrap.servers", "hunter2.example:99999,two"),
            ("acks", "most"),
        ];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let resolved = BTreeSet::from(["bootstrap.servers".to_owned()]);
        let all = ConfigError::all(vec![
            ConfigError::invalid(
                "bootstrap.servers",
                Some("hunter2.example:99999"),
                "\"99999\" is no port of hunter2.example",
                "Replace hunter2.example:99999,two",
            ),
            ConfigError::invalid("acks", Some("most"), "there is no most", "Set all"),
        ]);
        let error = without_values(all.unwrap(), &entries.into(), &resolved);
        let [servers, acks] = error.problems() else {
            panic!("{error}");
        };
        assert_eq!(servers.value(), None);
        assert_eq!(servers.problem(), "\"[hidden]\" is no port of [hidden]");
        assert_eq!(servers.remedy(), "Replace [hidden]");
        assert_eq!(
            (acks.value(), acks.problem()),
            (Some("most"), "there is no most")
        );
    }
}
