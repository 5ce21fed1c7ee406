//! JSON text.

use std::fmt;

/// Encodes a JSON string.
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
            // Also those above U+007F, which terminals obey too.
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json() {
        assert_eq!(
            quoted("a\"b\\c\n\u{1}ä\u{9b}"),
            "\"a\\\"b\\\\c\\n\\u0001ä\\u009b\""
        );
    }
}
