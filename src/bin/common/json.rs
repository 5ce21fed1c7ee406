//! JSON text.

use std::fmt;

use kafka_producer::probe;

/// Encodes a JSON string. Control and formatting characters are escaped, also those that JSON need not escape:
/// terminals obey them.
pub(crate) fn quoted(text: &str) -> String {
    use fmt::Write as _;

    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            hidden if is_hidden(hidden) => {
                for unit in hidden.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn is_hidden(character: char) -> bool {
    let mut bytes = [0; 4];
    let text: &str = character.encode_utf8(&mut bytes);
    probe::printable(text) != text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json() {
        assert_eq!(
            quoted("a\"b\\c\n\u{1}ä\u{9b}\u{202e}\u{e0001}😀"),
            "\"a\\\"b\\\\c\\n\\u0001ä\\u009b\\u202e\\udb40\\udc01😀\""
        );
    }
}
