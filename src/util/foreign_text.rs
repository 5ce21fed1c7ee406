//! Text of others (brokers, proxies, plug-ins, names from a configuration) for errors and log lines: on one line,
//! without control and formatting characters, and no longer than a limit.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Longest foreign text that an error keeps, in bytes: error messages of brokers are usually a line or two.
pub(crate) const MAX_FOREIGN_BYTES: usize = 1024;

/// The end of a truncated text.
pub(crate) const ELLIPSIS: &str = "...";

/// Whether a character could split a line, or change how the rest of it is displayed (terminal escapes, bidirectional
/// overrides, invisible characters).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text in printable form: control and formatting characters are escaped as in Rust (`\n`, `\u{1b}`).
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    OneLine(text).to_string().into()
}

/// The text in printable form, truncated to about [`MAX_FOREIGN_BYTES`].
pub(crate) fn printable_start(text: &str) -> Cow<'_, str> {
    printable_within(text, MAX_FOREIGN_BYTES)
}

/// The text in printable form, truncated to about `limit` bytes. An ellipsis is appended to a truncated text.
pub(crate) fn printable_within(text: &str, limit: usize) -> Cow<'_, str> {
    // Truncated first, so that the cost does not depend on the length, and again, since escapes are longer.
    let start = start_of(text, limit);
    let shown = printable(start);
    let end = start_of(&shown, limit).len();
    if start.len() == text.len() && end == shown.len() {
        return shown;
    }
    format!("{}{ELLIPSIS}", &shown[..end]).into()
}

/// The longest start of a text with at most `limit` bytes.
fn start_of(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rfind(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Displays a value in printable form.
pub(crate) struct OneLine<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// Escapes the hidden characters of all text that is written to it.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", c.escape_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_formatting_characters_are_escaped_and_others_kept() {
        assert_eq!(
            printable("bad\n2026 ERROR x\r\n\u{1b}[31m\u{7}\0\u{85}\u{202e}abc\u{2028}"),
            "bad\\n2026 ERROR x\\r\\n\\u{1b}[31m\\u{7}\\u{0}\\u{85}\\u{202e}abc\\u{2028}"
        );
        let plain = "{\"status\":\"naïve\"} C:\\x 日本語 e\u{301}";
        assert!(matches!(printable(plain), Cow::Borrowed(text) if text == plain));
        assert_eq!(
            OneLine(format_args!("{}\t{}", 1, '\n')).to_string(),
            "1\\t\\n"
        );
    }

    #[test]
    fn a_long_text_is_truncated_at_a_character_boundary_after_escaping() {
        assert_eq!(printable_start("short"), "short");
        let whole = "x".repeat(MAX_FOREIGN_BYTES);
        assert_eq!(printable_start(&whole), whole);
        assert_eq!(
            printable_start(&"x".repeat(10_000_000)),
            format!("{whole}...")
        );
        for text in ["€".repeat(1000), "\n".repeat(1000)] {
            let kept = printable_start(&text);
            assert!(kept.ends_with("...") && kept.len() > MAX_FOREIGN_BYTES - 8);
            assert!(kept.len() <= MAX_FOREIGN_BYTES + 3);
        }
    }
}
