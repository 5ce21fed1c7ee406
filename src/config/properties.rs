//! Parser of Java's `.properties` format.
//!
//! The text is split into logical lines (blank lines and comments are dropped, continued lines are joined), each line
//! into key and value, and then escapes are replaced. Every character carries the number of its line, for messages.
//! Values never appear in messages: any of them may be a password.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::key_name::shown_key;
use crate::error::ConfigError;

/// A character and the number of its line, starting at 1.
type Placed = (char, usize);

/// The keys and values of a `.properties` text.
#[derive(Default)]
pub(crate) struct Properties {
    /// The last value of each key.
    pub(crate) entries: BTreeMap<String, String>,
    /// The line in which the last entry of each key begins, starting at 1.
    pub(crate) lines: BTreeMap<String, usize>,
    /// The entries that replaced an earlier one of the same key, in the order of the text: at most [`MAX_REPEATED`].
    pub(crate) repeated: Vec<RepeatedKey>,
    /// The number of such entries behind those.
    pub(crate) further_repeated: usize,
}

/// The most keys with several entries that are warned of.
pub(crate) const MAX_REPEATED: usize = 20;

/// A key with several entries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RepeatedKey {
    pub(crate) key: String,
    /// The line of the entry that is not used.
    pub(crate) earlier: usize,
    /// The line of the entry that replaced it.
    pub(crate) later: usize,
}

impl Properties {
    fn add(&mut self, key: String, value: String, line: usize) {
        match self.lines.insert(key.clone(), line) {
            None => {}
            Some(earlier) if self.repeated.len() < MAX_REPEATED => {
                self.repeated.push(RepeatedKey {
                    key: key.clone(),
                    earlier,
                    later: line,
                });
            }
            Some(_) => self.further_repeated += 1,
        }
        self.entries.insert(key, value);
    }
}

/// Prints neither keys nor values: a line without a key may be a secret as a whole.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Properties").finish_non_exhaustive()
    }
}

/// Parses the text of a `.properties` file. The last of several values for one key wins.
///
/// # Kafka
/// `java.util.Properties#load`. Differs: an unpaired surrogate is rejected.
pub(crate) fn parse(text: &str) -> Result<Properties, ConfigError> {
    let mut properties = Properties::default();
    for line in logical_lines(text) {
        let number = line.first().map_or(1, |(_, number)| *number);
        let (key, value) = split(&line);
        properties.add(unescape(key)?, unescape(value)?, number);
    }
    refuse_broken_pem(&properties.entries)?;
    Ok(properties)
}

/// Refuses a PEM text that goes on in lines of its own, because the lines before them lack a backslash. Each of them would
/// be an unknown key, and names of unknown keys are logged: those would be parts of a private key.
fn refuse_broken_pem(entries: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    const BEGIN: &str = "-----BEGIN";
    let is_broken = |(key, value): &(&String, &String)| {
        key.starts_with(BEGIN) || value.contains(BEGIN) && !value.contains("-----END")
    };
    let Some((key, _)) = entries.iter().find(is_broken) else {
        return Ok(());
    };
    let problem = if key.starts_with(BEGIN) {
        "A PEM text in the properties begins on a line of its own".to_owned()
    } else {
        let key = shown_key(key);
        format!("The value of {key} in the properties ends in the middle of its PEM text")
    };
    let remedy =
        "End each line of the value but the last with a backslash, or write the value in one line";
    Err(ConfigError::unreadable(problem, remedy))
}

/// Size limit in bytes. A larger file is no configuration, and may be an endless device.
pub(crate) const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Reads and parses a `.properties` file or a pipe.
pub(crate) fn read(path: &Path) -> Result<Properties, ConfigError> {
    let unreadable = |why: &str, remedy: &str| {
        let name = path.display();
        ConfigError::unreadable(
            format!("The properties file {name} cannot be read: {why}"),
            remedy,
        )
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let remedy = "Check the path and the permissions of the file";
        return Err(unreadable(&error.to_string(), remedy));
    }
    if bytes.len() as u64 > MAX_BYTES {
        let why = format!("it has more than {MAX_BYTES} bytes");
        return Err(unreadable(&why, "Check the path"));
    }
    let text = decode(&bytes)
        .map_err(|encoding| unreadable(&format!("it is in {encoding}"), SAVE_AS_UTF_8))?;
    parse(&text)
}

