//! Names of unknown keys in errors and logs. A password that stands on a line of its own is a key to the parser of
//! properties, so a name is shown only if it looks like that of a key.

use super::strictness::resembles_key;
use super::{Password, definition};
use crate::util::foreign_text::printable;

/// Longest name, in bytes, that is shown.
const MAX_BYTES: usize = 128;

/// Length of the shortest name, in bytes, that may be a secret.
const MIN_SECRET_BYTES: usize = 4;

/// Longest part between two dots, in bytes.
const MAX_PART_BYTES: usize = 40;

/// The name of a key, or `[hidden]` if it does not look like one and so may be a secret.
pub(crate) fn shown_key(name: &str) -> &str {
    if definition::key(name).is_some() || looks_like_key(name) {
        name
    } else {
        Password::HIDDEN
    }
}

/// Whether a name resembles a known key, is too short for a secret, or consists of words separated by dots. Words
/// consist of letters, digits, `_` and `-`; a part with upper case, lower case and digits is random rather than a word.
/// A name with control or formatting characters does not look like a key.
fn looks_like_key(name: &str) -> bool {
    let is_part = |part: &str| {
        let has = |is: fn(&u8) -> bool| part.as_bytes().iter().any(is);
        let is_random =
            has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
        part.len() <= MAX_PART_BYTES && !is_random
    };
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let is_plain = name.len() <= MAX_BYTES && name.bytes().all(is_allowed);
    let is_short = !name.is_empty() && name.len() < MIN_SECRET_BYTES;
    let is_dotted = name.contains('.') && name.split('.').all(is_part);
    is_plain && (is_short || is_dotted) || printable(name) == name && resembles_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dotted_words_and_names_like_a_known_key_are_shown() {
        for name in [
            "acks",
            "ack",
            "linger",
            "Linger_MS",
            "my.key",
            "e",
            "never.read",
            "metrics.context.",
            "schema.registry.basicAuth.user-info",
            "confluent.sha256.digest",
        ] {
            assert_eq!(shown_key(name), name);
        }
    }

    #[test]
    fn names_that_may_be_secrets_are_hidden() {
        for name in [
            "",
            "hunter2",
            "correct-horse-battery-staple",
            "Pa$$w0rd.com",
            "p@ss.word",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1rwW1gFWFOEjX",
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
            "a.0123456789abcdef0123456789abcdef0123456789abcdef",
            "my k.ey",
            "ac\u{1b}ks",
            "ac\u{202e}ks",
        ] {
            assert_eq!(shown_key(name), "[hidden]", "{name}");
        }
        let long = "a.".repeat(MAX_BYTES);
        assert_eq!(shown_key(&long), "[hidden]");
    }
}
