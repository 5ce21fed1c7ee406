//! Removes the values of config providers from errors and log lines. They come from secret stores, so none of them is
//! shown, whatever its key.

use std::collections::{BTreeMap, BTreeSet};

use super::Password;
use crate::error::ConfigError;

/// Shortest value, or part of one, in bytes, that is replaced in a text: shorter ones are in almost any text.
const MIN_PART_BYTES: usize = 4;

/// The keys of a configuration, of which some have values of config providers.
#[derive(Clone, Copy)]
pub(super) struct Redaction<'c> {
    pub(super) entries: &'c BTreeMap<String, String>,
    /// The keys with values of providers.
    pub(super) resolved: &'c BTreeSet<String>,
}

impl<'c> Redaction<'c> {
    fn value(&self, key: &str) -> Option<&'c str> {
        let value = self.entries.get(key)?;
        self.resolved.contains(key).then_some(value)
    }

    /// The values of all keys in `resolved`, each as a whole.
    fn whole_values(&self) -> Vec<&'c str> {
        let values = self.resolved.iter().filter_map(|key| self.value(key));
        longest_first(values.map(str::trim).collect())
    }

    /// The text in which each value of a key in `resolved` is replaced by `[hidden]`.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        replaced(text, &self.whole_values())
    }

    /// The error without the values of the keys in `resolved`. The texts of a problem of such a key may quote a part of
    /// the value, such as a host name: so each word of the value is replaced, too.
    pub(super) fn without_values(&self, error: ConfigError) -> ConfigError {
        if self.resolved.is_empty() {
            return error;
        }
        let whole = self.whole_values();
        // A large value has many words, and may have several problems.
        let mut words_by_key: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        error.without_values(
            |key| self.resolved.contains(key),
            |keys, text| {
                let mut text = replaced(text, &whole);
                for key in keys {
                    if let Some(value) = self.value(key) {
                        let words = words_by_key.entry(key.clone());
                        text = replaced(&text, words.or_insert_with(|| words_of(value)));
                    }
                }
                text
            },
        )
    }
}

fn words_of(value: &str) -> Vec<&str> {
    let is_separator = |c: char| !c.is_alphanumeric() && !"._-".contains(c);
    longest_first(value.split(is_separator).collect())
}

/// The parts that are long enough, without duplicates. A part may be in a longer one, which comes before it.
fn longest_first(mut parts: Vec<&str>) -> Vec<&str> {
    parts.retain(|part| part.len() >= MIN_PART_BYTES);
    parts.sort_unstable_by_key(|part| (std::cmp::Reverse(part.len()), *part));
    parts.dedup();
    parts
}

/// The text in which each of the parts is replaced by `[hidden]`.
fn replaced(text: &str, parts: &[&str]) -> String {
    // Most parts are not in the text. The look-up of their first bytes rules them out at once: a value of a megabyte
    // has a hundred thousand parts.
    let starts: BTreeSet<&[u8]> = text.as_bytes().windows(MIN_PART_BYTES).collect();
    // A control character is escaped in a text.
    let may_be_escaped = |start: &[u8]| !start.iter().all(u8::is_ascii_graphic);
    let may_be_in_text = |part: &&&str| {
        let start = &part.as_bytes()[..MIN_PART_BYTES];
        starts.contains(start) || may_be_escaped(start)
    };
    let hide = |text: String, part: &&str| Password::new(*part).hidden_in(&text).into_owned();
    let parts = parts.iter().filter(may_be_in_text);
    parts.fold(text.to_owned(), hide)
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
        let redaction = Redaction {
            entries: &entries.into(),
            resolved: &resolved,
        };
        let error = redaction.without_values(all.unwrap());
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
    #[test]
    fn a_resolved_value_is_hidden_as_a_whole_in_the_problems_of_other_keys() {
        let entries = [
            ("ssl.keystore.location", " /etc/hunter2\t.jks"),
            ("ssl.keystore.type", "PEM"),
        ];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let resolved = entries.each_ref().map(|(key, _)| key.clone()).into();
        let redaction = Redaction {
            entries: &entries.into(),
            resolved: &resolved,
        };
        let problem = "the password does not fit /etc/hunter2\\t.jks of type PEM";
        let error = ConfigError::invalid("ssl.keystore.password", None, problem, "Check it");
        let error = redaction.without_values(error);
        assert_eq!(
            error.problem(),
            "the password does not fit [hidden] of type PEM"
        );
        assert_eq!(redaction.hidden_in("no /etc/hunter2\t.jks"), "no [hidden]");
    }

    /// Words of the same length stand in the order of the text, so that equal ones are not neighbours.
    #[test]
    fn equal_words_of_a_value_are_one_part() {
        let value = "host-b,host-a,host-b,host-a,x,longer-host";
        assert_eq!(words_of(value), ["longer-host", "host-a", "host-b"]);
    }
}