/// The remedy of a file in an encoding that is not supported.
pub(crate) const SAVE_AS_UTF_8: &str = "Save the file in UTF-8";

/// Decodes UTF-8, with or without a byte order mark. Bytes that are not valid UTF-8 are decoded as ISO-8859-1, the
/// encoding of such files before Java 9. The error is the name of an encoding that is not supported: as ISO-8859-1, a
/// text in UTF-16 would be one of unknown keys.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, &'static str> {
    match bytes {
        [0xff, 0xfe, ..] => return Err("UTF-16 (little endian)"),
        [0xfe, 0xff, ..] => return Err("UTF-16 (big endian)"),
        _ => {}
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    })
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Splits the text at `\n`, `\r` and `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// The lines one by one: all of them together take many times the memory of the text.
fn logical_lines(text: &str) -> impl Iterator<Item = Vec<Placed>> {
    let mut natural_lines = natural_lines(text).enumerate();
    std::iter::from_fn(move || {
        let mut current: Vec<Placed> = Vec::new();
        for (index, natural) in natural_lines.by_ref() {
            let content = natural.trim_start_matches(is_blank);
            // A comment can begin only where a logical line begins, not on a continuation line.
            if current.is_empty() && content.starts_with(['#', '!']) {
                continue;
            }
            let backslashes = content.chars().rev().take_while(|&c| c == '\\').count();
            let continued = backslashes % 2 == 1;
            let kept = if continued {
                &content[..content.len() - 1]
            } else {
                content
            };
            current.extend(kept.chars().map(|c| (c, index + 1)));
            if !continued && !current.is_empty() {
                return Some(current);
            }
        }
        (!current.is_empty()).then_some(current)
    })
}

/// Splits at the first unescaped `=`, `:` or whitespace; whitespace around the separator is part of it.
fn split(line: &[Placed]) -> (&[Placed], &[Placed]) {
    let mut escaped = false;
    let key_end = line
        .iter()
        .position(|&(c, _)| {
            let ends = !escaped && (matches!(c, '=' | ':') || is_blank(c));
            escaped = c == '\\' && !escaped;
            ends
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(key_end);
    let rest = skip_blanks(rest);
    let value = match rest.first() {
        Some(('=' | ':', _)) => skip_blanks(&rest[1..]),
        _ => rest,
    };
    (key, value)
}

fn skip_blanks(line: &[Placed]) -> &[Placed] {
    let blanks = line.iter().take_while(|(c, _)| is_blank(*c)).count();
    &line[blanks..]
}

fn unescape(text: &[Placed]) -> Result<String, ConfigError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let [(c, _), after @ ..] = rest {
        rest = after;
        if *c != '\\' {
            result.push(*c);
            continue;
        }
        // A lone backslash at the end of the text is dropped, as in Java.
        let [(escape, line), after @ ..] = rest else {
            break;
        };
        rest = after;
        match escape {
            't' => result.push('\t'),
            'n' => result.push('\n'),
            'r' => result.push('\r'),
            'f' => result.push('\u{c}'),
            'u' => {
                let (decoded, after) = unicode_escape(rest, *line)?;
                result.push(decoded);
                rest = after;
            }
            other => result.push(*other),
        }
    }
    Ok(result)
}

/// Parses the text after `\u`: four hexadecimal digits, and, if they are a high surrogate, the escape of the low
/// surrogate that must follow. Returns the character and the text behind it.
fn unicode_escape(text: &[Placed], line: usize) -> Result<(char, &[Placed]), ConfigError> {
    let (first, rest) = four_digits(text, line)?;
    if let Some(c) = char::from_u32(u32::from(first)) {
        return Ok((c, rest));
    }
    let lonely = || bad_escape(line, "is one half of a pair of surrogates");
    let [('\\', _), ('u', _), rest @ ..] = rest else {
        return Err(lonely());
    };
    let (second, rest) = four_digits(rest, line)?;
    let pair = char::decode_utf16([first, second])
        .next()
        .and_then(Result::ok);
    Ok((pair.ok_or_else(lonely)?, rest))
}

fn four_digits(text: &[Placed], line: usize) -> Result<(u16, &[Placed]), ConfigError> {
    let wrong = || bad_escape(line, "has no four hexadecimal digits");
    let (digits, rest) = text.split_at_checked(4).ok_or_else(wrong)?;
    let mut code = 0;
    for (c, _) in digits {
        // No overflow: four hexadecimal digits fit into 16 bits.
        code = code << 4 | c.to_digit(16).ok_or_else(wrong)? as u16;
    }
    Ok((code, rest))
}

fn bad_escape(line: usize, problem: &str) -> ConfigError {
    ConfigError::unreadable(
        format!("The properties cannot be read: in line {line} an escape \\u {problem}"),
        "Write \\u and four hexadecimal digits, or two backslashes for a backslash",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().entries.into_iter().collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = entries(text);
        assert_eq!(all.len(), 1, "{text:?}: {all:?}");
        all.remove(0)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn key_and_value_are_separated_by_equals_colon_or_blanks() {
        for text in [
            "a=b",
            "a:b",
            "a b",
            "a\tb",
            "  a  =  b",
            "a : b",
            "a\u{c}b",
            "\ta=b",
        ] {
            assert_eq!(one(text), pair("a", "b"), "{text:?}");
        }
        assert_eq!(one("a==b"), pair("a", "=b"));
        assert_eq!(one("a = : b"), pair("a", ": b"));
        assert_eq!(one("a"), pair("a", ""));
        assert_eq!(one("a="), pair("a", ""));
        assert_eq!(one("=b"), pair("", "b"));
    }

    #[test]
    fn blanks_at_the_end_of_a_value_are_kept() {
        assert_eq!(one("a = b  "), pair("a", "b  "));
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        assert_eq!(one("# x=1\n  ! y=2\n\n \t \na=b#c\n"), pair("a", "b#c"));
        // A comment has no continuation lines.
        assert_eq!(one("# x \\\na=b"), pair("a", "b"));
    }

    #[test]
    fn lines_end_with_any_of_the_three_line_ends() {
        assert_eq!(
            entries("a=1\nb=2\rc=3\r\nd=4"),
            [
                pair("a", "1"),
                pair("b", "2"),
                pair("c", "3"),
                pair("d", "4")
            ]
        );
    }

    #[test]
    fn a_backslash_joins_the_next_line_without_its_leading_blanks() {
        assert_eq!(one("a=b\\\n   c\\\r\n\td"), pair("a", "bcd"));
        assert_eq!(one("a=b\\\n# c"), pair("a", "b# c"));
        assert_eq!(one("a\\\n  =b"), pair("a", "b"));
        assert_eq!(one("a=b\\"), pair("a", "b"));
        // Two backslashes are an escaped backslash, not a continuation.
        assert_eq!(entries("a=b\\\\\nc=d"), [pair("a", "b\\"), pair("c", "d")]);
        // A blank line ends a continuation.
        assert_eq!(entries("a=b\\\n\nc=d"), [pair("a", "b"), pair("c", "d")]);
        assert_eq!(one("\\\n\n# x\nc=d"), pair("c", "d"));
    }

    #[test]
    fn escapes_are_replaced_by_their_characters() {
        assert_eq!(
            one(r"a\=\:\ b = \t\n\r\f\\\q"),
            pair("a=: b", "\t\n\r\u{c}\\q")
        );
        assert_eq!(one(r"a = \u00e4\u4E2D\ud83d\uDE00!"), pair("a", "ä中😀!"));
        assert_eq!(one(r"a = \  b"), pair("a", "  b"));
    }

    #[test]
    fn a_bad_unicode_escape_is_refused_with_its_line() {
        for bad in [
            r"\u12",
            r"\u12g4",
            r"\ud83d",
            r"\ud83dx",
            r"\ud83d\u0041",
            r"\ude00",
            r"\u+123",
        ] {
            let error = parse(&format!("x=1\n#\nsecret=hunter2\\\n  {bad}\n")).expect_err(bad);
            assert!(error.is_unreadable());
            let text = format!("{error} {error:?}");
            assert!(text.contains("line 4"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_pem_text_without_backslashes_is_refused_and_not_shown() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n";
        for (text, named) in [
            (format!("a=1\nssl.keystore.key={pem}"), "ssl.keystore.key"),
            (format!("ssl.keystore.key=\n{pem}"), "a line of its own"),
        ] {
            let error = parse(&text).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(named) && text.contains("backslash"), "{text}");
            assert!(!text.contains("MIGH"), "{text}");
        }
        let whole = pem.trim_end().replace('\n', "\\\n");
        let (key, value) = one(&format!("ssl.keystore.key={whole}"));
        assert_eq!(key, "ssl.keystore.key");
        assert!(value.ends_with("-----END PRIVATE KEY-----"), "{value}");
    }

    #[test]
    fn the_last_of_several_values_counts() {
        assert_eq!(one("a=1\na=2"), pair("a", "2"));
    }

    #[test]
    fn a_key_with_several_entries_is_reported_with_their_lines() {
        let read = parse("a=1\n# a\nb=1\n\na=\\\n 2\nb=1\na=3\n").unwrap();
        let repeated = [("a", 1, 5), ("b", 3, 7), ("a", 5, 8)];
        let repeated = repeated.map(|(key, earlier, later)| RepeatedKey {
            key: key.to_owned(),
            earlier,
            later,
        });
        assert_eq!(read.repeated, repeated);
        assert_eq!(read.lines["a"], 8);
        assert!(parse("a=1\nb=2").unwrap().repeated.is_empty());
    }

    #[test]
    fn bytes_are_read_as_utf_8_or_else_as_latin_1() {
        let decoded = |bytes: &[u8]| decode(bytes).unwrap();
        assert_eq!(decoded("a=ä中".as_bytes()), "a=ä中");
        assert_eq!(decoded(b"\xef\xbb\xbfa=1"), "a=1");
        assert_eq!(decoded(b"a=\xe4"), "a=ä");
    }

    #[test]
    fn a_file_in_utf_16_is_refused_with_the_name_of_its_encoding() {
        let name = format!("kafka-producer-utf-16-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let units = || "\u{feff}acks=hunter2".encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        for (bytes, named) in [(little, "little endian"), (big, "big endian")] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.is_unreadable());
            let text = error.to_string();
            assert!(text.contains("UTF-16") && text.contains(named), "{text}");
            assert!(error.remedy().contains("UTF-8"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    /// Escapes a text so that the parser returns it unchanged.
    fn escaped(text: &str) -> String {
        text.encode_utf16()
            .fold(String::new(), |all, unit| format!("{all}\\u{unit:04x}"))
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(text in r"([a\\u0-9d =:#!\n\r\t]|\PC)*") {
            if let Err(error) = parse(&text) {
                prop_assert!(error.is_unreadable());
            }
        }

        #[test]
        fn an_escaped_entry_is_parsed_unchanged(key in any::<String>(), value in any::<String>()) {
            prop_assume!(!key.is_empty());
            let text = format!("{} = {}", escaped(&key), escaped(&value));
            prop_assert_eq!(one(&text), (key, value));
        }
    }
}
