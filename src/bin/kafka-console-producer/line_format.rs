//! The format of lines: the properties of Kafka's `LineMessageReader`.

use std::collections::BTreeMap;

use crate::console;
use crate::nearest::nearest;

/// How a line is split into the parts of a record. The separators are texts, not patterns.
///
/// # Kafka
/// The properties of the reader of 3.0, and those for headers (KIP-798) and null (KIP-810) of later versions. Differs:
/// `headers.separator` is not a regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineFormat {
    pub(crate) topic: String,
    /// `None` if lines have no key.
    pub(crate) key_separator: Option<String>,
    /// `None` if lines have no headers.
    pub(crate) headers: Option<HeaderFormat>,
    pub(crate) ignores_errors: bool,
    pub(crate) null_marker: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderFormat {
    /// The text after the headers.
    pub(crate) delimiter: String,
    /// The text between two headers.
    pub(crate) separator: String,
    /// The text between the key and the value of a header.
    pub(crate) key_separator: String,
}

const TOPIC: &str = "topic";
const PARSE_KEY: &str = "parse.key";
const KEY_SEPARATOR: &str = "key.separator";
const PARSE_HEADERS: &str = "parse.headers";
const HEADERS_DELIMITER: &str = "headers.delimiter";
const HEADERS_SEPARATOR: &str = "headers.separator";
const HEADERS_KEY_SEPARATOR: &str = "headers.key.separator";
const NULL_MARKER: &str = "null.marker";
const IGNORE_ERROR: &str = "ignore.error";

const ALL: [&str; 9] = [
    TOPIC,
    PARSE_KEY,
    KEY_SEPARATOR,
    PARSE_HEADERS,
    HEADERS_DELIMITER,
    HEADERS_SEPARATOR,
    HEADERS_KEY_SEPARATOR,
    NULL_MARKER,
    IGNORE_ERROR,
];

impl LineFormat {
    /// Builds the format from the reader's properties, which include the topic. Unknown properties are warned of.
    pub(crate) fn of(properties: &BTreeMap<String, String>) -> Result<Self, String> {
        for unknown in properties.keys().filter(|key| !ALL.contains(&key.as_str())) {
            let meant = nearest(unknown, ALL).map(|name| format!("; did you mean {name}?"));
            let meant = meant.unwrap_or_default();
            console::report(&format!(
                "WARN the reader has no property {unknown}, so it has no effect{meant}"
            ));
        }
        let texts = Texts(properties);
        texts.check_that_separators_differ()?;
        let has_key = texts.flag(PARSE_KEY)?;
        let has_headers = texts.flag(PARSE_HEADERS)?;
        Ok(Self {
            topic: texts.or(TOPIC, ""),
            key_separator: has_key.then(|| texts.separator(KEY_SEPARATOR)),
            headers: has_headers.then(|| HeaderFormat {
                delimiter: texts.separator(HEADERS_DELIMITER),
                separator: texts.separator(HEADERS_SEPARATOR),
                key_separator: texts.separator(HEADERS_KEY_SEPARATOR),
            }),
            ignores_errors: texts.flag(IGNORE_ERROR)?,
            null_marker: properties.get(NULL_MARKER).cloned(),
        })
    }
}

/// The properties by name, with their defaults.
struct Texts<'p>(&'p BTreeMap<String, String>);

impl Texts<'_> {
    fn or(&self, key: &str, default: &str) -> String {
        self.0.get(key).map_or(default, String::as_str).to_owned()
    }

    fn separator(&self, key: &str) -> String {
        let default = match key {
            HEADERS_SEPARATOR => ",",
            HEADERS_KEY_SEPARATOR => ":",
            _ => "\t",
        };
        self.or(key, default)
    }

    /// `true` in any case is true. Kafka takes everything else for false; here only `false` and an empty text are.
    fn flag(&self, key: &str) -> Result<bool, String> {
        let text = self.or(key, "false");
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" | "" => Ok(false),
            _ => Err(format!("{key}={text}: it is either true or false")),
        }
    }

    /// As in Kafka, all of them are checked, even if lines have no headers. `key.separator` may equal
    /// `headers.delimiter`: both are a tab by default.
    fn check_that_separators_differ(&self) -> Result<(), String> {
        let separators = [
            KEY_SEPARATOR,
            HEADERS_SEPARATOR,
            HEADERS_DELIMITER,
            HEADERS_KEY_SEPARATOR,
        ];
        for key in separators {
            let separator = self.separator(key);
            if separator.is_empty() {
                return Err(format!("{key} is empty: give the text that separates"));
            }
            if self.0.get(NULL_MARKER) == Some(&separator) {
                return Err(format!("{NULL_MARKER} and {key} must differ"));
            }
        }
        for (one, other) in [
            (HEADERS_DELIMITER, HEADERS_SEPARATOR),
            (HEADERS_DELIMITER, HEADERS_KEY_SEPARATOR),
            (HEADERS_SEPARATOR, HEADERS_KEY_SEPARATOR),
        ] {
            if self.separator(one) == self.separator(other) {
                return Err(format!("{one} and {other} must differ"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(properties: &[(&str, &str)]) -> Result<LineFormat, String> {
        let properties = [("topic", "t")].iter().chain(properties);
        let owned = properties.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        LineFormat::of(&owned.collect())
    }

    #[test]
    fn a_line_is_the_value_by_default() {
        let wanted = LineFormat {
            topic: "t".to_owned(),
            key_separator: None,
            headers: None,
            ignores_errors: false,
            null_marker: None,
        };
        assert_eq!(format(&[]), Ok(wanted.clone()));
        // A separator alone has no effect.
        assert_eq!(format(&[("key.separator", "|")]), Ok(wanted.clone()));
        assert_eq!(format(&[("parse.key", " False ")]), Ok(wanted));
    }

    #[test]
    fn separators_have_defaults() {
        let both = format(&[("parse.key", "TRUE "), ("parse.headers", "true")]).unwrap();
        assert_eq!(both.key_separator.as_deref(), Some("\t"));
        let headers = both.headers.unwrap();
        assert_eq!(headers.delimiter, "\t");
        assert_eq!(headers.separator, ",");
        assert_eq!(headers.key_separator, ":");
    }

    #[test]
    fn a_property_overrides_the_topic() {
        assert_eq!(format(&[("topic", "u")]).unwrap().topic, "u");
    }

    #[test]
    fn separators_that_cannot_work_are_refused() {
        for (key, value, words) in [
            ("key.separator", "", "key.separator is empty"),
            ("headers.separator", "", "headers.separator is empty"),
            (
                "headers.separator",
                "\t",
                "headers.delimiter and headers.separator",
            ),
            (
                "headers.delimiter",
                ":",
                "headers.delimiter and headers.key.separator",
            ),
            (
                "headers.key.separator",
                ",",
                "headers.separator and headers.key.separator",
            ),
            ("null.marker", "\t", "null.marker and key.separator"),
            ("null.marker", ",", "null.marker and headers.separator"),
            ("null.marker", ":", "null.marker and headers.key.separator"),
            ("parse.key", "yes", "parse.key=yes"),
            ("ignore.error", "1", "ignore.error=1"),
        ] {
            let error = format(&[(key, value)]).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
