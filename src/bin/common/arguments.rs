//! Parser of command lines with the rules of Kafka's tools (Python's argparse): options may be abbreviated, the last
//! value of an option wins, and a word that begins with a dash is not a value unless it is a number.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::str::FromStr;

/// An invalid command line.
#[derive(Debug)]
pub(crate) struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(match error {
            // The value is not quoted: it may be a password.
            lexopt::Error::UnexpectedValue { option, .. } => {
                format!("argument {option}: it takes no value")
            }
            other => other.to_string(),
        })
    }
}

pub(crate) type Result<T> = std::result::Result<T, UsageError>;

pub(crate) fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(UsageError(message.into()))
}

/// Resolves the name of an option, or an unambiguous prefix of it.
pub(crate) fn option_called(given: &str, options: &[&'static str]) -> Result<&'static str> {
    if let Some(name) = options.iter().find(|name| **name == given) {
        return Ok(name);
    }
    let begins = |name: &&&'static str| name.starts_with(given);
    let meant: Vec<&'static str> = options.iter().filter(begins).copied().collect();
    match meant[..] {
        [name] => Ok(name),
        [] => wrong(format!("unrecognized arguments: '--{given}'")),
        _ => wrong(format!(
            "ambiguous option: --{given} could match --{}",
            meant.join(", --")
        )),
    }
}

/// Whether a word can be a value: `-1` can, `-x` cannot.
fn is_value(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    match bytes.strip_prefix(b"-") {
        None | Some([]) => true,
        Some(rest) => rest
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.'),
    }
}

/// The single value of an option.
pub(crate) fn word(parser: &mut lexopt::Parser, name: &str) -> Result<OsString> {
    if let Some(attached) = parser.optional_value() {
        return Ok(attached);
    }
    match parser.raw_args()?.next_if(is_value) {
        Some(word) => Ok(word),
        None => wrong(format!("argument --{name}: expected one argument")),
    }
}

/// The values of an option with several: one after `=`, or all words up to the next option.
pub(crate) fn words(parser: &mut lexopt::Parser, name: &str) -> Result<Vec<String>> {
    if let Some(attached) = parser.optional_value() {
        return Ok(vec![text(name, attached)?]);
    }
    let mut rest = parser.raw_args()?;
    let mut words = Vec::new();
    while let Some(word) = rest.next_if(is_value) {
        words.push(text(name, word)?);
    }
    if words.is_empty() {
        return wrong(format!("argument --{name}: expected at least one argument"));
    }
    Ok(words)
}

/// The value is not quoted in the error: it may be a password.
pub(crate) fn text(name: &str, word: OsString) -> Result<String> {
    word.into_string()
        .or_else(|_| wrong(format!("argument --{name}: the value is not UTF-8")))
}

/// The name of a topic. An empty one is refused here: its metadata would be waited for in vain.
pub(crate) fn topic(name: &str, word: OsString) -> Result<String> {
    let topic = text(name, word)?;
    if topic.is_empty() {
        return wrong(format!("argument --{name}: it is empty"));
    }
    Ok(topic)
}

/// Parses `KEY=VALUE`. The value may be empty, and may contain `=`.
pub(crate) fn property(name: &str, word: &str) -> Result<(String, String)> {
    match word.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        // The word is not quoted: it may be a password.
        Some(_) => wrong(format!("argument --{name}: the key of KEY=VALUE is empty")),
        None => wrong(format!("argument --{name}: expected KEY=VALUE")),
    }
}

/// The error about a word that belongs to no option. `before` is the option before it. The word is not quoted: it may
/// be a password, for example the second word of a value whose quotation marks were forgotten.
pub(crate) fn stray_word<T>(before: Option<&str>) -> Result<T> {
    wrong(match before {
        Some(option) => {
            format!("unrecognized arguments: a word after --{option} belongs to no option")
        }
        None => "unrecognized arguments: the first word is not an option".to_owned(),
    })
}

pub(crate) fn number<T: FromStr<Err: fmt::Display>>(
    parser: &mut lexopt::Parser,
    name: &str,
) -> Result<T> {
    let text = text(name, word(parser, name)?)?;
    text.parse().or_else(|error| {
        wrong(format!(
            "argument --{name}: '{text}' is not a number: {error}"
        ))
    })
}

/// Checks a number for which -1 stands for no limit or for no value. A lower one would mean the same, and is probably a
/// mistake.
pub(crate) fn at_least_minus_one<T: From<i8> + PartialOrd + fmt::Display>(
    name: &str,
    number: T,
) -> Result<T> {
    if number < T::from(-1) {
        return wrong(format!("argument --{name}: {number} is below -1"));
    }
    Ok(number)
}

pub(crate) fn required<T>(value: Option<T>, name: &str) -> Result<T> {
    match value {
        Some(value) => Ok(value),
        None => wrong(format!("argument --{name} is required")),
    }
}
